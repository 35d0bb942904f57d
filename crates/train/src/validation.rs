//! Validation: what an adapter predicts for examples that it did not learn from. Several adapters
//! share each micro-batch.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use verdict_data::wilson;

use crate::batches::{PackedExample, pack_by_device};
use crate::engine::{Example, ExampleLoss, TrainingEngine};
use crate::error::{EngineError, Result};
use crate::settings::Loss;
use crate::training_set::TokenizedExample;

/// The score of an adapter (or the bare base model) on examples that it did not learn from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Mean loss per supervised token, in nats.
    pub loss: f64,
    /// Share of examples whose true label had the highest logit of the three.
    pub accuracy: f64,
    /// Number of examples.
    pub n: usize,
    /// The label's log loss; `None` in files of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_loss: Option<LabelLoss>,
}

/// The log loss of the labels: the mean over examples of `-ln p[truth]`, with `p` the softmax of the three labels'
/// logits. Unlike [`Score::loss`], of which the label is one token among thirty, it measures the answers alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelLoss {
    /// The mean, in nats; ln 3 = 1.0986 for equal probabilities.
    pub mean: f64,
    /// Standard error of the mean.
    pub standard_error: f64,
}

impl LabelLoss {
    /// Of the losses of the examples.
    fn of(losses: &[f64]) -> Self {
        let n = losses.len() as f64;
        let mean = losses.iter().sum::<f64>() / n;
        let squares: f64 = losses.iter().map(|loss| (loss - mean).powi(2)).sum();
        Self {
            mean,
            // Of a single example there is no spread; 0 keeps the file readable.
            standard_error: (squares / (n - 1.0).max(1.0) / n).sqrt(),
        }
    }
}

/// The result of one example.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValidationResult {
    /// Sum of the losses of its supervised tokens, in nats.
    pub loss_sum: f64,
    /// Supervised tokens.
    pub tokens: usize,
    /// Logits of the labels, in the order of `Label::ALL`: the logit of a label's first token plus, for each further
    /// token of the label, its log-probability after the tokens before it. Except for a constant per example, these
    /// are the logarithms of the labels' probabilities as `verdict_answer::labels` defines them.
    pub logits: [f32; 3],
}

impl ValidationResult {
    /// Index in `Label::ALL` of the highest logit, the first of equal ones.
    pub fn label(&self) -> usize {
        let logits = &self.logits;
        let better = |best: usize, label: usize| {
            if logits[label].total_cmp(&logits[best]).is_gt() {
                label
            } else {
                best
            }
        };
        (1..logits.len()).fold(0, better)
    }

    /// `-ln p[truth]` in nats.
    fn label_loss(&self, truth: usize) -> f64 {
        let logits = self.logits.map(f64::from);
        let highest = logits.into_iter().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|logit| (logit - highest).exp()).sum();
        sum.ln() + highest - logits[truth]
    }
}

impl Score {
    /// The score of these results, each with its example.
    pub fn of<'a>(
        results: impl IntoIterator<Item = (&'a ValidationResult, &'a TokenizedExample)>,
    ) -> Self {
        let (mut sum, mut tokens, mut right) = (0.0, 0, 0);
        let mut label_losses = Vec::new();
        for (result, example) in results {
            sum += result.loss_sum;
            tokens += result.tokens;
            right += usize::from(result.label() == example.label);
            label_losses.push(result.label_loss(example.label));
        }
        let n = label_losses.len();
        Self {
            loss: sum / tokens as f64,
            accuracy: right as f64 / n as f64,
            n,
            label_loss: (n > 0).then(|| LabelLoss::of(&label_losses)),
        }
    }
}

impl Score {
    /// What early stopping and the choice of an adapter compare, the lower the better: the label's log loss; in files
    /// of earlier versions the mean loss of all tokens.
    pub fn selection_loss(&self) -> f64 {
        self.label_loss.map_or(self.loss, |label| label.mean)
    }
}

/// Wilson's 95 % confidence interval of an accuracy over `n` examples.
pub fn interval(accuracy: f64, n: usize) -> (f64, f64) {
    // The accuracy in a file may be invalid, but a count must be between 0 and n. `as` turns NaN and what is negative
    // into 0.
    let right = (accuracy * n as f64).round() as usize;
    wilson(right.min(n), n)
}

/// An adapter and the examples that it is evaluated on.
pub(crate) struct ValidationQuestion<'a> {
    /// Index in the engine; `None` for the bare base model.
    pub(crate) adapter: Option<usize>,
    /// Indices into the pool.
    pub(crate) examples: &'a [usize],
}

/// What all validations of a run have in common.
pub(crate) struct Validation<'a> {
    pub(crate) engine: &'a dyn TrainingEngine,
    pub(crate) pool: &'a [&'a TokenizedExample],
    /// First token of each label.
    pub(crate) label_tokens: &'a [u32],
    /// Further tokens of each label.
    pub(crate) label_tails: &'a [Vec<u32>; 3],
    pub(crate) loss: Loss,
    /// Maximum tokens of a micro-batch on one device.
    pub(crate) micro_batch_tokens: usize,
    /// Called before every micro-batch.
    pub(crate) before_micro_batch: &'a dyn Fn() -> Result<()>,
    /// Adds the context to an error of the engine.
    pub(crate) failed: &'a dyn Fn(EngineError) -> crate::Error,
}

/// A sequence to evaluate, and the index of its first supervised token.
type Sequence<'a> = (Cow<'a, [u32]>, usize);

