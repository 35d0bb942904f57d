//! Evaluates collected answers: calibration, ensembles, scores, comparisons, slices.

mod dialogues;
mod generated;
mod inputs;
mod models;
mod retrieval;
mod slices;

use sha2::{Digest as _, Sha256};
use verdict_answer::Calibrations;
use verdict_common::hash::hex;
use verdict_data::{Item, Label, citations};

pub use self::inputs::EvaluationOptions;
use self::models::{ModelResults, evaluated_models, fit_examples, results};
use crate::abstention::most_probable;
use crate::benchmark::Benchmark;
use crate::collect::CollectedAnswers;
use crate::looks::{count, rows_hash, runs};
use crate::metrics::{Confusion, Levels};
use crate::report::{
    AbstentionOutcome, BenchmarkReport, EvalReport, EvaluatedModel, Evaluation, GeneratedAnswer,
    ModelReport, PairReport, Prediction, Robustness,
};
use crate::stats::bootstrap::{Resampling, group_numbers};
use crate::stats::paired::{PairedAnswers, paired};
use crate::stats::probability::{Forecast, probabilities};
use crate::stats::scores::{LabelledAnswer, Scores, scores};
use crate::stats::selective::{ConfidentAnswer, selective};
use crate::text::TrainingRationales;

/// Evaluates the answers that [`collect_answers`](crate::collect_answers) returned for these benchmarks.
///
/// # Panics
/// Where the answers are not in the order of benchmarks, models and questions.
pub fn evaluate(
    options: EvaluationOptions<'_>,
    benchmarks: &[Benchmark],
    answers: &[Vec<Vec<CollectedAnswers>>],
) -> Evaluation {
    let started = std::time::Instant::now();
    let fits: Vec<Calibrations> = options
        .validation
        .iter()
        .map(|predictions| Calibrations::fit(&fit_examples(predictions)))
        .collect();
    let models = evaluated_models(&options, &fits);
    let mut reports = Vec::new();
    let mut predictions = Vec::new();
    let mut labels: Vec<Vec<Vec<Label>>> = Vec::new();
    for (benchmark, answers) in benchmarks.iter().zip(answers) {
        let results = results(&options, &fits, answers);
        labels.push(results.iter().map(ModelResults::labels).collect());
        reports.push(benchmark_report(
            &options, &models, benchmark, answers, &results,
        ));
        for (number, model) in models.iter().enumerate() {
            let of_model = (&results[number], answers.get(number).map(Vec::as_slice));
            let rationales = options.training_rationales;
            predictions.extend(
                (0..benchmark.items.len())
                    .map(|place| prediction(&model.name, benchmark, place, of_model, rationales)),
            );
        }
    }
    let robustness = robustness(&options, &models, &fits, &labels);
    let dialogues = dialogues::dialogue_report(&options);
    tracing::info!(
        benchmarks = reports.len(),
        models = models.len(),
        seconds = started.elapsed().as_secs_f64(),
        "answers evaluated"
    );
    Evaluation {
        report: EvalReport {
            tool: format!("verdict {}", env!("CARGO_PKG_VERSION")),
            run: options.run,
            methods: options.methods,
            looks: options.looks,
            models,
            benchmarks: reports,
            robustness,
            dialogues,
        },
        predictions,
    }
}

/// Consistency of all models on variants, where those were answered. `labels` are those of each benchmark and model.
fn robustness(
    options: &EvaluationOptions<'_>,
    models: &[EvaluatedModel],
    fits: &[Calibrations],
    labels: &[Vec<Vec<Label>>],
) -> Option<Robustness> {
    let (variants, answers) = options.variants.as_ref()?;
    let results = results(options, fits, answers);
    let consistency =
        |(number, (of_variants, model)): (usize, (&ModelResults, &EvaluatedModel))| {
            let originals: Vec<&[Label]> = labels.iter().map(|of| &of[number][..]).collect();
            let resampling = options.methods.resampling;
            let consistency = variants.consistency(&originals, &of_variants.labels(), resampling);
            (model.name.clone(), consistency)
        };
    Some(Robustness {
        questions: variants.questions(),
        variants: variants.variants(),
        models: results
            .iter()
            .zip(models)
            .enumerate()
            .map(consistency)
            .collect(),
    })
}

fn benchmark_report(
    options: &EvaluationOptions<'_>,
    models: &[EvaluatedModel],
    benchmark: &Benchmark,
    answers: &[Vec<CollectedAnswers>],
    results: &[ModelResults],
) -> BenchmarkReport {
    let resampling = options.methods.resampling;
    let items = &benchmark.items;
    let groups = group_numbers(items.iter().map(|item| item.group.as_str()));
    let truths = Confusion::of(items.iter().map(|item| (item.label, None))).truths();
    let labels: Vec<Vec<Label>> = results.iter().map(ModelResults::labels).collect();
    let scored = |labels: &[Label], places: &[usize]| -> Option<Scores> {
        let rows: Vec<LabelledAnswer> = places
            .iter()
            .map(|&place| LabelledAnswer {
                truth: items[place].label,
                answer: Some(labels[place]),
                group: groups[place],
            })
            .collect();
        scores(&rows, resampling)
    };
    let all: Vec<usize> = (0..items.len()).collect();
    let reports = models.iter().zip(results).enumerate();
    let reports = reports.filter_map(|(number, (model, results))| {
        let scores = scored(&labels[number], &all)?;
        let answers = answers.get(number);
        let generated = answers.map_or_else(Vec::new, |answers| {
            generated::reports(options.training_rationales, items, answers)
        });
        model_report(
            model,
            results,
            scores,
            generated,
            (items, &groups),
            resampling,
        )
    });
    let rows = rows_hash(items);
    BenchmarkReport {
        name: benchmark.name.clone(),
        about: benchmark.about.clone(),
        items: items.len(),
        groups: groups.iter().max().map_or(0, |most| *most as usize + 1),
        sha256: fingerprint(items),
        contaminated: benchmark.contaminated.iter().filter(|of| **of).count(),
        look: count(&options.looks, &benchmark.name, &rows),
        runs: runs(&options.looks, &benchmark.name, &rows),
        contexts: items.iter().filter(|item| item.context.is_some()).count(),
        truths,
        levels: Levels::of(truths),
        question_only: benchmark
            .question_only
            .as_ref()
            .and_then(|labels| scored(labels, &all)),
        models: reports.collect(),
        pairs: pairs(options, models, items, &groups, &labels),
        slices: slices::slices(models, benchmark, &labels, &scored),
        retrieval: retrieval::retrieval(benchmark, &groups, resampling),
        published: benchmark.published.clone(),
        earlier: None,
    }
}

