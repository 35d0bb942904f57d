//! The finished row: a line of `train.jsonl`, `validation.jsonl` or `test.jsonl`.

use std::fmt;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::Label;

/// The three parts of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Examples for training.
    Train,
    /// Examples for choosing settings.
    Validation,
    /// Examples for the final test.
    Test,
}

impl Split {
    /// Every split, in the order of tables and files.
    pub const ALL: [Split; 3] = [Split::Train, Split::Validation, Split::Test];

    /// Place of the split in [`Split::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// Name of the file with the split's examples.
    pub(crate) fn file_name(self) -> String {
        format!("{self}.jsonl")
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

/// One question with its answer, clean and ready for training or evaluation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Line")]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

/// A line of any version: those of the first layout repeat the example in a `text`, which is ignored.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    question: String,
    label: Label,
    rationale: String,
    source: String,
    group: String,
    #[serde(default)]
    context: Option<String>,
    #[serde(default, rename = "text")]
    _text: IgnoredAny,
}

impl From<Line> for Item {
    fn from(line: Line) -> Item {
        Item {
            id: line.id,
            question: line.question,
            label: line.label,
            rationale: line.rationale,
            source: line.source,
            group: line.group,
            context: line.context,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::Item;

    #[test]
    fn a_line_of_the_first_layout_is_read_without_its_text() {
        let fields = r#""id":"a","question":"Does it help?","label":"Yes","rationale":"It does.","source":"jsonl","group":"g""#;
        let line = format!("{{{fields}}}");
        let item: Item = serde_json::from_str(&line).expect("a line");
        assert_eq!(serde_json::to_string(&item).expect("texts"), line);
        let older = format!(r#"{{{fields},"text":"Q: Does it help?\nA: Yes. …"}}"#);
        assert_eq!(serde_json::from_str::<Item>(&older).expect("older"), item);
        let other = format!(r#"{{{fields},"txt":"Q"}}"#);
        let error = serde_json::from_str::<Item>(&other).unwrap_err();
        assert!(error.to_string().contains("txt"), "{error}");
    }
}
