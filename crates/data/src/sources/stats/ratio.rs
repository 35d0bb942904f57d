//! Risk, odds and hazard ratios with a confidence interval, against 1.

use super::print::{Ask, DOWN, Level, Num, P, Side, UP, USUAL, any_level, capital};
use super::random::Random;
use super::words::Scene;
use super::{ALL, Case, Family, Wording, YES_NO};

pub(super) const FAMILY: Family = Family {
    name: "ratio",
    wordings: &[
        Wording {
            name: "did-significantly",
            held_out: false,
            labels: YES_NO,
            draw: |random| draw(random, Ask::Shown, USUAL),
            template: "In a randomised trial in {population}, the {measure} for {event} with \
                {treatment} against {comparator} was {estimate} ({level}% CI {ci}). Did \
                {treatment} significantly {verb} the risk of {event}?",
        },
        Wording {
            name: "at-level",
            held_out: false,
            labels: YES_NO,
            draw: |random| {
                let level = any_level(random);
                draw(random, Ask::Shown, level)
            },
            template: "For {event}, {treatment} against {comparator} gave {a_measure} of \
                {estimate} with a {level}% confidence interval of {ci}. Is {a_noun} in risk \
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
            template: "A trial of {treatment} in {population} reports {abbreviation} {estimate}, \
                {level}% CI {ci}, {p}, for {event}. Is there a statistically significant {noun} \
                in the risk of {event} at the {alpha}% level?",
        },
        Wording {
            name: "does-it",
            held_out: false,
            labels: ALL,
            draw: |random| draw(random, Ask::True, USUAL),
            template: "In {population}, {treatment} compared with {comparator} had {a_measure} of \
                {estimate} for {event} ({level}% CI {ci}). Does {treatment} {verb} the risk of \
                {event}?",
        },
        Wording {
            name: "is-risk",
            held_out: false,
            labels: ALL,
            draw: |random| draw(random, Ask::True, USUAL),
            template: "A pooled {measure} of {estimate} ({level}% CI {ci}; p value not given) \
                compares {treatment} with {comparator} for {event}. Is the risk {adjective} with \
                {treatment}?",
        },
        Wording {
            name: "going-by",
            held_out: false,
            labels: ALL,
            draw: |random| draw(random, Ask::True, USUAL),
            template: "Going by {abbreviation} {estimate} ({level}% confidence interval {ci}) in \
                {population}, is {event} {frequent} with {treatment} than with {comparator}?",
        },
        Wording {
            name: "held-claim",
            held_out: true,
            labels: ALL,
            draw: |random| draw(random, Ask::True, USUAL),
            template: "The authors write that {treatment} {verbs} the risk of {event}. Their \
                {measure} is {estimate}, with {level}% limits of {low} and {high}. Is the claim \
                right?",
        },
        Wording {
            name: "held-has-shown",
            held_out: true,
            labels: YES_NO,
            draw: |random| draw(random, Ask::Shown, USUAL),
            template: "Has a study with {abbreviation} {estimate} and {level}% CI {ci} for \
                {event} shown a statistically significant {noun} in risk with {treatment}?",
        },
    ],
};

/// Name, with article, abbreviation.
const MEASURES: [(&str, &str, &str); 3] = [
    ("risk ratio", "a risk ratio", "RR"),
    ("odds ratio", "an odds ratio", "OR"),
    ("hazard ratio", "a hazard ratio", "HR"),
];

fn draw(random: &mut Random, ask: Ask, level: Level) -> Option<Case> {
    let scene = Scene::draw(random);
    let (measure, a_measure, abbreviation) = random.pick(&MEASURES);
    let log = random.between(-0.75, 0.75);
    let error = random.between(0.05, 0.35);
    let estimate = Num::new(log.exp(), 2);
    let low = Num::new((log - level.z * error).exp(), 2);
    let high = Num::new((log + level.z * error).exp(), 2);
    let asked = random.pick(&[DOWN, UP]);
    let side = Side::of(low.value, high.value, 1.0, 0.0)?;
    if estimate.value == 1.0 || low.value >= estimate.value || high.value <= estimate.value {
        return None;
    }
    // The p value that belongs to the interval; both have to say the same after rounding.
    let p = P::of_z(log / error);
    if p.below(f64::from(level.alpha) / 100.0)? == (side == Side::Across) {
        return None;
    }

    let event = scene.event;
    let where_it_lies = match side {
        Side::Below => "lies wholly below 1",
        Side::Above => "lies wholly above 1",
        Side::Across => "includes 1",
    };
    let interval = match random.chance(0.5) {
        true => {
            format!(
                "the {}% confidence interval from {low} to {high} {where_it_lies}",
                level.percent
            )
        }
        false => format!(
            "the {measure} of {estimate} has a {}% confidence interval from {low} to {high} that \
             {where_it_lies}",
            level.percent
        ),
    };
    let found = match side {
        Side::Below => "lower",
        _ => "higher",
    };
    let conclusion = match (ask, side) {
        (Ask::Shown, side) if side == asked.side => format!(
            "the {} in the risk of {event} is statistically significant at the {}% level",
            asked.noun, level.alpha
        ),
        (Ask::Shown, Side::Across) => format!(
            "{} in the risk of {event} is not statistically significant at the {}% level",
            asked.a_noun, level.alpha
        ),
        (Ask::True, Side::Across) => format!(
            "the data fit both a lower and a higher risk of {event} with {}",
            scene.treatment
        ),
        (_, side) if side == asked.side => {
            format!("the risk of {event} is {found} with {}", scene.treatment)
        }
        _ => format!(
            "the risk of {event} is {found}, not {}, with {}",
            asked.adjective, scene.treatment
        ),
    };
    let ci = match random.chance(0.5) {
        true => format!("{low} to {high}"),
        false => format!("{low}–{high}"),
    };
    let mut slots = scene.slots();
    slots.extend([
        ("measure", measure.to_owned()),
        ("a_measure", a_measure.to_owned()),
        ("abbreviation", abbreviation.to_owned()),
        ("estimate", estimate.to_string()),
        ("level", level.percent.to_string()),
        ("alpha", level.alpha.to_string()),
        ("low", low.to_string()),
        ("high", high.to_string()),
        ("ci", ci),
        ("p", p.to_string()),
        ("verb", asked.verb.to_owned()),
        ("verbs", asked.verbs.to_owned()),
        ("noun", asked.noun.to_owned()),
        ("a_noun", asked.a_noun.to_owned()),
        ("adjective", asked.adjective.to_owned()),
        ("frequent", asked.frequent.to_owned()),
    ]);
    let rationale = capital(&format!("{interval}, so {conclusion}."));
    Some(Case {
        label: side.answer(asked.side, ask),
        slots,
        rationale,
    })
}
