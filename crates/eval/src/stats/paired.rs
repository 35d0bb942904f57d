//! Two systems on the same rows: who is right where, how much better one is, and what so many rows can show.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, Discrete, DiscreteCDF};
use verdict_data::{CONFIDENCE, Label};

use super::resample::{Estimate, Figure, Groups, Resampling, bootstrap};
use super::score::tango;

/// Chance with which a difference that is there should be seen.
pub const POWER: f64 = 0.8;

/// One question and what two systems answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The right label.
    pub truth: Label,
    /// The label that the first system gave; none where the answer is not in the form, which is wrong.
    pub first: Option<Label>,
    /// The label that the second system gave.
    pub second: Option<Label>,
    /// Rows of one group are not independent.
    pub group: u32,
}

impl Pair {
    /// 1 where only the first is right, −1 where only the second is, else 0.
    pub(super) fn sign(&self) -> i64 {
        let right = |answer: Option<Label>| i64::from(answer == Some(self.truth));
        right(self.first) - right(self.second)
    }
}

/// Who is right on how many rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Both systems.
    pub both: usize,
    /// The first alone.
    pub first: usize,
    /// The second alone.
    pub second: usize,
    /// Neither.
    pub neither: usize,
}

impl Table {
    /// Counts pairs.
    pub fn of(pairs: &[Pair]) -> Table {
        let mut table = Table::default();
        for pair in pairs {
            match (pair.sign(), pair.first == Some(pair.truth)) {
                (1, _) => table.first += 1,
                (-1, _) => table.second += 1,
                (_, true) => table.both += 1,
                (_, false) => table.neither += 1,
            }
        }
        table
    }
}

/// Two systems compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Paired {
    /// Number of rows.
    pub n: usize,
    /// Number of groups.
    pub groups: usize,
    /// Who is right where.
    pub table: Table,
    /// Accuracy of the first less accuracy of the second (tuned − base), with [`tango`]'s interval where every group
    /// has one row, else with a bootstrap interval over groups, each drawn with what both systems answered, or, where
    /// fewer than [`FEW_GROUPS`] groups favour a system, Tango's with as many pairs as there are groups.
    pub difference: Estimate,
    /// [`mcnemar`] of the table.
    pub p: f64,
    /// [`sign_flip`] over groups; none where every group has one row, where it would be `p` with noise.
    pub group_p: Option<f64>,
    /// [`smallest_difference`] for this n and this table's share of rows on which one system alone is right.
    pub detectable: Option<f64>,
}

/// Fewest groups that favour a system (have more rows on which it alone is right than rows of the other) from which
/// on the bootstrap's interval is taken: from fewer it is too narrow, without any it has no width.
pub const FEW_GROUPS: usize = 10;

/// Compares two systems; none without rows. The bootstrap's interval is a percentile interval; BCa held the truth
/// no more often in simulation.
pub fn paired(pairs: &[Pair], resampling: Resampling) -> Option<Paired> {
    if pairs.is_empty() {
        return None;
    }
    let groups = Groups::new(pairs.iter().map(|pair| pair.group));
    let signs: Vec<i64> = pairs.iter().map(Pair::sign).collect();
    let table = Table::of(pairs);
    let favouring = groups.sums(&signs).iter().filter(|sum| **sum != 0).count();
    let difference = if groups.are_rows() || favouring < FEW_GROUPS {
        // Rows of one group may be as good as one: as many pairs as groups, of the same shares.
        let each = groups.count() as f64 / pairs.len() as f64;
        let [first, second] = [table.first, table.second].map(|count| count as f64 * each);
        let (low, high) = tango(first, second, groups.count() as f64);
        Estimate {
            value: weighted(&signs, &vec![1; signs.len()]),
            low,
            high,
        }
    } else {
        let figure = Figure::percentile(-1.0, 1.0);
        let [difference] = bootstrap(&groups, resampling, [figure], |weights| {
            [weighted(&signs, weights)]
        });
        difference
    };
    let discordant = (table.first + table.second) as f64 / pairs.len() as f64;
    Some(Paired {
        n: pairs.len(),
        groups: groups.count(),
        table,
        difference,
        p: mcnemar(table.first, table.second),
        group_p: (!groups.are_rows()).then(|| sign_flip(&groups, &signs, resampling)),
        detectable: smallest_difference(pairs.len(), discordant),
    })
}

/// Mean sign of rows that are in the sample `weights` times.
pub(super) fn weighted(signs: &[i64], weights: &[u32]) -> f64 {
    let (mut sum, mut n) = (0, 0);
    for (sign, weight) in signs.iter().zip(weights) {
        sum += sign * i64::from(*weight);
        n += i64::from(*weight);
    }
    sum as f64 / n as f64
}

/// McNemar's exact two-sided p (McNemar 1947): how likely so uneven a split, or a more uneven one, of the rows on
/// which one system alone is right would be if either were as likely: `min(1, 2 P(Bin(first + second, ½) ≤
/// min(first, second)))`. 1 where there are none.
///
/// Assumes that these rows are independent: that of all groups only few have more than one of them, or that rows of
/// a group do not favour the same system together. Where they do, p is too small (501 rows in threes that share half
/// of their luck: 8 % of equal systems found different at 0.05, not 5 %); [`sign_flip`] is right then.
pub fn mcnemar(first: usize, second: usize) -> f64 {
    (2.0 * at_most(first.min(second), first + second, 0.5)).min(1.0)
}

