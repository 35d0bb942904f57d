//! Screening: records are ranked by a score, and a person reads those above a threshold. What is found, what is missed,
//! and how much reading is saved.

use serde::{Deserialize, Serialize};

use super::abstain::fewest;
use super::bootstrap::{Estimate, Groups, Resampling, Statistic, bootstrap};
use super::paired::at_most;
use crate::metrics::Proportion;

/// The recall at which work saved is measured: 95 %, as in Cohen et al. 2006.
pub const WSS_RECALL: f64 = 0.95;

/// Probability that a certified threshold finds less than its target, for a confidence of 95 %.
pub const DELTA: f64 = 0.05;

/// A record with a score and the decision of the reviewers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScreenedRecord {
    /// The higher, the more likely to be included; any finite number.
    pub score: f64,
    /// Whether the reviewers included it.
    pub included: bool,
}

/// What a decision rule finds: each share with Wilson's interval for independent records.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScreeningCounts {
    /// Share of the included records that are kept.
    pub recall: Proportion,
    /// Share of the kept records that are included.
    pub precision: Proportion,
    /// Share of the excluded records that are not kept.
    pub specificity: Proportion,
    /// Share of all records that are kept, which a person reads.
    pub kept: Proportion,
}

impl ScreeningCounts {
    /// The counts of pairs of "kept" and "included".
    pub fn of(decisions: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let mut counts = [[0_usize; 2]; 2];
        for (kept, included) in decisions {
            counts[usize::from(kept)][usize::from(included)] += 1;
        }
        let [[excluded_left, missed], [excluded_kept, found]] = counts;
        let (kept, left) = (found + excluded_kept, missed + excluded_left);
        Self {
            recall: Proportion::new(found, found + missed),
            precision: Proportion::new(found, kept),
            specificity: Proportion::new(excluded_left, excluded_left + excluded_kept),
            kept: Proportion::new(kept, kept + left),
        }
    }
}

/// How well a score ranks included records before excluded ones, each figure with a BCa bootstrap interval over records.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// Area under the ROC curve: the probability that an included record has a higher score than an excluded one, with
    /// ties counted as one half.
    pub auroc: Estimate,
    /// Average precision: the sum over thresholds, from the highest, of precision times the gain in recall. Records of
    /// equal score are one step, and nothing is interpolated.
    pub average_precision: Estimate,
    /// Work saved over sampling at a recall of 95 %: `(TN + FN) / N − 0.05` at the highest threshold with that recall
    /// (Cohen, Hersh, Peterson and Yen 2006, JAMIA 13:206). 0 is no better than reading 95 % of the records in random
    /// order.
    pub work_saved: Estimate,
    /// That threshold: records of at least this score are kept.
    pub threshold: f64,
}

/// Records in order of their scores, from the highest.
fn ranked(records: &[ScreenedRecord]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..records.len()).collect();
    order.sort_by(|a, b| records[*b].score.total_cmp(&records[*a].score));
    order
}

/// AUROC, average precision and work saved of records that are in the sample `weights` times, and the threshold of the
/// last; NaN where one of the two classes is missing. `order` is that of [`ranked`].
fn weighted(records: &[ScreenedRecord], order: &[usize], weights: &[u32]) -> ([f64; 3], f64) {
    let count = |included: bool| -> f64 {
        let all = records.iter().zip(weights);
        let all = all.filter(|(record, _)| record.included == included);
        all.map(|(_, weight)| f64::from(*weight)).sum()
    };
    let (positives, negatives) = (count(true), count(false));
    if positives == 0.0 || negatives == 0.0 {
        return ([f64::NAN; 3], f64::NAN);
    }
    // The smallest number of included records with the recall, although 0.95 is no exact binary fraction.
    let enough = WSS_RECALL * positives * (1.0 - 1e-12);
    let (mut found, mut wrong) = (0.0, 0.0);
    let (mut area, mut precision) = (0.0, 0.0);
    let mut at_recall = None;
    for tied in order.chunk_by(|a, b| records[*a].score == records[*b].score) {
        let (mut more, mut more_wrong) = (0.0, 0.0);
        for &place in tied {
            let weight = f64::from(weights[place]);
            match records[place].included {
                true => more += weight,
                false => more_wrong += weight,
            }
        }
        if more + more_wrong == 0.0 {
            continue;
        }
        area += more_wrong * (found + more / 2.0);
        found += more;
        wrong += more_wrong;
        precision += more / positives * (found / (found + wrong));
        if found >= enough && at_recall.is_none() {
            let left = positives + negatives - found - wrong;
            let saved = left / (positives + negatives) - (1.0 - WSS_RECALL);
            at_recall = Some((saved, records[tied[0]].score));
        }
    }
    let (saved, threshold) = at_recall.unwrap_or((f64::NAN, f64::NAN));
    (
        [area / (positives * negatives), precision, saved],
        threshold,
    )
}

