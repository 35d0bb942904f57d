//! The labels once more, from nothing but the printed question: patterns on the text and other
//! arithmetic than the generator's (whole numbers of people instead of probabilities, products
//! instead of quotients).

mod accuracy;
mod comparisons;
mod design;
mod outcomes;
mod pooled;
mod risks;
mod times;

use std::cell::RefCell;
use std::collections::HashMap;

use regex::Regex;

use crate::Answer;

/// The compiled pattern, kept: each is used for thousands of questions.
fn regex(pattern: &str) -> Regex {
    thread_local!(static KEPT: RefCell<HashMap<String, Regex>> = RefCell::default());
    KEPT.with_borrow_mut(|kept| match kept.get(pattern) {
        Some(regex) => regex.clone(),
        None => {
            let regex = Regex::new(pattern).unwrap();
            kept.insert(pattern.to_owned(), regex.clone());
            regex
        }
    })
}

/// Every number of a text, as printed and with its sign.
pub(super) fn numbers(text: &str) -> Vec<f64> {
    regex(r"(?:^|[\s(])(-?\d+(?:\.\d+)?)")
        .captures_iter(text)
        .map(|found| found[1].parse().unwrap())
        .collect()
}

/// What the groups of `pattern` catch in `text`; `#` in it matches a number.
fn find<const N: usize>(text: &str, pattern: &str) -> Option<[f64; N]> {
    let found = regex(&pattern.replace('#', r"(-?\d+(?:\.\d+)?)")).captures(text)?;
    Some(std::array::from_fn(|i| found[i + 1].parse().unwrap()))
}

fn need<const N: usize>(text: &str, pattern: &str) -> [f64; N] {
    find(text, pattern).unwrap_or_else(|| panic!("no {pattern} in {text:?}"))
}

/// One number; none where the question says that it is not reported.
fn maybe(text: &str, name: &str) -> Option<f64> {
    match find(text, &format!("{name}#")) {
        Some([number]) => Some(number),
        None => {
            let missing = regex(&format!("{name}not reported")).is_match(text);
            assert!(
                missing,
                "neither a figure nor its absence for {name} in {text:?}"
            );
            None
        }
    }
}

/// A p value; just under the bound for "below 0.001".
fn maybe_p(text: &str, name: &str) -> Option<f64> {
    match find(text, &format!("{name}below #")) {
        Some([bound]) => Some(bound - 1e-12),
        None => maybe(text, name),
    }
}

/// Both ends of an interval after `name`; none where it is not reported.
fn maybe_range(text: &str, name: &str) -> Option<[f64; 2]> {
    match find(text, &format!("{name}# to #")) {
        Some([low, high]) => {
            assert!(low < high, "{text}");
            Some([low, high])
        }
        None => {
            let missing = regex(&format!("{name}not reported")).is_match(text);
            assert!(
                missing,
                "neither an interval nor its absence for {name} in {text:?}"
            );
            None
        }
    }
}

/// A figure or its absence, to be caught, and one to be passed over.
const FIGURE: &str = r"(not reported|-?\d+(?:\.\d+)?)";
const ANY: &str = r"(?:not reported|-?\d+(?:\.\d+)?)";

/// The figures of the treated and of the control group, each time that `lead` precedes "on this
/// group: …; on that group: …".
fn arms(text: &str, lead: &str) -> Vec<[Option<f64>; 2]> {
    let pattern = format!("{lead}on ([A-Za-z -]+): {FIGURE}%?; on ([A-Za-z -]+): {FIGURE}");
    let comparators = ["placebo", "usual care", "standard treatment"];
    regex(&pattern)
        .captures_iter(text)
        .map(|found| {
            let first_is_control = comparators.contains(&&found[1]);
            assert!(
                first_is_control != comparators.contains(&&found[3]),
                "{text}"
            );
            let [first, second] = [2, 4].map(|nth| found[nth].parse().ok());
            match first_is_control {
                true => [second, first],
                false => [first, second],
            }
        })
        .collect()
}

