//! The weights of one block, as either engine holds them.

use crate::error::Result;
use crate::site::Site;
use crate::weights::{Parts, Reader};

/// A block's frozen weights: vectors as `V`, matrices as `M`.
#[derive(Debug)]
pub(crate) struct Layer<V, M> {
    pub(crate) attention_norm: V,
    pub(crate) qkv: M,
    /// Norms of each head's q and k (Qwen3).
    pub(crate) qk_norm: Option<(V, V)>,
    pub(crate) o: M,
    pub(crate) mlp_norm: V,
    pub(crate) gate_up: M,
    pub(crate) down: M,
}

impl<V, M> Layer<V, M> {
    /// Reads a block; `matrix` gets the parts to stack, their columns and their bias.
    pub(crate) fn read(
        reader: Reader<'_>,
        index: usize,
        vector: impl Fn(Vec<f32>) -> Result<V>,
        matrix: impl Fn(&Parts, usize, Option<Vec<f32>>) -> Result<M>,
    ) -> Result<Self> {
        let c = reader.config();
        let stack = |site: Site| {
            let bias = reader.site_bias(index, site)?;
            matrix(&reader.site_parts(index, site), site.inputs(c), bias)
        };
        let norm = |part: &str, len| vector(reader.layer_vector(index, part, len)?);
        Ok(Self {
            attention_norm: norm("input_layernorm", c.hidden_size)?,
            qkv: stack(Site::Qkv)?,
            qk_norm: match c.qk_norm {
                true => Some((
                    norm("self_attn.q_norm", c.head_dim)?,
                    norm("self_attn.k_norm", c.head_dim)?,
                )),
                false => None,
            },
            o: stack(Site::O)?,
            mlp_norm: norm("post_attention_layernorm", c.hidden_size)?,
            gate_up: stack(Site::GateUp)?,
            down: stack(Site::Down)?,
        })
    }

    pub(crate) fn linear(&self, site: Site) -> &M {
        match site {
            Site::Qkv => &self.qkv,
            Site::O => &self.o,
            Site::GateUp => &self.gate_up,
            Site::Down => &self.down,
        }
    }
}
