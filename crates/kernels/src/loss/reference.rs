//! Cross-entropy in f64.

/// Loss and gradient of one row.
pub fn cross_entropy(row: &[f64], target: usize) -> (f64, Vec<f64>) {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = row.iter().map(|x| (x - largest).exp()).sum();
    let mut gradient: Vec<f64> = row.iter().map(|x| (x - largest).exp() / sum).collect();
    gradient[target] -= 1.0;
    (sum.ln() - (row[target] - largest), gradient)
}
