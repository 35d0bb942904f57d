//! Names, each with its part of a whole.

use crate::Figure;
use crate::svg::{Svg, WIDTH};

/// A name with its part.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// The name.
    pub name: String,
    /// How much of the whole.
    pub part: usize,
    /// The part as it is told: `33.3 %`.
    pub told: String,
}

/// A bar for each name, in the order given: how much of it, of what it could be.
pub fn bars(title: &str, told: &str, whole: usize, bars: &[Bar]) -> Figure {
    let mut svg = Svg::default();
    let mut y = 0.0;
    for bar in bars {
        svg.names(y + 12.0, &bar.name, &bar.told);
        let width = WIDTH * bar.part.min(whole) as f64 / whole.max(1) as f64;
        svg.bar("track", [0.0, y + 18.0, WIDTH, 9.0], "");
        let least = if bar.part > 0 { 1.5 } else { 0.0 };
        let told = format!("{}: {}", bar.name, bar.told);
        svg.bar("bar", [0.0, y + 18.0, width.max(least), 9.0], &told);
        y += 36.0;
    }
    match bars.is_empty() {
        true => super::nothing(title),
        false => super::plain(title, told, y, svg),
    }
}
