//! Questions, and the limits and sampling of their answers.

use verdict_data::Label;

use crate::prompt::{self, PromptFormat};
use crate::sampler::Sampling;
use crate::verdict::Mode;

/// A question to one adapter, or to the base model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question<'q> {
    /// The question.
    pub text: &'q str,
    /// The text put before it in the prompt.
    pub context: Option<&'q str>,
    /// Index of the adapter; `None` for the base model.
    pub adapter: Option<usize>,
    /// How the answer is decoded.
    pub mode: Mode,
    /// The label that constrained decoding writes a rationale for; `None` for the most probable one.
    pub label: Option<Label>,
}

/// Limits and sampling of a batch of answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnswerSettings {
    /// Maximum number of new tokens in an answer, end-of-text included; at least
    /// [`MIN_TOKENS`](crate::grammar::MIN_TOKENS).
    pub max_answer_tokens: usize,
    /// Maximum number of tokens in a prompt; a longer context loses its first sentences.
    pub max_prompt_tokens: usize,
    /// How question and context are arranged in the prompt.
    pub prompt_format: PromptFormat,
    /// Maximum number of tokens in one forward pass while new prompts are admitted.
    pub max_batch_tokens: usize,
    /// Maximum number of sequences in the cache at once.
    pub max_sequences: usize,
    /// How tokens are sampled.
    pub sampling: Sampling,
}

impl Default for AnswerSettings {
    /// Greedy answers of up to 96 tokens, prompts as in training examples of [`prompt::DEFAULT_MAX_LENGTH`] tokens, up to 64
    /// sequences and 2,048 tokens per pass.
    fn default() -> Self {
        AnswerSettings {
            max_answer_tokens: prompt::DEFAULT_ANSWER_TOKENS,
            max_prompt_tokens: prompt::prompt_limit(prompt::DEFAULT_MAX_LENGTH),
            prompt_format: PromptFormat::default(),
            max_batch_tokens: 2048,
            max_sequences: 64,
            sampling: Sampling::default(),
        }
    }
}
