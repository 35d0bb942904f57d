//! Non-inferiority and equivalence: a confidence interval against one margin or two.
//!
//! Rules: non-inferior where the interval lies wholly on the good side of the margin (Piaggio and
//! others, CONSORT extension, 2012); equivalent where the 90% interval lies within both margins, which
//! is two one-sided tests at 5% (Schuirmann 1987).

use crate::distractors::{MissingFigure, any_distractor, show};
use crate::numbers::{Level, ONE_SIDED, PrintedNumber, Side, USUAL};
use crate::random::Random;
use crate::scenes::Scene;
use crate::wording::{Case, Family, held, slots, trained};

pub(crate) const NON_INFERIORITY: Family = Family {
    name: "non-inferiority",
    held_out: false,
    wordings: &[
        trained(
            "within-margin",
            1,
            |random| open(random, Scale::Failure),
            "The risk of {event} with {treatment} minus that with {comparator} was {estimate} \
             percentage points ({level}% CI {ci}); {distractor}. Up to {margin} points more are \
             acceptable. Is the true difference [within|beyond] what is acceptable?",
        ),
        trained(
            "response-within",
            2,
            |random| open(random, Scale::Response),
            "A response rate up to {margin} percentage points lower than with {comparator} would \
             be acceptable. In {population}, {treatment} minus {comparator} was {estimate} points, \
             {level}% confidence interval {ci}, and {distractor}. Is the true difference \
             [within|beyond] what is acceptable?",
        ),
        trained(
            "failure-shown",
            1,
            |random| shown(random, Scale::Failure),
            "Non-inferiority margin for {event}, in percentage points: {margin}; difference \
             ({treatment} minus {comparator}): {estimate}; its {level}% CI: {ci}; and {distractor}. Was \
             non-inferiority of {treatment} [shown|not shown]?",
        ),
        trained(
            "hazard-shown",
            1,
            |random| shown(random, Scale::Hazard),
            "Hazard ratio for {event} with {treatment} against {comparator}: {estimate}; \
             non-inferiority margin: {margin}; {level}% CI: {ci}; and {distractor}. Did the trial \
             [establish|fail to establish] non-inferiority?",
        ),
        held(
            "held-hazard",
            1,
            |random| open(random, Scale::Hazard),
            "Suppose that a hazard ratio for {event} up to {margin} is acceptable. With \
             {treatment}, a study finds {estimate}, with {level}% limits of {ci}, and {distractor}. Is \
             the true ratio [within|beyond] what is acceptable?",
        ),
        held(
            "held-criterion",
            2,
            |random| shown(random, Scale::Response),
            "{Distractor} when response rates were compared, {treatment} minus {comparator}. In \
             percentage points, the margin (of loss): {margin}; the {level}% CI: {ci}; the \
             difference: {estimate}. Is the criterion for non-inferiority [met|missed]?",
        ),
    ],
};

