//! How much of the grid the demo trains in a few minutes, by the measured speed of this machine.

use std::time::Duration;

use crate::commands::bench;
use crate::failure::Result;
use crate::loading::MachineFlags;
use crate::models::ResolvedModel;
use crate::printer::Printer;

/// About how long the demo should take.
const AIM: Duration = Duration::from_secs(240);
/// Reserved for what does not depend on the speed of training: files, a machine that becomes busier.
const SPARE: Duration = Duration::from_secs(25);
/// Steps on a fast machine; more improve the small model little.
pub const MOST_STEPS: usize = 50;
/// With fewer steps only one rank is trained, because three would show nothing.
const FEW_STEPS: usize = 15;
/// The minimum.
const FEWEST_STEPS: usize = 5;
/// The ranks of the grid, and the one that is trained on a slow machine.
const SWEEP: &[usize] = &[4, 8, 16];
const ONE: &[usize] = &[8];

/// Tokens of a training example, and examples of the validation set. The demo's data set is always the same.
const ROW_TOKENS: f64 = 92.0;
const VALIDATION_ROWS: f64 = 63.0;
/// The cost of a forward pass as a share of a training step, and of the evaluation in training examples, measured with and
/// without AMX (docs/experiments.md).
const FORWARD: f64 = 0.4;
const EVALUATION_ROWS: f64 = 130.0;

/// Examples per step and adapter.
pub const BATCH: usize = 8;

/// Steps between validations: one halfway through the full number of steps, else only one at the end.
pub fn validate_every(steps: usize) -> usize {
    match steps >= MOST_STEPS {
        true => MOST_STEPS / 2,
        false => steps,
    }
}

/// How much is trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Optimizer steps.
    pub steps: usize,
    /// Ranks.
    pub ranks: Vec<usize>,
}

impl Pace {
    /// The whole grid, for this many steps.
    pub fn of(steps: usize) -> Self {
        let ranks = SWEEP.to_vec();
        Self { steps, ranks }
    }

    /// Measures how fast this machine trains the model, and returns what fits into the time left after `elapsed`.
    ///
    /// # Errors
    /// The model cannot be loaded.
    pub fn measured(
        model: &ResolvedModel,
        machine: &MachineFlags,
        elapsed: Duration,
        printer: &Printer,
    ) -> Result<Self> {
        let speed = bench::tokens_per_s(&model.path, SWEEP, machine, printer)?;
        let pace = Self::fitting(speed, AIM.saturating_sub(elapsed + SPARE));
        if pace != Self::of(MOST_STEPS) {
            printer.note(format!(
                "This machine trains {speed:.0} tokens/s, so the demo trains {} of {MOST_STEPS} steps and {} of {} ranks, \
                 in about {} minutes. `--steps {MOST_STEPS}` trains all of them.",
                pace.steps,
                pace.ranks.len(),
                SWEEP.len(),
                AIM.as_secs() / 60,
            ));
        }
        Ok(pace)
    }

    /// What fits at this speed.
    fn fitting(tokens_per_s: f64, time: Duration) -> Self {
        let rows = time.as_secs_f64() * tokens_per_s / ROW_TOKENS;
        let steps = |ranks: &[usize]| {
            let adapters = ranks.len() as f64;
            // The base before training, every adapter after it.
            let validations = VALIDATION_ROWS * FORWARD * (1.0 + adapters);
            let left = rows - EVALUATION_ROWS - validations;
            (left / (adapters * BATCH as f64)) as usize
        };
        let all = steps(SWEEP);
        match all >= FEW_STEPS {
            true => Self::of(all.min(MOST_STEPS)),
            false => Self {
                steps: steps(ONE).clamp(FEWEST_STEPS, MOST_STEPS),
                ranks: ONE.to_vec(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slower_machine_trains_less_never_nothing() {
        let time = Duration::from_secs(200);
        let at = |speed: f64| Pace::fitting(speed, time);
        assert_eq!(at(1e6), Pace::of(MOST_STEPS));
        let speeds = [1.0, 50.0, 100.0, 150.0, 200.0, 300.0, 400.0, 700.0, 2000.0];
        let work = |pace: &Pace| pace.steps * pace.ranks.len();
        for pair in speeds.windows(2) {
            assert!(work(&at(pair[0])) <= work(&at(pair[1])), "{pair:?}");
        }
        for speed in speeds {
            let Pace { steps, ranks } = at(speed);
            assert!(
                (FEWEST_STEPS..=MOST_STEPS).contains(&steps),
                "{speed}: {steps}"
            );
            assert!(ranks == ONE || steps >= FEW_STEPS, "{speed}: {steps}");
        }
        assert_eq!(Pace::fitting(100.0, Duration::ZERO).steps, FEWEST_STEPS);
    }
}
