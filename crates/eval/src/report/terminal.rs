//! The tables of a report in 80 columns, for a terminal: the deciding columns alone.

use verdict_answer::Fit;
use verdict_page::{Cell, Table};

use super::tables::{difference, figure, has_fallbacks, p_value, percent, table};
use super::value::{BenchmarkReport, EvalReport, PairReport};
use crate::metrics::{Levels, Proportion};
use crate::stats::bootstrap::Estimate;
use crate::stats::scores::{Scores, Share};

/// Maximum number of characters of a model's name.
const NAME: usize = 24;

/// A name, shortened in the middle if it is longer than `most` characters.
pub(super) fn name(name: &str, most: usize) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= most {
        return name.to_owned();
    }
    let (head, tail) = ((most - 1) / 2, most / 2);
    let end: String = letters[letters.len() - tail..].iter().collect();
    letters[..head].iter().collect::<String>() + "…" + &end
}

/// A share with its interval in per cent, without the sign.
pub(super) fn interval(of: &Estimate) -> String {
    format!(
        "{:.1} [{:.0}–{:.0}]",
        100.0 * of.value,
        100.0 * of.low,
        100.0 * of.high
    )
}

/// The scores of all models, baselines first.
pub(crate) fn scores(models: &[(&str, &Scores)], levels: &Levels) -> Option<Table> {
    let level = |(baseline, of): (String, [f64; 3])| {
        let mut row = vec![Cell::Text(baseline)];
        row.extend(of.map(|share| figure(format!("{:.1}", 100.0 * share))));
        row
    };
    let mut rows: Vec<_> = levels.baselines().into_iter().map(level).collect();
    rows.extend(models.iter().map(|(model, scores)| {
        vec![
            name(model, 27).into(),
            figure(interval(&scores.accuracy.estimate())),
            figure(interval(&scores.balanced_accuracy)),
            figure(interval(&scores.macro_f1)),
        ]
    }));
    table(
        "Scores in per cent, with 95 % intervals",
        ["model", "accuracy", "balanced", "macro-F1"],
        rows,
    )
}

/// Every two models compared.
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
        "Difference in accuracy in percentage points, and questions only one has right",
        ["first – second", "difference [95 %]", "p, Holm", "only one"],
        rows.collect(),
    )
}

/// Quality of the probabilities, without intervals.
pub(super) fn probabilities(benchmark: &BenchmarkReport, fit: Fit) -> Option<Table> {
    let mut rows = Vec::new();
    for model in &benchmark.models {
        let both = [(Fit::None, &model.raw), (fit, &model.calibrated)];
        for (fit, of) in both.iter().take(if fit == Fit::None { 1 } else { 2 }) {
            let three = |value: f64| figure(format!("{value:.3}"));
            rows.push(vec![
                name(&model.name, NAME).into(),
                fit.as_str().into(),
                three(of.log_loss.value),
                three(of.brier.value),
                three(of.ece.value),
                three(of.ece_of_chance),
            ]);
        }
    }
    table(
        "Probabilities, lower is better (uniform: log loss 1.099, Brier 0.667)",
        [
            "model",
            "calibration",
            "log loss",
            "Brier",
            "ECE",
            "expected",
        ],
        rows,
    )
}

/// Target and observed error rate.
pub(super) fn abstention(benchmark: &BenchmarkReport) -> Option<Table> {
    let rows = benchmark.models.iter().filter_map(|model| {
        let of = model.abstained.as_ref()?;
        Some(vec![
            name(&model.name, NAME).into(),
            figure(percent(of.target)),
            figure(format!("{} of {}", of.wrong.count, of.wrong.total)),
            figure(format!("{} of {}", of.answered.count, of.answered.total)),
            of.describe().into(),
        ])
    });
    table(
        "Abstention: error rate among answered questions",
        ["model", "target", "wrong", "answered", "outcome"],
        rows.collect(),
    )
}

/// Properties of the generated answers, in per cent.
pub(super) fn generated(benchmark: &BenchmarkReport) -> Option<Table> {
    let short = |of: &Proportion| match of.total {
        0 => figure("–"),
        _ => figure(format!("{:.0}", 100.0 * of.value)),
    };
    let mut rows = Vec::new();
    for model in &benchmark.models {
        for of in &model.generated {
            let memorized = of.memorized.as_ref().map(|of| &of.memorized);
            rows.push(vec![
                name(&model.name, 14).into(),
                of.mode.describe().into(),
                Cell::Number(of.format.total),
                short(&of.format),
                short(&of.citations),
                short(&of.contradictions),
                memorized.map_or(figure("–"), short),
                short(&of.variety.said_before),
                figure(format!("{:.0}", of.tokens.mean)),
            ]);
        }
    }
    table(
        "Generated answers in per cent: format-valid, with a citation, opposing their label, memorized, repeating an earlier one; and mean number of tokens",
        [
            "model", "decoding", "n", "valid", "cites", "opposes", "memo", "again", "tokens",
        ],
        rows,
    )
}

/// The number of fallback rationales of each model that has any.
pub(super) fn fallbacks(benchmark: &BenchmarkReport) -> Vec<String> {
    let mut lines = Vec::new();
    for model in &benchmark.models {
        for of in model.generated.iter().filter(|of| has_fallbacks(of)) {
            let fallbacks = of.fallbacks.unwrap_or(of.format);
            lines.push(format!(
                "{}: {} of {} {} answers have the fallback rationale",
                model.name,
                fallbacks.count,
                fallbacks.total,
                of.mode.describe()
            ));
        }
    }
    lines
}

/// Strict and lenient accuracy of the unconstrained answers.
pub(super) fn first_words(benchmark: &BenchmarkReport) -> Option<Table> {
    let mut rows = Vec::new();
    for model in &benchmark.models {
        for of in &model.generated {
            let Some(first_word) = of.right_first_word else {
                continue;
            };
            rows.push(vec![
                name(&model.name, NAME).into(),
                Cell::Number(of.right.total),
                figure(interval(&of.right.into())),
                figure(interval(&first_word.into())),
            ]);
        }
    }
    table(
        "Label accuracy of unconstrained answers in per cent, with 95 % intervals",
        ["model", "n", "format-valid", "first word"],
        rows,
    )
}

/// Consistency on paraphrased and negated questions, in total.
pub(super) fn consistency(report: &EvalReport) -> Option<Table> {
    let share = |of: &Share| match of.rows.total {
        0 => figure("–"),
        _ => figure(interval(&of.estimate())),
    };
    let mut rows = Vec::new();
    for (model, of) in &report.robustness.as_ref()?.models {
        for (variants, of) in [
            ("paraphrased", &of.paraphrased),
            ("negated", &of.negated),
            ("all", &of.all),
        ] {
            rows.push(vec![
                name(model, NAME).into(),
                variants.into(),
                Cell::Number(of.consistent.rows.total),
                share(&of.consistent),
                share(&of.lost),
            ]);
        }
    }
    table(
        "Consistency on paraphrased and negated questions, in per cent",
        ["model", "variants", "n", "consistent", "right turned wrong"],
        rows,
    )
}
