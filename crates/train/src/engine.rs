//! What training needs from an engine: create adapters, accumulate gradients, step, evaluate, save.

mod model;
mod multi_device;

use std::path::Path;

pub use model::ModelTrainingEngine;
pub use multi_device::{MultiDeviceEngine, assign_devices};
use verdict_model::formats::Adapter;
pub use verdict_model::{AdapterSpec, AdapterState, Example, ExampleLoss, Rate};

use crate::error::EngineError;

/// Tokens of a micro-batch that suit a CPU: more would only take memory.
pub const MICRO_BATCH_TOKENS: usize = 1024;

/// A frozen model with a bank of adapters.
///
/// The examples of one call are sorted by adapter. Engines are batch-invariant: the result of an
/// example, and what one call adds to an adapter's gradients, must not depend on the examples of other
/// adapters in that call.
pub trait TrainingEngine {
    /// Creates an adapter that does not change the output yet; returns its index.
    fn create(&mut self, spec: &AdapterSpec) -> Result<usize, EngineError>;

    /// Starts an adapter from the weights of a trained one of the same rank. Before the first gradient.
    fn initialize(&mut self, adapter: usize, from: &Adapter) -> Result<(), EngineError>;

    /// Forward with dropout, then backward: accumulates the adapters' gradients. One loss per example.
    fn accumulate(
        &mut self,
        examples: &[Example<'_>],
        probes: &[u32],
    ) -> Result<Vec<ExampleLoss>, EngineError>;

    /// One optimizer step for each adapter listed. Returns the gradient norms before clipping and zeroes
    /// those gradients.
    fn step(&mut self, rates: &[Rate]) -> Result<Vec<f32>, EngineError>;

    /// Forward without dropout and without gradients.
    fn evaluate(
        &self,
        examples: &[Example<'_>],
        probes: &[u32],
    ) -> Result<Vec<ExampleLoss>, EngineError>;

    /// The training state of an adapter after its last step. Fails before the first step.
    fn state(&self, adapter: usize) -> Result<AdapterState, EngineError>;

    /// Restores a state returned by [`state`](TrainingEngine::state) and zeroes the gradients.
    fn restore(&mut self, adapter: usize, state: &AdapterState) -> Result<(), EngineError>;

    /// Writes an adapter as a PEFT folder. `dir` must not exist yet.
    fn save(&self, adapter: usize, dir: &Path) -> Result<(), EngineError>;

    /// Index of the device that holds an adapter (`None`: the bare base model). The devices work in
    /// parallel, each on its own examples of a call.
    fn device_of(&self, _adapter: Option<usize>) -> usize {
        0
    }

    /// Default maximum tokens of a micro-batch on one device.
    fn micro_batch_tokens(&self) -> usize {
        MICRO_BATCH_TOKENS
    }
}
