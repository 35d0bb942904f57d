//! What the model reads: the prompt, the completion, and their tokens.
//!
//! ```text
//! Context: {context}          (this line only where there is a context)
//! Q: {question}
//! A:                          | the prompt ends here, the completion begins with a blank
//!    Yes. Rationale: {rationale}<end of text>
//! ```
//!
//! Prompt and completion are encoded apart and joined, so that the prompt's tokens while learning
//! are the prompt's tokens while answering. There is no chat template.
//!
//! A prompt has the same limit in training and in answering: [`prompt_limit`] of the most tokens of a
//! row. When a prompt is too long, its context loses its first sentences, as few as the limit asks: an
//! abstract's answer stands in its results, at the end. Where not even the last sentence fits, its last
//! words stay; when nothing is left, the context's line goes too. A question is never cut: one that does
//! not fit is an error.

use std::fmt;

use serde::Serialize;
use thiserror::Error;
use tokenizers::{Encoding, Tokenizer};
use verdict_data::{Item, Label, latest_sentences};

/// Most tokens of a row where the settings do not say: every abstract of PubMedQA's labelled part fits
/// with its question and answer (the longest takes 839 tokens of Qwen3's tokenizer).
pub const ROW_TOKENS: usize = 1024;

/// Most tokens of an answer where the settings do not say, end-of-text included.
pub const ANSWER_TOKENS: usize = 96;

/// Most tokens of a prompt in rows of at most `row_tokens`: all but [`ANSWER_TOKENS`] for the answer, or
/// but a quarter in short rows.
pub const fn prompt_limit(row_tokens: usize) -> usize {
    let answer = match row_tokens / 4 {
        quarter if quarter < ANSWER_TOKENS => quarter,
        _ => ANSWER_TOKENS,
    };
    row_tokens - answer
}

/// What stands before the context.
const CONTEXT: &str = "Context: ";

/// Why a prompt could not be encoded.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PromptError {
    /// The question alone fills more than there is room for.
    #[error(
        "the question {question:?} takes {tokens} tokens with its prompt, expected at most {limit}"
    )]
    QuestionTooLong {
        /// The beginning of the question.
        question: String,
        /// Tokens of the prompt without any context.
        tokens: usize,
        /// Tokens that the prompt may take.
        limit: usize,
    },
    /// The completion and its end-of-text token leave no room for a prompt.
    #[error(
        "the answer takes {tokens} tokens with its end-of-text, expected fewer than the limit of {limit}"
    )]
    CompletionTooLong {
        /// Tokens of the completion, end-of-text included.
        tokens: usize,
        /// The limit of the whole sequence.
        limit: usize,
    },
    /// There is nothing to ask.
    #[error("the question is empty, expected a text")]
    EmptyQuestion,
    /// The text spells one of the model's control tokens, which would end or change the prompt.
    #[error("the text holds the model's control token {token:?}, expected plain text")]
    ControlToken {
        /// The token as the text spells it.
        token: String,
    },
    /// The tokenizer has a token for which the model has no embedding.
    #[error(
        "the text {token:?} is token {id}, and the model's embedding has only {rows} rows: the tokenizer \
         and the weights do not belong together; use this model's own tokenizer, or take {token:?} out of the text"
    )]
    BeyondEmbedding {
        /// The token as text.
        token: String,
        /// Its number.
        id: u32,
        /// Rows of the model's embedding (`vocab_size`).
        rows: usize,
    },
    /// The tokenizer could not encode the text.
    #[error("the tokenizer could not encode the text: {0}")]
    Tokenizer(String),
    /// Any of the others, met in a row of a data set.
    #[error("item {id:?}: {source}")]
    Item {
        /// Name of the row.
        id: String,
        /// What was wrong with it.
        source: Box<PromptError>,
    },
}

