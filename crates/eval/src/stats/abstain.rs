//! The confidence below which to abstain, chosen on validation rows so that few of the answered questions are wrong.
//!
//! The guarantee holds for any model and any confidence on one assumption: the validation rows and the questions to
//! come are drawn independently from the same source. Rows that share a group break it, and so does one question that
//! several repeats of cross-validation judged: [`abstention`](crate::abstention()) keeps one row of each group. Questions
//! of another kind than the validation set's break it too. A confidence that was fitted on the same rows breaks it on
//! paper; one temperature did no harm that simulations of 33, 100 and 500 rows could show.

use serde::{Deserialize, Serialize};

use super::paired::at_most;
use crate::metrics::Proportion;

/// Share of the rows at which [`limit_wrong_of_answered`] begins.
pub const START: f64 = 0.1;

/// Chance that the limit does not hold, where nothing else is said: a confidence of 90 %.
pub const DELTA: f64 = 0.1;

/// No answer is given at or near a confidence of one third, which three labels have by chance: the threshold is at
/// least this.
pub const LEAST: f64 = 0.4;

/// A threshold and what it guarantees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Abstention {
    /// Largest share of wrong answers among the answered questions, 0 to 1.
    pub target: f64,
    /// Chance that the limit does not hold, 0 to 1.
    pub delta: f64,
    /// A question is answered from this confidence on; none where no threshold can be certified: abstain from all.
    pub threshold: Option<f64>,
    /// The guarantee, or why there is none, in sentences.
    pub guarantee: String,
    /// Validation rows, one of each group.
    pub n: usize,
    /// How many of them are answered.
    pub coverage: Proportion,
    /// How many of the answered are wrong.
    pub wrong: Proportion,
    /// Without a threshold: validation rows that would certify one if rows went on as they did; none where more rows
    /// would not help, for even the surest answers are too often wrong.
    pub needed: Option<usize>,
}

/// How many of the rows have at least this confidence, and how many of those are wrong.
fn count(rows: &[(f64, bool)], threshold: f64) -> (usize, usize) {
    let answered = rows.iter().filter(|row| row.0 >= threshold);
    answered.fold((0, 0), |(all, wrong), row| {
        (all + 1, wrong + usize::from(!row.1))
    })
}

/// The least threshold that is tried for a target: one half, since an answer below it is more likely wrong than right
/// by its own confidence. Where the target allows that, `1 - alpha`, never below [`LEAST`].
pub fn least_threshold(alpha: f64) -> f64 {
    (1.0 - alpha).clamp(LEAST, 0.5)
}

