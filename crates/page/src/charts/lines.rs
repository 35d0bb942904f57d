//! Named series over one axis: learning curves.

use super::frame::{BELOW, Frame, Look, legend, ring};
use super::{Axis, figure, nothing};
use crate::Figure;
use crate::svg::Svg;

/// Series that have a look of their own; more are drawn faintly and only named when they are pointed at.
pub const MOST: usize = 12;
/// Height of the plot.
const TALL: f64 = 180.0;
/// Marks on a series of many points.
const MARKS: usize = 8;

/// Points with a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The name.
    pub name: String,
    /// x and y, in the order in which they are joined; one that cannot be drawn leaves a gap.
    pub points: Vec<[f64; 2]>,
    /// Which point is ringed as the best.
    pub best: Option<usize>,
}

/// The series over each other, x from left to right and y upwards.
pub fn lines(title: &str, [x, y]: [&Axis; 2], series: &[Series]) -> Figure {
    let drawable = |point: &&[f64; 2]| {
        super::scale::drawable(point[0], x.log) && super::scale::drawable(point[1], y.log)
    };
    let points = series.iter().flat_map(|one| &one.points);
    let (xs, ys): (Vec<f64>, Vec<f64>) = points.filter(drawable).map(|[x, y]| (*x, *y)).unzip();
    if xs.is_empty() {
        return nothing(title);
    }
    let best = |one: &Series| one.best.and_then(|best| one.points.get(best).copied());
    let mut svg = Svg::default();
    let names: Vec<&str> = series.iter().map(|one| one.name.as_str()).collect();
    let ringed = series.iter().any(|one| best(one).is_some());
    let top = legend(&mut svg, &names, ringed.then_some("best"), 0.0) + 22.0;
    let bottom = top + TALL;
    let frame = Frame::new((x, xs), (y, ys), [top, bottom]);
    frame.draw(&mut svg, [&x.name, &y.name], bottom);

    let told = |point: [f64; 2]| {
        let [at, value] = [x.unit.told(point[0]), y.unit.told(point[1])];
        format!("{value} at {at}")
    };
    // Those without a look of their own stand behind the others.
    for (number, one) in series.iter().enumerate().rev() {
        for run in runs(&frame, &one.points) {
            svg.curve(&Look(number).curve(), &run, &one.name);
        }
    }
    for (number, one) in series.iter().enumerate().rev() {
        let name = &one.name;
        if number >= MOST && one.points.len() > 1 {
            continue;
        }
        for at in marked(&one.points, number) {
            let point = one.points[at];
            if let Some(place) = frame.at(point) {
                Look(number).spot(&mut svg, place, &format!("{name}: {}", told(point)));
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
            &format!("{}, best: {}", one.name, told(point)),
        );
    }
    let tell = |one: &Series| {
        let mut drawn = one.points.iter().filter(drawable);
        let first = drawn.next()?;
        let mut text = format!("{}: {}", one.name, told(*first));
        if let Some(last) = drawn.next_back() {
            text += &format!(", then {}", told(*last));
        }
        if let Some(best) = best(one).filter(|best| drawable(&best)) {
            text += &format!(", best {}", told(best));
        }
        Some(text)
    };
    let words: Vec<String> = series.iter().filter_map(tell).collect();
    let told = format!("{} over {}. {}.", y.name, x.name, words.join(". "));
    figure(title, told, bottom + BELOW, svg)
}

/// Points that carry a mark: all of a few, some of many, other ones for each series so that they do not hide each
/// other, and always the last.
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

/// The drawn points between gaps. Of more points than a unit of width can show, the first, the last and the outermost
/// stay, so that the line covers what it would have covered.
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
    fn a_long_run_keeps_what_it_covers() {
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
    fn a_few_points_are_all_marked_and_of_many_some_with_the_last() {
        assert_eq!(marked(&[[0.0; 2]; 12], 3), (0..12).collect::<Vec<_>>());
        assert_eq!(marked(&[], 0), [0; 0]);
        for series in 0..20 {
            let marked = marked(&[[0.0; 2]; 1000], series);
            assert!((MARKS..=MARKS + 1).contains(&marked.len()), "{marked:?}");
            assert_eq!(marked.last(), Some(&999));
        }
    }
}
