//! What training needs of an engine: make adapters, add gradients, step, evaluate, save.

use std::path::Path;

use crate::error::EngineError;

/// An adapter to make.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterSpec {
    /// Unique name.
    pub name: String,
    /// LoRA rank.
    pub rank: usize,
    /// LoRA alpha; the branch is scaled by alpha / rank.
    pub alpha: f32,
    /// Chance that an input of the branch is dropped.
    pub dropout: f32,
    /// Seed of the first weights and of dropout.
    pub seed: u64,
}

/// One sequence of a packed batch.
#[derive(Clone, Copy, Debug)]
pub struct Example<'a> {
    /// Which adapter; none for the bare base model.
    pub adapter: Option<usize>,
    /// All tokens, prompt first.
    pub tokens: &'a [u32],
    /// Index in `tokens` of the first supervised token, at least 1.
    pub loss_from: usize,
    /// Multiplies each supervised token's loss.
    pub weight: f32,
    /// Names the example for dropout.
    pub key: u64,
}

/// What an engine says of one example.
#[derive(Clone, Debug, PartialEq)]
pub struct ExampleLoss {
    /// Sum of the supervised tokens' losses in nats, unweighted.
    pub loss_sum: f64,
    /// Supervised tokens.
    pub tokens: usize,
    /// Logits of the probe tokens at the row that predicts `tokens[loss_from]`.
    pub probes: Vec<f32>,
}

/// One adapter's part of an optimizer step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Which adapter.
    pub adapter: usize,
    /// Learning rate.
    pub lr: f32,
    /// Largest gradient norm; infinity for no clipping.
    pub clip: f32,
}

/// A frozen model with a bank of adapters.
///
/// Examples of one call stand sorted by adapter. What an engine says of an example, and what it
/// adds to an adapter's gradients for the examples of one call, must not depend on the examples of
/// other adapters in that call.
pub trait Engine {
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

    /// Writes an adapter as a PEFT folder; `dir` does not exist yet.
    fn save(&self, adapter: usize, dir: &Path) -> Result<(), EngineError>;
}
