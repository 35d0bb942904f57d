//! The coverage of the intervals: the table in the module's documentation, simulated again with fewer samples.

use rayon::prelude::*;

use super::world::{CERTAIN, Drawn, GROUPED, PLAIN, TOGETHER, World};
use crate::stats::bootstrap::{Estimate, Resampling};
use crate::stats::paired::{self, paired};
use crate::stats::probability::{self, probabilities};
use crate::stats::scores::{self, scores};
use crate::stats::selective::{self, selective};

/// The coverage in per cent of each interval: for plain answers, certain ones, and answers in groups; with 33, 99 and 501
/// answers each. `rows`: Wilson's interval, which assumes independence. Printed by [`table`]; the standard error is 0.5
/// near 95.
#[rustfmt::skip]
const COVERAGE: [(&str, [f64; 9]); 23] = [
    ("accuracy", [95.2, 95.0, 94.8, 95.0, 96.3, 95.5, 95.7, 95.7, 94.8]),
    ("balanced accuracy", [96.5, 95.8, 95.3, 97.9, 96.8, 95.2, 96.3, 94.8, 94.9]),
    ("macro-F1", [97.1, 96.0, 95.1, 98.7, 97.2, 95.7, 95.8, 95.5, 94.7]),
    ("F1, Yes", [94.2, 94.9, 94.8, 96.3, 95.1, 95.0, 95.1, 95.5, 95.2]),
    ("F1, No", [94.3, 95.2, 94.8, 96.2, 95.6, 95.8, 94.8, 95.8, 93.7]),
    ("F1, Uncertain", [95.7, 94.0, 95.2, 95.9, 96.0, 95.5, 95.0, 96.2, 95.5]),
    ("precision, Yes", [94.8, 95.5, 94.5, 94.2, 95.7, 95.1, 95.5, 95.5, 94.9]),
    ("precision, No", [96.0, 95.1, 94.5, 94.8, 96.2, 95.2, 95.0, 95.9, 94.5]),
    ("precision, Uncertain", [95.5, 94.8, 95.5, 95.7, 96.9, 95.3, 95.8, 96.7, 94.7]),
    ("recall, Yes", [94.5, 95.0, 94.8, 96.0, 95.7, 95.1, 96.6, 96.0, 94.2]),
    ("recall, No", [94.3, 95.6, 94.5, 96.0, 96.2, 96.2, 96.4, 96.0, 94.2]),
    ("recall, Uncertain", [95.8, 94.8, 94.5, 95.8, 96.3, 96.1, 94.8, 96.2, 96.0]),
    ("difference of two models", [94.0, 94.6, 95.6, 95.6, 95.2, 94.8, 94.2, 93.8, 95.2]),
    ("log loss", [95.2, 94.3, 94.9, 86.3, 92.2, 93.8, 92.2, 94.8, 94.8]),
    ("Brier score", [96.2, 94.4, 94.3, 90.2, 95.8, 95.5, 94.1, 95.4, 95.0]),
    ("calibration error", [92.5, 91.8, 95.0, 97.9, 98.0, 97.0, 94.4, 91.5, 94.0]),
    ("area under risk and coverage", [95.8, 94.7, 94.2, 93.0, 94.7, 94.8, 94.4, 95.8, 95.1]),
    ("accuracy at 70 %", [97.0, 95.5, 95.7, 100.0, 99.7, 97.8, 95.8, 96.2, 95.3]),
    ("accuracy at 80 %", [96.8, 95.0, 95.2, 99.5, 97.8, 95.2, 95.8, 95.5, 94.8]),
    ("accuracy at 90 %", [96.6, 95.2, 95.4, 99.7, 95.9, 95.9, 95.5, 95.5, 95.0]),
    ("accuracy, rows", [95.2, 95.0, 94.8, 95.0, 96.3, 95.5, 90.9, 93.8, 93.7]),
    ("accuracy at 70 %, rows", [96.0, 94.3, 95.0, 94.3, 95.4, 94.7, 93.7, 92.5, 91.6]),
    ("accuracy at 90 %, rows", [95.0, 95.3, 94.5, 93.2, 90.2, 93.3, 92.5, 93.3, 92.7]),
];

