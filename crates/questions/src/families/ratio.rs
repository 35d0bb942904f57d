//! Risk, odds and hazard ratios with a confidence interval.
//!
//! Rule: a two-sided 100(1 − α)% interval that leaves out 1 is a difference at level α, in the
//! direction of its side (Altman, Machin, Bryant and Gardner, *Statistics with Confidence*, 2000).
//! One limit can be enough.

use crate::distractors::{any_distractor, distractor, show};
use crate::effect::{Effect, RATIOS};
use crate::numbers::{PrintedNumber, Side, USUAL, any_level, direction};
use crate::random::Random;
use crate::scenes::Scene;
use crate::wording::{Case, Family, held, slots, trained};

pub(crate) const FAMILY: Family = Family {
    name: "ratio",
    held_out: false,
    wordings: &[
        trained(
            "does-it",
            1,
            open,
            "In {population}, {treatment} compared with {comparator} had {a_measure} of {estimate} \
             for {event} (95% CI {ci}); {distractor}. Does {treatment} [reduce|increase] the risk of \
             {event}?",
        ),
        trained(
            "is-risk",
            1,
            open,
            "A pooled {measure} of {estimate} (95% CI {ci}) compares {treatment} with \
             {comparator} for {event}, and {distractor}. Is the risk [lower|higher] with {treatment}?",
        ),
        trained(
            "at-level",
            2,
            shown,
            "For {event}, {treatment} against {comparator} gave {abbreviation} {estimate} \
             ({level}% CI {ci}; p value {p}), and {distractor}. At the {alpha}% level, did {treatment} \
             [significantly {verb}|fail to significantly {verb}] the risk of {event}?",
        ),
        trained(
            "one-limit",
            2,
            one_limit,
            "{A_measure} of {estimate} for {event} in {population} has a 95% confidence interval \
             whose lower limit is {low} and whose upper limit is {high}. Did {treatment} \
             [significantly {verb}|fail to significantly {verb}] the risk of {event}?",
        ),
        held(
            "held-claim",
            1,
            open,
            "The authors write that {treatment} [reduces|increases] the risk of {event}. Their \
             {measure} is {estimate}, with 95% limits of {low} and {high}, and {distractor}. Is the \
             claim right?",
        ),
        held(
            "held-evidence",
            2,
            shown,
            "{Distractor} in a study of {event}. It found {abbreviation} {estimate} with {treatment}, p \
             value {p}, {level}% CI {ci}. Is {a_noun} in risk [shown|not shown] at the \
             {alpha}% level?",
        ),
    ],
};

/// Which side of 1 the truth lies on.
fn open(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let (measure, a_measure, _) = random.pick(&RATIOS);
    let effect = Effect::ratio(random, USUAL)?;
    let (event, treatment) = (scene.event, scene.treatment);
    let end = match effect.side {
        Side::Below => format!("the risk of {event} is lower with {treatment}"),
        Side::Above => format!("the risk of {event} is higher with {treatment}"),
        Side::Across => {
            format!("the data fit both a lower and a higher risk of {event} with {treatment}")
        }
    };
    Some(Case {
        truth: effect.side.below(),
        rationale: format!("The 95% confidence interval {}, so {end}.", effect.place()),
        slots: slots!(scene; measure, a_measure, estimate = effect.estimate, ci = effect.ci(),
            low = effect.low, high = effect.high, distractor = any_distractor(random)),
    })
}

/// Whether an effect in the asked direction is significant, by interval or p value.
fn shown(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let (_, _, abbreviation) = random.pick(&RATIOS);
    let level = any_level(random);
    let effect = Effect::ratio(random, level)?;
    let asked = direction(random);
    let (percent, alpha) = (level.percent, level.alpha);
    let (has_ci, has_p) = random.pick(&[(true, false), (false, true), (false, false)]);
    let right_way = (effect.estimate.value < 1.0) == (asked.side == Side::Below);
    let estimate = &effect.estimate;
    let noun = asked.a_noun;
    let truth = match (right_way, has_ci || has_p) {
        (false, _) => Some(false),
        (true, true) => Some(effect.significant()),
        (true, false) => None,
    };
    let verdict = if effect.significant() { "is" } else { "is not" };
    let rationale = match (right_way, has_ci) {
        (false, _) => format!(
            "An estimate of {estimate} lies on the other side of 1, so {noun} in the risk of {} \
             cannot be significant.",
            scene.event
        ),
        (true, true) => format!(
            "The {percent}% confidence interval {}, so {noun} in the risk of {} {verdict} \
             significant at the {alpha}% level.",
            effect.place(),
            scene.event
        ),
        (true, false) if has_p => format!(
            "With an estimate of {estimate} and {}, {noun} in the risk of {} {verdict} significant \
             at the {alpha}% level.",
            effect.p, scene.event
        ),
        (true, false) => format!(
            "An estimate of {estimate} with neither an interval nor a p value does not tell \
             whether {noun} is significant."
        ),
    };
    let distractor_missing = random.chance(0.5);
    Some(Case {
        truth,
        rationale,
        slots: slots!(scene; abbreviation, estimate, level = percent, alpha,
            ci = show(has_ci, effect.ci()), p = show(has_p, effect.p.number()),
            verb = asked.verb, a_noun = noun, distractor = distractor(random, distractor_missing)),
    })
}

/// Whether a 95% interval of which one limit is missing leaves out 1 on the asked side.
fn one_limit(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let (_, a_measure, _) = random.pick(&RATIOS);
    let effect = Effect::ratio(random, USUAL)?;
    let asked = direction(random);
    let has_low = random.chance(0.5);
    let Effect {
        estimate,
        low,
        high,
        ..
    } = &effect;
    let limit: &PrintedNumber = if has_low { low } else { high };
    let name = if has_low { "lower" } else { "upper" };
    let beyond = if has_low {
        limit.value > 1.0
    } else {
        limit.value < 1.0
    };
    let down = asked.side == Side::Below;
    let noun = asked.a_noun;
    let decided_side = if has_low { Side::Above } else { Side::Below };
    let right_way = (estimate.value < 1.0) == down;
    let (truth, end) = match () {
        () if beyond && asked.side == decided_side => (
            Some(true),
            "puts the whole interval on that side of 1, so it is significant",
        ),
        () if beyond => (
            Some(false),
            "puts the whole interval on the other side of 1",
        ),
        () if asked.side == decided_side => (
            Some(false),
            "keeps the interval from leaving out 1, so it is not significant",
        ),
        () if !right_way => (Some(false), "goes with an estimate on the other side of 1"),
        () => (None, "leaves open whether the missing limit lies beyond 1"),
    };
    let rationale = format!(
        "For {noun} in the risk of {}, with an estimate of {estimate}, the {name} limit of {limit} \
         {end}.",
        scene.event
    );
    Some(Case {
        truth,
        rationale,
        slots: slots!(scene; a_measure, estimate, low = show(has_low, low),
            high = show(!has_low, high), verb = asked.verb),
    })
}
