//! Robustness: are answers consistent when a question is paraphrased or negated?
//!
//! | file | what |
//! |---|---|
//! | [`mod@variants`] | paraphrased and negated questions, with the expected change of the answer |
//! | [`spelling`] | British and American spellings |
//! | [`abbreviations`] | abbreviations that a text defines |
//! | `questions` | the variants that an evaluation uses |
//! | `grammar` | turning questions into statements, without a parser |
//! | [`consistency`] | the share of consistent answers |
//!
//! No variant is made unless it is sound English with a certain answer.

pub mod abbreviations;
pub mod consistency;
mod grammar;
mod questions;
pub mod spelling;
pub mod variants;

pub use consistency::{Consistency, RuleConsistency, VariantAnswers};
pub use questions::VariantQuestions;
pub use variants::{Expected, Rule, Variant, variants};
