//! Literature as [`Document`]s, their search index, and the passages that answers rest on.
//!
//! An answer cites nothing of its own accord: a citation is the id of a document that was found in the index, and is
//! shown beside the answer with the sentence that decided.

pub mod analysis;
mod document;
mod error;
mod index;
mod passage;
mod query;
pub mod retrieve;
mod search;
mod source;
mod sources;

pub use document::{Document, Notice, NoticeKind, Section, SectionKind};
pub use error::{Error, KINDS, Result};
pub use index::{
    Contents, Counts, INDEX_VERSION, Index, IndexManifest, IndexSettings, IndexWriter, IndexedFile,
    MANIFEST, SourceRead,
};
pub use passage::{Conclusions, passage};
pub use query::{Filters, Hit, SearchQuery};
pub use retrieve::{Evidence, QuestionSource, RetrievalSettings};
pub use search::Ranking;
pub use source::{DocumentColumns, LiteratureSource, SourceKind};
pub use sources::{Change, Emit, FileRecord, Md5Check, file_record, read_pubmed_xml};
