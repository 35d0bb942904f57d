//! What can go wrong while a run is watched. What is wrong within `events.jsonl` is no error: see [`crate::follow`].

use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A run that cannot be watched, or a file that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A path that is to be a run folder and is none.
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
        /// What was being done: "read", "write"…
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The terminal could not be taken over or drawn on.
    #[error("the terminal: {0}")]
    Terminal(#[source] std::io::Error),
}

impl Error {
    /// What the user may do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Error::Terminal(_) => Some("--plain writes lines instead"),
            Error::NotAFolder { .. } => Some("a run folder is what train was given as --out"),
            Error::Io { .. } => None,
        }
    }

    /// Names the path and what was being done to it.
    pub(crate) fn io(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io {
            path,
            doing,
            source,
        }
    }
}