/// The true values, estimated from a very large sample.
fn truth(world: World) -> [f64; 23] {
    let drawn = world.draw(240_000, u64::MAX);
    let ones = vec![1; drawn.len()];
    let rows: Vec<_> = drawn.iter().map(Drawn::row).collect();
    let signs: Vec<_> = drawn.iter().map(|row| row.pair().sign()).collect();
    let forecasts: Vec<_> = drawn.iter().map(Drawn::forecast).collect();
    let confident = selective::sorted(&drawn.iter().map(Drawn::confident).collect::<Vec<_>>());
    let scores = scores::weighted(&rows, &ones);
    let quality = probability::weighted(&probability::parts(&forecasts), &ones);
    let selected = selective::weighted(&confident, &ones);
    let mut all = [f64::NAN; 23];
    all[..12].copy_from_slice(&scores);
    all[12] = paired::weighted(&signs, &ones);
    all[13..16].copy_from_slice(&quality);
    all[16..20].copy_from_slice(&selected);
    all[20..].copy_from_slice(&[scores[0], selected[1], selected[3]]);
    all
}

/// The estimates of one sample.
fn estimates(drawn: &[Drawn], resampling: Resampling) -> [Estimate; 23] {
    let rows: Vec<_> = drawn.iter().map(Drawn::row).collect();
    let pairs: Vec<_> = drawn.iter().map(Drawn::pair).collect();
    let forecasts: Vec<_> = drawn.iter().map(Drawn::forecast).collect();
    let confident: Vec<_> = drawn.iter().map(Drawn::confident).collect();
    let scores = scores(&rows, resampling).unwrap();
    let quality = probabilities(&forecasts, resampling).unwrap();
    let selected = selective(&confident, resampling).unwrap();
    let [yes, no, uncertain] = scores.labels;
    [
        scores.accuracy.estimate(),
        scores.balanced_accuracy,
        scores.macro_f1,
        yes.f1,
        no.f1,
        uncertain.f1,
        yes.precision.estimate(),
        no.precision.estimate(),
        uncertain.precision.estimate(),
        yes.recall.estimate(),
        no.recall.estimate(),
        uncertain.recall.estimate(),
        paired(&pairs, resampling).unwrap().difference,
        quality.log_loss,
        quality.brier,
        quality.ece,
        selected.area,
        selected.at[0].accuracy,
        selected.at[1].accuracy,
        selected.at[2].accuracy,
        scores.accuracy.rows.into(),
        selected.at[0].rows.into(),
        selected.at[2].rows.into(),
    ]
}

/// Coverage in per cent: samples of `n` answers whose interval contains the true value.
fn held(world: World, truth: &[f64; 23], n: usize, samples: u64, replicates: usize) -> [f64; 23] {
    let found: Vec<[bool; 23]> = (0..samples)
        .into_par_iter()
        .map(|seed| {
            let of = estimates(&world.draw(n, seed), Resampling { replicates, seed });
            std::array::from_fn(|k| of[k].low <= truth[k] && truth[k] <= of[k].high)
        })
        .collect();
    std::array::from_fn(|k| {
        let held = found.iter().filter(|held| held[k]).count();
        100.0 * held as f64 / samples as f64
    })
}

const SIZES: [usize; 3] = [33, 99, 501];

/// Prints [`COVERAGE`] from 2,000 samples; takes minutes.
#[test]
#[ignore = "takes minutes; prints the table of the documentation"]
#[allow(clippy::print_stdout)]
fn table() {
    let columns: Vec<[f64; 23]> = [PLAIN, CERTAIN, GROUPED]
        .into_iter()
        .flat_map(|world| {
            let truth = truth(world);
            SIZES.map(|n| held(world, &truth, n, 2_000, 2_000))
        })
        .collect();
    for (k, (name, _)) in COVERAGE.into_iter().enumerate() {
        let cells: Vec<String> = columns
            .iter()
            .map(|column| format!("{:.1}", column[k]))
            .collect();
        println!("{name} | {}", cells.join(" | "));
    }
}

