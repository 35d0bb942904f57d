//! What decides the answers to a table: saved beside them, so that an interrupted command continues with the same.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use verdict_answer::{AnswerSettings, Calibration, Mode, PromptFormat};
use verdict_common::hash::sha256_file;
use verdict_model::{Device, LoadOptions};
use verdict_train::settings::compute;
use verdict_train::{Manifest, RunFolder};

use super::super::chosen::{ChosenAdapter, only_calibration};
use super::input::BulkInput;
use crate::failure::{Failure, Result};

/// What answers, as far as it is known before the model is loaded.
pub struct Answering<'a> {
    /// The base model, as it was named.
    pub model: &'a str,
    /// The run.
    pub run: Option<&'a RunFolder>,
    /// The adapters of the run that answer, several for an ensemble.
    pub adapters: &'a [ChosenAdapter],
    /// How the model is loaded.
    pub options: &'a LoadOptions,
    /// The probability below which to abstain.
    pub threshold: f64,
    /// Limits of prompts and answers.
    pub limits: AnswerSettings,
}

/// Everything that the bytes of the answers depend on, but the number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BulkSettings {
    /// The version that answers.
    tool: String,
    /// SHA-256 of the table.
    input_sha256: String,
    /// Rows of the table.
    pub rows: usize,
    /// The columns that are read.
    columns: Vec<String>,
    /// The question to all rows; none where each has its own.
    question: Option<String>,
    /// SHA-256 of the run's base model; without a run, the model as it was named.
    model: String,
    /// The adapter; several with `+` between their names.
    adapter: Option<String>,
    /// SHA-256 of its weights; several with `+` between them.
    adapter_sha256: Option<String>,
    /// Base-model quantization.
    base: String,
    /// Compute dtype.
    compute: String,
    /// `cpu` or `cuda`.
    device: String,
    /// How answers are decoded.
    pub mode: Mode,
    /// How probabilities are calibrated.
    calibration: Option<Calibration>,
    /// How those of each adapter of an ensemble are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ensemble: Vec<Calibration>,
    /// The probability below which the model abstains.
    threshold: f64,
    max_new_tokens: usize,
    max_prompt_tokens: usize,
    prompt_format: PromptFormat,
    max_batch_tokens: usize,
    checkpoint_every: usize,
    /// Parts that the rows are divided into.
    pub shards: usize,
}

impl BulkSettings {
    /// The settings of a command.
    ///
    /// # Errors
    /// An adapter that cannot be read.
    pub fn new(
        input: &BulkInput,
        answering: &Answering<'_>,
        mode: Mode,
        [shards, checkpoint_every]: [usize; 2],
    ) -> Result<Self> {
        let adapters = answering.adapters;
        let hashes = adapters.iter().map(|of| {
            let path = of.dir.join("adapter_model.safetensors");
            sha256_file(&path)
                .map_err(|fault| Failure::input(format!("{}: {fault}", path.display())))
        });
        let hashes: Vec<String> = hashes.collect::<Result<_>>()?;
        let names: Vec<&str> = adapters.iter().map(|of| of.name.as_str()).collect();
        let joined = |parts: String| Some(parts).filter(|_| !adapters.is_empty());
        let ensemble = match adapters {
            [] | [_] => Vec::new(),
            all => all.iter().filter_map(|of| of.calibration).collect(),
        };
        let (limits, options) = (&answering.limits, answering.options);
        Ok(Self {
            tool: Manifest::tool(),
            input_sha256: input.survey.file.sha256.clone(),
            rows: input.survey.rows,
            columns: input.column_names(),
            question: input.question.clone(),
            model: match answering.run {
                Some(run) => run.manifest.provenance.model_sha256.clone(),
                None => answering.model.to_owned(),
            },
            adapter: joined(names.join("+")),
            adapter_sha256: joined(hashes.join("+")),
            base: options.base.to_string(),
            compute: compute::name(options.compute).to_owned(),
            device: match options.device {
                Device::Cpu => "cpu".to_owned(),
                Device::Cuda(_) => "cuda".to_owned(),
            },
            mode,
            calibration: only_calibration(adapters),
            ensemble,
            threshold: answering.threshold,
            max_new_tokens: limits.max_answer_tokens,
            max_prompt_tokens: limits.max_prompt_tokens,
            prompt_format: limits.prompt_format,
            max_batch_tokens: limits.max_batch_tokens,
            checkpoint_every,
            shards,
        })
    }

    /// Names of the settings that differ from those of others, with underscores as in the file.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let (Ok(Value::Object(ours)), Ok(Value::Object(others))) =
            (serde_json::to_value(self), serde_json::to_value(other))
        else {
            return Vec::new();
        };
        let differs = |(name, value): &(&String, &Value)| others.get(*name) != Some(*value);
        let names = ours.iter().filter(differs);
        names.map(|(name, _)| name.replace('_', " ")).collect()
    }
}
