//! What stands on a card and in which order, apart from how it is written down.

use super::figures::{self, Figure};
use super::{checks, rights, tables};
use crate::manifest::Manifest;
use crate::{Item, Label, wilson};

/// A card before it is Markdown or HTML. Its texts are plain: whoever writes them escapes them.
pub(super) struct Page {
    pub(super) title: String,
    pub(super) blocks: Vec<Block>,
}

/// A piece of a card.
pub(super) enum Block {
    /// A heading.
    Section(&'static str),
    Text(String),
    List(Vec<String>),
    Table(Table),
    /// Drawn in HTML; its figures stand in a table too.
    Figure(Figure),
    Example(Example),
}

/// A row of the data set, shortened.
pub(super) struct Example {
    pub(super) id: String,
    pub(super) source: String,
    pub(super) label: Label,
    pub(super) context: Option<String>,
    pub(super) question: String,
    pub(super) rationale: String,
}

/// A table under its caption.
pub(super) struct Table {
    pub(super) caption: String,
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<Cell>>,
    /// The last row sums up the others.
    pub(super) total: bool,
    /// Details, which HTML shows when they are asked for.
    pub(super) folded: bool,
}

impl Table {
    pub(super) fn new(caption: impl Into<String>, head: &[&str]) -> Table {
        Table {
            caption: caption.into(),
            head: head.iter().map(|name| (*name).to_owned()).collect(),
            rows: Vec::new(),
            total: false,
            folded: false,
        }
    }

    /// Whether a column stands at the right, as numbers do.
    pub(super) fn right(&self, column: usize) -> bool {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let mut cells = cells.filter(|cell| !matches!(cell, Cell::Text(text) if text.is_empty()));
        cells.all(|cell| matches!(cell, Cell::Number(_) | Cell::Figure(_)))
    }
}

/// What stands in a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Text(String),
    /// A name or a hash, set as it is typed.
    Code(String),
    Number(usize),
    /// A number with a unit or decimals.
    Figure(String),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(text)
    }
}

impl From<usize> for Cell {
    fn from(number: usize) -> Cell {
        Cell::Number(number)
    }
}

/// `1532` as `1,532`.
pub(super) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `part` of `whole` in per cent.
pub(super) fn percent(part: usize, whole: usize) -> String {
    let share = 100.0 * part as f64 / whole.max(1) as f64;
    match part > 0 && share < 0.05 {
        true => "< 0.1 %".into(),
        false => format!("{share:.1} %"),
    }
}

/// A number and its noun: `1 row`, `2 rows`.
pub(super) fn counted(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{} {noun}s", grouped(number)),
    }
}

/// Everything that the manifest and the examples tell.
pub(super) fn page(manifest: &Manifest, examples: &[Item]) -> Page {
    let mut blocks = vec![Block::Text(about(manifest)), Block::Text(summary(manifest))];
    let mut section = |title, content: Vec<Option<Block>>| {
        let mut content = content.into_iter().flatten().peekable();
        if content.peek().is_some() {
            blocks.push(Block::Section(title));
            blocks.extend(content);
        }
    };
    let table = |table: Table| Some(Block::Table(table));
    let text = |text: Option<String>| text.map(Block::Text);
    let draw = |figure: Option<Figure>| figure.map(Block::Figure);
    section(
        "How it was made",
        vec![
            table(tables::settings(manifest)),
            table(tables::sources(manifest)),
            tables::files(manifest).map(Block::Table),
            table(tables::outputs(manifest)),
        ],
    );
    section(
        "Labels",
        vec![
            draw(figures::labels(manifest)),
            draw(figures::sources(manifest)),
            table(tables::labels(manifest)),
            tables::by_source(manifest).map(Block::Table),
        ],
    );
    section(
        "Years of publication",
        vec![
            draw(figures::years(manifest)),
            text(tables::years_told(manifest)),
            tables::years(manifest).map(Block::Table),
        ],
    );
    section(
        "MeSH",
        vec![
            draw(figures::branches(manifest)),
            text(tables::mesh_told(manifest)),
            tables::branches(manifest).map(Block::Table),
            tables::headings(manifest).map(Block::Table),
        ],
    );
    let mut lengths: Vec<Option<Block>> = figures::lengths(manifest)
        .into_iter()
        .map(|figure| draw(Some(figure)))
        .collect();
    lengths.extend(tables::lengths(manifest).into_iter().map(table));
    section("Lengths in words", lengths);
    section("Rules", vec![table(checks::rules(manifest))]);
    section(
        "What became of every row read",
        vec![
            draw(figures::fates(manifest)),
            table(checks::fates(manifest)),
        ],
    );
    section(
        "Leaks",
        vec![
            Some(Block::Text(checks::leaks_told(manifest))),
            table(checks::leaks(manifest)),
            checks::suspects(manifest).map(Block::Table),
        ],
    );
    section(
        "What the wording gives away",
        vec![
            draw(figures::artefact(manifest)),
            text(checks::artefact_told(manifest)),
            checks::artefact(manifest).map(Block::Table),
        ],
    );
    section(
        "Class weights",
        vec![
            text(checks::weights_told(manifest)),
            checks::weights(manifest).map(Block::Table),
        ],
    );
    section(
        "Rows without a label",
        vec![text(checks::unlabelled_told(manifest))],
    );
    let mut shown = vec![text((!examples.is_empty()).then(|| {
        "The first rows of each source and class in the train split, shortened. None of validation or test is shown.".into()
    }))];
    shown.extend(example_blocks(manifest, examples));
    section("Examples", shown);
    section("Licences", vec![table(rights::licences(manifest))]);
    section("Limits", vec![Some(Block::List(rights::limits(manifest)))]);
    Page {
        title: format!(
            "Data card: {} answered Yes, No or Uncertain",
            counted(manifest.rows_kept, "question")
        ),
        blocks,
    }
}

