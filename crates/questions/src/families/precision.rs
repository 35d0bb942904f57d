//! Precision: how wide a confidence interval is, and what makes it narrower.
//!
//! Rules: in a large sample the half width of a 95% interval of a mean is 1.96·SD / √n; so k times
//! narrower takes k² times the patients.

use crate::distractors::{MissingFigure, lacks};
use crate::numbers::{PrintedNumber, above_or_below};
use crate::random::Random;
use crate::scenes::{Marker, Scene};
use crate::wording::{Case, Family, held, slots, trained};

pub(crate) const FAMILY: Family = Family {
    name: "precision",
    held_out: false,
    wordings: &[
        trained(
            "narrower",
            1,
            narrower,
            "Two studies estimate the effect of {treatment} on {what} in {unit}. First study, 95% \
             CI: {first}; second study, 95% CI: {second}; and {distractor}. Is the first study the \
             [more|less] precise one?",
        ),
        trained(
            "half-width",
            2,
            half_width,
            "Mean {marker} was measured in a large sample. Standard deviation, in \
             {marker_unit}: {deviation}; number of people: {size}; and {distractor}. Is half the width of \
             the 95% confidence interval of the mean, 1.96 standard errors, [above|below] {limit}?",
        ),
        trained(
            "more-patients",
            2,
            more_patients,
            "The confidence interval for {event} with {treatment} is to become {times} times as \
             narrow. Patients so far: {size}; patients of the new trial: {planned}; and {distractor}. With \
             the same spread, are the new patients alone [enough|too few] for that?",
        ),
        held(
            "held-margin",
            2,
            half_width,
            "{Distractor}. A survey of {marker} (in {marker_unit}) had many people: {size}; their \
             standard deviation: {deviation}. Does the mean have a margin of error, at 95% and \
             with 1.96, [greater|smaller] than {limit}?",
        ),
    ],
};

fn narrower(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let measure = scene.measure;
    let [first, second] = [0; 2].map(|_| {
        let middle = measure.width * random.between(-2.0, 2.0);
        let half = measure.width * random.between(0.4, 2.0);
        [-half, half].map(|step| PrintedNumber::new(middle + step, measure.decimals + 1))
    });
    let width = |ends: &[PrintedNumber; 2]| ends[1].value - ends[0].value;
    let [w1, w2] = [width(&first), width(&second)];
    if (w1 / w2 - 1.0).abs() < 0.04 {
        return None;
    }
    let missing = MissingFigure::draw(random, 2);
    let text = |ends: &[PrintedNumber; 2]| format!("{} to {}", ends[0], ends[1]);
    let more = w1 < w2;
    let decimals = measure.decimals + 1;
    let rationale = match missing.any() {
        true => lacks(
            missing,
            "the comparison",
            &[
                ("first interval", &text(&first)),
                ("second interval", &text(&second)),
            ],
        ),
        false => format!(
            "From {} and from {} the intervals are {w1:.decimals$} and {w2:.decimals$} wide, so the \
             first study is the {} precise one.",
            text(&first),
            text(&second),
            if more { "more" } else { "less" }
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(more),
        rationale,
        slots: slots!(scene; first = missing.show(0, text(&first)), second = missing.show(1, text(&second)),
            distractor = missing.distractor(random)),
    })
}

fn half_width(random: &mut Random) -> Option<Case> {
    let marker = Marker::draw(random);
    let deviation =
        PrintedNumber::new(marker.deviation * random.between(0.7, 1.3), marker.decimals);
    let size = random.whole(60, 900);
    let value = 1.96 * deviation.value / f64::from(size).sqrt();
    let limit = PrintedNumber::new(value * random.between(0.5, 1.7), marker.decimals + 1);
    if (value / limit.value - 1.0).abs() < 0.05 || limit.value == 0.0 {
        return None;
    }
    let missing = MissingFigure::draw(random, 2);
    let above = value > limit.value;
    let rationale = match missing.any() {
        true => lacks(
            missing,
            "the width of the interval",
            &[
                ("standard deviation", &deviation),
                ("number of people", &size),
            ],
        ),
        false => format!(
            "Half the width is 1.96 × {deviation} over the root of {size}, about {value:.3}, {} \
             {limit}.",
            above_or_below(above)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(above),
        rationale,
        slots: slots!(
            limit,
            marker = marker.name,
            marker_unit = marker.unit,
            deviation = missing.show(0, &deviation),
            size = missing.show(1, size),
            distractor = missing.distractor(random)
        ),
    })
}

fn more_patients(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let (times, factor) = random.pick(&[("two", 4), ("three", 9), ("four", 16)]);
    let size = random.whole(30, 400);
    let needed = factor * size;
    let planned = (f64::from(needed) * random.between(0.3, 1.7)).round() as u32;
    if (f64::from(planned) / f64::from(needed) - 1.0).abs() < 0.06 {
        return None;
    }
    let missing = MissingFigure::draw(random, 2);
    let enough = planned > needed;
    let rationale = match missing.any() {
        true => lacks(
            missing,
            &format!("whether there are {factor} times as many"),
            &[
                ("number of patients so far", &size),
                ("number of new patients", &planned),
            ],
        ),
        false => format!(
            "An interval {times} times as narrow takes {factor} times as many patients as {size}, or \
             {needed}, so {planned} are {}.",
            if enough { "enough" } else { "too few" }
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(enough),
        rationale,
        slots: slots!(scene; times, size = missing.show(0, size), planned = missing.show(1, planned),
            distractor = missing.distractor(random)),
    })
}
