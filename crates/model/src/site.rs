//! The four places of a block where an adapter reads: each has one input and one to three projections.

use verdict_formats::ModelConfig;

/// A place in a block. Projections that read the same input are stacked and share its dropout mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// q, k and v.
    Qkv,
    /// The attention's output projection.
    O,
    /// gate and up.
    GateUp,
    /// down.
    Down,
}

impl Site {
    pub(crate) const ALL: [Self; 4] = [Self::Qkv, Self::O, Self::GateUp, Self::Down];

    /// Projections: Hugging Face's module name and outputs.
    pub(crate) fn parts(self, c: &ModelConfig) -> Vec<(&'static str, usize)> {
        let (q, kv) = (
            c.num_attention_heads * c.head_dim,
            c.num_key_value_heads * c.head_dim,
        );
        match self {
            Self::Qkv => vec![
                ("self_attn.q_proj", q),
                ("self_attn.k_proj", kv),
                ("self_attn.v_proj", kv),
            ],
            Self::O => vec![("self_attn.o_proj", c.hidden_size)],
            Self::GateUp => vec![
                ("mlp.gate_proj", c.intermediate_size),
                ("mlp.up_proj", c.intermediate_size),
            ],
            Self::Down => vec![("mlp.down_proj", c.hidden_size)],
        }
    }

    pub(crate) fn inputs(self, c: &ModelConfig) -> usize {
        match self {
            Self::Qkv | Self::GateUp => c.hidden_size,
            Self::O => c.num_attention_heads * c.head_dim,
            Self::Down => c.intermediate_size,
        }
    }

    pub(crate) fn outputs(self, c: &ModelConfig) -> usize {
        self.parts(c).iter().map(|(_, n)| n).sum()
    }
}
