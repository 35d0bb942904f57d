//! The report as plain text, for a terminal.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use verdict_common::grouped;
use verdict_page::Cell;

use super::dialogues;
use super::page::contamination;
use super::terminal;
use super::value::{BenchmarkReport, EvalReport};

impl EvalReport {
    /// The main results as plain text; `report.html` and `report.md` have all of them.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for benchmark in &self.benchmarks {
            text.push_str(&wrapped(&benchmark.title()));
            if let Some(look) = benchmark.describe_look() {
                let _ = writeln!(text, "{look}");
            }
            if benchmark.contaminated > 0 {
                text.push_str(&wrapped(&contamination(benchmark.contaminated)));
            }
            for table in tables_of(benchmark, self).into_iter().flatten() {
                let _ = write!(text, "\n{}{}", wrapped(&table.caption), plain(&table));
            }
            for line in terminal::fallbacks(benchmark) {
                text.push_str(&wrapped(&line));
            }
            text.push('\n');
        }
        let both = [terminal::consistency(self), dialogues::terminal(self)];
        for table in both.into_iter().flatten() {
            let _ = writeln!(text, "{}{}", wrapped(&table.caption), plain(&table));
        }
        for line in self.findings() {
            text.push_str(&wrapped(&line));
        }
        text
    }
}

fn tables_of(benchmark: &BenchmarkReport, report: &EvalReport) -> [Option<verdict_page::Table>; 6] {
    [
        terminal::scores(&benchmark.scored(), &benchmark.levels),
        terminal::pairs(&benchmark.pairs),
        terminal::abstention(benchmark),
        terminal::probabilities(benchmark, report.methods.fit),
        terminal::generated(benchmark),
        terminal::first_words(benchmark),
    ]
}

/// Width of a terminal in characters.
const WIDTH: usize = 80;

/// A text, wrapped at spaces.
fn wrapped(text: &str) -> String {
    let (mut out, mut used) = (String::new(), 0);
    for word in text.split(' ') {
        let long = word.chars().count();
        if used > 0 && used + 1 + long > WIDTH {
            out.push('\n');
            used = 0;
        } else if used > 0 {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += long;
    }
    out.push('\n');
    out
}

/// A table in columns, with numbers right-aligned and without trailing spaces.
pub(crate) fn plain(table: &verdict_page::Table) -> String {
    let mut plain = Table::new();
    plain.load_preset(presets::NOTHING);
    // Wider tables wrap within their cells.
    plain.set_content_arrangement(ContentArrangement::Dynamic);
    plain.set_width(WIDTH as u16);
    plain.set_header(&table.head);
    for row in &table.rows {
        plain.add_row(row.iter().map(|cell| match cell {
            Cell::Number(number) => grouped(*number),
            Cell::Text(text) | Cell::Code(text) | Cell::Figure(text) => text.clone(),
        }));
    }
    for (place, column) in plain.column_iter_mut().enumerate() {
        if table.right(place) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    plain
        .to_string()
        .lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}