/// The lowest threshold found with which, with a confidence of `1 − delta`, at most a share `alpha` of the answered
/// questions to come is wrong.
///
/// Learn then test (Angelopoulos, Bates, Candès, Jordan and Lei 2021) with fixed-sequence testing: [`thresholds`],
/// chosen before any row was seen, are tried from the highest down to [`least_threshold`]. At each the hypothesis is
/// that more than `alpha` of the answered are wrong, and its exact p is `P(Bin(answered, alpha) ≤ wrong)`, that of
/// Clopper and Pearson's upper limit; the first threshold with p above `delta` ends the sequence, and the one before
/// it is the result.
///
/// The sequence begins where a tenth of the rows is answered ([`START`]), and at enough of them that none wrong would
/// do ([`fewest`]; with both 0.1, 22 rows). That looks at confidences alone and keeps the level where surer answers
/// are not more often wrong. From fewer rows, one wrong answer among the surest ends the sequence: in simulation with
/// 500 rows and alpha 0.3, where 74 % of the questions could be answered, 35 % were from the first 7 rows on and 58 %
/// from a tenth on. None where the first tried fails or there is none to try.
///
/// `rows` are confidence (0 and more) and whether the answer was right.
///
/// # Panics
/// When `alpha` or `delta` is not between 0 and 1, or a confidence is not a number of 0 or more.
pub fn limit_wrong_of_answered(rows: &[(f64, bool)], alpha: f64, delta: f64) -> Abstention {
    check(rows, &[alpha, delta]);
    let mut threshold = None;
    for tried in tried_for(alpha) {
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
    let needed = match threshold {
        Some(_) => None,
        None => needed(rows, alpha, delta),
    };
    let (answered, wrong) = threshold.map_or((0, 0), |threshold| count(rows, threshold));
    Abstention {
        target: alpha,
        delta,
        threshold,
        guarantee: guarantee(rows, threshold, needed, alpha, delta),
        n: rows.len(),
        coverage: Proportion::new(answered, rows.len()),
        wrong: Proportion::new(wrong, answered),
        needed,
    }
}

/// The fewest answered rows, none of them wrong, that certify `alpha`: the least k with `(1 − alpha)^k ≤ delta`.
pub fn fewest(alpha: f64, delta: f64) -> usize {
    (delta.ln() / (-alpha).ln_1p()).ceil() as usize
}

/// Rows that would certify a threshold if the share of wrong answers and of answered rows stayed as they are: the
/// least over the thresholds at which a tenth of the rows is answered. None without rows, or where more than `alpha`
/// of the answered are wrong at each.
fn needed(rows: &[(f64, bool)], alpha: f64, delta: f64) -> Option<usize> {
    let of = |tried: f64| {
        let (answered, wrong) = count(rows, tried);
        let risk = wrong as f64 / answered.max(1) as f64;
        if answered == 0 || (answered as f64) < START * rows.len() as f64 || risk >= alpha {
            return None;
        }
        // Doubling, then by steps of two per cent: the p value falls as rows are added, but not at every one.
        let mut k = fewest(alpha, delta);
        while k < 1_000_000 && at_most((risk * k as f64).ceil() as usize, k, alpha) > delta {
            k += k / 50 + 1;
        }
        let share = answered as f64 / rows.len() as f64;
        (k < 1_000_000).then(|| (k as f64 / share).ceil() as usize)
    };
    tried_for(alpha)
        .filter_map(of)
        .min()
        .map(|needed| needed.max(rows.len() + 1))
}

/// A share as per cent without needless zeros.
fn percent(share: f64) -> String {
    format!("{} %", (share * 1e4).round() / 1e2)
}

fn guarantee(
    rows: &[(f64, bool)],
    threshold: Option<f64>,
    needed: Option<usize>,
    alpha: f64,
    delta: f64,
) -> String {
    let (n, target, confidence) = (rows.len(), percent(alpha), percent(1.0 - delta));
    let independent = match n {
        1 => "1 independent validation row".to_owned(),
        n => format!("{n} independent validation rows"),
    };
    if let Some(threshold) = threshold {
        let (answered, wrong) = count(rows, threshold);
        return format!(
            "Answering only from a probability of {} on, at most {target} of the answered questions are wrong, with \
             a confidence of {confidence}, if the questions are like the {independent} (there {answered} answered, \
             {wrong} of them wrong).",
            percent(threshold)
        );
    }
    let fewest = fewest(alpha, delta);
    let why = match needed {
        _ if n < fewest => format!(
            "at least {fewest} answered rows without a mistake are needed, and there are {n}{}",
            needed.map_or(String::new(), |needed| format!(
                "; about {needed} validation rows would do at the error rate seen"
            ))
        ),
        Some(needed) => {
            format!("these are too few for the error rate seen, about {needed} would do")
        }
        None => {
            "even among its surest answers too many are wrong, which more rows would not change"
                .into()
        }
    };
    format!(
        "Abstains from every question: {independent} certify no threshold at which at most {target} of the answered \
         questions are wrong with a confidence of {confidence}: {why}."
    )
}

/// [`thresholds`] down to the least for a target, and that.
fn tried_for(alpha: f64) -> impl Iterator<Item = f64> {
    let least = least_threshold(alpha);
    let above = thresholds().filter(move |tried| *tried > least);
    above.chain(std::iter::once(least))
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
