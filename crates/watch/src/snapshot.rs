//! A snapshot of a run: what `--json` prints, and what the screen, the log and the page show.

use std::path::{Path, PathBuf};

use serde::Serialize;
use verdict_train::validation::interval;
use verdict_train::{EarlyStoppingRule, Outcome, Score};

use crate::gpu::Gpu;
use crate::process;
use crate::queue::Job;
use crate::run::{AdapterProgress, Run};
use crate::words::{Clock, ago};

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Training has not started.
    Waiting,
    /// It is training.
    Running,
    /// It did not end, but has written no events for too long, or its process has ended.
    Dead,
    /// It finished.
    Finished,
    /// It was interrupted.
    Interrupted,
    /// It ended with an error.
    Failed,
}

impl State {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Running => "running",
            State::Dead => "dead",
            State::Finished => "finished",
            State::Interrupted => "interrupted",
            State::Failed => "failed",
        }
    }

    /// Whether no further events are expected.
    pub fn over(self) -> bool {
        !matches!(self, State::Waiting | State::Running)
    }
}

/// What is known of the process that trains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Process {
    /// Nothing; it may be on another machine.
    #[default]
    Unknown,
    /// It holds the run folder's lock, on this machine.
    Here(u32),
    /// It has ended.
    Gone,
}

/// A snapshot of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Snapshot {
    /// The run folder's name; its path where several have that name.
    pub run: String,
    /// The run folder.
    pub folder: PathBuf,
    /// Its state.
    pub state: State,
    /// Optimizer steps done.
    pub step: usize,
    /// Optimizer steps planned.
    pub steps: usize,
    /// Estimated seconds left.
    pub eta_s: Option<f64>,
    /// When training started, in seconds since 1970-01-01 UTC.
    pub began: Option<f64>,
    /// Time of its last event.
    #[serde(rename = "heard")]
    pub last_event: Option<f64>,
    /// When the snapshot was taken.
    pub now: f64,
    /// The chosen adapter, or the one that would be chosen now.
    pub best: Option<String>,
    /// Tokens per second of the last step, all adapters together.
    pub tokens_per_s: Option<f64>,
    /// Examples per second of the last step, all adapters together.
    pub examples_per_s: Option<f64>,
    /// The process that trains, if it is on this machine.
    pub pid: Option<u32>,
    /// Its resident memory.
    pub memory_bytes: Option<u64>,
    /// Score of the bare base model.
    pub base: Option<ValidationSummary>,
    /// The adapters, in the order of the grid.
    #[serde(rename = "members")]
    pub adapters: Vec<AdapterSnapshot>,
    /// Fits, those of folds included.
    #[serde(rename = "adapters")]
    pub fits: usize,
    /// Fits of folds that were validated.
    #[serde(rename = "folds_judged")]
    pub folds_validated: usize,
    /// The error that ended it.
    pub error: Option<String>,
    /// Why the folder could not be read at the last poll.
    #[serde(rename = "trouble")]
    pub read_error: Option<String>,
    /// Lines of events.jsonl that are not events.
    #[serde(rename = "broken_lines")]
    pub invalid_lines: usize,
    /// Events of kinds that this version does not know.
    pub unknown_events: usize,
    /// Its SLURM job, if it was submitted to SLURM.
    pub job: Option<Job>,
    /// This machine's GPUs, whichever process uses them.
    pub gpus: Vec<Gpu>,
}

/// A snapshot of an adapter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AdapterSnapshot {
    /// Its name.
    pub name: String,
    /// LoRA rank, if the run's settings could be read.
    pub rank: Option<usize>,
    /// Learning rate of the last step.
    pub lr: Option<f64>,
    /// Loss of the last step's batch, in nats per supervised token.
    pub train_loss: Option<f64>,
    /// Norm of the last step's gradient before clipping.
    pub grad_norm: Option<f64>,
    /// Score of the last validation.
    pub validation: Option<ValidationSummary>,
    /// Whether it is the best so far, or was chosen.
    pub best: bool,
    /// Why it diverged, if it did.
    #[serde(rename = "stopped")]
    pub diverged: Option<String>,
    /// Why it was early-stopped or pruned, if it was.
    #[serde(rename = "dropped")]
    pub early_stop: Option<String>,
    /// The rule by which it was.
    #[serde(skip)]
    pub rule: Option<EarlyStoppingRule>,
    /// Whether it was saved.
    pub saved: bool,
}

/// A score with the confidence interval of its accuracy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ValidationSummary {
    /// Mean loss per supervised token, in nats.
    pub loss: f64,
    /// Share of examples whose true label had the highest logit of the three.
    pub accuracy: f64,
    /// Lower bound of the accuracy's 95 % confidence interval by Wilson's formula.
    pub low: f64,
    /// Its upper bound.
    pub high: f64,
    /// Number of examples.
    pub n: usize,
}

