//! Where a model runs and how it is loaded.

use verdict_kernels::{BaseQuantization, ComputeDtype, Isa};

/// Where a model runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The processor.
    Cpu,
    /// An NVIDIA GPU, by CUDA's number.
    Cuda(usize),
}

/// How a model is held and computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// Format of the frozen weights.
    pub base: BaseQuantization,
    /// Format of the products; none takes bf16 on GPUs and where the processor has it, f32 elsewhere (int8 after
    /// [`LoadOptions::for_answering`]).
    pub compute: Option<ComputeDtype>,
    /// Threads; 0 takes every core. For the CPU.
    pub threads: usize,
    /// Instruction set; [`Isa::detect`] finds the best. For the CPU.
    pub isa: Isa,
    /// Where it runs.
    pub device: Device,
    /// Most memory that may be taken of a GPU; none takes what is free.
    pub memory_bytes: Option<u64>,
}

impl LoadOptions {
    /// The options for a model that will answer and not train: where the compute dtype is not given and the processor
    /// has no bf16 products, an int8 base is multiplied in int8.
    #[must_use]
    pub fn for_answering(self) -> Self {
        let int8 = self.compute.is_none()
            && self.device == Device::Cpu
            && self.base == BaseQuantization::Int8
            && !self.isa.has_bf16();
        match int8 {
            true => Self {
                compute: Some(ComputeDtype::Int8),
                ..self
            },
            false => self,
        }
    }
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            base: BaseQuantization::Int8,
            compute: None,
            threads: 0,
            isa: Isa::detect(),
            device: Device::Cpu,
            memory_bytes: None,
        }
    }
}
