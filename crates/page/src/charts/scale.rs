//! The scale of an axis: coordinates of numbers, and the ticks.

use verdict_common::significant;

use super::axis::{Axis, Unit};

/// Larger numbers are not drawn: their differences would not be finite.
const LARGEST: f64 = 1e300;
/// Numbers that differ by less than this share of their size count as equal: beyond it, f64 can represent ticks
/// between them.
const SAME: f64 = 1e-9;

/// Up to how many powers of ten a logarithmic axis has ticks between the powers.
const NEAR: f64 = 1.5;

/// Whether a number can be drawn.
pub(super) fn drawable(value: f64, log: bool) -> bool {
    value.abs() <= LARGEST && (!log || value >= 1.0 / LARGEST)
}

/// The mapping of an axis to coordinates.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    /// Range of the numbers, as exponents of ten on a logarithmic axis.
    ends: [f64; 2],
    /// Coordinates of the ends of the range.
    place: [f64; 2],
    log: bool,
    /// Ticks with their labels, ascending.
    pub(super) ticks: Vec<(f64, String)>,
}

impl Scale {
    /// The scale of these values with about `most` ticks; with `wide` the range is extended to ticks.
    pub(super) fn over(
        values: impl IntoIterator<Item = f64>,
        axis: &Axis,
        place: [f64; 2],
        most: usize,
        wide: bool,
    ) -> Scale {
        let values = values.into_iter().filter(|v| drawable(*v, axis.log));
        let values = values.map(|value| if axis.log { value.log10() } else { value });
        let [mut low, mut high] = values
            .fold(None, |ends: Option<[f64; 2]>, value| match ends {
                None => Some([value, value]),
                Some([low, high]) => Some([low.min(value), high.max(value)]),
            })
            .unwrap_or([0.0, 1.0]);
        let size = low.abs().max(high.abs());
        if high - low <= (SAME * size).max(1.0 / LARGEST) {
            [low, high] = apart([low, high], axis);
        }
        let mut scale = Scale {
            ends: [low, high],
            place,
            log: axis.log,
            ticks: Vec::new(),
        };
        if axis.log {
            if wide {
                let room = 0.05 * (high - low);
                scale.ends = [low - room, high + room];
            }
            scale.ticks = powers(scale.ends, most);
        } else {
            let step = Step::of((high - low) / most as f64, axis.unit);
            if wide {
                // All counts may lie between two ticks.
                let first = step.below(low);
                let last = step.above(high).max(first + 1.0);
                scale.ends = [step.at(first), step.at(last)];
            }
            scale.ticks = step.ticks(scale.ends, axis.unit);
        }
        scale
    }

    /// A share from 0 to 1, in fifths.
    pub(super) fn share(place: [f64; 2], name: &str) -> Scale {
        Scale::over([0.0, 1.0], &Axis::new(name, Unit::Percent), place, 5, true)
    }

    /// Coordinate of a number, if it can be drawn.
    pub(super) fn at(&self, value: f64) -> Option<f64> {
        drawable(value, self.log).then(|| {
            let value = if self.log { value.log10() } else { value };
            let [low, high] = self.ends;
            let [from, to] = self.place;
            from + (to - from) * ((value - low) / (high - low)).clamp(0.0, 1.0)
        })
    }
}

/// A range around values that are all equal.
fn apart([low, high]: [f64; 2], axis: &Axis) -> [f64; 2] {
    let size = low.abs().max(high.abs());
    match axis.unit {
        _ if axis.log => [low - 0.2, high + 0.2],
        Unit::Percent if (0.0..=1.0).contains(&low) && (0.0..=1.0).contains(&high) => {
            [(low - 0.05).max(0.0), (high + 0.05).min(1.0)]
        }
        _ if size <= 1.0 / LARGEST => [-1.0, 1.0],
        _ => [low - 0.05 * size, high + 0.05 * size],
    }
}

/// A round step: 1, 2 or 5 times a power of ten.
struct Step {
    digit: f64,
    power: i32,
}

impl Step {
    /// The smallest step of at least this size.
    fn of(least: f64, unit: Unit) -> Step {
        let power = least.log10().floor();
        let rest = least / 10_f64.powf(power);
        // A rounding error must not turn a step of 2 into one of 5.
        let digit = [1.0, 2.0, 5.0]
            .into_iter()
            .find(|digit| rest <= digit + 1e-6);
        let (digit, power) = match digit {
            Some(digit) => (digit, power as i32),
            None => (1.0, power as i32 + 1),
        };
        match unit {
            Unit::Count if power < 0 => Step {
                digit: 1.0,
                power: 0,
            },
            _ => Step { digit, power },
        }
    }

    /// The number at so many steps from 0.
    fn at(&self, steps: f64) -> f64 {
        let number = steps * self.digit;
        match self.power {
            // Negative powers of ten are not exact; their inverses are.
            power @ -300..0 => number / 10_f64.powi(-power),
            power => number * 10_f64.powi(power),
        }
    }

    fn below(&self, value: f64) -> f64 {
        (value / self.at(1.0) + 1e-6).floor()
    }

    fn above(&self, value: f64) -> f64 {
        (value / self.at(1.0) - 1e-6).ceil()
    }

    fn ticks(&self, [low, high]: [f64; 2], unit: Unit) -> Vec<(f64, String)> {
        let first = self.above(low);
        let count = (self.below(high) - first).clamp(0.0, 20.0) as usize;
        let ticks = (0..=count).map(|number| first + number as f64);
        let ticks = ticks.map(|steps| (self.at(steps), self.name(steps, unit)));
        ticks.collect()
    }

