//! A reliability diagram: accuracy against confidence, bin by bin.

use verdict_common::{counted, percent};

use super::frame::{BELOW, Frame, SeriesStyle};
use super::{Unit, ends, figure, no_data};
use crate::Figure;
use crate::svg::{Anchor, Shape, Svg, WIDTH};

/// Heights of the plot and of the histogram below it.
const TALL: f64 = 230.0;
const MASS: f64 = 40.0;
/// Gap between the two.
const GAP: f64 = 12.0;

/// Answers of similar confidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Bin {
    /// Its edges, shares from 0 to 1.
    pub edges: [f64; 2],
    /// Mean confidence.
    pub confidence: f64,
    /// Share of right answers.
    pub accuracy: f64,
    /// The ends of the accuracy's error bar.
    pub interval: Option<[f64; 2]>,
    /// Number of answers.
    pub rows: usize,
}

/// Accuracy against mean confidence, with the diagonal of perfect calibration and a histogram of the answers below.
/// Empty bins are left out.
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
        return no_data(title);
    }
    let mut svg = Svg::default();
    let floor = bottom + GAP + MASS;
    frame.draw(&mut svg, ["confidence", "share that is right"], floor);
    if let (Some([x1, y1]), Some([x2, y2])) = (frame.at([0.0, 0.0]), frame.at([1.0, 1.0])) {
        svg.line("mark", [x1, y1, x2, y2]);
    }
    let line: Vec<[f64; 2]> = placed.iter().map(|(at, _)| *at).collect();
    svg.curve(&SeriesStyle(0).curve(), &line, "");

    let rows: usize = bins
        .iter()
        .map(|bin| bin.rows)
        .fold(0, usize::saturating_add);
    let most = bins.iter().map(|bin| bin.rows).max().unwrap_or(1).max(1);
    svg.line("axis", [line_start(&frame), floor, WIDTH, floor]);
    let label = format!("{} %", (100.0 * most as f64 / rows.max(1) as f64).round());
    svg.text(
        "faint",
        Anchor::End,
        [line_start(&frame) - 5.0, floor - MASS + 8.0],
        &label,
    );
    let mut words = Vec::new();
    for (at, bin) in placed {
        let x = at[0];
        let mut text = format!(
            "confidence {}: {} right",
            Unit::Percent.format(bin.confidence),
            Unit::Percent.format(bin.accuracy)
        );
        if let Some(ends) = ends(bin.interval) {
            text += &format!(" {}", Unit::Percent.interval(ends));
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
        text += &format!(
            ", {} ({})",
            counted(bin.rows, "answer"),
            percent(bin.rows, rows)
        );
        if let [Some(a), Some(b)] = bin.edges.map(|edge| frame.x.at(edge)) {
            let height = (MASS * bin.rows as f64 / most as f64).max(1.0);
            let width = ((b - a).abs() - 1.0).max(1.0);
            let left = a.min(b).min(WIDTH - width - 0.5) + 0.5;
            svg.bar("bar", [left, floor - height, width, height], &text);
        }
        svg.mark("spot s0", Shape::Circle, at, 4.0, &text);
        words.push(text);
    }
    figure(title, format!("{}.", words.join(". ")), floor + BELOW, svg)
}

/// Left edge of the plot.
fn line_start(frame: &Frame) -> f64 {
    frame.x.at(0.0).unwrap_or(0.0)
}
