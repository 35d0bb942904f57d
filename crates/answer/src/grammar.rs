//! The guaranteed answer: ` Yes|No|Uncertain. Rationale: ` and one sentence that ends.
//!
//! ```text
//! answer   = " " ("Yes" | "No" | "Uncertain") ". Rationale:" sentence end-of-text
//! sentence = what `sentence::standing` calls a rationale: one sentence, no citation, 20 to 400 characters
//! ```
//!
//! The label is the most probable one by [`crate::labels`]; the fixed words after it are appended as
//! they stand; from there on a [`Writer`] takes the model's most liked token that the language
//! admits. Nothing is compiled and no mask of what is admitted is made: the model's first wish is
//! nearly always admitted, and to check one wish is to read a few hundred characters.
//!
//! An answer cannot be cut half way. The writer knows its budget of tokens and characters. Before
//! it would be overdrawn, the writer goes back to the place where the model itself was nearest to
//! ending the sentence and ends it there.

use thiserror::Error;
use tokenizers::{DecoderWrapper, Tokenizer};
use verdict_data::Label;
use verdict_model::LogitRow;

use crate::choose::Choice;
use crate::prompt;
use crate::sentence::{MAX_CHARS, Standing, standing};

/// What stands where not even a sentence of the shortest length could be made of what a model wrote.
const LAST_RESORT: &str = " No reason was stated.";
/// Ways to end a sentence, in the order in which they are tried.
const ENDINGS: [&str; 3] = [".", ").", "]."];
/// Wishes of the model that are tried for one token; after that many refusals the sentence ends.
const WISHES: usize = 2000;
/// The fewest tokens that an answer may be given: the fixed words and a sentence.
pub const MIN_TOKENS: usize = 24;

/// Why the format cannot be guaranteed with this tokenizer.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum GrammarError {
    /// Tokens that are not byte strings.
    #[error(
        "the tokenizer's decoder is {found}, expected a byte-level one (GPT-2, Llama 3, Qwen, SmolLM2): \
         SentencePiece vocabularies (Llama 1 and 2, TinyLlama, Mistral) are not supported; take a model of \
         one of these families"
    )]
    NotByteLevel {
        /// The kind of decoder that the tokenizer has.
        found: String,
    },
    /// The tokenizer cannot write the fixed words or a full stop.
    #[error("the tokenizer cannot write {text:?} as tokens of its own: {reason}")]
    FixedText {
        /// The text.
        text: String,
        /// What came of it.
        reason: String,
    },
    /// Fewer tokens than the shortest answer takes.
    #[error("the limit for an answer is {found} tokens, expected at least {MIN_TOKENS}")]
    TooFewTokens {
        /// The limit that was asked for.
        found: usize,
    },
}

/// The answer language over one tokenizer. Costs nothing to make and may be shared between threads.
#[derive(Clone, Debug)]
pub struct Grammar<'t> {
    tokenizer: &'t Tokenizer,
    /// Tokens that end a text.
    ends: Vec<u32>,
    full_stop: u32,
    openings: [Vec<u32>; 3],
}

impl<'t> Grammar<'t> {
    /// The language over `tokenizer`, whose end-of-text token is `eos`.
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

    /// Further tokens that end a text.
    pub(crate) fn add_ends(&mut self, ends: &[u32]) {
        self.ends.extend(ends);
    }

    /// The tokens of ` {label}. Rationale:`.
    pub fn opening(&self, label: Label) -> &[u32] {
        &self.openings[label.index()]
    }

    /// The token of a full stop, whose logit a [`Writer`] asks for at nearly every step.
    pub fn full_stop(&self) -> u32 {
        self.full_stop
    }

    /// A writer for the sentence after the opening. `max_tokens` is the limit of the whole answer,
    /// opening and end-of-text included.
    ///
    /// # Errors
    /// [`GrammarError::TooFewTokens`] for fewer than [`MIN_TOKENS`].
    pub fn writer(&self, label: Label, max_tokens: usize) -> Result<Writer<'_, 't>, GrammarError> {
        if max_tokens < MIN_TOKENS {
            return Err(GrammarError::TooFewTokens { found: max_tokens });
        }
        // One token each for the full stop and the end-of-text.
        let room = max_tokens.saturating_sub(self.opening(label).len() + 2);
        Ok(Writer {
            grammar: self,
            room,
            bytes: Vec::new(),
            steps: Vec::new(),
            fell_back: false,
        })
    }

    /// The bytes of a token; `None` for control tokens and numbers that name no token.
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

    /// Tokens of a constant text, checked to give the text back.
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

/// What a writer did with the model's logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It took this token; the model has to be asked again with it.
    Took(u32),
    /// The sentence is done.
    Done,
}

