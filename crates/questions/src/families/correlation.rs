//! Correlation: its sign, its significance by the number of patients, and what it explains.
//!
//! Rules: artanh r has a standard error of 1 / √(n − 3) (Fisher 1921); the share of variance that two
//! variables have in common in a linear relation is r².

use crate::distractors::{MissingFigure, any_distractor, lacks};
use crate::numbers::{PrintedNumber, Side, USUAL, above_or_below, significant_or_not};
use crate::random::Random;
use crate::scenes::Scene;
use crate::wording::{Case, Family, held, slots, trained};

pub(crate) const FAMILY: Family = Family {
    name: "correlation",
    held_out: false,
    wordings: &[
        trained(
            "sign",
            1,
            sign,
            "In {population}, {what} and {second} had a correlation of {r} (95% CI {ci}) in {size} \
             people; {distractor}. Is the correlation [positive|negative]?",
        ),
        trained(
            "explained",
            2,
            explained,
            "Correlation of {second} and {what} in {size} people: {r}; and {distractor}. Is the share of \
             variance that a linear relation explains [above|below] {threshold}%?",
        ),
        trained(
            "fisher",
            3,
            fisher,
            "Correlation of {what} and {second}: {r}; number of people: {people}; and {distractor}. By \
             Fisher's z transformation, is the correlation [significant|not significant] at the \
             two-sided 5% level?",
        ),
        held(
            "held-variance",
            2,
            explained,
            "{Distractor}. {Second} was measured with {what} in {size} people. Correlation between the \
             two: {r}. Does a straight line account for [more|less] than {threshold}% of the \
             variance?",
        ),
    ],
};

const SECONDS: [&str; 6] = [
    "the daily number of steps",
    "sleeping time",
    "salt intake",
    "the level of vitamin D",
    "time spent outdoors",
    "years of schooling",
];

fn sign(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let second = random.pick(&SECONDS);
    let size = random.whole(20, 240);
    let error = 1.0 / f64::from(size - 3).sqrt();
    let z = error * random.between(-4.5, 4.5);
    let [r, low, high] =
        [0.0, -USUAL.z, USUAL.z].map(|step| PrintedNumber::new((z + step * error).tanh(), 2));
    let side = Side::of(low.value, high.value, 0.0, 0.005)?;
    if r.value == 0.0 || low.value == r.value || high.value == r.value {
        return None;
    }
    let end = match side {
        Side::Above => "lies wholly above 0, so the correlation is positive",
        Side::Below => "lies wholly below 0, so the correlation is negative",
        Side::Across => "includes 0, so the correlation may have either sign",
    };
    let rationale = format!("The 95% confidence interval from {low} to {high} {end}.");
    Some(Case {
        truth: side.above(),
        rationale,
        slots: slots!(scene; second, size, r, ci = format!("{low} to {high}"),
            distractor = any_distractor(random)),
    })
}

fn explained(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let second = random.pick(&SECONDS);
    let size = random.whole(30, 400);
    let r = PrintedNumber::new(random.between(-0.9, 0.9), 2);
    let threshold = random.whole(1, 12) * 5;
    let share = 100.0 * r.value * r.value;
    if (share - f64::from(threshold)).abs() < 1.2 || share < 2.0 {
        return None;
    }
    let missing = MissingFigure::draw(random, 1);
    let above = share > f64::from(threshold);
    let rationale = match missing.any() {
        true => format!(
            "The share explained is the square of the correlation, and its being measured in {size} \
             people does not replace the missing correlation."
        ),
        false => format!(
            "A correlation of {r} squared is a share of about {share:.1}% of the variance, {} \
             {threshold}%.",
            above_or_below(above)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(above),
        rationale,
        slots: slots!(scene; second, size, threshold, r = missing.show(0, &r),
            distractor = missing.distractor(random)),
    })
}

fn fisher(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let second = random.pick(&SECONDS);
    let people = random.whole(12, 300);
    let root = f64::from(people - 3).sqrt();
    let r = PrintedNumber::new((random.between(-4.5, 4.5) / root).tanh(), 2);
    let z = r.value.atanh().abs() * root;
    // Where Fisher's and the t test could disagree.
    if (1.8..2.15).contains(&z) || r.value.abs() < 0.02 || r.value.abs() > 0.95 {
        return None;
    }
    let missing = MissingFigure::draw(random, 2);
    let significant = z > 1.96;
    let rationale = match missing.any() {
        true => lacks(
            missing,
            "the significance",
            &[("correlation", &r), ("number of people", &people)],
        ),
        false => format!(
            "The inverse hyperbolic tangent of {r} times the root of {people} - 3 is about {z:.1} in \
             size, {} 1.96, so the correlation is {} at the 5% level.",
            above_or_below(significant),
            significant_or_not(significant)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(significant),
        rationale,
        slots: slots!(scene; second, r = missing.show(0, &r), people = missing.show(1, people),
            distractor = missing.distractor(random)),
    })
}
