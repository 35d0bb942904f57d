//! Benchmarks: questions with true labels, and what is known of them before any model answers.

use verdict_data::{Item, Label};

use crate::published::Published;

/// A benchmark.
#[derive(Debug)]
pub struct Benchmark {
    /// Its name.
    pub name: String,
    /// The source of its questions, in a sentence without a full stop.
    pub about: String,
    /// The questions with their true labels.
    pub items: Vec<Item>,
    /// Which of the questions are contaminated.
    pub contaminated: Vec<bool>,
    /// The guess of the question-only baseline for each question, where it was trained.
    pub question_only: Option<Vec<Label>>,
    /// Published results on these questions.
    pub published: Vec<Published>,
}
