//! The one prompt renderer, the one answer grammar, the one label scorer, and answering in batches.
//!
//! | file | what |
//! |---|---|
//! | [`prompt`] | what the model reads, and its tokens |
//! | [`calibration`] | probabilities that mean what they say, fitted on rows nothing was trained on |
//! | [`labels`] | the probabilities of the three answers, from the prompt's own pass |
//! | [`sentence`] | what a rationale is, decided on any beginning of it |
//! | [`grammar`] | the guaranteed answer: tokens that keep to that language, and always an end |
//! | [`choose`] | which token next: greedy, or drawn |
//! | [`engine`] | what answering asks of a model |
//! | [`generate`] | many questions and adapters at once |
//! | [`error`] | why questions could not be answered |
//! | [`verdict`] | the answer as a value, and the strict reading of a text |
//!
//! Nothing here prints, and nothing here reads or writes files.

// The tests below `tests/` speak to this crate as its users do.
#[cfg(test)]
extern crate self as verdict_answer;

pub mod calibration;
pub mod choose;
pub mod engine;
pub mod error;
pub mod generate;
pub mod grammar;
pub mod labels;
pub mod prompt;
pub mod sentence;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
pub mod verdict;

pub use calibration::{Calibration, Calibrations, Fit};
pub use choose::Sampling;
pub use engine::{Chunk, Engine, LogitRow, Logits, ModelEngine};
pub use error::AnswerError;
pub use generate::{Answerer, Question, Settings};
pub use grammar::{Grammar, GrammarError};
pub use labels::{LabelScores, LabelTokens};
pub use prompt::{
    ContextCuts, Encoded, EncodedPrompt, PromptError, check_embedding, encode_item, encode_prompt,
    fit_prompt, prompt_limit,
};
pub use verdict::{Mode, Parsed, Verdict, parse_answer};
