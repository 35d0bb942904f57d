//! The quality of probabilities: log loss, Brier score, calibration.

use serde::{Deserialize, Serialize};
use verdict_data::Label;

use super::bootstrap::{Estimate, Groups, Resampling, Statistic, bootstrap, uniform};
use crate::abstention::most_probable;
use crate::metrics::Proportion;

/// The probabilities of the labels for one question.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// The true label.
    pub truth: Label,
    /// The probability of each label, in the order of [`Label::ALL`]; they sum to 1.
    pub probabilities: [f64; 3],
    /// Number of the group: questions of one group are not independent.
    pub group: u32,
}

impl Forecast {
    /// The largest probability.
    pub fn confidence(&self) -> f64 {
        self.probabilities[self.top()]
    }

    /// Whether the most probable label, the earlier in a tie, is the true one.
    pub fn right(&self) -> bool {
        self.top() == self.truth.index()
    }

    fn top(&self) -> usize {
        most_probable(self.probabilities).index()
    }

    /// `−ln p` of the true label, with `p` clipped to ε and 1 − ε, ε = 2⁻⁵², as scikit-learn's `log_loss`.
    fn log_loss(&self) -> f64 {
        let p = self.probabilities[self.truth.index()];
        -p.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
    }

    /// `Σ (p − [label is true])²` over the labels: 0 to 2.
    fn brier(&self) -> f64 {
        let square = |label: Label| {
            let is = f64::from(u8::from(label == self.truth));
            (self.probabilities[label.index()] - is).powi(2)
        };
        Label::ALL.into_iter().map(square).sum()
    }
}

/// A bin of answers by confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Lowest confidence.
    pub low: f64,
    /// Highest confidence.
    pub high: f64,
    /// Mean confidence.
    pub confidence: f64,
    /// Accuracy, with an interval for independent answers.
    pub accuracy: Proportion,
}

/// The quality of a model's probabilities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probabilities {
    /// Number of answers.
    pub n: usize,
    /// Number of groups.
    pub groups: usize,
    /// Mean of `−ln p` of the true label, in nats. For uniform probabilities it is ln 3 = 1.0986.
    pub log_loss: Estimate,
    /// Brier score (Brier 1950): mean of `Σ (p − [label is true])²`, 0 to 2. For uniform probabilities it is 2/3.
    pub brier: Estimate,
    /// Expected calibration error: mean over answers of `|accuracy − mean confidence|` of the answer's bin.
    pub ece: Estimate,
    /// The calibration error expected of perfectly calibrated probabilities on a sample of this size: the mean over 1,000
    /// simulations in which each answer is right with the probability of its confidence. An observed error of about this
    /// size is no sign of miscalibration.
    pub ece_of_chance: f64,
    /// The bins, from low confidence to high.
    pub bins: Vec<Bin>,
}

/// Number of bins for `n` answers: the cube root of n, rounded, at least 1 (3 for 33, 5 for 100, 8 for 500). More bins
/// have less bias but more noise; the total error is smallest for a number that grows with the cube root (Futami and
/// Fujisawa 2024).
pub fn bins(n: usize) -> usize {
    (n as f64).cbrt().round().max(1.0) as usize
}

/// The bin of each confidence. Edges are the quantiles for [`bins`] equal parts, and a confidence on an edge belongs to the
/// lower bin, so that equal confidences stay together (scikit-learn's `calibration_curve(strategy="quantile")`). A bin may
/// be empty.
fn binned(confidences: &[f64]) -> Vec<usize> {
    let mut sorted = confidences.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = bins(confidences.len());
    let edges: Vec<f64> = (1..count)
        .map(|edge| crate::metrics::quantile(&sorted, edge as f64 / count as f64))
        .collect();
    let bin = |confidence: &f64| edges.partition_point(|edge| edge < confidence);
    confidences.iter().map(bin).collect()
}

/// The terms of one answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    log_loss: f64,
    brier: f64,
    confidence: f64,
    right: f64,
    bin: usize,
}

