//! Cross-validation's figures: how each member does on rows that it did not see, and how the whole
//! procedure does, the choice among members included.
//!
//! A member chosen for its out-of-fold accuracy is judged too kindly by that accuracy: of many, the
//! luckiest wins (Cawley and Talbot, "On over-fitting in model selection", JMLR 2010). So for each
//! outer fold the choice is made anew, on predictions for the other folds by adapters that saw neither
//! those rows nor the outer fold's; the chosen member's outer adapter is then judged on the outer fold
//! (Varma and Simon, "Bias in error estimation when using cross-validation for model selection", 2006).

use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use crate::select;
use crate::training_set::TokenizedExample;
use crate::validation::{Score, ValidationResult};

/// A member on one fold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoldScore {
    /// Which drawing of folds, from 0.
    pub repeat: usize,
    /// The fold, from 0.
    pub fold: usize,
    /// The adapter that did not see the fold, on the fold.
    #[serde(flatten)]
    pub score: Score,
}

/// How the procedure "choose a member, then train it" does on rows that neither saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NestedValidation {
    /// Share of rows whose true label had the highest logit of the three, in the mean over repeats. A
    /// row for which no adapter was left counts as wrong.
    pub accuracy: f64,
    /// Rows of the pool, each judged once a repeat.
    pub n: usize,
    /// Each repeat.
    pub repeats: Vec<NestedRepeat>,
}

/// One drawing of folds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NestedRepeat {
    /// As [`NestedValidation::accuracy`], of this repeat alone.
    pub accuracy: f64,
    /// Name of the member chosen for each fold; none where every member had diverged.
    pub chosen: Vec<Option<String>>,
}

/// What the adapters of a plan with folds found: for each job, its held rows in their order; none for
/// one that was taken out.
pub(crate) struct CrossValidation<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) pool: &'a [&'a TokenizedExample],
    pub(crate) found: Vec<Option<&'a [ValidationResult]>>,
}

impl<'a> CrossValidation<'a> {
    fn count(&self) -> usize {
        let folds = self.plan.folds.first();
        folds
            .and_then(|of| of.iter().max())
            .map_or(0, |last| last + 1)
    }

    /// What a member's adapter without `folds` found of the rows of `fold`, with each row's place.
    pub(crate) fn on(
        &self,
        adapter: usize,
        repeat: usize,
        folds: &[usize],
        fold: usize,
    ) -> Option<Vec<(usize, &'a ValidationResult)>> {
        let fit = self.plan.fit_without(adapter, repeat, folds);
        let held = &self.plan.subset_of(fit).held_out;
        let of = &self.plan.folds[repeat];
        let rows = held.iter().copied().zip(self.found[fit]?);
        Some(rows.filter(|(row, _)| of[*row] == fold).collect())
    }

    fn score(&self, found: &[(usize, &ValidationResult)]) -> Score {
        Score::of(found.iter().map(|(row, found)| (*found, self.pool[*row])))
    }

    /// A member's score on each fold of each repeat, as far as its adapters were left.
    pub(crate) fn folds_of(&self, adapter: usize) -> Vec<FoldScore> {
        let mut scores = Vec::new();
        for repeat in 0..self.plan.folds.len() {
            for fold in 0..self.count() {
                if let Some(found) = self.on(adapter, repeat, &[fold], fold) {
                    let score = self.score(&found);
                    scores.push(FoldScore {
                        repeat,
                        fold,
                        score,
                    });
                }
            }
        }
        scores
    }

    /// A member's out-of-fold score over all repeats; none where one of its adapters was taken out.
    /// `n` counts rows, not rows times repeats: repeats of one row are no further evidence.
    pub(crate) fn out_of_fold(&self, adapter: usize) -> Option<Score> {
        let mut all = Vec::new();
        for repeat in 0..self.plan.folds.len() {
            for fold in 0..self.count() {
                all.extend(self.on(adapter, repeat, &[fold], fold)?);
            }
        }
        Some(Score {
            n: self.pool.len(),
            ..self.score(&all)
        })
    }

