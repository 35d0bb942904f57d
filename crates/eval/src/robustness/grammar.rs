//! The English grammar that variants need: polar questions, their statements, their main verbs. Not a parser: word lists
//! and positions, chosen so that questions that do not fit them are left alone.

use std::sync::LazyLock;

use regex::Regex;

const AUXILIARIES: &[&str] = &[
    "Is", "Are", "Was", "Were", "Do", "Does", "Did", "Can", "Could", "Should", "Would", "Will",
    "Has", "Have", "Had", "May", "Might", "Must",
];

/// The auxiliary and the rest, without the question mark, of a polar question.
pub(super) fn polar(question: &str) -> Option<(&str, &str)> {
    let (first, rest) = question.split_once(' ')?;
    let rest = rest.strip_suffix('?')?.trim_end();
    let one =
        !rest.contains(['?', '!', ':', '"']) && verdict_data::sentences(question).count() == 1;
    (one && AUXILIARIES.contains(&first)).then_some((first, rest))
}

/// Words by which a question offers a choice or asks for more than yes or no, so that it cannot be negated as a whole.
static CHOICE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:or|either|how|why|what|which|who|whom|whose|where|when|whether|if|yes|not|[a-z]+n['’]t|no|never|without)\b",
    )
});

/// A polar question that can be negated as a whole: without "or", a second question or a negation.
pub(super) fn negatable(question: &str) -> Option<(&str, &str)> {
    polar(question).filter(|(_, rest)| !CHOICE.is_match(rest))
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern")
}

/// The question as a statement; none where that would need a parser.
pub(super) fn statement(question: &str) -> Option<String> {
    let (first, rest) = negatable(question)?;
    let there = rest.strip_prefix("there ");
    match (first, there) {
        ("Is" | "Are" | "Was" | "Were", Some(rest)) => {
            Some(format!("there {} {rest}", first.to_lowercase()))
        }
        ("Do", None) => (!rest.starts_with("you ")).then(|| rest.to_owned()),
        ("Does", None) => {
            let verb = verb(rest)?;
            let (before, after) = rest.split_at(verb.start);
            let (word, after) = after.split_at(verb.len);
            let word = match word {
                "have" => "has".to_owned(),
                word if word.ends_with('s') => format!("{word}es"),
                word => format!("{word}s"),
            };
            Some(format!("{before}{word}{after}"))
        }
        _ => None,
    }
}

/// "Is there a role …?" as "Is it true that there is no role …?".
pub(super) fn there_is_no(question: &str) -> Option<String> {
    static OPENING: LazyLock<Regex> =
        LazyLock::new(|| regex(r"^there (?:an?|any) (?:still |real )?(?P<what>[a-z-]+)\b"));
    let (first, rest) = negatable(question)?;
    let what = OPENING.captures(rest)?.name("what")?;
    // "a lot of", "a few": "no" is not the opposite.
    if matches!(
        what.as_str(),
        "lot" | "few" | "number" | "bit" | "little" | "more" | "less"
    ) {
        return None;
    }
    let is = match first {
        "Is" | "Are" | "Was" | "Were" => first.to_lowercase(),
        _ => return None,
    };
    Some(format!(
        "Is it true that there {is} no {}?",
        &rest[what.start()..]
    ))
}

/// "Does X reduce Y?" as "Does X fail to reduce Y?", adverbs staying with their verb.
pub(super) fn fail_to(question: &str) -> Option<String> {
    /// Words with which negating the whole differs from negating the verb, or that "fail to" does not fit.
    static SCOPE: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?i)\b(?:all|every|each|both|most|many|some|any|few|only|always|still|really|actually|also|often|alone)\b",
        )
    });
    let (first, rest) = negatable(question)?;
    if !matches!(first, "Do" | "Does" | "Did") {
        return None;
    }
    let verb = verb(rest)?;
    if SCOPE.is_match(&rest[..verb.start])
        || !FAILS.contains(&&rest[verb.start..verb.start + verb.len])
    {
        return None;
    }
    let (before, after) = rest.split_at(verb.adverb);
    Some(format!("{first} {before}fail to {after}?"))
}

