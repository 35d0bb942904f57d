//! RMS norm, row by row. The weights are frozen, so backward gives the input's gradient alone.

use crate::cpu::math::{LANES, dot, sum_lanes};
use crate::cpu::multiversion;

multiversion! {
    /// One row: x `[H]`, weight `[H]`, out `[H]`.
    pub fn rms_norm_forward(isa, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
        let inverse = inverse_rms(x, eps);
        for ((o, x), w) in out.iter_mut().zip(x).zip(weight) {
            *o = x * inverse * w;
        }
    }
}

multiversion! {
    /// One row, added: `dx += i·(w·dy) − x·i³/H·Σ(w·dy·x)` with `i` = 1 / rms(x).
    pub fn rms_norm_backward(isa, x: &[f32], weight: &[f32], eps: f32, dy: &[f32], dx: &mut [f32]) {
        let inverse = inverse_rms(x, eps);
        let mut lanes = [0.0_f32; LANES];
        for ((x, w), d) in x.chunks(LANES).zip(weight.chunks(LANES)).zip(dy.chunks(LANES)) {
            for i in 0..x.len() {
                lanes[i] = (w[i] * d[i]).mul_add(x[i], lanes[i]);
            }
        }
        let share = sum_lanes(lanes) * inverse * inverse * inverse / x.len() as f32;
        for (((o, x), w), d) in dx.iter_mut().zip(x).zip(weight).zip(dy) {
            *o += (w * d).mul_add(inverse, -(x * share));
        }
    }
}

#[inline(always)]
fn inverse_rms(x: &[f32], eps: f32) -> f32 {
    1.0 / (dot(x, x) / x.len() as f32 + eps).sqrt()
}
