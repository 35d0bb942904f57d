//! Constrained decoding: ` Yes|No|Uncertain. Rationale: ` and one complete sentence.
//!
//! ```text
//! answer   = " " ("Yes" | "No" | "Uncertain") ". Rationale:" sentence end-of-text
//! sentence = a rationale by `sentence::rationale_state`: one sentence without a citation, 20 to 400 characters
//! ```
//!
//! The label is the most probable one by [`crate::labels`], and the fixed words after it are appended unchanged. From
//! there, a [`Writer`] takes the model's best token that the language admits. No automaton is compiled and no mask over
//! the vocabulary is computed: the model's first candidate is nearly always admitted, and checking one candidate means
//! reading a few hundred characters.
//!
//! Answers are never truncated in mid-sentence. The writer has a limit of tokens and characters; when it is reached, the
//! sentence ends at the place where the model was most likely to end it.

use thiserror::Error;
use tokenizers::{DecoderWrapper, Tokenizer};
use verdict_data::Label;
use verdict_model::LogitRow;

use crate::prompt;
use crate::sampler::TokenSampler;
use crate::sentence::{MAX_CHARS, RationaleState, rationale_state};

/// The rationale where the model's text contains no usable sentence.
const FALLBACK: &str = " No reason was stated.";
/// Endings of a sentence, in the order in which they are tried.
const ENDINGS: [&str; 3] = [".", ").", "]."];
/// Maximum number of candidates that are tried for one token before the sentence is ended.
const MAX_CANDIDATES: usize = 2000;
/// Smallest allowed maximum of new tokens: room for the fixed words and a sentence.
pub const MIN_TOKENS: usize = 24;

/// An error of a tokenizer or limit that rules out constrained decoding.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum GrammarError {
    /// The tokens are not byte strings.
    #[error(
        "the tokenizer's decoder is {found}, expected a byte-level one (GPT-2, Llama 3, Qwen, SmolLM2): \
         SentencePiece vocabularies (Llama 1 and 2, TinyLlama, Mistral) are not supported; take a model of \
         one of these families"
    )]
    NotByteLevel {
        /// The kind of the tokenizer's decoder.
        found: String,
    },
    /// The tokenizer cannot write the fixed words or a full stop.
    #[error("the tokenizer cannot write {text:?} as tokens of its own: {reason}")]
    FixedText {
        /// The text.
        text: String,
        /// Why.
        reason: String,
    },
    /// The maximum number of new tokens is too small.
    #[error("the maximum number of new tokens is {found}, expected at least {MIN_TOKENS}")]
    TooFewTokens {
        /// The requested maximum.
        found: usize,
    },
}

/// The answer grammar for one tokenizer. Cheap to make; may be shared between threads.
#[derive(Clone, Debug)]
pub struct Grammar<'t> {
    tokenizer: &'t Tokenizer,
    /// Tokens that end a text.
    ends: Vec<u32>,
    full_stop: u32,
    openings: [Vec<u32>; 3],
}

