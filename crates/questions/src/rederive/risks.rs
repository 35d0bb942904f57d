//! Risks, odds and counts, from the text.

use super::{
    agreed, answer, claims, find, has, last, maybe, need, regex, threshold, two_arms, with_both,
};
use crate::Answer;

pub(super) fn attrition(text: &str) -> Answer {
    if has(text, "Share lost to follow-up") {
        let (limit, above) = threshold(text);
        let loss = two_arms(text, "follow-up, ");
        return answer(
            with_both(loss, |a, b| (a - b) * (a - b) > limit * limit),
            above,
        );
    }
    if has(text, "Two groups of") {
        let figure = super::ANY;
        let treated = r"\bOn [A-Za-z -]+, with the event: ";
        let events = maybe(text, treated);
        let lost = maybe(text, &format!("{treated}{figure}, lost: "));
        let control = maybe(text, "; on [a-z ]+, with the event: ");
        let worst = events.zip(lost).map(|(events, lost)| events + lost);
        let truth = with_both([worst, control], |worst, control| worst < control);
        return answer(truth, claims(last(text), r"\blower\b", "higher"));
    }
    let [size, lost, events] = match find(
        text,
        "Of # patients randomised to [^,]*, # were lost to follow-up and # of",
    ) {
        Some(found) => found,
        None => {
            let [size, events, lost] = need(
                text,
                "given to # patients; # had [a-z -]+, and for # the outcome",
            );
            [size, lost, events]
        }
    };
    let (limit, above) = threshold(text);
    let holds = |more: f64| 100.0 * (events + more) > limit * size;
    answer(agreed([holds(0.0), holds(lost)]), above)
}

pub(super) fn absolute(text: &str) -> Answer {
    let (limit, above) = threshold(text);
    if has(text, "[Rr]isk ratio") {
        let ratio = maybe(text, "[Rr]isk ratio (?:for [a-z -]+ )?with [A-Za-z -]+: ");
        let control = maybe(text, "(?:risk without treatment|risk of [a-z -]+ is): ");
        // Of a hundred patients, cases without treatment less cases with it.
        let truth = with_both([ratio, control], |ratio, control| {
            control - ratio * control > limit
        });
        return answer(truth, above);
    }
    let risks = two_arms(text, r"Risk of [a-z -]+ in [a-z -]+, ");
    let truth = match has(text, "relative risk reduction") {
        true => with_both(risks, |treated, control| {
            100.0 * treated < (100.0 - limit) * control
        }),
        false => with_both(risks, |treated, control| control - treated > limit),
    };
    answer(truth, above)
}

pub(super) fn odds(text: &str) -> Answer {
    let (limit, above) = threshold(text);
    if has(text, "the odds of") {
        let risk = maybe(text, "the risk of [a-z -]+ was: ");
        return answer(risk.map(|risk| risk > limit * (100.0 - risk)), above);
    }
    if has(text, "; without: ") {
        let pattern = format!(
            r"\bOn [A-Za-z -]+, with [a-z -]+: {0}; without: {0}",
            super::FIGURE
        );
        let groups: Vec<[Option<f64>; 2]> = regex(&pattern)
            .captures_iter(text)
            .map(|found| [1, 2].map(|nth| found[nth].parse().ok()))
            .collect();
        assert_eq!(groups.len(), 2, "{text}");
        // Cross products.
        let product = |[a, b]: [Option<f64>; 2]| a.zip(b).map(|(a, b)| a * b);
        let truth = with_both(
            [
                product([groups[0][0], groups[1][1]]),
                product([groups[0][1], groups[1][0]]),
            ],
            |ad, bc| ad > limit * bc,
        );
        return answer(truth, above);
    }
    let ratio = maybe(
        text,
        "(?:Odds ratio for [a-z -]+ with [A-Za-z -]+|odds ratio of): ",
    );
    let control = maybe(text, "risk on [a-z ]+: ");
    // The risk with treatment, from its odds.
    let truth = with_both([ratio, control], |ratio, control| {
        let odds = ratio * control / (100.0 - control);
        100.0 * odds / (1.0 + odds) > limit * control
    });
    answer(truth, above)
}

pub(super) fn small_counts(text: &str) -> Answer {
    if has(text, "four cells") {
        let cells = ["A", "B", "C", "D"].map(|cell| maybe(text, &format!("{cell}: ")));
        let truth = match () {
            () if cells.iter().flatten().any(|count| *count < 5.0) => Some(false),
            () if cells.iter().all(Option::is_some) => Some(true),
            () => None,
        };
        return answer(truth, !has(last(text), "inappropriate"));
    }
    if has(text, "rule of three") {
        let size = maybe(text, "patients treated: ");
        let (limit, above) = threshold(text);
        return answer(size.map(|size| limit * size < 300.0), above);
    }
    let figure = super::ANY;
    let control = "on (?:placebo|usual care|standard treatment)(?:, patients)?: ";
    let treated =
        format!("(?:Patients on [A-Za-z -]+|patients: {figure}; on [A-Za-z -]+, patients): ");
    let events = maybe(text, "(?:both groups together|together, with [a-z -]+): ");
    let sizes = maybe(text, &treated).zip(maybe(text, control));
    let truth = sizes.zip(events).map(|((n1, n2), events)| {
        let rows = [n1, n2];
        let columns = [events, n1 + n2 - events];
        rows.iter()
            .any(|row| columns.iter().any(|column| row * column < 5.0 * (n1 + n2)))
    });
    answer(
        truth,
        claims(
            last(text),
            r"exact test\?|under 5",
            r"chi-squared test\?|over 5",
        ),
    )
}

pub(super) fn denominator(text: &str) -> Answer {
    let cases = two_arms(text, "Cases of [a-z -]+, ");
    let treated_less = claims(last(text), r"\blower\b|rarer", "higher|more common");
    if has(text, "groups of the same size") {
        return answer(
            with_both(cases, |treated, control| treated < control),
            treated_less,
        );
    }
    let sizes = two_arms(text, "(?:Patients|Person-years), ");
    let product = |nth: usize| {
        cases[nth]
            .zip(sizes[1 - nth])
            .map(|(cases, size)| cases * size)
    };
    let truth = with_both([product(0), product(1)], |treated, control| {
        treated < control
    });
    answer(truth, treated_less)
}
