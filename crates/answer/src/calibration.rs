//! Calibration of probabilities: a temperature, and a bias for each label, fitted on examples that were not trained on.
//!
//! With `z` the logits of the three labels (up to an additive constant):
//!
//! ```text
//! p = softmax(z / T + b)
//! ```
//!
//! [`Fit::Temperature`] has `b = 0` and never changes which label is the most probable (Guo et al. 2017, "On calibration
//! of modern neural networks"). [`Fit::Bias`] may change it: it also corrects a preference for one label (Zhao et al.
//! 2021, "Calibrate before use"). Both are maximum a posteriori estimates under a weak normal prior, without which a few
//! examples that are all answered correctly would give a temperature of 0:
//!
//! ```text
//! minimise  Σ -ln p[truth]  +  (1/T - 1)² / (2 · 3²)  +  Σ_l b[l]² / (2 · 3²)
//! ```
//!
//! This is convex in `1/T` and `b`, so Newton's method finds the only minimum.

use serde::{Deserialize, Serialize};
use verdict_data::Label;

use crate::labels::softmax;

/// Standard deviation of the prior on `1/T - 1` and on each bias.
const PRIOR_DEVIATION: f64 = 3.0;
/// Smallest `1/T`, the limit for a model whose logits carry no information; keeps the temperature positive.
const LEAST_INVERSE: f64 = 0.01;

/// Which parameters are fitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// None: the model's own probabilities.
    None,
    /// A temperature for all labels.
    #[default]
    Temperature,
    /// A temperature, and a bias for each label.
    Bias,
}

impl Fit {
    /// All kinds, in the order of tables.
    pub const ALL: [Fit; 3] = [Fit::None, Fit::Temperature, Fit::Bias];

    /// The name in flags and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Fit::None => "none",
            Fit::Temperature => "temperature",
            Fit::Bias => "bias",
        }
    }
}

/// An example to fit on: the labels' logits in the order of [`Label::ALL`], and the true label.
pub type LabelledLogits = ([f64; 3], Label);

/// Parameters that turn the model's label logits into probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// `T`, above 0.
    pub temperature: f64,
    /// `b`, in the order of [`Label::ALL`]; their sum is 0.
    pub bias: [f64; 3],
}

/// Both fits on the same examples: the content of an adapter's `calibration.json`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibrations {
    /// Number of examples that they were fitted on.
    pub rows: usize,
    /// Mean of `-ln p[truth]` on these examples before calibration, in nats.
    pub log_loss: f64,
    /// Temperature alone.
    pub temperature: Calibration,
    /// Temperature and bias.
    pub bias: Calibration,
}

/// Name of the file beside an adapter's weights.
pub const FILE: &str = "calibration.json";

impl Default for Calibration {
    /// No change of the probabilities.
    fn default() -> Self {
        Calibration {
            temperature: 1.0,
            bias: [0.0; 3],
        }
    }
}

impl Calibration {
    /// Fits the parameters; without examples, probabilities stay unchanged.
    pub fn fit(fit: Fit, rows: &[LabelledLogits]) -> Calibration {
        let free = match fit {
            _ if rows.is_empty() => 0,
            Fit::None => 0,
            Fit::Temperature => 1,
            Fit::Bias => 4,
        };
        let mut at = [1.0, 0.0, 0.0, 0.0];
        let mut best = objective(&at, rows);
        // Newton's method converges quadratically; it never needs a hundred steps.
        for _ in 0..if free == 0 { 0 } else { 100 } {
            let step = newton(&at, rows, free);
            let mut share = 1.0;
            let moved = loop {
                let mut next = at;
                for (value, step) in next.iter_mut().zip(step) {
                    *value -= share * step;
                }
                next[0] = next[0].max(LEAST_INVERSE);
                let value = objective(&next, rows);
                if value < best {
                    (at, best) = (next, value);
                    break true;
                }
                share /= 2.0;
                if share < 1e-12 {
                    break false;
                }
            };
            if !moved {
                break;
            }
        }
        let [inverse, bias @ ..] = at;
        let mean = bias.iter().sum::<f64>() / 3.0;
        Calibration {
            temperature: 1.0 / inverse,
            bias: bias.map(|bias| bias - mean),
        }
    }

    /// Probabilities of the three labels, from their logits.
    pub fn probabilities(&self, logits: [f64; 3]) -> [f64; 3] {
        softmax(std::array::from_fn(|label| {
            logits[label] / self.temperature + self.bias[label]
        }))
    }

