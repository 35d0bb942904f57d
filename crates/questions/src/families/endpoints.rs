//! Surrogate and composite endpoints: which figures concern the outcome of the question.
//!
//! Rules: an effect on a surrogate shows none on the clinical event. A surrogate counts as valid by the
//! confidence limits of the correlation of effects, as the question states (IQWiG 2011), or predicts a
//! benefit where its effect lies wholly beyond the surrogate threshold effect (Burzykowski and Buyse
//! 2006). Of a composite, each component has its own effect; with a and b patients the union has between
//! the larger of them and a + b.

use crate::distractors::{MissingFigure, any_distractor, distractor, lacks, show};
use crate::effect::Effect;
use crate::numbers::{PrintedNumber, Side, USUAL, above_or_below};
use crate::random::Random;
use crate::scenes::Scene;
use crate::wording::{Case, Family, held, slots, trained};

pub(crate) const SURROGATE: Family = Family {
    name: "surrogate",
    held_out: false,
    wordings: &[
        trained(
            "event",
            1,
            event,
            "{Treatment} against {comparator}: mean difference in {what}, a surrogate, {difference} \
             {unit} (95% CI: {surrogate}); risk ratio for {event}, {ratio} (95% CI: {clinical}); \
             {distractor}. Is a lower risk of {event} [shown|not shown]?",
        ),
        trained(
            "valid",
            2,
            valid,
            "Over several trials, the correlation between effects on {what} and effects on {event} \
             was {correlation} (95% CI {low} to {high}); {distractor}. A surrogate counts as valid if the \
             lower limit is at least 0.85, as not valid if the upper limit is at most 0.70, and as \
             unclear in between. Is {what} [valid|not valid] as a surrogate for {event}?",
        ),
        trained(
            "threshold-effect",
            2,
            threshold_effect,
            "A benefit on survival is predicted where the whole 95% confidence interval of the \
             hazard ratio for progression lies below the surrogate threshold effect. Hazard ratio for \
             progression with {treatment}: {ratio}; its 95% CI: {ci}; threshold effect: \
             {threshold}; and {distractor}. Is a benefit on survival [predicted|not predicted]?",
        ),
        held(
            "held-clinical",
            1,
            event,
            "{Distractor}. A trial of {treatment} reports a risk ratio of {ratio} for {event} (95% CI: \
             {clinical}) and, as a surrogate, a mean difference of {difference} {unit} in {what} \
             (95% CI: {surrogate}). For {event}, is a benefit [demonstrated|not demonstrated]?",
        ),
    ],
};

pub(crate) const COMPOSITE: Family = Family {
    name: "composite",
    held_out: false,
    wordings: &[
        trained(
            "component",
            1,
            component,
            "With {treatment} against {comparator}, the hazard ratio for the composite of {event} \
             or {other} was {whole} (95% CI {whole_ci}); for {event} alone it was {part} (95% CI \
             {part_ci}), and {distractor}. Is the hazard of {event} alone [lower|higher] with \
             {treatment}?",
        ),
        trained(
            "union",
            2,
            union,
            "Of {size} patients, the number with {event} was {a}, with {other} {b}, and with both \
             {both}; {distractor}. Is the share with the composite of {event} or {other} [above|below] \
             {threshold}%?",
        ),
        trained(
            "driver",
            3,
            driver,
            "In two groups of equal size the composite counts first events. First events that were \
             {event}, on {comparator}: {a2}; on {treatment}: {a1}. First events that were {other}, \
             on {comparator}: {b2}; on {treatment}: {b1}. Moreover, {distractor}. Is the part of {event} \
             in the reduction of the composite [above|below] one half?",
        ),
        held(
            "held-either",
            2,
            union,
            "{Distractor}. {Event} was seen in {a} patients, {other} in {b}, and both in {both}, of \
             {size} followed. Did [more|fewer] than {threshold}% have at least one of the two?",
        ),
    ],
};

