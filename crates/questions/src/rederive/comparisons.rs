//! Effects, intervals and p values, from the text.

use super::{
    answer, below, claims, denied, find, has, last, maybe, maybe_p, maybe_range, need, numbers,
    threshold, two_arms, with_both,
};
use crate::Answer;

/// Whether less of it is claimed.
pub(super) fn downward(text: &str) -> bool {
    claims(
        text,
        r"\breduc|\blower with|\blower\?",
        r"\bincreas|\bhigher with|\bhigher\?",
    )
}

/// Checks that a number of the text lies halfway between the ends, within what rounding allows: on
/// the log scale for ratios, on the plain scale for differences.
pub(super) fn estimate_within(text: &str, [low, high]: [f64; 2], ratio: bool, unit: f64) {
    let (middle, tolerance) = match ratio {
        true => {
            let middle = (low * high).sqrt();
            let curved = 0.3 * middle * (1.0 / low + 1.0 / high);
            (middle, unit * (0.6 + curved))
        }
        false => ((low + high) / 2.0, 1.01 * unit),
    };
    let close = |number: f64| low < number && number < high && (number - middle).abs() < tolerance;
    assert!(
        numbers(text).into_iter().any(close),
        "no estimate halfway: {text}"
    );
}

/// One place of the last digit of the number after `name`.
pub(super) fn unit_of(text: &str, name: &str) -> f64 {
    let found = super::regex(&format!(r"{name}-?\d+(?:\.(\d+))?")).captures(text);
    let digits = found
        .and_then(|found| found.get(1))
        .map_or(0, |digits| digits.len());
    0.1_f64.powi(digits as i32)
}

/// The side of an interval that the truth lies on.
fn open(text: &str, null: f64) -> Answer {
    let name = "(?:CI|interval|limits of) ";
    let ends = match find(text, &format!("{name}# (?:to|and) #")) {
        Some(ends) => ends,
        None => panic!("no interval in {text:?}"),
    };
    estimate_within(text, ends, null == 1.0, unit_of(text, name));
    let below = match () {
        () if ends[1] < null => Some(true),
        () if ends[0] > null => Some(false),
        () => None,
    };
    let claim = if has(text, "Is the claim right") {
        super::regex("authors write[^.]*")
            .find(text)
            .unwrap()
            .as_str()
    } else {
        last(text)
    };
    answer(below, downward(claim))
}

pub(super) fn ratio(text: &str) -> Answer {
    if has(text, "lower limit is") {
        return one_limit(text);
    }
    if !has(text, "p value") || !has(last(text), r"at the|At the") {
        return open(text, 1.0);
    }
    let [level] = need(text, r"#% CI ");
    let [alpha] = need(last(text), r"t the #%");
    assert_eq!(level + alpha, 100.0, "{text}");
    let [estimate] = need(text, r"(?:RR|OR|HR) #");
    let down = downward(last(text));
    let interval = maybe_range(text, "CI ").map(|[low, high]| high < 1.0 || low > 1.0);
    let p = maybe_p(text, "p value ").map(|p| 100.0 * p < alpha);
    assert!(interval.is_none() || p.is_none(), "{text}");
    let truth = match interval.or(p) {
        _ if (estimate > 1.0) == down => Some(false),
        known => known,
    };
    answer(truth, !denied(text))
}

fn one_limit(text: &str) -> Answer {
    let (low, high) = (
        maybe(text, "lower limit is "),
        maybe(text, "upper limit is "),
    );
    assert!(low.is_some() != high.is_some(), "{text}");
    let [estimate] = need(text, "ratio of #");
    // Logs of the estimate, of the limit facing 1 where the effect goes as asked, and of the other.
    let sign = if downward(last(text)) { 1.0 } else { -1.0 };
    let (facing, other) = if sign > 0.0 { (high, low) } else { (low, high) };
    let truth = match (facing, other) {
        (Some(facing), _) => Some(sign * facing.ln() < 0.0),
        (_, Some(other)) if sign * other.ln() > 0.0 || sign * estimate.ln() > 0.0 => Some(false),
        _ => None,
    };
    answer(truth, !denied(text))
}

