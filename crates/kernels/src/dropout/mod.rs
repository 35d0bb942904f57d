//! Dropout with masks that are computed, not stored: a counter-based generator keyed by everything that
//! identifies an element, so that forward and backward agree in every batch. Masks are exact: the portable
//! version is the reference of all others.

mod cuda;
#[cfg(test)]
mod tests;

pub use cuda::{Masked, RowKey};

use verdict_common::random::mix;

use crate::cpu::{Isa, multiversion};

/// Names the masks of one row at one place of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropoutKey {
    /// The adapter's seed.
    pub seed: u64,
    /// The example within the run: step and place in the adapter's own batch.
    pub example: u64,
    /// Block of the decoder.
    pub layer: u32,
    /// Place within the block.
    pub site: u32,
    /// Position of the row in its sequence.
    pub position: u32,
}

impl DropoutKey {
    /// Two words that start the row's generator (SplitMix64's mixing over the parts).
    fn words(self) -> (u32, u32) {
        let mut h = mix(self.seed ^ 0x9e37_79b9_7f4a_7c15);
        h = mix(h ^ self.example);
        h = mix(h ^ (u64::from(self.layer) << 32 | u64::from(self.site)));
        h = mix(h ^ u64::from(self.position));
        (h as u32, (h >> 32) as u32)
    }
}

/// `x = x · mask / (1 − p)` for one row; p is rounded to 1/65536.
pub fn dropout_scale(isa: Isa, key: DropoutKey, p: f32, x: &mut [f32]) {
    let (threshold, scale) = threshold(p);
    let (a, b) = key.words();
    apply(isa, a, b, threshold, scale, x);
}

/// `y += x · mask / (1 − p)` for one row.
pub fn dropout_scale_add(isa: Isa, key: DropoutKey, p: f32, x: &[f32], y: &mut [f32]) {
    let (threshold, scale) = threshold(p);
    let (a, b) = key.words();
    apply_add(isa, a, b, threshold, scale, x, y);
}

fn threshold(p: f32) -> (u32, f32) {
    let threshold = (p * 65536.0).round() as u32;
    (threshold, 65536.0 / (65536 - threshold) as f32)
}

/// 32 random bits for each counter: two rounds of a 32-bit finaliser (Wellons' lowbias32).
#[inline(always)]
fn random(counter: u32, a: u32, b: u32) -> u32 {
    let mut h = counter.wrapping_mul(0x9e37_79b9).wrapping_add(a);
    h ^= h >> 16;
    h = h.wrapping_mul(0x7feb_352d);
    h ^= h >> 15;
    h = h.wrapping_mul(0x846c_a68b);
    h ^= (h >> 16) ^ b;
    h = h.wrapping_mul(0x21f0_aaad);
    h ^= h >> 15;
    h = h.wrapping_mul(0x735a_2d97);
    h ^ (h >> 15)
}

/// Factors of 32 elements: the low halves of 16 words serve the first 16, the high halves the rest.
#[inline(always)]
fn factors(chunk: usize, a: u32, b: u32, threshold: u32, scale: f32) -> [f32; 32] {
    let mut f = [0.0; 32];
    for j in 0..16 {
        let h = random((chunk * 16 + j) as u32, a, b);
        f[j] = if h & 0xffff >= threshold { scale } else { 0.0 };
        f[16 + j] = if h >> 16 >= threshold { scale } else { 0.0 };
    }
    f
}

multiversion! {
    fn apply(isa, a: u32, b: u32, threshold: u32, scale: f32, x: &mut [f32]) {
        for (chunk, x) in x.chunks_mut(32).enumerate() {
            let f = factors(chunk, a, b, threshold, scale);
            for (x, f) in x.iter_mut().zip(f) { *x *= f; }
        }
    }
}

multiversion! {
    fn apply_add(isa, a: u32, b: u32, threshold: u32, scale: f32, x: &[f32], y: &mut [f32]) {
        for (chunk, (x, y)) in x.chunks(32).zip(y.chunks_mut(32)).enumerate() {
            let f = factors(chunk, a, b, threshold, scale);
            for ((y, x), f) in y.iter_mut().zip(x).zip(f) { *y = x.mul_add(f, *y); }
        }
    }
}
