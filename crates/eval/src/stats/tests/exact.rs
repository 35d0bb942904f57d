//! Statistics of small samples, computed by hand.

use verdict_data::{Label, wilson};

use super::world::{CERTAIN, PLAIN, World};
use crate::stats::abstain::{fewest, limit_wrong_of_answered, thresholds};
use crate::stats::bootstrap::{
    Groups, Resampling, Statistic, acceleration, bootstrap, uniform, without,
};
use crate::stats::paired::{ContingencyTable, PairedAnswers, paired, sign_flip};
use crate::stats::probability::{Forecast, bins, probabilities};
use crate::stats::scores::{LabelledAnswer, scores};
use crate::stats::selective::{ConfidentAnswer, selective};

const FEW: Resampling = Resampling {
    replicates: 300,
    seed: 5,
};

fn rows(n: usize, group: usize, right: impl Fn(usize) -> bool) -> Vec<LabelledAnswer> {
    (0..n)
        .map(|row| {
            let truth = Label::ALL[row % 3];
            LabelledAnswer {
                truth,
                answer: right(row).then_some(truth),
                group: (row / group) as u32,
            }
        })
        .collect()
}

fn answer(confidence: f64, right: bool) -> ConfidentAnswer {
    ConfidentAnswer {
        confidence,
        right,
        group: 0,
    }
}

#[test]
fn results_do_not_depend_on_threads() {
    let drawn = PLAIN.draw(40, 1);
    let rows: Vec<LabelledAnswer> = drawn.iter().map(|row| row.row()).collect();
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| scores(&rows, FEW))
    };
    assert_eq!(with(1), with(5));
    let other = Resampling { seed: 6, ..FEW };
    assert_ne!(scores(&rows, FEW), scores(&rows, other));
}

#[test]
fn a_group_of_copies_counts_as_one_row() {
    // Fewer groups than rows would narrow the interval by the root of three.
    let figures = [Statistic::percentile(0.0, 1.0), Statistic::bca(0.0, 1.0)];
    let values: Vec<f64> = (0..20).map(|row| f64::from(row % 7) / 7.0).collect();
    let mean = |copies: usize| {
        let rows = values.len() * copies;
        let groups = Groups::new((0..rows).map(|row| (row / copies) as u32));
        bootstrap(&groups, FEW, figures, |weights| {
            let of = |row: usize| values[row / copies] * f64::from(weights[row]);
            let sum: f64 = (0..rows).map(of).sum();
            [sum / weights.iter().sum::<u32>() as f64; 2]
        })
    };
    for (single, copied) in mean(1).into_iter().zip(mean(3)) {
        for (a, b) in [
            (single.value, copied.value),
            (single.low, copied.low),
            (single.high, copied.high),
        ] {
            assert!((a - b).abs() < 1e-14, "{single:?} {copied:?}");
        }
        assert!(single.high - single.low > 0.1, "{single:?}");
    }
}

#[test]
fn groups_are_drawn_evenly() {
    // The expected number of times that each group is in all samples together, within five standard errors.
    let groups = Groups::new(0..7);
    let resampling = Resampling {
        replicates: 20_000,
        seed: 3,
    };
    let figures = [Statistic::percentile(0.0, 7.0); 7];
    let means = std::sync::Mutex::new([0_u64; 7]);
    bootstrap(&groups, resampling, figures, |weights| {
        let mut means = means.lock().unwrap();
        for (mean, weight) in means.iter_mut().zip(weights) {
            *mean += u64::from(*weight);
        }
        std::array::from_fn(|k| f64::from(weights[k]))
    });
    let error = (140_000.0_f64 * (1.0 / 7.0) * (6.0 / 7.0)).sqrt();
    for count in means.into_inner().unwrap() {
        // One more: the rows as they are.
        assert!((count as f64 - 20_001.0).abs() < 5.0 * error, "{count}");
    }
}

