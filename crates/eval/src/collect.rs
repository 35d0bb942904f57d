//! Collects the answers of all models to all benchmark questions, in one batch.

use verdict_answer::calibration::logits;
use verdict_answer::{
    AnswerError, AnswerSettings, Answerer, InferenceEngine, Mode, Question, Verdict,
};
use verdict_data::Item;

use crate::error::EvalError;

/// The questions of one benchmark, as requested from the models.
#[derive(Clone, Copy, Debug)]
pub struct EvaluationRequest<'b> {
    /// Name in the report: `test`, `challenge`, …
    pub name: &'b str,
    /// The questions.
    pub items: &'b [Item],
    /// How many of the first questions are answered in full, by constrained and unconstrained decoding; for the others
    /// only the label is requested.
    pub written: usize,
}

/// The answers of one model to one question.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectedAnswers {
    /// Logits of the three labels, up to an additive constant.
    pub logits: [f64; 3],
    /// Probability that an answer begins with none of the labels.
    pub other: f32,
    /// The generated answers, in the order of [`Mode::WRITTEN`].
    pub written: Option<[Verdict; 2]>,
}

/// Collects the answers of all models (`None` is the base model, a number an adapter) to the questions of all
/// benchmarks. All requests with the same prompt share its forward pass. `done` is called with the number of answers so
/// far, out of [`answer_count`]. Returns the answers by benchmark, model and question.
///
/// # Errors
/// [`EvalError`], with the benchmark and the question where one is at fault.
pub fn collect_answers(
    engine: &mut dyn InferenceEngine,
    answerer: &Answerer<'_>,
    benchmarks: &[EvaluationRequest<'_>],
    models: &[Option<usize>],
    settings: &AnswerSettings,
    done: &mut dyn FnMut(usize),
) -> Result<Vec<Vec<Vec<CollectedAnswers>>>, EvalError> {
    check(benchmarks, models)?;
    let started = std::time::Instant::now();
    let mut sources: Vec<(&EvaluationRequest<'_>, &Item)> = Vec::new();
    let mut questions: Vec<Question<'_>> = Vec::new();
    for benchmark in benchmarks {
        for &adapter in models {
            for (place, item) in benchmark.items.iter().enumerate() {
                for &mode in modes(place, benchmark) {
                    sources.push((benchmark, item));
                    questions.push(Question {
                        text: &item.question,
                        context: item.context.as_deref(),
                        adapter,
                        mode,
                        label: None,
                    });
                }
            }
        }
    }
    let verdicts = answerer
        .answer(engine, &questions, settings, done)
        .map_err(|source| match source {
            AnswerError::Prompt { number, .. } | AnswerError::NotFinite { number } => {
                let (benchmark, item) = sources[number - 1];
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
        "answers collected"
    );
    let mut verdicts = verdicts.into_iter();
    let mut next = |place: usize, benchmark: &EvaluationRequest<'_>| {
        let first = verdicts.next()?;
        let (logits, other) = (logits(first.probabilities), first.other);
        let written = match modes(place, benchmark) {
            [_] => None,
            _ => Some([first, verdicts.next()?]),
        };
        Some(CollectedAnswers {
            logits,
            other,
            written,
        })
    };
    let mut all = Vec::new();
    for benchmark in benchmarks {
        let mut of_model = || -> Vec<CollectedAnswers> {
            let places = 0..benchmark.items.len();
            places.filter_map(|place| next(place, benchmark)).collect()
        };
        all.push(models.iter().map(|_| of_model()).collect());
    }
    Ok(all)
}

/// The number of answers that [`collect_answers`] collects from so many models.
pub fn answer_count(benchmarks: &[EvaluationRequest<'_>], models: usize) -> usize {
    let of = |benchmark: &EvaluationRequest<'_>| {
        let items = benchmark.items.len();
        items + benchmark.written.min(items)
    };
    models * benchmarks.iter().map(of).sum::<usize>()
}

/// The modes in which a question is answered.
fn modes(place: usize, benchmark: &EvaluationRequest<'_>) -> &'static [Mode] {
    match place < benchmark.written {
        true => &Mode::WRITTEN,
        false => &[Mode::Label],
    }
}

fn check(benchmarks: &[EvaluationRequest<'_>], models: &[Option<usize>]) -> Result<(), EvalError> {
    for (what, count) in [("benchmark", benchmarks.len()), ("model", models.len())] {
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