pub(crate) const EQUIVALENCE: Family = Family {
    name: "equivalence",
    held_out: false,
    wordings: &[
        trained(
            "within-both",
            2,
            equivalent_open,
            "Differences in {what} of up to {margin} {unit} either way count as equivalent. \
             {Treatment} minus {comparator} was {estimate} (95% CI {ci}), and {distractor}. Does the \
             true difference lie [within|outside] that range?",
        ),
        trained(
            "two-one-sided",
            3,
            two_one_sided,
            "Equivalence in {what} was to be shown by two one-sided tests at the 5% level, with a \
             margin of {margin} {unit} either way. {Treatment} minus {comparator}: {estimate}; 95% \
             CI: {wide}; 90% CI: {narrow}; and {distractor}. Was equivalence [shown|not shown]?",
        ),
        trained(
            "bounds",
            2,
            equivalent_open,
            "For {what}, {treatment} may be {margin} {unit} lower or higher than {comparator} and \
             still count as the same; {distractor}. The difference found was {estimate}, 95% confidence \
             interval {ci}. Is it [inside|outside] these bounds in truth?",
        ),
        held(
            "held-interchange",
            3,
            two_one_sided,
            "{Distractor}. In {what}, {treatment} minus {comparator} gave {estimate} {unit}; 90% CI: \
             {narrow}; 95% CI: {wide}. By two one-sided tests, each at the 5% level, is \
             equivalence within {margin} {unit} either way [established|not established]?",
        ),
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

/// A comparison with a margin.
struct Drawn {
    scene: Scene,
    level: Level,
    estimate: PrintedNumber,
    low: PrintedNumber,
    high: PrintedNumber,
    margin: PrintedNumber,
    /// Whether the interval lies on the good side of the margin.
    good: Option<bool>,
    /// The margin in words.
    limit: String,
}

/// A scene whose comparator is not placebo.
fn active(random: &mut Random) -> Scene {
    let mut scene = Scene::draw(random);
    scene.comparator = random.pick(&["standard treatment", "the older treatment", "usual care"]);
    scene
}

fn draw(random: &mut Random, scale: Scale) -> Option<Drawn> {
    let scene = active(random);
    let level = random.pick(&[USUAL, ONE_SIDED]);
    let (estimate, low, high, margin);
    match scale {
        Scale::Failure | Scale::Response => {
            margin = PrintedNumber::new(f64::from(random.pick(&[2, 3, 4, 5, 6, 8, 10])), 0);
            let sign = if scale == Scale::Response { -1.0 } else { 1.0 };
            let difference = sign * margin.value * random.between(-0.8, 2.2);
            let half = margin.value * random.between(0.2, 1.1);
            estimate = PrintedNumber::new(difference, 1);
            [low, high] = [-half, half].map(|step| PrintedNumber::new(difference + step, 1));
        }
        Scale::Hazard => {
            margin =
                PrintedNumber::new(random.pick(&[1.15, 1.20, 1.25, 1.30, 1.33, 1.40, 1.50]), 2);
            let log = margin.value.ln() * random.between(-0.6, 2.4);
            let half = margin.value.ln() * random.between(0.25, 1.4);
            estimate = PrintedNumber::new(log.exp(), 2);
            [low, high] = [-half, half].map(|step| PrintedNumber::new((log + step).exp(), 2));
        }
    }
    let (limit, good) = match scale {
        Scale::Response => (-margin.value, Side::above as fn(Side) -> Option<bool>),
        _ => (margin.value, Side::below as fn(Side) -> Option<bool>),
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
    Some(Drawn {
        scene,
        level,
        estimate,
        low,
        high,
        margin,
        good: good(side),
        limit,
    })
}

fn open(random: &mut Random, scale: Scale) -> Option<Case> {
    let drawn = draw(random, scale)?;
    let Drawn {
        scene,
        estimate,
        low,
        high,
        margin,
        limit,
        ..
    } = &drawn;
    let percent = drawn.level.percent;
    let end = match drawn.good {
        Some(true) => format!("lies wholly on the good side of {limit}"),
        Some(false) => format!("lies wholly beyond {limit}"),
        None => format!(
            "includes {limit}, so {} may be within it or beyond it",
            scene.treatment
        ),
    };
    let rationale = format!("The {percent}% confidence interval from {low} to {high} {end}.");
    Some(Case {
        truth: drawn.good,
        rationale,
        slots: slots!(scene; margin, estimate, level = percent, ci = format!("{low} to {high}"),
            distractor = any_distractor(random)),
    })
}

fn shown(random: &mut Random, scale: Scale) -> Option<Case> {
    let drawn = draw(random, scale)?;
    let Drawn {
        scene,
        estimate,
        low,
        high,
        margin,
        limit,
        ..
    } = &drawn;
    let percent = drawn.level.percent;
    let missing = MissingFigure::draw(random, 2);
    let good_for_any = match scale {
        Scale::Failure => high.value <= 0.0,
        Scale::Response => low.value >= 0.0,
        Scale::Hazard => high.value <= 1.0,
    };
    if missing.is(0) && good_for_any {
        return None;
    }
    let beyond = match scale {
        Scale::Response => estimate.value < -margin.value,
        _ => estimate.value > margin.value,
    };
    // An estimate beyond the margin settles it without the interval.
    let truth = match (missing.is(0), missing.is(1)) {
        (true, _) => None,
        (_, true) => {
            if beyond {
                Some(false)
            } else {
                None
            }
        }
        _ => Some(drawn.good == Some(true)),
    };
    let rationale = match (missing.is(0), missing.is(1), drawn.good) {
        (true, ..) => format!(
            "A {percent}% confidence interval from {low} to {high} shows non-inferiority or not \
             depending on the margin, which is missing."
        ),
        (_, true, _) if beyond => format!(
            "The estimate of {estimate} itself lies beyond {limit}, so its {percent}% interval \
             cannot lie on the good side and non-inferiority is not shown."
        ),
        (_, true, _) => format!(
            "The estimate of {estimate} lies on the good side of {limit}, but the interval that \
             has to lie there as a whole is missing."
        ),
        (_, _, Some(true)) => format!(
            "The {percent}% confidence interval from {low} to {high} lies wholly on the good side \
             of {limit}, so {} is non-inferior.",
            scene.treatment
        ),
        (_, _, Some(false)) => format!(
            "The whole {percent}% confidence interval from {low} to {high} lies beyond {limit}, so \
             non-inferiority of {} is not shown.",
            scene.treatment
        ),
        (_, _, None) => format!(
            "The {percent}% confidence interval from {low} to {high} includes {limit}, so \
             non-inferiority of {} is not shown.",
            scene.treatment
        ),
    };
    Some(Case {
        truth,
        rationale,
        slots: slots!(scene; margin = missing.show(0, margin), estimate, level = percent,
            ci = missing.show(1, format!("{low} to {high}")), distractor = missing.distractor(random)),
    })
}

/// Whether an interval lies within the margins; false when it lies wholly outside.
fn within(low: f64, high: f64, margin: f64) -> Option<Option<bool>> {
    if low.abs() == margin || high.abs() == margin {
        return None;
    }
    Some(match () {
        () if low > -margin && high < margin => Some(true),
        () if low > margin || high < -margin => Some(false),
        () => None,
    })
}

fn equivalent_open(random: &mut Random) -> Option<Case> {
    let scene = active(random);
    let measure = scene.measure;
    let decimals = measure.decimals;
    let margin = PrintedNumber::new(measure.width * random.between(0.8, 2.5), decimals);
    let half = margin.value * random.between(0.2, 1.0);
    let middle = margin.value * random.between(-2.2, 2.2);
    let [low, estimate, high] =
        [-half, 0.0, half].map(|step| PrintedNumber::new(middle + step, decimals));
    if low.value >= estimate.value || high.value <= estimate.value || margin.value == 0.0 {
        return None;
    }
    let truth = within(low.value, high.value, margin.value)?;
    let end = match truth {
        Some(true) => "lies wholly within",
        Some(false) => "lies wholly outside",
        None => "lies partly within and partly outside",
    };
    let rationale = format!(
        "The 95% confidence interval from {low} to {high} {end} the range from -{margin} to \
         {margin}."
    );
    Some(Case {
        truth,
        rationale,
        slots: slots!(scene; margin, estimate, ci = format!("{low} to {high}"),
            distractor = any_distractor(random)),
    })
}

fn two_one_sided(random: &mut Random) -> Option<Case> {
    let scene = active(random);
    let measure = scene.measure;
    let decimals = measure.decimals + 1;
    let margin = PrintedNumber::new(measure.width * random.between(0.8, 2.5), decimals);
    let error = margin.value * random.between(0.12, 0.5);
    let middle = margin.value * random.between(-0.9, 0.9);
    let [estimate, low, high, wide_low, wide_high] =
        [0.0, -ONE_SIDED.z, ONE_SIDED.z, -USUAL.z, USUAL.z]
            .map(|z| PrintedNumber::new(middle + z * error, decimals));
    let narrow = within(low.value, high.value, margin.value)? == Some(true);
    let wide = within(wide_low.value, wide_high.value, margin.value)? == Some(true);
    let (has_narrow, has_wide) = random.pick(&[(true, true), (true, false), (false, true)]);
    // The narrower interval lies within the wider one, and each can be computed from the other and
    // the estimate where it is not near the margin; so only without both is the answer open.
    let (has_narrow, has_wide) = match random.chance(0.35) {
        true => (false, false),
        false => (has_narrow, has_wide),
    };
    let near = |end: &PrintedNumber| (end.value.abs() - margin.value).abs() < 0.08 * margin.value;
    if !has_narrow && has_wide && (wide != narrow || near(&low) || near(&high)) {
        return None;
    }
    let verdict = if narrow { "is shown" } else { "is not shown" };
    let rationale = match (has_narrow, has_wide) {
        (true, _) => format!(
            "Two one-sided tests at 5% need the 90% confidence interval within -{margin} and \
             {margin}, and from {low} to {high} equivalence {verdict}."
        ),
        (_, true) => format!(
            "The 95% confidence interval from {wide_low} to {wide_high} against -{margin} and \
             {margin} tells enough of the narrower 90% one, and equivalence {verdict}."
        ),
        _ => format!(
            "A difference of {estimate} with neither confidence interval does not tell whether \
             equivalence within {margin} is shown."
        ),
    };
    let distractor_missing = has_narrow && has_wide;
    Some(Case {
        truth: (has_narrow || has_wide).then_some(narrow),
        rationale,
        slots: slots!(scene; margin, estimate, narrow = show(has_narrow, format!("{low} to {high}")),
            wide = show(has_wide, format!("{wide_low} to {wide_high}")),
            distractor = crate::distractors::distractor(random, distractor_missing)),
    })
}
