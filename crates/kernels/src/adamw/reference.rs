//! AdamW in f64, from the paper's algorithm 2.

/// One weight's step; returns the new weight and moments.
#[allow(clippy::too_many_arguments)]
pub fn step(
    w: f64,
    g: f64,
    m: f64,
    v: f64,
    t: i32,
    lr: f64,
    betas: (f64, f64),
    eps: f64,
    decay: f64,
) -> (f64, f64, f64) {
    let m = betas.0 * m + (1.0 - betas.0) * g;
    let v = betas.1 * v + (1.0 - betas.1) * g * g;
    let (m_hat, v_hat) = (m / (1.0 - betas.0.powi(t)), v / (1.0 - betas.1.powi(t)));
    (w - lr * decay * w - lr * m_hat / (v_hat.sqrt() + eps), m, v)
}
