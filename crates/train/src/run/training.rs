//! The loop of a run: create the adapters, step, validate, until no fit trains any more.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use verdict_model::formats::Adapter;

use super::active_fit::{ActiveFit, PatienceState};
use super::checkpoint_schedule::CheckpointSchedule;
use super::interface::{RunSummary, TrainRequest};
use crate::batches::BatchOrder;
use crate::checkpoint::Checkpoint;
use crate::early_stopping::Rung;
use crate::engine::TrainingEngine;
use crate::error::{EngineError, Error, Result};
use crate::events::{Event, EventKind, EventLog};
use crate::new_run::NewRun;
use crate::origin::Provenance;
use crate::plan::{Plan, Subset};
use crate::schedule::Rates;
use crate::settings::TrainSettings;
use crate::status::FitStatus;
use crate::trace;
use crate::training_set::TokenizedExample;
use crate::validation::{Score, Validation, ValidationQuestion, ValidationResult};

/// Sends events to the file, to the log, then to the observer.
pub(super) struct EventSink<'a> {
    pub(super) log: EventLog,
    observer: &'a mut dyn FnMut(&Event),
    /// Time spent on events so far.
    spent: Duration,
}

impl<'a> EventSink<'a> {
    pub(super) fn new(log: EventLog, observer: &'a mut dyn FnMut(&Event)) -> Self {
        Self {
            log,
            observer,
            spent: Duration::ZERO,
        }
    }

    pub(super) fn emit(
        &mut self,
        step: usize,
        adapter: Option<&str>,
        kind: EventKind,
    ) -> Result<()> {
        let started = Instant::now();
        let event = self.log.write(step, adapter, kind)?;
        trace::event(&event);
        (self.observer)(&event);
        self.spent += started.elapsed();
        Ok(())
    }
}

/// A run while it trains.
pub(super) struct Training<'a> {
    pub(super) settings: &'a TrainSettings,
    pub(super) plan: &'a Plan,
    /// The rungs of successive halving; empty without it.
    pub(super) rungs: Vec<Rung>,
    pub(super) label_tokens: &'a [u32],
    pub(super) label_tails: &'a [Vec<u32>; 3],
    pub(super) pool: Vec<&'a TokenizedExample>,
    pub(super) engine: &'a mut dyn TrainingEngine,
    pub(super) events: EventSink<'a>,
    pub(super) request: TrainRequest<'a>,
    pub(super) schedule: CheckpointSchedule,
    pub(super) provenance: &'a Provenance,
    pub(super) run: &'a NewRun,
    /// Maximum tokens of a micro-batch on one device.
    pub(super) micro_batch_tokens: usize,
    pub(super) fits: Vec<ActiveFit>,
    /// Results of the base model, once it was validated.
    pub(super) base: Option<Vec<ValidationResult>>,
    /// Optimizer steps done.
    pub(super) done: usize,
    /// Whether the validation after step `done` is still to come.
    pub(super) validation_due: bool,
    /// Tokens trained on.
    pub(super) tokens: u64,
    /// Bytes of events.jsonl after the last step or validation.
    pub(super) events_length: u64,
}

