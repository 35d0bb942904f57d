//! Questions with a figure left out. The answer is Uncertain where that figure is needed, and Yes
//! or No where it is given after all or where the rest settles the question alone.

use super::diagnosis::positive_predictive_value;
use super::print::{Num, P, short};
use super::random::Random;
use super::words::{Scene, disease};
use super::{ALL, Case, Family, Wording};
use crate::Label;

pub(super) const FAMILY: Family = Family {
    name: "too-little",
    wordings: &[
        Wording {
            name: "one-limit",
            held_out: false,
            labels: ALL,
            draw: one_limit,
            template: "For {event} with {treatment}, {a_measure} of {estimate} is printed, but \
                only the {which} limit of its 95% confidence interval, {limit}, can be read. Did \
                {treatment} significantly reduce the risk of {event}?",
        },
        Wording {
            name: "bare-ratio",
            held_out: false,
            labels: ALL,
            draw: bare_ratio,
            template: "An abstract on {population} gives {a_measure} of {estimate} for {event} \
                with {treatment} against {comparator}; {given}. Is there a statistically \
                significant reduction at the 5% level?",
        },
        Wording {
            name: "group-sizes",
            held_out: false,
            labels: ALL,
            draw: group_sizes,
            template: "{Event} occurred in {treated} patients on {treatment} and in {control} on \
                {comparator}; {sizes}. Was the proportion with {event} lower with {treatment}?",
        },
        Wording {
            name: "specificity",
            held_out: false,
            labels: ALL,
            draw: specificity,
            template: "A test for {disease} has a sensitivity of {sensitivity}%, and {given}. At \
                a prevalence of {prevalence}%, are more than half of its positive results true?",
        },
        Wording {
            name: "baseline",
            held_out: false,
            labels: ALL,
            draw: baseline,
            template: "The risk ratio of {event} with {treatment} is {ratio}, and {given}. Is the \
                absolute risk reduction greater than {threshold} percentage points?",
        },
        Wording {
            name: "spread",
            held_out: false,
            labels: ALL,
            draw: spread,
            template: "In {population}, {what} fell by {treated} {unit} with {treatment} and by \
                {control} {unit} with {comparator}; {given}. Is the difference between the groups \
                statistically significant at the 5% level?",
        },
        Wording {
            name: "held-count-as",
            held_out: true,
            labels: ALL,
            draw: bare_ratio,
            template: "Does {a_measure} of {estimate} for {event} count as a significant reduction \
                at the 5% level with {treatment} if {given}?",
        },
        Wording {
            name: "held-denominators",
            held_out: true,
            labels: ALL,
            draw: group_sizes,
            template: "A letter counts {treated} cases of {event} with {treatment} and {control} \
                with {comparator}, and {sizes}. Did a smaller share of those on {treatment} have \
                {event}?",
        },
    ],
};

const MEASURES: [&str; 3] = ["a risk ratio", "an odds ratio", "a hazard ratio"];

fn one_limit(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let log = random.between(-0.7, 0.2);
    let half = random.between(0.1, 0.6);
    let upper = random.chance(0.5);
    let estimate = Num::new(log.exp(), 2);
    let limit = Num::new((if upper { log + half } else { log - half }).exp(), 2);
    if estimate.value == 1.0 || limit.value == 1.0 || limit.value == estimate.value {
        return None;
    }
    let event = scene.event;
    let (label, rationale) = match (upper, limit.value < 1.0) {
        (true, true) => (
            Label::Yes,
            format!(
                "An upper limit of {limit} puts the whole 95% \
            interval below 1, so the reduction in {event} is significant whatever the lower limit \
            is."
            ),
        ),
        (true, false) => (
            Label::No,
            format!(
                "With an upper limit of {limit} the 95% interval \
            does not lie wholly below 1, so a reduction in {event} is not significant."
            ),
        ),
        (false, false) => (
            Label::No,
            format!(
                "A lower limit of {limit} puts the whole 95% \
            interval above 1, so the risk of {event} was not reduced."
            ),
        ),
        (false, true) if estimate.value > 1.0 => (
            Label::No,
            format!(
                "With an estimate of \
            {estimate} the upper limit must lie above 1, so a reduction in {event} is not \
            significant."
            ),
        ),
        (false, true) => (
            Label::Uncertain,
            format!(
                "With an estimate of {estimate} and a lower \
            limit of {limit}, the missing upper limit decides whether the interval includes 1."
            ),
        ),
    };
    let mut slots = scene.slots();
    slots.extend([
        ("a_measure", random.pick(&MEASURES).to_string()),
        ("estimate", estimate.to_string()),
        ("which", if upper { "upper" } else { "lower" }.to_owned()),
        ("limit", limit.to_string()),
    ]);
    Some(Case {
        label,
        slots,
        rationale,
    })
}

