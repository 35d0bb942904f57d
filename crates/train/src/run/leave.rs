//! Who leaves the batch before the end, and what is kept of whom.

use super::{Running, Status, Training};
use crate::engine::AdapterState;
use crate::error::{Error, Result};
use crate::events::EventKind;
use crate::leaving::{Dropped, DroppedBy};
use crate::plan::Part;
use crate::validation::{Found, Score};

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
    pub(super) found: Vec<Found>,
}

impl Training<'_> {
    /// Keeps a member's weights where its validation loss is the lowest so far; takes it out of the
    /// batch where it has not been for too long.
    pub(super) fn weigh_progress(&mut self, job: usize, score: Score) -> Result<()> {
        let Some(patience) = self.settings.patience else {
            return Ok(());
        };
        let running = &self.jobs[job];
        let best = running.progress.best.as_ref();
        if best.is_none_or(|best| score.loss < best.score.loss) {
            let state = self.engine.state(running.adapter);
            let state = state.map_err(|source| Error::Engine {
                doing: format!("keeping adapter {}", self.plan.jobs[job].name),
                source,
            })?;
            let best = Best {
                step: self.done,
                score,
                weights: state.weights,
                found: running.found.clone().unwrap_or_default(),
            };
            self.jobs[job].progress = Progress {
                best: Some(best),
                since: 0,
            };
            return Ok(());
        }
        let (step, loss) = best.map_or((0, f64::NAN), |best| (best.step, best.score.loss));
        let since = running.progress.since + 1;
        self.jobs[job].progress.since = since;
        if since < patience || self.done == self.plan.share(job).steps {
            return Ok(());
        }
        let reason = format!(
            "validation loss {:.4} after step {}, no better than {loss:.4} after step {step} in {since} validations",
            score.loss, self.done
        );
        self.drop_out(job, DroppedBy::Patience, reason)
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
        let loss = |job: usize| -> f64 {
            let found = self.jobs[job].found.as_deref().unwrap_or_default();
            self.score(&self.plan.share(job).held, found).loss
        };
        let members = 0..self.plan.members.len();
        let training = members.filter(|job| self.jobs[*job].trains());
        let mut ranked: Vec<(usize, f64)> = training.map(|job| (job, loss(job))).collect();
        ranked.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        if ranked.len() <= rung.keep {
            return Ok(());
        }
        let (count, worst) = (ranked.len(), ranked[rung.keep - 1].1);
        let mut leaving: Vec<(usize, (usize, f64))> =
            ranked.into_iter().enumerate().skip(rung.keep).collect();
        leaving.sort_by_key(|(_, (job, _))| *job);
        for (place, (job, loss)) in leaving {
            let reason = format!(
                "validation loss {loss:.4} after step {}, place {} of {count}; the best {} stay, up to {worst:.4}",
                self.done,
                place + 1,
                rung.keep
            );
            self.drop_out(job, DroppedBy::Halving, reason)?;
        }
        Ok(())
    }

    fn drop_out(&mut self, job: usize, by: DroppedBy, reason: String) -> Result<()> {
        let step = self.done;
        let running = &mut self.jobs[job];
        let kept = running
            .progress
            .best
            .as_ref()
            .map_or(step, |best| best.step);
        running.status = Status::Dropped(Dropped {
            by,
            step,
            reason: reason.clone(),
        });
        let kind = EventKind::Dropped { by, reason, kept };
        let name = &self.plan.jobs[job].name;
        self.sink.emit(step, Some(name), kind)
    }

    /// Sets a member to where patience found it best, to be saved and judged as it was there; returns
    /// that step.
    pub(super) fn recall(&mut self, job: usize) -> Result<Option<usize>> {
        debug_assert_eq!(self.plan.share(job).part, Part::Whole);
        let Running {
            adapter, progress, ..
        } = &self.jobs[job];
        let Some(best) = &progress.best else {
            return Ok(None);
        };
        let state = AdapterState {
            weights: best.weights.clone(),
            ..AdapterState::default()
        };
        let (step, found) = (best.step, best.found.clone());
        let restored = self.engine.restore(*adapter, &state);
        restored.map_err(|source| Error::Engine {
            doing: format!("recalling adapter {}", self.plan.jobs[job].name),
            source,
        })?;
        self.jobs[job].found = Some(found);
        Ok(Some(step))
    }
}
