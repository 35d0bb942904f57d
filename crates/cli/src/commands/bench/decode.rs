//! `verdict bench decode`: measures decoding, always with 32 new tokens.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;
use verdict_model::{AdapterBank, AdapterSpec, Chunk, Model};

use super::common::{Environment, MeasuredModel, Spread, peak_memory_mib, row};
use super::tokens::{self, Sequence};
use crate::device;
use crate::failure::{Failure, Result};
use crate::fleet::LoadedModels;
use crate::loading::MachineFlags;
use crate::machine;
use crate::printer::Printer;
use crate::table::Table;

/// Measure decoding: answers of 32 new tokens, one alone and 33 in a batch
///
/// Also the time of a prompt, and of tokens that are generated one by one.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: MeasuredModel,
    /// Answer the prompts in this JSON file [default: 33 of 21 tokens]
    ///
    /// A list `test` of {"ids", "n_prompt"}; ids are taken modulo the vocabulary.
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// Answer with an adapter of this rank [default: the base model alone]
    #[arg(long, value_name = "RANK")]
    rank: Option<usize>,
    #[command(flatten)]
    machine: MachineFlags,
}

/// New tokens of an answer.
const NEW: usize = 32;
/// Answers in one batch.
const TOGETHER: usize = 33;
/// Runs of what is measured several times.
const RUNS: usize = 5;

/// What `bench decode --json` prints.
#[derive(Debug, Serialize)]
struct Report {
    case: &'static str,
    #[serde(flatten)]
    environment: Environment,
    /// Rank of the adapter, if there is one.
    rank: Option<usize>,
    load_s: f64,
    /// The first answer, with everything that is prepared at first use.
    first_answer_s: f64,
    /// From the start of the process to the end of the first answer.
    cold_start_s: f64,
    new_tokens: usize,
    prompt_tokens_mean: f64,
    /// One prompt and its 32 tokens, greedy.
    alone_ms: Spread,
    /// Prompts in one batch.
    together: usize,
    /// All of them with 32 tokens each, greedy.
    together_ms: Spread,
    /// A prompt of 64 tokens.
    prompt_64_tokens_per_s: f64,
    /// 32 tokens after the prompt, each in its own call, as in answering.
    one_by_one_tokens_per_s: f64,
    peak_memory_mib: Option<u64>,
}

/// Measures, and prints the figures.
pub fn run(args: &Args, printer: &Printer) -> Result {
    let settings = args.machine.settings(None)?;
    let devices = device::choose(&settings, printer)?;
    if devices.len() > 1 {
        return Err(Failure::input(format!(
            "--device: expected one device, found {}",
            settings.device
        )));
    }
    let source = args.model.source(printer)?;
    let vocabulary = source.config().vocab_size;
    let prompts: Vec<Vec<u32>> = match &args.tokens {
        Some(path) => tokens::read(path, "test", vocabulary)?
            .into_iter()
            .map(|Sequence { mut ids, prompt }| {
                ids.truncate(prompt);
                ids
            })
            .take(TOGETHER)
            .collect(),
        None => tokens::prompts(TOGETHER as u32, 21, vocabulary),
    };
    let started = Instant::now();
    let models = LoadedModels::load(&source, &settings, devices, 1, printer)?;
    let load_s = started.elapsed().as_secs_f64();
    let model = &models.models[0];
    let mut bank = AdapterBank::empty();
    if let Some(rank) = args.rank {
        let (alpha, dropout) = (2.0 * rank as f32, 0.0);
        bank.create(
            model.config(),
            &AdapterSpec {
                name: "bench".into(),
                rank,
                alpha,
                dropout,
                seed: 42,
            },
        );
    }

    let first_answer_s = generate(model, &bank, &prompts[..1])?;
    let cold_start_s = machine::since_start().as_secs_f64();
    let alone = prompts.iter().take(RUNS);
    let alone: Vec<f64> = alone
        .map(|prompt| generate(model, &bank, std::slice::from_ref(prompt)))
        .collect::<Result<_>>()?;
    generate(model, &bank, &prompts)?;
    let together: Vec<f64> = (0..3)
        .map(|_| generate(model, &bank, &prompts))
        .collect::<Result<_>>()?;
    let long = tokens::prompts(RUNS as u32 + 1, 64, vocabulary);
    step_by_step(model, &bank, &long[RUNS], 0)?;
    let pass: Vec<f64> = long[..RUNS]
        .iter()
        .map(|prompt| Ok(step_by_step(model, &bank, prompt, 0)?.0))
        .collect::<Result<_>>()?;
    let singly: Vec<f64> = prompts
        .iter()
        .take(3)
        .map(|prompt| Ok(step_by_step(model, &bank, prompt, NEW)?.1))
        .collect::<Result<_>>()?;

    let count: usize = prompts.iter().map(Vec::len).sum();
    let report = Report {
        case: "decode",
        environment: Environment::of(source.name(), model, &models.devices),
        rank: args.rank,
        load_s,
        first_answer_s,
        cold_start_s,
        new_tokens: NEW,
        prompt_tokens_mean: count as f64 / prompts.len() as f64,
        alone_ms: Spread::of(alone).scaled(1e3),
        together: prompts.len(),
        together_ms: Spread::of(together).scaled(1e3),
        prompt_64_tokens_per_s: 64.0 / Spread::of(pass).median,
        one_by_one_tokens_per_s: NEW as f64 / Spread::of(singly).median,
        peak_memory_mib: peak_memory_mib(&models.models),
    };
    printer.json(&report);
    printer.table(&report.table());
    Ok(())
}

