//! What was true against what was answered: a matrix of counts.

use super::{figure, nothing};
use crate::svg::{At, Svg, WIDTH, fitting, wide};
use verdict_common::{counted, grouped, percent};

use crate::Figure;

/// Height of a cell.
const CELL: f64 = 46.0;
/// Between cells.
const GAP: f64 = 3.0;
/// Shades beyond none; the darkest still bears the page's ink.
const SHADES: usize = 9;

/// A row for each truth and a column for each answer; `counts` holds a list for each row. A cell is as dark as its
/// share of its row, and tells both.
pub fn confusion(title: &str, rows: &[&str], columns: &[&str], counts: &[Vec<usize>]) -> Figure {
    if rows.is_empty() || columns.is_empty() {
        return nothing(title);
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
        .map(wide)
        .fold(wide("truth"), f64::max)
        .min(WIDTH / 3.0)
        + 8.0;
    let width = (WIDTH - left) / columns.len() as f64;

    let mut svg = Svg::default();
    svg.text("faint", At::Start, [0.0, 30.0], "truth");
    svg.text("faint", At::Start, [left, 12.0], "answered");
    for (column, name) in columns.iter().enumerate() {
        let middle = left + width * (column as f64 + 0.5) - GAP / 2.0;
        svg.text("", At::Middle, [middle, 30.0], &fitting(name, width - GAP));
    }
    let mut words = Vec::new();
    for (row, name) in rows.iter().enumerate() {
        let y = 38.0 + CELL * row as f64;
        let of = totals[row];
        svg.text("", At::Start, [0.0, y + 20.0], &fitting(name, left - 6.0));
        svg.text(
            "faint",
            At::Start,
            [0.0, y + 35.0],
            &fitting(&sizes[row], left - 6.0),
        );
        let mut parts = Vec::new();
        for (column, answer) in columns.iter().enumerate() {
            let rows = count(row, column);
            let x = left + width * column as f64;
            let share = rows as f64 / of.max(1) as f64;
            // What is there is shaded, however little.
            let shade = (share * SHADES as f64).round() as usize;
            let shade = shade.max(usize::from(rows > 0)).min(SHADES);
            let part = format!("{} {answer} ({})", grouped(rows), percent(rows, of));
            let told = format!("{name}: {part}");
            let cell = [x, y, (width - GAP).max(0.0), CELL - GAP];
            svg.bar(&format!("shade h{shade}"), cell, &told);
            let middle = x + (width - GAP) / 2.0;
            let room = width - GAP;
            svg.text(
                "strong",
                At::Middle,
                [middle, y + 19.0],
                &fitting(&grouped(rows), room),
            );
            if of > 0 {
                let share = percent(rows, of);
                svg.text(
                    "small",
                    At::Middle,
                    [middle, y + 35.0],
                    &fitting(&share, room),
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
    let told = format!("Truth, then what was answered. {}.", words.join(". "));
    figure(title, told, height, svg)
}
