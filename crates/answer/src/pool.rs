//! How the probabilities that several passages give to one question become one.
//!
//! A logarithmic opinion pool (Genest and Zidek 1986, "Combining probability distributions"), weighted by relevance and
//! then calibrated:
//!
//! ```text
//! w = softmax(s · r)                 r: relevance of each passage, 0 to 1
//! z = Σ_i w_i ln p_i                 p_i: the three probabilities that passage i gives
//! p = softmax(z / T + b)
//! ```
//!
//! With `s = 0` all passages count the same, and the larger `s`, the more the most relevant one decides alone. A pool of
//! one passage is that passage, calibrated. `T` below 1 says that passages which agree support one another.

use serde::{Deserialize, Serialize};

use crate::calibration::{Calibration, Fit, LabelledLogits, logits};

/// The values of `s` that are tried; each doubles what the step from relevance 0 to 1 is worth, in nats.
const SHARPNESS: [f64; 8] = [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// What one passage contributes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PooledPassage {
    /// Its relevance, from 0 to 1.
    pub relevance: f64,
    /// The model's own probabilities of the three labels, not calibrated.
    pub probabilities: [f32; 3],
}

/// The parameters of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// `s`, 0 or more.
    pub sharpness: f64,
    /// `T` and `b`.
    pub calibration: Calibration,
}

/// A pool, and what it was fitted on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FittedPool {
    /// The parameters.
    pub pool: Pool,
    /// Questions that they were fitted on.
    pub rows: usize,
    /// Mean of `-ln p[truth]` on these questions, in nats.
    pub log_loss: f64,
    /// The same for the most relevant passage alone, with a calibration of its own.
    pub log_loss_first: f64,
}

impl Pool {
    /// A pool that was not fitted: the most relevant passage counts `e²` times as much as an irrelevant one.
    pub fn unfitted(calibration: Calibration) -> Pool {
        Pool {
            sharpness: 2.0,
            calibration,
        }
    }

    /// The weight of each passage; their sum is 1.
    pub fn weights(&self, passages: &[PooledPassage]) -> Vec<f64> {
        weights(self.sharpness, passages)
    }

    /// The probabilities of the three labels; `None` without passages.
    pub fn probabilities(&self, passages: &[PooledPassage]) -> Option<[f64; 3]> {
        let pooled = pooled_logits(self.sharpness, passages)?;
        Some(self.calibration.probabilities(pooled))
    }

    /// Fits the parameters to questions with their passages and true labels by maximum likelihood: a temperature for each
    /// value of the sharpness, and the value with the lowest loss. Questions without passages say nothing and are left
    /// out; `None` where none is left.
    pub fn fit(rows: &[(Vec<PooledPassage>, verdict_data::Label)]) -> Option<FittedPool> {
        let fitted = |sharpness: f64| {
            let examples: Vec<LabelledLogits> = rows
                .iter()
                .filter_map(|(passages, truth)| Some((pooled_logits(sharpness, passages)?, *truth)))
                .collect();
            let calibration = Calibration::fit(Fit::Temperature, &examples);
            let log_loss = calibration.log_loss(&examples);
            (!examples.is_empty()).then_some((
                Pool {
                    sharpness,
                    calibration,
                },
                log_loss,
                examples.len(),
            ))
        };
        // Infinitely sharp: the first passage alone.
        let (_, log_loss_first, _) = fitted(1e6)?;
        let tried = SHARPNESS.into_iter().filter_map(fitted);
        let (pool, log_loss, rows) = tried.min_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(FittedPool {
            pool,
            rows,
            log_loss,
            log_loss_first,
        })
    }
}

fn weights(sharpness: f64, passages: &[PooledPassage]) -> Vec<f64> {
    let most = passages.iter().map(|one| one.relevance).fold(0.0, f64::max);
    let powers: Vec<f64> = passages
        .iter()
        .map(|one| (sharpness * (one.relevance - most)).exp())
        .collect();
    let total: f64 = powers.iter().sum();
    powers.iter().map(|power| power / total).collect()
}

