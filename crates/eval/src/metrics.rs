//! Basic metrics: shares with intervals, confusion matrices, baselines and lengths.
//!
//! Checked against scipy, statsmodels, scikit-learn and numpy by `tests/goldens/metrics.json`, which
//! `dev/reference/eval_goldens.py` writes.

use serde::{Deserialize, Serialize};
pub use verdict_data::CONFIDENCE;
use verdict_data::{Label, wilson};

/// A count out of a total, with [Wilson's interval](wilson).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proportion {
    /// The count.
    pub count: usize,
    /// The total.
    pub total: usize,
    /// The share, 0 to 1; 0 for a total of 0.
    pub value: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
}

impl Proportion {
    /// `count` out of `total`. For a total of 0, the interval is from 0 to 1.
    ///
    /// # Panics
    /// When `count` is larger than `total`.
    pub fn new(count: usize, total: usize) -> Proportion {
        let (low, high) = wilson(count, total);
        Proportion {
            count,
            total,
            value: count as f64 / total.max(1) as f64,
            low,
            high,
        }
    }
}

/// How often each true label (row) was given each answer (column); the last column counts answers without a label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Confusion(pub [[usize; 4]; 3]);

impl Confusion {
    /// Counts pairs of true label and answer.
    pub fn of(pairs: impl IntoIterator<Item = (Label, Option<Label>)>) -> Confusion {
        let mut counts = Confusion::default();
        for (truth, answer) in pairs {
            counts.0[truth.index()][answer.map_or(3, Label::index)] += 1;
        }
        counts
    }

    /// Number of answers.
    pub fn total(&self) -> usize {
        self.0.iter().flatten().sum()
    }

    /// Accuracy. An answer without a label is wrong.
    pub fn accuracy(&self) -> Proportion {
        Proportion::new(self.right(), self.total())
    }

    /// Number of right answers.
    pub fn right(&self) -> usize {
        (0..3).map(|label| self.0[label][label]).sum()
    }

    /// How many answers with `label` are right, and how many there are.
    pub fn precision(&self, label: Label) -> (usize, usize) {
        let label = label.index();
        (
            self.0[label][label],
            self.0.iter().map(|row| row[label]).sum(),
        )
    }

    /// How many questions with the true label `label` are answered right, and how many there are.
    pub fn recall(&self, label: Label) -> (usize, usize) {
        (
            self.0[label.index()][label.index()],
            self.row(label.index()),
        )
    }

    /// `2 right / (answers with the label + true labels)`; 0 for a label that occurs in neither, as scikit-learn's
    /// `f1_score(zero_division=0)`.
    pub fn f1(&self, label: Label) -> f64 {
        let ((right, answered), (_, truly)) = (self.precision(label), self.recall(label));
        match answered + truly {
            0 => 0.0,
            both => 2.0 * right as f64 / both as f64,
        }
    }

    /// Mean recall of the labels that occur as true labels; 0 where there are none.
    pub fn balanced_accuracy(&self) -> f64 {
        let recalls: Vec<f64> = (0..3)
            .filter(|label| self.row(*label) > 0)
            .map(|label| self.0[label][label] as f64 / self.row(label) as f64)
            .collect();
        mean(&recalls)
    }

    /// Mean [`f1`](Confusion::f1) of the labels that occur as true labels, as scikit-learn's
    /// `f1_score(labels=sorted(set(truth)), average="macro", zero_division=0)`; 0 where there are none. Answers with
    /// another label lower the recall of those that occur.
    pub fn macro_f1(&self) -> f64 {
        let occurring = Label::ALL
            .into_iter()
            .filter(|label| self.recall(*label).1 > 0);
        mean(&occurring.map(|label| self.f1(label)).collect::<Vec<_>>())
    }

    /// How often each label is the true one.
    pub fn truths(&self) -> [usize; 3] {
        [0, 1, 2].map(|label| self.row(label))
    }

    fn row(&self, label: usize) -> usize {
        self.0[label].iter().sum()
    }
}

/// Baselines that do not read the question: chance and the majority label.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Levels {
    /// Expected accuracy of a uniform guess among the three labels.
    pub chance_accuracy: f64,
    /// Expected balanced accuracy of a uniform guess.
    pub chance_balanced_accuracy: f64,
    /// Macro-F1 of a uniform guess in the limit of many questions: the mean of `2 s / (s + 1/3) / 3` over the labels that
    /// occur, with `s` a label's share of the true labels.
    pub chance_macro_f1: f64,
    /// The majority label, the earlier in a tie.
    pub majority_label: Label,
    /// Accuracy of always answering with it.
    pub majority_accuracy: f64,
    /// Balanced accuracy of always answering with it.
    pub majority_balanced_accuracy: f64,
    /// Macro-F1 of always answering with it.
    pub majority_macro_f1: f64,
}

impl Levels {
    /// The baselines for true labels with these counts, in the order of [`Label::ALL`].
    pub fn of(truths: [usize; 3]) -> Levels {
        let mut majority_label = Label::Yes;
        for label in Label::ALL {
            if truths[label.index()] > truths[majority_label.index()] {
                majority_label = label;
            }
        }
        let mut always = Confusion::default();
        for label in Label::ALL {
            always.0[label.index()][majority_label.index()] = truths[label.index()];
        }
        let total = truths.iter().sum::<usize>().max(1) as f64;
        let third = 1.0 / 3.0;
        let occurring = truths.into_iter().filter(|count| *count > 0);
        let guessed: Vec<f64> = occurring
            .map(|count| {
                let share = count as f64 / total;
                2.0 * share * third / (share + third)
            })
            .collect();
        Levels {
            chance_accuracy: third,
            chance_balanced_accuracy: third,
            chance_macro_f1: mean(&guessed),
            majority_label,
            majority_accuracy: always.accuracy().value,
            majority_balanced_accuracy: always.balanced_accuracy(),
            majority_macro_f1: always.macro_f1(),
        }
    }

    /// The baselines by name, each with its accuracy, balanced accuracy and macro-F1.
    pub(crate) fn baselines(&self) -> [(String, [f64; 3]); 2] {
        [
            (
                "chance".into(),
                [
                    self.chance_accuracy,
                    self.chance_balanced_accuracy,
                    self.chance_macro_f1,
                ],
            ),
            (
                format!("always {}", self.majority_label),
                [
                    self.majority_accuracy,
                    self.majority_balanced_accuracy,
                    self.majority_macro_f1,
                ],
            ),
        ]
    }
}

/// Lengths of answers in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lengths {
    /// Arithmetic mean.
    pub mean: f64,
    /// Median; the mean of the two middle ones for an even number.
    pub median: f64,
    /// 95th percentile by linear interpolation, as numpy's default.
    pub p95: f64,
    /// Maximum.
    pub max: usize,
}

impl Lengths {
    /// Summarizes lengths; all zero for none.
    pub fn of(tokens: &[usize]) -> Lengths {
        let mut sorted: Vec<f64> = tokens.iter().map(|tokens| *tokens as f64).collect();
        sorted.sort_by(f64::total_cmp);
        Lengths {
            mean: mean(&sorted),
            median: quantile(&sorted, 0.5),
            p95: quantile(&sorted, 0.95),
            max: tokens.iter().copied().max().unwrap_or(0),
        }
    }
}

/// Quantile of sorted values by linear interpolation; 0 without values.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let place = share * last as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * (place - place.floor())
}

/// Arithmetic mean; 0 without values.
pub(crate) fn mean(values: &[f64]) -> f64 {
    match values.len() {
        0 => 0.0,
        count => values.iter().sum::<f64>() / count as f64,
    }
}
