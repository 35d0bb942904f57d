//! What replaces a citation that was part of a sentence's grammar.

use std::sync::LazyLock;

use regex::Regex;

use crate::text::{capitalised, regex, tidy};

/// The verb by which a finding is reported; what follows is a sentence by itself.
pub(super) static SAID: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^,?\s*(?:have |has |had )?(?:recently |also |first |previously |clearly |therefore )?(?:showed|shown|found|reported|demonstrated|concluded|suggested|observed|noted|stated|argued|described|confirmed|indicated|proposed|claimed|hypothesi[sz]ed)\s+that\s+",
    )
});
/// A study that is named by its authors: "in the trial of", "a report by". It reads well without them.
static STUDY_OF: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b((?:study|studies|trial|trials|work|report|reports|paper|article|series|review|analysis|meta-analysis|model|method|technique|score|criteria|classification|findings|results|data|experiments?|cohort|hypothesis|observations?|publication)) (?:of|by|from)(?: the group of)?\s*$",
    )
});
/// Words that lead to somebody's work and mean nothing without it.
pub(super) static LEADS_TO_WORK: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)(?:^|[\s(\[])(?:(?:see|see also|cf|e\.g|i\.e|refs?|references?|reviewed in|reviewed by|as reviewed in|as in|for (?:a )?review,? see)\b[\s.,:;]*)+$",
    )
});

/// Are authors that follow `before` an aside, in brackets or after "cf."?
pub(super) fn is_aside(before: &str) -> bool {
    let open = |text: &str| text.rfind(['(', '[']) > text.rfind([')', ']']);
    before.trim_end().ends_with(['(', '[', ';'])
        || LEADS_TO_WORK
            .find(before)
            .is_some_and(|lead| !lead.as_str().trim().eq_ignore_ascii_case("as in") || open(before))
}

/// Do named authors stay in the sentence without their year? Not where they are many, or where their finding is a
/// sentence by itself.
pub(super) fn keeps_names(removed: &str, after: &str) -> bool {
    let many = [" al", "colleagues", "workers"];
    !many.iter().any(|word| removed.contains(word)) && !SAID.is_match(after)
}

/// A sentence whose words name the authors themselves.
pub(super) fn narrative(before: &str, removed: &str, after: &str) -> String {
    let start = before.trim_end();
    let starts = start.is_empty() || start.ends_with(['.', '?', '!']);
    let nameless = removed.trim_start().starts_with("et");
    if nameless {
        // "in mice et al. and in men": nobody is named.
        let mark = if after.trim().is_empty() { "." } else { "" };
        return tidy(&format!("{start}{mark} {}", after.trim_start()));
    }
    if starts && let Some(said) = SAID.find(after) {
        return joined(start, &capitalised(&after[said.end()..]));
    }
    let possessive = removed.contains("'s") || removed.contains("’s");
    let (possessive, after) = match after
        .strip_prefix("'s")
        .or_else(|| after.strip_prefix("’s"))
    {
        Some(rest) => (true, rest),
        None => (possessive, after),
    };
    if possessive {
        let article = if starts { "The" } else { "the" };
        // "the Garcia et al.'s score" has its article.
        let article = match start.to_lowercase().ends_with(" the") {
            true => "",
            false => article,
        };
        return joined(start, &format!("{article} {}", after.trim_start()));
    }
    let alone = !after.trim_start().starts_with("and ");
    if let Some(study) = STUDY_OF.captures(start)
        && alone
    {
        let end = study.get(1).map_or(start.len(), |word| word.end());
        return joined(&start[..end], after.trim_start());
    }
    let stand_in = if starts {
        "Earlier work"
    } else {
        "earlier work"
    };
    // The last full stop of "et al." ended the sentence as well.
    let ended = removed.ends_with('.') && after.trim().is_empty();
    let mark = if ended { "." } else { "" };
    let out = joined(
        start,
        &format!("{stand_in}{mark} {}", singular(after.trim_start())),
    );
    TWICE.replace_all(&out, "$1").into_owned()
}

/// A plural verb at the beginning of a text.
static PLURAL_VERB: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^(?:have|were|are|show|suggest|report|describe|demonstrate|find|propose|argue|conclude|present|discuss|review|provide|indicate|observe|note|confirm)\b",
    )
});

/// A text whose first verb, if it begins with one, is singular: "earlier work shows".
fn singular(text: &str) -> String {
    PLURAL_VERB
        .replace(text, |found: &regex::Captures<'_>| match &found[0] {
            "have" => "has".to_owned(),
            "were" => "was".to_owned(),
            "are" => "is".to_owned(),
            verb => format!("{verb}s"),
        })
        .into_owned()
}

/// "source: ", which only leads up to an address.
pub(super) static NAMES_SOURCE: LazyLock<Regex> = LazyLock::new(|| regex(r"(?i)\bsources?: *$"));

/// Earlier work beside earlier work.
static TWICE: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?i)\b(earlier work)(?:,? and(?: of| by| from)?|,) earlier work\b"));

/// A sentence in which a trial's number was a noun; none where it was not.
pub(super) fn trial(before: &str, after: &str) -> Option<String> {
    static PREPOSITION: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"(?i)(?:^|\s)(?:of|by|from|in|for|to|and|than|that|within|during)$")
    });
    let starts = before.is_empty() || before.ends_with(['.', '?', '!']);
    let goes_on = after.starts_with(|c: char| c.is_lowercase());
    let stand_in = match starts {
        true if goes_on => "The trial",
        false if goes_on && PREPOSITION.is_match(before) => "the trial",
        _ => return None,
    };
    Some(joined(before, &format!("{stand_in} {after}")))
}

fn joined(before: &str, after: &str) -> String {
    let blank = if before.ends_with(['(', '[']) {
        ""
    } else {
        " "
    };
    tidy(&format!("{before}{blank}{after}"))
}
