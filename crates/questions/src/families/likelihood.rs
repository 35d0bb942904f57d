//! Likelihood ratios: from the probability before a finding to the probability after it.
//!
//! Rule: odds after = likelihood ratio × odds before; LR+ = sensitivity / (1 − specificity),
//! LR− = (1 − sensitivity) / specificity (Deeks and Altman 2004). Independent findings multiply.

use crate::distractors::{MissingFigure, any_distractor};
use crate::numbers::{PrintedNumber, Side};
use crate::random::Random;
use crate::scenes::disease;
use crate::wording::{Case, Family, held, slots, trained};

pub(crate) const FAMILY: Family = Family {
    name: "likelihood-ratio",
    held_out: false,
    wordings: &[
        trained(
            "of-the-test",
            1,
            of_the_test,
            "For a test for {disease}, these figures are known. Sensitivity: {sensitivity}; \
             specificity: {specificity}; and {distractor}. Is the likelihood ratio of a positive result \
             [above|below] {threshold}?",
        ),
        trained(
            "present",
            2,
            |random| point(random, Finding::Present),
            "Pre-test probability of {disease}: {pretest}. A finding is present, with this \
             likelihood ratio: {ratio}. Moreover, {distractor}. Is the post-test probability \
             [above|below] {threshold}%?",
        ),
        trained(
            "absent",
            2,
            |random| point(random, Finding::Absent),
            "A negative test comes back; likelihood ratio of a negative result: {ratio}; pre-test \
             probability: {pretest}; and {distractor}. Is the probability of {disease} now \
             [below|above] {threshold}%?",
        ),
        trained(
            "range",
            2,
            |random| open(random, Finding::Present, Known::Pretest),
            "{Disease} was thought to have a probability between {range}, and {distractor}. A positive \
             test has a likelihood ratio of {ratio}. Is the probability after it [above|below] \
             {threshold}%?",
        ),
        trained(
            "interval",
            3,
            |random| open(random, Finding::Present, Known::Ratio),
            "A sign of {disease} has a likelihood ratio of {ratio} (95% CI {low} to {high}); \
             {distractor}. It is present at a pre-test probability of {pretest}. Judged by that \
             interval, is the post-test probability [above|below] {threshold}%?",
        ),
        trained(
            "two-findings",
            3,
            |random| open(random, Finding::Both, Known::Pretest),
            "Two independent findings with likelihood ratios of {ratio} and {second} are present \
             in a patient whose probability of {disease} was put between {range}; {distractor}. Is the \
             probability now [above|below] {threshold}%?",
        ),
        held(
            "held-range-absent",
            2,
            |random| open(random, Finding::Absent, Known::Pretest),
            "If the probability of {disease} was between {range} beforehand, and {distractor}, does a \
             test result with likelihood ratio {ratio} put it [under|over] {threshold}%?",
        ),
        held(
            "held-enough",
            2,
            |random| point(random, Finding::Present),
            "Probability of {disease} at first: {pretest}. Likelihood ratio of the result: {ratio}. \
             {Distractor}. Is what follows a probability [over|under] {threshold}%, where treatment \
             begins?",
        ),
    ],
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Finding {
    /// One finding that speaks for the disease.
    Present,
    /// Two of them.
    Both,
    /// A result that speaks against it.
    Absent,
}

/// Which figure is known as a range.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Pretest,
    Ratio,
}

/// Probability in per cent after a likelihood ratio.
fn after(pretest: u32, ratio: f64) -> f64 {
    let odds = ratio * f64::from(pretest) / f64::from(100 - pretest);
    100.0 * odds / (1.0 + odds)
}

fn draw_ratio(random: &mut Random, finding: Finding) -> PrintedNumber {
    match finding {
        Finding::Absent => PrintedNumber::new(random.between(0.03, 0.45), 2),
        Finding::Present => PrintedNumber::new(random.between(0.5, 3.0).exp(), 1),
        Finding::Both => PrintedNumber::new(random.between(0.5, 2.0).exp(), 1),
    }
}

fn draw_threshold(random: &mut Random, finding: Finding) -> u32 {
    match finding {
        Finding::Absent => random.pick(&[2, 3, 5, 8, 10, 15]),
        _ => random.pick(&[20, 30, 40, 50, 60, 70, 80, 90]),
    }
}

fn side(from: f64, to: f64, threshold: u32) -> Option<Side> {
    let gap = if threshold < 10 { 0.3 } else { 1.0 };
    Side::of(from, to, f64::from(threshold), gap)
}

/// Whether the first claim holds: "below" where the finding is absent.
fn truth(finding: Finding, side: Side) -> Option<bool> {
    match finding {
        Finding::Absent => side.below(),
        _ => side.above(),
    }
}

