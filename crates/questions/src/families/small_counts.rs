//! Small counts, and counts without their denominators.
//!
//! Rules: the chi-squared test of a two-by-two table requires every expected count to be at least 5, else
//! Fisher's exact test (Cochran 1954); with no event among n the upper 95% limit of the risk is about
//! 3 / n (Hanley and Lippman-Hand 1983); cases are compared as shares of those at risk.

use crate::distractors::{MissingFigure, lacks};
use crate::numbers::{PrintedNumber, above_or_below, lower_or_higher};
use crate::random::Random;
use crate::scenes::Scene;
use crate::wording::{Case, Family, held, slots, trained};

pub(crate) const EXPECTED: Family = Family {
    name: "small-counts",
    held_out: false,
    wordings: &[
        trained(
            "cells",
            1,
            cells,
            "The expected counts of a two-by-two table of {event} by treatment are, in its four \
             cells, A: {a}; B: {b}; C: {c}; D: {d}. Moreover, {distractor}. By the rule that each \
             should be at least 5, is the chi-squared test [appropriate|inappropriate]?",
        ),
        trained(
            "no-event",
            2,
            no_event,
            "Not one case of {event} was seen on {treatment}. Number of patients treated: {size}; \
             and {distractor}. By the rule of three, is the upper 95% limit of its risk [above|below] \
             {limit}%?",
        ),
        trained(
            "smallest",
            3,
            smallest,
            "Patients on {treatment}: {n1}; on {comparator}: {n2}; with {event} in both groups \
             together: {events}; and {distractor}. If the smallest expected count of the two-by-two table \
             should be at least 5 for a chi-squared test, does the rule call for [Fisher's exact \
             test|the chi-squared test]?",
        ),
        held(
            "held-exact",
            3,
            smallest,
            "{Distractor}. {Event} is compared in a two-by-two table. In both groups together, with \
             {event}: {events}; on {comparator}, patients: {n2}; on {treatment}, patients: {n1}. \
             Is the smallest expected count [under|over] 5?",
        ),
    ],
};

pub(crate) const DENOMINATOR: Family = Family {
    name: "denominator",
    held_out: false,
    wordings: &[
        trained(
            "equal-groups",
            1,
            equal_groups,
            "Two groups of the same size were followed in {population}. Cases of {event}, on \
             {treatment}: {a}; on {comparator}: {b}; and {distractor}. Was the share with {event} \
             [lower|higher] on {treatment}?",
        ),
        trained(
            "sizes",
            2,
            sizes,
            "Cases of {event}, on {treatment}: {a}; on {comparator}: {b}. Patients, on {treatment}: \
             {n1}; on {comparator}: {n2}. Moreover, {distractor}. Was the share with {event} \
             [lower|higher] on {treatment}?",
        ),
        trained(
            "person-years",
            2,
            sizes,
            "Cases of {event}, on {treatment}: {a}; on {comparator}: {b}. Person-years, on \
             {treatment}: {n1}; on {comparator}: {n2}. Moreover, {distractor}. Was the incidence rate \
             [lower|higher] on {treatment}?",
        ),
        held(
            "held-frequency",
            2,
            sizes,
            "{Distractor}. Patients, on {comparator}: {n2}; on {treatment}: {n1}. Cases of {event}, on \
             {comparator}: {b}; on {treatment}: {a}. Was {event}, for its group, [rarer|more \
             common] on {treatment}?",
        ),
    ],
};

fn cells(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    // The counts of a table follow from its margins.
    let share = random.between(0.3, 0.7);
    let [with, without] = [random.between(6.0, 34.0), random.between(20.0, 90.0)];
    let all = [
        with * share,
        with * (1.0 - share),
        without * share,
        without * (1.0 - share),
    ];
    let turn = random.whole(0, 3) as usize;
    let counts = [0, 1, 2, 3].map(|nth: usize| PrintedNumber::new(all[(nth + turn) % 4], 1));
    if counts.iter().any(|count| (count.value - 5.0).abs() < 0.15) {
        return None;
    }
    let missing = MissingFigure::draw(random, 1);
    // Two are missing in place of the first one: the fourth could be computed from three.
    let nth = random.whole(0, 3) as usize;
    let other = (nth + random.whole(1, 3) as usize) % 4;
    let known = |cell: usize| !missing.any() || (cell != nth && cell != other);
    let seen: Vec<&PrintedNumber> = (0..4)
        .filter(|cell| known(*cell))
        .map(|cell| &counts[cell])
        .collect();
    let small = seen.iter().find(|count| count.value < 5.0);
    let truth = match (small, missing.any()) {
        (Some(_), _) => Some(false),
        (None, false) => Some(true),
        (None, true) => None,
    };
    let rationale = match (small, missing.any()) {
        (Some(count), _) => format!(
            "One expected count, {count}, is below 5, so by the rule the chi-squared test is \
             inappropriate."
        ),
        (None, false) => format!(
            "The expected counts {}, {}, {} and {} are all at least 5, so by the rule the \
             chi-squared test is appropriate.",
            counts[0], counts[1], counts[2], counts[3]
        ),
        (None, true) => format!(
            "Two expected counts, {} and {}, are at least 5, but the other two are missing.",
            seen[0], seen[1]
        ),
    };
    let show = |cell: usize| crate::distractors::show(known(cell), &counts[cell]);
    Some(Case {
        truth,
        rationale,
        slots: slots!(scene; a = show(0), b = show(1), c = show(2), d = show(3),
            distractor = missing.distractor(random)),
    })
}

