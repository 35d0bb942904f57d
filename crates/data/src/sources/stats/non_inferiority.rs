//! Non-inferiority: a confidence interval against a margin, for failures, responses and hazards.

use super::print::{Ask, Num, ONE_SIDED, Side, USUAL};
use super::random::Random;
use super::words::Scene;
use super::{ALL, Case, Family, Wording, YES_NO};

pub(super) const FAMILY: Family = Family {
    name: "non-inferiority",
    wordings: &[
        Wording {
            name: "failure-shown",
            held_out: false,
            labels: YES_NO,
            draw: |random| draw(random, Scale::Failure, Ask::Shown),
            template: "A trial set a non-inferiority margin of {margin} percentage points for \
                {event}. The difference ({treatment} minus {comparator}) was {estimate} points \
                ({level}% CI {low} to {high}). Was non-inferiority of {treatment} shown?",
        },
        Wording {
            name: "response-shown",
            held_out: false,
            labels: YES_NO,
            draw: |random| draw(random, Scale::Response, Ask::Shown),
            template: "Response rates in {population} differed by {estimate} percentage points \
                ({treatment} minus {comparator}, {level}% CI {low} to {high}). The margin allowed \
                a response rate up to {margin} points lower. Has {treatment} been shown to be \
                non-inferior?",
        },
        Wording {
            name: "hazard-shown",
            held_out: false,
            labels: YES_NO,
            draw: |random| draw(random, Scale::Hazard, Ask::Shown),
            template: "The hazard ratio for {event} with {treatment} against {comparator} was \
                {estimate} ({level}% CI {low} to {high}), and the non-inferiority margin was \
                {margin}. Did the trial establish non-inferiority?",
        },
        Wording {
            name: "within-margin",
            held_out: false,
            labels: ALL,
            draw: |random| draw(random, Scale::Failure, Ask::True),
            template: "The risk of {event} with {treatment} minus that with {comparator} was \
                {estimate} percentage points ({level}% CI {low} to {high}). At most {margin} \
                points more are acceptable. Is the true difference within what is acceptable?",
        },
        Wording {
            name: "response-within",
            held_out: false,
            labels: ALL,
            draw: |random| draw(random, Scale::Response, Ask::True),
            template: "A response rate up to {margin} percentage points lower than with {comparator} \
                would be acceptable. In {population}, {treatment} minus {comparator} was \
                {estimate} points, {level}% confidence interval {low} to {high}. Is the response rate \
                with {treatment} truly within that limit?",
        },
        Wording {
            name: "held-hazard",
            held_out: true,
            labels: ALL,
            draw: |random| draw(random, Scale::Hazard, Ask::True),
            template: "Suppose that {treatment} is acceptable while its hazard ratio for {event} \
                is under {margin}. A study finds {estimate}, with {level}% limits of {low} and \
                {high}. Is {treatment} acceptable?",
        },
        Wording {
            name: "held-criterion",
            held_out: true,
            labels: YES_NO,
            draw: |random| draw(random, Scale::Failure, Ask::Shown),
            template: "The risk of {event} changed by {estimate} percentage points with \
                {treatment} \
                in place of {comparator}, {level}% CI {low} to {high}. Given a margin of {margin} \
                points, is the criterion for non-inferiority met?",
        },
    ],
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scale {
    /// Difference in the risk of a bad event: too high is inferior.
    Failure,
    /// Difference in response rates: too low is inferior.
    Response,
    /// Hazard ratio of a bad event.
    Hazard,
}

fn draw(random: &mut Random, scale: Scale, ask: Ask) -> Option<Case> {
    let mut scene = Scene::draw(random);
    // Nobody asks whether a treatment is no worse than placebo.
    scene.comparator = random.pick(&["standard treatment", "the older treatment", "usual care"]);
    let level = random.pick(&[USUAL, ONE_SIDED]);
    let (estimate, low, high, margin);
    match scale {
        Scale::Failure | Scale::Response => {
            margin = Num::new(f64::from(random.pick(&[2, 3, 4, 5, 6, 8, 10])), 0);
            let difference = margin.value * random.between(-0.8, 2.2);
            let difference = if scale == Scale::Response {
                -difference
            } else {
                difference
            };
            let half = margin.value * random.between(0.2, 1.1);
            estimate = Num::new(difference, 1);
            [low, high] = [-half, half].map(|step| Num::new(difference + step, 1));
        }
        Scale::Hazard => {
            margin = Num::new(random.pick(&[1.15, 1.20, 1.25, 1.30, 1.33, 1.40, 1.50]), 2);
            let log = margin.value.ln() * random.between(-0.6, 2.4);
            let half = margin.value.ln() * random.between(0.25, 1.4);
            estimate = Num::new(log.exp(), 2);
            [low, high] = [-half, half].map(|step| Num::new((log + step).exp(), 2));
        }
    }
    let (limit, wanted) = match scale {
        Scale::Response => (-margin.value, Side::Above),
        _ => (margin.value, Side::Below),
    };
    let side = Side::of(low.value, high.value, limit, 0.0)?;
    let null = if scale == Scale::Hazard { 1.0 } else { 0.0 };
    if low.value >= estimate.value || high.value <= estimate.value || estimate.value == null {
        return None;
    }

    let limit = match scale {
        Scale::Failure => format!("the margin of {margin} points"),
        Scale::Response => format!("the margin of -{margin} points"),
        Scale::Hazard => format!("the margin of {margin}"),
    };
    let treatment = scene.treatment;
    let percent = level.percent;
    let rationale = match (side, ask) {
        (side, _) if side == wanted => {
            let (name, end, place) = match scale {
                Scale::Response => ("lower", &low, "above"),
                _ => ("upper", &high, "below"),
            };
            format!(
                "The {name} limit of the {percent}% confidence interval, {end}, lies {place} \
                {limit}, so {treatment} is non-inferior."
            )
        }
        (Side::Across, Ask::Shown) => format!(
            "The {percent}% confidence interval from {low} to \
            {high} includes {limit}, so non-inferiority of {treatment} is not shown."
        ),
        (Side::Across, Ask::True) => format!(
            "The {percent}% confidence interval from {low} to \
            {high} includes {limit}, so {treatment} may be within it or beyond it."
        ),
        _ => format!(
            "The whole {percent}% confidence interval from {low} to {high} lies beyond \
            {limit}, so {treatment} is worse than is acceptable."
        ),
    };
    let mut slots = scene.slots();
    slots.extend([
        ("margin", margin.to_string()),
        ("estimate", estimate.to_string()),
        ("level", percent.to_string()),
        ("low", low.to_string()),
        ("high", high.to_string()),
    ]);
    Some(Case {
        label: side.answer(wanted, ask),
        slots,
        rationale,
    })
}
