//! Opening an index, and looking up its documents.

use std::path::{Path, PathBuf};

use tantivy::collector::TopDocs;
use tantivy::query::TermQuery;
use tantivy::schema::{IndexRecordOption, Value as _};
use tantivy::{DocAddress, Searcher, TantivyDocument};

use super::Fields;
use super::engine::{engine, progress, reader, register};
use super::manifest::{INDEX_VERSION, IndexManifest};
use super::writer::{IndexSettings, IndexWriter};
use crate::{Change, Document, Error, Result};

/// A finished index, open for searching. It shows the state at the time of opening, whatever is written later.
pub struct Index {
    path: PathBuf,
    manifest: IndexManifest,
    pub(crate) fields: Fields,
    pub(crate) searcher: Searcher,
}

impl Index {
    /// Opens a finished index.
    ///
    /// # Errors
    /// There is no index, it is unfinished, of another version, or damaged.
    pub fn open(path: &Path) -> Result<Index> {
        let manifest = IndexManifest::read(path)?;
        let mut index = engine(path)?;
        register(&mut index);
        if progress(&index).map_err(Error::engine(path))?.files != manifest.files {
            return Err(Error::Unfinished {
                path: path.to_owned(),
            });
        }
        Ok(Index {
            searcher: reader(&index).map_err(Error::engine(path))?.searcher(),
            path: path.to_owned(),
            manifest,
            fields: Fields::new(),
        })
    }

    /// Builds an index of these documents, and opens it.
    ///
    /// # Errors
    /// As [`IndexWriter::create`] and [`Index::open`].
    pub fn create(
        path: &Path,
        documents: impl IntoIterator<Item = Document>,
        settings: &IndexSettings,
    ) -> Result<Index> {
        let mut writer = IndexWriter::create(path, settings)?;
        for document in documents {
            writer.apply(Change::Put(Box::new(document)))?;
        }
        writer.finish()?;
        Index::open(path)
    }

    /// The document of an id.
    ///
    /// # Errors
    /// The index is damaged.
    pub fn document(&self, id: &str) -> Result<Option<Document>> {
        let query = TermQuery::new(self.fields.of_id(id), IndexRecordOption::Basic);
        let found = self
            .searcher
            .search(&query, &TopDocs::with_limit(1).order_by_score());
        let found = found.map_err(Error::engine(&self.path))?;
        found.first().map(|&(_, at)| self.stored(at)).transpose()
    }

    /// The number of documents.
    pub fn len(&self) -> usize {
        self.searcher.num_docs() as usize
    }

    /// Whether there is no document.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the documents come from.
    pub fn manifest(&self) -> &IndexManifest {
        &self.manifest
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The document at a place in the index.
    pub(crate) fn stored(&self, at: DocAddress) -> Result<Document> {
        let entry: TantivyDocument = self.searcher.doc(at).map_err(Error::engine(&self.path))?;
        let bytes = entry
            .get_first(self.fields.document)
            .and_then(|value| value.as_bytes());
        serde_json::from_slice(bytes.unwrap_or_default()).map_err(|error| Error::NotAnIndex {
            path: self.path.clone(),
            version: INDEX_VERSION,
            found: format!("a document that is damaged ({error})"),
        })
    }
}
