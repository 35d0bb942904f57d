//! Errors of an evaluation.

use std::path::PathBuf;

use thiserror::Error;
use verdict_answer::AnswerError;

/// An error of an evaluation.
#[derive(Debug, Error)]
pub enum EvalError {
    /// A benchmark without questions.
    #[error("benchmark {name:?} has no questions, expected at least one")]
    NoItems {
        /// Name of the benchmark.
        name: String,
    },
    /// Two benchmarks with the same name.
    #[error("two benchmarks are named {name:?}, expected different names")]
    SameName {
        /// The name.
        name: String,
    },
    /// There is nothing to evaluate.
    #[error("no {what} to evaluate, expected at least one")]
    Nothing {
        /// `benchmark` or `model`.
        what: &'static str,
    },
    /// A question could not be answered.
    #[error("benchmark {benchmark:?}, question {id:?}: {source}")]
    Item {
        /// Name of the benchmark.
        benchmark: String,
        /// Id of the question.
        id: String,
        /// The cause.
        source: AnswerError,
    },
    /// The model or its tokenizer failed.
    #[error(transparent)]
    Answer(AnswerError),
    /// A file of an evaluation could not be read or written.
    #[error("{path}: cannot {doing}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// `read`, `write` or `create`.
        doing: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file of an earlier evaluation does not have the format of this version.
    #[error("{path}: expected {expected}: {message}")]
    Json {
        /// The file.
        path: PathBuf,
        /// The expected content.
        expected: &'static str,
        /// The parser's message.
        message: String,
    },
}
