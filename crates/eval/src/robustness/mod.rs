//! What becomes of an answer when the question is put another way.
//!
//! | file | what |
//! |---|---|
//! | [`mod@variants`] | questions put another way, each with what must become of the answer |
//! | [`spelling`] | British and American spellings |
//! | [`abbreviations`] | abbreviations that the text itself defines |
//! | `asked` | which of them an evaluation asks |
//! | `grammar` | questions into statements, without a parser |
//! | [`consistency`] | how many answers behave as they must |
//!
//! Items in, variants out; a variant that cannot be made in sound English with a sure answer is not made.

pub mod abbreviations;
mod asked;
pub mod consistency;
mod grammar;
pub mod spelling;
pub mod variants;

pub use asked::Changed;
pub use consistency::{Consistency, Pair, RuleConsistency};
pub use variants::{Must, Rule, Variant, variants};
