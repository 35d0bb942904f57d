//! How a run stands now, in figures: what `--json` prints, and what the screen, the log and the page tell.

use std::path::{Path, PathBuf};

use serde::Serialize;
use verdict_data::wilson;
use verdict_train::{Outcome, Score};

use crate::gpu::Gpu;
use crate::process;
use crate::queue::Job;
use crate::run::{AdapterProgress, Run};
use crate::words::{Clock, ago};

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Training has not begun.
    Waiting,
    /// It trains.
    Running,
    /// It did not end, and nothing is heard of it, or its process is gone.
    Dead,
    /// It ended well.
    Finished,
    /// It was stopped.
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

    /// Whether nothing more is to be expected.
    pub fn over(self) -> bool {
        !matches!(self, State::Waiting | State::Running)
    }
}

/// What is known of the process that trains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Process {
    /// Nothing: it may be on another machine.
    #[default]
    Unknown,
    /// It holds the run folder's lock, on this machine.
    Here(u32),
    /// It did, and does no more.
    Gone,
}

/// A run now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Snapshot {
    /// The run folder's name; its path where several have that name.
    pub run: String,
    /// The run folder.
    pub folder: PathBuf,
    /// Where it stands.
    pub state: State,
    /// Optimizer steps done.
    pub step: usize,
    /// Optimizer steps planned.
    pub steps: usize,
    /// Seconds left, as far as they can be known.
    pub eta_s: Option<f64>,
    /// When training began, in seconds since 1970-01-01 UTC.
    pub began: Option<f64>,
    /// When something was last heard of it.
    pub heard: Option<f64>,
    /// When this was told.
    pub now: f64,
    /// The chosen adapter, or the one that would be chosen now.
    pub best: Option<String>,
    /// Of the last step, all adapters together.
    pub tokens_per_s: Option<f64>,
    /// Of the last step, all adapters together.
    pub examples_per_s: Option<f64>,
    /// The process that trains, where it is on this machine.
    pub pid: Option<u32>,
    /// Memory that it holds.
    pub memory_bytes: Option<u64>,
    /// The bare base model.
    pub base: Option<EvaluationSummary>,
    /// The adapters, in the order of the grid.
    #[serde(rename = "members")]
    pub adapters: Vec<AdapterSnapshot>,
    /// Adapters in the batch, those of folds with them.
    #[serde(rename = "adapters")]
    pub fits: usize,
    /// Adapters of folds that were judged.
    pub folds_judged: usize,
    /// The error that ended it.
    pub error: Option<String>,
    /// Why the folder could not be read at the last look.
    pub trouble: Option<String>,
    /// Lines of events.jsonl that are no events.
    pub broken_lines: usize,
    /// Events of kinds that this version does not know.
    pub unknown_events: usize,
    /// Its job, where SLURM runs it.
    pub job: Option<Job>,
    /// This machine's GPUs, whoever uses them.
    pub gpus: Vec<Gpu>,
}

/// An adapter now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AdapterSnapshot {
    /// Its name.
    pub name: String,
    /// LoRA rank, where the run's settings could be read.
    pub rank: Option<usize>,
    /// Learning rate of the last step.
    pub lr: Option<f64>,
    /// Loss of the last step's batch, in nats per supervised token.
    pub train_loss: Option<f64>,
    /// Norm of the last step's gradient before clipping.
    pub grad_norm: Option<f64>,
    /// The last validation.
    pub validation: Option<EvaluationSummary>,
    /// Whether it is the best so far, or the chosen one.
    pub best: bool,
    /// Why it was taken out, where it was.
    pub stopped: Option<String>,
    /// Why it left the batch before its steps were done, where it did.
    pub dropped: Option<String>,
    /// Whether it was written.
    pub saved: bool,
}

/// A validation with the interval of its accuracy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EvaluationSummary {
    /// Mean loss per supervised token, in nats.
    pub loss: f64,
    /// Share of rows whose true label had the highest logit of the three.
    pub accuracy: f64,
    /// Lower end of the accuracy's 95 % interval by Wilson's formula.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Rows.
    pub n: usize,
}

impl From<Score> for EvaluationSummary {
    fn from(score: Score) -> EvaluationSummary {
        let Score { loss, accuracy, n } = score;
        // A file may say what it likes; a count is at most the rows.
        let right = (accuracy.clamp(0.0, 1.0) * n as f64).round() as usize;
        let (low, high) = wilson(right.min(n), n);
        EvaluationSummary {
            loss,
            accuracy,
            low,
            high,
            n,
        }
    }
}

