//! Statistics compared with scipy, statsmodels and scikit-learn, by `dev/reference/statistics_goldens.py`.

use serde::Deserialize;
use verdict_data::{Item, Label, NaiveBayes};
use verdict_eval::stats::abstain::limit_wrong_of_answered;
use verdict_eval::stats::bootstrap::{
    Estimate, Groups, Resampling, Statistic, bca, bootstrap, percentile, reach,
};
use verdict_eval::stats::paired::{PairedAnswers, holm, mcnemar, paired, smallest_difference};
use verdict_eval::stats::probability::{Forecast, probabilities};
use verdict_eval::stats::score_interval::tango;
use verdict_eval::stats::scores::{LabelledAnswer, Scores, scores};

#[derive(Deserialize)]
struct Goldens {
    scored: Vec<Scored>,
    intervals: Vec<Intervals>,
    forecasts: Vec<Forecasts>,
    mcnemar: Vec<Mcnemar>,
    holm: Vec<Holm>,
    smallest_difference: Vec<Smallest>,
    clopper_pearson: Vec<ClopperPearson>,
    words: Words,
}

#[derive(Deserialize)]
struct Scored {
    truth: Vec<Label>,
    answers: Vec<String>,
    groups: Vec<u32>,
    balanced_accuracy: f64,
    macro_f1: f64,
    precision: [f64; 3],
    recall: [f64; 3],
    f1: [f64; 3],
}

#[derive(Deserialize)]
struct Intervals {
    values: Vec<f64>,
    value: f64,
    distribution: Vec<f64>,
    left_out: Vec<f64>,
    reach: f64,
    replicates: usize,
    percentile: Ends,
    bca: Ends,
}

#[derive(Deserialize)]
struct Ends {
    given: [f64; 2],
    drawn: [f64; 2],
}

#[derive(Deserialize)]
struct Forecasts {
    truth: Vec<Label>,
    probabilities: Vec<[f64; 3]>,
    log_loss: f64,
    brier: f64,
    ece: f64,
    bins: Vec<GoldenBin>,
}

#[derive(Deserialize)]
struct GoldenBin {
    confidence: f64,
    accuracy: f64,
    n: usize,
}

#[derive(Deserialize)]
struct Mcnemar {
    first: usize,
    second: usize,
    p: f64,
}

#[derive(Deserialize)]
struct Holm {
    p: Vec<f64>,
    adjusted: Vec<f64>,
}

#[derive(Deserialize)]
struct Smallest {
    n: usize,
    discordant: f64,
    exact: Option<f64>,
    connor: Option<f64>,
}

#[derive(Deserialize)]
struct ClopperPearson {
    count: usize,
    total: usize,
    upper: f64,
}

#[derive(Deserialize)]
struct Words {
    questions: Vec<String>,
    labels: Vec<Label>,
    asked: Vec<String>,
    probabilities: Vec<[f64; 3]>,
}

fn goldens() -> Goldens {
    serde_json::from_str(include_str!("goldens/statistics.json")).unwrap()
}

/// Equal up to the rounding of sums of some hundred terms, and of the special functions of two libraries.
#[track_caller]
fn assert_close(got: f64, want: f64, what: &str) {
    assert!(
        (got - want).abs() <= 1e-12 * want.abs().max(1.0),
        "{what}: {got} against {want}"
    );
}

fn scored(golden: &Scored) -> Scores {
    let answers = golden.answers.iter().map(|answer| Label::parse(answer));
    let all = golden.truth.iter().zip(answers).zip(&golden.groups);
    let rows: Vec<LabelledAnswer> = all
        .map(|((truth, answer), group)| LabelledAnswer {
            truth: *truth,
            answer,
            group: *group,
        })
        .collect();
    scores(&rows, Resampling::default()).unwrap()
}

#[test]
fn scores_are_scikit_learns() {
    for golden in goldens().scored {
        let found = scored(&golden);
        assert_close(
            found.balanced_accuracy.value,
            golden.balanced_accuracy,
            "balanced",
        );
        assert_close(found.macro_f1.value, golden.macro_f1, "macro-F1");
        for (label, scores) in found.labels.iter().enumerate() {
            assert_eq!(scores.label.index(), label);
            assert_close(
                scores.precision.rows.value,
                golden.precision[label],
                "precision",
            );
            assert_close(scores.recall.rows.value, golden.recall[label], "recall");
            assert_close(scores.f1.value, golden.f1[label], "F1");
        }
        assert_eq!(found.n, golden.truth.len());
        assert_eq!(found.groups, *golden.groups.last().unwrap() as usize + 1);
    }
}

#[test]
fn rows_in_groups_get_intervals_of_groups() {
    let goldens = goldens().scored;
    let [single, grouped] = [scored(&goldens[0]), scored(&goldens[1])];
    assert_eq!(single.accuracy.groups, None);
    assert_eq!(single.accuracy.estimate().low, single.accuracy.rows.low);
    let of_groups = grouped.accuracy.groups.unwrap();
    assert_eq!(of_groups.value, grouped.accuracy.rows.value);
    assert_eq!(grouped.accuracy.estimate(), of_groups);
    assert!(
        grouped
            .labels
            .iter()
            .all(|label| label.recall.groups.is_some())
    );
}

