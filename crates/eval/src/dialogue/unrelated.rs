//! Facts that change nothing, because they are about another question.
//!
//! A sentence from the context of another question is taken where the two publications share no MeSH heading (but check
//! tags, which most publications have) and where neither the other question nor the sentence has a content word of the
//! question. The other question is named with it: alone, "Mortality was lower in the treated group" could be about this
//! one.

use std::collections::HashSet;

use verdict_data::{Item, hash_words, sentences};

use crate::benchmark::Benchmark;

/// Part of every draw.
const SEED: &str = "20261125";
/// Lengths of a sentence that can be read alone, in characters.
const LENGTHS: std::ops::RangeInclusive<usize> = 40..=300;
/// Characters of a word that are compared, so that "surgery" and "surgical" are one.
const STEM: usize = 4;

/// NLM's check tags and the commonest headings about whom a study observed: they say nothing of its subject.
const CHECK_TAGS: [&str; 24] = [
    "Adolescent",
    "Adult",
    "Aged",
    "Aged, 80 and over",
    "Animals",
    "Child",
    "Child, Preschool",
    "Cohort Studies",
    "Female",
    "Follow-Up Studies",
    "Humans",
    "Infant",
    "Infant, Newborn",
    "Male",
    "Mice",
    "Middle Aged",
    "Pregnancy",
    "Prospective Studies",
    "Rats",
    "Retrospective Studies",
    "Risk Factors",
    "Surveys and Questionnaires",
    "Treatment Outcome",
    "Young Adult",
];

/// Words of questions about anything.
const COMMON: [&str; 30] = [
    "does", "with", "that", "this", "from", "have", "been", "were", "than", "which", "there",
    "their", "after", "among", "between", "during", "patients", "study", "studies", "could",
    "should", "other", "using", "used", "into", "when", "what", "they", "these", "more",
];

/// Questions whose contexts facts are taken from.
pub(super) struct OtherQuestions<'b>(Vec<OtherQuestion<'b>>);

struct OtherQuestion<'b> {
    item: &'b Item,
    context: &'b str,
    headings: HashSet<&'b str>,
    words: HashSet<String>,
}

impl<'b> OtherQuestions<'b> {
    /// All questions with a context.
    pub(super) fn of(benchmarks: &'b [Benchmark]) -> OtherQuestions<'b> {
        let mut all = Vec::new();
        for benchmark in benchmarks {
            for (place, item) in benchmark.items.iter().enumerate() {
                let Some(context) = item.context.as_deref() else {
                    continue;
                };
                all.push(OtherQuestion {
                    item,
                    context,
                    headings: subjects(benchmark.headings.get(place)),
                    words: content_words(&item.question),
                });
            }
        }
        OtherQuestions(all)
    }

    /// A fact that changes nothing about a question whose publication has these headings; none where there is none.
    pub(super) fn fact(&self, item: &Item, headings: Option<&Vec<String>>) -> Option<String> {
        let (words, headings) = (content_words(&item.question), subjects(headings));
        let number = |purpose: &str, count: usize| {
            let hash = hash_words(&[SEED, purpose, &item.id]);
            (hash % count.max(1) as u64) as usize
        };
        let start = number("question", self.0.len());
        let others = self.0[start..].iter().chain(&self.0[..start]);
        let unrelated = others.filter(|other| {
            other.item.group != item.group
                && other.words.is_disjoint(&words)
                && other.headings.is_disjoint(&headings)
        });
        unrelated
            .filter_map(|other| {
                let found: Vec<&str> = sentences(other.context)
                    .map(str::trim)
                    .filter(|text| LENGTHS.contains(&text.chars().count()))
                    .filter(|text| content_words(text).is_disjoint(&words))
                    .collect();
                let sentence = found.get(number("sentence", found.len()))?;
                Some(format!(
                    "On another question ({}): {sentence}",
                    other.item.question.trim()
                ))
            })
            .next()
    }
}

/// The headings about the subject of a publication.
fn subjects(headings: Option<&Vec<String>>) -> HashSet<&str> {
    let all = headings.into_iter().flatten().map(String::as_str);
    all.filter(|heading| !CHECK_TAGS.contains(heading))
        .collect()
}

/// The beginnings of the words that say what a text is about.
fn content_words(text: &str) -> HashSet<String> {
    let text = text.to_lowercase();
    let words = text.split(|letter: char| !letter.is_alphanumeric());
    words
        .filter(|word| word.chars().count() >= 4 && !COMMON.contains(word))
        .map(|word| word.chars().take(STEM).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use verdict_data::Label;

    use super::*;

    fn item(id: &str, question: &str, context: &str) -> Item {
        Item {
            id: id.into(),
            question: question.into(),
            label: Label::Yes,
            rationale: String::new(),
            source: "jsonl".into(),
            group: id.into(),
            context: Some(context.into()),
        }
    }

    #[test]
    fn a_fact_shares_no_word_and_no_subject_with_the_question() {
        let question = item(
            "a",
            "Does early surgery improve survival?",
            "It was long ago.",
        );
        let others = [
            (
                item(
                    "b",
                    "Is surgical drainage needed?",
                    "Drains were left in place for two whole days.",
                ),
                vec![],
            ),
            (
                item(
                    "c",
                    "Is asthma commoner in towns?",
                    "Survival was not recorded in any of the districts.",
                ),
                vec!["Asthma".to_owned()],
            ),
            (
                item(
                    "d",
                    "Are dental implants lasting?",
                    "Implants were placed by two dentists in one clinic.",
                ),
                vec!["Survival Rate".to_owned(), "Humans".to_owned()],
            ),
            (
                item(
                    "e",
                    "Is hearing worse in winter?",
                    "Audiograms were taken by trained staff each month.",
                ),
                vec!["Hearing".to_owned(), "Humans".to_owned()],
            ),
        ];
        let headings = vec!["Survival Rate".to_owned(), "Humans".to_owned()];
        let benchmark = |taken: &[usize]| Benchmark {
            items: taken.iter().map(|place| others[*place].0.clone()).collect(),
            headings: taken.iter().map(|place| others[*place].1.clone()).collect(),
            ..Benchmark::default()
        };
        let fact = |taken: &[usize]| {
            let benchmarks = [benchmark(taken)];
            OtherQuestions::of(&benchmarks).fact(&question, Some(&headings))
        };
        assert_eq!(
            fact(&[0, 1, 2, 3]).as_deref(),
            Some(
                "On another question (Is hearing worse in winter?): Audiograms were taken by trained staff each month."
            )
        );
        assert_eq!(fact(&[0, 1, 2]), None);
        assert_eq!(fact(&[]), None);
    }
}
