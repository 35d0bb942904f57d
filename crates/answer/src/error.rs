//! Errors of answering.

use thiserror::Error;

use crate::grammar::GrammarError;
use crate::labels::LabelError;
use crate::prompt::PromptError;

/// An error of answering.
#[derive(Debug, Error)]
pub enum AnswerError {
    /// A question has no prompt.
    #[error("question {number}: {source}")]
    Prompt {
        /// Number of the question, from 1.
        number: usize,
        /// The cause.
        source: PromptError,
    },
    /// The tokenizer cannot score labels.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// The tokenizer cannot be used for constrained decoding.
    #[error(transparent)]
    Grammar(#[from] GrammarError),
    /// A question names an adapter that is not loaded.
    #[error("question {number} names adapter {adapter}, expected a number below {adapters}")]
    NoAdapter {
        /// Number of the question, from 1.
        number: usize,
        /// The adapter's number.
        adapter: usize,
        /// Number of adapters.
        adapters: usize,
    },
    /// The maximum number of new tokens leaves no room for a prompt.
    #[error(
        "an answer of up to {answer} tokens leaves no room for a question: the model has {positions} positions"
    )]
    NoRoom {
        /// Maximum number of new tokens.
        answer: usize,
        /// Positions of the model.
        positions: usize,
    },
    /// The model's logits are not finite.
    #[error(
        "question {number}: the model's logits contain NaN or infinity, expected finite numbers"
    )]
    NotFinite {
        /// Number of the question, from 1.
        number: usize,
    },
    /// The model failed.
    #[error("the model failed: {0}")]
    Engine(Box<dyn std::error::Error + Send + Sync>),
}
