//! Selective prediction: the error rate when only the most confident answers are given.

use serde::{Deserialize, Serialize};

use super::bootstrap::{Estimate, Groups, Resampling, Statistic, bootstrap};
use crate::metrics::Proportion;

/// The answer to one question, with its confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfidentAnswer {
    /// Confidence, on any scale.
    pub confidence: f64,
    /// Whether it is right.
    pub right: bool,
    /// Number of the group: answers of one group are not independent.
    pub group: u32,
}

/// A point of the risk-coverage curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The lowest confidence that is answered.
    pub threshold: f64,
    /// Number of questions answered.
    pub answered: usize,
    /// Number of wrong answers among them.
    pub wrong: usize,
}

/// Accuracy at a coverage.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AtCoverage {
    /// Coverage in per cent.
    pub percent: usize,
    /// The lowest confidence that is answered: the highest one with which the coverage is reached.
    pub threshold: f64,
    /// Right among answered questions, with an interval for independent questions and a fixed threshold.
    pub rows: Proportion,
    /// Accuracy among answered questions, with a bootstrap interval over groups; each sample has its own threshold.
    pub accuracy: Estimate,
}

/// The risk-coverage curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Selective {
    /// Number of answers.
    pub n: usize,
    /// Number of groups.
    pub groups: usize,
    /// One point for each distinct confidence, from the highest; answers of equal confidence enter together.
    pub curve: Vec<Point>,
    /// Area under the risk-coverage curve (Geifman and El-Yaniv 2017): the mean, over all answers, of the error rate among
    /// the answers that are at least as confident. Lower is better.
    pub area: Estimate,
    /// The area if confidence were unrelated to accuracy: the error rate.
    pub area_of_chance: f64,
    /// The smallest area possible with this many wrong answers: all right answers more confident than all wrong ones.
    pub least_area: f64,
    /// Accuracy at [`PERCENTS`] coverage.
    pub at: [AtCoverage; 3],
}

/// Coverages at which the accuracy is reported.
pub const PERCENTS: [usize; 3] = [70, 80, 90];

/// Cumulative counts at one confidence.
struct ConfidenceBlock {
    confidence: f64,
    answered: usize,
    wrong: usize,
}

/// Calls `seen` for each distinct confidence, from the highest on, with the cumulative counts and the number of new
/// answers. `rows` are sorted by confidence; each is in the sample `weights` times.
fn blocks(
    rows: &[ConfidentAnswer],
    weights: &[u32],
    mut seen: impl FnMut(&ConfidenceBlock, usize),
) {
    let mut so_far = ConfidenceBlock {
        confidence: f64::NAN,
        answered: 0,
        wrong: 0,
    };
    let mut place = 0;
    while let Some(first) = rows.get(place) {
        let before = so_far.answered;
        so_far.confidence = first.confidence;
        while let Some(row) = rows
            .get(place)
            .filter(|row| row.confidence == first.confidence)
        {
            let weight = weights[place] as usize;
            so_far.answered += weight;
            so_far.wrong += if row.right { 0 } else { weight };
            place += 1;
        }
        if so_far.answered > before {
            seen(&so_far, so_far.answered - before);
        }
    }
}

/// Number of statistics of [`weighted`].
pub(super) const STATISTICS: usize = 4;

/// The area, then the accuracy at each of [`PERCENTS`], of sorted answers that are in the sample `weights` times.
pub(super) fn weighted(rows: &[ConfidentAnswer], weights: &[u32]) -> [f64; STATISTICS] {
    let n: usize = weights.iter().map(|weight| *weight as usize).sum();
    let mut found = [0.0, f64::NAN, f64::NAN, f64::NAN];
    blocks(rows, weights, |so_far, entered| {
        let risk = so_far.wrong as f64 / so_far.answered as f64;
        found[0] += risk * entered as f64 / n as f64;
        for (accuracy, percent) in found[1..].iter_mut().zip(PERCENTS) {
            if accuracy.is_nan() && so_far.answered * 100 >= percent * n {
                *accuracy = 1.0 - risk;
            }
        }
    });
    found
}

/// The answers by descending confidence.
///
/// # Panics
/// When a confidence is not a number.
pub(super) fn sorted(rows: &[ConfidentAnswer]) -> Vec<ConfidentAnswer> {
    assert!(
        rows.iter().all(|row| !row.confidence.is_nan()),
        "a confidence is not a number"
    );
    let mut sorted = rows.to_vec();
    sorted.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    sorted
}

/// The risk-coverage curve; none without answers.
///
/// The area has a BCa interval, the accuracies have percentile intervals (Wilson's where all answers in every sample are
/// right); each had a higher coverage than the other kind in simulation.
///
/// # Panics
/// When a confidence is not a number.
pub fn selective(rows: &[ConfidentAnswer], resampling: Resampling) -> Option<Selective> {
    if rows.is_empty() {
        return None;
    }
    let rows = sorted(rows);
    let groups = Groups::new(rows.iter().map(|row| row.group));
    let mut curve = Vec::new();
    blocks(&rows, &vec![1; rows.len()], |so_far, _| {
        curve.push(Point {
            threshold: so_far.confidence,
            answered: so_far.answered,
            wrong: so_far.wrong,
        });
    });
    let accuracy = Statistic::percentile(0.0, 1.0);
    let found = bootstrap(
        &groups,
        resampling,
        [Statistic::bca(0.0, 1.0), accuracy, accuracy, accuracy],
        |weights| weighted(&rows, weights),
    );
    let at = |place: usize| {
        let percent = PERCENTS[place];
        let reached = |point: &&Point| point.answered * 100 >= percent * rows.len();
        let point = curve.iter().find(reached).or(curve.last());
        let (threshold, answered, wrong) = point.map_or((0.0, 0, 0), |point| {
            (point.threshold, point.answered, point.wrong)
        });
        let taken = rows.iter().take(answered).map(|row| row.group);
        AtCoverage {
            percent,
            threshold,
            rows: Proportion::new(answered - wrong, answered),
            accuracy: found[1 + place].or_wilson(Groups::new(taken).count()),
        }
    };
    let right = rows.iter().filter(|row| row.right).count();
    let late = (right + 1..=rows.len()).map(|place| (place - right) as f64 / place as f64);
    Some(Selective {
        n: rows.len(),
        groups: groups.count(),
        area: found[0],
        area_of_chance: (rows.len() - right) as f64 / rows.len() as f64,
        least_area: late.sum::<f64>() / rows.len() as f64,
        at: [at(0), at(1), at(2)],
        curve,
    })
}
