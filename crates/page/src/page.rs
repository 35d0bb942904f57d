//! What stands on a page and in which order, apart from how it is written down.

use crate::{html, markdown};

/// A page before it is Markdown or HTML. Its texts are plain: whoever writes them escapes them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The heading of all, and the browser's title.
    pub title: String,
    /// What stands below it, in this order.
    pub blocks: Vec<Block>,
}

impl Page {
    /// The page as one HTML file: no script, nothing loaded from elsewhere.
    pub fn html(&self) -> String {
        html::write(self, None)
    }

    /// As [`Page::html`], of something that still changes: the browser reads the file again every so many seconds.
    pub fn live_html(&self, every_s: u32) -> String {
        html::write(self, Some(every_s))
    }

    /// The page as Markdown: tables, no figures.
    pub fn markdown(&self) -> String {
        markdown::write(self)
    }
}

/// A piece of a page.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// A heading; what stands before the first one is the summary, and a table of contents follows it in HTML.
    Section(String),
    /// A paragraph.
    Text(String),
    /// Lines, each with a bullet.
    List(Vec<String>),
    /// A table.
    Table(Table),
    /// Drawn in HTML alone: its figures should stand in a table too. Neighbours stand side by side where there is room.
    Figure(Figure),
    /// A sample, set apart from what the page says itself.
    Example(Example),
    /// Details, which HTML shows when they are asked for: no sections among them.
    Fold(Fold),
    /// Samples that a reader filters, in HTML alone.
    Samples(Samples),
}

/// Blocks behind a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Fold {
    /// What they hold.
    pub summary: String,
    /// The blocks.
    pub blocks: Vec<Block>,
}

/// Samples with the filters that leave out some of them: one choice of each filter is on at a time, the first being
/// all. Works without a script.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// What they are.
    pub caption: String,
    /// The filters.
    pub filters: Vec<Filter>,
    /// The samples, each with its choice of every filter, counted from 0.
    pub rows: Vec<(Vec<usize>, Example)>,
}

/// A way to choose among samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// What is chosen by.
    pub name: String,
    /// The choices, "all" left out.
    pub choices: Vec<String>,
}

impl Block {
    /// The block, and those folded into it.
    pub(crate) fn all(&self) -> Box<dyn Iterator<Item = &Block> + '_> {
        let inner: &[Block] = match self {
            Block::Fold(fold) => &fold.blocks,
            _ => &[],
        };
        Box::new(std::iter::once(self).chain(inner.iter().flat_map(Block::all)))
    }
}

/// A sample: where it is from, then its parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// What marks it.
    pub badges: Vec<Badge>,
    /// Where it is from.
    pub source: String,
    /// Its name there, where it has one.
    pub id: String,
    /// Its texts.
    pub parts: Vec<Part>,
}

/// A word in a coloured field.
#[derive(Clone, Debug, PartialEq)]
pub struct Badge {
    /// Class of its colour in the style sheet: `yes`, `no`, `uncertain`.
    pub class: &'static str,
    /// The word.
    pub text: String,
}

/// A text of an [`Example`].
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Class of its type in HTML: `question` is bold, `context` is faint, the empty one is plain.
    pub class: &'static str,
    /// What Markdown, which has no classes, says before it: `Q: `.
    pub lead: String,
    /// The text.
    pub text: String,
}

/// A drawing with its names.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What it shows.
    pub title: String,
    /// What it says, in words, for whoever does not see it.
    pub told: String,
    /// Height, in the units of [`crate::svg::WIDTH`], which is its width.
    pub height: f64,
    /// The inside of the SVG: see [`crate::svg::Svg`].
    pub body: String,
    /// Style rules that the body needs beyond those of every page; a page holds them once. Mostly empty.
    pub style: &'static str,
}

/// A table under its caption.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// What it holds.
    pub caption: String,
    /// Names of its columns.
    pub head: Vec<String>,
    /// Its rows, each as wide as `head`.
    pub rows: Vec<Vec<Cell>>,
    /// The last row sums up the others.
    pub total: bool,
    /// Details, which HTML shows when they are asked for.
    pub folded: bool,
}

impl Table {
    /// A table without rows.
    pub fn new(caption: impl Into<String>, head: &[&str]) -> Table {
        Table {
            caption: caption.into(),
            head: head.iter().map(|name| (*name).to_owned()).collect(),
            rows: Vec::new(),
            total: false,
            folded: false,
        }
    }

    /// Whether a column stands at the right, as numbers do.
    pub(crate) fn right(&self, column: usize) -> bool {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let mut cells = cells.filter(|cell| !matches!(cell, Cell::Text(text) if text.is_empty()));
        cells.all(|cell| matches!(cell, Cell::Number(_) | Cell::Figure(_)))
    }
}

/// What stands in a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Words.
    Text(String),
    /// A name or a hash, set as it is typed.
    Code(String),
    /// A count.
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