    /// Calibrates uncalibrated probabilities.
    pub fn recalibrate(&self, probabilities: [f32; 3]) -> [f64; 3] {
        self.probabilities(logits(probabilities))
    }

    /// Mean of `-ln p[truth]`, in nats; 0 without examples.
    pub fn log_loss(&self, rows: &[LabelledLogits]) -> f64 {
        let losses = rows
            .iter()
            .map(|(logits, truth)| -self.probabilities(*logits)[truth.index()].ln());
        losses.sum::<f64>() / rows.len().max(1) as f64
    }
}

impl Calibrations {
    /// Both fits.
    pub fn fit(rows: &[LabelledLogits]) -> Calibrations {
        Calibrations {
            rows: rows.len(),
            log_loss: Calibration::default().log_loss(rows),
            temperature: Calibration::fit(Fit::Temperature, rows),
            bias: Calibration::fit(Fit::Bias, rows),
        }
    }

    /// One of them.
    pub fn of(&self, fit: Fit) -> Calibration {
        match fit {
            Fit::None => Calibration::default(),
            Fit::Temperature => self.temperature,
            Fit::Bias => self.bias,
        }
    }
}

/// Logits that give these probabilities.
pub fn logits(probabilities: [f32; 3]) -> [f64; 3] {
    // A probability that was rounded to 0 gets a finite logit.
    probabilities.map(|p| f64::from(p.max(f32::MIN_POSITIVE)).ln())
}

/// Probabilities of an example where `at` is `1/T` and the biases.
fn row_probabilities(at: &[f64; 4], logits: &[f64; 3]) -> [f64; 3] {
    softmax(std::array::from_fn(|label| {
        at[0] * logits[label] + at[1 + label]
    }))
}

fn objective(at: &[f64; 4], rows: &[LabelledLogits]) -> f64 {
    let loss: f64 = rows
        .iter()
        .map(|(logits, truth)| -row_probabilities(at, logits)[truth.index()].ln())
        .sum();
    let prior: f64 = at
        .iter()
        .zip([1.0, 0.0, 0.0, 0.0])
        .map(|(value, mean)| (value - mean).powi(2))
        .sum();
    loss + prior / (2.0 * PRIOR_DEVIATION * PRIOR_DEVIATION)
}

/// The inverse Hessian times the gradient, over the first `free` of the four parameters.
fn newton(at: &[f64; 4], rows: &[LabelledLogits], free: usize) -> [f64; 4] {
    let (mut gradient, mut hessian) = ([0.0; 4], [[0.0; 4]; 4]);
    for (logits, truth) in rows {
        let p = row_probabilities(at, logits);
        // The factor of each parameter: the logit for `1/T`, an indicator of the label for each bias.
        let feature = |parameter: usize, label: usize| match parameter {
            0 => logits[label],
            _ => f64::from(u8::from(parameter == label + 1)),
        };
        let mean: [f64; 4] = std::array::from_fn(|parameter| {
            (0..3)
                .map(|label| p[label] * feature(parameter, label))
                .sum()
        });
        for i in 0..free {
            gradient[i] += mean[i] - feature(i, truth.index());
            for j in 0..free {
                let both: f64 = (0..3)
                    .map(|label| p[label] * feature(i, label) * feature(j, label))
                    .sum();
                hessian[i][j] += both - mean[i] * mean[j];
            }
        }
    }
    let precision = 1.0 / (PRIOR_DEVIATION * PRIOR_DEVIATION);
    for i in 0..free {
        gradient[i] += (at[i] - if i == 0 { 1.0 } else { 0.0 }) * precision;
        hessian[i][i] += precision;
    }
    solve(hessian, gradient, free)
}

