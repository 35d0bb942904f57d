//! The results in dialogues: scores of each model, by source and kind, and each adapter against the base model.

use verdict_data::Label;

use super::inputs::EvaluationOptions;
use crate::dialogue::{Dialogue, HeldDialogue, Measure, measure_scores};
use crate::report::{
    DialogueExample, DialoguePair, DialoguePart, DialogueReport, ExampleTurn, PairReport,
};
use crate::stats::bootstrap::group_numbers;
use crate::stats::paired::{PairedAnswers, paired};

/// A dialogue with the labels that a model gave, and the number of its group.
type Scored<'d> = (&'d Dialogue, [Label; 3], u32);

/// The report on dialogues, where there are any.
pub(super) fn dialogue_report(options: &EvaluationOptions<'_>) -> Option<DialogueReport> {
    let (dialogues, held) = options.dialogues.as_ref()?;
    if dialogues.is_empty() {
        return None;
    }
    let resampling = options.methods.resampling;
    let groups = group_numbers(dialogues.iter().map(|of| of.group.as_str()));
    let models: Vec<(&String, Vec<Scored<'_>>)> = options
        .models
        .iter()
        .zip(held)
        .map(|(name, held)| {
            let answered = dialogues.iter().zip(held).zip(&groups);
            let scored = answered.map(|((dialogue, held), group)| {
                let labels = [0, 1, 2].map(|turn: usize| held[turn].label);
                (dialogue, labels, *group)
            });
            (name, scored.collect())
        })
        .collect();
    let scores = |wanted: &dyn Fn(&Dialogue) -> bool| {
        let of_model = |(name, held): &(&String, Vec<Scored<'_>>)| {
            let held: Vec<Scored<'_>> = held.iter().filter(|of| wanted(of.0)).copied().collect();
            ((*name).clone(), measure_scores(&held, resampling))
        };
        models.iter().map(of_model).collect()
    };
    let mut parts = Vec::new();
    for by in ["source", "kind"] {
        let value = |of: &Dialogue| match by {
            "source" => of.source.clone(),
            _ => of.kind(),
        };
        for part in distinct(dialogues.iter().map(value)) {
            parts.push(DialoguePart {
                by: by.to_owned(),
                dialogues: dialogues.iter().filter(|of| value(of) == part).count(),
                models: scores(&|of| value(of) == part),
                part,
            });
        }
    }
    Some(DialogueReport {
        dialogues: dialogues.len(),
        models: scores(&|_| true),
        parts,
        pairs: pairs(options, &models),
        examples: examples(options, dialogues, held),
    })
}

/// The values in the order of their first occurrence.
fn distinct(values: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for value in values {
        if !all.contains(&value) {
            all.push(value);
        }
    }
    all
}

/// Each other model against the first one, the base model, in each measure.
fn pairs(
    options: &EvaluationOptions<'_>,
    models: &[(&String, Vec<Scored<'_>>)],
) -> Vec<DialoguePair> {
    let Some(((base, of_base), adapters)) = models.split_first() else {
        return Vec::new();
    };
    // A counted case is compared as a right answer to a question whose label is Yes.
    let answer = |counts: bool| Some(if counts { Label::Yes } else { Label::No });
    let mut measures = Vec::new();
    let mut compared = Vec::new();
    for (name, of_adapter) in adapters {
        for measure in Measure::ALL {
            let rows: Vec<PairedAnswers> = of_adapter
                .iter()
                .zip(of_base)
                .filter_map(|(adapter, base)| {
                    Some(PairedAnswers {
                        truth: Label::Yes,
                        first: answer(measure.of(adapter.0, adapter.1)?),
                        second: answer(measure.of(base.0, base.1)?),
                        group: adapter.2,
                    })
                })
                .collect();
            if let Some(paired) = paired(&rows, options.methods.resampling) {
                measures.push(measure);
                compared.push(([(*name).clone(), (*base).clone()], paired));
            }
        }
    }
    let pairs = measures.into_iter().zip(PairReport::adjusted(compared));
    pairs
        .map(|(measure, pair)| DialoguePair { measure, pair })
        .collect()
}

/// The first dialogue of each kind, as the run's best adapter held it, else as the last model did.
fn examples(
    options: &EvaluationOptions<'_>,
    dialogues: &[Dialogue],
    held: &[Vec<HeldDialogue>],
) -> Vec<DialogueExample> {
    let names = &options.models[..held.len().min(options.models.len())];
    let best = names.iter().position(|name| *name == options.run.best);
    let Some(model) = best.or(names.len().checked_sub(1)) else {
        return Vec::new();
    };
    distinct(dialogues.iter().map(Dialogue::kind))
        .into_iter()
        .filter_map(|kind| {
            let place = dialogues.iter().position(|of| of.kind() == kind)?;
            let turns = dialogues[place].turns.iter().zip(&held[model][place]);
            Some(DialogueExample {
                id: dialogues[place].id.clone(),
                kind,
                model: names[model].clone(),
                turns: turns
                    .map(|(turn, given)| ExampleTurn {
                        context: turn.context.clone(),
                        question: turn.question.clone(),
                        truth: turn.label,
                        answer: given.text.clone(),
                        right: given.label == turn.label,
                    })
                    .collect(),
            })
        })
        .collect()
}
