//! Numbers needed to treat, and outcomes that stand for others, from the text.

use super::{
    agreed, answer, below, claims, denied, find, has, last, maybe, maybe_range, need, regex,
    threshold,
};
use crate::Answer;

pub(super) fn nnt(text: &str) -> Answer {
    let [threshold] = match find(last(text), "(?:below|above|fewer than|more than) #") {
        Some(threshold) => threshold,
        None => need(text, "needed to treat of #"),
    };
    let fewer = claims(last(text), "(?:below|fewer|under) ", "(?:above|more|over) ");
    // Of `threshold` people treated, more than one whole case must be spared.
    let holds = |points: f64| threshold * points > 100.0;
    if let Some(ends) = find::<2>(text, r"(?:CI|interval|limits of) # (?:to|and) #") {
        return answer(agreed(ends.map(holds)), fewer);
    }
    if has(text, "absolute risk reduction") {
        return answer(
            maybe(text, "risk reduction in [A-Za-z -]+ was ").map(holds),
            fewer,
        );
    }
    let arm = "(?:placebo|usual care|standard treatment): ";
    let control = maybe(text, arm);
    // The other of the two risks: after a name that is no comparator's.
    let treated = match control {
        Some(_) => {
            let rest = super::regex(arm).replace(text, "");
            maybe(&rest, "on [A-Za-z -]+: ")
        }
        None => None,
    };
    answer(
        control.zip(treated).map(|(a, b)| holds((a - b).abs())),
        fewer,
    )
}

pub(super) fn surrogate(text: &str) -> Answer {
    if has(text, "as unclear in between") {
        let [low, high] = need(text, r"\(95% CI # to #\)");
        let truth = match () {
            () if low >= 0.85 => Some(true),
            () if high <= 0.70 => Some(false),
            () => None,
        };
        return answer(truth, !denied(text));
    }
    if has(text, "surrogate threshold effect") {
        let [ratio] = need(text, "progression with [A-Za-z -]+: #");
        let truth = match (
            maybe_range(text, "its 95% CI: "),
            maybe(text, "; threshold effect: "),
        ) {
            (_, Some(threshold)) if ratio > threshold => Some(false),
            (Some([_, high]), Some(threshold)) => Some(high < threshold),
            _ => None,
        };
        return answer(truth, !denied(text));
    }
    let [ratio] = need(text, "risk ratio (?:for [a-z -]+, |of )#");
    let name = r"risk ratio (?:for [a-z -]+, |of )[\d.]+(?: for [a-z -]+)? \(95% CI: ";
    let truth = match maybe_range(text, name) {
        Some([_, high]) => Some(high < 1.0),
        None if ratio > 1.0 => Some(false),
        None => None,
    };
    answer(truth, !denied(text))
}

pub(super) fn composite(text: &str) -> Answer {
    if has(text, "alone it was") {
        let truth = below(text, r"alone it was [\d.]+ \(95% CI ", 1.0);
        return answer(truth, claims(last(text), r"\blower\b", "higher"));
    }
    if has(text, "First events that were") {
        let fewer: Vec<Option<f64>> = text
            .split("First events that were")
            .skip(1)
            .map(|part| {
                let control = maybe(part, "^ [a-z -]+, on [a-z ]+: ");
                let treated = maybe(part, "; on [A-Za-z -]+: ");
                control
                    .zip(treated)
                    .map(|(control, treated)| control - treated)
            })
            .collect();
        let truth = super::with_both([fewer[0], fewer[1]], |event, other| event > other);
        return answer(truth, claims(last(text), "above", "below"));
    }
    let [size] = need(text, "[Oo]f # (?:patients|followed)");
    let counts = "(?:number with [a-z -]+ was #, with|was seen in # patients,)";
    let pattern = format!(r"{counts} [a-z -]+?(?: in)? #,").replace('#', r"(\d+)");
    let found = regex(&pattern).captures(text).unwrap();
    let mut counts = found
        .iter()
        .skip(1)
        .flatten()
        .map(|count| count.as_str().parse().unwrap());
    let (a, b): (f64, f64) = (counts.next().unwrap(), counts.next().unwrap());
    let (threshold, above) = threshold(text);
    // Those with neither, from all: as few and as many as can be.
    let holds = |both: f64| {
        let neither = size - a - (b - both);
        100.0 * (size - neither) > threshold * size
    };
    let ends = match maybe(text, "both (?:in )?") {
        Some(both) => [both, both],
        None => [0.0, a.min(b)],
    };
    answer(agreed(ends.map(holds)), above)
}