fn event(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let measure = scene.measure;
    let surrogate = Effect::difference(random, USUAL, measure.width, measure.decimals)?;
    let clinical = Effect::ratio(random, USUAL)?;
    let missing = MissingFigure::draw(random, 1);
    let has_surrogate = missing.any() || random.chance(0.5);
    let (ratio, name) = (&clinical.estimate, scene.event);
    let truth = match missing.any() {
        true if ratio.value > 1.0 => Some(false),
        true => None,
        false => Some(clinical.side == Side::Below),
    };
    let rationale = match (missing.any(), truth) {
        (true, Some(_)) => format!(
            "The risk ratio of {ratio} for {name} is above 1, so no interval around it lies wholly \
             below 1, and the surrogate does not matter."
        ),
        (true, None) => format!(
            "The risk ratio of {ratio} for {name} comes without its interval, and a difference of \
             {} in the surrogate does not replace it.",
            surrogate.estimate
        ),
        (false, _) => format!(
            "The 95% confidence interval of the risk ratio for {name} {}, so a lower risk is {}, \
             whatever the surrogate says.",
            clinical.place(),
            if truth == Some(true) {
                "shown"
            } else {
                "not shown"
            }
        ),
    };
    let distractor_missing = has_surrogate && !missing.any();
    Some(Case {
        truth,
        rationale,
        slots: slots!(scene; difference = surrogate.estimate, ratio,
            surrogate = show(has_surrogate, surrogate.ci()), clinical = missing.show(0, clinical.ci()),
            distractor = distractor(random, distractor_missing)),
    })
}

fn valid(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let z = random.between(0.4, 2.8);
    let error = random.between(0.04, 0.25);
    let [correlation, low, high] =
        [0.0, -USUAL.z, USUAL.z].map(|step| PrintedNumber::new((z + step * error).tanh(), 2));
    if low.value == high.value || low.value < 0.05 {
        return None;
    }
    let truth = match () {
        () if low.value >= 0.85 => Some(true),
        () if high.value <= 0.70 => Some(false),
        () => None,
    };
    let rationale = match truth {
        Some(true) => format!(
            "The lower limit of the correlation, {low}, reaches 0.85, so {} counts as valid for {}.",
            scene.measure.name, scene.event
        ),
        Some(false) => format!(
            "The upper limit of the correlation, {high}, is no more than 0.70, so {} counts as not \
             valid for {}.",
            scene.measure.name, scene.event
        ),
        None => format!(
            "Limits of {low} and {high} neither reach 0.85 from above nor stay within 0.70, so the \
             validity of {} is unclear.",
            scene.measure.name
        ),
    };
    Some(Case {
        truth,
        rationale,
        slots: slots!(scene; correlation, low, high, distractor = any_distractor(random)),
    })
}

fn threshold_effect(random: &mut Random) -> Option<Case> {
    let scene = Scene::grave(random);
    let threshold = PrintedNumber::new(random.between(0.6, 0.92), 2);
    let log = threshold.value.ln() + random.between(-0.5, 0.25);
    let half = random.between(0.06, 0.4);
    let [ratio, low, high] =
        [0.0, -half, half].map(|step: f64| PrintedNumber::new((log + step).exp(), 2));
    let side = Side::of(low.value, high.value, threshold.value, 0.0)?;
    let missing = MissingFigure::draw(random, 2);
    // An interval that reaches 1 is beyond every threshold effect.
    if ratio.value == threshold.value || missing.is(1) && high.value >= 1.0 {
        return None;
    }
    let predicted = side == Side::Below;
    let truth = match () {
        () if missing.is(0) && ratio.value > threshold.value => Some(false),
        () if missing.any() => None,
        () => Some(predicted),
    };
    let rationale = match truth {
        Some(false) if missing.is(0) => format!(
            "The hazard ratio of {ratio} itself is above the threshold effect of {threshold}, so \
             its interval cannot lie wholly below it."
        ),
        None => lacks(
            missing,
            "the prediction",
            &[
                ("confidence interval", &format!("{low} to {high}")),
                ("threshold effect", &threshold),
                ("hazard ratio", &ratio),
            ],
        ),
        _ => format!(
            "The upper limit of {high} is {} the threshold effect of {threshold}, so a benefit on \
             survival {} predicted.",
            above_or_below(!predicted),
            if predicted { "is" } else { "is not" }
        ),
    };
    Some(Case {
        truth,
        rationale,
        slots: slots!(scene; ratio, ci = missing.show(0, format!("{low} to {high}")),
            threshold = missing.show(1, &threshold), distractor = missing.distractor(random)),
    })
}

