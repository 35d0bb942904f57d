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
    /// Format of the products; none takes bf16 on GPUs and where the processor has it, f32 elsewhere.
    /// Integer products answer and do not train.
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
