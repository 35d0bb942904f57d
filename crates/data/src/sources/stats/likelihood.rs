//! Likelihood ratios: from the probability before a finding to the probability after it, by odds.

use super::print::{Ask, Num, Side};
use super::random::Random;
use super::words::disease;
use super::{ALL, Case, Family, Wording, YES_NO};

pub(super) const FAMILY: Family = Family {
    name: "likelihood-ratio",
    wordings: &[
        Wording {
            name: "present",
            held_out: false,
            labels: YES_NO,
            draw: |random| draw(random, Finding::Present, Known::Point),
            template: "The pre-test probability of {disease} is {pretest}, and a finding with a \
                likelihood ratio of {ratio} is present. Is the post-test probability above \
                {threshold}%?",
        },
        Wording {
            name: "absent",
            held_out: false,
            labels: YES_NO,
            draw: |random| draw(random, Finding::Absent, Known::Point),
            template: "At a pre-test probability of {pretest}, a negative test with a likelihood \
                ratio of {ratio} comes back. Is the probability of {disease} now below \
                {threshold}%?",
        },
        Wording {
            name: "two-findings",
            held_out: false,
            labels: YES_NO,
            draw: |random| draw(random, Finding::Both, Known::Point),
            template: "Two independent findings with likelihood ratios of {ratio} and {second} \
                are present in a patient whose probability of {disease} was {pretest}. Does the \
                probability rise above {threshold}%?",
        },
        Wording {
            name: "range",
            held_out: false,
            labels: ALL,
            draw: |random| draw(random, Finding::Present, Known::Pretest),
            template: "{Disease} was thought to have a probability between {range}. A positive \
                test has a likelihood ratio of {ratio}. Is the probability after it above \
                {threshold}%?",
        },
        Wording {
            name: "interval",
            held_out: false,
            labels: ALL,
            draw: |random| draw(random, Finding::Present, Known::Ratio),
            template: "A sign of {disease} has a likelihood ratio of {ratio} (95% CI {low} to \
                {high}). It is present at a pre-test probability of {pretest}. Over the whole \
                interval, is the post-test probability above {threshold}%?",
        },
        Wording {
            name: "held-range-absent",
            held_out: true,
            labels: ALL,
            draw: |random| draw(random, Finding::Absent, Known::Pretest),
            template: "Does a test result with likelihood ratio {ratio} leave the probability of \
                {disease} under {threshold}%, if that probability was between {range} beforehand?",
        },
        Wording {
            name: "held-enough",
            held_out: true,
            labels: YES_NO,
            draw: |random| draw(random, Finding::Present, Known::Point),
            template: "Treatment for {disease} is started above a probability of {threshold}%. Is \
                that reached from {pretest} by a result with a likelihood ratio of {ratio}?",
        },
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

/// How exactly the figures are known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Point,
    /// The probability beforehand as a range.
    Pretest,
    /// The likelihood ratio with an interval.
    Ratio,
}

/// Probability in per cent after a likelihood ratio.
fn after(pretest: u32, ratio: f64) -> f64 {
    let odds = ratio * f64::from(pretest) / f64::from(100 - pretest);
    100.0 * odds / (1.0 + odds)
}

fn draw(random: &mut Random, finding: Finding, known: Known) -> Option<Case> {
    let disease = disease(random);
    let (ratio, second) = match finding {
        Finding::Absent => (Num::new(random.between(0.03, 0.45), 2), None),
        Finding::Present => (Num::new(random.between(0.5, 3.0).exp(), 1), None),
        Finding::Both => (
            Num::new(random.between(0.5, 2.0).exp(), 1),
            Some(Num::new(random.between(0.5, 2.0).exp(), 1)),
        ),
    };
    let first = random.whole(2, 55);
    let last = if known == Known::Pretest {
        first + random.whole(4, 25)
    } else {
        first
    };
    let spread = random.between(0.15, 0.6).exp();
    let [low, high] = [ratio.value / spread, ratio.value * spread].map(|end| Num::new(end, 1));
    let (threshold, wanted) = match finding {
        Finding::Absent => (random.pick(&[2, 3, 5, 8, 10, 15]), Side::Below),
        _ => (random.pick(&[20, 30, 40, 50, 60, 70, 80, 90]), Side::Above),
    };
    let product = ratio.value * second.as_ref().map_or(1.0, |second| second.value);
    let [from, to] = match known {
        Known::Ratio => [after(first, low.value), after(first, high.value)],
        _ => [after(first, product), after(last, product)],
    };
    let gap = if threshold < 10 { 0.3 } else { 1.0 };
    let side = Side::of(from, to, f64::from(threshold), gap)?;

    let end = match (side, known) {
        (Side::Across, _) => format!("on both sides of {threshold}%"),
        (Side::Above, Known::Point) => format!("above {threshold}%"),
        (Side::Below, Known::Point) => format!("below {threshold}%"),
        (Side::Above, _) => format!("above {threshold}% throughout"),
        (Side::Below, _) => format!("below {threshold}% throughout"),
    };
    let rationale = match (known, &second) {
        (Known::Point, None) => format!(
            "Pre-test odds of {first} to {} times a likelihood ratio \
            of {ratio} give a probability of about {from:.1}%, {end}.",
            100 - first
        ),
        (Known::Point, Some(second)) => format!(
            "Pre-test odds of {first} to {} times {ratio} \
            times {second} give a probability of about {from:.1}%, {end}.",
            100 - first
        ),
        (Known::Pretest, _) => format!(
            "A likelihood ratio of {ratio} turns {first}% into about \
            {from:.1}% and {last}% into about {to:.1}%, {end}."
        ),
        (Known::Ratio, _) => format!(
            "From {first}%, likelihood ratios of {low} to {high} give \
            probabilities of about {from:.1}% to {to:.1}%, {end}."
        ),
    };
    let slots = vec![
        ("disease", disease.to_owned()),
        ("ratio", ratio.to_string()),
        (
            "second",
            second.map_or_else(String::new, |second| second.to_string()),
        ),
        ("low", low.to_string()),
        ("high", high.to_string()),
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
