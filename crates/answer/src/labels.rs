//! The probabilities of the labels, scored by all tokens of ` Yes`, ` No` and ` Uncertain`.
//!
//! A completion begins with one of the three, and their first tokens differ. The probability of the first token follows
//! from the logits after the prompt; where a label has more tokens (` Un` + `certain`), those of the others follow from
//! the logits after the preceding ones. With `t(l, i)` the tokens of label `l`, and `z(l, i)` the logits over the
//! vocabulary after the prompt and the tokens of `l` before `i`:
//!
//! ```text
//! log_probabilities[l] = Σ_i ( z(l, i)[t(l, i)] - ln Σ_v exp(z(l, i)[v]) )
//! probabilities[l]     = exp(log_probabilities[l]) / Σ_k exp(log_probabilities[k])
//! other                = 1 - Σ_l exp(log_probabilities[l])          all other beginnings of an answer
//! ```
//!
//! The predicted label is the one with the highest probability, the earlier of [`Label::ALL`] in a tie.

use thiserror::Error;
use tokenizers::Tokenizer;
use verdict_data::Label;
use verdict_model::LogitRow;

use crate::prompt::{self, PromptError};

/// An error of a tokenizer that cannot score labels.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LabelError {
    /// Two labels begin with the same token.
    #[error(
        "the tokenizer begins {first:?} and {second:?} with the same token {token}, \
         expected three different first tokens"
    )]
    SameToken {
        /// The earlier label's text.
        first: String,
        /// The later label's text.
        second: String,
        /// Their common first token.
        token: u32,
    },
    /// A label could not be encoded, or has no token.
    #[error("the tokenizer has no token for {text:?}: {reason}")]
    NoToken {
        /// The label's text.
        text: String,
        /// The tokenizer's error.
        reason: String,
    },
}

/// The tokens of each label at the beginning of a completion, in the order of [`Label::ALL`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelTokens {
    first: [u32; 3],
    rest: [Vec<u32>; 3],
}

/// The scores of the labels after a prompt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelScores {
    /// Natural logarithm of the probability that a completion begins with the label.
    pub log_probabilities: [f32; 3],
    /// Probabilities of the three labels, normalized to a sum of 1.
    pub probabilities: [f32; 3],
    /// Probability mass outside the three labels, 0 to 1.
    pub other: f32,
}

impl LabelTokens {
    /// The tokens of ` Yes`, ` No` and ` Uncertain`.
    ///
    /// # Errors
    /// [`LabelError::SameToken`] where two are the same, [`LabelError::NoToken`] where one is missing.
    pub fn new(tokenizer: &Tokenizer) -> Result<LabelTokens, LabelError> {
        let (mut tokens, mut rest) = ([0; 3], [const { Vec::new() }; 3]);
        for label in Label::ALL {
            let text = prompt::opening(label);
            let missing = |reason: String| LabelError::NoToken {
                text: format!(" {label}"),
                reason,
            };
            let encoding = prompt::encode(tokenizer, &text, false)
                .map_err(|error: PromptError| missing(error.to_string()))?;
            let (first, more) = encoding
                .get_ids()
                .split_first()
                .ok_or_else(|| missing("it encodes to nothing".into()))?;
            tokens[label.index()] = *first;
            // The tokens that begin within the label: a space and its letters.
            let word = 1 + label.as_str().len();
            let starts = encoding.get_offsets().iter().skip(1);
            let within = starts.take_while(|(start, _)| *start < word).count();
            rest[label.index()] = more[..within].to_vec();
        }
        for (place, label) in Label::ALL.into_iter().enumerate() {
            if let Some(earlier) = (0..place).find(|earlier| tokens[*earlier] == tokens[place]) {
                return Err(LabelError::SameToken {
                    first: format!(" {}", Label::ALL[earlier]),
                    second: format!(" {label}"),
                    token: tokens[place],
                });
            }
        }
        Ok(LabelTokens {
            first: tokens,
            rest,
        })
    }

    /// The three first tokens, in the order of [`Label::ALL`].
    pub fn ids(&self) -> [u32; 3] {
        self.first
    }

    /// A label's tokens after the first; with most tokenizers there are none.
    pub fn rest(&self, label: Label) -> &[u32] {
        &self.rest[label.index()]
    }

    /// Labels of several tokens.
    pub fn long(&self) -> impl Iterator<Item = Label> {
        let long = move |label: &Label| !self.rest(*label).is_empty();
        Label::ALL.into_iter().filter(long)
    }

    /// Log-probabilities of the labels' first tokens, from the logits after a prompt.
    ///
    /// # Errors
    /// A GPU error.
    pub fn first(&self, logits: LogitRow<'_>) -> verdict_model::Result<[f64; 3]> {
        let values = logits.values(&self.first)?;
        let total = logits.log_sum();
        Ok(std::array::from_fn(|label| {
            f64::from(values[label]) - total
        }))
    }
}

/// Log-probability of a token.
///
/// # Errors
/// A GPU error.
pub fn log_probability(logits: LogitRow<'_>, token: u32) -> verdict_model::Result<f64> {
    Ok(f64::from(logits.values(&[token])?[0]) - logits.log_sum())
}

