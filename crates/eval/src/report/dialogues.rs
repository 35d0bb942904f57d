//! The tables of dialogues, for the page and for a terminal.

use verdict_page::{Block, Cell, Fold, Table};

use super::tables::{difference, figure, p_value, percent, rate_of, table};
use super::terminal;
use super::value::{DialogueExample, DialogueReport, EvalReport};
use crate::dialogue::MeasureScore;

/// What the page says before the tables.
const ABOUT: &str = "Each dialogue has three turns, and the earlier turns of a prompt contain the model's own answers. After \"Why?\" and after a fact about something else the label must stay; after a fact that changes the right label it must change. A change counts only where the answers before and after it are right. A model that always gives the same label keeps all labels and has no right change. No dialogue is used in training.";

/// The section of the page; none where no dialogue was held.
pub(super) fn blocks(report: &EvalReport) -> Vec<Block> {
    let Some(of) = &report.dialogues else {
        return Vec::new();
    };
    let mut blocks = vec![
        Block::Section("Dialogues".into()),
        Block::Text(ABOUT.into()),
    ];
    blocks.extend(scores(of).map(Block::Table));
    let details = [
        pairs(of),
        parts(of, "source", "Dialogues by source"),
        parts(
            of,
            "kind",
            "Dialogues by what the second and the third turn do",
        ),
    ];
    let details = details.into_iter().flatten();
    let examples = of.examples.iter().filter_map(example);
    blocks.push(Block::Fold(Fold {
        summary: "Dialogues by source and kind, differences from the base model, examples".into(),
        blocks: details.chain(examples).map(Block::Table).collect(),
    }));
    blocks
}

fn cells(of: &MeasureScore) -> [Cell; 3] {
    [
        of.measure.as_str().into(),
        figure(rate_of(&of.share)),
        figure(percent(of.chance)),
    ]
}

fn scores(of: &DialogueReport) -> Option<Table> {
    let mut rows = Vec::new();
    for (name, scores) in &of.models {
        rows.extend(scores.iter().map(|score| {
            let mut row: Vec<Cell> = vec![name.as_str().into()];
            row.extend(cells(score));
            row
        }));
    }
    let caption = format!("{} dialogues of three turns", of.dialogues);
    table(
        &caption,
        ["model", "measure", "share [95 %]", "chance"],
        rows,
    )
}

fn parts(of: &DialogueReport, by: &str, caption: &str) -> Option<Table> {
    let mut rows = Vec::new();
    for part in of.parts.iter().filter(|part| part.by == by) {
        for (name, scores) in &part.models {
            rows.extend(scores.iter().map(|score| {
                let mut row: Vec<Cell> = vec![
                    part.part.as_str().into(),
                    Cell::Number(part.dialogues),
                    name.as_str().into(),
                ];
                row.extend(cells(score));
                row
            }));
        }
    }
    let head = [
        by,
        "dialogues",
        "model",
        "measure",
        "share [95 %]",
        "chance",
    ];
    table(caption, head, rows)
}

fn pairs(of: &DialogueReport) -> Option<Table> {
    let rows = of.pairs.iter().map(|compared| {
        let (pair, table) = (&compared.pair, &compared.pair.paired.table);
        vec![
            Cell::Text(format!("{} – {}", pair.first, pair.second)),
            compared.measure.as_str().into(),
            Cell::Number(pair.paired.n),
            figure(difference(&pair.paired.difference)),
            figure(p_value(pair.holm)),
            figure(format!("{} / {}", table.first, table.second)),
        ]
    });
    table(
        "Differences from the base model in the same dialogues, in percentage points",
        [
            "first – second",
            "measure",
            "n",
            "difference [95 %]",
            "p, Holm",
            "only one",
        ],
        rows.collect(),
    )
}

fn example(of: &DialogueExample) -> Option<Table> {
    let rows = of.turns.iter().map(|turn| {
        vec![
            turn.context.as_deref().unwrap_or("–").into(),
            turn.question.as_str().into(),
            turn.truth.as_str().into(),
            turn.answer.as_str().into(),
            if turn.right { "right" } else { "wrong" }.into(),
        ]
    });
    let table = table(
        &format!("{}: {}, answered by {}", of.kind, of.id, of.model),
        ["new facts", "question", "right label", "answer", ""],
        rows.collect(),
    );
    table.map(|table| Table {
        folded: true,
        ..table
    })
}

/// The scores in 80 columns.
pub(super) fn terminal(report: &EvalReport) -> Option<Table> {
    let of = report.dialogues.as_ref()?;
    let mut rows = Vec::new();
    for (name, scores) in &of.models {
        rows.extend(scores.iter().map(|score| {
            vec![
                terminal::name(name, 16).into(),
                score.measure.as_str().into(),
                Cell::Number(score.share.rows.total),
                figure(terminal::interval(&score.share.estimate())),
                figure(format!("{:.1}", 100.0 * score.chance)),
            ]
        }));
    }
    let caption = format!("{} dialogues of three turns, in per cent", of.dialogues);
    table(&caption, ["model", "measure", "n", "share", "chance"], rows)
}
