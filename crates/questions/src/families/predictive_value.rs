//! Predictive values by prevalence: sensitivity, specificity and the probability before the test to
//! the probability after it.
//!
//! Rule: Bayes' theorem; of those with a positive result, the ill are sens·prev out of
//! sens·prev + (1 − spec)·(1 − prev) (Altman and Bland 1994).

use crate::distractors::{MissingFigure, any_distractor};
use crate::numbers::{Side, above_or_below};
use crate::random::Random;
use crate::scenes::disease;
use crate::wording::{Case, Family, held, slots, trained};

pub(crate) const FAMILY: Family = Family {
    name: "predictive-value",
    held_out: false,
    wordings: &[
        trained(
            "counted",
            1,
            counted,
            "Of the people tested for {disease}, the number with a positive result was {positive}, \
             and of these the number who had it was {ill}; {distractor}. Is the positive predictive \
             value [above|below] {threshold}%?",
        ),
        trained(
            "figures",
            2,
            |random| figures(random, Test::Positive),
            "A test for {disease} is described as follows. Sensitivity: {sensitivity}; specificity: \
             {specificity}; prevalence: {pretest}; and {distractor}. Is the positive predictive value \
             [above|below] {threshold}%?",
        ),
        trained(
            "rule-out",
            2,
            |random| figures(random, Test::Negative),
            "Probability of {disease} beforehand: {pretest}. The test is negative; its specificity: \
             {specificity}, its sensitivity: {sensitivity}. Moreover, {distractor}. Is the probability \
             of {disease} now [below|above] {threshold}%?",
        ),
        trained(
            "positive-range",
            3,
            |random| range(random, Test::Positive),
            "Before testing, the probability of {disease} is known only to lie between {range}, and \
             {distractor}. The test (sensitivity: {sensitivity}, specificity: {specificity}) is \
             positive. Is the probability now [above|below] {threshold}%?",
        ),
        trained(
            "negative-range",
            3,
            |random| range(random, Test::Negative),
            "Colleagues put the pre-test probability of {disease} between {range}. A test is \
             negative (specificity: {specificity}, sensitivity: {sensitivity}); {distractor}. Is the \
             probability now [below|above] {threshold}%?",
        ),
        held(
            "held-screening",
            3,
            |random| range(random, Test::Positive),
            "Screening for {disease} has these properties: sensitivity: {sensitivity}, specificity: \
             {specificity}. If the prevalence is somewhere between {range}, and {distractor}, is the \
             share of people with {disease} among those who test positive [greater|less] than \
             {threshold}%?",
        ),
        held(
            "held-safe",
            2,
            |random| figures(random, Test::Negative),
            "{Distractor}. A negative test has come back (specificity: {specificity}; sensitivity: \
             {sensitivity}), and the risk of {disease} before it was: {pretest}. Is the remaining \
             risk [under|over] {threshold}%?",
        ),
    ],
};

/// The result of the test.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Test {
    Positive,
    Negative,
}

impl Test {
    fn name(self) -> &'static str {
        match self {
            Test::Positive => "positive",
            Test::Negative => "negative",
        }
    }

    /// Whether the first claim, "above" for a positive test and "below" for a negative one, holds.
    fn truth(self, side: Side) -> Option<bool> {
        match self {
            Test::Positive => side.above(),
            Test::Negative => side.below(),
        }
    }
}

/// Probability of disease after the result; all in per cent.
fn after(test: Test, sensitivity: u32, specificity: u32, pretest: u32) -> f64 {
    let [sensitivity, specificity, pretest] =
        [sensitivity, specificity, pretest].map(|percent| f64::from(percent) / 100.0);
    let (diseased, healthy) = match test {
        Test::Positive => (sensitivity, 1.0 - specificity),
        Test::Negative => (1.0 - sensitivity, specificity),
    };
    100.0 * diseased * pretest / (diseased * pretest + healthy * (1.0 - pretest))
}

fn counted(random: &mut Random) -> Option<Case> {
    let disease = disease(random);
    let positive = random.whole(20, 400);
    let ill = (f64::from(positive) * random.between(0.05, 0.95)) as u32;
    let threshold = random.pick(&[20, 30, 40, 50, 60, 70, 80]);
    let share = 100.0 * f64::from(ill) / f64::from(positive);
    if (share - f64::from(threshold)).abs() < 1.0 {
        return None;
    }
    let missing = MissingFigure::draw(random, 2);
    let above = share > f64::from(threshold);
    let rationale = match () {
        () if missing.is(0) => format!(
            "To have {ill} people with {disease} among those who test positive gives no share as \
             long as their whole number is missing."
        ),
        () if missing.is(1) => format!(
            "How many of the {positive} people with a positive result had {disease} is missing, so \
             their share cannot be told."
        ),
        () => format!(
            "Of {positive} people with a positive result {ill} had {disease}, a share of about \
             {share:.1}%, {} {threshold}%.",
            above_or_below(above)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(above),
        rationale,
        slots: slots!(
            disease,
            threshold,
            positive = missing.show(0, positive),
            ill = missing.show(1, ill),
            distractor = missing.distractor(random)
        ),
    })
}

