//! The tables of a report, each a function of its figures.

use verdict_answer::Fit;
use verdict_data::Label;
use verdict_page::{Cell, Table};

use super::{BenchmarkReport, EvalReport, PairReport, Slice, WrittenReport};
use crate::compare::Comparison;
use crate::metrics::{Levels, Proportion};
use crate::stats::resample::Estimate;
use crate::stats::scores::{Scores, Share};

/// `0.4567` as `45.7 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// A share and its interval, in per cent.
pub(super) fn interval(of: &Estimate) -> String {
    format!(
        "{} [{:.1}–{:.1}]",
        percent(of.value),
        100.0 * of.low,
        100.0 * of.high
    )
}

fn share(of: &Share) -> String {
    interval(&of.estimate())
}

/// A counted share; of nothing found, the largest share that it could still be: the upper end of the exact 95 %
/// interval (Clopper and Pearson 1934), `1 - 0.025^(1/n)`.
pub(super) fn rate(of: &Proportion) -> String {
    match (of.count, of.total) {
        (_, 0) => "–".into(),
        (0, total) => {
            let most = 1.0 - 0.025_f64.powf(1.0 / total as f64);
            format!("0 of {total} (below {:.2} %)", 100.0 * most)
        }
        (count, total) => format!(
            "{count} of {total}, {} [{:.1}–{:.1}]",
            percent(of.value),
            100.0 * of.low,
            100.0 * of.high
        ),
    }
}

/// A counted share with the interval that holds: over groups where groups have several rows.
fn rate_of(of: &Share) -> String {
    let Some(groups) = of.groups.filter(|_| of.rows.total > 0) else {
        return rate(&of.rows);
    };
    format!(
        "{} of {}, {}",
        of.rows.count,
        of.rows.total,
        interval(&groups)
    )
}

/// A figure and its interval, with three decimals.
fn plain(of: &Estimate) -> String {
    format!("{:.3} [{:.3}–{:.3}]", of.value, of.low, of.high)
}

/// A p value as papers print it.
pub(super) fn p_value(p: f64) -> String {
    match p < 0.001 {
        true => "< 0.001".into(),
        false => format!("{p:.3}"),
    }
}

/// A difference of shares in points, with its sign.
pub(super) fn points(share: f64) -> String {
    // What rounds to nothing has no sign.
    let points = (1000.0 * share).round() / 10.0 + 0.0;
    format!("{points:+.1}")
}

pub(super) fn figure(text: impl Into<String>) -> Cell {
    Cell::Figure(text.into())
}

pub(super) fn table<const N: usize>(
    caption: &str,
    head: [&str; N],
    rows: Vec<Vec<Cell>>,
) -> Option<Table> {
    (!rows.is_empty()).then(|| Table {
        rows,
        ..Table::new(caption, &head)
    })
}

fn folded(table: Option<Table>) -> Option<Table> {
    table.map(|table| Table {
        folded: true,
        ..table
    })
}

