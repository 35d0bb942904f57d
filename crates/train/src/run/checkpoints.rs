//! What goes into a checkpoint of a run, and how a run resumes from one.

use std::time::{Duration, Instant};

use verdict_model::formats::{Array, Arrays};

use super::active_fit::{ActiveFit, BestFit, PatienceState};
use super::training::Training;
use crate::checkpoint::{BestState, Checkpoint, FitState, State, Writer};
use crate::engine::AdapterState;
use crate::error::{Error, Result};
use crate::manifest::Manifest;
use crate::plan::Subset;
use crate::validation::ValidationResult;

/// Bytes per second assumed for writing a checkpoint before the first one was timed.
const ASSUMED_SPEED: f64 = 5e8;

impl Training<'_> {
    /// Writes a checkpoint if one is due.
    pub(super) fn checkpoint_if_due(&self) -> Result<()> {
        if self.settings.checkpoint_every.is_none() && self.schedule.needs_estimate() {
            let seconds = self.checkpoint_bytes()? / ASSUMED_SPEED;
            self.schedule.estimate(Duration::from_secs_f64(seconds));
        }
        match self.schedule.is_due(self.settings, self.done) {
            true => self.checkpoint(),
            false => Ok(()),
        }
    }

    /// Bytes of the weights and the two moments of all adapters that a checkpoint stores. The number
    /// of weights is proportional to the rank, so one adapter is enough to compute all sizes.
    fn checkpoint_bytes(&self) -> Result<f64> {
        let rank = |fit: usize| self.plan.adapters[self.plan.fits[fit].adapter].rank as f64;
        let Some(first) = (0..self.fits.len()).find(|fit| self.fits[*fit].is_training()) else {
            return Ok(0.0);
        };
        let weights = self.adapter_state(first)?.weights.len() as f64;
        let stored = (0..self.fits.len()).filter(|fit| self.is_stored(*fit));
        let ranks: f64 = stored.map(rank).sum();
        Ok(12.0 * weights * ranks / rank(first))
    }

    fn adapter_state(&self, fit: usize) -> Result<AdapterState> {
        let state = self.engine.state(self.fits[fit].engine_index);
        state.map_err(|source| Error::Engine {
            doing: format!("checkpoint after step {}", self.done),
            source,
        })
    }

    /// Writes a checkpoint of the run as of its last finished step or validation; gradients
    /// accumulated since then are not part of it.
    pub(super) fn checkpoint(&self) -> Result<()> {
        let started = Instant::now();
        let number = self.schedule.next_number();
        let mut writer = Writer::new(&self.run.checkpoints(), number, self.done)?;
        // Before the first step every adapter still has the weights that its seed initializes.
        for fit in (0..self.fits.len()).filter(|fit| self.done > 0 && self.is_stored(*fit)) {
            let state = self.adapter_state(fit)?;
            let best = self.fits[fit].patience.best.as_ref();
            writer.adapter(fit, state, best.map(|best| best.weights.as_slice()))?;
        }
        writer.results(&self.all_results())?;
        // A checkpoint must not refer to events that are not on the disk.
        self.events.log.sync()?;
        let bytes = writer.finish(&self.state())?;
        self.schedule.record(started.elapsed());
        let seconds = started.elapsed().as_secs_f64();
        tracing::info!(step = self.done, bytes, seconds, "checkpoint written");
        Ok(())
    }

    /// Whether a checkpoint stores the adapter of a fit: it still trains, or it will be saved at the
    /// end of the run.
    fn is_stored(&self, fit: usize) -> bool {
        let active = &self.fits[fit];
        let saved = self.plan.subset_of(fit).subset == Subset::All && active.diverged().is_none();
        active.is_training() || saved
    }

    fn state(&self) -> State {
        let fit = |(fit, active): (usize, &ActiveFit)| FitState {
            name: self.plan.fits[fit].name.clone(),
            status: active.status.clone(),
            train_loss: active.train_loss,
            best: active.patience.best.as_ref().map(|best| BestState {
                step: best.step,
                score: best.score,
                validations_since: active.patience.validations_since,
            }),
        };
        State {
            format: State::FORMAT,
            tool: Manifest::tool(),
            provenance: self.provenance.clone(),
            machines: self.run.machines(),
            settings: self.settings.clone(),
            done: self.done,
            validation_due: self.validation_due,
            tokens: self.tokens,
            micro_batch_tokens: self.micro_batch_tokens,
            events_length: self.events_length,
            fits: self.fits.iter().enumerate().map(fit).collect(),
        }
    }

    /// The results of the last validations as arrays. The names of a fit's arrays begin with its index
    /// in the plan (followed by `best` for the results that patience keeps), those of the base model
    /// with `base`.
    fn all_results(&self) -> Arrays {
        let mut arrays = Arrays::new();
        let mut put = |name: &str, results: &[ValidationResult]| {
            let losses = results.iter().map(|result| result.loss_sum).collect();
            let logits = results.iter().flat_map(|result| result.logits).collect();
            arrays.insert(format!("{name}.loss_sum"), Array::F64(losses));
            arrays.insert(format!("{name}.logits"), Array::F32(logits));
        };
        if let Some(results) = &self.base {
            put("base", results);
        }
        for (fit, active) in self.fits.iter().enumerate() {
            if let Some(results) = &active.results {
                put(&fit.to_string(), results);
            }
            if let Some(best) = &active.patience.best {
                put(&format!("{fit}.best"), &best.results);
            }
        }
        arrays
    }

    /// Restores a run whose adapters were just created from a checkpoint.
    pub(super) fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let state = &checkpoint.state;
        self.check_matches(checkpoint)?;
        let mut arrays = checkpoint.results()?;
        let base = self.base_examples();
        self.base = self.take_results(&mut arrays, "base", &base);
        for (fit, stored) in state.fits.iter().enumerate() {
            let held_out = &self.plan.subset_of(fit).held_out;
            let best = self.take_results(&mut arrays, &format!("{fit}.best"), held_out);
            let results = self.take_results(&mut arrays, &fit.to_string(), held_out);
            let active = &mut self.fits[fit];
            active.status = stored.status.clone();
            active.train_loss = stored.train_loss;
            active.results = results;
            if state.done > 0 && self.is_stored(fit) {
                self.restore_fit(checkpoint, fit, stored, best)?;
            }
        }
        self.done = state.done;
        self.validation_due = state.validation_due;
        self.tokens = state.tokens;
        self.micro_batch_tokens = state.micro_batch_tokens;
        self.events_length = state.events_length;
        let from = checkpoint.dir().display();
        tracing::info!(step = self.done, checkpoint = %from, "resuming from a checkpoint");
        Ok(())
    }

    /// Fails where a checkpoint is not one of this run.
    fn check_matches(&self, checkpoint: &Checkpoint) -> Result<()> {
        let state = &checkpoint.state;
        if !state.provenance.same(self.provenance) {
            return Err(
                checkpoint.mismatch("the model or the data set has changed since the run began")
            );
        }
        let names = self.plan.fits.iter().map(|fit| &fit.name);
        if !state.settings.same_results(self.settings)
            || !names.eq(state.fits.iter().map(|fit| &fit.name))
        {
            return Err(checkpoint.mismatch("settings.toml has changed since the run began"));
        }
        Ok(())
    }

    /// Restores the adapter of a fit and what patience remembers about it.
    fn restore_fit(
        &mut self,
        checkpoint: &Checkpoint,
        fit: usize,
        stored: &FitState,
        best_results: Option<Vec<ValidationResult>>,
    ) -> Result<()> {
        let name = &stored.name;
        let (state, weights) = checkpoint
            .adapter(fit)?
            .ok_or_else(|| checkpoint.mismatch(format!("it has no weights of {name}")))?;
        if let Some(best) = stored.best {
            let results = best_results.ok_or_else(|| {
                checkpoint.mismatch(format!(
                    "it has no results of the best validation of {name}"
                ))
            })?;
            self.fits[fit].patience = PatienceState {
                best: Some(BestFit {
                    step: best.step,
                    score: best.score,
                    weights,
                    results,
                }),
                validations_since: best.validations_since,
            };
        }
        let restored = self.engine.restore(self.fits[fit].engine_index, &state);
        restored.map_err(|error| checkpoint.mismatch(error.to_string()))
    }

    /// The results of these examples; `None` unless there is one for each.
    fn take_results(
        &self,
        arrays: &mut Arrays,
        name: &str,
        examples: &[usize],
    ) -> Option<Vec<ValidationResult>> {
        let losses = arrays.remove(&format!("{name}.loss_sum"));
        let logits = arrays.remove(&format!("{name}.logits"));
        let (Some(Array::F64(losses)), Some(Array::F32(logits))) = (losses, logits) else {
            return None;
        };
        let (logits, _) = logits.as_chunks::<3>();
        let complete = losses.len() == examples.len() && logits.len() == examples.len();
        let results = losses.into_iter().zip(logits).zip(examples);
        let results = results.map(|((loss_sum, logits), example)| ValidationResult {
            loss_sum,
            tokens: self.pool[*example].supervised(self.settings.loss),
            logits: *logits,
        });
        complete.then(|| results.collect())
    }
}
