//! The progress of runs, read from their folders only: as a terminal screen, a log, a JSON object or an HTML page;
//! and their metrics as TensorBoard files and CSV.
//!
//! ```text
//! events.jsonl ─ Follower ─▶ NewEvent ┬▶ Run (curves, scores) ─▶ Snapshot ─▶ screen, log, JSON, page
//! /proc/locks, NVML, squeue ──────────┘└▶ Exports (TensorBoard, CSV)
//! ```
//!
//! Only files are read, so a run on another machine can be followed through a shared folder. Nothing is written into
//! the run folder and no lock is taken in it, so watching cannot disturb a run.

pub mod curve;
mod error;
pub mod export;
pub mod follow;
pub mod gpu;
pub mod page;
pub mod plain;
pub mod process;
pub mod queue;
pub mod run;
pub mod screen;
pub mod snapshot;
pub mod terminal;
pub mod watch;
pub mod words;

pub use error::{Error, Result};
pub use snapshot::{Snapshot, State};
pub use watch::{Watch, WatchOptions, Watched, now};
pub use words::Clock;
