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

/// Gradients of q, k and v, each `[n, d]`, from the gradient `g` of the result: with P the weights,
/// `dV = Pᵀ g`, `dS = P ∘ (g Vᵀ − rowsum(P ∘ g Vᵀ))`, `dq = dS k / √d`, `dk = dSᵀ q / √d`.
pub fn backward(
    (q, k, v): (&[f64], &[f64], &[f64]),
    g: &[f64],
    n: usize,
    d: usize,
) -> [Vec<f64>; 3] {
    let scale = 1.0 / (d as f64).sqrt();
    let row = |x: &[f64], i: usize| x[i * d..][..d].to_vec();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let add = |to: &mut [f64], i: usize, factor: f64, x: &[f64]| {
        for (o, x) in to[i * d..][..d].iter_mut().zip(x) {
            *o += factor * x;
        }
    };
    let [mut dq, mut dk, mut dv] = [0; 3].map(|_| vec![0.0; n * d]);
    for i in 0..n {
        let (q, g) = (row(q, i), row(g, i));
        let scores: Vec<f64> = (0..=i).map(|j| dot(&q, &row(k, j)) * scale).collect();
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = scores.iter().map(|s| (s - largest).exp()).sum();
        let p: Vec<f64> = scores.iter().map(|s| (s - largest).exp() / sum).collect();
        let dp: Vec<f64> = (0..=i).map(|j| dot(&g, &row(v, j))).collect();
        let mean = dot(&p, &dp);
        for j in 0..=i {
            let ds = p[j] * (dp[j] - mean) * scale;
            add(&mut dq, i, ds, &row(k, j));
            add(&mut dk, j, ds, &q);
            add(&mut dv, j, p[j], &g);
        }
    }
    [dq, dk, dv]
}
