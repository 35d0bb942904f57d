//! The state of one fit while the run goes through its steps.

use crate::batches::BatchOrder;
use crate::early_stopping::EarlyStop;
use crate::schedule::Rates;
use crate::status::FitStatus;
use crate::validation::{Score, ValidationResult};

/// A fit during the run. It has the same index as its plan in [`Plan::fits`](crate::Plan::fits).
pub(super) struct ActiveFit {
    /// Index of its adapter in the engine.
    pub(super) engine_index: usize,
    pub(super) order: BatchOrder,
    pub(super) rates: Rates,
    pub(super) status: FitStatus,
    pub(super) train_loss: Option<f64>,
    /// Results of its last validation, one for each held-out example.
    pub(super) results: Option<Vec<ValidationResult>>,
    pub(super) patience: PatienceState,
}

/// What patience remembers about a fit.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PatienceState {
    /// The fit where its validation loss was lowest; `None` before the first validation.
    pub(super) best: Option<BestFit>,
    /// Validations since then.
    pub(super) validations_since: usize,
}

/// A fit at the step where its validation loss was lowest.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BestFit {
    /// Optimizer steps done.
    pub(super) step: usize,
    pub(super) score: Score,
    pub(super) weights: Vec<f32>,
    pub(super) results: Vec<ValidationResult>,
}

impl ActiveFit {
    /// Whether it still takes optimizer steps.
    pub(super) fn is_training(&self) -> bool {
        self.status == FitStatus::Training
    }

    /// When and why it ended early, if it did.
    pub(super) fn early_stop(&self) -> Option<&EarlyStop> {
        match &self.status {
            FitStatus::EarlyStopped(stop) => Some(stop),
            _ => None,
        }
    }

    /// Why it diverged, if it did.
    pub(super) fn diverged(&self) -> Option<&String> {
        match &self.status {
            FitStatus::Diverged(reason) => Some(reason),
            _ => None,
        }
    }
}
