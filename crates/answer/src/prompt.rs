//! The prompt, the completion, and their tokens.
//!
//! ```text
//! Context: {context}          (only if there is a context)
//! Q: {question}
//! A:                          | end of the prompt; the completion begins with a space
//!    Yes. Rationale: {rationale}<end of text>
//! ```
//!
//! That is [`PromptFormat::ContextFirst`]; a run may use another [`PromptFormat`], which `eval` and `ask` take from it.
//!
//! Prompt and completion are encoded separately and joined, so that a prompt has the same tokens in training and in
//! answering.
//!
//! The prompt of a later turn of a dialogue is the earlier turns, each as its own prompt with its answer, and then the
//! prompt of the turn itself. What a turn adds to the facts is a context of its own, before its question:
//!
//! ```text
//! Context: {context}
//! Q: {question}
//! A: {answer}
//! Context: {new facts}
//! Q: {question}
//! A:
//! ```
//!
//! A prompt also has the same limit in both: [`prompt_limit`] of the maximum sequence length. A context that is too long
//! loses as few of its first sentences as necessary, because the results of an abstract, which contain the answer, are at
//! its end. Where not even the last sentence fits, its last words are kept; where nothing fits, the context's line is left
//! out. Questions are never cut: one that does not fit is an error.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokenizers::{Encoding, Tokenizer};
use verdict_data::{Item, Label, latest_sentences};

/// Default maximum sequence length: every abstract of PubMedQA's labelled part fits with its question and answer (the
/// longest takes 839 tokens of Qwen3's tokenizer).
pub const DEFAULT_MAX_LENGTH: usize = 1024;

/// Default maximum number of new tokens in an answer, including the end-of-text token.
pub const DEFAULT_ANSWER_TOKENS: usize = 96;

/// Maximum number of tokens in a prompt, from the maximum sequence length: all but [`DEFAULT_ANSWER_TOKENS`], or
/// three quarters of a short sequence.
pub const fn prompt_limit(max_length: usize) -> usize {
    let answer = match max_length / 4 {
        quarter if quarter < DEFAULT_ANSWER_TOKENS => quarter,
        _ => DEFAULT_ANSWER_TOKENS,
    };
    max_length - answer
}

/// The prefix of the context.
const CONTEXT: &str = "Context: ";

/// How a question and its context are arranged in the prompt. Without a context, the first two are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PromptFormat {
    /// `Context: {context}\nQ: {question}\nA:`.
    #[default]
    ContextFirst,
    /// `Q: {question}\nContext: {context}\nQ: {question}\nA:`: the model knows what to look for while it reads.
    QuestionTwice,
    /// The first, as the user's turn of a ChatML conversation: `<|im_start|>user\n…<|im_end|>\n<|im_start|>assistant\nA:`.
    /// For models whose tokenizer has these control tokens.
    Chat,
}

impl PromptFormat {
    /// All formats, in the order of help texts.
    pub const ALL: [PromptFormat; 3] = [
        PromptFormat::ContextFirst,
        PromptFormat::QuestionTwice,
        PromptFormat::Chat,
    ];

    /// The name in flags and files.
    pub fn as_str(self) -> &'static str {
        match self {
            PromptFormat::ContextFirst => "context-first",
            PromptFormat::QuestionTwice => "question-twice",
            PromptFormat::Chat => "chat",
        }
    }
}

impl std::str::FromStr for PromptFormat {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|format| format.as_str() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(PromptFormat::as_str).join(", ");
            format!("expected one of {names}, found {name}")
        })
    }
}

/// An error of encoding a prompt or an example.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PromptError {
    /// The question does not fit, even without a context.
    #[error(
        "the question {question:?} takes {tokens} tokens with its prompt, expected at most {limit}"
    )]
    QuestionTooLong {
        /// The beginning of the question.
        question: String,
        /// Tokens of the prompt without a context.
        tokens: usize,
        /// Maximum number of tokens in the prompt.
        limit: usize,
    },
    /// The completion leaves no room for a prompt.
    #[error(
        "the answer takes {tokens} tokens with its end-of-text, expected fewer than the limit of {limit}"
    )]
    CompletionTooLong {
        /// Tokens of the completion, including the end-of-text token.
        tokens: usize,
        /// Maximum sequence length.
        limit: usize,
    },
    /// The question is empty.
    #[error("the question is empty, expected a text")]
    EmptyQuestion,
    /// The text contains one of the model's control tokens, which would end or change the prompt.
    #[error("the text contains the model's control token {token:?}, expected plain text")]
    ControlToken {
        /// The token as text.
        token: String,
    },
    /// The tokenizer has a token without a row in the model's embedding.
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
    /// The format of the prompt needs a control token that the tokenizer does not have.
    #[error(
        "the prompt format {format} needs the token {token:?}, which this model's tokenizer does not have; \
         context-first works with every model"
    )]
    NoChatToken {
        /// Name of the format.
        format: &'static str,
        /// The token as text.
        token: &'static str,
    },
    /// The tokenizer could not encode the text.
    #[error("the tokenizer could not encode the text: {0}")]
    Tokenizer(String),
    /// Any other error, with the example of a data set in which it occurred.
    #[error("example {id:?}: {source}")]
    Item {
        /// Id of the example.
        id: String,
        /// The error.
        source: Box<PromptError>,
    },
}

