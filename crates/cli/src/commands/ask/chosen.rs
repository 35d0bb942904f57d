//! The adapters that answer, before and after they are loaded.

use std::path::PathBuf;

use verdict_answer::{Calibration, EnsembleMember};
use verdict_model::AdapterBank;

use crate::loading::Opened;

/// An adapter that answers.
#[derive(Clone, Debug)]
pub struct ChosenAdapter {
    /// Its name in the run.
    pub name: String,
    /// Its folder.
    pub dir: PathBuf,
    /// How its probabilities are calibrated; none with --uncalibrated.
    pub calibration: Option<Calibration>,
}

/// A model and its adapters, ready to answer.
pub struct Loaded {
    /// The base model.
    pub opened: Opened,
    /// The bank with the adapters, if any.
    pub bank: AdapterBank,
    /// Number of the adapter in the bank; none for a base model and for an ensemble.
    pub adapter: Option<usize>,
    /// The members of an ensemble; empty where one adapter or the base model answers.
    pub ensemble: Vec<EnsembleMember>,
}
