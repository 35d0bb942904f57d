//! The settings of a training run: their defaults, which are defined only here, and their TOML form.
//!
//! Settings are read from a TOML file, flags override its fields, then [`TrainSettings::validate`]
//! reports every fault at once. The values are checked in `check`.

mod check;
pub mod compute;
mod slurm;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use verdict_answer::PromptFormat;
use verdict_common::settings_file;
use verdict_model::BaseQuantization;

use crate::device::DeviceChoice;
use crate::error::{Error, Fault, Result};
use crate::schedule::Schedule;
use crate::shard::Shard;

pub use compute::ComputeSetting;
pub use slurm::Slurm;

/// Which tokens of an example contribute to the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Loss {
    /// The completion and the end-of-text token.
    Completion,
    /// Every token but the first.
    Full,
}

/// How the losses of examples are weighted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassWeights {
    /// By the class weights in the data set's manifest; equally if it has none.
    Data,
    /// Equally.
    None,
}

/// Everything that determines a training run. The grid is the product of the lists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainSettings {
    /// Folder of the data set, as written by `verdict build`.
    pub data: PathBuf,
    /// The base model: a folder, a GGUF file, a hub name or a built-in name.
    pub model: String,
    /// The run folder to create.
    pub out: PathBuf,
    /// LoRA ranks.
    #[serde(deserialize_with = "settings_file::one_or_many")]
    pub rank: Vec<usize>,
    /// LoRA alphas, each as a multiple of the rank (2 means `lora_alpha` = 2 × rank).
    #[serde(deserialize_with = "settings_file::one_or_many")]
    pub alpha_ratio: Vec<f64>,
    /// LoRA dropouts.
    #[serde(deserialize_with = "settings_file::one_or_many")]
    pub dropout: Vec<f64>,
    /// Learning rates at their peak.
    #[serde(deserialize_with = "settings_file::one_or_many")]
    pub lr: Vec<f64>,
    /// Seeds of initial weights, batches and dropout.
    #[serde(deserialize_with = "settings_file::one_or_many")]
    pub seed: Vec<u64>,
    /// Epochs over the training examples; not together with `steps`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<f64>,
    /// Optimizer steps; not together with `epochs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Examples per optimizer step (the effective batch size).
    pub batch: usize,
    /// Maximum tokens of a micro-batch: the tokens that one forward and backward pass processes on a
    /// device. Limits memory; on a GPU, the rounding of sums depends on it. By default what suits the
    /// device ([`crate::TrainingEngine::micro_batch_tokens`]).
    #[serde(rename = "pass_tokens", skip_serializing_if = "Option::is_none")]
    pub micro_batch_tokens: Option<usize>,
    /// Maximum sequence length in tokens; of a longer example the beginning of its context is cut. Also
    /// the default of `eval` and `ask`.
    pub max_length: usize,
    /// Warm-up ratio: share of the steps over which the learning rate rises from 0.
    pub warmup: f64,
    /// Learning rate schedule after the warm-up.
    pub schedule: Schedule,
    /// Gradient clipping: maximum norm of an adapter's gradient; a larger one is scaled down to it. 0
    /// disables it.
    pub clip: f64,
    /// Optimizer steps between validations.
    pub validate_every: usize,
    /// Optimizer steps between checkpoints; 0 writes one only when the run is interrupted. By default
    /// checkpoints are at least a minute apart and take at most 0.5 % of the time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<usize>,
    /// Early stopping: number of validations without a lower validation loss after which an adapter
    /// stops training. If given, the weights with the lowest validation loss are saved, not the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// Successive halving: at each rung, one of this many adapters continues, by validation loss; the
    /// others are pruned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub halving: Option<usize>,
    /// Folds of cross-validation over the training and validation examples together; 0, the default, for
    /// none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folds: Option<usize>,
    /// How often cross-validation is repeated with newly drawn folds; 1 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<usize>,
    /// Which tokens contribute to the loss.
    pub loss: Loss,
    /// Weight of a token of the rationale in the loss, relative to a token of the label: 1 counts all tokens alike, 0
    /// trains the labels alone.
    pub rationale_weight: f64,
    /// How the losses of examples are weighted.
    pub class_weights: ClassWeights,
    /// How question and context are arranged in the prompt. Also that of `eval` and `ask`.
    pub prompt_format: PromptFormat,
    /// Adapter folder in PEFT's layout from which every adapter of the grid starts, instead of random weights: the
    /// second phase of a training in phases. Its rank must be the grid's only rank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_adapter: Option<PathBuf>,
    /// Base-model quantization.
    pub base: BaseQuantization,
    /// Compute dtype; `auto` is bf16 where the device supports it, else f32.
    #[serde(with = "compute")]
    pub compute: ComputeSetting,
    /// The device; adapters are distributed over several GPUs.
    pub device: DeviceChoice,
    /// Memory limit on each GPU in GiB (2^30 bytes); all free memory by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_gib: Option<f64>,
    /// CPU threads; one per core by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// The shard of the grid that this run trains; the whole grid by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// How the run is submitted to SLURM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slurm: Option<Slurm>,
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            data: PathBuf::new(),
            model: String::new(),
            out: PathBuf::new(),
            rank: vec![16],
            alpha_ratio: vec![2.0],
            dropout: vec![0.05],
            lr: vec![3e-4],
            seed: vec![42],
            epochs: None,
            steps: None,
            batch: 16,
            micro_batch_tokens: None,
            max_length: verdict_answer::prompt::DEFAULT_MAX_LENGTH,
            warmup: 0.03,
            schedule: Schedule::Linear,
            clip: 1.0,
            validate_every: 25,
            checkpoint_every: None,
            patience: None,
            halving: None,
            folds: None,
            repeats: None,
            loss: Loss::Completion,
            rationale_weight: 1.0,
            class_weights: ClassWeights::Data,
            prompt_format: PromptFormat::ContextFirst,
            init_adapter: None,
            base: BaseQuantization::Int8,
            compute: None,
            device: DeviceChoice::Auto,
            memory_gib: None,
            threads: None,
            shard: None,
            slurm: None,
        }
    }
}

