//! The number of optimizer steps of a run, and the learning rate at each.
//!
//! The formulas are those of Hugging Face transformers (`optimization.py`:
//! `get_linear_schedule_with_warmup`, `get_cosine_schedule_with_warmup`,
//! `get_constant_schedule_with_warmup`), so that recipes can be reused with their numbers. One formula
//! differs on purpose: fractional epochs, see [`steps_for`].

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// Shape of the learning rate after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Linear decay to 0 after the last step.
    Linear,
    /// Cosine decay to 0 after the last step.
    Cosine,
    /// Constant.
    Constant,
}

/// A schedule with its numbers of steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Shape after the warm-up.
    pub schedule: Schedule,
    /// Warm-up steps, over which the rate rises from 0.
    pub warmup_steps: usize,
    /// All optimizer steps.
    pub steps: usize,
}

impl Rates {
    /// `warmup_ratio` of the steps, rounded up (transformers' `get_warmup_steps`), are warm-up.
    pub fn new(schedule: Schedule, warmup_ratio: f64, steps: usize) -> Self {
        let warmup_steps = (steps as f64 * warmup_ratio).ceil() as usize;
        Self {
            schedule,
            warmup_steps,
            steps,
        }
    }

    /// The learning rate at optimizer step `step`, counted from 0, as a share of its peak.
    ///
    /// Warm-up of W steps: `step / W`, so the very first step has rate 0, as in transformers. Then,
    /// of S steps in all: linear `(S - step) / (S - W)`; cosine `(1 + cos(π (step - W) / (S - W))) / 2`;
    /// constant 1.
    pub fn share(&self, step: usize) -> f64 {
        if step < self.warmup_steps {
            return step as f64 / self.warmup_steps as f64;
        }
        let rest = self.steps.saturating_sub(self.warmup_steps).max(1) as f64;
        match self.schedule {
            Schedule::Linear => self.steps.saturating_sub(step) as f64 / rest,
            Schedule::Cosine => {
                let progress = (step - self.warmup_steps) as f64 / rest;
                (0.5 * (1.0 + (PI * progress).cos())).max(0.0)
            }
            Schedule::Constant => 1.0,
        }
    }
}

/// Optimizer steps of one epoch of `examples` examples; the last, smaller batch counts.
pub fn steps_per_epoch(examples: usize, batch: usize) -> usize {
    examples.div_ceil(batch)
}

/// Optimizer steps of `epochs` epochs: `floor(epochs × ceil(examples / batch))`, at least 1.
///
/// A run never exceeds the requested epochs. 264 examples in batches of 16 are 17 steps per epoch;
/// 5.5 epochs are then 93 steps, as in the recipe that Verdict follows. transformers' `Trainer` rounds
/// up (94 here). The two agree wherever `epochs × steps per epoch` is an integer.
pub fn steps_for(epochs: f64, examples: usize, batch: usize) -> usize {
    let exact = epochs * steps_per_epoch(examples, batch) as f64;
    // 1.1 × 10 is 11.000000000000002 in binary, and other products fall short in the same way: a
    // billionth of a step is a rounding error.
    ((exact + 1e-9).floor() as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_of_264_examples_has_93_steps_and_3_of_warm_up() {
        assert_eq!(steps_per_epoch(264, 16), 17);
        assert_eq!(steps_for(5.5, 264, 16), 93);
        assert_eq!(Rates::new(Schedule::Linear, 0.03, 93).warmup_steps, 3);
    }

    #[test]
    fn whole_epochs_are_exact_and_a_run_has_at_least_one_step() {
        assert_eq!(steps_for(3.0, 100, 16), 21);
        assert_eq!(
            steps_for(0.29, 1600, 16),
            29,
            "0.29 × 100 is 28.999999999999996 in binary"
        );
        assert_eq!(steps_for(0.01, 16, 16), 1);
    }

    #[test]
    fn no_warm_up_starts_at_the_peak() {
        assert_eq!(Rates::new(Schedule::Linear, 0.0, 10).share(0), 1.0);
        assert_eq!(Rates::new(Schedule::Linear, 0.0, 10).share(9), 0.1);
    }

    #[test]
    fn the_rate_is_never_negative_nor_nan_in_the_shortest_runs() {
        for steps in 1..5 {
            for schedule in [Schedule::Linear, Schedule::Cosine, Schedule::Constant] {
                for share in [0.0, 0.03, 0.99] {
                    let rates = Rates::new(schedule, share, steps);
                    for step in 0..steps {
                        let share = rates.share(step);
                        assert!(
                            (0.0..=1.0).contains(&share),
                            "{rates:?} step {step}: {share}"
                        );
                    }
                }
            }
        }
    }
}
