//! Why questions could not be answered.

use thiserror::Error;

use crate::grammar::GrammarError;
use crate::labels::LabelError;
use crate::prompt::PromptError;

/// Why questions could not be answered.
#[derive(Debug, Error)]
pub enum AnswerError {
    /// A question could not be made into a prompt.
    #[error("question {number}: {source}")]
    Prompt {
        /// Place of the question among those asked, from 1.
        number: usize,
        /// What was wrong with it.
        source: PromptError,
    },
    /// The tokenizer cannot score labels.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// The format cannot be guaranteed.
    #[error(transparent)]
    Grammar(#[from] GrammarError),
    /// A question names an adapter that is not there.
    #[error("question {number} asks for adapter {adapter}, expected one below {adapters}")]
    NoAdapter {
        /// Place of the question among those asked, from 1.
        number: usize,
        /// The adapter's number.
        adapter: usize,
        /// How many there are.
        adapters: usize,
    },
    /// The answer's limit leaves no room for a prompt.
    #[error(
        "an answer of up to {answer} tokens leaves no room for a question, the model takes {positions} tokens in all"
    )]
    NoRoom {
        /// Most tokens of an answer.
        answer: usize,
        /// Most tokens of a sequence.
        positions: usize,
    },
    /// The model's output is not a number.
    #[error(
        "question {number}: the model's output holds NaN or is infinite, expected finite numbers"
    )]
    NotFinite {
        /// Place of the question among those asked, from 1.
        number: usize,
    },
    /// The model could not run.
    #[error("the model could not answer: {0}")]
    Engine(Box<dyn std::error::Error + Send + Sync>),
}
