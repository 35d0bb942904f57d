//! The report in a terminal: the scores, what differs, what was written.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};
use verdict_page::Cell;

use super::{BenchmarkReport, EvalReport, tables};

impl EvalReport {
    /// The report as plain text; all of it stands in `report.html` and `report.md`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for benchmark in &self.benchmarks {
            let _ = writeln!(text, "{}", benchmark.title());
            if benchmark.look > 1 {
                let _ = writeln!(text, "look {} at these questions", benchmark.look);
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
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

fn of(benchmark: &BenchmarkReport, report: &EvalReport) -> [Option<verdict_page::Table>; 4] {
    [
        tables::scores(&benchmark.scored(), &benchmark.levels),
        tables::probabilities(benchmark, report.methods.fit),
        tables::pairs(&benchmark.pairs),
        tables::written_in_short(benchmark),
    ]
}

/// A table in columns, numbers to the right, no blanks at the ends of lines.
pub(crate) fn plain(table: &verdict_page::Table) -> String {
    let mut plain = Table::new();
    plain.load_preset(presets::NOTHING);
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
