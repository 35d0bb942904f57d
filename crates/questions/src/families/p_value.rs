//! p values against a level of significance: of the right outcome, in the right direction, one-sided
//! or two-sided.
//!
//! Rule (Neyman and Pearson): significant where p is below the level set in advance. For a symmetric
//! test the one-sided p value is half of the two-sided one where the effect goes the predicted way,
//! and one minus that half where it goes the other way.

use crate::distractors::{MissingFigure, show};
use crate::numbers::PValue;
use crate::random::Random;
use crate::scenes::Scene;
use crate::wording::{Case, Family, held, slots, trained};

pub(crate) const FAMILY: Family = Family {
    name: "p-value",
    held_out: false,
    wordings: &[
        trained(
            "two-outcomes",
            1,
            two_outcomes,
            "A trial of {treatment} in {population} reports these p values: {other}, {second}; \
             {event}, {first}. {Distractor}. At alpha = {alpha}, is the difference in {event} \
             [statistically significant|not statistically significant]?",
        ),
        trained(
            "reject",
            1,
            two_outcomes,
            "With a two-sided significance level of {alpha} set in advance, {treatment} was \
             compared with {comparator}. The p value for {event}: {first}. The p value for {other}: \
             {second}. Moreover, {distractor}. Is the null hypothesis for {event} [rejected|not \
             rejected]?",
        ),
        trained(
            "direction",
            2,
            fewer,
            "In a trial of {treatment} against {comparator}, the two-sided p value for {event} was \
             {p}. Group with fewer cases: {group}. {Distractor}. At alpha = {alpha}, was {event} \
             [significantly less frequent|not significantly less frequent] with {treatment}?",
        ),
        trained(
            "one-sided",
            2,
            one_sided,
            "Before the trial, a one-sided test at alpha = {alpha} was chosen, to show fewer cases of \
             {event} with {treatment}. Two-sided p value: {p}; group with fewer cases: {group}; and \
             {distractor}. Is the one-sided test [significant|not significant]?",
        ),
        held(
            "held-conclude",
            2,
            fewer,
            "{Event} was compared in {population} at alpha = {alpha}. {Distractor}. Group with fewer \
             cases: {group}. Two-sided p value: {p}. Is the risk [shown|not shown] to be lower with \
             {treatment}?",
        ),
        held(
            "held-which",
            1,
            two_outcomes,
            "{Distractor}; the p values were {second} for {other} and {first} for {event}. Does the \
             test on {event} [reach|miss] significance at alpha = {alpha}?",
        ),
    ],
};

const ALPHAS: [(&str, f64); 5] = [
    ("0.05", 0.05),
    ("0.05", 0.05),
    ("0.05", 0.05),
    ("0.01", 0.01),
    ("0.10", 0.10),
];

fn two_outcomes(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let (alpha, level) = random.pick(&ALPHAS);
    let [p, other] = [PValue::draw(random), PValue::draw(random)];
    let missing = MissingFigure::draw(random, 1);
    let other_known = missing.any() || random.chance(0.5);
    let significant = p.below(level)?;
    let (event, number) = (scene.event, p.number());
    let rationale = match (missing.any(), significant) {
        (true, _) => format!(
            "The p value for {event} is what the level of {alpha} has to be compared with, and it \
             is missing."
        ),
        (false, true) => format!(
            "The p value for {event}, {number}, is smaller than {alpha}, so the difference in it \
             is statistically significant."
        ),
        (false, false) => format!(
            "The p value for {event}, {number}, is larger than {alpha}, so the difference in it is \
             not statistically significant."
        ),
    };
    let distractor = match other_known {
        true => missing.distractor(random),
        false => crate::distractors::distractor(random, false),
    };
    Some(Case {
        truth: (!missing.any()).then_some(significant),
        rationale,
        slots: slots!(scene; alpha, first = missing.show(0, &number),
            second = show(other_known, other.number()), distractor),
    })
}

