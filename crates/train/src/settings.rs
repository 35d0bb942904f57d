//! The settings of a training run: the one home of their defaults, and their TOML form.
//!
//! Settings come from a TOML file, then flags are laid over the fields, then
//! [`TrainSettings::validate`] reports every fault at once. The check of the values is in `check`.

mod check;
pub mod compute;
mod slurm;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use verdict_common::settings_file;
use verdict_model::BaseQuantization;

use crate::device::DeviceChoice;
use crate::error::{Error, Fault, Result};
use crate::schedule::Schedule;
use crate::shard::Shard;

pub use compute::ComputeSetting;
pub use slurm::Slurm;

/// Which tokens of a row the loss counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Loss {
    /// The answer and the end-of-text token.
    Completion,
    /// Every token but the first.
    Full,
}

/// What a row's loss weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassWeights {
    /// What the data set's manifest says of its class; the same for all where it says nothing.
    Data,
    /// The same for all.
    None,
}

/// Everything that decides a training run. The grid is the product of the lists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainSettings {
    /// Folder of the data set, as `verdict build` writes it.
    pub data: PathBuf,
    /// The base model: a folder, a GGUF file, a hub name or a built-in name.
    pub model: String,
    /// The run folder to make.
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
    /// Peak learning rates.
    #[serde(deserialize_with = "settings_file::one_or_many")]
    pub lr: Vec<f64>,
    /// Seeds of weights, batches and dropout.
    #[serde(deserialize_with = "settings_file::one_or_many")]
    pub seed: Vec<u64>,
    /// Passes over the training rows; not together with `steps`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<f64>,
    /// Optimizer steps; not together with `epochs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Rows of one optimizer step (the effective batch).
    pub batch: usize,
    /// Most tokens that go through one device at once. Bounds memory; on a GPU the rounding of sums
    /// follows it. What suits the device where not given ([`crate::TrainingEngine::pass_tokens`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass_tokens: Option<usize>,
    /// Most tokens of a row; a longer one loses the beginning of its context. `eval` and `ask` read it too.
    pub max_length: usize,
    /// Share of the steps in which the learning rate climbs from 0.
    pub warmup: f64,
    /// Shape of the learning rate after the warm-up.
    pub schedule: Schedule,
    /// Largest norm of an adapter's gradient; a longer one is scaled down to it. 0: never.
    pub clip: f64,
    /// Optimizer steps between two validations.
    pub validate_every: usize,
    /// Optimizer steps between two checkpoints, 0 for none but when the run is stopped. By time where
    /// not given: at least a minute apart, and so far that they take no more than a hundredth of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<usize>,
    /// Validations without a better validation loss after which a member leaves the batch; where given,
    /// its weights of the lowest validation loss are saved, not the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// Successive halving: at each rung the best of so many by validation loss stays in the batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub halving: Option<usize>,
    /// Folds of cross-validation over training and validation rows together; 0 or absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folds: Option<usize>,
    /// How often the folds are drawn anew; 1 where folds are given without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<usize>,
    /// Which tokens the loss counts.
    pub loss: Loss,
    /// What a row's loss weighs.
    pub class_weights: ClassWeights,
    /// How the frozen base is stored.
    pub base: BaseQuantization,
    /// Compute dtype of matrix products; none is written `auto`: bf16 where the device has it, else f32.
    #[serde(with = "compute")]
    pub compute: ComputeSetting,
    /// Where it computes; adapters are spread over several GPUs.
    pub device: DeviceChoice,
    /// GiB (2^30 bytes) that the run may take of each GPU's memory; all that is free where not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_gib: Option<f64>,
    /// Processor threads; as many as there are cores where not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// The part of the grid that this run trains; all of it where not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// How the run is given to SLURM, where it is.
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
            pass_tokens: None,
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
            class_weights: ClassWeights::Data,
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
    /// Epochs of a run that names neither epochs nor steps.
    pub const DEFAULT_EPOCHS: f64 = 5.5;

    /// Reads a settings file; what it does not name keeps its default. Unknown keys and values of
    /// the wrong type are reported all at once. Ranges are [`TrainSettings::validate`]'s.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path, "read"))?;
        Self::from_toml(&text, path)
    }

    /// As [`TrainSettings::read`], from text; `path` is for error texts.
    pub fn from_toml(text: &str, path: &Path) -> Result<Self> {
        let check = |key: &String, value| {
            Self::deserialize(toml::Table::from_iter([(key.clone(), value)])).map(drop)
        };
        let table = settings_file::read(text, |_| None, check).map_err(|faults| {
            let known = |fault: settings_file::Fault| Fault {
                key: fault.key.unwrap_or_default(),
                text: format!("{} (line {})", fault.text, fault.line),
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
            faults: vec![Fault {
                key: "settings".into(),
                text: error.message().to_owned(),
            }],
        })
    }

    /// The settings as TOML, in the order of the fields.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self)
            .expect("the check refused what TOML cannot hold: seeds over 63 bits, unreadable paths")
    }

    /// The settings without those that change no result.
    pub(crate) fn of_results(&self) -> Self {
        Self {
            threads: None,
            memory_gib: None,
            pass_tokens: None,
            checkpoint_every: None,
            slurm: None,
            ..self.clone()
        }
    }

    /// Whether a run of these settings comes to what one of the others comes to, in the same folder.
    pub fn same_results(&self, other: &Self) -> bool {
        self.of_results() == other.of_results()
    }

    /// Fills in what depends on other settings: the default epochs where neither epochs nor steps
    /// were given, one repeat where folds were; no folds are none.
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
        class_weights = "data"
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
            pass_tokens: Some(4096),
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
    fn one_value_stands_for_a_list_of_one() {
        let settings = parse("rank = 8\nlr = [1e-4, 3e-4]\nseed = 7").unwrap();
        assert_eq!(
            (settings.rank, settings.lr, settings.seed),
            (vec![8], vec![1e-4, 3e-4], vec![7])
        );
    }

    #[test]
    fn steps_take_the_place_of_the_default_epochs() {
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
          device: expected auto, cpu, or cuda: and the numbers of GPUs, each once (cuda:0 or cuda:0,1), found gpus (line 5)
        "#);
    }

    #[test]
    fn a_file_that_is_not_toml_names_its_line() {
        insta::assert_snapshot!(parse("rank = 16\nlr = = 3").unwrap_err(), @r#"
        sweep.toml, line 2: not TOML: extra `=`, expected nothing
        "#);
    }
}
