//! The flags of `verdict train`, and the settings that they resolve to.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::{Deserialize as _, Serialize};
use toml::Table;
use verdict_answer::PromptFormat;
use verdict_model::BaseQuantization;
use verdict_train::settings::compute;
use verdict_train::{DeviceChoice, TrainSettings};

use crate::aliases;
use crate::failure::{Failure, Result};
use crate::loading;
use crate::recipes::Recipe;
use crate::settings;
use crate::shards::ShardIndex;
use crate::slurm;

/// Train LoRA adapters for every combination of the listed settings, all in one pass
///
/// --rank, --alpha-ratio, --dropout, --lr and --seed take lists; the grid is their product. The adapters share each pass
/// through the base model, and each comes out as if it had been trained alone.
#[derive(Debug, Default, clap::Args, Serialize)]
pub struct Args {
    /// Read settings from a TOML file
    ///
    /// Its keys are these flags with underscores (`max_length = 512`). Flags win over the file.
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Take the settings of this recipe: best, report
    ///
    /// A recipe is a settings file with a name. Flags win over it. --print-recipe shows it.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["config", "resume", "like", "merge"])]
    #[serde(skip)]
    pub recipe: Option<Recipe>,
    /// Print a recipe, a start for --config
    #[arg(long, value_name = "NAME", conflicts_with = "recipe")]
    #[serde(skip)]
    pub print_recipe: Option<Recipe>,
    /// Train on this data set folder
    ///
    /// As `verdict build` writes it.
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Train on this base model
    ///
    /// A folder, GGUF file, hub name (org/name) or built-in name.
    #[arg(long)]
    pub model: Option<String>,
    /// Write the run into this folder
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Resume an interrupted run from its last checkpoint
    ///
    /// The run's own settings are used. Of the other flags only --threads is accepted, and --data and --model where the
    /// data set or the model was moved.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "overwrite"])]
    #[serde(skip)]
    pub resume: Option<PathBuf>,
    /// Repeat a run and compare the new adapters with its own
    ///
    /// The run's settings are used, and other flags override them. Data set and model must be the run's, unless --data
    /// or --model names others. Without --out the new run goes into RUN-2.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "resume", "shard", "slurm", "merge"])]
    #[serde(skip)]
    pub like: Option<PathBuf>,
    /// Replace the run in --out
    #[arg(long)]
    #[serde(skip)]
    pub overwrite: bool,

    /// Train part N of M of the grid, into shards/N of --out
    ///
    /// The parts are of nearly equal cost. A part that was interrupted is resumed; nothing is done for one that is
    /// finished.
    #[arg(long, value_name = "N/M", conflicts_with_all = ["resume", "slurm", "merge"])]
    #[serde(skip)]
    pub shard: Option<ShardIndex>,
    /// Merge the finished shards in this folder into one run
    ///
    /// The result is the run that one task would have made of the whole grid.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "overwrite", "resume", "slurm"])]
    #[serde(skip)]
    pub merge: Option<PathBuf>,

