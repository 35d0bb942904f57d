//! Several tests in one study; false discovery rates are held out from training as a whole.
//!
//! Rules: Bonferroni (each of m tests at α / m), Holm's step-down procedure (the i-th smallest p value
//! at α / (m − i + 1), stopping at the first failure; Holm 1979), and the step-up procedure for the
//! false discovery rate (up to the largest i with the i-th smallest p value at most i·q / m; Benjamini
//! and Hochberg 1995).

use crate::distractors::{MissingFigure, distractor, show};
use crate::numbers::{PValue, short};
use crate::random::Random;
use crate::scenes::Scene;
use crate::wording::{Case, Family, held, slots, trained};

pub(crate) const MULTIPLICITY: Family = Family {
    name: "multiplicity",
    held_out: false,
    wordings: &[
        trained(
            "bonferroni",
            2,
            bonferroni,
            "For {event} with {treatment} against {comparator}, a paper reports a p value of \
             {p}. Number of tests in the paper: {tests}; and {distractor}. At an overall alpha of \
             {alpha}, is this difference [significant|not significant] after Bonferroni correction?",
        ),
        trained(
            "shared",
            2,
            bonferroni,
            "Alpha = {alpha} is shared equally among all tests of a paper on {treatment}; number of \
             tests: {tests}. The p value of the test on {event} is {p}, and {distractor}. Is this \
             result [significant|not significant]?",
        ),
        trained(
            "holm",
            3,
            |random| stepwise(random, &["0.05", "0.01"], holm, HOLM),
            "Four outcomes of a trial of {treatment} were tested, with these p values: A, {a}; B, \
             {b}; C, {c}; D, {d}. Moreover, {distractor}. By Holm's procedure at a family-wise level of \
             {level}, is the difference in outcome {asked} [significant|not significant]?",
        ),
        held(
            "held-step-down",
            3,
            |random| stepwise(random, &["0.05", "0.01"], holm, HOLM),
            "{Distractor}. Holm's procedure holds the family-wise error at {level} over four \
             outcomes in {population}, whose p values are: A, {a}; B, {b}; C, {c}; D, {d}. Is \
             the hypothesis of no effect on outcome {asked} [rejected|not rejected]?",
        ),
        held(
            "held-corrected",
            2,
            bonferroni,
            "{Distractor} in a paper on {treatment} and {event}. The p value is {p}. Number of tests: \
             {tests}. Is it [under|not under] the Bonferroni threshold for an overall alpha of \
             {alpha}?",
        ),
    ],
};

pub(crate) const FALSE_DISCOVERY: Family = Family {
    name: "false-discovery",
    held_out: true,
    wordings: &[
        trained(
            "step-up",
            3,
            |random| stepwise(random, &["0.05", "0.10"], step_up, STEP_UP),
            "Four markers of {event} were tested, with these p values: A, {a}; B, {b}; C, {c}; D, \
             {d}. Moreover, {distractor}. With the Benjamini-Hochberg procedure at a false discovery \
             rate of {level}, is marker {asked} [a discovery|not a discovery]?",
        ),
        trained(
            "controlled",
            3,
            |random| stepwise(random, &["0.05", "0.10"], step_up, STEP_UP),
            "{Distractor}. A study in {population} holds the false discovery rate at {level} by the \
             Benjamini-Hochberg procedure. Its four p values are: A, {a}; B, {b}; C, {c}; D, \
             {d}. Is the finding on {asked} [among|not among] the discoveries?",
        ),
        trained(
            "expected-false",
            2,
            expected_false,
            "Of the markers of {event} in {population}, a screen called this many discoveries: \
             {found}; false discovery rate: {rate}; and {distractor}. If just \
             that share of them is false, is the number of false ones [above|below] {limit}?",
        ),
    ],
};

const HOLM: &str = "Holm's procedure";
const STEP_UP: &str = "the Benjamini-Hochberg procedure";
const NAMES: [&str; 4] = ["A", "B", "C", "D"];

fn bonferroni(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let (alpha, level) = random.pick(&[
        ("0.05", 0.05),
        ("0.05", 0.05),
        ("0.01", 0.01),
        ("0.10", 0.10),
    ]);
    let p = PValue::draw(random);
    let count = random.pick(&[2, 3, 4, 5, 6, 8, 10, 12, 15, 20]);
    let limit = level / f64::from(count);
    let missing = MissingFigure::draw(random, 1);
    let (small, below) = (p.below(level)?, p.below(limit)?);
    let number = p.number();
    let truth = match (missing.any(), small) {
        (true, true) => None,
        (true, false) => Some(false),
        (false, _) => Some(below),
    };
    let rationale = match (truth, missing.any()) {
        (None, _) => format!(
            "A p value of {number} is less than {alpha}, but the corrected threshold depends on \
             the missing number of tests."
        ),
        (_, true) => format!(
            "A p value of {number} is above {alpha} to begin with, so it is not significant for any \
             number of tests."
        ),
        (Some(below), _) => format!(
            "With {count} tests the threshold is {alpha} / {count}, {}, and a p value of {number} \
             is {}.",
            short(limit),
            if below { "below it" } else { "not below it" }
        ),
    };
    Some(Case {
        truth,
        rationale,
        slots: slots!(scene; alpha, p = number, tests = missing.show(0, count),
            distractor = missing.distractor(random)),
    })
}