impl Training<'_> {
    /// Trains from a checkpoint, or from the beginning, to the manifest.
    pub(super) fn run(&mut self, checkpoint: Option<Checkpoint>) -> Result<RunSummary> {
        let started = Instant::now();
        self.create()?;
        match checkpoint {
            Some(checkpoint) => self.restore(&checkpoint)?,
            None => self.start()?,
        }
        if self.base.is_none() {
            self.validate_base()?;
            self.events_length = self.events.log.position();
        }
        loop {
            if self.validation_due {
                self.validate()?;
                self.validation_due = false;
                self.events_length = self.events.log.position();
                self.checkpoint_if_due()?;
            }
            if !self.fits.iter().any(ActiveFit::is_training) {
                break;
            }
            self.run.still_there()?;
            self.step()?;
            self.validation_due = true;
            self.events_length = self.events.log.position();
        }
        let manifest = self.finish()?;
        let dir = self.run.dir().to_path_buf();
        Ok(RunSummary {
            dir,
            manifest,
            tokens: self.tokens,
            elapsed: started.elapsed(),
            checkpoints: self.schedule.written(),
            checkpoint_time: self.schedule.spent(),
            event_time: self.events.spent,
        })
    }

    /// Creates the adapters of all fits.
    fn create(&mut self) -> Result<()> {
        for (fit, spec) in self.plan.specs().iter().enumerate() {
            let created = self.engine.create(spec);
            let engine_index = created.map_err(|source| Error::Engine {
                doing: format!("creating adapter {}", spec.name),
                source,
            })?;
            let subset = self.plan.subset_of(fit);
            let settings = self.settings;
            self.fits.push(ActiveFit {
                engine_index,
                order: BatchOrder::new(spec.seed, subset.train.len(), settings.batch),
                rates: Rates::new(settings.schedule, settings.warmup, subset.steps),
                status: FitStatus::Training,
                train_loss: None,
                results: None,
                patience: PatienceState::default(),
            });
        }
        Ok(())
    }

    /// Starts all fits from the adapter that the settings name, if they do.
    fn initialize(&mut self) -> Result<()> {
        let Some(path) = &self.settings.init_adapter else {
            return Ok(());
        };
        let failed = |source: EngineError| Error::Engine {
            doing: format!("starting from the adapter {}", path.display()),
            source,
        };
        let adapter = Adapter::read(path).map_err(|error| failed(error.into()))?;
        for fit in &self.fits {
            let started = self.engine.initialize(fit.engine_index, &adapter);
            started.map_err(failed)?;
        }
        Ok(())
    }

    /// Starts a run that does not resume from a checkpoint.
    fn start(&mut self) -> Result<()> {
        self.initialize()?;
        // What fits into memory depends on the adapters, but the longest example must fit in any case.
        let suggested = |engine: &dyn TrainingEngine| engine.micro_batch_tokens();
        self.micro_batch_tokens = self
            .settings
            .micro_batch_tokens
            .unwrap_or_else(|| suggested(self.engine).max(self.micro_batch_tokens));
        let all = &self.plan.subsets[0];
        let names = self.plan.adapters.iter();
        let start = EventKind::Start {
            names: names.map(|adapter| adapter.name.clone()).collect(),
            steps: self.plan.steps(),
            train_rows: all.train.len(),
            validation_rows: all.held_out.len(),
            fits: self.settings.folds.map(|_| self.plan.fits.len()),
        };
        self.emit(None, start)?;
        self.events_length = self.events.log.position();
        Ok(())
    }

    /// Emits an event after the current step.
    pub(super) fn emit(&mut self, adapter: Option<&str>, kind: EventKind) -> Result<()> {
        self.events.emit(self.done, adapter, kind)
    }

    /// The examples on which the base model is validated: the validation set; with folds, the pool.
    pub(super) fn base_examples(&self) -> Vec<usize> {
        match self.settings.folds {
            Some(_) => (0..self.pool.len()).collect(),
            None => self.plan.subsets[0].held_out.clone(),
        }
    }

    fn validate_base(&mut self) -> Result<()> {
        let examples = self.base_examples();
        let question = ValidationQuestion {
            adapter: None,
            examples: &examples,
        };
        let results = self.evaluate(&[question])?.remove(0);
        self.report(None, self.score(&examples, &results))?;
        self.base = Some(results);
        Ok(())
    }

    /// Whether a fit that trains is validated after step `done`.
    fn validates_now(&self, fit: usize) -> bool {
        let subset = self.plan.subset_of(fit);
        let rung = self.rungs.iter().any(|rung| rung.step == self.done);
        let now = subset.subset == Subset::All
            && (rung || self.done.is_multiple_of(self.settings.validate_every));
        !subset.held_out.is_empty() && (now || self.done == subset.steps)
    }

    /// Validates all fits that are due, applies early stopping, then ends the fits whose steps are done.
    fn validate(&mut self) -> Result<()> {
        let training = (0..self.fits.len()).filter(|fit| self.fits[*fit].is_training());
        let (plan, training) = (self.plan, training.collect::<Vec<usize>>());
        let due = training
            .iter()
            .copied()
            .filter(|fit| self.validates_now(*fit));
        let due: Vec<usize> = due.collect();
        let question = |fit: &usize| ValidationQuestion {
            adapter: Some(self.fits[*fit].engine_index),
            examples: &plan.subset_of(*fit).held_out,
        };
        let questions: Vec<ValidationQuestion<'_>> = due.iter().map(question).collect();
        for (fit, results) in due.into_iter().zip(self.evaluate(&questions)?) {
            let score = self.score(&plan.subset_of(fit).held_out, &results);
            if score.loss.is_finite() {
                self.fits[fit].results = Some(results);
                self.report(Some(fit), score)?;
                self.apply_patience(fit, score)?;
            } else {
                self.diverge(fit, "validation loss", score.loss)?;
            }
        }
        self.apply_halving()?;
        for fit in training {
            if self.fits[fit].is_training() && self.done == self.plan.subset_of(fit).steps {
                self.fits[fit].status = FitStatus::Finished;
            }
        }
        self.check_all_diverged()
    }

    /// Evaluates examples of the pool.
    fn evaluate(&self, questions: &[ValidationQuestion<'_>]) -> Result<Vec<Vec<ValidationResult>>> {
        let before_micro_batch = || self.handle_requests();
        let failed = |source: EngineError| Error::Engine {
            doing: format!("validation after step {}", self.done),
            source,
        };
        let started = Instant::now();
        let validation = Validation {
            engine: &*self.engine,
            pool: &self.pool,
            label_tokens: self.label_tokens,
            label_tails: self.label_tails,
            loss: self.settings.loss,
            micro_batch_tokens: self.micro_batch_tokens,
            before_micro_batch: &before_micro_batch,
            failed: &failed,
        };
        let results = validation.evaluate(questions)?;
        if !questions.is_empty() {
            let seconds = started.elapsed().as_secs_f64();
            let adapters = questions.len();
            tracing::info!(step = self.done, adapters, seconds, "validated");
        }
        Ok(results)
    }

    pub(super) fn score(&self, examples: &[usize], results: &[ValidationResult]) -> Score {
        let examples = examples.iter().map(|example| self.pool[*example]);
        Score::of(results.iter().zip(examples))
    }

    /// Emits a validation event.
    pub(super) fn report(&mut self, fit: Option<usize>, score: Score) -> Result<()> {
        let Score {
            loss,
            accuracy,
            n,
            label_loss,
        } = score;
        let plan = self.plan;
        let name = fit.map(|fit| plan.fits[fit].name.as_str());
        self.emit(
            name,
            EventKind::Validation {
                loss,
                accuracy,
                n,
                label_loss,
            },
        )
    }

    /// Removes a fit because a number became NaN or infinite.
    pub(super) fn diverge(&mut self, fit: usize, what: &str, value: f64) -> Result<()> {
        let plan = self.plan;
        let name = &plan.fits[fit].name;
        let reason = format!("adapter {name}: {what} is {value} at step {}", self.done);
        self.fits[fit].status = FitStatus::Diverged(reason.clone());
        self.emit(Some(name), EventKind::Diverged { reason })
    }

    /// Fails when every adapter of the grid has diverged.
    pub(super) fn check_all_diverged(&self) -> Result<()> {
        let grid = &self.fits[..self.plan.adapters.len()];
        let reasons: Vec<String> = grid
            .iter()
            .filter_map(ActiveFit::diverged)
            .cloned()
            .collect();
        match reasons.len() < grid.len() {
            true => Ok(()),
            false => Err(Error::Diverged { reasons }),
        }
    }

    /// Writes a checkpoint or stops, if the caller requested it.
    pub(super) fn handle_requests(&self) -> Result<()> {
        if self.request.checkpoint.swap(false, Ordering::Relaxed) {
            self.checkpoint()?;
        }
        match self.request.stop.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(Error::Interrupted {
                path: self.run.dir().to_path_buf(),
                step: self.done,
                steps: self.plan.steps(),
            }),
        }
    }
}
