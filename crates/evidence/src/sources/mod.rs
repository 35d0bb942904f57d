//! Readers: one file per layout of a source, each from bytes to changes of an index, one record at a time.
//!
//! The order of the changes is that of the files, whatever the number of threads. The readers of PubMedQA, BioASQ and
//! own rows are those of the data set.

mod bioasq;
mod change;
mod files;
mod md5;
mod pubmed;
mod pubmedqa;
mod table;
mod unpacked;

use std::path::{Path, PathBuf};

use verdict_data::records;

pub use change::{Change, Emit};
pub use files::{FileRecord, Md5Check, file_record};

use crate::{LiteratureSource, Result, SourceKind};

impl LiteratureSource {
    /// The files of the source in the order in which they apply: a file alone, or those of a folder by their names.
    /// Files of PubMed come by year and number, so that each is followed by its updates; those in the folders `baseline`
    /// and `updatefiles` of the folder are taken too.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io), and [`Error::NoFiles`](crate::Error::NoFiles) for a folder without such a file.
    pub fn files(&self) -> Result<Vec<PathBuf>> {
        let list = |endings: &[&str], expected| Ok(records::files(self.path(), endings, expected)?);
        match self.kind {
            SourceKind::Pubmed => files::pubmed(self.path()),
            SourceKind::PubmedqaLabeled
            | SourceKind::PubmedqaArtificial
            | SourceKind::PubmedqaUnlabeled => {
                list(&["json", "parquet"], "PubMedQA files (*.json, *.parquet)")
            }
            SourceKind::Bioasq => list(&["json"], "BioASQ golden files (*.json)"),
            SourceKind::Jsonl => list(&["jsonl"], "JSON lines (*.jsonl)"),
            SourceKind::Csv => list(&["csv", "tsv"], "tables (*.csv, *.tsv)"),
            SourceKind::Parquet => list(&["parquet"], "Parquet files (*.parquet)"),
        }
    }

    /// Reads some of the source's [`files`](LiteratureSource::files), in the order given, and returns their records. In
    /// memory are a record and a few hundred kilobytes of its file; of `bioasq`, where snippets of a document are spread
    /// over questions, the documents of all files, which are emitted at the end.
    ///
    /// A file of PubMed is compared with its MD5 sum before its first change is emitted; after an error elsewhere the
    /// changes before it have been.
    ///
    /// # Errors
    /// Every fault of a file, with its place, and those of `emit`.
    pub fn read_files(&self, files: &[PathBuf], emit: &mut Emit<'_>) -> Result<Vec<FileRecord>> {
        let read = |path: &PathBuf| -> Result<FileRecord> {
            match self.kind {
                SourceKind::Pubmed => pubmed::read(path, emit),
                SourceKind::Bioasq => unreachable!("read together below"),
                SourceKind::Jsonl | SourceKind::Csv | SourceKind::Parquet => {
                    table::read(path, self.kind, &self.columns, emit)
                }
                _ => pubmedqa::read(path, self.kind.name(), self.titles, emit),
            }
        };
        match self.kind {
            SourceKind::Bioasq => bioasq::read(files, emit),
            _ => files.iter().map(read).collect(),
        }
    }

    /// Reads all files of the source; see [`read_files`](LiteratureSource::read_files).
    ///
    /// # Errors
    /// Every fault of a file, with its place, and those of `emit`.
    pub fn read(&self, emit: &mut Emit<'_>) -> Result<Vec<FileRecord>> {
        self.read_files(&self.files()?, emit)
    }
}

/// Reads `xml` as the content of a PubMed file that lies at `path`, which is named in errors and not opened.
///
/// # Errors
/// Every fault of the file, with its place, and those of `emit`.
pub fn read_pubmed_xml(path: &Path, xml: impl std::io::BufRead, emit: &mut Emit<'_>) -> Result<()> {
    pubmed::read_xml(path, xml, emit)
}
