//! The built-in challenge set: ten questions whose wording suggests a wrong answer.
//!
//! A demonstration, not medical advice. Each line of `challenge.jsonl` has a `why` besides the question and its answer:
//! what makes it hard, and the basis of the answer.

use std::sync::LazyLock;

use serde::Deserialize;
use verdict_data::{Item, Label};

/// Name of the set in reports, and source of its questions.
pub const NAME: &str = "challenge";

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    question: String,
    label: Label,
    rationale: String,
    why: String,
}

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    include_str!("challenge.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("the built-in file is checked by a test"))
        .collect()
});

/// The ten questions.
pub fn challenge() -> Vec<Item> {
    let item = |row: &Row| Item {
        id: format!("{NAME}-{}", row.id),
        question: row.question.clone(),
        label: row.label,
        rationale: row.rationale.clone(),
        source: NAME.to_owned(),
        group: format!("{NAME}-{}", row.id),
        context: None,
    };
    ROWS.iter().map(item).collect()
}

/// Why a question of the set is hard, by its id; none for other ids.
pub fn why(id: &str) -> Option<&'static str> {
    let id = id.strip_prefix(NAME)?.strip_prefix('-')?;
    ROWS.iter()
        .find(|row| row.id == id)
        .map(|row| row.why.as_str())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use verdict_answer::sentence::rationale_state;

    use super::*;

    #[test]
    fn ten_different_questions_with_format_valid_answers() {
        let items = challenge();
        assert_eq!(items.len(), 10);
        let questions: HashSet<&str> = items.iter().map(|item| item.question.as_str()).collect();
        let ids: HashSet<&str> = items.iter().map(|item| item.id.as_str()).collect();
        assert_eq!((questions.len(), ids.len()), (10, 10));
        let labels: HashSet<Label> = items.iter().map(|item| item.label).collect();
        assert_eq!(labels.len(), 3, "every label occurs");
        for item in &items {
            let rationale = format!(" {}", item.rationale);
            assert!(
                rationale_state(&rationale).is_rationale(),
                "{}: {}",
                item.id,
                item.rationale
            );
            assert!(
                why(&item.id).is_some_and(|why| !why.is_empty()),
                "{}",
                item.id
            );
        }
        assert_eq!(why("other"), None);
    }

    #[test]
    fn a_ratio_is_the_centre_of_its_interval_on_a_log_scale() {
        let mut ratios = 0;
        for item in challenge() {
            // `relative risk of … was 0.85 (95% CI 0.69–1.05)`; a difference has another centre.
            let Some((before, interval)) = item.question.split_once(" (95% CI ") else {
                continue;
            };
            if !["relative risk", "ratio"]
                .iter()
                .any(|name| before.contains(name))
            {
                continue;
            }
            let number = |text: &str| text.trim().parse::<f64>().expect("a number");
            let estimate = number(before.rsplit(' ').next().expect("a word"));
            let limits = interval.split(')').next().expect("closes");
            let (low, high) = limits.split_once(['–', '-']).expect("two limits");
            let (low, high) = (number(low), number(high));
            let slack = 0.005 / estimate + 0.0025 / low + 0.0025 / high;
            let off = estimate.ln() - 0.5 * (low.ln() + high.ln());
            assert!(off.abs() <= 1.02 * slack, "{}", item.question);
            ratios += 1;
        }
        assert!(ratios >= 1, "{ratios}");
    }

    #[test]
    fn the_four_well_known_questions_are_there() {
        let all: String = challenge()
            .iter()
            .map(|item| item.question.to_lowercase() + "\n")
            .collect();
        for words in ["vitamin d", "bronchitis", "d-dimer", "0.85"] {
            assert!(all.contains(words), "{words}");
        }
    }
}
