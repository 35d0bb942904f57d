//! p values against a level of significance, alone, after Bonferroni's correction, and with or
//! without the direction of the effect.

use super::print::{P, short};
use super::random::Random;
use super::words::Scene;
use super::{ALL, Case, Family, Wording, YES_NO};
use crate::Label;

pub(super) const FAMILY: Family = Family {
    name: "p-value",
    wordings: &[
        Wording {
            name: "alone",
            held_out: false,
            labels: YES_NO,
            draw: alone,
            template: "A trial in {population} compared {event} between {treatment} and \
                {comparator} and reported {p}. Is the difference statistically significant at \
                alpha = {alpha}?",
        },
        Wording {
            name: "reject",
            held_out: false,
            labels: YES_NO,
            draw: alone,
            template: "With a two-sided significance level of {alpha} set in advance, a study of \
                {treatment} found {p} for {event}. Can the null hypothesis be rejected?",
        },
        Wording {
            name: "bonferroni",
            held_out: false,
            labels: ALL,
            draw: bonferroni,
            template: "For {event} with {treatment} against {comparator}, a paper reports {p}; \
                {tests}. Is this difference significant at an overall alpha of {alpha} after \
                Bonferroni correction?",
        },
        Wording {
            name: "adjusted",
            held_out: false,
            labels: ALL,
            draw: bonferroni,
            template: "{Treatment} and {event} in {population}: {p}, and {tests}. If alpha = \
                {alpha} is shared equally among all tests of the paper, is the result significant?",
        },
        Wording {
            name: "direction",
            held_out: false,
            labels: ALL,
            draw: direction,
            template: "In a trial of {treatment} against {comparator}, a two-sided test on \
                {event} gave {p}; {direction}. Was {event} significantly less frequent with \
                {treatment} at alpha = {alpha}?",
        },
        Wording {
            name: "held-corrected",
            held_out: true,
            labels: ALL,
            draw: bonferroni,
            template: "Does {p} for {event} with {treatment} stay below the Bonferroni threshold \
                for an overall alpha of {alpha}, given that {tests}?",
        },
        Wording {
            name: "held-conclude-lower",
            held_out: true,
            labels: ALL,
            draw: direction,
            template: "{Event} was compared in {population}: {p} in a two-sided test, and \
                {direction}. At alpha = {alpha}, is the risk shown to be lower with {treatment}?",
        },
    ],
};

const ALPHAS: [(&str, f64); 5] = [
    ("0.05", 0.05),
    ("0.05", 0.05),
    ("0.05", 0.05),
    ("0.01", 0.01),
    ("0.10", 0.10),
];

fn slots(scene: &Scene, p: &P, alpha: &str) -> Vec<(&'static str, String)> {
    let mut slots = scene.slots();
    slots.extend([("p", p.to_string()), ("alpha", alpha.to_owned())]);
    slots
}

fn alone(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let (text, alpha) = random.pick(&ALPHAS);
    let p = P::draw(random);
    let (label, rationale) = match p.below(alpha)? {
        true => (
            Label::Yes,
            format!(
                "With {p}, below the level of {text} set for the test, the difference in {} \
                is statistically significant.",
                scene.event
            ),
        ),
        false => (
            Label::No,
            format!(
                "With {p}, above the level of {text} set for the test, the difference in {} \
                is not statistically significant.",
                scene.event
            ),
        ),
    };
    Some(Case {
        label,
        slots: slots(&scene, &p, text),
        rationale,
    })
}

fn bonferroni(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let (text, alpha) = random.pick(&ALPHAS);
    let p = P::draw(random);
    let (tests, label, rationale) = if random.chance(0.6) {
        let count = random.pick(&[2, 3, 4, 5, 6, 8, 10, 12, 15, 20]);
        let threshold = alpha / f64::from(count);
        let limit = format!(
            "{count} tests the threshold is {text} / {count} = {}",
            short(threshold)
        );
        let limit = limit.replace("= about", "≈");
        let (label, end) = match p.below(threshold)? {
            true => (Label::Yes, "is below it and stays significant"),
            false => (Label::No, "is above it and not significant"),
        };
        let rationale = format!("With {limit} after Bonferroni correction, and {p} {end}.");
        (
            format!("it was one of {count} tests in the paper"),
            label,
            rationale,
        )
    } else {
        let (label, rationale) = match p.below(alpha)? {
            true => (
                Label::Uncertain,
                format!(
                    "Although {p} is below {text}, the corrected threshold cannot be computed \
                    because the number of tests is not given."
                ),
            ),
            false => (
                Label::No,
                format!(
                    "With {p} already above {text}, the result is not significant for any \
                    number of tests."
                ),
            ),
        };
        (
            "it was one of several tests whose number the paper does not give".to_owned(),
            label,
            rationale,
        )
    };
    let mut slots = slots(&scene, &p, text);
    slots.push(("tests", tests));
    Some(Case {
        label,
        slots,
        rationale,
    })
}

fn direction(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let (text, alpha) = random.pick(&ALPHAS);
    let p = P::draw(random);
    let treatment = scene.treatment;
    let significant = p.below(alpha)?;
    let (direction, label, reason) = match random.whole(0, 3) {
        0 | 1 => (
            format!("there were fewer cases with {treatment}"),
            Label::Yes,
            format!("there were fewer cases with {treatment}, so its risk was significantly lower"),
        ),
        2 => (
            format!("there were more cases with {treatment}"),
            Label::No,
            format!(
                "there were more cases with {treatment}, so the significant difference goes \
                against it"
            ),
        ),
        _ => (
            "the paper does not say which group had fewer cases".to_owned(),
            Label::Uncertain,
            "the paper does not say which group had fewer cases, so the difference could favour \
                either"
                .to_owned(),
        ),
    };
    let (label, rationale) = match significant {
        true => (
            label,
            format!("With {p} the groups differ at the {text} level, and {reason}."),
        ),
        false => (
            Label::No,
            format!(
                "With {p}, above {text}, the groups do not differ significantly in {}, \
                whichever had fewer cases.",
                scene.event
            ),
        ),
    };
    let mut slots = slots(&scene, &p, text);
    slots.push(("direction", direction));
    Some(Case {
        label,
        slots,
        rationale,
    })
}
