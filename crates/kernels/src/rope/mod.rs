//! Rotary position encoding, halves rotated against each other as Hugging Face's models do:
//! `(a, b) → (a cos − b sin, b cos + a sin)` with `a` the first and `b` the second half of a head
//! (Su et al. 2021). Backward is the rotation by the negative angle.

mod cuda;
mod cuda_decode;
pub mod reference;
#[cfg(test)]
pub(crate) mod tests;

pub use cuda::HeadTransform;
pub use cuda_decode::{CacheShape, LayerCache};

use crate::cpu::{Isa, multiversion};

/// The frequencies `theta^(−2i/head_dim)` of the pairs of a head, `[head_dim / 2]`.
pub fn frequencies(head_dim: usize, theta: f32) -> Vec<f32> {
    (0..head_dim / 2)
        .map(|i| 1.0 / theta.powf((2 * i) as f32 / head_dim as f32))
        .collect()
}

/// Cosines and sines of every position and frequency.
#[derive(Debug)]
pub struct RopeTable {
    half: usize,
    /// `[position][cos half | sin half]`
    values: Vec<f32>,
}

impl RopeTable {
    /// For heads of `head_dim` (even), positions `0..positions`, frequencies `theta^(−2i/head_dim)`.
    pub fn new(head_dim: usize, positions: usize, theta: f32) -> Self {
        Self::of(positions, &frequencies(head_dim, theta))
    }

    /// For positions `0..positions` and these frequencies, one for each pair of a head: `[head_dim / 2]`.
    pub fn of(positions: usize, frequencies: &[f32]) -> Self {
        let half = frequencies.len();
        let head_dim = 2 * half;
        let mut values = Vec::with_capacity(positions * head_dim);
        for position in 0..positions {
            values.extend(frequencies.iter().map(|f| (position as f32 * f).cos()));
            values.extend(frequencies.iter().map(|f| (position as f32 * f).sin()));
        }
        Self { half, values }
    }

    /// Positions that fit.
    pub fn positions(&self) -> usize {
        self.values.len() / (2 * self.half)
    }

    /// Rotates a head `[head_dim]` in place to `position`.
    pub fn rotate(&self, isa: Isa, position: usize, head: &mut [f32]) {
        let (cos, sin) = self.at(position);
        rotate(isa, cos, sin, 1.0, head);
    }

    /// Turns a gradient back.
    pub fn rotate_back(&self, isa: Isa, position: usize, head: &mut [f32]) {
        let (cos, sin) = self.at(position);
        rotate(isa, cos, sin, -1.0, head);
    }

    fn at(&self, position: usize) -> (&[f32], &[f32]) {
        self.values[position * 2 * self.half..][..2 * self.half].split_at(self.half)
    }
}

multiversion! {
    fn rotate(isa, cos: &[f32], sin: &[f32], sign: f32, head: &mut [f32]) {
        let (first, second) = head.split_at_mut(cos.len());
        for (((a, b), c), s) in first.iter_mut().zip(second).zip(cos).zip(sin) {
            let s = s * sign;
            (*a, *b) = (*a * c - *b * s, *b * c + *a * s);
        }
    }
}
