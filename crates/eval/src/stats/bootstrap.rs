//! The bootstrap over groups: intervals for any statistic.
//!
//! Rows of one group (questions on one paper) are not independent, so whole groups are drawn with replacement, as many as
//! there are (Davison and Hinkley 1997, section 3.8). A statistic is a function of how often each row is in the sample;
//! rows are never copied.

use std::collections::HashMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};
use verdict_common::random::{finalize, mix};
use verdict_data::CONFIDENCE;

use crate::metrics::{Proportion, mean, quantile};

/// An estimate with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The estimate from the original rows.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl From<Proportion> for Estimate {
    fn from(share: Proportion) -> Estimate {
        Estimate {
            value: share.value,
            low: share.low,
            high: share.high,
        }
    }
}

impl Estimate {
    /// Whether the statistic is 0 or 1 in every sample, so that the bootstrap interval has no width.
    pub(super) fn is_constant(&self) -> bool {
        (self.value == 0.0 || self.value == 1.0) && self.low >= self.high
    }

    /// For a share that is 0 or 1 in every sample, Wilson's interval of 0 or all of `groups`, the number of groups with
    /// counted rows. It is not too narrow, since the share of right rows is at least that of groups that are all right.
    /// Other shares are unchanged.
    pub(super) fn or_wilson(self, groups: usize) -> Estimate {
        if !self.is_constant() {
            return self;
        }
        let count = if self.value == 0.0 { 0 } else { groups };
        Estimate {
            value: self.value,
            ..Proportion::new(count, groups).into()
        }
    }
}

/// Number and seed of bootstrap samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resampling {
    /// Number of samples. With 2,000, the ends of an interval vary by about 3 % of its width between seeds.
    pub replicates: usize,
    /// Seed of the random numbers.
    pub seed: u64,
}

impl Default for Resampling {
    fn default() -> Self {
        Resampling {
            replicates: 2_000,
            seed: 0,
        }
    }
}

/// How an interval is computed from the samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntervalMethod {
    /// [`percentile`].
    Percentile,
    /// [`bca`].
    Bca,
}

/// The properties of a statistic that its interval depends on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistic {
    /// How the interval is computed.
    pub method: IntervalMethod,
    /// The smallest possible value.
    pub least: f64,
    /// The largest possible value.
    pub most: f64,
}

impl Statistic {
    /// A statistic between `least` and `most` with percentile intervals.
    pub const fn percentile(least: f64, most: f64) -> Statistic {
        Statistic {
            method: IntervalMethod::Percentile,
            least,
            most,
        }
    }

    /// A statistic between `least` and `most` with BCa intervals.
    pub const fn bca(least: f64, most: f64) -> Statistic {
        Statistic {
            method: IntervalMethod::Bca,
            least,
            most,
        }
    }
}

/// The assignment of rows to groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    /// The number of each row's group, numbered in order of first occurrence.
    of: Vec<u32>,
    count: usize,
}

/// A number for the group of each row, from its name.
pub(crate) fn group_numbers<'g>(groups: impl IntoIterator<Item = &'g str>) -> Vec<u32> {
    let mut numbers = HashMap::new();
    groups
        .into_iter()
        .map(|group| {
            let next = numbers.len() as u32;
            *numbers.entry(group).or_insert(next)
        })
        .collect()
}

impl Groups {
    /// From the group of each row, in the order of the rows.
    pub fn new(names: impl IntoIterator<Item = u32>) -> Groups {
        let mut numbers = HashMap::new();
        let of = names
            .into_iter()
            .map(|name| {
                let next = numbers.len() as u32;
                *numbers.entry(name).or_insert(next)
            })
            .collect();
        Groups {
            of,
            count: numbers.len(),
        }
    }

    /// Number of groups.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.of.len()
    }

    /// Whether every group has one row, so that rows are independent.
    pub fn are_rows(&self) -> bool {
        self.count == self.of.len()
    }

    /// The sums of values over each group.
    pub fn sums(&self, values: &[i64]) -> Vec<i64> {
        let mut sums = vec![0; self.count];
        for (value, group) in values.iter().zip(&self.of) {
            sums[*group as usize] += value;
        }
        sums
    }

    /// Copies the weight of each group to its rows.
    fn spread(&self, groups: &[u32], rows: &mut [u32]) {
        for (row, group) in rows.iter_mut().zip(&self.of) {
            *row = groups[*group as usize];
        }
    }
}

