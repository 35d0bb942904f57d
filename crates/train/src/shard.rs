//! A grid split over tasks that do not communicate: each trains some of the adapters in a run folder of
//! its own, `RUN/shards/1` and so on; [`crate::merge()`] merges them into one run.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Folder of the shards in the run folder.
pub(crate) const SHARDS: &str = "shards";

/// The adapters of a grid that one task trains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// Number of the shard, from 1.
    pub index: usize,
    /// Number of shards.
    pub of: usize,
    /// Names of its adapters.
    #[serde(rename = "members")]
    pub adapters: Vec<String>,
}

/// Run folder of a shard.
pub fn folder(run: &Path, index: usize) -> PathBuf {
    run.join(SHARDS).join(index.to_string())
}

/// Numbers of the shards in a run folder, in ascending order; none where they cannot be listed.
pub fn indices(run: &Path) -> Vec<usize> {
    let entries = std::fs::read_dir(run.join(SHARDS));
    let names = entries.into_iter().flatten().flatten();
    let names = names.filter(|entry| entry.path().is_dir());
    let mut indices: Vec<usize> = names
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    indices.sort_unstable();
    indices
}

/// Splits items with these costs into `parts` parts of nearly equal cost: each item, the most expensive
/// first, is added to the part that is cheapest so far (longest processing time first; Graham, "Bounds
/// on multiprocessing timing anomalies", SIAM J. Appl. Math. 17, 1969: at most 4/3 − 1/(3 parts) of the
/// optimum). Returns the indices of each part in ascending order, the parts ordered by their first index.
/// Deterministic.
///
/// # Panics
/// If there are no parts, or fewer items than parts.
pub fn split(costs: &[f64], parts: usize) -> Vec<Vec<usize>> {
    assert!(
        parts > 0 && parts <= costs.len(),
        "at least one item for each part"
    );
    let mut order: Vec<usize> = (0..costs.len()).collect();
    order.sort_by(|a, b| costs[*b].total_cmp(&costs[*a]));
    let mut found: Vec<(f64, Vec<usize>)> = vec![(0.0, Vec::new()); parts];
    for index in order {
        let cheapest = found
            .iter_mut()
            .min_by(|(a, of_a), (b, of_b)| a.total_cmp(b).then(of_a.len().cmp(&of_b.len())));
        let (sum, part) = cheapest.expect("at least one part");
        *sum += costs[index];
        part.push(index);
    }
    let mut found: Vec<Vec<usize>> = found.into_iter().map(|(_, part)| part).collect();
    found.iter_mut().for_each(|part| part.sort_unstable());
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn expensive_items_are_separated_and_cheap_ones_fill_up() {
        let costs = [1.0, 1.0, 1.0, 3.0, 2.0];
        assert_eq!(split(&costs, 2), [vec![0, 2, 4], vec![1, 3]]);
        assert_eq!(split(&costs, 5), [[0], [1], [2], [3], [4]]);
        assert_eq!(split(&costs, 1), [[0, 1, 2, 3, 4]]);
        assert_eq!(split(&[0.0, 0.0], 2), [[0], [1]], "costs of 0 too");
    }

    proptest! {
        #[test]
        fn each_is_in_one_part_and_no_part_costs_more_than_grahams_bound(
            costs in prop::collection::vec(0.1..10.0, 1..30),
            parts in 1usize..8,
        ) {
            let parts = parts.min(costs.len());
            let found = split(&costs, parts);
            let mut all: Vec<usize> = found.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..costs.len()).collect::<Vec<_>>());
            prop_assert!(found.iter().all(|part| !part.is_empty()));
            let cost = |part: &Vec<usize>| part.iter().map(|index| costs[*index]).sum::<f64>();
            let most = found.iter().map(cost).fold(0.0, f64::max);
            // No split is cheaper than its most expensive item, or than the mean.
            let most_expensive = costs.iter().copied().fold(0.0, f64::max);
            let mean = costs.iter().sum::<f64>() / parts as f64;
            // The bound of list scheduling: mean + most expensive item.
            prop_assert!(most <= mean + most_expensive, "{most} of {mean} and {most_expensive}");
        }
    }
}
