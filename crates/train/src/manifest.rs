//! `MANIFEST.json`: the last file of a run. Where it stands, the run is complete.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::Result;
use crate::files;
use crate::grid::Member;
use crate::leaving::Dropped;
use crate::nested::{FoldScore, Nested};
use crate::settings::TrainSettings;
use crate::validation::Score;

/// What a run was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// SHA-256 of the data set's MANIFEST.json, which holds the hashes of its files.
    pub data_manifest_sha256: String,
    /// SHA-256 of the model: of the GGUF file; for a folder, of the lines `name SHA-256` of its
    /// weight, config and tokenizer files in the order of their names.
    pub model_sha256: String,
}

impl Provenance {
    /// Hashes the model (a file or a folder) and the data set's manifest.
    pub fn read(model: &Path, data: &Path) -> Result<Self> {
        let model_sha256 = if model.is_dir() {
            let mut all = Sha256::new();
            for name in files::names(model)? {
                let weights = name.ends_with(".safetensors");
                if weights || name == "config.json" || name == "tokenizer.json" {
                    let hash = files::sha256(&model.join(&name))?;
                    all.update(format!("{name} {hash}\n"));
                }
            }
            files::hex(&all.finalize())
        } else {
            files::sha256(model)?
        };
        let data_manifest_sha256 = files::sha256(&data.join("MANIFEST.json"))?;
        Ok(Self {
            data_manifest_sha256,
            model_sha256,
        })
    }
}

/// How one member of the grid came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberRecord {
    /// The member's settings.
    #[serde(flatten)]
    pub member: Member,
    /// Why it was taken out, where it was; then it has no files.
    pub stopped: Option<String>,
    /// When and why it left the batch before its steps were done, where it did; it is saved all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<Dropped>,
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

impl MemberRecord {
    /// One of which nothing is known.
    pub(crate) fn untrained(member: Member) -> Self {
        Self {
            member,
            stopped: None,
            dropped: None,
            kept_step: None,
            train_loss: None,
            validation: None,
            folds: Vec::new(),
            files: BTreeMap::new(),
        }
    }
}

/// The manifest. It holds no times and no random names: two runs of the same settings, model and
/// data on one machine write the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// What wrote it: `verdict` and its version.
    pub tool: String,
    /// Model and data.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// Optimizer steps of the adapters.
    pub steps: usize,
    /// Training rows; with folds, the rows of the pool.
    pub train_rows: usize,
    /// Validation of the bare base model; with folds, on the whole pool.
    pub base: Score,
    /// With folds, how the procedure "choose a member, then train it" does on rows that it did not see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nested: Option<Nested>,
    /// Name of the chosen member.
    pub best: String,
    /// The rule that chose it.
    pub rule: String,
    /// Every member, in the order of the grid.
    pub members: Vec<MemberRecord>,
    /// The resolved settings.
    pub settings: TrainSettings,
}

impl Manifest {
    /// What this build of the crate calls itself.
    pub fn tool() -> String {
        format!("verdict {}", env!("CARGO_PKG_VERSION"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_folder_is_known_by_its_weights_config_and_tokenizer() {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("model");
        std::fs::create_dir(&model).unwrap();
        for name in [
            "model.safetensors",
            "config.json",
            "tokenizer.json",
            "README.md",
        ] {
            std::fs::write(model.join(name), name).unwrap();
        }
        std::fs::write(dir.path().join("MANIFEST.json"), "{}").unwrap();
        let read = || Provenance::read(&model, dir.path()).unwrap();
        let first = read();
        std::fs::write(model.join("README.md"), "other").unwrap();
        assert_eq!(read(), first);
        std::fs::write(model.join("tokenizer.json"), "other").unwrap();
        assert_ne!(read().model_sha256, first.model_sha256);
        assert_eq!(read().data_manifest_sha256, first.data_manifest_sha256);
    }

    #[test]
    fn a_missing_data_manifest_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = Provenance::read(dir.path(), dir.path())
            .unwrap_err()
            .to_string();
        let path = dir.path().join("MANIFEST.json");
        assert!(
            error.starts_with(&format!("{}: cannot read: No such file", path.display())),
            "{error}"
        );
    }
}
