//! Hazard ratios, and survival curves that cross.
//!
//! Rules: under proportional hazards S₁(t) = S₀(t)^HR (Cox 1972), so ln S₁ / ln S₀ is the same at every
//! time and the curves never change places.

use crate::distractors::{MissingFigure, any_distractor, lacks};
use crate::numbers::{PrintedNumber, Side, above_or_below, lower_or_higher};
use crate::random::Random;
use crate::scenes::Scene;
use crate::wording::{Case, Family, held, slots, trained};

pub(crate) const HAZARD: Family = Family {
    name: "hazard",
    held_out: false,
    wordings: &[
        trained(
            "rates",
            1,
            rates,
            "Deaths per 100 patient-years, on {treatment}: {treated}; on {comparator}: {control}; \
             and {distractor}. If both rates are constant, is the hazard ratio of {treatment} against \
             {comparator} [above|below] {limit}?",
        ),
        trained(
            "survival",
            2,
            survival,
            "Under proportional hazards, with a hazard ratio for death on {treatment} against \
             {comparator} of: {ratio}; survival on {comparator} at {years} years: {control}; and \
             {distractor}. Is survival on {treatment} at that time [above|below] {threshold}%?",
        ),
        trained(
            "survival-interval",
            3,
            survival_interval,
            "Under proportional hazards, {treatment} against {comparator} has a hazard ratio for \
             death of {ratio} (95% CI {low} to {high}), and {distractor}. At {years} years {control}% on \
             {comparator} are alive. Judged by that interval, is survival on {treatment} \
             [above|below] {threshold}%?",
        ),
        held(
            "held-alive",
            2,
            survival,
            "{Distractor}. On {comparator}, alive at {years} years: {control}. The hazards are \
             proportional; hazard ratio for death on {treatment}: {ratio}. Are [more|fewer] than \
             {threshold}% on {treatment} alive then?",
        ),
    ],
};

pub(crate) const CROSSING: Family = Family {
    name: "crossing-curves",
    held_out: false,
    wordings: &[
        trained(
            "later",
            1,
            later,
            "Survival in year {t1}, on {treatment}: {a1}; on {comparator}: {b1}. In year {t2}, on \
             {treatment}: {a2}; on {comparator}: {b2}. Moreover, {distractor}. Is survival in year {t2} \
             [higher|lower] on {treatment}?",
        ),
        trained(
            "order",
            2,
            order,
            "Survival in year {t1}, on {treatment}: {a1}; on {comparator}: {b1}. In year {t2}, on \
             {treatment}: {a2}; on {comparator}: {b2}. Moreover, {distractor}. From the one year to the \
             other, have the two groups [changed places|kept their places]?",
        ),
        trained(
            "constant",
            3,
            constant,
            "Survival in year {t1}, on {treatment}: {a1}; on {comparator}: {b1}. In year {t2}, on \
             {treatment}: {a2}; on {comparator}: {b2}. Moreover, {distractor}. Taken as exact but for \
             rounding, do these figures [agree|disagree] with one hazard ratio for all times?",
        ),
        held(
            "held-ahead",
            2,
            order,
            "{Distractor}. Alive in year {t1}, on {treatment}: {a1}; on {comparator}: {b1}. Alive in year \
             {t2}, on {treatment}: {a2}; on {comparator}: {b2}. Is the group that was ahead at first \
             [behind|still ahead] later?",
        ),
    ],
};

fn rates(random: &mut Random) -> Option<Case> {
    let scene = Scene::grave(random);
    let control = PrintedNumber::new(random.between(1.5, 24.0), 1);
    let treated = PrintedNumber::new(control.value * random.between(0.3, 1.4), 1);
    let limit = PrintedNumber::new(random.pick(&[0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1.0, 1.1]), 2);
    let ratio = treated.value / control.value;
    if (ratio / limit.value - 1.0).abs() < 0.03 || treated.value == 0.0 {
        return None;
    }
    let missing = MissingFigure::draw(random, 2);
    let above = ratio > limit.value;
    let rationale = match missing.any() {
        true => lacks(
            missing,
            "the hazard ratio",
            &[
                ("rate with the treatment", &treated),
                ("rate without it", &control),
            ],
        ),
        false => format!(
            "With constant rates the hazard ratio is {treated} / {control}, about {ratio:.2}, {} \
             {limit}.",
            above_or_below(above)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(above),
        rationale,
        slots: slots!(scene; limit, treated = missing.show(0, &treated),
            control = missing.show(1, &control), distractor = missing.distractor(random)),
    })
}

/// Survival in per cent with the hazard multiplied.
fn survive(percent: f64, ratio: f64) -> f64 {
    100.0 * (percent / 100.0).powf(ratio)
}

