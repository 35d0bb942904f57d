//! What the charts share: a plot with its axes, the look of a series, and the legend that names it.

use super::scale::Scale;
use super::{Axis, MOST};
use crate::svg::{At, LINE, Shape, Svg, WIDTH, fitting, wide};

/// Room for half of the last tick's name and of a mark on the edge.
const EDGE: f64 = 10.0;
/// What a short text may be wider than [`wide`] takes it to be: a per cent sign is as wide as two letters.
const SLACK: f64 = 3.0;
/// Height of the names below a plot: ticks, then the axis.
pub(super) const BELOW: f64 = 40.0;

/// Two axes and where they stand.
pub(super) struct Frame {
    pub(super) x: Scale,
    pub(super) y: Scale,
    left: f64,
    top: f64,
    bottom: f64,
}

impl Frame {
    /// A plot of these values between two heights; `top` leaves a line for the name of y above it.
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

    /// A plot of a share against a share, both whole.
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

    /// Grid, ticks and names; `below` is where the ticks of x are named, under the plot or what hangs below it.
    pub(super) fn draw(&self, svg: &mut Svg, [x_name, y_name]: [&str; 2], below: f64) {
        let name = fitting(y_name, WIDTH);
        svg.text("faint", At::Start, [0.0, self.top - 12.0], &name);
        for (value, name) in &self.y.ticks {
            let Some(y) = self.y.at(*value) else { continue };
            svg.line("grid", [self.left, y, WIDTH, y]);
            svg.text("faint", At::End, [self.left - 5.0, y + 4.0], name);
        }
        svg.line("axis", [self.left, self.bottom, WIDTH, self.bottom]);
        names_below(svg, &self.x, below, x_name, |svg, x| {
            svg.line("axis", [x, self.bottom, x, self.bottom + 4.0]);
        });
    }

    /// Where a point stands, if it does.
    pub(super) fn at(&self, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
        Some([self.x.at(x)?, self.y.at(y)?])
    }
}

/// Room for the names of the ticks of y.
fn left_of(y: &Scale) -> f64 {
    let names = y.ticks.iter().map(|(_, name)| wide(name));
    names.fold(0.0, f64::max).min(WIDTH / 3.0) + 6.0 + SLACK
}

/// Names of the ticks of x that have room, and below them the name of the axis.
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
        let half = wide(name) / 2.0 + SLACK;
        let middle = at.min(WIDTH - half).max(half);
        if middle - half >= free {
            svg.text("faint", At::Middle, [middle, below + 17.0], name);
            free = middle + half + 4.0;
        }
    }
    let name = fitting(name, WIDTH);
    svg.text("faint", At::End, [WIDTH, below + 34.0], &name);
}

/// How a series looks: no two of the first [`MOST`] share colour and mark and dash.
#[derive(Clone, Copy)]
pub(super) struct Look(pub(super) usize);

impl Look {
    /// Class of its colour.
    pub(super) fn colour(self) -> String {
        match self.0 {
            number if number < MOST => format!("s{number}"),
            _ => "other".into(),
        }
    }

    /// Classes of its line.
    pub(super) fn curve(self) -> String {
        let dashed = (Shape::ALL.len()..MOST).contains(&self.0);
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

    /// A mark of it on a point.
    pub(super) fn spot(self, svg: &mut Svg, at: [f64; 2], told: &str) {
        let class = format!("spot {}", self.colour());
        svg.mark(&class, self.shape(), at, 3.2, told);
    }
}

/// A ring around a point that matters.
pub(super) fn ring(svg: &mut Svg, at: [f64; 2], told: &str) {
    svg.mark("ring", Shape::Circle, at, 6.0, told);
}

/// Series with their names from `top` down, as many to a line as fit; returns where the next thing may begin.
pub(super) fn legend(svg: &mut Svg, names: &[&str], ringed: Option<&str>, top: f64) -> f64 {
    const SAMPLE: f64 = 24.0;
    let shown = names.iter().take(MOST).enumerate();
    let mut entries: Vec<(Option<Look>, String)> = shown
        .map(|(number, name)| (Some(Look(number)), (*name).to_owned()))
        .collect();
    if let Some(more) = names.len().checked_sub(MOST).filter(|more| *more > 0) {
        entries.push((
            Some(Look(MOST)),
            format!("{} more", verdict_common::grouped(more)),
        ));
    }
    entries.extend(ringed.map(|name| (None, name.to_owned())));
    let (mut x, mut y) = (0.0, top);
    for (look, name) in entries {
        let name = fitting(&name, WIDTH - SAMPLE - 5.0);
        let width = SAMPLE + 5.0 + wide(&name);
        if x > 0.0 && x + width > WIDTH {
            (x, y) = (0.0, y + LINE);
        }
        let middle = [x + SAMPLE / 2.0, y + 8.0];
        match look {
            Some(look) => {
                let line = [[x + 1.0, middle[1]], [x + SAMPLE - 1.0, middle[1]]];
                svg.curve(&look.curve(), &line, "");
                if look.0 < MOST {
                    look.spot(svg, middle, "");
                }
            }
            None => ring(svg, middle, ""),
        }
        svg.text("", At::Start, [x + SAMPLE + 5.0, y + 12.0], &name);
        x += width + 12.0;
    }
    y + LINE + 6.0
}
