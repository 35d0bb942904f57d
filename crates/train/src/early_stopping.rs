//! Leaving the batch before the end: for want of progress (patience), or as the worse part of the grid
//! at a rung (successive halving). Who leaves makes room; what it learnt is saved.

use serde::{Deserialize, Serialize};

/// Why an adapter left the batch before its steps were done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EarlyStoppingRule {
    /// Too many validations without a better validation loss.
    Patience,
    /// Among the worse at a rung of successive halving.
    Halving,
}

/// An adapter that left the batch before its steps were done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlyStop {
    /// By which rule.
    pub by: EarlyStoppingRule,
    /// Optimizer steps that it had done.
    pub step: usize,
    /// The figures that decided.
    pub reason: String,
}

/// A step after which the worse part of the grid leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Optimizer steps done.
    pub step: usize,
    /// How many members may stay.
    pub keep: usize,
}

/// The rungs of successive halving (Jamieson and Talwalkar, "Non-stochastic best arm identification and
/// hyperparameter optimization", 2016) for `adapters` adapters of `steps` steps: R = ⌊log_η members⌋
/// rungs; at rung k = 1…R, after ⌈steps / η^(R−k+1)⌉ steps, ⌈members / η^k⌉ stay. So each rung has η
/// times the steps of the one before and the last the η-th part of all. Where two fall on one step, or a
/// rung falls on the last step, the later one alone holds.
pub fn rungs(adapters: usize, eta: usize, steps: usize) -> Vec<Rung> {
    let (mut count, mut power) = (0, eta);
    while power <= adapters {
        count += 1;
        power = power.saturating_mul(eta);
    }
    let mut rungs: Vec<Rung> = Vec::new();
    for k in 1..=count {
        let rung = Rung {
            step: steps.div_ceil(eta.saturating_pow(count - k + 1)),
            keep: adapters.div_ceil(eta.saturating_pow(k)),
        };
        rungs.pop_if(|last| last.step == rung.step);
        rungs.push(rung);
    }
    rungs.retain(|rung| rung.step < steps);
    rungs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(adapters: usize, eta: usize, steps: usize) -> Vec<(usize, usize)> {
        let rungs = rungs(adapters, eta, steps);
        rungs.iter().map(|rung| (rung.step, rung.keep)).collect()
    }

    #[test]
    fn rungs_are_those_of_the_paper() {
        assert_eq!(told(9, 3, 81), [(9, 3), (27, 1)]);
        assert_eq!(told(8, 2, 100), [(13, 4), (25, 2), (50, 1)]);
        assert_eq!(told(12, 3, 90), [(10, 4), (30, 2)]);
    }

    #[test]
    fn few_members_or_steps_make_few_rungs() {
        assert_eq!(told(1, 2, 100), []);
        assert_eq!(told(2, 3, 100), []);
        assert_eq!(told(3, 3, 100), [(34, 1)]);
        assert_eq!(told(16, 2, 3), [(1, 2), (2, 1)]);
        assert_eq!(told(8, 2, 1), []);
    }
}
