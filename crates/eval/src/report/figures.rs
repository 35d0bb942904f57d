//! The figures of a report.

use verdict_data::Label;
use verdict_page::Figure;
use verdict_page::charts::{self, Axis, Bin, Dot, MAX_SERIES, Reference, RiskCurve, Series, Unit};

use super::{BASE, BenchmarkReport, EvalReport, PairReport};
use crate::metrics::{Levels, Proportion};
use crate::stats::scores::Scores;
use crate::subject;

/// What decides: everyone's accuracy, and the difference to the untrained model.
pub(super) fn first(benchmark: &BenchmarkReport) -> Vec<Option<Figure>> {
    vec![
        Some(accuracy(&benchmark.scored(), &benchmark.levels)),
        differences(&benchmark.pairs),
    ]
}

/// Every system less the untrained model; none where nothing was compared with it.
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
    let axis = Axis::new("right answers gained, in percentage points", Unit::Points);
    let title = "Difference to the untrained model, with 95 % intervals";
    (!dots.is_empty()).then(|| charts::dots(title, &axis, &dots, &none))
}

/// Of the system that matters reliability and confusion, of all risk and coverage.
pub(super) fn more(report: &EvalReport, benchmark: &BenchmarkReport) -> Vec<Option<Figure>> {
    let judged = benchmark.judged(report);
    vec![
        judged.map(|system| {
            let bins: Vec<Bin> = system
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
                &format!(
                    "{}: how often what it says with some probability is right",
                    system.name
                ),
                &bins,
            )
        }),
        Some(risk(benchmark)),
        judged.map(|system| {
            let names = Label::ALL.map(Label::as_str);
            let counts: Vec<Vec<usize>> = system
                .scores
                .confusion
                .0
                .iter()
                .map(|row| row[..3].to_vec())
                .collect();
            charts::confusion(
                &format!("{}: what is true (rows) and what it answers", system.name),
                &names,
                &names,
                &counts,
            )
        }),
    ]
}

/// Accuracy with intervals; chance and the commonest label as lines.
pub(crate) fn accuracy(systems: &[(&str, &Scores)], levels: &Levels) -> Figure {
    let dot = |(name, scores): &(&str, &Scores)| {
        let of = scores.accuracy.estimate();
        Dot {
            name: (*name).to_owned(),
            value: of.value,
            interval: Some([of.low, of.high]),
        }
    };
    let dots: Vec<Dot> = systems.iter().map(dot).collect();
    let references = [
        Reference {
            name: "chance".into(),
            value: levels.chance_accuracy,
        },
        Reference {
            name: format!("always {}", levels.majority_label),
            value: levels.majority_accuracy,
        },
    ];
    let axis = Axis::new("right", Unit::Percent);
    charts::dots(
        "Right answers, with 95 % intervals",
        &axis,
        &dots,
        &references,
    )
}

/// What is wrong among the most certain answers.
fn risk(benchmark: &BenchmarkReport) -> Figure {
    let curves: Vec<RiskCurve> = benchmark
        .systems
        .iter()
        .take(MAX_SERIES)
        .map(|system| {
            let of = &system.selective;
            let n = of.n.max(1) as f64;
            let points: Vec<[f64; 2]> = of
                .curve
                .iter()
                .map(|point| {
                    let answered = point.answered.max(1) as f64;
                    [point.answered as f64 / n, point.wrong as f64 / answered]
                })
                .collect();
            let operating = system.abstained.as_ref().and_then(|at| {
                of.curve
                    .iter()
                    .position(|point| point.answered == at.answered.count)
            });
            RiskCurve {
                name: system.name.clone(),
                points,
                operating,
            }
        })
        .collect();
    charts::risk_coverage(
        "How many answers are wrong when only the surest are given",
        &curves,
    )
}

/// How the choice came about: the sweep on validation, and how losses went.
pub(super) fn choice(report: &EvalReport) -> Vec<Figure> {
    let subject = &report.subject;
    let dot = |name: String, of: &Proportion| Dot {
        name,
        value: of.value,
        interval: Some([of.low, of.high]),
    };
    let mut members: Vec<Dot> = vec![dot("base".into(), &subject.base.accuracy)];
    members.extend(subject.members.iter().filter_map(|member| {
        let of = &member.validated.as_ref()?.accuracy;
        let chosen = if member.name == subject.best {
            " (chosen)"
        } else {
            ""
        };
        Some(dot(format!("{}{chosen}", member.name), of))
    }));
    let mut figures = vec![charts::dots(
        "Right answers on validation, with 95 % intervals",
        &Axis::new("right", Unit::Percent),
        &members,
        &[],
    )];
    let step = Axis::new("step", Unit::Count);
    let loss = Axis::new("loss, nats a token", Unit::Number);
    let series = |of: &dyn Fn(&subject::Curve) -> Vec<[f64; 2]>, best: bool| {
        let all = subject.members.iter().take(MAX_SERIES).map(|member| {
            let points = of(&member.curve);
            let least = (0..points.len()).min_by(|a, b| points[*a][1].total_cmp(&points[*b][1]));
            Series {
                name: member.name.clone(),
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
