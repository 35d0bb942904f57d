//! Sizes, plans and several tests, from the text.

use super::{
    answer, below, claims, denied, has, last, maybe, maybe_p, need, regex, threshold, two_arms,
    with_both,
};
use crate::Answer;

pub(super) fn sample_size(text: &str) -> Answer {
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
                return Answer::Uncertain;
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

pub(super) fn multiplicity(text: &str) -> Answer {
    if has(text, "discoveries: ") {
        let found = maybe(text, "discoveries: ");
        let rate = maybe(text, "false discovery rate: ");
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

pub(super) fn baseline(text: &str) -> Answer {
    if has(text, "baseline variables") {
        let variables = maybe(text, "at the 5% level: ");
        let (limit, above) = threshold(text);
        return answer(variables.map(|variables| variables > 20.0 * limit), above);
    }
    if has(text, "unadjusted") {
        let truth = below(text, r"adjusted for baseline: -?[\d.]+ \(95% CI ", 0.0);
        return answer(truth, claims(last(text), r"\blower\b", "higher"));
    }
    let means = match has(text, "as follows") {
        false => two_arms(text, "Mean [a-z ]+ at baseline, in [A-Za-z/]+, "),
        true => {
            let control = "(?:placebo|usual care|standard treatment): ";
            let figure = super::ANY;
            [
                maybe(text, &format!("{control}{figure}; [A-Za-z -]+: ")),
                maybe(text, control),
            ]
        }
    };
    let deviation = maybe(text, "[Ss]tandard deviation in both(?: groups)?: ");
    let apart = means[0].zip(means[1]).map(|(first, second)| first - second);
    let truth = with_both([apart, deviation], |apart, deviation| {
        100.0 * apart * apart > deviation * deviation
    });
    let imbalance = claims(
        last(text),
        "(?:groups|there) imbalance",
        "(?:groups|there) balance",
    );
    answer(truth, imbalance)
}

pub(super) fn interim(text: &str) -> Answer {
    if has(text, "Pocock") {
        let [nominal] = need(text, "level of # at each");
        let p = maybe_p(text, "At this look, the p value for [a-z -]+: ");
        return answer(p.map(|p| p < nominal), !denied(text));
    }
    if has(text, "planned in all") {
        let (limit, above) = threshold(text);
        let events = [maybe(text, "planned in all: "), maybe(text, "so far: ")];
        let truth = with_both(events, |all, now| now > limit * all / 0.05);
        return answer(truth, above);
    }
    let words = ["two", "three", "four", "five"];
    let looks = words
        .iter()
        .position(|word| has(text, &format!("{word} times")))
        .unwrap()
        + 2;
    let p = maybe_p(text, "(?:; p value|P value now): ");
    let look = maybe(text, "[Nn]umber of this (?:look|analysis): ");
    let truth = match (p, look) {
        (None, _) => None,
        (Some(p), Some(look)) => Some(p < if look == looks as f64 { 0.05 } else { 0.001 }),
        (Some(p), None) if p < 0.001 => Some(true),
        (Some(p), None) if p > 0.05 => Some(false),
        (Some(_), None) => None,
    };
    answer(truth, !denied(text))
}
