//! What training needs of an engine: make adapters, add gradients, step, evaluate, save.

mod model;
mod multi_device;

use std::path::Path;

pub use model::ModelTrainingEngine;
pub use multi_device::{MultiDeviceEngine, plan};
pub use verdict_model::{AdapterSpec, AdapterState, Example, ExampleLoss, Rate};

use crate::error::EngineError;

/// Tokens of a pass that suit a processor: more would only take memory.
pub const PASS_TOKENS: usize = 1024;

/// A frozen model with a bank of adapters.
///
/// Examples of one call stand sorted by adapter. What an engine says of an example, and what it
/// adds to an adapter's gradients for the examples of one call, must not depend on the examples of
/// other adapters in that call.
pub trait TrainingEngine {
    /// Makes an adapter that changes nothing yet; returns its index.
    fn create(&mut self, spec: &AdapterSpec) -> Result<usize, EngineError>;

    /// Forward with dropout and backward: adds to the adapters' gradients. One loss per example.
    fn accumulate(
        &mut self,
        examples: &[Example<'_>],
        probes: &[u32],
    ) -> Result<Vec<ExampleLoss>, EngineError>;

    /// One optimizer step for each adapter named; returns gradient norms before clipping and zeroes
    /// those gradients.
    fn step(&mut self, rates: &[Rate]) -> Result<Vec<f32>, EngineError>;

    /// Forward without dropout and without gradients.
    fn evaluate(
        &self,
        examples: &[Example<'_>],
        probes: &[u32],
    ) -> Result<Vec<ExampleLoss>, EngineError>;

    /// All that an adapter's training has come to after its last step. Asked after the first step at the
    /// earliest.
    fn state(&self, adapter: usize) -> Result<AdapterState, EngineError>;

    /// Sets an adapter to a state that [`state`](Engine::state) gave; gradients become zero.
    fn restore(&mut self, adapter: usize, state: &AdapterState) -> Result<(), EngineError>;

    /// Writes an adapter as a PEFT folder; `dir` does not exist yet.
    fn save(&self, adapter: usize, dir: &Path) -> Result<(), EngineError>;

    /// Number of the device on which an adapter stands (none: the bare base). Devices work at the same
    /// time, each on its own share of a call's examples.
    fn device_of(&self, _adapter: Option<usize>) -> usize {
        0
    }

    /// Tokens that one device takes at once where the settings do not say (`pass_tokens`).
    fn pass_tokens(&self) -> usize {
        PASS_TOKENS
    }
}
