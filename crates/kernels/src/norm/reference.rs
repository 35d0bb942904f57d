//! RMS norm in f64.

/// `y = x · w / sqrt(mean(x²) + eps)` for one row.
pub fn forward(x: &[f64], weight: &[f64], eps: f64) -> Vec<f64> {
    let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
    let inverse = 1.0 / (mean + eps).sqrt();
    x.iter().zip(weight).map(|(x, w)| x * inverse * w).collect()
}
