//! Correlations, pooled results and precision, from the text.

use super::{
    answer, below, claims, denied, find, has, last, maybe, maybe_p, maybe_range, need, threshold,
    with_both,
};
use crate::Answer;

pub(super) fn regression(text: &str) -> Answer {
    if has(text, "were randomised") {
        let truth = below(text, r"difference -?[\d.]+ \(95% CI ", 0.0);
        return answer(truth, claims(last(text), "reduce", "increase"));
    }
    let unit = "(?:, in [A-Za-z/]+)?";
    let mean = maybe(
        text,
        &format!("(?:in the population|mean of the population){unit}: "),
    );
    let first = maybe(
        text,
        &format!("first visit(?: of people selected for high values)?{unit}: "),
    );
    let r = maybe(text, "[Tt]est-retest correlation: ");
    let known = mean.zip(first).zip(r);
    // What is left of the first distance from the mean.
    if has(text, "control group: ") {
        let second = maybe(text, "control group: ");
        let truth = known
            .zip(second)
            .map(|(((mean, first), r), second)| second - mean < r * (first - mean));
        return answer(truth, claims(last(text), "larger", "smaller"));
    }
    let (limit, above) = threshold(text);
    let truth = known.map(|((mean, first), r)| r * (first - mean) > limit - mean);
    answer(truth, above)
}

pub(super) fn correlation(text: &str) -> Answer {
    if let Some([low, high]) = find(text, r"\(95% CI # to #\)") {
        let truth = match () {
            () if low > 0.0 => Some(true),
            () if high < 0.0 => Some(false),
            () => None,
        };
        return answer(truth, claims(last(text), "positive", "negative"));
    }
    if has(text, "Fisher") {
        let r = maybe(text, "Correlation of [^:]+: ");
        let people = maybe(text, "number of people: ");
        // The smallest significant correlation.
        let truth = with_both([r, people], |r, people| {
            r.abs() > (1.96 / (people - 3.0).sqrt()).tanh()
        });
        return answer(truth, !denied(text));
    }
    let r = maybe(text, "Correlation (?:of [^:]+ people|between the two): ");
    let (share, above) = threshold(text);
    answer(r.map(|r| r.abs() > (share / 100.0).sqrt()), above)
}

pub(super) fn heterogeneity(text: &str) -> Answer {
    if has(text, "test of heterogeneity, ") {
        let p = maybe_p(text, "test of heterogeneity, ");
        return answer(p.map(|p| p < 0.1), !denied(text));
    }
    let (limit, above) = threshold(text);
    if let Some([low, high]) = find(text, r"\(95% CI #% to #%\)") {
        let truth = match () {
            () if low > limit => Some(true),
            () if high < limit => Some(false),
            () => None,
        };
        return answer(truth, above);
    }
    let studies = maybe(text, "[Nn]umber of studies: ");
    let q = maybe(text, "Cochran's Q: ");
    // The part of Q that is not due to chance.
    let truth = with_both([studies, q], |studies, q| {
        (100.0 - limit) * q > 100.0 * (studies - 1.0)
    });
    answer(truth, above)
}

pub(super) fn prediction(text: &str) -> Answer {
    if has(text, "the whole prediction interval") {
        let truth = match maybe_range(text, "prediction interval: ") {
            Some([_, high]) => Some(high < 1.0),
            // It is wider than the confidence interval.
            None if maybe_range(text, "95% CI: ").unwrap()[1] > 1.0 => Some(false),
            None => None,
        };
        return answer(truth, !denied(text));
    }
    let down = claims(last(text), "below", "above");
    if has(text, r"\(tau\)") {
        let [difference, error] = need(text, "in [a-z ]+ of # [^,]+, with standard error #,");
        let [tau] = need(text, r"\(tau\) of #");
        let [t] = need(text, "t = #");
        let beyond = difference * difference > t * t * (error * error + tau * tau);
        return answer(beyond.then_some(difference < 0.0), down);
    }
    answer(below(text, "prediction interval ", 1.0), down)
}

pub(super) fn precision(text: &str) -> Answer {
    if has(text, "Two studies") {
        let width = |name: &str| maybe_range(text, name).map(|[low, high]| high - low);
        let widths = [
            width("First study, 95% CI: "),
            width("second study, 95% CI: "),
        ];
        let truth = with_both(widths, |first, second| first < second);
        return answer(truth, claims(last(text), "more precise", "less precise"));
    }
    if has(text, "times as narrow") {
        let words = ["two", "three", "four"];
        let times = words
            .iter()
            .position(|word| has(text, &format!("{word} times as narrow")));
        let times = times.unwrap() as f64 + 2.0;
        let sizes = [maybe(text, "Patients so far: "), maybe(text, "new trial: ")];
        let truth = with_both(sizes, |size, planned| (planned / size).sqrt() > times);
        return answer(truth, claims(last(text), "enough", "too few"));
    }
    let (limit, above) = threshold(text);
    let deviation = maybe(text, "[Ss]tandard deviation(?:, in [A-Za-z/]+)?: ");
    let size = maybe(text, "(?:number of people|many people): ");
    let truth = with_both([deviation, size], |deviation, size| {
        3.8416 * deviation * deviation > limit * limit * size
    });
    answer(truth, above)
}
