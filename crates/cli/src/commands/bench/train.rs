//! `verdict bench train`: the work of the reference scripts for other programs, done by the engine of `verdict train`.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;
use verdict_model::{AdapterSpec, Example, KernelTime, Model, Rate};
use verdict_train::batches::{BatchOrder, dropout_key, pack_by_device};
use verdict_train::{TrainSettings, TrainingEngine};

use super::common::{Environment, MeasuredModel, Spread, peak_memory_mib, row};
use super::tokens::{self, Sequence};
use crate::device;
use crate::failure::{Failure, Result};
use crate::fleet::LoadedModels;
use crate::loading::{MachineFlags, Source};
use crate::machine;
use crate::printer::Printer;
use crate::table::Table;

/// Measure training: time per step, tokens per second, memory
///
/// Each rank is an adapter with its own order of the examples. All of them train in shared passes, spread over several
/// GPUs with --device cuda:0,1. Tokens are those of the examples; there is no padding.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: MeasuredModel,
    /// Train adapters of these ranks together
    #[arg(long, value_delimiter = ',', default_value = "16")]
    rank: Vec<usize>,
    /// Use this many examples per step and adapter
    #[arg(long, value_name = "N", default_value_t = 16)]
    batch: usize,
    /// Measure this many steps, after two to warm up
    #[arg(long, value_name = "N", default_value_t = RECIPE_STEPS)]
    steps: usize,
    /// Process at most this many tokens at once [default: 1024 on a CPU]
    ///
    /// Tokens of one micro-batch. On a GPU the default is what its memory holds.
    #[arg(long, value_name = "N")]
    micro_batch_tokens: Option<usize>,
    /// Set the LoRA dropout probability
    #[arg(long, default_value_t = 0.05)]
    dropout: f32,
    /// Count only the completion in the loss, as `verdict train` does
    #[arg(long)]
    completion: bool,
    /// Train on the token sequences in this JSON file
    ///
    /// A list `train` of {"ids", "n_prompt"}; ids are taken modulo the vocabulary. The default are sequences with the
    /// lengths of the 330-question data set.
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// Report the time of each kernel of the first GPU, over 3 more steps
    #[arg(long)]
    profile: bool,
    #[command(flatten)]
    machine: MachineFlags,
}

/// Steps that `--profile` measures.
const PROFILED: usize = 3;

/// Steps before measuring.
const WARM_UP: usize = 2;
/// Steps of the default recipe on the 264 training examples of the 330-question data set.
const RECIPE_STEPS: usize = 93;

/// What `bench train --json` prints.
#[derive(Debug, Serialize)]
struct Report {
    case: &'static str,
    #[serde(flatten)]
    environment: Environment,
    ranks: Vec<usize>,
    batch: usize,
    dropout: f32,
    /// Which tokens the loss counts.
    loss: &'static str,
    steps: usize,
    pass_tokens: usize,
    /// Reading or generating the weights, and copying them to the device.
    load_s: f64,
    first_step_s: f64,
    /// From the start of the process to the end of the first step.
    cold_start_s: f64,
    step_ms: Spread,
    tokens_per_step: f64,
    tokens_per_s: f64,
    /// The default recipe's steps: measured, or extrapolated from the mean step.
    recipe_93_steps_s: f64,
    loss_first: f64,
    loss_last: f64,
    /// Of the device that used most, or of the process on the processor.
    peak_memory_mib: Option<u64>,
    /// Of all profiled steps together, longest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kernels: Vec<KernelTime>,
}

/// What was measured.
struct Steps {
    pass_tokens: usize,
    first_s: f64,
    cold_start_s: f64,
    /// Each measured step.
    seconds: Vec<f64>,
    /// Tokens of all measured steps.
    tokens: usize,
    losses: Vec<f64>,
    kernels: Vec<KernelTime>,
}

/// Measures, and prints the figures.
pub fn run(args: &Args, printer: &Printer) -> Result {
    let (models, steps, load_s, source) = args.measured(printer)?;
    let total: f64 = steps.seconds.iter().sum();
    let mean = total / steps.seconds.len() as f64;
    let report = Report {
        case: "train",
        environment: Environment::of(source.name(), &models.models[0], &models.devices),
        ranks: args.rank.clone(),
        batch: args.batch,
        dropout: args.dropout,
        loss: if args.completion {
            "completion"
        } else {
            "full"
        },
        steps: args.steps,
        pass_tokens: steps.pass_tokens,
        load_s,
        first_step_s: steps.first_s,
        cold_start_s: steps.cold_start_s,
        tokens_per_step: steps.tokens as f64 / args.steps as f64,
        tokens_per_s: steps.tokens as f64 / total,
        recipe_93_steps_s: match args.steps {
            RECIPE_STEPS => total,
            _ => mean * RECIPE_STEPS as f64,
        },
        step_ms: Spread::of(steps.seconds).scaled(1e3),
        loss_first: steps.losses[0],
        loss_last: steps.losses[steps.losses.len() - 1],
        peak_memory_mib: peak_memory_mib(&models.models),
        kernels: steps.kernels,
    };
    printer.json(&report);
    printer.table(&report.table());
    if !report.kernels.is_empty() {
        printer.table(&report.kernel_table());
    }
    Ok(())
}

