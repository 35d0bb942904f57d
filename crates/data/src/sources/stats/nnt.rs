//! Numbers needed to treat and to harm: 100 divided by a difference of two risks in per cent.

use super::print::{Ask, Num, Side, USUAL, short};
use super::random::Random;
use super::words::Scene;
use super::{ALL, Case, Family, Wording, YES_NO};

pub(super) const FAMILY: Family = Family {
    name: "nnt",
    wordings: &[
        Wording {
            name: "below",
            held_out: false,
            labels: YES_NO,
            draw: |random| from_risks(random, Effect::Benefit),
            template: "{Event} occurred in {control}% of {population} on {comparator} and in \
                {treated}% on {treatment}. Is the number needed to treat to prevent one case \
                below {threshold}?",
        },
        Wording {
            name: "harm",
            held_out: false,
            labels: YES_NO,
            draw: |random| from_risks(random, Effect::Harm),
            template: "A side effect occurred in {treated}% of patients on {treatment} and in \
                {control}% on {comparator}. Is the number needed to harm below {threshold}?",
        },
        Wording {
            name: "counts",
            held_out: false,
            labels: YES_NO,
            draw: from_counts,
            template: "Of {size} patients given {treatment}, {treated} had {event}; of {size} \
                given {comparator}, {control} had it. Do fewer than {threshold} patients have to \
                be treated to prevent one case?",
        },
        Wording {
            name: "interval",
            held_out: false,
            labels: ALL,
            draw: from_interval,
            template: "The absolute risk reduction in {event} with {treatment} was {reduction} \
                percentage points ({level}% CI {low} to {high}). Over the whole interval, is the \
                number needed to treat below {threshold}?",
        },
        Wording {
            name: "interval-certain",
            held_out: false,
            labels: ALL,
            draw: from_interval,
            template: "{Treatment} lowers the risk of {event} by {reduction} percentage points, \
                {level}% confidence interval {low} to {high}. Allowing for that interval, do \
                fewer than {threshold} people need treatment for one to benefit?",
        },
        Wording {
            name: "held-interval",
            held_out: true,
            labels: ALL,
            draw: from_interval,
            template: "Is one case of {event} prevented for fewer than {threshold} people given \
                {treatment}, when the risk falls by {reduction} percentage points with {level}% \
                limits of {low} and {high}?",
        },
        Wording {
            name: "held-worthwhile",
            held_out: true,
            labels: YES_NO,
            draw: |random| from_risks(random, Effect::Benefit),
            template: "A service pays for {treatment} if its number needed to treat is under \
                {threshold}. The risk of {event} is {control}% with {comparator} and {treated}% \
                with {treatment}. Is the condition met?",
        },
    ],
};

const THRESHOLDS: [u32; 11] = [10, 15, 20, 25, 30, 40, 50, 75, 100, 150, 200];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Benefit,
    Harm,
}

/// Where the numbers from `least` to `most` stand to the threshold; none where rounding one of them
/// to a whole number, up or down, could hide the answer, and where it is too plain to be asked.
fn side(least: f64, most: f64, threshold: u32) -> Option<Side> {
    let threshold = f64::from(threshold);
    if threshold > 3.0 * most || threshold < least / 3.0 {
        return None;
    }
    Side::of(least, most, threshold, (0.04 * threshold).max(1.01))
}

fn end(side: Side, threshold: u32) -> String {
    match side {
        Side::Below => format!("below {threshold}"),
        Side::Above => format!("above {threshold}"),
        Side::Across => format!("on both sides of {threshold}"),
    }
}

fn from_risks(random: &mut Random, effect: Effect) -> Option<Case> {
    let scene = Scene::draw(random);
    let decimals = random.pick(&[0, 1]);
    let high = Num::new(random.between(3.0, 40.0), decimals);
    let low = Num::new(high.value * random.between(0.3, 0.95), decimals);
    let difference = Num::new(high.value - low.value, 1);
    if difference.value < 0.4 || low.value < 0.5 {
        return None;
    }
    let number = 100.0 / difference.value;
    let threshold = random.pick(&THRESHOLDS);
    let side = side(number, number, threshold)?;
    let (treated, control, name) = match effect {
        Effect::Benefit => (&low, &high, "treat"),
        Effect::Harm => (&high, &low, "harm"),
    };
    let rationale = format!(
        "The risks of {high}% and {low}% differ by {} percentage points, so the number needed to \
            {name} is 100 / {0} or about {number:.0}, {1}.",
        short(difference.value),
        end(side, threshold)
    );
    let mut slots = scene.slots();
    slots.extend([
        ("treated", treated.to_string()),
        ("control", control.to_string()),
        ("threshold", threshold.to_string()),
    ]);
    Some(Case {
        label: side.answer(Side::Below, Ask::Shown),
        slots,
        rationale,
    })
}

fn from_counts(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let size = random.pick(&[100, 150, 200, 250, 300, 400, 500, 600, 800, 1000]);
    let control = random.whole(size / 20, size / 3);
    let treated = (f64::from(control) * random.between(0.3, 0.95)) as u32;
    let fewer = control - treated;
    if fewer == 0 || treated == 0 {
        return None;
    }
    let number = f64::from(size) / f64::from(fewer);
    let threshold = random.pick(&THRESHOLDS);
    let side = side(number, number, threshold)?;
    let rationale = format!(
        "With {treated} instead of {control} cases there were {fewer} fewer per {size} treated, \
            so about {number:.0} must be treated to prevent one, {}.",
        end(side, threshold)
    );
    let mut slots = scene.slots();
    slots.extend([
        ("size", size.to_string()),
        ("treated", treated.to_string()),
        ("control", control.to_string()),
        ("threshold", threshold.to_string()),
    ]);
    Some(Case {
        label: side.answer(Side::Below, Ask::Shown),
        slots,
        rationale,
    })
}

fn from_interval(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let reduction = Num::new(random.between(1.0, 12.0), 1);
    let half = reduction.value * random.between(0.15, 0.8);
    let [low, high] = [-half, half].map(|step| Num::new(reduction.value + step, 1));
    if low.value < 0.3 || low.value >= reduction.value {
        return None;
    }
    let [least, most] = [100.0 / high.value, 100.0 / low.value];
    let threshold = random.pick(&THRESHOLDS);
    let side = side(least, most, threshold)?;
    let rationale = format!(
        "Risk reductions of {low} to {high} percentage points mean that about {least:.0} to \
            {most:.0} people must be treated to prevent one case, {}.",
        end(side, threshold)
    );
    let mut slots = scene.slots();
    slots.extend([
        ("reduction", reduction.to_string()),
        ("level", USUAL.percent.to_string()),
        ("low", low.to_string()),
        ("high", high.to_string()),
        ("threshold", threshold.to_string()),
    ]);
    Some(Case {
        label: side.answer(Side::Below, Ask::True),
        slots,
        rationale,
    })
}
