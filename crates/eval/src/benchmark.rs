//! Benchmarks: questions with true labels, and what is known of them before any model answers.

use verdict_data::{Item, Label};

use crate::published::Published;

/// A benchmark.
#[derive(Debug, Default)]
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
    /// Further properties that the questions are sliced by: a name, and its value for each question.
    pub properties: Vec<(&'static str, Vec<String>)>,
    /// PMIDs of the publications that each question was made from; empty where they are not known.
    pub documents: Vec<Vec<String>>,
    /// MeSH headings of the publications that each question was made from; empty where they are not known.
    pub headings: Vec<Vec<String>>,
    /// The context of each question before its results and from its results on, where its sections are labeled; empty
    /// where none is.
    pub sections: Vec<Option<[String; 2]>>,
    /// Whether a question is the title of its publication, whose conclusion is the answer; then no passage may hold it.
    pub hides_conclusions: bool,
    /// The publications that a question comes with, each to be read alone; empty for a benchmark without such.
    pub passages: Vec<Vec<String>>,
    /// What a search found for each question, where one was made.
    pub retrieved: Option<RetrievedDocuments>,
    /// Published results on these questions.
    pub published: Vec<Published>,
}

/// The publications that a search found for the questions of a benchmark.
#[derive(Debug, Default)]
pub struct RetrievedDocuments {
    /// Number of documents that were searched.
    pub documents: usize,
    /// The ids of the documents found for each question, the best first.
    pub found: Vec<Vec<String>>,
}
