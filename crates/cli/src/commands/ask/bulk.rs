//! `verdict ask --input`: an answer to each row of a table, in chunks that survive a kill.
//!
//! A thread reads rows and makes their prompts while the model answers the chunk before, so that memory is bounded by a
//! few chunks and the device does not wait for the tokenizer. Answers are staged as JSON lines (`part`) and written to
//! their file when all are there (`finish`).

mod answer;
mod chunks;
mod finish;
mod input;
mod output;
mod parquet_out;
mod part;
mod settings;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use verdict_answer::{AnswerSettings, EnsembleVerdict, Fit, Mode, ModelInferenceEngine, Question};
use verdict_common::{counted, duration, grouped};
use verdict_data::clean_question;
use verdict_model::Device;

use self::answer::BulkAnswer;
use self::chunks::{Asked, Chunk};
use self::finish::Summary;
use self::input::BulkInput;
use self::part::{Found, Part};
pub use self::settings::Answering;
use self::settings::BulkSettings;
use super::chosen::{Loaded, fit};
use crate::failure::{Failure, Result};
use crate::printer::Printer;
use crate::shards::ShardIndex;
use crate::shell;
use crate::slurm;
use crate::slurm::table::{TableTasks, submit_table};

/// Flags for answering the rows of a table.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Tables")]
pub struct BulkArgs {
    /// Answer each row of a table (.jsonl, .csv, .tsv, .parquet)
    ///
    /// Each row has its own `question` and may have a `context`; with --question all rows are asked the same. Columns of
    /// other names: `csv:FILE?question=NAME&context=NAME&id=NAME`. A row that cannot be asked has an error in the place of
    /// its answer. A command that was killed continues where it stopped when it is started again.
    #[arg(long, value_name = "FILE", requires = "out", conflicts_with_all = ["questions", "context", "unconstrained", "evidence"])]
    pub input: Option<String>,
    /// Ask this about the title and abstract of every row
    ///
    /// The columns `title` and `abstract` (or `context`, or `text`) are put before the question.
    #[arg(long, value_name = "TEXT", requires = "input")]
    pub question: Option<String>,
    /// Write the answers here (.jsonl, .csv, .tsv, .parquet)
    #[arg(long, value_name = "FILE", requires = "input")]
    pub out: Option<PathBuf>,
    /// Generate a rationale for each row too
    #[arg(long, requires = "input")]
    pub rationale: bool,
    /// Stop at the first row that cannot be asked
    #[arg(long, requires = "input")]
    pub strict: bool,
    /// Replace --out and start from the beginning
    #[arg(long, requires = "input")]
    pub overwrite: bool,
    /// Answer only part N of M of the rows, for --merge
    #[arg(long, value_name = "N/M", requires = "input")]
    pub shard: Option<ShardIndex>,
    /// Join the answers of all shards into this file
    #[arg(long, value_name = "OUT", conflicts_with_all = ["input", "questions"])]
    pub merge: Option<PathBuf>,
    /// Save progress every N rows
    #[arg(long, value_name = "N", requires = "input", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    pub checkpoint_every: u32,
    /// Answer N prompt tokens in one pass [default: 2048, GPU: 8192]
    #[arg(long, value_name = "N", requires = "input", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_batch_tokens: Option<u32>,
    /// Shards as a job array.
    #[command(flatten)]
    pub slurm: slurm::Flags,
}

/// A table that is ready to be answered.
pub struct Bulk {
    input: BulkInput,
    out: PathBuf,
    part: Part,
    /// Whether other parts belong to the same output.
    sharded: bool,
    strict: bool,
    chunk: usize,
    mode: Mode,
    fit: Fit,
    threshold: f64,
    limits: AnswerSettings,
}

/// Joins the shards of an output.
pub fn merge(out: &Path, printer: &Printer) -> Result {
    output::format(out)?;
    finish::merge(out, printer)
}

impl BulkArgs {
    /// Whether a table is to be answered.
    pub fn is_given(&self) -> bool {
        self.input.is_some() || self.slurm.slurm
    }

