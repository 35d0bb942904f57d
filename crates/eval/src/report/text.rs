//! The report in a terminal: the scores, what differs, what was written.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use verdict_page::Cell;

use super::{BenchmarkReport, EvalReport, short, tables};

impl EvalReport {
    /// The report as plain text; all of it stands in `report.html` and `report.md`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for benchmark in &self.benchmarks {
            text.push_str(&wrapped(&benchmark.title()));
            if let Some(looked) = benchmark.looked() {
                let _ = writeln!(text, "{looked}");
            }
            if benchmark.trained_on > 0 {
                let _ = writeln!(
                    text,
                    "the training rows give {} of them away",
                    benchmark.trained_on
                );
            }
            for table in of(benchmark, self).into_iter().flatten() {
                let _ = write!(text, "\n{}\n{}", table.caption, plain(&table));
            }
            text.push('\n');
        }
        if let Some(table) = tables::robustness(self, false) {
            let _ = write!(text, "{}\n{}\n", table.caption, plain(&table));
        }
        for line in self.findings() {
            text.push_str(&wrapped(&line));
        }
        text
    }
}

fn of(benchmark: &BenchmarkReport, report: &EvalReport) -> [Option<verdict_page::Table>; 6] {
    [
        short::scores(&benchmark.scored(), &benchmark.levels),
        short::pairs(&benchmark.pairs),
        short::abstained(benchmark),
        short::probabilities(benchmark, report.methods.fit),
        short::written(benchmark),
        short::first_words(benchmark),
    ]
}

/// Columns of a terminal.
const WIDTH: usize = 80;

/// A text in lines that fit a terminal, broken at blanks.
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

/// A table in columns, numbers to the right, no blanks at the ends of lines.
pub(crate) fn plain(table: &verdict_page::Table) -> String {
    let mut plain = Table::new();
    plain.load_preset(presets::NOTHING);
    // What is wider all the same goes on within its cell.
    plain.set_content_arrangement(ContentArrangement::Dynamic);
    plain.set_width(WIDTH as u16);
    plain.set_header(&table.head);
    for row in &table.rows {
        plain.add_row(row.iter().map(|cell| match cell {
            Cell::Number(number) => number.to_string(),
            Cell::Text(text) | Cell::Code(text) | Cell::Figure(text) => text.clone(),
        }));
    }
    for (place, column) in plain.column_iter_mut().enumerate() {
        let numbers = table
            .rows
            .iter()
            .all(|row| matches!(row.get(place), Some(Cell::Number(_) | Cell::Figure(_))));
        if numbers {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    plain
        .to_string()
        .lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}
