//! BioASQ's snippets: what experts marked in abstracts as the answer to a question. Questions of all types are read, and
//! the snippets of one abstract, whatever question or file they are of, make one document. An abstract that a question
//! cites without a snippet has no text here, and is left out.
//!
//! Source: Tsatsaronis et al., "An overview of the BIOASQ large-scale biomedical semantic indexing and question answering
//! competition", BMC Bioinformatics 16, 2015.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use verdict_data::blanks;
use verdict_data::records::{self, Row, Shape};

use super::change::{Change, Emit};
use super::files::FileRecord;
use crate::{Document, Result, Section, SectionKind, SourceKind};

/// The snippets of an abstract.
#[derive(Default)]
struct Snippets {
    /// The longest one of the title.
    title: String,
    /// Those of the abstract: where each begins, and its text.
    texts: Vec<(u64, String)>,
}

/// Abstracts by their PMIDs, in the order in which they are cited first.
#[derive(Default)]
struct Abstracts {
    places: HashMap<String, usize>,
    all: Vec<(String, Snippets)>,
}

/// Reads the files together.
pub(super) fn read(files: &[PathBuf], emit: &mut Emit<'_>) -> Result<Vec<FileRecord>> {
    let mut abstracts = Abstracts::default();
    let read = |path: &PathBuf| abstracts.read(path);
    let records = files.iter().map(read).collect::<Result<_>>()?;
    for (id, snippets) in abstracts.all {
        emit(Change::Put(Box::new(snippets.document(id))))?;
    }
    Ok(records)
}

impl Abstracts {
    fn read(&mut self, path: &Path) -> Result<FileRecord> {
        let record =
            records::json_entries(path, Shape::List("questions"), |entry| -> Result<()> {
                let object = entry.object()?;
                let question = match object["id"].as_str() {
                    Some(id) => format!("question {} (id {})", entry.index, id.escape_debug()),
                    None => format!("question {}", entry.index),
                };
                let row = Row {
                    path,
                    place: question,
                    object: &object,
                };
                self.question(&row)
            })?;
        Ok(record.into())
    }

    fn question(&mut self, row: &Row<'_>) -> Result<()> {
        let list = match &row.object["snippets"] {
            Value::Null => return Ok(()),
            Value::Array(list) => list,
            other => {
                let expected = "field \"snippets\" as a list".into();
                return Err(row.fault(expected, records::kind(other)).into());
            }
        };
        for (index, object) in list.iter().enumerate() {
            let snippet = Row {
                path: row.path,
                place: format!("{}, snippet {index}", row.place),
                object,
            };
            let text = blanks(snippet.text("text")?);
            let address = snippet.text("document")?;
            // Addresses that are not of PubMed have no PMID.
            let Some(key) = records::document(address).filter(|_| !text.is_empty()) else {
                continue;
            };
            let pmid = key.trim_start_matches("pmid:").to_owned();
            let snippets = self.of(pmid);
            let title = snippet.optional_text("beginSection")? == Some("title");
            match title {
                true if text.len() > snippets.title.len() => snippets.title = text,
                true => {}
                false => {
                    let begin = object["offsetInBeginSection"].as_u64();
                    snippets.texts.push((begin.unwrap_or(u64::MAX), text));
                }
            }
        }
        Ok(())
    }

    fn of(&mut self, pmid: String) -> &mut Snippets {
        let place = *self.places.entry(pmid).or_insert_with_key(|pmid| {
            self.all.push((pmid.clone(), Snippets::default()));
            self.all.len() - 1
        });
        &mut self.all[place].1
    }
}

impl Snippets {
    /// The snippets in the order of the abstract, without those that another one contains.
    fn document(mut self, id: String) -> Document {
        // Longer ones first where several begin at one place, then equal ones beside each other.
        self.texts.sort_by(|(a, first), (b, second)| {
            (a, second.len(), first).cmp(&(b, first.len(), second))
        });
        self.texts.dedup();
        let contained = |at: usize| {
            let text = &self.texts[at].1;
            let others = self.texts.iter().enumerate();
            others.into_iter().any(|(other, (_, of))| {
                // Of two that are the same the first one stays.
                let longer = of.len() > text.len() || (of.len() == text.len() && other < at);
                other != at && longer && of.contains(text.as_str())
            })
        };
        let kept = (0..self.texts.len()).filter(|&at| !contained(at));
        let texts: Vec<&str> = kept.map(|at| self.texts[at].1.as_str()).collect();
        let text = texts.join(" ");
        let section = Section {
            label: None,
            kind: SectionKind::Other,
            text,
        };
        Document {
            id,
            title: self.title,
            sections: match section.text.is_empty() {
                true => Vec::new(),
                false => vec![section],
            },
            source: SourceKind::Bioasq.name().into(),
            ..Document::default()
        }
    }
}
