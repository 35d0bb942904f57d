//! How much of an abstract stands before its question.

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

    /// As many whole sentences from the beginning as the budget holds. One sentence that is too long alone gives
    /// its words, as many as fit.
    pub(crate) fn cut<'a>(&self, text: &'a str) -> &'a str {
        if (self.count)(text) <= self.tokens {
            return text;
        }
        let ends: Vec<usize> = sentences(text).map(|of| end(text, of)).collect();
        match self.fitting(text, &ends) {
            0 => {
                let ends: Vec<usize> = text.split_whitespace().map(|of| end(text, of)).collect();
                &text[..self.fitting(text, &ends)]
            }
            at => &text[..at],
        }
    }

    /// The last of the ends up to which the text fits; 0 where none does. Counts grow with the text.
    fn fitting(&self, text: &str, ends: &[usize]) -> usize {
        let fit = ends.partition_point(|end| (self.count)(&text[..*end]) <= self.tokens);
        fit.checked_sub(1).map_or(0, |last| ends[last])
    }
}

/// Where a part of a text ends in it.
fn end(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize + part.len()
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens by {}", self.tokens, self.counter)
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
    fn whole_sentences_stay_as_far_as_they_fit() {
        let text = "One two three. Four five vs. six. Seven.";
        assert_eq!(words(8).cut(text), text);
        assert_eq!(words(7).cut(text), "One two three. Four five vs. six.");
        assert_eq!(words(6).cut(text), "One two three.");
        assert_eq!(words(3).cut(text), "One two three.");
        assert_eq!(words(2).cut(text), "One two");
        assert_eq!(words(0).cut(text), "");
    }

    #[test]
    fn an_estimate_needs_no_tokenizer() {
        // 14 characters are 4 tokens.
        assert_eq!(
            Context::estimated(4).cut("One two three. Four."),
            "One two three."
        );
        assert_eq!(
            Context::estimated(512).to_string(),
            "512 tokens by estimate"
        );
    }
}
