//! `verdict bench cpu`: how fast this machine trains and answers, by itself and side by side with others.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;
use verdict_model::{AdamW, AdapterBank, AdapterSpec, Chunk, Example, Model, Rate, Trainer};

use crate::failure::{Failure, Result};
use crate::loading::{self, MachineFlags};
use crate::machine;
use crate::printer::Printer;
use crate::table::Table;

/// Measure how fast this machine trains and answers
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

/// What is measured.
#[derive(Debug, clap::Subcommand)]
enum What {
    /// Training and decoding on the processor
    Cpu(CpuArgs),
}

/// The parts of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Case {
    /// Forward, backward, optimizer: real tokens a second.
    Train,
    /// A prompt of 64 tokens; 32 tokens one by one; 33 answers of 21 + 32 tokens together.
    Decode,
}

/// Flags of `bench cpu`.
#[derive(Debug, clap::Args)]
struct CpuArgs {
    /// Model: folder, GGUF file, hub name or built-in name
    #[arg(long, default_value = "smollm2-135m")]
    model: String,
    /// Parts to run [default: all]
    #[arg(long, value_enum)]
    case: Vec<Case>,
    /// Ranks trained in one pass
    #[arg(long, value_delimiter = ',', default_value = "16")]
    rank: Vec<usize>,
    /// Examples a step, for each rank
    #[arg(long, default_value_t = 16)]
    batch: usize,
    /// Steps measured, after two to warm up
    #[arg(long, default_value_t = 10)]
    steps: usize,
    /// Most tokens in one pass over the model; more are accumulated
    #[arg(long, default_value_t = verdict_train::TrainSettings::default().pass_tokens)]
    row_budget: usize,
    /// Dropout before each adapter
    #[arg(long, default_value_t = 0.05)]
    dropout: f32,
    /// Only the completion is taught, as training does by default; without it the whole text is
    #[arg(long)]
    completion: bool,
    /// Token sequences to train on: JSON with a list `train` of {"ids", "n_prompt"}; ids are taken modulo
    /// the vocabulary [default: lengths like those of the 330-question data set]
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    #[command(flatten)]
    machine: MachineFlags,
}

