//! The axes of charts, and how their numbers are formatted.

use verdict_common::significant;

/// An axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Its name, with the unit: `loss, nats per token`.
    pub name: String,
    /// The unit of its numbers.
    pub unit: Unit,
    /// Whether it is logarithmic.
    pub log: bool,
}

impl Axis {
    /// A linear axis.
    pub fn new(name: impl Into<String>, unit: Unit) -> Axis {
        let name = name.into();
        let log = false;
        Axis { name, unit, log }
    }
}

/// A unit of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Any number.
    Number,
    /// A count: ticks are whole numbers.
    Count,
    /// A share from 0 to 1, written in per cent.
    Percent,
    /// A difference of shares from -1 to 1, written in percentage points with its sign.
    Points,
}

impl Unit {
    /// A number as text.
    pub(super) fn format(self, value: f64) -> String {
        let share = 100.0 * value;
        match self {
            Unit::Number | Unit::Count => significant(value),
            Unit::Percent if share.abs() < 1000.0 => format!("{share:.1} %").replace('-', "−"),
            Unit::Percent => format!("{} %", significant(share)),
            // A difference that rounds to zero has no sign.
            Unit::Points => match (10.0 * share).round() / 10.0 {
                0.0 => "0.0".to_owned(),
                points => format!("{points:+.1}").replace('-', "−"),
            },
        }
    }

    /// An interval in brackets: `[37.1–71.0]`.
    pub(super) fn interval(self, [low, high]: [f64; 2]) -> String {
        let plain = |value| self.format(value).replace(" %", "");
        let between = if self == Unit::Points { " to " } else { "–" };
        format!("[{}{between}{}]", plain(low), plain(high))
    }
}

#[cfg(test)]
mod tests {
    use super::Unit;

    #[test]
    fn differences_have_a_sign_and_no_per_cent_sign() {
        assert_eq!(Unit::Points.format(0.0159), "+1.6");
        assert_eq!(Unit::Points.format(-0.000_2), "0.0");
        assert_eq!(Unit::Points.interval([-0.0632, 0.0794]), "[−6.3 to +7.9]");
        assert_eq!(Unit::Percent.interval([0.1, 0.25]), "[10.0–25.0]");
    }
}
