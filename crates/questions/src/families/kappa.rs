//! Agreement between two readers beyond chance; held out from training as a whole.
//!
//! Rule: kappa = (observed − expected) / (1 − expected), the expected agreement from the readers'
//! shares of positive calls (Cohen 1960).

use crate::distractors::MissingFigure;
use crate::numbers::{PrintedNumber, above_or_below};
use crate::random::Random;
use crate::wording::{Case, Family, slots, trained};

pub(crate) const FAMILY: Family = Family {
    name: "kappa",
    held_out: true,
    wordings: &[
        trained(
            "observed",
            1,
            observed,
            "Two readers each judged the same {size} scans for {disease}; scans on which they agreed: {agreed}; \
             {distractor}. Is their observed agreement, before any correction for chance, [above|below] \
             {threshold}%?",
        ),
        trained(
            "given-expected",
            2,
            given_expected,
            "Two readers each judged the same scans for {disease}. Observed agreement: {observed}; agreement \
             expected by chance: {expected}; and {distractor}. Is Cohen's kappa [above|below] {limit}?",
        ),
        trained(
            "from-shares",
            3,
            from_shares,
            "Two readers each judged the same scans for {disease}. Share of positive calls, first \
             reader: {first}; second reader: {second}; observed agreement: {observed}; and {distractor}. \
             Is Cohen's kappa [above|below] {limit}?",
        ),
    ],
};

/// What a reader looks for on a scan.
const FINDINGS: [&str; 14] = [
    "pulmonary embolism",
    "deep vein thrombosis",
    "appendicitis",
    "pneumonia",
    "lung nodules",
    "liver metastases",
    "kidney stones",
    "gallstones",
    "diverticulitis",
    "bleeding in the brain",
    "a fracture of the hip",
    "a tear of the meniscus",
    "narrowing of a carotid artery",
    "ovarian cysts",
];

const LIMITS: [(&str, f64); 4] = [("0.40", 0.4), ("0.50", 0.5), ("0.60", 0.6), ("0.80", 0.8)];

fn observed(random: &mut Random) -> Option<Case> {
    let disease = random.pick(&FINDINGS);
    let size = random.whole(8, 60) * 10;
    let agreed = (f64::from(size) * random.between(0.5, 0.98)) as u32;
    let threshold = random.pick(&[60, 70, 75, 80, 85, 90]);
    let share = 100.0 * f64::from(agreed) / f64::from(size);
    if (share - f64::from(threshold)).abs() < 1.0 {
        return None;
    }
    let missing = MissingFigure::draw(random, 1);
    let above = share > f64::from(threshold);
    let rationale = match missing.any() {
        true => format!(
            "The number of agreements out of {size} scans is missing, so the share cannot be \
             compared with {threshold}%."
        ),
        false => format!(
            "The readers agreed on {agreed} of {size} scans, about {share:.1}%, {} {threshold}%.",
            above_or_below(above)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(above),
        rationale,
        slots: slots!(
            disease,
            size,
            threshold,
            agreed = missing.show(0, agreed),
            distractor = missing.distractor(random)
        ),
    })
}

fn given_expected(random: &mut Random) -> Option<Case> {
    let disease = random.pick(&FINDINGS);
    let expected = random.whole(40, 80);
    let observed = random.whole(expected + 2, 98);
    let (limit, value) = random.pick(&LIMITS);
    let kappa = f64::from(observed - expected) / f64::from(100 - expected);
    if (kappa - value).abs() < 0.03 {
        return None;
    }
    let missing = MissingFigure::draw(random, 2);
    // Kappa is never above the observed agreement.
    if missing.is(1) && f64::from(observed) < 100.0 * value + 3.0 {
        return None;
    }
    let above = kappa > value;
    let rationale = match () {
        () if missing.is(0) => format!(
            "An agreement of {expected}% by chance says nothing about kappa without the observed \
             agreement, which is missing."
        ),
        () if missing.is(1) => format!(
            "From an observed agreement of {observed}% the missing agreement by chance has to be \
             taken off before kappa is known."
        ),
        () => format!(
            "Kappa is ({observed} - {expected}) / (100 - {expected}), about {kappa:.2}, {} {limit}.",
            above_or_below(above)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(above),
        rationale,
        slots: slots!(
            disease,
            limit,
            observed = missing.show(0, format!("{observed}%")),
            expected = missing.show(1, format!("{expected}%")),
            distractor = missing.distractor(random)
        ),
    })
}

fn from_shares(random: &mut Random) -> Option<Case> {
    let disease = random.pick(&FINDINGS);
    let first = random.whole(10, 60);
    let second = random.whole(first.saturating_sub(8).max(5), first + 8);
    let [a, b] = [first, second].map(|share| f64::from(share) / 100.0);
    let expected = a * b + (1.0 - a) * (1.0 - b);
    // Agreement can be no larger than the shares allow.
    let most = 100.0 - f64::from(first.abs_diff(second));
    let observed = PrintedNumber::new(random.between(100.0 * expected + 2.0, most), 0);
    let (limit, value) = random.pick(&LIMITS);
    let kappa = (observed.value / 100.0 - expected) / (1.0 - expected);
    if (kappa - value).abs() < 0.03 || observed.value > most {
        return None;
    }
    let missing = MissingFigure::draw(random, 1);
    // A missing agreement matters where the largest possible one is enough.
    if missing.any() && (most / 100.0 - expected) / (1.0 - expected) < value + 0.03 {
        return None;
    }
    let above = kappa > value;
    let rationale = match missing.any() {
        true => format!(
            "Positive calls of {first}% and {second}% give the agreement by chance, but the \
             observed agreement is missing."
        ),
        false => format!(
            "Chance alone gives about {:.1}% agreement with positive calls of {first}% and \
             {second}%, so {observed}% observed is a kappa of about {kappa:.2}, {} {limit}.",
            100.0 * expected,
            above_or_below(above)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(above),
        rationale,
        slots: slots!(
            disease,
            limit,
            first = format!("{first}%"),
            second = format!("{second}%"),
            observed = missing.show(0, format!("{observed}%")),
            distractor = missing.distractor(random)
        ),
    })
}
