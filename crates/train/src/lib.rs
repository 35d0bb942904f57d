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
pub mod device;
pub mod engine;
pub mod error;
pub mod events;
mod files;
pub mod folder;
mod folds;
pub mod grid;
pub mod leaving;
pub mod machine;
pub mod manifest;
mod merge;
pub mod nested;
pub mod origin;
pub mod owner;
mod places;
pub mod plan;
pub mod predictions;
pub mod repeat;
pub mod rows;
pub mod run;
pub mod schedule;
pub mod select;
pub mod settings;
pub mod shard;
mod trace;
pub mod validation;

pub use device::DeviceChoice;
pub use engine::{Engine, Fleet, ModelEngine};
pub use error::{Error, Fault, Result};
pub use events::{Event, EventKind, Outcome};
pub use folder::{NewRun, RunFolder};
pub use grid::{Member, grid, members};
pub use leaving::{Dropped, DroppedBy, Rung};
pub use machine::{Cuda, Gpu, Machine};
pub use manifest::{Manifest, MemberRecord};
pub use merge::merge;
pub use nested::{FoldScore, Nested, NestedRepeat};
pub use origin::{DataRecord, ModelRecord, Provenance};
pub use places::Places;
pub use plan::{Job, Part, Plan, Share};
pub use predictions::{FoldKind, FoldPrediction, Prediction};
pub use rows::{Row, Rows};
pub use run::{Asked, RunSummary, train};
pub use schedule::Schedule;
pub use settings::{ClassWeights, ComputeSetting, Loss, Slurm, TrainSettings};
pub use shard::Shard;
pub use validation::{Found, Score};
