//! Absolute and relative risk, and odds ratios where events are common.
//!
//! Rules: absolute reduction = baseline risk × (1 − RR); relative reduction = difference / baseline risk;
//! RR = OR / (1 − p₀ + p₀·OR) for a baseline risk of p₀ (Zhang and Yu 1998).

use crate::distractors::{MissingFigure, lacks};
use crate::numbers::{PrintedNumber, above_or_below, short};
use crate::random::Random;
use crate::scenes::Scene;
use crate::wording::{Case, Family, held, slots, trained};

pub(crate) const ABSOLUTE: Family = Family {
    name: "absolute-risk",
    held_out: false,
    wordings: &[
        trained(
            "difference",
            1,
            difference,
            "Risk of {event} in {population}, on {comparator}: {control}; on {treatment}: \
             {treated}; and {distractor}. Is the absolute risk reduction [above|below] {points} \
             percentage points?",
        ),
        trained(
            "reduction",
            2,
            reduction,
            "Risk ratio for {event} with {treatment}: {ratio}; risk without treatment: {control}; \
             and {distractor}. Is the absolute risk reduction [above|below] {points} percentage points?",
        ),
        trained(
            "relative",
            2,
            relative,
            "Risk of {event} in {population}, on {comparator}: {control}; on {treatment}: \
             {treated}; and {distractor}. Is the relative risk reduction [above|below] {threshold}%?",
        ),
        held(
            "held-hundred",
            2,
            reduction,
            "{Distractor}. Without treatment the risk of {event} is: {control}. The risk ratio with \
             {treatment}: {ratio}. Out of a hundred patients treated, are [more|fewer] than {points} \
             spared it?",
        ),
    ],
};

pub(crate) const ODDS: Family = Family {
    name: "odds-ratio",
    held_out: false,
    wordings: &[
        trained(
            "odds",
            1,
            odds,
            "In {population} on {treatment}, the risk of {event} was: {risk}; and {distractor}. Are the \
             odds of {event} [above|below] {limit}?",
        ),
        trained(
            "counts",
            2,
            counts,
            "On {treatment}, with {event}: {a}; without: {b}. On {comparator}, with {event}: {c}; \
             without: {d}. Moreover, {distractor}. Is the odds ratio of {treatment} against {comparator} \
             [above|below] {limit}?",
        ),
        trained(
            "to-risk",
            3,
            to_risk,
            "Odds ratio for {event} with {treatment}: {ratio}; risk on {comparator}: {control}; and \
             {distractor}. Is the risk ratio that belongs to them [above|below] {limit}?",
        ),
        held(
            "held-common",
            3,
            to_risk,
            "{Distractor}. {Event} is not rare; risk on {comparator}: {control}. A trial gives, for \
             {treatment}, an odds ratio of: {ratio}. Expressed as a ratio of risks, is this \
             [greater|smaller] than {limit}?",
        ),
    ],
};

/// A risk without and with treatment, in per cent.
fn risks(random: &mut Random) -> [PrintedNumber; 2] {
    let control = PrintedNumber::new(random.between(4.0, 45.0), 1);
    let treated = PrintedNumber::new(control.value * random.between(0.4, 0.95), 1);
    [control, treated]
}

fn no_risk(
    missing: MissingFigure,
    quantity: &str,
    control: &PrintedNumber,
    treated: &PrintedNumber,
) -> String {
    lacks(
        missing,
        quantity,
        &[
            ("risk without the treatment", &format!("{control}%")),
            ("risk with it", &format!("{treated}%")),
        ],
    )
}

fn difference(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let [control, treated] = risks(random);
    let points = random.whole(1, 15);
    let value = control.value - treated.value;
    if (value - f64::from(points)).abs() < 0.15 {
        return None;
    }
    let missing = MissingFigure::draw(random, 2);
    // The risk without treatment has to leave room for such a reduction.
    if missing.is(1) && control.value < f64::from(points) + 1.0 {
        return None;
    }
    let above = value > f64::from(points);
    let rationale = match missing.any() {
        true => no_risk(missing, "the absolute reduction", &control, &treated),
        false => format!(
            "From {control}% to {treated}% the risk falls by {} percentage points, {} {points}.",
            short(value),
            above_or_below(above)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(above),
        rationale,
        slots: slots!(scene; points, control = missing.show(0, format!("{control}%")),
            treated = missing.show(1, format!("{treated}%")), distractor = missing.distractor(random)),
    })
}

fn reduction(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let ratio = PrintedNumber::new(random.between(0.4, 0.9), 2);
    let control = random.whole(2, 45);
    let points = random.whole(1, 12);
    let value = f64::from(control) * (1.0 - ratio.value);
    if (value - f64::from(points)).abs() < 0.15 {
        return None;
    }
    let missing = MissingFigure::draw(random, 2);
    let room = |most: f64| most > f64::from(points) + 1.0;
    if missing.is(0) && !room(f64::from(control))
        || missing.is(1) && !room(100.0 * (1.0 - ratio.value))
    {
        return None;
    }
    let above = value > f64::from(points);
    let rationale = match missing.any() {
        true => lacks(
            missing,
            "the absolute reduction",
            &[
                ("risk ratio", &ratio),
                ("risk without treatment", &format!("{control}%")),
            ],
        ),
        false => format!(
            "A risk of {control}% times {ratio} leaves {}%, a reduction of {} percentage points, {} \
             {points}.",
            short(f64::from(control) * ratio.value),
            short(value),
            above_or_below(above)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(above),
        rationale,
        slots: slots!(scene; points, ratio = missing.show(0, &ratio),
            control = missing.show(1, format!("{control}%")), distractor = missing.distractor(random)),
    })
}