fn component(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let whole = Effect::ratio(random, USUAL)?;
    let part = Effect::ratio(random, USUAL)?;
    let name = scene.event;
    let end = match part.side {
        Side::Below => format!("its hazard is lower with {}", scene.treatment),
        Side::Above => format!("its hazard is higher with {}", scene.treatment),
        Side::Across => "its hazard may be either, whatever the composite shows".to_owned(),
    };
    let rationale = format!(
        "For {name} alone the 95% confidence interval {}, so {end}.",
        part.place()
    );
    Some(Case {
        truth: part.side.below(),
        rationale,
        slots: slots!(scene; whole = whole.estimate, whole_ci = whole.ci(), part = part.estimate,
            part_ci = part.ci(), distractor = any_distractor(random)),
    })
}

fn union(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let size = random.whole(20, 150) * 10;
    let [a, b] = [0; 2].map(|_| (f64::from(size) * random.between(0.03, 0.3)) as u32);
    let both = (f64::from(a.min(b)) * random.between(0.05, 0.95)) as u32;
    let threshold = random.pick(&[10, 15, 20, 25, 30, 40]);
    let known = random.chance(0.5);
    let (least, most) = match known {
        true => (a + b - both, a + b - both),
        false => (a.max(b), a + b),
    };
    let [low, high] = [least, most].map(|count| 100.0 * f64::from(count) / f64::from(size));
    let side = Side::of(low, high, f64::from(threshold), 0.5)?;
    let rationale = match (known, side) {
        (true, _) => format!(
            "At least one of the two had {a} + {b} - {both} patients, {least} of {size} or about \
             {low:.1}%, {} {threshold}%.",
            above_or_below(side == Side::Above)
        ),
        (false, Side::Across) => format!(
            "Depending on how many had both, between {least} and {most} of {size} patients had at \
             least one, on both sides of {threshold}%."
        ),
        (false, _) => format!(
            "However many had both, between {least} and {most} of {size} patients had at least \
             one, {} {threshold}% throughout.",
            above_or_below(side == Side::Above)
        ),
    };
    Some(Case {
        truth: side.above(),
        rationale,
        slots: slots!(scene; size, a, b, both = show(known, both), threshold,
            distractor = distractor(random, known)),
    })
}

fn driver(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let [a2, b2] = [0; 2].map(|_| random.whole(30, 220));
    let [a1, b1] = [a2, b2].map(|count| (f64::from(count) * random.between(0.3, 0.95)) as u32);
    let [fewer, others] = [a2 - a1, b2 - b1];
    let share = f64::from(fewer) / f64::from(fewer + others);
    if fewer == 0 || others == 0 || (share - 0.5).abs() < 0.03 {
        return None;
    }
    let missing = MissingFigure::draw(random, 4);
    // The bounds alone may settle it: even the fewest events are enough, or even the most are too few.
    let bound = match () {
        () if missing.is(0) => a2 > others,
        () if missing.is(2) => b2 > fewer,
        () => true,
    };
    if !bound {
        return None;
    }
    let above = share > 0.5;
    let rationale = match missing.any() {
        true => lacks(
            missing,
            "its part",
            &[
                ("first count with treatment", &a1),
                ("first count without", &a2),
                ("second count with treatment", &b1),
                ("second count without", &b2),
            ],
        ),
        false => format!(
            "{fewer} of the {} fewer first events were {}, about {:.0}%, {} one half.",
            fewer + others,
            scene.event,
            100.0 * share,
            above_or_below(above)
        ),
    };
    // A sentence must not begin with a number.
    let rationale = match missing.any() {
        true => rationale,
        false => format!("With {a2} down to {a1} and {b2} down to {b1}, {rationale}"),
    };
    Some(Case {
        truth: (!missing.any()).then_some(above),
        rationale,
        slots: slots!(scene; a1 = missing.show(0, a1), a2 = missing.show(1, a2),
            b1 = missing.show(2, b1), b2 = missing.show(3, b2), distractor = missing.distractor(random)),
    })
}
