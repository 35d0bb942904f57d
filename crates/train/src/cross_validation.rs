//! Cross-validation: the out-of-fold score of each adapter, and the nested score of the whole
//! procedure, choosing the adapter included.
//!
//! The out-of-fold accuracy of the adapter that was chosen for it is too optimistic: of many, the
//! luckiest wins (Cawley and Talbot, "On over-fitting in model selection", JMLR 2010). So the choice is
//! repeated for each outer fold, on predictions for the other folds by fits that saw neither those
//! examples nor the outer fold's. The chosen adapter's outer fit is then scored on the outer fold
//! (Varma and Simon, "Bias in error estimation when using cross-validation for model selection", 2006).

use crate::manifest::{FoldScore, NestedRepeat, NestedValidation};
use crate::plan::Plan;
use crate::select;
use crate::training_set::TokenizedExample;
use crate::validation::{Score, ValidationResult};

/// The validation results of a plan with folds.
pub(crate) struct CrossValidation<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) pool: &'a [&'a TokenizedExample],
    /// For each fit, the results of its held-out examples in their order; `None` for a fit that diverged.
    pub(crate) results: Vec<Option<&'a [ValidationResult]>>,
}

impl<'a> CrossValidation<'a> {
    /// Number of folds.
    pub(crate) fn folds(&self) -> usize {
        let folds = self.plan.folds.first();
        folds
            .and_then(|of| of.iter().max())
            .map_or(0, |last| last + 1)
    }

    /// The results on the examples of `fold` by the fit of an adapter that left out `without`, with each
    /// example's index in the pool.
    pub(crate) fn results_on(
        &self,
        adapter: usize,
        repeat: usize,
        without: &[usize],
        fold: usize,
    ) -> Option<Vec<(usize, &'a ValidationResult)>> {
        let fit = self.plan.fit_without(adapter, repeat, without);
        let held_out = &self.plan.subset_of(fit).held_out;
        let fold_of = &self.plan.folds[repeat];
        let results = held_out.iter().copied().zip(self.results[fit]?);
        Some(
            results
                .filter(|(example, _)| fold_of[*example] == fold)
                .collect(),
        )
    }

    fn score(&self, results: &[(usize, &ValidationResult)]) -> Score {
        let with_example = |(example, result): &(usize, _)| (*result, self.pool[*example]);
        Score::of(results.iter().map(with_example))
    }

    /// An adapter's score on each fold of each repeat, except where its fit diverged.
    pub(crate) fn scores_of(&self, adapter: usize) -> Vec<FoldScore> {
        let mut scores = Vec::new();
        for repeat in 0..self.plan.folds.len() {
            for fold in 0..self.folds() {
                if let Some(results) = self.results_on(adapter, repeat, &[fold], fold) {
                    let score = self.score(&results);
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

    /// An adapter's out-of-fold score over all repeats; `None` where one of its fits diverged. `n` counts
    /// examples, not examples times repeats: repeats of one example are no further evidence.
    pub(crate) fn out_of_fold(&self, adapter: usize) -> Option<Score> {
        let mut all = Vec::new();
        for repeat in 0..self.plan.folds.len() {
            for fold in 0..self.folds() {
                all.extend(self.results_on(adapter, repeat, &[fold], fold)?);
            }
        }
        Some(Score {
            n: self.pool.len(),
            ..self.score(&all)
        })
    }

    /// The adapter to choose without seeing the fold `outer`: by the inner predictions on all other folds.
    fn choose(&self, repeat: usize, outer: usize) -> Option<usize> {
        let inner = |adapter: usize| -> Option<Score> {
            let mut all = Vec::new();
            for fold in (0..self.folds()).filter(|fold| *fold != outer) {
                let without = [outer.min(fold), outer.max(fold)];
                all.extend(self.results_on(adapter, repeat, &without, fold)?);
            }
            Some(self.score(&all))
        };
        let adapters = self.plan.adapters.iter().enumerate();
        let scored =
            adapters.filter_map(|(index, adapter)| Some((index, adapter.rank, inner(index)?)));
        select::choose(scored)
    }

    /// The score of the whole procedure.
    pub(crate) fn nested(&self) -> NestedValidation {
        let n = self.pool.len();
        let repeat = |repeat: usize| {
            let (mut right, mut chosen) = (0, Vec::new());
            for fold in 0..self.folds() {
                let adapter = self.choose(repeat, fold);
                let results =
                    adapter.and_then(|adapter| self.results_on(adapter, repeat, &[fold], fold));
                for (example, result) in results.unwrap_or_default() {
                    right += usize::from(result.label() == self.pool[example].label);
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
    use verdict_common::random::mix;

    use super::*;
    use crate::settings::TrainSettings;
    use crate::training_set::TrainingSet;

    fn rows(n: usize) -> TrainingSet {
        let row = |place: usize| TokenizedExample {
            id: place.to_string(),
            group: place.to_string(),
            tokens: vec![1, 2],
            prompt_tokens: 1,
            label_tokens: 1,
            label: place % 3,
            weight: 1.0,
        };
        TrainingSet {
            train: (0..n - 3).map(row).collect(),
            validation: (n - 3..n).map(row).collect(),
            label_tokens: vec![0, 1, 2],
            cuts: Default::default(),
            label_tails: Default::default(),
        }
    }

    #[test]
    fn a_grid_of_seeds_alone_has_no_inner_folds() {
        let plan = |settings: TrainSettings| Plan::new(&settings.resolved(), &rows(90)).unwrap();
        let folds = || TrainSettings {
            folds: Some(3),
            ..TrainSettings::default()
        };
        let seeds = plan(TrainSettings {
            seed: vec![1, 2],
            ..folds()
        });
        assert_eq!((seeds.fits.len(), seeds.is_nested()), (2 * (1 + 3), false));
        let rates = plan(TrainSettings {
            lr: vec![1e-4, 2e-4],
            ..folds()
        });
        assert_eq!(
            (rates.fits.len(), rates.is_nested()),
            (2 * (1 + 3 + 3), true)
        );
    }

    /// Adapters that guess: the best of 24 looks better than chance, the nested score does not.
    #[test]
    fn the_nested_score_is_not_inflated_by_the_choice_among_adapters() {
        let rows = rows(90);
        let settings = TrainSettings {
            lr: (1..=24).map(|place| f64::from(place) * 1e-4).collect(),
            folds: Some(3),
            ..TrainSettings::default()
        };
        let plan = Plan::new(&settings.resolved(), &rows).unwrap();
        let runs = 60;
        let (mut nested, mut best) = (0.0, 0.0);
        for run in 0..runs {
            let guess = |fit: usize, row: &usize| {
                let label = mix(mix(mix(run) ^ fit as u64) ^ *row as u64) % 3;
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
                results: found.iter().map(|found| Some(found.as_slice())).collect(),
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
