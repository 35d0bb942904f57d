//! What is gained by answering only where the confidence is high: risk against coverage.

use serde::{Deserialize, Serialize};

use super::resample::{Estimate, Figure, Groups, Resampling, bootstrap};
use crate::metrics::Proportion;

/// One question: how sure the answer was, and whether it was right.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confident {
    /// The larger, the surer; any scale.
    pub confidence: f64,
    /// Whether the answer was right.
    pub right: bool,
    /// Rows of one group are not independent.
    pub group: u32,
}

/// What answering from a confidence on gives.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Answered is what is at least so sure.
    pub threshold: f64,
    /// Rows answered.
    pub answered: usize,
    /// Of them wrong.
    pub wrong: usize,
}

/// Accuracy when a share of the questions is answered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AtCoverage {
    /// Per cent of the questions that are to be answered.
    pub percent: usize,
    /// Answered is what is at least so sure: the highest confidence with which the share is reached.
    pub threshold: f64,
    /// Right among the answered; the interval is for independent rows and takes the threshold as given.
    pub rows: Proportion,
    /// Accuracy among the answered, with a bootstrap interval over groups; each sample has its own threshold.
    pub accuracy: Estimate,
}

/// Risk against coverage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Selective {
    /// Number of rows.
    pub n: usize,
    /// Number of groups.
    pub groups: usize,
    /// One point for each confidence that occurs, from the highest; rows of one confidence enter together.
    pub curve: Vec<Point>,
    /// Area under risk against coverage (Geifman and El-Yaniv 2017): the mean over all rows of the share of wrong
    /// answers among the rows that are at least as sure. Less is better.
    pub area: Estimate,
    /// The area if the confidence said nothing: the share of wrong answers.
    pub area_of_chance: f64,
    /// The least area that so many wrong answers allow: all right ones surer than all wrong ones.
    pub least_area: f64,
    /// Accuracy at [`PERCENTS`] coverage.
    pub at: [AtCoverage; 3],
}

/// Coverages at which the accuracy is told.
pub const PERCENTS: [usize; 3] = [70, 80, 90];

/// Sums of the rows of one confidence.
struct Block {
    confidence: f64,
    answered: usize,
    wrong: usize,
}

/// Tells `seen` every block of equal confidence from the highest on, rows sorted so, each in the sample `weights`
/// times, with all rows so far.
fn blocks(rows: &[Confident], weights: &[u32], mut seen: impl FnMut(&Block, usize)) {
    let mut so_far = Block {
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

/// Figures of [`weighted`].
pub(super) const FIGURES: usize = 4;

/// Area, then accuracy at each of [`PERCENTS`], of sorted rows that are in the sample `weights` times.
pub(super) fn weighted(rows: &[Confident], weights: &[u32]) -> [f64; FIGURES] {
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

/// The rows from the surest on.
///
/// # Panics
/// When a confidence is not a number.
pub(super) fn sorted(rows: &[Confident]) -> Vec<Confident> {
    assert!(
        rows.iter().all(|row| !row.confidence.is_nan()),
        "a confidence is not a number"
    );
    let mut sorted = rows.to_vec();
    sorted.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    sorted
}

/// Risk against coverage; none without rows.
///
/// The interval of the area is BCa, those of the accuracies are percentile intervals (Wilson's where all answered
/// rows of every sample are right); each held the truth more often than the other kind in simulation.
///
/// # Panics
/// When a confidence is not a number.
pub fn selective(rows: &[Confident], resampling: Resampling) -> Option<Selective> {
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
    let accuracy = Figure::percentile(0.0, 1.0);
    let found = bootstrap(
        &groups,
        resampling,
        [Figure::bca(0.0, 1.0), accuracy, accuracy, accuracy],
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
