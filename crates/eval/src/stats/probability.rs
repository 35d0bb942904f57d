//! How good the probabilities of the labels are: log loss, Brier score, calibration.

use serde::{Deserialize, Serialize};
use verdict_data::Label;

use super::resample::{Estimate, Figure, Groups, Resampling, bootstrap, uniform};
use crate::metrics::Proportion;

/// One question and the probabilities that its labels were given.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// The right label.
    pub truth: Label,
    /// The probability of each label, in the order of [`Label::ALL`]; they sum to 1.
    pub probabilities: [f64; 3],
    /// Rows of one group are not independent.
    pub group: u32,
}

impl Forecast {
    /// The largest probability.
    pub fn confidence(&self) -> f64 {
        self.probabilities[self.top()]
    }

    /// Whether the label of the largest probability, the first of equals, is the truth.
    pub fn right(&self) -> bool {
        self.top() == self.truth.index()
    }

    fn top(&self) -> usize {
        let p = &self.probabilities;
        (1..3).fold(0, |top, label| if p[label] > p[top] { label } else { top })
    }

    /// `−ln p` of the truth, `p` kept within ε and 1 − ε, ε = 2⁻⁵², as scikit-learn's `log_loss`.
    fn log_loss(&self) -> f64 {
        let p = self.probabilities[self.truth.index()];
        -p.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
    }

    /// `Σ (p − [label is the truth])²` over the labels: 0 to 2.
    fn brier(&self) -> f64 {
        let square = |label: Label| {
            let is = f64::from(u8::from(label == self.truth));
            (self.probabilities[label.index()] - is).powi(2)
        };
        Label::ALL.into_iter().map(square).sum()
    }
}

/// The rows whose confidence falls between two edges.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// The least confidence of its rows.
    pub low: f64,
    /// The greatest.
    pub high: f64,
    /// Mean confidence.
    pub confidence: f64,
    /// How many of its rows are right; the interval is for independent rows.
    pub accuracy: Proportion,
}

/// What the probabilities are worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probabilities {
    /// Number of rows.
    pub n: usize,
    /// Number of groups.
    pub groups: usize,
    /// Mean of `−ln p` of the truth, in nats. Of even guesses it is ln 3 = 1.0986.
    pub log_loss: Estimate,
    /// Brier score (Brier 1950): mean of `Σ (p − [label is the truth])²`, 0 to 2. Of even guesses it is 2/3.
    pub brier: Estimate,
    /// Expected calibration error: mean over rows of `|accuracy − mean confidence|` of the row's bin.
    pub ece: Estimate,
    /// The error that would be expected here if every confidence were right: rows of these confidences made right
    /// with just these chances, 1,000 times. A few rows in a bin are never right in exactly the share expected, so
    /// an error of about this size is no sign of wrong confidences.
    pub ece_of_chance: f64,
    /// The bins, from low confidence to high.
    pub bins: Vec<Bin>,
}

/// Bins for `n` rows: the cube root of n, rounded, at least 1 (3 for 33, 5 for 100, 8 for 500). More bins follow
/// the curve closer but have fewer rows each, and their noise adds up; the sum of both errors is least at a number
/// that grows as the cube root (Futami and Fujisawa 2024).
pub fn bins(n: usize) -> usize {
    (n as f64).cbrt().round().max(1.0) as usize
}

/// The bin of each confidence. Edges are the quantiles that cut the rows into [`bins`] equal parts, and a
/// confidence on an edge belongs below it, so rows of one confidence stay together (scikit-learn's
/// `calibration_curve(strategy="quantile")`). A bin may be empty.
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

/// What a row adds to the sums.
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

/// Log loss, Brier score and calibration error of rows that are in the sample `weights` times. The bins stay those
/// of the rows as they are.
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

/// Judges probabilities; none without rows.
///
/// Intervals of log loss and Brier score are BCa, that of the calibration error is a percentile interval; each held
/// the truth more often than the other kind in simulation. The calibration error of a sample is too large on average,
/// and more so in a drawn sample: where confidences are nearly right its interval lies above the truth (it never
/// holds an error of 0). Read it beside `ece_of_chance`.
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
    let figures = [
        Figure::bca(0.0, -f64::EPSILON.ln()),
        Figure::bca(0.0, 2.0),
        Figure::percentile(0.0, 1.0),
    ];
    let [log_loss, brier, ece] = bootstrap(&groups, resampling, figures, |weights| {
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