#[test]
fn many_groups_are_left_out_in_parts() {
    // Exponential values: the mean's acceleration is their skewness, about 2, over 6 √n. That of m parts has the
    // standard error of m values' skewness, √(6 / m) for normal sums, over 6 √m.
    let values: Vec<f64> = (0..4_000)
        .map(|row| -(1.0 - uniform(9, 9, row)).ln())
        .collect();
    let groups = Groups::new(0..4_000);
    let of = |most: usize| {
        let left_out = without(&groups, most, |weights| {
            let all = values.iter().zip(weights);
            let sum: f64 = all.map(|(value, weight)| value * f64::from(*weight)).sum();
            [sum / f64::from(weights.iter().sum::<u32>())]
        });
        assert_eq!(left_out.len(), most);
        acceleration(&left_out.iter().map(|left| left[0]).collect::<Vec<_>>())
    };
    let (one_by_one, parts) = (of(4_000), of(1_000));
    let error = (6.0_f64 / 1_000.0).sqrt() / (6.0 * 1_000.0_f64.sqrt());
    assert!(one_by_one > 10.0 * error, "{one_by_one}");
    assert!(
        (one_by_one - parts).abs() < 4.0 * error,
        "{one_by_one} against {parts}"
    );
}

#[test]
fn undefined_statistics_have_the_whole_range() {
    let one = Groups::new([4, 4, 4]);
    let figure = [Statistic::percentile(-1.0, 1.0)];
    let [found] = bootstrap(&one, FEW, figure, |_| [0.25]);
    assert_eq!((found.value, found.low, found.high), (0.25, -1.0, 1.0));
    let two = Groups::new([4, 5, 4]);
    let [found] = bootstrap(&two, FEW, figure, |_| [f64::NAN]);
    assert_eq!((found.value, found.low, found.high), (-1.0, -1.0, 1.0));
    assert_eq!(scores(&[], FEW), None);
    assert_eq!(paired(&[], FEW), None);
    assert_eq!(probabilities(&[], FEW), None);
    assert_eq!(selective(&[], FEW), None);
}

#[test]
fn perfect_scores_have_a_wide_interval() {
    // 33 answers in 11 groups: Wilson's interval of 11 of 11; every group has every label.
    let found = scores(&rows(33, 3, |_| true), FEW).unwrap();
    let (low, _) = wilson(11, 11);
    let accuracy = found.accuracy.estimate();
    assert_eq!(
        (accuracy.value, accuracy.low, accuracy.high),
        (1.0, low, 1.0)
    );
    assert!(
        (found.balanced_accuracy.low - low).abs() < 1e-12,
        "{found:?}"
    );
    let f1 = 2.0 * low / (1.0 + low);
    assert!((found.macro_f1.low - f1).abs() < 1e-12, "{found:?}");
    assert_eq!(found.macro_f1.high, 1.0);
    // Independent rows: each label has 11.
    let found = scores(&rows(33, 1, |_| true), FEW).unwrap();
    assert!((found.labels[1].f1.low - f1).abs() < 1e-12);
    assert_eq!(found.labels[2].recall.estimate().low, low);
    // None right.
    let found = scores(&rows(33, 3, |_| false), FEW).unwrap();
    assert_eq!(found.accuracy.estimate().high, wilson(0, 11).1);
    // A label that is never answered has an unknown precision.
    let precision = found.labels[0].precision.estimate();
    assert_eq!((precision.low, precision.high), (0.0, 1.0));
}

#[test]
fn equal_groups_give_intervals_without_width() {
    // Each group has a right and a wrong answer for every label: all samples are equal, but no share is 0 or 1.
    let found = scores(&rows(30, 6, |row| row % 6 < 3), FEW).unwrap();
    for figure in [
        found.accuracy.estimate(),
        found.balanced_accuracy,
        found.labels[0].recall.estimate(),
    ] {
        assert_eq!((figure.value, figure.low, figure.high), (0.5, 0.5, 0.5));
    }
    let f1 = found.labels[1].f1;
    assert_eq!(
        (f1.value, f1.low, f1.high),
        (2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0)
    );
}

#[test]
fn pairs_are_counted() {
    let pair = |first, second| PairedAnswers {
        truth: Label::Yes,
        first,
        second,
        group: 0,
    };
    let (yes, no) = (Some(Label::Yes), Some(Label::No));
    let pairs = [
        pair(yes, yes),
        pair(yes, no),
        pair(yes, None),
        pair(None, yes),
        pair(no, no),
        pair(None, None),
        pair(no, None),
    ];
    let found = ContingencyTable::of(&pairs);
    let want = ContingencyTable {
        both: 1,
        first: 2,
        second: 1,
        neither: 3,
    };
    assert_eq!(found, want);
    let found = paired(&pairs, FEW).unwrap();
    assert!((found.difference.value - 1.0 / 7.0).abs() < 1e-15);
    assert_eq!(
        found.group_p,
        Some(1.0),
        "one group may as well be the other way"
    );
}

