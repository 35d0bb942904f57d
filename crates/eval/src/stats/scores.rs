//! How good answers are: accuracy, balanced accuracy, macro-F1, and each label's precision, recall and F1.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use verdict_data::Label;

use super::resample::{Estimate, Figure, Groups, Resampling, bootstrap};
use super::score::mean_of;
use crate::metrics::{Confusion, Proportion, mean};

/// One question and what was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The right label.
    pub truth: Label,
    /// The label given; none where the answer is not in the form, which is wrong.
    pub answer: Option<Label>,
    /// Rows of one group are not independent.
    pub group: u32,
}

/// A share of a count, with an interval for independent rows and, where groups have several rows, one for groups.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// The count, with Wilson's interval: for independent rows.
    pub rows: Proportion,
    /// The share with a bootstrap interval over groups; none where every group has one row.
    pub groups: Option<Estimate>,
}

impl Share {
    /// The share of rows that have a property, each with its group: Wilson's interval, and where groups have several
    /// rows a bootstrap interval over groups.
    pub fn of(rows: &[(bool, u32)], resampling: Resampling) -> Share {
        let groups = Groups::new(rows.iter().map(|row| row.1));
        let counted = rows.iter().filter(|row| row.0).count();
        let share = |weights: &[u32]| {
            let weigh = |test: fn(&(bool, u32)) -> bool| -> u32 {
                let rows = rows.iter().zip(weights).filter(|(row, _)| test(row));
                rows.map(|(_, weight)| weight).sum()
            };
            [f64::from(weigh(|row| row.0)) / f64::from(weigh(|_| true))]
        };
        Share {
            rows: Proportion::new(counted, rows.len()),
            groups: (!groups.are_rows()).then(|| {
                let [found] = bootstrap(&groups, resampling, [Figure::bca(0.0, 1.0)], share);
                found.or_wilson(groups.count())
            }),
        }
    }

    /// The share with the interval that holds: the one for groups where groups have several rows, else Wilson's.
    pub fn estimate(&self) -> Estimate {
        self.groups.unwrap_or(self.rows.into())
    }
}

/// The scores of one label.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelScores {
    /// The label.
    pub label: Label,
    /// Of the rows answered so, the share that is so.
    pub precision: Share,
    /// Of the rows that are so, the share answered so.
    pub recall: Share,
    /// `F1 = 2 right / (answered so + truly so)`; 0 where the label neither occurs nor is answered, between 0 and 1
    /// then. With J the share of right rows among those that are so or are answered so, `F1 = 2 J / (1 + J)`: for
    /// independent rows its interval is Wilson's of J, carried over; else it is a bootstrap interval over groups.
    pub f1: Estimate,
}

/// The scores of one system on one set of rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Number of rows.
    pub n: usize,
    /// Number of groups.
    pub groups: usize,
    /// Truth against answer.
    pub confusion: Confusion,
    /// Share of right answers.
    pub accuracy: Share,
    /// Mean of the recalls of the labels that occur in the truth (in each drawn sample: in its truth). Where a recall
    /// is 0 or 1 its interval also holds the one put together from the recalls' own ([`score`](super::score)).
    pub balanced_accuracy: Estimate,
    /// Mean of the F1 of the labels that occur in the truth.
    pub macro_f1: Estimate,
    /// Each label's scores, in the order of [`Label::ALL`].
    pub labels: [LabelScores; 3],
}

/// Figures of [`weighted`].
pub(super) const FIGURES: usize = 12;

/// Accuracy, balanced accuracy, macro-F1, then each label's F1, precision, recall, of rows that are in the sample
/// `weights` times.
pub(super) fn weighted(rows: &[Row], weights: &[u32]) -> [f64; FIGURES] {
    let mut counts = Confusion::default();
    for (row, weight) in rows.iter().zip(weights) {
        let answer = row.answer.map_or(3, Label::index);
        counts.0[row.truth.index()][answer] += *weight as usize;
    }
    let share = |(count, total): (usize, usize)| count as f64 / total as f64;
    let [a, b, c] = Label::ALL;
    [
        share((counts.right(), counts.total())),
        counts.balanced_accuracy(),
        counts.macro_f1(),
        counts.f1(a),
        counts.f1(b),
        counts.f1(c),
        share(counts.precision(a)),
        share(counts.precision(b)),
        share(counts.precision(c)),
        share(counts.recall(a)),
        share(counts.recall(b)),
        share(counts.recall(c)),
    ]
}

