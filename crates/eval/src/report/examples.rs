//! Answers as the report shows them: the most confident mistakes first, then every row.

use verdict_data::Label;
use verdict_page::{Badge, Block, Example, Filter, Fold, Part, Samples};

use super::{BASE, BenchmarkReport, EvalReport, Prediction, tables};

/// Mistakes that are shown at once.
const SHOWN: usize = 3;
/// Rows of a benchmark that the page holds; all are in `predictions.jsonl`.
const MOST: usize = 600;

/// The blocks of a benchmark's answers: mistakes, then all of them behind a fold. None where the questions are not
/// known, as those of an older version's predictions.
pub(super) fn blocks(
    report: &EvalReport,
    benchmark: &BenchmarkReport,
    predictions: &[Prediction],
) -> Vec<Block> {
    let Some(judged) = benchmark.judged(report) else {
        return Vec::new();
    };
    let of = |system: &str| -> Vec<&Prediction> {
        let own = predictions.iter().filter(|one| {
            one.benchmark == benchmark.name && one.system == system && !one.question.is_empty()
        });
        own.collect()
    };
    let mut rows = of(&judged.name);
    let base = match judged.name.as_str() {
        BASE => Vec::new(),
        _ => of(BASE),
    };
    // Both are in the benchmark's order.
    let mut rows: Vec<(&Prediction, Option<&Prediction>)> = rows
        .drain(..)
        .enumerate()
        .map(|(place, row)| (row, base.get(place).copied()))
        .collect();
    // Mistakes before right answers, the surest first; the id decides among equals.
    rows.sort_by(|(a, _), (b, _)| {
        let sure = |row: &Prediction| row.probabilities[row.label.index()];
        let order = a.right.cmp(&b.right);
        let order = order.then(sure(b).total_cmp(&sure(a)));
        order.then_with(|| a.id.cmp(&b.id))
    });
    let wrong = rows.iter().filter(|(row, _)| !row.right).count();
    let mut blocks = Vec::new();
    if wrong > 0 {
        blocks.push(Block::Text(format!(
            "The mistakes that {} was surest of:",
            judged.name
        )));
        let worst = rows.iter().take(wrong.min(SHOWN));
        blocks.extend(worst.map(|(row, base)| Block::Example(example(row, *base))));
    }
    if rows.is_empty() {
        return blocks;
    }
    let caption = match rows.len() {
        0..=MOST => format!(
            "All {} answers of {}, mistakes first",
            rows.len(),
            judged.name
        ),
        all => format!(
            "{MOST} of {all} answers of {}, mistakes first; all are in predictions.jsonl",
            judged.name
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
            filter("Reference", &labels),
        ],
        rows: rows
            .iter()
            .take(MOST)
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

/// A question, what was answered, with which probability, and what is right.
fn example(row: &Prediction, base: Option<&Prediction>) -> Example {
    let class = |label: Label| match label {
        Label::Yes => "yes",
        Label::No => "no",
        Label::Uncertain => "uncertain",
    };
    let answered = |row: &Prediction| {
        let sure = row.probabilities[row.label.index()];
        format!("{} {}", row.label, tables::percent(sure))
    };
    let mut source = match row.right {
        true => "right".to_owned(),
        false => format!("wrong: the reference is {}", row.truth),
    };
    if let Some(base) = base {
        source += &format!(" · untrained model: {}", answered(base));
    }
    let mut parts = vec![Part {
        class: "question",
        lead: "Q: ".into(),
        text: row.question.clone(),
    }];
    if let Some(wrote) = row.guaranteed.as_ref().or(row.free.as_ref()) {
        parts.push(Part {
            class: "",
            lead: "A: ".into(),
            text: wrote.answer.clone(),
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
