//! The index on disk: a folder with the search engine's files and a manifest.
//!
//! ```text
//! INDEX/MANIFEST.json   where the documents come from; written last
//! INDEX/segments/       tantivy's files
//! ```

mod engine;
mod fields;
mod folder;
mod id_set;
mod manifest;
mod open;
mod read;
mod writer;

pub(crate) use self::fields::{Fields, RETRACTED, exact};
pub use self::manifest::{Contents, Counts, INDEX_VERSION, IndexManifest, IndexedFile, MANIFEST};
pub use self::open::Index;
pub use self::read::SourceRead;
pub use self::writer::{IndexSettings, IndexWriter};
