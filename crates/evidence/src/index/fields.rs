//! The fields of the index, and a publication as an entry.
//!
//! | field | indexed as | for |
//! |---|---|---|
//! | `id` | exact | replacing, deleting, looking up |
//! | `text` | analyzed, with frequencies | ranking: the title, then the sections of the abstract |
//! | `year` | number | filter |
//! | `types`, `mesh` | exact, lower case | filters |
//! | `flags` | exact: `retracted`, `corrected`, `concern`, `no-abstract` | filter, counts |
//! | `document` | stored alone: the [`Document`] as JSON, in LZ4 blocks | what is found |

use tantivy::schema::{
    BytesOptions, FAST, Field, INDEXED, IndexRecordOption, NumericOptions, STRING, Schema,
    TextFieldIndexing, TextOptions,
};
use tantivy::{TantivyDocument, Term};

use crate::{Document, NoticeKind, analysis};

/// The flag of a retracted publication.
pub(crate) const RETRACTED: &str = "retracted";
/// The flag of a corrected publication.
pub(super) const CORRECTED: &str = "corrected";
/// The flag of a publication with an expression of concern.
pub(super) const CONCERN: &str = "concern";
/// The flag of a publication without an abstract.
pub(super) const NO_ABSTRACT: &str = "no-abstract";

/// The fields by name.
#[derive(Clone)]
pub(crate) struct Fields {
    pub(crate) schema: Schema,
    pub(crate) id: Field,
    pub(crate) text: Field,
    pub(crate) year: Field,
    pub(crate) types: Field,
    pub(crate) mesh: Field,
    pub(crate) flags: Field,
    pub(crate) document: Field,
}

impl Fields {
    pub(crate) fn new() -> Fields {
        let analyzed = TextFieldIndexing::default()
            .set_tokenizer(analysis::NAME)
            .set_index_option(IndexRecordOption::WithFreqs);
        let analyzed = TextOptions::default().set_indexing_options(analyzed);
        let mut schema = Schema::builder();
        Fields {
            id: schema.add_text_field("id", STRING),
            text: schema.add_text_field("text", analyzed),
            year: schema.add_u64_field("year", NumericOptions::from(INDEXED | FAST)),
            types: schema.add_text_field("types", STRING),
            mesh: schema.add_text_field("mesh", STRING),
            flags: schema.add_text_field("flags", STRING),
            document: schema.add_bytes_field("document", BytesOptions::default().set_stored()),
            schema: schema.build(),
        }
    }

    /// The term that finds a publication by its id.
    pub(crate) fn of_id(&self, id: &str) -> Term {
        Term::from_field_text(self.id, id)
    }

    /// A publication as an entry.
    pub(super) fn entry(&self, document: &Document) -> Result<TantivyDocument, serde_json::Error> {
        let mut entry = TantivyDocument::default();
        entry.add_text(self.id, &document.id);
        let sections = document
            .sections
            .iter()
            .map(|section| section.text.as_str());
        let texts: Vec<&str> = std::iter::once(document.title.as_str())
            .chain(sections)
            .collect();
        entry.add_text(self.text, texts.join("\n"));
        if let Some(year) = document.year {
            entry.add_u64(self.year, year.into());
        }
        for name in &document.types {
            entry.add_text(self.types, exact(name));
        }
        for heading in &document.mesh {
            entry.add_text(self.mesh, exact(heading));
        }
        for (flag, holds) in [
            (RETRACTED, document.is_retracted()),
            (CORRECTED, has(document, NoticeKind::Corrected)),
            (CONCERN, has(document, NoticeKind::Concern)),
            (NO_ABSTRACT, !has_abstract(document)),
        ] {
            if holds {
                entry.add_text(self.flags, flag);
            }
        }
        entry.add_bytes(self.document, &serde_json::to_vec(document)?);
        Ok(entry)
    }
}

/// The form in which types and headings are compared.
pub(crate) fn exact(name: &str) -> String {
    name.trim().to_lowercase()
}

/// Whether there is text in the abstract.
pub(super) fn has_abstract(document: &Document) -> bool {
    document
        .sections
        .iter()
        .any(|section| !section.text.trim().is_empty())
}

fn has(document: &Document, kind: NoticeKind) -> bool {
    document.notices.iter().any(|notice| notice.kind == kind)
}
