//! The evaluated run: what the report shows of its run folder, as plain values.

use serde::{Deserialize, Serialize};

use crate::metrics::Proportion;

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluatedRun {
    /// Name of its folder.
    pub run: String,
    /// Tool and version that trained it.
    pub trained_by: String,
    /// Base model, as named in the settings.
    pub model: String,
    /// SHA-256 of the base model's files.
    pub model_sha256: String,
    /// SHA-256 of the data set's manifest.
    pub data_sha256: String,
    /// Optimizer steps.
    pub steps: usize,
    /// Number of training examples.
    pub train_rows: usize,
    /// The rule by which the best adapter was chosen.
    pub rule: String,
    /// Name of the best adapter.
    pub best: String,
    /// The adapters of the grid, in its order.
    #[serde(rename = "members")]
    pub adapters: Vec<EvaluatedAdapter>,
    /// The base model on the validation set.
    pub base: ValidationScore,
    /// The result of nested cross-validation, where it was run.
    pub nested: Option<NestedSelection>,
    /// The run's settings.
    pub settings: serde_json::Value,
}

/// The accuracy of the procedure "choose an adapter on the validation set, then train it" by nested cross-validation:
/// each example is answered by an adapter that was neither trained on it nor chosen by it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NestedSelection {
    /// Label accuracy, the mean over repeats. The interval assumes independent examples and is somewhat too narrow,
    /// because the adapters share training examples (Bates, Hastie and Tibshirani 2024).
    pub accuracy: Proportion,
    /// Number of folds.
    pub folds: usize,
    /// Number of repeats with other folds.
    pub repeats: usize,
    /// How often each adapter was chosen, the most frequent first.
    pub chosen: Vec<(String, usize)>,
}

/// One adapter of the grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluatedAdapter {
    /// Its name.
    pub name: String,
    /// LoRA rank.
    pub rank: usize,
    /// Peak learning rate.
    pub lr: f64,
    /// Seed.
    pub seed: u64,
    /// Why it was removed from the grid, where it diverged.
    #[serde(rename = "stopped")]
    pub diverged: Option<String>,
    /// When and why its training ended early, where it did.
    #[serde(default, rename = "left", skip_serializing_if = "Option::is_none")]
    pub ended_early: Option<EndedEarly>,
    /// The step whose weights were saved, where it is not the last.
    #[serde(default, rename = "kept", skip_serializing_if = "Option::is_none")]
    pub kept_step: Option<usize>,
    /// Its last validation.
    #[serde(rename = "validated")]
    pub validation: Option<ValidationScore>,
    /// Its losses.
    pub curve: LearningCurve,
}

/// An adapter whose training ended early; it was saved all the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndedEarly {
    /// Number of optimizer steps done.
    pub step: usize,
    /// Why, with the numbers that decided.
    pub reason: String,
}

/// The score of a model on the validation set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidationScore {
    /// Mean loss per supervised token, in nats.
    pub loss: f64,
    /// Label accuracy.
    pub accuracy: Proportion,
}

/// Losses by optimizer step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LearningCurve {
    /// Step and mean training loss per supervised token, in nats.
    pub train: Vec<(usize, f64)>,
    /// Step, mean validation loss per supervised token in nats, and label accuracy.
    pub validation: Vec<(usize, f64, f64)>,
}

/// The prediction of one model for one example of the validation set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidationPrediction {
    /// Id of the example.
    pub id: String,
    /// Its group, if known: examples of one group are not independent.
    pub group: Option<String>,
    /// Index of the true label in `Label::ALL`.
    pub truth: usize,
    /// Logits of the three labels.
    pub logits: [f64; 3],
}
