//! Median and mean survival, and survival that only begins earlier.
//!
//! Rules: the median is the time at which half are alive; with a constant hazard λ it is ln 2 / λ and
//! the mean is 1 / λ. Diagnosis at an earlier age lengthens survival without postponing death (lead time;
//! Zelen and Feinleib 1969): compare ages at death, or take the lead time off, or compare mortality among
//! all who were invited.

use crate::distractors::{MissingFigure, any_distractor, lacks};
use crate::effect::Effect;
use crate::numbers::{PrintedNumber, Side, USUAL, above_or_below, lower_or_higher};
use crate::random::Random;
use crate::scenes::Scene;
use crate::wording::{Case, Family, held, slots, trained};

pub(crate) const MEDIAN: Family = Family {
    name: "median-survival",
    held_out: false,
    wordings: &[
        trained(
            "read-off",
            1,
            read_off,
            "On {treatment}, {first}% were alive at {t1} months and {second}% at {t2} months; \
             {distractor}. Is the median survival [above|below] {time} months?",
        ),
        trained(
            "constant-hazard",
            2,
            median_of_rate,
            "On {treatment}, the hazard of death per month is constant: {rate}; and {distractor}. Is \
             the median survival [above|below] {time} months?",
        ),
        trained(
            "mean",
            2,
            mean_of_median,
            "With a constant hazard of death in {population} on {treatment}, the median survival in \
             months is: {median}; and {distractor}. Is the mean survival [above|below] {time} months?",
        ),
        held(
            "held-half",
            1,
            read_off,
            "{Distractor}. After {t1} months {first}% of those on {treatment} were alive, after {t2} \
             months {second}%. Is the time after which half of them were alive \
             [longer|shorter] than {time} months?",
        ),
    ],
};

pub(crate) const LEAD_TIME: Family = Family {
    name: "lead-time",
    held_out: false,
    wordings: &[
        trained(
            "mortality",
            1,
            mortality,
            "Screening for {disease} raised survival for five years after diagnosis from {low}% to \
             {high}%. The risk ratio of death from {disease} among all invited was {estimate} (95% \
             CI {ci}), and {distractor}. Among all invited, is this risk [lower|higher] with screening?",
        ),
        trained(
            "age-at-death",
            2,
            age_at_death,
            "Of {disease}, mean age at diagnosis, screened: {a1}; unscreened: {a2}. Mean years from \
             diagnosis to death, screened: {s1}; unscreened: {s2}. Moreover, {distractor}. Is the mean \
             age at death [higher|lower] in the screened?",
        ),
        trained(
            "corrected",
            2,
            corrected,
            "Screening finds {disease} earlier by this lead time in years: {lead}. Mean years from \
             diagnosis to death, screened: {s1}; unscreened: {s2}; and {distractor}. Once the lead \
             time is taken off, is survival [longer|shorter] in the screened?",
        ),
        held(
            "held-later",
            2,
            age_at_death,
            "{Distractor}. Mean years from diagnosis of {disease} to death, unscreened: {s2}; screened: \
             {s1}. Mean age at diagnosis, unscreened: {a2}; screened: {a1}. On average, did the \
             screened die at a [greater|lesser] age?",
        ),
    ],
};

fn read_off(random: &mut Random) -> Option<Case> {
    let scene = Scene::grave(random);
    let [t1, t2] = [random.whole(6, 30), random.whole(3, 16)];
    let t2 = t1 + t2;
    let first = random.whole(35, 85);
    let second = random.whole(first.saturating_sub(40).max(8), first - 4);
    let time = random.whole(t1.saturating_sub(6).max(3), t2 + 6);
    let near = |share: u32| share.abs_diff(50) < 2;
    if near(first) || near(second) {
        return None;
    }
    // The median lies after each time with more than half alive, before each with fewer.
    let after = [(t1, first), (t2, second)]
        .iter()
        .any(|(t, s)| *s > 50 && time <= *t);
    let before = [(t1, first), (t2, second)]
        .iter()
        .any(|(t, s)| *s < 50 && time >= *t);
    let truth = match (after, before) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    let rationale = match truth {
        Some(above) => format!(
            "With {first}% alive at {t1} months and {second}% at {t2}, the time at which half are \
             alive lies {} {time} months.",
            above_or_below(above)
        ),
        None => format!(
            "With {first}% alive at {t1} months and {second}% at {t2}, the time at which half are \
             alive may lie before or after {time} months."
        ),
    };
    Some(Case {
        truth,
        rationale,
        slots: slots!(scene; first, second, t1, t2, time, distractor = any_distractor(random)),
    })
}

/// A time that is not too near a value and not too far from it.
fn time_near(random: &mut Random, value: f64) -> Option<u32> {
    let time = (value * random.between(0.5, 1.8)).round();
    ((time / value - 1.0).abs() > 0.06 && time >= 2.0).then_some(time as u32)
}

