//! The content of a page, independent of the format in which it is rendered.

/// A page. Its texts are plain; [`Page::html`] and [`Page::markdown`] escape them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The top heading, and the title of the browser window.
    pub title: String,
    /// The content below the title, in order.
    pub blocks: Vec<Block>,
}

/// An element of a page.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// A section heading. Blocks before the first one are the summary; in HTML a table of contents follows them.
    Section(String),
    /// A paragraph.
    Text(String),
    /// A bulleted list.
    List(Vec<String>),
    /// A table.
    Table(Table),
    /// A figure, in HTML only: its numbers should be in a table too. Adjacent figures share a row where there is room.
    Figure(Figure),
    /// A sample, set apart from the text.
    Example(Example),
    /// Blocks that are collapsed in HTML; without sections.
    Fold(Fold),
    /// Samples with filters, in HTML only.
    Samples(Samples),
}

/// Collapsed blocks behind a summary line.
#[derive(Clone, Debug, PartialEq)]
pub struct Fold {
    /// The summary line.
    pub summary: String,
    /// The blocks.
    pub blocks: Vec<Block>,
}

/// Samples that the reader can filter, without a script: one choice of each filter is active at a time, at first
/// "all".
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// The caption.
    pub caption: String,
    /// The filters.
    pub filters: Vec<Filter>,
    /// The samples, each with its choice of every filter, counted from 0.
    pub rows: Vec<(Vec<usize>, Example)>,
}

/// A filter of samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// Its name.
    pub name: String,
    /// The choices, without "all".
    pub choices: Vec<String>,
}

impl Block {
    /// The block and all blocks folded into it.
    pub(crate) fn all(&self) -> Box<dyn Iterator<Item = &Block> + '_> {
        let inner: &[Block] = match self {
            Block::Fold(fold) => &fold.blocks,
            _ => &[],
        };
        Box::new(std::iter::once(self).chain(inner.iter().flat_map(Block::all)))
    }
}

/// A sample with its source and texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Labels shown with it.
    pub badges: Vec<Badge>,
    /// Its source.
    pub source: String,
    /// Its id in the source, or empty.
    pub id: String,
    /// Its texts.
    pub parts: Vec<Part>,
}

/// A word on a coloured background.
#[derive(Clone, Debug, PartialEq)]
pub struct Badge {
    /// CSS class of its colour: `yes`, `no`, `uncertain`.
    pub class: &'static str,
    /// The word.
    pub text: String,
}

/// A text of an [`Example`].
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// CSS class: `question` is bold, `context` is faint, empty is plain.
    pub class: &'static str,
    /// Prefix in Markdown, which has no classes: `Q: `.
    pub lead: String,
    /// The text.
    pub text: String,
}

/// A drawing with its title and description.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The title.
    pub title: String,
    /// The content in words, for screen readers.
    pub description: String,
    /// Height, in the units of its width, [`crate::svg::WIDTH`].
    pub height: f64,
    /// The content of the SVG element: see [`crate::svg::Svg`].
    pub body: String,
    /// CSS rules that the body needs besides those of every page; a page contains them once. Often empty.
    pub style: &'static str,
}

/// A table with its caption.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The caption.
    pub caption: String,
    /// Column names.
    pub head: Vec<String>,
    /// The rows, each as long as `head`.
    pub rows: Vec<Vec<Cell>>,
    /// Whether the last row is a total.
    pub total: bool,
    /// Whether the table is collapsed in HTML.
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

    /// Whether a column is right-aligned, as numbers are.
    pub fn right(&self, column: usize) -> bool {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let mut cells = cells.filter(|cell| !matches!(cell, Cell::Text(text) if text.is_empty()));
        cells.all(|cell| matches!(cell, Cell::Number(_) | Cell::Figure(_)))
    }
}

/// A cell of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Text.
    Text(String),
    /// A name or a hash, in a monospaced font.
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
