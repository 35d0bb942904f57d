//! SwiGLU: `y = silu(gate) · up`, `silu(x) = x · sigmoid(x)` (Shazeer 2020).

mod cuda;
pub mod reference;
#[cfg(test)]
mod tests;

use crate::cpu::math::sigmoid;
use crate::cpu::multiversion;

multiversion! {
    /// One row: gate and up side by side `[2F]`, out `[F]`.
    pub fn swiglu_forward(isa, gate_up: &[f32], out: &mut [f32]) {
        let (gate, up) = gate_up.split_at(out.len());
        for ((o, g), u) in out.iter_mut().zip(gate).zip(up) {
            *o = g * sigmoid(*g) * u;
        }
    }
}

multiversion! {
    /// One row: `d_gate = dy · up · σ(g)(1 + g(1 − σ(g)))`, `d_up = dy · silu(g)`, written side by side `[2F]`.
    pub fn swiglu_backward(isa, gate_up: &[f32], dy: &[f32], d_gate_up: &mut [f32]) {
        let (gate, up) = gate_up.split_at(dy.len());
        let (d_gate, d_up) = d_gate_up.split_at_mut(dy.len());
        for ((((dg, du), g), u), d) in d_gate.iter_mut().zip(d_up).zip(gate).zip(up).zip(dy) {
            let s = sigmoid(*g);
            *dg = d * u * s * (1.0 + g * (1.0 - s));
            *du = d * g * s;
        }
    }
}
