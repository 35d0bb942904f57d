//! Intention to treat and per protocol, and patients whose outcome is missing.
//!
//! Rules: by intention to treat every patient counts in the group they were randomised to; a claim of
//! non-inferiority can require both analyses (ICH E9, 1998). Missing outcomes bound a risk between none
//! and all of the lost having the event, and a worst case gives the event to the lost of one group only
//! (Hollis and Campbell 1999).

use crate::distractors::{MissingFigure, any_distractor, distractor, lacks, show};
use crate::effect::{Effect, RATIOS};
use crate::numbers::{PrintedNumber, Side, USUAL, above_or_below, lower_or_higher};
use crate::random::Random;
use crate::scenes::Scene;
use crate::wording::{Case, Family, held, slots, trained};

pub(crate) const ANALYSIS_SET: Family = Family {
    name: "analysis-set",
    held_out: false,
    wordings: &[
        trained(
            "by-analysis",
            1,
            by_analysis,
            "For {event} with {treatment} against {comparator}, intention-to-treat {measure}: \
             {itt}, its 95% CI: {itt_ci}; per-protocol {measure}: {pp}, its 95% CI: {pp_ci}; and \
             {distractor}. By the {asked} analysis, is a lower risk [shown|not shown]?",
        ),
        trained(
            "both",
            2,
            both,
            "The non-inferiority margin for the {measure} of {event} was {margin}. Upper 95% \
             limit by intention to treat: {itt}; per protocol: {pp}; and {distractor}. If both analyses \
             have to show it, is non-inferiority of {treatment} [shown|not shown]?",
        ),
        trained(
            "risk",
            2,
            risk,
            "Randomised to {treatment}: {randomised}; of these completed: {completed}; with {event} \
             among all randomised: {events}; among those who completed: {fewer}. Moreover, \
             {distractor}. By intention to treat, is the risk of {event} [above|below] {threshold}%?",
        ),
        held(
            "held-all",
            2,
            risk,
            "{Distractor}. The group on {treatment} had this many patients with {event}, of all \
             randomised: {events}; of those who completed: {fewer}. Randomised: {randomised}; \
             completed: {completed}. Is the intention-to-treat risk [over|under] {threshold}%?",
        ),
    ],
};

pub(crate) const ATTRITION: Family = Family {
    name: "attrition",
    held_out: false,
    wordings: &[
        trained(
            "loss",
            1,
            loss,
            "Share lost to follow-up, on {treatment}: {treated}; on {comparator}: {control}; and \
             {distractor}. Is the difference in loss between the groups [above|below] {limit} \
             percentage points?",
        ),
        trained(
            "bounds",
            2,
            bounds,
            "Of {size} patients randomised to {treatment}, {lost} were lost to follow-up and \
             {events} of the others had {event}; {distractor}. Whatever became of the lost, is the risk \
             among all randomised [above|below] {threshold}%?",
        ),
        trained(
            "worst-case",
            3,
            worst_case,
            "Two groups of {size} patients each were compared for {event}. On {treatment}, with the \
             event: {a}, lost: {lost_a}; on {comparator}, with the event: {b}, lost: {lost_b}. \
             Moreover, {distractor}. If all the lost on {treatment} and none of the lost on \
             {comparator} had it, is the risk on {treatment} [lower|higher]?",
        ),
        held(
            "held-unknown",
            2,
            bounds,
            "{Distractor}. {Treatment} was given to {size} patients; {events} had {event}, and for {lost} \
             the outcome is unknown. Had all outcomes been known, would the risk be [over|under] \
             {threshold}%?",
        ),
    ],
};

