//! Properties of the generated answers: format, citations, contradictions, memorization, repetition, lengths.

use verdict_answer::{Mode, Verdict};
use verdict_data::{Item, citations};

use crate::collect::CollectedAnswers;
use crate::metrics::{Lengths, Proportion};
use crate::report::GeneratedReport;
use crate::text::{
    Overlap, OverlapSummary, TrainingRationales, contradiction, repetition, variety,
};

/// Number of immediate repetitions of an n-gram from which on an answer loops; "very, very" does not.
const LOOP_TIMES: usize = 3;

/// One report for each mode in which answers were generated.
pub(super) fn reports(
    rationales: Option<&TrainingRationales>,
    items: &[Item],
    answers: &[CollectedAnswers],
) -> Vec<GeneratedReport> {
    (0..Mode::WRITTEN.len())
        .filter_map(|mode| {
            let generated: Vec<(&Item, &Verdict)> = items
                .iter()
                .zip(answers)
                .filter_map(|(item, answer)| Some((item, &answer.written.as_ref()?[mode])))
                .collect();
            let (_, first) = generated.first()?;
            Some(report(rationales, first.mode, &generated))
        })
        .collect()
}

fn report(
    rationales: Option<&TrainingRationales>,
    mode: Mode,
    answers: &[(&Item, &Verdict)],
) -> GeneratedReport {
    let share = |test: &dyn Fn(&Item, &Verdict) -> bool| {
        let count = answers
            .iter()
            .filter(|(item, verdict)| test(item, verdict))
            .count();
        Proportion::new(count, answers.len())
    };
    let valid: Vec<(&Verdict, &str)> = answers
        .iter()
        .filter_map(|(_, verdict)| Some((*verdict, verdict.rationale.as_deref()?)))
        .collect();
    let contradicting = valid
        .iter()
        .filter(|(verdict, _)| contradicts(verdict))
        .count();
    let memorized = rationales.map(|rationales| {
        let overlaps: Vec<Overlap> = valid
            .iter()
            .map(|(_, rationale)| rationales.overlap(rationale))
            .collect();
        OverlapSummary::of(&overlaps)
    });
    let tokens: Vec<usize> = answers.iter().map(|(_, verdict)| verdict.tokens).collect();
    GeneratedReport {
        mode,
        right: share(&|item, verdict| verdict.label == Some(item.label)),
        right_first_word: (mode == Mode::Free)
            .then(|| share(&|item, verdict| verdict.first_word == Some(item.label))),
        fallbacks: (mode == Mode::Guaranteed).then(|| share(&|_, verdict| verdict.fallback)),
        format: share(&|_, verdict| verdict.format_ok),
        citations: share(&|_, verdict| citations::contains(&verdict.answer)),
        contradictions: Proportion::new(contradicting, valid.len()),
        memorized,
        variety: variety(valid.iter().map(|(_, rationale)| *rationale)),
        loops: share(&|_, verdict| repetition(&verdict.answer).loop_times >= LOOP_TIMES),
        tokens: Lengths::of(&tokens),
    }
}

/// Whether the rationale of an answer contradicts its label, by rules.
pub(super) fn contradicts(verdict: &Verdict) -> bool {
    match (verdict.label, &verdict.rationale) {
        (Some(label), Some(rationale)) => {
            contradiction(&verdict.question, label, rationale).is_some()
        }
        _ => false,
    }
}
