//! How training can fail. Each text names what was done, where, what was expected and what was found.

use std::fmt;
use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an engine says when it fails; the engine's own text is shown as it is.
pub type EngineError = Box<dyn std::error::Error + Send + Sync>;

/// One wrong setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The setting's key.
    pub key: String,
    /// What was expected and what was found.
    pub text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.text)
    }
}

/// A training run that could not start or did not finish, or a run folder that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Settings that cannot be used; every fault is listed.
    #[error("{origin}: {}", list(faults))]
    Settings {
        /// The file, or "settings" where they came from flags.
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
        /// What the parser said.
        message: String,
    },
    /// A file or folder could not be read or written (a full disk among the reasons).
    #[error("{path}: cannot {doing}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was being done: "write", "read", "create the folder"…
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The run folder holds a run already.
    #[error("{path}: expected a new folder, found {found}", path = path.display())]
    Exists {
        /// The run folder.
        path: PathBuf,
        /// What it holds: a finished run or an interrupted one.
        found: &'static str,
    },
    /// The folder holds files that no run wrote, so nothing in it is overwritten.
    #[error("{path}: expected a run folder, found {found:?}, which no run writes", path = path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// The first such name.
        found: String,
    },
    /// Another process trains in the folder.
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
    /// The run has no MANIFEST.json: it was interrupted.
    #[error("{path}: the run is not complete: no MANIFEST.json (it was interrupted or failed)", path = path.display())]
    Incomplete {
        /// The run folder.
        path: PathBuf,
    },
    /// The run has no MANIFEST.json yet: a process is at it.
    #[error("{path}: the run is not complete: another process is still training", path = path.display())]
    Running {
        /// The run folder.
        path: PathBuf,
    },
    /// A JSON file that is not what a run writes.
    #[error("{path}: line {line}: {message}", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was expected or found.
        message: String,
    },
    /// A file of the run is not what the run wrote.
    #[error(
        "{path}: the file is not what the run wrote: expected SHA-256 {expected}, found {found}; \
         restore it from a copy, or train again: `verdict train --like RUN` makes the same bytes",
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
        /// The name asked for.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// A split without rows.
    #[error("data: the {split} split has no rows; expected at least 1")]
    NoRows {
        /// The split's name.
        split: &'static str,
    },
    /// A row that cannot be encoded.
    #[error("{split}: {source}")]
    Row {
        /// The split's name.
        split: &'static str,
        /// Names the row, with what was expected and found.
        source: verdict_answer::prompt::PromptError,
    },
    /// The engine failed.
    #[error("{doing}: {source}")]
    Engine {
        /// What was being done, with the step.
        doing: String,
        /// What the engine said.
        source: EngineError,
    },
    /// An adapter could not be saved.
    #[error("adapter {name}: cannot save to {path}: {source}", path = path.display())]
    Save {
        /// The member's name.
        name: String,
        /// The folder.
        path: PathBuf,
        /// What the engine said.
        source: EngineError,
    },
    /// Every member's loss became NaN or infinite.
    #[error("every adapter diverged: {}", reasons.join("; "))]
    Diverged {
        /// One text per member, with name and step.
        reasons: Vec<String>,
    },
    /// A checkpoint that does not fit the run, or the run's files.
    #[error("{path}: cannot go on from this checkpoint: {reason}", path = path.display())]
    Checkpoint {
        /// The checkpoint's folder.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// Shards that do not make one run.
    #[error("{path}: the shards do not make one run:{}", lines(faults), path = path.display())]
    Shards {
        /// The run folder.
        path: PathBuf,
        /// Every reason.
        faults: Vec<String>,
    },
    /// A run in shards that were not merged.
    #[error("{path}: the run is in shards, which are not merged", path = path.display())]
    Unmerged {
        /// The run folder.
        path: PathBuf,
    },
    /// The run to go on with is finished.
    #[error("{path}: expected an interrupted run, found a finished one", path = path.display())]
    Finished {
        /// The run folder.
        path: PathBuf,
    },
    /// The run folder was taken away while a process trained in it.
    #[error("{path}: the run folder is gone, so training stops; what was trained is lost", path = path.display())]
    Vanished {
        /// The run folder.
        path: PathBuf,
    },
    /// The caller asked to stop (Ctrl-C).
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
    /// What the user can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Exists {
                path,
                found: "an interrupted run",
            } => Some(format!(
                "go on with --resume {}, choose another --out, or add --overwrite",
                path.display()
            )),
            Error::Exists { .. } => Some("choose another --out, or add --overwrite".into()),
            Error::Foreign { .. } => Some("choose another --out".into()),
            Error::Locked { .. } | Error::Running { .. } => {
                Some("wait until it ends, or stop it".into())
            }
            Error::Incomplete { path } | Error::Interrupted { path, .. } => Some(format!(
                "go on with `verdict train --resume {}`",
                path.display()
            )),
            Error::Unmerged { path } => Some(format!(
                "once they are finished, `verdict train --merge {}`",
                path.display()
            )),
            Error::Shards { path, .. } => Some(format!(
                "start every missing or unfinished shard again (`verdict train … --shard N/M`, or `verdict train \
                 --resume {} --slurm`): it goes on from its checkpoint; then merge",
                path.display()
            )),
            Error::Checkpoint { .. } => Some("train again with --overwrite".into()),
            Error::Diverged { .. } => Some("try a lower --lr".into()),
            Error::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some("free some disk space, then go on with --resume".into())
            }
            _ => None,
        }
    }

    /// Whether the fault lies in what the user gave (settings, folders, rows) and not in the run.
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
                | Error::NoRows { .. }
                | Error::Row { .. }
        )
    }

    /// Names the file that `std::io` leaves out.
    pub(crate) fn io(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io {
            path,
            doing,
            source,
        }
    }
}

fn lines(faults: &[String]) -> String {
    faults.iter().map(|fault| format!("\n  {fault}")).collect()
}

fn list(faults: &[Fault]) -> String {
    match faults {
        [fault] => fault.to_string(),
        _ => {
            let lines: Vec<String> = faults.iter().map(|fault| format!("\n  {fault}")).collect();
            format!("{} faults:{}", faults.len(), lines.concat())
        }
    }
}
