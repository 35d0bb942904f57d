//! Confidences under which not to answer, chosen on validation rows so that wrong answers are as rare as wished.
//!
//! Both guarantees hold for any model and any confidence, on one assumption: the validation rows and the questions
//! to come are drawn from the same source, independently. Rows that share a group break it (keep one of each), and so
//! do questions of another kind than the validation set's. A confidence that was fitted on the same rows breaks it on
//! paper; one temperature did no harm that simulations of 33, 100 and 500 rows could show.

use serde::{Deserialize, Serialize};

use super::paired::at_most;
use crate::metrics::Proportion;

/// Share of the rows at which [`limit_wrong_of_answered`] begins.
pub const START: f64 = 0.1;

/// A threshold and what it promises.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Abstention {
    /// Answered is what is at least so sure; none where no threshold keeps the promise: never answer.
    pub threshold: Option<f64>,
    /// What is promised, in one sentence.
    pub guarantee: String,
    /// Validation rows.
    pub n: usize,
    /// How many of them are answered.
    pub coverage: Proportion,
    /// How many of the answered are wrong.
    pub wrong: Proportion,
}

impl Abstention {
    fn new(rows: &[(f64, bool)], threshold: Option<f64>, guarantee: String) -> Abstention {
        let (answered, wrong) = threshold.map_or((0, 0), |threshold| count(rows, threshold));
        Abstention {
            threshold,
            guarantee,
            n: rows.len(),
            coverage: Proportion::new(answered, rows.len()),
            wrong: Proportion::new(wrong, answered),
        }
    }
}

/// How many of the rows are at least so sure, and how many of those are wrong.
fn count(rows: &[(f64, bool)], threshold: f64) -> (usize, usize) {
    let answered = rows.iter().filter(|row| row.0 >= threshold);
    answered.fold((0, 0), |(all, wrong), row| {
        (all + 1, wrong + usize::from(!row.1))
    })
}

/// The lowest threshold with which, of all questions to come, an expected share of at most `alpha` is answered
/// wrongly; what is not answered is not wrong.
///
/// Conformal risk control (Angelopoulos, Bates, Fisch, Lei and Schuster 2022): with the loss 1 for a row that is
/// answered and wrong and R its mean over the n validation rows, the lowest threshold with
/// `(n R + 1) / (n + 1) ≤ alpha`. The expectation is over validation rows and question together: a single
/// validation set may be lucky or not. None where `1 / (n + 1) > alpha`, or where even the surest rows are too
/// often wrong. `rows` are confidence (0 and more) and whether the answer was right; thresholds are confidences
/// that occur, or 0 where all may be answered.
///
/// # Panics
/// When `alpha` is not between 0 and 1 or a confidence is not a number of 0 or more.
pub fn limit_wrong_of_all(rows: &[(f64, bool)], alpha: f64) -> Abstention {
    check(rows, &[alpha]);
    let n = rows.len() as f64;
    let mut sorted = rows.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let kept = |wrong: usize| (wrong as f64 + 1.0) / (n + 1.0) <= alpha;
    let mut threshold = None;
    let mut wrong = 0;
    for block in sorted.chunk_by(|a, b| a.0 == b.0) {
        wrong += block.iter().filter(|row| !row.1).count();
        if !kept(wrong) {
            break;
        }
        threshold = Some(block[0].0);
    }
    if kept(wrong) {
        threshold = Some(0.0);
    }
    let guarantee = match threshold {
        Some(threshold) => format!(
            "Answering only at a confidence of {threshold:.3} or more, an expected share of at most {alpha} of all \
             questions is answered wrongly, if they come from where the {} validation rows came from.",
            rows.len()
        ),
        None => format!(
            "No threshold keeps the expected share of wrongly answered questions at {alpha} or less on the word of \
             {} validation rows: answer nothing.",
            rows.len()
        ),
    };
    Abstention::new(rows, threshold, guarantee)
}

/// The lowest threshold found with which, with a confidence of `1 − delta`, at most a share `alpha` of the answered
/// questions to come is wrong.
///
/// Learn then test (Angelopoulos, Bates, Candès, Jordan and Lei 2021) with fixed-sequence testing: [`thresholds`],
/// chosen before any row was seen, are tried from the highest down. At each the hypothesis is that more than
/// `alpha` of the answered are wrong, and its exact p is `P(Bin(answered, alpha) ≤ wrong)`; the first threshold
/// with p above `delta` ends the walk, and the one before it is the result.
///
/// The walk begins where a tenth of the rows is answered ([`START`]), and at enough of them that none wrong would do
/// (`(1 − alpha)^answered ≤ delta`; with both 0.1, 22 rows). That looks at confidences alone and keeps the level
/// where surer answers are not more often wrong. From fewer rows, one wrong answer among the surest ends the walk:
/// in simulation with 500 rows and alpha 0.3, where 74 % of the questions could be answered, 35 % were from the first
/// 7 rows on and 58 % from a tenth on. None where the first tried fails or there is none to try.
///
/// # Panics
/// When `alpha` or `delta` is not between 0 and 1, or a confidence is not a number of 0 or more.
pub fn limit_wrong_of_answered(rows: &[(f64, bool)], alpha: f64, delta: f64) -> Abstention {
    check(rows, &[alpha, delta]);
    let mut threshold = None;
    for tried in thresholds() {
        let (answered, wrong) = count(rows, tried);
        let few = (answered as f64) < START * rows.len() as f64;
        if few || at_most(0, answered, alpha) > delta {
            continue;
        }
        if at_most(wrong, answered, alpha) > delta {
            break;
        }
        threshold = Some(tried);
    }
    let guarantee = match threshold {
        Some(threshold) => format!(
            "Answering only at a confidence of {threshold:.3} or more, at most {alpha} of the answered questions are \
             wrong, with a confidence of {}, if they come from where the {} validation rows came from.",
            1.0 - delta,
            rows.len()
        ),
        None => format!(
            "No threshold keeps the share of wrong answers at {alpha} or less with a confidence of {} on the word of \
             {} validation rows: answer nothing.",
            1.0 - delta,
            rows.len()
        ),
    };
    Abstention::new(rows, threshold, guarantee)
}

/// The thresholds that [`limit_wrong_of_answered`] tries, from the highest: `1 − 10^(−j/40)` for j from 200 to 0,
/// rounded to seven decimals: 0.99999 to 0, closer the nearer to 1.
pub fn thresholds() -> impl Iterator<Item = f64> {
    (0..=200_i32).rev().map(|j| {
        let threshold = 1.0 - 10_f64.powf(-f64::from(j) / 40.0);
        (threshold * 1e7).round() / 1e7
    })
}

fn check(rows: &[(f64, bool)], levels: &[f64]) {
    for level in levels {
        assert!(
            *level > 0.0 && *level < 1.0,
            "{level}: expected a number between 0 and 1"
        );
    }
    for (confidence, _) in rows {
        assert!(
            *confidence >= 0.0,
            "confidence {confidence}: expected 0 or more"
        );
    }
}