pub(super) fn difference(text: &str) -> Answer {
    if !has(text, "standard error") {
        return open(text, 0.0);
    }
    let difference = maybe(text, "mean difference ");
    let error = maybe(text, "standard error (?:was )?");
    let truth = difference
        .zip(error)
        .map(|(difference, error)| difference * difference > 1.96 * 1.96 * error * error);
    let claimed = match has(last(text), "hypothesis of no difference") {
        true => claims(last(text), "reject the", "keep the"),
        false => !denied(text),
    };
    answer(truth, claimed)
}

/// The event that the question is about, by its place in the last sentence.
fn asked_event(text: &str) -> String {
    let pattern = r"(?:difference in|hypothesis for|test on) ([a-z -]+?)(?: statistically| not| rejected| reach| miss)";
    super::regex(pattern).captures(last(text)).unwrap()[1].to_owned()
}

pub(super) fn p_value(text: &str) -> Answer {
    let [alpha] = need(text, r"(?:alpha = |significance level of )#");
    if has(text, "[Gg]roup with fewer cases: ") {
        let p = maybe_p(text, "[Tt]wo-sided p value(?: for [a-z -]+ was|:) ");
        let one_sided = has(text, "one-sided");
        let double = if one_sided { 2.0 * alpha } else { alpha };
        let small = p.map(|p| p < double);
        let fewer = super::regex("[Gg]roup with fewer cases: ([A-Za-z -]+?)[.;]")
            .captures(text)
            .unwrap()[1]
            .to_owned();
        let treated = match fewer.as_str() {
            "not reported" => None,
            name => Some(!matches!(
                name,
                "placebo" | "usual care" | "standard treatment"
            )),
        };
        // Both are needed; either one lacking settles it.
        let truth = match (small, treated) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        };
        return answer(truth, !denied(text));
    }
    let event = asked_event(text);
    let after = match has(text, "these p values") {
        true => format!("{event}, "),
        false => format!("p value for {event}: "),
    };
    let p = match has(text, "the p values were") {
        true => {
            let before = format!("(?:were|and) (below )?# for {event}");
            let pattern = before.replace('#', r"(\d\.\d+)");
            super::regex(&pattern).captures(text).map(|found| {
                let bound: f64 = found[2].parse().unwrap();
                if found.get(1).is_some() {
                    bound - 1e-12
                } else {
                    bound
                }
            })
        }
        false => maybe_p(text, &after),
    };
    answer(p.map(|p| p < alpha), !denied(text))
}

pub(super) fn non_inferiority(text: &str) -> Answer {
    let response = has(text, "[Rr]esponse rate");
    let hazard = has(text, "[Hh]azard ratio");
    let margin = match find(text, "[Uu]p to #") {
        Some([margin]) => Some(margin),
        None => maybe(text, r"(?:percentage points|margin|of loss\)): "),
    };
    let ci = maybe_range(text, "(?:CI:?|interval|limits of) ");
    if let Some(ends) = ci {
        let unit = if hazard { 0.01 } else { 0.1 };
        estimate_within(text, ends, hazard, unit);
    }
    // Turned so that more is worse.
    let worst = |ends: [f64; 2]| if response { [-ends[1], -ends[0]] } else { ends };
    let both = margin.zip(ci.map(worst));
    if has(last(text), "acceptable") {
        let (margin, [low, high]) = both.unwrap();
        let truth = match () {
            () if high < margin => Some(true),
            () if low > margin => Some(false),
            () => None,
        };
        return answer(truth, claims(last(text), "within", "beyond"));
    }
    let [estimate] = match response {
        true => need(text, "the difference: #"),
        false => need(text, r"(?:minus [a-z ]+\)|[Hh]azard ratio [^:]+): #"),
    };
    let estimate = if response { -estimate } else { estimate };
    let truth = match (margin, both) {
        (_, Some((margin, [_, high]))) => Some(high < margin),
        (Some(margin), None) if estimate > margin => Some(false),
        _ => None,
    };
    answer(truth, !denied(text))
}

