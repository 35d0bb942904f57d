//! Causal attention with grouped queries over packed sequences: no padding, no mask in memory.
//!
//! `o = softmax(q kᵀ / √D) v`, each row over itself and the rows before it in its own sequence
//! (Vaswani et al. 2017; grouped queries: Ainslie et al. 2023).

mod backward;
mod cpu;
mod cuda;
mod decode;
pub mod reference;
#[cfg(test)]
mod tests;

pub use backward::attention_backward;
pub use cpu::{attention_decode, attention_forward};
pub use cuda::{AttentionInput, AttentionTiles};

/// Heads and their width. A row of `qkv` is `[q heads | k heads | v heads]`, `ld()` long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionShape {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// D, width of a head.
    pub head_dim: usize,
}

impl AttentionShape {
    /// Length of a row of q, k and v side by side.
    pub fn ld(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.head_dim
    }

    /// Column of a query head.
    pub fn q(&self, head: usize) -> usize {
        head * self.head_dim
    }

    /// Column of a key head.
    pub fn k(&self, kv_head: usize) -> usize {
        (self.heads + kv_head) * self.head_dim
    }

    /// Column of a value head.
    pub fn v(&self, kv_head: usize) -> usize {
        (self.heads + self.kv_heads + kv_head) * self.head_dim
    }

    /// Width of the GPU's kernels for heads of `head_dim`, a multiple of 8 up to 128.
    pub fn padded_head(head_dim: usize) -> usize {
        cuda::padded(head_dim)
    }

    /// Query heads that share a key head.
    pub fn group(&self) -> usize {
        self.heads / self.kv_heads
    }
}

/// The rows of one sequence in a packed batch.
pub type Span = std::ops::Range<usize>;