/// The tokens of one training example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedExample {
    /// Prompt, completion and end-of-text token.
    pub tokens: Vec<u32>,
    /// Length of the prompt: the index of the completion's first token.
    pub prompt_tokens: usize,
    /// Number of tokens cut from the context.
    pub cut: usize,
}

/// The tokens of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedPrompt {
    /// The tokens.
    pub tokens: Vec<u32>,
    /// Number of tokens cut from the context.
    pub cut: usize,
}

/// How many contexts were cut, and by how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ContextCuts {
    /// Examples counted.
    pub rows: usize,
    /// Examples whose context was cut.
    pub cut: usize,
    /// Tokens cut in total.
    pub tokens_cut: usize,
    /// Tokens of these examples' prompts before cutting.
    pub tokens_whole: usize,
    /// Largest number of tokens cut from one example.
    pub most_cut: usize,
}

impl ContextCuts {
    /// Counts an example: tokens of its prompt, and tokens cut from it.
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

/// One line, such as `3 of 100 contexts cut at the front, by 12.5 % of their prompts' tokens (at most 210 tokens)`.
impl fmt::Display for ContextCuts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = 100.0 * self.tokens_cut as f64 / self.tokens_whole.max(1) as f64;
        write!(
            f,
            "{} of {} contexts cut at the front, by {share:.1} % of their prompts' tokens (at most {} tokens)",
            self.cut, self.rows, self.most_cut
        )
    }
}

/// The prompt as text, in a format without control tokens ([`PromptFormat::Chat`] is rendered as its user's turn, with
/// the beginning of the answer).
///
/// Every run of white space becomes one space, so that a question cannot start a new line. An empty context counts as
/// none.
pub fn render(format: PromptFormat, question: &str, context: Option<&str>) -> String {
    body(format, question, context) + ANSWER
}

/// The beginning of an answer.
const ANSWER: &str = "\nA:";

/// The prompt before the beginning of the answer.
fn body(format: PromptFormat, question: &str, context: Option<&str>) -> String {
    let question = one_line(question);
    let context = context.map(one_line).filter(|text| !text.is_empty());
    match (context, format) {
        (None, _) => format!("Q: {question}"),
        (Some(context), PromptFormat::ContextFirst | PromptFormat::Chat) => {
            format!("{CONTEXT}{context}\nQ: {question}")
        }
        (Some(context), PromptFormat::QuestionTwice) => {
            format!("Q: {question}\n{CONTEXT}{context}\nQ: {question}")
        }
    }
}

/// An earlier turn of a dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn<'t> {
    /// The question.
    pub question: &'t str,
    /// The text put before it.
    pub context: Option<&'t str>,
    /// The whole answer, as it was given.
    pub answer: &'t str,
}

