//! The answer to a row, as JSON lines have it, and the columns that tables have of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use verdict_answer::{Fit, Verdict};
use verdict_data::Label;

/// The answer to a row: a label with its probabilities, or an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BulkAnswer {
    /// The row's identifier, or its number.
    pub id: Value,
    /// The answer; none for a row that was refused.
    #[serde(flatten)]
    pub answer: Option<Answered>,
    /// Why the row was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The fields of an answer, named as those of `ask --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// The label.
    pub label: Label,
    /// Probabilities of the labels.
    pub probabilities: Probabilities,
    /// Probability that an answer begins with none of the labels.
    pub other: f32,
    /// How the probabilities were calibrated.
    pub calibration: Fit,
    /// Whether the probability was too low to answer.
    pub abstained: bool,
    /// The rationale, with --rationale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rationale: Option<String>,
}

/// The probabilities of the three labels, which add up to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Probabilities {
    pub yes: f32,
    pub no: f32,
    pub uncertain: f32,
}

impl BulkAnswer {
    /// The answer to a row.
    pub fn new(id: Value, verdict: Verdict, calibration: Fit, abstained: bool) -> Self {
        let [yes, no, uncertain] = verdict.probabilities;
        let answer = verdict.label.map(|label| Answered {
            label,
            probabilities: Probabilities { yes, no, uncertain },
            other: verdict.other,
            calibration,
            abstained,
            rationale: verdict.rationale.filter(|text| !text.is_empty()),
        });
        let error = answer
            .is_none()
            .then(|| "the model gave no label".to_owned());
        BulkAnswer { id, answer, error }
    }

    /// A row that cannot be asked.
    pub fn refused(id: Value, error: String) -> Self {
        BulkAnswer {
            id,
            answer: None,
            error: Some(error),
        }
    }

    /// The identifier as text.
    pub fn id_text(&self) -> String {
        match &self.id {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

/// The columns of a table of answers.
pub fn columns(rationale: bool) -> Vec<&'static str> {
    let mut names = vec![
        "id",
        "label",
        "p_yes",
        "p_no",
        "p_uncertain",
        "p_other",
        "calibration",
        "abstained",
    ];
    names.extend(rationale.then_some("rationale"));
    names.push("error");
    names
}
