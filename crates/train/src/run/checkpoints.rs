//! When a run keeps a checkpoint, what goes into it, and how a run goes on from one.

use std::cell::Cell;
use std::time::{Duration, Instant};

use verdict_model::formats::{Array, Arrays};

use super::Training;
use super::early_stopping::{Best, Progress};
use crate::checkpoint::{BestState, Checkpoint, FitState, State, Writer};
use crate::engine::AdapterState;
use crate::error::{Error, Result};
use crate::manifest::Manifest;
use crate::plan::Subset;
use crate::settings::TrainSettings;
use crate::validation::ValidationResult;

/// Shortest time between two checkpoints where the settings do not say how many steps.
const LEAST: Duration = Duration::from_secs(60);
/// Where the settings do not say: no checkpoint before this many times what the last one took, so that
/// they take at most half a hundredth of the time.
const RARITY: u32 = 200;
/// Bytes a second that a checkpoint is thought to take before the first was timed.
const SPEED: f64 = 5e8;

/// When checkpoints were written and what they took.
pub(super) struct Keeper {
    next: Cell<u64>,
    last: Cell<Instant>,
    cost: Cell<Duration>,
    count: Cell<usize>,
    spent: Cell<Duration>,
}

impl Keeper {
    /// Before the first, whose number is `next`.
    pub(super) fn new(next: u64) -> Self {
        Self {
            next: Cell::new(next),
            last: Cell::new(Instant::now()),
            cost: Cell::default(),
            count: Cell::default(),
            spent: Cell::default(),
        }
    }

    /// Whether nothing is known yet of what a checkpoint takes.
    fn untimed(&self) -> bool {
        self.cost.get().is_zero()
    }

    fn due(&self, settings: &TrainSettings, done: usize) -> bool {
        match settings.checkpoint_every {
            Some(0) => false,
            Some(steps) => done.is_multiple_of(steps),
            None => self.last.get().elapsed() >= LEAST.max(self.cost.get() * RARITY),
        }
    }

    /// How many were written, and the time that they took.
    pub(super) fn told(&self) -> (usize, Duration) {
        (self.count.get(), self.spent.get())
    }
}

