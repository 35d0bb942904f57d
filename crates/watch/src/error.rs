//! The errors of watching runs. Invalid lines in `events.jsonl` are no errors, see [`crate::follow`].

use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A run that cannot be watched, or a file that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A path that is not a run folder.
    #[error("{path}: expected a run folder, found {found}", path = path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
        /// "nothing" or "a file".
        found: &'static str,
    },
    /// A file or folder could not be read or written.
    #[error("{path}: cannot {doing}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operation: "read", "write"…
        doing: &'static str,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The terminal could not be set up or drawn on.
    #[error("the terminal: {0}")]
    Terminal(#[source] std::io::Error),
}

impl Error {
    /// What the user can do about it, if known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Error::Terminal(_) => Some("use --plain to print lines instead"),
            Error::NotAFolder { .. } => Some("give the folder that `verdict train` got as --out"),
            Error::Io { .. } => None,
        }
    }

    /// Adds the path and the operation.
    pub(crate) fn io(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io {
            path,
            doing,
            source,
        }
    }
}
