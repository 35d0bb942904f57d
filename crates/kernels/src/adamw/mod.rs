//! AdamW as PyTorch computes it (Loshchilov and Hutter 2019), and clipping by the norm.

mod cuda;
pub mod reference;
#[cfg(test)]
mod tests;

pub use cuda::{BankPieces, BankRate, BankState};

use crate::cpu::{Cpu, multiversion};

/// Constants of the optimizer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub eps: f32,
    /// Decoupled weight decay, times the learning rate.
    pub weight_decay: f32,
}

impl Default for AdamW {
    /// PyTorch's betas and eps, no decay.
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
        }
    }
}

/// Elements that one thread takes at a time; sums of squares are taken by such pieces, so that their
/// order does not depend on the number of threads.
const PIECE: usize = 1 << 16;

/// One step of one adapter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// Its number, from 1.
    pub number: u32,
    /// Learning rate.
    pub lr: f32,
    /// Multiplies the gradients ([`clip_factor`]).
    pub factor: f32,
}

/// What a step reads and writes of one adapter: four slices of the same length.
#[derive(Debug)]
pub struct AdamWState<'a> {
    /// Weights.
    pub w: &'a mut [f32],
    /// Gradients; zero after the step.
    pub g: &'a mut [f32],
    /// First moments.
    pub m: &'a mut [f32],
    /// Second moments.
    pub v: &'a mut [f32],
}

/// One optimizer step on one adapter.
pub fn adamw_step(cpu: &Cpu, adam: &AdamW, step: AdamWStep, state: AdamWState<'_>) {
    let AdamWState { w, g, m, v } = state;
    let pieces = w
        .chunks_mut(PIECE)
        .zip(g.chunks_mut(PIECE))
        .zip(m.chunks_mut(PIECE))
        .zip(v.chunks_mut(PIECE));
    let mut pieces: Vec<_> = pieces.collect();
    cpu.for_each_mut(&mut pieces, |_, (((w, g), m), v)| {
        update(cpu.isa(), adam, step, w, g, m, v);
        g.fill(0.0);
    });
}

multiversion! {
    fn update(isa, adam: &AdamW, step: AdamWStep, w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
        let AdamWStep { number, lr, factor } = step;
        let bias1 = (1.0 - f64::from(adam.beta1).powi(number as i32)) as f32;
        let bias2 = (1.0 - f64::from(adam.beta2).powi(number as i32)).sqrt() as f32;
        let size = lr / bias1;
        let keep = 1.0 - lr * adam.weight_decay;
        for (((w, g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
            let g = g * factor;
            *m += (g - *m) * (1.0 - adam.beta1);
            *v = *v * adam.beta2 + g * g * (1.0 - adam.beta2);
            let root = v.sqrt() / bias2 + adam.eps;
            *w = *w * keep - size * (*m / root);
        }
    }
}

/// Sum of squares in f64, in an order of its own.
pub fn sum_of_squares(cpu: &Cpu, x: &[f32]) -> f64 {
    let mut sums: Vec<(&[f32], f64)> = x.chunks(PIECE).map(|piece| (piece, 0.0)).collect();
    cpu.for_each_mut(&mut sums, |_, (piece, sum)| {
        *sum = squares(cpu.isa(), piece)
    });
    sums.iter().map(|(_, sum)| sum).sum()
}

multiversion! {
    fn squares(isa, x: &[f32]) -> f64 {
        let mut lanes = [0.0_f64; 16];
        let (chunks, rest) = x.as_chunks::<16>();
        for chunk in chunks {
            for i in 0..16 { lanes[i] += f64::from(chunk[i]) * f64::from(chunk[i]); }
        }
        for (l, x) in lanes.iter_mut().zip(rest) { *l += f64::from(*x) * f64::from(*x); }
        lanes.iter().sum()
    }
}

/// What gradients of norm `norm` are multiplied with so that they do not exceed `limit`
/// (`torch.nn.utils.clip_grad_norm_`).
pub fn clip_factor(norm: f32, limit: f32) -> f32 {
    (limit / (norm + 1e-6)).min(1.0)
}