pub(super) fn equivalence(text: &str) -> Answer {
    if !has(text, "two one-sided") {
        let [margin] = need(text, "(?:up to|may be) #");
        let [low, high] = maybe_range(text, "(?:CI|interval) ").unwrap();
        let truth = match () {
            () if low.abs().max(high.abs()) < margin => Some(true),
            () if low.abs().min(high.abs()) > margin && low * high > 0.0 => Some(false),
            () => None,
        };
        return answer(truth, claims(last(text), "within|inside", "outside"));
    }
    let [margin] = need(text, "(?:margin of|within) #");
    let [estimate] = need(text, r"minus [a-z ]+(?::| gave) #");
    let narrow = maybe_range(text, "90% CI: ");
    let wide = maybe_range(text, "95% CI: ");
    // A 90% interval is 1.645 / 1.96 as wide as a 95% one.
    let narrow = narrow.or(wide.map(|ends| ends.map(|end| estimate + (end - estimate) * 0.8393)));
    let truth = narrow.map(|[low, high]| low.abs().max(high.abs()) < margin);
    answer(truth, !denied(text))
}

pub(super) fn subgroup(text: &str) -> Answer {
    if has(text, "for interaction: ") {
        let p = maybe_p(text, "for interaction: ");
        return answer(p.map(|p| p < 0.05), !denied(text));
    }
    let after = |lead: &str| {
        let effect = format!("{lead} among [a-z -]+: ");
        let error = format!("{effect}{}, standard error: ", super::ANY);
        maybe(text, &effect).zip(maybe(text, &error))
    };
    let truth = after(r"\),")
        .zip(after(";"))
        .map(|((d1, e1), (d2, e2))| (d1 - d2) * (d1 - d2) > 1.96 * 1.96 * (e1 * e1 + e2 * e2));
    answer(truth, !denied(text))
}

pub(super) fn confounding(text: &str) -> Answer {
    if has(text, "crude risk ratio") {
        let truth = below(text, r"one of [\d.]+ \(95% CI ", 1.0);
        return answer(truth, downward(last(text)));
    }
    if has(text, "Directly standardised") {
        let smokers = two_arms(text, "among smokers, ");
        let others = two_arms(text, "Among non-smokers, ");
        let [share] = need(text, "population, #% smoke");
        // People with the event among ten thousand.
        let of = |nth: usize| {
            let both = smokers[nth].zip(others[nth]);
            both.map(|(smokers, others)| share * smokers + (100.0 - share) * others)
        };
        let truth = with_both([of(0), of(1)], |treated, control| treated < control);
        return answer(truth, claims(last(text), r"\blower\b", "higher"));
    }
    let trial = r"(?:trial found|randomised trial, risk ratio) [\d.]+ \(95% CI: ";
    let truth = match maybe_range(text, trial) {
        Some(_) => below(text, trial, 1.0),
        None => None,
    };
    answer(truth, claims(last(text), "reduc", "increase|a rise"))
}

pub(super) fn analysis_set(text: &str) -> Answer {
    if has(text, "[Rr]andomised(?: to [A-Za-z -]+)?: ") {
        let all = maybe(text, "(?:[Rr]andomised to [A-Za-z -]+|Randomised): ");
        let events = maybe(text, "(?:among|of) all randomised: ");
        let (threshold, above) = threshold(text);
        let truth = with_both([all, events], |all, events| {
            100.0 * events > threshold * all
        });
        return answer(truth, above);
    }
    if has(text, "both analyses") {
        let [margin] = need(text, "margin for the [a-z ]+ of [a-z -]+ was #");
        let limits = ["by intention to treat: ", "per protocol: "].map(|name| maybe(text, name));
        let missed = limits.iter().flatten().any(|limit| *limit > margin);
        let truth = match limits.iter().flatten().count() {
            _ if missed => Some(false),
            2 => Some(true),
            _ => None,
        };
        return answer(truth, !denied(text));
    }
    let asked = super::regex("By the ([a-z-]+) analysis")
        .captures(last(text))
        .unwrap()[1]
        .to_owned();
    let [estimate] = need(text, &format!("{asked} [a-z ]+: #"));
    let truth = match maybe_range(text, &format!(r"{asked} [a-z ]+: [\d.]+, its 95% CI: ")) {
        Some([_, high]) => Some(high < 1.0),
        None if estimate > 1.0 => Some(false),
        None => None,
    };
    answer(truth, !denied(text))
}
