//! The report: a value for scripts, and its rendering as text, Markdown, HTML and files.

mod adapters;
mod dialogues;
mod earlier;
mod examples;
pub(crate) mod figures;
mod files;
mod page;
pub(crate) mod tables;
pub(crate) mod terminal;
mod text;
mod value;

pub(crate) use files::put;
pub use files::{Evaluation, GeneratedAnswer, Prediction};
pub(crate) use text::plain;
pub use value::{
    AbstentionOutcome, BASE, BenchmarkReport, DialogueExample, DialoguePair, DialoguePart,
    DialogueReport, EarlierEvaluation, EvalReport, EvaluatedModel, ExampleTurn, GeneratedReport,
    Methods, ModelReport, PairReport, Quality, RetrievalReport, Robustness, Slice,
};
