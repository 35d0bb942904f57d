//! Evaluation: from answers and true labels to scores, intervals, tests and a report.
//!
//! | folder or file | what |
//! |---|---|
//! | [`mod@collect`] | collects the answers of base model and adapters in one batch |
//! | [`mod@evaluate`] | from answers to the report: calibration, ensembles, scores, comparisons, slices |
//! | [`stats`] | intervals, paired tests, calibration errors, risk and coverage, abstention: pure functions |
//! | [`text`] | properties of generated text: contradiction, memorization, repetition |
//! | [`robustness`] | paraphrased and negated questions, and the consistency of answers to them |
//! | [`dialogue`] | dialogues of three turns, and what is counted in them |
//! | [`report`] | the report as a value, as text, as a page and as files |
//! | [`mod@compare`] | several runs side by side |
//! | [`mod@screening`] | recall and work saved of screened records |
//! | [`looks`] | how often held-out questions have been looked at |
//! | [`evaluated_run`] | the evaluated run as plain values |
//! | [`benchmark`] | benchmarks: questions with true labels |
//! | [`published`] | published results on the same questions |
//! | [`mod@challenge`] | the built-in set of ten hard questions |
//! | [`metrics`] | counts and shares with Wilson's interval, confusion matrices, lengths |
//! | [`error`] | errors of an evaluation |
//!
//! Only [`report`], [`mod@compare`] and [`looks`] read or write files; nothing prints.

mod abstention;
pub mod benchmark;
pub mod challenge;
pub mod collect;
pub mod compare;
pub mod dialogue;
pub mod error;
pub mod evaluate;
pub mod evaluated_run;
pub mod looks;
pub mod metrics;
pub mod published;
pub mod report;
pub mod robustness;
pub mod screening;
pub mod stats;
pub mod text;

pub use abstention::abstention;
pub use benchmark::{Benchmark, RetrievedDocuments};
pub use challenge::challenge;
pub use collect::{CollectedAnswers, EvaluationRequest, answer_count, collect_answers};
pub use error::EvalError;
pub use evaluate::{EvaluationOptions, evaluate};
pub use evaluated_run::{
    EndedEarly, EvaluatedAdapter, EvaluatedRun, LearningCurve, NestedSelection,
    ValidationPrediction, ValidationScore,
};
pub use looks::Look;
pub use metrics::{Confusion, Lengths, Levels, Proportion};
pub use report::{BenchmarkReport, EvalReport, Evaluation, Methods, ModelReport, Prediction};
pub use screening::{ScreenedAnswer, ScreeningReport, screening_report};