/// Two-sided p of the sum of signs when whole groups change sides at random (Fisher's randomization test): the
/// share, out of all drawn and the one at hand, of sums that are at least as far from 0. Assumes that groups are
/// independent and that under the null hypothesis either system's answers to a group could as well be the other's.
/// Never less than `1 / (replicates + 1)`.
pub fn sign_flip(groups: &Groups, signs: &[i64], resampling: Resampling) -> f64 {
    let sums: Vec<i64> = groups
        .sums(signs)
        .into_iter()
        .filter(|sum| *sum != 0)
        .collect();
    let found = sums.iter().sum::<i64>().abs();
    let far = (0..resampling.replicates as u64)
        .filter(|replicate| {
            let flipped = sums.iter().enumerate().map(|(draw, sum)| {
                match super::resample::uniform(resampling.seed, *replicate, draw as u64) < 0.5 {
                    true => *sum,
                    false => -sum,
                }
            });
            flipped.sum::<i64>().abs() >= found
        })
        .count();
    (far + 1) as f64 / (resampling.replicates + 1) as f64
}

/// Holm's adjusted p values (Holm 1979), in the order given: with the values sorted, the largest of
/// `(m − j) p₍ⱼ₎` over `j ≤ i` (j from 0), at most 1. Rejecting where the adjusted value is at most α keeps the
/// chance of any false rejection at most α, whatever hangs on what.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut largest = 0.0_f64;
    for (place, row) in order.into_iter().enumerate() {
        largest = largest.max((p.len() - place) as f64 * p[row]).min(1.0);
        adjusted[row] = largest;
    }
    adjusted
}

/// The smallest difference in accuracy that [`mcnemar`] would find (p ≤ 0.05, in the right direction) on `n`
/// independent rows with a chance of [`POWER`], where on a share `discordant` of all questions one system alone is
/// right. None where even a system that is right on all of these would be found too seldom.
///
/// Exact: with N ~ Bin(n, discordant) rows to decide and K ~ Bin(N, ½ − difference / (2 discordant)) of them for
/// the worse system, the chance that K is at most the largest k with `2 P(Bin(N, ½) ≤ k) ≤ 0.05`. Connor 1987
/// (Biometrics 43:207) has the normal approximation, which is 2 to 4 % too small here because the exact test is
/// conservative. The share is taken as known; one that was observed on few rows is itself uncertain.
///
/// # Panics
/// When `discordant` is not between 0 and 1.
pub fn smallest_difference(n: usize, discordant: f64) -> Option<f64> {
    assert!((0.0..=1.0).contains(&discordant), "{discordant}");
    if n == 0 || discordant == 0.0 {
        return None;
    }
    let deciding = deciding(n, discordant);
    let power = |difference: f64| -> f64 {
        let worse = (0.5 - difference / (2.0 * discordant)).max(0.0);
        let chance =
            |(rows, likely, most): &(usize, f64, usize)| likely * at_most(*most, *rows, worse);
        deciding.iter().map(chance).sum()
    };
    if power(discordant) < POWER {
        return None;
    }
    let (mut low, mut high) = (0.0, discordant);
    while high - low > 1e-9 {
        let middle = f64::midpoint(low, high);
        match power(middle) < POWER {
            true => low = middle,
            false => high = middle,
        }
    }
    Some(high)
}

/// Each number of deciding rows that may occur and can lead to a rejection, how likely it is, and the largest count
/// for one system that does.
fn deciding(n: usize, discordant: f64) -> Vec<(usize, f64, usize)> {
    let Ok(rows) = Binomial::new(discordant, n as u64) else {
        return Vec::new();
    };
    // Beyond ten standard deviations (and ten rows, where those are few) lies less than 1e-15.
    let centre = n as f64 * discordant;
    let reach = 10.0 * (centre * (1.0 - discordant)).sqrt() + 10.0;
    let from = (centre - reach).max(0.0) as usize;
    let to = ((centre + reach) as usize).min(n);
    (from..=to)
        .filter_map(|count| Some((count, rows.pmf(count as u64), critical(count)?)))
        .collect()
}

/// The largest k with `2 P(Bin(rows, ½) ≤ k) ≤ 0.05`, if there is one.
fn critical(rows: usize) -> Option<usize> {
    let tail = (1.0 - CONFIDENCE) / 2.0;
    let even = Binomial::new(0.5, rows as u64).ok()?;
    let reached = even.inverse_cdf(tail);
    match even.cdf(reached) <= tail {
        true => Some(reached as usize),
        false => reached.checked_sub(1).map(|k| k as usize),
    }
}

/// `P(Bin(n, p) ≤ k)`.
pub(crate) fn at_most(k: usize, n: usize, p: f64) -> f64 {
    match Binomial::new(p, n as u64) {
        Ok(binomial) => binomial.cdf(k as u64),
        Err(_) => f64::NAN,
    }
}
