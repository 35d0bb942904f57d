//! Which adapter is the best: by validation, with the one-standard-error rule.

use std::cmp::Ordering;

use crate::early_stopping::EarlyStoppingRule;
use crate::manifest::AdapterRecord;
use crate::validation::Score;

/// The rule as described in MANIFEST.json.
pub const RULE: &str = "the smallest rank whose label log loss in validation lies within one standard error \
of the lowest; then the lower label log loss, then the earlier in the grid";

/// Like [`RULE`], for a run with folds.
pub const FOLDS_RULE: &str = "the smallest rank whose out-of-fold label log loss lies within one standard \
error of the lowest; then the lower label log loss, then the earlier in the grid";

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
/// A difference below the standard error of the lowest loss is no evidence, so the smaller adapter is preferred
/// (Breiman and others, *Classification and Regression Trees*, 1984, section 3.4.3). The log loss is compared and not
/// the accuracy because it uses how probable each answer was: on a few hundred examples it tells apart what accuracy
/// cannot. Scores of earlier versions have no label log loss; their error rate is compared, as it was then.
pub fn choose(scored: impl IntoIterator<Item = (usize, usize, Score)>) -> Option<usize> {
    let scored: Vec<_> = scored.into_iter().collect();
    let scores = scored.iter().map(|(_, _, score)| score);
    let (lowest, error) = criterion(scores.min_by(|a, b| order(a, b))?);
    scored
        .iter()
        .filter(|(_, _, score)| criterion(score).0 <= lowest + error)
        .min_by(|(_, rank_a, a), (_, rank_b, b)| rank_a.cmp(rank_b).then(order(a, b)))
        .map(|(index, _, _)| *index)
}

/// The better score first: the lower label log loss (of earlier versions, the lower error rate), then the lower loss.
pub fn order(a: &Score, b: &Score) -> Ordering {
    let by_criterion = criterion(a).0.total_cmp(&criterion(b).0);
    by_criterion.then(a.loss.total_cmp(&b.loss))
}

/// What is compared, the lower the better, and its standard error. That of a share p of n rows is √(p (1 − p) / n).
fn criterion(score: &Score) -> (f64, f64) {
    match score.label_loss {
        Some(label) => (label.mean, label.standard_error),
        None => {
            let wrong = 1.0 - score.accuracy;
            (wrong, (score.accuracy * wrong / score.n as f64).sqrt())
        }
    }
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
            label_loss: None,
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
    fn the_label_loss_decides_where_it_is_known_whatever_the_accuracy() {
        let record = |rank, accuracy, mean| {
            let mut record = record(rank, accuracy, 0.5);
            let label_loss = crate::validation::LabelLoss {
                mean,
                standard_error: 0.05,
            };
            record.validation.as_mut().unwrap().label_loss = Some(label_loss);
            record
        };
        let lowest = record(16, 0.5, 0.6);
        assert_eq!(best(&[record(4, 0.9, 0.7), lowest.clone()]), Some(1));
        assert_eq!(
            best(&[record(4, 0.9, 0.64), lowest.clone()]),
            Some(0),
            "within its error"
        );
        assert_eq!(
            best(&[record(16, 0.9, 0.64), lowest]),
            Some(1),
            "of one rank the lower"
        );
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
