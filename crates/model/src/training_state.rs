//! What a trainer takes for a step and what it keeps of an adapter, on a CPU or a GPU.

use crate::error::{Error, Result};

/// One adapter's part of an optimizer step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Which adapter.
    pub adapter: usize,
    /// Learning rate.
    pub lr: f32,
    /// Largest norm of its gradient; infinity for no clipping.
    pub clip: f32,
}

/// The state of an adapter's training: a trainer that restores it continues as if it had never stopped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AdapterState {
    /// Optimizer steps done.
    pub steps: u32,
    /// A and B, in the order of the bank.
    pub weights: Vec<f32>,
    /// AdamW's first moment, as many numbers; none where it is zero.
    pub m: Vec<f32>,
    /// AdamW's second moment, as many numbers; none where it is zero.
    pub v: Vec<f32>,
}

impl AdapterState {
    /// Refuses rows of another length than `expected`.
    pub(crate) fn check(&self, name: &str, expected: usize) -> Result<()> {
        let empty_or = |len: usize| len == 0 || len == expected;
        let found = [self.weights.len(), self.m.len(), self.v.len()];
        if found[0] == expected && empty_or(found[1]) && empty_or(found[2]) {
            return Ok(());
        }
        Err(Error::State {
            adapter: name.to_owned(),
            expected,
            found,
        })
    }
}
