//! A small line without axes: how a number that is still changing went so far.

use super::frame::{Frame, Look};
use super::lines::runs;
use super::scale::{Scale, drawable};
use super::{Axis, Unit, figure, nothing};
use crate::Figure;
use crate::svg::{At, Svg, WIDTH, wide};

/// Height of it all.
const TALL: f64 = 44.0;

/// Values in their order, the last one told beside its end.
pub fn spark(title: &str, values: &[f64], unit: Unit) -> Figure {
    let shown = |value: &&f64| drawable(**value, false);
    let drawn: Vec<f64> = values.iter().filter(shown).copied().collect();
    let (Some(first), Some(last)) = (drawn.first(), drawn.last()) else {
        return nothing(title);
    };
    let told = unit.told(*last);
    let right = WIDTH - wide(&told) - 12.0;
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
        svg.curve(&Look(0).curve(), &run, "");
    }
    let end = points.iter().rev().find_map(|point| frame.at(*point));
    if let Some(at) = end {
        Look(0).spot(&mut svg, at, &told);
        let y = (at[1] + 4.0).clamp(12.0, TALL - 4.0);
        svg.text("strong", At::End, [WIDTH, y], &told);
    }
    let least = drawn.iter().copied().fold(f64::INFINITY, f64::min);
    let most = drawn.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let told = format!(
        "{} values: first {}, last {told}, lowest {}, highest {}.",
        verdict_common::grouped(drawn.len()),
        unit.told(*first),
        unit.told(least),
        unit.told(most)
    );
    figure(title, told, TALL, svg)
}