impl Args {
    /// One step after the warm-up, of about one micro-batch on a CPU: enough for an estimate.
    pub fn quick(model: MeasuredModel, ranks: &[usize], machine: MachineFlags) -> Self {
        Self {
            model,
            rank: ranks.to_vec(),
            batch: 6,
            steps: 1,
            micro_batch_tokens: None,
            dropout: 0.05,
            completion: true,
            tokens: None,
            profile: false,
            machine,
        }
    }

    /// Tokens per second.
    pub fn tokens_per_s(&self, printer: &Printer) -> Result<f64> {
        let (_, steps, ..) = self.measured(printer)?;
        Ok(steps.tokens as f64 / steps.seconds.iter().sum::<f64>())
    }

    /// Loads the model and runs the steps. Returns the loaded models, the steps, the seconds of loading and the source.
    fn measured(&self, printer: &Printer) -> Result<(LoadedModels, Steps, f64, Source)> {
        let settings = self.settings()?;
        let devices = device::choose(&settings, printer)?;
        let source = self.model.source(printer)?;
        let vocabulary = source.config().vocab_size;
        let sequences = match &self.tokens {
            Some(path) => tokens::read(path, "train", vocabulary)?,
            None => tokens::train_like(vocabulary),
        };
        let specs = self.specs();
        let started = Instant::now();
        let models = LoadedModels::load(&source, &settings, devices, specs.len(), printer)?;
        let load_s = started.elapsed().as_secs_f64();
        let mut engine = models.engine(source.name(), &specs);
        let first = self.profile.then(|| &models.models[0]);
        let steps = self.measure(&mut *engine, first, &specs, &sequences, printer)?;
        drop(engine);
        Ok((models, steps, load_s, source))
    }

    /// The machine's settings; refuses numbers that measure nothing.
    fn settings(&self) -> Result<TrainSettings> {
        let mut faults = Vec::new();
        let mut at_least_1 = |flag: &str, good: bool| {
            if !good {
                faults.push(format!("--{flag}: expected at least 1, found 0"));
            }
        };
        at_least_1("rank", !self.rank.contains(&0));
        at_least_1("batch", self.batch >= 1);
        at_least_1("steps", self.steps >= 1);
        at_least_1("micro-batch-tokens", self.micro_batch_tokens != Some(0));
        if !(0.0..1.0).contains(&self.dropout) {
            faults.push(format!(
                "--dropout: expected a share from 0 to below 1, found {}",
                self.dropout
            ));
        }
        match faults.is_empty() {
            true => self.machine.settings(None),
            false => Err(Failure::faults(faults)),
        }
    }

    fn specs(&self) -> Vec<AdapterSpec> {
        let ranks = self.rank.iter().enumerate();
        ranks
            .map(|(place, rank)| AdapterSpec {
                name: format!("r{rank}-{place}"),
                rank: *rank,
                alpha: 2.0 * *rank as f32,
                dropout: self.dropout,
                seed: 42 + place as u64,
            })
            .collect()
    }

    fn measure(
        &self,
        engine: &mut dyn TrainingEngine,
        profiled: Option<&Model>,
        specs: &[AdapterSpec],
        sequences: &[Sequence],
        printer: &Printer,
    ) -> Result<Steps> {
        let failed = |fault: verdict_train::error::EngineError| {
            Failure::from(verdict_train::Error::Engine {
                doing: "bench".into(),
                source: fault,
            })
        };
        let mut orders: Vec<BatchOrder> = specs
            .iter()
            .map(|spec| BatchOrder::new(spec.seed, sequences.len(), self.batch))
            .collect();
        let adapters = specs.iter().map(|spec| engine.create(spec));
        let adapters: Vec<usize> = adapters
            .collect::<std::result::Result<_, _>>()
            .map_err(failed)?;
        let devices: Vec<usize> = adapters
            .iter()
            .map(|a| engine.device_of(Some(*a)))
            .collect();
        let rates: Vec<Rate> = adapters
            .iter()
            .map(|adapter| Rate {
                adapter: *adapter,
                lr: 3e-4,
                clip: 1.0,
            })
            .collect();
        // What fits depends on the adapters.
        let longest = sequences.iter().map(|s| s.ids.len()).max().unwrap_or(0);
        let fit = self
            .micro_batch_tokens
            .unwrap_or(engine.micro_batch_tokens());
        let pass_tokens = fit.max(longest);
        let mut optimizer_step = |engine: &mut dyn TrainingEngine, step: usize| {
            let batches: Vec<Vec<&Sequence>> = orders
                .iter_mut()
                .map(|order| order.at(step).iter().map(|row| &sequences[*row]).collect())
                .collect();
            let sums = self.accumulate(engine, &adapters, &devices, &batches, step, pass_tokens)?;
            engine.step(&rates)?;
            Ok(sums)
        };
        let mut found = Steps {
            pass_tokens,
            first_s: 0.0,
            cold_start_s: 0.0,
            seconds: Vec::with_capacity(self.steps),
            tokens: 0,
            losses: Vec::new(),
            kernels: Vec::new(),
        };
        let progress = printer.progress("measure", "step", (self.steps + WARM_UP) as u64);
        for step in 0..self.steps + WARM_UP {
            let started = Instant::now();
            let (loss, tokens) = optimizer_step(engine, step).map_err(failed)?;
            let seconds = started.elapsed().as_secs_f64();
            found.losses.push(loss);
            if step == 0 {
                found.first_s = seconds;
                found.cold_start_s = machine::since_start().as_secs_f64();
            }
            if step >= WARM_UP {
                found.seconds.push(seconds);
                found.tokens += tokens;
            }
            progress.set(step as u64 + 1, "");
        }
        if let Some(model) = profiled {
            model.start_profile()?;
            for step in (self.steps + WARM_UP..).take(PROFILED) {
                optimizer_step(engine, step).map_err(failed)?;
            }
            found.kernels = model.end_profile()?;
        }
        Ok(found)
    }

