//! Fields of a parsed JSON object, taken with errors that name file, row, expected and found.

use std::path::Path;

use serde_json::Value;

use crate::{Error, Label, Result, Split};

/// One JSON object of a source and its place.
pub struct Row<'a> {
    /// The file.
    pub path: &'a Path,
    /// `PMID 21645374`, `question 17 (id 5c6d…)`, `line 3`.
    pub place: String,
    /// The object.
    pub object: &'a Value,
}

impl<'a> Row<'a> {
    /// A fault that no single field explains.
    pub(super) fn other(&self) -> Error {
        self.fault("a row as it is published".into(), kind(self.object))
    }

    /// A fault of a field, with the row's place.
    pub fn fault(&self, expected: String, found: String) -> Error {
        Error::Field {
            path: self.path.to_owned(),
            place: self.place.clone(),
            expected,
            found,
        }
    }

    /// A field that must be text. Empty text is for the pipeline to drop and count.
    ///
    /// # Errors
    /// [`Error::Field`] where it holds something else.
    pub fn text(&self, name: &str) -> Result<&'a str> {
        match &self.object[name] {
            Value::String(text) => Ok(text),
            other => Err(self.fault(format!("field {name:?} as text"), kind(other))),
        }
    }

    /// A field that is text, a number or a truth value, as it is written.
    ///
    /// # Errors
    /// [`Error::Field`] where it holds something else.
    pub fn word(&self, name: &str) -> Result<String> {
        match &self.object[name] {
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(value) => Ok(value.to_string()),
            _ => self.text(name).map(str::to_owned),
        }
    }

    /// A field that may be missing or null, but otherwise is text.
    ///
    /// # Errors
    /// [`Error::Field`] where it holds something else.
    pub fn optional_text(&self, name: &str) -> Result<Option<&'a str>> {
        match &self.object[name] {
            Value::Null => Ok(None),
            _ => self.text(name).map(Some),
        }
    }

    /// A field that may be missing or null, but otherwise is text, a number or a truth value.
    ///
    /// # Errors
    /// [`Error::Field`] where it holds something else.
    pub fn optional_word(&self, name: &str) -> Result<Option<String>> {
        match &self.object[name] {
            Value::Null => Ok(None),
            _ => self.word(name).map(Some),
        }
    }

    /// A field that is text, or a list whose first text that is not blank counts.
    pub(super) fn text_or_list(&self, name: &str) -> Result<&'a str> {
        first_text(&self.object[name]).ok_or_else(|| {
            self.fault(
                format!("field {name:?} as text or a list of texts"),
                kind(&self.object[name]),
            )
        })
    }

    /// A rationale: text or a list, needed or else empty where there is none.
    pub(super) fn rationale(&self, name: &str, needed: bool) -> Result<&'a str> {
        match &self.object[name] {
            Value::Null if !needed => Ok(""),
            Value::Array(list) if !needed && list.is_empty() => Ok(""),
            _ => self.text_or_list(name),
        }
    }

    /// A list of texts; missing or null is an empty one.
    ///
    /// # Errors
    /// [`Error::Field`] where it holds something else.
    pub fn texts(&self, name: &str) -> Result<Vec<&'a str>> {
        let fault = |found| self.fault(format!("field {name:?} as a list of texts"), found);
        match &self.object[name] {
            Value::Null => Ok(Vec::new()),
            Value::Array(list) => list
                .iter()
                .map(|entry| {
                    entry
                        .as_str()
                        .ok_or_else(|| fault(format!("{} in it", kind(entry))))
                })
                .collect(),
            other => Err(fault(kind(other))),
        }
    }

    /// A label out of its text.
    pub(super) fn label(&self, name: &str, text: &str) -> Result<Label> {
        Label::parse(text).ok_or_else(|| self.no_label(name, "yes, no, maybe or uncertain", text))
    }

    /// The part of a set that a row names; none where it names none.
    pub(super) fn split(&self, name: &str) -> Result<Option<Split>> {
        let Some(word) = self.optional_text(name)? else {
            return Ok(None);
        };
        match word.trim().to_ascii_lowercase().as_str() {
            "" => Ok(None),
            "train" | "training" => Ok(Some(Split::Train)),
            "validation" | "valid" | "val" | "dev" | "development" => Ok(Some(Split::Validation)),
            "test" | "testing" => Ok(Some(Split::Test)),
            _ => Err(self.fault(
                format!("field {name:?} as train, validation or test (where it means something else: `?split=none` behind the file)"),
                format!("{word:?}"),
            )),
        }
    }

    /// A text that is no label.
    pub(super) fn no_label(&self, name: &str, expected: &str, text: &str) -> Error {
        self.fault(format!("field {name:?} as {expected}"), format!("{text:?}"))
    }
}

fn first_text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Array(list) => {
            let texts = || list.iter().filter_map(first_text);
            texts()
                .find(|text| !text.trim().is_empty())
                .or_else(|| texts().next())
        }
        _ => None,
    }
}

/// What a field contains, in words, for errors.
pub fn kind(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => format!("the number {value}"),
        Value::String(text) => format!("the text {:?}", text.chars().take(40).collect::<String>()),
        Value::Array(list) if list.is_empty() => "an empty list".into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
    }
}