fn by_analysis(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let (measure, _, _) = random.pick(&RATIOS);
    let effects = [Effect::ratio(random, USUAL)?, Effect::ratio(random, USUAL)?];
    let nth = random.whole(0, 1) as usize;
    let asked = ["intention-to-treat", "per-protocol"][nth];
    let effect = &effects[nth];
    let missing = MissingFigure::draw(random, 1);
    let has_other = missing.any() || random.chance(0.5);
    let truth = match missing.any() {
        true if effect.estimate.value > 1.0 => Some(false),
        true => None,
        false => Some(effect.side == Side::Below),
    };
    let rationale = match (missing.any(), truth) {
        (true, None) => format!(
            "The {asked} estimate of {} comes without its interval, and the other analysis does not \
             replace it.",
            effect.estimate
        ),
        (true, _) => format!(
            "The {asked} estimate of {} is above 1, so a lower risk is not shown by it whatever its \
             interval.",
            effect.estimate
        ),
        (false, _) => format!(
            "The {asked} 95% confidence interval {}, so a lower risk is {} by that analysis.",
            effect.place(),
            if truth == Some(true) {
                "shown"
            } else {
                "not shown"
            }
        ),
    };
    let known = |which: usize| {
        if which == nth {
            !missing.any()
        } else {
            has_other
        }
    };
    let distractor_missing = has_other && !missing.any();
    Some(Case {
        truth,
        rationale,
        slots: slots!(scene; measure, asked, itt = effects[0].estimate, pp = effects[1].estimate,
            itt_ci = show(known(0), effects[0].ci()), pp_ci = show(known(1), effects[1].ci()),
            distractor = distractor(random, distractor_missing)),
    })
}

fn both(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let (measure, _, _) = random.pick(&RATIOS);
    let margin = PrintedNumber::new(random.pick(&[1.2, 1.25, 1.3, 1.4, 1.5]), 2);
    let [itt, pp] = [0; 2].map(|_| PrintedNumber::new(margin.value * random.between(0.75, 1.2), 2));
    if itt.value == margin.value || pp.value == margin.value {
        return None;
    }
    let missing = MissingFigure::draw(random, 2);
    let fine = |nth: usize, limit: &PrintedNumber| !missing.is(nth) && limit.value < margin.value;
    let fails = |nth: usize, limit: &PrintedNumber| !missing.is(nth) && limit.value > margin.value;
    let truth = match () {
        () if fails(0, &itt) || fails(1, &pp) => Some(false),
        () if fine(0, &itt) && fine(1, &pp) => Some(true),
        () => None,
    };
    let rationale = match truth {
        Some(true) => format!(
            "Both upper limits, {itt} and {pp}, are below the margin of {margin}, so \
             non-inferiority is shown."
        ),
        Some(false) => format!(
            "An upper limit of {} is above the margin of {margin}, so one of the two analyses that \
             have to show non-inferiority does not.",
            if fails(0, &itt) { &itt } else { &pp }
        ),
        None => format!(
            "One upper limit, {}, is below the margin of {margin}, and the other one, which has to \
             be as well, is missing.",
            if missing.is(0) { &pp } else { &itt }
        ),
    };
    Some(Case {
        truth,
        rationale,
        slots: slots!(scene; measure, margin, itt = missing.show(0, &itt), pp = missing.show(1, &pp),
            distractor = missing.distractor(random)),
    })
}

fn risk(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let randomised = random.whole(60, 500);
    let completed = (f64::from(randomised) * random.between(0.6, 0.95)) as u32;
    let events = (f64::from(randomised) * random.between(0.05, 0.5)) as u32;
    let most = events.min(completed);
    let fewer = (f64::from(most) * random.between(0.5, 1.0)) as u32;
    if events - fewer > randomised - completed {
        return None;
    }
    let threshold = random.pick(&[10, 15, 20, 25, 30, 40]);
    let value = 100.0 * f64::from(events) / f64::from(randomised);
    if (value - f64::from(threshold)).abs() < 0.8 || (value - f64::from(threshold)).abs() > 15.0 {
        return None;
    }
    let missing = MissingFigure::draw(random, 2);
    // The other figures bound a missing one; they must not settle the answer.
    let share = |events: u32, of: u32| 100.0 * f64::from(events) / f64::from(of);
    let limit = f64::from(threshold);
    let open = match () {
        () if missing.is(0) => share(events, completed + events - fewer) > limit,
        () if missing.is(1) => {
            let all = share(fewer + randomised - completed, randomised);
            share(fewer, randomised) < limit && limit < all
        }
        () => true,
    };
    if !open {
        return None;
    }
    let above = value > limit;
    let rationale = match missing.any() {
        true => lacks(
            missing,
            "the risk by intention to treat",
            &[
                ("number randomised", &randomised),
                ("number with the event", &events),
                ("number completed", &completed),
            ],
        ),
        false => format!(
            "By intention to treat the risk is {events} of all {randomised} randomised, about \
             {value:.1}%, {} {threshold}%, whoever completed.",
            above_or_below(above)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(above),
        rationale,
        slots: slots!(scene; completed, fewer, threshold, randomised = missing.show(0, randomised),
            events = missing.show(1, events), distractor = missing.distractor(random)),
    })
}

