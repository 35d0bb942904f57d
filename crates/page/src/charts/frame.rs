//! Parts that charts share: a plot with axes, the style of a series, and the legend.

use super::axis::Axis;
use super::scale::Scale;
use crate::svg::{Anchor, LINE, Shape, Svg, WIDTH, text_width, truncated};

/// Margin at the right, for half of the last tick's label or of a mark.
const EDGE: f64 = 10.0;
/// How much wider a short text may be than [`text_width`] estimates: a per cent sign is as wide as two letters.
const SLACK: f64 = 3.0;
/// Height of the tick labels and the axis name below a plot.
pub(super) const BELOW: f64 = 40.0;

/// The area of a plot with its two axes.
pub(super) struct Frame {
    pub(super) x: Scale,
    pub(super) y: Scale,
    left: f64,
    top: f64,
    bottom: f64,
}

impl Frame {
    /// A plot of these values between two heights; above `top` there has to be room for the name of the y axis.
    pub(super) fn new(
        x: (&Axis, Vec<f64>),
        y: (&Axis, Vec<f64>),
        [top, bottom]: [f64; 2],
    ) -> Frame {
        let y = Scale::over(y.1, y.0, [bottom, top], 4, true);
        let left = left_of(&y);
        let x = Scale::over(x.1, x.0, [left + 4.0, WIDTH - EDGE], 5, false);
        Frame {
            x,
            y,
            left,
            top,
            bottom,
        }
    }

    /// A plot of a share against a share, both axes from 0 to 1.
    pub(super) fn shares([top, bottom]: [f64; 2]) -> Frame {
        let y = Scale::share([bottom, top], "");
        let left = left_of(&y);
        let x = Scale::share([left, WIDTH - EDGE], "");
        Frame {
            x,
            y,
            left,
            top,
            bottom,
        }
    }

    /// Two scales without axes.
    pub(super) fn bare(x: Scale, y: Scale) -> Frame {
        let [left, top, bottom] = [0.0; 3];
        Frame {
            x,
            y,
            left,
            top,
            bottom,
        }
    }

    /// Draws grid, ticks and names; `below` is the y coordinate under which the x ticks are labelled.
    pub(super) fn draw(&self, svg: &mut Svg, [x_name, y_name]: [&str; 2], below: f64) {
        let name = truncated(y_name, WIDTH);
        svg.text("faint", Anchor::Start, [0.0, self.top - 12.0], &name);
        for (value, name) in &self.y.ticks {
            let Some(y) = self.y.at(*value) else { continue };
            svg.line("grid", [self.left, y, WIDTH, y]);
            svg.text("faint", Anchor::End, [self.left - 5.0, y + 4.0], name);
        }
        svg.line("axis", [self.left, self.bottom, WIDTH, self.bottom]);
        names_below(svg, &self.x, below, x_name, |svg, x| {
            svg.line("axis", [x, self.bottom, x, self.bottom + 4.0]);
        });
    }

    /// Coordinates of a point, if it can be drawn.
    pub(super) fn at(&self, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
        Some([self.x.at(x)?, self.y.at(y)?])
    }
}

/// Width of the tick labels of the y axis.
fn left_of(y: &Scale) -> f64 {
    let names = y.ticks.iter().map(|(_, name)| text_width(name));
    names.fold(0.0, f64::max).min(WIDTH / 3.0) + 6.0 + SLACK
}

/// Tick labels of the x axis, as many as fit, and below them the name of the axis.
pub(super) fn names_below(
    svg: &mut Svg,
    x: &Scale,
    below: f64,
    name: &str,
    mut mark: impl FnMut(&mut Svg, f64),
) {
    let mut free = 0.0;
    for (value, name) in &x.ticks {
        let Some(at) = x.at(*value) else { continue };
        mark(svg, at);
        let half = text_width(name) / 2.0 + SLACK;
        let middle = at.min(WIDTH - half).max(half);
        if middle - half >= free {
            svg.text("faint", Anchor::Middle, [middle, below + 17.0], name);
            free = middle + half + 4.0;
        }
    }
    let name = truncated(name, WIDTH);
    svg.text("faint", Anchor::End, [WIDTH, below + 34.0], &name);
}

/// Series with a style of their own; further ones are drawn faintly and named only in tooltips.
pub const MAX_SERIES: usize = 12;

/// The style of a series, by its number: no two of the first [`MAX_SERIES`] have the same colour, mark and dash.
#[derive(Clone, Copy)]
pub(super) struct SeriesStyle(pub(super) usize);

impl SeriesStyle {
    /// CSS class of its colour.
    pub(super) fn colour(self) -> String {
        match self.0 {
            number if number < MAX_SERIES => format!("s{number}"),
            _ => "other".into(),
        }
    }

    /// CSS classes of its line.
    pub(super) fn curve(self) -> String {
        let dashed = (Shape::ALL.len()..MAX_SERIES).contains(&self.0);
        format!(
            "curve {}{}",
            self.colour(),
            if dashed { " dashed" } else { "" }
        )
    }

    /// Its mark.
    pub(super) fn shape(self) -> Shape {
        Shape::ALL[self.0 % Shape::ALL.len()]
    }

    /// Draws its mark on a point.
    pub(super) fn spot(self, svg: &mut Svg, at: [f64; 2], tooltip: &str) {
        let class = format!("spot {}", self.colour());
        svg.mark(&class, self.shape(), at, 3.2, tooltip);
    }
}

/// Draws a ring around a highlighted point.
pub(super) fn ring(svg: &mut Svg, at: [f64; 2], tooltip: &str) {
    svg.mark("ring", Shape::Circle, at, 6.0, tooltip);
}

/// Draws the legend from `top` down; returns the y coordinate below it.
pub(super) fn legend(svg: &mut Svg, names: &[&str], ringed: Option<&str>, top: f64) -> f64 {
    const SAMPLE: f64 = 24.0;
    let shown = names.iter().take(MAX_SERIES).enumerate();
    let mut entries: Vec<(Option<SeriesStyle>, String)> = shown
        .map(|(number, name)| (Some(SeriesStyle(number)), (*name).to_owned()))
        .collect();
    if let Some(more) = names.len().checked_sub(MAX_SERIES).filter(|more| *more > 0) {
        entries.push((
            Some(SeriesStyle(MAX_SERIES)),
            format!("{} more", verdict_common::grouped(more)),
        ));
    }
    entries.extend(ringed.map(|name| (None, name.to_owned())));
    let (mut x, mut y) = (0.0, top);
    for (look, name) in entries {
        let name = truncated(&name, WIDTH - SAMPLE - 5.0);
        let width = SAMPLE + 5.0 + text_width(&name);
        if x > 0.0 && x + width > WIDTH {
            (x, y) = (0.0, y + LINE);
        }
        let middle = [x + SAMPLE / 2.0, y + 8.0];
        match look {
            Some(look) => {
                let line = [[x + 1.0, middle[1]], [x + SAMPLE - 1.0, middle[1]]];
                svg.curve(&look.curve(), &line, "");
                if look.0 < MAX_SERIES {
                    look.spot(svg, middle, "");
                }
            }
            None => ring(svg, middle, ""),
        }
        svg.text("", Anchor::Start, [x + SAMPLE + 5.0, y + 12.0], &name);
        x += width + 12.0;
    }
    y + LINE + 6.0
}