impl<'t> Grammar<'t> {
    /// The grammar for `tokenizer`, whose end-of-text token is `eos`.
    ///
    /// # Errors
    /// [`GrammarError::NotByteLevel`] or [`GrammarError::FixedText`].
    pub fn new(tokenizer: &'t Tokenizer, eos: u32) -> Result<Grammar<'t>, GrammarError> {
        match tokenizer.get_decoder() {
            Some(DecoderWrapper::ByteLevel(_)) => {}
            other => {
                let found = other.map_or("none".into(), |decoder| {
                    let kind = format!("{decoder:?}");
                    kind.split(['(', ' ', '{'])
                        .next()
                        .unwrap_or_default()
                        .to_owned()
                });
                return Err(GrammarError::NotByteLevel { found });
            }
        }
        let mut grammar = Grammar {
            tokenizer,
            ends: vec![eos],
            full_stop: 0,
            openings: Default::default(),
        };
        for label in Label::ALL {
            grammar.openings[label.index()] = grammar.fixed(&prompt::opening(label))?;
        }
        grammar.full_stop = match grammar.fixed(".")?.as_slice() {
            [only] => *only,
            more => {
                return Err(GrammarError::FixedText {
                    text: ".".into(),
                    reason: format!("it takes {} tokens, expected 1", more.len()),
                });
            }
        };
        Ok(grammar)
    }

    /// Adds tokens that end a text.
    pub(crate) fn add_ends(&mut self, ends: &[u32]) {
        self.ends.extend(ends);
    }

    /// Whether a token ends a text.
    pub(crate) fn is_end(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }

    /// The tokens of ` {label}. Rationale:`.
    pub fn opening(&self, label: Label) -> &[u32] {
        &self.openings[label.index()]
    }

    /// The token of a full stop, whose logit a [`Writer`] reads at nearly every step.
    pub fn full_stop(&self) -> u32 {
        self.full_stop
    }

    /// A writer for the sentence after the opening. `max_tokens` is the maximum for the whole answer, including opening
    /// and end-of-text token.
    ///
    /// # Errors
    /// [`GrammarError::TooFewTokens`] for fewer than [`MIN_TOKENS`].
    pub fn writer(&self, label: Label, max_tokens: usize) -> Result<Writer<'_, 't>, GrammarError> {
        if max_tokens < MIN_TOKENS {
            return Err(GrammarError::TooFewTokens { found: max_tokens });
        }
        // The full stop and the end-of-text token take one each.
        let room = max_tokens.saturating_sub(self.opening(label).len() + 2);
        Ok(Writer {
            grammar: self,
            label,
            room,
            bytes: Vec::new(),
            stops: Vec::new(),
            fell_back: false,
        })
    }

    /// The bytes of a token; `None` for control tokens and unknown ids.
    fn bytes(&self, token: u32) -> Option<Vec<u8>> {
        if self
            .tokenizer
            .get_added_vocabulary()
            .get_added_tokens_decoder()
            .contains_key(&token)
        {
            return None;
        }
        self.tokenizer
            .id_to_token(token)?
            .chars()
            .map(byte_of)
            .collect()
    }

    /// The tokens of a constant text, after checking that they decode to it.
    fn fixed(&self, text: &str) -> Result<Vec<u32>, GrammarError> {
        let failed = |reason: String| GrammarError::FixedText {
            text: text.into(),
            reason,
        };
        let encoding = prompt::encode(self.tokenizer, text, false)
            .map_err(|error| failed(error.to_string()))?;
        let bytes: Option<Vec<Vec<u8>>> = encoding
            .get_ids()
            .iter()
            .map(|id| self.bytes(*id))
            .collect();
        match bytes.map(|bytes| bytes.concat()) {
            Some(back) if back == text.as_bytes() => Ok(encoding.get_ids().to_vec()),
            Some(back) => Err(failed(format!(
                "its tokens read {:?}",
                String::from_utf8_lossy(&back)
            ))),
            None => Err(failed("one of its tokens is a control token".into())),
        }
    }
}

/// The outcome of a decoding step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// This token was appended; the answer continues.
    Took(u32),
    /// The answer is complete.
    Done,
}

/// Decodes one sentence, token by token.
#[derive(Clone, Debug)]
pub struct Writer<'g, 't> {
    grammar: &'g Grammar<'t>,
    label: Label,
    /// Number of tokens that may still be appended.
    room: usize,
    bytes: Vec<u8>,
    /// Places where a full stop would have completed the sentence: the length in bytes, and the logit of the full stop
    /// relative to the largest.
    stops: Vec<(usize, f32)>,
    /// Whether the sentence is the fallback.
    fell_back: bool,
}

impl Writer<'_, '_> {
    /// Appends the best admitted token, from the logits after the text so far.
    ///
    /// # Errors
    /// A GPU error.
    pub fn step(
        &mut self,
        logits: LogitRow<'_>,
        sampler: &mut TokenSampler<'_>,
    ) -> verdict_model::Result<Step> {
        let whole = self.whole();
        let closable = self
            .state_with(b".")
            .is_some_and(RationaleState::is_rationale);
        if closable {
            let stop = logits.values(&[self.grammar.full_stop])?[0];
            self.stops.push((self.bytes.len(), stop - logits.largest()));
        }
        for token in sampler.candidates(logits)?.take(MAX_CANDIDATES) {
            let token = token?;
            let bytes = self.grammar.bytes(token);
            // Of a token with a line break only the part before it counts: ".\n" is a full stop.
            let line = bytes
                .as_ref()
                .and_then(|bytes| bytes.split(|byte| *byte == b'\n').next());
            let cut =
                line.filter(|line| bytes.as_ref().is_some_and(|bytes| line.len() < bytes.len()));
            if let Some(line) = cut
                && self
                    .state_with(line)
                    .is_some_and(RationaleState::is_rationale)
            {
                self.bytes.extend(line);
                return Ok(Step::Done);
            }
            if closable && (self.grammar.is_end(token) || cut.is_some_and(<[u8]>::is_empty)) {
                self.bytes.push(b'.');
                return Ok(Step::Done);
            }
            let state = bytes.as_ref().and_then(|bytes| self.state_with(bytes));
            match state {
                Some(state) if state != RationaleState::Impossible => {
                    if self.room == 0 {
                        self.close();
                        return Ok(Step::Done);
                    }
                    self.room -= 1;
                    self.bytes.extend(bytes.unwrap_or_default());
                    return Ok(match state {
                        RationaleState::Final => Step::Done,
                        _ => Step::Took(token),
                    });
                }
                // The sentence is complete, and the model would continue beyond it.
                _ if let Some(length) = whole => {
                    self.bytes.truncate(length);
                    return Ok(Step::Done);
                }
                _ if self.full() => break,
                _ => {}
            }
        }
        self.close();
        Ok(Step::Done)
    }