/// Base forms that are not nouns and take `s` in the third person (except "have").
const VERBS: &[&str] = &[
    "reduce",
    "improve",
    "affect",
    "predict",
    "prevent",
    "enhance",
    "inhibit",
    "alter",
    "induce",
    "correlate",
    "reflect",
    "contribute",
    "provide",
    "have",
    "require",
    "depend",
    "differ",
    "exist",
    "remain",
    "persist",
    "activate",
    "regulate",
    "modulate",
    "facilitate",
    "alleviate",
    "worsen",
    "impair",
    "suppress",
    "stimulate",
];
/// Verbs that fit "fail to" with any object ("fail to provide lower quality" does not).
const FAILS: &[&str] = &[
    "reduce",
    "improve",
    "affect",
    "predict",
    "prevent",
    "enhance",
    "inhibit",
    "alter",
    "induce",
    "correlate",
    "reflect",
    "contribute",
    "increase",
    "decrease",
    "influence",
    "activate",
    "regulate",
    "facilitate",
    "alleviate",
    "suppress",
    "stimulate",
];
/// Words that are also nouns; they are verbs if a determiner follows.
const WITH_DETERMINER: &[&str] = &["increase", "decrease", "influence", "cause"];
const DETERMINERS: &[&str] = &["the", "a", "an", "its", "their", "our"];
/// Words after which the verb belongs to another clause or follows another verb.
static ANOTHER_CLAUSE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:that|to|help|helps|make|makes|let|allow|enable|lead|leads|mean|result|play|cause|need|want|seem|appear|tend|matter|have|change|increase|decrease|influence|impact|benefit|lower|protect|differ|and)\b",
    )
});

/// The position of a verb.
struct Verb {
    start: usize,
    len: usize,
    /// Where its adverbs begin.
    adverb: usize,
}

/// The main verb after "Do", "Does" or "Did", if it can be found without a parser: the first word of a list of
/// verbs, with nothing before it that opens another clause.
fn verb(rest: &str) -> Option<Verb> {
    let mut words: Vec<(usize, &str)> = Vec::new();
    let mut start = 0;
    for word in rest.split(' ') {
        words.push((start, word));
        start += word.len() + 1;
    }
    let place = words.iter().enumerate().position(|(place, (_, word))| {
        let next = words.get(place + 1).map(|(_, next)| *next);
        VERBS.contains(word)
            || WITH_DETERMINER.contains(word)
                && next.is_some_and(|next| DETERMINERS.contains(&next))
    })?;
    // There has to be a subject.
    let (start, word) = *words.get(place).filter(|_| place > 0)?;
    if ANOTHER_CLAUSE.is_match(&rest[..start]) {
        return None;
    }
    let before = words[..place].iter().rev();
    let adverbs = before
        .take_while(|(_, word)| word.ends_with("ly") && word.len() > 4)
        .count();
    // An adverb alone is no subject.
    let adverb = words.get(place - adverbs).filter(|_| adverbs < place)?.0;
    Some(Verb {
        start,
        len: word.len(),
        adverb,
    })
}

/// "with X or Y" and "between X and Y" in the other order.
pub(super) fn reordered(question: &str) -> Option<String> {
    static PAIR: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"\b(?P<before>between|of|with|in|by|for|from|after|before|during|without|either) (?P<one>[a-z][a-z-]{2,}) (?P<and>or|and) (?P<other>[a-z][a-z-]{2,})(?P<behind>\?| (?:in|after|for|during|with|on|at|as|by|to|when|before|is|are)\b)",
        )
    });
    let found = PAIR.captures(question)?;
    let part = |name: &str| found.name(name).map(|part| part.as_str());
    let (before, and) = (part("before")?, part("and")?);
    let (one, other) = (part("one")?, part("other")?);
    // "and" makes a list anywhere; only after "between" is it certain that neither word belongs to its surroundings.
    let joined = match and {
        "and" => before == "between",
        _ => before != "between",
    };
    let fixed = [
        "not", "more", "less", "without", "with", "after", "before", "later", "above", "below",
        "another",
    ];
    let free = |word: &str| !fixed.contains(&word) && !word.ends_with("ing");
    if !joined || !free(one) || !free(other) {
        return None;
    }
    let (start, end) = (found.name("one")?.start(), found.name("other")?.end());
    Some(format!(
        "{}{other} {and} {one}{}",
        &question[..start],
        &question[end..]
    ))
}
