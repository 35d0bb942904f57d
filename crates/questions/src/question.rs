//! A generated question as it leaves this crate.

/// The class of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The printed numbers support the claim.
    Yes,
    /// They contradict it.
    No,
    /// They do not settle it.
    Uncertain,
}

impl Answer {
    /// Every answer, in the order in which rows take turns.
    pub const ALL: [Answer; 3] = [Answer::Yes, Answer::No, Answer::Uncertain];

    /// The answer to the opposite claim.
    pub fn opposite(self) -> Answer {
        match self {
            Answer::Yes => Answer::No,
            Answer::No => Answer::Yes,
            Answer::Uncertain => Answer::Uncertain,
        }
    }
}

/// A question with its computed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedQuestion {
    /// `stats:{family}/{wording}/{level}:{row:06}`.
    pub id: String,
    /// The question, one line.
    pub question: String,
    /// The right answer.
    pub answer: Answer,
    /// One sentence that gives the numbers which decide.
    pub rationale: String,
    /// Family and wording. Questions of one group are worded alike, so that they belong into one split.
    pub group: String,
    /// Whether no question for training has this wording: it belongs into the test set.
    pub held_out: bool,
}
