//! A line chart of named series, such as learning curves.

use super::frame::{BELOW, Frame, MAX_SERIES, SeriesStyle, legend, ring};
use super::{Axis, figure, no_data};
use crate::Figure;
use crate::svg::Svg;

/// Height of the plot.
const TALL: f64 = 180.0;
/// Number of marks on a series of many points.
const MARKS: usize = 8;

/// A named series of points.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The name.
    pub name: String,
    /// x and y, in drawing order; a point that cannot be drawn leaves a gap.
    pub points: Vec<[f64; 2]>,
    /// Index of the point that is ringed as the best.
    pub best: Option<usize>,
}

/// All series in one plot.
pub fn lines(title: &str, [x, y]: [&Axis; 2], series: &[Series]) -> Figure {
    let drawable = |point: &&[f64; 2]| {
        super::scale::drawable(point[0], x.log) && super::scale::drawable(point[1], y.log)
    };
    let points = series.iter().flat_map(|one| &one.points);
    let (xs, ys): (Vec<f64>, Vec<f64>) = points.filter(drawable).map(|[x, y]| (*x, *y)).unzip();
    if xs.is_empty() {
        return no_data(title);
    }
    let best = |one: &Series| one.best.and_then(|best| one.points.get(best).copied());
    let mut svg = Svg::default();
    let names: Vec<&str> = series.iter().map(|one| one.name.as_str()).collect();
    let ringed = series.iter().any(|one| best(one).is_some());
    let top = legend(&mut svg, &names, ringed.then_some("best"), 0.0) + 22.0;
    let bottom = top + TALL;
    let frame = Frame::new((x, xs), (y, ys), [top, bottom]);
    frame.draw(&mut svg, [&x.name, &y.name], bottom);

    let describe = |point: [f64; 2]| {
        let [at, value] = [x.unit.format(point[0]), y.unit.format(point[1])];
        format!("{value} at {at}")
    };
    // Series without a style of their own are drawn behind the others.
    for (number, one) in series.iter().enumerate().rev() {
        for run in runs(&frame, &one.points) {
            svg.curve(&SeriesStyle(number).curve(), &run, &one.name);
        }
    }
    for (number, one) in series.iter().enumerate().rev() {
        let name = &one.name;
        if number >= MAX_SERIES && one.points.len() > 1 {
            continue;
        }
        for at in marked(&one.points, number) {
            let point = one.points[at];
            if let Some(place) = frame.at(point) {
                SeriesStyle(number).spot(&mut svg, place, &format!("{name}: {}", describe(point)));
            }
        }
    }
    for one in series {
        let Some((point, place)) = best(one).and_then(|point| Some((point, frame.at(point)?)))
        else {
            continue;
        };
        ring(
            &mut svg,
            place,
            &format!("{}, best: {}", one.name, describe(point)),
        );
    }
    let summary = |one: &Series| {
        let mut drawn = one.points.iter().filter(drawable);
        let first = drawn.next()?;
        let mut text = format!("{}: {}", one.name, describe(*first));
        if let Some(last) = drawn.next_back() {
            text += &format!(", then {}", describe(*last));
        }
        if let Some(best) = best(one).filter(|best| drawable(&best)) {
            text += &format!(", best {}", describe(best));
        }
        Some(text)
    };
    let words: Vec<String> = series.iter().filter_map(summary).collect();
    let description = format!("{} over {}. {}.", y.name, x.name, words.join(". "));
    figure(title, description, bottom + BELOW, svg)
}

/// Indices of the points that get a mark: all of a few, a selection of many, different ones for each series so that
/// marks do not hide each other, and always the last.
fn marked(points: &[[f64; 2]], series: usize) -> Vec<usize> {
    let last = points.len().saturating_sub(1);
    let stride = match points.len() <= MARKS + MARKS / 2 {
        true => 1,
        false => points.len().div_ceil(MARKS),
    };
    let first = (series * stride / 4) % stride;
    let mut marked: Vec<usize> = (first..points.len()).step_by(stride).collect();
    if marked.last().is_some_and(|of| *of != last) {
        marked.push(last);
    }
    marked
}

/// The drawable points between gaps. Where several points share a unit of width, only the first, last, lowest and
/// highest are kept, so that the line covers the same area.
pub(super) fn runs(frame: &Frame, points: &[[f64; 2]]) -> Vec<Vec<[f64; 2]>> {
    let places: Vec<Option<[f64; 2]>> = points.iter().map(|point| frame.at(*point)).collect();
    let runs = places.split(Option::is_none);
    let runs = runs.map(|run| run.iter().flatten().copied().collect::<Vec<_>>());
    runs.filter(|run| run.len() > 1)
        .map(|run| thinned(&run))
        .collect()
}

fn thinned(run: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let mut kept = Vec::new();
    for column in run.chunk_by(|a, b| a[0].floor() == b[0].floor()) {
        let order = |a: &usize, b: &usize| column[*a][1].total_cmp(&column[*b][1]);
        let lowest = (0..column.len()).min_by(order).unwrap_or(0);
        let highest = (0..column.len()).max_by(order).unwrap_or(0);
        let mut stay = vec![0, lowest, highest, column.len() - 1];
        stay.sort_unstable();
        stay.dedup();
        kept.extend(stay.into_iter().map(|number| column[number]));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_covered_area() {
        let wave = |n: usize| [n as f64 / 100.0, (n as f64 / 7.0).sin()];
        let run: Vec<[f64; 2]> = (0..10_000).map(wave).collect();
        let kept = thinned(&run);
        assert!(kept.len() <= 400, "{}", kept.len());
        assert_eq!((kept[0], kept[kept.len() - 1]), (run[0], run[9_999]));
        for column in 0..100 {
            let ends = |points: &[[f64; 2]]| {
                let of = points.iter().filter(|[x, _]| *x as usize == column);
                of.fold([f64::MAX, f64::MIN], |[low, high], [_, y]| {
                    [low.min(*y), high.max(*y)]
                })
            };
            assert_eq!(ends(&run), ends(&kept), "{column}");
        }
        assert_eq!(thinned(&run[..1]), run[..1]);
    }

    #[test]
    fn all_of_a_few_points_and_some_of_many_are_marked() {
        assert_eq!(marked(&[[0.0; 2]; 12], 3), (0..12).collect::<Vec<_>>());
        assert_eq!(marked(&[], 0), [0; 0]);
        for series in 0..20 {
            let marked = marked(&[[0.0; 2]; 1000], series);
            assert!((MARKS..=MARKS + 1).contains(&marked.len()), "{marked:?}");
            assert_eq!(marked.last(), Some(&999));
        }
    }
}
