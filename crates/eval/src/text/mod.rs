//! What can be told of the text of answers, without a model to judge it.
//!
//! | file | what |
//! |---|---|
//! | [`contradiction`] | does a rationale contradict the label it stands under? by rules, precision first; of `verdict-data` |
//! | [`overlap`] | is a rationale one that was trained on, or nearly? |
//! | [`mod@repetition`] | repetition within an answer and from answer to answer |
//!
//! Functions over strings and labels; what they find is counted, not read.

pub mod overlap;
pub mod repetition;

pub use overlap::{Overlap, OverlapSummary, Trained};
pub use repetition::{Repetition, Variety, repetition, variety};
pub use verdict_data::{Contradiction, contradiction};
