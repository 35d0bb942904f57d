//! How good a ranking is: recall and normalized discounted cumulative gain at a depth, with binary relevance.

use std::collections::HashSet;

/// The share of the relevant documents that are among the first `k` found:
///
/// recall@k = |relevant ∩ first k found| / |relevant|
///
/// None without relevant documents. An id that is found twice counts once.
pub fn recall_at(found: &[&str], relevant: &[&str], k: usize) -> Option<f64> {
    let relevant: HashSet<_> = relevant.iter().collect();
    let first: HashSet<_> = found.iter().take(k).collect();
    (!relevant.is_empty())
        .then(|| first.intersection(&relevant).count() as f64 / relevant.len() as f64)
}

/// Normalized discounted cumulative gain of the first `k` found (Järvelin and Kekäläinen, "Cumulated gain-based
/// evaluation of IR techniques", 2002, with the logarithmic discount that trec_eval and scikit-learn use):
///
/// nDCG@k = Σ_{i ≤ k} rel_i / log2(i + 1)  /  Σ_{i ≤ min(k, |relevant|)} 1 / log2(i + 1)
///
/// with rel_i = 1 where the i-th found is relevant, else 0. None without relevant documents or with k = 0. An id that is
/// found twice gains once, at its first place.
pub fn ndcg_at(found: &[&str], relevant: &[&str], k: usize) -> Option<f64> {
    let mut left: HashSet<_> = relevant.iter().collect();
    let best: f64 = (1..=k.min(left.len())).map(discount).sum();
    let mut gain = 0.0;
    for (place, id) in found.iter().take(k).enumerate() {
        if left.remove(id) {
            gain += discount(place + 1);
        }
    }
    (best > 0.0).then(|| gain / best)
}

/// What a relevant document at the rank `i`, counted from 1, gains.
fn discount(i: usize) -> f64 {
    1.0 / (i as f64 + 1.0).log2()
}

#[cfg(test)]
mod tests {
    use super::{ndcg_at, recall_at};

    #[test]
    fn recall_counts_each_document_once() {
        let found = ["a", "b", "b", "c"];
        for (relevant, k, expected) in [
            (&["a", "c"][..], 1, Some(0.5)),
            (&["a", "c"], 3, Some(0.5)),
            (&["a", "c"], 4, Some(1.0)),
            (&["x"], 4, Some(0.0)),
            (&["b", "b"], 3, Some(1.0)),
            (&["a"], 0, Some(0.0)),
            (&[], 4, None),
        ] {
            assert_eq!(
                recall_at(&found, relevant, k),
                expected,
                "{relevant:?} at {k}"
            );
        }
    }

    /// By hand: the discounts of the ranks 1 to 4 are 1, 0.63093, 0.5 and 0.43068.
    #[test]
    fn ndcg_is_as_computed_by_hand() {
        let found = ["a", "b", "c", "d"];
        for (relevant, k, expected) in [
            (&["a"][..], 4, 1.0),
            (&["b"], 4, 0.630_929_753_571_457_4),
            (
                &["b", "c"],
                4,
                (0.630_929_753_571_457_4 + 0.5) / 1.630_929_753_571_457_4,
            ),
            (&["a", "b", "x"], 2, 1.0),
            (
                &["d", "x"],
                4,
                0.430_676_558_073_393_1 / 1.630_929_753_571_457_4,
            ),
            (&["d"], 3, 0.0),
        ] {
            let value = ndcg_at(&found, relevant, k).expect("relevant documents");
            assert!(
                (value - expected).abs() < 1e-12,
                "{relevant:?} at {k}: {value}"
            );
        }
        assert_eq!(ndcg_at(&found, &[], 4), None);
        assert_eq!(ndcg_at(&found, &["a"], 0), None);
        let twice = ndcg_at(&["a", "a"], &["a", "b"], 2).expect("relevant documents");
        assert!(
            (twice - 1.0 / 1.630_929_753_571_457_4).abs() < 1e-12,
            "{twice}"
        );
    }
}