/// The same, for a `lead` that occurs once.
fn two_arms(text: &str, lead: &str) -> [Option<f64>; 2] {
    let found = arms(text, lead);
    assert_eq!(found.len(), 1, "{lead} in {text:?}");
    found[0]
}

/// Truth from two figures, open where one of them is missing.
fn with_both(figures: [Option<f64>; 2], rule: impl Fn(f64, f64) -> bool) -> Option<bool> {
    let [first, second] = figures;
    first.zip(second).map(|(first, second)| rule(first, second))
}

/// The threshold in the last sentence, and whether more than that is claimed.
fn threshold(text: &str) -> (f64, bool) {
    let more = "above|over|greater than|more than|longer than";
    let less = "below|under|less than|fewer than|smaller than|shorter than";
    let [threshold] = need(last(text), &format!("(?:{more}|{less}) #"));
    let claimed = |words: &str| format!(r"\b(?:{words}) -?\d");
    (
        threshold,
        claims(last(text), &claimed(more), &claimed(less)),
    )
}

/// Which side of `null` the interval after `lead` lies on: whether below.
fn below(text: &str, lead: &str, null: f64) -> Option<bool> {
    let [low, high] = need(text, &format!("{lead}# to #"));
    assert!(low < high, "{text}");
    match () {
        () if high < null => Some(true),
        () if low > null => Some(false),
        () => None,
    }
}

/// What is asked: the last sentence.
fn last(text: &str) -> &str {
    text.rsplit(". ").next().unwrap()
}

fn has(text: &str, pattern: &str) -> bool {
    regex(pattern).is_match(text)
}

/// Whether the text claims `this` rather than `that`; it must claim one of them.
fn claims(text: &str, this: &str, that: &str) -> bool {
    let (this, that) = (has(text, this), has(text, that));
    assert!(this != that, "which claim? {text:?}");
    this
}

/// Whether the question denies what it asks for.
fn denied(text: &str) -> bool {
    has(last(text), r"\b(?:not|fail|miss|missed|keep)\b")
}

/// The answer to a claim, or to its denial, from its truth.
fn answer(truth: Option<bool>, claimed: bool) -> Answer {
    match truth {
        None => Answer::Uncertain,
        Some(truth) if truth == claimed => Answer::Yes,
        Some(_) => Answer::No,
    }
}

/// One truth from those at both ends of a range.
fn agreed(ends: [bool; 2]) -> Option<bool> {
    (ends[0] == ends[1]).then_some(ends[0])
}

/// The answer to a question of a family.
pub(super) fn answer_of(family: &str, question: &str) -> Answer {
    let derive = match family {
        "ratio" => comparisons::ratio,
        "difference" => comparisons::difference,
        "p-value" => comparisons::p_value,
        "non-inferiority" => comparisons::non_inferiority,
        "equivalence" => comparisons::equivalence,
        "predictive-value" => accuracy::predictive_value,
        "likelihood-ratio" => accuracy::likelihood_ratio,
        "nnt" => outcomes::nnt,
        "subgroup" => comparisons::subgroup,
        "confounding" => comparisons::confounding,
        "analysis-set" => comparisons::analysis_set,
        "surrogate" => outcomes::surrogate,
        "composite" => outcomes::composite,
        "hazard" => times::hazard,
        "crossing-curves" => times::crossing,
        "median-survival" => times::median,
        "lead-time" => times::lead_time,
        "regression-to-mean" => pooled::regression,
        "correlation" => pooled::correlation,
        "heterogeneity" => pooled::heterogeneity,
        "prediction-interval" => pooled::prediction,
        "precision" => pooled::precision,
        "attrition" => risks::attrition,
        "absolute-risk" => risks::absolute,
        "odds-ratio" => risks::odds,
        "small-counts" => risks::small_counts,
        "denominator" => risks::denominator,
        "baseline-imbalance" => design::baseline,
        "interim-look" => design::interim,
        "kappa" => accuracy::kappa,
        "sample-size" | "event-count" => design::sample_size,
        "multiplicity" | "false-discovery" => design::multiplicity,
        other => panic!("no family {other}"),
    };
    derive(question)
}
