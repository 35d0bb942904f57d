//! Answering many questions with many adapters in one packed batch.
//!
//! Results are batch-invariant: an answer does not depend on the other questions of the batch, on a GPU up to the
//! order in which sums are reduced, which follows the number of tokens in a pass.

use std::collections::{HashMap, VecDeque};

use tokenizers::Tokenizer;
use verdict_data::Label;

use crate::batch::{self, PendingPrompt};
use crate::engine::InferenceEngine;
use crate::error::AnswerError;
use crate::labels::{LabelError, LabelTokens};
use crate::prompt::{self, EncodedPrompt, PromptError};
use crate::request::{AnswerSettings, Question};
use crate::text::AnswerFormat;
use crate::verdict::Verdict;

/// Answers questions with one tokenizer. Cheap to make; may be shared between threads.
#[derive(Clone, Debug)]
pub struct Answerer<'t> {
    format: AnswerFormat<'t>,
}

impl<'t> Answerer<'t> {
    /// An answerer for the model whose tokenizer this is; `eos` is its end-of-text token.
    ///
    /// # Errors
    /// [`AnswerError::Label`] or [`AnswerError::Grammar`] where the tokenizer cannot write the answer format.
    pub fn new(tokenizer: &'t Tokenizer, eos: u32) -> Result<Answerer<'t>, AnswerError> {
        let format = AnswerFormat::new(tokenizer, eos)?;
        Ok(Answerer { format })
    }

    /// The same, with further tokens that end an answer as the end-of-text token does: a model may have several
    /// (`eos_token_id` of `config.json` and `generation_config.json`).
    pub fn with_ends(mut self, ends: &[u32]) -> Answerer<'t> {
        self.format.add_ends(ends);
        self
    }

    /// The tokens of the three labels.
    pub fn labels(&self) -> &LabelTokens {
        &self.format.labels
    }

    /// Answers every question; the verdicts are in the order of the questions. `done` is called with the number of
    /// questions answered so far, each time it has grown.
    ///
    /// # Errors
    /// Any [`AnswerError`]. Invalid questions are found before the model runs.
    pub fn answer(
        &self,
        engine: &mut dyn InferenceEngine,
        questions: &[Question<'_>],
        settings: &AnswerSettings,
        done: &mut dyn FnMut(usize),
    ) -> Result<Vec<Verdict>, AnswerError> {
        let waiting = self.prompts(engine, questions, settings)?;
        batch::answer(&self.format, engine, questions, settings, waiting, done)
    }

    /// The prompt of each question as [`answer`](Answerer::answer) would make it, or why there is none.
    ///
    /// # Errors
    /// [`AnswerError::NoRoom`] where there is no room for any question.
    pub fn check(
        &self,
        engine: &dyn InferenceEngine,
        questions: &[Question<'_>],
        settings: &AnswerSettings,
    ) -> Result<Vec<Result<EncodedPrompt, PromptError>>, AnswerError> {
        let limit = prompt_limit(engine, settings)?;
        let prompt = |question: &Question<'_>| self.prompt(engine, question, limit);
        Ok(questions.iter().map(prompt).collect())
    }

    /// The tokens of a question's prompt, at most `limit`.
    fn prompt(
        &self,
        engine: &dyn InferenceEngine,
        question: &Question<'_>,
        limit: usize,
    ) -> Result<EncodedPrompt, PromptError> {
        let tokenizer = self.format.tokenizer;
        let prompt = prompt::fit_prompt(tokenizer, question.text, question.context, limit)?;
        prompt::check_embedding(tokenizer, &prompt.tokens, engine.vocab_size())?;
        Ok(prompt)
    }

    /// The prompts of all questions, each once per adapter, in the order of first use.
    fn prompts(
        &self,
        engine: &dyn InferenceEngine,
        questions: &[Question<'_>],
        settings: &AnswerSettings,
    ) -> Result<VecDeque<PendingPrompt>, AnswerError> {
        let limit = self.check_settings(engine, settings)?;
        let adapters = engine.adapters();
        let mut prompts: Vec<PendingPrompt> = Vec::new();
        let mut places: HashMap<(Option<usize>, Vec<u32>), usize> = HashMap::new();
        for (index, question) in questions.iter().enumerate() {
            let number = index + 1;
            if let Some(adapter) = question.adapter.filter(|adapter| *adapter >= adapters) {
                return Err(AnswerError::NoAdapter {
                    number,
                    adapter,
                    adapters,
                });
            }
            let tokens = self
                .prompt(engine, question, limit)
                .map_err(|source| AnswerError::Prompt { number, source })?
                .tokens;
            let place = *places
                .entry((question.adapter, tokens.clone()))
                .or_insert_with(|| {
                    prompts.push(PendingPrompt {
                        tokens,
                        adapter: question.adapter,
                        questions: Vec::new(),
                    });
                    prompts.len() - 1
                });
            prompts[place].questions.push(index);
        }
        Ok(prompts.into())
    }

    /// Checks what holds for all questions; returns the maximum number of tokens in a prompt.
    fn check_settings(
        &self,
        engine: &dyn InferenceEngine,
        settings: &AnswerSettings,
    ) -> Result<usize, AnswerError> {
        let AnswerFormat {
            tokenizer, grammar, ..
        } = &self.format;
        grammar.writer(Label::Yes, settings.max_answer_tokens)?;
        let limit = prompt_limit(engine, settings)?;
        for label in Label::ALL {
            let opening = grammar.opening(label);
            prompt::check_embedding(tokenizer, opening, engine.vocab_size()).map_err(|error| {
                let text = prompt::opening(label);
                let reason = error.to_string();
                AnswerError::Label(LabelError::NoToken { text, reason })
            })?;
        }
        Ok(limit)
    }
}

/// Maximum number of tokens in a prompt: what the settings allow and the model's positions leave beside an answer.
fn prompt_limit(
    engine: &dyn InferenceEngine,
    settings: &AnswerSettings,
) -> Result<usize, AnswerError> {
    let (answer, positions) = (settings.max_answer_tokens, engine.max_positions());
    let room = positions.checked_sub(answer).filter(|room| *room > 0);
    let room = room.ok_or(AnswerError::NoRoom { answer, positions })?;
    Ok(room.min(settings.max_prompt_tokens))
}
