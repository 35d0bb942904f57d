//! What a dialogue is.

use serde::{Deserialize, Serialize};
use verdict_data::Label;

/// What a later turn does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FollowUp {
    /// Asks why: the label stays.
    Why,
    /// Gives a fact that changes the right label, and asks again.
    ChangingFact,
    /// Gives a fact about something else, and asks again: the label stays.
    IrrelevantFact,
    /// Takes a changing fact back, and asks again: the first label is right again.
    FirstFacts,
}

impl FollowUp {
    /// The name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            FollowUp::Why => "Why?",
            FollowUp::ChangingFact => "changing fact",
            FollowUp::IrrelevantFact => "irrelevant fact",
            FollowUp::FirstFacts => "first facts",
        }
    }
}

/// One turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialogueTurn {
    /// The facts that it adds.
    pub context: Option<String>,
    /// The question.
    pub question: String,
    /// The right label, given the facts so far.
    pub label: Label,
}

/// A dialogue with the right label of each turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialogue {
    /// Id of the question that it is made from.
    pub id: String,
    /// Source of that question.
    pub source: String,
    /// Its group: dialogues of one group are not independent.
    pub group: String,
    /// What the second and the third turn do.
    pub follow_ups: [FollowUp; 2],
    /// The turns.
    pub turns: [DialogueTurn; 3],
}

impl Dialogue {
    /// What its turns do, as reports name it: `Why?, then changing fact`.
    pub fn kind(&self) -> String {
        let [second, third] = self.follow_ups.map(FollowUp::as_str);
        format!("{second}, then {third}")
    }

    /// The turn (1 or 2) that does this.
    pub(crate) fn turn_of(&self, follow_up: FollowUp) -> Option<usize> {
        let found = self.follow_ups.iter().position(|of| *of == follow_up);
        found.map(|place| place + 1)
    }
}
