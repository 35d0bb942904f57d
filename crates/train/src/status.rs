//! What became of a fit so far. Checkpoints store it, so the names on disk are fixed.

use serde::{Deserialize, Serialize};

use crate::early_stopping::EarlyStop;

/// What became of a fit so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FitStatus {
    /// It still trains.
    Training,
    /// All its optimizer steps are done.
    Finished,
    /// Its loss or gradient became NaN or infinite; the text says which, and when.
    #[serde(rename = "stopped")]
    Diverged(String),
    /// It was early-stopped by patience or pruned by successive halving.
    #[serde(rename = "dropped")]
    EarlyStopped(EarlyStop),
}
