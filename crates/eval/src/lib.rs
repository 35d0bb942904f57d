//! Answers and truth to metrics, intervals and a report.
//!
//! | file | what |
//! |---|---|
//! | [`metrics`] | accuracy, confusion, F1, rates with Wilson intervals, lengths |
//! | [`mod@challenge`] | the built-in set of ten hard questions |
//! | [`run`] | asks base and adapters, free-running and guaranteed, all in one batch |
//! | [`report`] | the figures as a value and as text, Markdown and files |
//!
//! Only [`report`]'s `write` touches the disk; nothing prints.

pub mod challenge;
pub mod metrics;
pub mod report;
pub mod robustness;
pub mod run;
pub mod text;

pub use challenge::challenge;
pub use metrics::{Confusion, Lengths, Levels, Proportion};
pub use report::{BenchmarkReport, EvalReport, Prediction, SystemReport};
pub use run::{Benchmark, EvalError, Evaluation, evaluate};
