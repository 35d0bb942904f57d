//! Own rows: one JSON object a line with `question`, `label` and `rationale` and, where wanted,
//! `context`, `id` and `group`. Other fields are passed over, so that the files of a finished data
//! set can be read back.

use std::path::Path;

use serde_json::Value;

use super::fields::Row;
use crate::dataset::json_error;
use crate::text::{abstract_key, question_key};
use crate::{RawItem, Result};

/// The rows of a file, in its order. Blank lines are passed over.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<RawItem>> {
    let name = super::file_name(path);
    let mut rows = Vec::new();
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let number = index + 1;
        // Some editors put a byte order mark before the first line.
        let line = line
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(line)
            .trim_ascii();
        if line.is_empty() {
            continue;
        }
        let object: Value =
            serde_json::from_slice(line).map_err(|error| json_error(path, number, &error))?;
        let place = format!("line {number}");
        rows.push(item(
            &Row {
                path,
                place,
                object: &object,
            },
            &name,
            number,
        )?);
    }
    Ok(rows)
}

fn item(row: &Row<'_>, file: &str, number: usize) -> Result<RawItem> {
    let question = row.text("question")?.to_owned();
    let label = row.label("label", row.text("label")?)?;
    let answer = row.text("rationale")?.to_owned();
    let context = row.optional_text("context")?.map(str::to_owned);
    let mut group: Vec<String> = row
        .optional_text("group")?
        .map(str::to_owned)
        .into_iter()
        .collect();
    group.push(question_key(&question, context.as_deref()));
    group.extend(context.as_deref().and_then(abstract_key));
    let id = match row.optional_text("id")? {
        Some(id) if !id.trim().is_empty() => id.to_owned(),
        _ => format!("jsonl:{file}:{number}"),
    };
    Ok(RawItem {
        id,
        question,
        label,
        answer,
        source: "jsonl".to_owned(),
        group,
        context,
        split: None,
    })
}
