//! How a run goes, told by its folder alone: on the terminal, as a log, as one JSON object, as a page; and its
//! numbers in TensorBoard's files and as CSV.
//!
//! ```text
//! events.jsonl ─ Follower ─▶ events ┬▶ Run (curves, scores) ─▶ Snapshot ─▶ screen, log, JSON, page
//! /proc/locks, NVML, squeue ──────┘└▶ Exports (TensorBoard, CSV)
//! ```
//!
//! Only files are read, so a run on another machine is followed through a shared folder. Nothing is written into the
//! run folder and no lock is taken in it: watching cannot get into a run's way.

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