/// What stands around a run's events.
#[derive(Clone, Debug, Default)]
pub struct RunContext<'a> {
    /// Now, in seconds since 1970-01-01 UTC.
    pub now: f64,
    /// Seconds since the file was seen to grow; none where that was never seen.
    pub unchanged_s: Option<f64>,
    /// Seconds of silence after which it is dead, where the reader chose them.
    pub dead_after_s: Option<f64>,
    /// The process that trains.
    pub process: Process,
    /// Why the folder could not be read at the last look.
    pub trouble: Option<&'a str>,
    /// Its job, where SLURM runs it.
    pub job: Option<&'a Job>,
    /// This machine's GPUs.
    pub gpus: &'a [Gpu],
}

impl RunContext<'_> {
    /// Seconds since something was heard. Clocks of two machines may differ: that the file grew counts as well.
    pub fn silent_s(&self, run: &Run) -> f64 {
        let by_clock = run.heard.map_or(0.0, |heard| (self.now - heard).max(0.0));
        self.unchanged_s.map_or(by_clock, |s| by_clock.min(s))
    }

    /// Where the run stands: what its events tell, and of what they do not, what SLURM tells of its job.
    pub fn state(&self, run: &Run) -> State {
        let told = self.told(run);
        let quiet = told != State::Finished && !matches!(self.process, Process::Here(_));
        match self.job {
            // It will go on, whatever became of it before.
            Some(job) if quiet && job.waits() => State::Waiting,
            Some(job) if quiet && job.runs() && told.over() => State::Waiting,
            Some(job) if quiet && job.failed() && !told.over() => State::Failed,
            _ => told,
        }
    }

    /// As its events tell it.
    fn told(&self, run: &Run) -> State {
        let here = matches!(self.process, Process::Here(_));
        match &run.end {
            Some(end) if end.outcome == Outcome::Finished => return State::Finished,
            // A process that holds the lock again goes on with what was stopped.
            Some(_) if here => return State::Running,
            Some(end) if end.outcome == Outcome::Interrupted => return State::Interrupted,
            Some(_) => return State::Failed,
            None => {}
        }
        let limit = self.dead_after_s.unwrap_or_else(|| run.silence_s());
        match self.process {
            Process::Here(_) if run.heard.is_none() => State::Waiting,
            Process::Here(_) => State::Running,
            _ if run.heard.is_none() => State::Waiting,
            Process::Gone => State::Dead,
            Process::Unknown if self.silent_s(run) > limit => State::Dead,
            Process::Unknown => State::Running,
        }
    }
}

impl Snapshot {
    /// A run's name and folder, and what stands around it.
    pub fn new(name: &str, folder: &Path, run: &Run, around: &RunContext<'_>) -> Snapshot {
        let state = around.state(run);
        let best = run.best();
        let running = state == State::Running;
        let pid = match around.process {
            Process::Here(pid) => Some(pid),
            _ => None,
        };
        let adapter = |adapter: &AdapterProgress| AdapterSnapshot {
            name: adapter.name.clone(),
            rank: adapter.rank,
            lr: adapter.lr.last().map(|(_, lr)| lr),
            train_loss: adapter.train_loss.last().map(|(_, loss)| loss),
            grad_norm: adapter.grad_norm.last().map(|(_, norm)| norm),
            validation: adapter.score.map(EvaluationSummary::from),
            best: best == Some(&adapter.name),
            stopped: adapter.stopped.clone(),
            dropped: adapter.dropped.clone(),
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
            heard: run.heard,
            now: around.now,
            best: best.map(str::to_owned),
            tokens_per_s: run.tokens_per_s.last().map(|(_, speed)| speed),
            examples_per_s: run.examples_per_s,
            pid,
            memory_bytes: pid.and_then(process::resident_bytes),
            base: run.base.map(EvaluationSummary::from),
            adapters: run.adapters.iter().map(adapter).collect(),
            fits: run.fits,
            folds_judged: run.folds_judged,
            error: run.end.as_ref().and_then(|end| end.error.clone()),
            trouble: around.trouble.map(str::to_owned),
            job: around.job.cloned(),
            broken_lines: run.broken,
            unknown_events: run.unknown.values().sum(),
            gpus: around.gpus.to_vec(),
        }
    }