fn no_event(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let size = random.whole(20, 900);
    let value = 300.0 / f64::from(size);
    let limit = PrintedNumber::new(value * random.between(0.5, 1.8), 1);
    if (value / limit.value - 1.0).abs() < 0.08 || limit.value < 0.2 {
        return None;
    }
    let missing = MissingFigure::draw(random, 1);
    let above = value > limit.value;
    let rationale = match missing.any() {
        true => format!(
            "A limit of {limit}% takes about {:.0} patients without a case, and the number treated \
             is missing.",
            300.0 / limit.value
        ),
        false => format!(
            "With not one case among {size} patients the upper limit is about 3 / {size}, or \
             {value:.1}%, {} {limit}%.",
            above_or_below(above)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(above),
        rationale,
        slots: slots!(scene; limit, size = missing.show(0, size), distractor = missing.distractor(random)),
    })
}

fn smallest(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let [n1, n2] = [0; 2].map(|_| random.whole(12, 60));
    let events = random.whole(4, 24);
    let all = n1 + n2;
    if 2 * events > all {
        return None;
    }
    let value = f64::from(n1.min(n2) * events) / f64::from(all);
    if (value - 5.0).abs() < 0.15 || value > 15.0 {
        return None;
    }
    let missing = MissingFigure::draw(random, 3);
    // Without one size, the other one bounds the smallest count by half the events or less.
    if missing.any() && !missing.is(2) && events < 11 {
        return None;
    }
    let small = value < 5.0;
    let rationale = match missing.any() {
        true => lacks(
            missing,
            "the smallest expected count",
            &[
                ("first number of patients", &n1),
                ("second number of patients", &n2),
                ("number of cases", &events),
            ],
        ),
        false => format!(
            "The smallest expected count is {} × {events} / {all}, about {value:.1}, {} 5.",
            n1.min(n2),
            above_or_below(!small)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(small),
        rationale,
        slots: slots!(scene; n1 = missing.show(0, n1), n2 = missing.show(1, n2),
            events = missing.show(2, events), distractor = missing.distractor(random)),
    })
}

fn equal_groups(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let [a, b] = [0; 2].map(|_| random.whole(8, 140));
    if a == b {
        return None;
    }
    let missing = MissingFigure::draw(random, 2);
    let lower = a < b;
    let rationale = match missing.any() {
        true => lacks(
            missing,
            "the comparison of shares",
            &[
                ("first number of cases", &a),
                ("second number of cases", &b),
            ],
        ),
        false => format!(
            "In groups of the same size {a} cases against {b} are a {} share on {}, whatever that \
             size is.",
            lower_or_higher(lower),
            scene.treatment
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(lower),
        rationale,
        slots: slots!(scene; a = missing.show(0, a), b = missing.show(1, b),
            distractor = missing.distractor(random)),
    })
}

fn sizes(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let [a, b] = [0; 2].map(|_| random.whole(8, 90));
    let [n1, n2] =
        [a, b].map(|cases| (f64::from(cases) / random.between(0.08, 0.4)).round() as u32);
    let [first, second] =
        [(a, n1), (b, n2)].map(|(cases, size)| 100.0 * f64::from(cases) / f64::from(size));
    if (first - second).abs() < 0.8 {
        return None;
    }
    let missing = MissingFigure::draw(random, 4);
    let lower = first < second;
    let rationale = match missing.any() {
        true => lacks(
            missing,
            "the comparison",
            &[
                ("first number of cases", &a),
                ("second number of cases", &b),
                ("first denominator", &n1),
                ("second denominator", &n2),
            ],
        ),
        false => format!(
            "On {} there were {a} in {n1}, about {first:.1} per hundred, and on {} {b} in {n2}, \
             about {second:.1} per hundred, so it was {} on the former.",
            scene.treatment,
            scene.comparator,
            lower_or_higher(lower)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(lower),
        rationale,
        slots: slots!(scene; a = missing.show(0, a), b = missing.show(1, b), n1 = missing.show(2, n1),
            n2 = missing.show(3, n2), distractor = missing.distractor(random)),
    })
}
