//! The finished row: a line of `train.jsonl`, `validation.jsonl` or `test.jsonl`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Label;

/// The three parts of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What the model learns from.
    Train,
    /// What settings are chosen on.
    Validation,
    /// What is looked at once.
    Test,
}

impl Split {
    /// Every split, in the order of tables and files.
    pub const ALL: [Split; 3] = [Split::Train, Split::Validation, Split::Test];

    /// Place of the split in [`Split::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// The name in file names and manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Validation => "validation",
            Split::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One question with its answer, clean and ready for training or judging.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Name of the row, unique in the data set.
    pub id: String,
    /// The question, one line.
    pub question: String,
    /// The right answer.
    pub label: Label,
    /// One sentence that says why, with no citation.
    pub rationale: String,
    /// Name of the source that the row came from.
    pub source: String,
    /// Name of the group; a group never spans two splits.
    pub group: String,
    /// Text before the question in the prompt, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The whole training text: `Q: …\nA: Label. Rationale: …`.
    pub text: String,
}

/// A question without a label, clean: a line of `unlabelled.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unlabelled {
    /// Name of the row, unique in the data set.
    pub id: String,
    /// The question, one line.
    pub question: String,
    /// One sentence out of the published conclusion, with no citation.
    pub rationale: String,
    /// Name of the source that the row came from.
    pub source: String,
    /// Name of the group; no row of validation or test is in it.
    pub group: String,
    /// Text before the question in the prompt, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

impl Item {
    /// The training text of a row: `Q: {question}\nA: {label}. Rationale: {rationale}`, with
    /// `Context: {context}\n` before it where there is a context.
    pub fn render(context: Option<&str>, question: &str, label: Label, rationale: &str) -> String {
        let context = context
            .map(|text| format!("Context: {text}\n"))
            .unwrap_or_default();
        format!("{context}Q: {question}\nA: {label}. Rationale: {rationale}")
    }
}
