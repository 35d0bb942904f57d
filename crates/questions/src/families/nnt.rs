//! Numbers needed to treat and to harm.
//!
//! Rule: 100 divided by the difference of two risks in percentage points (Laupacis, Sackett and
//! Roberts 1988); its interval comes from the ends of the difference's (Altman 1998).

use crate::distractors::{MissingFigure, any_distractor};
use crate::numbers::{PrintedNumber, Side, short};
use crate::random::Random;
use crate::scenes::Scene;
use crate::wording::{Case, Family, held, slots, trained};

pub(crate) const FAMILY: Family = Family {
    name: "nnt",
    held_out: false,
    wordings: &[
        trained(
            "difference",
            1,
            from_difference,
            "The absolute risk reduction in {event} with {treatment} in {population} was \
             {difference}, and {distractor}. Is the number needed to treat [below|above] {threshold}?",
        ),
        trained(
            "risks",
            2,
            |random| from_risks(random, Effect::Benefit),
            "Risk of {event} in {population} on {comparator}: {control}; on {treatment}: {treated}. \
             Moreover, {distractor}. Is the number needed to treat [below|above] {threshold}?",
        ),
        trained(
            "harm",
            2,
            |random| from_risks(random, Effect::Harm),
            "A side effect was counted. Risk on {treatment}: {treated}; on {comparator}: \
             {control}; and {distractor}. Is the number needed to harm [below|above] {threshold}?",
        ),
        trained(
            "interval",
            3,
            from_interval,
            "The absolute risk reduction in {event} with {treatment} was {reduction} percentage \
             points (95% CI {low} to {high}), and {distractor}. Judged by that interval, is the number \
             needed to treat [below|above] {threshold}?",
        ),
        trained(
            "interval-people",
            3,
            from_interval,
            "{Treatment} lowers the risk of {event} by {reduction} percentage points, 95% \
             confidence interval {low} to {high}; {distractor}. Judged by that interval, are \
             [fewer|more] than {threshold} people treated for each one who benefits?",
        ),
        held(
            "held-interval",
            3,
            from_interval,
            "{Distractor}. The risk of {event} falls by {reduction} percentage points with \
             {treatment}, with 95% limits of {low} and {high}. Does it take [fewer|more] than \
             {threshold} people to prevent one case?",
        ),
        held(
            "held-worthwhile",
            2,
            |random| from_risks(random, Effect::Benefit),
            "A service draws a line at a number needed to treat of {threshold}. Risk of {event} on \
             {treatment}: {treated}; on {comparator}: {control}; {distractor}. Is the number \
             [under|over] that line?",
        ),
    ],
};

const THRESHOLDS: [u32; 11] = [10, 15, 20, 25, 30, 40, 50, 75, 100, 150, 200];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Benefit,
    Harm,
}

/// The position of the numbers from `least` to `most` relative to the threshold; none when rounding one of them to a
/// whole number, up or down, could change the answer, and when the answer is too obvious.
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

fn from_difference(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let difference = PrintedNumber::new(random.between(0.4, 14.0), 1);
    let number = 100.0 / difference.value;
    let threshold = random.pick(&THRESHOLDS);
    let side = side(number, number, threshold)?;
    let missing = MissingFigure::draw(random, 1);
    let rationale = match missing.any() {
        true => format!(
            "A number needed to treat of {threshold} is a risk reduction of {} percentage points, \
             and the reduction found is missing.",
            short(100.0 / f64::from(threshold))
        ),
        false => format!(
            "The number needed to treat is 100 / {difference}, or about {number:.0}, {}.",
            end(side, threshold)
        ),
    };
    Some(Case {
        truth: if missing.any() { None } else { side.below() },
        rationale,
        slots: slots!(scene; threshold, distractor = missing.distractor(random),
            difference = missing.show(0, format!("{difference} percentage points"))),
    })
}

fn from_risks(random: &mut Random, effect: Effect) -> Option<Case> {
    let scene = Scene::draw(random);
    let decimals = random.pick(&[0, 1]);
    let high = PrintedNumber::new(random.between(3.0, 40.0), decimals);
    let low = PrintedNumber::new(high.value * random.between(0.3, 0.95), decimals);
    let difference = PrintedNumber::new(high.value - low.value, 1);
    if difference.value < 0.4 || low.value < 0.5 {
        return None;
    }
    let number = 100.0 / difference.value;
    let threshold = random.pick(&THRESHOLDS);
    let side = side(number, number, threshold)?;
    let missing = MissingFigure::draw(random, 2);
    let (treated, control, name) = match effect {
        Effect::Benefit => (&low, &high, "treat"),
        Effect::Harm => (&high, &low, "harm"),
    };
    // The larger risk alone bounds the difference.
    if missing.any() && 100.0 / high.value > f64::from(threshold) * 0.9 {
        return None;
    }
    let rationale = match () {
        () if missing.is(0) => format!(
            "The risk of {control}% on {} needs the missing risk on {} beside it before a number \
             needed to {name} can be computed.",
            scene.comparator, scene.treatment
        ),
        () if missing.is(1) => format!(
            "The risk of {treated}% on {} needs the missing risk on {} beside it before a number \
             needed to {name} can be computed.",
            scene.treatment, scene.comparator
        ),
        () => format!(
            "The risks of {high}% and {low}% differ by {} percentage points, so the number needed \
             to {name} is 100 / {0} or about {number:.0}, {1}.",
            short(difference.value),
            end(side, threshold)
        ),
    };
    Some(Case {
        truth: if missing.any() { None } else { side.below() },
        rationale,
        slots: slots!(scene; threshold, treated = missing.show(0, format!("{treated}%")),
            control = missing.show(1, format!("{control}%")), distractor = missing.distractor(random)),
    })
}

fn from_interval(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let reduction = PrintedNumber::new(random.between(1.0, 12.0), 1);
    let half = reduction.value * random.between(0.15, 0.8);
    let [low, high] = [-half, half].map(|step| PrintedNumber::new(reduction.value + step, 1));
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
    Some(Case {
        truth: side.below(),
        rationale,
        slots: slots!(scene; reduction, low, high, threshold, distractor = any_distractor(random)),
    })
}
