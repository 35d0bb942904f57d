//! Early stopping during a run: which fits end before their steps are done, and which weights are
//! kept of them.

use verdict_common::counted;

use super::active_fit::{ActiveFit, BestFit, PatienceState};
use super::training::Training;
use crate::early_stopping::{EarlyStop, EarlyStoppingRule};
use crate::engine::AdapterState;
use crate::error::{Error, Result};
use crate::events::EventKind;
use crate::plan::Subset;
use crate::status::FitStatus;
use crate::validation::Score;

impl Training<'_> {
    /// Keeps the weights of a fit whose label loss is its lowest so far; early-stops a fit that
    /// has had too many validations without a lower one.
    pub(super) fn apply_patience(&mut self, fit: usize, score: Score) -> Result<()> {
        let Some(patience) = self.settings.patience else {
            return Ok(());
        };
        let active = &self.fits[fit];
        let best = active.patience.best.as_ref();
        if best.is_none_or(|best| score.selection_loss() < best.score.selection_loss()) {
            let state = self.engine.state(active.engine_index);
            let state = state.map_err(|source| Error::Engine {
                doing: format!(
                    "keeping the weights of adapter {}",
                    self.plan.fits[fit].name
                ),
                source,
            })?;
            let best = BestFit {
                step: self.done,
                score,
                weights: state.weights,
                results: active.results.clone().unwrap_or_default(),
            };
            self.fits[fit].patience = PatienceState {
                best: Some(best),
                validations_since: 0,
            };
            return Ok(());
        }
        let (step, loss) = best.map_or((0, f64::NAN), |best| {
            (best.step, best.score.selection_loss())
        });
        let since = active.patience.validations_since + 1;
        self.fits[fit].patience.validations_since = since;
        if since < patience || self.done == self.plan.subset_of(fit).steps {
            return Ok(());
        }
        let reason = format!(
            "label loss {:.4} after step {}; the lowest was {loss:.4} after step {step}, {} ago",
            score.selection_loss(),
            self.done,
            counted(since, "validation")
        );
        self.stop_early(fit, EarlyStoppingRule::Patience, reason)
    }

    /// At a rung of successive halving, prunes all adapters but the best by label loss. Of two
    /// with the same loss, the one earlier in the grid is better.
    pub(super) fn apply_halving(&mut self) -> Result<()> {
        let Some(rung) = self
            .rungs
            .iter()
            .copied()
            .find(|rung| rung.step == self.done)
        else {
            return Ok(());
        };
        let loss = |fit: usize| -> f64 {
            let results = self.fits[fit].results.as_deref().unwrap_or_default();
            self.score(&self.plan.subset_of(fit).held_out, results)
                .selection_loss()
        };
        let grid = 0..self.plan.adapters.len();
        let training = grid.filter(|fit| self.fits[*fit].is_training());
        let mut ranked: Vec<(usize, f64)> = training.map(|fit| (fit, loss(fit))).collect();
        ranked.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        if ranked.len() <= rung.keep {
            return Ok(());
        }
        let (count, worst_kept) = (ranked.len(), ranked[rung.keep - 1].1);
        let mut pruned: Vec<(usize, (usize, f64))> =
            ranked.into_iter().enumerate().skip(rung.keep).collect();
        pruned.sort_by_key(|(_, (fit, _))| *fit);
        for (place, (fit, loss)) in pruned {
            let reason = format!(
                "label loss {loss:.4} after step {}, rank {} of {count}; the best {} continue, with losses up to {worst_kept:.4}",
                self.done,
                place + 1,
                rung.keep
            );
            self.stop_early(fit, EarlyStoppingRule::Halving, reason)?;
        }
        Ok(())
    }

    fn stop_early(&mut self, fit: usize, by: EarlyStoppingRule, reason: String) -> Result<()> {
        let (step, plan) = (self.done, self.plan);
        let active = &mut self.fits[fit];
        let best = active.patience.best.as_ref();
        let kept = best.map_or(step, |best| best.step);
        active.status = FitStatus::EarlyStopped(EarlyStop {
            by,
            step,
            reason: reason.clone(),
        });
        let kind = EventKind::EarlyStopped { by, reason, kept };
        self.emit(Some(&plan.fits[fit].name), kind)
    }

    /// With patience, restores the weights and results of the step where the label loss was
    /// lowest, so that they are what is saved; returns that step.
    pub(super) fn restore_best(&mut self, fit: usize) -> Result<Option<usize>> {
        debug_assert_eq!(self.plan.subset_of(fit).subset, Subset::All);
        let ActiveFit {
            engine_index,
            patience,
            ..
        } = &self.fits[fit];
        let Some(best) = &patience.best else {
            return Ok(None);
        };
        let state = AdapterState {
            weights: best.weights.clone(),
            ..AdapterState::default()
        };
        let (step, results) = (best.step, best.results.clone());
        let restored = self.engine.restore(*engine_index, &state);
        restored.map_err(|source| Error::Engine {
            doing: format!(
                "restoring the best weights of adapter {}",
                self.plan.fits[fit].name
            ),
            source,
        })?;
        self.fits[fit].results = Some(results);
        Ok(Some(step))
    }
}