    /// Set the LoRA ranks [default: 16]
    #[arg(long, value_delimiter = ',', help_heading = "Grid")]
    pub rank: Option<Vec<usize>>,
    /// Set LoRA alpha as a multiple of the rank [default: 2]
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "RATIO",
        help_heading = "Grid"
    )]
    pub alpha_ratio: Option<Vec<f64>>,
    /// Alpha itself, as PEFT has it; for one rank.
    #[arg(
        long,
        value_name = "ALPHA",
        conflicts_with = "alpha_ratio",
        hide = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora_alpha: Option<f64>,
    /// Set the LoRA dropout probability [default: 0.05]
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "SHARE",
        help_heading = "Grid"
    )]
    pub dropout: Option<Vec<f64>>,
    /// Set the peak learning rate [default: 3e-4]
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "RATE",
        help_heading = "Grid"
    )]
    pub lr: Option<Vec<f64>>,
    /// Seed the weights, the order of examples and dropout [default: 42]
    #[arg(long, value_delimiter = ',', help_heading = "Grid")]
    pub seed: Option<Vec<u64>>,

    /// Make this many passes over the training set [default: 5.5]
    #[arg(
        long,
        value_name = "N",
        conflicts_with = "steps",
        help_heading = "Recipe"
    )]
    pub epochs: Option<f64>,
    /// Take this many optimizer steps, instead of --epochs
    #[arg(long, value_name = "N", help_heading = "Recipe")]
    pub steps: Option<usize>,
    /// Use this many examples per optimizer step [default: 16]
    ///
    /// The effective batch size of each adapter. Gradients are accumulated over as many micro-batches as it takes; see
    /// --micro-batch-tokens.
    #[arg(long, value_name = "N", help_heading = "Recipe")]
    pub batch: Option<usize>,
    /// Cut examples to this many tokens [default: 1024]
    ///
    /// The maximum sequence length, prompt and answer together. A context that does not fit loses whole sentences from
    /// its beginning. `eval` and `ask` take the value from the run.
    #[arg(long, value_name = "N", help_heading = "Recipe")]
    pub max_length: Option<usize>,
    /// Raise the learning rate over this share of steps [default: 0.03]
    #[arg(long, value_name = "SHARE", help_heading = "Recipe")]
    #[serde(rename = "warmup")]
    pub warmup_ratio: Option<f64>,
    /// Set the schedule: linear, cosine, constant [default: linear]
    #[arg(long, value_name = "SHAPE", value_parser = ["linear", "cosine", "constant"], hide_possible_values = true, help_heading = "Recipe")]
    #[serde(rename = "schedule")]
    pub lr_schedule: Option<String>,
    /// Clip each adapter's gradient to this norm, 0: never [default: 1.0]
    #[arg(long, value_name = "NORM", help_heading = "Recipe")]
    #[serde(rename = "clip")]
    pub max_grad_norm: Option<f64>,
    /// Validate every N optimizer steps [default: 25]
    #[arg(long, value_name = "N", help_heading = "Recipe")]
    pub validate_every: Option<usize>,
    /// Stop after N validations without a lower loss [default: never]
    ///
    /// Early stopping by validation loss. The weights of each adapter's lowest validation loss are saved, not the last
    /// ones.
    #[arg(long, value_name = "N", help_heading = "Recipe")]
    pub patience: Option<usize>,
    /// Keep one adapter in ETA at each rung [default: all]
    ///
    /// Successive halving. The other adapters are pruned, and the steps that follow take less time.
    #[arg(long, value_name = "ETA", help_heading = "Recipe")]
    pub halving: Option<usize>,
    /// Cross-validate with K folds, 3 or more [default: none]
    ///
    /// Training and validation examples are pooled. Beside each adapter K + K(K−1)/2 more are trained, each without one
    /// or two of the folds, so that choosing an adapter is itself validated (nested cross-validation).
    #[arg(long, value_name = "K", help_heading = "Recipe")]
    pub folds: Option<usize>,
    /// Draw the folds this many times [default: 1]
    #[arg(long, value_name = "N", help_heading = "Recipe")]
    pub repeats: Option<usize>,
    /// Compute the loss on: completion, full [default: completion]
    #[arg(long, value_name = "TOKENS", value_parser = ["completion", "full"], hide_possible_values = true, help_heading = "Recipe")]
    pub loss: Option<String>,
    /// Weight a token of the rationale by W in the loss [default: 1]
    ///
    /// Relative to a token of the label. 1 counts all tokens alike, so that the label, one token of some thirty, has a small
    /// share of the loss; 0 trains the labels alone.
    #[arg(long, value_name = "W", help_heading = "Recipe")]
    pub rationale_weight: Option<f64>,
    /// Arrange prompts: question-twice, chat [default: context-first]
    ///
    /// `question-twice` asks before and after the context; `chat` is a ChatML conversation, for models with its control tokens.
    /// `eval` and `ask` take the format from the run.
    #[arg(long, value_name = "FORMAT", value_parser = prompt_formats(), hide_possible_values = true, help_heading = "Recipe")]
    pub prompt_format: Option<PromptFormat>,
    /// Start from the weights of this adapter, not from random ones
    ///
    /// A folder in PEFT's layout, such as RUN/adapters/r16, of the rank that is trained: the next phase of a training in
    /// phases, for example on expert labels after pseudo-labels. Its own training examples must not be those of the folds.
    #[arg(long, value_name = "FOLDER", help_heading = "Recipe")]
    pub init_adapter: Option<PathBuf>,
    /// Weight the loss by class: data, none [default: data]
    ///
    /// `data` takes the class weights of the data set's manifest, which has some where classes differ in size; `none`
    /// weights all examples alike.
    #[arg(long, value_name = "WEIGHTS", value_parser = ["data", "none"], hide_possible_values = true, help_heading = "Recipe")]
    pub class_weights: Option<String>,

    /// Write a checkpoint every N optimizer steps [default: by time]
    ///
    /// 0 writes one only when the run is stopped. By default checkpoints are at least a minute apart and take at most
    /// 0.5 % of the time.
    #[arg(long, value_name = "N", help_heading = "Machine")]
    pub checkpoint_every: Option<usize>,
    /// Store the base model as: int8, bf16, f32, fp8, nf4 [default: int8]
    ///
    /// Base-model quantization; the base model is frozen. nf4 needs a GPU, fp8 a GPU of compute capability 9.0.
    #[arg(long, value_name = "TYPE", value_parser = loading::base_names(), hide_possible_values = true, help_heading = "Machine")]
    pub base: Option<BaseQuantization>,
    /// Set the compute dtype: auto, bf16, f32 [default: auto]
    ///
    /// The type of matrix products. `auto` is bf16 with f32 sums on a GPU and where the processor has instructions for it, else
    /// f32.
    #[arg(long, value_name = "TYPE", value_parser = PossibleValuesParser::new(compute::NAMES), hide_possible_values = true, help_heading = "Machine")]
    pub compute: Option<String>,
    /// Select the device: auto, cpu, cuda:0, cuda:0,1 [default: auto]
    ///
    /// `auto` is the first usable GPU, else the processor. `cuda` and `gpu` mean cuda:0. Several GPUs share the grid:
    /// each trains some of the adapters.
    #[arg(long, help_heading = "Machine")]
    pub device: Option<DeviceChoice>,
    /// Limit the memory used on each GPU [default: all that is free]
    #[arg(long, value_name = "GIB", help_heading = "Machine")]
    pub memory_gib: Option<f64>,
    /// Use this many processor threads [default: all cores]
    #[arg(long, value_name = "N", help_heading = "Machine")]
    pub threads: Option<usize>,
    /// Process at most this many tokens at once [default: 1024 on a CPU]
    ///
    /// Tokens of one micro-batch, which is one forward and backward pass. Fewer take less memory. The results do not
    /// depend on it on a CPU; on a GPU they do within rounding, and the default is what its total memory or --memory-gib
    /// holds.
    #[arg(long, value_name = "N", help_heading = "Machine")]
    #[serde(rename = "pass_tokens")]
    pub micro_batch_tokens: Option<usize>,

    #[command(flatten)]
    pub slurm: slurm::Flags,
}

