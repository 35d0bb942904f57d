//! Wilson's interval: how far an observed share may be from the true one.

use statrs::distribution::{ContinuousCDF, Normal};

/// Confidence of every interval that the project reports.
pub const CONFIDENCE: f64 = 0.95;

/// Lower and upper end of the 95 % interval of `count` out of `total` (Wilson 1927; Brown, Cai and DasGupta 2001).
///
/// With `p = count / total`, `n = total` and `z` the normal quantile of (1 + 0.95) / 2:
///
/// ```text
/// (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n)
/// ```
///
/// Unlike the textbook interval it keeps its coverage for small counts and shares near 0 and 1. Out of nothing,
/// it is all of 0 to 1.
///
/// # Panics
/// When `count` is larger than `total`.
pub fn wilson(count: usize, total: usize) -> (f64, f64) {
    assert!(count <= total, "{count} out of {total}");
    if total == 0 {
        return (0.0, 1.0);
    }
    let z = Normal::standard().inverse_cdf(f64::midpoint(1.0, CONFIDENCE));
    let n = total as f64;
    let p = count as f64 / n;
    let scale = 1.0 + z * z / n;
    let centre = (p + z * z / (2.0 * n)) / scale;
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt() / scale;
    // At the ends the formula gives 0 and 1 except for rounding.
    let low = if count == 0 { 0.0 } else { centre - half };
    let high = if count == total { 1.0 } else { centre + half };
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::wilson;

    #[test]
    fn the_ends_are_the_published_ones() {
        // All but the first: Newcombe 1998, Statistics in Medicine 17:857, table I, method 3.
        for (count, total, low, high) in [
            (15, 20, 0.531, 0.888),
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let found = wilson(count, total);
            let digits = if total == 20 && count == 15 {
                5e-4
            } else {
                5e-5
            };
            assert!(
                (found.0 - low).abs() < digits && (found.1 - high).abs() < digits,
                "{count}/{total}: {found:?}"
            );
        }
        assert_eq!(wilson(0, 0), (0.0, 1.0));
        assert_eq!(wilson(7, 7).1, 1.0);
    }
}
