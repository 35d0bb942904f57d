//! How building or reading a data set can fail.

use std::path::{Path, PathBuf};

use crate::{Label, Split};

/// How each kind of source is written, for messages and help.
pub const KINDS: &str = "pubmedqa-labeled:PATH, pubmedqa-artificial:PATH, pubmedqa-unlabeled:PATH, \
     bioasq:PATH, jsonl:PATH, csv:PATH, parquet:PATH, stats:ROWS, clinical";

/// A source, a setting or a finished data set that is not what it should be. The text names file,
/// place, what was expected and what was found.
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
    /// Text that is not JSON, or JSON that breaks off.
    #[error("{path}: line {line}: {message}", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Line in the file, counted from 1.
        line: usize,
        /// What the parser said, with the column.
        message: String,
    },
    /// A file of text that is not in UTF-8.
    #[error("{path}: expected text in UTF-8, found {found}", path = path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// The encoding that it is in.
        found: &'static str,
    },
    /// A field that is missing or holds something else than it should.
    #[error("{path}: {place}: expected {expected}, found {found}", path = path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The row within the file: a line, a PMID or a question's index.
        place: String,
        /// The field and what it should hold.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A column of a Parquet file that is compressed by a codec that is not supported.
    #[error("{path}: column {column:?}: expected no compression, Snappy or gzip, found {found}", path = path.display())]
    Compression {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The codec, as the Parquet format names it.
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
    #[error("source {text:?}: no such kind {kind:?}, expected one of {known}", known = KINDS)]
    UnknownSource {
        /// The source as given.
        text: String,
        /// The part before the colon.
        kind: String,
    },
    /// A source of a known kind with a wrong part after the colon.
    #[error("source {text:?}: expected {expected}, found {found}")]
    SourceArgument {
        /// The source as given.
        text: String,
        /// How such a source is written.
        expected: &'static str,
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
    /// Shards that do not make one build.
    #[error("{path}: expected {expected}, found {found}", path = path.display())]
    Shards {
        /// The shard's folder or file.
        path: PathBuf,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A row that no source has.
    #[error("no row {id:?} in the sources{like}", like = match like {
        Some(like) => format!(", whose first row is {like:?}"),
        None => String::new(),
    })]
    NoSuchRow {
        /// The requested id.
        id: String,
        /// The id of another row, as an example.
        like: Option<String>,
    },
    /// Reading ended because what was read had a fault, which is reported instead.
    #[error("stopped")]
    Stopped,
    /// Rules for cleaning that are not what they should be.
    #[error("{path}: {place}: {message}", path = path.display())]
    Rules {
        /// The file.
        path: PathBuf,
        /// A line, or a key with its pattern.
        place: String,
        /// What is wrong.
        message: String,
    },
    /// A build without any source.
    #[error("no sources: expected at least one of {known}", known = KINDS)]
    NoSources,
    /// A balance of no rows at all.
    #[error("rows per class: expected at least 1, found 0")]
    ZeroRows,
    /// A class that no row of the sources has, so that no balance exists.
    #[error(
        "class {label} is empty: expected rows of every class, found {yes} Yes, {no} No, {uncertain} Uncertain",
        yes = counts[0], no = counts[1], uncertain = counts[2]
    )]
    EmptyClass {
        /// The empty class.
        label: Label,
        /// Rows of each class after cleaning, in the order of [`Label::ALL`].
        counts: [usize; 3],
    },
    /// A class with fewer rows than requested.
    #[error(
        "class {label} has too few rows: expected {requested} per class, found {found} that can be used ({yes} Yes, {no} No, {uncertain} Uncertain after cleaning)",
        yes = counts[0], no = counts[1], uncertain = counts[2]
    )]
    TooFewRows {
        /// The class.
        label: Label,
        /// Rows per class requested.
        requested: usize,
        /// Rows of the class that can be used without breaking a row's pinned split.
        found: usize,
        /// Rows of each class after cleaning, in the order of [`Label::ALL`].
        counts: [usize; 3],
    },
    /// No row of any source was left after cleaning.
    #[error(
        "no rows left: expected questions with answers, found {read} rows, none of which could be used{why}",
        why = because(dropped)
    )]
    NoRows {
        /// Rows read.
        read: usize,
        /// What each rule that dropped rows does, and how many it dropped.
        dropped: Vec<(String, usize)>,
    },
    /// A set of which a split has no rows.
    #[error(
        "the {split} split is empty: expected rows in train, validation and test, found {rows} rows in {groups} group{s}, and a group stays in one split",
        s = if *groups == 1 { "" } else { "s" }
    )]
    EmptySplit {
        /// The split.
        split: Split,
        /// Rows kept.
        rows: usize,
        /// Groups that they form.
        groups: usize,
    },
    /// Another build is making the same folder.
    #[error("{path}: expected a folder that no other build is making, found one that a running build is making", path = path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// The folder to build into already holds something.
    #[error("{path}: expected a new or empty folder, found one with files in it", path = path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that may be overwritten as a data set, but holds something that is none.
    #[error("{path}: expected a data set to overwrite, found {found:?} in it", path = path.display())]
    ForeignFile {
        /// The folder.
        path: PathBuf,
        /// A file that no build wrote.
        found: String,
    },
    /// A folder that is read as a data set, but has no manifest.
    #[error("{path}: expected a finished data set, found no MANIFEST.json", path = path.display())]
    NotFinished {
        /// The folder.
        path: PathBuf,
    },
    /// A file of a data set that is not the one that was built.
    #[error("{path}: expected SHA-256 {expected} as in MANIFEST.json, found {found}: changed since it was built", path = path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// Hash in the manifest.
        expected: String,
        /// Hash of the file.
        found: String,
    },
    /// A data set that is not what its manifest says.
    #[error("{path}: {first}{more}", path = path.display(), first = faults[0], more = match faults.len() {
        1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    })]
    Broken {
        /// Its folder.
        path: PathBuf,
        /// What does not hold, at least one.
        faults: Vec<String>,
    },
}

