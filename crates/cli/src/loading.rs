//! Opens a model for a command: finds it, reads its tokenizer, loads its weights.

use std::cell::RefCell;
use std::path::Path;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use tokenizers::Tokenizer;
use verdict_answer::{Answerer, ContextCuts, EncodedPrompt, LabelTokens, prompt_limit};
use verdict_data::Input;
use verdict_formats::{Adapter, Checkpoint, ModelConfig};
use verdict_model::{
    AdapterBank, BaseQuantization, ComputeDtype, Device, Isa, LoadOptions, MAX_POSITIONS, Model,
};
use verdict_train::settings::compute;
use verdict_train::{ComputeSetting, DeviceChoice, ModelRecord, RunFolder, TrainSettings};

use crate::aliases;
use crate::datasets::SourceSpec;
use crate::device::{self, SelectedDevice};
use crate::failure::{Failure, Result};
use crate::folders;
use crate::hub;
use crate::models::{self, ResolvedModel};
use crate::printer::{Printer, Progress};
use crate::shell;

/// Parser of `--base`.
pub fn base_names() -> impl TypedValueParser<Value = BaseQuantization> {
    PossibleValuesParser::new(BaseQuantization::NAMES).try_map(|name| name.parse())
}

/// Parser of `--compute` in answering.
pub fn compute_names() -> impl TypedValueParser<Value = ComputeSetting> {
    PossibleValuesParser::new(compute::ANSWERING_NAMES)
        .try_map(|name| compute::parse_for_answering(&name))
}

/// Where and how a model is computed: flags of `ask`, `eval` and `bench`.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Machine")]
pub struct MachineFlags {
    /// Store the base as: int8, bf16, f32, fp8, nf4 [default: run's or int8]
    ///
    /// Base-model quantization. nf4 needs a GPU, fp8 a GPU of compute capability 9.0.
    #[arg(long, value_name = "TYPE", value_parser = base_names(), hide_possible_values = true)]
    pub base: Option<BaseQuantization>,
    /// Set the compute dtype: auto, bf16, f32, int16 [default: run's or auto]
    ///
    /// The type of matrix products. `auto` is bf16 with f32 sums on a GPU and where the processor has instructions for
    /// it; else int16 where it has VNNI and the base is int8; else f32. int16 rounds the inputs of a product to 16 bits,
    /// with one scale for 32 of them, and multiplies whole numbers; it is for processors, and needs base int8.
    #[arg(long, value_name = "TYPE", value_parser = compute_names(), hide_possible_values = true)]
    pub compute: Option<ComputeSetting>,
    /// Select the device: auto, cpu, cuda:0 [default: auto]
    ///
    /// `auto` is the first usable GPU, else the processor. `cuda` and `gpu` mean cuda:0.
    #[arg(long)]
    pub device: Option<DeviceChoice>,
    /// Limit the memory used on each GPU [default: all that is free]
    #[arg(long, value_name = "GIB")]
    pub memory_gib: Option<f64>,
    /// Use this many processor threads [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

impl MachineFlags {
    /// The flags laid over a run's settings (or the defaults), and checked.
    pub fn settings(&self, run: Option<&TrainSettings>) -> Result<TrainSettings> {
        let mut settings = run.cloned().unwrap_or_default();
        // A run's device, memory and threads are those of the machine that trained it, not of this one.
        settings.threads = self.threads;
        settings.device = self.device.clone().unwrap_or_default();
        settings.memory_gib = self.memory_gib;
        settings.base = self.base.unwrap_or(settings.base);
        settings.compute = self.compute.unwrap_or(settings.compute);
        let ours = |fault: &verdict_train::Fault| {
            matches!(
                fault.key.as_str(),
                "base" | "compute" | "memory_gib" | "threads"
            )
        };
        let faults: Vec<String> = settings
            .faults()
            .iter()
            .filter(|fault| ours(fault))
            .map(|fault| format!("--{}: {}", aliases::flag(&fault.key), fault.text))
            .collect();
        match faults.is_empty() {
            true => Ok(settings),
            false => Err(Failure::faults(faults)),
        }
    }

