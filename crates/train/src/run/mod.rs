//! The training run: every fit of the plan, step by step, in shared micro-batches.

mod active_fit;
mod checkpoint_schedule;
mod checkpoints;
mod early_stopping;
mod finish;
mod interface;
mod step;
mod training;

use self::checkpoint_schedule::CheckpointSchedule;
pub use self::interface::{RunSummary, TrainRequest};
use self::training::{EventSink, Training};
use crate::early_stopping::rungs;
use crate::engine::TrainingEngine;
use crate::error::{Error, Fault, Result};
use crate::events::{Event, EventKind, Outcome};
use crate::new_run::NewRun;
use crate::origin::Provenance;
use crate::plan::Plan;
use crate::settings::TrainSettings;
use crate::training_set::TrainingSet;

/// Trains every fit of the settings' plan and fills the run folder, MANIFEST.json last.
///
/// The bare base model is validated before the first step. Each adapter of the grid is validated every
/// `settings.validate_every` steps, at the rungs of successive halving and after its last step; the
/// fits of folds only after their last step. Each event is written, then passed to `observer`. A run
/// opened by [`NewRun::resume`] continues from its last checkpoint, or starts from the beginning where
/// there is none; its adapters, and its events except for times and throughput, are the same as
/// without the interruption. An adapter whose loss or gradient becomes NaN or infinite has diverged:
/// it is removed with an event, and the others continue as if it had never been there.
///
/// # Errors
/// [`Error::Interrupted`] after `request.stop`, with a checkpoint written; [`Error::Checkpoint`] where
/// the checkpoint does not match the run; [`Error::Vanished`] where the run folder was deleted;
/// [`Error::Diverged`] when every adapter has diverged; [`Error::Settings`] where the examples cannot be
/// split into the requested folds; [`Error::Engine`], [`Error::Save`] and [`Error::Io`] as documented
/// there. After any of them there is no MANIFEST.json.
pub fn train<'a>(
    mut run: NewRun,
    examples: &TrainingSet,
    provenance: &Provenance,
    engine: &mut dyn TrainingEngine,
    observer: &mut dyn FnMut(&Event),
    request: impl Into<TrainRequest<'a>>,
) -> Result<RunSummary> {
    let settings = run.settings().clone();
    let longest = longest(examples, &settings)?;
    let plan = Plan::new(&settings, examples)?;
    let (log, checkpoints) = run.begin()?;
    let mut training = Training {
        settings: &settings,
        plan: &plan,
        rungs: settings.halving.map_or(Vec::new(), |eta| {
            rungs(plan.adapters.len(), eta, plan.steps())
        }),
        label_tokens: &examples.label_tokens,
        label_tails: &examples.label_tails,
        pool: examples.pool(),
        engine,
        events: EventSink::new(log, observer),
        request: request.into(),
        schedule: CheckpointSchedule::new(checkpoints.next),
        provenance,
        run: &run,
        micro_batch_tokens: longest,
        fits: Vec::new(),
        base: None,
        done: 0,
        validation_due: false,
        tokens: 0,
        events_length: 0,
    };
    let mut result = training.run(checkpoints.last);
    if let Err(Error::Interrupted { .. }) = result
        && let Err(error) = training.checkpoint()
    {
        result = Err(error);
    }
    if let Err(error) = &result {
        let outcome = match error {
            Error::Interrupted { .. } => Outcome::Interrupted,
            _ => Outcome::Failed,
        };
        let end = EventKind::End {
            outcome,
            best: None,
            error: Some(error.to_string()),
        };
        // On a full disk this fails as well; the first error is the one to report.
        let _ = training.emit(None, end);
    }
    result
}

/// Tokens of the longest example; refuses a micro-batch that is too small for it.
fn longest(examples: &TrainingSet, settings: &TrainSettings) -> Result<usize> {
    let mut longest = 0;
    for (split, examples) in [
        ("train", &examples.train),
        ("validation", &examples.validation),
    ] {
        let here = examples.iter().map(|example| example.tokens.len()).max();
        let here = here.ok_or(Error::NoExamples { split })?;
        longest = longest.max(here);
        if let Some(found) = settings.micro_batch_tokens.filter(|limit| here > *limit) {
            let text = format!(
                "expected at least {here}, the tokens of the longest {split} example, found {found}"
            );
            return Err(Error::Settings {
                origin: "settings".into(),
                faults: vec![Fault::new("pass_tokens", text)],
            });
        }
    }
    Ok(longest)
}