fn median_of_rate(random: &mut Random) -> Option<Case> {
    let scene = Scene::grave(random);
    let rate = PrintedNumber::new(random.between(-4.2, -2.3).exp(), 3);
    let median = std::f64::consts::LN_2 / rate.value;
    let time = time_near(random, median)?;
    let missing = MissingFigure::draw(random, 1);
    let above = median > f64::from(time);
    let rationale = match missing.any() {
        true => format!(
            "A median survival of {time} months is a constant hazard of about {:.3} per month, and \
             the hazard found is missing.",
            std::f64::consts::LN_2 / f64::from(time)
        ),
        false => format!(
            "With a constant hazard of {rate} per month the median is 0.693 / {rate}, about \
             {median:.1} months, {} {time}.",
            above_or_below(above)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(above),
        rationale,
        slots: slots!(scene; time, rate = missing.show(0, &rate), distractor = missing.distractor(random)),
    })
}

fn mean_of_median(random: &mut Random) -> Option<Case> {
    let scene = Scene::grave(random);
    let median = PrintedNumber::new(random.between(4.0, 48.0), 1);
    let mean = median.value / std::f64::consts::LN_2;
    let time = time_near(random, mean)?;
    let missing = MissingFigure::draw(random, 1);
    let above = mean > f64::from(time);
    let rationale = match missing.any() {
        true => format!(
            "A mean of {time} months is a median of about {:.1} months with a constant hazard, and \
             the median found is missing.",
            f64::from(time) * std::f64::consts::LN_2
        ),
        false => format!(
            "With a constant hazard the mean is the median over 0.693, here {median} / 0.693 or \
             about {mean:.1} months, {} {time}.",
            above_or_below(above)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(above),
        rationale,
        slots: slots!(scene; time, median = missing.show(0, &median), distractor = missing.distractor(random)),
    })
}

/// A cancer that people are screened for.
fn screened(random: &mut Random) -> &'static str {
    random.pick(&[
        "breast cancer",
        "lung cancer",
        "prostate cancer",
        "colorectal cancer",
        "ovarian cancer",
        "thyroid cancer",
        "kidney cancer",
    ])
}

fn mortality(random: &mut Random) -> Option<Case> {
    let disease = screened(random);
    let low = random.whole(20, 60);
    let high = low + random.whole(8, 35);
    let effect = Effect::ratio(random, USUAL)?;
    let end = match effect.side {
        Side::Below => "the risk of death is lower with screening",
        Side::Above => "the risk of death is higher with screening",
        Side::Across => "the risk of death may be either, and longer survival may be lead time",
    };
    let rationale = format!(
        "Among all invited the 95% confidence interval {}, so {end}.",
        effect.place()
    );
    Some(Case {
        truth: effect.side.below(),
        rationale,
        slots: slots!(
            disease,
            low,
            high,
            estimate = effect.estimate,
            ci = effect.ci(),
            distractor = any_distractor(random)
        ),
    })
}

fn age_at_death(random: &mut Random) -> Option<Case> {
    let disease = screened(random);
    let a2 = PrintedNumber::new(random.between(60.0, 74.0), 1);
    let a1 = PrintedNumber::new(a2.value - random.between(0.5, 5.0), 1);
    let s2 = PrintedNumber::new(random.between(2.0, 7.0), 1);
    let s1 = PrintedNumber::new(s2.value + random.between(0.3, 5.5), 1);
    let [first, second] = [a1.value + s1.value, a2.value + s2.value];
    if (first - second).abs() < 0.15 {
        return None;
    }
    let missing = MissingFigure::draw(random, 4);
    let higher = first > second;
    let rationale = match missing.any() {
        true => lacks(
            missing,
            "the comparison of ages at death",
            &[
                ("screened age at diagnosis", &a1),
                ("unscreened age at diagnosis", &a2),
                ("screened survival", &s1),
                ("unscreened survival", &s2),
            ],
        ),
        false => format!(
            "The mean age at death is {a1} + {s1}, or {first:.1}, in the screened and {a2} + {s2}, \
             or {second:.1}, in the unscreened, so it is {} in the screened.",
            lower_or_higher(!higher)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(higher),
        rationale,
        slots: slots!(
            disease,
            a1 = missing.show(0, &a1),
            a2 = missing.show(1, &a2),
            s1 = missing.show(2, &s1),
            s2 = missing.show(3, &s2),
            distractor = missing.distractor(random)
        ),
    })
}

fn corrected(random: &mut Random) -> Option<Case> {
    let disease = screened(random);
    let lead = PrintedNumber::new(random.between(0.5, 4.5), 1);
    let s2 = PrintedNumber::new(random.between(2.0, 8.0), 1);
    let s1 = PrintedNumber::new(s2.value + lead.value * random.between(0.1, 2.0), 1);
    let left = s1.value - lead.value;
    if (left - s2.value).abs() < 0.15 || left <= 0.0 {
        return None;
    }
    let missing = MissingFigure::draw(random, 3);
    let longer = left > s2.value;
    let rationale = match missing.any() {
        true => lacks(
            missing,
            "survival without lead time",
            &[
                ("lead time", &lead),
                ("screened survival", &s1),
                ("unscreened survival", &s2),
            ],
        ),
        false => format!(
            "Without the lead time of {lead} years the screened have {s1} - {lead}, or {left:.1} \
             years, which is {} than {s2}.",
            if longer { "longer" } else { "shorter" }
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(longer),
        rationale,
        slots: slots!(
            disease,
            lead = missing.show(0, &lead),
            s1 = missing.show(1, &s1),
            s2 = missing.show(2, &s2),
            distractor = missing.distractor(random)
        ),
    })
}
