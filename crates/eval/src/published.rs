//! Published results for comparison: PubMedQA's official 500 test questions and BioASQ's yes/no questions.
//!
//! Results are only comparable within a setting: with the abstract before the question (*reasoning-required*) or without
//! it (*question-only*). BioASQ results depend on the edition's test questions; the notes say which. `published.toml` has
//! the table, with the place where each result was confirmed.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// A benchmark with published results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PublishedBenchmark {
    /// PubMedQA's official test split, 500 expert-labelled questions, yes, no and maybe.
    Pubmedqa,
    /// Yes/no questions of BioASQ Task B.
    BioasqYesNo,
}

/// What the model reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PublishedSetting {
    /// The question and its abstract without the conclusion.
    ReasoningRequired,
    /// The question alone.
    QuestionOnly,
    /// The question and the snippets chosen by the organisers.
    WithSnippets,
    /// The question and passages that a search found.
    Retrieved,
}

/// A published result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Name of the model or method.
    pub name: String,
    /// The benchmark.
    pub benchmark: PublishedBenchmark,
    /// The setting.
    pub setting: PublishedSetting,
    /// Accuracy in percent.
    pub accuracy: f64,
    /// Macro-F1 in percent, if published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macro_f1: Option<f64>,
    /// Authors, and title if known.
    pub source: String,
    /// Year of the publication.
    pub year: u16,
    /// Where the result was confirmed; none where it is quoted from elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<String>,
    /// Caveats of a comparison.
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

/// The results on one benchmark in one setting, the best first.
pub fn published_in(
    benchmark: PublishedBenchmark,
    setting: PublishedSetting,
) -> Vec<&'static Published> {
    let meant = |row: &&Published| row.benchmark == benchmark && row.setting == setting;
    let mut rows: Vec<&Published> = TABLE.iter().filter(meant).collect();
    rows.sort_by(|a, b| b.accuracy.total_cmp(&a.accuracy));
    rows
}

/// The results to show with the benchmark of this name, the best of each setting first; none for other benchmarks.
pub fn of(benchmark: &str) -> Vec<Published> {
    use PublishedBenchmark::{BioasqYesNo, Pubmedqa};
    use PublishedSetting::{QuestionOnly, ReasoningRequired, Retrieved, WithSnippets};
    let settings: &[_] = match benchmark {
        "pubmedqa" => &[(Pubmedqa, ReasoningRequired), (Pubmedqa, Retrieved)],
        "pubmedqa-question-only" => &[(Pubmedqa, QuestionOnly), (Pubmedqa, Retrieved)],
        "bioasq-yn" | "bioasq-snippets" => &[
            (BioasqYesNo, WithSnippets),
            (BioasqYesNo, Retrieved),
            (BioasqYesNo, QuestionOnly),
        ],
        _ => &[],
    };
    let rows = settings
        .iter()
        .flat_map(|(of, setting)| published_in(*of, *setting));
    rows.cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn results_are_unique_in_percent_and_have_a_source() {
        let mut seen = HashSet::new();
        for row in TABLE.iter() {
            assert!(
                seen.insert((&row.name, row.benchmark, row.setting)),
                "{} twice",
                row.name
            );
            // Fractions would be below 1; no published result is below chance.
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
        let confirmed = TABLE.iter().filter(|row| row.confirmed.is_some());
        assert_eq!((TABLE.len(), confirmed.count()), (23, 17));
    }

    #[test]
    fn settings_are_separate_and_the_best_is_first() {
        let given = published_in(
            PublishedBenchmark::Pubmedqa,
            PublishedSetting::ReasoningRequired,
        );
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
        assert_eq!(
            published_in(PublishedBenchmark::Pubmedqa, PublishedSetting::QuestionOnly).len(),
            3
        );
        assert_eq!(
            published_in(
                PublishedBenchmark::BioasqYesNo,
                PublishedSetting::WithSnippets
            )
            .len(),
            2
        );
    }
}
