//! The one prompt renderer, the one answer grammar, the one label scorer, and answering in batches.
//!
//! Start at [`prompt`] for what the model reads, at [`labels`] for the probabilities of the three
//! answers. Nothing here prints, and nothing here knows where the weights lie.

pub mod labels;
pub mod prompt;
#[cfg(feature = "testing")]
pub mod testing;

pub use labels::{LabelScores, LabelTokens};
pub use prompt::{Encoded, PromptError, encode_item, encode_prompt};
