//! The training run: every adapter of the plan, step by step, in shared passes.

mod checkpoints;
mod early_stopping;
mod finish;
mod step;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use self::checkpoints::Keeper;
use self::early_stopping::Progress;
use crate::batches::BatchOrder;
use crate::checkpoint::Checkpoint;
use crate::early_stopping::{EarlyStop, Rung, rungs};
use crate::engine::TrainingEngine;
use crate::error::{EngineError, Error, Fault, Result};
use crate::events::{Event, EventKind, EventLog, Outcome};
use crate::folder::NewRun;
use crate::manifest::Manifest;
use crate::origin::Provenance;
use crate::plan::{Plan, Subset};
use crate::schedule::Rates;
use crate::settings::TrainSettings;
use crate::trace;
use crate::training_set::{TokenizedExample, TrainingSet};
use crate::validation::{Score, Validation, ValidationQuestion, ValidationResult};

/// What may be asked of a run from outside; looked at before every pass, of validation too.
#[derive(Clone, Copy, Debug)]
pub struct TrainRequest<'a> {
    /// To keep a checkpoint and stop.
    pub stop: &'a AtomicBool,
    /// To keep a checkpoint and go on; false again once that is being done.
    pub checkpoint: &'a AtomicBool,
}

impl<'a> From<&'a AtomicBool> for TrainRequest<'a> {
    /// To stop, and nothing else.
    fn from(stop: &'a AtomicBool) -> Self {
        static NEVER: AtomicBool = AtomicBool::new(false);
        Self {
            stop,
            checkpoint: &NEVER,
        }
    }
}

/// A finished run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSummary {
    /// The run folder.
    pub dir: PathBuf,
    /// What MANIFEST.json says.
    pub manifest: Manifest,
    /// Tokens trained on, all adapters together, prompts included.
    pub tokens: u64,
    /// Time from the first validation, or from the checkpoint, to the manifest.
    pub elapsed: Duration,
    /// Checkpoints that were kept in that time.
    pub checkpoints: usize,
    /// Time that they took.
    pub checkpoint_time: Duration,
    /// Time that events took: their lines written, and the observer.
    pub event_time: Duration,
}

/// Trains every adapter of the settings' plan and fills the run folder, MANIFEST.json last.
///
/// Validates the bare base model before the first step, then every member each
/// `settings.validate_every` steps, at the rungs of halving and after the last; the adapters of folds after their last alone.
/// Each event is written, then handed to `observer`. A run that [`NewRun::resume`] found goes on from its
/// last checkpoint, and from the beginning where it has none; its adapters, and its events but for times
/// and throughput, are what they would have been without the break. An adapter
/// whose loss or gradient becomes NaN or infinite is taken out with an event; the others go on as if it
/// had never been there.
///
/// # Errors
/// [`Error::Interrupted`] after `asked.stop`, with a checkpoint kept; [`Error::Checkpoint`] where the one
/// to go on from does not fit; [`Error::Vanished`] where the run folder was taken away;
/// [`Error::Diverged`] when no member is left; [`Error::Settings`]
/// where the rows cannot be cut into the folds asked for; [`Error::Engine`], [`Error::Save`] and
/// [`Error::Io`] for what they say. After any of them there is no MANIFEST.json.
pub fn train<'a>(
    mut run: NewRun,
    rows: &TrainingSet,
    provenance: &Provenance,
    engine: &mut dyn TrainingEngine,
    observer: &mut dyn FnMut(&Event),
    asked: impl Into<TrainRequest<'a>>,
) -> Result<RunSummary> {
    let settings = run.settings().clone();
    let longest = longest(rows, &settings)?;
    let plan = Plan::new(&settings, rows)?;
    let (log, survey) = run.begin()?;
    let mut training = Training {
        settings: &settings,
        plan: &plan,
        rungs: settings.halving.map_or(Vec::new(), |eta| {
            rungs(plan.adapters.len(), eta, plan.steps())
        }),
        probes: &rows.probes,
        tails: &rows.tails,
        pool: rows.pool(),
        engine,
        sink: Sink {
            log,
            observer,
            spent: Duration::ZERO,
        },
        asked: asked.into(),
        keeper: Keeper::new(survey.next),
        provenance,
        run: &run,
        pass_tokens: longest,
        fits: Vec::new(),
        base: None,
        done: 0,
        pending: false,
        tokens: 0,
        mark: 0,
    };
    let mut result = training.all(survey.last);
    if let Err(Error::Interrupted { .. }) = result
        && let Err(error) = training.checkpoint()
    {
        result = Err(error);
    }
    if let Err(error) = &result {
        let interrupted = matches!(error, Error::Interrupted { .. });
        let outcome = if interrupted {
            Outcome::Interrupted
        } else {
            Outcome::Failed
        };
        let end = EventKind::End {
            outcome,
            best: None,
            error: Some(error.to_string()),
        };
        // On a full disk this fails as well; the first error is the one to tell.
        let _ = training.sink.emit(training.done, None, end);
    }
    result
}

