//! Mean differences and differences in risk with a confidence interval, against 0.

use super::print::{Ask, DOWN, Level, Num, P, Side, UP, USUAL, any_level, capital};
use super::random::Random;
use super::words::Scene;
use super::{ALL, Case, Family, Wording, YES_NO};

pub(super) const FAMILY: Family = Family {
    name: "difference",
    wordings: &[
        Wording {
            name: "was-significantly",
            held_out: false,
            labels: YES_NO,
            draw: |random| draw(random, Ask::Shown, USUAL),
            template: "In a trial in {population}, the {kind} in {what} ({treatment} minus \
                {comparator}) was {estimate} {unit} ({level}% CI {low} to {high}). With \
                {treatment}, was {what} significantly {adjective}?",
        },
        Wording {
            name: "at-level",
            held_out: false,
            labels: YES_NO,
            draw: |random| {
                let level = any_level(random);
                draw(random, Ask::Shown, level)
            },
            template: "{Treatment} minus {comparator} gave a {kind} of {estimate} {unit} in \
                {what}, {level}% confidence interval {low} to {high}. Is {a_noun} in {what} \
                statistically significant at the {alpha}% level?",
        },
        Wording {
            name: "with-p",
            held_out: false,
            labels: YES_NO,
            draw: |random| {
                let level = any_level(random);
                draw(random, Ask::Shown, level)
            },
            template: "Compared with {comparator}, the change in {what} with {treatment} was \
                {estimate} {unit} ({level}% CI {low} to {high}, {p}). Is there a statistically \
                significant {noun} at the {alpha}% level?",
        },
        Wording {
            name: "does-it",
            held_out: false,
            labels: ALL,
            draw: |random| draw(random, Ask::True, USUAL),
            template: "Against {comparator}, {treatment} changed {what} by {estimate} {unit} \
                ({level}% CI {low} to {high}) in {population}. Does {treatment} {verb} {what}?",
        },
        Wording {
            name: "is-it",
            held_out: false,
            labels: ALL,
            draw: |random| draw(random, Ask::True, USUAL),
            template: "The {kind} in {what} between {treatment} and {comparator} (first minus \
                second) is {estimate} {unit}, {level}% confidence interval {low} to {high}. Is \
                {what} {adjective} with {treatment}?",
        },
        Wording {
            name: "held-make",
            held_out: true,
            labels: ALL,
            draw: |random| draw(random, Ask::True, USUAL),
            template: "A study in {population} subtracts {comparator} from {treatment} and finds \
                a {kind} of {estimate} {unit} in {what}, with {level}% limits of {low} and \
                {high}. Does {treatment} make {what} {adjective}?",
        },
        Wording {
            name: "held-do-limits-show",
            held_out: true,
            labels: YES_NO,
            draw: |random| draw(random, Ask::Shown, USUAL),
            template: "Do {level}% confidence limits of {low} and {high} {unit} around a {kind} \
                of {estimate} in {what} ({treatment} minus {comparator}) show a statistically \
                significant {noun}?",
        },
    ],
};

fn draw(random: &mut Random, ask: Ask, level: Level) -> Option<Case> {
    let scene = Scene::draw(random);
    let (kind, what, unit, width, decimals) = match random.chance(0.6) {
        true => {
            let measure = scene.measure;
            (
                "mean difference",
                measure.name.to_owned(),
                measure.unit,
                measure.width,
                measure.decimals,
            )
        }
        false => {
            let what = format!("the risk of {}", scene.event);
            ("difference", what, "percentage points", 2.5, 1)
        }
    };
    let error = width * random.between(0.25, 0.8);
    let difference = width * random.between(-2.2, 2.2);
    let estimate = Num::new(difference, decimals);
    let low = Num::new(difference - level.z * error, decimals);
    let high = Num::new(difference + level.z * error, decimals);
    let asked = random.pick(&[DOWN, UP]);
    let side = Side::of(low.value, high.value, 0.0, 0.0)?;
    if estimate.value == 0.0 || low.value >= estimate.value || high.value <= estimate.value {
        return None;
    }
    let p = P::of_z(difference / error);
    if p.below(f64::from(level.alpha) / 100.0)? == (side == Side::Across) {
        return None;
    }

    let percent = level.percent;
    let treatment = scene.treatment;
    let interval = match side {
        Side::Below => format!(
            "both ends of the {percent}% confidence interval, {low} and \
            {high}, lie below 0"
        ),
        Side::Above => format!(
            "both ends of the {percent}% confidence interval, {low} and \
            {high}, lie above 0"
        ),
        Side::Across => format!(
            "the {percent}% confidence interval from {low} to {high} includes \
            0"
        ),
    };
    let found = match side {
        Side::Below => "lower",
        _ => "higher",
    };
    let conclusion = match (ask, side) {
        (Ask::Shown, side) if side == asked.side => format!(
            "the {} in {what} is statistically significant at the {}% level",
            asked.noun, level.alpha
        ),
        (Ask::Shown, Side::Across) => format!(
            "{} in {what} is not statistically significant at the {}% level",
            asked.a_noun, level.alpha
        ),
        (Ask::True, Side::Across) => {
            format!("with {treatment} {what} may be either lower or higher")
        }
        (_, side) if side == asked.side => format!("with {treatment} {what} is {found}"),
        _ => format!(
            "with {treatment} {what} is {found}, not {}",
            asked.adjective
        ),
    };
    let mut slots = scene.slots();
    slots.extend([
        ("kind", kind.to_owned()),
        ("what", what),
        ("unit", unit.to_owned()),
        ("estimate", estimate.to_string()),
        ("level", percent.to_string()),
        ("alpha", level.alpha.to_string()),
        ("low", low.to_string()),
        ("high", high.to_string()),
        ("p", p.to_string()),
        ("verb", asked.verb.to_owned()),
        ("noun", asked.noun.to_owned()),
        ("a_noun", asked.a_noun.to_owned()),
        ("adjective", asked.adjective.to_owned()),
    ]);
    let rationale = capital(&format!("{interval}, so {conclusion}."));
    Some(Case {
        label: side.answer(asked.side, ask),
        slots,
        rationale,
    })
}
