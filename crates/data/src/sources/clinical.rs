//! The built-in clinical questions: a demonstration, not medical advice.
//!
//! The questions were written for this project, on settled points (Yes, No) and on points where the
//! evidence conflicts or is missing (Uncertain). They show what the tool does without a download;
//! they have not been reviewed by clinicians and must not guide care. Every topic holds as many
//! questions of each label, and each way to open a question (Is, Does, Can, Should) is equally
//! frequent under each label, so that wording alone predicts little of the answer.

use serde::Deserialize;

use crate::{Label, RawItem};

/// One JSON object a line: `id`, `question`, `label`, `rationale`, `topic`.
const FILE: &str = include_str!("clinical.jsonl");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    question: String,
    label: Label,
    rationale: String,
    /// Field of medicine; the first part of the id. Kept for readers of the file and for its tests.
    #[cfg_attr(not(test), allow(dead_code))]
    topic: String,
}

/// The embedded questions, in the order of the file.
pub(super) fn clinical() -> Vec<RawItem> {
    lines()
        .map(|line| RawItem {
            id: format!("clinical:{}", line.id),
            question: line.question,
            label: Some(line.label),
            answer: line.rationale,
            source: "clinical",
            group: vec![format!("clinical:{}", line.id)],
            context: None,
            split: None,
            year: None,
            mesh: Vec::new(),
            results_from: None,
        })
        .collect()
}

fn lines() -> impl Iterator<Item = Line> {
    FILE.lines()
        .map(|line| serde_json::from_str(line).expect("the embedded file is well formed"))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use regex::Regex;

    use super::{clinical, lines};
    use crate::Label;

    /// Content words of a text, for telling near copies.
    fn words(text: &str) -> BTreeSet<String> {
        text.to_lowercase()
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| word.len() > 3)
            .map(str::to_owned)
            .collect()
    }

    fn overlap(a: &BTreeSet<String>, b: &BTreeSet<String>) -> f64 {
        a.intersection(b).count() as f64 / a.union(b).count() as f64
    }

    #[test]
    fn labels_topics_and_openings_are_balanced() {
        let mut topics: BTreeMap<String, [usize; 3]> = BTreeMap::new();
        let mut openings: BTreeMap<String, [usize; 3]> = BTreeMap::new();
        let mut lengths = [0.0; 3];
        let mut counts = [0; 3];
        for line in lines() {
            let label = line.label.index();
            counts[label] += 1;
            lengths[label] += line.question.split(' ').count() as f64;
            topics.entry(line.topic).or_default()[label] += 1;
            let opening = line.question.split(' ').next().unwrap_or_default();
            openings.entry(opening.to_owned()).or_default()[label] += 1;
        }
        assert!(counts[0] >= 82, "{counts:?}");
        assert_eq!(counts, [counts[0]; 3]);
        assert!(topics.len() >= 20);
        for (name, counts) in topics.iter().chain(&openings) {
            assert_eq!(counts, &[counts[0]; 3], "{name}");
        }
        let mean = lengths.map(|words| words / counts[0] as f64);
        assert!(
            mean.iter().all(|words| (words - mean[0]).abs() < 0.5),
            "{mean:?}"
        );
    }

    #[test]
    fn every_question_is_one_and_every_rationale_one_sentence() {
        let label_word = Regex::new("(?i)^(yes|no|uncertain|maybe)\\b").unwrap();
        for line in lines() {
            let id = &line.id;
            assert!(
                line.question.ends_with('?') && line.question.len() > 20,
                "{id}"
            );
            assert_eq!(line.question.matches('?').count(), 1, "{id}");
            assert!(!line.question.contains('.'), "{id}");
            let words = line.rationale.split(' ').count();
            assert!((12..=35).contains(&words), "{id}: {words} words");
            assert!(line.rationale.ends_with('.'), "{id}");
            assert_eq!(
                line.rationale.matches(['.', '!', '?', ';']).count(),
                1,
                "{id}"
            );
            assert!(line.rationale.starts_with(char::is_uppercase), "{id}");
            assert!(!label_word.is_match(&line.rationale), "{id}");
            assert!(line.id.starts_with(&line.topic.replace(' ', "-")), "{id}");
        }
    }

    #[test]
    fn no_rationale_holds_a_citation() {
        let citation = Regex::new(
            r"(?i)pmid|doi|nct\d|isrctn|https?:|www\.|et al|\[\d|\((19|20)\d\d\)|\b(19|20)\d\d\b|cochrane|lancet",
        )
        .unwrap();
        for line in lines() {
            assert!(
                !citation.is_match(&line.rationale),
                "{}: {}",
                line.id,
                line.rationale
            );
        }
    }

    #[test]
    fn cleaning_changes_nothing() {
        for row in clinical() {
            let cleaned = crate::rationale::clean(&row.answer, &crate::Rules::default());
            assert_eq!(
                (cleaned.text, cleaned.cut, cleaned.lead),
                (row.answer, false, None)
            );
            assert_eq!(crate::mend::mend(&row.question), row.question);
        }
    }

    #[test]
    fn ids_and_questions_are_unique_and_no_question_is_a_near_copy() {
        let rows = clinical();
        let ids: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids.len(), rows.len());
        let questions: Vec<_> = rows.iter().map(|row| words(&row.question)).collect();
        for (i, a) in questions.iter().enumerate() {
            for (j, b) in questions.iter().enumerate().skip(i + 1) {
                assert!(overlap(a, b) < 0.6, "{} and {}", rows[i].id, rows[j].id);
            }
        }
    }

    #[test]
    fn no_challenge_question_stands_here() {
        // Read as text: the challenge set belongs to another crate.
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../eval/src/challenge.jsonl");
        let text = std::fs::read_to_string(path).unwrap();
        let mut seen = 0;
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let challenge = words(value["question"].as_str().unwrap());
            for row in clinical() {
                let shared = overlap(&challenge, &words(&row.question));
                assert!(shared < 0.4, "{} and {}: {shared}", value["id"], row.id);
            }
            seen += 1;
        }
        assert_eq!(seen, 10);
    }

    #[test]
    fn the_wording_alone_does_not_give_the_label_away() {
        // Naive Bayes on the words of the question, each row predicted from all the others.
        let rows: Vec<(BTreeSet<String>, Label)> = clinical()
            .into_iter()
            .map(|row| {
                let text = row.question.to_lowercase();
                let words = text.split(|c: char| !c.is_alphanumeric() && c != '-');
                (words.map(str::to_owned).collect(), row.label.unwrap())
            })
            .collect();
        let mut counts: BTreeMap<&str, [f64; 3]> = BTreeMap::new();
        for (words, label) in &rows {
            for word in words {
                counts.entry(word).or_default()[label.index()] += 1.0;
            }
        }
        let per_label = rows.len() as f64 / 3.0;
        let mut right = 0;
        for (words, label) in &rows {
            let score = |guess: Label| {
                let own = f64::from(guess == *label);
                words
                    .iter()
                    .map(|word| {
                        let seen = counts[word.as_str()][guess.index()] - own;
                        ((seen + 0.5) / (per_label - own + 1.0)).ln()
                    })
                    .sum::<f64>()
            };
            let best = Label::ALL
                .into_iter()
                .max_by(|a, b| score(*a).total_cmp(&score(*b)))
                .unwrap();
            right += usize::from(best == *label);
        }
        let accuracy = right as f64 / rows.len() as f64;
        // Chance is 0.33; 0.45 lies four standard errors above it.
        assert!(accuracy < 0.45, "{accuracy}");
    }
}