#[test]
fn sign_flips_match_the_enumeration() {
    // All 2^8 ways for groups with these sums.
    let sums = [3_i64, 1, 2, -1, 2, 1, 0, 3];
    let found: i64 = sums.iter().sum();
    let ways = (0..1_u32 << sums.len()).filter(|way| {
        let signed = sums.iter().enumerate();
        let sum: i64 = signed
            .map(|(k, sum)| if way >> k & 1 == 1 { *sum } else { -sum })
            .sum();
        sum.abs() >= found.abs()
    });
    let exact = ways.count() as f64 / 256.0;
    // Each group has one row of its sum, and 0 beside it.
    let groups = Groups::new((0..16).map(|row| row / 2));
    let signs: Vec<i64> = sums.iter().flat_map(|sum| [*sum, 0]).collect();
    let resampling = Resampling {
        replicates: 20_000,
        seed: 1,
    };
    let p = sign_flip(&groups, &signs, resampling);
    let error = (exact * (1.0 - exact) / 20_000.0).sqrt();
    assert!((p - exact).abs() < 4.0 * error, "{p} against {exact}");
    assert!(exact > 0.02 && exact < 0.2, "{exact}");
}

#[test]
fn risk_is_counted_by_distinct_confidence() {
    // Three at 0.9 (one wrong), one at 0.8 (right), two at 0.5 (one wrong), in any order.
    let rows = [
        answer(0.5, true),
        answer(0.9, false),
        answer(0.8, true),
        answer(0.9, true),
        answer(0.5, false),
        answer(0.9, true),
    ];
    let found = selective(&rows, FEW).unwrap();
    let points: Vec<_> = found
        .curve
        .iter()
        .map(|p| (p.threshold, p.answered, p.wrong))
        .collect();
    assert_eq!(points, [(0.9, 3, 1), (0.8, 4, 1), (0.5, 6, 2)]);
    let area = (3.0 * (1.0 / 3.0) + 1.0 / 4.0 + 2.0 * (1.0 / 3.0)) / 6.0;
    assert!(
        (found.area.value - area).abs() < 1e-15,
        "{}",
        found.area.value
    );
    assert!((found.area_of_chance - 1.0 / 3.0).abs() < 1e-15);
    assert!((found.least_area - (1.0 / 5.0 + 2.0 / 6.0) / 6.0).abs() < 1e-15);
    // 70 % of six rows are five: all of 0.5 enter.
    assert_eq!(
        (
            found.at[0].threshold,
            found.at[0].rows.count,
            found.at[0].rows.total
        ),
        (0.5, 4, 6)
    );
    assert!((found.at[2].accuracy.value - 4.0 / 6.0).abs() < 1e-15);
}

#[test]
#[should_panic(expected = "a confidence is not a number")]
fn a_confidence_is_a_number() {
    let _ = selective(&[answer(f64::NAN, true)], FEW);
}

#[test]
#[should_panic(expected = "1.5: expected a probability")]
fn a_probability_is_one() {
    let row = Forecast {
        truth: Label::Yes,
        probabilities: [1.5, -0.25, -0.25],
        group: 0,
    };
    let _ = probabilities(&[row], FEW);
}

#[test]
fn calibrated_confidences_have_the_expected_error() {
    assert_eq!([1, 33, 100, 500, 1000].map(bins), [1, 3, 5, 8, 10]);
    let calibrated = World {
        honesty: 1.0,
        ..PLAIN
    };
    let samples = 300;
    let found: Vec<(f64, f64, f64)> = (0..samples)
        .map(|sample| {
            let drawn = calibrated.draw(99, sample);
            let rows: Vec<Forecast> = drawn.iter().map(|row| row.forecast()).collect();
            let quality = probabilities(
                &rows,
                Resampling {
                    replicates: 100,
                    seed: sample,
                },
            )
            .unwrap();
            (quality.ece.value, quality.ece_of_chance, quality.ece.low)
        })
        .collect();
    let mean = |of: fn(&(f64, f64, f64)) -> f64| found.iter().map(of).sum::<f64>() / samples as f64;
    let (ece, chance) = (mean(|f| f.0), mean(|f| f.1));
    let squares = found.iter().map(|f| (f.0 - ece).powi(2)).sum::<f64>();
    let error = squares.sqrt() / samples as f64;
    assert!(
        (ece - chance).abs() < 4.0 * error,
        "{ece} against {chance}, {error}"
    );
    // The interval does not contain the true error of 0.
    assert!(found.iter().all(|f| f.2 > 0.0));
}