/// The tokens of one whole training sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Prompt, completion and end-of-text.
    pub tokens: Vec<u32>,
    /// How many of them are the prompt: the index of the completion's first token.
    pub prompt_tokens: usize,
    /// Tokens that the limit cut from the prompt's context.
    pub cut: usize,
}

/// The tokens of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedPrompt {
    /// What the model reads.
    pub tokens: Vec<u32>,
    /// Tokens that the limit cut from the context.
    pub cut: usize,
}

/// How often and how far contexts were cut to fit their prompts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ContextCuts {
    /// Rows looked at.
    pub rows: usize,
    /// Rows whose context was cut.
    pub cut: usize,
    /// Tokens cut, of all of these rows together.
    pub tokens_cut: usize,
    /// Tokens of these rows' prompts as they would be uncut.
    pub tokens_whole: usize,
    /// Tokens cut from the row that lost most.
    pub most_cut: usize,
}

impl ContextCuts {
    /// Counts one more row: tokens of its prompt as it is, and those cut from it.
    pub fn add(&mut self, prompt_tokens: usize, cut: usize) {
        self.rows += 1;
        if cut > 0 {
            self.cut += 1;
            self.tokens_cut += cut;
            self.tokens_whole += prompt_tokens + cut;
            self.most_cut = self.most_cut.max(cut);
        }
    }
}

/// One line for people, such as `the context of 3 of 100 rows is cut from the front, by 12.5 % of their prompts'
/// tokens (at most 210 tokens)`.
impl fmt::Display for ContextCuts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = 100.0 * self.tokens_cut as f64 / self.tokens_whole.max(1) as f64;
        write!(
            f,
            "the context of {} of {} rows is cut from the front, by {share:.1} % of their prompts' tokens \
             (at most {} tokens)",
            self.cut, self.rows, self.most_cut
        )
    }
}

/// The prompt: `Q: {question}\nA:`, after `Context: {context}\n` where there is a context.
///
/// Every run of white space becomes one blank, so that a question cannot open a line of its own.
/// An empty context counts as none.
pub fn render(question: &str, context: Option<&str>) -> String {
    let question = one_line(question);
    match context.map(one_line).filter(|text| !text.is_empty()) {
        Some(context) => format!("{CONTEXT}{context}\nQ: {question}\nA:"),
        None => format!("Q: {question}\nA:"),
    }
}

/// What follows the prompt: ` {label}. Rationale: {rationale}`.
pub fn completion(label: Label, rationale: &str) -> String {
    format!("{} {}", opening(label), one_line(rationale))
}

/// The fixed beginning of a completion, up to where the sentence begins: ` {label}. Rationale:`.
pub fn opening(label: Label) -> String {
    format!(" {label}. Rationale:")
}

/// The tokens of a prompt, at most `limit`, as [`fit_prompt`] gives them.
///
/// # Errors
/// Those of [`fit_prompt`].
pub fn encode_prompt(
    tokenizer: &Tokenizer,
    question: &str,
    context: Option<&str>,
    limit: usize,
) -> Result<Vec<u32>, PromptError> {
    Ok(fit_prompt(tokenizer, question, context, limit)?.tokens)
}

/// The tokens of a prompt, at most `limit`, the context's beginning cut where it must be.
///
/// # Errors
/// [`PromptError::QuestionTooLong`] where the question does not fit without any context,
/// [`PromptError::EmptyQuestion`], [`PromptError::ControlToken`], [`PromptError::Tokenizer`].
pub fn fit_prompt(
    tokenizer: &Tokenizer,
    question: &str,
    context: Option<&str>,
    limit: usize,
) -> Result<EncodedPrompt, PromptError> {
    let question = one_line(question);
    if question.is_empty() {
        return Err(PromptError::EmptyQuestion);
    }
    let context = context.map(one_line).unwrap_or_default();
    let prompt = |context: &str| encode(tokenizer, &render(&question, Some(context)), true);
    let whole = prompt(&context)?;
    if whole.len() <= limit {
        return Ok(EncodedPrompt {
            tokens: whole.get_ids().to_vec(),
            cut: 0,
        });
    }
    // What cannot be encoded here could not be encoded whole either.
    let fits = |context: &str| prompt(context).is_ok_and(|encoding| encoding.len() <= limit);
    let kept = prompt(latest_sentences(&context, fits))?;
    match kept.len() <= limit {
        true => Ok(EncodedPrompt {
            tokens: kept.get_ids().to_vec(),
            cut: whole.len() - kept.len(),
        }),
        false => Err(PromptError::QuestionTooLong {
            question: beginning(&question),
            tokens: kept.len(),
            limit,
        }),
    }
}