    /// How to load a model for answering: the flags laid over a run's settings, on one device.
    pub fn over(&self, run: Option<&TrainSettings>, printer: &Printer) -> Result<LoadOptions> {
        let settings = self.settings(run)?;
        let devices = device::choose(&settings, printer)?;
        match devices.as_slice() {
            [place] => {
                let options = options(&settings, place);
                Ok(LoadOptions {
                    compute: answering_compute(&options),
                    ..options
                })
            }
            _ => Err(Failure::input(format!(
                "--device: expected one device, found {}",
                settings.device
            ))),
        }
    }
}

/// The compute dtype of answers: as set, or integer products where they are the fastest that the processor has.
fn answering_compute(options: &LoadOptions) -> ComputeSetting {
    let integer = options.device == Device::Cpu
        && options.base == BaseQuantization::Int8
        && options.isa == Isa::Avx512Vnni;
    options.compute.or(integer.then_some(ComputeDtype::Int16))
}

/// The load options for one device.
pub fn options(settings: &TrainSettings, place: &SelectedDevice) -> LoadOptions {
    LoadOptions {
        base: settings.base,
        compute: settings.compute,
        threads: settings.threads.unwrap_or(0),
        isa: Isa::detect(),
        device: place.device,
        memory_bytes: settings.memory_gib.map(|gib| (gib * GIB) as u64),
    }
}

/// The options in words, for a report.
pub fn describe(options: &LoadOptions) -> String {
    let (base, compute) = (options.base, compute::name(options.compute));
    let device = match options.device {
        Device::Cpu => "the processor".to_owned(),
        Device::Cuda(number) => format!("cuda:{number}"),
    };
    format!("{device}, base stored as {base}, products in {compute}")
}

/// The maximum tokens of a prompt: as requested, or as the run was trained (by default without a run).
pub fn prompt_tokens(requested: Option<usize>, run: Option<&TrainSettings>) -> usize {
    let trained = |run: &TrainSettings| prompt_limit(run.max_length);
    requested.unwrap_or_else(|| run.map_or_else(|| trained(&TrainSettings::default()), trained))
}

/// Reports how many contexts are cut to fit their prompts, if any are.
pub fn report_cuts<'p>(
    of: &str,
    prompts: impl Iterator<Item = &'p EncodedPrompt>,
    settings: &verdict_answer::AnswerSettings,
    printer: &Printer,
) {
    let mut cuts = ContextCuts::default();
    prompts.for_each(|prompt| cuts.add(prompt.tokens.len(), prompt.cut));
    if cuts.cut > 0 {
        let most = settings.max_prompt_tokens;
        printer.note(format!("{of}: {cuts} to fit prompts of {most} tokens"));
    }
}

/// The settings with a maximum length that fits the model: the default is lowered, with a note, for a model that has
/// fewer positions. Call it before comparing the settings with those of an earlier run.
///
/// # Errors
/// A requested length that exceeds the model's positions.
pub fn fit_length(
    settings: &TrainSettings,
    source: &Source,
    printer: &Printer,
) -> Result<TrainSettings> {
    let mut settings = settings.clone();
    let positions = source.config().max_position_embeddings;
    let default = TrainSettings::default().max_length;
    if settings.max_length == default && positions < default {
        let name = source.name();
        printer.note(format!(
            "--max-length {positions}: {name} has no more positions"
        ));
        settings.max_length = positions;
    }
    within(source.name(), positions, settings.max_length)?;
    Ok(settings)
}

/// Refuses a length beyond the positions of the model, or beyond those that are supported for any model.
fn within(name: &str, positions: usize, found: usize) -> Result {
    let most = positions.min(MAX_POSITIONS);
    if found <= most {
        return Ok(());
    }
    let why = match positions > most {
        true => format!(
            "the maximum for any model, because the table of rotary angles takes memory \
             ({name} has {positions} positions)"
        ),
        false => format!("the positions of {name}"),
    };
    let failure = Failure::input(format!(
        "--max-length: expected at most {most}, {why}, found {found}"
    ));
    Err(failure.hint(format!(
        "use --max-length {most} or less; longer examples lose the first sentences of their context"
    )))
}

const GIB: f64 = (1_u64 << 30) as f64;

/// A model that was found and opened, without its weights.
pub struct Source {
    checkpoint: Checkpoint,
    name: String,
    /// Where it was downloaded from, if it is in the cache.
    origin: Option<String>,
}

/// Opens a finished run.
pub fn run_folder(path: &Path) -> Result<RunFolder> {
    if !path.is_dir() {
        let failure = Failure::input(format!(
            "{}: expected a run folder, found none",
            path.display()
        ));
        return Err(failure.hint("`verdict train` writes run folders"));
    }
    folders::refuse_data_set(path)?;
    Ok(RunFolder::open(path)?)
}

/// Finds a model (folder, GGUF file, hub name or built-in name), downloading it if necessary.
pub fn find(spec: &str, printer: &Printer) -> Result<Source> {
    found(resolve(spec, printer)?)
}

/// Opens a model whose files are known.
pub fn found(model: ResolvedModel) -> Result<Source> {
    Ok(Source {
        checkpoint: Checkpoint::open(&model.path)?,
        name: model.name,
        origin: model.source,
    })
}

/// A model of a given shape with random weights, without a file or a tokenizer.
pub fn random(name: &str, config: ModelConfig, seed: u64) -> Source {
    Source {
        checkpoint: Checkpoint::random(config, seed),
        name: format!("{name}, random weights"),
        origin: None,
    }
}

