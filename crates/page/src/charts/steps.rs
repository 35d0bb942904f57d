//! Risk against coverage: how many of the answers given are wrong when only the surest are given.

use super::frame::{BELOW, Frame, Look, legend, ring};
use super::lines::runs;
use super::{Axis, Unit, figure, nothing};
use crate::Figure;
use crate::svg::{At, LINE, Svg, WIDTH, fitting};

/// Height of the plot.
const TALL: f64 = 180.0;

/// Errors at each coverage.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its name.
    pub name: String,
    /// Share of the questions that are answered, ascending, and share of those answers that are wrong.
    pub points: Vec<[f64; 2]>,
    /// Which point is where the system works.
    pub operating: Option<usize>,
}

/// Coverage from 0 to 1 against error. A coverage between two points cannot be had but by answering as many as the
/// upper one does: its error reaches down to the lower one.
pub fn steps(title: &str, curves: &[Curve]) -> Figure {
    let shown = |point: &&[f64; 2]| {
        point
            .iter()
            .all(|value| super::scale::drawable(*value, false))
    };
    let points = curves.iter().flat_map(|curve| &curve.points);
    let mut errors: Vec<f64> = points.filter(shown).map(|[_, error]| *error).collect();
    if errors.is_empty() {
        return nothing(title);
    }
    errors.push(0.0);
    let mut svg = Svg::default();
    let operating = |curve: &Curve| curve.operating.and_then(|at| curve.points.get(at).copied());
    let ringed: Vec<(&Curve, [f64; 2])> = curves
        .iter()
        .filter_map(|curve| Some((curve, operating(curve).filter(|point| shown(&point))?)))
        .collect();
    let names: Vec<&str> = curves.iter().map(|curve| curve.name.as_str()).collect();
    let mark = (!ringed.is_empty()).then_some("chosen on validation");
    let top = legend(&mut svg, &names, mark, 0.0) + 22.0;
    let bottom = top + TALL;
    let coverage = Axis::new(
        "share of the questions answered, the surest first",
        Unit::Percent,
    );
    let error = Axis::new("share of those answers that are wrong", Unit::Percent);
    let frame = Frame::new((&coverage, vec![0.0, 1.0]), (&error, errors), [top, bottom]);
    frame.draw(&mut svg, [&coverage.name, &error.name], bottom);
    for (number, curve) in curves.iter().enumerate().rev() {
        for run in runs(&frame, &stepped(&curve.points)) {
            svg.curve(&Look(number).curve(), &run, &curve.name);
        }
        // Marks tell a series from another without its colour: at the quarters, each series a little further on, so
        // that curves that lie upon each other show all of theirs.
        let shift = number as f64 / (8.0 * curves.len() as f64);
        for quarter in 1..=4 {
            let place = curve.points.len() as f64 * (f64::from(quarter) / 4.0 - shift);
            let point = curve.points.get((place as usize).saturating_sub(1));
            if let Some(at) = point.and_then(|point| frame.at(*point)) {
                Look(number).spot(&mut svg, at, &curve.name);
            }
        }
    }
    let told = |[coverage, error]: [f64; 2]| {
        let [coverage, error] = [coverage, error].map(|share| Unit::Percent.told(share));
        format!("answers {coverage}, {error} of them wrong")
    };
    let mut y = bottom + BELOW + 4.0;
    for (curve, point) in ringed {
        let told = format!("{}: {}", curve.name, told(point));
        if let Some(at) = frame.at(point) {
            ring(&mut svg, at, &told);
        }
        svg.text("", At::Start, [0.0, y + 10.0], &fitting(&told, WIDTH));
        y += LINE;
    }
    let tell = |curve: &Curve| {
        let last = curve.points.iter().rfind(shown)?;
        let mut text = format!("{}: {}", curve.name, told(*last));
        if let Some(point) = operating(curve).filter(|point| shown(&point)) {
            text += &format!("; at the threshold chosen on validation it {}", told(point));
        }
        Some(text)
    };
    let words: Vec<String> = curves.iter().filter_map(tell).collect();
    figure(title, format!("{}.", words.join(". ")), y, svg)
}

/// The corners: an error holds from the coverage before its own up to its own.
fn stepped(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let mut corners = Vec::with_capacity(2 * points.len());
    let mut before = 0.0;
    for [coverage, error] in points {
        corners.push([before, *error]);
        corners.push([*coverage, *error]);
        before = *coverage;
    }
    corners
}

#[cfg(test)]
mod tests {
    use super::stepped;

    #[test]
    fn an_error_holds_down_to_the_coverage_before() {
        assert_eq!(
            stepped(&[[0.5, 0.1], [1.0, 0.3]]),
            [[0.0, 0.1], [0.5, 0.1], [0.5, 0.3], [1.0, 0.3]]
        );
    }
}
