//! The bootstrap over groups: how far a figure may be from what it stands for, whatever the figure is.
//!
//! Rows of one group (questions of one paper) are not independent, so whole groups are drawn, with replacement,
//! as many as there are (Davison and Hinkley 1997, section 3.8). A figure is a function of how often each row is
//! in the sample; drawn rows are never copied.

use std::collections::HashMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};
use verdict_data::CONFIDENCE;

use crate::metrics::{Proportion, mean, quantile};

/// A figure with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The figure on the rows as they are.
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
    /// Whether the value is 0 or 1 in every drawn sample: the bootstrap then gives an interval without width.
    pub(super) fn is_stuck(&self) -> bool {
        (self.value == 0.0 || self.value == 1.0) && self.low >= self.high
    }

    /// A share for which every drawn sample is 0, or every one 1, gets Wilson's interval of none, or all, of
    /// `groups`, the groups that it counts rows of: no narrower than it should be, since a share of right rows is at
    /// least the share of groups that are all right. Other shares stay.
    pub(super) fn or_wilson(self, groups: usize) -> Estimate {
        if !self.is_stuck() {
            return self;
        }
        let count = if self.value == 0.0 { 0 } else { groups };
        Estimate {
            value: self.value,
            ..Proportion::new(count, groups).into()
        }
    }
}

/// How many samples are drawn, and from which random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resampling {
    /// Samples drawn. The ends of an interval move by about 3 % of its width from seed to seed at 2,000.
    pub replicates: usize,
    /// Seed of the draws.
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

/// How an interval is read off the drawn samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// [`percentile`].
    Percentile,
    /// [`bca`].
    Bca,
}

/// What has to be known of a figure to give it an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// How the interval is read off.
    pub method: Method,
    /// The least value that the figure can take.
    pub least: f64,
    /// The largest.
    pub most: f64,
}

impl Figure {
    /// A figure between `least` and `most` with percentile intervals.
    pub const fn percentile(least: f64, most: f64) -> Figure {
        Figure {
            method: Method::Percentile,
            least,
            most,
        }
    }

    /// A figure between `least` and `most` with BCa intervals.
    pub const fn bca(least: f64, most: f64) -> Figure {
        Figure {
            method: Method::Bca,
            least,
            most,
        }
    }
}

/// Which rows belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    /// The number of each row's group: 0 for the first that is seen, and so on.
    of: Vec<u32>,
    count: usize,
}

impl Groups {
    /// From each row's group, in the order of the rows.
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

    /// Whether every group has one row: rows are independent.
    pub fn are_rows(&self) -> bool {
        self.count == self.of.len()
    }

    /// The sum of a number of each row over each group.
    pub fn sums(&self, values: &[i64]) -> Vec<i64> {
        let mut sums = vec![0; self.count];
        for (value, group) in values.iter().zip(&self.of) {
            sums[*group as usize] += value;
        }
        sums
    }

    /// From how often each group is in a sample to how often each row is.
    fn spread(&self, groups: &[u32], rows: &mut [u32]) {
        for (row, group) in rows.iter_mut().zip(&self.of) {
            *row = groups[*group as usize];
        }
    }
}

/// The random number of one draw: that of SplitMix64 (Steele, Lea and Flood 2014) in the stream of seed and
/// replicate. Nothing is kept between draws, so threads change nothing.
fn random(seed: u64, replicate: u64, draw: u64) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = |z: u64| {
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let stream = mixed(mixed(seed.wrapping_add(STEP)) ^ replicate.wrapping_mul(STEP));
    mixed(stream.wrapping_add((draw + 1).wrapping_mul(STEP)))
}

