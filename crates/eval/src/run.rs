//! Asks every model every question, all in one batch.

use std::path::PathBuf;

use thiserror::Error;
use verdict_answer::calibration::logits;
use verdict_answer::{
    AnswerError, AnswerSettings, Answerer, InferenceEngine, Mode, Question, Verdict,
};
use verdict_data::Item;

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
        /// `benchmark` or `system`.
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
    /// A file that an evaluation writes or reads back.
    #[error("{path}: cannot {doing}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of an earlier evaluation that is not what this version writes.
    #[error("{path}: expected {expected}: {message}")]
    Json {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// What the parser said.
        message: String,
    },
}

/// Items under a name.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'b> {
    /// Name in the report: `test`, `challenge`, …
    pub name: &'b str,
    /// The questions and their truth.
    pub items: &'b [Item],
    /// The first so many are answered in full, free-running and guaranteed; of the others the label
    /// alone is asked.
    pub written: usize,
}

/// What one model says to one question.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// Logits of the three labels, from the prompt's own pass; a constant may be added to them.
    pub logits: [f64; 3],
    /// Probability that the model gave to other beginnings of an answer.
    pub other: f32,
    /// The answers that were written, in the order of [`Mode::WRITTEN`].
    pub written: Option<[Verdict; 2]>,
}

/// Asks the items of all benchmarks of all models (`None` is the base, a number an adapter), in batches
/// bounded by `settings`. All that is asked of a prompt shares its pass. `done` is called with the number
/// of answers so far, of [`answers`] in all. Returns for each benchmark, model and item, in this order,
/// what was answered.
///
/// # Errors
/// [`EvalError`], which names benchmark and item where one is at fault.
pub fn ask(
    engine: &mut dyn InferenceEngine,
    answerer: &Answerer<'_>,
    benchmarks: &[Asked<'_>],
    models: &[Option<usize>],
    settings: &AnswerSettings,
    done: &mut dyn FnMut(usize),
) -> Result<Vec<Vec<Vec<Answered>>>, EvalError> {
    check(benchmarks, models)?;
    let started = std::time::Instant::now();
    let mut asked: Vec<(&Asked<'_>, &Item)> = Vec::new();
    let mut questions: Vec<Question<'_>> = Vec::new();
    for benchmark in benchmarks {
        for &adapter in models {
            for (place, item) in benchmark.items.iter().enumerate() {
                for &mode in modes(place, benchmark) {
                    asked.push((benchmark, item));
                    questions.push(Question {
                        text: &item.question,
                        context: item.context.as_deref(),
                        adapter,
                        mode,
                    });
                }
            }
        }
    }
    let verdicts = answerer
        .answer(engine, &questions, settings, done)
        .map_err(|source| match source {
            AnswerError::Prompt { number, .. } | AnswerError::NotFinite { number } => {
                let (benchmark, item) = asked[number - 1];
                EvalError::Item {
                    benchmark: benchmark.name.to_owned(),
                    id: item.id.clone(),
                    source,
                }
            }
            source => EvalError::Answer(source),
        })?;
    tracing::info!(
        benchmarks = benchmarks.len(),
        models = models.len(),
        answers = questions.len(),
        seconds = started.elapsed().as_secs_f64(),
        "benchmarks asked"
    );
    let mut verdicts = verdicts.into_iter();
    let mut answered = |place: usize, benchmark: &Asked<'_>| {
        let first = verdicts.next()?;
        let (scores, other) = (logits(first.probabilities), first.other);
        let written = match modes(place, benchmark) {
            [_] => None,
            _ => Some([first, verdicts.next()?]),
        };
        Some(Answered {
            logits: scores,
            other,
            written,
        })
    };
    let mut all = Vec::new();
    for benchmark in benchmarks {
        let mut of_model = || -> Vec<Answered> {
            let places = 0..benchmark.items.len();
            places
                .filter_map(|place| answered(place, benchmark))
                .collect()
        };
        all.push(models.iter().map(|_| of_model()).collect());
    }
    Ok(all)
}

/// Answers that [`ask`] gives to these benchmarks, of so many models.
pub fn answers(benchmarks: &[Asked<'_>], models: usize) -> usize {
    let of = |benchmark: &Asked<'_>| {
        let items = benchmark.items.len();
        items + benchmark.written.min(items)
    };
    models * benchmarks.iter().map(of).sum::<usize>()
}

/// How the item at a place is asked.
fn modes(place: usize, benchmark: &Asked<'_>) -> &'static [Mode] {
    match place < benchmark.written {
        true => &Mode::WRITTEN,
        false => &[Mode::Label],
    }
}

fn check(benchmarks: &[Asked<'_>], models: &[Option<usize>]) -> Result<(), EvalError> {
    for (what, count) in [("benchmark", benchmarks.len()), ("system", models.len())] {
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
