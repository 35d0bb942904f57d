//! Generated questions on study results, as rows and items of a data set. They are made by the crate
//! `verdict-questions`; here they get the types of this one.

use verdict_questions::{Answer, GeneratedQuestion, SOURCE};

use crate::{Item, Label, RawItem, Split};

pub use verdict_questions::TwinRule;

/// A generated question whose figures are then corrected; see [`verdict_questions::CorrectedQuestion`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrectedItem {
    /// The question as it is first asked.
    pub first: Item,
    /// Its sentences with figures, as they are first given and as they are corrected.
    pub figures: [String; 2],
    /// Its claim, with the first figures and with the corrected ones.
    pub claims: [String; 2],
    /// The label with the corrected figures, which is another one than that of `first`.
    pub corrected: Label,
    /// A sentence that is irrelevant to the answer.
    pub irrelevant: String,
}

/// A generated question and the same case asked another way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twin {
    /// The question. Its id is `stats-twin:{family}/{wording}/{level}:{row:06}`.
    pub original: Item,
    /// The case asked another way: `{original's id}:opposite` or `{original's id}:{wording}`. It has the same group
    /// and rationale, and its own label.
    pub variant: Item,
    /// How the variant differs.
    pub rule: TwinRule,
}

/// `rows` generated questions of these levels (of all, when the list is empty).
pub(super) fn stats(rows: usize, seed: u64, levels: &[u8]) -> Vec<RawItem> {
    let questions = verdict_questions::questions(rows, seed, levels).into_iter();
    questions
        .map(|question| RawItem {
            id: question.id,
            question: question.question,
            label: Some(label(question.answer)),
            answer: question.rationale,
            source: SOURCE,
            group: vec![question.group],
            context: None,
            split: question.held_out.then_some(Split::Test),
            year: None,
            mesh: Vec::new(),
            results_from: None,
        })
        .collect()
}

/// Generated questions in pairs; see [`verdict_questions::twins`].
pub fn stats_twins(rows: usize, seed: u64, held_out: bool) -> Vec<Twin> {
    let twins = verdict_questions::twins(rows, seed, held_out).into_iter();
    twins
        .map(|twin| Twin {
            original: item(twin.original),
            variant: item(twin.variant),
            rule: twin.rule,
        })
        .collect()
}

/// Questions that no training set contains; see [`verdict_questions::held_out_questions`].
pub fn stats_held_out(rows: usize, seed: u64) -> Vec<Item> {
    let questions = verdict_questions::held_out_questions(rows, seed).into_iter();
    questions.map(item).collect()
}

/// Questions of held-out wordings whose figures are then corrected; see [`verdict_questions::corrected_questions`].
pub fn stats_corrected(rows: usize, seed: u64) -> Vec<CorrectedItem> {
    let questions = verdict_questions::corrected_questions(rows, seed).into_iter();
    questions
        .map(|one| CorrectedItem {
            first: item(one.first),
            figures: [one.figures, one.corrected_figures],
            claims: [one.claim, one.corrected_claim],
            corrected: label(one.corrected),
            irrelevant: one.irrelevant,
        })
        .collect()
}

fn item(question: GeneratedQuestion) -> Item {
    let label = label(question.answer);
    Item {
        id: question.id,
        question: question.question,
        label,
        rationale: question.rationale,
        source: SOURCE.to_owned(),
        group: question.group,
        context: None,
    }
}

fn label(answer: Answer) -> Label {
    match answer {
        Answer::Yes => Label::Yes,
        Answer::No => Label::No,
        Answer::Uncertain => Label::Uncertain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::artefact;

    /// The generator takes its answers in turn; labels are balanced by the same order.
    #[test]
    fn answers_and_labels_have_one_order() {
        assert_eq!(Answer::ALL.map(label), Label::ALL);
    }

    #[test]
    fn held_out_wordings_are_pinned_to_the_test_set() {
        let questions = verdict_questions::questions(3000, 3, &[]);
        let pinned = questions.iter().filter(|question| question.held_out);
        assert!(pinned.count() > 100);
        for (row, question) in stats(3000, 3, &[]).iter().zip(&questions) {
            assert_eq!(row.split, question.held_out.then_some(Split::Test));
            assert_eq!(row.source, "stats");
        }
    }

    #[test]
    fn single_words_do_not_give_the_label_away() {
        for seed in [42, 5] {
            let questions = verdict_questions::questions(10_000, seed, &[]);
            let items: Vec<Item> = questions.into_iter().map(item).collect();
            let found = artefact(&items.iter().collect::<Vec<_>>());
            assert_eq!(found.rows, 10_000);
            let share = found.right as f64 / found.rows as f64;
            assert!(share <= 0.40, "{share}");
        }
    }

    #[test]
    fn cleaning_changes_nothing() {
        for row in stats(10_000, 11, &[]) {
            let cleaned = crate::rationale::clean(&row.answer, &crate::Rules::default());
            assert_eq!(
                (cleaned.text, cleaned.cut, cleaned.lead),
                (row.answer, false, None)
            );
            assert_eq!(crate::mend::mend(&row.question), row.question);
            assert!(
                !crate::citations::contains(&row.question),
                "{}",
                row.question
            );
        }
    }
}