fn bare_ratio(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let estimate = Num::new(random.between(-0.7, 0.25).exp(), 2);
    if estimate.value == 1.0 {
        return None;
    }
    let event = scene.event;
    let p = random.chance(0.6).then(|| P::draw(random));
    let given = match &p {
        Some(p) => format!("no confidence interval is given, but {p}"),
        None => "neither a confidence interval nor a p value is given".to_owned(),
    };
    let significant = p
        .as_ref()
        .map(|p| p.below(0.05).ok_or(()))
        .transpose()
        .ok()?;
    let (label, rationale) = match (significant, &p) {
        _ if estimate.value > 1.0 => (
            Label::No,
            format!(
                "The estimate of {estimate} lies above \
            1, so it is no reduction in {event}, whatever its uncertainty."
            ),
        ),
        (Some(true), Some(p)) => (
            Label::Yes,
            format!(
                "The estimate of {estimate} lies below 1, \
            and {p} is below 0.05, so the reduction in {event} is significant at the 5% level."
            ),
        ),
        (Some(false), Some(p)) => (
            Label::No,
            format!(
                "The estimate of {estimate} lies below 1, \
            but {p} is above 0.05, so the reduction in {event} is not significant at the 5% \
            level."
            ),
        ),
        _ => (
            Label::Uncertain,
            format!(
                "An estimate of {estimate} alone, with no interval and no \
            p value, does not tell whether the reduction in {event} is significant."
            ),
        ),
    };
    let mut slots = scene.slots();
    slots.extend([
        ("a_measure", random.pick(&MEASURES).to_string()),
        ("estimate", estimate.to_string()),
        ("given", given),
    ]);
    Some(Case {
        label,
        slots,
        rationale,
    })
}

fn group_sizes(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let treated = random.whole(8, 90);
    let control = random.whole(8, 90);
    let (event, treatment, comparator) = (scene.event, scene.treatment, scene.comparator);
    let verdict = |lower: bool| {
        if lower {
            (Label::Yes, "lower")
        } else {
            (Label::No, "higher")
        }
    };
    let (sizes, (label, rationale)) = match random.whole(0, 3) {
        0 => {
            if treated == control {
                return None;
            }
            let (label, word) = verdict(treated < control);
            let reason = format!(
                "In groups of equal size, {treated} cases against {control} mean \
                a {word} proportion with {treatment}, whatever that size is."
            );
            (
                "the two groups were of the same size, which is not given".to_owned(),
                (label, reason),
            )
        }
        1 | 2 => {
            let [n, m] = [treated, control].map(|cases| {
                let share = random.between(0.08, 0.5);
                (f64::from(cases) / share / 10.0).round() as u32 * 10
            });
            let [first, second] = [(treated, n), (control, m)]
                .map(|(cases, size)| 100.0 * f64::from(cases) / f64::from(size));
            if (first - second).abs() < 1.0 {
                return None;
            }
            let (label, word) = verdict(first < second);
            let reason = format!(
                "The proportions are {treated} of {n}, about {first:.1}%, and \
                {control} of {m}, about {second:.1}%, so {event} was in {word} proportion with \
                {treatment}."
            );
            (
                format!("the groups had {n} and {m} patients"),
                (label, reason),
            )
        }
        _ => (
            "how many patients each group had is not given".to_owned(),
            (
                Label::Uncertain,
                format!(
                    "Without the sizes of the groups, {treated} cases with \
                {treatment} and {control} with {comparator} cannot be turned into proportions."
                ),
            ),
        ),
    };
    let mut slots = scene.slots();
    slots.extend([
        ("treated", treated.to_string()),
        ("control", control.to_string()),
        ("sizes", sizes),
    ]);
    Some(Case {
        label,
        slots,
        rationale,
    })
}