/// The tokens of a whole row: prompt, completion, end-of-text; at most `max_tokens`.
///
/// The completion and its end-of-text are always kept whole; the prompt's context gives way. The prompt is
/// the one that is asked later, of at most [`prompt_limit`] tokens, unless the completion leaves less room.
///
/// # Errors
/// [`PromptError::Item`], which names the row and holds what [`encode_prompt`] found, or
/// [`PromptError::CompletionTooLong`].
pub fn encode_item(
    tokenizer: &Tokenizer,
    item: &Item,
    max_tokens: usize,
    eos: u32,
) -> Result<Encoded, PromptError> {
    let in_item = |source| PromptError::Item {
        id: item.id.clone(),
        source: Box::new(source),
    };
    let answer =
        encode(tokenizer, &completion(item.label, &item.rationale), false).map_err(in_item)?;
    let kept = answer.len() + 1;
    if kept >= max_tokens {
        return Err(in_item(PromptError::CompletionTooLong {
            tokens: kept,
            limit: max_tokens,
        }));
    }
    let EncodedPrompt { mut tokens, cut } = fit_prompt(
        tokenizer,
        &item.question,
        item.context.as_deref(),
        prompt_limit(max_tokens).min(max_tokens - kept),
    )
    .map_err(in_item)?;
    let prompt_tokens = tokens.len();
    tokens.extend_from_slice(answer.get_ids());
    tokens.push(eos);
    Ok(Encoded {
        tokens,
        prompt_tokens,
        cut,
    })
}

/// Checks that a model with `rows` rows of embedding has one for each token.
///
/// # Errors
/// [`PromptError::BeyondEmbedding`].
pub fn check_embedding(
    tokenizer: &Tokenizer,
    tokens: &[u32],
    rows: usize,
) -> Result<(), PromptError> {
    match tokens.iter().find(|token| **token as usize >= rows) {
        None => Ok(()),
        Some(&id) => Err(PromptError::BeyondEmbedding {
            token: tokenizer.decode(&[id], false).unwrap_or_default(),
            id,
            rows,
        }),
    }
}

/// Encodes a text; `begin` adds what the tokenizer puts before a text (a begin-of-text token, for
/// models that have one). A control token spelt out in the text is an error.
pub(crate) fn encode(
    tokenizer: &Tokenizer,
    text: &str,
    begin: bool,
) -> Result<Encoding, PromptError> {
    let encoding = tokenizer
        .encode(text, begin)
        .map_err(|error| PromptError::Tokenizer(error.to_string()))?;
    let added = tokenizer.get_added_vocabulary().get_added_tokens_decoder();
    for (id, put_there) in encoding
        .get_ids()
        .iter()
        .zip(encoding.get_special_tokens_mask())
    {
        if let Some(token) = added
            .get(id)
            .filter(|token| token.special && *put_there == 0)
        {
            return Err(PromptError::ControlToken {
                token: token.content.clone(),
            });
        }
    }
    Ok(encoding)
}

/// The text with every run of white space as one blank, none at its ends.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Enough of a question to find it again.
fn beginning(question: &str) -> String {
    match question.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &question[..end]),
        None => question.to_owned(),
    }
}
