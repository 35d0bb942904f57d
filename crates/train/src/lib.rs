//! Training: from examples to batches to adapters. A whole grid of adapters is trained at once, into a run
//! folder.
//!
//! ```text
//! TrainSettings ─ grid ─▶ AdapterSettings ─ plan ─▶ AdapterFit ┐
//! data set ─ TrainingSet ─ batches ─ pack ─▶ micro-batches ────┴▶ TrainingEngine ─▶ validation ─▶ best ─▶ run folder
//! ```
//!
//! The engine computes; this crate decides which examples it computes on, and when. An adapter of the grid
//! gets the same examples, in the same order and in the same pieces, with the same dropout keys, whether it
//! is trained alone or together with a hundred others. The crate prints nothing: every event is passed to an
//! observer and logged with `tracing`.

pub mod batches;
pub mod card;
mod checkpoint;
mod cross_validation;
pub mod device;
pub mod early_stopping;
pub mod engine;
pub mod error;
pub mod events;
mod files;
pub mod folder;
mod folds;
pub mod grid;
mod input_paths;
pub mod machine;
pub mod manifest;
mod merge;
mod new_run;
pub mod origin;
pub mod owner;
pub mod plan;
pub mod predictions;
pub mod repeat;
pub mod run;
pub mod schedule;
pub mod select;
pub mod settings;
pub mod shard;
mod status;
mod trace;
pub mod training_set;
pub mod validation;

pub use device::{DeviceChoice, UnknownDevice};
pub use early_stopping::{EarlyStop, EarlyStoppingRule, Rung};
pub use engine::{ModelTrainingEngine, MultiDeviceEngine, TrainingEngine};
pub use error::{Error, Existing, Fault, Result};
pub use events::{Event, EventKind, Outcome};
pub use folder::RunFolder;
pub use grid::{AdapterSettings, adapters, grid};
pub use input_paths::InputPaths;
pub use machine::{Cuda, Gpu, Machine};
pub use manifest::{AdapterRecord, FoldScore, Manifest, NestedRepeat, NestedValidation};
pub use merge::merge;
pub use new_run::NewRun;
pub use origin::{DataRecord, ModelRecord, Provenance};
pub use plan::{AdapterFit, Plan, Subset, SubsetPlan};
pub use predictions::{FoldKind, FoldPrediction, Prediction};
pub use run::{RunSummary, TrainRequest, train};
pub use schedule::Schedule;
pub use settings::{ClassWeights, ComputeSetting, Loss, Slurm, TrainSettings};
pub use shard::Shard;
pub use training_set::{ExampleEncoding, TokenizedExample, TrainingSet};
pub use validation::{Score, ValidationResult};
