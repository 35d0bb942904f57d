//! Regression to the mean.
//!
//! Rule: people selected for a first value x have an expected second value of μ + r·(x − μ), with the
//! population mean μ and the test-retest correlation r, where both measurements have the same spread
//! (Bland and Altman 1994). Only a control group distinguishes an effect from it.

use crate::distractors::{MissingFigure, any_distractor, lacks};
use crate::effect::Effect;
use crate::numbers::{PrintedNumber, Side, USUAL, above_or_below};
use crate::random::Random;
use crate::scenes::{Marker, Scene};
use crate::wording::{Case, Family, held, slots, trained};

pub(crate) const FAMILY: Family = Family {
    name: "regression-to-mean",
    held_out: false,
    wordings: &[
        trained(
            "controlled",
            1,
            controlled,
            "People selected for extreme values of {what} were randomised. It changed by {treated} \
             {unit} with {treatment} and by {control} with {comparator}; difference {estimate} (95% \
             CI {ci}); {distractor}. Apart from regression to the mean, which both groups share, does \
             {treatment} [reduce|increase] {what}?",
        ),
        trained(
            "expected",
            2,
            expected,
            "Mean {marker} in the population, in {marker_unit}: {mean}; mean at the first visit of \
             people selected for high values: {first}; test-retest correlation: {r}; and {distractor}. \
             Without treatment and with equal spread at both visits, is their expected mean at the \
             second visit [above|below] {limit}?",
        ),
        trained(
            "fall",
            3,
            fall,
            "People selected for high {marker} had this mean at the first visit, in \
             {marker_unit}: {first}; at the second, after {treatment} and without a control \
             group: {second}; mean of the population: {mean}; test-retest correlation: {r}. \
             Moreover, {distractor}. With equal spread at both visits, is the fall [larger|smaller] than \
             regression to the mean alone predicts?",
        ),
        held(
            "held-second",
            2,
            expected,
            "{Distractor}. Those with high {marker} were invited again, untreated; the spread stays the \
             same. Test-retest correlation: {r}; mean of the population, in {marker_unit}: \
             {mean}; mean at the first visit: {first}. Should their next mean be [over|under] \
             {limit}?",
        ),
    ],
};

fn controlled(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let measure = scene.measure;
    let effect = Effect::difference(random, USUAL, measure.width, measure.decimals)?;
    let shared = measure.width * random.between(-6.0, -3.0);
    let control = PrintedNumber::new(shared, measure.decimals);
    let treated = PrintedNumber::new(control.value + effect.estimate.value, measure.decimals);
    let end = match effect.side {
        Side::Below => format!("{} is reduced beyond what both groups share", measure.name),
        Side::Above => format!(
            "{} is increased beyond what both groups share",
            measure.name
        ),
        Side::Across => "what both groups share may be all there is".to_owned(),
    };
    let rationale = format!(
        "The 95% confidence interval of the difference between the groups {}, so {end}.",
        effect.place()
    );
    Some(Case {
        truth: effect.side.below(),
        rationale,
        slots: slots!(scene; treated, control, estimate = effect.estimate, ci = effect.ci(),
            distractor = any_distractor(random)),
    })
}

/// Marker, mean of the population, mean of those selected, correlation.
fn selected(random: &mut Random) -> (Marker, PrintedNumber, PrintedNumber, PrintedNumber) {
    let marker = Marker::draw(random);
    let mean = PrintedNumber::new(
        marker.mean + marker.deviation * random.between(-0.2, 0.2),
        marker.decimals,
    );
    let first = mean.value + marker.deviation * random.between(1.0, 2.2);
    let first = PrintedNumber::new(first, marker.decimals);
    let r = PrintedNumber::new(random.between(0.3, 0.9), 2);
    (marker, mean, first, r)
}

fn expected(random: &mut Random) -> Option<Case> {
    let (marker, mean, first, r) = selected(random);
    let above = first.value - mean.value;
    let value = mean.value + r.value * above;
    let limit = PrintedNumber::new(
        mean.value + above * random.between(0.1, 0.95),
        marker.decimals,
    );
    if (value - limit.value).abs() < 0.05 * above {
        return None;
    }
    let missing = MissingFigure::draw(random, 3);
    let truth = value > limit.value;
    let rationale = match missing.any() {
        true => lacks(
            missing,
            "the expected second mean",
            &[
                ("population mean", &mean),
                ("first mean", &first),
                ("test-retest correlation", &r),
            ],
        ),
        false => format!(
            "The expected second mean is {mean} + {r} × ({first} - {mean}), about {:.*}, {} {limit}.",
            marker.decimals,
            value,
            above_or_below(truth)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(truth),
        rationale,
        slots: slots!(
            limit,
            marker = marker.name,
            marker_unit = marker.unit,
            mean = missing.show(0, &mean),
            first = missing.show(1, &first),
            r = missing.show(2, &r),
            distractor = missing.distractor(random)
        ),
    })
}

fn fall(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let (marker, mean, first, r) = selected(random);
    let above = first.value - mean.value;
    let second = PrintedNumber::new(
        first.value - above * random.between(0.05, 0.95),
        marker.decimals,
    );
    let fell = first.value - second.value;
    let predicted = (1.0 - r.value) * above;
    if (fell - predicted).abs() < 0.06 * above {
        return None;
    }
    let missing = MissingFigure::draw(random, 4);
    let larger = fell > predicted;
    let rationale = match missing.any() {
        true => lacks(
            missing,
            "the comparison with the predicted fall",
            &[
                ("population mean", &mean),
                ("first mean", &first),
                ("test-retest correlation", &r),
                ("second mean", &second),
            ],
        ),
        false => format!(
            "Regression to the mean predicts a fall of (1 - {r}) × ({first} - {mean}), about \
             {predicted:.2}, and the fall to {second} is {} than that.",
            if larger { "larger" } else { "smaller" }
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(larger),
        rationale,
        slots: slots!(scene; marker = marker.name, marker_unit = marker.unit,
            mean = missing.show(0, &mean), first = missing.show(1, &first), r = missing.show(2, &r),
            second = missing.show(3, &second), distractor = missing.distractor(random)),
    })
}
