//! A checkpoint becomes a frozen model.

use std::ops::Range;

use verdict_formats::{Checkpoint, ModelConfig};
use verdict_kernels::{AttentionShape, Base, Compute, Cpu, FrozenLinear, Isa, RopeTable};

use crate::error::{Error, Result};
use crate::site::Site;

/// How a model is held and computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// Format of the frozen weights.
    pub base: Base,
    /// Format of the products; none takes bf16 where the processor has it, f32 elsewhere.
    pub compute: Option<Compute>,
    /// Threads; 0 takes every core.
    pub threads: usize,
    /// Instruction set; [`Isa::detect`] finds the best.
    pub isa: Isa,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            base: Base::Int8,
            compute: None,
            threads: 0,
            isa: Isa::detect(),
        }
    }
}

/// A frozen decoder on a CPU.
#[derive(Debug)]
pub struct Model {
    pub(crate) config: ModelConfig,
    pub(crate) cpu: Cpu,
    /// The token embedding, where the head does not hold it too.
    pub(crate) embedding: Option<FrozenLinear>,
    pub(crate) layers: Vec<Layer>,
    pub(crate) final_norm: Vec<f32>,
    pub(crate) head: FrozenLinear,
    pub(crate) rope: RopeTable,
    base: Base,
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

impl Model {
    /// Reads, checks and packs all weights.
    ///
    /// # Errors
    /// A file that is wrong, a weight that is not finite, a machine that cannot compute as asked.
    pub fn load(checkpoint: &Checkpoint, options: LoadOptions) -> Result<Self> {
        let cpu =
            Cpu::new(options.threads, options.compute, options.isa).map_err(Error::Machine)?;
        let config = checkpoint.config.clone();
        let reader = Reader {
            checkpoint,
            cpu: &cpu,
        };
        let hidden = config.hidden_size;
        let layers = (0..config.num_hidden_layers)
            .map(|index| {
                let name = |part: &str| format!("model.layers.{index}.{part}.weight");
                let stack = |site: Site| {
                    let parts: Vec<_> = site
                        .parts(&config)
                        .iter()
                        .map(|(p, n)| (name(p), *n))
                        .collect();
                    let bias = match (site, config.qkv_bias) {
                        (Site::Qkv, true) => Some(
                            parts
                                .iter()
                                .map(|(p, n)| reader.vector(&p.replace(".weight", ".bias"), *n))
                                .collect::<Result<Vec<_>>>()?
                                .concat(),
                        ),
                        _ => None,
                    };
                    reader.linear(options.base, &parts, site.inputs(&config), bias)
                };
                Ok(Layer {
                    attention_norm: reader.vector(&name("input_layernorm"), hidden)?,
                    qkv: stack(Site::Qkv)?,
                    qk_norm: match config.qk_norm {
                        true => Some((
                            reader.vector(&name("self_attn.q_norm"), config.head_dim)?,
                            reader.vector(&name("self_attn.k_norm"), config.head_dim)?,
                        )),
                        false => None,
                    },
                    o: stack(Site::O)?,
                    mlp_norm: reader.vector(&name("post_attention_layernorm"), hidden)?,
                    gate_up: stack(Site::GateUp)?,
                    down: stack(Site::Down)?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let embedding = |base: Base| {
            reader.linear(
                base,
                &[("model.embed_tokens.weight".into(), config.vocab_size)],
                hidden,
                None,
            )
        };
        let (embedding, head) = match config.tie_word_embeddings {
            true => (None, embedding(options.base)?),
            false => (
                // Only looked up, never multiplied: int8 would save time nowhere.
                Some(embedding(if options.base == Base::F32 {
                    Base::F32
                } else {
                    Base::Bf16
                })?),
                reader.linear(
                    options.base,
                    &[("lm_head.weight".into(), config.vocab_size)],
                    hidden,
                    None,
                )?,
            ),
        };
        let final_norm = reader.vector("model.norm.weight", hidden)?;
        // Longer tables than any sequence here needs only cost memory.
        let positions = config.max_position_embeddings.min(8192);
        let rope = RopeTable::new(config.head_dim, positions, config.rope_theta);
        Ok(Self {
            config,
            cpu,
            embedding,
            layers,
            final_norm,
            head,
            rope,
            base: options.base,
        })
    }

    /// Shape and constants.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Number format of the products.
    pub fn compute(&self) -> Compute {
        self.cpu.compute()
    }

    /// Format of the frozen weights.
    pub fn base(&self) -> Base {
        self.base
    }

    /// Instruction set in use.
    pub fn isa(&self) -> Isa {
        self.cpu.isa()
    }

    /// Worker threads.
    pub fn threads(&self) -> usize {
        self.cpu.threads()
    }

    /// Runs `work` on one of the model's threads: worth it once around a loop of many small calls.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.cpu.install(work)
    }

    /// Memory of the frozen weights.
    pub fn weight_bytes(&self) -> usize {
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

    /// Positions a sequence may have.
    pub fn max_positions(&self) -> usize {
        self.rope.positions()
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

    pub(crate) fn check_tokens(&self, tokens: &[u32], length: usize) -> Result<()> {
        if length > self.max_positions() {
            return Err(Error::TooLong {
                found: length,
                limit: self.max_positions(),
            });
        }
        match tokens
            .iter()
            .find(|t| **t as usize >= self.config.vocab_size)
        {
            Some(t) => Err(Error::Token {
                found: *t,
                vocabulary: self.config.vocab_size,
            }),
            None => Ok(()),
        }
    }
}

struct Reader<'a> {
    checkpoint: &'a Checkpoint,
    cpu: &'a Cpu,
}

impl Reader<'_> {
    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>> {
        let mut out = vec![0.0; len];
        self.rows(name, 0..1, &mut out)?;
        Ok(out)
    }

    /// Matrices of `k` columns, stacked by rows.
    fn linear(
        &self,
        base: Base,
        parts: &[(String, usize)],
        k: usize,
        bias: Option<Vec<f32>>,
    ) -> Result<FrozenLinear> {
        let n = parts.iter().map(|(_, n)| n).sum();
        FrozenLinear::pack(self.cpu, base, n, k, bias, |rows, out| {
            let mut start = 0;
            for (name, n) in parts {
                let (from, to) = (rows.start.max(start), rows.end.min(start + n));
                if from < to {
                    let out = &mut out[(from - rows.start) * k..(to - rows.start) * k];
                    self.rows(name, from - start..to - start, out)?;
                }
                start += n;
            }
            Ok(())
        })
    }

    fn rows(&self, name: &str, rows: Range<usize>, out: &mut [f32]) -> Result<()> {
        self.checkpoint.read_rows(name, rows.clone(), out)?;
        // All at once, so that it is vector code; the place is looked for only when there is one.
        let finite = out.iter().fold(true, |all, v| all & v.is_finite());
        let width = out.len() / rows.len();
        let first = || out.iter().position(|v| !v.is_finite());
        match (!finite).then(first).flatten() {
            None => Ok(()),
            Some(at) => Err(Error::NotFinite {
                path: self.checkpoint.path().display().to_string(),
                tensor: name.to_owned(),
                row: rows.start + at / width,
                found: out[at],
            }),
        }
    }
}
