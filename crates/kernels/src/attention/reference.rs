//! Attention of one head in f64, straight from the formula.

/// q, k, v `[n, d]`, causal; result `[n, d]`.
pub fn forward(q: &[f64], k: &[f64], v: &[f64], n: usize, d: usize) -> Vec<f64> {
    let mut out = vec![0.0; n * d];
    for i in 0..n {
        let scores: Vec<f64> = (0..=i)
            .map(|j| (0..d).map(|c| q[i * d + c] * k[j * d + c]).sum::<f64>() / (d as f64).sqrt())
            .collect();
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = scores.iter().map(|s| (s - largest).exp()).sum();
        for (j, s) in scores.iter().enumerate() {
            for c in 0..d {
                out[i * d + c] += (s - largest).exp() / sum * v[j * d + c];
            }
        }
    }
    out
}
