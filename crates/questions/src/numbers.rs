//! Numbers as they are printed, and rules that compare printed numbers.

use std::fmt;

use statrs::function::erf::erfc;

use crate::random::Random;

/// A number as the question prints it. Its value is that of the printed text, so that everything computed from it
/// follows from what the reader sees.
#[derive(Clone, Debug)]
pub(crate) struct PrintedNumber {
    text: String,
    /// Value of the printed text.
    pub(crate) value: f64,
}

impl PrintedNumber {
    /// `value` rounded to this many decimals.
    pub(crate) fn new(value: f64, decimals: usize) -> PrintedNumber {
        let text = format!("{value:.decimals$}");
        let value: f64 = text.parse().expect("a printed number");
        // "-0.0" is zero.
        let text = if value == 0.0 {
            text.trim_start_matches('-').to_owned()
        } else {
            text
        };
        PrintedNumber { text, value }
    }
}

impl fmt::Display for PrintedNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// "above" or "below".
pub(crate) fn above_or_below(above: bool) -> &'static str {
    if above { "above" } else { "below" }
}

/// "lower" or "higher".
pub(crate) fn lower_or_higher(lower: bool) -> &'static str {
    if lower { "lower" } else { "higher" }
}

/// "significant" or "not significant".
pub(crate) fn significant_or_not(significant: bool) -> &'static str {
    if significant {
        "significant"
    } else {
        "not significant"
    }
}

/// A number with up to four decimals and no needless zeros; "about" before it where that rounds.
pub(crate) fn short(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let rounded: f64 = text.parse().expect("a printed number");
    if (rounded - value).abs() > 1e-9 {
        format!("about {text}")
    } else {
        text.to_owned()
    }
}

/// The position of an interval relative to a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Wholly below.
    Below,
    /// Wholly above.
    Above,
    /// On both sides.
    Across,
}

impl Side {
    /// The side of the interval from `low` to `high`; none when an end equals the value or is within `gap` of it.
    pub(crate) fn of(low: f64, high: f64, value: f64, gap: f64) -> Option<Side> {
        let near = |end: f64| end == value || (end - value).abs() < gap;
        match () {
            () if near(low) || near(high) => None,
            () if high < value => Some(Side::Below),
            () if low > value => Some(Side::Above),
            () => Some(Side::Across),
        }
    }

    /// Whether it is below; none (open) when it is on both sides.
    pub(crate) fn below(self) -> Option<bool> {
        match self {
            Side::Below => Some(true),
            Side::Above => Some(false),
            Side::Across => None,
        }
    }

    /// Whether it is above; none (open) when it is on both sides.
    pub(crate) fn above(self) -> Option<bool> {
        self.below().map(|below| !below)
    }
}

/// A confidence level, the level of significance that belongs to it, and its normal quantile.
#[derive(Clone, Copy)]
pub(crate) struct Level {
    pub(crate) percent: u32,
    pub(crate) alpha: u32,
    pub(crate) z: f64,
}

/// The level of every question that states no other.
pub(crate) const USUAL: Level = Level {
    percent: 95,
    alpha: 5,
    z: 1.959964,
};
/// The level of a one-sided test at 5%, common in trials of non-inferiority.
pub(crate) const ONE_SIDED: Level = Level {
    percent: 90,
    alpha: 10,
    z: 1.644854,
};
const STRICT: Level = Level {
    percent: 99,
    alpha: 1,
    z: 2.575829,
};

/// A level for a question that states it: most often the usual one.
pub(crate) fn any_level(random: &mut Random) -> Level {
    match random.unit() {
        u if u < 0.6 => USUAL,
        u if u < 0.8 => ONE_SIDED,
        _ => STRICT,
    }
}

/// A p value as it is printed: `p = 0.034`, or `p < 0.001`.
pub(crate) struct PValue {
    text: String,
    /// The printed value; for `p < 0.001` that bound.
    pub(crate) value: f64,
}

impl PValue {
    /// The value without `p`: `0.034` for `p = 0.034`, `below 0.001` for `p < 0.001`.
    pub(crate) fn number(&self) -> String {
        match self.text.strip_prefix("p = ") {
            Some(number) => number.to_owned(),
            None => format!("below {}", self.value),
        }
    }

    /// `value` as printed, with three decimals.
    pub(crate) fn new(value: f64) -> PValue {
        if value < 0.001 {
            return PValue {
                text: "p < 0.001".to_owned(),
                value: 0.001,
            };
        }
        let number = PrintedNumber::new(value, 3);
        PValue {
            text: format!("p = {number}"),
            value: number.value,
        }
    }

    /// The two-sided p value of a standard normal statistic.
    pub(crate) fn of_z(z: f64) -> PValue {
        PValue::new(erfc(z.abs() / std::f64::consts::SQRT_2))
    }

    /// A p value drawn uniformly on the log scale.
    pub(crate) fn draw(random: &mut Random) -> PValue {
        PValue::new(random.between(0.0007_f64.ln(), 0.7_f64.ln()).exp())
    }

    /// Whether it is below `threshold`; none when rounding leaves that open.
    pub(crate) fn below(&self, threshold: f64) -> Option<bool> {
        if self.text.contains('<') {
            return (threshold >= self.value).then_some(true);
        }
        let gap = (0.03 * threshold).max(0.0006);
        ((self.value - threshold).abs() > gap).then_some(self.value < threshold)
    }
}

impl fmt::Display for PValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A direction of an effect, with its words.
#[derive(Clone, Copy)]
pub(crate) struct Direction {
    pub(crate) side: Side,
    pub(crate) verb: &'static str,
    pub(crate) a_noun: &'static str,
}

/// Less of it.
const DOWN: Direction = Direction {
    side: Side::Below,
    verb: "reduce",
    a_noun: "a reduction",
};

/// More of it.
const UP: Direction = Direction {
    side: Side::Above,
    verb: "increase",
    a_noun: "an increase",
};

/// Either, with equal chance.
pub(crate) fn direction(random: &mut Random) -> Direction {
    random.pick(&[DOWN, UP])
}

#[cfg(test)]
mod tests {
    use super::{PValue, PrintedNumber, Side, short};

    #[test]
    fn numbers_have_the_value_that_they_print() {
        assert_eq!(PrintedNumber::new(0.848, 2).value, 0.85);
        assert_eq!(PrintedNumber::new(-0.04, 1).to_string(), "0.0");
        assert_eq!(short(0.05 / 5.0), "0.01");
        assert_eq!(short(0.05 / 6.0), "about 0.0083");
        assert_eq!(PValue::of_z(1.959964).to_string(), "p = 0.050");
        assert_eq!(PValue::of_z(-4.0).to_string(), "p < 0.001");
        assert_eq!(PValue::of_z(1.959964).below(0.05), None);
        assert_eq!(PValue::of_z(4.0).below(0.0005), None);
        assert_eq!(PValue::of_z(4.0).below(0.01), Some(true));
    }

    #[test]
    fn an_interval_across_the_value_leaves_the_truth_open() {
        let side = Side::of(0.60, 1.05, 1.0, 0.0).unwrap();
        assert_eq!((side.below(), side.above()), (None, None));
        let side = Side::of(0.60, 0.95, 1.0, 0.0).unwrap();
        assert_eq!((side.below(), side.above()), (Some(true), Some(false)));
        assert!(Side::of(0.60, 1.00, 1.0, 0.0).is_none());
    }
}
