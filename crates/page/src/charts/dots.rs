//! A dot plot with error bars and reference lines, such as the accuracy of each model.

use super::frame::{BELOW, names_below};
use super::scale::{Scale, drawable};
use super::{Axis, ends, figure, no_data};
use crate::Figure;
use crate::svg::{Anchor, LINE, Shape, Svg, WIDTH, text_width, truncated};

/// Height of a name and its dot.
const ROW: f64 = 36.0;
/// Margin for half a dot.
const EDGE: f64 = 6.0;

/// A dot.
#[derive(Clone, Debug, PartialEq)]
pub struct Dot {
    /// The name.
    pub name: String,
    /// The value.
    pub value: f64,
    /// The ends of its error bar.
    pub interval: Option<[f64; 2]>,
}

/// A reference line: chance, the majority label.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// Its name.
    pub name: String,
    /// The value.
    pub value: f64,
}

/// The name of a reference line, on the side with more room.
struct Label {
    at: f64,
    anchor: Anchor,
    from: f64,
    text: String,
}

impl Label {
    fn new(at: f64, text: &str) -> Label {
        let (anchor, from, room) = match at < WIDTH / 2.0 {
            true => (Anchor::Start, at + 5.0, WIDTH - at - 5.0),
            false => (Anchor::End, at - 5.0, at - 5.0),
        };
        let text = truncated(text, room);
        Label {
            at,
            anchor,
            from,
            text,
        }
    }

    /// Whether a vertical line there would cross the text.
    fn covers(&self, at: f64) -> bool {
        let width = text_width(&self.text);
        match self.anchor {
            Anchor::Start => (self.from - 2.0..=self.from + width).contains(&at),
            _ => (self.from - width..=self.from + 2.0).contains(&at),
        }
    }
}

/// A row for each dot, in the order given, with its value as text.
pub fn dots(title: &str, axis: &Axis, dots: &[Dot], references: &[Reference]) -> Figure {
    let shown = |value: &f64| drawable(*value, axis.log);
    let interval = |dot: &Dot| ends(dot.interval).filter(|ends| ends.iter().all(shown));
    let values = dots.iter().map(|dot| dot.value);
    let intervals = dots.iter().filter_map(interval).flatten();
    let lines = references.iter().map(|line| line.value);
    if !values.clone().any(|value| shown(&value)) {
        return no_data(title);
    }
    let values = values.chain(intervals).chain(lines);
    let x = Scale::over(values, axis, [EDGE, WIDTH - EDGE], 5, true);
    let lines: Vec<(f64, String)> = references
        .iter()
        .filter_map(|line| {
            let name = format!("{} {}", line.name, axis.unit.format(line.value));
            Some((x.at(line.value)?, name))
        })
        .collect();
    let top = LINE * lines.len() as f64;
    let bottom = top + ROW * dots.len() as f64 + 4.0;

    let mut svg = Svg::default();
    let mut grid = Vec::new();
    svg.line("axis", [0.0, bottom, WIDTH, bottom]);
    names_below(&mut svg, &x, bottom, &axis.name, |svg, x| {
        svg.line("axis", [x, bottom, x, bottom + 4.0]);
        grid.push(x);
    });
    let labels: Vec<Label> = lines
        .iter()
        .map(|(at, name)| Label::new(*at, name))
        .collect();
    for (number, label) in labels.iter().enumerate() {
        let y = LINE * number as f64;
        svg.text("faint", label.anchor, [label.from, y + 12.0], &label.text);
        // The line continues past the labels below, but not through them.
        for (below, other) in labels.iter().enumerate().skip(number) {
            if below == number || !other.covers(label.at) {
                let y = LINE * below as f64;
                svg.line("mark", [label.at, y, label.at, y + LINE]);
            }
        }
    }
    let mut words = Vec::new();
    for (number, dot) in dots.iter().enumerate() {
        let y = top + ROW * number as f64;
        let interval = interval(dot);
        let mut value = axis.unit.format(dot.value);
        if let Some(ends) = interval {
            value += &format!(" {}", axis.unit.interval(ends));
        }
        let text = format!("{}: {value}", dot.name);
        svg.names(y + 14.0, &dot.name, &value);
        // Grid lines are drawn behind the dots, but not behind the names.
        for at in &grid {
            svg.line("grid", [*at, y + 19.0, *at, y + ROW]);
        }
        for label in &labels {
            svg.line("mark", [label.at, y + 19.0, label.at, y + ROW]);
        }
        let y = y + 27.5;
        if let Some([low, high]) = interval.and_then(|[a, b]| Some([x.at(a)?, x.at(b)?])) {
            for line in [
                [low, y, high, y],
                [low, y - 4.0, low, y + 4.0],
                [high, y - 4.0, high, y + 4.0],
            ] {
                svg.line("whisker s0", line);
            }
        }
        if let Some(at) = x.at(dot.value) {
            svg.mark("spot s0", Shape::Circle, [at, y], 4.5, &text);
        }
        words.push(text);
    }
    words.extend(lines.into_iter().map(|(_, name)| name));
    let description = format!("{}. {}.", axis.name, words.join(". "));
    figure(title, description, bottom + BELOW, svg)
}
