//! Simulations of the guarantees of tests and thresholds.

use rayon::prelude::*;

use super::world::{CERTAIN, Drawn, PLAIN, TOGETHER, World, softmax};
use crate::stats::abstain::limit_wrong_of_answered;
use crate::stats::bootstrap::{Groups, Resampling, uniform};
use crate::stats::paired::{ContingencyTable, PairedAnswers, mcnemar, sign_flip};
use crate::stats::probability::Forecast;

/// Standard error of a share from so many repetitions.
fn error(share: f64, times: u64) -> f64 {
    (share * (1.0 - share) / times as f64).sqrt()
}

/// Two equally good models: the answers of each group are swapped at random.
fn even(world: World, n: usize, sample: u64) -> Vec<PairedAnswers> {
    let mut pairs: Vec<PairedAnswers> =
        world.draw(n, sample).iter().map(|row| row.pair()).collect();
    for pair in &mut pairs {
        if uniform(72, sample, u64::from(pair.group)) < 0.5 {
            std::mem::swap(&mut pair.first, &mut pair.second);
        }
    }
    pairs
}

/// Shares of samples in which McNemar's test and the test over groups reject at 0.05.
fn sizes(world: World, n: usize, times: u64) -> [f64; 2] {
    let found: Vec<[bool; 2]> = (0..times)
        .into_par_iter()
        .map(|sample| {
            let pairs = even(world, n, sample);
            let table = ContingencyTable::of(&pairs);
            let groups = Groups::new(pairs.iter().map(|pair| pair.group));
            let signs: Vec<i64> = pairs.iter().map(PairedAnswers::sign).collect();
            let resampling = Resampling {
                replicates: 199,
                seed: sample,
            };
            [
                mcnemar(table.first, table.second) <= 0.05,
                sign_flip(&groups, &signs, resampling) <= 0.05,
            ]
        })
        .collect();
    [0, 1].map(|test| found.iter().filter(|found| found[test]).count() as f64 / times as f64)
}

#[test]
fn no_difference_is_seen_in_one_of_twenty_samples_at_most() {
    let times = 1_000;
    for n in [33, 99, 501] {
        for (test, size) in sizes(PLAIN, n, times).into_iter().enumerate() {
            assert!(
                size <= 0.05 + 3.0 * error(0.05, times),
                "{n} rows, test {test}: {size}"
            );
            // Exact tests are conservative, but do reject.
            assert!(size > 0.015, "{n} rows, test {test}: {size}");
        }
    }
}

#[test]
fn groups_that_favour_one_system_need_the_test_over_groups() {
    let times = 1_000;
    for n in [99, 501] {
        let [rows, groups] = sizes(TOGETHER, n, times);
        assert!(rows > 0.05 + 3.0 * error(0.05, times), "{n} rows: {rows}");
        assert!(
            groups <= 0.05 + 3.0 * error(0.05, times),
            "{n} rows: {groups}"
        );
        assert!(groups > 0.015, "{n} rows: {groups}");
    }
}

/// Confidence and correctness of a forecast at a temperature.
fn tempered(forecast: &Forecast, temperature: f64) -> (f64, bool) {
    let logits = forecast
        .probabilities
        .map(|p| p.max(1e-300).ln() / temperature);
    let tempered = Forecast {
        probabilities: softmax(logits),
        ..*forecast
    };
    (tempered.confidence(), tempered.right())
}

/// The temperature of the least log loss (Guo et al. 2017), by golden-section search between 1/20 and 20.
fn fitted(forecasts: &[Forecast]) -> f64 {
    let loss = |log: f64| -> f64 {
        let of = |row: &Forecast| {
            let logits = row.probabilities.map(|p| p.max(1e-300).ln() / log.exp());
            -softmax(logits)[row.truth.index()].max(1e-300).ln()
        };
        forecasts.iter().map(of).sum()
    };
    let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (-20.0_f64.ln(), 20.0_f64.ln());
    while high - low > 1e-3 {
        let (left, right) = (high - golden * (high - low), low + golden * (high - low));
        match loss(left) < loss(right) {
            true => high = right,
            false => low = left,
        }
    }
    f64::midpoint(low, high).exp()
}

/// Number of questions on which thresholds are tested.
const OTHERS: usize = 10_000;

/// Answers by descending confidence, with the expected number of wrong ones up to each.
struct Others(Vec<(f64, f64)>);

