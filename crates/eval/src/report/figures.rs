//! The figures of a report.

use verdict_data::Label;
use verdict_page::Figure;
use verdict_page::charts::{self, Axis, Bin, Dot, MAX_SERIES, Reference, RiskCurve, Series, Unit};

use super::value::{BASE, BenchmarkReport, PairReport};
use crate::evaluated_run::{EvaluatedRun, LearningCurve};
use crate::metrics::{Levels, Proportion};
use crate::stats::scores::Scores;

/// The accuracy of all models, and their differences from the base model.
pub(super) fn overview(benchmark: &BenchmarkReport) -> Vec<Option<Figure>> {
    vec![
        Some(accuracy(&benchmark.scored(), &benchmark.levels)),
        differences(&benchmark.pairs),
    ]
}

/// Differences from the base model; none where nothing was compared with it.
fn differences(pairs: &[PairReport]) -> Option<Figure> {
    let against = pairs.iter().filter(|pair| pair.second == BASE);
    let dots: Vec<Dot> = against
        .map(|pair| {
            let of = &pair.paired.difference;
            Dot {
                name: pair.first.clone(),
                value: of.value,
                interval: Some([of.low, of.high]),
            }
        })
        .collect();
    let none = [Reference {
        name: "no difference".into(),
        value: 0.0,
    }];
    let axis = Axis::new("difference in accuracy, percentage points", Unit::Points);
    let title = "Difference from the base model, with 95 % intervals";
    (!dots.is_empty()).then(|| charts::dots(title, &axis, &dots, &none))
}

/// Reliability and confusion matrix of the main model, and the risk-coverage curves of all.
pub(super) fn details(run: &EvaluatedRun, benchmark: &BenchmarkReport) -> Vec<Option<Figure>> {
    let model = benchmark.main_model(run);
    vec![
        model.map(|model| {
            let bins: Vec<Bin> = model
                .calibrated
                .bins
                .iter()
                .map(|bin| Bin {
                    edges: [bin.low, bin.high],
                    confidence: bin.confidence,
                    accuracy: bin.accuracy.value,
                    interval: Some([bin.accuracy.low, bin.accuracy.high]),
                    rows: bin.accuracy.total,
                })
                .collect();
            charts::reliability(
                &format!("{}: accuracy of answers by their probability", model.name),
                &bins,
            )
        }),
        Some(risk_coverage(benchmark)),
        model.map(|model| {
            let names = Label::ALL.map(Label::as_str);
            let counts: Vec<Vec<usize>> = model
                .scores
                .confusion
                .0
                .iter()
                .map(|row| row[..3].to_vec())
                .collect();
            charts::confusion(
                &format!("{}: true labels (rows) and answers", model.name),
                &names,
                &names,
                &counts,
            )
        }),
    ]
}

/// Accuracy with intervals; chance and the majority label as reference lines.
pub(crate) fn accuracy(models: &[(&str, &Scores)], levels: &Levels) -> Figure {
    let dot = |(name, scores): &(&str, &Scores)| {
        let of = scores.accuracy.estimate();
        Dot {
            name: (*name).to_owned(),
            value: of.value,
            interval: Some([of.low, of.high]),
        }
    };
    let dots: Vec<Dot> = models.iter().map(dot).collect();
    let references: Vec<Reference> = levels
        .baselines()
        .into_iter()
        .map(|(name, [value, ..])| Reference { name, value })
        .collect();
    let axis = Axis::new("accuracy", Unit::Percent);
    charts::dots("Accuracy, with 95 % intervals", &axis, &dots, &references)
}

/// The error rate among the most confident answers.
fn risk_coverage(benchmark: &BenchmarkReport) -> Figure {
    let curves: Vec<RiskCurve> = benchmark
        .models
        .iter()
        .take(MAX_SERIES)
        .map(|model| {
            let of = &model.selective;
            let n = of.n.max(1) as f64;
            let points: Vec<[f64; 2]> = of
                .curve
                .iter()
                .map(|point| {
                    let answered = point.answered.max(1) as f64;
                    [point.answered as f64 / n, point.wrong as f64 / answered]
                })
                .collect();
            let operating = model.abstained.as_ref().and_then(|at| {
                of.curve
                    .iter()
                    .position(|point| point.answered == at.answered.count)
            });
            RiskCurve {
                name: model.name.clone(),
                points,
                operating,
            }
        })
        .collect();
    charts::risk_coverage(
        "Error rate when only the most confident answers are given",
        &curves,
    )
}

/// How the adapter was chosen: validation accuracy, and losses by step.
pub(super) fn selection(run: &EvaluatedRun) -> Vec<Figure> {
    let dot = |name: String, of: &Proportion| Dot {
        name,
        value: of.value,
        interval: Some([of.low, of.high]),
    };
    let mut models: Vec<Dot> = vec![dot("base".into(), &run.base.accuracy)];
    models.extend(run.adapters.iter().filter_map(|adapter| {
        let of = &adapter.validation.as_ref()?.accuracy;
        let chosen = if adapter.name == run.best {
            " (chosen)"
        } else {
            ""
        };
        Some(dot(format!("{}{chosen}", adapter.name), of))
    }));
    let mut figures = vec![charts::dots(
        "Label accuracy on the validation set, with 95 % intervals",
        &Axis::new("label accuracy", Unit::Percent),
        &models,
        &[],
    )];
    let step = Axis::new("step", Unit::Count);
    let loss = Axis::new("loss, nats per token", Unit::Number);
    let series = |of: &dyn Fn(&LearningCurve) -> Vec<[f64; 2]>, best: bool| {
        let all = run.adapters.iter().take(MAX_SERIES).map(|adapter| {
            let points = of(&adapter.curve);
            let least = (0..points.len()).min_by(|a, b| points[*a][1].total_cmp(&points[*b][1]));
            Series {
                name: adapter.name.clone(),
                best: least.filter(|_| best),
                points,
            }
        });
        all.filter(|series| series.points.len() > 1)
            .collect::<Vec<_>>()
    };
    let validation = series(
        &|curve| {
            let points = curve.validation.iter();
            points
                .map(|(step, loss, _)| [*step as f64, *loss])
                .collect()
        },
        true,
    );
    let train = series(
        &|curve| {
            let points = curve.train.iter();
            points.map(|(step, loss)| [*step as f64, *loss]).collect()
        },
        false,
    );
    for (title, series) in [
        ("Validation loss by optimizer step", validation),
        ("Training loss by optimizer step", train),
    ] {
        if !series.is_empty() {
            figures.push(charts::lines(title, [&step, &loss], &series));
        }
    }
    figures
}
