//! How reading literature, indexing it and searching it can fail.

use std::path::PathBuf;

/// How each kind of source is written, for messages and help.
pub const KINDS: &str = "pubmed:PATH, pubmedqa-labeled:PATH, pubmedqa-artificial:PATH, pubmedqa-unlabeled:PATH, \
     bioasq:PATH, jsonl:PATH, csv:PATH, parquet:PATH";

/// A source, an index or a query that is not what it should be. The text names file, place, what was expected and what
/// was found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A field that is missing or holds something else than it should.
    #[error("{path}: {place}: expected {expected}, found {found}", path = path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The record within the file: a PMID, a line or a row.
        place: String,
        /// The field and what it should hold.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A file that is not XML, or XML that breaks off.
    #[error("{path}: {place}: {message}", path = path.display())]
    Xml {
        /// The file.
        path: PathBuf,
        /// The article with its PMID where it is known, and the byte of the unpacked XML, counted from 0.
        place: String,
        /// What is wrong.
        message: String,
    },
    /// A gzipped file that cannot be unpacked to its end.
    #[error("{path}: expected a whole gzip file, found {found}", path = path.display())]
    Gzip {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        found: String,
    },
    /// A file that is not the one whose MD5 sum lies beside it.
    #[error("{path}: expected MD5 {expected} as in {path}.md5, found {found}", path = path.display())]
    Digest {
        /// The file.
        path: PathBuf,
        /// The sum in the file beside it.
        expected: String,
        /// The sum of the file.
        found: String,
    },
    /// A folder given as a source holds no file that could be read as one.
    #[error("{path}: expected {expected}, found none", path = path.display())]
    NoFiles {
        /// The folder.
        path: PathBuf,
        /// The files looked for.
        expected: &'static str,
    },
    /// A source's kind that does not exist.
    #[error("source {text:?}: no such kind {kind:?}, {meant}expected one of {known}", known = KINDS, meant = match meant {
        Some(meant) => format!("did you mean {meant}? "),
        None => String::new(),
    })]
    UnknownSource {
        /// The source as given.
        text: String,
        /// The part before the colon.
        kind: String,
        /// What was probably meant.
        meant: Option<String>,
    },
    /// A source of a known kind with a wrong part after the colon.
    #[error("source {text:?}: expected {expected}, found {found}")]
    SourceArgument {
        /// The source as given.
        text: String,
        /// How such a source is written.
        expected: String,
        /// What follows the kind.
        found: String,
    },
    /// A source with something wrong behind its question mark.
    #[error("source {text:?}: expected {expected}, found {found:?}")]
    SourceOption {
        /// The source as given.
        text: String,
        /// What is allowed there.
        expected: String,
        /// The option.
        found: String,
    },
    /// A folder that is not an index of this version.
    #[error("{path}: expected an index of version {version}, found {found}", path = path.display())]
    NotAnIndex {
        /// The folder.
        path: PathBuf,
        /// The version that is read and written here.
        version: u32,
        /// What is there.
        found: String,
    },
    /// An index whose build or update was interrupted or is still running.
    #[error("{path}: expected a finished index, found one of which a build or update is unfinished", path = path.display())]
    Unfinished {
        /// The index.
        path: PathBuf,
    },
    /// A new index at a place that is taken.
    #[error("{path}: expected a new folder, found an existing one", path = path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// Another process builds or updates the index.
    #[error("{path}: another process is writing this index", path = path.display())]
    Busy {
        /// The index.
        path: PathBuf,
    },
    /// The search engine failed: it could not read or write its files.
    #[error("{path}: {source}", path = path.display())]
    Engine {
        /// The index.
        path: PathBuf,
        /// What it said.
        source: tantivy::TantivyError,
    },
    /// A setting of an index that cannot be.
    #[error("{setting}: expected {expected}, found {found}")]
    IndexSetting {
        /// The setting.
        setting: &'static str,
        /// What is possible.
        expected: String,
        /// What was given.
        found: String,
    },
    /// Reading was stopped by the code that takes the changes.
    #[error("stopped")]
    Stopped,
    /// A file that the data set's readers could not read.
    #[error(transparent)]
    Data(#[from] verdict_data::Error),
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// What to do about it, where there is something better than the text itself. Shown apart from the error.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Error::Digest { .. } | Error::Gzip { .. } => {
                Some("download the file and its .md5 again")
            }
            Error::NotAnIndex { .. } => {
                Some("`verdict index --source KIND:PATH --out INDEX` builds an index")
            }
            Error::Unfinished { .. } => {
                Some("run the same `verdict index` command again: it continues where it stopped")
            }
            Error::Exists { .. } => Some(
                "choose another --out, add --update to read new files into the index, or --overwrite to replace it",
            ),
            Error::Busy { .. } => Some("wait until it has finished"),
            Error::Data(error) => error.hint(),
            _ => None,
        }
    }

    pub(crate) fn engine(path: impl Into<PathBuf>) -> impl FnOnce(tantivy::TantivyError) -> Error {
        let path = path.into();
        move |source| match source {
            tantivy::TantivyError::LockFailure(..) => Error::Busy { path },
            source => Error::Engine { path, source },
        }
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io { path, source }
    }
}