    /// The sentence so far, without the space before it; complete after [`Step::Done`].
    pub fn sentence(&self) -> String {
        String::from_utf8_lossy(&self.bytes).trim_start().to_owned()
    }

    /// The label that the sentence explains.
    pub fn label(&self) -> Label {
        self.label
    }

    /// Whether the sentence is the fallback that replaces an unusable one.
    pub fn fell_back(&self) -> bool {
        self.fell_back
    }

    /// Length of the text without a trailing space, if that is a rationale.
    fn whole(&self) -> Option<usize> {
        let bare = self.bytes.strip_suffix(b" ").unwrap_or(&self.bytes);
        let text = std::str::from_utf8(bare).ok()?;
        rationale_state(text).is_rationale().then_some(bare.len())
    }

    /// The state of the text with `more` appended; the last character may be incomplete.
    fn state_with(&self, more: &[u8]) -> Option<RationaleState> {
        let bytes = [self.bytes.as_slice(), more].concat();
        match std::str::from_utf8(&bytes) {
            Ok(text) => Some(rationale_state(text)),
            Err(error) if error.error_len().is_none() => {
                let whole = std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?;
                Some(match rationale_state(whole) {
                    RationaleState::Impossible => RationaleState::Impossible,
                    _ => RationaleState::Incomplete,
                })
            }
            Err(_) => None,
        }
    }

    /// Whether the text is so long that tokens may be rejected for its length.
    fn full(&self) -> bool {
        self.bytes.len() + 32 > MAX_CHARS
    }

    /// Ends the sentence within the text so far.
    fn close(&mut self) {
        // Preferably in the second half of the text, where the full stop was most likely.
        let half = self.bytes.len() / 2;
        let nearest = |from: usize| {
            let late = self.stops.iter().filter(move |(length, _)| *length >= from);
            late.copied()
                .max_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)))
        };
        if let Some((length, _)) = nearest(half).or_else(|| nearest(0)) {
            self.bytes.truncate(length);
            self.bytes.push(b'.');
            return;
        }
        for length in (0..=self.bytes.len()).rev() {
            for ending in ENDINGS {
                let bytes = [&self.bytes[..length], ending.as_bytes()].concat();
                if std::str::from_utf8(&bytes)
                    .is_ok_and(|text| rationale_state(text).is_rationale())
                {
                    self.bytes = bytes;
                    return;
                }
            }
        }
        self.bytes = FALLBACK.into();
        self.fell_back = true;
    }
}

/// The byte that a character represents in GPT-2's byte-level vocabulary: printable characters represent themselves, the
/// characters from U+0100 on the other 68 bytes.
fn byte_of(letter: char) -> Option<u8> {
    match u32::from(letter) {
        code @ (0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) => Some(code as u8),
        code @ 0x100..=0x120 => Some((code - 0x100) as u8),
        code @ 0x121..=0x142 => Some((code - 0x121 + 0x7f) as u8),
        0x143 => Some(0xad),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_character() {
        let mut seen: Vec<u8> = (0..0x200)
            .filter_map(char::from_u32)
            .filter_map(byte_of)
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..=255).collect::<Vec<u8>>());
        assert_eq!(byte_of('Ġ'), Some(b' '));
        assert_eq!(byte_of('Ċ'), Some(b'\n'));
    }

    #[test]
    fn the_fallback_is_a_rationale() {
        assert!(rationale_state(FALLBACK).is_rationale());
    }
}
