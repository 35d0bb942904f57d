//! What was written: form, citations, contradictions, memory, repetition, lengths.

use verdict_answer::{Mode, Verdict};
use verdict_data::{Item, citations};

use crate::metrics::{Lengths, Proportion};
use crate::report::WrittenReport;
use crate::run::Answered;
use crate::text::{Overlap, OverlapSummary, Trained, contradiction, repetition, variety};

/// From how many times in a row on an n-gram counts as a loop: "very, very" is none.
const LOOP_TIMES: usize = 3;

/// What was written, in each mode.
pub(super) fn written(
    trained: Option<&Trained>,
    items: &[Item],
    answers: &[Answered],
) -> Vec<WrittenReport> {
    (0..Mode::WRITTEN.len())
        .filter_map(|mode| {
            let texts: Vec<(&Item, &Verdict)> = items
                .iter()
                .zip(answers)
                .filter_map(|(item, answer)| Some((item, &answer.written.as_ref()?[mode])))
                .collect();
            let (_, first) = texts.first()?;
            Some(in_mode(trained, first.mode, &texts))
        })
        .collect()
}

fn in_mode(trained: Option<&Trained>, mode: Mode, texts: &[(&Item, &Verdict)]) -> WrittenReport {
    let share = |test: &dyn Fn(&Item, &Verdict) -> bool| {
        let count = texts
            .iter()
            .filter(|(item, verdict)| test(item, verdict))
            .count();
        Proportion::new(count, texts.len())
    };
    let rationales: Vec<(&Verdict, &str)> = texts
        .iter()
        .filter_map(|(_, verdict)| Some((*verdict, verdict.rationale.as_deref()?)))
        .collect();
    let contradicting = rationales
        .iter()
        .filter(|(verdict, _)| contradicts(verdict))
        .count();
    let memorised = trained.map(|trained| {
        let overlaps: Vec<Overlap> = rationales
            .iter()
            .map(|(_, rationale)| trained.overlap(rationale))
            .collect();
        OverlapSummary::of(&overlaps)
    });
    let tokens: Vec<usize> = texts.iter().map(|(_, verdict)| verdict.tokens).collect();
    WrittenReport {
        mode,
        right: share(&|item, verdict| verdict.label == Some(item.label)),
        right_first_word: (mode == Mode::Free)
            .then(|| share(&|item, verdict| verdict.first_word == Some(item.label))),
        fallbacks: (mode == Mode::Guaranteed).then(|| share(&|_, verdict| verdict.fallback)),
        format: share(&|_, verdict| verdict.format_ok),
        citations: share(&|_, verdict| citations::contains(&verdict.answer)),
        contradictions: Proportion::new(contradicting, rationales.len()),
        memorised,
        variety: variety(rationales.iter().map(|(_, rationale)| *rationale)),
        loops: share(&|_, verdict| repetition(&verdict.answer).loop_times >= LOOP_TIMES),
        tokens: Lengths::of(&tokens),
    }
}

/// Whether an answer's rationale contradicts its label, by rule.
pub(super) fn contradicts(verdict: &Verdict) -> bool {
    match (verdict.label, &verdict.rationale) {
        (Some(label), Some(rationale)) => {
            contradiction(&verdict.question, label, rationale).is_some()
        }
        _ => false,
    }
}
