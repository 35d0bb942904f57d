//! A question put another way, with what must become of its answer.
//!
//! Each rule says for which questions it holds; for all others it makes nothing. A *polar* question is one sentence
//! that opens with an auxiliary ("Is", "Does", "Can", …) and has one question mark, at its end.
//!
//! What is not here, because it is not sound: synonyms (not the same claim), the order of a context's sentences
//! (later ones lean on earlier ones), the order of listed figures ("respectively"), "Is X not Y?" (English answers
//! it both ways), "Can X fail to …?" (true beside "Can X …?").

use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};
use verdict_data::{Item, Label};

use super::abbreviations::spelled_out;
use super::spelling::respelled;

/// What must become of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Must {
    /// It stays.
    Same,
    /// Yes becomes No and No becomes Yes; Uncertain stays.
    Flipped,
}

impl Must {
    /// What must become of a label.
    pub fn of(self, label: Label) -> Label {
        match (self, label) {
            (Must::Flipped, Label::Yes) => Label::No,
            (Must::Flipped, Label::No) => Label::Yes,
            (_, label) => label,
        }
    }
}

/// How a variant is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// A small letter at the beginning of a polar question.
    SmallFirstLetter,
    /// No question mark at the end.
    NoQuestionMark,
    /// Two blanks between words.
    DoubledBlanks,
    /// "Please answer: …" before a polar question.
    PoliteFrame,
    /// "Is it true that …?" for questions whose statement can be made without parsing them: with "Do", with
    /// "Is there", and with "Does" before a verb that is no noun.
    IsItTrue,
    /// The other of British and American spelling.
    Spelling,
    /// Abbreviations that the question defines, spelled out.
    SpelledOut,
    /// "X or Y" and "between X and Y", both single words with a preposition before and nothing behind that
    /// belongs to one of them, in the other order.
    Order,
    /// "Is the answer to the following question no? …" before a polar question.
    IsTheAnswerNo,
    /// "Is it false that …?", for the questions of [`Rule::IsItTrue`].
    IsItFalse,
    /// "Is it true that there is no …?" for "Is there a …?" and "Is there any …?".
    ThereIsNo,
    /// "Does X fail to …?" for "Does X …?", before a verb that is no noun.
    FailTo,
}

impl Rule {
    /// Every rule, those that keep the answer first.
    pub const ALL: [Rule; 12] = [
        Rule::SmallFirstLetter,
        Rule::NoQuestionMark,
        Rule::DoubledBlanks,
        Rule::PoliteFrame,
        Rule::IsItTrue,
        Rule::Spelling,
        Rule::SpelledOut,
        Rule::Order,
        Rule::IsTheAnswerNo,
        Rule::IsItFalse,
        Rule::ThereIsNo,
        Rule::FailTo,
    ];

    /// The name in ids and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Rule::SmallFirstLetter => "small-first-letter",
            Rule::NoQuestionMark => "no-question-mark",
            Rule::DoubledBlanks => "doubled-blanks",
            Rule::PoliteFrame => "polite-frame",
            Rule::IsItTrue => "is-it-true",
            Rule::Spelling => "spelling",
            Rule::SpelledOut => "spelled-out",
            Rule::Order => "order",
            Rule::IsTheAnswerNo => "is-the-answer-no",
            Rule::IsItFalse => "is-it-false",
            Rule::ThereIsNo => "there-is-no",
            Rule::FailTo => "fail-to",
        }
    }

    /// What must become of the answer.
    pub fn must(self) -> Must {
        match self {
            Rule::IsTheAnswerNo | Rule::IsItFalse | Rule::ThereIsNo | Rule::FailTo => Must::Flipped,
            _ => Must::Same,
        }
    }

    /// The question put another way; none where the rule does not hold for it.
    pub fn apply(self, question: &str) -> Option<String> {
        let question = question.trim();
        match self {
            Rule::SmallFirstLetter => polar(question).map(|_| small(question)),
            Rule::NoQuestionMark => question
                .strip_suffix('?')
                .map(|text| text.trim_end().to_owned()),
            Rule::DoubledBlanks => question.contains(' ').then(|| question.replace(' ', "  ")),
            Rule::PoliteFrame => polar(question).map(|_| format!("Please answer: {question}")),
            Rule::IsItTrue => statement(question).map(|text| format!("Is it true that {text}?")),
            Rule::Spelling => respelled(question),
            Rule::SpelledOut => spelled_out(question),
            Rule::Order => reordered(question),
            Rule::IsTheAnswerNo => negatable(question)
                .map(|_| format!("Is the answer to the following question no? {question}")),
            Rule::IsItFalse => {
                negatable(question)?;
                statement(question).map(|text| format!("Is it false that {text}?"))
            }
            Rule::ThereIsNo => there_is_no(question),
            Rule::FailTo => fail_to(question),
        }
    }
}

