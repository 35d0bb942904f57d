//! From validation predictions to the threshold below which a model abstains, for `eval` and `ask` alike.

use std::collections::HashSet;

use verdict_data::Label;

use crate::evaluated_run::ValidationPrediction;
use crate::stats::abstain::{Abstention, limit_wrong_of_answered};

/// The threshold from which on at most a share `alpha` of answered questions is wrong, with a confidence of `1 − delta`;
/// none without validation predictions.
///
/// Applies [`limit_wrong_of_answered`] to the first prediction of each group, because predictions of one group are not
/// independent, and neither are those of several repeats of cross-validation for one question. A prediction without a
/// group is a group of its own, by its id. `probabilities` returns those of the prediction at a place, as shown to the
/// user.
///
/// # Panics
/// When `alpha` or `delta` is not between 0 and 1, or a probability is not a number of 0 or more.
pub fn abstention(
    rows: &[ValidationPrediction],
    probabilities: impl Fn(usize) -> [f64; 3],
    alpha: f64,
    delta: f64,
) -> Option<Abstention> {
    if rows.is_empty() {
        return None;
    }
    let mut seen = HashSet::new();
    let independent: Vec<(f64, bool)> = rows
        .iter()
        .enumerate()
        .filter(|(_, row)| seen.insert(row.group.as_ref().unwrap_or(&row.id)))
        .map(|(place, row)| {
            let p = probabilities(place);
            let label = most_probable(p).index();
            (p[label], label == row.truth)
        })
        .collect();
    Some(limit_wrong_of_answered(&independent, alpha, delta))
}

/// The most probable label, the earlier in a tie.
pub(crate) fn most_probable(probabilities: [f64; 3]) -> Label {
    let top = (1..3).fold(0, |top, label| {
        if probabilities[label] > probabilities[top] {
            label
        } else {
            top
        }
    });
    Label::ALL[top]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: usize, group: Option<usize>, truth: usize) -> ValidationPrediction {
        ValidationPrediction {
            id: format!("row-{id}"),
            group: group.map(|group| format!("group-{group}")),
            truth,
            logits: [0.0; 3],
        }
    }

    fn confident(_: usize) -> [f64; 3] {
        [0.98, 0.01, 0.01]
    }

    #[test]
    fn repeats_and_predictions_of_a_group_count_once() {
        // 11 groups of two examples in two repeats: 44 predictions, 11 of them independent, too few for 10 %.
        let rows: Vec<ValidationPrediction> = (0..44)
            .map(|line| row(line % 22, Some(line % 22 / 2), 0))
            .collect();
        let found = abstention(&rows, confident, 0.1, 0.1).unwrap();
        assert_eq!((found.n, found.threshold), (11, None));
        assert!(
            found.guarantee.contains("at least 22 answered examples"),
            "{}",
            found.guarantee
        );
        // Without groups, each question counts once.
        let rows: Vec<ValidationPrediction> = (0..44).map(|line| row(line % 22, None, 0)).collect();
        let found = abstention(&rows, confident, 0.1, 0.1).unwrap();
        assert_eq!(found.n, 22);
        assert!(found.threshold.is_some());
    }

    #[test]
    fn without_predictions_there_is_no_threshold() {
        assert_eq!(abstention(&[], confident, 0.1, 0.1), None);
    }
}