fn survival(random: &mut Random) -> Option<Case> {
    let scene = Scene::grave(random);
    let ratio = PrintedNumber::new(random.between(-0.7, 0.4).exp(), 2);
    let control = random.whole(15, 85);
    let threshold = random.whole(3, 18) * 5;
    let years = random.pick(&[2, 3, 4, 5]);
    let value = survive(f64::from(control), ratio.value);
    let side = Side::of(value, value, f64::from(threshold), 1.0)?;
    if (value - f64::from(threshold)).abs() > 20.0 || ratio.value == 1.0 {
        return None;
    }
    let missing = MissingFigure::draw(random, 2);
    let rationale = match missing.any() {
        true => lacks(
            missing,
            "survival with the treatment",
            &[
                ("hazard ratio", &ratio),
                ("survival without it", &format!("{control}%")),
            ],
        ),
        false => format!(
            "Under proportional hazards survival of {control}% becomes 0.{control} to the power of \
             {ratio}, about {value:.1}%, {} {threshold}%.",
            above_or_below(side == Side::Above)
        ),
    };
    Some(Case {
        truth: if missing.any() { None } else { side.above() },
        rationale,
        slots: slots!(scene; years, threshold, ratio = missing.show(0, &ratio),
            control = missing.show(1, format!("{control}%")), distractor = missing.distractor(random)),
    })
}

fn survival_interval(random: &mut Random) -> Option<Case> {
    let scene = Scene::grave(random);
    let log = random.between(-0.7, 0.4);
    let half = random.between(0.1, 0.5);
    let [ratio, low, high] =
        [0.0, -half, half].map(|step: f64| PrintedNumber::new((log + step).exp(), 2));
    let control = random.whole(15, 85);
    let threshold = random.whole(3, 18) * 5;
    let years = random.pick(&[2, 3, 4, 5]);
    let [most, least] = [&low, &high].map(|end| survive(f64::from(control), end.value));
    let side = Side::of(least, most, f64::from(threshold), 1.0)?;
    let far = f64::from(threshold) - 0.5 * (least + most);
    if far.abs() > 25.0 {
        return None;
    }
    let end = match side {
        Side::Across => "on both sides of",
        Side::Above => "all above",
        Side::Below => "all below",
    };
    let rationale = format!(
        "Hazard ratios of {low} to {high} turn survival of {control}% into about {most:.1}% down to \
         {least:.1}%, {end} {threshold}%."
    );
    Some(Case {
        truth: side.above(),
        rationale,
        slots: slots!(scene; ratio, low, high, control, years, threshold, distractor = any_distractor(random)),
    })
}

/// Survival in two groups at two times, in per cent.
struct Curves {
    scene: Scene,
    years: [u32; 2],
    /// First time: treated, control; second time: treated, control.
    survival: [PrintedNumber; 4],
    missing: MissingFigure,
}

impl Curves {
    /// With one hazard ratio for both times, or without.
    fn draw(random: &mut Random, proportional: bool) -> Option<Curves> {
        let scene = Scene::grave(random);
        let first = random.whole(1, 2);
        let years = [first, first + random.whole(1, 4)];
        let b1 = random.between(55.0, 92.0);
        let b2 = b1 * random.between(0.35, 0.85);
        let ratio = random.between(-0.7, 0.7).exp();
        let other = random.between(-0.7, 0.7).exp();
        let a1 = survive(b1, ratio);
        let a2 = survive(b2, if proportional { ratio } else { other });
        let survival = [a1, b1, a2, b2].map(|value| PrintedNumber::new(value, 1));
        let [a1, b1, a2, b2] = [0, 1, 2, 3].map(|nth: usize| survival[nth].value);
        let close = |a: f64, b: f64| (a - b).abs() < 0.8;
        if a2 >= a1 || b2 >= b1 || close(a1, b1) || close(a2, b2) {
            return None;
        }
        let missing = MissingFigure::draw(random, 4);
        Some(Curves {
            scene,
            years,
            survival,
            missing,
        })
    }

    /// Values that the missing figure could have: survival never rises.
    fn range(&self) -> [f64; 2] {
        let [a1, b1, a2, b2] = [0, 1, 2, 3].map(|nth: usize| self.survival[nth].value);
        match (0..4).find(|nth| self.missing.is(*nth)) {
            Some(0) => [a2, 100.0],
            Some(1) => [b2, 100.0],
            Some(2) => [0.0, a1],
            _ => [0.0, b1],
        }
    }

