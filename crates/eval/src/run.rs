//! Asks every system every question, all in one batch, and sums up what came back.

use std::path::PathBuf;

use thiserror::Error;
use verdict_answer::{AnswerError, Answerer, Engine, Mode, Question, Settings, Verdict};
use verdict_data::Item;

use crate::report::{BenchmarkReport, EvalReport, Prediction, SystemReport};

/// Why an evaluation did not come about.
#[derive(Debug, Error)]
pub enum EvalError {
    /// A benchmark without items.
    #[error("benchmark {name:?} has no items, expected at least one")]
    NoItems {
        /// Name of the benchmark.
        name: String,
    },
    /// Two benchmarks of one name.
    #[error("two benchmarks are named {name:?}, expected different names")]
    SameName {
        /// The name.
        name: String,
    },
    /// Nothing to judge.
    #[error("no {what} to evaluate, expected at least one")]
    Nothing {
        /// `benchmark`, `system` or `mode`.
        what: &'static str,
    },
    /// An item could not be asked or answered.
    #[error("benchmark {benchmark:?}, item {id:?}: {source}")]
    Item {
        /// Name of the benchmark.
        benchmark: String,
        /// Id of the item.
        id: String,
        /// What was wrong.
        source: AnswerError,
    },
    /// The model or its tokenizer failed.
    #[error(transparent)]
    Answer(AnswerError),
    /// A result could not be written.
    #[error("{path}: cannot write: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Items under a name.
#[derive(Clone, Copy, Debug)]
pub struct Benchmark<'b> {
    /// Name in the report: `test`, `challenge`, …
    pub name: &'b str,
    /// The questions and their truth.
    pub items: &'b [Item],
}

/// The report and every single answer behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The figures.
    pub report: EvalReport,
    /// One for each benchmark, item, system and mode, in this order.
    pub predictions: Vec<Prediction>,
}

/// Asks the items of all benchmarks of all systems (`None` is the base model, a number an adapter)
/// in all modes, in batches bounded by `settings`. Free and guaranteed answers share their prompt's
/// pass. `done` is called with the number of answers so far.
///
/// # Errors
/// [`EvalError`], which names benchmark and item where one is at fault.
pub fn evaluate(
    engine: &mut dyn Engine,
    answerer: &Answerer<'_>,
    benchmarks: &[Benchmark<'_>],
    systems: &[Option<usize>],
    modes: &[Mode],
    settings: &Settings,
    done: &mut dyn FnMut(usize),
) -> Result<Evaluation, EvalError> {
    check(benchmarks, systems, modes)?;
    let asked: Vec<(&Benchmark<'_>, &Item, Question<'_>)> = benchmarks
        .iter()
        .flat_map(|benchmark| benchmark.items.iter().map(move |item| (benchmark, item)))
        .flat_map(|(benchmark, item)| {
            systems.iter().flat_map(move |&adapter| {
                modes.iter().map(move |&mode| {
                    let context = item.context.as_deref();
                    (
                        benchmark,
                        item,
                        Question {
                            text: &item.question,
                            context,
                            adapter,
                            mode,
                        },
                    )
                })
            })
        })
        .collect();
    let questions: Vec<Question<'_>> = asked.iter().map(|(_, _, question)| *question).collect();
    let verdicts = answerer
        .answer(engine, &questions, settings, done)
        .map_err(|source| match source {
            AnswerError::Prompt { number, .. } | AnswerError::NotFinite { number } => {
                let (benchmark, item, _) = asked[number - 1];
                EvalError::Item {
                    benchmark: benchmark.name.to_owned(),
                    id: item.id.clone(),
                    source,
                }
            }
            source => EvalError::Answer(source),
        })?;
    let predictions: Vec<Prediction> = asked
        .iter()
        .zip(verdicts)
        .map(|((benchmark, item, _), verdict)| Prediction::new(benchmark.name, item, verdict))
        .collect();
    Ok(Evaluation {
        report: summary(benchmarks, systems, modes, &predictions),
        predictions,
    })
}

fn check(
    benchmarks: &[Benchmark<'_>],
    systems: &[Option<usize>],
    modes: &[Mode],
) -> Result<(), EvalError> {
    for (what, count) in [
        ("benchmark", benchmarks.len()),
        ("system", systems.len()),
        ("mode", modes.len()),
    ] {
        if count == 0 {
            return Err(EvalError::Nothing { what });
        }
    }
    for (place, benchmark) in benchmarks.iter().enumerate() {
        let name = benchmark.name.to_owned();
        if benchmark.items.is_empty() {
            return Err(EvalError::NoItems { name });
        }
        if benchmarks[..place]
            .iter()
            .any(|earlier| earlier.name == benchmark.name)
        {
            return Err(EvalError::SameName { name });
        }
    }
    Ok(())
}

/// The figures of predictions that stand in the order in which [`evaluate`] asks.
fn summary(
    benchmarks: &[Benchmark<'_>],
    systems: &[Option<usize>],
    modes: &[Mode],
    predictions: &[Prediction],
) -> EvalReport {
    let columns = systems.len() * modes.len();
    let mut rest = predictions;
    let mut reports = Vec::new();
    for benchmark in benchmarks {
        let (own, others) = rest.split_at(benchmark.items.len() * columns);
        rest = others;
        let systems = (0..columns)
            .map(|column| {
                let answers: Vec<(&Item, &Verdict)> = benchmark
                    .items
                    .iter()
                    .zip(own.iter().skip(column).step_by(columns))
                    .map(|(item, prediction)| (item, &prediction.verdict))
                    .collect();
                SystemReport::new(&answers)
            })
            .collect();
        reports.push(BenchmarkReport::new(
            benchmark.name,
            benchmark.items,
            systems,
        ));
    }
    EvalReport {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        benchmarks: reports,
    }
}
