//! The errors of training. Each message says what failed, where, what was expected and what was found.

use std::fmt;
use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error of an engine, whose message is shown unchanged.
pub type EngineError = Box<dyn std::error::Error + Send + Sync>;

/// One invalid setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The setting's key.
    pub key: String,
    /// What was expected and what was found.
    pub text: String,
}

impl Fault {
    /// A fault of the setting `key`.
    pub fn new(key: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            text: text.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.text)
    }
}

/// What a run folder already contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// A finished run.
    FinishedRun,
    /// A run that was interrupted, or failed.
    InterruptedRun,
    /// The shards of a run.
    Shards,
}

impl fmt::Display for Existing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FinishedRun => "a finished run",
            Self::InterruptedRun => "an interrupted run",
            Self::Shards => "the shards of a run",
        })
    }
}

/// A training run that could not start or did not finish, or a run folder that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Invalid settings; every fault is listed.
    #[error("{origin}: {}", list(faults))]
    Settings {
        /// The file, or "settings" for settings given as flags.
        origin: String,
        /// Every fault, in the order of the settings.
        faults: Vec<Fault>,
    },
    /// A settings file that is not TOML.
    #[error("{path}, line {line}: {message}", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The message of the parser.
        message: String,
    },
    /// A file or folder could not be read or written, for example because the disk is full.
    #[error("{path}: cannot {doing}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operation: "write", "read", "create the folder"…
        doing: &'static str,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The run folder already contains a run.
    #[error("{path}: expected a new folder, found {found}", path = path.display())]
    Exists {
        /// The run folder.
        path: PathBuf,
        /// What it contains.
        found: Existing,
    },
    /// The folder contains files that no run writes, so nothing in it is overwritten.
    #[error("{path}: expected a run folder, found {found:?}, which no run writes", path = path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// The first such file name.
        found: String,
    },
    /// Another process is training in the folder.
    #[error("{path}: another process is training in this folder", path = path.display())]
    Locked {
        /// The run folder.
        path: PathBuf,
    },
    /// The folder is not a run folder.
    #[error("{path}: expected a run folder, found no {missing}", path = path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
        /// The file that is missing.
        missing: &'static str,
    },
    /// The run has no MANIFEST.json because it was interrupted or failed.
    #[error("{path}: the run is not complete: it has no MANIFEST.json because it was interrupted or failed", path = path.display())]
    Incomplete {
        /// The run folder.
        path: PathBuf,
    },
    /// The run has no MANIFEST.json yet because a process is still training.
    #[error("{path}: the run is not complete: another process is still training", path = path.display())]
    Running {
        /// The run folder.
        path: PathBuf,
    },
    /// A JSON file that no run could have written.
    #[error("{path}: line {line}: {message}", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was expected or found.
        message: String,
    },
    /// A file was changed since the run wrote it.
    #[error(
        "{path}: the file was changed since the run wrote it: expected SHA-256 {expected}, found {found}",
        path = path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// The hash in the manifest.
        expected: String,
        /// The file's hash.
        found: String,
    },
    /// The run has no adapter of that name.
    #[error("{path}: no adapter {name:?}; the run has {}", known.join(", "))]
    NoAdapter {
        /// The run folder.
        path: PathBuf,
        /// The requested name.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// A split without examples.
    #[error("data: the {split} split has no examples; expected at least 1")]
    NoExamples {
        /// The split's name.
        split: &'static str,
    },
    /// An example that cannot be encoded.
    #[error("{split}: {source}")]
    Example {
        /// The split's name.
        split: &'static str,
        /// Names the example, with what was expected and found.
        source: verdict_answer::prompt::PromptError,
    },
    /// The engine failed.
    #[error("{doing}: {source}")]
    Engine {
        /// The operation, with the step.
        doing: String,
        /// The error of the engine.
        source: EngineError,
    },
    /// An adapter could not be saved.
    #[error("adapter {name}: cannot save to {path}: {source}", path = path.display())]
    Save {
        /// The adapter's name.
        name: String,
        /// The folder.
        path: PathBuf,
        /// The error of the engine.
        source: EngineError,
    },
    /// The loss or gradient of every adapter became NaN or infinite.
    #[error("every adapter diverged: {}", reasons.join("; "))]
    Diverged {
        /// One text per adapter, with its name and the step.
        reasons: Vec<String>,
    },
    /// A checkpoint that cannot be read or does not belong to the run as it is now.
    #[error("{path}: cannot resume from this checkpoint: {reason}", path = path.display())]
    Checkpoint {
        /// The checkpoint's folder.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// Shards that do not form one run.
    #[error("{path}: the shards do not form one run:{}", lines(faults), path = path.display())]
    Shards {
        /// The run folder.
        path: PathBuf,
        /// Every reason.
        faults: Vec<String>,
    },
    /// A run whose shards were not merged.
    #[error("{path}: the shards of the run are not merged yet", path = path.display())]
    Unmerged {
        /// The run folder.
        path: PathBuf,
    },
    /// The run to resume is finished.
    #[error("{path}: expected an interrupted run, found a finished one", path = path.display())]
    Finished {
        /// The run folder.
        path: PathBuf,
    },
    /// The run folder was deleted during training.
    #[error("{path}: the run folder was deleted during training; its adapters are lost", path = path.display())]
    Vanished {
        /// The run folder.
        path: PathBuf,
    },
    /// The caller requested to stop, for example by Ctrl-C.
    #[error("{path}: interrupted after step {step} of {steps}; the run is not complete", path = path.display())]
    Interrupted {
        /// The run folder.
        path: PathBuf,
        /// Optimizer steps done.
        step: usize,
        /// Optimizer steps planned.
        steps: usize,
    },
}

impl Error {
    /// What the user can do about it, if known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Exists {
                path,
                found: Existing::InterruptedRun,
            } => Some(format!(
                "resume it with --resume {}, choose another --out, or add --overwrite",
                path.display()
            )),
            Error::Exists { .. } => Some("choose another --out, or add --overwrite".into()),
            Error::Foreign { .. } => Some("choose another --out".into()),
            Error::Locked { .. } | Error::Running { .. } => {
                Some("wait until that process ends, or stop it".into())
            }
            Error::Incomplete { path } | Error::Interrupted { path, .. } => Some(format!(
                "resume it with `verdict train --resume {}`",
                path.display()
            )),
            Error::Unmerged { path } => Some(format!(
                "when all shards are finished, run `verdict train --merge {}`",
                path.display()
            )),
            Error::Shards { path, .. } => Some(format!(
                "start every missing or unfinished shard again (`verdict train … --shard N/M`, or `verdict train \
                 --resume {} --slurm`), which resumes it from its checkpoint, then merge again",
                path.display()
            )),
            Error::Checkpoint { .. } => Some("train again with --overwrite".into()),
            Error::Changed { .. } => Some(
                "restore the file from a copy, or train again: `verdict train --like RUN` writes the same bytes"
                    .into(),
            ),
            Error::Diverged { .. } => Some("try a lower --lr".into()),
            Error::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some("free some disk space, then resume with --resume".into())
            }
            _ => None,
        }
    }

    /// Whether the error was caused by the user's input (settings, folders, examples) and not by the run.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Error::Settings { .. }
                | Error::Syntax { .. }
                | Error::Exists { .. }
                | Error::Foreign { .. }
                | Error::Locked { .. }
                | Error::NotARun { .. }
                | Error::Incomplete { .. }
                | Error::Running { .. }
                | Error::Checkpoint { .. }
                | Error::Finished { .. }
                | Error::Shards { .. }
                | Error::Unmerged { .. }
                | Error::Json { .. }
                | Error::Changed { .. }
                | Error::NoAdapter { .. }
                | Error::NoExamples { .. }
                | Error::Example { .. }
        )
    }

    /// Adds the file and the operation, which `std::io` leaves out.
    pub(crate) fn io(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io {
            path,
            doing,
            source,
        }
    }
}

fn lines<T: fmt::Display>(faults: &[T]) -> String {
    faults.iter().map(|fault| format!("\n  {fault}")).collect()
}

fn list(faults: &[Fault]) -> String {
    match faults {
        [fault] => fault.to_string(),
        _ => format!("{} faults:{}", faults.len(), lines(faults)),
    }
}