/// The random number of one draw: a SplitMix64 sequence whose seed depends on seed and replicate. It has no state, so
/// results do not depend on threads.
fn random(seed: u64, replicate: u64, draw: u64) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let stream = finalize(mix(seed) ^ replicate.wrapping_mul(STEP));
    finalize(stream.wrapping_add((draw + 1).wrapping_mul(STEP)))
}

/// A random number from 0 to 1, 1 excluded, in steps of 2⁻⁵³.
pub(crate) fn uniform(seed: u64, replicate: u64, draw: u64) -> f64 {
    (random(seed, replicate, draw) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A random number below `count`. One number is more likely than another by at most `count` / 2⁶⁴.
fn below(count: usize, seed: u64, replicate: u64, draw: u64) -> usize {
    ((u128::from(random(seed, replicate, draw)) * count as u128) >> 64) as usize
}

/// Estimates with their intervals. `statistic` computes the statistics of a sample from how often each row is in it (in
/// the order in which `groups` was given the rows); a statistic that is not defined for a sample is NaN, and the sample
/// does not count for it.
///
/// With fewer than two groups the spread is unknown, and the interval is the whole range of the statistic. A statistic
/// that is not defined for the original rows has its smallest value and that interval. Where a statistic is the same in
/// every sample (all answers right), the interval has no width, which is too narrow; the callers in this folder use
/// [Wilson's](Proportion) there.
///
/// The coverage of these intervals is [measured](super#coverage-of-the-intervals).
pub fn bootstrap<const K: usize>(
    groups: &Groups,
    resampling: Resampling,
    statistics: [Statistic; K],
    statistic: impl Fn(&[u32]) -> [f64; K] + Sync,
) -> [Estimate; K] {
    let whole = statistic(&vec![1; groups.rows()]);
    if groups.count() < 2 {
        return std::array::from_fn(|k| unknown(whole[k], statistics[k]));
    }
    let weights = || (vec![0; groups.count()], vec![0; groups.rows()]);
    let drawn: Vec<[f64; K]> = (0..resampling.replicates as u64)
        .into_par_iter()
        .map_init(weights, |(taken, rows), replicate| {
            taken.fill(0);
            for draw in 0..groups.count() as u64 {
                taken[below(groups.count(), resampling.seed, replicate, draw)] += 1;
            }
            groups.spread(taken, rows);
            statistic(rows)
        })
        .collect();
    let mut left_out = Vec::new();
    if statistics.iter().any(|of| of.method == IntervalMethod::Bca) {
        left_out = without(groups, MOST_LEFT_OUT, &statistic);
    }
    let z = reach(groups.count());
    std::array::from_fn(|k| {
        let column = |rows: &[[f64; K]]| -> Vec<f64> {
            rows.iter()
                .map(|row| row[k])
                .filter(|value| !value.is_nan())
                .collect()
        };
        let mut values = column(&drawn);
        if whole[k].is_nan() || values.is_empty() {
            return unknown(whole[k], statistics[k]);
        }
        values.sort_by(f64::total_cmp);
        let (low, high) = match statistics[k].method {
            IntervalMethod::Percentile => percentile(&values, z),
            IntervalMethod::Bca => bca(&values, whole[k], &column(&left_out), z),
        };
        Estimate {
            value: whole[k],
            low,
            high,
        }
    })
}

/// Up to this many groups are left out one by one; more groups are left out in this many parts, since the work would grow
/// with the square of their number, while the acceleration shrinks with its root.
const MOST_LEFT_OUT: usize = 1_000;

/// Statistics without each group, or without each of `most` random parts if there are more groups.
pub(super) fn without<const K: usize>(
    groups: &Groups,
    most: usize,
    statistic: impl Fn(&[u32]) -> [f64; K] + Sync,
) -> Vec<[f64; K]> {
    let parts: Vec<usize> = (0..groups.count())
        .map(|group| match groups.count() > most {
            true => below(most, 0, u64::MAX, group as u64),
            false => group,
        })
        .collect();
    (0..groups.count().min(most))
        .into_par_iter()
        .map_init(
            || (vec![0; groups.count()], vec![0; groups.rows()]),
            |(taken, rows), part| {
                for (taken, of) in taken.iter_mut().zip(&parts) {
                    *taken = u32::from(*of != part);
                }
                groups.spread(taken, rows);
                statistic(rows)
            },
        )
        .collect()
}

fn unknown(value: f64, statistic: Statistic) -> Estimate {
    Estimate {
        value: if value.is_nan() {
            statistic.least
        } else {
            value
        },
        low: statistic.least,
        high: statistic.most,
    }
}

/// Half the width of an interval in standard errors: `z = √(G / (G − 1)) t`, with `t` the quantile at (1 + 0.95) / 2 of
/// Student's distribution with G − 1 degrees of freedom, and G ≥ 2 the number of groups. 1.96 for many groups, 2.34 for
/// 11: the bootstrap treats the spread of its G groups as known and divides by G, not G − 1, so its plain intervals are
/// too narrow by this factor (Hesterberg 2015, The American Statistician 69:371).
pub fn reach(groups: usize) -> f64 {
    let free = groups as f64 - 1.0;
    let t = StudentsT::new(0.0, 1.0, free).map_or(f64::NAN, |student| {
        student.inverse_cdf(f64::midpoint(1.0, CONFIDENCE))
    });
    (groups as f64 / free).sqrt() * t
}

/// The percentile interval (Efron 1979): the quantiles Φ(−z) and Φ(z) of the sampled values, which have to be sorted, by
/// linear interpolation as in numpy. The plain 95 % interval is that of z = 1.96.
pub fn percentile(sorted: &[f64], z: f64) -> (f64, f64) {
    let end = |z: f64| quantile(sorted, Normal::standard().cdf(z));
    (end(-z), end(z))
}

/// The bias-corrected and accelerated interval (Efron 1987): the quantiles of the sorted sampled values at
///
/// ```text
/// Φ(z₀ + (z₀ ± z) / (1 − a (z₀ ± z)))
/// z₀ = Φ⁻¹(share of sampled values below the estimate; those equal to it count half)
/// a  = Σ dᵢ³ / (6 (Σ dᵢ²)^1.5),   dᵢ = mean of `left_out` − its i-th
/// ```
///
/// `left_out` are the statistics without one group each (or one part of many groups). As scipy's
/// `bootstrap(method="BCa")`, except that a share of 0 or 1 counts as half a sampled value, where scipy has no interval,
/// and that `a` is 0 where all `left_out` are equal.
pub fn bca(sorted: &[f64], value: f64, left_out: &[f64], z: f64) -> (f64, f64) {
    let normal = Normal::standard();
    // Sums in another order count as equal although they differ by rounding.
    let rounding = 1e-12 * value.abs().max(1.0);
    let (below, upto) = (
        sorted.partition_point(|drawn| *drawn < value - rounding),
        sorted.partition_point(|drawn| *drawn <= value + rounding),
    );
    let least = 0.5 / sorted.len() as f64;
    let share = (below + upto) as f64 / (2 * sorted.len()) as f64;
    let bias = normal.inverse_cdf(share.clamp(least, 1.0 - least));
    let acceleration = acceleration(left_out);
    let end = |z: f64| {
        let moved = bias + z;
        let place = normal.cdf(bias + moved / (1.0 - acceleration * moved));
        quantile(sorted, place)
    };
    (end(-z), end(z))
}

/// `a` of [`bca`].
pub(super) fn acceleration(left_out: &[f64]) -> f64 {
    let centre = mean(left_out);
    let (mut squares, mut cubes) = (0.0, 0.0);
    for left in left_out {
        let d = centre - left;
        squares += d * d;
        cubes += d * d * d;
    }
    match squares > 0.0 {
        true => cubes / (6.0 * squares.powf(1.5)),
        false => 0.0,
    }
}
