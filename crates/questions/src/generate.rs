//! Makes the rows of a plan: numbers are drawn until they give the intended answer.

use std::collections::HashSet;

use crate::distractors::with_distractors;
use crate::plan::{QuestionForm, RowPlan};
use crate::question::{Answer, GeneratedQuestion};
use crate::random::Random;
use crate::template::fill;

/// What the ids of the rows begin with.
pub const SOURCE: &str = "stats";

/// `rows` different questions of the given levels (all, when the list is empty) with their computed answers. The same
/// arguments give the same questions.
pub fn questions(rows: usize, seed: u64, levels: &[u8]) -> Vec<GeneratedQuestion> {
    let plan = RowPlan::new(levels);
    let mut seen = HashSet::with_capacity(rows);
    (0..rows)
        .map(|row| {
            let random = Random::new(seed, row);
            generate(row, random, plan.forms(row), SOURCE, &mut seen)
        })
        .collect()
}

/// Row `row`, drawn from `random`; its id begins with `prefix`.
pub(crate) fn generate(
    row: usize,
    mut random: Random,
    forms: &[QuestionForm],
    prefix: &str,
    seen: &mut HashSet<String>,
) -> GeneratedQuestion {
    let answer = Answer::ALL[row % 3];
    let form = random.pick(forms);
    let (family, wording) = (form.family, form.wording);
    // Whether the question makes the first claim or its opposite.
    let first = random.chance(0.5);
    let truth = truth_for(answer, first);
    // This loop ends: every wording draws each truth in at least one of fifty cases (a test counts them), and there are
    // many more different questions than rows.
    loop {
        let Some(case) = (wording.draw)(&mut random) else {
            continue;
        };
        if case.truth != truth {
            continue;
        }
        let mut question = fill(wording.template, &case.slots, first);
        if form.distractors {
            question = with_distractors(&mut random, &question);
        }
        if !seen.insert(question.clone()) {
            continue;
        }
        let level = form.level();
        return GeneratedQuestion {
            id: format!("{prefix}:{}/{}/{level}:{row:06}", family.name, wording.name),
            question,
            answer,
            rationale: case.rationale,
            group: format!("{prefix}:{}/{}", family.name, wording.name),
            held_out: form.held_out(),
        };
    }
}

/// Whether the template's first claim has to be true (none: open) for this answer; `first` is whether the question
/// makes that claim or its opposite.
pub(crate) fn truth_for(answer: Answer, first: bool) -> Option<bool> {
    match answer {
        Answer::Yes => Some(first),
        Answer::No => Some(!first),
        Answer::Uncertain => None,
    }
}
