//! A horizontal bar chart of parts of a whole.

use crate::Figure;
use crate::svg::{Svg, WIDTH};

/// A bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// The name.
    pub name: String,
    /// Its part of the whole.
    pub part: usize,
    /// The part as text: `33.3 %`.
    pub value: String,
}

/// A bar for each name, in the order given.
pub fn bars(title: &str, description: &str, whole: usize, bars: &[Bar]) -> Figure {
    let mut svg = Svg::default();
    let mut y = 0.0;
    for bar in bars {
        svg.names(y + 12.0, &bar.name, &bar.value);
        let width = WIDTH * bar.part.min(whole) as f64 / whole.max(1) as f64;
        svg.bar("track", [0.0, y + 18.0, WIDTH, 9.0], "");
        let least = if bar.part > 0 { 1.5 } else { 0.0 };
        let tooltip = format!("{}: {}", bar.name, bar.value);
        svg.bar("bar", [0.0, y + 18.0, width.max(least), 9.0], &tooltip);
        y += 36.0;
    }
    match bars.is_empty() {
        true => super::no_data(title),
        false => super::plain(title, description, y, svg),
    }
}
