//! Upright bars side by side: a histogram, counts by year.

use crate::svg::{At, Svg, WIDTH, fitting, wide};
use verdict_common::grouped;

use crate::Figure;

/// Height of the bars.
const TALL: f64 = 130.0;

/// How far the last name may reach over the edge, where a figure has room around it.
const OVER: f64 = 4.0;

/// A bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// What stands below it where there is room; one that ends in `+` says that the bar holds all that is more.
    pub name: String,
    /// What it says when it is pointed at.
    pub told: String,
    /// How many.
    pub rows: usize,
}

/// The bars from left to right, the names of some below.
pub fn columns(title: &str, told: &str, columns: &[Column]) -> Figure {
    if columns.is_empty() {
        return super::nothing(title);
    }
    let mut svg = Svg::default();
    let most = columns.iter().map(|of| of.rows).max().unwrap_or(0).max(1);
    let step = step(most);
    let top = most.div_ceil(step).saturating_mul(step);
    let left = wide(&grouped(top)) + 6.0;
    let y = |rows: usize| 10.0 + TALL * (1.0 - rows as f64 / top as f64);
    for mark in (0..=top).step_by(step) {
        let class = if mark == 0 { "axis" } else { "grid" };
        svg.line(class, [left, y(mark), WIDTH, y(mark)]);
        let name = grouped(mark);
        svg.text("faint", At::End, [left - 5.0, y(mark) + 4.0], &name);
    }
    let width = (WIDTH - left) / columns.len() as f64;
    let gap = if width > 6.0 { 2.0 } else { width * 0.25 };
    // The last name is told first where it says that its bar holds all that is more.
    let open = columns.last().filter(|of| of.name.ends_with('+'));
    let open = open.map(|of| fitting(&of.name, WIDTH));
    let mut end = WIDTH + OVER;
    if let Some(name) = &open {
        end = WIDTH - wide(name) - 8.0;
        svg.text("faint", At::End, [WIDTH, y(0) + 16.0], name);
    }
    let mut free = 0.0;
    for (number, column) in columns.iter().enumerate() {
        let x = left + width * number as f64;
        if column.rows > 0 {
            // What is there is seen, however little.
            let height = (y(0) - y(column.rows)).max(1.0);
            let bar = [x + gap / 2.0, y(0) - height, width - gap, height];
            svg.bar("bar", bar, &column.told);
        }
        let (middle, half) = (x + width / 2.0, wide(&column.name) / 2.0);
        if middle - half >= free && middle + half <= end && !column.name.is_empty() {
            svg.text("faint", At::Middle, [middle, y(0) + 16.0], &column.name);
            free = middle + half + 6.0;
        }
    }
    super::plain(title, told, TALL + 32.0, svg)
}

/// A round step that makes at most four of `most`.
fn step(most: usize) -> usize {
    let steps = (0..).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_usize.pow(power)));
    let mut steps = steps.into_iter();
    let step = steps.find(|step| most.div_ceil(*step) <= 4);
    step.unwrap_or(1)
}
