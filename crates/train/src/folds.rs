//! Folds for cross-validation: the fold to which each example of the pool belongs.
//!
//! The examples of one group always belong to the same fold, and each fold has, as far as groups allow,
//! the same share of each label.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use verdict_data::Label;

use crate::error::Fault;
use crate::training_set::TokenizedExample;

/// The examples of each group, groups in the order of their first examples.
fn groups(pool: &[&TokenizedExample]) -> Vec<Vec<usize>> {
    let mut number: BTreeMap<&str, usize> = BTreeMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (place, row) in pool.iter().enumerate() {
        let group = *number.entry(&row.group).or_insert(groups.len());
        if group == groups.len() {
            groups.push(Vec::new());
        }
        groups[group].push(place);
    }
    groups
}

/// Number of examples of each label.
fn counts(pool: &[&TokenizedExample], rows: &[usize]) -> [usize; 3] {
    let mut counts = [0; 3];
    rows.iter().for_each(|row| counts[pool[*row].label] += 1);
    counts
}

/// Why the pool cannot be split into so many folds: each of its labels must occur in at least as many
/// groups as there are folds, because a fold without a label says nothing about it. All faults at once.
pub(crate) fn faults(pool: &[&TokenizedExample], folds: usize) -> Vec<Fault> {
    let mut groups_with = [0; 3];
    for group in groups(pool) {
        let counts = counts(pool, &group);
        (0..3).for_each(|label| groups_with[label] += usize::from(counts[label] > 0));
    }
    let short = Label::ALL
        .iter()
        .zip(groups_with)
        .filter(|(_, n)| (1..folds).contains(n));
    short
        .map(|(label, n)| {
            let text = format!(
                "expected at most {n}, the number of groups with the label {label}, found {folds}"
            );
            Fault::new("folds", text)
        })
        .collect()
}

/// The fold of each example of the pool, in 0..`folds`. A function of the examples, their order, `seed`
/// and `repeat` (from 0).
///
/// Groups are assigned one by one, the largest first, those of equal size in an order given by SHA-256
/// of seed, repeat and the group's name. Each is assigned to the fold where its labels are rarest,
/// averaged over its examples, with each label's count taken as a share of that label's total. Ties go
/// to the fold with the fewest examples, then to the first.
pub(crate) fn draw(
    pool: &[&TokenizedExample],
    folds: usize,
    seed: u64,
    repeat: usize,
) -> Vec<usize> {
    let groups = groups(pool);
    let drawn = |group: &Vec<usize>| -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"folds");
        hash.update(seed.to_le_bytes());
        hash.update((repeat as u64).to_le_bytes());
        hash.update(pool[group[0]].group.as_bytes());
        hash.finalize().into()
    };
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by_cached_key(|group| {
        let group = &groups[*group];
        (std::cmp::Reverse(group.len()), drawn(group))
    });
    let all: Vec<usize> = (0..pool.len()).collect();
    let totals = counts(pool, &all).map(|total| total.max(1) as f64);
    let mut held = vec![[0usize; 3]; folds];
    let mut of = vec![0; pool.len()];
    for group in order {
        let own = counts(pool, &groups[group]);
        let crowding = |fold: usize| -> f64 {
            let term = |label: usize| (held[fold][label] * own[label]) as f64 / totals[label];
            (0..3).map(term).sum()
        };
        let rows = |fold: usize| held[fold].iter().sum::<usize>();
        let best = (0..folds).min_by(|a, b| {
            let crowding = crowding(*a).total_cmp(&crowding(*b));
            crowding.then(rows(*a).cmp(&rows(*b)))
        });
        let best = best.expect("at least one fold");
        (0..3).for_each(|label| held[best][label] += own[label]);
        groups[group].iter().for_each(|row| of[*row] = best);
    }
    of
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(place: usize, group: usize, label: usize) -> TokenizedExample {
        TokenizedExample {
            id: format!("row-{place}"),
            group: format!("g{group}"),
            tokens: vec![1, 2],
            prompt_tokens: 1,
            label_tokens: 1,
            label,
            weight: 1.0,
        }
    }

    fn drawn(rows: &[TokenizedExample], folds: usize, seed: u64, repeat: usize) -> Vec<usize> {
        let pool: Vec<&TokenizedExample> = rows.iter().collect();
        draw(&pool, folds, seed, repeat)
    }

    fn single(n: usize) -> Vec<TokenizedExample> {
        (0..n).map(|place| row(place, place, place % 3)).collect()
    }

    #[test]
    fn the_folds_never_change() {
        let found = drawn(&single(12), 3, 42, 0);
        assert_eq!(found, EXPECTED);
        assert_ne!(drawn(&single(12), 3, 42, 1), EXPECTED, "another repeat");
        assert_ne!(drawn(&single(12), 3, 43, 0), EXPECTED, "another seed");
    }

    const EXPECTED: [usize; 12] = [0, 1, 0, 1, 2, 0, 1, 0, 2, 2, 2, 1];

    #[test]
    fn a_label_of_too_few_groups_is_named() {
        let mut rows = single(30);
        rows.retain(|row| row.label != 2 || row.group.as_str() < "g2");
        let pool: Vec<&TokenizedExample> = rows.iter().collect();
        let having = rows.iter().filter(|row| row.label == 2).count();
        let texts: Vec<String> = faults(&pool, 11).iter().map(Fault::to_string).collect();
        let expected = |n: usize, label: &str| {
            format!(
                "folds: expected at most {n}, the number of groups with the label {label}, found 11"
            )
        };
        assert_eq!(
            texts,
            [
                expected(10, "Yes"),
                expected(10, "No"),
                expected(having, "Uncertain")
            ]
        );
        assert!(faults(&pool, having).is_empty());
    }

    proptest! {
        #[test]
        fn single_rows_spread_each_label_evenly(
            labels in prop::collection::vec(0usize..3, 6..90), folds in 2usize..8, seed: u64,
        ) {
            let rows: Vec<TokenizedExample> = labels.iter().enumerate().map(|(place, l)| row(place, place, *l)).collect();
            let of = drawn(&rows, folds, seed, 0);
            let count = |fold: usize, label: Option<usize>| {
                let here = |(row, at): &(&TokenizedExample, &usize)| **at == fold && label.is_none_or(|l| row.label == l);
                rows.iter().zip(&of).filter(here).count()
            };
            for label in [Some(0), Some(1), Some(2)] {
                let counts: Vec<usize> = (0..folds).map(|fold| count(fold, label)).collect();
                let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
                prop_assert!(most - least <= 1, "{counts:?}");
            }
        }

        #[test]
        fn no_group_spans_two_folds(
            of_rows in prop::collection::vec((0usize..12, 0usize..3), 1..90), folds in 2usize..8, seed: u64,
        ) {
            let rows: Vec<TokenizedExample> =
                of_rows.iter().enumerate().map(|(place, (group, label))| row(place, *group, *label)).collect();
            let of = drawn(&rows, folds, seed, 3);
            for (a, fold) in rows.iter().zip(&of) {
                for (b, other) in rows.iter().zip(&of) {
                    prop_assert!(a.group != b.group || fold == other);
                }
            }
        }
    }
}
