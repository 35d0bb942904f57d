//! Variants of questions: paraphrases, whose answer stays, and negations, whose answer is the opposite.
//!
//! Each rule applies to some questions and makes no variant of others. A *polar* question is one sentence that begins with
//! an auxiliary ("Is", "Does", "Can", …) and has one question mark, at its end.
//!
//! Checked by reading: 123 variants of published questions, sampled by rule in two rounds, and all variants of "fail to",
//! "spelled out" and "there is no". All 123 have the expected answer, and 120 are sound English; three repeat an error of
//! their original ("Are there any … antibody approved").
//!
//! Not included, because unsound: synonyms (another claim), the order of a context's sentences (later ones depend on
//! earlier ones), the order of listed numbers ("respectively"), "Is X not Y?" (answered both ways in English), "Can X fail
//! to …?" (can be true together with "Can X …?").

use serde::{Deserialize, Serialize};
use verdict_data::{Item, Label, TwinRule};

use super::abbreviations::spelled_out;
use super::grammar::{fail_to, negatable, polar, reordered, statement, there_is_no};
use super::spelling::respelled;

/// The expected change of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Expected {
    /// The answer stays: the question is paraphrased.
    Same,
    /// Yes becomes No and No becomes Yes; Uncertain stays: the question is negated.
    Flipped,
}

impl Expected {
    /// The expected label of the variant, from that of the original.
    pub fn of(self, label: Label) -> Label {
        match (self, label) {
            (Expected::Flipped, Label::Yes) => Label::No,
            (Expected::Flipped, Label::No) => Label::Yes,
            (_, label) => label,
        }
    }
}

impl From<TwinRule> for Expected {
    /// The expected change of a generated question's twin.
    fn from(rule: TwinRule) -> Expected {
        match rule {
            TwinRule::OppositeClaim => Expected::Flipped,
            TwinRule::OtherWording => Expected::Same,
        }
    }
}

/// How a variant is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// A lower-case letter at the beginning of a polar question.
    SmallFirstLetter,
    /// No question mark at the end.
    NoQuestionMark,
    /// Two spaces between words.
    DoubledBlanks,
    /// "Please answer: …" before a polar question.
    PoliteFrame,
    /// "Is it true that …?" for questions that can be turned into a statement without a parser: with "Do", with
    /// "Is there", and with "Does" before a verb that is not also a noun.
    IsItTrue,
    /// American spelling for British, or the reverse.
    Spelling,
    /// Abbreviations that the question defines, spelled out.
    SpelledOut,
    /// "X or Y" and "between X and Y" in the other order, for single words after a preposition without anything
    /// following that belongs to one of them.
    Order,
    /// "Is the answer to the following question no? …" before a polar question.
    IsTheAnswerNo,
    /// "Is it false that …?", for the questions of [`Rule::IsItTrue`].
    IsItFalse,
    /// "Is it true that there is no …?" for "Is there a …?" and "Is there any …?".
    ThereIsNo,
    /// "Does X fail to …?" for "Does X …?", before a verb that is not also a noun.
    FailTo,
}

impl Rule {
    /// All rules, paraphrases first.
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

    /// The expected change of the answer.
    pub fn expected(self) -> Expected {
        match self {
            Rule::IsTheAnswerNo | Rule::IsItFalse | Rule::ThereIsNo | Rule::FailTo => {
                Expected::Flipped
            }
            _ => Expected::Same,
        }
    }

    /// The variant of a question; none where the rule does not apply.
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

/// A variant of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Id of the original.
    pub of: String,
    /// The rule.
    pub rule: Rule,
    /// The expected change of the answer.
    pub expected: Expected,
    /// The variant, with id `{of}~{rule}`, its question and its label; everything else is the original's.
    pub item: Item,
}

/// All variants of a question, in the order of [`Rule::ALL`].
pub fn variants(item: &Item) -> Vec<Variant> {
    let make = |rule: Rule| {
        let question = rule.apply(&item.question)?;
        let label = rule.expected().of(item.label);
        Some(Variant {
            of: item.id.clone(),
            rule,
            expected: rule.expected(),
            item: Item {
                id: format!("{}~{}", item.id, rule.as_str()),
                question,
                label,
                ..item.clone()
            },
        })
    };
    Rule::ALL.into_iter().filter_map(make).collect()
}

/// The text with a lower-case first letter.
fn small(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_lowercase());
    first.into_iter().flatten().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_makes_its_variant() {
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
                "Does aspirin suppress pain?",
                Some("Is it true that aspirin suppresses pain?"),
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
                Rule::IsTheAnswerNo,
                "Do drugs that don't act on pain help?",
                None,
            ),
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
    fn variants_have_the_expected_label() {
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
            };
            let made = variants(&item);
            let rules: Vec<Rule> = made.iter().map(|variant| variant.rule).collect();
            assert!(rules.is_sorted() && rules.len() == 8, "{rules:?}");
            for variant in made {
                let turned = match (variant.rule.expected(), label) {
                    (Expected::Flipped, Label::Yes) => Label::No,
                    (Expected::Flipped, Label::No) => Label::Yes,
                    _ => label,
                };
                let own = &variant.item;
                assert_eq!(
                    (own.label, variant.expected),
                    (turned, variant.rule.expected())
                );
                assert_eq!(own.id, format!("a~{}", variant.rule.as_str()));
                assert_ne!(own.question, question);
                assert_eq!((&own.group, &own.context), (&item.group, &item.context));
                assert_eq!(own.rationale, item.rationale);
            }
        }
    }

    #[test]
    fn twins_of_generated_questions_do_what_their_rule_says() {
        let twins = verdict_data::stats_twins(60, 3, true);
        assert!(twins.len() >= 60);
        for twin in twins {
            let must = Expected::from(twin.rule);
            assert_eq!(must.of(twin.original.label), twin.variant.label);
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