/// Solves a positive definite system in the first `size` unknowns; the others are 0.
fn solve(mut matrix: [[f64; 4]; 4], mut right: [f64; 4], size: usize) -> [f64; 4] {
    for pivot in 0..size {
        for row in pivot + 1..size {
            let factor = matrix[row][pivot] / matrix[pivot][pivot];
            for column in pivot..size {
                matrix[row][column] -= factor * matrix[pivot][column];
            }
            right[row] -= factor * right[pivot];
        }
    }
    let mut found = [0.0; 4];
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size)
            .map(|column| matrix[row][column] * found[column])
            .sum();
        found[row] = (right[row] - known) / matrix[row][row];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Forty examples of an overconfident model that prefers Yes.
    fn rows() -> Vec<LabelledLogits> {
        (0..40)
            .map(|n| {
                let truth = Label::ALL[n % 3];
                let mut logits = [2.0 + f64::from(n as u32 % 5), 0.5, 0.25 * (n % 7) as f64];
                // Correct in three of four examples.
                if n % 4 != 0 {
                    logits[truth.index()] += 4.0;
                }
                (logits, truth)
            })
            .collect()
    }

    /// Golden values: `scipy.optimize.minimize` of the objective in the head of this file, started from
    /// `1/T = 1, b = 0`, tolerance 1e-14 (`dev/reference/calibration_golden.py`).
    #[test]
    fn the_minimum_is_scipys() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("tests/calibration.json")).unwrap();
        for fit in [Fit::Temperature, Fit::Bias] {
            let found = Calibration::fit(fit, &rows());
            let expected: Calibration =
                serde_json::from_value(golden[fit.as_str()].clone()).unwrap();
            // Near the minimum, an error of ε in the objective is one of √ε in the parameters.
            assert!(
                (found.temperature - expected.temperature).abs() < 1e-6,
                "{found:?} against {expected:?}"
            );
            for (a, b) in found.bias.iter().zip(expected.bias) {
                assert!((a - b).abs() < 1e-6, "{found:?} against {expected:?}");
            }
        }
    }

    #[test]
    fn a_fit_lowers_the_loss_and_the_gradient_is_zero_there() {
        let rows = rows();
        let before = Calibration::default().log_loss(&rows);
        let temperature = Calibration::fit(Fit::Temperature, &rows);
        let bias = Calibration::fit(Fit::Bias, &rows);
        assert!(temperature.log_loss(&rows) < before);
        assert!(bias.log_loss(&rows) < temperature.log_loss(&rows));
        assert_eq!(temperature.bias, [0.0; 3]);
        assert!(bias.bias.iter().sum::<f64>().abs() < 1e-12);
        let at = |c: &Calibration| [1.0 / c.temperature, c.bias[0], c.bias[1], c.bias[2]];
        let centre = at(&bias);
        let step = 1e-5;
        for parameter in 0..4 {
            let moved = |by: f64| {
                let mut at = centre;
                at[parameter] += by;
                objective(&at, &rows)
            };
            let slope = (moved(step) - moved(-step)) / (2.0 * step);
            assert!(slope.abs() < 1e-5, "parameter {parameter}: {slope}");
        }
    }

    #[test]
    fn a_temperature_never_changes_the_label() {
        let fitted = Calibration::fit(Fit::Temperature, &rows());
        for (logits, _) in rows() {
            let before = Calibration::default().probabilities(logits);
            let after = fitted.probabilities(logits);
            let best = |p: [f64; 3]| crate::labels::best(p.map(|p| p as f32));
            assert_eq!(best(before), best(after));
        }
    }

    #[test]
    fn a_few_correct_examples_do_not_give_certainty() {
        let rows: Vec<LabelledLogits> = (0..5).map(|_| ([1.0, 0.0, 0.0], Label::Yes)).collect();
        for fit in [Fit::Temperature, Fit::Bias] {
            let found = Calibration::fit(fit, &rows);
            assert!(found.temperature > 0.05, "{found:?}");
            let p = found.probabilities([1.0, 0.0, 0.0]);
            assert!(p[0] < 0.9999, "{p:?}");
        }
        assert_eq!(Calibration::fit(Fit::Bias, &[]), Calibration::default());
    }

    #[test]
    fn misleading_logits_are_flattened_not_inverted() {
        let rows: Vec<LabelledLogits> = (0..50).map(|_| ([9.0, 0.0, 0.0], Label::No)).collect();
        let found = Calibration::fit(Fit::Temperature, &rows);
        let p = found.probabilities([9.0, 0.0, 0.0]);
        assert!(p[0] >= p[1] && p[0] < 0.4, "{p:?}");
    }

    #[test]
    fn logits_and_probabilities_are_inverse() {
        let p = [0.7_f32, 0.2, 0.1];
        let again = Calibration::default().recalibrate(p);
        for (a, b) in again.iter().zip(p) {
            assert!((a - f64::from(b)).abs() < 1e-7, "{again:?}");
        }
        assert!(logits([1.0, 0.0, 0.0]).iter().all(|z| z.is_finite()));
    }
}