    /// The same as text, with as many decimals as the step needs.
    fn name(&self, steps: f64, unit: Unit) -> String {
        let (power, mark) = match unit {
            Unit::Percent => (self.power + 2, " %"),
            Unit::Points => (self.power + 2, ""),
            Unit::Number | Unit::Count => (self.power, ""),
        };
        let digits = (steps * self.digit).abs();
        let text = match power {
            _ if digits == 0.0 => "0".into(),
            -4..0 if digits < 1e7 => {
                let decimals = power.unsigned_abs() as usize;
                format!("{:.decimals$}", digits / 10_f64.powi(-power))
            }
            0..=6 if digits * 10_f64.powi(power) < 1e7 => {
                verdict_common::grouped((digits * 10_f64.powi(power)) as usize)
            }
            _ => {
                let digits = format!("{digits:.0}");
                let power = power + digits.len() as i32 - 1;
                let (first, rest) = digits.split_at(1);
                let rest = rest.trim_end_matches('0');
                let point = if rest.is_empty() { "" } else { "." };
                format!("{first}{point}{rest}e{power}")
            }
        };
        let sign = if steps * self.digit < 0.0 { "−" } else { "" };
        format!("{sign}{text}{mark}")
    }
}

/// Ticks between two powers of ten, given by their exponents: whole powers where the range is large, else 1, 2 and 5
/// times these, else every digit, else any round number.
fn powers([low, high]: [f64; 2], most: usize) -> Vec<(f64, String)> {
    let whole = (low.ceil() as i32)..=(high.floor() as i32);
    let count = whole.clone().count();
    let named = |value: f64| (value, significant(value));
    if count >= 2 && high - low > NEAR {
        let stride = count.div_ceil(most.max(2));
        return whole
            .step_by(stride)
            .map(|power| named(10_f64.powi(power)))
            .collect();
    }
    for digits in [&[1, 2, 5][..], &[1, 2, 3, 4, 5, 6, 7, 8, 9]] {
        let within = |value: &f64| (low..=high).contains(&value.log10());
        let powers = (low.floor() as i32)..=(high.ceil() as i32);
        let values = powers.flat_map(|power| {
            let times = move |digit: &i32| f64::from(*digit) * 10_f64.powi(power);
            digits.iter().map(times)
        });
        let ticks: Vec<_> = values.filter(within).map(named).collect();
        if ticks.len() >= 2 {
            return ticks;
        }
    }
    let ends = [10_f64.powf(low), 10_f64.powf(high)];
    let step = Step::of((ends[1] - ends[0]) / most as f64, Unit::Number);
    step.ticks(ends, Unit::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(values: [f64; 2], axis: &Axis, wide: bool) -> Vec<String> {
        let scale = Scale::over(values, axis, [0.0, 100.0], 5, wide);
        scale.ticks.into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn ticks_are_round_and_few() {
        let number = Axis::new("x", Unit::Number);
        let count = Axis::new("x", Unit::Count);
        let percent = Axis::new("x", Unit::Percent);
        let log = |axis: &Axis| Axis {
            log: true,
            ..axis.clone()
        };
        for (values, axis, want) in [
            ([1.3, 2.9], &number, "1.0|1.5|2.0|2.5|3.0"),
            ([0.0, 93.0], &number, "0|20|40|60|80|100"),
            ([-0.013, 0.02], &number, "−0.02|−0.01|0|0.01|0.02"),
            ([0.0, 12_345.0], &count, "0|5,000|10,000|15,000"),
            ([0.0, 2.0], &count, "0|1|2"),
            ([0.31, 0.58], &percent, "30 %|40 %|50 %|60 %"),
            ([0.571, 0.583], &percent, "57.0 %|57.5 %|58.0 %|58.5 %"),
            ([2e-5, 9e-5], &number, "2e-5|4e-5|6e-5|8e-5|1e-4"),
            ([3e-5, 4e-3], &log(&number), "0.0001|0.001"),
            ([1.0, 1e9], &log(&number), "1|100|10,000|1,000,000|1e8"),
            ([1.0, 10.0], &log(&number), "1|2|5|10"),
            ([1.4, 2.9], &log(&number), "2|3"),
        ] {
            assert_eq!(names(values, axis, true).join("|"), want, "{values:?}");
        }
    }

    #[test]
    fn equal_ends_give_a_range() {
        for value in [0.0, 1.0, -3.5, 1e300, 5e-324, 1e-300] {
            for (unit, log) in [
                (Unit::Number, false),
                (Unit::Count, false),
                (Unit::Number, true),
            ] {
                let axis = Axis {
                    log,
                    ..Axis::new("x", unit)
                };
                let scale = Scale::over([value, value], &axis, [0.0, 100.0], 5, true);
                let at = scale.at(value);
                let fits = |at: f64| (0.0..=100.0).contains(&at);
                assert!(at.is_none_or(fits), "{value} {at:?} {scale:?}");
            }
        }
    }

    #[test]
    fn coordinates_are_proportional() {
        let axis = Axis::new("x", Unit::Number);
        let scale = Scale::over([0.0, 10.0], &axis, [20.0, 120.0], 5, true);
        assert_eq!(
            [0.0, 2.5, 10.0].map(|v| scale.at(v)),
            [20.0, 45.0, 120.0].map(Some)
        );
        assert_eq!([f64::NAN, f64::INFINITY].map(|v| scale.at(v)), [None, None]);
        let log = Axis { log: true, ..axis };
        let scale = Scale::over([1.0, 100.0], &log, [0.0, 100.0], 5, false);
        assert_eq!(
            [1.0, 10.0, 100.0].map(|v| scale.at(v)),
            [0.0, 50.0, 100.0].map(Some)
        );
        assert_eq!(scale.at(0.0), None);
    }
}