/// Seconds for all prompts in one batch, with [`NEW`] tokens each.
fn generate(model: &Model, bank: &AdapterBank, prompts: &[Vec<u32>]) -> Result<f64> {
    let chunks: Vec<Chunk<'_>> = prompts
        .iter()
        .enumerate()
        .map(|(sequence, tokens)| Chunk {
            sequence,
            adapter: (!bank.is_empty()).then_some(0),
            tokens,
        })
        .collect();
    let started = Instant::now();
    let answers = model.generate(bank, &chunks, NEW)?;
    let seconds = started.elapsed().as_secs_f64();
    match answers.iter().all(|answer| answer.len() == NEW) {
        true => Ok(seconds),
        false => Err(Failure::failed("an answer ended before its 32 tokens")),
    }
}

/// Seconds for the prompt, and for `new` tokens after it.
fn step_by_step(
    model: &Model,
    bank: &AdapterBank,
    prompt: &[u32],
    new: usize,
) -> Result<(f64, f64)> {
    let work = || -> Result<(f64, f64)> {
        let mut cache = model.new_cache();
        let sequence = cache.add_sequence();
        let mut next = prompt.to_vec();
        let (mut first, mut rest) = (0.0, 0.0);
        for step in 0..=new {
            let started = Instant::now();
            let chunk = Chunk {
                sequence,
                adapter: (!bank.is_empty()).then_some(0),
                tokens: &next,
            };
            let logits = model.advance(bank, &mut cache, &[chunk], &[])?;
            next = vec![logits.row(0).best(&[])?.unwrap_or(0)];
            *(if step == 0 { &mut first } else { &mut rest }) += started.elapsed().as_secs_f64();
        }
        Ok((first, rest))
    };
    work()
}

impl Report {
    fn table(&self) -> Table {
        let mut table = Table::new(["what", "figure"]);
        self.environment.rows(&mut table);
        let mut put = |what: &str, figure: String| row(&mut table, what, figure);
        let spread =
            |of: &Spread| format!("{:.1} ms median ({:.1}–{:.1})", of.median, of.min, of.max);
        let prompt = self.prompt_tokens_mean;
        put("load", format!("{:.2} s", self.load_s));
        put("first answer", format!("{:.2} s", self.first_answer_s));
        put(
            "cold start",
            format!("{:.2} s to the end of the first answer", self.cold_start_s),
        );
        put(
            &format!("{prompt:.0} + {NEW} tokens, alone"),
            spread(&self.alone_ms),
        );
        put(
            &format!("{} × ({prompt:.0} + {NEW}) together", self.together),
            spread(&self.together_ms),
        );
        put(
            "prompt of 64",
            format!("{:.0} tokens/s", self.prompt_64_tokens_per_s),
        );
        put(
            "32 tokens, one by one",
            format!("{:.0} tokens/s", self.one_by_one_tokens_per_s),
        );
        if let Some(mib) = self.peak_memory_mib {
            put("peak memory", format!("{mib} MiB"));
        }
        table
    }
}
