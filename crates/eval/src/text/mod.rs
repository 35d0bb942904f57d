//! Properties of generated text that can be computed without a model.
//!
//! | file | what |
//! |---|---|
//! | [`contradiction`] | does a rationale contradict its label? by rules with a high precision; from `verdict-data` |
//! | [`overlap`] | is a rationale memorized from the training set? |
//! | [`mod@repetition`] | repetition within an answer and between answers |
//!
//! Pure functions of strings and labels.

pub mod overlap;
pub mod repetition;

pub use overlap::{Overlap, OverlapSummary, TrainingRationales};
pub use repetition::{Repetition, Variety, repetition, variety};
pub use verdict_data::{Contradiction, contradiction};
