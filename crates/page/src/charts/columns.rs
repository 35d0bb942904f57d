//! A vertical bar chart: a histogram, or counts by year.

use verdict_common::grouped;

use crate::Figure;
use crate::svg::{Anchor, Svg, WIDTH, text_width, truncated};

/// Height of the bars.
const TALL: f64 = 130.0;

/// How far the last name may extend beyond the right edge, into the margin of the figure.
const OVER: f64 = 4.0;

/// A bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The name below it, where there is room; a name that ends in `+` marks a bar of all larger values.
    pub name: String,
    /// The tooltip.
    pub tooltip: String,
    /// The count.
    pub rows: usize,
}

/// The bars from left to right, with as many names below as fit.
pub fn columns(title: &str, description: &str, columns: &[Column]) -> Figure {
    if columns.is_empty() {
        return super::no_data(title);
    }
    let mut svg = Svg::default();
    let most = columns.iter().map(|of| of.rows).max().unwrap_or(0).max(1);
    let step = step(most);
    let top = most.div_ceil(step).saturating_mul(step);
    let left = text_width(&grouped(top)) + 6.0;
    let y = |rows: usize| 10.0 + TALL * (1.0 - rows as f64 / top as f64);
    for mark in (0..=top).step_by(step) {
        let class = if mark == 0 { "axis" } else { "grid" };
        svg.line(class, [left, y(mark), WIDTH, y(mark)]);
        let name = grouped(mark);
        svg.text("faint", Anchor::End, [left - 5.0, y(mark) + 4.0], &name);
    }
    let width = (WIDTH - left) / columns.len() as f64;
    let gap = if width > 6.0 { 2.0 } else { width * 0.25 };
    // The last name has precedence where it marks a bar of all larger values.
    let open = columns.last().filter(|of| of.name.ends_with('+'));
    let open = open.map(|of| truncated(&of.name, WIDTH));
    let mut end = WIDTH + OVER;
    if let Some(name) = &open {
        end = WIDTH - text_width(name) - 8.0;
        svg.text("faint", Anchor::End, [WIDTH, y(0) + 16.0], name);
    }
    let mut free = 0.0;
    for (number, column) in columns.iter().enumerate() {
        let x = left + width * number as f64;
        if column.rows > 0 {
            // A bar that is not empty stays visible.
            let height = (y(0) - y(column.rows)).max(1.0);
            let bar = [x + gap / 2.0, y(0) - height, width - gap, height];
            svg.bar("bar", bar, &column.tooltip);
        }
        let (middle, half) = (x + width / 2.0, text_width(&column.name) / 2.0);
        if middle - half >= free && middle + half <= end && !column.name.is_empty() {
            svg.text("faint", Anchor::Middle, [middle, y(0) + 16.0], &column.name);
            free = middle + half + 6.0;
        }
    }
    super::plain(title, description, TALL + 32.0, svg)
}

/// The smallest round step of which at most four cover `most`.
fn step(most: usize) -> usize {
    let steps = (0..).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_usize.pow(power)));
    let mut steps = steps.into_iter();
    let step = steps.find(|step| most.div_ceil(*step) <= 4);
    step.unwrap_or(1)
}