impl Args {
    /// The settings file with the flags laid over it, and the defaults below both.
    pub fn settings(&self) -> Result<TrainSettings> {
        let base = match &self.config {
            Some(path) => settings::read(path, |mut key| match key.remove(LORA_ALPHA) {
                Some(alpha) => f64::deserialize(alpha).map(drop),
                None => TrainSettings::deserialize(key).map(drop),
            })?,
            None => self.recipe.map_or_else(Table::new, |recipe| {
                recipe.toml.parse().expect("a test reads every recipe")
            }),
        };
        self.over(base)
    }

    /// The flags laid over the keys of settings.
    pub fn over(&self, mut base: Table) -> Result<TrainSettings> {
        let mut flags = settings::given(self)?;
        // Steps and epochs take each other's place, as alpha and its ratio do; a flag wins over the file.
        for (given, other) in [
            ("steps", "epochs"),
            ("epochs", "steps"),
            ("alpha_ratio", LORA_ALPHA),
            (LORA_ALPHA, "alpha_ratio"),
        ] {
            if flags.contains_key(given) {
                base.remove(other);
            }
        }
        let of_file = base.remove(LORA_ALPHA);
        if of_file.is_some() && base.contains_key("alpha_ratio") {
            let text = "settings: expected `alpha_ratio` or `lora_alpha`, found both";
            return Err(Failure::input(text));
        }
        let alpha = flags.remove(LORA_ALPHA).or(of_file);
        let mut settings: TrainSettings = settings::lay_over(base, flags)?;
        if let Some(alpha) = alpha.and_then(|alpha| f64::deserialize(alpha).ok()) {
            settings.alpha_ratio = vec![ratio(alpha, &settings.rank)?];
        }
        Ok(settings.resolved())
    }
}

fn prompt_formats() -> impl TypedValueParser<Value = PromptFormat> {
    PossibleValuesParser::new(PromptFormat::ALL.map(PromptFormat::as_str))
        .try_map(|name| name.parse::<PromptFormat>())
}