fn about(manifest: &Manifest) -> String {
    let field = match tables::kinds(manifest).any(|kind| !matches!(kind, "jsonl" | "csv")) {
        true => "biomedical ",
        false => "",
    };
    let context = match manifest.settings.contexts {
        true => ", with the abstract it was asked about",
        false => "",
    };
    format!(
        "For training and judging language models that answer a closed {field}question with one word (Yes, No or \
         Uncertain) and one sentence that says why. A row is a line of JSON: the question{context}, its label, its \
         rationale, the source it came from, the group it belongs to, and the training text they make."
    )
}

fn summary(manifest: &Manifest) -> String {
    let rows = manifest.rows_kept;
    let splits = manifest.splits.iter().map(|split| {
        let what = match split.split.as_str() {
            "train" => "to learn from",
            "validation" => "to choose by",
            _ => "to judge by",
        };
        format!("{} {what}", grouped(split.rows))
    });
    let labels = Label::ALL.map(|label| {
        let count = tables::label_rows(manifest, label);
        format!("{} {label} ({})", grouped(count), percent(count, rows))
    });
    let mut text = format!(
        "{} in {}: {}. By label: {}. They are {} of the {} that were read from {}.",
        counted(rows, "row"),
        counted(manifest.groups, "group"),
        splits.collect::<Vec<_>>().join(", "),
        labels.join(", "),
        percent(rows, manifest.rows_read),
        counted(manifest.rows_read, "row"),
        counted(manifest.sources.len(), "source"),
    );
    if let Some(unlabelled) = &manifest.unlabelled {
        text += &format!(
            " Another {} without a label stand apart.",
            counted(unlabelled.rows, "row")
        );
    }
    if let Some(found) = checks::guessed(manifest) {
        let (low, high) = wilson(found.right, found.rows);
        text += &format!(
            " The words of the question alone guess {} of the labels (95 % interval {:.1}–{:.1}), the commonest label {}.",
            percent(found.right, found.rows),
            100.0 * low,
            100.0 * high,
            percent(found.majority, found.rows),
        );
    }
    text
}

/// Characters of a text that an example shows.
const SHOWN: usize = 280;

fn example_blocks(manifest: &Manifest, examples: &[Item]) -> Vec<Option<Block>> {
    let mut sources: Vec<&str> = tables::kinds(manifest).collect();
    let place = |source: &str| sources.iter().position(|kind| *kind == source);
    let missing: Vec<&str> = examples
        .iter()
        .map(|item| item.source.as_str())
        .filter(|source| place(source).is_none())
        .collect();
    sources.extend(missing);
    let place = |source: &str| sources.iter().position(|kind| *kind == source);
    let mut examples: Vec<&Item> = examples.iter().collect();
    examples.sort_by_key(|item| (place(&item.source), item.label.index()));
    let block = |item: &Item| {
        Some(Block::Example(Example {
            id: item.id.clone(),
            source: item.source.clone(),
            label: item.label,
            context: item.context.as_deref().map(shortened),
            question: shortened(&item.question),
            rationale: shortened(&item.rationale),
        }))
    };
    examples.into_iter().map(block).collect()
}

/// A text of at most [`SHOWN`] characters, cut between words where it can be.
fn shortened(text: &str) -> String {
    let Some((end, _)) = text.char_indices().nth(SHOWN) else {
        return text.to_owned();
    };
    let cut = &text[..end];
    let cut = cut.rsplit_once(' ').map_or(cut, |(before, _)| before);
    format!("{} …", cut.trim_end())
}