impl Training<'_> {
    /// Writes a checkpoint where it is time for one.
    pub(super) fn checkpoint_if_due(&self) -> Result<()> {
        if self.settings.checkpoint_every.is_none() && self.keeper.untimed() {
            let seconds = self.bytes()? / SPEED;
            self.keeper.cost.set(Duration::from_secs_f64(seconds));
        }
        match self.keeper.due(self.settings, self.done) {
            true => self.checkpoint(),
            false => Ok(()),
        }
    }

    /// Bytes of all adapters' weights and two moments. The number of weights grows with the rank alone,
    /// so one adapter tells of all.
    fn bytes(&self) -> Result<f64> {
        let rank = |fit: usize| self.plan.adapters[self.plan.fits[fit].adapter].rank as f64;
        let Some(first) = (0..self.fits.len()).find(|fit| self.fits[*fit].trains()) else {
            return Ok(0.0);
        };
        let weights = self.adapter_state(first)?.weights.len() as f64;
        let needed = (0..self.fits.len()).filter(|fit| self.needed(*fit));
        let ranks: f64 = needed.map(rank).sum();
        Ok(12.0 * weights * ranks / rank(first))
    }

    fn adapter_state(&self, fit: usize) -> Result<AdapterState> {
        let state = self.engine.state(self.fits[fit].engine_index);
        state.map_err(|source| Error::Engine {
            doing: format!("checkpoint after step {}", self.done),
            source,
        })
    }

    /// Writes a checkpoint of the run as it stood after its last step or validation; what was begun
    /// since then does not count.
    pub(super) fn checkpoint(&self) -> Result<()> {
        let started = Instant::now();
        let number = self.keeper.next.get();
        let mut writer = Writer::new(&self.run.checkpoints(), number, self.done)?;
        // Before the first step every adapter is what its seed makes it.
        for fit in (0..self.fits.len()).filter(|fit| self.done > 0 && self.needed(*fit)) {
            let state = self.adapter_state(fit)?;
            let best = self.fits[fit].progress.best.as_ref();
            writer.adapter(fit, state, best.map(|best| best.weights.as_slice()))?;
        }
        writer.found(&self.all_found())?;
        // A checkpoint must not know of events that the disk does not.
        self.sink.log.sync()?;
        let bytes = writer.finish(&self.state())?;
        let keeper = &self.keeper;
        keeper.next.set(number + 1);
        keeper.last.set(Instant::now());
        keeper.cost.set(started.elapsed());
        keeper.count.set(keeper.count.get() + 1);
        keeper.spent.set(keeper.spent.get() + started.elapsed());
        let seconds = started.elapsed().as_secs_f64();
        tracing::info!(step = self.done, bytes, seconds, "checkpoint kept");
        Ok(())
    }

    /// Whether an adapter's numbers will be used again: it trains on, or is to be saved.
    fn needed(&self, fit: usize) -> bool {
        let running = &self.fits[fit];
        let saved = self.plan.subset_of(fit).subset == Subset::All && running.diverged().is_none();
        running.trains() || saved
    }

    fn state(&self) -> State {
        let fit = |(fit, running): (usize, &super::Running)| FitState {
            name: self.plan.fits[fit].name.clone(),
            status: running.status.clone(),
            train_loss: running.train_loss,
            best: running.progress.best.as_ref().map(|best| BestState {
                step: best.step,
                score: best.score,
                since: running.progress.since,
            }),
        };
        State {
            format: State::FORMAT,
            tool: Manifest::tool(),
            provenance: self.provenance.clone(),
            machines: self.run.machines(),
            settings: self.settings.clone(),
            done: self.done,
            pending: self.pending,
            tokens: self.tokens,
            pass_tokens: self.pass_tokens,
            events: self.mark,
            fits: self.fits.iter().enumerate().map(fit).collect(),
        }
    }

    /// What the last validations found, as rows of numbers: those of an adapter begin with its place in
    /// the plan (then `best`, where patience found it best), those of the base model with `base`.
    fn all_found(&self) -> Arrays {
        let mut arrays = Arrays::new();
        let mut put = |name: &str, found: &[ValidationResult]| {
            let losses = found.iter().map(|found| found.loss_sum).collect();
            let logits = found.iter().flat_map(|found| found.logits).collect();
            arrays.insert(format!("{name}.loss_sum"), Array::F64(losses));
            arrays.insert(format!("{name}.logits"), Array::F32(logits));
        };
        if let Some(found) = &self.base {
            put("base", found);
        }
        for (fit, running) in self.fits.iter().enumerate() {
            if let Some(found) = &running.found {
                put(&fit.to_string(), found);
            }
            if let Some(best) = &running.progress.best {
                put(&format!("{fit}.best"), &best.found);
            }
        }
        arrays
    }

    /// Sets a run whose adapters were just made to where a checkpoint says it stood.
    pub(super) fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let state = &checkpoint.state;
        let broken = |reason: String| Error::Checkpoint {
            path: checkpoint.dir().to_path_buf(),
            reason,
        };
        if !state.provenance.same(self.provenance) {
            return Err(broken(
                "the model or the data set is not the one that the run began with".into(),
            ));
        }
        let names = self.plan.fits.iter().map(|fit| &fit.name);
        if !state.settings.same_results(self.settings)
            || !names.eq(state.fits.iter().map(|fit| &fit.name))
        {
            return Err(broken(
                "settings.toml is not the one that the run began with".into(),
            ));
        }
        let mut found = checkpoint.found()?;
        let base = self.base_rows();
        self.base = self.take_found(&mut found, "base", &base);
        for (fit, known) in state.fits.iter().enumerate() {
            let held = &self.plan.subset_of(fit).held_out;
            let best_found = self.take_found(&mut found, &format!("{fit}.best"), held);
            let found = self.take_found(&mut found, &fit.to_string(), held);
            let running = &mut self.fits[fit];
            running.status = known.status.clone();
            running.train_loss = known.train_loss;
            running.found = found;
            let state = match state.done > 0 && self.needed(fit) {
                true => checkpoint.adapter(fit)?,
                false => continue,
            };
            let (state, weights) =
                state.ok_or_else(|| broken(format!("no state of {}", known.name)))?;
            if let Some(best) = known.best {
                let found = best_found
                    .ok_or_else(|| broken(format!("nothing found of the best {}", known.name)))?;
                let (step, score) = (best.step, best.score);
                self.fits[fit].progress = Progress {
                    best: Some(Best {
                        step,
                        score,
                        weights,
                        found,
                    }),
                    since: best.since,
                };
            }
            let index = self.fits[fit].engine_index;
            let restored = self.engine.restore(index, &state);
            restored.map_err(|error| broken(error.to_string()))?;
        }
        self.done = state.done;
        self.pending = state.pending;
        self.tokens = state.tokens;
        self.pass_tokens = state.pass_tokens;
        self.mark = state.events;
        let from = checkpoint.dir().display();
        tracing::info!(step = self.done, checkpoint = %from, "going on from a checkpoint");
        Ok(())
    }

    /// What was found of these rows; none where it is not there for each of them.
    fn take_found(
        &self,
        arrays: &mut Arrays,
        name: &str,
        rows: &[usize],
    ) -> Option<Vec<ValidationResult>> {
        let losses = arrays.remove(&format!("{name}.loss_sum"));
        let logits = arrays.remove(&format!("{name}.logits"));
        let (Some(Array::F64(losses)), Some(Array::F32(logits))) = (losses, logits) else {
            return None;
        };
        let (logits, _) = logits.as_chunks::<3>();
        let whole = losses.len() == rows.len() && logits.len() == rows.len();
        let found = losses.into_iter().zip(logits).zip(rows);
        let found = found.map(|((loss_sum, logits), row)| ValidationResult {
            loss_sum,
            tokens: self.pool[*row].supervised(self.settings.loss),
            logits: *logits,
        });
        whole.then(|| found.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a checkpoint is due `after` seconds, where the last one took `cost` seconds.
    fn due(every: Option<usize>, done: usize, after: u64, cost: f64) -> bool {
        let keeper = Keeper::new(0);
        keeper.cost.set(Duration::from_secs_f64(cost));
        let last = Instant::now().checked_sub(Duration::from_secs(after));
        keeper.last.set(last.expect("the clock has run so long"));
        let settings = TrainSettings {
            checkpoint_every: every,
            ..TrainSettings::default()
        };
        keeper.due(&settings, done)
    }

    #[test]
    fn by_steps_at_their_multiples_and_never_for_none() {
        assert!(due(Some(5), 10, 0, 0.0) && !due(Some(5), 11, 900, 0.0));
        assert!(!due(Some(0), 10, 900, 0.0));
    }

    #[test]
    fn by_time_a_minute_apart_and_at_most_a_two_hundredth_of_it() {
        assert!(!due(None, 10, 58, 0.01) && due(None, 10, 61, 0.01));
        assert!(!due(None, 10, 398, 2.0) && due(None, 10, 401, 2.0));
    }
}
