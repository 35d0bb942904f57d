//! From tokens to answers: what answering needs of the tokenizer, independent of model and batch.

use std::time::Instant;

use tokenizers::Tokenizer;

use crate::engine::LogitRow;
use crate::error::AnswerError;
use crate::grammar::{Grammar, Step, Writer};
use crate::labels::{LabelScores, LabelTokens};
use crate::prompt;
use crate::sampler::TokenSampler;
use crate::verdict::{Mode, Verdict, first_word, parse_answer};

/// The tokenizer with the label tokens and the grammar that follow from it.
#[derive(Clone, Debug)]
pub(crate) struct AnswerFormat<'t> {
    pub(crate) tokenizer: &'t Tokenizer,
    pub(crate) labels: LabelTokens,
    pub(crate) grammar: Grammar<'t>,
}

/// The text of an answer so far.
pub(crate) enum AnswerText<'a, 't> {
    /// Tokens of unconstrained decoding.
    Free(Vec<u32>),
    /// A sentence under constrained decoding.
    Guaranteed(Writer<'a, 't>),
    /// Only the label is wanted.
    None,
}

impl<'t> AnswerFormat<'t> {
    pub(crate) fn new(tokenizer: &'t Tokenizer, eos: u32) -> Result<AnswerFormat<'t>, AnswerError> {
        Ok(AnswerFormat {
            tokenizer,
            labels: LabelTokens::new(tokenizer)?,
            grammar: Grammar::new(tokenizer, eos)?,
        })
    }

    /// Adds tokens that end an answer as the end-of-text token does.
    pub(crate) fn add_ends(&mut self, ends: &[u32]) {
        self.grammar.add_ends(ends);
    }

    /// Appends the next token to an answer; `limit` is its maximum number of new tokens.
    pub(crate) fn step(
        &self,
        text: &mut AnswerText<'_, '_>,
        sampler: &mut TokenSampler<'_>,
        logits: LogitRow<'_>,
        limit: usize,
    ) -> verdict_model::Result<Step> {
        match text {
            AnswerText::Free(tokens) => self.free_step(tokens, sampler, logits, limit),
            AnswerText::Guaranteed(writer) => writer.step(logits, sampler),
            AnswerText::None => Ok(Step::Done),
        }
    }

    /// One token of unconstrained decoding. Added tokens (control tokens, and marks such as Qwen3's `<think>`) and line
    /// breaks end the answer.
    fn free_step(
        &self,
        tokens: &mut Vec<u32>,
        sampler: &mut TokenSampler<'_>,
        logits: LogitRow<'_>,
        limit: usize,
    ) -> verdict_model::Result<Step> {
        let Some(token) = sampler.candidates(logits)?.next().transpose()? else {
            return Ok(Step::Done);
        };
        let added = self
            .tokenizer
            .get_added_vocabulary()
            .get_added_tokens_decoder();
        if self.grammar.is_end(token) || added.contains_key(&token) {
            return Ok(Step::Done);
        }
        let text = self.tokenizer.decode(&[token], false).unwrap_or_default();
        if !text.starts_with('\n') {
            tokens.push(token);
        }
        Ok(match text.contains('\n') || tokens.len() + 1 >= limit {
            true => Step::Done,
            false => Step::Took(token),
        })
    }

    /// The finished answer as a value.
    pub(crate) fn verdict(
        &self,
        question: &str,
        text: &AnswerText<'_, '_>,
        scores: &LabelScores,
        adapter: Option<String>,
        started: Instant,
    ) -> Verdict {
        let fallback = matches!(text, AnswerText::Guaranteed(writer) if writer.fell_back());
        let (mode, answer) = match text {
            AnswerText::Free(tokens) => {
                let text = self.tokenizer.decode(tokens, true).unwrap_or_default();
                let line = text.split('\n').next().unwrap_or_default();
                (Mode::Free, line.trim().to_owned())
            }
            AnswerText::Guaranteed(writer) => {
                let text = prompt::completion(writer.label(), &writer.sentence());
                (Mode::Guaranteed, text.trim().to_owned())
            }
            AnswerText::None => (Mode::Label, String::new()),
        };
        let tokens = match answer.is_empty() {
            true => 0,
            false => self
                .tokenizer
                .encode(format!(" {answer}"), false)
                .map_or(0, |encoding| encoding.len()),
        };
        let parsed = parse_answer(&answer);
        Verdict {
            question: question.to_owned(),
            label: match mode {
                Mode::Label => Some(scores.label()),
                Mode::Free | Mode::Guaranteed => parsed.as_ref().map(|parsed| parsed.label),
            },
            probabilities: scores.probabilities,
            other: scores.other,
            first_word: first_word(&answer),
            fallback,
            format_ok: parsed.is_some(),
            rationale: parsed.map(|parsed| parsed.rationale),
            answer,
            adapter,
            mode,
            tokens,
            latency_ms: started.elapsed().as_micros() as f64 / 1e3,
        }
    }
}