/// How well the scores rank the records; none without included or without excluded records.
///
/// # Panics
/// When a score is NaN.
pub fn ranking(records: &[ScreenedRecord], resampling: Resampling) -> Option<Ranking> {
    check(records);
    let order = ranked(records);
    let ([auroc, ..], threshold) = weighted(records, &order, &vec![1; records.len()]);
    if auroc.is_nan() {
        return None;
    }
    let groups = Groups::new(0..records.len() as u32);
    let (share, saved) = (
        Statistic::bca(0.0, 1.0),
        Statistic::bca(WSS_RECALL - 1.0, WSS_RECALL),
    );
    let [auroc, average_precision, work_saved] =
        bootstrap(&groups, resampling, [share, share, saved], |weights| {
            weighted(records, &order, weights).0
        });
    Some(Ranking {
        auroc,
        average_precision,
        work_saved,
        threshold,
    })
}

/// A threshold with a guarantee on its recall.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecallGuarantee {
    /// Target recall, 0 to 1.
    pub target: f64,
    /// Probability that the recall is below the target, 0 to 1.
    pub delta: f64,
    /// Records of at least this score are kept; none where nothing can be certified and all records must be read.
    pub threshold: Option<f64>,
    /// Number of included records that the threshold was chosen on.
    pub included: usize,
    /// The smallest number of them that can certify the target.
    pub fewest: usize,
    /// What the threshold does on these records.
    pub counts: Option<ScreeningCounts>,
}

/// The highest threshold whose recall is at least `target` with a confidence of `1 − delta`.
///
/// It is the k-th lowest score of the n included records, with the largest k such that
///
/// ```text
/// P(Bin(n, 1 − target) ≤ k − 1) ≤ delta
/// ```
///
/// The recall at the k-th lowest score falls below the target only if fewer than k of the n scores lie in the lowest
/// `1 − target` of the distribution, which has that probability (an order statistic as a tolerance bound; Wilks 1941).
/// It depends on n alone, so that nothing is chosen by looking at the scores, and ties only raise the recall. Already
/// k = 1 needs `target^n ≤ delta`: 59 included records for 95 % and 95 %.
///
/// The guarantee holds for any score under one assumption: the included records here and those to be found are drawn
/// independently from the same distribution. A random sample of the records to be screened, labelled by the reviewers,
/// satisfies it; the records of another review, or those read first because they ranked first, do not.
///
/// # Panics
/// When `target` or `delta` is not between 0 and 1, or a score is NaN.
pub fn recall_threshold(records: &[ScreenedRecord], target: f64, delta: f64) -> RecallGuarantee {
    check(records);
    for level in [target, delta] {
        assert!(
            level > 0.0 && level < 1.0,
            "{level}: expected a number between 0 and 1"
        );
    }
    let included = records.iter().filter(|record| record.included);
    let mut scores: Vec<f64> = included.map(|record| record.score).collect();
    scores.sort_by(f64::total_cmp);
    let missed = |k: usize| at_most(k - 1, scores.len(), 1.0 - target) <= delta;
    let k = (1..=scores.len()).take_while(|k| missed(*k)).last();
    let threshold = k.map(|k| scores[k - 1]);
    let decisions = |threshold: f64| {
        let decided = records.iter();
        let decided = decided.map(|record| (record.score >= threshold, record.included));
        ScreeningCounts::of(decided)
    };
    RecallGuarantee {
        target,
        delta,
        threshold,
        included: scores.len(),
        fewest: fewest(1.0 - target, delta),
        counts: threshold.map(decisions),
    }
}

fn check(records: &[ScreenedRecord]) {
    for record in records {
        assert!(!record.score.is_nan(), "a score is NaN, expected a number");
    }
}

#[cfg(test)]
mod tests {
    use verdict_common::random::SplitMix64;

    use super::*;