/// Scores of a system; none without rows.
///
/// Intervals are Wilson's where a figure is a share of independent rows, else BCa, which held the truth more often
/// than percentile intervals in simulation: at 33 rows with 90 % right 96 % against 89 % (accuracy).
pub fn scores(rows: &[Row], resampling: Resampling) -> Option<Scores> {
    if rows.is_empty() {
        return None;
    }
    let confusion = Confusion::of(rows.iter().map(|row| (row.truth, row.answer)));
    let groups = Groups::new(rows.iter().map(|row| row.group));
    let found = bootstrap(
        &groups,
        resampling,
        [Figure::bca(0.0, 1.0); FIGURES],
        |weights| weighted(rows, weights),
    );
    let share = |(count, total), figure: usize, counted: &dyn Fn(&Row) -> bool| Share {
        rows: Proportion::new(count, total),
        groups: (!groups.are_rows()).then(|| found[figure].or_wilson(groups_of(rows, counted))),
    };
    let labels = Label::ALL.map(|label| {
        let (answered, truly) = (confusion.precision(label), confusion.recall(label));
        let is = move |row: &Row| row.truth == label;
        let said = move |row: &Row| row.answer == Some(label);
        let either = (answered.0, answered.1 + truly.1 - answered.0);
        LabelScores {
            label,
            precision: share(answered, 6 + label.index(), &said),
            recall: share(truly, 9 + label.index(), &is),
            f1: match groups.are_rows() {
                true => doubled(Proportion::new(either.0, either.1).into()),
                false => f1_or_wilson(
                    found[3 + label.index()],
                    groups_of(rows, |row| is(row) || said(row)),
                ),
            },
        }
    });
    let occurring = || labels.iter().filter(|scores| scores.recall.rows.total > 0);
    let recalls: Vec<Estimate> = occurring().map(|scores| scores.recall.estimate()).collect();
    let f1s: Vec<Estimate> = occurring().map(|scores| scores.f1).collect();
    Some(Scores {
        n: rows.len(),
        groups: groups.count(),
        confusion,
        accuracy: share((confusion.right(), confusion.total()), 0, &|_| true),
        balanced_accuracy: balanced(found[1], groups.are_rows(), &recalls),
        macro_f1: mean_or_ends(found[2], &f1s),
        labels,
    })
}

/// Number of groups with a row that is counted.
fn groups_of(rows: &[Row], counted: impl Fn(&Row) -> bool) -> usize {
    let counted = rows.iter().filter(|row| counted(row));
    counted.map(|row| row.group).collect::<HashSet<_>>().len()
}

/// From J to F1.
fn doubled(share: Estimate) -> Estimate {
    let f1 = |share: f64| 2.0 * share / (1.0 + share);
    Estimate {
        value: f1(share.value),
        low: f1(share.low),
        high: f1(share.high),
    }
}

/// A stuck F1 gets the interval of a J that is so in all of `groups`.
fn f1_or_wilson(f1: Estimate, groups: usize) -> Estimate {
    match f1.is_stuck() {
        true => doubled(f1.or_wilson(groups)),
        false => f1,
    }
}

/// A stuck mean gets the mean of its parts' ends.
fn mean_or_ends(figure: Estimate, parts: &[Estimate]) -> Estimate {
    match figure.is_stuck() {
        true => ends(figure.value, parts),
        false => figure,
    }
}

/// Balanced accuracy from its bootstrap and from the recalls. A bootstrap has no width where every recall is 0 or 1
/// (always the same label), and too little where one of few rows is: the interval then also covers that of the mean of
/// the recalls.
fn balanced(drawn: Estimate, independent: bool, recalls: &[Estimate]) -> Estimate {
    let at_an_end = |of: &Estimate| of.value == 0.0 || of.value == 1.0;
    if drawn.is_stuck() || !recalls.iter().any(at_an_end) {
        return mean_or_ends(drawn, recalls);
    }
    // Recalls of rows in groups may go up and down together: the mean of their ends, as for figures that are stuck.
    let mean = match independent {
        true => mean_of(recalls),
        false => Some(ends(drawn.value, recalls)),
    };
    mean.map_or(drawn, |mean| Estimate {
        value: drawn.value,
        low: drawn.low.min(mean.low),
        high: drawn.high.max(mean.high),
    })
}

/// The mean of the parts' ends around a value.
fn ends(value: f64, parts: &[Estimate]) -> Estimate {
    let (lows, highs): (Vec<f64>, Vec<f64>) = parts.iter().map(|of| (of.low, of.high)).unzip();
    Estimate {
        value,
        low: mean(&lows),
        high: mean(&highs),
    }
}