#[derive(Debug, Serialize)]
struct Report {
    model: String,
    isa: &'static str,
    base: String,
    compute: String,
    threads: usize,
    load_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    train: Option<Train>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decode: Option<Decode>,
    peak_memory_mib: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Train {
    ranks: Vec<usize>,
    steps: usize,
    tokens_per_step: f64,
    step_s: Spread,
    tokens_per_s: f64,
    loss_first: f64,
    loss_last: f64,
}

#[derive(Debug, Serialize)]
struct Decode {
    prompt_64_tokens_per_s: f64,
    generate_32_tokens_per_s: f64,
    together_33_s: f64,
}

/// Seconds of several runs.
#[derive(Debug, Serialize)]
struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

impl Spread {
    fn of(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        Self {
            min: seconds[0],
            median: seconds[seconds.len() / 2],
            max: seconds[seconds.len() - 1],
        }
    }
}

/// Runs the measurement.
pub fn run(args: Args, printer: &Printer) -> Result {
    let What::Cpu(args) = args.what;
    if args.rank.is_empty() || args.rank.contains(&0) || args.batch == 0 || args.steps == 0 {
        return Err(Failure::input(
            "bench cpu: rank, batch and steps must be at least 1",
        ));
    }
    let started = Instant::now();
    let opened = loading::open(&args.model, args.machine.over(None)?, printer)?;
    let model = &opened.model;
    let load_s = started.elapsed().as_secs_f64();
    let wanted = |case| args.case.is_empty() || args.case.contains(&case);
    let report = Report {
        isa: model.isa().name(),
        base: format!("{:?}", model.base()).to_lowercase(),
        compute: format!("{:?}", model.compute()).to_lowercase(),
        threads: model.threads(),
        load_s,
        train: wanted(Case::Train)
            .then(|| train(&args, model, printer))
            .transpose()?,
        decode: wanted(Case::Decode).then(|| decode(model)).transpose()?,
        peak_memory_mib: machine::peak_memory_bytes().map(|b| b >> 20),
        model: args.model,
    };
    printer.json(&report);
    let mut table = Table::new(["what", "figure"]);
    let mut row = |what: &str, figure: String| table.row(vec![what.to_owned(), figure]);
    row(
        "processor",
        format!(
            "{} · base {} · compute {} · {} threads",
            report.isa, report.base, report.compute, report.threads
        ),
    );
    row("load", format!("{:.2} s", report.load_s));
    if let Some(t) = &report.train {
        row(
            "training",
            format!(
                "{:.0} tokens/s ({} adapters, {:.0} tokens a step)",
                t.tokens_per_s,
                t.ranks.len(),
                t.tokens_per_step
            ),
        );
        row(
            "step",
            format!(
                "{:.3} s median ({:.3}–{:.3})",
                t.step_s.median, t.step_s.min, t.step_s.max
            ),
        );
    }
    if let Some(d) = &report.decode {
        row(
            "prompt of 64",
            format!("{:.0} tokens/s", d.prompt_64_tokens_per_s),
        );
        row(
            "32 tokens, one by one",
            format!("{:.0} tokens/s", d.generate_32_tokens_per_s),
        );
        row(
            "33 × (21 + 32) together",
            format!("{:.2} s", d.together_33_s),
        );
    }
    if let Some(m) = report.peak_memory_mib {
        row("peak memory", format!("{m} MiB"));
    }
    printer.table(&table);
    Ok(())
}

/// Sequences and where their completions begin.
fn sequences(args: &CpuArgs, vocabulary: usize) -> Result<Vec<(Vec<u32>, usize)>> {
    let modulo = |id: u64| (id % vocabulary as u64) as u32;
    let Some(path) = &args.tokens else {
        // Lengths of 20 to 127 tokens, mean 53, spread evenly over the list.
        return Ok((0..264_u64)
            .map(|i| {
                let length = 20 + (i * 37 % 66) + if i % 16 == 0 { 41 } else { 0 };
                let ids = (0..length)
                    .map(|j| modulo(((i * 131 + j) * 2_654_435_761) >> 7))
                    .collect();
                (ids, length as usize / 2)
            })
            .collect());
    };
    let bad = |what: String| Failure::input(format!("{}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| bad(e.to_string()))?;
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
    let list = json["train"]
        .as_array()
        .ok_or_else(|| bad("expected a list `train`".into()))?;
    list.iter()
        .enumerate()
        .map(|(i, row)| {
            let ids = row["ids"].as_array().filter(|ids| ids.len() > 1);
            let ids = ids.ok_or_else(|| bad(format!("train[{i}]: expected two or more `ids`")))?;
            let ids: Option<Vec<u32>> = ids.iter().map(|id| id.as_u64().map(modulo)).collect();
            let prompt = row["n_prompt"].as_u64().unwrap_or(1) as usize;
            let ids = ids.ok_or_else(|| bad(format!("train[{i}].ids: expected whole numbers")))?;
            let from = prompt.clamp(1, ids.len() - 1);
            Ok((ids, from))
        })
        .collect()
}

fn train(args: &CpuArgs, model: &Model, printer: &Printer) -> Result<Train> {
    let sequences = sequences(args, model.config().vocab_size)?;
    let mut bank = AdapterBank::empty();
    for rank in &args.rank {
        let name = format!("r{rank}-{}", bank.len());
        let spec = AdapterSpec {
            name,
            rank: *rank,
            alpha: 2.0 * *rank as f32,
            dropout: args.dropout,
            seed: 42,
        };
        bank.create(model, &spec);
    }
    let mut trainer = Trainer::new(bank, AdamW::default());
    let progress = printer.progress("training", "step", (args.steps + WARM_UP) as u64);
    let (mut seconds, mut tokens, mut losses) = (Vec::new(), 0, Vec::new());
    for step in 0..args.steps + WARM_UP {
        let started = Instant::now();
        let picked: Vec<&(Vec<u32>, usize)> = (0..args.batch)
            .map(|i| &sequences[(step * args.batch + i) % sequences.len()])
            .collect();
        let from = |prompt: usize| if args.completion { prompt } else { 1 };
        let taught: usize = picked
            .iter()
            .map(|(ids, prompt)| ids.len() - from(*prompt))
            .sum();
        let examples: Vec<Example<'_>> = (0..args.rank.len())
            .flat_map(|adapter| {
                picked
                    .iter()
                    .enumerate()
                    .map(move |(i, (ids, prompt))| Example {
                        adapter: Some(adapter),
                        tokens: ids,
                        loss_from: from(*prompt),
                        weight: 1.0 / taught as f32,
                        key: (step * args.batch + i) as u64,
                    })
            })
            .collect();
        let mut loss = 0.0;
        for pass in passes(&examples, args.row_budget) {
            loss += trainer
                .accumulate(model, pass, &[])?
                .iter()
                .map(|l| l.loss_sum)
                .sum::<f64>();
        }
        let rates: Vec<Rate> = (0..args.rank.len())
            .map(|adapter| Rate {
                adapter,
                lr: 3e-4,
                clip: 1.0,
            })
            .collect();
        trainer.step(model, &rates);
        losses.push(loss / (taught * args.rank.len()) as f64);
        if step >= WARM_UP {
            seconds.push(started.elapsed().as_secs_f64());
            tokens += examples.iter().map(|e| e.tokens.len()).sum::<usize>();
        }
        progress.set(step as u64 + 1, "");
    }
    let total: f64 = seconds.iter().sum();
    Ok(Train {
        ranks: args.rank.clone(),
        steps: args.steps,
        tokens_per_step: tokens as f64 / args.steps as f64,
        tokens_per_s: tokens as f64 / total,
        step_s: Spread::of(seconds),
        loss_first: losses[0],
        loss_last: losses[losses.len() - 1],
    })
}

const WARM_UP: usize = 2;

/// Runs of examples within the row budget, at least one each.
fn passes<'a, 'b>(examples: &'b [Example<'a>], budget: usize) -> Vec<&'b [Example<'a>]> {
    let (mut passes, mut start, mut rows) = (Vec::new(), 0, 0);
    for (i, example) in examples.iter().enumerate() {
        if i > start && rows + example.tokens.len() > budget {
            passes.push(&examples[start..i]);
            (start, rows) = (i, 0);
        }
        rows += example.tokens.len();
    }
    passes.push(&examples[start..]);
    passes
}

fn decode(model: &Model) -> Result<Decode> {
    let vocabulary = model.config().vocab_size as u32;
    let prompt = |n: u32, seed: u32| -> Vec<u32> {
        (0..n)
            .map(|i| (seed * 7919 + i * 104_729) % vocabulary)
            .collect()
    };
    let bank = AdapterBank::empty();
    let largest = |logits: &[f32]| {
        let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        best.map_or(0, |(i, _)| i as u32)
    };
    let run = |prompts: &[Vec<u32>], new: usize| -> Result<(f64, f64)> {
        let mut cache = model.new_cache();
        let sequences: Vec<usize> = prompts.iter().map(|_| cache.add_sequence()).collect();
        let mut next = prompts.to_vec();
        let (mut first, mut rest) = (0.0, 0.0);
        for step in 0..=new {
            let started = Instant::now();
            let chunks: Vec<Chunk<'_>> = sequences
                .iter()
                .zip(&next)
                .map(|(s, t)| Chunk {
                    sequence: *s,
                    adapter: None,
                    tokens: t,
                })
                .collect();
            let logits = model.install(|| model.extend(&bank, &mut cache, &chunks))?;
            next = logits
                .chunks_exact(vocabulary as usize)
                .map(|row| vec![largest(row)])
                .collect();
            *(if step == 0 { &mut first } else { &mut rest }) += started.elapsed().as_secs_f64();
        }
        Ok((first, rest))
    };
    let median = |runs: Vec<f64>| Spread::of(runs).median;
    run(&[prompt(64, 1)], 2)?;
    let long: Vec<f64> = (0..5)
        .map(|i| Ok(run(&[prompt(64, i)], 0)?.0))
        .collect::<Result<_>>()?;
    let one: Vec<f64> = (0..3)
        .map(|i| Ok(run(&[prompt(21, i)], 32)?.1))
        .collect::<Result<_>>()?;
    let many: Vec<Vec<u32>> = (0..33).map(|i| prompt(21, i)).collect();
    let together: Vec<f64> = (0..3)
        .map(|_| {
            // The first of the 32 tokens comes from the prompt's own pass.
            let (first, rest) = run(&many, 31)?;
            Ok(first + rest)
        })
        .collect::<Result<_>>()?;
    Ok(Decode {
        prompt_64_tokens_per_s: 64.0 / median(long),
        generate_32_tokens_per_s: 32.0 / median(one),
        together_33_s: median(together),
    })
}
