//! A checkpoint becomes a frozen model.

use verdict_formats::{Checkpoint, ModelConfig};
use verdict_kernels::{AttentionShape, Base, Cpu, FrozenLinear, RopeTable};

use crate::error::{Error, Result};
use crate::model::{Limits, LoadOptions};
use crate::site::Site;
use crate::weights::{Parts, Reader};

/// A frozen decoder on a CPU.
#[derive(Debug)]
pub(crate) struct CpuModel {
    pub(crate) config: ModelConfig,
    pub(crate) cpu: Cpu,
    /// The token embedding, where the head does not hold it too.
    pub(crate) embedding: Option<FrozenLinear>,
    pub(crate) layers: Vec<Layer>,
    pub(crate) final_norm: Vec<f32>,
    pub(crate) head: FrozenLinear,
    pub(crate) rope: RopeTable,
}

#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) attention_norm: Vec<f32>,
    pub(crate) qkv: FrozenLinear,
    /// Norms of each head's q and k (Qwen3).
    pub(crate) qk_norm: Option<(Vec<f32>, Vec<f32>)>,
    pub(crate) o: FrozenLinear,
    pub(crate) mlp_norm: Vec<f32>,
    pub(crate) gate_up: FrozenLinear,
    pub(crate) down: FrozenLinear,
}

impl Layer {
    pub(crate) fn linear(&self, site: Site) -> &FrozenLinear {
        match site {
            Site::Qkv => &self.qkv,
            Site::O => &self.o,
            Site::GateUp => &self.gate_up,
            Site::Down => &self.down,
        }
    }
}

impl CpuModel {
    pub(crate) fn load(checkpoint: &Checkpoint, options: LoadOptions) -> Result<Self> {
        let cpu =
            Cpu::new(options.threads, options.compute, options.isa).map_err(Error::Machine)?;
        if options.base == Base::Fp8 {
            let text = "base fp8 needs a GPU of compute capability 9.0";
            return Err(Error::Machine(text.into()));
        }
        let config = checkpoint.config.clone();
        let reader = Reader { checkpoint };
        let hidden = config.hidden_size;
        let linear = |base: Base, parts: &Parts, k: usize, bias| {
            let n = parts.iter().map(|(_, n)| n).sum();
            let read = |rows, out: &mut [f32]| reader.stacked(parts, k, rows, out);
            FrozenLinear::pack(&cpu, base, n, k, bias, read)
        };
        let layers = (0..config.num_hidden_layers)
            .map(|index| {
                let stack = |site: Site| {
                    let parts = reader.site_parts(index, site);
                    let bias = reader.site_bias(index, site)?;
                    linear(options.base, &parts, site.inputs(&config), bias)
                };
                let norm = |part: &str, len| reader.layer_vector(index, part, len);
                Ok(Layer {
                    attention_norm: norm("input_layernorm", hidden)?,
                    qkv: stack(Site::Qkv)?,
                    qk_norm: match config.qk_norm {
                        true => Some((
                            norm("self_attn.q_norm", config.head_dim)?,
                            norm("self_attn.k_norm", config.head_dim)?,
                        )),
                        false => None,
                    },
                    o: stack(Site::O)?,
                    mlp_norm: norm("post_attention_layernorm", hidden)?,
                    gate_up: stack(Site::GateUp)?,
                    down: stack(Site::Down)?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let (embedding, head) = match config.tie_word_embeddings {
            true => (
                None,
                linear(options.base, &reader.embedding(), hidden, None)?,
            ),
            false => {
                // Only looked up, never multiplied: int8 would save time nowhere.
                let base = match options.base {
                    Base::F32 => Base::F32,
                    _ => Base::Bf16,
                };
                (
                    Some(linear(base, &reader.embedding(), hidden, None)?),
                    linear(options.base, &reader.head(), hidden, None)?,
                )
            }
        };
        let final_norm = reader.vector("model.norm.weight", hidden)?;
        let rope = RopeTable::new(
            config.head_dim,
            Limits::of(&config).positions,
            config.rope_theta,
        );
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
