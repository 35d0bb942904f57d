//! Charts: pure functions from numbers to a [`Figure`], each in a file of its own.
//!
//! They are as wide as a phone, take their colours from CSS classes, so that they follow the page's theme, and have a
//! description in words. Series differ in marks and dashes as well as in colour. Numbers that cannot be drawn (not
//! finite, beyond ±10³⁰⁰, not positive on a logarithmic axis) are left out; a chart without any number says so.

mod axis;
mod bars;
mod columns;
mod confusion;
mod dots;
mod frame;
mod lines;
mod reliability;
mod risk_coverage;
mod scale;
mod spark;

pub use axis::{Axis, Unit};
pub use bars::{Bar, bars};
pub use columns::{Column, columns};
pub use confusion::confusion;
pub use dots::{Dot, Reference, dots};
pub use frame::MAX_SERIES;
pub use lines::{Series, lines};
pub use reliability::{Bin, reliability};
pub use risk_coverage::{RiskCurve, risk_coverage};
pub use spark::spark;

use crate::Figure;
use crate::svg::{Anchor, Svg, WIDTH};

/// CSS rules of the charts.
const STYLE: &str = include_str!("style.css");

/// The two ends of an interval in order, if both can be drawn.
fn ends(interval: Option<[f64; 2]>) -> Option<[f64; 2]> {
    let [a, b] = interval.filter(|ends| ends.iter().all(|end| scale::drawable(*end, false)))?;
    Some([a.min(b), a.max(b)])
}

/// A chart from a drawing.
fn figure(title: &str, description: String, height: f64, svg: Svg) -> Figure {
    Figure {
        title: title.to_owned(),
        description,
        height: height.ceil(),
        body: svg.done(),
        style: STYLE,
    }
}

/// A chart that needs no CSS rules of its own.
fn plain(title: &str, description: &str, height: f64, svg: Svg) -> Figure {
    Figure {
        style: "",
        ..figure(title, description.to_owned(), height, svg)
    }
}

/// A chart without data.
fn no_data(title: &str) -> Figure {
    let text = "nothing to show yet";
    let mut svg = Svg::default();
    svg.text("number", Anchor::Middle, [WIDTH / 2.0, 24.0], text);
    figure(title, text.into(), 40.0, svg)
}