#[test]
fn the_threshold_is_the_counted_one() {
    // 60 right above 0.8, 40 of which 10 wrong between 0.5 and 0.6.
    let rows: Vec<(f64, bool)> = (0..100)
        .map(|row| match row < 60 {
            true => (0.85, true),
            false => (0.55, row % 4 != 0),
        })
        .collect();
    let found = limit_wrong_of_answered(&rows, 0.1, 0.1);
    // All of 10 of 100 wrong is no evidence of less than 0.1: the lowest threshold above 0.55.
    let above = thresholds().filter(|tried| *tried > 0.55).last();
    assert_eq!(found.threshold, above);
    assert_eq!((found.coverage.count, found.wrong.count), (60, 0));
    assert!(
        found.guarantee.contains("a confidence of 90 %,"),
        "{}",
        found.guarantee
    );
    // No lower than one half, below which an answer is more likely wrong than right.
    assert_eq!(
        limit_wrong_of_answered(&rows, 0.3, 0.1).threshold,
        Some(0.5)
    );
    assert_eq!(fewest(0.1, 0.1), 22);
    let few = limit_wrong_of_answered(&rows[..21], 0.1, 0.1);
    assert_eq!((few.threshold, few.needed), (None, Some(22)));
    assert!(
        few.guarantee.contains(
            "at least 22 answered examples without a mistake are needed, and there are 21"
        ),
        "{}",
        few.guarantee
    );
    assert!(
        limit_wrong_of_answered(&rows[..22], 0.1, 0.1)
            .threshold
            .is_some()
    );
    let all: Vec<f64> = thresholds().collect();
    assert!(all.len() == 201 && all.is_sorted_by(|a, b| a > b));
    assert_eq!((all[0], all[160], all[200]), (0.99999, 0.9, 0.0));
}

#[test]
fn no_answer_is_given_at_chance_level() {
    // Confidences of about one third are never answered, whatever the target.
    let rows: Vec<(f64, bool)> = (0..1000).map(|row| (0.344, row % 2 == 0)).collect();
    for alpha in [0.1, 0.5, 0.9, 0.999] {
        let found = limit_wrong_of_answered(&rows, alpha, 0.1);
        assert_eq!(found.threshold, None, "{alpha}");
        assert!(found.guarantee.starts_with("Abstains from all questions"));
    }
}

#[test]
fn the_number_of_examples_for_a_threshold_is_reported() {
    // 5 % wrong of 40 examples does not certify 10 %; with the reported number it does.
    let rows = |n: usize| -> Vec<(f64, bool)> { (0..n).map(|row| (0.9, row % 20 != 0)).collect() };
    let found = limit_wrong_of_answered(&rows(40), 0.1, 0.1);
    assert_eq!(found.threshold, None);
    let needed = found.needed.unwrap();
    assert!((60..400).contains(&needed), "{needed}");
    assert!(
        found
            .guarantee
            .contains(&format!("about {needed} would suffice")),
        "{}",
        found.guarantee
    );
    assert!(
        limit_wrong_of_answered(&rows(needed.next_multiple_of(20)), 0.1, 0.1)
            .threshold
            .is_some()
    );
    // Where every second answer is wrong, no number of examples helps.
    let rows: Vec<(f64, bool)> = (0..400).map(|row| (0.9, row % 2 == 0)).collect();
    let found = limit_wrong_of_answered(&rows, 0.1, 0.1);
    assert_eq!((found.threshold, found.needed), (None, None));
    assert!(
        found.guarantee.contains("more examples would not change"),
        "{}",
        found.guarantee
    );
}

#[test]
#[should_panic(expected = "1: expected a number between 0 and 1")]
fn a_level_is_a_share() {
    let _ = limit_wrong_of_answered(&[], 1.0, 0.1);
}

#[test]
fn results_survive_serialization() {
    let drawn = CERTAIN.draw(30, 2);
    let rows: Vec<LabelledAnswer> = drawn.iter().map(|row| row.row()).collect();
    let found = scores(&rows, FEW).unwrap();
    let text = serde_json::to_string(&found).unwrap();
    assert_eq!(
        serde_json::from_str::<crate::stats::scores::Scores>(&text).unwrap(),
        found
    );
}
