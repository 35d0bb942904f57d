//! Early stopping: an adapter whose validation loss no longer improves is early-stopped (patience), and
//! the worse adapters of the grid are pruned at each rung of successive halving. The adapters are saved
//! nevertheless; the others train faster without them.

use serde::{Deserialize, Serialize};

/// The rule by which an adapter ended before its steps were done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EarlyStoppingRule {
    /// Early-stopped: too many validations without a lower validation loss.
    Patience,
    /// Pruned: among the worse adapters at a rung of successive halving.
    Halving,
}

impl EarlyStoppingRule {
    /// How an adapter that this rule stopped is described.
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::Patience => "early-stopped",
            Self::Halving => "pruned",
        }
    }
}

/// When and why an adapter ended before its steps were done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlyStop {
    /// The rule.
    pub by: EarlyStoppingRule,
    /// Optimizer steps that it had taken.
    pub step: usize,
    /// The numbers behind the decision.
    pub reason: String,
}

/// A step after which the worse adapters of the grid are pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Optimizer steps done.
    pub step: usize,
    /// How many adapters continue.
    pub keep: usize,
}

/// The rungs of successive halving (Jamieson and Talwalkar, "Non-stochastic best arm identification and
/// hyperparameter optimization", 2016) for `adapters` adapters of `steps` steps: R = ⌊log_η adapters⌋
/// rungs; at rung k = 1…R, after ⌈steps / η^(R−k+1)⌉ steps, ⌈adapters / η^k⌉ continue. So each rung has
/// η times the steps of the previous one, and the last has 1/η of all steps. Of two rungs on the same
/// step only the later one counts, and a rung on the last step does not count.
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

    fn rungs_of(adapters: usize, eta: usize, steps: usize) -> Vec<(usize, usize)> {
        let rungs = rungs(adapters, eta, steps);
        rungs.iter().map(|rung| (rung.step, rung.keep)).collect()
    }

    #[test]
    fn rungs_are_those_of_the_paper() {
        assert_eq!(rungs_of(9, 3, 81), [(9, 3), (27, 1)]);
        assert_eq!(rungs_of(8, 2, 100), [(13, 4), (25, 2), (50, 1)]);
        assert_eq!(rungs_of(12, 3, 90), [(10, 4), (30, 2)]);
    }

    #[test]
    fn few_adapters_or_steps_give_few_rungs() {
        assert_eq!(rungs_of(1, 2, 100), []);
        assert_eq!(rungs_of(2, 3, 100), []);
        assert_eq!(rungs_of(3, 3, 100), [(34, 1)]);
        assert_eq!(rungs_of(16, 2, 3), [(1, 2), (2, 1)]);
        assert_eq!(rungs_of(8, 2, 1), []);
    }
}
