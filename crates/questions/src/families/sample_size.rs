//! Power and sample size; numbers of events are held out from training as a whole.
//!
//! Rules, by the normal approximation with z = 1.96 for a two-sided 5% level and 0.84 or 1.28 for
//! 80% or 90% power: per group 2·((1.96 + z)·SD / difference)² for means, (1.96 + z)²·(p₁q₁ + p₂q₂) /
//! (p₁ − p₂)² for proportions (Lachin 1981), and 4·((1.96 + z) / ln HR)² events in two equal groups for
//! a hazard ratio (Schoenfeld 1981).

use crate::distractors::MissingFigure;
use crate::numbers::PrintedNumber;
use crate::random::Random;
use crate::scenes::Scene;
use crate::wording::{Case, Family, held, slots, trained};

pub(crate) const SAMPLE_SIZE: Family = Family {
    name: "sample-size",
    held_out: false,
    wordings: &[
        trained(
            "dropout",
            1,
            dropout,
            "By its calculation a trial of {treatment} needs {needed} patients per group with \
             complete data. Recruited per group: {recruited}; share lost before the end, in each \
             group: {lost}; and {distractor}. Are the patients that remain [enough|too few]?",
        ),
        trained(
            "means",
            2,
            means,
            "Per group, a trial of {treatment} against {comparator} has this many patients: {size}. \
             Standard deviation of {what}, in {unit}: {sd}; difference to be detected: {delta}; and \
             {distractor}. With the normal approximation, 1.96 for a two-sided 5% level and {z} for \
             {power}% power, is the number [enough|too small]?",
        ),
        trained(
            "proportions",
            3,
            proportions,
            "In {population}, the expected risk of {event} on {comparator} is: {control}; on \
             {treatment}: {treated}; patients per group: {size}; and {distractor}. With the normal \
             approximation (unpooled variance), 1.96 for a two-sided 5% level and {z} for {power}% \
             power, is the number [enough|too small]?",
        ),
        held(
            "held-power",
            2,
            means,
            "{Distractor}. For {what}, a difference to be detected of: {delta} (in {unit}); standard \
             deviation: {sd}; patients in each of two groups: {size}. By the normal approximation \
             at a two-sided 5% level (1.96), with {z} for {power}%, is the power [above|below] \
             {power}%?",
        ),
        held(
            "held-complete",
            1,
            dropout,
            "{Distractor}. Each group of a trial of {treatment} has to end with {needed} patients. \
             Share lost before the end, in each group: {lost}; recruited per group: {recruited}. \
             Will the groups be [large enough|too small]?",
        ),
    ],
};

pub(crate) const EVENTS: Family = Family {
    name: "event-count",
    held_out: true,
    wordings: &[
        trained(
            "events",
            2,
            |random| events(random, false),
            "Two equal groups, {treatment} and {comparator}, are to be compared by the log-rank \
             test. Hazard ratio to be detected: {ratio}; number of events: {count}; and {distractor}. By \
             Schoenfeld's formula with 1.96 for a two-sided 5% level and {z} for {power}% power, \
             are the events [enough|too few]?",
        ),
        trained(
            "patients",
            3,
            |random| events(random, true),
            "A trial of {treatment} has {patients} patients in two equal groups. Share expected to \
             have {event}: {share}; hazard ratio to be detected: {ratio}; and {distractor}. By \
             Schoenfeld's formula with 1.96 for a two-sided 5% level and {z} for {power}% power, \
             are the expected events [enough|too few]?",
        ),
        trained(
            "planned",
            1,
            planned,
            "The analysis of {event} on {treatment} and {comparator} was planned for {needed} \
             events. Patients: {patients}; share of them with an event so far: {share}; and \
             {distractor}. Have the planned events been [reached|missed]?",
        ),
    ],
};

/// Quantile and power.
const POWERS: [(&str, f64, u32); 2] = [("0.84", 0.84, 80), ("1.28", 1.28, 90)];

/// Whether there is enough; none where rounding or a correction for small samples could matter.
fn enough(there: f64, needed: f64) -> Option<bool> {
    let ratio = there / needed;
    (!(0.9..1.12).contains(&ratio)).then_some(ratio > 1.0)
}

fn word(enough: bool) -> &'static str {
    if enough { "enough" } else { "too few" }
}

fn dropout(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let needed = random.whole(30, 400);
    let recruited = (f64::from(needed) * random.between(0.9, 1.5)) as u32;
    let lost = random.whole(4, 32);
    let remain = f64::from(recruited) * f64::from(100 - lost) / 100.0;
    if (remain - f64::from(needed)).abs() < 1.5 {
        return None;
    }
    let missing = MissingFigure::draw(random, 2);
    // Fewer than needed to begin with are too few whatever the loss.
    if missing.is(1) && recruited <= needed {
        return None;
    }
    let truth = remain > f64::from(needed);
    let rationale = match () {
        () if missing.is(0) => format!(
            "With {lost}% lost, whether {needed} remain depends on the missing number recruited."
        ),
        () if missing.is(1) => format!(
            "Of {recruited} recruited per group, whether {needed} remain depends on the missing \
             share lost."
        ),
        () => format!(
            "Of {recruited} per group {lost}% are lost, so about {remain:.0} remain, {} for the \
             {needed} needed.",
            word(truth)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(truth),
        rationale,
        slots: slots!(scene; needed, recruited = missing.show(0, recruited),
            lost = missing.show(1, format!("{lost}%")), distractor = missing.distractor(random)),
    })
}

