//! What readers hand on: pieces of rows, and how they were to be read.

use std::path::Path;

use crate::{RawItem, Result};

/// Rows of a piece, at most.
pub(super) const ROWS: usize = 256;

/// The rows of a piece.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) rows: Vec<RawItem>,
    /// Rows that are not ours by kind: BioASQ questions that ask for something else than yes or no.
    pub(crate) passed_over: usize,
}

/// Some rows of a source, still to be taken apart.
pub(crate) type Piece = Box<dyn FnOnce() -> Result<Rows> + Send>;

/// Takes the pieces of a source in order; its error ends the reading.
pub(crate) type Emit<'a> = dyn FnMut(Piece) -> Result<()> + 'a;

/// What readers have to know beside the source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// For generated rows.
    pub(crate) seed: u64,
    /// Rows of PubMedQA and BioASQ carry their abstract.
    pub(crate) contexts: bool,
    /// A row without a rationale is an error. Benchmarks need none: rationales are not scored.
    pub(crate) rationales: bool,
}

/// The last part of a path. The manifest holds no folders: the same files give the same manifest
/// wherever they lie.
pub(super) fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}