/// The report of one model on one benchmark, from its scores and its generated answers.
fn model_report(
    model: &EvaluatedModel,
    results: &ModelResults,
    scores: Scores,
    generated: Vec<crate::report::GeneratedReport>,
    (items, groups): (&[Item], &[u32]),
    resampling: Resampling,
) -> Option<ModelReport> {
    let forecasts = |probabilities: &[[f64; 3]]| -> Vec<Forecast> {
        let rows = probabilities.iter().zip(items).zip(groups);
        rows.map(|((probabilities, item), group)| Forecast {
            truth: item.label,
            probabilities: *probabilities,
            group: *group,
        })
        .collect()
    };
    let (raw, calibrated) = (forecasts(&results.raw), forecasts(&results.calibrated));
    let confident: Vec<ConfidentAnswer> = calibrated
        .iter()
        .map(|row| ConfidentAnswer {
            confidence: row.confidence(),
            right: row.right(),
            group: row.group,
        })
        .collect();
    Some(ModelReport {
        name: model.name.clone(),
        scores,
        raw: probabilities(&raw, resampling)?,
        calibrated: probabilities(&calibrated, resampling)?,
        selective: selective(&confident, resampling)?,
        abstained: abstention_outcome(model, &confident),
        generated,
    })
}

fn abstention_outcome(
    model: &EvaluatedModel,
    rows: &[ConfidentAnswer],
) -> Option<AbstentionOutcome> {
    let limit = model.abstention.as_ref()?;
    let answered: Vec<&ConfidentAnswer> = rows
        .iter()
        .filter(|row| limit.threshold.is_some_and(|least| row.confidence >= least))
        .collect();
    let wrong = answered.iter().filter(|row| !row.right).count();
    Some(AbstentionOutcome::new(
        limit,
        answered.len(),
        wrong,
        rows.len(),
    ))
}

/// Every two models compared, the later one first, so that a difference is tuned minus base. The p values are adjusted
/// together.
/// Every two models compared; of several conditions, only the same model under two of them and two models under the same,
/// so that the correction for many comparisons does not pay for those that nobody asks.
fn pairs(
    options: &EvaluationOptions<'_>,
    models: &[EvaluatedModel],
    items: &[Item],
    groups: &[u32],
    labels: &[Vec<Label>],
) -> Vec<PairReport> {
    let resampling = options.methods.resampling;
    // Ensembles stand behind the models, under the first condition.
    let of = |place: usize| options.conditions.get(place).copied();
    let of = |place: usize| of(place).unwrap_or([place, 0]);
    let comparable = |a: usize, b: usize| of(a)[0] == of(b)[0] || of(a)[1] == of(b)[1];
    let mut compared = Vec::new();
    for second in 0..models.len() {
        for first in (second + 1..models.len()).filter(|first| comparable(*first, second)) {
            let rows: Vec<PairedAnswers> = items
                .iter()
                .enumerate()
                .map(|(place, item)| PairedAnswers {
                    truth: item.label,
                    first: Some(labels[first][place]),
                    second: Some(labels[second][place]),
                    group: groups[place],
                })
                .collect();
            if let Some(paired) = paired(&rows, resampling) {
                let names = [first, second].map(|model| models[model].name.clone());
                compared.push((names, paired));
            }
        }
    }
    PairReport::adjusted(compared)
}

fn prediction(
    model: &str,
    benchmark: &Benchmark,
    place: usize,
    (results, answers): (&ModelResults, Option<&[CollectedAnswers]>),
    rationales: Option<&TrainingRationales>,
) -> Prediction {
    let item = &benchmark.items[place];
    let label = most_probable(results.calibrated[place]);
    let answer = answers.map(|answers| &answers[place]);
    let generated = |mode: usize| {
        let verdict = &answer?.written.as_ref()?[mode];
        Some(GeneratedAnswer {
            answer: verdict.answer.clone(),
            label: verdict.label,
            first_word: verdict.first_word,
            format_ok: verdict.format_ok,
            fallback: verdict.fallback,
            citation: citations::contains(&verdict.answer),
            contradicts: generated::contradicts(verdict),
            memorized: rationales
                .zip(verdict.rationale.as_deref())
                .map(|(rationales, rationale)| rationales.overlap(rationale).memorized),
            tokens: verdict.tokens,
        })
    };
    Prediction {
        benchmark: benchmark.name.clone(),
        model: model.to_owned(),
        id: item.id.clone(),
        question: item.question.clone(),
        group: item.group.clone(),
        source: item.source.clone(),
        truth: item.label,
        label,
        right: label == item.label,
        probabilities: results.calibrated[place],
        uncalibrated: results.raw[place],
        other: answer.map(|answer| answer.other),
        free: generated(0),
        guaranteed: generated(1),
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
    hex(&hash.finalize())
}
