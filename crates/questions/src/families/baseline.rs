//! Imbalance at baseline.
//!
//! Rules: a standardised difference |m₁ − m₂| / SD above 0.1 counts as imbalance, as the question states
//! (Austin 2009); under randomisation one test in twenty is below 0.05; an adjusted difference allows for
//! the imbalance (Senn 1994).

use crate::distractors::{MissingFigure, any_distractor, lacks};
use crate::effect::Effect;
use crate::numbers::{PrintedNumber, Side, USUAL, above_or_below, short};
use crate::random::Random;
use crate::scenes::{Marker, Scene};
use crate::wording::{Case, Family, held, slots, trained};

pub(crate) const FAMILY: Family = Family {
    name: "baseline-imbalance",
    held_out: false,
    wordings: &[
        trained(
            "by-chance",
            1,
            by_chance,
            "A randomised trial of {treatment} tests this many baseline variables at the 5% level: \
             {variables}; and {distractor}. Is the number of significant differences to be expected by \
             chance [above|below] {limit}?",
        ),
        trained(
            "standardised",
            2,
            standardised,
            "Mean {marker} at baseline, in {marker_unit}, on {treatment}: {first}; on \
             {comparator}: {second}; standard deviation in both: {deviation}; and {distractor}. If a \
             standardised difference above 0.1 counts as imbalance, are the groups \
             [imbalanced|balanced]?",
        ),
        trained(
            "adjusted",
            2,
            adjusted,
            "The groups on {treatment} and {comparator} differed in {what} at baseline. Difference \
             at the end, unadjusted: {raw} {unit} (95% CI {raw_ci}); adjusted for baseline: \
             {estimate} (95% CI {ci}); and {distractor}. Allowing for the imbalance, is {what} \
             [lower|higher] with {treatment}?",
        ),
        held(
            "held-apart",
            2,
            standardised,
            "{Distractor}. At baseline, mean {marker} (in {marker_unit}) was as follows. Standard \
             deviation in both groups: {deviation}; {comparator}: {second}; {treatment}: {first}. \
             By the limit of 0.1 for the standardised difference, is there [imbalance|balance]?",
        ),
    ],
};

fn by_chance(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let variables = random.whole(8, 120);
    let expected = f64::from(variables) * 0.05;
    let limit = PrintedNumber::new(expected * random.between(0.5, 1.7), 1);
    if (expected - limit.value).abs() < 0.2 {
        return None;
    }
    let missing = MissingFigure::draw(random, 1);
    let above = expected > limit.value;
    let rationale = match missing.any() {
        true => format!(
            "To expect {limit} by chance at the 5% level takes {} variables, and the number tested \
             is missing.",
            short(limit.value / 0.05)
        ),
        false => format!(
            "At the 5% level {variables} tests have {} significant results to be expected by \
             chance, {} {limit}.",
            short(expected),
            above_or_below(above)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(above),
        rationale,
        slots: slots!(scene; limit, variables = missing.show(0, variables),
            distractor = missing.distractor(random)),
    })
}

fn standardised(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let marker = Marker::draw(random);
    let deviation =
        PrintedNumber::new(marker.deviation * random.between(0.8, 1.2), marker.decimals);
    let first = PrintedNumber::new(
        marker.mean + marker.deviation * random.between(-0.2, 0.2),
        marker.decimals,
    );
    let second = first.value + deviation.value * random.between(-0.25, 0.25);
    let second = PrintedNumber::new(second, marker.decimals);
    let value = (first.value - second.value).abs() / deviation.value;
    if (value - 0.1).abs() < 0.012 || value < 0.005 {
        return None;
    }
    let missing = MissingFigure::draw(random, 3);
    let imbalanced = value > 0.1;
    let rationale = match missing.any() {
        true => lacks(
            missing,
            "the standardised difference",
            &[
                ("first mean", &first),
                ("second mean", &second),
                ("standard deviation", &deviation),
            ],
        ),
        false => format!(
            "Means of {first} and {second} with a standard deviation of {deviation} are a \
             standardised difference of about {value:.2}, {} 0.1.",
            above_or_below(imbalanced)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(imbalanced),
        rationale,
        slots: slots!(scene; marker = marker.name, marker_unit = marker.unit,
            first = missing.show(0, &first), second = missing.show(1, &second),
            deviation = missing.show(2, &deviation), distractor = missing.distractor(random)),
    })
}

fn adjusted(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let measure = scene.measure;
    let [raw, effect] = [
        Effect::difference(random, USUAL, measure.width, measure.decimals)?,
        Effect::difference(random, USUAL, measure.width, measure.decimals)?,
    ];
    let (what, treatment) = (measure.name, scene.treatment);
    let end = match effect.side {
        Side::Below => format!("{what} is lower with {treatment}"),
        Side::Above => format!("{what} is higher with {treatment}"),
        Side::Across => format!("{what} may be either with {treatment}"),
    };
    let rationale = format!(
        "The adjusted 95% confidence interval {}, so {end}.",
        effect.place()
    );
    Some(Case {
        truth: effect.side.below(),
        rationale,
        slots: slots!(scene; raw = raw.estimate, raw_ci = raw.ci(), estimate = effect.estimate,
            ci = effect.ci(), distractor = any_distractor(random)),
    })
}