/// Tokens of the longest row; refuses rows that no pass of these settings could take.
fn longest(rows: &TrainingSet, settings: &TrainSettings) -> Result<usize> {
    let mut longest = 0;
    for (split, rows) in [("train", &rows.train), ("validation", &rows.validation)] {
        let here = rows.iter().map(|row| row.tokens.len()).max();
        let here = here.ok_or(Error::NoRows { split })?;
        longest = longest.max(here);
        if let Some(found) = settings.pass_tokens.filter(|most| here > *most) {
            let text =
                format!("expected at least {here}, the longest row of {split}, found {found}");
            let faults = vec![Fault {
                key: "pass_tokens".into(),
                text,
            }];
            return Err(Error::Settings {
                origin: "settings".into(),
                faults,
            });
        }
    }
    Ok(longest)
}

/// Events to the file, then to the observer.
struct Sink<'a> {
    log: EventLog,
    observer: &'a mut dyn FnMut(&Event),
    spent: Duration,
}

impl Sink<'_> {
    fn emit(&mut self, step: usize, adapter: Option<&str>, kind: EventKind) -> Result<()> {
        let started = Instant::now();
        let event = self.log.write(step, adapter, kind)?;
        trace::event(&event);
        (self.observer)(&event);
        self.spent += started.elapsed();
        Ok(())
    }
}

/// An adapter while it trains; its plan stands at the same place of [`Plan::fits`].
struct Running {
    /// Its index in the engine.
    engine_index: usize,
    order: BatchOrder,
    rates: Rates,
    status: Status,
    train_loss: Option<f64>,
    /// What its last validation found of its held rows.
    found: Option<Vec<ValidationResult>>,
    progress: Progress,
}

/// Where an adapter stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// In the batch.
    Training,
    /// All its steps are done.
    Finished,
    /// Taken out for a number that is NaN or infinite.
    #[serde(rename = "stopped")]
    Diverged(String),
    /// It left the batch before its steps were done.
    #[serde(rename = "dropped")]
    EarlyStopped(EarlyStop),
}

impl Running {
    fn trains(&self) -> bool {
        self.status == Status::Training
    }

    fn early_stop(&self) -> Option<&EarlyStop> {
        match &self.status {
            Status::EarlyStopped(dropped) => Some(dropped),
            _ => None,
        }
    }

    fn diverged(&self) -> Option<&String> {
        match &self.status {
            Status::Diverged(reason) => Some(reason),
            _ => None,
        }
    }
}

struct Training<'a> {
    settings: &'a TrainSettings,
    plan: &'a Plan,
    /// Of successive halving.
    rungs: Vec<Rung>,
    probes: &'a [u32],
    tails: &'a [Vec<u32>; 3],
    pool: Vec<&'a TokenizedExample>,
    engine: &'a mut dyn TrainingEngine,
    sink: Sink<'a>,
    asked: TrainRequest<'a>,
    keeper: Keeper,
    provenance: &'a Provenance,
    run: &'a NewRun,
    /// Most tokens of a pass on one device.
    pass_tokens: usize,
    fits: Vec<Running>,
    /// What was found of the base model, once it was validated.
    base: Option<Vec<ValidationResult>>,
    /// Optimizer steps done.
    done: usize,
    /// Whether the validation after step `done` is still to come.
    pending: bool,
    tokens: u64,
    /// Bytes of events.jsonl after the last step or validation.
    mark: u64,
}