    fn records(scores: &[f64], included: &[u8]) -> Vec<ScreenedRecord> {
        let pairs = scores.iter().zip(included);
        pairs
            .map(|(score, included)| ScreenedRecord {
                score: *score,
                included: *included == 1,
            })
            .collect()
    }

    /// Uniform in [0, 1).
    fn uniform(random: &mut SplitMix64) -> f64 {
        (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    const FEW: Resampling = Resampling {
        replicates: 200,
        seed: 0,
    };

    #[test]
    fn figures_by_hand() {
        // From the highest: 1, 0, 1 | 0 tied, 0.
        let all = records(&[0.9, 0.8, 0.5, 0.5, 0.1], &[1, 0, 1, 0, 0]);
        let found = ranking(&all, FEW).expect("both classes");
        // Pairs: 0.9 beats three; 0.5 loses to 0.8, ties 0.5, beats 0.1.
        assert!((found.auroc.value - 4.5 / 6.0).abs() < 1e-12);
        // Steps: recall 1/2 at precision 1, recall 1 at precision 2/4.
        assert!((found.average_precision.value - 0.75).abs() < 1e-12);
        // A recall of 95 % needs both; one of five records is left.
        assert!((found.work_saved.value - (0.2 - 0.05)).abs() < 1e-12);
        assert_eq!(found.threshold, 0.5);
        let counts = ScreeningCounts::of(all.iter().map(|of| (of.score >= 0.8, of.included)));
        let pair = |of: Proportion| (of.count, of.total);
        assert_eq!(
            [
                counts.recall,
                counts.precision,
                counts.specificity,
                counts.kept
            ]
            .map(pair),
            [(1, 2), (1, 2), (2, 3), (2, 5)]
        );
        assert_eq!(ranking(&all[..1], FEW), None);
        assert_eq!(ranking(&[], FEW), None);
    }

    #[test]
    fn weights_are_copies_of_records() {
        let all = records(&[0.9, 0.7, 0.7, 0.4, 0.3, 0.2], &[1, 0, 1, 1, 0, 0]);
        let weights = [2, 1, 0, 3, 1, 2];
        let copies: Vec<ScreenedRecord> = all
            .iter()
            .zip(weights)
            .flat_map(|(record, weight)| vec![*record; weight as usize])
            .collect();
        let by_weights = weighted(&all, &ranked(&all), &weights);
        let by_copies = weighted(&copies, &ranked(&copies), &vec![1; copies.len()]);
        for (a, b) in by_weights.0.iter().zip(by_copies.0) {
            assert!((a - b).abs() < 1e-12, "{by_weights:?} {by_copies:?}");
        }
        assert_eq!(by_weights.1, by_copies.1);
    }

    #[test]
    fn a_threshold_needs_59_included_records_and_then_takes_the_lowest() {
        let scores = |n: usize| -> Vec<f64> { (0..n).map(|i| i as f64 / n as f64).collect() };
        let of = |n: usize| recall_threshold(&records(&scores(n), &vec![1; n]), 0.95, DELTA);
        assert_eq!((of(58).threshold, of(58).fewest), (None, 59));
        assert_eq!(of(59).threshold, Some(0.0));
        // P(Bin(92, 0.05) <= 0) = 0.0089, <= 1: 0.0522. P(Bin(93, 0.05) <= 1) = 0.0500 (Wilks: 93 for the second).
        assert_eq!(of(92).threshold, Some(0.0));
        assert_eq!(of(93).threshold, Some(1.0 / 93.0));
        let guarantee = of(0);
        assert_eq!((guarantee.threshold, guarantee.included), (None, 0));
    }

    #[test]
    fn the_recall_is_at_least_the_target_as_often_as_promised() {
        let mut random = SplitMix64::new(7);
        let (rounds, n) = (4_000, 120);
        let below = (0..rounds).filter(|_| {
            let scores: Vec<f64> = (0..n).map(|_| uniform(&mut random)).collect();
            let found = recall_threshold(&records(&scores, &vec![1; n]), 0.95, DELTA);
            // Uniform scores: the recall of a threshold is what lies above it.
            1.0 - found.threshold.expect("enough records") < 0.95
        });
        let share = below.count() as f64 / f64::from(rounds);
        // P(Bin(120, 0.05) <= 1) = 0.0155, <= 2: 0.0575: k = 2, so that 1.55 % are expected.
        assert!((share - 0.0155).abs() < 0.008, "{share}");
    }
}