/// A question put another way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// Id of the item that it was made of.
    pub of: String,
    /// How it was made.
    pub rule: Rule,
    /// What must become of the answer: the rule's.
    pub must: Must,
    /// The variant: id `{of}~{rule}`, the question put another way, the label that it must have, and all else the
    /// original's.
    pub item: Item,
}

/// Every variant that can be made of an item, in the order of [`Rule::ALL`].
pub fn variants(item: &Item) -> Vec<Variant> {
    let make = |rule: Rule| {
        let question = rule.apply(&item.question)?;
        let label = rule.must().of(item.label);
        let context = item.context.as_deref();
        Some(Variant {
            of: item.id.clone(),
            rule,
            must: rule.must(),
            item: Item {
                id: format!("{}~{}", item.id, rule.as_str()),
                text: Item::render(context, &question, label, &item.rationale),
                question,
                label,
                ..item.clone()
            },
        })
    };
    Rule::ALL.into_iter().filter_map(make).collect()
}

const AUXILIARIES: &[&str] = &[
    "Is", "Are", "Was", "Were", "Do", "Does", "Did", "Can", "Could", "Should", "Would", "Will",
    "Has", "Have", "Had", "May", "Might", "Must",
];

/// The auxiliary and the rest, without the question mark, of a polar question.
fn polar(question: &str) -> Option<(&str, &str)> {
    let (first, rest) = question.split_once(' ')?;
    let rest = rest.strip_suffix('?')?.trim_end();
    let one =
        !rest.contains(['?', '!', ':', '"']) && verdict_data::sentences(question).count() == 1;
    (one && AUXILIARIES.contains(&first)).then_some((first, rest))
}

/// Words by which a question offers a choice or asks for more than yes or no: it cannot be denied as a whole.
static CHOICE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:or|either|how|why|what|which|who|whom|whose|where|when|whether|if|yes|not|n't|no|never|without)\b",
    )
});

/// A polar question that can be denied as a whole: without "or", without a second question, without a negation.
fn negatable(question: &str) -> Option<(&str, &str)> {
    polar(question).filter(|(_, rest)| !CHOICE.is_match(rest))
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern")
}

fn small(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_lowercase());
    first.into_iter().flatten().chain(letters).collect()
}

/// What the question asks about, as a statement; none where that would want a parser.
fn statement(question: &str) -> Option<String> {
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
            let word = if word == "have" {
                "has".to_owned()
            } else {
                format!("{word}s")
            };
            Some(format!("{before}{word}{after}"))
        }
        _ => None,
    }
}

/// "Is there a role …?" as "Is it true that there is no role …?".
fn there_is_no(question: &str) -> Option<String> {
    static OPENING: LazyLock<Regex> =
        LazyLock::new(|| regex(r"^there (?:an?|any) (?:still |real )?(?P<what>[a-z-]+)\b"));
    let (first, rest) = negatable(question)?;
    let what = OPENING.captures(rest)?.name("what")?;
    // "a lot of", "a way": one of many, of which "no" is not the opposite in so many words.
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
fn fail_to(question: &str) -> Option<String> {
    /// What a denial of the whole and one of the verb alone treat differently, or what "fail to" does not fit.
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

/// Base forms that are no nouns and take `s` in the third person ("have" aside).
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
    "vary",
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
/// Those of which "fail to" is good English.
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
    "provide",
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
/// Nouns as well: verbs where a determiner follows at once.
const WITH_DETERMINER: &[&str] = &["increase", "decrease", "influence", "cause"];
const DETERMINERS: &[&str] = &["the", "a", "an", "its", "their", "our"];
/// Before these words the verb belongs to another clause, or another verb stood before it.
static ANOTHER_CLAUSE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:that|to|help|helps|make|makes|let|allow|enable|lead|leads|mean|result|play|cause|need|want|seem|appear|tend|matter|have|change|increase|decrease|influence|impact|benefit|lower|protect|differ|hospitals?|and)\b",
    )
});

