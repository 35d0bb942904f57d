//! Sensitivity, specificity and the probability before the test to the probability after it.

use super::print::{Ask, Side};
use super::random::Random;
use super::words::disease;
use super::{ALL, Case, Family, Wording, YES_NO};

pub(super) const FAMILY: Family = Family {
    name: "predictive-value",
    wordings: &[
        Wording {
            name: "positive-above",
            held_out: false,
            labels: YES_NO,
            draw: |random| draw(random, Test::Positive, false),
            template: "A test for {disease} has a sensitivity of {sensitivity}% and a specificity \
                of {specificity}%. At a pre-test probability of {pretest}, does a positive result \
                bring the probability of {disease} above {threshold}%?",
        },
        Wording {
            name: "negative-below",
            held_out: false,
            labels: YES_NO,
            draw: |random| draw(random, Test::Negative, false),
            template: "{Disease} has a pre-test probability of {pretest} in a patient. The test \
                has sensitivity {sensitivity}% and specificity {specificity}%. Does a negative \
                result bring the probability below {threshold}%, so that {disease} counts as \
                ruled out?",
        },
        Wording {
            name: "ppv-greater",
            held_out: false,
            labels: YES_NO,
            draw: |random| draw(random, Test::Positive, false),
            template: "With sensitivity {sensitivity}%, specificity {specificity}% and a \
                prevalence of {pretest}, is the positive predictive value of a test for {disease} \
                greater than {threshold}%?",
        },
        Wording {
            name: "positive-range",
            held_out: false,
            labels: ALL,
            draw: |random| draw(random, Test::Positive, true),
            template: "Before testing, the probability of {disease} is known only to lie between \
                {range}. The test (sensitivity {sensitivity}%, specificity {specificity}%) is \
                positive. Is the probability now above {threshold}%?",
        },
        Wording {
            name: "negative-range",
            held_out: false,
            labels: ALL,
            draw: |random| draw(random, Test::Negative, true),
            template: "Colleagues put the pre-test probability of {disease} between {range}. A \
                test with a sensitivity of {sensitivity}% and a specificity of {specificity}% is \
                negative. Is the probability now below {threshold}%?",
        },
        Wording {
            name: "held-range",
            held_out: true,
            labels: ALL,
            draw: |random| draw(random, Test::Positive, true),
            template: "A screening test finds {sensitivity}% of people with {disease} and is \
                negative in {specificity}% of people without it. If the prevalence is somewhere \
                between {range}, do more than {threshold}% of people with a positive test have \
                {disease}?",
        },
        Wording {
            name: "held-rule-out",
            held_out: true,
            labels: YES_NO,
            draw: |random| draw(random, Test::Negative, false),
            template: "Is a remaining risk of {disease} under {threshold}% reached by a negative \
                test (sensitivity {sensitivity}%, specificity {specificity}%) when the risk \
                beforehand was {pretest}?",
        },
    ],
};

/// What the test says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Test {
    Positive,
    Negative,
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

/// Share of positive results that are true, in per cent; all arguments in per cent.
pub(super) fn positive_predictive_value(
    sensitivity: u32,
    specificity: u32,
    prevalence: u32,
) -> f64 {
    after(Test::Positive, sensitivity, specificity, prevalence)
}

fn draw(random: &mut Random, test: Test, range: bool) -> Option<Case> {
    let disease = disease(random);
    let sensitivity = random.whole(60, 99);
    let specificity = random.whole(60, 99);
    let (first, threshold, wanted) = match test {
        Test::Positive => (
            random.whole(1, 50),
            random.pick(&[20, 30, 40, 50, 60, 70, 80, 90]),
            Side::Above,
        ),
        Test::Negative => (
            random.whole(5, 60),
            random.pick(&[2, 3, 5, 8, 10, 15]),
            Side::Below,
        ),
    };
    let last = if range {
        first + random.whole(4, 25)
    } else {
        first
    };
    let low = after(test, sensitivity, specificity, first);
    let high = after(test, sensitivity, specificity, last);
    let gap = if threshold < 10 { 0.3 } else { 1.0 };
    let side = Side::of(low, high, f64::from(threshold), gap)?;

    let result = match test {
        Test::Positive => "positive",
        Test::Negative => "negative",
    };
    let rationale = if range {
        let end = match side {
            Side::Above => format!("above {threshold}% throughout"),
            Side::Below => format!("below {threshold}% throughout"),
            Side::Across => format!("on both sides of {threshold}%"),
        };
        format!(
            "From {first}% to {last}% before the test, the probability after a {result} \
            result is about {low:.1}% to {high:.1}%, {end}."
        )
    } else {
        let end = if side == Side::Above {
            "above"
        } else {
            "below"
        };
        format!(
            "Starting from {first}%, a sensitivity of {sensitivity}% and a specificity of \
            {specificity}% give a probability of about {low:.1}% after a {result} result, {end} \
            {threshold}%."
        )
    };
    let slots = vec![
        ("disease", disease.to_owned()),
        ("sensitivity", sensitivity.to_string()),
        ("specificity", specificity.to_string()),
        ("pretest", format!("{first}%")),
        ("range", format!("{first}% and {last}%")),
        ("threshold", threshold.to_string()),
    ];
    Some(Case {
        label: side.answer(wanted, Ask::True),
        slots,
        rationale,
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