impl From<Score> for ValidationSummary {
    fn from(score: Score) -> ValidationSummary {
        let Score {
            loss, accuracy, n, ..
        } = score;
        let (low, high) = interval(accuracy, n);
        ValidationSummary {
            loss,
            accuracy,
            low,
            high,
            n,
        }
    }
}

/// What is known of a run besides its events.
#[derive(Clone, Debug, Default)]
pub struct RunContext<'a> {
    /// Now, in seconds since 1970-01-01 UTC.
    pub now: f64,
    /// Seconds since the file was seen to grow; `None` if it never was.
    pub unchanged_s: Option<f64>,
    /// Seconds without events after which it counts as dead, if the user chose them.
    pub dead_after_s: Option<f64>,
    /// The process that trains.
    pub process: Process,
    /// Why the folder could not be read at the last poll.
    pub read_error: Option<&'a str>,
    /// Its job, where SLURM runs it.
    pub job: Option<&'a Job>,
    /// This machine's GPUs.
    pub gpus: &'a [Gpu],
}

impl RunContext<'_> {
    /// Seconds since the last event. The clocks of two machines may differ, so growth of the file counts as well.
    pub fn silent_s(&self, run: &Run) -> f64 {
        let by_clock = run
            .last_event
            .map_or(0.0, |last| (self.now - last).max(0.0));
        self.unchanged_s.map_or(by_clock, |s| by_clock.min(s))
    }

    /// The state of the run: from its events and, where they are not enough, from its SLURM job.
    pub fn state(&self, run: &Run) -> State {
        let state = self.state_by_events(run);
        let quiet = state != State::Finished && !matches!(self.process, Process::Here(_));
        match self.job {
            // It will resume, whatever happened before.
            Some(job) if quiet && job.waits() => State::Waiting,
            Some(job) if quiet && job.runs() && state.over() => State::Waiting,
            Some(job) if quiet && job.failed() && !state.over() => State::Failed,
            _ => state,
        }
    }

    /// The state by its events and its process.
    fn state_by_events(&self, run: &Run) -> State {
        let here = matches!(self.process, Process::Here(_));
        match &run.end {
            Some(end) if end.outcome == Outcome::Finished => return State::Finished,
            // A process that holds the lock again has resumed the run.
            Some(_) if here => return State::Running,
            Some(end) if end.outcome == Outcome::Interrupted => return State::Interrupted,
            Some(_) => return State::Failed,
            None => {}
        }
        let limit = self.dead_after_s.unwrap_or_else(|| run.silence_s());
        match self.process {
            Process::Here(_) if run.last_event.is_none() => State::Waiting,
            Process::Here(_) => State::Running,
            _ if run.last_event.is_none() => State::Waiting,
            Process::Gone => State::Dead,
            Process::Unknown if self.silent_s(run) > limit => State::Dead,
            Process::Unknown => State::Running,
        }
    }
}

impl Snapshot {
    /// A snapshot of a run, from its name, folder and context.
    pub fn new(name: &str, folder: &Path, run: &Run, context: &RunContext<'_>) -> Snapshot {
        let state = context.state(run);
        let best = run.best();
        let running = state == State::Running;
        let pid = match context.process {
            Process::Here(pid) => Some(pid),
            _ => None,
        };
        let adapter = |adapter: &AdapterProgress| AdapterSnapshot {
            name: adapter.name.clone(),
            rank: adapter.rank,
            lr: adapter.lr.last().map(|(_, lr)| lr),
            train_loss: adapter.train_loss.last().map(|(_, loss)| loss),
            grad_norm: adapter.grad_norm.last().map(|(_, norm)| norm),
            validation: adapter.score.map(ValidationSummary::from),
            best: best == Some(&adapter.name),
            diverged: adapter.diverged.clone(),
            early_stop: adapter
                .early_stop
                .as_ref()
                .map(|(_, reason)| reason.clone()),
            rule: adapter.early_stop.as_ref().map(|(rule, _)| *rule),
            saved: adapter.saved,
        };
        Snapshot {
            run: name.to_owned(),
            folder: folder.to_path_buf(),
            state,
            step: run.step,
            steps: run.steps,
            eta_s: run.eta_s().filter(|_| running),
            began: run.began,
            last_event: run.last_event,
            now: context.now,
            best: best.map(str::to_owned),
            tokens_per_s: run.tokens_per_s.last().map(|(_, speed)| speed),
            examples_per_s: run.examples_per_s,
            pid,
            memory_bytes: pid.and_then(process::resident_bytes),
            base: run.base.map(ValidationSummary::from),
            adapters: run.adapters.iter().map(adapter).collect(),
            fits: run.fits,
            folds_validated: run.folds_validated,
            error: run.end.as_ref().and_then(|end| end.error.clone()),
            read_error: context.read_error.map(str::to_owned),
            job: context.job.cloned(),
            invalid_lines: run.invalid_lines,
            unknown_events: run.unknown.values().sum(),
            gpus: context.gpus.to_vec(),
        }
    }

