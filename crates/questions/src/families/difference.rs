//! Mean differences and differences in risk, with a confidence interval or a standard error.
//!
//! Rule: a two-sided 95% interval that leaves out 0 is a difference at the 5% level; so is one of
//! more than 1.96 standard errors (Wald's test in large samples).

use crate::distractors::{MissingFigure, any_distractor};
use crate::effect::Effect;
use crate::numbers::{PrintedNumber, Side, USUAL};
use crate::random::Random;
use crate::scenes::Scene;
use crate::wording::{Case, Family, held, slots, trained};

pub(crate) const FAMILY: Family = Family {
    name: "difference",
    held_out: false,
    wordings: &[
        trained(
            "does-it",
            1,
            open,
            "Against {comparator}, {treatment} changed {what} by {estimate} {unit} (95% CI {ci}) \
             in {population}, and {distractor}. Does {treatment} [reduce|increase] {what}?",
        ),
        trained(
            "is-it",
            1,
            open,
            "The mean difference in {what} between {treatment} and {comparator} (first minus \
             second) is {estimate} {unit}, 95% confidence interval {ci}; {distractor}. Is {what} \
             [lower|higher] with {treatment}?",
        ),
        trained(
            "risk",
            1,
            risk,
            "The risk of {event} on {treatment} minus that on {comparator} was {estimate} \
             percentage points (95% CI {ci}); {distractor}. Is the risk [lower|higher] with \
             {treatment}?",
        ),
        trained(
            "standard-error",
            2,
            standard_error,
            "In a large trial in {population}, {treatment} and {comparator} differed in {what}: \
             mean difference {estimate}, standard error {error} (in {unit}); {distractor}. Is the \
             difference [statistically significant|not statistically significant] at the 5% level?",
        ),
        held(
            "held-make",
            1,
            open,
            "A study in {population} subtracts {comparator} from {treatment} and finds a mean \
             difference of {estimate} {unit} in {what}, with 95% limits of {low} and {high}; \
             {distractor}. Does {treatment} make {what} [lower|higher]?",
        ),
        held(
            "held-errors",
            2,
            standard_error,
            "{Distractor} in a large trial of {treatment}. For {what}, the standard error was {error} \
             and the mean difference {estimate} (in {unit}). Does the test at the 5% level \
             [reject|keep] the hypothesis of no difference?",
        ),
    ],
};

/// Which side of 0 the truth about something measured lies on.
fn open(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let measure = scene.measure;
    let effect = Effect::difference(random, USUAL, measure.width, measure.decimals)?;
    Some(case(random, &scene, measure.name, &effect))
}

/// The same for a risk.
fn risk(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let effect = Effect::difference(random, USUAL, 2.5, 1)?;
    let what = format!("the risk of {}", scene.event);
    Some(case(random, &scene, &what, &effect))
}

fn case(random: &mut Random, scene: &Scene, what: &str, effect: &Effect) -> Case {
    let treatment = scene.treatment;
    let end = match effect.side {
        Side::Below => format!("{what} is lower with {treatment}"),
        Side::Above => format!("{what} is higher with {treatment}"),
        Side::Across => format!("{what} may be either lower or higher with {treatment}"),
    };
    Case {
        truth: effect.side.below(),
        rationale: format!("The 95% confidence interval {}, so {end}.", effect.place()),
        slots: slots!(scene; estimate = effect.estimate, ci = effect.ci(), low = effect.low,
            high = effect.high, distractor = any_distractor(random)),
    }
}

fn standard_error(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let measure = scene.measure;
    let decimals = measure.decimals + 1;
    let error = PrintedNumber::new(measure.width * random.between(0.3, 0.8), decimals);
    let estimate = PrintedNumber::new(error.value * random.between(-4.2, 4.2), decimals);
    let ratio = estimate.value.abs() / error.value;
    // Near two, the normal and the t distribution could disagree.
    if (1.8..2.2).contains(&ratio) || ratio < 0.1 {
        return None;
    }
    let missing = MissingFigure::draw(random, 2);
    let significant = ratio > 1.96;
    let rationale = match () {
        () if missing.is(0) => format!(
            "A standard error of {error} {} without the difference itself cannot tell whether it \
             is significant.",
            measure.unit
        ),
        () if missing.is(1) => format!(
            "A mean difference of {estimate} {} without any measure of its uncertainty cannot be \
             tested.",
            measure.unit
        ),
        () if significant => format!(
            "The difference of {estimate} is about {ratio:.1} times its standard error of {error}, \
             more than 1.96, and so significant at the 5% level."
        ),
        () => format!(
            "The difference of {estimate} is about {ratio:.1} times its standard error of {error}, \
             less than 1.96, and so not significant at the 5% level."
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(significant),
        rationale,
        slots: slots!(scene; estimate = missing.show(0, &estimate), error = missing.show(1, &error),
            distractor = missing.distractor(random)),
    })
}
