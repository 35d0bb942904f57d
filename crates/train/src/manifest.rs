//! `MANIFEST.json`: the last file that a run writes. If it exists, the run is complete.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::early_stopping::EarlyStop;
use crate::error::{Error, Result};
use crate::grid::AdapterSettings;
use crate::machine::Machine;
use crate::origin::Provenance;
use crate::settings::TrainSettings;
use crate::validation::Score;

/// The result of one adapter of the grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdapterRecord {
    /// Its settings.
    #[serde(flatten)]
    pub adapter: AdapterSettings,
    /// Why it diverged, if it did. It has no files then.
    #[serde(rename = "stopped")]
    pub diverged: Option<String>,
    /// When and why it was early-stopped or pruned, if it was. It is saved nevertheless.
    #[serde(rename = "dropped", default, skip_serializing_if = "Option::is_none")]
    pub early_stop: Option<EarlyStop>,
    /// With patience, the step whose weights were saved: that of the lowest validation loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_step: Option<usize>,
    /// Mean loss of its last training batch, per supervised token, in nats.
    pub train_loss: Option<f64>,
    /// The score of its last validation; with patience, of its best one; with folds, the out-of-fold score over all
    /// folds and repeats, each example being scored by the fit that left out its fold. `None` where the adapter or,
    /// with folds, one of those fits diverged.
    pub validation: Option<Score>,
    /// Its score on each fold of each repeat.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folds: Vec<FoldScore>,
    /// SHA-256 of each file of `adapters/<name>/`.
    pub files: BTreeMap<String, String>,
}

impl AdapterRecord {
    /// The record of an adapter without any results.
    pub(crate) fn untrained(adapter: AdapterSettings) -> Self {
        Self {
            adapter,
            diverged: None,
            early_stop: None,
            kept_step: None,
            train_loss: None,
            validation: None,
            folds: Vec::new(),
            files: BTreeMap::new(),
        }
    }
}

/// The score of an adapter on one fold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoldScore {
    /// The repeat, from 0.
    pub repeat: usize,
    /// The fold, from 0.
    pub fold: usize,
    /// Score on the fold of the fit that left it out.
    #[serde(flatten)]
    pub score: Score,
}

/// The score of the procedure "choose an adapter, then train it" on examples that neither step saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NestedValidation {
    /// Share of examples whose true label had the highest logit of the three, averaged over the repeats. An example
    /// for which no adapter was left counts as wrong.
    pub accuracy: f64,
    /// Examples of the pool, each scored once per repeat.
    pub n: usize,
    /// Each repeat.
    pub repeats: Vec<NestedRepeat>,
}

/// One repeat, that is, one random assignment of examples to folds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NestedRepeat {
    /// Like [`NestedValidation::accuracy`], of this repeat alone.
    pub accuracy: f64,
    /// Name of the adapter chosen for each fold; `None` where every adapter had diverged.
    pub chosen: Vec<Option<String>>,
}

/// How this version scores a label, see `verdict_answer::labels`.
pub const LABEL_SCORE: &str = "all tokens";

/// The manifest. It contains no times and no random names: two runs of the same settings, model and
/// data on one machine write the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The program that wrote it: `verdict` and its version.
    pub tool: String,
    /// The model and the data set.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// The machines that computed the run, in order, each once: a run resumed on another machine, or merged from
    /// shards, has several. Empty in runs of versions that did not record them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machines: Vec<Machine>,
    /// Maximum tokens of a micro-batch on one device: on a GPU, the rounding of sums depends on it. `None` in runs of
    /// versions that did not record it, and where shards had different ones.
    #[serde(
        rename = "pass_tokens",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub micro_batch_tokens: Option<usize>,
    /// How the labels' logits in `validation.jsonl` and the calibration were computed: [`LABEL_SCORE`]. `None` in runs
    /// of versions that scored only the first token of each label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_score: Option<String>,
    /// Optimizer steps of the longest fit.
    pub steps: usize,
    /// Training examples; with folds, the examples of the pool.
    pub train_rows: usize,
    /// Score of the bare base model on the validation set; with folds, on the whole pool.
    pub base: Score,
    /// With folds, the score of the whole procedure, choosing the adapter included, on examples that it did not see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nested: Option<NestedValidation>,
    /// Name of the chosen adapter.
    pub best: String,
    /// The rule that chose it.
    pub rule: String,
    /// Every adapter, in the order of the grid.
    #[serde(rename = "members")]
    pub adapters: Vec<AdapterRecord>,
    /// The resolved settings.
    pub settings: TrainSettings,
}

impl Manifest {
    /// The name and version of this build.
    pub fn tool() -> String {
        format!("verdict {}", env!("CARGO_PKG_VERSION"))
    }

    /// Reads a manifest, without checking that the adapters exist.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Json`] with the line that could not be read.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path, "read"))?;
        serde_json::from_str(&text).map_err(|error| Error::Json {
            path: path.to_path_buf(),
            line: error.line(),
            message: error.to_string(),
        })
    }
}
