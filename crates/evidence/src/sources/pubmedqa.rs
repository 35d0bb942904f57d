//! The abstracts of PubMedQA: its rows have them in sections, `CONTEXTS` with their `LABELS`, of which the last, the
//! conclusions, is the `LONG_ANSWER`. The question was made from the title, most often by a question mark alone.
//!
//! Source: Jin, Dhingra, Liu, Cohen and Lu, "PubMedQA: A Dataset for Biomedical Research Question Answering", EMNLP 2019.

use std::path::Path;

use serde_json::{Map, Value};
use verdict_data::blanks;
use verdict_data::records::{self, JsonEntry, Row, Shape};

use super::change::{Change, Emit};
use super::files::FileRecord;
use crate::{Document, Error, Result, Section, SectionKind};

/// Reads a file, JSON keyed by PMID or the hub's Parquet.
pub(super) fn read(
    path: &Path,
    source: &'static str,
    titles: bool,
    emit: &mut Emit<'_>,
) -> Result<FileRecord> {
    let mut put = |row: &Row<'_>, id: &str| {
        let document = document(row, id, source, titles)?;
        emit(Change::Put(Box::new(document)))
    };
    let record = match records::is_parquet(path) {
        true => {
            const COLUMNS: [&str; 4] = ["pubid", "question", "context", "long_answer"];
            records::parquet(path, &COLUMNS, &COLUMNS, |row| -> Result<()> {
                let id = row.word("pubid")?;
                let object = published(row);
                let row = Row {
                    path,
                    place: format!("{} (PMID {id})", row.place),
                    object: &object,
                };
                put(&row, &id)
            })?
        }
        false => records::json_entries(path, Shape::Object, |entry| -> Result<()> {
            let pmid = pmid(entry)?;
            let object = entry.object()?;
            let row = Row {
                path,
                place: format!("PMID {pmid}"),
                object: &object,
            };
            put(&row, &pmid)
        })?,
    };
    Ok(record.into())
}

/// The key of an entry, which must be a PMID.
fn pmid(entry: &JsonEntry<'_>) -> Result<String> {
    let key = entry.key.clone().unwrap_or_default();
    match !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Ok(key),
        false => Err(Error::Field {
            path: entry.path.to_owned(),
            place: format!("row {}", entry.index + 1),
            expected: "a PMID as key".into(),
            found: match key.as_str() {
                "questions" => {
                    "\"questions\" as in BioASQ's files; give those as bioasq:PATH".into()
                }
                key => format!("{:?}", key.chars().take(40).collect::<String>()),
            },
        }),
    }
}

/// A row of the hub's layout under the names of the published one.
fn published(row: &Row<'_>) -> Value {
    let mut object = Map::new();
    let mut set = |name: &str, value: &Value| object.insert(name.into(), value.clone());
    set("QUESTION", &row.object["question"]);
    set("LONG_ANSWER", &row.object["long_answer"]);
    let context = &row.object["context"];
    set("CONTEXTS", &context["contexts"]);
    set("LABELS", &context["labels"]);
    set("MESHES", &context["meshes"]);
    Value::Object(object)
}

fn document(row: &Row<'_>, id: &str, source: &str, titles: bool) -> Result<Document> {
    let title = row.text("QUESTION")?;
    let contexts = row.texts("CONTEXTS")?;
    let labels = row.texts("LABELS")?;
    if !labels.is_empty() && labels.len() != contexts.len() {
        let expected = format!(
            "field \"LABELS\" with {} labels, one for each of CONTEXTS",
            contexts.len()
        );
        return Err(row.fault(expected, labels.len().to_string()).into());
    }
    let labels = labels.into_iter().map(Some).chain(std::iter::repeat(None));
    let conclusion = row.optional_text("LONG_ANSWER")?.unwrap_or_default();
    let conclusion = (Some("CONCLUSIONS"), conclusion);
    let sections = labels.zip(contexts).chain([conclusion]);
    let sections = sections.filter_map(|(label, text)| section(label, text));
    Ok(Document {
        id: id.to_owned(),
        title: match titles {
            true => blanks(title),
            false => String::new(),
        },
        sections: sections.collect(),
        year: year(row)?,
        mesh: row.texts("MESHES")?.into_iter().map(blanks).collect(),
        source: source.to_owned(),
        ..Document::default()
    })
}

fn section(label: Option<&str>, text: &str) -> Option<Section> {
    let text = blanks(text);
    let label = label.map(blanks).filter(|label| !label.is_empty());
    (!text.is_empty()).then(|| Section {
        kind: label
            .as_deref()
            .map_or(SectionKind::Other, SectionKind::of_heading),
        label,
        text,
    })
}

/// `YEAR`, which the published files have as text, and not in every row.
fn year(row: &Row<'_>) -> Result<Option<u16>> {
    let Some(text) = row.optional_word("YEAR")? else {
        return Ok(None);
    };
    match text.trim() {
        "" => Ok(None),
        text => match text.parse() {
            Ok(year) => Ok(Some(year)),
            Err(_) => Err(row
                .fault("field \"YEAR\" as a year".into(), format!("{text:?}"))
                .into()),
        },
    }
}
