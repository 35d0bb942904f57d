//! A confusion matrix.

use verdict_common::{counted, grouped, percent};

use super::{figure, no_data};
use crate::Figure;
use crate::svg::{Anchor, Svg, WIDTH, text_width, truncated};

/// Height of a cell.
const CELL: f64 = 46.0;
/// Gap between cells.
const GAP: f64 = 3.0;
/// Number of shades; text stays readable on the darkest.
const SHADES: usize = 9;

/// A row for each true label and a column for each answer; `counts` has a list for each row. Cells show count and share
/// of the row, and are shaded by the share.
pub fn confusion(title: &str, rows: &[&str], columns: &[&str], counts: &[Vec<usize>]) -> Figure {
    if rows.is_empty() || columns.is_empty() {
        return no_data(title);
    }
    let count = |row: usize, column: usize| {
        let row = counts.get(row);
        row.and_then(|row| row.get(column)).copied().unwrap_or(0)
    };
    let total =
        |row| (0..columns.len()).fold(0, |sum: usize, at| sum.saturating_add(count(row, at)));
    let totals: Vec<usize> = (0..rows.len()).map(total).collect();
    let sizes: Vec<String> = totals
        .iter()
        .map(|rows| format!("n = {}", grouped(*rows)))
        .collect();
    let names = rows.iter().copied().chain(sizes.iter().map(String::as_str));
    let left = names
        .map(text_width)
        .fold(text_width("truth"), f64::max)
        .min(WIDTH / 3.0)
        + 8.0;
    let width = (WIDTH - left) / columns.len() as f64;

    let mut svg = Svg::default();
    svg.text("faint", Anchor::Start, [0.0, 30.0], "truth");
    svg.text("faint", Anchor::Start, [left, 12.0], "answered");
    for (column, name) in columns.iter().enumerate() {
        let middle = left + width * (column as f64 + 0.5) - GAP / 2.0;
        svg.text(
            "",
            Anchor::Middle,
            [middle, 30.0],
            &truncated(name, width - GAP),
        );
    }
    let mut words = Vec::new();
    for (row, name) in rows.iter().enumerate() {
        let y = 38.0 + CELL * row as f64;
        let of = totals[row];
        svg.text(
            "",
            Anchor::Start,
            [0.0, y + 20.0],
            &truncated(name, left - 6.0),
        );
        svg.text(
            "faint",
            Anchor::Start,
            [0.0, y + 35.0],
            &truncated(&sizes[row], left - 6.0),
        );
        let mut parts = Vec::new();
        for (column, answer) in columns.iter().enumerate() {
            let rows = count(row, column);
            let x = left + width * column as f64;
            let share = rows as f64 / of.max(1) as f64;
            // A cell that is not empty is shaded.
            let shade = (share * SHADES as f64).round() as usize;
            let shade = shade.max(usize::from(rows > 0)).min(SHADES);
            let part = format!("{} {answer} ({})", grouped(rows), percent(rows, of));
            let tooltip = format!("{name}: {part}");
            let cell = [x, y, (width - GAP).max(0.0), CELL - GAP];
            svg.bar(&format!("shade h{shade}"), cell, &tooltip);
            let middle = x + (width - GAP) / 2.0;
            let room = width - GAP;
            svg.text(
                "strong",
                Anchor::Middle,
                [middle, y + 19.0],
                &truncated(&grouped(rows), room),
            );
            if of > 0 {
                let share = percent(rows, of);
                svg.text(
                    "small",
                    Anchor::Middle,
                    [middle, y + 35.0],
                    &truncated(&share, room),
                );
            }
            parts.push(part);
        }
        words.push(format!(
            "{name}, {}: {}",
            counted(of, "row"),
            parts.join(", ")
        ));
    }
    let height = 38.0 + CELL * rows.len() as f64;
    let description = format!("Truth, then what was answered. {}.", words.join(". "));
    figure(title, description, height, svg)
}
