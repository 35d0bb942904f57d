//! The best token and the log-sum of one row of logits in host memory.

/// The largest by `f32`'s total order, the lower token in a tie.
pub(crate) fn best(row: &[f32], refused: &[u32]) -> Option<u32> {
    let mut best: Option<(u32, f32)> = None;
    for (token, logit) in (0..).zip(row) {
        let better = best.is_none_or(|(_, so_far)| logit.total_cmp(&so_far).is_gt());
        if better && !refused.contains(&token) {
            best = Some((token, *logit));
        }
    }
    best.map(|(token, _)| token)
}

/// `ln Σ exp(z)` in f64, safe for large z.
pub fn log_sum_exp(logits: &[f32]) -> f64 {
    let wide = || logits.iter().map(|z| f64::from(*z));
    let largest = wide().fold(f64::NEG_INFINITY, f64::max);
    largest + wide().map(|z| (z - largest).exp()).sum::<f64>().ln()
}