fn means(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let measure = scene.measure;
    let (z, quantile, power) = random.pick(&POWERS);
    let sd = PrintedNumber::new(measure.width * random.between(3.0, 8.0), measure.decimals);
    let delta = PrintedNumber::new(sd.value * random.between(0.2, 0.7), measure.decimals);
    if delta.value <= 0.0 {
        return None;
    }
    let needed = 2.0 * ((1.96 + quantile) * sd.value / delta.value).powi(2);
    let size = (needed * random.between(0.4, 1.8)).round();
    let truth = enough(size, needed)?;
    let missing = MissingFigure::draw(random, 3);
    let rationale = match () {
        () if missing.is(0) => format!(
            "A standard deviation of {sd} and a difference of {delta} need about {needed:.0} per \
             group, but the number there is missing."
        ),
        () if missing.is(1) => format!(
            "For a difference of {delta} {}, the number needed grows with the square of the \
             standard deviation, which is missing.",
            measure.unit
        ),
        () if missing.is(2) => format!(
            "With a standard deviation of {sd}, the number needed depends on the difference to be \
             detected, which is missing."
        ),
        () => format!(
            "Needed per group are 2 × ((1.96 + {z}) × {sd} / {delta}) squared, about {needed:.0}, \
             so {size} patients are {}.",
            word(truth)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(truth),
        rationale,
        slots: slots!(scene; z, power, size = missing.show(0, size), sd = missing.show(1, &sd),
            delta = missing.show(2, &delta), distractor = missing.distractor(random)),
    })
}

fn proportions(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let (z, quantile, power) = random.pick(&POWERS);
    let control = random.whole(10, 60);
    let treated = (f64::from(control) * random.between(0.4, 0.8)).round() as u32;
    let [p, q] = [control, treated].map(|percent| f64::from(percent) / 100.0);
    let variance = p * (1.0 - p) + q * (1.0 - q);
    let needed = (1.96 + quantile).powi(2) * variance / (p - q).powi(2);
    let size = (needed * random.between(0.4, 1.8)).round();
    let truth = enough(size, needed)?;
    let missing = MissingFigure::draw(random, 3);
    let rationale = match () {
        () if missing.is(0) => format!(
            "Without the expected risk on {}, {treated}% on {} has nothing to be compared with.",
            scene.comparator, scene.treatment
        ),
        () if missing.is(1) => format!(
            "Without the expected risk on {}, {control}% on {} has nothing to be compared with.",
            scene.treatment, scene.comparator
        ),
        () if missing.is(2) => format!(
            "Risks of {control}% and {treated}% need about {needed:.0} per group, but the number \
             there is missing."
        ),
        () => format!(
            "To tell {control}% from {treated}% with these values takes about {needed:.0} patients \
             per group, so {size} are {}.",
            word(truth)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(truth),
        rationale,
        slots: slots!(scene; z, power, control = missing.show(0, format!("{control}%")),
            treated = missing.show(1, format!("{treated}%")), size = missing.show(2, size),
            distractor = missing.distractor(random)),
    })
}

fn events(random: &mut Random, patients: bool) -> Option<Case> {
    let scene = Scene::draw(random);
    let (z, quantile, power) = random.pick(&POWERS);
    let ratio = PrintedNumber::new(random.between(0.55, 0.82), 2);
    let needed = 4.0 * ((1.96 + quantile) / ratio.value.ln()).powi(2);
    let share = random.whole(10, 70);
    let mut count = (needed * random.between(0.4, 1.8)).round();
    let size = (count * 100.0 / f64::from(share)).round();
    if patients {
        count = size * f64::from(share) / 100.0;
    }
    let truth = enough(count, needed)?;
    let missing = MissingFigure::draw(random, 2);
    if patients && missing.is(1) && size < 1.1 * needed {
        return None;
    }
    let rationale = match () {
        () if missing.is(0) => format!(
            "How many events {power}% power needs depends on the hazard ratio to be detected, which \
             is missing."
        ),
        () if missing.is(1) => format!(
            "For a hazard ratio of {ratio} about {needed:.0} events are needed, but how many to \
             expect is missing."
        ),
        () => format!(
            "For a hazard ratio of {ratio} about 4 × ((1.96 + {z}) / ln {ratio}) squared, or \
             {needed:.0}, events are needed, so about {count:.0} are {}.",
            word(truth)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(truth),
        rationale,
        slots: slots!(scene; z, power, patients = size, ratio = missing.show(0, &ratio),
            count = missing.show(1, count), share = missing.show(1, format!("{share}%")),
            distractor = missing.distractor(random)),
    })
}

fn planned(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let needed = random.whole(60, 400);
    let share = random.whole(8, 60);
    let patients =
        (f64::from(needed) * random.between(0.6, 1.6) * 100.0 / f64::from(share)).round();
    let count = patients * f64::from(share) / 100.0;
    let off = (count - f64::from(needed)).abs();
    // The printed share is rounded.
    if off < 1.0 + 0.006 * patients {
        return None;
    }
    let missing = MissingFigure::draw(random, 2);
    if missing.is(1) && patients < 1.1 * f64::from(needed) {
        return None;
    }
    let truth = count > f64::from(needed);
    let rationale = match () {
        () if missing.is(0) => format!(
            "A share of {share}% is {needed} events or not depending on the number of patients, \
             which is missing."
        ),
        () if missing.is(1) => format!(
            "How many of {patients} patients have had an event is missing, so {needed} cannot be \
             compared with it."
        ),
        () => format!(
            "An event in {share}% of {patients} patients makes about {count:.0}, {} than the \
             {needed} planned.",
            if truth { "more" } else { "fewer" }
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(truth),
        rationale,
        slots: slots!(scene; needed, patients = missing.show(0, patients),
            share = missing.show(1, format!("{share}%")), distractor = missing.distractor(random)),
    })
}