/// Compares the coverage in fewer samples with fewer replicates, within four standard errors of the difference and one per
/// cent for the replicates.
fn check_coverage(place: usize, world: World) {
    let truth = truth(world);
    for (size, samples) in [300, 300, 100].into_iter().enumerate() {
        let n = SIZES[size];
        let found = held(world, &truth, n, samples, 300);
        for (k, (name, held)) in COVERAGE.into_iter().enumerate() {
            let want = held[3 * place + size];
            let share = (want / 100.0).min(0.995);
            let error =
                100.0 * (share * (1.0 - share) * (1.0 / samples as f64 + 1.0 / 2000.0)).sqrt();
            assert!(
                (found[k] - want).abs() <= 4.0 * error + 1.0,
                "{name}, {n} rows: {} against {want}",
                found[k]
            );
        }
    }
}

/// As [`COVERAGE`], of the difference of two closely related models, only one of which is right on 1.6, 4.4 and 11 % of the
/// questions: for plain answers, answers in groups, and groups of nearly equal answers; with 33, 99 and 501 answers each.
#[rustfmt::skip]
const RELATED: [(&str, World, [f64; 9]); 3] = [
    ("plain", PLAIN, [100.0, 99.4, 96.0, 99.5, 96.5, 94.4, 98.0, 95.8, 95.5]),
    ("groups", GROUPED, [100.0, 100.0, 98.5, 100.0, 100.0, 95.7, 100.0, 97.9, 95.1]),
    ("groups of nearly one row", TOGETHER, [100.0, 100.0, 99.0, 100.0, 100.0, 92.5, 100.0, 98.5, 93.3]),
];

/// The distances of the models of [`RELATED`].
const APART: [f64; 3] = [0.03, 0.08, 0.2];

/// Coverage in per cent of the difference's interval, for each of [`APART`] and [`SIZES`].
fn related(world: World, samples: u64, replicates: usize) -> [f64; 9] {
    let worlds = APART.map(|apart| World { apart, ..world });
    let truths = worlds.map(|world| {
        let drawn = world.draw(120_000, u64::MAX);
        let signs: Vec<_> = drawn.iter().map(|row| row.pair().sign()).collect();
        paired::weighted(&signs, &vec![1; signs.len()])
    });
    std::array::from_fn(|place| {
        let (world, truth) = (worlds[place / 3], truths[place / 3]);
        let held = (0..samples)
            .into_par_iter()
            .filter(|&seed| {
                let drawn = world.draw(SIZES[place % 3], seed);
                let pairs: Vec<_> = drawn.iter().map(Drawn::pair).collect();
                let of = paired(&pairs, Resampling { replicates, seed });
                of.is_some_and(|of| of.difference.low <= truth && truth <= of.difference.high)
            })
            .count();
        100.0 * held as f64 / samples as f64
    })
}

/// Prints [`RELATED`].
#[test]
#[ignore = "takes minutes; prints the second table of the documentation"]
#[allow(clippy::print_stdout)]
fn table_of_related_models() {
    for (name, world, _) in RELATED {
        let held = related(world, 2_000, 2_000).map(|held| format!("{held:.1}"));
        println!("{name} | {}", held.join(" | "));
    }
}

#[test]
fn intervals_of_closely_related_models_have_their_coverage() {
    let samples = 200;
    for (name, world, coverage) in RELATED {
        for (place, (found, want)) in related(world, samples, 200)
            .into_iter()
            .zip(coverage)
            .enumerate()
        {
            let share = (want / 100.0).min(0.995);
            let error =
                100.0 * (share * (1.0 - share) * (1.0 / samples as f64 + 1.0 / 2000.0)).sqrt();
            assert!(
                (found - want).abs() <= 4.0 * error + 1.0,
                "{name}, {place}: {found} against {want}"
            );
            // The bootstrap interval had a coverage of 49 to 77 % for 33 questions.
            assert!(want >= 92.0, "{name}, {place}: {want}");
        }
    }
}

#[test]
fn intervals_of_plain_answers_have_their_coverage() {
    check_coverage(0, PLAIN);
}

#[test]
fn intervals_of_certain_answers_have_their_coverage() {
    check_coverage(1, CERTAIN);
}

#[test]
fn intervals_of_answers_in_groups_have_their_coverage() {
    check_coverage(2, GROUPED);
}
