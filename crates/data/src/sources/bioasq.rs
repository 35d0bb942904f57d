//! BioASQ Task B files as published, golden or training, of any edition: `{"questions": [...]}`. Only
//! questions of type `yesno` are ours.
//!
//! Source: Tsatsaronis et al., "An overview of the BIOASQ large-scale biomedical semantic indexing
//! and question answering competition", BMC Bioinformatics 16, 2015.

use std::collections::HashSet;
use std::path::Path;

use serde_json::Value;

use super::cut::{self, JsonEntry, Shape};
use super::fields::Row;
use super::piece::{Emit, Reading, Rows};
use crate::manifest::FileRecord;
use crate::text::is_number;
use crate::{RawItem, Result};

/// Reads a file: its yes/no questions, and how many of other types were passed over.
pub(super) fn read(path: &Path, reading: Reading, emit: &mut Emit<'_>) -> Result<FileRecord> {
    let row = move |cut: &JsonEntry<'_>, rows: &mut Rows| {
        let object: Value = serde_json::from_slice(cut.text).map_err(|error| cut.fault(&error))?;
        let place = match object["id"].as_str() {
            Some(id) => format!("question {} (id {})", cut.index, id.escape_debug()),
            None => format!("question {}", cut.index),
        };
        let row = Row {
            path: cut.path,
            place,
            object: &object,
        };
        if row.text("type")? == "yesno" {
            rows.rows.push(item(&row, reading)?);
        } else {
            rows.passed_over += 1;
        }
        Ok(())
    };
    cut::read(path, Shape::List("questions"), row, emit)
}

fn item(row: &Row<'_>, reading: Reading) -> Result<RawItem> {
    let id = row.text("id")?;
    let question = row.text("body")?.to_owned();
    let label = row.label("exact_answer", row.text_or_list("exact_answer")?)?;
    let answer = row
        .rationale("ideal_answer", reading.rationales)?
        .to_owned();
    let mut group = vec![format!("bioasq:{id}")];
    row.texts("documents")?;
    group.extend(documents(row.object));
    let context = if reading.contexts {
        snippets(row)?
    } else {
        None
    };
    Ok(RawItem {
        id: format!("bioasq:{id}"),
        question,
        label: Some(label),
        answer,
        source: "bioasq",
        group,
        context,
        split: None,
        year: None,
        mesh: Vec::new(),
        results_from: None,
    })
}

/// The snippets' texts, one after the other.
fn snippets(row: &Row<'_>) -> Result<Option<String>> {
    let Some(list) = row.object["snippets"].as_array() else {
        return Ok(None);
    };
    let mut texts = Vec::new();
    for (index, object) in list.iter().enumerate() {
        let place = format!("{}, snippet {index}", row.place);
        texts.push(
            Row {
                path: row.path,
                place,
                object,
            }
            .text("text")?
            .trim(),
        );
    }
    Ok((!texts.is_empty()).then(|| texts.join(" ")))
}

/// The keys of the abstracts that a question was made from: its `documents`, addresses that end in a PMID, and those
/// of its `snippets`.
pub(crate) fn documents(row: &Value) -> impl Iterator<Item = String> {
    let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    let snippets = list(&row["snippets"]);
    let snippets = snippets
        .into_iter()
        .map(|snippet| snippet["document"].clone());
    let mut keys: Vec<String> = list(&row["documents"])
        .into_iter()
        .chain(snippets)
        .filter_map(|address| document(address.as_str()?))
        .collect();
    let mut seen = HashSet::new();
    keys.retain(|key| seen.insert(key.clone()));
    keys.into_iter()
}

/// The key (`pmid:21645374`) of the abstract at an address that ends in its PMID.
pub fn document(address: &str) -> Option<String> {
    let end = address.trim().trim_end_matches('/').rsplit('/').next()?;
    is_number(end).then(|| format!("pmid:{end}"))
}