impl LabelScores {
    /// The scores from the labels' log-probabilities, each summed over all tokens.
    pub fn of(log_probabilities: [f64; 3]) -> LabelScores {
        let named: f64 = log_probabilities.iter().map(|p| p.exp()).sum();
        LabelScores {
            log_probabilities: log_probabilities.map(|p| p as f32),
            probabilities: softmax(log_probabilities).map(|p| p as f32),
            other: (1.0 - named).clamp(0.0, 1.0) as f32,
        }
    }

    /// The most probable label, the earlier in a tie.
    pub fn label(&self) -> Label {
        best(self.probabilities)
    }

    /// Whether the logits were finite: NaN or +∞ anywhere in the vocabulary is detected through the sum, −∞ only at the
    /// labels (elsewhere it merely excludes a token).
    pub fn is_finite(&self) -> bool {
        self.log_probabilities.iter().all(|p| p.is_finite())
    }
}

/// Softmax over the labels' logits, or over the logarithms of their probabilities.
pub fn softmax(logits: [f64; 3]) -> [f64; 3] {
    let largest = logits.into_iter().fold(f64::NEG_INFINITY, f64::max);
    let powers = logits.map(|z| (z - largest).exp());
    let total: f64 = powers.iter().sum();
    powers.map(|power| power / total)
}

/// The label of the highest of three values, the earlier in a tie.
pub fn best(values: [f32; 3]) -> Label {
    Label::ALL
        .into_iter()
        .rev()
        .max_by(|a, b| values[a.index()].total_cmp(&values[b.index()]))
        .unwrap_or(Label::Yes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(labels: [u32; 3], logits: &[f32]) -> LabelScores {
        let tokens = LabelTokens {
            first: labels,
            rest: Default::default(),
        };
        LabelScores::of(tokens.first(LogitRow::host(logits)).unwrap())
    }

    #[test]
    fn logits_that_are_not_finite_are_detected() {
        let row = |at: usize, value: f32| {
            let mut logits = vec![1.0; 9];
            logits[at] = value;
            logits
        };
        assert!(score([0, 1, 3], &row(8, 2.0)).is_finite());
        for value in [f32::NAN, f32::INFINITY] {
            assert!(!score([0, 1, 3], &row(8, value)).is_finite());
            assert!(!score([0, 1, 3], &row(1, value)).is_finite());
        }
        assert!(!score([0, 1, 3], &row(1, f32::NEG_INFINITY)).is_finite());
        assert!(score([0, 1, 3], &row(8, f32::NEG_INFINITY)).is_finite());
        assert!(!score([0, 1, 3], &[f32::NEG_INFINITY; 9]).is_finite());
    }

    /// Golden values: `scipy.special.log_softmax([1.0, 2.0, 0.5, -1.0, 3.0])` at 0, 1, 3, and
    /// `scipy.special.softmax([1.0, 2.0, -1.0])`.
    #[test]
    fn scores_equal_scipys() {
        let scores = score([0, 1, 3], &[1.0, 2.0, 0.5, -1.0, 3.0]);
        let close = |a: f32, b: f32| (a - b).abs() < 1e-6;
        for (got, want) in scores
            .log_probabilities
            .into_iter()
            .zip([-2.4722607, -1.4722607, -4.4722607])
        {
            assert!(close(got, want), "{got} against {want}");
        }
        for (got, want) in scores
            .probabilities
            .into_iter()
            .zip([0.25949646, 0.7053845, 0.03511903])
        {
            assert!(close(got, want), "{got} against {want}");
        }
        assert!(close(scores.other, 0.674_778_4), "{}", scores.other);
        assert_eq!(scores.label(), Label::No);
    }

    #[test]
    fn large_logits_do_not_overflow() {
        let scores = score([0, 1, 2], &[1000.0, 999.0, -1000.0, 500.0]);
        assert!((scores.probabilities[0] - 0.731_058_6).abs() < 1e-6);
        assert!(scores.other.abs() < 1e-6);
    }

    #[test]
    fn a_labels_tokens_are_those_of_its_word() {
        use crate::testing::{tokenizer, tokenizer_of};
        let whole = LabelTokens::new(&tokenizer()).unwrap();
        assert!(Label::ALL.iter().all(|label| whole.rest(*label).is_empty()));
        let parts = tokenizer_of(&[" Yes", " No", " Un", "certain"]);
        let tokens = LabelTokens::new(&parts).unwrap();
        let id = |text: &str| parts.token_to_id(text).unwrap();
        assert_eq!(tokens.ids(), [id("ĠYes"), id("ĠNo"), id("ĠUn")]);
        assert_eq!(tokens.rest(Label::Uncertain), [id("certain")]);
        assert!(tokens.rest(Label::Yes).is_empty());
    }

    #[test]
    fn a_tie_goes_to_the_earlier_label() {
        assert_eq!(best([0.4, 0.4, 0.2]), Label::Yes);
        assert_eq!(best([0.2, 0.4, 0.4]), Label::No);
        assert_eq!(best([0.2, 0.3, 0.5]), Label::Uncertain);
    }
}
