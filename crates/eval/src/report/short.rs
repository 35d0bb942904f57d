//! The tables of a report within a terminal's 80 columns: what decides, without what the page has room for.

use verdict_answer::Fit;
use verdict_page::{Cell, Table};

use super::tables::{difference, figure, has_fallbacks, p_value, percent, table};
use super::{BenchmarkReport, PairReport};
use crate::metrics::{Levels, Proportion};
use crate::stats::resample::Estimate;
use crate::stats::scores::Scores;

/// Most letters of a system's name.
const NAME: usize = 24;

/// A name that leaves room for figures: its beginning and its end, where it is long.
fn name(name: &str, most: usize) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= most {
        return name.to_owned();
    }
    let (head, tail) = ((most - 1) / 2, most / 2);
    let end: String = letters[letters.len() - tail..].iter().collect();
    letters[..head].iter().collect::<String>() + "…" + &end
}

/// A share and its interval in per cent, without the sign.
fn interval(of: &Estimate) -> String {
    format!(
        "{:.1} [{:.0}–{:.0}]",
        100.0 * of.value,
        100.0 * of.low,
        100.0 * of.high
    )
}

/// The scores of everyone.
pub(crate) fn scores(systems: &[(&str, &Scores)], levels: &Levels) -> Option<Table> {
    let level = |who: String, of: [f64; 3]| {
        let mut row = vec![Cell::Text(who)];
        row.extend(of.map(|share| figure(format!("{:.1}", 100.0 * share))));
        row
    };
    let mut rows = vec![
        level(
            "chance".into(),
            [
                levels.chance_accuracy,
                levels.chance_balanced_accuracy,
                levels.chance_macro_f1,
            ],
        ),
        level(
            format!("always {}", levels.majority_label),
            [
                levels.majority_accuracy,
                levels.majority_balanced_accuracy,
                levels.majority_macro_f1,
            ],
        ),
    ];
    rows.extend(systems.iter().map(|(who, scores)| {
        vec![
            name(who, 27).into(),
            figure(interval(&scores.accuracy.estimate())),
            figure(interval(&scores.balanced_accuracy)),
            figure(interval(&scores.macro_f1)),
        ]
    }));
    table(
        "Right answers in per cent, with 95 % intervals",
        ["system", "accuracy", "balanced", "macro-F1"],
        rows,
    )
}

/// Two systems each.
pub(crate) fn pairs(pairs: &[PairReport]) -> Option<Table> {
    let rows = pairs.iter().map(|pair| {
        let (of, counts) = (&pair.paired, &pair.paired.table);
        vec![
            Cell::Text(format!(
                "{} – {}",
                name(&pair.first, NAME / 2),
                name(&pair.second, NAME / 2)
            )),
            figure(difference(&of.difference)),
            figure(p_value(pair.holm)),
            figure(format!("{} / {}", counts.first, counts.second)),
        ]
    });
    table(
        "Difference of accuracy in points, and questions that one alone has right",
        [
            "first – second",
            "difference [95 %]",
            "p, Holm",
            "one alone",
        ],
        rows.collect(),
    )
}

/// Probabilities, without intervals.
pub(super) fn probabilities(benchmark: &BenchmarkReport, fit: Fit) -> Option<Table> {
    let mut rows = Vec::new();
    for system in &benchmark.systems {
        let both = [(Fit::None, &system.raw), (fit, &system.calibrated)];
        for (fit, of) in both.iter().take(if fit == Fit::None { 1 } else { 2 }) {
            let three = |value: f64| figure(format!("{value:.3}"));
            rows.push(vec![
                name(&system.name, NAME).into(),
                fit.as_str().into(),
                three(of.log_loss.value),
                three(of.brier.value),
                three(of.ece.value),
                three(of.ece_of_chance),
            ]);
        }
    }
    table(
        "Probabilities, lower is better (an even guess: log loss 1.099, Brier 0.667)",
        [
            "system",
            "calibration",
            "log loss",
            "Brier",
            "ECE",
            "by chance",
        ],
        rows,
    )
}

/// Target and observed error rate.
pub(super) fn abstained(benchmark: &BenchmarkReport) -> Option<Table> {
    let rows = benchmark.systems.iter().filter_map(|system| {
        let of = system.abstained.as_ref()?;
        Some(vec![
            name(&system.name, NAME).into(),
            figure(percent(of.target)),
            figure(format!("{} of {}", of.wrong.count, of.wrong.total)),
            figure(format!("{} of {}", of.answered.count, of.answered.total)),
            of.outcome().into(),
        ])
    });
    table(
        "Abstaining: error rate among the answered questions",
        ["system", "target", "wrong", "answered", "outcome"],
        rows.collect(),
    )
}

/// What was written, in per cent. A column for fallback rationales only where there are any.
pub(super) fn written(benchmark: &BenchmarkReport) -> Option<Table> {
    let mut all = benchmark.systems.iter().flat_map(|system| &system.written);
    let fallbacks = all.any(has_fallbacks);
    let longest = if fallbacks { NAME / 3 } else { 16 };
    let short = |of: &Proportion| match of.total {
        0 => figure("–"),
        _ => figure(format!("{:.0}", 100.0 * of.value)),
    };
    let mut rows = Vec::new();
    for system in &benchmark.systems {
        for of in &system.written {
            let memorised = of.memorised.as_ref().map(|of| &of.memorised);
            let mut row = vec![
                name(&system.name, longest).into(),
                of.mode.as_str().into(),
                Cell::Number(of.format.total),
                short(&of.format),
            ];
            row.extend(fallbacks.then(|| of.fallbacks.as_ref().map_or(figure("–"), short)));
            row.extend([
                short(&of.citations),
                short(&of.contradictions),
                memorised.map_or(figure("–"), short),
                short(&of.variety.said_before),
                figure(format!("{:.0}", of.tokens.mean)),
            ]);
            rows.push(row);
        }
    }
    let mut head = vec!["system", "mode", "n", "form"];
    head.extend(fallbacks.then_some("fallback"));
    head.extend(["cites", "opposes", "learnt", "again", "tokens"]);
    (!rows.is_empty()).then(|| Table {
        rows,
        ..Table::new("What was written, in per cent of the answers", &head)
    })
}

/// Accuracy of the unconstrained answers, strictly and leniently read.
pub(super) fn first_words(benchmark: &BenchmarkReport) -> Option<Table> {
    let mut rows = Vec::new();
    for system in &benchmark.systems {
        for of in &system.written {
            let Some(first_word) = of.right_first_word else {
                continue;
            };
            rows.push(vec![
                name(&system.name, NAME).into(),
                Cell::Number(of.right.total),
                figure(interval(&of.right.into())),
                figure(interval(&first_word.into())),
            ]);
        }
    }
    table(
        "Right labels of free-running answers in per cent, with 95 % intervals",
        ["system", "n", "in the form", "as the first word"],
        rows,
    )
}
