//! How a file can be wrong: one variant for each way, each naming the file and the place in it.

use std::path::{Path, PathBuf};

/// A file that is not what it should be. The text names file, place, expected and found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The path leads to no model that can be opened.
    #[error("{path}: no model here: expected {expected}, found {found}", path = path.display())]
    NotACheckpoint {
        /// The path given.
        path: PathBuf,
        /// The files of a model.
        expected: &'static str,
        /// What is there instead.
        found: String,
    },
    /// A JSON file does not parse.
    #[error("{path}: not valid JSON: {source}", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The parser's message, with line and column.
        source: serde_json::Error,
    },
    /// A required key is missing.
    #[error("{path}: key `{key}` is missing", path = path.display())]
    MissingKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
    },
    /// A key has a value that is not allowed.
    #[error("{path}: key `{key}`: expected {expected}, found {found}", path = path.display())]
    BadValue {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What is allowed.
        expected: String,
        /// The value.
        found: String,
    },
    /// A decoder family that Verdict does not run.
    #[error("{path}: architecture `{found}` is not supported: expected llama, qwen2 or qwen3", path = path.display())]
    UnknownArchitecture {
        /// The file.
        path: PathBuf,
        /// The family it names.
        found: String,
    },
    /// A model or adapter feature that Verdict does not run.
    #[error("{path}: {setting} is not supported: {reason}", path = path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The setting with its value.
        setting: String,
        /// What Verdict does instead, or what to do about it.
        reason: String,
    },
    /// The file ends before its contents do.
    #[error("{path}: the file is cut short: expected {expected} bytes, found {found}", path = path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes according to its header (or the header's own size).
        expected: u64,
        /// Bytes it has.
        found: u64,
    },
    /// The header is not valid in that format.
    #[error("{path}: not a readable {format} file: {reason}", path = path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// `safetensors` or `GGUF`.
        format: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The index names a file that is not there.
    #[error("{path}: the index names shard `{shard}`, which is not in the folder", path = path.display())]
    MissingShard {
        /// The index.
        path: PathBuf,
        /// File name of the shard.
        shard: String,
    },
    /// The configuration requires a tensor that no file has.
    #[error("{path}: tensor `{name}` is missing", path = path.display())]
    MissingTensor {
        /// The file or folder.
        path: PathBuf,
        /// The tensor's name in that file.
        name: String,
    },
    /// A tensor that does not belong in such a file.
    #[error("{path}: tensor `{name}` does not belong here: expected {expected}", path = path.display())]
    UnexpectedTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Names that belong there.
        expected: &'static str,
    },
    /// The weights have tensors that the configuration does not name.
    #[error(
        "{path}: tensor `{name}`{others} {verb} no part of the model that its configuration describes: {why}; {fix}",
        path = path.display(),
        others = match more { 0 => String::new(), 1 => " and 1 other".to_string(), n => format!(" and {n} others") },
        verb = if *more == 0 { "is" } else { "are" }
    )]
    UnnamedTensors {
        /// The model's folder or file.
        path: PathBuf,
        /// The first of them, by its name in the file.
        name: String,
        /// How many others there are.
        more: usize,
        /// What contradicts it in the configuration.
        why: String,
        /// What to do about it.
        fix: String,
    },
    /// A tensor's shape contradicts the configuration.
    #[error("{path}: tensor `{name}`: expected shape {expected:?}, found {found:?}", path = path.display())]
    WrongShape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Shape by the configuration.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A number format that Verdict cannot decode.
    #[error("{path}: tensor `{name}`: number format {found} is not supported: expected {expected}", path = path.display())]
    UnknownDtype {
        /// The file.
        path: PathBuf,
        /// The tensor, or `?` where the header ends with it.
        name: String,
        /// Number format in the file.
        found: String,
        /// Number formats that Verdict decodes.
        expected: &'static str,
    },
    /// A weight is NaN or infinite.
    #[error("{path}: tensor `{name}`: value {index} is {found}, expected a finite number", path = path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Place in row-major order.
        index: usize,
        /// The value.
        found: f32,
    },
    /// A caller requested rows that a tensor does not have, or gave a buffer of another size.
    #[error(
        "{path}: tensor `{name}` of shape {shape:?}: rows {start}..{end} into {len} numbers do not fit",
        path = path.display()
    )]
    BadRows {
        /// The file or folder.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// First row requested.
        start: usize,
        /// One past the last row requested.
        end: usize,
        /// Length of the buffer.
        len: usize,
    },
    /// The tokenizer cannot be built from what the file says.
    #[error("{path}: tokenizer: {reason}", path = path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
        move |source| Error::Io {
            path: path.to_path_buf(),
            source,
        }
    }

    pub(crate) fn missing_key(path: &Path, key: &str) -> Error {
        Error::MissingKey {
            path: path.to_path_buf(),
            key: key.to_string(),
        }
    }

    pub(crate) fn bad_value(
        path: &Path,
        key: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Error {
        Error::BadValue {
            path: path.to_path_buf(),
            key: key.to_string(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    pub(crate) fn unsupported(
        path: &Path,
        setting: impl Into<String>,
        reason: impl Into<String>,
    ) -> Error {
        Error::Unsupported {
            path: path.to_path_buf(),
            setting: setting.into(),
            reason: reason.into(),
        }
    }

    pub(crate) fn tokenizer(path: &Path, reason: impl ToString) -> Error {
        Error::Tokenizer {
            path: path.to_path_buf(),
            reason: reason.to_string(),
        }
    }
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