/// Which group had fewer cases: the treated one, the other one, or not reported.
fn group(random: &mut Random, scene: &Scene, missing: MissingFigure) -> (bool, String) {
    let treated = random.chance(0.6);
    let name = if treated {
        scene.treatment
    } else {
        scene.comparator
    };
    (treated, missing.show(1, name))
}

fn fewer(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let (alpha, level) = random.pick(&ALPHAS);
    let p = PValue::draw(random);
    let missing = MissingFigure::draw(random, 2);
    let (treated, group) = group(random, &scene, missing);
    let significant = p.below(level)?;
    let number = p.number();
    let truth = match (missing.is(0), missing.is(1)) {
        (true, _) => treated.then_some(()).map_or(Some(false), |()| None),
        (_, true) => {
            if significant {
                None
            } else {
                Some(false)
            }
        }
        _ => Some(significant && treated),
    };
    let (event, name) = (scene.event, scene.treatment);
    let rationale = match (missing.is(0), missing.is(1), significant, treated) {
        (true, _, _, true) => format!(
            "Fewer cases of {event} with {name} are significant at {alpha} or not, depending on the \
             missing p value."
        ),
        (true, _, _, false) => format!(
            "Cases of {event} were not fewer with {name}, so no p value below {alpha} could make \
             them significantly less frequent."
        ),
        (_, true, true, _) => format!(
            "With p of {number} against {alpha} the groups differ in {event}, but which one had \
             fewer cases is missing."
        ),
        (_, _, false, _) => format!(
            "The p value of {number} is larger than {alpha}, so the groups do not differ \
             significantly in {event}, whichever had fewer cases."
        ),
        (_, _, true, true) => format!(
            "The p value of {number} is smaller than {alpha} and cases were fewer with {name}, so \
             {event} was significantly less frequent with it."
        ),
        (_, _, true, false) => format!(
            "The p value of {number} is smaller than {alpha}, but cases of {event} were fewer in \
             the other group, so the difference goes against {name}."
        ),
    };
    Some(Case {
        truth,
        rationale,
        slots: slots!(scene; alpha, p = missing.show(0, &number), group,
            distractor = missing.distractor(random)),
    })
}

fn one_sided(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let (alpha, level) = random.pick(&[("0.05", 0.05), ("0.025", 0.025), ("0.01", 0.01)]);
    let p = PValue::draw(random);
    let missing = MissingFigure::draw(random, 2);
    let (treated, group) = group(random, &scene, missing);
    let small = p.below(2.0 * level)?;
    let (number, name) = (p.number(), scene.treatment);
    let truth = match (missing.is(0), missing.is(1)) {
        (true, _) => {
            if treated {
                None
            } else {
                Some(false)
            }
        }
        (_, true) => {
            if small {
                None
            } else {
                Some(false)
            }
        }
        _ => Some(small && treated),
    };
    let rationale = match (missing.is(0), missing.is(1), small, treated) {
        (_, false, _, false) => format!(
            "The cases were not fewer with {name}, so the one-sided p value is above 0.5 and the \
             test at {alpha} is not significant."
        ),
        (true, ..) => format!(
            "Cases were fewer with {name}, as predicted, but the p value to be halved and compared \
             with {alpha} is missing."
        ),
        (_, _, false, _) => format!(
            "Half of the two-sided p value of {number} is still above {alpha}, so the one-sided \
             test is not significant."
        ),
        (_, true, ..) => format!(
            "Half of the p value of {number} is below {alpha}, but whether the effect went the \
             predicted way is missing."
        ),
        _ => format!(
            "Cases were fewer with {name}, as predicted, and half of the p value of {number} is \
             below {alpha}, so the one-sided test is significant."
        ),
    };
    Some(Case {
        truth,
        rationale,
        slots: slots!(scene; alpha, p = missing.show(0, &number), group,
            distractor = missing.distractor(random)),
    })
}
