//! Hazards, survival curves and ages, from the text.

use super::{
    agreed, answer, arms, below, claims, find, has, last, maybe, need, threshold, two_arms,
    with_both,
};
use crate::Answer;

pub(super) fn hazard(text: &str) -> Answer {
    let (limit, above) = threshold(text);
    if has(text, "Deaths per 100 patient-years") {
        let rates = two_arms(text, "patient-years, ");
        return answer(
            with_both(rates, |treated, control| treated > limit * control),
            above,
        );
    }
    // Cumulative hazards: minus the logarithm of survival.
    let holds = |control: f64, ratio: f64| -ratio * (control / 100.0).ln() < -(limit / 100.0).ln();
    if let Some([ratio, low, high]) = find(text, r"death of # \(95% CI # to #\)") {
        assert!(low < ratio && ratio < high, "{text}");
        let [control] = need(text, r"At \d+ years #% on");
        return answer(
            agreed([low, high].map(|ratio| holds(control, ratio))),
            above,
        );
    }
    let ratio = maybe(text, "hazard ratio for death on [A-Za-z -]+: ");
    let control = maybe(text, r"at \d+ years: ");
    answer(with_both([control, ratio], holds), above)
}

pub(super) fn crossing(text: &str) -> Answer {
    let times = arms(text, r"[Ii]n year \d+, ");
    let [first, second] = times[..] else {
        panic!("{text}")
    };
    if has(last(text), "Is survival in year") {
        let truth = with_both(second, |treated, control| treated > control);
        return answer(truth, claims(last(text), "higher", r"\blower\b"));
    }
    let known = first[0].zip(first[1]).zip(second[0].zip(second[1]));
    if has(last(text), "agree") {
        // The hazard ratio that comes closest to all figures.
        let truth = known.map(|((a1, b1), (a2, b2))| {
            let off = |ratio: f64| {
                let miss = |a: f64, b: f64| (100.0 * (b / 100.0).powf(ratio) - a).abs();
                miss(a1, b1).max(miss(a2, b2))
            };
            let ratios = (0..6400).map(|step| 0.3 + f64::from(step) * 0.0005);
            ratios.map(off).fold(f64::INFINITY, f64::min) < 0.2
        });
        return answer(truth, !has(last(text), "disagree"));
    }
    let truth = known.map(|((a1, b1), (a2, b2))| (a1 - b1) * (a2 - b2) < 0.0);
    answer(
        truth,
        claims(
            last(text),
            "changed places|behind",
            "kept their places|still ahead",
        ),
    )
}

pub(super) fn median(text: &str) -> Answer {
    let (time, above) = threshold(text);
    if has(text, "hazard of death per month") {
        let rate = maybe(text, "is constant: ");
        return answer(rate.map(|rate| (-rate * time).exp() > 0.5), above);
    }
    if has(text, "constant hazard") {
        let median = maybe(text, "in months is: ");
        return answer(
            median.map(|median| 0.5_f64.powf(time / median) > (-1.0_f64).exp()),
            above,
        );
    }
    let [s1, t1, s2, t2] = match find(text, "#% were alive at # months and #% at # months") {
        Some(found) => found,
        None => {
            let [t1, s1, t2, s2] =
                need(text, "After # months #% of those [^,]*, after # months #%");
            [s1, t1, s2, t2]
        }
    };
    assert!(t1 < t2 && s1 > s2, "{text}");
    // The survival that is possible at the time asked about.
    let (most, least) = match () {
        () if time < t1 => (100.0, s1),
        () if time == t1 => (s1, s1),
        () if time < t2 => (s1, s2),
        () if time == t2 => (s2, s2),
        () => (s2, 0.0),
    };
    answer(agreed([least > 50.0, most > 50.0]), above)
}

/// The screened and the unscreened, in either order.
fn screened(text: &str, name: &str) -> [Option<f64>; 2] {
    let figure = super::ANY;
    [("screened", "unscreened"), ("unscreened", "screened")]
        .map(|(this, that)| maybe(text, &format!("{name}, (?:{that}: {figure}; )?{this}: ")))
}

pub(super) fn lead_time(text: &str) -> Answer {
    if has(text, "risk ratio of death") {
        let truth = below(text, r"\(95% CI ", 1.0);
        return answer(truth, claims(last(text), r"\blower\b", "higher"));
    }
    let years = screened(text, "to death");
    if has(text, "lead time") {
        let lead = maybe(text, "lead time in years: ");
        let gain = years[0]
            .zip(years[1])
            .map(|(screened, unscreened)| screened - unscreened);
        let truth = with_both([gain, lead], |gain, lead| gain > lead);
        return answer(truth, claims(last(text), "longer", "shorter"));
    }
    let ages = screened(text, "age at diagnosis");
    let at_death = [0, 1].map(|nth| ages[nth].zip(years[nth]).map(|(age, years)| age + years));
    let truth = with_both(at_death, |screened, unscreened| screened > unscreened);
    answer(
        truth,
        claims(last(text), "higher|greater", r"\blower|lesser"),
    )
}
