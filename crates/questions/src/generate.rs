//! Rows from a plan: each draws numbers until they give the answer that its turn asks for.

use std::collections::HashSet;

use crate::plan::{Choice, Plan};
use crate::print::fill;
use crate::question::{Answer, GeneratedQuestion};
use crate::random::Random;
use crate::spare::with_asides;

/// What the ids of the rows begin with.
pub const SOURCE: &str = "stats";

/// `rows` different questions of the given levels (none given: of all) with their computed answers;
/// the same for the same seed.
pub fn questions(rows: usize, seed: u64, levels: &[u8]) -> Vec<GeneratedQuestion> {
    let plan = Plan::new(levels);
    let mut seen = HashSet::with_capacity(rows);
    (0..rows)
        .map(|row| {
            let random = Random::new(seed, row);
            generate(row, random, plan.choices(row), SOURCE, &mut seen)
        })
        .collect()
}

/// Row `row`, drawn from `random`; its id begins with `prefix`.
pub(crate) fn generate(
    row: usize,
    mut random: Random,
    choices: &[Choice],
    prefix: &str,
    seen: &mut HashSet<String>,
) -> GeneratedQuestion {
    let answer = Answer::ALL[row % 3];
    let choice = random.pick(choices);
    let (family, wording) = (choice.family, choice.wording);
    // Whether the first claim is asked, or its opposite.
    let first = random.chance(0.5);
    let truth = wanted(answer, first);
    // Ends: every wording draws each truth in at least one of some fifty cases (a test counts
    // them), and there are many more different questions than rows.
    loop {
        let Some(case) = (wording.draw)(&mut random) else {
            continue;
        };
        if case.truth != truth {
            continue;
        }
        let mut question = fill(wording.template, &case.slots, first);
        if choice.asides {
            question = with_asides(&mut random, &question);
        }
        if !seen.insert(question.clone()) {
            continue;
        }
        let level = choice.level();
        return GeneratedQuestion {
            id: format!("{prefix}:{}/{}/{level}:{row:06}", family.name, wording.name),
            question,
            answer,
            rationale: case.rationale,
            group: format!("{prefix}:{}/{}", family.name, wording.name),
            held_out: choice.held_out(),
        };
    }
}

/// Whether the first claim holds of a case that gives this answer where `first` says that it is the one asked.
pub(crate) fn wanted(answer: Answer, first: bool) -> Option<bool> {
    match answer {
        Answer::Yes => Some(first),
        Answer::No => Some(!first),
        Answer::Uncertain => None,
    }
}
