//! The evaluation of a screening: from scores and the reviewers' decisions to figures in words.

use serde::{Deserialize, Serialize};
use verdict_common::{counted, grouped, share};
use verdict_data::Label;

use crate::metrics::Proportion;
use crate::stats::bootstrap::{Estimate, Resampling};
use crate::stats::screening::{
    DELTA, Ranking, RecallGuarantee, ScreenedRecord, ScreeningCounts, ranking, recall_threshold,
};

/// The answer to a record and the reviewers' decision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScreenedAnswer {
    /// The label of the answer to "Is this record to be included?".
    pub label: Label,
    /// The probability of Yes.
    pub yes: f64,
    /// The decision.
    pub included: bool,
}

/// What a screening is worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScreeningReport {
    /// Records with an answer and a decision.
    pub records: usize,
    /// Those that were included.
    pub included: usize,
    /// Keeping the records whose label is Yes.
    pub yes: ScreeningCounts,
    /// Keeping those whose label is Yes or Uncertain.
    pub yes_or_uncertain: ScreeningCounts,
    /// How well the probability of Yes ranks the records.
    pub ranking: Ranking,
    /// The threshold of a target recall.
    pub guarantee: RecallGuarantee,
    /// The guarantee in sentences, or why there is none.
    pub statement: String,
}

/// Evaluates a screening; none without included or without excluded records.
///
/// # Panics
/// When `target` is not between 0 and 1, or a probability is NaN.
pub fn screening_report(
    answers: &[ScreenedAnswer],
    target: f64,
    resampling: Resampling,
) -> Option<ScreeningReport> {
    let records: Vec<ScreenedRecord> = answers
        .iter()
        .map(|answer| ScreenedRecord {
            score: answer.yes,
            included: answer.included,
        })
        .collect();
    let keeping = |kept: &[Label]| {
        let decided = answers.iter();
        ScreeningCounts::of(decided.map(|of| (kept.contains(&of.label), of.included)))
    };
    let guarantee = recall_threshold(&records, target, DELTA);
    Some(ScreeningReport {
        records: records.len(),
        included: records.iter().filter(|record| record.included).count(),
        yes: keeping(&[Label::Yes]),
        yes_or_uncertain: keeping(&[Label::Yes, Label::Uncertain]),
        ranking: ranking(&records, resampling)?,
        statement: statement(&guarantee),
        guarantee,
    })
}

/// A guarantee in sentences.
fn statement(of: &RecallGuarantee) -> String {
    let (target, confidence) = (share(of.target), share(1.0 - of.delta));
    let included = counted(of.included, "included record");
    match (of.threshold, &of.counts) {
        (Some(threshold), Some(counts)) => format!(
            "Keeping the records with a probability of Yes of at least {threshold} finds at least {target} of those to be \
             included, with a confidence of {confidence}, among records like these ({included}, of which {} are \
             kept). {} of the records need not be read. It holds if the labelled records are a random sample of those to \
             be screened.",
            grouped(counts.recall.count),
            share(1.0 - counts.kept.value),
        ),
        _ => format!(
            "No threshold can be certified to find {target} of the records to be included with a confidence of \
             {confidence}: at least {} are needed, and there are {}. All records have to be read, or more of \
             them labelled.",
            counted(of.fewest, "included record"),
            grouped(of.included),
        ),
    }
}

impl ScreeningReport {
    /// The heading of [`rows`](Self::rows).
    pub const HEADING: [&'static str; 4] = ["", "Yes", "Yes or Uncertain", "certified threshold"];

    /// The figures of each way to decide, with 95 % intervals.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let ways = [
            Some(&self.yes),
            Some(&self.yes_or_uncertain),
            self.guarantee.counts.as_ref(),
        ];
        let row = |name: &str, of: fn(&ScreeningCounts) -> Proportion| {
            let cell = |counts: Option<&ScreeningCounts>| match counts {
                Some(counts) => interval(of(counts).into()),
                None => "–".to_owned(),
            };
            std::iter::once(name.to_owned())
                .chain(ways.map(cell))
                .collect()
        };
        vec![
            row("recall", |of| of.recall),
            row("precision", |of| of.precision),
            row("specificity", |of| of.specificity),
            row("to be read", |of| of.kept),
        ]
    }

    /// The figures of the ranking, one line each.
    pub fn lines(&self) -> Vec<String> {
        let Ranking {
            auroc,
            average_precision,
            work_saved,
            threshold,
        } = &self.ranking;
        let plain = |of: &Estimate| format!("{:.3} [{:.3}–{:.3}]", of.value, of.low, of.high);
        vec![
            format!("AUROC              {}", plain(auroc)),
            format!("average precision  {}", plain(average_precision)),
            format!(
                "WSS@95             {} (threshold {threshold:.4}, chosen on these records)",
                interval(*work_saved)
            ),
        ]
    }
}

/// A share in per cent with its interval.
fn interval(of: Estimate) -> String {
    let percent = |value: f64| 100.0 * value;
    format!(
        "{:.1} % [{:.1}–{:.1}]",
        percent(of.value),
        percent(of.low),
        percent(of.high)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: Resampling = Resampling {
        replicates: 200,
        seed: 0,
    };

    fn answers(n: usize) -> Vec<ScreenedAnswer> {
        (0..n)
            .map(|i| ScreenedAnswer {
                label: Label::ALL[i % 3],
                yes: (n - i) as f64 / n as f64,
                included: i < n / 4,
            })
            .collect()
    }

    #[test]
    fn a_report_names_what_it_certifies_or_how_much_is_missing() {
        let few = screening_report(&answers(100), 0.95, FEW).expect("both classes");
        assert!(
            few.statement
                .contains("at least 59 included records are needed, and there are 25"),
            "{}",
            few.statement
        );
        assert_eq!(few.rows()[0][3], "–");
        let many = screening_report(&answers(400), 0.95, FEW).expect("both classes");
        assert_eq!((many.records, many.included), (400, 100));
        assert_eq!(many.ranking.auroc.value, 1.0);
        // 100 included: the second lowest score, 99 of them.
        assert_eq!(many.guarantee.threshold, Some(302.0 / 400.0));
        assert!(
            many.statement.contains("of which 99 are kept"),
            "{}",
            many.statement
        );
        assert_eq!(many.yes.recall.count, 34);
        assert_eq!(many.yes_or_uncertain.recall.count, 67);
        assert!(screening_report(&answers(3), 0.95, FEW).is_none());
    }
}