    /// Computes the gradients of one step. Returns the mean loss of the adapters and the number of tokens.
    fn accumulate(
        &self,
        engine: &mut dyn TrainingEngine,
        adapters: &[usize],
        devices: &[usize],
        batches: &[Vec<&Sequence>],
        step: usize,
        pass_tokens: usize,
    ) -> std::result::Result<(f64, usize), verdict_train::error::EngineError> {
        let from = |sequence: &Sequence| if self.completion { sequence.prompt } else { 1 };
        let taught =
            |batch: &Vec<&Sequence>| -> usize { batch.iter().map(|s| s.ids.len() - from(s)).sum() };
        let taught: Vec<usize> = batches.iter().map(taught).collect();
        let lengths: Vec<Vec<usize>> = batches
            .iter()
            .map(|batch| batch.iter().map(|s| s.ids.len()).collect())
            .collect();
        let mut loss = 0.0;
        for pass in pack_by_device(&lengths, devices, pass_tokens) {
            let example = |placed: &verdict_train::batches::PackedExample| {
                let sequence = batches[placed.batch][placed.position];
                Example {
                    adapter: Some(adapters[placed.batch]),
                    tokens: &sequence.ids,
                    loss_from: from(sequence),
                    weight: 1.0 / taught[placed.batch] as f32,
                    rest: None,
                    key: dropout_key(step, placed.position),
                }
            };
            let examples: Vec<Example<'_>> = pass.iter().map(example).collect();
            let losses = engine.accumulate(&examples, &[])?;
            for (placed, found) in pass.iter().zip(losses) {
                loss += found.loss_sum / taught[placed.batch] as f64;
            }
        }
        let tokens = lengths.iter().flatten().sum();
        Ok((loss / batches.len() as f64, tokens))
    }
}

impl Report {
    /// Kernels and matrix products, in milliseconds per step.
    fn kernel_table(&self) -> Table {
        let mut table = Table::new(["kernel", "per step", "ms per step", "µs each"]);
        for kernel in &self.kernels {
            table.row(vec![
                kernel.name.clone(),
                (kernel.count / PROFILED).to_string(),
                format!("{:.2}", kernel.ms / PROFILED as f64),
                format!("{:.1}", 1e3 * kernel.ms / kernel.count as f64),
            ]);
        }
        table
    }

    fn table(&self) -> Table {
        let mut table = Table::new(["what", "figure"]);
        self.environment.rows(&mut table);
        let ranks: Vec<String> = self.ranks.iter().map(usize::to_string).collect();
        let mut put = |what: &str, figure: String| row(&mut table, what, figure);
        put(
            "ranks",
            format!(
                "{} · {} examples per step each",
                ranks.join(", "),
                self.batch
            ),
        );
        put("load", format!("{:.2} s", self.load_s));
        put("first step", format!("{:.2} s", self.first_step_s));
        put(
            "cold start",
            format!("{:.2} s to the end of the first step", self.cold_start_s),
        );
        let Spread { min, median, max } = self.step_ms;
        put(
            "step",
            format!(
                "{median:.1} ms median ({min:.1}–{max:.1}) of {}",
                self.steps
            ),
        );
        put(
            "tokens",
            format!(
                "{:.0} per second, {:.0} per step",
                self.tokens_per_s, self.tokens_per_step
            ),
        );
        put("93 steps", format!("{:.2} s", self.recipe_93_steps_s));
        put(
            "loss",
            format!("{:.3} → {:.3}", self.loss_first, self.loss_last),
        );
        if let Some(mib) = self.peak_memory_mib {
            put("peak memory", format!("{mib} MiB"));
        }
        table
    }
}