fn pooled_logits(sharpness: f64, passages: &[PooledPassage]) -> Option<[f64; 3]> {
    let weights = weights(sharpness, passages);
    let mut sum = [0.0; 3];
    for (weight, passage) in weights.iter().zip(passages) {
        for (sum, logit) in sum.iter_mut().zip(logits(passage.probabilities)) {
            *sum += weight * logit;
        }
    }
    (!passages.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use verdict_data::Label;

    use super::*;

    fn passage(relevance: f64, probabilities: [f32; 3]) -> PooledPassage {
        PooledPassage {
            relevance,
            probabilities,
        }
    }

    fn pool(sharpness: f64) -> Pool {
        Pool {
            sharpness,
            calibration: Calibration::default(),
        }
    }

    fn close(found: [f64; 3], expected: [f64; 3]) {
        for (found, expected) in found.iter().zip(expected) {
            // Probabilities are f32.
            assert!(
                (found - expected).abs() < 4.0 * f64::from(f32::EPSILON),
                "{found} {expected}"
            );
        }
    }

    #[test]
    fn one_passage_is_left_as_it_is() {
        let only = [passage(0.4, [0.7, 0.2, 0.1])];
        close(pool(2.0).probabilities(&only).unwrap(), [0.7, 0.2, 0.1]);
        assert_eq!(pool(2.0).probabilities(&[]), None);
    }

    #[test]
    fn the_pool_is_a_weighted_geometric_mean() {
        let two = [passage(1.0, [0.8, 0.1, 0.1]), passage(0.5, [0.2, 0.6, 0.2])];
        // By hand: weights 1/(1 + e^-1) and its complement at sharpness 2.
        let first = 1.0 / (1.0 + (-1.0_f64).exp());
        let raw = [(0.8, 0.2), (0.1, 0.6), (0.1, 0.2)]
            .map(|(a, b): (f64, f64)| a.powf(first) * b.powf(1.0 - first));
        let total: f64 = raw.iter().sum();
        close(
            pool(2.0).probabilities(&two).unwrap(),
            raw.map(|p| p / total),
        );
        let weights = pool(2.0).weights(&two);
        assert!(
            (weights[0] - first).abs() < 1e-15 && (weights[0] + weights[1] - 1.0).abs() < 1e-15
        );
        // Without sharpness both count the same, and with much of it the first alone.
        assert_eq!(pool(0.0).weights(&two), [0.5, 0.5]);
        close(pool(1e3).probabilities(&two).unwrap(), [0.8, 0.1, 0.1]);
    }

    #[test]
    fn a_fit_finds_which_passages_can_be_trusted() {
        // The relevant passage is right in nine of ten questions, the other one is noise.
        let rows: Vec<(Vec<PooledPassage>, Label)> = (0..200)
            .map(|row| {
                let truth = Label::ALL[row % 2];
                let says = |label: Label| match label {
                    Label::Yes => [0.8, 0.1, 0.1],
                    _ => [0.1, 0.8, 0.1],
                };
                let first = Label::ALL[(row + usize::from(row % 10 == 0)) % 2];
                let second = Label::ALL[row / 2 % 2];
                (
                    vec![passage(1.0, says(first)), passage(0.5, says(second))],
                    truth,
                )
            })
            .collect();
        let fitted = Pool::fit(&rows).unwrap();
        assert_eq!(fitted.rows, 200);
        assert!(fitted.pool.sharpness >= 4.0, "{fitted:?}");
        assert!(
            fitted.log_loss <= fitted.log_loss_first + 1e-9,
            "{fitted:?}"
        );
        // Two passages of the same worth: both count.
        let equal: Vec<(Vec<PooledPassage>, Label)> = (0..400)
            .map(|row| {
                let truth = Label::ALL[row % 2];
                let reading = |wrong: bool| match (truth, wrong) {
                    (Label::Yes, false) | (Label::No, true) => [0.7, 0.2, 0.1],
                    _ => [0.2, 0.7, 0.1],
                };
                let (a, b) = (row / 2 % 5 == 0, row / 10 % 5 == 0);
                (
                    vec![passage(1.0, reading(a)), passage(0.9, reading(b))],
                    truth,
                )
            })
            .collect();
        let fitted = Pool::fit(&equal).unwrap();
        assert!(
            fitted.pool.sharpness <= 4.0 && fitted.log_loss < fitted.log_loss_first,
            "{fitted:?}"
        );
        assert_eq!(Pool::fit(&[]), None);
        assert_eq!(Pool::fit(&[(Vec::new(), Label::Yes)]), None);
    }
}
