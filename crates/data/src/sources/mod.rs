//! Readers: one file per kind of source, each from bytes to raw rows.

mod bioasq;
mod clinical;
mod fields;
mod jsonl;
mod pubmedqa;
mod stats;

use std::path::{Path, PathBuf};

pub(crate) use fields::kind;

use crate::digest::sha256;
use crate::{Error, RawItem, Result, Source};

/// A file that was read, for the manifest.
pub(crate) struct ReadFile {
    pub(crate) name: String,
    pub(crate) sha256: String,
    pub(crate) bytes: usize,
}

/// Everything that one source gave.
pub(crate) struct Reading {
    pub(crate) rows: Vec<RawItem>,
    /// Rows that are not ours by kind: BioASQ questions that ask for something else than yes or no.
    pub(crate) passed_over: usize,
    pub(crate) files: Vec<ReadFile>,
}

/// Reads one source. With `contexts` the rows of PubMedQA and BioASQ carry their abstract; the seed
/// is for generated rows.
pub(crate) fn read(source: &Source, seed: u64, contexts: bool) -> Result<Reading> {
    let kind = source.kind();
    match source {
        Source::PubmedqaLabeled(path) | Source::PubmedqaArtificial(path) => {
            let bytes = std::fs::read(path).map_err(Error::io(path))?;
            // Half a gigabyte takes as long to hash as to take apart.
            let (file, rows) = rayon::join(
                || ReadFile::of(path, &bytes),
                || pubmedqa::parse(path, &bytes, kind, contexts),
            );
            Ok(Reading {
                rows: rows?,
                passed_over: 0,
                files: vec![file],
            })
        }
        Source::Bioasq(path) => {
            let mut reading = Reading {
                rows: Vec::new(),
                passed_over: 0,
                files: Vec::new(),
            };
            for path in bioasq::files(path)? {
                let (bytes, file) = read_file(&path)?;
                let (rows, passed_over) = bioasq::parse(&path, &bytes, contexts)?;
                reading.rows.extend(rows);
                reading.passed_over += passed_over;
                reading.files.push(file);
            }
            Ok(reading)
        }
        Source::Jsonl(path) => {
            let (bytes, file) = read_file(path)?;
            let rows = jsonl::parse(path, &bytes)?;
            Ok(Reading {
                rows,
                passed_over: 0,
                files: vec![file],
            })
        }
        Source::Stats(rows) => Ok(Reading {
            rows: stats::stats(*rows, seed),
            passed_over: 0,
            files: Vec::new(),
        }),
        Source::Clinical => Ok(Reading {
            rows: clinical::clinical(),
            passed_over: 0,
            files: Vec::new(),
        }),
    }
}

fn read_file(path: &Path) -> Result<(Vec<u8>, ReadFile)> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let file = ReadFile::of(path, &bytes);
    Ok((bytes, file))
}

impl ReadFile {
    fn of(path: &Path, bytes: &[u8]) -> Self {
        ReadFile {
            name: file_name(path),
            sha256: sha256(bytes),
            bytes: bytes.len(),
        }
    }
}

/// The last part of a path. The manifest holds no folders: the same files give the same manifest
/// wherever they lie.
fn file_name(path: &Path) -> String {
    let name: PathBuf = path
        .file_name()
        .map(PathBuf::from)
        .unwrap_or_else(|| path.to_path_buf());
    name.to_string_lossy().into_owned()
}
