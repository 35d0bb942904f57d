//! Two models on the same questions: contingency table, difference, test, and minimum detectable difference.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, Discrete, DiscreteCDF};
use verdict_data::{CONFIDENCE, Label};

use super::bootstrap::{Estimate, Groups, Resampling, Statistic, bootstrap};
use super::score_interval::tango;

/// Power at which the minimum detectable difference is computed.
pub const POWER: f64 = 0.8;

/// The answers of two models to one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairedAnswers {
    /// The true label.
    pub truth: Label,
    /// The label of the first model's answer; none where it is not format-valid, which counts as wrong.
    pub first: Option<Label>,
    /// The label of the second model's answer.
    pub second: Option<Label>,
    /// Number of the group: questions of one group are not independent.
    pub group: u32,
}

impl PairedAnswers {
    /// 1 where only the first is right, −1 where only the second is, else 0.
    pub(super) fn sign(&self) -> i64 {
        let right = |answer: Option<Label>| i64::from(answer == Some(self.truth));
        right(self.first) - right(self.second)
    }
}

/// How many questions each of two models answers right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContingencyTable {
    /// Both models.
    pub both: usize,
    /// Only the first.
    pub first: usize,
    /// Only the second.
    pub second: usize,
    /// Neither.
    pub neither: usize,
}

