//! AdamW in f64, from the paper's algorithm 2.

/// Step `t` of one weight with its gradient and moments; returns the new weight and moments.
pub fn step(
    (w, g, m, v): (f64, f64, f64, f64),
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