fn specificity(random: &mut Random) -> Option<Case> {
    let disease = disease(random);
    let sensitivity = random.whole(60, 99);
    let prevalence = random.whole(2, 40);
    let (given, label, rationale) = if random.chance(0.6) {
        let specificity = random.whole(60, 99);
        let share = positive_predictive_value(sensitivity, specificity, prevalence);
        if (share - 50.0).abs() < 1.0 {
            return None;
        }
        let (label, word) = if share > 50.0 {
            (Label::Yes, "more")
        } else {
            (Label::No, "less")
        };
        let reason = format!(
            "At a prevalence of {prevalence}%, sensitivity {sensitivity}% and \
            specificity {specificity}% make about {share:.1}% of positive results true, {word} \
            than half."
        );
        (format!("a specificity of {specificity}%"), label, reason)
    } else {
        let reason = format!(
            "A sensitivity of {sensitivity}% at a prevalence of {prevalence}% \
            says nothing about false positives, for which the specificity is needed."
        );
        (
            "its specificity is not reported".to_owned(),
            Label::Uncertain,
            reason,
        )
    };
    let slots = vec![
        ("disease", disease.to_owned()),
        ("sensitivity", sensitivity.to_string()),
        ("prevalence", prevalence.to_string()),
        ("given", given),
    ];
    Some(Case {
        label,
        slots,
        rationale,
    })
}

fn baseline(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let ratio = Num::new(random.between(0.4, 0.85), 2);
    let threshold = random.whole(1, 8);
    let (given, label, rationale) = if random.chance(0.6) {
        let risk = random.whole(2, 40);
        let reduction = f64::from(risk) * (1.0 - ratio.value);
        if (reduction - f64::from(threshold)).abs() < 0.15 {
            return None;
        }
        let (label, word) = match reduction > f64::from(threshold) {
            true => (Label::Yes, "more"),
            false => (Label::No, "less"),
        };
        let reason = format!(
            "A risk of {risk}% times {ratio} leaves {}%, a reduction of {} \
            percentage points, {word} than {threshold}.",
            short(f64::from(risk) * ratio.value),
            short(reduction)
        );
        (
            format!("the risk of {} without treatment is {risk}%", scene.event),
            label,
            reason,
        )
    } else {
        let reason = format!(
            "A risk ratio of {ratio} is relative, and without the risk of {} in \
            untreated patients no absolute reduction follows from it.",
            scene.event
        );
        (
            "the risk without treatment is not reported".to_owned(),
            Label::Uncertain,
            reason,
        )
    };
    let mut slots = scene.slots();
    slots.extend([
        ("ratio", ratio.to_string()),
        ("threshold", threshold.to_string()),
        ("given", given),
    ]);
    Some(Case {
        label,
        slots,
        rationale,
    })
}

fn spread(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let measure = scene.measure;
    let control = Num::new(measure.width * random.between(0.5, 3.0), measure.decimals);
    let treated = Num::new(measure.width * random.between(0.5, 4.5), measure.decimals);
    let difference = (treated.value - control.value).abs();
    if difference == 0.0 {
        return None;
    }
    let (given, label, rationale) = if random.chance(0.6) {
        let error = Num::new(measure.width * random.between(0.25, 1.2), measure.decimals);
        let z = difference / error.value;
        // Below two the normal and the t distribution could disagree.
        if error.value == 0.0 || (1.7..2.3).contains(&z) {
            return None;
        }
        let (label, end) = match z > 2.0 {
            true => (
                Label::Yes,
                "more than 1.96, and significant at the 5% level",
            ),
            false => (
                Label::No,
                "less than 1.96, and not significant at the 5% level",
            ),
        };
        let difference = Num::new(difference, measure.decimals);
        let reason = format!(
            "The difference of {difference} {} is about {z:.1} times its \
            standard error of {error}, {end}.",
            measure.unit
        );
        (
            format!(
                "the standard error of the difference is {error} {}",
                measure.unit
            ),
            label,
            reason,
        )
    } else {
        let reason = format!(
            "Falls of {treated} and {control} {} are means alone, and without a \
            measure of spread no test of their difference is possible.",
            measure.unit
        );
        (
            "no standard error, confidence interval or p value is given".to_owned(),
            Label::Uncertain,
            reason,
        )
    };
    let mut slots = scene.slots();
    slots.extend([
        ("what", measure.name.to_owned()),
        ("unit", measure.unit.to_owned()),
        ("treated", treated.to_string()),
        ("control", control.to_string()),
        ("given", given),
    ]);
    Some(Case {
        label,
        slots,
        rationale,
    })
}
