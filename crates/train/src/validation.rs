//! Validation: what the engine says of rows that an adapter did not learn from, in shared passes.

use serde::{Deserialize, Serialize};

use crate::batches::{PackedExample, pack_by_device};
use crate::engine::{Example, ExampleLoss, TrainingEngine};
use crate::error::{EngineError, Result};
use crate::settings::Loss;
use crate::training_set::TokenizedExample;

/// How an adapter (or the bare base model) did on rows that it did not learn from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Mean loss per supervised token, in nats.
    pub loss: f64,
    /// Share of rows whose true label had the highest logit of the three.
    pub accuracy: f64,
    /// Rows.
    pub n: usize,
}

/// What was found of one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValidationResult {
    /// Sum of its supervised tokens' losses, in nats.
    pub loss_sum: f64,
    /// Supervised tokens.
    pub tokens: usize,
    /// Logits of the labels, in the order of `Label::ALL`: that of the first token, and for each further token of
    /// a label the logarithm of its probability after those before it. All but for one constant a row, these
    /// are the logarithms of the labels' probabilities, as `verdict_answer::labels` defines them.
    pub logits: [f32; 3],
}

impl ValidationResult {
    /// Place in `Label::ALL` of the highest logit, the earlier in a tie.
    pub fn label(&self) -> usize {
        let logits = &self.logits;
        let better = |best: usize, place: usize| {
            if logits[place].total_cmp(&logits[best]).is_gt() {
                place
            } else {
                best
            }
        };
        (1..logits.len()).fold(0, better)
    }
}

impl Score {
    /// The score of rows and what was found of them.
    pub fn of<'a>(
        found: impl IntoIterator<Item = (&'a ValidationResult, &'a TokenizedExample)>,
    ) -> Self {
        let (mut sum, mut tokens, mut right, mut n) = (0.0, 0, 0, 0);
        for (found, row) in found {
            sum += found.loss_sum;
            tokens += found.tokens;
            right += usize::from(found.label() == row.label);
            n += 1;
        }
        Self {
            loss: sum / tokens as f64,
            accuracy: right as f64 / n as f64,
            n,
        }
    }
}

/// An adapter and the rows that it is asked.
pub(crate) struct ValidationQuestion<'a> {
    pub(crate) adapter: Option<usize>,
    /// Places in the pool.
    pub(crate) rows: &'a [usize],
}

/// What every validation of a run has in common.
pub(crate) struct Validation<'a> {
    pub(crate) engine: &'a dyn TrainingEngine,
    pub(crate) pool: &'a [&'a TokenizedExample],
    pub(crate) probes: &'a [u32],
    /// Each label's tokens after its first.
    pub(crate) tails: &'a [Vec<u32>; 3],
    pub(crate) loss: Loss,
    /// Most tokens of a pass on one device.
    pub(crate) pass_tokens: usize,
    /// Called before every pass.
    pub(crate) between: &'a dyn Fn() -> Result<()>,
    /// Names an engine's failure.
    pub(crate) failed: &'a dyn Fn(EngineError) -> crate::Error,
}

impl Validation<'_> {
    /// What is found of each row, for each question, in the order of its rows.
    ///
    /// With whole-text loss the rows go through twice, for the label stands at the completion's start.
    pub(crate) fn ask(
        &self,
        questions: &[ValidationQuestion<'_>],
    ) -> Result<Vec<Vec<ValidationResult>>> {
        let whole =
            |loss: Loss| move |row: &TokenizedExample| (row.tokens.clone(), row.loss_from(loss));
        let labels = self.evaluate(questions, &whole(Loss::Completion))?;
        let full = match self.loss {
            Loss::Completion => None,
            Loss::Full => Some(self.evaluate(questions, &whole(Loss::Full))?),
        };
        let losses = full.as_ref().unwrap_or(&labels);
        let found = |(label, loss): (&ExampleLoss, &ExampleLoss)| ValidationResult {
            loss_sum: loss.loss_sum,
            tokens: loss.tokens,
            logits: std::array::from_fn(|place| label.probes[place]),
        };
        let of =
            |(labels, losses): (&Vec<ExampleLoss>, &Vec<ExampleLoss>)| -> Vec<ValidationResult> {
                labels.iter().zip(losses).map(found).collect()
            };
        let mut all: Vec<Vec<ValidationResult>> = labels.iter().zip(losses).map(of).collect();
        // The loss of a label's further tokens, after the prompt and its first.
        for (label, tail) in self.tails.iter().enumerate() {
            if tail.is_empty() {
                continue;
            }
            let first = self.probes[label];
            let tails = self.evaluate(questions, &|row| {
                let mut tokens = row.tokens[..row.prompt_tokens].to_vec();
                tokens.push(first);
                tokens.extend(tail);
                (tokens, row.prompt_tokens + 1)
            })?;
            for (found, tail) in all.iter_mut().flatten().zip(tails.iter().flatten()) {
                found.logits[label] -= tail.loss_sum as f32;
            }
        }
        Ok(all)
    }

    /// Evaluates what `of` makes of each row: tokens, and the index of the first that is supervised.
    fn evaluate(
        &self,
        questions: &[ValidationQuestion<'_>],
        of: &dyn Fn(&TokenizedExample) -> (Vec<u32>, usize),
    ) -> Result<Vec<Vec<ExampleLoss>>> {
        let row = |placed: &PackedExample| self.pool[questions[placed.batch].rows[placed.position]];
        let length = |row: &usize| of(self.pool[*row]).0.len();
        let lengths: Vec<Vec<usize>> = questions
            .iter()
            .map(|asked| asked.rows.iter().map(length).collect())
            .collect();
        let devices: Vec<usize> = questions
            .iter()
            .map(|asked| self.engine.device_of(asked.adapter))
            .collect();
        let mut found: Vec<Vec<ExampleLoss>> = lengths
            .iter()
            .map(|rows| Vec::with_capacity(rows.len()))
            .collect();
        let longest = lengths.iter().flatten().copied().max().unwrap_or(0);
        for pass in pack_by_device(&lengths, &devices, self.pass_tokens.max(longest)) {
            (self.between)()?;
            let made: Vec<(Vec<u32>, usize)> = pass.iter().map(|placed| of(row(placed))).collect();
            let examples: Vec<Example<'_>> = pass
                .iter()
                .zip(&made)
                .map(|(placed, (tokens, loss_from))| Example {
                    adapter: questions[placed.batch].adapter,
                    tokens,
                    loss_from: *loss_from,
                    weight: 1.0,
                    key: 0,
                })
                .collect();
            let losses = self.engine.evaluate(&examples, self.probes);
            for (placed, loss) in pass.iter().zip(losses.map_err(self.failed)?) {
                found[placed.batch].push(loss);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::ValidationResult;

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