fn relative(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let [control, treated] = risks(random);
    let threshold = random.whole(2, 11) * 5;
    let value = 100.0 * (control.value - treated.value) / control.value;
    if (value - f64::from(threshold)).abs() < 1.0 {
        return None;
    }
    let missing = MissingFigure::draw(random, 2);
    let above = value > f64::from(threshold);
    let rationale = match missing.any() {
        true => no_risk(missing, "the relative reduction", &control, &treated),
        false => format!(
            "The risk falls by {} of {control} percentage points, a relative reduction of about \
             {value:.0}%, {} {threshold}%.",
            short(control.value - treated.value),
            above_or_below(above)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(above),
        rationale,
        slots: slots!(scene; threshold, control = missing.show(0, format!("{control}%")),
            treated = missing.show(1, format!("{treated}%")), distractor = missing.distractor(random)),
    })
}

fn odds(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let risk = random.whole(5, 85);
    let value = f64::from(risk) / f64::from(100 - risk);
    let limit = PrintedNumber::new(value * random.between(0.6, 1.5), 2);
    if (value - limit.value).abs() < 0.03 * value + 0.005 {
        return None;
    }
    let missing = MissingFigure::draw(random, 1);
    let above = value > limit.value;
    let rationale = match missing.any() {
        true => format!(
            "Odds of {limit} are a risk of about {:.0}%, and the risk found is missing.",
            100.0 * limit.value / (1.0 + limit.value)
        ),
        false => format!(
            "A risk of {risk}% is odds of {risk} to {}, about {value:.2}, {} {limit}.",
            100 - risk,
            above_or_below(above)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(above),
        rationale,
        slots: slots!(scene; limit, risk = missing.show(0, format!("{risk}%")),
            distractor = missing.distractor(random)),
    })
}

const LIMITS: [f64; 10] = [0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1.2, 1.5, 2.0];

fn counts(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let [a, b, c, d] = [0; 4].map(|_| random.whole(12, 140));
    let limit = PrintedNumber::new(random.pick(&LIMITS), 2);
    let value = f64::from(a * d) / f64::from(b * c);
    if (value / limit.value - 1.0).abs() < 0.04 || !(0.2..4.0).contains(&value) {
        return None;
    }
    let missing = MissingFigure::draw(random, 4);
    let above = value > limit.value;
    let rationale = match missing.any() {
        true => lacks(
            missing,
            "the odds ratio",
            &[
                ("first number with the event", &a),
                ("first number without", &b),
                ("second number with the event", &c),
                ("second number without", &d),
            ],
        ),
        false => format!(
            "The odds are {a} to {b} on {} and {c} to {d} on {}, a ratio of about {value:.2}, {} \
             {limit}.",
            scene.treatment,
            scene.comparator,
            above_or_below(above)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(above),
        rationale,
        slots: slots!(scene; limit, a = missing.show(0, a), b = missing.show(1, b),
            c = missing.show(2, c), d = missing.show(3, d), distractor = missing.distractor(random)),
    })
}

fn to_risk(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let ratio = PrintedNumber::new(random.between(-1.2, 1.2).exp(), 2);
    let control = random.whole(10, 70);
    let limit = PrintedNumber::new(random.pick(&LIMITS), 2);
    let p = f64::from(control) / 100.0;
    let value = ratio.value / (1.0 - p + p * ratio.value);
    if (value - limit.value).abs() < 0.02 {
        return None;
    }
    let missing = MissingFigure::draw(random, 2);
    // Without the baseline risk the risk ratio is anywhere between the odds ratio and 1; without the
    // odds ratio anywhere below 1 / p.
    let open = match () {
        () if missing.is(0) => limit.value < 0.98 / p,
        () if missing.is(1) => {
            let (low, high) = (ratio.value.min(1.0), ratio.value.max(1.0));
            low + 0.02 < limit.value && limit.value < high - 0.02
        }
        () => true,
    };
    if !open {
        return None;
    }
    let above = value > limit.value;
    let rationale = match missing.any() {
        true => lacks(
            missing,
            "the risk ratio",
            &[
                ("odds ratio", &ratio),
                ("risk without treatment", &format!("{control}%")),
            ],
        ),
        false => format!(
            "At a risk of {control}% an odds ratio of {ratio} is a risk ratio of about {value:.2}, \
             {} {limit}.",
            above_or_below(above)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(above),
        rationale,
        slots: slots!(scene; limit, ratio = missing.show(0, &ratio),
            control = missing.show(1, format!("{control}%")), distractor = missing.distractor(random)),
    })
}
