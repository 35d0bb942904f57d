//! Interim looks at accumulating data.
//!
//! Rules, as the questions state them: Haybittle (1971) and Peto (1976), p below 0.001 at an interim
//! look and below 0.05 at the last; Pocock (1977), the same nominal level at every look; spending alpha in
//! proportion to the information (Lan and DeMets 1983).

use crate::distractors::{MissingFigure, lacks};
use crate::numbers::{PValue, PrintedNumber, above_or_below, short};
use crate::random::Random;
use crate::scenes::Scene;
use crate::wording::{Case, Family, held, slots, trained};

pub(crate) const FAMILY: Family = Family {
    name: "interim-look",
    held_out: false,
    wordings: &[
        trained(
            "pocock",
            1,
            pocock,
            "A trial of {treatment} plans {looks} looks at {event} with Pocock's boundary, a nominal \
             level of {nominal} at each. At this look, the p value for {event}: {p}; that for \
             {other}: {second}; and {distractor}. Has the boundary been [crossed|missed]?",
        ),
        trained(
            "haybittle-peto",
            2,
            haybittle_peto,
            "A trial of {treatment} looks at {event} {looks} times, the last look being the final \
             analysis. Number of this look: {look}; p value: {p}; and {distractor}. By the Haybittle-Peto \
             rule, p below 0.001 at an interim look and below 0.05 at the last, has the boundary \
             been [crossed|missed]?",
        ),
        trained(
            "spent",
            2,
            spent,
            "Alpha of 0.05 is spent in proportion to the information. Events of {event} planned in \
             all: {all}; so far: {now}; and {distractor}. Is the alpha spent up to now [above|below] \
             {limit}?",
        ),
        held(
            "held-stop",
            2,
            haybittle_peto,
            "{Distractor}. {Event} on {treatment} is analysed {looks} times, at the end for the last \
             time. P value now: {p}; number of this analysis: {look}. If p has to be below 0.001 \
             before the end and below 0.05 at the end, is that [achieved|not achieved]?",
        ),
    ],
};

fn pocock(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let (looks, nominal, level) = random.pick(&[
        ("two", "0.0294", 0.0294),
        ("three", "0.0221", 0.0221),
        ("four", "0.0182", 0.0182),
        ("five", "0.0158", 0.0158),
    ]);
    let [p, second] =
        [0; 2].map(|_| PValue::new(random.between(0.0007_f64.ln(), 0.3_f64.ln()).exp()));
    let crossed = p.below(level)?;
    let missing = MissingFigure::draw(random, 1);
    let rationale = match missing.any() {
        true => format!(
            "The p value for {}, to be compared with {nominal}, is missing, and that for {} does \
             not stand for it.",
            scene.event, scene.other
        ),
        false => format!(
            "The p value for {}, {}, is {} Pocock's nominal level of {nominal}, so the boundary {} \
             crossed.",
            scene.event,
            p.number(),
            above_or_below(!crossed),
            if crossed { "is" } else { "is not" }
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(crossed),
        rationale,
        slots: slots!(scene; looks, nominal, p = missing.show(0, p.number()),
            second = second.number(), distractor = missing.distractor(random)),
    })
}

fn haybittle_peto(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let (looks, count) = random.pick(&[("two", 2), ("three", 3), ("four", 4), ("five", 5)]);
    let look = if random.chance(0.5) {
        count
    } else {
        random.whole(1, count - 1)
    };
    let p = PValue::new(random.between(0.0002_f64.ln(), 0.3_f64.ln()).exp());
    let (strict, lax) = (p.below(0.001)?, p.below(0.05)?);
    let missing = MissingFigure::draw(random, 2);
    let last = look == count;
    let limit = if last { "0.05" } else { "0.001" };
    let crossed = if last { lax } else { strict };
    let truth = match () {
        () if missing.is(0) => match (strict, lax) {
            (true, _) => Some(true),
            (_, false) => Some(false),
            _ => None,
        },
        () if missing.is(1) => None,
        () => Some(crossed),
    };
    let number = p.number();
    let rationale = match truth {
        None if missing.is(0) => format!(
            "A p value of {number} is enough at the last of {looks} looks but not before, and the number of \
             this look is missing."
        ),
        None => format!(
            "At look {look} of {looks} p has to be below {limit}, and the p value itself is missing."
        ),
        Some(crossed) if missing.is(0) => format!(
            "Whichever of the {looks} looks this is, a p value of {number} is {} what its boundary \
             requires.",
            above_or_below(!crossed)
        ),
        Some(crossed) => format!(
            "At look {look} of {looks} p has to be below {limit}, and {number} is {}.",
            if crossed { "below it" } else { "not below it" }
        ),
    };
    Some(Case {
        truth,
        rationale,
        slots: slots!(scene; looks, look = missing.show(0, look), p = missing.show(1, number),
            distractor = missing.distractor(random)),
    })
}

fn spent(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let all = random.whole(10, 60) * 10;
    let now = (f64::from(all) * random.between(0.15, 0.9)) as u32;
    let value = 0.05 * f64::from(now) / f64::from(all);
    let limit = PrintedNumber::new(
        random.pick(&[0.01, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04]),
        3,
    );
    if (value - limit.value).abs() < 0.001 {
        return None;
    }
    let missing = MissingFigure::draw(random, 2);
    let above = value > limit.value;
    let rationale = match missing.any() {
        true => lacks(
            missing,
            "the alpha spent",
            &[
                ("number of events planned", &all),
                ("number of events so far", &now),
            ],
        ),
        false => format!(
            "Of the information {now} of {all} events are there, so 0.05 × {now} / {all} is spent, \
             {}, {} {limit}.",
            short(value),
            above_or_below(above)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(above),
        rationale,
        slots: slots!(scene; limit, all = missing.show(0, all), now = missing.show(1, now),
            distractor = missing.distractor(random)),
    })
}
