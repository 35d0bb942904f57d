//! Who leaves the batch before the end, and what is kept of whom.

use super::{Running, Status, Training};
use crate::early_stopping::{EarlyStop, EarlyStoppingRule};
use crate::engine::AdapterState;
use crate::error::{Error, Result};
use crate::events::EventKind;
use crate::plan::Subset;
use crate::validation::{Score, ValidationResult};

/// What patience knows of an adapter.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Progress {
    /// The best so far; none before the first validation.
    pub(super) best: Option<Best>,
    /// Validations since then.
    pub(super) since: usize,
}

/// An adapter where its validation loss was lowest.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Best {
    /// Optimizer steps done.
    pub(super) step: usize,
    pub(super) score: Score,
    pub(super) weights: Vec<f32>,
    pub(super) found: Vec<ValidationResult>,
}

impl Training<'_> {
    /// Keeps a member's weights where its validation loss is the lowest so far; takes it out of the
    /// batch where it has not been for too long.
    pub(super) fn weigh_progress(&mut self, fit: usize, score: Score) -> Result<()> {
        let Some(patience) = self.settings.patience else {
            return Ok(());
        };
        let running = &self.fits[fit];
        let best = running.progress.best.as_ref();
        if best.is_none_or(|best| score.loss < best.score.loss) {
            let state = self.engine.state(running.engine_index);
            let state = state.map_err(|source| Error::Engine {
                doing: format!("keeping adapter {}", self.plan.fits[fit].name),
                source,
            })?;
            let best = Best {
                step: self.done,
                score,
                weights: state.weights,
                found: running.found.clone().unwrap_or_default(),
            };
            self.fits[fit].progress = Progress {
                best: Some(best),
                since: 0,
            };
            return Ok(());
        }
        let (step, loss) = best.map_or((0, f64::NAN), |best| (best.step, best.score.loss));
        let since = running.progress.since + 1;
        self.fits[fit].progress.since = since;
        if since < patience || self.done == self.plan.subset_of(fit).steps {
            return Ok(());
        }
        let reason = format!(
            "validation loss {:.4} after step {}, no better than {loss:.4} after step {step} in {since} validations",
            score.loss, self.done
        );
        self.drop_out(fit, EarlyStoppingRule::Patience, reason)
    }

    /// At a rung, takes all members but the best by validation loss out of the batch; of equal ones the
    /// earlier in the grid stays.
    pub(super) fn climb(&mut self) -> Result<()> {
        let Some(rung) = self
            .rungs
            .iter()
            .copied()
            .find(|rung| rung.step == self.done)
        else {
            return Ok(());
        };
        let loss = |fit: usize| -> f64 {
            let found = self.fits[fit].found.as_deref().unwrap_or_default();
            self.score(&self.plan.subset_of(fit).held_out, found).loss
        };
        let adapters = 0..self.plan.adapters.len();
        let training = adapters.filter(|fit| self.fits[*fit].trains());
        let mut ranked: Vec<(usize, f64)> = training.map(|fit| (fit, loss(fit))).collect();
        ranked.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        if ranked.len() <= rung.keep {
            return Ok(());
        }
        let (count, worst) = (ranked.len(), ranked[rung.keep - 1].1);
        let mut leaving: Vec<(usize, (usize, f64))> =
            ranked.into_iter().enumerate().skip(rung.keep).collect();
        leaving.sort_by_key(|(_, (fit, _))| *fit);
        for (place, (fit, loss)) in leaving {
            let reason = format!(
                "validation loss {loss:.4} after step {}, place {} of {count}; the best {} stay, up to {worst:.4}",
                self.done,
                place + 1,
                rung.keep
            );
            self.drop_out(fit, EarlyStoppingRule::Halving, reason)?;
        }
        Ok(())
    }

    fn drop_out(&mut self, fit: usize, by: EarlyStoppingRule, reason: String) -> Result<()> {
        let step = self.done;
        let running = &mut self.fits[fit];
        let kept = running
            .progress
            .best
            .as_ref()
            .map_or(step, |best| best.step);
        running.status = Status::EarlyStopped(EarlyStop {
            by,
            step,
            reason: reason.clone(),
        });
        let kind = EventKind::EarlyStopped { by, reason, kept };
        let name = &self.plan.fits[fit].name;
        self.sink.emit(step, Some(name), kind)
    }

    /// Sets a member to where patience found it best, to be saved and judged as it was there; returns
    /// that step.
    pub(super) fn recall(&mut self, fit: usize) -> Result<Option<usize>> {
        debug_assert_eq!(self.plan.subset_of(fit).subset, Subset::All);
        let Running {
            engine_index,
            progress,
            ..
        } = &self.fits[fit];
        let Some(best) = &progress.best else {
            return Ok(None);
        };
        let state = AdapterState {
            weights: best.weights.clone(),
            ..AdapterState::default()
        };
        let (step, found) = (best.step, best.found.clone());
        let restored = self.engine.restore(*engine_index, &state);
        restored.map_err(|source| Error::Engine {
            doing: format!("recalling adapter {}", self.plan.fits[fit].name),
            source,
        })?;
        self.fits[fit].found = Some(found);
        Ok(Some(step))
    }
}