/// Finds the files of a model, showing progress while they are downloaded.
pub fn resolve(spec: &str, printer: &Printer) -> Result<ResolvedModel> {
    with_progress(printer, |seen| models::resolve(spec, seen))
}

/// Finds the files of a source, showing progress while they are downloaded.
pub fn input(source: SourceSpec, printer: &Printer) -> Result<Input> {
    with_progress(printer, |seen| source.resolve(seen))
}

/// Runs something that may download files, and shows the progress.
fn with_progress<T>(
    printer: &Printer,
    fetch: impl FnOnce(&dyn Fn(hub::Progress<'_>)) -> hub::Result<T>,
) -> Result<T> {
    let bars: RefCell<Option<(String, Progress)>> = RefCell::new(None);
    let seen = |progress: hub::Progress<'_>| match progress {
        hub::Progress::Note(text) => printer.note(text),
        hub::Progress::Bytes { file, done, total } => {
            let mut bar = bars.borrow_mut();
            if bar.as_ref().is_none_or(|(name, _)| name != file) {
                *bar = Some((file.to_owned(), printer.download(file, total)));
            }
            if let Some((_, progress)) = &*bar {
                progress.set(done, "");
            }
        }
    };
    Ok(fetch(&seen)?)
}

impl Source {
    /// Folder or file.
    pub fn path(&self) -> &Path {
        self.checkpoint.path()
    }

    /// Its built-in name, hub name, or path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its shape.
    pub fn config(&self) -> &ModelConfig {
        &self.checkpoint.config
    }

    /// What a run's manifest records about it.
    pub fn record(&self) -> Result<ModelRecord> {
        Ok(ModelRecord {
            source: self.origin.clone(),
            licence: models::licence(&self.name).map(str::to_owned),
            ..ModelRecord::new(self.config(), self.path())?
        })
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        Ok(self.checkpoint.tokenizer()?)
    }

    /// The token that ends a text.
    pub fn eos(&self) -> Result<u32> {
        self.checkpoint
            .config
            .eos_token_ids
            .first()
            .copied()
            .ok_or_else(|| {
                let path = self.path().display();
                Failure::input(format!(
                    "{path}: expected an end-of-text token (eos_token_id), found none"
                ))
            })
    }

    /// Reads, checks and packs the weights.
    pub fn load(&self, options: LoadOptions) -> Result<Model> {
        Ok(Model::load(&self.checkpoint, options)?)
    }
}

/// Tokens by which models of these families end a text or a turn, whether or not their configuration lists them.
const END_MARKS: [&str; 7] = [
    "<|im_end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "</s>",
    "<end_of_turn>",
];

/// A model ready to answer.
pub struct Opened {
    /// The weights.
    pub model: Model,
    tokenizer: Tokenizer,
    eos: u32,
    /// All tokens that end a text.
    ends: Vec<u32>,
}

/// Finds and loads the model of a run.
pub fn open_of_run(spec: &str, options: LoadOptions, printer: &Printer) -> Result<Opened> {
    open(spec, options, printer).map_err(|failure| match Path::new(spec).exists() {
        true => failure,
        false => failure.hint("--model takes the new place of the run's base model"),
    })
}

/// Finds and loads a model. The tokenizer is read while the weights load.
pub fn open(spec: &str, options: LoadOptions, printer: &Printer) -> Result<Opened> {
    let source = find(spec, printer)?;
    let eos = source.eos()?;
    std::thread::scope(|scope| {
        let tokenizer = scope.spawn(|| source.tokenizer());
        let model = source.load(options);
        let tokenizer = tokenizer
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok(Opened {
            tokenizer: tokenizer?,
            model: model?,
            eos,
            ends: source.config().eos_token_ids.clone(),
        })
    })
}

impl Opened {
    /// The answerer over the model's tokenizer.
    pub fn answerer(&self) -> Result<Answerer<'_>> {
        let marks = END_MARKS.iter();
        let mut ends: Vec<u32> = marks
            .filter_map(|m| self.tokenizer.token_to_id(m))
            .collect();
        ends.extend(&self.ends);
        Ok(Answerer::new(&self.tokenizer, self.eos)?.with_ends(&ends))
    }

    /// A warning about a run whose validation scored labels by their first token, if a label has several tokens.
    pub fn older_scores(&self, run: &RunFolder) -> Result<Option<String>> {
        let tokens = LabelTokens::new(&self.tokenizer)?;
        let several = tokens.long().next().is_some();
        Ok((several && run.manifest.label_score.is_none()).then(|| {
            format!(
                "{}: trained by a version that scored labels by their first token, so its calibration and its thresholds \
                 for --target-error-rate do not fit the probabilities that are computed now; train it again: \
                 verdict train --like {}",
                run.dir().display(),
                shell::word(run.dir())
            )
        }))
    }

    /// Adds a run's adapter to a bank; returns its number.
    pub fn adapter(&self, bank: &mut AdapterBank, folder: &Path) -> Result<usize> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        Ok(bank.add(self.model.config(), &name, &Adapter::read(folder)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu() -> Option<DeviceChoice> {
        Some(DeviceChoice::Cpu)
    }

    #[test]
    fn answers_take_integer_products_where_nothing_faster_is() {
        let of = |isa, base, compute| {
            answering_compute(&LoadOptions {
                isa,
                base,
                compute,
                device: Device::Cpu,
                ..LoadOptions::default()
            })
        };
        let int8 = BaseQuantization::Int8;
        let integer = Some(ComputeDtype::Int16);
        assert_eq!(of(Isa::Avx512Vnni, int8, None), integer);
        assert_eq!(of(Isa::Avx512Vnni, BaseQuantization::F32, None), None);
        assert_eq!(of(Isa::Avx2, int8, None), None);
        assert_eq!(of(Isa::Amx, int8, None), None);
        let exact = Some(ComputeDtype::F32);
        assert_eq!(of(Isa::Avx512Vnni, int8, exact), exact);
    }

    fn over(flags: &MachineFlags, run: Option<&TrainSettings>) -> Result<LoadOptions> {
        flags.over(run, &Printer::new(false, true))
    }

    #[test]
    fn flags_win_over_the_runs_settings() {
        let run = TrainSettings {
            base: BaseQuantization::F32,
            threads: Some(64),
            device: DeviceChoice::Cuda(vec![0, 1]),
            memory_gib: Some(8.0),
            ..TrainSettings::default()
        };
        let flags = MachineFlags {
            device: cpu(),
            ..MachineFlags::default()
        };
        let plain = over(&flags, Some(&run)).expect("good");
        assert_eq!(
            (plain.base, plain.compute, plain.threads),
            (BaseQuantization::F32, None, 0)
        );
        assert_eq!((plain.device, plain.memory_bytes), (Device::Cpu, None));
        let flags = MachineFlags {
            base: Some(BaseQuantization::Bf16),
            compute: Some(Some(ComputeDtype::F32)),
            threads: Some(1),
            device: cpu(),
            memory_gib: Some(1.5),
        };
        let given = over(&flags, Some(&run)).expect("good");
        assert_eq!(
            (given.base, given.compute, given.threads),
            (BaseQuantization::Bf16, Some(ComputeDtype::F32), 1)
        );
        assert_eq!(given.memory_bytes, Some(3 << 29));
    }

    #[test]
    fn a_run_is_evaluated_on_this_machine_not_on_the_one_that_trained_it() {
        let run = TrainSettings {
            device: DeviceChoice::Cuda(vec![0, 1]),
            ..TrainSettings::default()
        };
        let settings = MachineFlags::default().settings(Some(&run)).expect("good");
        assert_eq!(settings.device, DeviceChoice::Auto);
    }

    #[test]
    fn prompts_are_as_long_as_in_training() {
        let run = TrainSettings {
            max_length: 2048,
            ..TrainSettings::default()
        };
        assert_eq!(prompt_tokens(None, Some(&run)), 1952);
        assert_eq!(prompt_tokens(Some(300), Some(&run)), 300);
        assert_eq!(
            prompt_tokens(None, None),
            verdict_answer::AnswerSettings::default().max_prompt_tokens
        );
    }

    #[test]
    fn lengths_beyond_the_models_positions_are_refused_with_the_true_limit() {
        within("qwen3", 40_960, 40_960).expect("as many as there are");
        let refused = |positions, length| {
            let failure = within("qwen3", positions, length).expect_err("too long");
            failure.faults.join("\n")
        };
        assert_eq!(
            refused(40_960, 40_961),
            "--max-length: expected at most 40960, the positions of qwen3, found 40961"
        );
        assert_eq!(
            refused(1_010_000, 200_000),
            "--max-length: expected at most 131072, the maximum for any model, because the table of rotary angles \
             takes memory (qwen3 has 1010000 positions), found 200000"
        );
    }

    #[test]
    fn all_faults_of_the_flags_are_reported() {
        let flags = MachineFlags {
            base: Some(BaseQuantization::Fp8),
            device: cpu(),
            threads: Some(0),
            memory_gib: Some(-1.0),
            ..MachineFlags::default()
        };
        let failure = over(&flags, None).expect_err("three faults");
        assert_eq!(
            failure.faults,
            [
                "--base: expected int8, bf16 or f32 on a CPU (nf4 needs a GPU, fp8 one of compute capability 9.0), found fp8",
                "--memory-gib: expected GiB above 0, found -1",
                "--threads: expected at least 1, found 0",
            ]
        );
    }
}