impl Validation<'_> {
    /// The results of each question, in the order of its examples.
    ///
    /// With loss on the full text every example is evaluated twice, because the label's logits are
    /// taken at the start of the completion.
    pub(crate) fn evaluate(
        &self,
        questions: &[ValidationQuestion<'_>],
    ) -> Result<Vec<Vec<ValidationResult>>> {
        let labels = self.run(questions, &|example| {
            let from = example.loss_from(Loss::Completion);
            (Cow::Borrowed(&example.tokens), from)
        })?;
        let full = match self.loss {
            Loss::Completion => None,
            Loss::Full => Some(self.run(questions, &|example| {
                (
                    Cow::Borrowed(&example.tokens),
                    example.loss_from(Loss::Full),
                )
            })?),
        };
        let losses = full.as_ref().unwrap_or(&labels);
        let result = |(label, loss): (&ExampleLoss, &ExampleLoss)| ValidationResult {
            loss_sum: loss.loss_sum,
            tokens: loss.tokens,
            logits: std::array::from_fn(|index| label.probes[index]),
        };
        let of_question = |(labels, losses): (&Vec<ExampleLoss>, &Vec<ExampleLoss>)| {
            labels.iter().zip(losses).map(result).collect()
        };
        let mut results: Vec<Vec<ValidationResult>> =
            labels.iter().zip(losses).map(of_question).collect();
        for (label, tail) in self.label_tails.iter().enumerate() {
            if tail.is_empty() {
                continue;
            }
            // The log-probability of the label's further tokens, after the prompt and its first token.
            let first = self.label_tokens[label];
            let tails = self.run(questions, &|example| {
                let mut tokens = example.tokens[..example.prompt_tokens].to_vec();
                tokens.push(first);
                tokens.extend(tail);
                (Cow::Owned(tokens), example.prompt_tokens + 1)
            })?;
            for (result, tail) in results.iter_mut().flatten().zip(tails.iter().flatten()) {
                result.logits[label] -= tail.loss_sum as f32;
            }
        }
        Ok(results)
    }

    /// Evaluates the sequence that `sequence_of` makes of each example.
    fn run(
        &self,
        questions: &[ValidationQuestion<'_>],
        sequence_of: &dyn for<'e> Fn(&'e TokenizedExample) -> Sequence<'e>,
    ) -> Result<Vec<Vec<ExampleLoss>>> {
        let length = |index: &usize| sequence_of(self.pool[*index]).0.len();
        let lengths: Vec<Vec<usize>> = questions
            .iter()
            .map(|question| question.examples.iter().map(length).collect())
            .collect();
        let devices: Vec<usize> = questions
            .iter()
            .map(|question| self.engine.device_of(question.adapter))
            .collect();
        let mut losses: Vec<Vec<ExampleLoss>> = lengths
            .iter()
            .map(|lengths| Vec::with_capacity(lengths.len()))
            .collect();
        let longest = lengths.iter().flatten().copied().max().unwrap_or(0);
        for micro_batch in pack_by_device(&lengths, &devices, self.micro_batch_tokens.max(longest))
        {
            (self.before_micro_batch)()?;
            let sequence = |packed: &PackedExample| {
                sequence_of(self.pool[questions[packed.batch].examples[packed.position]])
            };
            let sequences: Vec<Sequence<'_>> = micro_batch.iter().map(sequence).collect();
            let examples: Vec<Example<'_>> = micro_batch
                .iter()
                .zip(&sequences)
                .map(|(packed, (tokens, loss_from))| Example {
                    adapter: questions[packed.batch].adapter,
                    tokens,
                    loss_from: *loss_from,
                    weight: 1.0,
                    rest: None,
                    key: 0,
                })
                .collect();
            let results = self.engine.evaluate(&examples, self.label_tokens);
            for (packed, loss) in micro_batch.iter().zip(results.map_err(self.failed)?) {
                losses[packed.batch].push(loss);
            }
        }
        Ok(losses)
    }
}

#[cfg(test)]
mod tests {
    use super::{LabelLoss, ValidationResult};

    #[test]
    fn the_label_loss_is_the_log_of_the_softmax() {
        let result = |logits| ValidationResult {
            loss_sum: 1.0,
            tokens: 1,
            logits,
        };
        // softmax of ln 5, ln 3, ln 2 is 0.5, 0.3, 0.2.
        let logits = [5.0_f32.ln(), 3.0_f32.ln(), 2.0_f32.ln()];
        for (truth, probability) in [0.5_f64, 0.3, 0.2].into_iter().enumerate() {
            let loss = result(logits).label_loss(truth);
            assert!((loss + probability.ln()).abs() < 1e-6, "{loss}");
        }
        assert_eq!(result([1000.0, 0.0, 0.0]).label_loss(1), 1000.0);
        // Mean 2; deviations -1, 0, 1: variance 1, error of the mean sqrt(1/3).
        let found = LabelLoss::of(&[1.0, 2.0, 3.0]);
        assert_eq!(found.mean, 2.0);
        assert!((found.standard_error - (1.0_f64 / 3.0).sqrt()).abs() < 1e-15);
        assert_eq!(LabelLoss::of(&[1.5]).standard_error, 0.0);
    }

    #[test]
    fn the_highest_logit_is_the_label_and_the_earlier_wins_a_tie() {
        let label = |logits: [f32; 3]| {
            let (loss_sum, tokens) = (1.0, 1);
            ValidationResult {
                loss_sum,
                tokens,
                logits,
            }
            .label()
        };
        assert_eq!(label([0.0, 2.0, 1.0]), 1);
        assert_eq!(label([1.0, 0.0, 1.0]), 0);
        assert_eq!(label([-3.0, -2.0, -1.0]), 2);
    }
}
