//! `validation.jsonl` and `folds.jsonl`: the labels' logits for every example that an adapter was
//! validated on, one JSON object per line.

use serde::{Deserialize, Serialize};
use verdict_data::Label;

use crate::cross_validation::CrossValidation;
use crate::plan::Subset;
use crate::training_set::TokenizedExample;
use crate::validation::ValidationResult;

/// A line of `validation.jsonl`: an adapter's prediction for an example of the validation set; in a run
/// with folds, the prediction for an example of the pool by the fit that left out the example's fold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The adapter's name; `None` for the bare base model.
    pub adapter: Option<String>,
    /// The repeat, from 0; `None` without folds and for the base model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<usize>,
    /// The example's id.
    pub id: String,
    /// The example's group: examples of one group are not independent. `None` in files of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The true label.
    pub truth: Label,
    /// Logits of the labels, in the order of `Label::ALL`.
    pub logits: [f32; 3],
}

/// What a prediction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FoldKind {
    /// Scoring an adapter: by a fit that left out one fold, on that fold.
    Outer,
    /// Choosing an adapter: by a fit that left out two folds, on one of them, for the choice made where
    /// the other is the outer fold.
    Inner,
}

/// A line of `folds.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoldPrediction {
    /// The adapter's name.
    #[serde(rename = "member")]
    pub adapter: String,
    /// The repeat, from 0.
    pub repeat: usize,
    /// What the prediction is for.
    pub kind: FoldKind,
    /// The example's fold, from 0.
    pub fold: usize,
    /// The folds that the fit left out.
    pub without: Vec<usize>,
    /// The example's id.
    pub id: String,
    /// The true label.
    pub truth: Label,
    /// Logits of the labels, in the order of `Label::ALL`.
    pub logits: [f32; 3],
}

impl Prediction {
    pub(crate) fn new(
        adapter: Option<&str>,
        example: &TokenizedExample,
        result: &ValidationResult,
    ) -> Self {
        Self {
            adapter: adapter.map(str::to_owned),
            repeat: None,
            id: example.id.clone(),
            group: Some(example.group.clone()),
            truth: Label::ALL[example.label],
            logits: result.logits,
        }
    }
}

impl CrossValidation<'_> {
    /// Every line of `folds.jsonl`, fit by fit in the order of the plan.
    pub(crate) fn fold_predictions(&self) -> impl Iterator<Item = FoldPrediction> {
        let fits = self.plan.fits.iter().zip(&self.results);
        let validated = fits.filter_map(|(fit, results)| Some((fit, (*results)?)));
        validated.flat_map(move |(fit, results)| {
            let subset = &self.plan.subsets[fit.subset];
            let examples = subset.held_out.iter().zip(results);
            examples.filter_map(move |(example, result)| {
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
                    fold: self.plan.folds[*repeat][*example],
                    without: folds.clone(),
                    id: self.pool[*example].id.clone(),
                    truth: Label::ALL[self.pool[*example].label],
                    logits: result.logits,
                })
            })
        })
    }

    /// The outer predictions as lines of `validation.jsonl`: adapter by adapter, repeat by repeat, in
    /// the order of the pool.
    pub(crate) fn outer_predictions(&self) -> impl Iterator<Item = Prediction> {
        let adapters = 0..self.plan.adapters.len();
        let repeats =
            move |adapter| (0..self.plan.folds.len()).map(move |repeat| (adapter, repeat));
        adapters.flat_map(repeats).flat_map(|(adapter, repeat)| {
            let mut predictions: Vec<(usize, Prediction)> = Vec::new();
            for fold in 0..self.folds() {
                let name = &self.plan.adapters[adapter].name;
                let results = self.results_on(adapter, repeat, &[fold], fold);
                for (example, result) in results.unwrap_or_default() {
                    let prediction = Prediction {
                        repeat: Some(repeat),
                        ..Prediction::new(Some(name), self.pool[example], result)
                    };
                    predictions.push((example, prediction));
                }
            }
            predictions.sort_by_key(|(example, _)| *example);
            predictions.into_iter().map(|(_, prediction)| prediction)
        })
    }
}