    /// Whether a statement about the figures is the same for all values of a missing one.
    fn settled(&self, holds: impl Fn([f64; 4]) -> bool) -> bool {
        let with = |value: f64| {
            holds([0, 1, 2, 3].map(|nth: usize| match self.missing.is(nth) {
                true => value,
                false => self.survival[nth].value,
            }))
        };
        let [low, high] = self.range();
        with(low) == with(high)
    }

    fn case(&self, random: &mut Random, truth: bool, quantity: &str, reason: String) -> Case {
        let [a1, b1, a2, b2] = &self.survival;
        let Curves { scene, missing, .. } = self;
        let rationale = match missing.any() {
            true => lacks(
                *missing,
                quantity,
                &[
                    ("first survival with the treatment", a1),
                    ("first survival without it", b1),
                    ("second survival with the treatment", a2),
                    ("second survival without it", b2),
                ],
            ),
            false => reason,
        };
        let show = |nth: usize| missing.show(nth, format!("{}%", self.survival[nth]));
        Case {
            truth: (!missing.any()).then_some(truth),
            rationale,
            slots: slots!(scene; t1 = self.years[0], t2 = self.years[1], a1 = show(0), b1 = show(1),
                a2 = show(2), b2 = show(3), distractor = missing.distractor(random)),
        }
    }
}

fn later(random: &mut Random) -> Option<Case> {
    let curves = Curves::draw(random, false)?;
    let missing = curves.missing;
    // Early figures do not decide; the missing one is a late one.
    if missing.is(0) || missing.is(1) {
        return None;
    }
    if missing.any() && curves.settled(|[_, _, a2, b2]| a2 > b2) {
        return None;
    }
    let [_, _, a2, b2] = [0, 1, 2, 3].map(|nth: usize| curves.survival[nth].value);
    let reason = format!(
        "In year {} the figures are {a2:.1}% and {b2:.1}%, so survival is {} on {} then, whatever it \
         was before.",
        curves.years[1],
        lower_or_higher(a2 <= b2),
        curves.scene.treatment
    );
    Some(curves.case(random, a2 > b2, "the later comparison", reason))
}

fn order(random: &mut Random) -> Option<Case> {
    let curves = Curves::draw(random, false)?;
    let changed = |[a1, b1, a2, b2]: [f64; 4]| (a1 > b1) != (a2 > b2);
    if curves.missing.any() && curves.settled(changed) {
        return None;
    }
    let values @ [a1, b1, a2, b2] = [0, 1, 2, 3].map(|nth: usize| curves.survival[nth].value);
    let reason = format!(
        "First it was {a1:.1}% against {b1:.1}%, later {a2:.1}% against {b2:.1}%, so the two groups \
         have {} places.",
        if changed(values) {
            "changed"
        } else {
            "kept their"
        }
    );
    Some(curves.case(random, changed(values), "the order", reason))
}

fn constant(random: &mut Random) -> Option<Case> {
    let proportional = random.chance(0.5);
    let curves = Curves::draw(random, proportional)?;
    let [a1, b1, a2, b2] = [0, 1, 2, 3].map(|nth: usize| curves.survival[nth].value / 100.0);
    let [first, second] = [a1.ln() / b1.ln(), a2.ln() / b2.ln()];
    // The hazard ratios that are consistent with figures rounded to a tenth of a per cent.
    let range = |a: f64, b: f64| {
        [(0.0005, -0.0005), (-0.0005, 0.0005)].map(|(x, y)| (a + x).ln() / (b + y).ln())
    };
    let [[low1, high1], [low2, high2]] = [range(a1, b1), range(a2, b2)];
    let truth = low1 < high2 && low2 < high1;
    if !truth && (first / second).ln().abs() < 0.25 {
        return None;
    }
    // Rejected when no value of the missing figure is consistent with the others.
    let [low, high] = curves.range();
    let fits = (0..4)
        .find(|nth| curves.missing.is(*nth))
        .is_none_or(|nth| {
            let wanted = 100.0
                * match nth {
                    0 => b1.powf(second),
                    1 => a1.powf(1.0 / second),
                    2 => b2.powf(first),
                    _ => a2.powf(1.0 / first),
                };
            low < wanted && wanted < high
        });
    if !fits {
        return None;
    }
    let crossed = (a1 > b1) != (a2 > b2);
    let reason = format!(
        "The ratio of the logarithms is about {first:.2} in year {} and {second:.2} in year {}, {}.",
        curves.years[0],
        curves.years[1],
        match (truth, crossed) {
            (true, _) => "the same but for rounding",
            (false, true) => "and the curves cross, which one hazard ratio cannot do",
            (false, false) => "too different for one hazard ratio",
        }
    );
    Some(curves.case(random, truth, "the agreement", reason))
}