/// Alpha itself, as in PEFT: a hidden flag and a key of settings files.
const LORA_ALPHA: &str = "lora_alpha";

/// Alpha as a multiple of the rank.
fn ratio(alpha: f64, ranks: &[usize]) -> Result<f64> {
    match ranks {
        [rank] => Ok(alpha / *rank as f64),
        _ => Err(Failure::input(format!(
            "--lora-alpha: expected one --rank with it, found {}",
            ranks.len()
        ))
        .hint("--alpha-ratio 2 gives each rank an alpha of twice the rank")),
    }
}

/// Refuses flags that change settings, for a run whose settings are fixed.
pub fn refuse_flags(args: &Args, with: &str, allowed: &[&str]) -> Result {
    let flags = settings::given(args)?;
    let others = flags.keys().filter(|key| !allowed.contains(&key.as_str()));
    let faults: Vec<String> = others
        .map(|key| format!("--{}: cannot be used with {with}", aliases::flag(key)))
        .collect();
    match faults.is_empty() {
        true => Ok(()),
        false => {
            let hint = "the run keeps the settings in its folder";
            Err(Failure::faults(faults).hint(hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn settings(flags: &str) -> Result<TrainSettings> {
        let words = std::iter::once("train").chain(flags.split_whitespace());
        Line::try_parse_from(words)
            .expect("good usage")
            .args
            .settings()
    }

    #[test]
    fn each_flag_reaches_its_setting() {
        let flags = "--data d --model m --out o --rank 4,8 --alpha-ratio 1,2 --dropout 0,0.1 --lr 1e-4,3e-4 \
                     --seed 1,2 --steps 9 --batch 3 --max-length 99 --warmup-ratio 0.5 --lr-schedule cosine --max-grad-norm 2 \
                     --validate-every 7 --checkpoint-every 5 --patience 6 --halving 3 --folds 4 --repeats 2 --loss full --rationale-weight 0.5 --prompt-format chat --init-adapter old --class-weights none --base fp8 --compute bf16 --device cuda:1,0 --memory-gib 6.5 --threads 3 \
                     --micro-batch-tokens 777";
        let expected: TrainSettings = toml::from_str(
            r#"
            data = "d"
            model = "m"
            out = "o"
            rank = [4, 8]
            alpha_ratio = [1.0, 2.0]
            dropout = [0.0, 0.1]
            lr = [1e-4, 3e-4]
            seed = [1, 2]
            steps = 9
            batch = 3
            max_length = 99
            warmup = 0.5
            schedule = "cosine"
            clip = 2.0
            validate_every = 7
            checkpoint_every = 5
            patience = 6
            halving = 3
            folds = 4
            repeats = 2
            loss = "full"
            rationale_weight = 0.5
            prompt_format = "chat"
            init_adapter = "old"
            class_weights = "none"
            base = "fp8"
            compute = "bf16"
            device = "cuda:1,0"
            memory_gib = 6.5
            threads = 3
            pass_tokens = 777
            "#,
        )
        .expect("good settings");
        assert_eq!(settings(flags).expect("good"), expected);
    }

    #[test]
    fn every_recipe_is_valid_and_flags_win_over_it() {
        for recipe in Recipe::ALL {
            let found = settings(&format!(
                "--recipe {} --data d --model m --out o --lr 2e-4",
                recipe.name
            ));
            let found = found.expect("good");
            assert_eq!(
                (found.faults(), found.lr),
                (vec![], vec![2e-4]),
                "{}",
                recipe.name
            );
        }
        let report = settings("--recipe report").expect("good");
        assert_eq!(report.rank, [4, 8, 16, 24, 32, 40, 64, 128]);
        let best = settings("--recipe best --epochs 2").expect("good");
        assert_eq!((best.rationale_weight, best.epochs), (0.1, Some(2.0)));
    }

    #[test]
    fn no_flags_mean_the_recipe() {
        assert_eq!(
            settings("").expect("good"),
            TrainSettings::default().resolved()
        );
    }

    #[test]
    fn flags_win_over_the_file_and_steps_over_its_epochs() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "rank = 4\nepochs = 2.0\nbatch = 8\n").expect("written");
        let found = settings(&format!(
            "--config {} --rank 8 --steps 3",
            file.path().display()
        ))
        .expect("good");
        assert_eq!(
            (found.rank, found.epochs, found.steps, found.batch),
            (vec![8], None, Some(3), 8)
        );
    }
}
