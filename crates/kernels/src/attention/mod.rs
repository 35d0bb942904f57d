//! Causal attention with grouped queries over packed sequences: no padding, no mask in memory.
//!
//! `o = softmax(q kᵀ / √D) v`, each row over itself and the rows before it in its own sequence
//! (Vaswani et al. 2017; grouped queries: Ainslie et al. 2023).

mod cpu;
mod cpu_backward;
mod cuda;
mod cuda_decode;
pub mod reference;
#[cfg(test)]
mod tests;

pub use cpu::{attention_decode, attention_forward};
pub use cpu_backward::attention_backward;
pub use cuda::{AttentionInput, AttentionTiles};

/// Largest width of a head that the GPU kernels take.
const LARGEST_HEAD: usize = 128;

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
        assert!(
            head_dim.is_multiple_of(8) && head_dim <= LARGEST_HEAD,
            "heads of {head_dim}"
        );
        head_dim.next_power_of_two().max(16)
    }

    /// Query heads that share a key head.
    pub fn group(&self) -> usize {
        self.heads / self.kv_heads
    }
}

/// The rows of one sequence in a packed batch.
pub type Span = std::ops::Range<usize>;
