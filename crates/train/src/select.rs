//! Which adapter is the best: by validation, with the one-standard-error rule.

use crate::early_stopping::EarlyStoppingRule;
use crate::manifest::AdapterRecord;
use crate::validation::Score;

/// The rule as described in MANIFEST.json.
pub const RULE: &str = "the smallest rank whose validation accuracy lies within one standard error \
of the highest; then the higher accuracy, then the lower loss, then the earlier in the grid";

/// Like [`RULE`], for a run with folds.
pub const FOLDS_RULE: &str = "the smallest rank whose out-of-fold accuracy lies within one standard \
error of the highest; then the higher accuracy, then the lower loss, then the earlier in the grid";

/// Index of the best adapter by [`RULE`]; `None` where every adapter diverged. An adapter that was pruned
/// by successive halving is considered only where no other is left.
pub fn best(adapters: &[AdapterRecord]) -> Option<usize> {
    let pruned = |record: &AdapterRecord| {
        let by = record.early_stop.as_ref().map(|stop| stop.by);
        by == Some(EarlyStoppingRule::Halving)
    };
    let scored = |with_pruned: bool| {
        let left = adapters.iter().enumerate().filter(move |(_, record)| {
            record.diverged.is_none() && (with_pruned || !pruned(record))
        });
        left.filter_map(|(index, record)| Some((index, record.adapter.rank, record.validation?)))
    };
    choose(scored(false)).or_else(|| choose(scored(true)))
}

/// The index chosen by [`RULE`] among (index, rank, score) in the order of the grid; `None` if there are none.
///
/// With the highest accuracy p over n rows the standard error is √(p (1 − p) / n). A difference
/// below it is no evidence, so the smaller adapter is preferred (Breiman and others,
/// *Classification and Regression Trees*, 1984, section 3.4.3).
pub fn choose(scored: impl IntoIterator<Item = (usize, usize, Score)>) -> Option<usize> {
    let scored: Vec<_> = scored.into_iter().collect();
    let top = scored
        .iter()
        .map(|(_, _, score)| *score)
        .max_by(|a, b| a.accuracy.total_cmp(&b.accuracy))?;
    let error = (top.accuracy * (1.0 - top.accuracy) / top.n as f64).sqrt();
    scored
        .into_iter()
        .filter(|(_, _, score)| score.accuracy >= top.accuracy - error)
        .min_by(|(_, rank_a, a), (_, rank_b, b)| {
            rank_a
                .cmp(rank_b)
                .then(b.accuracy.total_cmp(&a.accuracy))
                .then(a.loss.total_cmp(&b.loss))
        })
        .map(|(index, _, _)| index)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::grid::AdapterSettings;

    fn record(rank: usize, accuracy: f64, loss: f64) -> AdapterRecord {
        let adapter = AdapterSettings {
            name: format!("r{rank}"),
            rank,
            alpha: 1.0,
            dropout: 0.0,
            lr: 1e-4,
            seed: 1,
        };
        let validation = Some(Score {
            loss,
            accuracy,
            n: 100,
        });
        AdapterRecord {
            adapter,
            diverged: None,
            early_stop: None,
            kept_step: None,
            train_loss: Some(1.0),
            validation,
            folds: Vec::new(),
            files: BTreeMap::new(),
        }
    }

    #[test]
    fn the_smallest_rank_within_one_standard_error_wins() {
        // p = 0.8, n = 100: the standard error is 0.04.
        let adapters = [
            record(4, 0.75, 0.1),
            record(8, 0.77, 0.9),
            record(16, 0.8, 0.5),
        ];
        assert_eq!(best(&adapters), Some(1));
    }

    #[test]
    fn of_one_rank_the_higher_accuracy_then_the_lower_loss_then_the_earlier_wins() {
        assert_eq!(best(&[record(8, 0.79, 0.1), record(8, 0.8, 0.5)]), Some(1));
        assert_eq!(best(&[record(8, 0.8, 0.6), record(8, 0.8, 0.5)]), Some(1));
        assert_eq!(best(&[record(8, 0.8, 0.5), record(8, 0.8, 0.5)]), Some(0));
    }

    #[test]
    fn an_adapter_that_diverged_is_not_chosen() {
        let mut adapters = [record(4, 1.0, 0.1), record(8, 0.5, 0.5)];
        adapters[0].diverged = Some("loss is NaN".into());
        assert_eq!(best(&adapters), Some(1));
        adapters[1].diverged = Some("loss is NaN".into());
        assert_eq!(best(&adapters), None);
    }

    #[test]
    fn a_pruned_adapter_is_chosen_only_where_no_other_is_left() {
        let mut adapters = [record(4, 1.0, 0.1), record(8, 0.5, 0.5)];
        let stopped = |by| {
            let (step, reason) = (3, "worse".into());
            Some(crate::early_stopping::EarlyStop { by, step, reason })
        };
        adapters[0].early_stop = stopped(EarlyStoppingRule::Halving);
        assert_eq!(best(&adapters), Some(1));
        adapters[1].diverged = Some("loss is NaN".into());
        assert_eq!(best(&adapters), Some(0));
        let mut adapters = [record(4, 1.0, 0.1), record(8, 0.5, 0.5)];
        adapters[0].early_stop = stopped(EarlyStoppingRule::Patience);
        assert_eq!(best(&adapters), Some(0), "early, but as good as it gets");
    }
}
