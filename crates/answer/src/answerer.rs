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
use crate::prompt::{self, EncodedPrompt, PromptError, PromptFormat, Turn};
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

    /// As [`answer`](Answerer::answer), for prompts that [`encode`](Answerer::encode) has made of the same questions,
    /// perhaps on another thread while the model was busy.
    ///
    /// # Errors
    /// Any [`AnswerError`] but [`AnswerError::Prompt`].
    ///
    /// # Panics
    /// When there are not as many prompts as questions.
    pub fn answer_encoded(
        &self,
        engine: &mut dyn InferenceEngine,
        questions: &[Question<'_>],
        prompts: Vec<EncodedPrompt>,
        settings: &AnswerSettings,
        done: &mut dyn FnMut(usize),
    ) -> Result<Vec<Verdict>, AnswerError> {
        assert_eq!(questions.len(), prompts.len(), "a prompt for each question");
        self.check_settings(engine, settings)?;
        let mut waiting = Waiting::default();
        for (index, (question, prompt)) in questions.iter().zip(prompts).enumerate() {
            check_adapter(engine, index, question)?;
            waiting.add(index, question.adapter, prompt.tokens);
        }
        let waiting = waiting.prompts.into();
        batch::answer(&self.format, engine, questions, settings, waiting, done)
    }

    /// What [`encode`](Answerer::encode) has to know of a model and the settings.
    ///
    /// # Errors
    /// [`AnswerError::NoRoom`] where there is no room for any question.
    pub fn limits(
        &self,
        engine: &dyn InferenceEngine,
        settings: &AnswerSettings,
    ) -> Result<PromptLimits, AnswerError> {
        Ok(PromptLimits {
            format: settings.prompt_format,
            tokens: prompt_limit(engine, settings)?,
            vocabulary: engine.vocab_size(),
        })
    }

    /// The prompt of a question; needs no engine, so that it can be made on another thread.
    ///
    /// # Errors
    /// Why the question has no prompt.
    pub fn encode(
        &self,
        question: &str,
        context: Option<&str>,
        limits: PromptLimits,
    ) -> Result<EncodedPrompt, PromptError> {
        self.encode_dialogue(&[], question, context, limits)
    }

    /// The prompt of a question after earlier turns of a dialogue, for [`answer_encoded`](Answerer::answer_encoded).
    ///
    /// # Errors
    /// Why the question has no prompt.
    pub fn encode_dialogue(
        &self,
        earlier: &[Turn<'_>],
        question: &str,
        context: Option<&str>,
        limits: PromptLimits,
    ) -> Result<EncodedPrompt, PromptError> {
        let tokenizer = self.format.tokenizer;
        let prompt = prompt::fit_dialogue(
            tokenizer,
            limits.format,
            earlier,
            question,
            context,
            limits.tokens,
        )?;
        prompt::check_embedding(tokenizer, &prompt.tokens, limits.vocabulary)?;
        Ok(prompt)
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
        let limits = self.limits(engine, settings)?;
        let prompt = |question: &Question<'_>| self.encode(question.text, question.context, limits);
        Ok(questions.iter().map(prompt).collect())
    }

    /// The prompts of all questions, each once per adapter, in the order of first use.
    fn prompts(
        &self,
        engine: &dyn InferenceEngine,
        questions: &[Question<'_>],
        settings: &AnswerSettings,
    ) -> Result<VecDeque<PendingPrompt>, AnswerError> {
        self.check_settings(engine, settings)?;
        let limits = self.limits(engine, settings)?;
        let mut waiting = Waiting::default();
        for (index, question) in questions.iter().enumerate() {
            let number = index + 1;
            check_adapter(engine, index, question)?;
            let prompt = self
                .encode(question.text, question.context, limits)
                .map_err(|source| AnswerError::Prompt { number, source })?;
            waiting.add(index, question.adapter, prompt.tokens);
        }
        Ok(waiting.prompts.into())
    }

    /// Checks what holds for all questions.
    fn check_settings(
        &self,
        engine: &dyn InferenceEngine,
        settings: &AnswerSettings,
    ) -> Result<(), AnswerError> {
        let AnswerFormat {
            tokenizer, grammar, ..
        } = &self.format;
        grammar.writer(Label::Yes, settings.max_answer_tokens)?;
        for label in Label::ALL {
            let opening = grammar.opening(label);
            prompt::check_embedding(tokenizer, opening, engine.vocab_size()).map_err(|error| {
                let text = prompt::opening(label);
                let reason = error.to_string();
                AnswerError::Label(LabelError::NoToken { text, reason })
            })?;
        }
        Ok(())
    }
}

/// What a prompt has to fit: made by [`Answerer::limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PromptLimits {
    /// How question and context are arranged.
    format: PromptFormat,
    /// Maximum number of tokens in a prompt.
    tokens: usize,
    /// Rows of the model's embedding.
    vocabulary: usize,
}

/// Prompts in the order of first use; questions with the same prompt and adapter share one.
#[derive(Default)]
struct Waiting {
    prompts: Vec<PendingPrompt>,
    places: HashMap<(Option<usize>, Vec<u32>), usize>,
}

impl Waiting {
    /// Adds question number `index`.
    fn add(&mut self, index: usize, adapter: Option<usize>, tokens: Vec<u32>) {
        let prompts = &mut self.prompts;
        let entry = self.places.entry((adapter, tokens.clone()));
        let place = *entry.or_insert_with(|| {
            prompts.push(PendingPrompt {
                tokens,
                adapter,
                questions: Vec::new(),
            });
            prompts.len() - 1
        });
        prompts[place].questions.push(index);
    }
}

/// Refuses a question to an adapter that the engine does not have.
fn check_adapter(
    engine: &dyn InferenceEngine,
    index: usize,
    question: &Question<'_>,
) -> Result<(), AnswerError> {
    let (number, adapters) = (index + 1, engine.adapters());
    match question.adapter {
        Some(adapter) if adapter >= adapters => Err(AnswerError::NoAdapter {
            number,
            adapter,
            adapters,
        }),
        _ => Ok(()),
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
