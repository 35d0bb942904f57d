//! Risks, their differences and events, from the text.

use super::{agreed, answer, claims, find, has, last, maybe, need};
use crate::Label;

pub(super) fn nnt(text: &str) -> Label {
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
        return answer(maybe(text, "in [a-z ]+ was ").map(holds), fewer);
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
