//! What becomes of an answer when the question is put another way.
//!
//! | file | what |
//! |---|---|
//! | [`variants`] | questions put another way, each with what must become of the answer |
//! | [`spelling`] | British and American spellings |
//! | [`abbreviations`] | abbreviations that the text itself defines |
//! | [`consistency`] | how many answers behave as they must |
//!
//! Items in, variants out; a variant that cannot be made in sound English with a sure answer is not made.

pub mod abbreviations;
pub mod consistency;
pub mod spelling;
pub mod variants;

pub use consistency::{Consistency, Pair, RuleConsistency};
pub use variants::{Must, Rule, Variant, variants};