impl Training<'_> {
    fn all(&mut self, checkpoint: Option<Checkpoint>) -> Result<RunSummary> {
        let started = Instant::now();
        self.create()?;
        match checkpoint {
            Some(checkpoint) => self.restore(&checkpoint)?,
            None => self.start()?,
        }
        if self.base.is_none() {
            self.validate_base()?;
            self.mark = self.sink.log.position();
        }
        loop {
            if self.pending {
                self.validate()?;
                self.pending = false;
                self.mark = self.sink.log.position();
                self.checkpoint_if_due()?;
            }
            if !self.fits.iter().any(Running::trains) {
                break;
            }
            self.run.still_there()?;
            self.step()?;
            self.pending = true;
            self.mark = self.sink.log.position();
        }
        let manifest = self.finish()?;
        let (checkpoints, checkpoint_time) = self.keeper.told();
        let dir = self.run.dir().to_path_buf();
        Ok(RunSummary {
            dir,
            manifest,
            tokens: self.tokens,
            elapsed: started.elapsed(),
            checkpoints,
            checkpoint_time,
            event_time: self.sink.spent,
        })
    }

    /// Makes the adapters.
    fn create(&mut self) -> Result<()> {
        for (fit, spec) in self.plan.specs().iter().enumerate() {
            let made = self.engine.create(spec);
            let engine_index = made.map_err(|source| Error::Engine {
                doing: format!("making adapter {}", spec.name),
                source,
            })?;
            let subset = self.plan.subset_of(fit);
            let settings = self.settings;
            self.fits.push(Running {
                engine_index,
                order: BatchOrder::new(spec.seed, subset.train.len(), settings.batch),
                rates: Rates::new(settings.schedule, settings.warmup, subset.steps),
                status: Status::Training,
                train_loss: None,
                found: None,
                progress: Progress::default(),
            });
        }
        Ok(())
    }

    /// The beginning of a run that does not go on from a checkpoint.
    fn start(&mut self) -> Result<()> {
        // What fits depends on the adapters; the longest row must go through in any case.
        let fits = |engine: &dyn TrainingEngine| engine.pass_tokens().max(self.pass_tokens);
        self.pass_tokens = self.settings.pass_tokens.unwrap_or(fits(self.engine));
        let whole = &self.plan.subsets[0];
        let names = self.plan.adapters.iter();
        let start = EventKind::Start {
            names: names.map(|adapter| adapter.name.clone()).collect(),
            steps: self.plan.steps(),
            train_rows: whole.train.len(),
            validation_rows: whole.held_out.len(),
            fits: self.settings.folds.map(|_| self.plan.fits.len()),
        };
        self.sink.emit(0, None, start)?;
        self.mark = self.sink.log.position();
        Ok(())
    }

    /// The rows that the base model is judged on: validation rows; with folds, the pool.
    fn base_rows(&self) -> Vec<usize> {
        match self.settings.folds {
            Some(_) => (0..self.pool.len()).collect(),
            None => self.plan.subsets[0].held_out.clone(),
        }
    }

    fn validate_base(&mut self) -> Result<()> {
        let rows = self.base_rows();
        let question = ValidationQuestion {
            adapter: None,
            rows: &rows,
        };
        let found = self.ask(&[question])?.remove(0);
        self.report(None, self.score(&rows, &found))?;
        self.base = Some(found);
        Ok(())
    }

    /// Whether a job that trains is validated after step `done`.
    fn due(&self, fit: usize) -> bool {
        let subset = self.plan.subset_of(fit);
        let whole = subset.subset == Subset::All;
        let rung = self.rungs.iter().any(|rung| rung.step == self.done);
        let now = whole && (rung || self.done.is_multiple_of(self.settings.validate_every));
        !subset.held_out.is_empty() && (now || self.done == subset.steps)
    }

    /// Ends the adapters whose steps are done, after the validation of all that are due.
    fn validate(&mut self) -> Result<()> {
        let training = (0..self.fits.len()).filter(|fit| self.fits[*fit].trains());
        let (plan, training) = (self.plan, training.collect::<Vec<usize>>());
        let due = training.iter().copied().filter(|fit| self.due(*fit));
        let due: Vec<usize> = due.collect();
        let question = |fit: &usize| ValidationQuestion {
            adapter: Some(self.fits[*fit].engine_index),
            rows: &plan.subset_of(*fit).held_out,
        };
        let questions: Vec<ValidationQuestion<'_>> = due.iter().map(question).collect();
        for (fit, found) in due.into_iter().zip(self.ask(&questions)?) {
            let score = self.score(&plan.subset_of(fit).held_out, &found);
            if score.loss.is_finite() {
                self.fits[fit].found = Some(found);
                self.report(Some(fit), score)?;
                self.weigh_progress(fit, score)?;
            } else {
                self.take_out(fit, "validation loss", score.loss)?;
            }
        }
        self.climb()?;
        for fit in training {
            if self.fits[fit].trains() && self.done == self.plan.subset_of(fit).steps {
                self.fits[fit].status = Status::Finished;
            }
        }
        self.any_left()
    }

    /// What is found of rows of the pool.
    fn ask(&self, questions: &[ValidationQuestion<'_>]) -> Result<Vec<Vec<ValidationResult>>> {
        let between = || self.look_around();
        let failed = |source: EngineError| Error::Engine {
            doing: format!("validation after step {}", self.done),
            source,
        };
        let started = Instant::now();
        let validation = Validation {
            engine: &*self.engine,
            pool: &self.pool,
            probes: self.probes,
            tails: self.tails,
            loss: self.settings.loss,
            pass_tokens: self.pass_tokens,
            between: &between,
            failed: &failed,
        };
        let found = validation.ask(questions)?;
        if !questions.is_empty() {
            let seconds = started.elapsed().as_secs_f64();
            let adapters = questions.len();
            tracing::info!(step = self.done, adapters, seconds, "validated");
        }
        Ok(found)
    }

    fn score(&self, rows: &[usize], found: &[ValidationResult]) -> Score {
        Score::of(found.iter().zip(rows.iter().map(|row| self.pool[*row])))
    }

    fn report(&mut self, fit: Option<usize>, score: Score) -> Result<()> {
        let Score { loss, accuracy, n } = score;
        let name = fit.map(|fit| self.plan.fits[fit].name.as_str());
        let kind = EventKind::Validation { loss, accuracy, n };
        self.sink.emit(self.done, name, kind)
    }

    /// Takes an adapter out for a number that is NaN or infinite.
    fn take_out(&mut self, fit: usize, what: &str, found: f64) -> Result<()> {
        let name = &self.plan.fits[fit].name;
        let reason = format!("adapter {name}: {what} is {found} at step {}", self.done);
        self.fits[fit].status = Status::Diverged(reason.clone());
        let kind = EventKind::Diverged { reason };
        self.sink.emit(self.done, Some(name), kind)
    }

    /// Fails where every member was taken out.
    fn any_left(&self) -> Result<()> {
        let adapters = &self.fits[..self.plan.adapters.len()];
        let reasons: Vec<String> = adapters
            .iter()
            .filter_map(Running::diverged)
            .cloned()
            .collect();
        if reasons.len() < adapters.len() {
            Ok(())
        } else {
            Err(Error::Diverged { reasons })
        }
    }

    /// Does what is asked from outside.
    fn look_around(&self) -> Result<()> {
        if self.asked.checkpoint.swap(false, Ordering::Relaxed) {
            self.checkpoint()?;
        }
        if self.asked.stop.load(Ordering::Relaxed) {
            Err(self.interrupted())
        } else {
            Ok(())
        }
    }

    fn interrupted(&self) -> Error {
        Error::Interrupted {
            path: self.run.dir().to_path_buf(),
            step: self.done,
            steps: self.plan.steps(),
        }
    }
}
