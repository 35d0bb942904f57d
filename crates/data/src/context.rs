//! How much of an abstract precedes its question.
//!
//! Where a context must be cut it loses its beginning: an abstract gives background and methods first, and the
//! answer to its question in the results, at its end.

use std::fmt;
use std::sync::Arc;

use crate::sentences;

/// Counts the tokens of a text.
pub type CountTokens = dyn Fn(&str) -> usize + Send + Sync;

/// A budget for contexts, in tokens.
#[derive(Clone)]
pub struct Context {
    tokens: usize,
    counter: String,
    count: Arc<CountTokens>,
}

impl Context {
    /// At most so many tokens, counted by a tokenizer that has a name.
    pub fn counted(tokens: usize, counter: impl Into<String>, count: Arc<CountTokens>) -> Context {
        Context {
            tokens,
            counter: counter.into(),
            count,
        }
    }

    /// At most so many tokens, estimated without a tokenizer as one for every three and a half characters.
    pub fn estimated(tokens: usize) -> Context {
        let estimate = |text: &str| (2 * text.chars().count()).div_ceil(7);
        Context::counted(tokens, "estimate", Arc::new(estimate))
    }

    /// Contexts as they are, however long.
    pub fn whole() -> Context {
        Context::counted(usize::MAX, "no limit", Arc::new(|_| 0))
    }

    /// The latest sentences that the budget holds, as [`latest_sentences`] takes them.
    pub(crate) fn cut<'a>(&self, text: &'a str) -> &'a str {
        latest_sentences(text, |text| (self.count)(text) <= self.tokens)
    }
}

/// The longest end of a text that fits: whole sentences, or the last words of the last sentence where not even
/// that one fits, or nothing. What fits must fit without its beginning too.
///
/// ```
/// let short = |text: &str| text.len() <= 30;
/// let text = "It was a trial. 40 patients took part. Most recovered.";
/// assert_eq!(verdict_data::latest_sentences(text, short), "Most recovered.");
/// ```
pub fn latest_sentences(text: &str, fits: impl Fn(&str) -> bool) -> &str {
    if fits(text) {
        return text;
    }
    let from = |starts: Vec<usize>| {
        let first = starts.partition_point(|start| !fits(&text[*start..]));
        starts.get(first).map(|start| &text[*start..])
    };
    let last_sentences = from(sentences(text).map(|part| start(text, part)).collect());
    let last_words = || {
        from(
            text.split_whitespace()
                .map(|part| start(text, part))
                .collect(),
        )
    };
    last_sentences.or_else(last_words).unwrap_or_default()
}

/// Where a part of a text begins in it.
fn start(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tokens {
            usize::MAX => f.write_str("whole"),
            tokens => write!(f, "{tokens} tokens by {}", self.counter),
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({self})")
    }
}

impl PartialEq for Context {
    fn eq(&self, other: &Context) -> bool {
        (self.tokens, &self.counter) == (other.tokens, &other.counter)
    }
}

impl Eq for Context {}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Context;

    fn words(tokens: usize) -> Context {
        Context::counted(
            tokens,
            "words",
            Arc::new(|text| text.split_whitespace().count()),
        )
    }

    #[test]
    fn the_last_whole_sentences_stay_as_far_as_they_fit() {
        let text = "Zero. One two three vs. four. Five six seven.";
        assert_eq!(words(9).cut(text), text);
        assert_eq!(
            words(8).cut(text),
            "One two three vs. four. Five six seven."
        );
        assert_eq!(words(7).cut(text), "Five six seven.");
        assert_eq!(words(3).cut(text), "Five six seven.");
        assert_eq!(words(2).cut(text), "six seven.");
        assert_eq!(words(0).cut(text), "");
        assert_eq!(words(0).cut(""), "");
    }

    #[test]
    fn results_outlive_background_and_methods() {
        let text = "The value of screening is debated. We followed 400 women for two years. \
                    Screened women lived longer (RR 0.7).";
        let kept = words(9).cut(text);
        assert_eq!(kept, "Screened women lived longer (RR 0.7).");
    }

    #[test]
    fn without_a_limit_nothing_is_cut() {
        let long = "Long sentences stay. ".repeat(10_000);
        assert_eq!(Context::whole().cut(&long), long);
        assert_eq!(Context::whole().to_string(), "whole");
    }

    #[test]
    fn an_estimate_needs_no_tokenizer() {
        // 14 characters are 4 tokens.
        assert_eq!(
            Context::estimated(4).cut("Four. One two three."),
            "One two three."
        );
        assert_eq!(
            Context::estimated(512).to_string(),
            "512 tokens by estimate"
        );
    }
}