    fn slurm_fits(&self) -> bool {
        !self.slurm.slurm || self.shard.is_none()
    }

    /// Reads the table once and finds out where an earlier command stopped; none without --input, or if everything is
    /// answered already.
    ///
    /// # Errors
    /// Every fault of the flags, the file and its columns, and answers of other settings in the place of these.
    pub fn prepare(&self, answering: &Answering<'_>, printer: &Printer) -> Result<Option<Bulk>> {
        let (Some(input), Some(out), true) = (&self.input, &self.out, self.slurm_fits()) else {
            let fault = "--slurm: expected --input and --out, and no --shard";
            return Err(Failure::input(fault).hint("--tasks says how many shards there are"));
        };
        output::format(out)?;
        let question = match &self.question {
            None => None,
            Some(text) => Some(clean_question(text).ok_or_else(|| {
                Failure::input("--question: expected a question, found no letter and no digit")
            })?),
        };
        let input = BulkInput::open(input, question)?;
        output::refuse_place(out, input.path())?;
        if self.slurm.slurm {
            let clear = || finish::remove(out);
            let work = TableTasks {
                out,
                rows: input.survey.rows,
                clear: self.overwrite.then_some(&clear),
                words: std::env::args_os().skip(1).collect(),
            };
            return submit_table(&self.slurm, &work, printer).map(|()| None);
        }
        let mode = match self.rationale {
            true => Mode::Guaranteed,
            false => Mode::Label,
        };
        let limits = AnswerSettings {
            // On an H200, 8,192 tokens at once are 10 % faster than 2,048, and 32,768 not faster than that.
            max_batch_tokens: match (self.max_batch_tokens, answering.options.device) {
                (Some(tokens), _) => tokens as usize,
                (None, Device::Cpu) => 2048,
                (None, Device::Cuda(_)) => 8192,
            },
            ..answering.limits
        };
        let shard = self.shard.unwrap_or(ShardIndex { index: 1, of: 1 });
        let chunk = self.checkpoint_every as usize;
        let answering = Answering {
            limits,
            ..*answering
        };
        let settings = BulkSettings::new(&input, &answering, mode, [shard.of, chunk])?;
        if !self.overwrite
            && let Some(summary) = Summary::of_finished(out, &settings)?
        {
            printer.note(format!("{}: already finished", out.display()));
            finish::print(out, &summary, printer);
            return summary.verdict(out).map(|()| None);
        }
        let part = match Part::open(out, &settings, shard, self.overwrite)? {
            Found::Open(part) => part,
            Found::Finished(part) if self.shard.is_some() => {
                let name = part.path().display();
                printer.note(format!("{name}: already finished"));
                return part.verdict().map(|()| None);
            }
            Found::Finished(part) => {
                drop(part);
                return finish::merge(out, printer).map(|()| None);
            }
        };
        Ok(Some(Bulk {
            input,
            out: out.clone(),
            part,
            sharded: self.shard.is_some(),
            strict: self.strict,
            chunk,
            mode,
            fit: fit(answering.adapters),
            threshold: answering.threshold,
            limits,
        }))
    }
}

impl Bulk {
    /// Answers the rows that are left, and writes the file if no other part is missing.
    ///
    /// # Errors
    /// A failure of the model or the disk; rows that could not be asked, after all others are answered.
    pub fn run(mut self, loaded: &Loaded, printer: &Printer) -> Result {
        if self.part.done() > 0 {
            let (done, all) = (self.part.done(), self.part.rows().len());
            printer.note(format!(
                "continuing after {} of {}",
                grouped(done),
                counted(all, "row")
            ));
        }
        let pace = self.answer(loaded, printer)?;
        if self.sharded {
            return self.end_of_shard(&pace, printer);
        }
        let summary = finish::join(&self.out)?;
        finish::print(&self.out, &summary, printer);
        pace.print(printer);
        summary.verdict(&self.out)
    }