/// A random number from 0 to 1, 1 excluded, in steps of 2⁻⁵³.
pub(crate) fn uniform(seed: u64, replicate: u64, draw: u64) -> f64 {
    (random(seed, replicate, draw) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A random number below `count`. One number is more likely than another by at most `count` / 2⁶⁴.
fn below(count: usize, seed: u64, replicate: u64, draw: u64) -> usize {
    ((u128::from(random(seed, replicate, draw)) * count as u128) >> 64) as usize
}

/// Figures with their intervals. `statistic` gives the figures of a sample from how often each row is in it (in
/// the order in which `groups` saw the rows); a figure that a sample does not define is NaN there, and the sample
/// does not count for it.
///
/// With fewer than two groups nothing is known of the spread: the interval is all from the figure's least to its
/// most. A figure that the rows themselves do not define has the least value and that interval. Where every sample
/// gives the same figure (all answers right) the interval has no width, which is too little; the callers in this
/// folder take [Wilson's](Proportion) there.
///
/// How often these intervals hold the truth is [measured](super#how-often-the-intervals-hold-the-truth).
pub fn bootstrap<const K: usize>(
    groups: &Groups,
    resampling: Resampling,
    figures: [Figure; K],
    statistic: impl Fn(&[u32]) -> [f64; K] + Sync,
) -> [Estimate; K] {
    let whole = statistic(&vec![1; groups.rows()]);
    if groups.count() < 2 {
        return std::array::from_fn(|k| unknown(whole[k], figures[k]));
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
    if figures.iter().any(|figure| figure.method == Method::Bca) {
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
            return unknown(whole[k], figures[k]);
        }
        values.sort_by(f64::total_cmp);
        let (low, high) = match figures[k].method {
            Method::Percentile => percentile(&values, z),
            Method::Bca => bca(&values, whole[k], &column(&left_out), z),
        };
        Estimate {
            value: whole[k],
            low,
            high,
        }
    })
}

/// Groups are left out one by one up to this many; of more, so many parts are: the work would grow as the square of
/// their number, for an acceleration that shrinks as its root.
const MOST_LEFT_OUT: usize = 1_000;

/// Figures without each group, or without each of `most` parts into which more groups are thrown at random.
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

fn unknown(value: f64, figure: Figure) -> Estimate {
    Estimate {
        value: if value.is_nan() { figure.least } else { value },
        low: figure.least,
        high: figure.most,
    }
}

/// Half the width of an interval in standard errors: `z = √(G / (G − 1)) t`, `t` the quantile at (1 + 0.95) / 2 of
/// Student's distribution with G − 1 degrees of freedom, G ≥ 2 the number of groups. 1.96 for many groups, 2.34 for
/// 11: a bootstrap takes the spread of its G groups for known and divides by G, not G − 1, so its plain intervals are
/// too narrow by this factor (Hesterberg 2015, The American Statistician 69:371).
pub fn reach(groups: usize) -> f64 {
    let free = groups as f64 - 1.0;
    let t = StudentsT::new(0.0, 1.0, free).map_or(f64::NAN, |student| {
        student.inverse_cdf(f64::midpoint(1.0, CONFIDENCE))
    });
    (groups as f64 / free).sqrt() * t
}

/// The percentile interval (Efron 1979): the drawn values, which have to be sorted, at the shares Φ(−z) and Φ(z);
/// between neighbours by straight line, as numpy. The plain 95 % interval is that of z = 1.96.
pub fn percentile(sorted: &[f64], z: f64) -> (f64, f64) {
    let end = |z: f64| quantile(sorted, Normal::standard().cdf(z));
    (end(-z), end(z))
}

/// The bias-corrected and accelerated interval (Efron 1987): the sorted drawn values at the shares
///
/// ```text
/// Φ(z₀ + (z₀ ± z) / (1 − a (z₀ ± z)))
/// z₀ = Φ⁻¹(share of drawn values below the value; those equal to it count half)
/// a  = Σ dᵢ³ / (6 (Σ dᵢ²)^1.5),   dᵢ = mean of `left_out` − its i-th
/// ```
///
/// `left_out` are the figures without one group each (of many groups: without a part of them each). The same as scipy's `bootstrap(method="BCa")`, but that a
/// share of 0 or 1 is taken as half a drawn value, where scipy has no interval, and that `a` is 0 where all
/// `left_out` are the same.
pub fn bca(sorted: &[f64], value: f64, left_out: &[f64], z: f64) -> (f64, f64) {
    let normal = Normal::standard();
    // Sums in another order differ by rounding and are still equal.
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