pub(super) fn parts(rows: &[Forecast]) -> Vec<Parts> {
    let confidences: Vec<f64> = rows.iter().map(Forecast::confidence).collect();
    let bins = binned(&confidences);
    let all = rows.iter().zip(bins);
    all.map(|(row, bin)| Parts {
        log_loss: row.log_loss(),
        brier: row.brier(),
        confidence: row.confidence(),
        right: f64::from(u8::from(row.right())),
        bin,
    })
    .collect()
}

/// Log loss, Brier score and calibration error of answers that are in the sample `weights` times. The bins are those of
/// the original sample.
pub(super) fn weighted(parts: &[Parts], weights: &[u32]) -> [f64; 3] {
    let mut gaps = vec![0.0; bins(parts.len())];
    let (mut log_loss, mut brier, mut n) = (0.0, 0.0, 0.0);
    for (row, weight) in parts.iter().zip(weights) {
        let weight = f64::from(*weight);
        n += weight;
        log_loss += weight * row.log_loss;
        brier += weight * row.brier;
        gaps[row.bin] += weight * (row.right - row.confidence);
    }
    [log_loss / n, brier / n, error(&gaps) / n]
}

fn error(gaps: &[f64]) -> f64 {
    gaps.iter().map(|gap| gap.abs()).sum()
}

/// The quality of probabilities; none without answers.
///
/// Log loss and Brier score have BCa intervals, the calibration error has a percentile interval; each had a higher
/// coverage than the other kind in simulation. A sample overestimates the calibration error, and bootstrap samples more
/// so: for nearly calibrated probabilities the interval lies above the true error and never contains 0. Compare it with
/// `ece_of_chance`.
///
/// # Panics
/// When a probability is not between 0 and 1.
pub fn probabilities(rows: &[Forecast], resampling: Resampling) -> Option<Probabilities> {
    if rows.is_empty() {
        return None;
    }
    for p in rows.iter().flat_map(|row| row.probabilities) {
        assert!((0.0..=1.0).contains(&p), "{p}: expected a probability");
    }
    let groups = Groups::new(rows.iter().map(|row| row.group));
    let parts = parts(rows);
    let statistics = [
        Statistic::bca(0.0, -f64::EPSILON.ln()),
        Statistic::bca(0.0, 2.0),
        Statistic::percentile(0.0, 1.0),
    ];
    let [log_loss, brier, ece] = bootstrap(&groups, resampling, statistics, |weights| {
        weighted(&parts, weights)
    });
    Some(Probabilities {
        n: rows.len(),
        groups: groups.count(),
        log_loss,
        brier,
        ece,
        ece_of_chance: of_chance(&parts, resampling.seed),
        bins: reliability(&parts),
    })
}

fn of_chance(parts: &[Parts], seed: u64) -> f64 {
    const TIMES: u64 = 1_000;
    let error = |time| {
        let mut gaps = vec![0.0; bins(parts.len())];
        for (draw, row) in parts.iter().enumerate() {
            let right = uniform(seed, time, draw as u64) < row.confidence;
            gaps[row.bin] += f64::from(u8::from(right)) - row.confidence;
        }
        error(&gaps) / parts.len() as f64
    };
    (0..TIMES).map(error).sum::<f64>() / TIMES as f64
}

fn reliability(parts: &[Parts]) -> Vec<Bin> {
    (0..bins(parts.len()))
        .filter_map(|bin| {
            let rows: Vec<&Parts> = parts.iter().filter(|row| row.bin == bin).collect();
            let right = rows.iter().filter(|row| row.right == 1.0).count();
            let confidence = rows.iter().map(|row| row.confidence).sum::<f64>();
            (!rows.is_empty()).then(|| Bin {
                low: rows.iter().map(|row| row.confidence).fold(1.0, f64::min),
                high: rows.iter().map(|row| row.confidence).fold(0.0, f64::max),
                confidence: confidence / rows.len() as f64,
                accuracy: Proportion::new(right, rows.len()),
            })
        })
        .collect()
}
