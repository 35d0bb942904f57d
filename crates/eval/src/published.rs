//! Published results, to stand beside one's own: PubMedQA's official 500 test questions and BioASQ's yes/no questions.
//!
//! A figure is only comparable within its setting: with the abstract before the question (*reasoning-required*) or
//! without it (*question-only*). Which test rows BioASQ figures are on hangs on the edition; the notes say so.
//! `published.toml` holds the table, with where each figure was seen.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// What was measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    /// PubMedQA's official test split, 500 expert-labelled questions, yes, no and maybe.
    Pubmedqa,
    /// Yes/no questions of BioASQ Task B.
    BioasqYesNo,
}

/// What the model was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Setting {
    /// The question and its abstract without the conclusion.
    ReasoningRequired,
    /// The question alone.
    QuestionOnly,
    /// The question and the snippets that the organisers chose.
    WithSnippets,
}

/// A published result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// The system.
    pub name: String,
    /// What it was measured on.
    pub benchmark: Test,
    /// What it was given.
    pub setting: Setting,
    /// Accuracy in percent.
    pub accuracy: f64,
    /// Macro-F1 in percent, where it was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macro_f1: Option<f64>,
    /// Authors, and title where it is known.
    pub source: String,
    /// Year of the publication.
    pub year: u16,
    /// Where the figure was seen; none where it stands as quoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<String>,
    /// What else has to be known to compare with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    result: Vec<Published>,
}

static TABLE: LazyLock<Vec<Published>> = LazyLock::new(|| {
    let table: Table = toml::from_str(include_str!("published.toml"))
        .expect("the built-in file is checked by a test");
    table.result
});

/// Every result, in the order of the file.
pub fn published() -> &'static [Published] {
    &TABLE
}

/// Those of one benchmark in one setting, the best first.
pub fn published_in(benchmark: Test, setting: Setting) -> Vec<&'static Published> {
    let meant = |row: &&Published| row.benchmark == benchmark && row.setting == setting;
    let mut rows: Vec<&Published> = TABLE.iter().filter(meant).collect();
    rows.sort_by(|a, b| b.accuracy.total_cmp(&a.accuracy));
    rows
}

/// Those to stand beside a benchmark of this name, the best first; none for questions that nobody else was asked.
pub fn of(benchmark: &str) -> Vec<Published> {
    let rows = match benchmark {
        "pubmedqa" => published_in(Test::Pubmedqa, Setting::ReasoningRequired),
        "pubmedqa-question-only" => published_in(Test::Pubmedqa, Setting::QuestionOnly),
        "bioasq-yn" => published_in(Test::BioasqYesNo, Setting::WithSnippets),
        _ => Vec::new(),
    };
    rows.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn rows_are_different_in_percent_and_say_where_they_come_from() {
        let mut seen = HashSet::new();
        for row in published() {
            assert!(
                seen.insert((&row.name, row.benchmark, row.setting)),
                "{} twice",
                row.name
            );
            // Shares would be below 1; no published system does worse than an even guess.
            let figures = [Some(row.accuracy), row.macro_f1];
            assert!(
                figures
                    .into_iter()
                    .flatten()
                    .all(|of| (33.0..=100.0).contains(&of)),
                "{}",
                row.name
            );
            assert!((2019..=2026).contains(&row.year), "{}", row.name);
            assert!(
                row.confirmed.is_some() || row.note.is_some(),
                "{}",
                row.name
            );
        }
        let confirmed = published().iter().filter(|row| row.confirmed.is_some());
        assert_eq!((published().len(), confirmed.count()), (19, 17));
    }

    #[test]
    fn settings_stand_apart_and_the_best_is_first() {
        let given = published_in(Test::Pubmedqa, Setting::ReasoningRequired);
        assert_eq!(
            (given[0].name.as_str(), given[0].accuracy),
            ("GPT-4 with Medprompt", 82.0)
        );
        assert!(given.is_sorted_by(|a, b| a.accuracy >= b.accuracy));
        let human = given
            .iter()
            .find(|row| row.name.starts_with("Human"))
            .unwrap();
        assert_eq!((human.accuracy, human.macro_f1), (78.0, Some(72.19)));
        assert_eq!(published_in(Test::Pubmedqa, Setting::QuestionOnly).len(), 2);
        assert_eq!(
            published_in(Test::BioasqYesNo, Setting::WithSnippets).len(),
            2
        );
    }
}
