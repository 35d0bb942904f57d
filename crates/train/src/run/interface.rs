//! What a caller can request of a run, and what a finished run returns.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::manifest::Manifest;

/// What the caller can request while a run trains. Both flags are checked before every micro-batch,
/// of validation too.
#[derive(Clone, Copy, Debug)]
pub struct TrainRequest<'a> {
    /// Write a checkpoint and stop.
    pub stop: &'a AtomicBool,
    /// Write a checkpoint and continue. Reset to `false` when the checkpoint is begun.
    pub checkpoint: &'a AtomicBool,
}

impl<'a> From<&'a AtomicBool> for TrainRequest<'a> {
    /// A request that can only stop the run.
    fn from(stop: &'a AtomicBool) -> Self {
        static NEVER: AtomicBool = AtomicBool::new(false);
        Self {
            stop,
            checkpoint: &NEVER,
        }
    }
}

/// A finished run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSummary {
    /// The run folder.
    pub dir: PathBuf,
    /// The content of MANIFEST.json.
    pub manifest: Manifest,
    /// Tokens trained on by all adapters together, prompts included.
    pub tokens: u64,
    /// Time from the first validation, or from the checkpoint, to the manifest.
    pub elapsed: Duration,
    /// Checkpoints written in that time.
    pub checkpoints: usize,
    /// Time spent on writing them.
    pub checkpoint_time: Duration,
    /// Time spent on events: writing their lines and calling the observer.
    pub event_time: Duration,
}
