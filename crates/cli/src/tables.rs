//! Tables that users give: which layout a file has, and which of its columns is meant.

use std::path::Path;

use serde_json::{Map, Value};
use verdict_data::{Input, kind_of_json};

use crate::failure::{Failure, Result};

/// The endings of tables.
pub const ENDINGS: &str = ".jsonl, .csv, .tsv or .parquet";

/// Names under which the identifier of a row is looked for.
pub const IDS: &[&str] = &["id", "pmid"];

/// A column by the name that was given, or by the first of the usual names, in any case.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    Named(String),
    Usual(&'static [&'static str]),
}

impl Column {
    /// The column of a mapping: by its own name if one was given, else by the usual ones.
    pub fn of(given: &str, default: &str, usual: &'static [&'static str]) -> Self {
        match given == default {
            true => Column::Usual(usual),
            false => Column::Named(given.to_owned()),
        }
    }

    /// The name in quotes, or all usual names.
    pub fn describe(&self) -> String {
        match self {
            Column::Named(name) => format!("{name:?}"),
            Column::Usual(names) => {
                let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
                names.join(" or ")
            }
        }
    }

    /// Whether a column of the table is meant.
    pub fn is(&self, name: &str) -> bool {
        match self {
            Column::Named(own) => own == name,
            Column::Usual(names) => names.iter().any(|of| of.eq_ignore_ascii_case(name)),
        }
    }

    /// The first field of that name that is not empty.
    pub fn find<'f>(&self, fields: &'f Map<String, Value>) -> Option<(&'f str, &'f Value)> {
        let some = |(name, value): (&'f String, &'f Value)| {
            let empty =
                value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty());
            (!empty).then_some((name.as_str(), value))
        };
        match self {
            Column::Named(own) => fields.get_key_value(own).and_then(some),
            Column::Usual(names) => names.iter().find_map(|of| {
                let mut named = fields
                    .iter()
                    .filter(|(name, _)| of.eq_ignore_ascii_case(name));
                named.find_map(some)
            }),
        }
    }

    /// Its field as text; none where it is empty.
    ///
    /// # Errors
    /// Another type.
    pub fn text<'f>(
        &self,
        fields: &'f Map<String, Value>,
    ) -> std::result::Result<Option<&'f str>, String> {
        match self.find(fields) {
            None => Ok(None),
            Some((_, Value::String(text))) => Ok(Some(text)),
            Some((name, other)) => Err(wrong(name, "text", other)),
        }
    }

    /// Its field as an identifier, text or a number; none where it is empty.
    ///
    /// # Errors
    /// Another type.
    pub fn identifier(
        &self,
        fields: &Map<String, Value>,
    ) -> std::result::Result<Option<Value>, String> {
        match self.find(fields) {
            None => Ok(None),
            Some((_, id @ (Value::String(_) | Value::Number(_)))) => Ok(Some(id.clone())),
            Some((name, other)) => Err(wrong(name, "text or a number", other)),
        }
    }
}

fn wrong(name: &str, expected: &str, found: &Value) -> String {
    let found = kind_of_json(found);
    format!("expected field {name:?} as {expected}, found {found}")
}

/// An input as it is written: a file by its ending, or `kind:FILE?column=name`.
///
/// # Errors
/// Another ending, or options that do not exist.
pub fn parse(flag: &str, text: &str) -> Result<Input> {
    let kinds = ["jsonl:", "csv:", "parquet:"];
    if kinds.iter().any(|kind| text.starts_with(kind)) {
        return Ok(text.parse()?);
    }
    let file = match Path::new(text).exists() {
        true => text,
        false => text.split('?').next().unwrap_or(text),
    };
    let ending = Path::new(file).extension().unwrap_or_default();
    let kind = match ending.to_string_lossy().to_ascii_lowercase().as_str() {
        "jsonl" | "ndjson" => "jsonl",
        "csv" | "tsv" => "csv",
        "parquet" => "parquet",
        _ => {
            let fault = format!("{flag} {text}: expected a file ending in {ENDINGS}");
            return Err(Failure::input(fault)
                .hint("name the layout of another ending: jsonl:FILE, csv:FILE or parquet:FILE"));
        }
    };
    Ok(format!("{kind}:{text}").parse()?)
}
