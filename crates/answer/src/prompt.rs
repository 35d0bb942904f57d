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
//! When a prompt is too long, its context is cut at its end, at a whole word, as little as the
//! limit asks; when nothing of it is left, its line goes too. A question is never cut: one that
//! does not fit is an error.

use thiserror::Error;
use tokenizers::{Encoding, Tokenizer};
use verdict_data::{Item, Label};

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

/// The tokens of a prompt, at most `limit`, the context cut where it must be.
///
/// # Errors
/// [`PromptError::QuestionTooLong`] where the question does not fit without any context,
/// [`PromptError::EmptyQuestion`], [`PromptError::ControlToken`], [`PromptError::Tokenizer`].
pub fn encode_prompt(
    tokenizer: &Tokenizer,
    question: &str,
    context: Option<&str>,
    limit: usize,
) -> Result<Vec<u32>, PromptError> {
    let question = one_line(question);
    if question.is_empty() {
        return Err(PromptError::EmptyQuestion);
    }
    let mut context = context.map(one_line).filter(|text| !text.is_empty());
    loop {
        let encoding = encode(tokenizer, &render(&question, context.as_deref()), true)?;
        let tokens = encoding.len();
        if tokens <= limit {
            return Ok(encoding.get_ids().to_vec());
        }
        let Some(text) = context else {
            return Err(PromptError::QuestionTooLong {
                question: beginning(&question),
                tokens,
                limit,
            });
        };
        context = shorten(&text, &encoding, tokens - limit);
    }
}

/// The tokens of a whole row: prompt, completion, end-of-text; at most `max_tokens`.
///
/// The completion and its end-of-text are always kept whole; the prompt's context gives way.
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
    let mut tokens = encode_prompt(
        tokenizer,
        &item.question,
        item.context.as_deref(),
        max_tokens - kept,
    )
    .map_err(in_item)?;
    let prompt_tokens = tokens.len();
    tokens.extend_from_slice(answer.get_ids());
    tokens.push(eos);
    Ok(Encoded {
        tokens,
        prompt_tokens,
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

/// The context without its last words, so that at least `over` tokens go; `None` when none is left.
fn shorten(context: &str, encoding: &Encoding, over: usize) -> Option<String> {
    let start = CONTEXT.len();
    let inside: Vec<_> = encoding
        .get_offsets()
        .iter()
        .filter(|(from, to)| from < to && *from >= start && *to <= start + context.len())
        .collect();
    let kept = inside.len().checked_sub(over).filter(|kept| *kept > 0)?;
    let cut = context.floor_char_boundary(inside[kept - 1].1 - start);
    let whole_words = match context[cut..].starts_with(' ') {
        true => &context[..cut],
        false => &context[..context[..cut].rfind(' ')?],
    };
    Some(whole_words.trim_end().to_owned()).filter(|text| !text.is_empty())
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
