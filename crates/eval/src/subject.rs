//! What is judged: a run as its folder tells it, in plain values.

use serde::{Deserialize, Serialize};

use crate::metrics::Proportion;

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// Its folder's name.
    pub run: String,
    /// Tool and version that trained it.
    pub trained_by: String,
    /// Base model as it was named.
    pub model: String,
    /// SHA-256 of the base model's files.
    pub model_sha256: String,
    /// SHA-256 of the data set's manifest.
    pub data_sha256: String,
    /// Optimizer steps.
    pub steps: usize,
    /// Rows that were learnt from.
    pub train_rows: usize,
    /// How the best was chosen.
    pub rule: String,
    /// The best.
    pub best: String,
    /// The members of the sweep, in its order.
    pub members: Vec<Member>,
    /// The untrained model on the validation rows.
    pub base: Validated,
    /// What nested cross-validation says of the whole procedure, where it was run.
    pub nested: Option<Nested>,
    /// The run's settings.
    pub settings: serde_json::Value,
}

/// The figure of "choose by validation, then train", each row judged by adapters and a choice that did not see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Nested {
    /// Right labels, in the mean over repeats. The interval takes rows as independent; rows that share training
    /// rows are not, so it is somewhat too narrow (Bates, Hastie and Tibshirani 2024).
    pub accuracy: Proportion,
    /// Folds.
    pub folds: usize,
    /// Drawings of folds.
    pub repeats: usize,
    /// How often each member was chosen, the most often first.
    pub chosen: Vec<(String, usize)>,
}

/// One adapter of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// LoRA rank.
    pub rank: usize,
    /// Peak learning rate.
    pub lr: f64,
    /// Seed.
    pub seed: u64,
    /// Why it was taken out, where it was.
    pub stopped: Option<String>,
    /// When and why it left the batch before its steps were done, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Left>,
    /// The step whose weights were saved, where they are not its last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<usize>,
    /// Its last validation.
    pub validated: Option<Validated>,
    /// How its loss went.
    pub curve: Curve,
}

/// An adapter that left the batch early; it was saved all the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Left {
    /// Optimizer steps that it had done.
    pub step: usize,
    /// The figures that decided.
    pub reason: String,
}

/// How a model did on the validation rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validated {
    /// Mean loss of a supervised token, in nats.
    pub loss: f64,
    /// Right labels.
    pub accuracy: Proportion,
}

/// Losses by optimizer step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Step and mean training loss of a supervised token, in nats.
    pub train: Vec<(usize, f64)>,
    /// Step, mean validation loss of a supervised token in nats, and share of right labels.
    pub validation: Vec<(usize, f64, f64)>,
}

/// A row of the validation split as one model judged it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidationRow {
    /// Id of the item.
    pub id: String,
    /// Its group, where it is known: rows of one group are not independent.
    pub group: Option<String>,
    /// Index of the true label in `Label::ALL`.
    pub truth: usize,
    /// Logits of the three labels.
    pub logits: [f64; 3],
}
