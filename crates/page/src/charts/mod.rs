//! Charts: pure functions from numbers to a [`Figure`], each in a file of its own.
//!
//! They are drawn for a phone's width, take their colours from classes, so that they are light or dark as the page is,
//! and tell in words what they show. Series differ in the shape of their marks and the dash of their lines as well as
//! in colour. Numbers that cannot be drawn (not finite, beyond ±10³⁰⁰, not positive on a logarithmic axis) are left
//! out; without any that can, a chart says so.

mod bars;
mod columns;
mod confusion;
mod dots;
mod frame;
mod lines;
mod reliability;
mod scale;
mod spark;
mod steps;

pub use bars::{Bar, bars};
pub use columns::{Column, columns};
pub use confusion::confusion;
pub use dots::{Dot, Reference, dots};
pub use lines::{MOST, Series, lines};
pub use reliability::{Bin, reliability};
pub use spark::spark;
pub use steps::{Curve, steps};

use crate::Figure;
use crate::svg::{At, Svg, WIDTH};
use verdict_common::significant;

/// Rules of the charts' classes.
const STYLE: &str = include_str!("style.css");

/// What an axis measures.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Its name, with the unit: `loss, nats per token`.
    pub name: String,
    /// What its numbers are.
    pub unit: Unit,
    /// Whether equal distances are equal factors.
    pub log: bool,
}

impl Axis {
    /// A linear axis.
    pub fn new(name: impl Into<String>, unit: Unit) -> Axis {
        let name = name.into();
        let log = false;
        Axis { name, unit, log }
    }
}

/// What numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Any number.
    Number,
    /// How often: marks stand at whole numbers.
    Count,
    /// A share from 0 to 1, written in per cent.
    Percent,
    /// A difference of shares from -1 to 1, written in percentage points with its sign.
    Points,
}

impl Unit {
    /// A number as a reader sees it.
    fn told(self, value: f64) -> String {
        let share = 100.0 * value;
        match self {
            Unit::Number | Unit::Count => significant(value),
            Unit::Percent if share.abs() < 1000.0 => format!("{share:.1} %").replace('-', "−"),
            Unit::Percent => format!("{} %", significant(share)),
            // What rounds to nothing has no sign.
            Unit::Points => match (10.0 * share).round() / 10.0 {
                0.0 => "0.0".to_owned(),
                points => format!("{points:+.1}").replace('-', "−"),
            },
        }
    }

    /// An interval in brackets: `[37.1–71.0]`.
    fn interval(self, [low, high]: [f64; 2]) -> String {
        let plain = |value| self.told(value).replace(" %", "");
        let between = if self == Unit::Points { " to " } else { "–" };
        format!("[{}{between}{}]", plain(low), plain(high))
    }
}

/// The two ends of an interval in order, where both can be drawn.
fn ends(interval: Option<[f64; 2]>) -> Option<[f64; 2]> {
    let [a, b] = interval.filter(|ends| ends.iter().all(|end| scale::drawable(*end, false)))?;
    Some([a.min(b), a.max(b)])
}

/// A chart of what was drawn.
fn figure(title: &str, told: String, height: f64, svg: Svg) -> Figure {
    Figure {
        title: title.to_owned(),
        told,
        height: height.ceil(),
        body: svg.done(),
        style: STYLE,
    }
}

/// A chart that needs no rules but those of every page.
fn plain(title: &str, told: &str, height: f64, svg: Svg) -> Figure {
    Figure {
        style: "",
        ..figure(title, told.to_owned(), height, svg)
    }
}

/// What stands where there is nothing to draw.
fn nothing(title: &str) -> Figure {
    let text = "nothing to show yet";
    let mut svg = Svg::default();
    svg.text("number", At::Middle, [WIDTH / 2.0, 24.0], text);
    figure(title, text.into(), 40.0, svg)
}

#[cfg(test)]
mod tests {
    use super::Unit;

    #[test]
    fn differences_have_signs_and_no_per_cent() {
        assert_eq!(Unit::Points.told(0.0159), "+1.6");
        assert_eq!(Unit::Points.told(-0.000_2), "0.0");
        assert_eq!(Unit::Points.interval([-0.0632, 0.0794]), "[−6.3 to +7.9]");
        assert_eq!(Unit::Percent.interval([0.1, 0.25]), "[10.0–25.0]");
    }
}
