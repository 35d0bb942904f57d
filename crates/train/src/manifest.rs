//! `MANIFEST.json`: the last file of a run. Where it stands, the run is complete.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::cross_validation::{FoldScore, NestedValidation};
use crate::early_stopping::EarlyStop;
use crate::error::{Error, Result};
use crate::grid::AdapterSettings;
use crate::machine::Machine;
use crate::origin::Provenance;
use crate::settings::TrainSettings;
use crate::validation::Score;

/// How one member of the grid came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdapterRecord {
    /// The member's settings.
    #[serde(flatten)]
    pub adapter: AdapterSettings,
    /// Why it was taken out, where it was; then it has no files.
    #[serde(rename = "stopped")]
    pub diverged: Option<String>,
    /// When and why it left the batch before its steps were done, where it did; it is saved all the same.
    #[serde(rename = "dropped", default, skip_serializing_if = "Option::is_none")]
    pub early_stop: Option<EarlyStop>,
    /// With patience, the step whose weights were saved: that of the lowest validation loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_step: Option<usize>,
    /// Mean loss of its last training batch, per supervised token, in nats.
    pub train_loss: Option<f64>,
    /// Its last validation, with patience its best; with folds its out-of-fold score over all folds and repeats, by the
    /// adapters that did not see the rows. None where it or, with folds, one of those was taken out.
    pub validation: Option<Score>,
    /// Its score on each fold of each repeat.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folds: Vec<FoldScore>,
    /// SHA-256 of each file of `adapters/<name>/`.
    pub files: BTreeMap<String, String>,
}

impl AdapterRecord {
    /// One of which nothing is known.
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

/// What this version counts of a label: see `verdict_answer::labels`.
pub const LABEL_SCORE: &str = "all tokens";

/// The manifest. It holds no times and no random names: two runs of the same settings, model and
/// data on one machine write the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// What wrote it: `verdict` and its version.
    pub tool: String,
    /// Model and data.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// What computed, in order, each once: a run that went on elsewhere has several. Empty in runs of
    /// versions that did not note it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machines: Vec<Machine>,
    /// Most tokens of a pass on one device, as they were: on a GPU the rounding of sums follows them. None in
    /// runs of versions that did not note it, and where shards had different ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass_tokens: Option<usize>,
    /// What the labels' logits in `validation.jsonl` and the calibration count: [`LABEL_SCORE`]. None in runs
    /// of versions that counted the first token of each label alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_score: Option<String>,
    /// Optimizer steps of the adapters.
    pub steps: usize,
    /// Training rows; with folds, the rows of the pool.
    pub train_rows: usize,
    /// Validation of the bare base model; with folds, on the whole pool.
    pub base: Score,
    /// With folds, how the procedure "choose a member, then train it" does on rows that it did not see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nested: Option<NestedValidation>,
    /// Name of the chosen member.
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
    /// What this build of the crate calls itself.
    pub fn tool() -> String {
        format!("verdict {}", env!("CARGO_PKG_VERSION"))
    }

    /// Reads a manifest; adapters beside it are not looked for.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Json`] with the line of what is not as a run writes it.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path, "read"))?;
        serde_json::from_str(&text).map_err(|error| Error::Json {
            path: path.to_path_buf(),
            line: error.line(),
            message: error.to_string(),
        })
    }
}