/// The prompt of a question after earlier turns, each of which is its own prompt with its answer. Without earlier turns
/// it is [`render`]'s.
pub fn render_dialogue(
    format: PromptFormat,
    earlier: &[Turn<'_>],
    question: &str,
    context: Option<&str>,
) -> String {
    let mut text = String::new();
    for turn in earlier {
        text += &render(format, turn.question, turn.context);
        text += &format!(" {}\n", one_line(turn.answer));
    }
    text + &render(format, question, context)
}

/// The tokens of a prompt after earlier turns, however many.
fn encode_prompt(
    tokenizer: &Tokenizer,
    format: PromptFormat,
    earlier: &[Turn<'_>],
    question: &str,
    context: Option<&str>,
) -> Result<Vec<u32>, PromptError> {
    let ids = |text: &str| Ok(encode(tokenizer, text, false)?.get_ids().to_vec());
    if format != PromptFormat::Chat {
        let text = render_dialogue(format, earlier, question, context);
        return Ok(encode(tokenizer, &text, true)?.get_ids().to_vec());
    }
    let control = |token: &'static str| {
        let format = format.as_str();
        let missing = PromptError::NoChatToken { format, token };
        tokenizer.token_to_id(token).ok_or(missing)
    };
    let (start, end) = (control("<|im_start|>")?, control("<|im_end|>")?);
    let asked = |question: &str, context: Option<&str>| -> Result<Vec<u32>, PromptError> {
        let user = ids(&format!("user\n{}", body(format, question, context)))?;
        Ok([vec![start], user, vec![end], ids("\n")?, vec![start]].concat())
    };
    let mut tokens = Vec::new();
    for turn in earlier {
        tokens.extend(asked(turn.question, turn.context)?);
        let answer = one_line(turn.answer);
        tokens.extend(ids(&format!("assistant{ANSWER} {answer}"))?);
        tokens.push(end);
        tokens.extend(ids("\n")?);
    }
    tokens.extend(asked(question, context)?);
    match thinking(tokenizer) {
        // What Qwen3's own template writes with `enable_thinking=False`: a thought that is empty.
        Some([begin, end]) => {
            tokens.extend(ids("assistant\n")?);
            tokens.push(begin);
            tokens.extend(ids("\n\n")?);
            tokens.push(end);
            tokens.extend(ids(&format!("\n{ANSWER}"))?);
        }
        None => tokens.extend(ids(&format!("assistant{ANSWER}"))?),
    }
    Ok(tokens)
}

/// The tokens around a thought, of a model that thinks before it answers.
fn thinking(tokenizer: &Tokenizer) -> Option<[u32; 2]> {
    let added = tokenizer.get_added_vocabulary().get_vocab();
    Some([*added.get("<think>")?, *added.get("</think>")?])
}

/// The completion: ` {label}. Rationale: {rationale}`.
pub fn completion(label: Label, rationale: &str) -> String {
    format!("{} {}", opening(label), one_line(rationale))
}

/// The fixed beginning of a completion, before the sentence: ` {label}. Rationale:`.
pub fn opening(label: Label) -> String {
    format!(" {label}. Rationale:")
}

/// The tokens of a prompt, at most `limit`, with the beginning of the context cut if necessary.
///
/// # Errors
/// [`PromptError::QuestionTooLong`] where the question does not fit without its context,
/// [`PromptError::EmptyQuestion`], [`PromptError::ControlToken`], [`PromptError::Tokenizer`].
pub fn fit_prompt(
    tokenizer: &Tokenizer,
    format: PromptFormat,
    question: &str,
    context: Option<&str>,
    limit: usize,
) -> Result<EncodedPrompt, PromptError> {
    fit_dialogue(tokenizer, format, &[], question, context, limit)
}

/// The tokens of the prompt of a question after earlier turns, at most `limit`. If necessary the contexts are cut, the
/// earliest first, each from its beginning; questions and answers are kept.
///
/// # Errors
/// As [`fit_prompt`]; [`PromptError::QuestionTooLong`] where the dialogue does not fit without any context.
pub fn fit_dialogue(
    tokenizer: &Tokenizer,
    format: PromptFormat,
    earlier: &[Turn<'_>],
    question: &str,
    context: Option<&str>,
    limit: usize,
) -> Result<EncodedPrompt, PromptError> {
    let question = &one_line(question);
    if question.is_empty() {
        return Err(PromptError::EmptyQuestion);
    }
    let contexts = earlier.iter().map(|turn| turn.context).chain([context]);
    let mut contexts: Vec<String> = contexts
        .map(|context| context.map(one_line).unwrap_or_default())
        .collect();
    let prompt = |contexts: &[String]| {
        let turns = earlier.iter().zip(contexts);
        let turns: Vec<Turn<'_>> = turns
            .map(|(turn, context)| Turn {
                context: Some(context),
                ..*turn
            })
            .collect();
        let last = contexts.last().map(String::as_str);
        encode_prompt(tokenizer, format, &turns, question, last)
    };
    let mut kept = prompt(&contexts)?;
    let whole = kept.len();
    for place in 0..contexts.len() {
        if kept.len() <= limit {
            break;
        }
        let with = |context: &str| {
            let mut contexts = contexts.clone();
            context.clone_into(&mut contexts[place]);
            contexts
        };
        // A part cannot fail to encode where the whole did not.
        let fits = |context: &str| prompt(&with(context)).is_ok_and(|of| of.len() <= limit);
        contexts = with(latest_sentences(&contexts[place], fits));
        kept = prompt(&contexts)?;
    }
    match kept.len() <= limit {
        true => Ok(EncodedPrompt {
            cut: whole - kept.len(),
            tokens: kept,
        }),
        false => Err(PromptError::QuestionTooLong {
            question: beginning(question),
            tokens: kept.len(),
            limit,
        }),
    }
}

/// The tokens of a training example: prompt, completion and end-of-text token; at most `max_tokens`.
///
/// The completion is kept whole; the context is cut. The prompt is the one used in answering, of at most [`prompt_limit`]
/// tokens, unless the completion leaves less room.
///
/// # Errors
/// [`PromptError::Item`], which names the example, with an error of [`fit_prompt`] or
/// [`PromptError::CompletionTooLong`].
pub fn encode_item(
    tokenizer: &Tokenizer,
    format: PromptFormat,
    item: &Item,
    max_tokens: usize,
    eos: u32,
) -> Result<EncodedExample, PromptError> {
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
        format,
        &item.question,
        item.context.as_deref(),
        prompt_limit(max_tokens).min(max_tokens - kept),
    )
    .map_err(in_item)?;
    let prompt_tokens = tokens.len();
    tokens.extend_from_slice(answer.get_ids());
    tokens.push(eos);
    Ok(EncodedExample {
        tokens,
        prompt_tokens,
        cut,
    })
}

/// Checks that an embedding of `rows` rows has one for each token.
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

/// Encodes a text; `begin` adds the tokenizer's prefix (a begin-of-text token, for models that have one). A control token
/// spelled out in the text is an error.
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

/// The text, trimmed, with every run of white space replaced by one space.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The beginning of a question, for error messages.
fn beginning(question: &str) -> String {
    match question.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &question[..end]),
        None => question.to_owned(),
    }
}
