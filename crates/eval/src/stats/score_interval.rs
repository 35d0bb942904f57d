//! Score intervals, which have a width even for small counts: Tango's for a paired difference, and for a mean of shares.

use statrs::distribution::{ContinuousCDF, Normal};
use verdict_data::CONFIDENCE;

use super::bootstrap::Estimate;

/// The 95 % score interval of `(first − second) / n` (Tango 1998, Statistics in Medicine 17:891), with `first` and `second`
/// the discordant pairs of each side, out of `n`. Counts may be fractional, for an effective sample size.
///
/// The ends are the differences Δ at which the score statistic
///
/// ```text
/// (first − second − n Δ) / √(n (2 q + Δ (1 − Δ)))
/// ```
///
/// is ±1.96, with `q` the maximum-likelihood probability of a pair discordant in favour of the second, given the difference
/// Δ. Unlike a bootstrap interval it has a width where no pair is discordant: 0 of 10 gives ±27.8 points.
///
/// # Panics
/// When a count is negative or there are more of both than `n`.
pub fn tango(first: f64, second: f64, n: f64) -> (f64, f64) {
    assert!(
        first >= 0.0 && second >= 0.0 && first + second <= n * (1.0 + 1e-9),
        "{first} and {second} of {n}"
    );
    if n == 0.0 {
        return (-1.0, 1.0);
    }
    let z = Normal::standard().inverse_cdf(f64::midpoint(1.0, CONFIDENCE));
    let statistic = |delta: f64| {
        // The positive root of 2n q² + B q − second Δ (1 − Δ) = 0.
        let b = -first - second + (2.0 * n - first + second) * delta;
        let c = -second * delta * (1.0 - delta);
        let q = ((b * b - 8.0 * n * c).max(0.0).sqrt() - b) / (4.0 * n);
        let variance = n * (2.0 * q + delta * (1.0 - delta));
        let away = first - second - n * delta;
        match variance > 0.0 {
            true => away / variance.sqrt(),
            // Without variance, any distance is too large.
            false if away == 0.0 => 0.0,
            false => away.signum() * f64::INFINITY,
        }
    };
    let value = (first - second) / n;
    // The statistic decreases in Δ and is 0 at the value itself.
    let end = |mut inside: f64, mut outside: f64, reached: &dyn Fn(f64) -> bool| {
        if !reached(outside) {
            return outside;
        }
        for _ in 0..100 {
            let middle = f64::midpoint(inside, outside);
            match reached(middle) {
                true => outside = middle,
                false => inside = middle,
            }
        }
        f64::midpoint(inside, outside)
    };
    let low = end(value, -1.0, &|delta| statistic(delta) >= z);
    let high = end(value, 1.0, &|delta| statistic(delta) <= -z);
    (low, high)
}

/// The mean of independent shares with an interval from theirs ("MOVER", Zou and Donner 2008, Statistics in Medicine
/// 27:1693; for two shares Newcombe's hybrid): the distance of each end from the mean is the root of the sum of the squared
/// distances of the parts' ends, divided by their number. With Wilson's intervals of the parts it has a width even where
/// every bootstrap sample is the same. None without parts.
pub(super) fn mean_of(parts: &[Estimate]) -> Option<Estimate> {
    if parts.is_empty() {
        return None;
    }
    let n = parts.len() as f64;
    let value = parts.iter().map(|part| part.value).sum::<f64>() / n;
    let reach = |to: fn(&Estimate) -> f64| parts.iter().map(to).sum::<f64>().sqrt() / n;
    Some(Estimate {
        value,
        low: value - reach(|part| (part.value - part.low).powi(2)),
        high: value + reach(|part| (part.high - part.value).powi(2)),
    })
}