/// Where a verb stands.
struct Verb {
    start: usize,
    len: usize,
    /// Where its adverbs begin.
    adverb: usize,
}

/// The main verb behind "Do", "Does" or "Did", where it can be told without a parser: the first word of a list of
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
    // Something must be the subject.
    let (start, word) = *words.get(place).filter(|_| place > 0)?;
    if ANOTHER_CLAUSE.is_match(&rest[..start]) || word == "vary" {
        return None;
    }
    let before = words[..place].iter().rev();
    let adverbs = before
        .take_while(|(_, word)| word.ends_with("ly") && word.len() > 4)
        .count();
    // A subject of nothing but an adverb is none.
    let adverb = words.get(place - adverbs).filter(|_| adverbs < place)?.0;
    Some(Verb {
        start,
        len: word.len(),
        adverb,
    })
}

/// "with X or Y" and "between X and Y" in the other order.
fn reordered(question: &str) -> Option<String> {
    static PAIR: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"\b(?P<before>between|of|with|in|by|for|from|after|before|during|without|either) (?P<one>[a-z][a-z-]{2,}) (?P<and>or|and) (?P<other>[a-z][a-z-]{2,})(?P<behind>\?| (?:in|after|for|during|with|on|at|as|by|to|when|before|is|are)\b)",
        )
    });
    let found = PAIR.captures(question)?;
    let part = |name: &str| found.name(name).map(|part| part.as_str());
    let (before, and) = (part("before")?, part("and")?);
    let (one, other) = (part("one")?, part("other")?);
    // "and" is a list everywhere; only between two is it sure that neither has a share in what surrounds them.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_makes_what_it_says() {
        let statins = "Do preoperative statins reduce atrial fibrillation after surgery?";
        for (rule, question, made) in [
            (
                Rule::SmallFirstLetter,
                "Is p53 mutated?",
                Some("is p53 mutated?"),
            ),
            (Rule::SmallFirstLetter, "HIV: is it common?", None),
            (
                Rule::NoQuestionMark,
                "Is p53 mutated?",
                Some("Is p53 mutated"),
            ),
            (
                Rule::DoubledBlanks,
                "Is p53 mutated?",
                Some("Is  p53  mutated?"),
            ),
            (
                Rule::PoliteFrame,
                "Is p53 mutated?",
                Some("Please answer: Is p53 mutated?"),
            ),
            (Rule::PoliteFrame, "Sutures: does it matter?", None),
            (
                Rule::IsItTrue,
                statins,
                Some(
                    "Is it true that preoperative statins reduce atrial fibrillation after surgery?",
                ),
            ),
            (
                Rule::IsItTrue,
                "Does aspirin significantly reduce stroke?",
                Some("Is it true that aspirin significantly reduces stroke?"),
            ),
            (
                Rule::IsItTrue,
                "Does aspirin have a role in stroke?",
                Some("Is it true that aspirin has a role in stroke?"),
            ),
            (
                Rule::IsItTrue,
                "Is there a need for pelvic CT?",
                Some("Is it true that there is a need for pelvic CT?"),
            ),
            (Rule::IsItTrue, "Does dose increase matter?", None),
            (Rule::IsItTrue, "Is aspirin safe?", None),
            (
                Rule::IsItFalse,
                statins,
                Some(
                    "Is it false that preoperative statins reduce atrial fibrillation after surgery?",
                ),
            ),
            (
                Rule::IsItFalse,
                "Do statins or fibrates reduce stroke?",
                None,
            ),
            (
                Rule::IsTheAnswerNo,
                "Is aspirin safe?",
                Some("Is the answer to the following question no? Is aspirin safe?"),
            ),
            (Rule::IsTheAnswerNo, "Is aspirin safe or not?", None),
            (
                Rule::ThereIsNo,
                "Is there a need for pelvic CT?",
                Some("Is it true that there is no need for pelvic CT?"),
            ),
            (
                Rule::ThereIsNo,
                "Are there any side effects of aspirin?",
                Some("Is it true that there are no side effects of aspirin?"),
            ),
            (Rule::ThereIsNo, "Is there evidence of harm?", None),
            (
                Rule::FailTo,
                statins,
                Some("Do preoperative statins fail to reduce atrial fibrillation after surgery?"),
            ),
            (
                Rule::FailTo,
                "Does aspirin significantly reduce stroke?",
                Some("Does aspirin fail to significantly reduce stroke?"),
            ),
            (
                Rule::FailTo,
                "Does dose influence the outcome?",
                Some("Does dose fail to influence the outcome?"),
            ),
            (Rule::FailTo, "Can aspirin reduce stroke?", None),
            (Rule::FailTo, "Do all patients improve?", None),
            (
                Rule::FailTo,
                "Do drugs that reduce weight improve sleep?",
                None,
            ),
            (
                Rule::FailTo,
                "Does the ability to predict stroke improve care?",
                None,
            ),
            (Rule::FailTo, "Does it help predict stroke?", None),
            (
                Rule::Order,
                "Is it common in patients with asthma or bronchitis?",
                Some("Is it common in patients with bronchitis or asthma?"),
            ),
            (
                Rule::Order,
                "Is there a difference between aspirin and warfarin in stroke?",
                Some("Is there a difference between warfarin and aspirin in stroke?"),
            ),
            (
                Rule::Order,
                "Is it common with breast cancer or lymphoma?",
                None,
            ),
            (
                Rule::Order,
                "Is it common with lymphoma or breast cancer?",
                None,
            ),
            (Rule::Order, "Is it common with aspirin and warfarin?", None),
            (
                Rule::Spelling,
                "Is the tumour benign?",
                Some("Is the tumor benign?"),
            ),
            (
                Rule::SpelledOut,
                "Is atrial fibrillation (AF) common?",
                Some("Is atrial fibrillation common?"),
            ),
        ] {
            assert_eq!(
                rule.apply(question).as_deref(),
                made,
                "{rule:?}: {question}"
            );
        }
    }

    #[test]
    fn variants_carry_the_label_that_they_must_have() {
        let question = "Do statins reduce stroke?";
        for label in Label::ALL {
            let item = Item {
                id: "a".into(),
                question: question.into(),
                label,
                rationale: "They do.".into(),
                source: "own".into(),
                group: "g".into(),
                context: Some("A trial.".into()),
                text: String::new(),
            };
            let made = variants(&item);
            let rules: Vec<Rule> = made.iter().map(|variant| variant.rule).collect();
            assert!(rules.is_sorted() && rules.len() == 8, "{rules:?}");
            for variant in made {
                let turned = match (variant.rule.must(), label) {
                    (Must::Flipped, Label::Yes) => Label::No,
                    (Must::Flipped, Label::No) => Label::Yes,
                    _ => label,
                };
                let own = &variant.item;
                assert_eq!((own.label, variant.must), (turned, variant.rule.must()));
                assert_eq!(own.id, format!("a~{}", variant.rule.as_str()));
                assert_ne!(own.question, question);
                assert_eq!((&own.group, &own.context), (&item.group, &item.context));
                let text = Item::render(Some("A trial."), &own.question, turned, "They do.");
                assert_eq!(own.text, text);
            }
        }
    }

    #[test]
    fn names_are_those_of_the_files() {
        for rule in Rule::ALL {
            let written = serde_json::to_string(&rule).unwrap();
            assert_eq!(written, format!("\"{}\"", rule.as_str()));
        }
    }
}
