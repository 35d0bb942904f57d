//! A checkpoint becomes a frozen model.

use verdict_formats::{Checkpoint, ModelConfig};
use verdict_kernels::{
    AttentionShape, BaseQuantization, ComputeDtype, Cpu, FrozenLinear, RopeTable,
};

use crate::batch::Limits;
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::options::LoadOptions;
use crate::site::Site;
use crate::weights::{Parts, Reader, rope_table};

/// A frozen decoder on a CPU.
#[derive(Debug)]
pub(crate) struct CpuModel {
    pub(crate) config: ModelConfig,
    pub(crate) cpu: Cpu,
    /// The token embedding, where the head does not hold it too.
    pub(crate) embedding: Option<FrozenLinear>,
    pub(crate) layers: Vec<Layer<Vec<f32>, FrozenLinear>>,
    pub(crate) final_norm: Vec<f32>,
    pub(crate) head: FrozenLinear,
    pub(crate) rope: RopeTable,
}

impl CpuModel {
    pub(crate) fn load(checkpoint: &Checkpoint, options: LoadOptions) -> Result<Self> {
        let cpu =
            Cpu::new(options.threads, options.compute, options.isa).map_err(Error::Machine)?;
        let needs = match options.base {
            BaseQuantization::Fp8 => Some("base fp8 needs a GPU of compute capability 9.0"),
            BaseQuantization::Nf4 => Some("base nf4 needs a GPU"),
            BaseQuantization::F32 | BaseQuantization::Bf16
                if options.compute == Some(ComputeDtype::Int16) =>
            {
                Some("compute int16 needs base int8")
            }
            BaseQuantization::F32 | BaseQuantization::Bf16 | BaseQuantization::Int8 => None,
        };
        if let Some(text) = needs {
            return Err(Error::Machine(text.into()));
        }
        let config = checkpoint.config.clone();
        let reader = Reader { checkpoint };
        let hidden = config.hidden_size;
        let linear = |base: BaseQuantization, parts: &Parts, k: usize, bias| {
            let n = parts.iter().map(|(_, n)| n).sum();
            let read = |rows, out: &mut [f32]| reader.stacked(parts, k, rows, out);
            FrozenLinear::pack(&cpu, base, n, k, bias, read)
        };
        let matrix = |parts: &Parts, k: usize, bias| linear(options.base, parts, k, bias);
        let layers = (0..config.num_hidden_layers)
            .map(|index| Layer::read(reader, index, Ok, matrix))
            .collect::<Result<Vec<_>>>()?;
        let (embedding, head) = match config.tie_word_embeddings {
            true => (
                None,
                linear(options.base, &reader.embedding(), hidden, None)?,
            ),
            false => {
                // Only looked up, never multiplied: int8 would save time nowhere.
                let base = match options.base {
                    BaseQuantization::F32 => BaseQuantization::F32,
                    _ => BaseQuantization::Bf16,
                };
                (
                    Some(linear(base, &reader.embedding(), hidden, None)?),
                    linear(options.base, &reader.head(), hidden, None)?,
                )
            }
        };
        let final_norm = reader.vector("model.norm.weight", hidden)?;
        let rope = rope_table(&config, Limits::of(&config).positions);
        Ok(Self {
            config,
            cpu,
            embedding,
            layers,
            final_norm,
            head,
            rope,
        })
    }

    /// Memory of the frozen weights.
    pub(crate) fn weight_bytes(&self) -> usize {
        let layers = self.layers.iter().map(|l| {
            Site::ALL
                .iter()
                .map(|s| l.linear(*s).bytes())
                .sum::<usize>()
        });
        layers.sum::<usize>()
            + self.head.bytes()
            + self.embedding.as_ref().map_or(0, FrozenLinear::bytes)
    }

    pub(crate) fn attention_shape(&self) -> AttentionShape {
        AttentionShape {
            heads: self.config.num_attention_heads,
            kv_heads: self.config.num_key_value_heads,
            head_dim: self.config.head_dim,
        }
    }

    /// The embedding of a token.
    pub(crate) fn embed(&self, token: u32, out: &mut [f32]) {
        self.embedding
            .as_ref()
            .unwrap_or(&self.head)
            .row(token as usize, out);
    }
}