fn loss(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let [treated, control] = [0; 2].map(|_| random.whole(2, 30));
    let limit = random.whole(3, 12);
    let apart = treated.abs_diff(control);
    if apart == limit {
        return None;
    }
    let missing = MissingFigure::draw(random, 2);
    let above = apart > limit;
    let rationale = match missing.any() {
        true => lacks(
            missing,
            "the difference in loss",
            &[
                ("loss with the treatment", &format!("{treated}%")),
                ("loss without it", &format!("{control}%")),
            ],
        ),
        false => format!(
            "Losses of {treated}% and {control}% differ by {apart} percentage points, {} {limit}.",
            above_or_below(above)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(above),
        rationale,
        slots: slots!(scene; limit, treated = missing.show(0, format!("{treated}%")),
            control = missing.show(1, format!("{control}%")), distractor = missing.distractor(random)),
    })
}

fn bounds(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let size = random.whole(8, 60) * 10;
    let lost = (f64::from(size) * random.between(0.03, 0.2)) as u32;
    let events = (f64::from(size) * random.between(0.05, 0.45)) as u32;
    let threshold = random.pick(&[10, 15, 20, 25, 30, 40]);
    let [low, high] =
        [events, events + lost].map(|count| 100.0 * f64::from(count) / f64::from(size));
    let side = Side::of(low, high, f64::from(threshold), 0.4)?;
    if (0.5 * (low + high) - f64::from(threshold)).abs() > 15.0 {
        return None;
    }
    let end = match side {
        Side::Above => "all above",
        Side::Below => "all below",
        Side::Across => "on both sides of",
    };
    let rationale = format!(
        "With none or all of the {lost} lost having had it, the risk is between {events} and {} of \
         {size}, about {low:.1}% to {high:.1}%, {end} {threshold}%.",
        events + lost
    );
    Some(Case {
        truth: side.above(),
        rationale,
        slots: slots!(scene; size, lost, events, threshold, distractor = any_distractor(random)),
    })
}

fn worst_case(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let size = random.whole(8, 60) * 10;
    let b = (f64::from(size) * random.between(0.1, 0.5)) as u32;
    let [lost_a, lost_b] = [0; 2].map(|_| (f64::from(size) * random.between(0.02, 0.12)) as u32);
    let a = (f64::from(b) * random.between(0.4, 1.0)) as u32;
    let worst = a + lost_a;
    if worst == b {
        return None;
    }
    let missing = MissingFigure::draw(random, 3);
    // Without the number lost, the answer is certain if there were as many events to begin with.
    if missing.is(1) && a >= b || missing.is(0) && lost_a >= b {
        return None;
    }
    let lower = worst < b;
    let rationale = match missing.any() {
        true => lacks(
            missing,
            "the worst case",
            &[
                ("first number with the event", &a),
                ("first number lost", &lost_a),
                ("second number with the event", &b),
            ],
        ),
        false => format!(
            "In that case {a} + {lost_a}, or {worst}, of {size} had the event on {} and {b} on {}, \
             so the risk is {} on the former.",
            scene.treatment,
            scene.comparator,
            lower_or_higher(lower)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(lower),
        rationale,
        slots: slots!(scene; size, lost_b, a = missing.show(0, a), lost_a = missing.show(1, lost_a),
            b = missing.show(2, b), distractor = missing.distractor(random)),
    })
}
