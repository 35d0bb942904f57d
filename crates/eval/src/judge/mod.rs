//! From what was answered to the report: calibration, ensembles, scores, pairs, parts.

mod parts;
mod systems;
mod texts;

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};
use verdict_answer::Calibrations;
use verdict_data::{Item, Label, citations};

use self::parts::slices;
use self::systems::{Judged, fit_rows, judged, systems};
use self::texts::{contradicts, written};
use crate::abstention::most_probable;
use crate::looks::{Look, count, rows_hash, runs};
use crate::metrics::{Confusion, Levels};
use crate::published::Published;
use crate::report::{
    Abstained, BenchmarkReport, EvalReport, Evaluation, Methods, PairReport, Prediction,
    Robustness, System, SystemReport, Wrote,
};
use crate::robustness::Changed;
use crate::run::Answered;
use crate::stats::paired::{Pair, holm, paired};
use crate::stats::probability::{Forecast, probabilities};
use crate::stats::scores::{Row, Scores, scores};
use crate::stats::selective::{Confident, selective};
use crate::subject::{Subject, ValidationRow};
use crate::text::Trained;

/// What is judged with the answers.
#[derive(Debug)]
pub struct Judging<'j> {
    /// The run.
    pub subject: Subject,
    /// How.
    pub methods: Methods,
    /// Looks so far, this one the last.
    pub looks: Vec<Look>,
    /// Names of the models that were asked, in the order of their answers.
    pub models: Vec<String>,
    /// Each model's validation rows.
    pub validation: Vec<Vec<ValidationRow>>,
    /// Ensembles: a name, and numbers of models.
    pub ensembles: Vec<(String, Vec<usize>)>,
    /// The rationales that were trained on.
    pub trained: Option<&'j Trained>,
    /// Questions that were asked otherwise too, and each model's answers to them.
    pub changed: Option<(&'j Changed, Vec<Vec<Answered>>)>,
}

/// A benchmark and all that is known of it beside the answers.
#[derive(Debug)]
pub struct Benchmark {
    /// Its name.
    pub name: String,
    /// Where its questions are from.
    pub about: String,
    /// The questions and their truth.
    pub items: Vec<Item>,
    /// Which of them the training rows give away.
    pub trained_on: Vec<bool>,
    /// What the words of each question guess, where a guesser was trained.
    pub words: Option<Vec<Label>>,
    /// Figures that others published on these questions.
    pub published: Vec<Published>,
}

/// Judges: `answers` has for each benchmark and model the answers to its items, as [`ask`](crate::ask) gives them.
///
/// # Panics
/// Where answers do not stand in the order of benchmarks, models and items.
pub fn judge(
    judging: Judging<'_>,
    benchmarks: &[Benchmark],
    answers: &[Vec<Vec<Answered>>],
) -> Evaluation {
    let started = std::time::Instant::now();
    let fits: Vec<Calibrations> = judging
        .validation
        .iter()
        .map(|rows| Calibrations::fit(&fit_rows(rows)))
        .collect();
    let systems = systems(&judging, &fits);
    let mut reports = Vec::new();
    let mut predictions = Vec::new();
    let mut labels: Vec<Vec<Vec<Label>>> = Vec::new();
    for (benchmark, of_models) in benchmarks.iter().zip(answers) {
        let judged = judged(&judging, &fits, of_models);
        labels.push(judged.iter().map(Judged::labels).collect());
        reports.push(report(&judging, &systems, benchmark, of_models, &judged));
        for (number, system) in systems.iter().enumerate() {
            let written = of_models.get(number);
            let one = (&judged[number], written);
            predictions.extend(
                (0..benchmark.items.len())
                    .map(|place| prediction(&system.name, benchmark, place, one, judging.trained)),
            );
        }
    }
    let robustness = judging
        .changed
        .as_ref()
        .map(|(changed, of_models)| Robustness {
            questions: changed.questions(),
            variants: changed.variants(),
            systems: judged(&judging, &fits, of_models)
                .iter()
                .zip(&systems)
                .enumerate()
                .map(|(number, (here, system))| {
                    let own: Vec<&[Label]> = labels.iter().map(|of| &of[number][..]).collect();
                    let consistency =
                        changed.consistency(&own, &here.labels(), judging.methods.resampling);
                    (system.name.clone(), consistency)
                })
                .collect(),
        });
    tracing::info!(
        benchmarks = reports.len(),
        systems = systems.len(),
        seconds = started.elapsed().as_secs_f64(),
        "answers judged"
    );
    Evaluation {
        report: EvalReport {
            tool: format!("verdict {}", env!("CARGO_PKG_VERSION")),
            subject: judging.subject,
            methods: judging.methods,
            looks: judging.looks,
            systems,
            benchmarks: reports,
            robustness,
        },
        predictions,
    }
}

/// Numbers for the groups of items.
fn groups(items: &[Item]) -> Vec<u32> {
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    items
        .iter()
        .map(|item| {
            let next = numbers.len() as u32;
            *numbers.entry(item.group.as_str()).or_insert(next)
        })
        .collect()
}