/// Accuracy, balanced accuracy and macro-F1 of everyone, those who do not read first.
pub(crate) fn scores(systems: &[(&str, &Scores)], levels: &Levels) -> Option<Table> {
    let level = |name: String, of: [f64; 3]| {
        let mut row = vec![Cell::Text(name)];
        row.extend(of.map(|share| figure(percent(share))));
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
    let scored = |name: &str, scores: &Scores| {
        vec![
            name.into(),
            figure(share(&scores.accuracy)),
            figure(interval(&scores.balanced_accuracy)),
            figure(interval(&scores.macro_f1)),
        ]
    };
    rows.extend(systems.iter().map(|(name, of)| scored(name, of)));
    table(
        "Right answers, by the most probable label, with 95 % intervals",
        ["system", "accuracy", "balanced accuracy", "macro-F1"],
        rows,
    )
}

/// Precision, recall and F1 of each label.
pub(super) fn labels(benchmark: &BenchmarkReport) -> Option<Table> {
    let mut rows = Vec::new();
    for system in &benchmark.systems {
        for label in &system.scores.labels {
            rows.push(vec![
                system.name.as_str().into(),
                label.label.as_str().into(),
                figure(share(&label.precision)),
                figure(share(&label.recall)),
                figure(interval(&label.f1)),
            ]);
        }
    }
    folded(table(
        "By label",
        ["system", "label", "precision", "recall", "F1"],
        rows,
    ))
}

/// Truth against answer.
pub(super) fn confusions(benchmark: &BenchmarkReport) -> Option<Table> {
    let mut rows = Vec::new();
    for system in &benchmark.systems {
        for label in Label::ALL {
            let counts = system.scores.confusion.0[label.index()];
            let mut row = vec![system.name.as_str().into(), label.as_str().into()];
            row.extend([0, 1, 2].map(|answer: usize| Cell::Number(counts[answer])));
            rows.push(row);
        }
    }
    folded(table(
        "Answers, by what is true",
        ["system", "truth", "Yes", "No", "Uncertain"],
        rows,
    ))
}

/// How far probabilities can be trusted, before and after calibration.
pub(super) fn probabilities(benchmark: &BenchmarkReport, fit: Fit) -> Option<Table> {
    let mut rows = Vec::new();
    for system in &benchmark.systems {
        let both = [(Fit::None, &system.raw), (fit, &system.calibrated)];
        for (fit, of) in both.iter().take(if fit == Fit::None { 1 } else { 2 }) {
            rows.push(vec![
                system.name.as_str().into(),
                fit.as_str().into(),
                figure(plain(&of.log_loss)),
                figure(plain(&of.brier)),
                figure(plain(&of.ece)),
                figure(format!("{:.3}", of.ece_of_chance)),
            ]);
        }
    }
    table(
        "Probabilities: lower is better; an even guess has a log loss of 1.099 and a Brier score of 0.667",
        [
            "system",
            "calibration",
            "log loss, nats",
            "Brier score",
            "expected calibration error",
            "of which by chance",
        ],
        rows,
    )
}

/// What is right when the least certain are left out.
pub(super) fn coverage(benchmark: &BenchmarkReport) -> Option<Table> {
    let rows = benchmark.systems.iter().map(|system| {
        let mut row: Vec<Cell> = vec![system.name.as_str().into()];
        let at = system.selective.at.iter();
        row.extend(at.map(|at| figure(interval(&at.accuracy))));
        row.push(figure(plain(&system.selective.area)));
        row
    });
    table(
        "Accuracy when only the most certain are answered, and the area under the risk-coverage curve",
        ["system", "70 %", "80 %", "90 %", "area"],
        rows.collect(),
    )
}

/// What came of abstaining below a threshold that validation gave: target and observed error rate side by side.
pub(super) fn abstained(benchmark: &BenchmarkReport) -> Option<Table> {
    let rows = benchmark.systems.iter().filter_map(|system| {
        let of = system.abstained.as_ref()?;
        Some(vec![
            system.name.as_str().into(),
            figure(percent(of.target)),
            figure(rate(&of.wrong)),
            of.outcome().into(),
            figure(rate(&of.answered)),
            figure(of.threshold.map_or("–".into(), percent)),
        ])
    });
    table(
        "Abstaining: target and observed error rate among the answered questions",
        [
            "system",
            "target",
            "observed",
            "outcome",
            "answered",
            "abstains below",
        ],
        rows.collect(),
    )
}

/// Every two systems, what decides first.
pub(crate) fn pairs(pairs: &[PairReport]) -> Option<Table> {
    let rows = pairs.iter().map(|pair| {
        let (of, table) = (&pair.paired, &pair.paired.table);
        vec![
            Cell::Text(format!("{} – {}", pair.first, pair.second)),
            figure(difference(&of.difference)),
            figure(p_value(pair.holm)),
            figure(p_value(of.group_p.unwrap_or(of.p))),
            figure(format!(
                "{} / {} / {} / {}",
                table.both, table.first, table.second, table.neither
            )),
            figure(
                of.detectable
                    .map_or("–".into(), |least| format!("{:.1}", 100.0 * least)),
            ),
        ]
    });
    table(
        "Two systems on the same questions: accuracy of the first less that of the second, in points",
        [
            "first – second",
            "difference [95 %]",
            "p, Holm",
            "p",
            "right: both / first / second / neither",
            "could be shown from",
        ],
        rows.collect(),
    )
}

/// A difference of shares in points, with its interval.
pub(super) fn difference(of: &Estimate) -> String {
    format!(
        "{} [{} to {}]",
        points(of.value),
        points(of.low),
        points(of.high)
    )
}

/// What was written, without columns that are empty for every system.
pub(super) fn written(benchmark: &BenchmarkReport) -> Option<Table> {
    let all = || benchmark.systems.iter().flat_map(|system| &system.written);
    let lenient = all().any(|of| of.right_first_word.is_some());
    let fallbacks = all().any(has_fallbacks);
    let rate_or_none = |of: Option<&Proportion>| figure(of.map_or("–".into(), rate));
    let mut rows = Vec::new();
    for system in &benchmark.systems {
        for of in &system.written {
            let memorised = of.memorised.as_ref().map(|of| &of.memorised);
            let mut row = vec![
                system.name.as_str().into(),
                of.mode.as_str().into(),
                figure(rate(&of.format)),
                figure(rate(&of.right)),
            ];
            row.extend(lenient.then(|| rate_or_none(of.right_first_word.as_ref())));
            row.extend(fallbacks.then(|| rate_or_none(of.fallbacks.as_ref())));
            row.extend([
                figure(rate(&of.citations)),
                figure(rate(&of.contradictions)),
                rate_or_none(memorised),
                figure(rate(&of.variety.said_before)),
                figure(rate(&of.loops)),
                figure(format!(
                    "{:.1} / {:.0} / {:.0} / {}",
                    of.tokens.mean, of.tokens.median, of.tokens.p95, of.tokens.max
                )),
            ]);
            rows.push(row);
        }
    }
    let mut head = vec!["system", "mode", "in the form", "right label in the form"];
    head.extend(lenient.then_some("right label as the first word"));
    head.extend(fallbacks.then_some("fallback rationale"));
    head.extend([
        "with a citation",
        "contradicts its label",
        "stands in the training rows",
        "said before",
        "runs in a loop",
        "tokens: mean / median / p95 / most",
    ]);
    (!rows.is_empty()).then(|| Table {
        rows,
        ..Table::new("What was written", &head)
    })
}

/// Whether any rationale is the fallback.
pub(super) fn has_fallbacks(of: &WrittenReport) -> bool {
    of.fallbacks.is_some_and(|fallbacks| fallbacks.count > 0)
}

/// Scores on parts, one table for each way to part.
pub(super) fn slices(benchmark: &BenchmarkReport) -> Vec<Table> {
    let ways = [
        ("source", "By source"),
        ("labels", "By how good the labels are"),
        ("kind", "By what of them was never trained on"),
        ("seen", "By whether the training rows give them away"),
    ];
    ways.into_iter()
        .filter_map(|(by, caption)| {
            let parts: Vec<&Slice> = benchmark
                .slices
                .iter()
                .filter(|slice| slice.by == by)
                .collect();
            let mut rows = Vec::new();
            for slice in parts {
                for (name, scores) in &slice.systems {
                    rows.push(vec![
                        slice.part.as_str().into(),
                        Cell::Number(scores.n),
                        name.as_str().into(),
                        figure(share(&scores.accuracy)),
                        figure(interval(&scores.balanced_accuracy)),
                        figure(interval(&scores.macro_f1)),
                    ]);
                }
            }
            table(
                caption,
                [
                    "part",
                    "items",
                    "system",
                    "accuracy",
                    "balanced accuracy",
                    "macro-F1",
                ],
                rows,
            )
        })
        .collect()
}

/// Who was asked, and what validation says of their probabilities.
pub(super) fn systems(report: &EvalReport) -> Option<Table> {
    let rows = report.systems.iter().map(|system| {
        let fitted = system.calibrations.map_or_else(
            || "mean of its members".to_owned(),
            |of| {
                let bias = of.bias.bias;
                format!(
                    "T = {:.2}; with bias T = {:.2}, b = {:+.2} / {:+.2} / {:+.2}",
                    of.temperature.temperature, of.bias.temperature, bias[0], bias[1], bias[2]
                )
            },
        );
        let below = match &system.abstention {
            None => "–".to_owned(),
            Some(of) => of.threshold.map_or("abstains from all".into(), percent),
        };
        vec![
            system.name.as_str().into(),
            system.members.join(", ").into(),
            fitted.into(),
            figure(below),
        ]
    });
    let error = percent(report.methods.error_rate);
    let table = table(
        "Systems: what was fitted on validation",
        [
            "system",
            "members",
            "calibration (b of Yes / No / Uncertain)",
            "abstains below",
        ],
        rows.collect(),
    );
    table.map(|table| Table {
        caption: format!(
            "{}; target error rate {error} of the answered",
            table.caption
        ),
        ..table
    })
}

/// What others published on the same questions.
pub(super) fn published(benchmark: &BenchmarkReport) -> Option<Table> {
    let rows = benchmark.published.iter().map(|of| {
        let quoted = match of.confirmed {
            Some(_) => "",
            None => " (as quoted; source not seen)",
        };
        vec![
            of.name.as_str().into(),
            figure(format!("{:.1} %", of.accuracy)),
            figure(of.macro_f1.map_or("–".into(), |f1| format!("{f1:.1} %"))),
            Cell::Text(format!("{}, {}{quoted}", of.source, of.year)),
            of.note.as_deref().unwrap_or_default().into(),
        ]
    });
    table(
        "What others published on these questions",
        ["system", "accuracy", "macro-F1", "source", "note"],
        rows.collect(),
    )
}

/// Whether answers behave when questions are asked otherwise: by rule, or what must stay and what must turn.
pub(super) fn robustness(report: &EvalReport, by_rule: bool) -> Option<Table> {
    let robustness = report.robustness.as_ref()?;
    let mut rows = Vec::new();
    for (name, of) in &robustness.systems {
        let sums = [&of.kept, &of.flipped, &of.all];
        let rules = of.rules.iter().filter(|_| by_rule);
        for rule in rules.chain(sums) {
            rows.push(vec![
                name.as_str().into(),
                rule.rule.as_str().into(),
                figure(rate_of(&rule.consistent)),
                figure(rate_of(&rule.lost)),
            ]);
        }
    }
    table(
        "Answers to questions asked otherwise",
        [
            "system",
            "how",
            "behaves as it must",
            "right before, not after",
        ],
        rows,
    )
}

/// Every setting and hash.
pub(super) fn settings(report: &EvalReport) -> Option<Table> {
    let subject = &report.subject;
    let mut rows: Vec<Vec<Cell>> = [
        ("judged by", &report.tool),
        ("trained by", &subject.trained_by),
        ("base model", &subject.model),
        ("base model, SHA-256", &subject.model_sha256),
        ("data set's manifest, SHA-256", &subject.data_sha256),
    ]
    .into_iter()
    .map(|(name, value)| vec![name.into(), Cell::Code(value.clone())])
    .collect();
    rows.push(vec![
        "rows to learn from".into(),
        Cell::Code(subject.train_rows.to_string()),
    ]);
    rows.push(vec![
        "optimizer steps".into(),
        Cell::Code(subject.steps.to_string()),
    ]);
    for benchmark in &report.benchmarks {
        rows.push(vec![
            Cell::Text(format!("questions of {}, SHA-256", benchmark.name)),
            Cell::Code(benchmark.sha256.clone()),
        ]);
    }
    if let Some(settings) = subject.settings.as_object() {
        rows.extend(
            settings
                .iter()
                .map(|(name, value)| vec![Cell::Text(name.clone()), Cell::Code(value.to_string())]),
        );
    }
    folded(table("Settings and hashes", ["what", "value"], rows))
}

/// The runs of a comparison.
pub(crate) fn runs(comparison: &Comparison) -> Table {
    let head = [
        "run",
        "base model",
        "rows to learn from",
        "chosen",
        "data set, SHA-256",
    ];
    let rows = comparison.runs.iter().map(|run| {
        vec![
            Cell::Code(run.folder.display().to_string()),
            run.model.as_str().into(),
            Cell::Number(run.train_rows),
            run.best.as_str().into(),
            Cell::Code(run.data_sha256.chars().take(12).collect()),
        ]
    });
    Table {
        rows: rows.collect(),
        ..Table::new("Runs", &head)
    }
}
