//! Sizes, plans and several tests, from the text.

use super::{answer, claims, denied, has, last, maybe, maybe_p, need, regex};
use crate::Label;

pub(super) fn sample_size(text: &str) -> Label {
    let enough = claims(
        last(text),
        "enough|reached|above",
        "too few|too small|missed|below",
    );
    let share = |name: &str| maybe(text, name).map(|share| share / 100.0);
    if has(text, "planned for") {
        let [needed] = need(text, "planned for #");
        let there = maybe(text, "Patients: ").zip(share("event so far: "));
        return answer(there.map(|(all, share)| all * share > needed), enough);
    }
    if has(text, "lost before the end") {
        let [needed] = need(text, "(?:needs|end with) # patients");
        let recruited = maybe(text, "[Rr]ecruited per group: ");
        let left = share("in each group: ").map(|lost| 1.0 - lost);
        let there = recruited.zip(left);
        return answer(there.map(|(all, left)| all * left > needed), enough);
    }
    let [z] = need(text, "# for (?:80|90)%");
    let z = 1.96 + z;
    if has(text, "[Hh]azard ratio") {
        let log = maybe(text, "to be detected: ").map(f64::ln);
        let events = match has(text, "number of events") {
            true => maybe(text, "number of events: "),
            false => {
                let [patients] = need(text, "has # patients");
                share("to have [a-z -]+: ").map(|share| share * patients)
            }
        };
        // A quarter of the events is the information on the log hazard ratio.
        let truth = log
            .zip(events)
            .map(|(log, events)| log * log * events / 4.0 > z * z);
        return answer(truth, enough);
    }
    let (error, difference) = match has(text, "expected risk") {
        true => {
            let arms = [
                share("on (?:placebo|usual care|standard treatment) is: "),
                share("; on [A-Za-z -]+: "),
            ];
            let [Some(p), Some(q)] = arms else {
                return Label::Uncertain;
            };
            (Some(p - p * p + q - q * q), Some(p - q))
        }
        false => {
            let sd = maybe(
                text,
                "[Ss]tandard deviation(?: of [a-z -]+, in [A-Za-z/ ]+)?: ",
            );
            (
                sd.map(|sd| 2.0 * sd * sd),
                maybe(text, "to be detected(?: of)?: "),
            )
        }
    };
    let size = maybe(text, "(?:patients|patients per group|two groups): ");
    let truth = match (error, difference, size) {
        // The difference in standard errors.
        (Some(variance), Some(difference), Some(size)) => {
            Some(difference * difference / (variance / size) > z * z)
        }
        _ => None,
    };
    answer(truth, enough)
}

/// Rejections by Holm's procedure, one at a time: the smallest p value left over against alpha over
/// the number left.
fn holm(p: &[f64], asked: usize, alpha: f64) -> bool {
    let mut left: Vec<usize> = (0..p.len()).collect();
    while !left.is_empty() {
        let least = *left
            .iter()
            .min_by(|a, b| p[**a].total_cmp(&p[**b]))
            .unwrap();
        if p[least] * left.len() as f64 > alpha {
            return false;
        }
        if least == asked {
            return true;
        }
        left.retain(|nth| *nth != least);
    }
    false
}

/// The adjusted p value of Benjamini and Hochberg against the rate.
fn step_up(p: &[f64], asked: usize, rate: f64) -> bool {
    let rank = |value: f64| p.iter().filter(|other| **other <= value).count() as f64;
    let larger = p.iter().filter(|value| **value >= p[asked]);
    let adjusted = larger
        .map(|value| value * p.len() as f64 / rank(*value))
        .fold(f64::INFINITY, f64::min);
    adjusted <= rate
}

pub(super) fn multiplicity(text: &str) -> Label {
    if has(text, "discoveries: ") {
        let found = maybe(text, "discoveries: ");
        let rate = maybe(text, "held at ");
        let [limit] = need(last(text), "(?:above|below) #");
        let truth = found
            .zip(rate)
            .map(|(found, rate)| found * rate > 100.0 * limit);
        return answer(truth, claims(last(text), "above", "below"));
    }
    if !has(text, "A, ") {
        let p = maybe_p(text, "p value (?:of the test on [a-z -]+ is|of|is) ").unwrap();
        let [alpha] = need(text, "(?:alpha of|Alpha =) #");
        let truth = match maybe(text, "[Nn]umber of tests[a-z ]*: ") {
            Some(tests) => Some(p * tests < alpha),
            None if p >= alpha => Some(false),
            None => None,
        };
        return answer(truth, !denied(text));
    }
    let [level] = need(text, "(?:level of|error at|rate of|rate at) #");
    let asked = regex("(?:outcome|marker|finding on) ([A-D]) ")
        .captures(last(text))
        .unwrap()[1]
        .to_owned();
    let names = ["A", "B", "C", "D"];
    let asked = names.iter().position(|name| *name == asked).unwrap();
    let printed = names.map(|name| maybe_p(text, &format!("{name}, ")));
    let rule = if has(text, "Holm") { holm } else { step_up };
    let with = |missing: f64| rule(&printed.map(|p| p.unwrap_or(missing)), asked, level);
    let truth = (with(0.0) == with(1.0)).then_some(with(0.0));
    answer(truth, !denied(text))
}