    /// Answers chunk after chunk.
    fn answer(&mut self, loaded: &Loaded, printer: &Printer) -> Result<Pace> {
        let answerer = loaded.opened.answerer()?;
        let mut engine = ModelInferenceEngine::new(&loaded.opened.model, &loaded.bank);
        let limits = answerer.limits(&engine, &self.limits)?;
        let (mode, total) = (self.mode, self.part.rows().len());
        let progress = printer.progress("ask", "row", total as u64);
        let mut pace = Pace::new();
        let left = self.part.left();
        let encode = |question: &str, context: Option<&str>| {
            answerer
                .encode(question, context, limits)
                .map_err(|error| error.to_string())
        };
        let (settings, input) = (self.limits, &self.input);
        let (fit, threshold) = (self.fit, self.threshold);
        let (strict, part, chunk) = (self.strict, &mut self.part, self.chunk);
        chunks::each(input, left, chunk, &encode, &mut |mut chunk: Chunk| {
            if let Some(fault) = chunk.first_fault().filter(|_| strict) {
                let failure = Failure::input(format!("{}: {fault}", input.path().display()));
                return Err(failure
                    .hint("without --strict, the row has an error in the place of its answer"));
            }
            let (asked, prompts) = chunk.take_prompts();
            let questions: Vec<Question<'_>> = asked
                .iter()
                .map(|text| Question {
                    text,
                    context: None,
                    adapter: loaded.adapter,
                    mode,
                    label: None,
                })
                .collect();
            pace.tokens += prompts
                .iter()
                .map(|prompt| prompt.tokens.len())
                .sum::<usize>();
            let (before, done) = (pace.rows, part.done());
            let mut shown = |count: usize| {
                let rate = (before + count) as f64 / pace.started.elapsed().as_secs_f64();
                let left = (total - done - count) as f64 / rate.max(1e-9);
                let left = Duration::try_from_secs_f64(left).ok();
                progress.set_with_left((done + count) as u64, &format!("{rate:.1} rows/s"), left);
            };
            let answers = loaded.answer(
                &answerer,
                &mut engine,
                &questions,
                prompts,
                &settings,
                &mut shown,
            )?;
            let mut verdicts = answers.into_iter().map(|EnsembleVerdict { verdict, .. }| {
                let most = verdict.probabilities.into_iter().fold(0.0, f32::max);
                (verdict, f64::from(most) < threshold)
            });
            let rows = chunk.rows.into_iter().filter_map(|row| match row.asked {
                Asked::Refused(error) => Some(BulkAnswer::refused(row.id, error)),
                Asked::Prompt => {
                    let (verdict, abstained) = verdicts.next()?;
                    Some(BulkAnswer::new(row.id, verdict, fit, abstained))
                }
            });
            let rows: Vec<BulkAnswer> = rows.collect();
            pace.rows += rows.len();
            part.append(input.path(), &rows)
        })?;
        Ok(pace)
    }

    /// Reports a finished shard.
    fn end_of_shard(self, pace: &Pace, printer: &Printer) -> Result {
        printer.json(&self.part.state());
        printer.line(format!(
            "shard      {}: {} in {}",
            self.part.shard(),
            counted(self.part.rows().len(), "row"),
            self.part.path().display()
        ));
        pace.print(printer);
        if part::all_finished(&self.out)? {
            printer.next(format!("verdict ask --merge {}", shell::word(&self.out)));
        }
        self.part.verdict()
    }
}

/// How fast rows were answered, without the time for loading.
struct Pace {
    started: Instant,
    rows: usize,
    tokens: usize,
}

impl Pace {
    fn new() -> Self {
        Pace {
            started: Instant::now(),
            rows: 0,
            tokens: 0,
        }
    }

    fn print(&self, printer: &Printer) {
        let seconds = self.started.elapsed().as_secs_f64();
        if self.rows == 0 {
            return;
        }
        printer.line(format!(
            "speed      {:.1} rows/s, {} prompt tokens/s, {} in {}",
            self.rows as f64 / seconds,
            grouped((self.tokens as f64 / seconds) as usize),
            counted(self.rows, "row"),
            duration(seconds)
        ));
    }
}