/// Sensitivity, specificity, first probability, threshold.
fn draw_test(random: &mut Random, test: Test) -> [u32; 4] {
    let sensitivity = random.whole(60, 99);
    let specificity = random.whole(60, 99);
    match test {
        Test::Positive => [
            sensitivity,
            specificity,
            random.whole(1, 50),
            random.pick(&[20, 30, 40, 50, 60, 70, 80, 90]),
        ],
        Test::Negative => [
            sensitivity,
            specificity,
            random.whole(5, 60),
            random.pick(&[2, 3, 5, 8, 10, 15]),
        ],
    }
}

fn side(low: f64, high: f64, threshold: u32) -> Option<Side> {
    let gap = if threshold < 10 { 0.3 } else { 1.0 };
    Side::of(low, high, f64::from(threshold), gap)
}

fn figures(random: &mut Random, test: Test) -> Option<Case> {
    let disease = disease(random);
    let [sensitivity, specificity, first, threshold] = draw_test(random, test);
    let value = after(test, sensitivity, specificity, first);
    let side = side(value, value, threshold)?;
    let missing = MissingFigure::draw(random, 3);
    let result = test.name();
    if missing.any() && settled(test, missing, [sensitivity, specificity, first, threshold]) {
        return None;
    }
    let rationale = match () {
        () if missing.is(0) => format!(
            "How often people with {disease} test {result} is missing, and a specificity of \
             {specificity}% and a probability of {first}% do not replace it."
        ),
        () if missing.is(1) => format!(
            "How often people without {disease} test {result} is missing, and a sensitivity of \
             {sensitivity}% and a probability of {first}% do not replace it."
        ),
        () if missing.is(2) => format!(
            "A sensitivity of {sensitivity}% and a specificity of {specificity}% say little \
             without the missing probability before the test."
        ),
        () => format!(
            "Starting from {first}%, a sensitivity of {sensitivity}% and a specificity of \
             {specificity}% give a probability of about {value:.1}% after a {result} result, {} \
             {threshold}%.",
            above_or_below(side == Side::Above)
        ),
    };
    Some(Case {
        truth: if missing.any() {
            None
        } else {
            test.truth(side)
        },
        rationale,
        slots: slots!(
            disease,
            threshold,
            distractor = missing.distractor(random),
            sensitivity = missing.show(0, format!("{sensitivity}%")),
            specificity = missing.show(1, format!("{specificity}%")),
            pretest = missing.show(2, format!("{first}%"))
        ),
    })
}

/// Whether the missing figure could be anything from 1% to 99% without changing the answer.
fn settled(
    test: Test,
    missing: MissingFigure,
    [sensitivity, specificity, first, threshold]: [u32; 4],
) -> bool {
    let [low, high] = [1, 99].map(|any| {
        let pick = |nth, value| if missing.is(nth) { any } else { value };
        after(
            test,
            pick(0, sensitivity),
            pick(1, specificity),
            pick(2, first),
        )
    });
    side(low.min(high), low.max(high), threshold) != Some(Side::Across)
}

fn range(random: &mut Random, test: Test) -> Option<Case> {
    let disease = disease(random);
    let [sensitivity, specificity, first, threshold] = draw_test(random, test);
    let last = first + random.whole(4, 25);
    let low = after(test, sensitivity, specificity, first);
    let high = after(test, sensitivity, specificity, last);
    let side = side(low, high, threshold)?;
    let end = match side {
        Side::Above => format!("above {threshold}% throughout"),
        Side::Below => format!("below {threshold}% throughout"),
        Side::Across => format!("on both sides of {threshold}%"),
    };
    let rationale = format!(
        "From {first}% to {last}% before the test, the probability after a {} result is about \
         {low:.1}% to {high:.1}%, {end}.",
        test.name()
    );
    Some(Case {
        truth: test.truth(side),
        rationale,
        slots: slots!(
            disease,
            threshold,
            sensitivity = format!("{sensitivity}%"),
            specificity = format!("{specificity}%"),
            range = format!("{first}% and {last}%"),
            distractor = any_distractor(random)
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::{Test, after};

    #[test]
    fn a_good_test_for_a_rare_disease_is_mostly_wrong_when_positive() {
        // Of 1000 people 10 are ill: 9 true positives, 99 false ones.
        assert!((after(Test::Positive, 90, 90, 1) - 100.0 * 9.0 / 108.0).abs() < 1e-9);
        assert!((after(Test::Negative, 90, 90, 1) - 100.0 / 892.0).abs() < 1e-9);
    }
}