#[test]
fn intervals_are_scipys_from_the_same_samples() {
    let z = 1.959_963_984_540_054;
    for golden in goldens().intervals {
        let (low, high) = percentile(&golden.distribution, z);
        assert_close(low, golden.percentile.given[0], "low");
        assert_close(high, golden.percentile.given[1], "high");
        let (low, high) = bca(&golden.distribution, golden.value, &golden.left_out, z);
        // Places of the distribution within the rounding of the normal distribution's tails.
        assert!((low - golden.bca.given[0]).abs() < 1e-9, "{low}");
        assert!((high - golden.bca.given[1]).abs() < 1e-9, "{high}");
    }
}

#[test]
fn intervals_are_scipys_from_other_samples() {
    for golden in goldens().intervals {
        let n = golden.values.len();
        assert!((reach(n) - golden.reach).abs() < 1e-9);
        let groups = Groups::new(0..n as u32);
        let resampling = Resampling {
            replicates: golden.replicates,
            seed: 1,
        };
        let figures = [Statistic::percentile(0.0, 9.0), Statistic::bca(0.0, 9.0)];
        let found: [Estimate; 2] = bootstrap(&groups, resampling, figures, |weights| {
            let all = golden.values.iter().zip(weights);
            [all.map(|(value, weight)| value * f64::from(*weight))
                .sum::<f64>()
                / n as f64; 2]
        });
        // A quantile at share q of B samples has the standard error √(q (1 − q) / B) / density. Near either end the
        // density is at least φ(2.5) over the standard deviation of the mean: 0.0175 / sd; q is at most 0.05. Four
        // standard errors of the difference of two; and where the values are whole, a step.
        let mean = golden.value;
        let spread = golden
            .values
            .iter()
            .map(|value| (value - mean).powi(2))
            .sum::<f64>();
        let sd = spread.sqrt() / n as f64;
        let error = (0.05 * 0.95 / golden.replicates as f64).sqrt() / 0.0175 * sd;
        let whole = golden.values.iter().all(|value| value.fract() == 0.0);
        let step = if whole { 1.0 / n as f64 } else { 0.0 };
        let tolerance = (4.0 * std::f64::consts::SQRT_2 * error).max(step * 1.01);
        for (found, want) in found
            .iter()
            .zip([golden.percentile.drawn, golden.bca.drawn])
        {
            assert_close(found.value, mean, "mean");
            assert!(
                (found.low - want[0]).abs() < tolerance,
                "{found:?} {want:?} {tolerance}"
            );
            assert!(
                (found.high - want[1]).abs() < tolerance,
                "{found:?} {want:?} {tolerance}"
            );
        }
    }
}

#[test]
fn probabilities_are_judged_as_by_scikit_learn() {
    for golden in goldens().forecasts {
        let rows: Vec<Forecast> = (0..golden.truth.len())
            .map(|row| Forecast {
                truth: golden.truth[row],
                probabilities: golden.probabilities[row],
                group: row as u32,
            })
            .collect();
        let found = probabilities(&rows, Resampling::default()).unwrap();
        assert_close(found.log_loss.value, golden.log_loss, "log loss");
        assert_close(found.brier.value, golden.brier, "Brier");
        assert_close(found.ece.value, golden.ece, "calibration error");
        assert_eq!(found.bins.len(), golden.bins.len());
        for (bin, want) in found.bins.iter().zip(golden.bins) {
            assert_close(bin.confidence, want.confidence, "confidence");
            assert_close(bin.accuracy.value, want.accuracy, "accuracy");
            assert_eq!(bin.accuracy.total, want.n);
        }
    }
}

#[test]
fn mcnemars_p_is_statsmodels() {
    for golden in goldens().mcnemar {
        let what = format!("{} against {}", golden.first, golden.second);
        assert_close(mcnemar(golden.first, golden.second), golden.p, &what);
        assert_close(mcnemar(golden.second, golden.first), golden.p, &what);
    }
}

#[test]
fn holms_p_are_statsmodels() {
    for golden in goldens().holm {
        for (got, want) in holm(&golden.p).into_iter().zip(golden.adjusted) {
            assert_close(got, want, "Holm");
        }
    }
    assert!(holm(&[]).is_empty());
}

#[test]
fn the_smallest_difference_is_that_of_the_summed_test() {
    for golden in goldens().smallest_difference {
        let what = format!("{} rows, {}", golden.n, golden.discordant);
        let found = smallest_difference(golden.n, golden.discordant);
        assert_eq!(found.is_some(), golden.exact.is_some(), "{what}: {found:?}");
        let (Some(found), Some(want)) = (found, golden.exact) else {
            continue;
        };
        // Halved until 1e-9.
        assert!(
            (found - want).abs() < 2e-9,
            "{what}: {found} against {want}"
        );
        // The normal approximation is too hopeful, but near.
        let near = golden.connor.unwrap();
        assert!(
            near < found && found < 1.15 * near,
            "{what}: {found}, Connor {near}"
        );
    }
    assert_eq!(smallest_difference(100, 0.0), None);
    assert_eq!(smallest_difference(0, 0.3), None);
}

