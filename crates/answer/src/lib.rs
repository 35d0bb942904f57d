//! Prompts, the answer grammar, label scoring and batched answering.
//!
//! | file | what |
//! |---|---|
//! | [`prompt`] | prompts and completions, and their tokens |
//! | [`calibration`] | temperature and bias, fitted on the validation set |
//! | [`labels`] | the probabilities of the labels, by all their tokens |
//! | [`sentence`] | whether a prefix can become a rationale |
//! | [`grammar`] | constrained decoding of a rationale within a token limit |
//! | [`sampler`] | the next token: greedy or sampled |
//! | [`ensemble`] | several adapters as one: the mean of their calibrated probabilities |
//! | [`engine`] | the interface to the model |
//! | [`request`] | questions, and the limits and sampling of their answers |
//! | `text` | from tokens to an answer, with the tokenizer alone |
//! | `batch` | prompts, label scoring and answers in shared passes |
//! | [`answerer`] | answers many questions with many adapters in one batch |
//! | [`mod@reading`] | answers from passages: each is read alone, and what they say is pooled |
//! | [`pool`] | how the probabilities of several passages become one |
//! | [`error`] | errors of answering |
//! | [`verdict`] | the answer as a value, and its strict parser |
//!
//! This crate neither prints nor reads or writes files.

// Lets the tests in `tests/` use this crate by its public name.
#[cfg(test)]
extern crate self as verdict_answer;

pub mod answerer;
mod batch;
pub mod calibration;
pub mod engine;
pub mod ensemble;
pub mod error;
pub mod grammar;
pub mod labels;
pub mod pool;
pub mod prompt;
pub mod reading;
pub mod request;
pub mod sampler;
pub mod sentence;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod text;
pub mod verdict;

pub use answerer::{Answerer, PromptLimits};
pub use calibration::{Calibration, Calibrations, Fit};
pub use engine::{Chunk, InferenceEngine, LogitRow, Logits, ModelInferenceEngine};
pub use ensemble::{EnsembleMember, EnsembleVerdict, MemberAnswer, answer_ensemble};
pub use error::AnswerError;
pub use grammar::{Grammar, GrammarError};
pub use labels::{LabelScores, LabelTokens};
pub use pool::{FittedPool, Pool, PooledPassage};
pub use prompt::{
    ContextCuts, EncodedExample, EncodedPrompt, PromptError, PromptFormat, Turn, check_embedding,
    encode_item, fit_dialogue, fit_prompt, prompt_limit,
};
pub use reading::{
    Passage, PassageAnswer, PassageQuestion, Reading, answer_from_passages, read_passages,
    relevance,
};
pub use request::{AnswerSettings, Question};
pub use sampler::Sampling;
pub use verdict::{Mode, Parsed, Verdict, parse_answer};
