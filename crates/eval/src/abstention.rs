//! From validation rows to the threshold below which a system abstains: one way for `eval` and `ask`.

use std::collections::HashSet;

use verdict_data::Label;

use crate::stats::abstain::{Abstention, limit_wrong_of_answered};
use crate::subject::ValidationRow;

/// The threshold from which on at most a share `alpha` of the answered questions is wrong, with a confidence of
/// `1 − delta`; none without validation rows.
///
/// [`limit_wrong_of_answered`] on one row of each group, the first: rows of a group are not independent, nor is one
/// question that several repeats of cross-validation judged. A row whose group is not known is a group of its own, by
/// its id. `probabilities` gives those of the row at a place, as they are shown to the user.
///
/// # Panics
/// When `alpha` or `delta` is not between 0 and 1, or a probability is not a number of 0 or more.
pub fn abstention(
    rows: &[ValidationRow],
    probabilities: impl Fn(usize) -> [f64; 3],
    alpha: f64,
    delta: f64,
) -> Option<Abstention> {
    if rows.is_empty() {
        return None;
    }
    let mut seen = HashSet::new();
    let confident: Vec<(f64, bool)> = rows
        .iter()
        .enumerate()
        .filter(|(_, row)| seen.insert(row.group.as_ref().unwrap_or(&row.id)))
        .map(|(place, row)| {
            let p = probabilities(place);
            let label = most_probable(p).index();
            (p[label], label == row.truth)
        })
        .collect();
    Some(limit_wrong_of_answered(&confident, alpha, delta))
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

    fn row(id: usize, group: Option<usize>, truth: usize) -> ValidationRow {
        ValidationRow {
            id: format!("row-{id}"),
            group: group.map(|group| format!("group-{group}")),
            truth,
            logits: [0.0; 3],
        }
    }

    fn sure(_: usize) -> [f64; 3] {
        [0.98, 0.01, 0.01]
    }

    #[test]
    fn repeats_and_rows_of_a_group_count_once() {
        // 11 groups of two rows that two repeats judged: 44 lines, 11 independent rows, too few for 10 %.
        let rows: Vec<ValidationRow> = (0..44)
            .map(|line| row(line % 22, Some(line % 22 / 2), 0))
            .collect();
        let found = abstention(&rows, sure, 0.1, 0.1).unwrap();
        assert_eq!((found.n, found.threshold), (11, None));
        assert!(
            found.guarantee.contains("at least 22 answered rows"),
            "{}",
            found.guarantee
        );
        // Without groups, at least the same question counts once.
        let rows: Vec<ValidationRow> = (0..44).map(|line| row(line % 22, None, 0)).collect();
        let found = abstention(&rows, sure, 0.1, 0.1).unwrap();
        assert_eq!(found.n, 22);
        assert!(found.threshold.is_some());
    }

    #[test]
    fn no_rows_have_no_threshold() {
        assert_eq!(abstention(&[], sure, 0.1, 0.1), None);
    }
}
