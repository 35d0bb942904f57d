//! Training: items to batches to adapters, a whole grid of them in one pass, into a run folder.
//!
//! ```text
//! TrainSettings ─ grid ─▶ members ┐
//! data set ─ Rows ─ batches ─ pack ┴▶ Engine (accumulate, step) ─▶ validation ─▶ best ─▶ run folder
//! ```
//!
//! The numbers are the engine's; this crate decides what it is given and when. A member of the grid
//! gets the same rows, in the same order and in the same pieces, with the same dropout keys, whether
//! it is alone or among a hundred. It prints nothing: an observer is handed every event, and `tracing` hears of it.

pub mod batches;
pub mod card;
mod checkpoint;
pub mod cross_validation;
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
mod trace;
pub mod training_set;
pub mod validation;

pub use cross_validation::{FoldScore, NestedRepeat, NestedValidation};
pub use device::DeviceChoice;
pub use early_stopping::{EarlyStop, EarlyStoppingRule, Rung};
pub use engine::{ModelTrainingEngine, MultiDeviceEngine, TrainingEngine};
pub use error::{Error, Fault, Result};
pub use events::{Event, EventKind, Outcome};
pub use folder::{NewRun, RunFolder};
pub use grid::{AdapterSettings, adapters, grid};
pub use input_paths::InputPaths;
pub use machine::{Cuda, Gpu, Machine};
pub use manifest::{AdapterRecord, Manifest};
pub use merge::merge;
pub use origin::{DataRecord, ModelRecord, Provenance};
pub use plan::{AdapterFit, Plan, Subset, SubsetPlan};
pub use predictions::{FoldKind, FoldPrediction, Prediction};
pub use run::{RunSummary, TrainRequest, train};
pub use schedule::Schedule;
pub use settings::{ClassWeights, ComputeSetting, Loss, Slurm, TrainSettings};
pub use shard::Shard;
pub use training_set::{TokenizedExample, TrainingSet};
pub use validation::{Score, ValidationResult};
