//! Confidence against accuracy, bin by bin: whether probabilities mean what they say.

use super::frame::{BELOW, Frame, Look};
use super::{Unit, ends, figure, nothing};
use crate::svg::{At, Shape, Svg, WIDTH};
use verdict_common::{counted, percent};

use crate::Figure;

/// Height of the plot, and of the mass below it.
const TALL: f64 = 230.0;
const MASS: f64 = 40.0;
/// Between the two.
const GAP: f64 = 12.0;

/// Answers of about one confidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Bin {
    /// Its edges, shares from 0 to 1.
    pub edges: [f64; 2],
    /// Mean confidence within.
    pub confidence: f64,
    /// Share that is right.
    pub accuracy: f64,
    /// The ends of the accuracy's error bar.
    pub interval: Option<[f64; 2]>,
    /// How many they are.
    pub rows: usize,
}

/// Accuracy over mean confidence, the diagonal on which they are equal, and below how many answers stand where. Bins
/// without answers are left out.
pub fn reliability(title: &str, bins: &[Bin]) -> Figure {
    let bins: Vec<&Bin> = bins.iter().filter(|bin| bin.rows > 0).collect();
    let top = 22.0;
    let bottom = top + TALL;
    let frame = Frame::shares([top, bottom]);
    let places = bins
        .iter()
        .map(|bin| frame.at([bin.confidence, bin.accuracy]));
    let placed: Vec<([f64; 2], &Bin)> = places
        .zip(&bins)
        .filter_map(|(at, bin)| Some((at?, *bin)))
        .collect();
    if placed.is_empty() {
        return nothing(title);
    }
    let mut svg = Svg::default();
    let floor = bottom + GAP + MASS;
    frame.draw(&mut svg, ["confidence", "share that is right"], floor);
    if let (Some([x1, y1]), Some([x2, y2])) = (frame.at([0.0, 0.0]), frame.at([1.0, 1.0])) {
        svg.line("mark", [x1, y1, x2, y2]);
    }
    let line: Vec<[f64; 2]> = placed.iter().map(|(at, _)| *at).collect();
    svg.curve(&Look(0).curve(), &line, "");

    let rows: usize = bins
        .iter()
        .map(|bin| bin.rows)
        .fold(0, usize::saturating_add);
    let most = bins.iter().map(|bin| bin.rows).max().unwrap_or(1).max(1);
    svg.line("axis", [line_start(&frame), floor, WIDTH, floor]);
    let label = format!("{} %", (100.0 * most as f64 / rows.max(1) as f64).round());
    svg.text(
        "faint",
        At::End,
        [line_start(&frame) - 5.0, floor - MASS + 8.0],
        &label,
    );
    let mut words = Vec::new();
    for (at, bin) in placed {
        let x = at[0];
        let mut told = format!(
            "confidence {}: {} right",
            Unit::Percent.told(bin.confidence),
            Unit::Percent.told(bin.accuracy)
        );
        if let Some(ends) = ends(bin.interval) {
            told += &format!(" {}", Unit::Percent.interval(ends));
            if let [Some(low), Some(high)] = ends.map(|end| frame.y.at(end)) {
                for line in [
                    [x, low, x, high],
                    [x - 4.0, low, x + 4.0, low],
                    [x - 4.0, high, x + 4.0, high],
                ] {
                    svg.line("whisker s0", line);
                }
            }
        }
        told += &format!(
            ", {} ({})",
            counted(bin.rows, "answer"),
            percent(bin.rows, rows)
        );
        if let [Some(a), Some(b)] = bin.edges.map(|edge| frame.x.at(edge)) {
            let height = (MASS * bin.rows as f64 / most as f64).max(1.0);
            let width = ((b - a).abs() - 1.0).max(1.0);
            let left = a.min(b).min(WIDTH - width - 0.5) + 0.5;
            svg.bar("bar", [left, floor - height, width, height], &told);
        }
        svg.mark("spot s0", Shape::Circle, at, 4.0, &told);
        words.push(told);
    }
    figure(title, format!("{}.", words.join(". ")), floor + BELOW, svg)
}

/// Where the plot begins.
fn line_start(frame: &Frame) -> f64 {
    frame.x.at(0.0).unwrap_or(0.0)
}
