//! The tables of a report, each a pure function of its values.

use verdict_answer::Fit;
use verdict_common::counted;
use verdict_data::Label;
use verdict_page::{Cell, Table};

use super::value::{BenchmarkReport, EvalReport, GeneratedReport, PairReport, Slice};
use crate::metrics::{Levels, Proportion};
use crate::stats::bootstrap::Estimate;
use crate::stats::scores::{Scores, Share};

/// `0.4567` as `45.7 %`.
pub(super) fn percent(share: f64) -> String {
    verdict_common::share(share)
}

/// A share with its interval, in per cent.
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

/// A count with its share and interval. For a count of 0, the upper end of the exact 95 % interval (Clopper and Pearson
/// 1934): `1 - 0.025^(1/n)`.
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

/// A count with its share and its interval, over groups where groups have several questions.
pub(super) fn rate_of(of: &Share) -> String {
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

/// A value with its interval, with three decimals.
fn decimal(of: &Estimate) -> String {
    format!("{:.3} [{:.3}–{:.3}]", of.value, of.low, of.high)
}

/// A p value as in papers.
pub(super) fn p_value(p: f64) -> String {
    match p < 0.001 {
        true => "< 0.001".into(),
        false => format!("{p:.3}"),
    }
}

/// A difference of shares in points, with its sign.
pub(super) fn points(share: f64) -> String {
    // A difference that rounds to zero has no minus sign.
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

/// Accuracy, balanced accuracy and macro-F1 of all models, baselines first.
pub(crate) fn scores(models: &[(&str, &Scores)], levels: &Levels) -> Option<Table> {
    let level = |(name, of): (String, [f64; 3])| {
        let mut row = vec![Cell::Text(name)];
        row.extend(of.map(|share| figure(percent(share))));
        row
    };
    let mut rows: Vec<_> = levels.baselines().into_iter().map(level).collect();
    let scored = |name: &str, scores: &Scores| {
        vec![
            name.into(),
            figure(share(&scores.accuracy)),
            figure(interval(&scores.balanced_accuracy)),
            figure(interval(&scores.macro_f1)),
        ]
    };
    rows.extend(models.iter().map(|(name, of)| scored(name, of)));
    table(
        "Scores of the most probable label, with 95 % intervals",
        ["model", "accuracy", "balanced accuracy", "macro-F1"],
        rows,
    )
}

/// Precision, recall and F1 of each label.
pub(super) fn labels(benchmark: &BenchmarkReport) -> Option<Table> {
    let mut rows = Vec::new();
    for model in &benchmark.models {
        for label in &model.scores.labels {
            rows.push(vec![
                model.name.as_str().into(),
                label.label.as_str().into(),
                figure(share(&label.precision)),
                figure(share(&label.recall)),
                figure(interval(&label.f1)),
            ]);
        }
    }
    folded(table(
        "Precision, recall and F1 by label",
        ["model", "label", "precision", "recall", "F1"],
        rows,
    ))
}

/// Confusion matrices.
pub(super) fn confusions(benchmark: &BenchmarkReport) -> Option<Table> {
    let mut rows = Vec::new();
    for model in &benchmark.models {
        for label in Label::ALL {
            let counts = model.scores.confusion.0[label.index()];
            let mut row = vec![model.name.as_str().into(), label.as_str().into()];
            row.extend([0, 1, 2].map(|answer: usize| Cell::Number(counts[answer])));
            rows.push(row);
        }
    }
    folded(table(
        "Answers by true label",
        ["model", "true label", "Yes", "No", "Uncertain"],
        rows,
    ))
}

/// Quality of the probabilities before and after calibration.
pub(super) fn probabilities(benchmark: &BenchmarkReport, fit: Fit) -> Option<Table> {
    let mut rows = Vec::new();
    for model in &benchmark.models {
        let both = [(Fit::None, &model.raw), (fit, &model.calibrated)];
        for (fit, of) in both.iter().take(if fit == Fit::None { 1 } else { 2 }) {
            rows.push(vec![
                model.name.as_str().into(),
                fit.as_str().into(),
                figure(decimal(&of.log_loss)),
                figure(decimal(&of.brier)),
                figure(decimal(&of.ece)),
                figure(format!("{:.3}", of.ece_of_chance)),
            ]);
        }
    }
    table(
        "Quality of the probabilities, lower is better; uniform probabilities have a log loss of 1.099 and a Brier score of 0.667",
        [
            "model",
            "calibration",
            "log loss, nats",
            "Brier score",
            "expected calibration error",
            "expected if calibrated",
        ],
        rows,
    )
}

/// Accuracy when only the most confident answers are given.
pub(super) fn coverage(benchmark: &BenchmarkReport) -> Option<Table> {
    let rows = benchmark.models.iter().map(|model| {
        let mut row: Vec<Cell> = vec![model.name.as_str().into()];
        let at = model.selective.at.iter();
        row.extend(at.map(|at| figure(interval(&at.accuracy))));
        row.push(figure(decimal(&model.selective.area)));
        row
    });
    table(
        "Accuracy at a coverage, when only the most confident answers are given, and area under the risk-coverage curve",
        ["model", "70 %", "80 %", "90 %", "area"],
        rows.collect(),
    )
}

/// Target and observed error rate of abstaining below the threshold that was certified on the validation set.
pub(super) fn abstention(benchmark: &BenchmarkReport) -> Option<Table> {
    let rows = benchmark.models.iter().filter_map(|model| {
        let of = model.abstained.as_ref()?;
        Some(vec![
            model.name.as_str().into(),
            figure(percent(of.target)),
            figure(rate(&of.wrong)),
            of.describe().into(),
            figure(rate(&of.answered)),
            figure(of.threshold.map_or("–".into(), percent)),
        ])
    });
    table(
        "Abstention: target and observed error rate among answered questions",
        [
            "model",
            "target error rate",
            "observed error rate",
            "outcome",
            "coverage",
            "abstains below",
        ],
        rows.collect(),
    )
}

/// Every two models compared, the deciding columns first.
pub(crate) fn pairs(pairs: &[PairReport]) -> Option<Table> {
    let rows = pairs.iter().map(|pair| {
        let (of, table) = (&pair.paired, &pair.paired.table);
        vec![
            Cell::Text(format!("{} – {}", pair.first, pair.second)),
            figure(difference(&of.difference)),
            figure(p_value(pair.holm)),
            figure(p_value(of.deciding_p())),
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
        "Differences in accuracy between two models on the same questions, in percentage points",
        [
            "first – second",
            "difference [95 %]",
            "p, Holm",
            "p",
            "right: both / first / second / neither",
            "minimum detectable",
        ],
        rows.collect(),
    )
}

/// A difference of shares with its interval, in percentage points.
pub(super) fn difference(of: &Estimate) -> String {
    format!(
        "{} [{} to {}]",
        points(of.value),
        points(of.low),
        points(of.high)
    )
}

/// Properties of the generated answers; columns that are empty for all models are left out.
pub(super) fn generated(benchmark: &BenchmarkReport) -> Option<Table> {
    let all = || benchmark.models.iter().flat_map(|model| &model.generated);
    let lenient = all().any(|of| of.right_first_word.is_some());
    let fallbacks = all().any(has_fallbacks);
    let rate_or_none = |of: Option<&Proportion>| figure(of.map_or("–".into(), rate));
    let mut rows = Vec::new();
    for model in &benchmark.models {
        for of in &model.generated {
            let memorized = of.memorized.as_ref().map(|of| &of.memorized);
            let mut row = vec![
                model.name.as_str().into(),
                of.mode.describe().into(),
                figure(rate(&of.format)),
                figure(rate(&of.right)),
            ];
            row.extend(lenient.then(|| rate_or_none(of.right_first_word.as_ref())));
            row.extend(fallbacks.then(|| rate_or_none(of.fallbacks.as_ref())));
            row.extend([
                figure(rate(&of.citations)),
                figure(rate(&of.contradictions)),
                rate_or_none(memorized),
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
    let mut head = vec![
        "model",
        "decoding",
        "format-valid",
        "format-valid with the right label",
    ];
    head.extend(lenient.then_some("right label as the first word"));
    head.extend(fallbacks.then_some("fallback rationale"));
    head.extend([
        "with a citation",
        "contradicts its label",
        "memorized",
        "repeats an earlier rationale",
        "loops",
        "tokens: mean / median / p95 / max",
    ]);
    (!rows.is_empty()).then(|| Table {
        rows,
        ..Table::new("Generated answers", &head)
    })
}

/// Whether any rationale is the fallback.
pub(super) fn has_fallbacks(of: &GeneratedReport) -> bool {
    of.fallbacks.is_some_and(|fallbacks| fallbacks.count > 0)
}

/// Scores on slices, one table for each property.
pub(super) fn slices(benchmark: &BenchmarkReport) -> Vec<Table> {
    let ways = [
        ("source", "Scores by source"),
        ("labels", "Scores by origin of the labels"),
        ("kind", "Scores by what is held out"),
        ("seen", "Scores by contamination"),
        (
            "certainty of evidence",
            "Scores by certainty of the evidence",
        ),
        ("specialty", "Scores by medical specialty"),
    ];
    ways.into_iter()
        .filter_map(|(by, caption)| {
            let slices: Vec<&Slice> = benchmark
                .slices
                .iter()
                .filter(|slice| slice.by == by)
                .collect();
            let mut rows = Vec::new();
            for slice in slices {
                for (name, scores) in &slice.models {
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
                    "slice",
                    "questions",
                    "model",
                    "accuracy",
                    "balanced accuracy",
                    "macro-F1",
                ],
                rows,
            )
        })
        .collect()
}

/// The models, with their calibration and threshold from the validation set.
pub(super) fn models(report: &EvalReport) -> Option<Table> {
    let rows = report.models.iter().map(|model| {
        let fitted = model.calibrations.map_or_else(
            || "mean of its members".to_owned(),
            |of| {
                let bias = of.bias.bias;
                format!(
                    "T = {:.2}; with bias T = {:.2}, b = {:+.2} / {:+.2} / {:+.2}",
                    of.temperature.temperature, of.bias.temperature, bias[0], bias[1], bias[2]
                )
            },
        );
        let below = match &model.abstention {
            None => "–".to_owned(),
            Some(of) => of.threshold.map_or("abstains from all".into(), percent),
        };
        vec![
            model.name.as_str().into(),
            model.members.join(", ").into(),
            fitted.into(),
            figure(below),
        ]
    });
    let target = percent(report.methods.target_error_rate);
    let table = table(
        "Models, with calibration and threshold from the validation set",
        [
            "model",
            "members",
            "calibration (b of Yes / No / Uncertain)",
            "abstains below",
        ],
        rows.collect(),
    );
    table.map(|table| Table {
        caption: format!("{}; target error rate {target}", table.caption),
        ..table
    })
}

/// How well the search found the questions' publications.
pub(super) fn retrieval(benchmark: &BenchmarkReport) -> Option<Table> {
    let of = benchmark.retrieval.as_ref()?;
    let rows = of
        .measures
        .iter()
        .map(|(name, estimate)| vec![name.as_str().into(), figure(interval(estimate))]);
    table(
        &format!(
            "Retrieval of the publications that {} were made from ({:.1} each), in an index of {}",
            counted(of.questions, "question"),
            of.relevant,
            counted(of.documents, "document"),
        ),
        ["measure", "mean over questions"],
        rows.collect(),
    )
}

/// Published results on the same questions.
pub(super) fn published(benchmark: &BenchmarkReport) -> Option<Table> {
    let rows = benchmark.published.iter().map(|of| {
        let quoted = match of.confirmed {
            Some(_) => "",
            None => " (as quoted elsewhere; not checked against the source)",
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
        "Published results on these questions",
        ["model", "accuracy", "macro-F1", "source", "note"],
        rows.collect(),
    )
}

/// Consistency on paraphrased and negated questions, by rule and in total.
pub(super) fn consistency(report: &EvalReport) -> Option<Table> {
    let robustness = report.robustness.as_ref()?;
    let mut rows = Vec::new();
    for (name, of) in &robustness.models {
        let totals = [
            ("paraphrased", &of.paraphrased),
            ("negated", &of.negated),
            ("all", &of.all),
        ];
        let rules = of.rules.iter().map(|rule| (rule.rule.as_str(), rule));
        for (variants, rule) in rules.chain(totals) {
            rows.push(vec![
                name.as_str().into(),
                variants.into(),
                figure(rate_of(&rule.consistent)),
                figure(rate_of(&rule.lost)),
            ]);
        }
    }
    table(
        "Consistency on paraphrased and negated questions",
        [
            "model",
            "variants",
            "consistent",
            "right answers turned wrong",
        ],
        rows,
    )
}

/// Settings and hashes.
pub(super) fn settings(report: &EvalReport) -> Option<Table> {
    let run = &report.run;
    let mut rows: Vec<Vec<Cell>> = [
        ("evaluated by", &report.tool),
        ("trained by", &run.trained_by),
        ("base model", &run.model),
        ("base model, SHA-256", &run.model_sha256),
        ("data set's manifest, SHA-256", &run.data_sha256),
    ]
    .into_iter()
    .map(|(name, value)| vec![name.into(), Cell::Code(value.clone())])
    .collect();
    rows.push(vec![
        "training examples".into(),
        Cell::Code(run.train_rows.to_string()),
    ]);
    rows.push(vec![
        "optimizer steps".into(),
        Cell::Code(run.steps.to_string()),
    ]);
    for benchmark in &report.benchmarks {
        rows.push(vec![
            Cell::Text(format!("questions of {}, SHA-256", benchmark.name)),
            Cell::Code(benchmark.sha256.clone()),
        ]);
    }
    if let Some(settings) = run.settings.as_object() {
        rows.extend(
            settings
                .iter()
                .map(|(name, value)| vec![Cell::Text(name.clone()), Cell::Code(value.to_string())]),
        );
    }
    folded(table("Settings and hashes", ["what", "value"], rows))
}