fn of_the_test(random: &mut Random) -> Option<Case> {
    let disease = disease(random);
    let [sensitivity, specificity] = [0, 1].map(|_| random.whole(55, 98));
    let threshold = random.pick(&[2, 3, 4, 5, 8, 10]);
    let ratio = f64::from(sensitivity) / f64::from(100 - specificity);
    if (ratio - f64::from(threshold)).abs() < 0.1 * f64::from(threshold) {
        return None;
    }
    let missing = MissingFigure::draw(random, 2);
    // A missing sensitivity does not matter where even 100% would be too little.
    let most = 100.0 / f64::from(100 - specificity);
    if missing.is(0) && most < 1.1 * f64::from(threshold) {
        return None;
    }
    let above = ratio > f64::from(threshold);
    let rationale = match () {
        () if missing.is(0) => format!(
            "The likelihood ratio is sensitivity over false positive rate, and next to a \
             specificity of {specificity}% the sensitivity is missing."
        ),
        () if missing.is(1) => format!(
            "The likelihood ratio is sensitivity over false positive rate, and next to a \
             sensitivity of {sensitivity}% the specificity is missing."
        ),
        () => format!(
            "The likelihood ratio of a positive result is {sensitivity}% / {}%, about {ratio:.1}, \
             {} {threshold}.",
            100 - specificity,
            if above { "above" } else { "below" }
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(above),
        rationale,
        slots: slots!(
            disease,
            threshold,
            distractor = missing.distractor(random),
            sensitivity = missing.show(0, format!("{sensitivity}%")),
            specificity = missing.show(1, format!("{specificity}%"))
        ),
    })
}

fn point(random: &mut Random, finding: Finding) -> Option<Case> {
    let disease = disease(random);
    let ratio = draw_ratio(random, finding);
    let pretest = random.whole(2, 55);
    let threshold = draw_threshold(random, finding);
    let value = after(pretest, ratio.value);
    let side = side(value, value, threshold)?;
    let missing = MissingFigure::draw(random, 2);
    // A missing ratio does not matter where the probability was below already.
    if finding == Finding::Absent && missing.is(1) && pretest <= threshold {
        return None;
    }
    if finding != Finding::Absent && missing.is(1) && pretest >= threshold {
        return None;
    }
    let rationale = match () {
        () if missing.is(0) => format!(
            "A likelihood ratio of {ratio} changes a probability, and the one before the result is \
             missing."
        ),
        () if missing.is(1) => format!(
            "From {pretest}% the probability changes by the likelihood ratio of the result, which \
             is missing."
        ),
        () => format!(
            "Pre-test odds of {pretest} to {} times a likelihood ratio of {ratio} give a \
             probability of about {value:.1}%, {} {threshold}%.",
            100 - pretest,
            if side == Side::Above {
                "above"
            } else {
                "below"
            }
        ),
    };
    Some(Case {
        truth: if missing.any() {
            None
        } else {
            truth(finding, side)
        },
        rationale,
        slots: slots!(
            disease,
            threshold,
            pretest = missing.show(0, format!("{pretest}%")),
            ratio = missing.show(1, &ratio),
            distractor = missing.distractor(random)
        ),
    })
}

fn open(random: &mut Random, finding: Finding, known: Known) -> Option<Case> {
    let disease = disease(random);
    let ratio = draw_ratio(random, finding);
    let second = draw_ratio(random, Finding::Both);
    let first = random.whole(2, 55);
    let last = first + random.whole(4, 25);
    let spread = random.between(0.15, 0.6).exp();
    let [low, high] =
        [ratio.value / spread, ratio.value * spread].map(|end| PrintedNumber::new(end, 1));
    let threshold = draw_threshold(random, finding);
    let product = match finding {
        Finding::Both => ratio.value * second.value,
        _ => ratio.value,
    };
    let [from, to] = match known {
        Known::Ratio => [after(first, low.value), after(first, high.value)],
        Known::Pretest => [after(first, product), after(last, product)],
    };
    let side = side(from, to, threshold)?;
    let end = match side {
        Side::Across => format!("on both sides of {threshold}%"),
        Side::Above => format!("above {threshold}% throughout"),
        Side::Below => format!("below {threshold}% throughout"),
    };
    let rationale = match (known, finding) {
        (Known::Pretest, Finding::Both) => format!(
            "The product of {ratio} and {second} turns {first}% into about {from:.1}% and {last}% \
             into about {to:.1}%, {end}."
        ),
        (Known::Pretest, _) => format!(
            "A likelihood ratio of {ratio} turns {first}% into about {from:.1}% and {last}% into \
             about {to:.1}%, {end}."
        ),
        (Known::Ratio, _) => format!(
            "From {first}%, likelihood ratios of {low} to {high} give probabilities of about \
             {from:.1}% to {to:.1}%, {end}."
        ),
    };
    Some(Case {
        truth: truth(finding, side),
        rationale,
        slots: slots!(
            disease,
            threshold,
            ratio,
            second,
            low,
            high,
            pretest = format!("{first}%"),
            range = format!("{first}% and {last}%"),
            distractor = any_distractor(random)
        ),
    })
}
