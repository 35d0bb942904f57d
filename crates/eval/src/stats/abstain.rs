//! The confidence below which to abstain, chosen on the validation set so that few answered questions are wrong.
//!
//! The guarantee holds for any model and any confidence, under one assumption: validation examples and future questions
//! are drawn independently from the same distribution. Examples of one group violate it, and so do several predictions for
//! one question from repeated cross-validation: [`abstention`](crate::abstention()) keeps one of each group. Questions of
//! another kind violate it too. Fitting the confidence on the same examples violates it formally; a single temperature had
//! no effect in simulations with 33, 100 and 500 examples.

use serde::{Deserialize, Serialize};
use verdict_common::counted;

use super::paired::at_most;
use crate::metrics::Proportion;

/// Coverage at which [`limit_wrong_of_answered`] begins.
pub const START: f64 = 0.1;

/// Default probability that the limit does not hold, for a confidence of 90 %.
pub const DELTA: f64 = 0.1;

/// Lower bound of the threshold, above the confidence of one third that three labels have by chance.
pub const LEAST: f64 = 0.4;

/// A threshold with its guarantee.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Abstention {
    /// Target error rate among answered questions, 0 to 1.
    pub target: f64,
    /// Probability that the limit does not hold, 0 to 1.
    pub delta: f64,
    /// The confidence from which on a question is answered; none where no threshold can be certified and the model abstains
    /// from all questions.
    pub threshold: Option<f64>,
    /// The guarantee, or why there is none, in sentences.
    pub guarantee: String,
    /// Number of validation examples, one of each group.
    pub n: usize,
    /// Coverage: how many of them are answered.
    pub coverage: Proportion,
    /// How many of the answered are wrong.
    pub wrong: Proportion,
    /// Without a threshold, the number of validation examples that would certify one at the observed error rates; none
    /// where more examples would not help, because even the most confident answers are wrong too often.
    pub needed: Option<usize>,
}

/// Number of answers with at least this confidence, and number of wrong ones among them.
fn count(rows: &[(f64, bool)], threshold: f64) -> (usize, usize) {
    let answered = rows.iter().filter(|row| row.0 >= threshold);
    answered.fold((0, 0), |(all, wrong), row| {
        (all + 1, wrong + usize::from(!row.1))
    })
}

/// The lowest threshold that is tried for a target: one half, since by its own confidence an answer below is more likely
/// wrong than right; `1 - alpha` for targets that allow that, but never below [`LEAST`].
pub fn least_threshold(alpha: f64) -> f64 {
    (1.0 - alpha).clamp(LEAST, 0.5)
}

/// The lowest certified threshold: with a confidence of `1 − delta`, at most a share `alpha` of future answered questions
/// is wrong.
///
/// Learn then test (Angelopoulos, Bates, Candès, Jordan and Lei 2021) with fixed-sequence testing: [`thresholds`], which do
/// not depend on the data, are tried from the highest down to [`least_threshold`]. The null hypothesis at each is that more
/// than `alpha` of answered questions are wrong, with the exact p value `P(Bin(answered, alpha) ≤ wrong)`, that of Clopper
/// and Pearson's upper limit. The first threshold with p above `delta` ends the sequence, and the one before it is the
/// result.
///
/// The sequence begins where a tenth of the examples is answered ([`START`]), and enough of them that no mistake would
/// certify the target ([`fewest`]; 22 examples for 0.1 and 0.1). This depends on the confidences alone and keeps the level
/// if more confident answers are not wrong more often. A sequence that begins earlier can end at a single mistake among the
/// most confident answers: in a simulation with 500 examples and alpha 0.3, where 74 % of the questions could be answered,
/// the coverage was 35 % when beginning at 7 examples and 58 % when beginning at a tenth. There is no threshold where the
/// first one fails or none can be tried.
///
/// `rows` are the confidence (at least 0) of each answer and whether it is right.
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

/// The smallest number of answered examples without a mistake that certifies `alpha`: the smallest k with
/// `(1 − alpha)^k ≤ delta`.
pub fn fewest(alpha: f64, delta: f64) -> usize {
    (delta.ln() / (-alpha).ln_1p()).ceil() as usize
}

/// The number of examples that would certify a threshold at the observed error rate and coverage: the minimum over the
/// thresholds with a coverage of at least a tenth. None without examples, or where the error rate is above `alpha` at each.
fn needed(rows: &[(f64, bool)], alpha: f64, delta: f64) -> Option<usize> {
    let of = |tried: f64| {
        let (answered, wrong) = count(rows, tried);
        let risk = wrong as f64 / answered.max(1) as f64;
        if answered == 0 || (answered as f64) < START * rows.len() as f64 || risk >= alpha {
            return None;
        }
        // In steps of two per cent: the p value falls with the number of examples, but not at every one.
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

/// A share in per cent without trailing zeros.
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
    let independent = counted(n, "independent validation example");
    if let Some(threshold) = threshold {
        let (answered, wrong) = count(rows, threshold);
        return format!(
            "Answering only with a probability of at least {}, at most {target} of answered questions are wrong, with a \
             confidence of {confidence}, for questions like the {independent} (of which {answered} are answered, \
             {wrong} of them wrong).",
            percent(threshold)
        );
    }
    let fewest = fewest(alpha, delta);
    let why = match needed {
        _ if n < fewest => format!(
            "at least {fewest} answered examples without a mistake are needed, and there are {n}{}",
            needed.map_or(String::new(), |needed| format!(
                "; about {needed} would suffice at the observed error rate"
            ))
        ),
        Some(needed) => {
            format!("these are too few at the observed error rate, about {needed} would suffice")
        }
        None => {
            "even among the most confident answers too many are wrong, which more examples would not change"
                .into()
        }
    };
    format!(
        "Abstains from all questions: {independent} certify no threshold at which at most {target} of answered \
         questions are wrong with a confidence of {confidence}: {why}."
    )
}

/// [`thresholds`] above the lowest for a target, then the lowest.
fn tried_for(alpha: f64) -> impl Iterator<Item = f64> {
    let least = least_threshold(alpha);
    let above = thresholds().filter(move |tried| *tried > least);
    above.chain(std::iter::once(least))
}

/// The thresholds of [`limit_wrong_of_answered`], from the highest: `1 − 10^(−j/40)` for j from 200 to 0, rounded to seven
/// decimals: from 0.99999 to 0, denser towards 1.
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