fn report(
    judging: &Judging<'_>,
    systems: &[System],
    benchmark: &Benchmark,
    of_models: &[Vec<Answered>],
    judged: &[Judged],
) -> BenchmarkReport {
    let resampling = judging.methods.resampling;
    let items = &benchmark.items;
    let group = groups(items);
    let truths = Confusion::of(items.iter().map(|item| (item.label, None))).truths();
    let labels: Vec<Vec<Label>> = judged.iter().map(Judged::labels).collect();
    let scored = |labels: &[Label], places: &[usize]| -> Option<Scores> {
        let rows: Vec<Row> = places
            .iter()
            .map(|&place| Row {
                truth: items[place].label,
                answer: Some(labels[place]),
                group: group[place],
            })
            .collect();
        scores(&rows, resampling)
    };
    let all: Vec<usize> = (0..items.len()).collect();
    let reports: Vec<SystemReport> = systems
        .iter()
        .zip(judged)
        .enumerate()
        .filter_map(|(number, (system, judged))| {
            let forecasts = |probabilities: &[[f64; 3]]| -> Vec<Forecast> {
                all.iter()
                    .map(|&place| Forecast {
                        truth: items[place].label,
                        probabilities: probabilities[place],
                        group: group[place],
                    })
                    .collect()
            };
            let (raw, calibrated) = (forecasts(&judged.raw), forecasts(&judged.calibrated));
            let confident: Vec<Confident> = calibrated
                .iter()
                .map(|row| Confident {
                    confidence: row.confidence(),
                    right: row.right(),
                    group: row.group,
                })
                .collect();
            let answers = of_models.get(number);
            Some(SystemReport {
                name: system.name.clone(),
                scores: scored(&labels[number], &all)?,
                raw: probabilities(&raw, resampling)?,
                calibrated: probabilities(&calibrated, resampling)?,
                selective: selective(&confident, resampling)?,
                abstained: abstained(system, &confident),
                written: answers
                    .map_or_else(Vec::new, |answers| written(judging.trained, items, answers)),
            })
        })
        .collect();
    let words = benchmark
        .words
        .as_ref()
        .and_then(|words| scored(words, &all));
    BenchmarkReport {
        name: benchmark.name.clone(),
        about: benchmark.about.clone(),
        items: items.len(),
        groups: group.iter().max().map_or(0, |most| *most as usize + 1),
        sha256: fingerprint(items),
        trained_on: benchmark
            .trained_on
            .iter()
            .filter(|trained| **trained)
            .count(),
        look: count(&judging.looks, &benchmark.name, &rows_hash(items)),
        runs: runs(&judging.looks, &benchmark.name, &rows_hash(items)),
        contexts: items.iter().filter(|item| item.context.is_some()).count(),
        truths,
        levels: Levels::of(truths),
        words,
        pairs: pairs(systems, items, &group, &labels, judging),
        slices: slices(systems, benchmark, &labels, &scored),
        systems: reports,
        published: benchmark.published.clone(),
        kept: None,
    }
}

fn abstained(system: &System, rows: &[Confident]) -> Option<Abstained> {
    let limit = system.abstention.as_ref()?;
    let answered: Vec<&Confident> = rows
        .iter()
        .filter(|row| limit.threshold.is_some_and(|least| row.confidence >= least))
        .collect();
    let wrong = answered.iter().filter(|row| !row.right).count();
    Some(Abstained::new(limit, answered.len(), wrong, rows.len()))
}

/// Every two systems, the later one first: a difference is tuned minus base. Their p values are adjusted together.
fn pairs(
    systems: &[System],
    items: &[Item],
    group: &[u32],
    labels: &[Vec<Label>],
    judging: &Judging<'_>,
) -> Vec<PairReport> {
    let mut pairs = Vec::new();
    for second in 0..systems.len() {
        for first in second + 1..systems.len() {
            let rows: Vec<Pair> = items
                .iter()
                .enumerate()
                .map(|(place, item)| Pair {
                    truth: item.label,
                    first: Some(labels[first][place]),
                    second: Some(labels[second][place]),
                    group: group[place],
                })
                .collect();
            if let Some(paired) = paired(&rows, judging.methods.resampling) {
                pairs.push(PairReport {
                    first: systems[first].name.clone(),
                    second: systems[second].name.clone(),
                    holm: paired.group_p.unwrap_or(paired.p),
                    paired,
                });
            }
        }
    }
    let raw: Vec<f64> = pairs.iter().map(|pair| pair.holm).collect();
    for (pair, adjusted) in pairs.iter_mut().zip(holm(&raw)) {
        pair.holm = adjusted;
    }
    pairs
}

fn prediction(
    system: &str,
    benchmark: &Benchmark,
    place: usize,
    (judged, answers): (&Judged, Option<&Vec<Answered>>),
    trained: Option<&Trained>,
) -> Prediction {
    let item = &benchmark.items[place];
    let label = most_probable(judged.calibrated[place]);
    let answer = answers.map(|answers| &answers[place]);
    let wrote = |mode: usize| {
        let verdict = &answer?.written.as_ref()?[mode];
        Some(Wrote {
            answer: verdict.answer.clone(),
            label: verdict.label,
            first_word: verdict.first_word,
            format_ok: verdict.format_ok,
            fallback: verdict.fallback,
            citation: citations::contains(&verdict.answer),
            contradicts: contradicts(verdict),
            memorised: trained
                .zip(verdict.rationale.as_deref())
                .map(|(trained, rationale)| trained.overlap(rationale).memorised),
            tokens: verdict.tokens,
        })
    };
    Prediction {
        benchmark: benchmark.name.clone(),
        system: system.to_owned(),
        id: item.id.clone(),
        question: item.question.clone(),
        group: item.group.clone(),
        source: item.source.clone(),
        truth: item.label,
        label,
        right: label == item.label,
        probabilities: judged.calibrated[place],
        uncalibrated: judged.raw[place],
        other: answer.map(|answer| answer.other),
        free: wrote(0),
        guaranteed: wrote(1),
    }
}

/// SHA-256 over ids, questions, contexts and labels.
fn fingerprint(items: &[Item]) -> String {
    let mut hash = Sha256::new();
    for item in items {
        let context = item.context.as_deref().unwrap_or_default();
        for part in [&item.id, &item.question, context, item.label.as_str()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    verdict_common::hash::hex(&hash.finalize())
}
