//! What a run was made from: hashes and descriptions of the model and the data set.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use verdict_common::hash;
use verdict_data::manifest::{SourceRecord, SplitRecord};
use verdict_model::formats::ModelConfig;

use crate::error::Result;
use crate::files;

/// What a run was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// SHA-256 of the data set's MANIFEST.json, which contains the hashes of its files.
    pub data_manifest_sha256: String,
    /// SHA-256 of the model: of its GGUF file; for a folder, of the lines `name SHA-256` of its weight,
    /// config and tokenizer files in the order of their names.
    pub model_sha256: String,
    /// SHA-256 of the weights of the adapter from which the run started (`init_adapter`), if it started from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_adapter_sha256: Option<String>,
    /// What the data set's manifest says; `None` in runs of versions that did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataRecord>,
    /// Describes the model; `None` in runs of versions that did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelRecord>,
}

/// A data set as described by its manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataRecord {
    /// Version of the tool that built it.
    pub tool_version: String,
    /// Seed of its build.
    pub seed: u64,
    /// Its sources, with the hashes of the input files.
    pub sources: Vec<SourceRecord>,
    /// Its files with their hashes and numbers of rows, in the order train, validation, test.
    pub splits: Vec<SplitRecord>,
}

/// The base model. The names of its sizes follow Hugging Face's `config.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// Decoder family (`model_type`).
    pub family: String,
    /// Its source (`hub:<repository>@<commit>`, `pip:<requirement>`); `None` for a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// SPDX licence of the weights, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Number of parameters.
    pub parameters: u64,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Blocks.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads.
    pub num_key_value_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// SHA-256 of `tokenizer.json`; `None` where the tokenizer is part of the model file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer_sha256: Option<String>,
}

impl Provenance {
    /// Hashes the model (a file or a folder) and the data set's manifest.
    pub fn read(model: &Path, data: &Path) -> Result<Self> {
        Ok(Self {
            data_manifest_sha256: Self::data_sha256(data)?,
            model_sha256: Self::model_sha256(model)?,
            init_adapter_sha256: None,
            data: None,
            model: None,
        })
    }

    /// Hash of a data set: that of its manifest, which contains the hashes of its files.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn data_sha256(data: &Path) -> Result<String> {
        files::sha256(&data.join("MANIFEST.json"))
    }

    /// Hash of a model: that of its file, or of the names and hashes of the files in its folder.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn model_sha256(model: &Path) -> Result<String> {
        if !model.is_dir() {
            return files::sha256(model);
        }
        let mut all = Sha256::new();
        for name in files::names(model)? {
            let weights = name.ends_with(".safetensors");
            if weights || name == "config.json" || name == TOKENIZER {
                let hash = files::sha256(&model.join(&name))?;
                all.update(format!("{name} {hash}\n"));
            }
        }
        Ok(hash::hex(&all.finalize()))
    }

    /// Adds the descriptions of the data set and the model.
    pub fn with_records(mut self, data: DataRecord, model: ModelRecord) -> Self {
        (self.data, self.model) = (Some(data), Some(model));
        self
    }

    /// Adds the hash of the adapter that the run starts from, if it starts from one.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn with_init_adapter(mut self, dir: Option<&Path>) -> Result<Self> {
        let hash = dir.map(|dir| files::sha256(&dir.join("adapter_model.safetensors")));
        self.init_adapter_sha256 = hash.transpose()?;
        Ok(self)
    }

    /// Whether model and data set have the same hashes, whatever their descriptions.
    pub fn same(&self, other: &Self) -> bool {
        self.model_sha256 == other.model_sha256
            && self.data_manifest_sha256 == other.data_manifest_sha256
    }

    /// Whether the training and validation examples of both data sets are the same, though the manifests
    /// may differ; `false` if their hashes are not known for both.
    pub fn same_rows(&self, other: &Self) -> bool {
        let rows = |of: &Self| -> Option<Vec<String>> {
            let splits = &of.data.as_ref()?.splits;
            let read = splits.iter().filter(|split| split.split != "test");
            Some(read.map(|split| split.sha256.clone()).collect())
        };
        self.data_manifest_sha256 == other.data_manifest_sha256
            || (rows(self).is_some() && rows(self) == rows(other))
    }
}

const TOKENIZER: &str = "tokenizer.json";

impl DataRecord {
    /// From a data set's manifest.
    pub fn new(manifest: &verdict_data::Manifest) -> Self {
        Self {
            tool_version: manifest.tool_version.clone(),
            seed: manifest.seed,
            sources: manifest.sources.clone(),
            splits: manifest.splits.clone(),
        }
    }

    /// The split of that name.
    pub fn split(&self, name: &str) -> Option<&SplitRecord> {
        self.splits.iter().find(|split| split.split == name)
    }
}

impl ModelRecord {
    /// From a model's configuration and its files at `path`.
    pub fn new(config: &ModelConfig, path: &Path) -> Result<Self> {
        let tokenizer = path.join(TOKENIZER);
        let tokenizer_sha256 = match tokenizer.is_file() {
            true => Some(files::sha256(&tokenizer)?),
            false => None,
        };
        let numbers = |(_, shape): (String, Vec<usize>)| shape.iter().product::<usize>() as u64;
        Ok(Self {
            family: config.architecture.name().to_owned(),
            source: None,
            licence: None,
            parameters: config.tensors().into_iter().map(numbers).sum(),
            hidden_size: config.hidden_size,
            intermediate_size: config.intermediate_size,
            num_hidden_layers: config.num_hidden_layers,
            num_attention_heads: config.num_attention_heads,
            num_key_value_heads: config.num_key_value_heads,
            head_dim: config.head_dim,
            vocab_size: config.vocab_size,
            tokenizer_sha256,
        })
    }

    /// Its repository on the hub, if it comes from there.
    pub fn repository(&self) -> Option<&str> {
        let of = self.source.as_ref()?.strip_prefix("hub:")?;
        Some(of.split_once('@').map_or(of, |(repository, _)| repository))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_folder_is_identified_by_its_weights_config_and_tokenizer() {
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
        assert!(!read().same(&first) && read().same_rows(&first));
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