#[test]
fn a_threshold_stands_where_clopper_and_pearsons_bound_is_low_enough() {
    for golden in goldens().clopper_pearson {
        let rows: Vec<(f64, bool)> = (0..golden.total)
            .map(|row| (0.9, row >= golden.count))
            .collect();
        for (alpha, stands) in [(golden.upper + 1e-9, true), (golden.upper - 1e-9, false)] {
            let found = limit_wrong_of_answered(&rows, alpha, 0.1);
            assert_eq!(
                found.threshold.is_some(),
                stands,
                "{} of {}: {found:?}",
                golden.count,
                golden.total
            );
        }
    }
}

#[test]
fn words_guess_as_scikit_learns_classifier() {
    let golden = goldens().words;
    let seen = golden.questions.iter().zip(&golden.labels);
    let items: Vec<Item> = seen
        .map(|(question, label)| Item {
            id: question.clone(),
            question: question.clone(),
            label: *label,
            rationale: String::new(),
            source: "jsonl".into(),
            group: question.clone(),
            context: None,
        })
        .collect();
    let bayes = NaiveBayes::train(&items);
    for (question, want) in golden.asked.iter().zip(golden.probabilities) {
        let (label, found) = bayes.guess(question);
        for (got, want) in found.into_iter().zip(want) {
            assert_close(got, want, question);
        }
        let best = found.into_iter().fold(0.0, f64::max);
        assert_eq!(found[label.index()], best, "{question}");
    }
}

#[derive(Deserialize)]
struct PairedGoldens {
    tango: Vec<TangoGolden>,
}

#[derive(Deserialize)]
struct TangoGolden {
    first: usize,
    second: usize,
    n: usize,
    low: f64,
    high: f64,
}

#[test]
fn the_interval_of_a_paired_difference_is_that_of_the_maximised_likelihood() {
    // By `dev/reference/paired_goldens.py`: the score test's definition, with scipy's root finder.
    let goldens: PairedGoldens = serde_json::from_str(include_str!("goldens/paired.json")).unwrap();
    for golden in goldens.tango {
        let what = format!("{} and {} of {}", golden.first, golden.second, golden.n);
        let [first, second, n] = [golden.first, golden.second, golden.n].map(|of| of as f64);
        let (low, high) = tango(first, second, n);
        assert!((low - golden.low).abs() < 1e-8, "{what}: {low}");
        assert!((high - golden.high).abs() < 1e-8, "{what}: {high}");
        // The difference the other way round has the mirrored interval.
        let (other_low, other_high) = tango(second, first, n);
        assert!(
            (low + other_high).abs() < 1e-9 && (high + other_low).abs() < 1e-9,
            "{what}"
        );
    }
    assert_eq!(tango(0.0, 0.0, 0.0), (-1.0, 1.0));
}

#[test]
fn systems_that_always_agree_may_still_differ() {
    let pairs = |n: u32, of_group: u32| -> Vec<PairedAnswers> {
        (0..n)
            .map(|row| PairedAnswers {
                truth: Label::Yes,
                first: Some(Label::Yes),
                second: Some(Label::Yes),
                group: row / of_group,
            })
            .collect()
    };
    let found = paired(&pairs(10, 1), Resampling::default())
        .unwrap()
        .difference;
    assert_eq!(found.value, 0.0);
    assert!(found.low < -0.25 && found.high > 0.25, "{found:?}");
    // Thirty rows of ten papers say no more of other papers than ten.
    let grouped = paired(&pairs(30, 3), Resampling::default())
        .unwrap()
        .difference;
    assert!((grouped.high - found.high).abs() < 1e-9, "{grouped:?}");
}

#[test]
fn always_the_same_answer_has_an_interval() {
    let rows: Vec<LabelledAnswer> = (0..9)
        .map(|row| LabelledAnswer {
            truth: Label::ALL[row % 3],
            answer: Some(Label::No),
            group: row as u32,
        })
        .collect();
    let found = scores(&rows, Resampling::default()).unwrap();
    let of = found.balanced_accuracy;
    assert!((of.value - 1.0 / 3.0).abs() < 1e-12);
    assert!(of.low < 0.25 && of.high > 0.5, "{of:?}");
    // A benchmark of Yes and No alone: all right is a macro-F1 of 1.
    let rows: Vec<LabelledAnswer> = (0..8)
        .map(|row| LabelledAnswer {
            truth: Label::ALL[row % 2],
            answer: Some(Label::ALL[row % 2]),
            group: row as u32,
        })
        .collect();
    assert_eq!(
        scores(&rows, Resampling::default()).unwrap().macro_f1.value,
        1.0
    );
}
