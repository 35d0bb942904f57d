//! Dialogues of three turns: does an answer stay when it is questioned, and change when the facts do?
//!
//! | file | what |
//! |---|---|
//! | [`turns`] | what a dialogue is: its turns, each with the right label |
//! | [`make`] | dialogues from benchmark questions with a context, and from generated questions |
//! | `unrelated` | facts about another question, which change nothing |
//! | [`mod@hold`] | asks a model turn by turn; its own answers are the earlier turns |
//! | [`measures`] | what is counted: labels kept, changed rightly, all turns right |
//!
//! No dialogue is made unless the right label of each turn is known.

pub mod hold;
pub mod make;
pub mod measures;
pub mod turns;
mod unrelated;

pub use hold::{GivenAnswer, HeldDialogue, hold, turn_count};
pub use make::dialogues;
pub use measures::{Measure, MeasureScore, measure_scores};
pub use turns::{Dialogue, DialogueTurn, FollowUp};
