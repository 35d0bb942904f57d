//! A sparkline: a small line without axes.

use super::frame::{Frame, SeriesStyle};
use super::lines::runs;
use super::scale::{Scale, drawable};
use super::{Axis, Unit, figure, no_data};
use crate::Figure;
use crate::svg::{Anchor, Svg, WIDTH, text_width};

/// Height of the figure.
const TALL: f64 = 44.0;

/// Values in their order, with the last one as text at the end of the line.
pub fn spark(title: &str, values: &[f64], unit: Unit) -> Figure {
    let shown = |value: &&f64| drawable(**value, false);
    let drawn: Vec<f64> = values.iter().filter(shown).copied().collect();
    let (Some(first), Some(last)) = (drawn.first(), drawn.last()) else {
        return no_data(title);
    };
    let last_text = unit.format(*last);
    let right = WIDTH - text_width(&last_text) - 12.0;
    let places = (0..values.len()).map(|place| place as f64);
    let axis = Axis::new("", unit);
    let x = Scale::over(places, &axis, [6.0, right.max(7.0)], 1, false);
    let y = Scale::over(drawn.iter().copied(), &axis, [TALL - 6.0, 6.0], 1, false);
    let frame = Frame::bare(x, y);
    let mut svg = Svg::default();
    let points: Vec<[f64; 2]> = values
        .iter()
        .enumerate()
        .map(|(place, value)| [place as f64, *value])
        .collect();
    for run in runs(&frame, &points) {
        svg.curve(&SeriesStyle(0).curve(), &run, "");
    }
    let end = points.iter().rev().find_map(|point| frame.at(*point));
    if let Some(at) = end {
        SeriesStyle(0).spot(&mut svg, at, &last_text);
        let y = (at[1] + 4.0).clamp(12.0, TALL - 4.0);
        svg.text("strong", Anchor::End, [WIDTH, y], &last_text);
    }
    let least = drawn.iter().copied().fold(f64::INFINITY, f64::min);
    let most = drawn.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let description = format!(
        "{}: first {}, last {last_text}, lowest {}, highest {}.",
        verdict_common::counted(drawn.len(), "value"),
        unit.format(*first),
        unit.format(least),
        unit.format(most)
    );
    figure(title, description, TALL, svg)
}
