//! `validation.jsonl` and `folds.jsonl`: the labels' logits for every row that an adapter did not
//! learn from, one JSON object a line.

use serde::{Deserialize, Serialize};
use verdict_data::Label;

use crate::cross_validation::CrossValidation;
use crate::plan::Subset;
use crate::training_set::TokenizedExample;
use crate::validation::ValidationResult;

/// A line of `validation.jsonl`: an adapter on a row of the validation split; in a run with folds, on
/// a row of the pool by the adapter that did not see the row's fold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The member's name; none for the bare base model.
    pub adapter: Option<String>,
    /// Which drawing of folds, from 0; none without folds and for the base model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<usize>,
    /// The item's id.
    pub id: String,
    /// The item's group: rows of one group are not independent. None in files of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The true label.
    pub truth: Label,
    /// Logits of the labels' first tokens, in the order of `Label::ALL`.
    pub logits: [f32; 3],
}

/// Whether a prediction judges a member or serves the choice among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FoldKind {
    /// By an adapter that did not see one fold, on that fold.
    Outer,
    /// By an adapter that did not see two folds, on one of them, for the choice made where the other
    /// is the outer fold.
    Inner,
}

/// A line of `folds.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoldPrediction {
    /// The adapter's name.
    #[serde(rename = "member")]
    pub adapter: String,
    /// Which drawing of folds, from 0.
    pub repeat: usize,
    /// What the prediction is for.
    pub kind: FoldKind,
    /// The row's fold, from 0.
    pub fold: usize,
    /// The folds that the adapter did not see.
    pub without: Vec<usize>,
    /// The item's id.
    pub id: String,
    /// The true label.
    pub truth: Label,
    /// Logits of the labels' first tokens, in the order of `Label::ALL`.
    pub logits: [f32; 3],
}

impl Prediction {
    pub(crate) fn new(
        adapter: Option<&str>,
        row: &TokenizedExample,
        found: &ValidationResult,
    ) -> Self {
        Self {
            adapter: adapter.map(str::to_owned),
            repeat: None,
            id: row.id.clone(),
            group: Some(row.group.clone()),
            truth: Label::ALL[row.label],
            logits: found.logits,
        }
    }
}

impl CrossValidation<'_> {
    /// Every line of `folds.jsonl`, adapter by adapter in the order of the plan.
    pub(crate) fn lines(&self) -> impl Iterator<Item = FoldPrediction> {
        let fits = self.plan.fits.iter().zip(&self.found);
        let folded = fits.filter_map(|(fit, found)| Some((fit, (*found)?)));
        folded.flat_map(move |(fit, found)| {
            let subset = &self.plan.subsets[fit.subset];
            let rows = subset.held_out.iter().zip(found);
            rows.filter_map(move |(row, found)| {
                let Subset::Without { repeat, folds } = &subset.subset else {
                    return None;
                };
                let kind = match folds.len() {
                    1 => FoldKind::Outer,
                    _ => FoldKind::Inner,
                };
                Some(FoldPrediction {
                    adapter: self.plan.adapters[fit.adapter].name.clone(),
                    repeat: *repeat,
                    kind,
                    fold: self.plan.folds[*repeat][*row],
                    without: folds.clone(),
                    id: self.pool[*row].id.clone(),
                    truth: Label::ALL[self.pool[*row].label],
                    logits: found.logits,
                })
            })
        })
    }

    /// The outer predictions as lines of `validation.jsonl`, member by member, repeat by repeat, in
    /// the order of the pool.
    pub(crate) fn outer(&self) -> impl Iterator<Item = Prediction> {
        let adapters = 0..self.plan.adapters.len();
        let repeats =
            move |adapter| (0..self.plan.folds.len()).map(move |repeat| (adapter, repeat));
        adapters.flat_map(repeats).flat_map(|(adapter, repeat)| {
            let of = &self.plan.folds[repeat];
            let mut lines: Vec<(usize, Prediction)> = Vec::new();
            for fold in 0..of.iter().max().map_or(0, |last| last + 1) {
                let name = &self.plan.adapters[adapter].name;
                let found = self.on(adapter, repeat, &[fold], fold);
                for (row, found) in found.unwrap_or_default() {
                    let line = Prediction::new(Some(name), self.pool[row], found);
                    let repeat = Some(repeat);
                    lines.push((row, Prediction { repeat, ..line }));
                }
            }
            lines.sort_by_key(|(row, _)| *row);
            lines.into_iter().map(|(_, line)| line)
        })
    }
}
