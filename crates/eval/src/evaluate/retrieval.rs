//! How well a search finds the publications that the questions of a benchmark were made from.

use crate::benchmark::Benchmark;
use crate::report::RetrievalReport;
use crate::stats::bootstrap::{Groups, Resampling, Statistic, bootstrap};
use crate::stats::ranking::{ndcg_at, recall_at};

/// The ranks at which recall is measured.
const RECALL_AT: [usize; 4] = [1, 5, 10, 100];
/// The rank at which nDCG is measured.
const NDCG_AT: usize = 10;

/// The measures of a benchmark whose publications were searched for; `None` for others.
pub(super) fn retrieval(
    benchmark: &Benchmark,
    groups: &[u32],
    resampling: Resampling,
) -> Option<RetrievalReport> {
    let retrieved = benchmark.retrieved.as_ref()?;
    let mut rows: Vec<([f64; 5], u32, usize)> = Vec::new();
    for ((found, relevant), group) in retrieved.found.iter().zip(&benchmark.documents).zip(groups) {
        let found: Vec<&str> = found.iter().map(String::as_str).collect();
        let relevant: Vec<&str> = relevant.iter().map(String::as_str).collect();
        let [first, five, ten, hundred] = RECALL_AT.map(|k| recall_at(&found, &relevant, k));
        let measures = [
            first,
            five,
            ten,
            hundred,
            ndcg_at(&found, &relevant, NDCG_AT),
        ];
        if measures.iter().all(Option::is_some) {
            rows.push((
                measures.map(Option::unwrap_or_default),
                *group,
                relevant.len(),
            ));
        }
    }
    if rows.is_empty() {
        return None;
    }
    let groups = Groups::new(rows.iter().map(|row| row.1));
    let weighted = |weights: &[u32], measure: usize| {
        let total: u32 = weights.iter().sum();
        let values = rows.iter().zip(weights);
        let values = values.map(|(row, weight)| row.0[measure] * f64::from(*weight));
        values.sum::<f64>() / f64::from(total)
    };
    let estimates = bootstrap(
        &groups,
        resampling,
        [Statistic::bca(0.0, 1.0); 5],
        |weights| std::array::from_fn(|measure| weighted(weights, measure)),
    );
    let names = RECALL_AT.map(|k| format!("recall@{k}"));
    let names = names.into_iter().chain([format!("nDCG@{NDCG_AT}")]);
    Some(RetrievalReport {
        documents: retrieved.documents,
        questions: rows.len(),
        relevant: rows.iter().map(|row| row.2 as f64).sum::<f64>() / rows.len() as f64,
        measures: names.zip(estimates).collect(),
    })
}
