//! A table in plain text, one line per row: the first column aligned to the left, the others to the right.

use console::style;

/// Rows of cells under a heading.
pub struct Table {
    heading: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table; the heading's length is the number of columns.
    pub fn new<const N: usize>(heading: [&str; N]) -> Self {
        Self {
            heading: heading.map(str::to_owned).to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row. A row shorter than the heading is filled with empty cells.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The text, with a line break at its end; `bold` for a heading in bold on a terminal.
    pub fn render(&self, bold: bool) -> String {
        let columns = self.heading.len();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells
                .chain(&self.heading[column..=column])
                .map(|c| c.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |cells: &[String]| {
            let mut text = String::new();
            for (column, width) in widths.iter().enumerate() {
                let cell = cells.get(column).map_or("", String::as_str);
                let pad = " ".repeat(width.saturating_sub(cell.chars().count()));
                text += &match column {
                    0 => format!("{cell}{pad}"),
                    _ => format!("  {pad}{cell}"),
                };
            }
            text.trim_end().to_owned()
        };
        let heading = line(&self.heading);
        let mut text = if bold {
            format!("{}\n", style(heading).bold())
        } else {
            heading + "\n"
        };
        for row in &self.rows {
            text += &line(row);
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_no_line_ends_in_blanks() {
        let mut table = Table::new(["name", "loss", ""]);
        table.row(vec!["r4".into(), "1.5".into(), "best".into()]);
        table.row(vec!["r16-long".into(), "12.25".into()]);
        assert_eq!(
            table.render(false),
            "name       loss\nr4          1.5  best\nr16-long  12.25\n"
        );
    }
}
