//! Validation: loss per supervised token and label accuracy, for all members in shared passes.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use crate::batches::pack_lanes;
use crate::engine::{Engine, Example, ExampleLoss};
use crate::error::EngineError;
use crate::rows::Rows;
use crate::settings::{Loss, TrainSettings};

/// How a member (or the bare base model) did on the validation rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Mean loss per supervised token, in nats.
    pub loss: f64,
    /// Share of rows whose true label had the highest logit of the three.
    pub accuracy: f64,
    /// Validation rows.
    pub n: usize,
}

/// What every validation of a run has in common.
pub(crate) struct Validation<'a> {
    pub(crate) engine: &'a dyn Engine,
    pub(crate) rows: &'a Rows,
    pub(crate) settings: &'a TrainSettings,
    /// Most tokens of a pass on one device.
    pub(crate) pass_tokens: usize,
    pub(crate) stop: &'a AtomicBool,
}

/// Scores every adapter of `adapters` on the validation rows; none when `stop` was set on the way.
///
/// With whole-text loss the rows go through twice, for the label stands at the completion's start.
pub(crate) fn validate(
    run: &Validation<'_>,
    adapters: &[Option<usize>],
) -> Result<Option<Vec<Score>>, EngineError> {
    let (rows, settings) = (run.rows, run.settings);
    let Some(labels) = evaluate(run, adapters, Loss::Completion)? else {
        return Ok(None);
    };
    let full = match settings.loss {
        Loss::Completion => None,
        Loss::Full => match evaluate(run, adapters, Loss::Full)? {
            Some(full) => Some(full),
            None => return Ok(None),
        },
    };
    let losses = full.as_ref().unwrap_or(&labels);
    let score = |(labels, losses): (&Vec<ExampleLoss>, &Vec<ExampleLoss>)| {
        let right = labels.iter().zip(&rows.validation);
        let right = right
            .filter(|(found, row)| highest(&found.probes) == row.label)
            .count();
        let sum: f64 = losses.iter().map(|found| found.loss_sum).sum();
        let tokens: usize = losses.iter().map(|found| found.tokens).sum();
        let n = rows.validation.len();
        Score {
            loss: sum / tokens as f64,
            accuracy: right as f64 / n as f64,
            n,
        }
    };
    Ok(Some(labels.iter().zip(losses).map(score).collect()))
}

/// What the engine says of each validation row, per adapter, in the order of the rows.
fn evaluate(
    run: &Validation<'_>,
    adapters: &[Option<usize>],
    loss: Loss,
) -> Result<Option<Vec<Vec<ExampleLoss>>>, EngineError> {
    let (engine, rows) = (run.engine, run.rows);
    let lanes: Vec<usize> = adapters
        .iter()
        .map(|adapter| engine.lane(*adapter))
        .collect();
    let lengths: Vec<usize> = rows.validation.iter().map(|row| row.tokens.len()).collect();
    let mut found = vec![Vec::with_capacity(lengths.len()); adapters.len()];
    let lengths = vec![lengths; adapters.len()];
    for pass in pack_lanes(&lengths, &lanes, run.pass_tokens) {
        if run.stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let example = |placed: &crate::batches::Placed| {
            let row = &rows.validation[placed.place];
            let loss_from = row.loss_from(loss);
            let adapter = adapters[placed.member];
            Example {
                adapter,
                tokens: &row.tokens,
                loss_from,
                weight: 1.0,
                key: 0,
            }
        };
        let examples: Vec<Example<'_>> = pass.iter().map(example).collect();
        let losses = engine.evaluate(&examples, &rows.probes)?;
        for (placed, loss) in pass.iter().zip(losses) {
            found[placed.member].push(loss);
        }
    }
    Ok(Some(found))
}

/// Place of the highest probe, the earlier in a tie.
fn highest(probes: &[f32]) -> usize {
    let mut best = 0;
    for place in 1..probes.len() {
        if probes[place].total_cmp(&probes[best]).is_gt() {
            best = place;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::highest;

    #[test]
    fn the_highest_probe_is_the_label_and_the_earlier_wins_a_tie() {
        assert_eq!(highest(&[0.0, 2.0, 1.0]), 1);
        assert_eq!(highest(&[1.0, 0.0, 1.0]), 0);
        assert_eq!(highest(&[-3.0, -2.0, -1.0]), 2);
    }
}