/// Writes one sentence, token by token.
#[derive(Clone, Debug)]
pub struct Writer<'g, 't> {
    grammar: &'g Grammar<'t>,
    /// Tokens that may still be taken.
    room: usize,
    bytes: Vec<u8>,
    /// Places where a full stop would have ended the sentence: how many bytes stood there, and how
    /// far the full stop's logit was below the model's first wish.
    steps: Vec<(usize, f32)>,
    /// Nothing could be made of what the model wrote.
    fell_back: bool,
}

impl Writer<'_, '_> {
    /// Takes the model's best token, given the logits after all that stands so far.
    ///
    /// # Errors
    /// A GPU that fails.
    pub fn step(
        &mut self,
        logits: LogitRow<'_>,
        choice: &mut Choice<'_>,
    ) -> verdict_model::Result<Step> {
        let whole = self.whole();
        let closable = self.standing_with(b".").is_some_and(Standing::is_rationale);
        if closable {
            let stop = logits.values(&[self.grammar.full_stop])?[0];
            self.steps.push((self.bytes.len(), stop - logits.largest()));
        }
        for token in choice.wishes(logits)?.take(WISHES) {
            let token = token?;
            let bytes = self.grammar.bytes(token);
            // What stands before a new line is the whole of such a wish: ".\n" is a full stop.
            let line = bytes
                .as_ref()
                .and_then(|bytes| bytes.split(|byte| *byte == b'\n').next());
            let cut =
                line.filter(|line| bytes.as_ref().is_some_and(|bytes| line.len() < bytes.len()));
            if let Some(line) = cut
                && self.standing_with(line).is_some_and(Standing::is_rationale)
            {
                self.bytes.extend(line);
                return Ok(Step::Done);
            }
            if closable && (self.grammar.ends.contains(&token) || cut.is_some_and(<[u8]>::is_empty))
            {
                self.bytes.push(b'.');
                return Ok(Step::Done);
            }
            let standing = bytes.as_ref().and_then(|bytes| self.standing_with(bytes));
            match standing {
                Some(standing) if standing != Standing::Refused => {
                    if self.room == 0 {
                        self.close();
                        return Ok(Step::Done);
                    }
                    self.room -= 1;
                    self.bytes.extend(bytes.unwrap_or_default());
                    return Ok(match standing {
                        Standing::Closed => Step::Done,
                        _ => Step::Took(token),
                    });
                }
                // The sentence stands, and the model would go on beyond it.
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

    /// The sentence so far, without the blank before it. Whole once a step said [`Step::Done`].
    pub fn sentence(&self) -> String {
        String::from_utf8_lossy(&self.bytes).trim_start().to_owned()
    }

    /// Whether the sentence is the fixed one that stands where the model wrote no usable one.
    pub fn fell_back(&self) -> bool {
        self.fell_back
    }

    /// How many bytes of what stands are a rationale: all but a blank at the end, or none are.
    fn whole(&self) -> Option<usize> {
        let bare = self.bytes.strip_suffix(b" ").unwrap_or(&self.bytes);
        let text = std::str::from_utf8(bare).ok()?;
        standing(text).is_rationale().then_some(bare.len())
    }

    /// The standing of what stands with `more` after it. A character may still lack its last bytes.
    fn standing_with(&self, more: &[u8]) -> Option<Standing> {
        let bytes = [self.bytes.as_slice(), more].concat();
        match std::str::from_utf8(&bytes) {
            Ok(text) => Some(standing(text)),
            Err(error) if error.error_len().is_none() => {
                let whole = std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?;
                Some(match standing(whole) {
                    Standing::Refused => Standing::Refused,
                    _ => Standing::Open,
                })
            }
            Err(_) => None,
        }
    }

    /// So near to the longest sentence that a refusal may be for its length.
    fn full(&self) -> bool {
        self.bytes.len() + 32 > MAX_CHARS
    }

    /// Ends the sentence within what stands.
    fn close(&mut self) {
        // In the second half of what was written, the place where the model was nearest to a stop.
        let half = self.bytes.len() / 2;
        let nearest = |from: usize| {
            let late = self.steps.iter().filter(move |(length, _)| *length >= from);
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
                if std::str::from_utf8(&bytes).is_ok_and(|text| standing(text).is_rationale()) {
                    self.bytes = bytes;
                    return;
                }
            }
        }
        self.bytes = LAST_RESORT.into();
        self.fell_back = true;
    }
}

/// The byte that a letter stands for in a byte-level vocabulary, as GPT-2 laid it down: printable
/// characters stand for themselves, the other 68 bytes for the letters from U+0100 on.
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
    fn every_byte_has_one_letter() {
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
    fn the_last_resort_is_a_rationale() {
        assert!(standing(LAST_RESORT).is_rationale());
    }
}
