//! `MANIFEST.json` of an index: where its documents come from. It holds nothing that differs between repetitions.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use verdict_data::new_file_in;

use crate::{Error, FileRecord, Result};

/// Version of the index: of its fields and of this file.
pub const INDEX_VERSION: u32 = 1;

/// The name of the manifest in an index's folder.
pub const MANIFEST: &str = "MANIFEST.json";

/// The folder of the search engine's files within an index's folder.
pub(crate) const SEGMENTS: &str = "segments";

const KIND: &str = "verdict-index";

/// What an index is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexManifest {
    /// Always `verdict-index`.
    pub kind: String,
    /// [`INDEX_VERSION`].
    pub version: u32,
    /// The analysis of text, with its version.
    pub analysis: String,
    /// What is left out.
    pub contents: Contents,
    /// Counts over all documents.
    pub counts: Counts,
    /// The files read, in order.
    pub files: Vec<IndexedFile>,
}

/// Which documents an index takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Retracted publications are left out.
    pub leave_out_retracted: bool,
    /// Publications without an abstract are left out; otherwise they are found by their title.
    pub with_abstract_only: bool,
}

/// Numbers of documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All.
    pub documents: usize,
    /// Retracted.
    pub retracted: usize,
    /// With a correction.
    pub corrected: usize,
    /// With an expression of concern.
    pub concern: usize,
    /// Without an abstract.
    pub without_abstract: usize,
}

/// A file whose changes are in the index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedFile {
    /// The kind of its source with its options (`pubmed`, `pubmedqa-labeled?title=no`).
    pub source: String,
    /// Name, size and hash.
    #[serde(flatten)]
    pub file: FileRecord,
    /// Documents put, new ones and new versions.
    pub put: usize,
    /// Ids deleted.
    pub deleted: usize,
    /// Documents left out by the index's settings.
    pub left_out: usize,
}

impl IndexManifest {
    pub(crate) fn new(
        contents: Contents,
        counts: Counts,
        files: Vec<IndexedFile>,
    ) -> IndexManifest {
        IndexManifest {
            kind: KIND.to_owned(),
            version: INDEX_VERSION,
            analysis: crate::analysis::NAME.to_owned(),
            contents,
            counts,
            files,
        }
    }

    /// Reads the manifest of an index.
    ///
    /// # Errors
    /// The folder is not there, is something else than an index, or one of another version.
    pub fn read(index: &Path) -> Result<IndexManifest> {
        let path = index.join(MANIFEST);
        let other = |found: String| Error::NotAnIndex {
            path: index.to_owned(),
            version: INDEX_VERSION,
            found,
        };
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io(path)(error));
            }
            Err(_) if partial(index).exists() => {
                return Err(Error::Unfinished {
                    path: index.to_owned(),
                });
            }
            Err(error) if !index.exists() => return Err(Error::io(index)(error)),
            Err(_) => return Err(other(format!("a folder without {MANIFEST}"))),
        };
        let value: serde_json::Value = serde_json::from_slice(&text)
            .map_err(|error| other(format!("a {MANIFEST} that is not JSON ({error})")))?;
        if value["kind"] != KIND {
            return Err(other(format!("a {MANIFEST} of something else")));
        }
        if value["version"] != INDEX_VERSION {
            return Err(other(format!("version {}", value["version"])));
        }
        let manifest: IndexManifest = serde_json::from_value(value)
            .map_err(|error| other(format!("a {MANIFEST} that is damaged ({error})")))?;
        match manifest.analysis == crate::analysis::NAME {
            true => Ok(manifest),
            false => Err(other(format!("the analysis {:?}", manifest.analysis))),
        }
    }

    /// Writes the manifest into an index's folder, under a temporary name first.
    pub(crate) fn write(&self, index: &Path) -> Result<()> {
        let path = index.join(MANIFEST);
        let write = || -> std::io::Result<()> {
            let mut file = new_file_in(index)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(Error::io(&path))
    }
}

/// The folder beside `index` in which a new index is made. Its name is fixed, so that an interrupted build is found
/// and continued.
pub(super) fn partial(index: &Path) -> PathBuf {
    let name = index.file_name().unwrap_or_default().to_string_lossy();
    index.with_file_name(format!(".{name}.partial"))
}