impl TrainSettings {
    /// Epochs of a run whose settings contain neither epochs nor steps.
    pub const DEFAULT_EPOCHS: f64 = 5.5;

    /// Reads a settings file; settings that it does not contain keep their defaults. Unknown keys and
    /// values of the wrong type are all reported at once. [`TrainSettings::validate`] checks the ranges.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path, "read"))?;
        Self::from_toml(&text, path)
    }

    /// Like [`TrainSettings::read`], from text; `path` is used in error messages.
    pub fn from_toml(text: &str, path: &Path) -> Result<Self> {
        let check = |key: toml::Table| Self::deserialize(key).map(drop);
        let table = settings_file::read(text, |_| None, check).map_err(|faults| {
            let known = |fault: settings_file::Fault| {
                let text = format!("{} (line {})", fault.text, fault.line);
                Fault::new(fault.key.unwrap_or_default(), text)
            };
            match faults.as_slice() {
                [fault] if fault.key.is_none() => Error::Syntax {
                    path: path.to_path_buf(),
                    line: fault.line,
                    message: fault.text.clone(),
                },
                _ => Error::Settings {
                    origin: path.display().to_string(),
                    faults: faults.into_iter().map(known).collect(),
                },
            }
        })?;
        Self::deserialize(table).map_err(|error| Error::Settings {
            origin: path.display().to_string(),
            faults: vec![Fault::new("settings", error.message())],
        })
    }

    /// The settings as TOML, in the order of the fields.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self)
            .expect("the check refused what TOML cannot hold: seeds over 63 bits, unreadable paths")
    }

    /// The settings without those that do not affect results.
    pub(crate) fn of_results(&self) -> Self {
        Self {
            threads: None,
            memory_gib: None,
            micro_batch_tokens: None,
            checkpoint_every: None,
            slurm: None,
            ..self.clone()
        }
    }

    /// Whether runs of both settings give the same results in the same folder.
    pub fn same_results(&self, other: &Self) -> bool {
        self.of_results() == other.of_results()
    }

    /// Fills in defaults that depend on other settings: the epochs if neither epochs nor steps were
    /// given, one repeat if folds were. Turns 0 folds into none.
    pub fn resolved(mut self) -> Self {
        self.folds = self.folds.filter(|folds| *folds > 0);
        match self.folds {
            Some(_) => self.repeats = self.repeats.or(Some(1)),
            None => self.repeats = None,
        }
        if self.epochs.is_none() && self.steps.is_none() {
            self.epochs = Some(Self::DEFAULT_EPOCHS);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<TrainSettings> {
        TrainSettings::from_toml(text, Path::new("sweep.toml"))
    }

    #[test]
    fn the_defaults_are_the_recipe() {
        insta::assert_snapshot!(TrainSettings::default().resolved().to_toml(), @r#"
        data = ""
        model = ""
        out = ""
        rank = [16]
        alpha_ratio = [2.0]
        dropout = [0.05]
        lr = [0.0003]
        seed = [42]
        epochs = 5.5
        batch = 16
        max_length = 1024
        warmup = 0.03
        schedule = "linear"
        clip = 1.0
        validate_every = 25
        loss = "completion"
        rationale_weight = 1.0
        class_weights = "data"
        prompt_format = "context-first"
        base = "int8"
        compute = "auto"
        device = "auto"
        "#);
    }

    #[test]
    fn a_file_survives_the_round_trip() {
        let settings = TrainSettings {
            data: "data".into(),
            steps: Some(7),
            threads: Some(2),
            micro_batch_tokens: Some(4096),
            base: BaseQuantization::Fp8,
            device: DeviceChoice::Cuda(vec![0, 1]),
            memory_gib: Some(7.5),
            lr: vec![1e-4, 3e-4],
            seed: vec![i64::MAX as u64],
            ..TrainSettings::default()
        };
        assert_eq!(parse(&settings.to_toml()).unwrap(), settings);
    }

    #[test]
    fn one_value_is_a_list_of_one() {
        let settings = parse("rank = 8\nlr = [1e-4, 3e-4]\nseed = 7").unwrap();
        assert_eq!(
            (settings.rank, settings.lr, settings.seed),
            (vec![8], vec![1e-4, 3e-4], vec![7])
        );
    }

    #[test]
    fn steps_replace_the_default_epochs() {
        let settings = parse("steps = 93").unwrap().resolved();
        assert_eq!((settings.epochs, settings.steps), (None, Some(93)));
        assert_eq!(parse("").unwrap().resolved().epochs, Some(5.5));
    }

    #[test]
    fn unknown_keys_and_wrong_types_are_reported_together() {
        let text = "lerning_rate = 1e-4\nbatch = \"many\"\nbase = \"int4\"\nrank = \"16\"\ndevice = \"gpus\"";
        insta::assert_snapshot!(parse(text).unwrap_err(), @r#"
        sweep.toml: 5 faults:
          lerning_rate: unknown key (line 1)
          batch: invalid type: string "many", expected a whole number from 0 (line 2)
          base: expected one of int8, bf16, f32, fp8, nf4, found int4 (line 3)
          rank: invalid type: string "16", expected a whole number from 0 (line 4)
          device: expected auto, cpu, or cuda: followed by GPU numbers, each once (cuda:0 or cuda:0,1), found gpus (line 5)
        "#);
    }

    #[test]
    fn a_file_that_is_not_toml_names_its_line() {
        insta::assert_snapshot!(parse("rank = 16\nlr = = 3").unwrap_err(), @r#"
        sweep.toml, line 2: not TOML: extra `=`, expected nothing
        "#);
    }
}
