//! Diagnostic tests and agreement, from the text.

use super::{agreed, answer, claims, find, has, last, maybe, need};
use crate::Answer;

/// Of a million people tested, the share in per cent of those with the result who are ill.
fn natural(sensitivity: f64, specificity: f64, prevalence: f64, positive: bool) -> f64 {
    let ill = 10_000.0 * prevalence;
    let well = 1_000_000.0 - ill;
    let (ill, well) = match positive {
        true => (ill * sensitivity / 100.0, well - well * specificity / 100.0),
        false => (ill - ill * sensitivity / 100.0, well * specificity / 100.0),
    };
    100.0 * ill / (ill + well)
}

/// Whether the question asks for more than its threshold, and the threshold.
fn asked(text: &str) -> (bool, f64) {
    let words = "(?:above|below|greater than|less than|under|over)";
    let [threshold] = need(last(text), &format!("{words} #"));
    let above = claims(
        last(text),
        r"\b(?:above|greater|over) ",
        r"\b(?:below|less|under) ",
    );
    (above, threshold)
}

pub(super) fn predictive_value(text: &str) -> Answer {
    let (above, threshold) = asked(text);
    if has(text, "number with a positive result was") {
        let positive = maybe(text, "positive result was ");
        let ill = maybe(text, "number who had it was ");
        let truth = positive
            .zip(ill)
            .map(|(positive, ill)| 100.0 * ill > threshold * positive);
        return answer(truth, above);
    }
    let sensitivity = maybe(text, "[Ss]ensitivity: ");
    let specificity = maybe(text, "[Ss]pecificity: ");
    let positive = !has(text, "is negative|negative test");
    if let Some([first, last]) = find(text, "between #% and #%") {
        let holds = |prevalence: f64| {
            natural(
                sensitivity.unwrap(),
                specificity.unwrap(),
                prevalence,
                positive,
            ) > threshold
        };
        return answer(agreed([holds(first), holds(last)]), above);
    }
    let pretest = maybe(text, "(?:prevalence|beforehand|before it was): ");
    let truth = match (sensitivity, specificity, pretest) {
        (Some(sensitivity), Some(specificity), Some(pretest)) => {
            Some(natural(sensitivity, specificity, pretest, positive) > threshold)
        }
        _ => None,
    };
    answer(truth, above)
}

pub(super) fn likelihood_ratio(text: &str) -> Answer {
    let (above, threshold) = asked(text);
    if has(text, "[Ss]ensitivity: ") {
        let sensitivity = maybe(text, "[Ss]ensitivity: ");
        let specificity = maybe(text, "[Ss]pecificity: ");
        let truth = sensitivity
            .zip(specificity)
            .map(|(true_rate, specificity)| true_rate > threshold * (100.0 - specificity));
        return answer(truth, above);
    }
    // Compares odds: cases and non-cases among a hundred people, the cases counted `ratio` times.
    let holds = |pretest: f64, ratio: f64| {
        ratio * pretest * (100.0 - threshold) > threshold * (100.0 - pretest)
    };
    if let Some([first, last]) = find(text, "between #% and #%") {
        let [ratio] = need(text, "likelihood ratios? (?:of )?#");
        let ratio = match find(text, r"ratios of [\d.]+ and #") {
            Some([second]) => ratio * second,
            None => ratio,
        };
        return answer(agreed([holds(first, ratio), holds(last, ratio)]), above);
    }
    if let Some([ratio, low, high]) = find(text, r"ratio of # \(95% CI # to #\)") {
        assert!(low < ratio && ratio < high, "{text}");
        let [pretest] = need(text, "pre-test probability of #%");
        return answer(agreed([holds(pretest, low), holds(pretest, high)]), above);
    }
    let pretest = maybe(
        text,
        "(?:[Pp]re-test probability(?: of [a-z ]+)?|at first): ",
    );
    let ratio = maybe(
        text,
        "[Ll]ikelihood ratio(?: of a negative result| of the result)?: ",
    );
    answer(
        pretest
            .zip(ratio)
            .map(|(pretest, ratio)| holds(pretest, ratio)),
        above,
    )
}

pub(super) fn kappa(text: &str) -> Answer {
    let (above, threshold) = asked(text);
    if has(text, "before any correction") {
        let [size] = need(text, "judged the same # scans");
        let agreed = maybe(text, "which they agreed: ");
        return answer(
            agreed.map(|agreed| 100.0 * agreed > threshold * size),
            above,
        );
    }
    let observed = maybe(text, "[Oo]bserved agreement: ");
    let expected = match find(text, "first reader: #%; second reader: #%") {
        // Of ten thousand pairs of scans: both positive or both negative.
        Some([first, second]) => {
            Some((first * second + (100.0 - first) * (100.0 - second)) / 100.0)
        }
        None => maybe(text, "by chance: "),
    };
    let truth = observed
        .zip(expected)
        .map(|(observed, expected)| observed > expected + threshold * (100.0 - expected));
    answer(truth, above)
}