impl Others {
    /// At a temperature. A row counts as wrong with the chance that it has, which the world knows: less noise than
    /// from a truth that is drawn.
    fn new(drawn: &[Drawn], temperature: f64) -> Others {
        let mut rows: Vec<(f64, f64)> = drawn
            .iter()
            .map(|row| {
                let [p, _] = row.probabilities;
                let top = (1..3).fold(0, |top, label| if p[label] > p[top] { label } else { top });
                let (confidence, _) = tempered(&row.forecast(), temperature);
                (confidence, 1.0 - row.chances[top])
            })
            .collect();
        rows.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut wrong = 0.0;
        for row in &mut rows {
            wrong += row.1;
            row.1 = wrong;
        }
        Others(rows)
    }

    /// Shares of all that are answered, and answered wrongly.
    fn outcome(&self, threshold: Option<f64>) -> (f64, f64) {
        let answered = threshold.map_or(0, |least| self.0.partition_point(|row| row.0 >= least));
        let wrong = answered.checked_sub(1).map_or(0.0, |last| self.0[last].1);
        (
            answered as f64 / self.0.len() as f64,
            wrong / self.0.len() as f64,
        )
    }
}

/// The outcome over many validation sets.
#[derive(Debug)]
struct EarlierEvaluation {
    /// Share of validation sets with an error rate above alpha among answered questions.
    broken: f64,
    /// Mean coverage.
    coverage: f64,
}

/// Thresholds from many validation sets of n examples, tested on others. `one_of_each`: only the first of each group.
fn kept(
    world: World,
    n: usize,
    (alpha, delta): (f64, f64),
    temperature: bool,
    one_of_each: bool,
    times: u64,
) -> EarlierEvaluation {
    let drawn = world.draw(OTHERS, u64::MAX);
    let plain = Others::new(&drawn, 1.0);
    let found: Vec<[f64; 2]> = (0..times)
        .into_par_iter()
        .map(|sample| {
            let mut validation = forecasts(world, n, sample);
            if one_of_each {
                validation.dedup_by_key(|row| row.group);
            }
            let fit = if temperature {
                fitted(&validation)
            } else {
                1.0
            };
            let rows: Vec<_> = validation.iter().map(|row| tempered(row, fit)).collect();
            let refitted = temperature.then(|| Others::new(&drawn, fit));
            let others = refitted.as_ref().unwrap_or(&plain);
            let (answered, wrong) =
                others.outcome(limit_wrong_of_answered(&rows, alpha, delta).threshold);
            [wrong, answered]
        })
        .collect();
    let share =
        |test: &dyn Fn(&[f64; 2]) -> f64| found.iter().map(test).sum::<f64>() / times as f64;
    EarlierEvaluation {
        broken: share(&|of| f64::from(u8::from(of[0] > alpha * of[1]))),
        coverage: share(&|of| of[1]),
    }
}

fn forecasts(world: World, n: usize, sample: u64) -> Vec<Forecast> {
    world
        .draw(n, sample)
        .iter()
        .map(|row| row.forecast())
        .collect()
}

#[test]
fn thresholds_keep_their_promises() {
    for (world, alpha) in [(PLAIN, 0.1), (PLAIN, 0.3), (CERTAIN, 0.05)] {
        for n in [33, 100, 500] {
            promised(world, n, alpha, false);
        }
    }
}

#[test]
fn a_temperature_fitted_on_the_same_rows_does_no_harm() {
    for (world, alpha) in [(PLAIN, 0.3), (CERTAIN, 0.05)] {
        for n in [33, 100, 500] {
            promised(world, n, alpha, true);
        }
    }
}

/// The error rate exceeds alpha for at most a share delta of validation sets, within three standard errors, and the
/// coverage is high where there are many examples.
#[track_caller]
fn promised(world: World, n: usize, alpha: f64, temperature: bool) {
    let (delta, times) = (0.1, 400);
    let kept = kept(world, n, (alpha, delta), temperature, false, times);
    let what = format!("{n} rows, {alpha}: {kept:?}");
    assert!(kept.broken <= delta + 3.0 * error(delta, times), "{what}");
    if n == 500 && alpha != 0.1 {
        assert!(kept.coverage > 0.4, "{what}");
    }
}

#[test]
fn rows_of_one_group_break_the_guarantee_and_one_of_each_keeps_it() {
    // Rows in threes that are right or wrong together count for less than they seem: not one validation set in ten,
    // but more are lucky.
    let broken = kept(TOGETHER, 501, (0.3, 0.1), false, false, 500).broken;
    assert!(broken > 0.1 + 3.0 * error(0.1, 500), "{broken}");
    let broken = kept(TOGETHER, 501, (0.3, 0.1), false, true, 500).broken;
    assert!(broken <= 0.1 + 3.0 * error(0.1, 500), "{broken}");
}