impl ContingencyTable {
    /// Counts pairs.
    pub fn of(pairs: &[PairedAnswers]) -> ContingencyTable {
        let mut table = ContingencyTable::default();
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

/// The comparison of two models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Paired {
    /// Number of questions.
    pub n: usize,
    /// Number of groups.
    pub groups: usize,
    /// The contingency table.
    pub table: ContingencyTable,
    /// Accuracy of the first minus accuracy of the second (tuned − base), with [`tango`]'s interval where every group has
    /// one question, else with a bootstrap interval over groups or, where fewer than [`FEW_GROUPS`] groups favour one of
    /// the models, Tango's with as many pairs as there are groups.
    pub difference: Estimate,
    /// [`mcnemar`] of the table.
    pub p: f64,
    /// [`sign_flip`] over groups; none where every group has one question, for which it would be `p` with noise.
    pub group_p: Option<f64>,
    /// The minimum detectable difference: [`smallest_difference`] for this n and this table's share of questions that only
    /// one model answers right.
    pub detectable: Option<f64>,
}

impl Paired {
    /// The p value that applies: over groups where there are any.
    pub fn deciding_p(&self) -> f64 {
        self.group_p.unwrap_or(self.p)
    }
}

/// Smallest number of groups that favour one of the models (it is the only one to be right on more of their questions than
/// the other) for which the bootstrap interval is used: with fewer it is too narrow, with none it has no width.
pub const FEW_GROUPS: usize = 10;

/// Compares two models; none without questions. The bootstrap interval is a percentile interval; BCa had no higher
/// coverage in simulation.
pub fn paired(pairs: &[PairedAnswers], resampling: Resampling) -> Option<Paired> {
    if pairs.is_empty() {
        return None;
    }
    let groups = Groups::new(pairs.iter().map(|pair| pair.group));
    let signs: Vec<i64> = pairs.iter().map(PairedAnswers::sign).collect();
    let table = ContingencyTable::of(pairs);
    let favouring = groups.sums(&signs).iter().filter(|sum| **sum != 0).count();
    let difference = if groups.are_rows() || favouring < FEW_GROUPS {
        // Questions of one group may be perfectly correlated: as many pairs as groups, with the same shares.
        let each = groups.count() as f64 / pairs.len() as f64;
        let [first, second] = [table.first, table.second].map(|count| count as f64 * each);
        let (low, high) = tango(first, second, groups.count() as f64);
        Estimate {
            value: weighted(&signs, &vec![1; signs.len()]),
            low,
            high,
        }
    } else {
        let figure = Statistic::percentile(-1.0, 1.0);
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

/// Mean sign of questions that are in the sample `weights` times.
pub(super) fn weighted(signs: &[i64], weights: &[u32]) -> f64 {
    let (mut sum, mut n) = (0, 0);
    for (sign, weight) in signs.iter().zip(weights) {
        sum += sign * i64::from(*weight);
        n += i64::from(*weight);
    }
    sum as f64 / n as f64
}

/// McNemar's exact two-sided p (McNemar 1947): the probability of a split at least as uneven of the questions that only
/// one model answers right, if both models were equally likely: `min(1, 2 P(Bin(first + second, ½) ≤
/// min(first, second)))`. 1 where there are none.
///
/// Assumes that these questions are independent: few groups have more than one of them, or the questions of a group do not
/// favour the same model. Otherwise p is too small (for 501 questions in groups of three with correlated errors, 8 % of
/// equal models are found different at 0.05, not 5 %), and [`sign_flip`] applies.
pub fn mcnemar(first: usize, second: usize) -> f64 {
    (2.0 * at_most(first.min(second), first + second, 0.5)).min(1.0)
}

/// Two-sided p of the sum of signs when whole groups swap the models at random (Fisher's randomization test): the share,
/// among all random sums and the observed one, of sums at least as far from 0. Assumes that groups are independent and
/// that, under the null hypothesis, the answers of the models to a group are exchangeable. At least
/// `1 / (replicates + 1)`.
pub fn sign_flip(groups: &Groups, signs: &[i64], resampling: Resampling) -> f64 {
    let sums: Vec<i64> = groups
        .sums(signs)
        .into_iter()
        .filter(|sum| *sum != 0)
        .collect();
    let found = sums.iter().sum::<i64>().abs();
    let far = (0..resampling.replicates as u64)
        .filter(|replicate| {
            let flipped =
                sums.iter().enumerate().map(|(draw, sum)| {
                    match super::bootstrap::uniform(resampling.seed, *replicate, draw as u64) < 0.5
                    {
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
/// probability of any false rejection at most α, under any dependence.
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

/// The minimum detectable difference: the smallest difference in accuracy that [`mcnemar`] finds (p ≤ 0.05, in the right
/// direction) on `n` independent questions with a power of [`POWER`], where only one model is right on a share
/// `discordant` of all questions. None where the power is too low even if the better model is right on all of these.
///
/// Exact: with N ~ Bin(n, discordant) discordant questions and K ~ Bin(N, ½ − difference / (2 discordant)) of them for the
/// worse model, the probability that K is at most the largest k with `2 P(Bin(N, ½) ≤ k) ≤ 0.05`. Connor 1987 (Biometrics
/// 43:207) gives the normal approximation, which is 2 to 4 % too small here because the exact test is conservative. The
/// share is taken as known; one observed on few questions is itself uncertain.
///
/// # Panics
/// When `discordant` is not between 0 and 1.
pub fn smallest_difference(n: usize, discordant: f64) -> Option<f64> {
    assert!((0.0..=1.0).contains(&discordant), "{discordant}");
    if n == 0 || discordant == 0.0 {
        return None;
    }
    let discordant_counts = discordant_counts(n, discordant);
    let power = |difference: f64| -> f64 {
        let worse = (0.5 - difference / (2.0 * discordant)).max(0.0);
        let chance =
            |(rows, likely, most): &(usize, f64, usize)| likely * at_most(*most, *rows, worse);
        discordant_counts.iter().map(chance).sum()
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

/// Each number of discordant questions that can lead to a rejection, its probability, and the largest count for the worse
/// model that does.
fn discordant_counts(n: usize, discordant: f64) -> Vec<(usize, f64, usize)> {
    let Ok(rows) = Binomial::new(discordant, n as u64) else {
        return Vec::new();
    };
    // The probability beyond ten standard deviations (and ten questions, where those are few) is below 1e-15.
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