    /// The member to choose where `outer` is unseen: by the inner predictions on all other folds.
    fn choose(&self, repeat: usize, outer: usize) -> Option<usize> {
        let inner = |adapter: usize| -> Option<Score> {
            let mut all = Vec::new();
            for fold in (0..self.count()).filter(|fold| *fold != outer) {
                let without = [outer.min(fold), outer.max(fold)];
                all.extend(self.on(adapter, repeat, &without, fold)?);
            }
            Some(self.score(&all))
        };
        let adapters = self.plan.adapters.iter().enumerate();
        let scored =
            adapters.filter_map(|(index, adapter)| Some((index, adapter.rank, inner(index)?)));
        select::choose(scored)
    }

    /// The figure of the whole procedure.
    pub(crate) fn nested(&self) -> NestedValidation {
        let n = self.pool.len();
        let repeat = |repeat: usize| {
            let (mut right, mut chosen) = (0, Vec::new());
            for fold in 0..self.count() {
                let adapter = self.choose(repeat, fold);
                let found = adapter.and_then(|adapter| self.on(adapter, repeat, &[fold], fold));
                for (row, found) in found.unwrap_or_default() {
                    right += usize::from(found.label() == self.pool[row].label);
                }
                chosen.push(adapter.map(|adapter| self.plan.adapters[adapter].name.clone()));
            }
            NestedRepeat {
                accuracy: right as f64 / n as f64,
                chosen,
            }
        };
        let repeats: Vec<NestedRepeat> = (0..self.plan.folds.len()).map(repeat).collect();
        let sum: f64 = repeats.iter().map(|repeat| repeat.accuracy).sum();
        NestedValidation {
            accuracy: sum / repeats.len() as f64,
            n,
            repeats,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::TrainSettings;
    use crate::training_set::TrainingSet;

    fn noise(name: u64) -> u64 {
        verdict_common::random::finalize(name.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn rows(n: usize) -> TrainingSet {
        let row = |place: usize| TokenizedExample {
            id: place.to_string(),
            group: place.to_string(),
            tokens: vec![1, 2],
            prompt_tokens: 1,
            label: place % 3,
            weight: 1.0,
        };
        TrainingSet {
            train: (0..n - 3).map(row).collect(),
            validation: (n - 3..n).map(row).collect(),
            probes: vec![0, 1, 2],
            cuts: Default::default(),
            tails: Default::default(),
        }
    }

    /// Members that know nothing: the best of 24 looks better than chance, the nested figure does not.
    #[test]
    fn the_nested_figure_is_not_flattered_by_the_choice_among_members() {
        let rows = rows(90);
        let settings = TrainSettings {
            seed: (0..24).collect(),
            folds: Some(3),
            ..TrainSettings::default()
        };
        let plan = Plan::new(&settings.resolved(), &rows).unwrap();
        let runs = 60;
        let (mut nested, mut best) = (0.0, 0.0);
        for run in 0..runs {
            let guess = |fit: usize, row: &usize| {
                let label = noise(noise(noise(run) ^ fit as u64) ^ *row as u64) % 3;
                ValidationResult {
                    loss_sum: 1.0,
                    tokens: 1,
                    logits: std::array::from_fn(|place| f32::from(u8::from(place as u64 == label))),
                }
            };
            let found: Vec<Vec<ValidationResult>> = (0..plan.fits.len())
                .map(|fit| {
                    plan.subset_of(fit)
                        .held_out
                        .iter()
                        .map(|row| guess(fit, row))
                        .collect()
                })
                .collect();
            let pool = rows.pool();
            let folded = CrossValidation {
                plan: &plan,
                pool: &pool,
                found: found.iter().map(|found| Some(found.as_slice())).collect(),
            };
            nested += folded.nested().accuracy / runs as f64;
            let adapters = 0..plan.adapters.len();
            let scores = adapters.map(|adapter| folded.out_of_fold(adapter).unwrap().accuracy);
            best += scores.fold(0.0, f64::max) / runs as f64;
        }
        // Of 60 runs of 90 rows, all guesses independent: standard error √(2/9 / 5400) = 0.0064.
        let error = (2.0_f64 / 9.0 / (90.0 * runs as f64)).sqrt();
        assert!((nested - 1.0 / 3.0).abs() < 4.0 * error, "{nested}");
        // The largest of 24 normal variates lies 1.95 standard deviations up (0.0497 each).
        assert!((best - (1.0 / 3.0 + 1.95 * 0.0497)).abs() < 0.02, "{best}");
    }
}
