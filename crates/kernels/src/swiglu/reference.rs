//! SwiGLU in f64.

/// `silu(gate) · up`.
pub fn forward(gate: f64, up: f64) -> f64 {
    gate / (1.0 + (-gate).exp()) * up
}
