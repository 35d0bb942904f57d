//! BioASQ Task B golden files as published: `{"questions": [...]}`. Only questions of type `yesno`
//! are ours.
//!
//! Source: Tsatsaronis et al., "An overview of the BIOASQ large-scale biomedical semantic indexing
//! and question answering competition", BMC Bioinformatics 16, 2015.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::fields::{Row, kind};
use crate::dataset::json_error;
use crate::text::question_key;
use crate::{Error, RawItem, Result};

/// The golden files that a path means: itself, or every `.json` of a folder in the order of names.
pub(super) fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(Error::io(path))? {
        let file = entry.map_err(Error::io(path))?.path();
        if file
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("json"))
            && file.is_file()
        {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Error::NoFiles {
            path: path.to_owned(),
            expected: "BioASQ golden files (*.json)",
        });
    }
    Ok(files)
}

/// The yes/no questions of a file, in its order, and how many of other types were passed over.
pub(super) fn parse(path: &Path, bytes: &[u8], contexts: bool) -> Result<(Vec<RawItem>, usize)> {
    let whole: Value =
        serde_json::from_slice(bytes).map_err(|error| json_error(path, 1, &error))?;
    let Some(questions) = whole["questions"].as_array() else {
        return Err(Error::Field {
            path: path.to_owned(),
            place: "top level".into(),
            expected: "field \"questions\" as a list".into(),
            found: kind(&whole["questions"]),
        });
    };
    let mut rows = Vec::new();
    let mut passed_over = 0;
    for (index, object) in questions.iter().enumerate() {
        let place = match object["id"].as_str() {
            Some(id) => format!("question {index} (id {id})"),
            None => format!("question {index}"),
        };
        let row = Row {
            path,
            place,
            object,
        };
        if row.text("type")? == "yesno" {
            rows.push(item(&row, contexts)?);
        } else {
            passed_over += 1;
        }
    }
    Ok((rows, passed_over))
}

fn item(row: &Row<'_>, contexts: bool) -> Result<RawItem> {
    let id = row.text("id")?;
    let question = row.text("body")?.to_owned();
    let label = row.label("exact_answer", row.text_or_list("exact_answer")?)?;
    let answer = row.text_or_list("ideal_answer")?.to_owned();
    let mut group = vec![format!("bioasq:{id}"), question_key(&question, None)];
    // Documents are addresses that end in a PMID.
    group.extend(row.texts("documents")?.iter().filter_map(|address| {
        let pmid = address.rsplit('/').next()?;
        (!pmid.is_empty() && pmid.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| format!("pmid:{pmid}"))
    }));
    let context = if contexts { snippets(row)? } else { None };
    Ok(RawItem {
        id: format!("bioasq:{id}"),
        question,
        label,
        answer,
        source: "bioasq".to_owned(),
        group,
        context,
        split: None,
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