    /// Details of its state in one line.
    pub fn details(&self, clock: &Clock) -> String {
        let silent = |last: f64| {
            let since = clock.time(last, self.now);
            format!("no event since {since}, {}", ago(self.now - last))
        };
        let error = self.error.as_deref().unwrap_or_default();
        let job = self.job.as_ref().map(Job::describe);
        match (self.state, self.last_event, self.pid) {
            _ if self.read_error.is_some() => self.read_error.clone().unwrap_or_default(),
            (State::Waiting | State::Running, _, _) if let Some(job) = job => job,
            (State::Failed, _, _) if let (Some(job), "") = (job, error) => job,
            (State::Waiting, _, Some(pid)) => format!("process {pid} has not started training"),
            (State::Waiting, _, None) => "training has not started".into(),
            (State::Running, Some(last), _) if self.now - last > 30.0 => silent(last),
            (State::Dead, Some(last), _) => silent(last),
            (State::Interrupted | State::Failed, _, _) => error.to_owned(),
            (_, _, Some(pid)) => format!("process {pid}"),
            _ => String::new(),
        }
    }

    /// Share of the optimizer steps done.
    pub fn progress(&self) -> f64 {
        match (self.state, self.steps) {
            (State::Finished, _) => 1.0,
            (_, 0) => 0.0,
            (_, steps) => (self.step as f64 / steps as f64).min(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use verdict_data::wilson;
    use verdict_train::EventKind;

    use super::*;
    use crate::run::tests::{run_of, start};

    fn context_at(now: f64, process: Process) -> RunContext<'static> {
        RunContext {
            now,
            process,
            ..RunContext::default()
        }
    }

    #[test]
    fn a_run_is_dead_when_its_process_has_ended_or_no_events_arrive() {
        let speed = EventKind::Throughput {
            examples_per_s: 1.0,
            tokens_per_s: 1.0,
        };
        let run = run_of(&[(0.0, 0, None, start(&["r4"], 9)), (8.0, 1, None, speed)]);
        let state = |now, process| context_at(now, process).state(&run);
        // Steps of 8 s, so dead after 80 s without events.
        assert_eq!(state(88.0, Process::Unknown), State::Running);
        assert_eq!(state(88.5, Process::Unknown), State::Dead);
        assert_eq!(state(1e6, Process::Here(7)), State::Running);
        assert_eq!(state(9.0, Process::Gone), State::Dead);
        // The file grew a second ago, whatever the clock of the other machine says.
        let grew = RunContext {
            unchanged_s: Some(1.0),
            ..context_at(1e6, Process::Unknown)
        };
        assert_eq!(grew.state(&run), State::Running);
        let chosen = RunContext {
            dead_after_s: Some(5.0),
            ..context_at(14.0, Process::Unknown)
        };
        assert_eq!(chosen.state(&run), State::Dead);
        let waiting = Run::default();
        assert_eq!(
            context_at(1e6, Process::Unknown).state(&waiting),
            State::Waiting
        );
    }

    #[test]
    fn an_end_is_final_unless_a_process_resumes_the_run() {
        let end = |outcome| {
            let kind = EventKind::End {
                outcome,
                best: None,
                error: Some("why".into()),
            };
            run_of(&[(0.0, 0, None, start(&["r4"], 9)), (8.0, 1, None, kind)])
        };
        for (outcome, alone, held) in [
            (Outcome::Finished, State::Finished, State::Finished),
            (Outcome::Interrupted, State::Interrupted, State::Running),
            (Outcome::Failed, State::Failed, State::Running),
        ] {
            let run = end(outcome);
            assert_eq!(context_at(1e6, Process::Unknown).state(&run), alone);
            assert_eq!(context_at(1e6, Process::Here(7)).state(&run), held);
        }
        let failed = Snapshot::new(
            "run",
            Path::new("a/run"),
            &end(Outcome::Failed),
            &context_at(9.0, Process::Unknown),
        );
        assert_eq!(
            (failed.run.as_str(), failed.details(&Clock::utc())),
            ("run", "why".into())
        );
    }

    #[test]
    fn the_interval_is_wilsons_even_for_an_invalid_accuracy() {
        let summary = ValidationSummary::from(Score {
            loss: 1.0,
            accuracy: 0.75,
            n: 20,
            label_loss: None,
        });
        assert_eq!((summary.low, summary.high), wilson(15, 20));
        let odd = ValidationSummary::from(Score {
            loss: 1.0,
            accuracy: 7.5,
            n: 20,
            label_loss: None,
        });
        assert_eq!((odd.low, odd.high), wilson(20, 20));
    }
}
