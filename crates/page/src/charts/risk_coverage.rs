//! A risk-coverage chart: the error rate among the most confident answers, by how many are given.

use super::frame::{BELOW, Frame, SeriesStyle, legend, ring};
use super::lines::runs;
use super::{Axis, Unit, figure, no_data};
use crate::Figure;
use crate::svg::{Anchor, LINE, Svg, WIDTH, truncated};

/// Height of the plot.
const TALL: f64 = 180.0;

/// The error rate of one model at each coverage.
#[derive(Clone, Debug, PartialEq)]
pub struct RiskCurve {
    /// Its name.
    pub name: String,
    /// Coverage, ascending, and the error rate among the answered questions.
    pub points: Vec<[f64; 2]>,
    /// Index of the operating point.
    pub operating: Option<usize>,
}

/// Error rate against coverage, as step functions: a coverage between two points is reached only by answering as many
/// questions as at the upper one, so each error rate holds from the coverage before.
pub fn risk_coverage(title: &str, curves: &[RiskCurve]) -> Figure {
    let shown = |point: &&[f64; 2]| {
        point
            .iter()
            .all(|value| super::scale::drawable(*value, false))
    };
    let points = curves.iter().flat_map(|curve| &curve.points);
    let mut errors: Vec<f64> = points.filter(shown).map(|[_, error]| *error).collect();
    if errors.is_empty() {
        return no_data(title);
    }
    errors.push(0.0);
    let mut svg = Svg::default();
    let operating =
        |curve: &RiskCurve| curve.operating.and_then(|at| curve.points.get(at).copied());
    let ringed: Vec<(&RiskCurve, [f64; 2])> = curves
        .iter()
        .filter_map(|curve| Some((curve, operating(curve).filter(|point| shown(&point))?)))
        .collect();
    let names: Vec<&str> = curves.iter().map(|curve| curve.name.as_str()).collect();
    let mark = (!ringed.is_empty()).then_some("chosen on validation");
    let top = legend(&mut svg, &names, mark, 0.0) + 22.0;
    let bottom = top + TALL;
    let coverage = Axis::new(
        "questions answered, the most confident first",
        Unit::Percent,
    );
    let error = Axis::new("share of those answers that are wrong", Unit::Percent);
    let frame = Frame::new((&coverage, vec![0.0, 1.0]), (&error, errors), [top, bottom]);
    frame.draw(&mut svg, [&coverage.name, &error.name], bottom);
    for (number, curve) in curves.iter().enumerate().rev() {
        for run in runs(&frame, &stepped(&curve.points)) {
            svg.curve(&SeriesStyle(number).curve(), &run, &curve.name);
        }
        // Marks make series distinguishable without colour. They are at the quarters, shifted for each series so that
        // overlapping curves show all of their marks.
        let shift = number as f64 / (8.0 * curves.len() as f64);
        for quarter in 1..=4 {
            let place = curve.points.len() as f64 * (f64::from(quarter) / 4.0 - shift);
            let point = curve.points.get((place as usize).saturating_sub(1));
            if let Some(at) = point.and_then(|point| frame.at(*point)) {
                SeriesStyle(number).spot(&mut svg, at, &curve.name);
            }
        }
    }
    let describe = |[coverage, error]: [f64; 2]| {
        let [coverage, error] = [coverage, error].map(|share| Unit::Percent.format(share));
        format!("answers {coverage}, {error} of them wrong")
    };
    let mut y = bottom + BELOW + 4.0;
    for (curve, point) in ringed {
        let text = format!("{}: {}", curve.name, describe(point));
        if let Some(at) = frame.at(point) {
            ring(&mut svg, at, &text);
        }
        svg.text("", Anchor::Start, [0.0, y + 10.0], &truncated(&text, WIDTH));
        y += LINE;
    }
    let summary = |curve: &RiskCurve| {
        let last = curve.points.iter().rfind(shown)?;
        let mut text = format!("{}: {}", curve.name, describe(*last));
        if let Some(point) = operating(curve).filter(|point| shown(&point)) {
            text += &format!(
                "; at the threshold chosen on validation it {}",
                describe(point)
            );
        }
        Some(text)
    };
    let words: Vec<String> = curves.iter().filter_map(summary).collect();
    figure(title, format!("{}.", words.join(". ")), y, svg)
}

/// The corners of the step function.
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
    fn an_error_rate_holds_from_the_coverage_before() {
        assert_eq!(
            stepped(&[[0.5, 0.1], [1.0, 0.3]]),
            [[0.0, 0.1], [0.5, 0.1], [0.5, 0.3], [1.0, 0.3]]
        );
    }
}
