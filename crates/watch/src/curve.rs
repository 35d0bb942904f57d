//! A metric over the steps, in bounded memory: a curve has at most [`MOST`] points however long the run is.

/// Maximum number of points, more than the width of any screen.
pub const MOST: usize = 2048;

/// A metric by step. Each point is the mean of `stride` values, a power of two that doubles when there are too many
/// points; the last value is also kept unchanged.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    stride: usize,
    points: Vec<[f64; 2]>,
    /// Sums of the steps and values of an incomplete point, and their count.
    part: ([f64; 2], usize),
    last: Option<(usize, f64)>,
}

impl Default for Curve {
    fn default() -> Curve {
        Curve {
            stride: 1,
            points: Vec::new(),
            part: ([0.0; 2], 0),
            last: None,
        }
    }
}

impl Curve {
    /// Adds a value. A second value for the last step replaces the first if each point is a single value.
    pub fn push(&mut self, step: usize, value: f64) {
        let again = self.stride == 1 && self.last.is_some_and(|(last, _)| last == step);
        if again {
            self.points.pop();
        }
        self.last = Some((step, value));
        let (sums, count) = &mut self.part;
        sums[0] += step as f64;
        sums[1] += value;
        *count += 1;
        if *count < self.stride {
            return;
        }
        self.points.push(sums.map(|sum| sum / *count as f64));
        self.part = ([0.0; 2], 0);
        if self.points.len() == MOST {
            self.stride *= 2;
            let halves = self.points.chunks(2);
            let mean = |pair: &[[f64; 2]]| {
                [0, 1].map(|of| pair.iter().map(|point| point[of]).sum::<f64>() / pair.len() as f64)
            };
            self.points = halves.map(mean).collect();
        }
    }

    /// The last value and its step.
    pub fn last(&self) -> Option<(usize, f64)> {
        self.last
    }

    /// How many values a point is the mean of.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Steps and values, including the last value even if its point is incomplete.
    pub fn points(&self) -> Vec<[f64; 2]> {
        let mut points = self.points.clone();
        let part = (self.part.1 > 0).then_some(self.last).flatten();
        points.extend(part.map(|(step, value)| [step as f64, value]));
        points
    }

    /// The mean value in each of `columns` equal parts of the steps 0 to `end`, at the mean step; parts without values
    /// are left out.
    pub fn columns(&self, columns: usize, end: f64) -> Vec<(f64, f64)> {
        let mut sums = vec![([0.0; 2], 0_usize); columns.max(1)];
        for point in self.points() {
            let share = (point[0] / end.max(1.0)).clamp(0.0, 1.0);
            let column = ((share * sums.len() as f64) as usize).min(sums.len() - 1);
            let (sum, count) = &mut sums[column];
            sum[0] += point[0];
            sum[1] += point[1];
            *count += 1;
        }
        sums.into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|([step, value], count)| (step / count as f64, value / count as f64))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_curve_keeps_every_value() {
        let mut curve = Curve::default();
        assert_eq!((curve.last(), curve.points()), (None, vec![]));
        for step in 1..100 {
            curve.push(step, (step * step) as f64);
        }
        let points: Vec<[f64; 2]> = (1..100).map(|s| [s as f64, (s * s) as f64]).collect();
        assert_eq!((curve.points(), curve.stride()), (points, 1));
        assert_eq!(curve.last(), Some((99, 9801.0)));
        curve.push(99, 1.0);
        assert_eq!(curve.points().len(), 99);
        assert_eq!(curve.points()[98], [99.0, 1.0]);
    }

    #[test]
    fn a_long_curve_keeps_means_and_its_last_value() {
        let mut curve = Curve::default();
        let count = 4 * MOST + 3;
        // On a straight line, the mean of any points lies on it.
        for step in 1..=count {
            curve.push(step, 0.5 * step as f64 - 3.0);
        }
        let points = curve.points();
        assert!(
            points.len() <= MOST && curve.stride() == 8,
            "{}",
            points.len()
        );
        assert!(points.iter().all(|[x, y]| *y == 0.5 * x - 3.0));
        assert!(points.is_sorted_by(|a, b| a[0] < b[0]));
        let end = (count, 0.5 * count as f64 - 3.0);
        assert_eq!(curve.last(), Some(end));
        assert_eq!(points[points.len() - 1], [end.0 as f64, end.1]);
        let columns = curve.columns(40, count as f64);
        assert_eq!(columns.len(), 40);
        assert!(
            columns
                .iter()
                .all(|(x, y)| (y - (0.5 * x - 3.0)).abs() < 1e-9)
        );
    }

    #[test]
    fn columns_without_a_value_are_left_out() {
        let mut curve = Curve::default();
        for (step, value) in [(0, 4.0), (1, 2.0), (90, 7.0), (100, 9.0)] {
            curve.push(step, value);
        }
        assert_eq!(curve.columns(10, 100.0), [(0.5, 3.0), (95.0, 8.0)]);
        assert_eq!(Curve::default().columns(0, 0.0), []);
    }
}
