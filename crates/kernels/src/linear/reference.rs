//! Plain products in f64.

/// `x Wᵀ`: x `[m, k]`, w `[n, k]`, result `[m, n]`.
pub fn times_transposed(x: &[f32], w: &[f32], m: usize, k: usize, n: usize) -> Vec<f64> {
    let mut y = vec![0.0; m * n];
    for i in 0..m {
        for j in 0..n {
            for p in 0..k {
                y[i * n + j] += f64::from(x[i * k + p]) * f64::from(w[j * k + p]);
            }
        }
    }
    y
}

/// `x W`: x `[m, k]`, w `[k, n]`, result `[m, n]`.
pub fn times(x: &[f32], w: &[f32], m: usize, k: usize, n: usize) -> Vec<f64> {
    let mut y = vec![0.0; m * n];
    for i in 0..m {
        for p in 0..k {
            for j in 0..n {
                y[i * n + j] += f64::from(x[i * k + p]) * f64::from(w[p * n + j]);
            }
        }
    }
    y
}
