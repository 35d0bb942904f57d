//! Imbalance at baseline.
//!
//! Rules: a standardised difference |m₁ − m₂| / SD above 0.1 counts as imbalance, as the question states
//! (Austin 2009); under randomisation one test in twenty is below 0.05; an adjusted difference allows for
//! the imbalance (Senn 1994).

use crate::effect::Effect;
use crate::print::{Num, Side, USUAL, above_or_below, short};
use crate::random::Random;
use crate::spare::{Hidden, any_spare, lacks};
use crate::wording::{Case, Family, held, slots, trained};
use crate::words::{Marker, Scene};

pub(crate) const FAMILY: Family = Family {
    name: "baseline-imbalance",
    held_out: false,
    wordings: &[
        trained(
            "by-chance",
            1,
            by_chance,
            "A randomised trial of {treatment} tests this many baseline variables at the 5% level: \
             {variables}; and {spare}. Is the number of significant differences to be expected by \
             chance [above|below] {limit}?",
        ),
        trained(
            "standardised",
            2,
            standardised,
            "Mean {marker} at baseline, in {marker_unit}, on {treatment}: {first}; on \
             {comparator}: {second}; standard deviation in both: {deviation}; and {spare}. If a \
             standardised difference above 0.1 counts as imbalance, are the groups \
             [imbalanced|balanced]?",
        ),
        trained(
            "adjusted",
            2,
            adjusted,
            "The groups on {treatment} and {comparator} differed in {what} at baseline. Difference \
             at the end, unadjusted: {raw} {unit} (95% CI {raw_ci}); adjusted for baseline: \
             {estimate} (95% CI {ci}); and {spare}. Allowing for the imbalance, is {what} \
             [lower|higher] with {treatment}?",
        ),
        held(
            "held-apart",
            2,
            standardised,
            "{Spare}. At baseline, mean {marker} (in {marker_unit}) was as follows. Standard \
             deviation in both groups: {deviation}; {comparator}: {second}; {treatment}: {first}. \
             By the limit of 0.1 for the standardised difference, is there [imbalance|balance]?",
        ),
    ],
};

fn by_chance(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let variables = random.whole(8, 120);
    let expected = f64::from(variables) * 0.05;
    let limit = Num::new(expected * random.between(0.5, 1.7), 1);
    if (expected - limit.value).abs() < 0.2 {
        return None;
    }
    let hidden = Hidden::draw(random, 1);
    let above = expected > limit.value;
    let rationale = match hidden.any() {
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
        truth: (!hidden.any()).then_some(above),
        rationale,
        slots: slots!(scene; limit, variables = hidden.show(0, variables),
            spare = hidden.spare(random)),
    })
}

fn standardised(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let marker = Marker::draw(random);
    let deviation = Num::new(marker.deviation * random.between(0.8, 1.2), marker.decimals);
    let first = Num::new(
        marker.mean + marker.deviation * random.between(-0.2, 0.2),
        marker.decimals,
    );
    let second = first.value + deviation.value * random.between(-0.25, 0.25);
    let second = Num::new(second, marker.decimals);
    let value = (first.value - second.value).abs() / deviation.value;
    if (value - 0.1).abs() < 0.012 || value < 0.005 {
        return None;
    }
    let hidden = Hidden::draw(random, 3);
    let imbalanced = value > 0.1;
    let rationale = match hidden.any() {
        true => lacks(
            hidden,
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
        truth: (!hidden.any()).then_some(imbalanced),
        rationale,
        slots: slots!(scene; marker = marker.name, marker_unit = marker.unit,
            first = hidden.show(0, &first), second = hidden.show(1, &second),
            deviation = hidden.show(2, &deviation), spare = hidden.spare(random)),
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
            ci = effect.ci(), spare = any_spare(random)),
    })
}