    /// What has to be said of where it stands, in one line.
    pub fn words(&self, clock: &Clock) -> String {
        let heard = |heard: f64| {
            let since = clock.time(heard, self.now);
            format!("no event since {since}, {}", ago(self.now - heard))
        };
        let error = self.error.as_deref().unwrap_or_default();
        let job = self.job.as_ref().map(Job::words);
        match (self.state, self.heard, self.pid) {
            _ if self.trouble.is_some() => self.trouble.clone().unwrap_or_default(),
            (State::Waiting | State::Running, _, _) if let Some(job) = job => job,
            (State::Failed, _, _) if let (Some(job), "") = (job, error) => job,
            (State::Waiting, _, Some(pid)) => format!("process {pid} has not begun to train"),
            (State::Waiting, _, None) => "training has not begun".into(),
            (State::Running, Some(last), _) if self.now - last > 30.0 => heard(last),
            (State::Dead, Some(last), _) => heard(last),
            (State::Interrupted | State::Failed, _, _) => error.to_owned(),
            (_, _, Some(pid)) => format!("process {pid}"),
            _ => String::new(),
        }
    }

    /// Share of the steps that are done.
    pub fn share(&self) -> f64 {
        match (self.state, self.steps) {
            (State::Finished, _) => 1.0,
            (_, 0) => 0.0,
            (_, steps) => (self.step as f64 / steps as f64).min(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use verdict_train::EventKind;

    use super::*;
    use crate::run::tests::{start, told};

    fn around(now: f64, process: Process) -> RunContext<'static> {
        RunContext {
            now,
            process,
            ..RunContext::default()
        }
    }

    #[test]
    fn a_run_is_dead_when_its_process_is_gone_or_nothing_is_heard() {
        let speed = EventKind::Throughput {
            examples_per_s: 1.0,
            tokens_per_s: 1.0,
        };
        let run = told(&[(0.0, 0, None, start(&["r4"], 9)), (8.0, 1, None, speed)]);
        let state = |now, process| around(now, process).state(&run);
        // Steps of 8 s: silence of 80 s.
        assert_eq!(state(88.0, Process::Unknown), State::Running);
        assert_eq!(state(88.5, Process::Unknown), State::Dead);
        assert_eq!(state(1e6, Process::Here(7)), State::Running);
        assert_eq!(state(9.0, Process::Gone), State::Dead);
        // Whatever the other machine's clock says: the file grew a second ago.
        let grew = RunContext {
            unchanged_s: Some(1.0),
            ..around(1e6, Process::Unknown)
        };
        assert_eq!(grew.state(&run), State::Running);
        let chosen = RunContext {
            dead_after_s: Some(5.0),
            ..around(14.0, Process::Unknown)
        };
        assert_eq!(chosen.state(&run), State::Dead);
        let waiting = Run::default();
        assert_eq!(
            around(1e6, Process::Unknown).state(&waiting),
            State::Waiting
        );
    }

    #[test]
    fn an_end_is_the_end_unless_a_process_goes_on() {
        let end = |outcome| {
            let kind = EventKind::End {
                outcome,
                best: None,
                error: Some("why".into()),
            };
            told(&[(0.0, 0, None, start(&["r4"], 9)), (8.0, 1, None, kind)])
        };
        for (outcome, alone, held) in [
            (Outcome::Finished, State::Finished, State::Finished),
            (Outcome::Interrupted, State::Interrupted, State::Running),
            (Outcome::Failed, State::Failed, State::Running),
        ] {
            let run = end(outcome);
            assert_eq!(around(1e6, Process::Unknown).state(&run), alone);
            assert_eq!(around(1e6, Process::Here(7)).state(&run), held);
        }
        let failed = Snapshot::new(
            "run",
            Path::new("a/run"),
            &end(Outcome::Failed),
            &around(9.0, Process::Unknown),
        );
        assert_eq!(
            (failed.run.as_str(), failed.words(&Clock::utc())),
            ("run", "why".into())
        );
    }

    #[test]
    fn the_interval_is_wilsons_whatever_a_file_says() {
        let judged = EvaluationSummary::from(Score {
            loss: 1.0,
            accuracy: 0.75,
            n: 20,
        });
        assert_eq!((judged.low, judged.high), wilson(15, 20));
        let odd = EvaluationSummary::from(Score {
            loss: 1.0,
            accuracy: 7.5,
            n: 20,
        });
        assert_eq!((odd.low, odd.high), wilson(20, 20));
    }
}