/// The rules that dropped rows, each with their number.
fn because(dropped: &[(String, usize)]) -> String {
    let rules: Vec<String> = dropped
        .iter()
        .map(|(why, rows)| format!("{rows}: {why}"))
        .collect();
    match rules.is_empty() {
        true => String::new(),
        false => format!(" ({})", rules.join("; ")),
    }
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What to do about it, where there is something better than the text itself. Shown apart from
    /// the error.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Error::EmptyClass { .. } => Some(
                "add a source that has the class (pubmedqa-labeled has all three), or keep the natural labels",
            ),
            Error::TooFewRows { .. } => Some("ask for fewer rows per class, or add a source"),
            Error::EmptySplit { .. } => Some(
                "add rows, or rows that are not tied to others (the same or nearly the same question, rationale, abstract or group ties them), or allow empty splits",
            ),
            Error::Busy { .. } => Some("wait for it to end, or choose another folder"),
            Error::NoSuchRow { .. } => Some(
                "give the id of a row as the data set has it, or the part after its last colon (a PMID); rows without an id are numbered",
            ),
            Error::Encoding { .. } => Some(
                "save it as UTF-8 (spreadsheets: \"CSV UTF-8\"), or convert it: `iconv -f UTF-16 -t UTF-8 FILE > NEW`",
            ),
            Error::Compression { .. } => Some(
                "rewrite it with pyarrow: `python -c \"import pyarrow.parquet as p; p.write_table(p.read_table('FILE'), 'NEW', compression='snappy')\"`",
            ),
            Error::NotEmpty { .. } => Some("choose another folder, or allow overwriting"),
            Error::NotFinished { .. } => Some("a build writes the manifest last; build it again"),
            Error::Changed { .. } => {
                Some("build it again, or give the edited rows as a jsonl source")
            }
            _ => None,
        }
    }

    /// The parser's error with its file and line; `first_line` is the line at which the parsed text begins.
    pub(crate) fn json(path: &Path, first_line: usize, error: &serde_json::Error) -> Error {
        // The parser's text ends with "at line L column C"; here the line comes first.
        let text = error.to_string();
        let message = text.split(" at line ").next().unwrap_or(&text);
        Error::Json {
            path: path.to_owned(),
            line: first_line + error.line().max(1) - 1,
            message: format!("column {}: {message}", error.column()),
        }
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io { path, source }
    }
}
