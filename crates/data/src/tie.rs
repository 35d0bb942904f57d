//! Which rows belong together, and which of them a benchmark asks for.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::Label;
use crate::group::groups;
use crate::near::{Shingles, pairs};
use crate::protect::Question;

/// Overlap of word pairs from which on two questions are the same but for a word or two.
pub(crate) const NEAR_QUESTIONS: f64 = 0.7;
/// The same of rationales, which are longer.
pub(crate) const NEAR_RATIONALES: f64 = 0.8;

/// What decides where a row belongs.
pub(crate) struct Row<'a> {
    pub(crate) id: &'a str,
    pub(crate) question: &'a str,
    pub(crate) label: Label,
    pub(crate) rationale: &'a str,
    pub(crate) keys: &'a [String],
    /// Generated rows differ in their numbers, which are what they ask for; their wordings are their keys.
    pub(crate) generated: bool,
}

/// Two questions that are nearly the same and have different answers: one of the labels may be wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// Ids of the two rows.
    pub ids: [String; 2],
    /// Their labels.
    pub labels: [Label; 2],
    /// Share of their word pairs that both have.
    pub overlap: f64,
}

/// Rows, tied.
pub(crate) struct Tied {
    /// For each row the number of its group's first row.
    pub(crate) group_of: Vec<usize>,
    /// Whether a benchmark's question is in the row's group.
    pub(crate) protected: Vec<bool>,
    /// Rows that only a near text ties to another row.
    pub(crate) near: usize,
    /// Among rows that no benchmark asks for.
    pub(crate) suspects: Vec<Suspect>,
}

/// Ties rows that share a key, or a nearly equal question or rationale, directly or through others.
pub(crate) fn tie(rows: &[Row<'_>], protected: &[&Question]) -> Tied {
    use rayon::prelude::*;
    let shingles = |text: fn(&Row<'_>) -> String| -> Vec<Shingles> {
        let of = |row: &Row<'_>| match row.generated {
            true => Shingles::default(),
            false => Shingles::of(&text(row)),
        };
        rows.par_iter().map(of).collect()
    };
    let questions = shingles(|row| row.question.to_owned());
    let rationales = shingles(|row| row.rationale.to_owned());
    let keys: Vec<&[String]> = rows
        .iter()
        .map(|row| row.keys)
        .chain(protected.iter().map(|question| question.keys.as_slice()))
        .collect();
    let wordings = protected.iter().map(|question| &question.shingles);
    let wordings: Vec<&Shingles> = questions.iter().chain(wordings).collect();
    let near_questions = pairs(&wordings, NEAR_QUESTIONS);
    let mut sets = groups(&keys);
    let by_keys = sets.roots();
    let near_rationales = pairs(&rationales.iter().collect::<Vec<_>>(), NEAR_RATIONALES);
    for (a, b) in near_questions.iter().chain(&near_rationales) {
        sets.join(*a, *b);
    }
    let group_of = sets.roots();
    let asked: HashSet<usize> = group_of[rows.len()..].iter().copied().collect();
    let protected: Vec<bool> = group_of[..rows.len()]
        .iter()
        .map(|group| asked.contains(group))
        .collect();
    // What is protected goes; near rows share a group, so both go or neither.
    let suspects = near_questions
        .iter()
        .filter(|(_, j)| *j < rows.len() && !protected[*j])
        .map(|(i, j)| (&rows[*i], &rows[*j], questions[*i].overlap(&questions[*j])))
        .filter(|(a, b, _)| a.label != b.label)
        .map(|(a, b, overlap)| Suspect {
            ids: [a.id.to_owned(), b.id.to_owned()],
            labels: [a.label, b.label],
            overlap: (overlap * 1e3).round() / 1e3,
        })
        .collect();
    // A row that near texts move to another group is tied by them alone.
    let near = (0..rows.len())
        .filter(|row| by_keys[*row] == *row && group_of[*row] != *row)
        .count();
    Tied {
        protected,
        group_of: group_of[..rows.len()].to_vec(),
        near,
        suspects,
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, tie};
    use crate::Label;
    use crate::near::Shingles;
    use crate::protect::Question;

    const ASPIRIN: &str = "Does low dose aspirin prevent a first stroke in women over sixty?";
    const NEARLY: &str = "Does low dose aspirin prevent a first stroke in women over seventy?";
    const OTHER: &str = "Is surgery better than watching for small kidney stones in children?";

    fn row<'a>(question: &'a str, label: Label, rationale: &'a str, keys: &'a [String]) -> Row<'a> {
        Row {
            id: question,
            question,
            label,
            rationale,
            keys,
            generated: false,
        }
    }

    #[test]
    fn near_questions_and_rationales_share_a_group_and_opposite_labels_are_told() {
        let same = "The trial found no difference between the two arms after five years.";
        let nearly = "The trial found no difference between the two arms after six years.";
        let rows = [
            row(ASPIRIN, Label::Yes, same, &[]),
            row(OTHER, Label::No, "Most passed by themselves.", &[]),
            row(NEARLY, Label::No, "It did not.", &[]),
            row(
                "Was the new drug any better at all?",
                Label::No,
                nearly,
                &[],
            ),
        ];
        let tied = tie(&rows, &[]);
        assert_eq!(
            tied.group_of,
            [0, 1, 0, 3],
            "rationales overlap by 10 of 14"
        );
        assert_eq!(tied.near, 1);
        assert_eq!(tied.suspects.len(), 1);
        assert_eq!(tied.suspects[0].ids, [ASPIRIN, NEARLY]);
        assert_eq!(tied.suspects[0].labels, [Label::Yes, Label::No]);
        let copied = [
            row(ASPIRIN, Label::Yes, same, &[]),
            row(OTHER, Label::No, same, &[]),
        ];
        assert_eq!(tie(&copied, &[]).group_of, [0, 0]);
    }

    #[test]
    fn a_protected_question_takes_all_that_is_tied_to_it() {
        let pmid = ["pmid:1".to_owned()];
        let rows = [
            row(OTHER, Label::No, "Most passed.", &pmid),
            row("Do most of them pass?", Label::Yes, "They did.", &pmid),
            row(ASPIRIN, Label::Yes, "It does.", &[]),
            row("Is it safe?", Label::Yes, "It is.", &[]),
        ];
        let by_key = Question {
            keys: vec!["pmid:1".into()],
            shingles: Shingles::default(),
        };
        let by_wording = Question {
            keys: Vec::new(),
            shingles: Shingles::of(NEARLY),
        };
        assert_eq!(tie(&rows, &[&by_key]).protected, [true, true, false, false]);
        assert_eq!(
            tie(&rows, &[&by_wording]).protected,
            [false, false, true, false]
        );
    }

    #[test]
    fn generated_rows_are_tied_by_their_keys_alone() {
        let rows = [ASPIRIN, NEARLY].map(|question| Row {
            generated: true,
            ..row(question, Label::Yes, "It does.", &[])
        });
        assert_eq!(tie(&rows, &[]).group_of, [0, 1]);
    }
}
