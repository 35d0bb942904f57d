//! Cross-entropy of the next token, in nats, and its gradient with respect to the logits.

mod cpu;
mod cuda;
mod cuda_choose;
pub mod reference;
#[cfg(test)]
mod tests;

pub use cpu::{cross_entropy, log_softmax_at};
pub use cuda_choose::{ChoicePart, Choices, choice_parts};