/// Whether the `asked` one is rejected: all up to its rank are small enough.
fn holm(p: [f64; 4], asked: usize, alpha: f64) -> bool {
    let mut order = [0, 1, 2, 3];
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let rank = order.iter().position(|nth| *nth == asked).unwrap_or(0);
    (0..=rank).all(|i| p[order[i]] < alpha / (4 - i) as f64)
}

/// Whether the `asked` one is a discovery: one from its rank on is small enough.
fn step_up(p: [f64; 4], asked: usize, rate: f64) -> bool {
    let mut order = [0, 1, 2, 3];
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let rank = order.iter().position(|nth| *nth == asked).unwrap_or(0);
    (rank..4).any(|i| p[order[i]] < rate * (i + 1) as f64 / 4.0)
}

fn stepwise(
    random: &mut Random,
    levels: &[&'static str],
    rule: fn([f64; 4], usize, f64) -> bool,
    procedure: &str,
) -> Option<Case> {
    let scene = Scene::draw(random);
    let level = random.pick(levels);
    let alpha: f64 = level.parse().expect("a level");
    let p = [0; 4].map(|_| PValue::new(random.between(0.0007_f64.ln(), 0.2_f64.ln()).exp()));
    let thresholds = [1, 2, 3, 4].map(|part| alpha * f64::from(part) / 4.0);
    let quotients = [1, 2, 3, 4].map(|part| alpha / f64::from(part));
    for p in &p {
        for threshold in thresholds.iter().chain(&quotients) {
            p.below(*threshold)?;
        }
    }
    let asked = random.whole(0, 3) as usize;
    let missing = random.chance(0.5).then(|| random.whole(0, 3) as usize);
    let values = [0, 1, 2, 3].map(|nth: usize| p[nth].value - 1e-9);
    let with = |value: f64| {
        let mut values = values;
        if let Some(missing) = missing {
            values[missing] = value;
        }
        rule(values, asked, alpha)
    };
    let (smallest, largest) = (with(0.0), with(1.0));
    // Both procedures are monotone in every p value, so its smallest and largest value bound all others.
    let truth = (smallest == largest).then_some(smallest);
    let name = NAMES[asked];
    let rationale = match (truth, missing) {
        (None, _) => format!(
            "By {procedure} at {level} the answer for {name} turns on the missing p value, which \
             could be large or small."
        ),
        (Some(truth), Some(missing)) => format!(
            "Whatever the missing p value of {} is, {procedure} at {level} {} {name} with the p \
             values that are printed.",
            NAMES[missing],
            verb(truth)
        ),
        (Some(truth), None) => format!(
            "At {level}, {procedure} compares the ordered p values with {} and {} {name} at {}.",
            if procedure == HOLM {
                format!("{level} / 4, {level} / 3, {level} / 2 and {level}")
            } else {
                format!("1/4, 2/4, 3/4 and all of {level}")
            },
            verb(truth),
            p[asked].number()
        ),
    };
    let [a, b, c, d] = [0, 1, 2, 3].map(|nth| show(missing != Some(nth), p[nth].number()));
    let distractor_missing = missing.is_none();
    Some(Case {
        truth,
        rationale,
        slots: slots!(scene; level, a, b, c, d, asked = name, distractor = distractor(random, distractor_missing)),
    })
}

fn verb(rejects: bool) -> &'static str {
    if rejects {
        "rejects"
    } else {
        "does not reject"
    }
}

fn expected_false(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let found = random.whole(10, 300);
    let rate = random.pick(&[1, 2, 5, 10, 20]);
    let expected = f64::from(found * rate) / 100.0;
    let limit = random.pick(&[1, 2, 3, 5, 8, 10, 15, 20]);
    let off = (expected - f64::from(limit)).abs();
    if off < 0.3 || expected > 4.0 * f64::from(limit) || f64::from(limit) > 4.0 * expected {
        return None;
    }
    let missing = MissingFigure::draw(random, 2);
    let above = expected > f64::from(limit);
    let rationale = match () {
        () if missing.is(0) => format!(
            "A false discovery rate of {rate}% is a share of the discoveries, whose number is \
             missing."
        ),
        () if missing.is(1) => format!(
            "How many of {found} discoveries are false depends on the rate, which is \
             missing."
        ),
        () => format!(
            "At a rate of {rate}%, about {} of {found} discoveries are false, {} \
             {limit}.",
            short(expected),
            if above { "above" } else { "below" }
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(above),
        rationale,
        slots: slots!(scene; limit, found = missing.show(0, found),
            rate = missing.show(1, format!("{rate}%")), distractor = missing.distractor(random)),
    })
}

#[cfg(test)]
mod tests {
    use super::{holm, step_up};

    #[test]
    fn holm_stops_at_the_first_failure_and_step_up_at_the_last_success() {
        let p = [0.010, 0.020, 0.030, 0.040];
        // 0.010 < 0.05 / 4, but 0.020 > 0.05 / 3.
        let rejected = [0, 1, 2, 3].map(|asked| holm(p, asked, 0.05));
        assert_eq!(rejected, [true, false, false, false]);
        // 0.040 < 0.05: all four.
        let found = [0, 1, 2, 3].map(|asked| step_up(p, asked, 0.05));
        assert_eq!(found, [true; 4]);
    }
}
