//! Answers in the report: the most confident mistakes first, then all of them.

use verdict_data::Label;
use verdict_page::{Badge, Block, Example, Filter, Fold, Part, Samples};

use super::value::{BASE, BenchmarkReport};
use super::{Prediction, tables};
use crate::evaluated_run::EvaluatedRun;

/// Number of mistakes that are not collapsed.
const SHOWN: usize = 3;
/// Maximum number of answers per benchmark on the page; `predictions.jsonl` has all of them.
const MAX_ANSWERS: usize = 600;

/// The answers of a benchmark: some mistakes, then all answers collapsed. None where the predictions of an earlier
/// version contain no questions.
pub(super) fn blocks(
    run: &EvaluatedRun,
    benchmark: &BenchmarkReport,
    predictions: &[Prediction],
) -> Vec<Block> {
    let Some(model) = benchmark.main_model(run) else {
        return Vec::new();
    };
    let of = |model: &str| -> Vec<&Prediction> {
        let own = predictions.iter().filter(|one| {
            one.benchmark == benchmark.name && one.model == model && !one.question.is_empty()
        });
        own.collect()
    };
    let mut rows = of(&model.name);
    let base = match model.name.as_str() {
        BASE => Vec::new(),
        _ => of(BASE),
    };
    // Both are in the benchmark's order.
    let mut rows: Vec<(&Prediction, Option<&Prediction>)> = rows
        .drain(..)
        .enumerate()
        .map(|(place, row)| (row, base.get(place).copied()))
        .collect();
    // Mistakes before right answers, the most confident first, then by id.
    rows.sort_by(|(a, _), (b, _)| {
        let confidence = |row: &Prediction| row.probabilities[row.label.index()];
        let order = a.right.cmp(&b.right);
        let order = order.then(confidence(b).total_cmp(&confidence(a)));
        order.then_with(|| a.id.cmp(&b.id))
    });
    let wrong = rows.iter().filter(|(row, _)| !row.right).count();
    let mut blocks = Vec::new();
    if wrong > 0 {
        blocks.push(Block::Text(format!(
            "The most confident mistakes of {}:",
            model.name
        )));
        let worst = rows.iter().take(wrong.min(SHOWN));
        blocks.extend(worst.map(|(row, base)| Block::Example(example(row, *base))));
    }
    if rows.is_empty() {
        return blocks;
    }
    let caption = match rows.len() {
        0..=MAX_ANSWERS => format!(
            "All {} answers of {}, mistakes first",
            rows.len(),
            model.name
        ),
        all => format!(
            "{MAX_ANSWERS} of {all} answers of {}, mistakes first; all are in predictions.jsonl",
            model.name
        ),
    };
    let labels: Vec<String> = Label::ALL.map(|label| label.as_str().to_owned()).into();
    let filter = |name: &str, choices: &[String]| Filter {
        name: name.to_owned(),
        choices: choices.to_vec(),
    };
    let samples = Samples {
        caption: "Filter the answers".into(),
        filters: vec![
            filter("Show", &["wrong".to_owned(), "right".to_owned()]),
            filter("Answer", &labels),
            filter("True label", &labels),
        ],
        rows: rows
            .iter()
            .take(MAX_ANSWERS)
            .map(|(row, base)| {
                let choices = vec![usize::from(row.right), row.label.index(), row.truth.index()];
                (choices, example(row, *base))
            })
            .collect(),
    };
    blocks.push(Block::Fold(Fold {
        summary: caption,
        blocks: vec![Block::Samples(samples)],
    }));
    blocks
}

/// A question with its answer, probability and true label.
fn example(row: &Prediction, base: Option<&Prediction>) -> Example {
    let class = |label: Label| match label {
        Label::Yes => "yes",
        Label::No => "no",
        Label::Uncertain => "uncertain",
    };
    let answered = |row: &Prediction| {
        let confidence = row.probabilities[row.label.index()];
        format!("{} {}", row.label, tables::percent(confidence))
    };
    let mut source = match row.right {
        true => "right".to_owned(),
        false => format!("wrong: the true label is {}", row.truth),
    };
    if let Some(base) = base {
        source += &format!(" · base model: {}", answered(base));
    }
    let mut parts = vec![Part {
        class: "question",
        lead: "Q: ".into(),
        text: row.question.clone(),
    }];
    if let Some(generated) = row.guaranteed.as_ref().or(row.free.as_ref()) {
        parts.push(Part {
            class: "",
            lead: "A: ".into(),
            text: generated.answer.clone(),
        });
    }
    Example {
        badges: vec![Badge {
            class: class(row.label),
            text: answered(row),
        }],
        source,
        id: row.id.clone(),
        parts,
    }
}
