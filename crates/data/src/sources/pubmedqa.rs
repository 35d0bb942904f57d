//! PubMedQA as published: one JSON object, keyed by PMID, the same layout for the expert-labelled
//! part (PQA-L), the artificial one (PQA-A) and the unlabelled one (PQA-U), whose rows have no
//! `final_decision`.
//!
//! Source: Jin, Dhingra, Liu, Cohen and Lu, "PubMedQA: A Dataset for Biomedical Research Question
//! Answering", EMNLP 2019.

use std::borrow::Cow;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::cut::{self, JsonEntry, Shape};
use super::fields::Row;
use super::piece::{Emit, Reading, Rows};
use crate::manifest::FileRecord;
use crate::normal::abstract_key;
use crate::{Error, Label, RawItem, Result, Source};

/// Reads a file.
pub(super) fn read(
    path: &Path,
    source: &'static str,
    reading: Reading,
    emit: &mut Emit<'_>,
) -> Result<FileRecord> {
    let row = move |cut: &JsonEntry<'_>, rows: &mut Rows| {
        let pmid = cut.key.as_deref().unwrap_or_default();
        if pmid == "questions" && cut.text.starts_with(b"[") {
            return Err(Error::Field {
                path: cut.path.to_owned(),
                place: "top level".into(),
                expected: "PubMedQA's rows keyed by PMID".into(),
                found: "a list of \"questions\" as in BioASQ's files; give those as bioasq:PATH"
                    .into(),
            });
        }
        let row = match serde_json::from_slice::<Published<'_>>(cut.text) {
            Ok(row) => row,
            Err(error) => return Err(fault(cut, pmid, source, &error)),
        };
        let label = match (&row.final_decision, Source::labels(source)) {
            (Some(Text(text)), true) => match Label::parse(text) {
                Some(label) => Some(label),
                None => {
                    return Err(field(cut, pmid, &|row| {
                        row.label("final_decision", text).err()
                    }));
                }
            },
            (None, true) => {
                return Err(field(cut, pmid, &|row| row.text("final_decision").err()));
            }
            (_, false) => None,
        };
        if reading.rationales && row.long_answer.is_none() {
            return Err(field(cut, pmid, &|row| row.text("LONG_ANSWER").err()));
        }
        rows.rows
            .push(row.item(pmid, label, source, reading.contexts));
        Ok(())
    };
    cut::read(path, Shape::Object, row, emit)
}

/// A text that is borrowed from the file where nothing in it is escaped.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A row as it is published; other fields are passed over.
#[derive(Deserialize)]
struct Published<'a> {
    #[serde(borrow, rename = "QUESTION")]
    question: Text<'a>,
    #[serde(borrow, rename = "CONTEXTS", default)]
    contexts: Option<Vec<Text<'a>>>,
    #[serde(borrow, rename = "LABELS", default)]
    labels: Option<Vec<Text<'a>>>,
    #[serde(borrow, rename = "MESHES", default)]
    meshes: Option<Vec<Text<'a>>>,
    #[serde(borrow, rename = "YEAR", default)]
    year: Option<Year<'a>>,
    #[serde(borrow, rename = "LONG_ANSWER", default)]
    long_answer: Option<Text<'a>>,
    #[serde(borrow, default)]
    final_decision: Option<Text<'a>>,
}

/// A year, in quotes or without.
#[derive(Deserialize)]
#[serde(untagged)]
enum Year<'a> {
    Number(u16),
    #[serde(borrow)]
    Text(Cow<'a, str>),
}

impl Published<'_> {
    fn item(
        self,
        pmid: &str,
        label: Option<Label>,
        source: &'static str,
        contexts: bool,
    ) -> RawItem {
        let texts = |list: Option<Vec<Text<'_>>>| -> Vec<String> {
            let list = list.unwrap_or_default().into_iter();
            list.map(|text| text.0.into_owned()).collect()
        };
        let year = self.year.and_then(|year| match year {
            Year::Number(year) => Some(year),
            Year::Text(text) => text.trim().parse().ok(),
        });
        let sections = texts(self.contexts);
        item(
            Parts {
                pmid,
                question: self.question.0.into_owned(),
                label,
                answer: self
                    .long_answer
                    .map(|text| text.0.into_owned())
                    .unwrap_or_default(),
                results_from: results_from(&texts(self.labels), &sections),
                body: sections.join(" "),
                year,
                mesh: texts(self.meshes),
            },
            source,
            contexts,
        )
    }
}

/// What a row of PubMedQA holds, whatever its file's layout.
pub(super) struct Parts<'a> {
    pub(super) pmid: &'a str,
    pub(super) question: String,
    pub(super) label: Option<Label>,
    pub(super) answer: String,
    pub(super) body: String,
    /// Where the results begin in the body.
    pub(super) results_from: Option<usize>,
    pub(super) year: Option<u16>,
    pub(super) mesh: Vec<String>,
}

/// The raw row.
pub(super) fn item(parts: Parts<'_>, source: &'static str, contexts: bool) -> RawItem {
    let mut group = vec![format!("pmid:{}", parts.pmid)];
    group.extend(abstract_key(&parts.body));
    let context = (contexts && !parts.body.trim().is_empty()).then_some(parts.body);
    let results_from = parts.results_from.filter(|_| context.is_some());
    RawItem {
        id: format!("{source}:{}", parts.pmid),
        question: parts.question,
        label: parts.label,
        answer: parts.answer,
        source,
        group,
        context,
        split: None,
        year: parts.year,
        mesh: parts.mesh,
        results_from,
    }
}

/// Where the first section with results begins in the sections joined by spaces; none where nothing precedes it, or a
/// section that may hold results too.
fn results_from(labels: &[String], sections: &[String]) -> Option<usize> {
    let is = |label: &str, words: &[&str]| words.iter().any(|word| label.contains(word));
    let results = labels
        .iter()
        .position(|label| is(label, &["RESULT", "FINDING"]))?;
    let before = sections.get(..results)?;
    let open = ["DISCUSSION", "CONCLUSION", "UNLABELLED", "COMMENT"];
    let clear = labels[..results].iter().all(|label| !is(label, &open));
    let bytes = before.iter().map(|text| text.len() + 1).sum();
    (clear && labels.len() == sections.len() && bytes > 1).then_some(bytes)
}

/// What is wrong with a row that could not be read: a field, or the JSON itself.
fn fault(cut: &JsonEntry<'_>, pmid: &str, source: &str, error: &serde_json::Error) -> Error {
    match error.classify() {
        serde_json::error::Category::Data => field(cut, pmid, &|row| {
            let labels = Source::labels(source).then(|| row.text("final_decision").err());
            let year = match &row.object["YEAR"] {
                Value::Null | Value::Number(_) => None,
                _ => row.text("YEAR").err(),
            };
            row.text("QUESTION")
                .err()
                .or(labels.flatten())
                .or(row.text("LONG_ANSWER").err())
                .or(row.texts("CONTEXTS").err())
                .or(row.texts("MESHES").err())
                .or(year)
        }),
        _ => cut.fault(error),
    }
}

/// The fault that `look` finds in a row.
fn field(cut: &JsonEntry<'_>, pmid: &str, look: &dyn Fn(&Row<'_>) -> Option<Error>) -> Error {
    match serde_json::from_slice::<Value>(cut.text) {
        Err(error) => cut.fault(&error),
        Ok(object) => {
            let row = Row {
                path: cut.path,
                place: format!("PMID {}", pmid.escape_debug()),
                object: &object,
            };
            look(&row).unwrap_or_else(|| row.other())
        }
    }
}
