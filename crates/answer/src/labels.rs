//! The probabilities of the three answers, read from the prompt's own pass.
//!
//! The rule: a completion begins with ` Yes`, ` No` or ` Uncertain`, and the first tokens of the
//! three differ. So the logits after the prompt's last token already decide the answer. With
//! `z` those logits over the vocabulary and `t(l)` the first token of label `l`:
//!
//! ```text
//! log_probabilities[l] = z[t(l)] - ln Σ_v exp(z[v])                 over the whole vocabulary
//! probabilities[l]     = exp(z[t(l)]) / Σ_k exp(z[t(k)])            over the three labels
//! other                = 1 - Σ_l exp(log_probabilities[l])          what the model would rather say
//! ```
//!
//! The label is the one with the highest probability, the earlier of [`Label::ALL`] in a tie.

use thiserror::Error;
use tokenizers::Tokenizer;
use verdict_data::Label;
use verdict_model::{LogitRow, log_sum_exp};

use crate::prompt::{self, PromptError};

/// Why a tokenizer cannot score labels.
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
        /// What the tokenizer said.
        reason: String,
    },
}

/// The first token of each label's completion, in the order of [`Label::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelTokens([u32; 3]);

/// What the prompt's pass says about the answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelScores {
    /// Natural logarithm of each label's first token's probability over the whole vocabulary.
    pub log_probabilities: [f32; 3],
    /// Probabilities of the three labels among themselves; they sum to 1.
    pub probabilities: [f32; 3],
    /// Probability mass outside the three labels, 0 to 1.
    pub other: f32,
}

impl LabelTokens {
    /// The first tokens of ` Yes`, ` No` and ` Uncertain`, as a completion begins.
    ///
    /// # Errors
    /// [`LabelError::SameToken`] where two are the same, [`LabelError::NoToken`] where one is missing.
    pub fn new(tokenizer: &Tokenizer) -> Result<LabelTokens, LabelError> {
        let mut tokens = [0; 3];
        for label in Label::ALL {
            let text = prompt::opening(label);
            let missing = |reason: String| LabelError::NoToken {
                text: format!(" {label}"),
                reason,
            };
            let encoding = prompt::encode(tokenizer, &text, false)
                .map_err(|error: PromptError| missing(error.to_string()))?;
            tokens[label.index()] = *encoding
                .get_ids()
                .first()
                .ok_or_else(|| missing("it encodes to nothing".into()))?;
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
        Ok(LabelTokens(tokens))
    }

    /// The three token ids, in the order of [`Label::ALL`].
    pub fn ids(&self) -> [u32; 3] {
        self.0
    }

    /// Reads the label scores from the logits after a prompt's last token.
    ///
    /// # Errors
    /// A GPU that fails.
    pub fn score(&self, logits: LogitRow<'_>) -> verdict_model::Result<LabelScores> {
        let values = logits.values(&self.0)?;
        let picked = [values[0], values[1], values[2]];
        let total = logits.log_sum();
        let log_probabilities = picked.map(|z| f64::from(z) - total);
        let named: f64 = log_probabilities.iter().map(|p| p.exp()).sum();
        Ok(LabelScores {
            log_probabilities: log_probabilities.map(|p| p as f32),
            probabilities: probabilities(picked),
            other: (1.0 - named).clamp(0.0, 1.0) as f32,
        })
    }
}

impl LabelScores {
    /// The most probable label, the earlier in a tie.
    pub fn label(&self) -> Label {
        best(self.probabilities)
    }

    /// Whether the logits were numbers: a NaN or a +∞ anywhere in the vocabulary is in the sum, a −∞ is found
    /// at the labels alone (elsewhere it only says that a token is impossible).
    pub fn is_finite(&self) -> bool {
        self.log_probabilities.iter().all(|p| p.is_finite())
    }
}

/// Softmax over the three labels' logits alone.
pub fn probabilities(logits: [f32; 3]) -> [f32; 3] {
    let total = log_sum_exp(&logits);
    logits.map(|z| (f64::from(z) - total).exp() as f32)
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
        LabelTokens(labels).score(LogitRow::host(logits)).unwrap()
    }

    #[test]
    fn what_is_no_number_is_found() {
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
    fn a_tie_goes_to_the_earlier_label() {
        assert_eq!(best([0.4, 0.4, 0.2]), Label::Yes);
        assert_eq!(best([0.2, 0.4, 0.4]), Label::No);
        assert_eq!(best([0.2, 0.3, 0.5]), Label::Uncertain);
    }
}
