//! Answers and truth to scores, intervals, tests and a report.
//!
//! | folder or file | what |
//! |---|---|
//! | [`run`] | asks base and adapters, all in one batch |
//! | [`mod@judge`] | what was answered to the report: calibration, ensembles, scores, pairs, parts |
//! | [`stats`] | intervals, paired tests, calibration errors, risk and coverage, abstention: pure functions |
//! | [`text`] | what can be told of an answer's text: contradiction, memory, repetition |
//! | [`robustness`] | questions asked otherwise, and whether the answers behave |
//! | [`report`] | the figures as a value, as text, as a page and as files |
//! | [`mod@compare`] | several runs side by side |
//! | [`looks`] | how often held-out questions were looked at |
//! | [`subject`] | the run that is judged, in plain values |
//! | [`published`] | what others published on the same questions |
//! | [`mod@challenge`] | the built-in set of ten hard questions |
//! | [`metrics`] | counted shares with Wilson's interval, confusion, lengths |
//!
//! Only [`report`]'s `write` and [`looks`] touch the disk; nothing prints.

mod abstention;
pub mod challenge;
pub mod compare;
pub mod judge;
pub mod looks;
pub mod metrics;
pub mod published;
pub mod report;
pub mod robustness;
pub mod run;
pub mod stats;
pub mod subject;
pub mod text;

pub use abstention::abstention;
pub use challenge::challenge;
pub use judge::{Benchmark, Judging, judge};
pub use looks::Look;
pub use metrics::{Confusion, Lengths, Levels, Proportion};
pub use report::{BenchmarkReport, EvalReport, Evaluation, Methods, Prediction, SystemReport};
pub use run::{Answered, Asked, EvalError, answers, ask};
pub use subject::{Curve, Left, Member, Nested, Subject, Validated, ValidationRow};
