//! The search engine's part of an index: opening it, its analysis, and what a commit carries.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tantivy::{IndexReader, ReloadPolicy};

use super::manifest::{Contents, INDEX_VERSION, IndexedFile, SEGMENTS};
use crate::analysis::{self, Analyzer};
use crate::{Error, Result};

/// What a commit carries: what is in it.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Progress {
    pub(super) contents: Contents,
    pub(super) files: Vec<IndexedFile>,
}

/// The search engine's index in an index's folder.
pub(super) fn engine(path: &Path) -> Result<tantivy::Index> {
    tantivy::Index::open_in_dir(path.join(SEGMENTS)).map_err(|error| Error::NotAnIndex {
        path: path.to_owned(),
        version: INDEX_VERSION,
        found: format!("segments that cannot be opened ({error})"),
    })
}

/// Makes the analysis known to the search engine.
pub(super) fn register(index: &mut tantivy::Index) {
    index
        .tokenizers()
        .register(analysis::NAME, Analyzer::default());
}

/// A reader of the last commit.
pub(super) fn reader(index: &tantivy::Index) -> tantivy::Result<IndexReader> {
    index
        .reader_builder()
        .reload_policy(ReloadPolicy::Manual)
        .try_into()
}

/// What the last commit holds; nothing if there is none.
pub(super) fn progress(index: &tantivy::Index) -> tantivy::Result<Progress> {
    let payload = index.load_metas()?.payload;
    let progress = payload
        .map(|payload| serde_json::from_str(&payload))
        .transpose();
    progress.map(Option::unwrap_or_default).map_err(|error| {
        tantivy::TantivyError::InternalError(format!("the payload of the last commit: {error}"))
    })
}
