//! Literature as [`Document`]s, their search index, and the passages that answers rest on.
//!
//! An answer cites nothing of its own accord: a citation is the id of a document that was found in the index, and is
//! shown beside the answer with the sentence that decided.

mod document;
mod error;
mod query;
mod source;
mod sources;

pub use document::{Document, Notice, NoticeKind, Section, SectionKind};
pub use error::{Error, KINDS, Result};
pub use query::{Filters, Hit, SearchQuery};
pub use source::{DocumentColumns, LiteratureSource, SourceKind};
pub use sources::{Change, Emit, FileRecord, Md5Check, file_record, read_pubmed_xml};
