//! Numbers as they are printed, the label rules on printed numbers, and the filling of templates.

use std::fmt;

use statrs::function::erf::erfc;

use crate::random::Random;

/// A number as the question prints it. Its value is read back from the print, so that whatever is
/// computed from it follows from what the reader sees.
#[derive(Clone, Debug)]
pub(crate) struct Num {
    text: String,
    /// Value of the printed text.
    pub(crate) value: f64,
}

impl Num {
    /// `value` with so many decimals.
    pub(crate) fn new(value: f64, decimals: usize) -> Num {
        let text = format!("{value:.decimals$}");
        let value: f64 = text.parse().expect("a printed number");
        // "-0.0" is zero.
        let text = if value == 0.0 {
            text.trim_start_matches('-').to_owned()
        } else {
            text
        };
        Num { text, value }
    }
}

impl fmt::Display for Num {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// "above" or "below".
pub(crate) fn above_or_below(above: bool) -> &'static str {
    if above { "above" } else { "below" }
}

/// The word for it.
pub(crate) fn lower_or_higher(lower: bool) -> &'static str {
    if lower { "lower" } else { "higher" }
}

/// The word for it.
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

/// Where an interval stands to a value.
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
    /// The side of the interval from `low` to `high`; none where an end comes within `gap` of the
    /// value (touching it at least).
    pub(crate) fn of(low: f64, high: f64, value: f64, gap: f64) -> Option<Side> {
        let near = |end: f64| end == value || (end - value).abs() < gap;
        match () {
            () if near(low) || near(high) => None,
            () if high < value => Some(Side::Below),
            () if low > value => Some(Side::Above),
            () => Some(Side::Across),
        }
    }

    /// Whether it is below: open where it is on both sides.
    pub(crate) fn below(self) -> Option<bool> {
        match self {
            Side::Below => Some(true),
            Side::Above => Some(false),
            Side::Across => None,
        }
    }

    /// Whether it is above: open where it is on both sides.
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

/// The level of every question that names no other level of significance.
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

/// A level for a question that states it; the usual one in most draws.
pub(crate) fn any_level(random: &mut Random) -> Level {
    match random.unit() {
        u if u < 0.6 => USUAL,
        u if u < 0.8 => ONE_SIDED,
        _ => STRICT,
    }
}

/// A p value as it is printed: `p = 0.034`, or `p < 0.001`.
pub(crate) struct P {
    text: String,
    /// The printed value; for `p < 0.001` that bound.
    pub(crate) value: f64,
}

impl P {
    /// The print without `p`: `= 0.034` as `0.034`, `< 0.001` as `below 0.001`.
    pub(crate) fn number(&self) -> String {
        match self.text.strip_prefix("p = ") {
            Some(number) => number.to_owned(),
            None => format!("below {}", self.value),
        }
    }

    /// The print of `value` with three decimals.
    pub(crate) fn new(value: f64) -> P {
        if value < 0.001 {
            return P {
                text: "p < 0.001".to_owned(),
                value: 0.001,
            };
        }
        let number = Num::new(value, 3);
        P {
            text: format!("p = {number}"),
            value: number.value,
        }
    }

    /// The two-sided p value of a standard normal statistic.
    pub(crate) fn of_z(z: f64) -> P {
        P::new(erfc(z.abs() / std::f64::consts::SQRT_2))
    }

    /// A p value, small ones as likely as large ones on the log scale.
    pub(crate) fn draw(random: &mut Random) -> P {
        P::new(random.between(0.0007_f64.ln(), 0.7_f64.ln()).exp())
    }

    /// Whether it lies below `threshold`; none where rounding could hide the answer.
    pub(crate) fn below(&self, threshold: f64) -> Option<bool> {
        if self.text.contains('<') {
            return (threshold >= self.value).then_some(true);
        }
        let gap = (0.03 * threshold).max(0.0006);
        ((self.value - threshold).abs() > gap).then_some(self.value < threshold)
    }
}

impl fmt::Display for P {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The words of one direction of an effect.
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

/// The template with its slots filled and its claims chosen; `{Name}` takes the slot `name` with a
/// capital, `[this|that]` is `this` where `first` is set.
pub(crate) fn fill(template: &str, slots: &[(&'static str, String)], first: bool) -> String {
    let mut out = String::with_capacity(2 * template.len());
    fill_into(&mut out, template, slots, first);
    out
}

fn fill_into(out: &mut String, mut rest: &str, slots: &[(&'static str, String)], first: bool) {
    while let Some(start) = rest.find(['{', '[']) {
        out.push_str(&rest[..start]);
        let close = if rest[start..].starts_with('{') {
            '}'
        } else {
            ']'
        };
        let (inside, after) = rest[start + 1..]
            .split_once(close)
            .expect("a closed bracket");
        match close {
            '}' => slot_into(out, inside, slots),
            _ => {
                let (this, that) = inside.split_once('|').expect("a claim and its opposite");
                fill_into(out, if first { this } else { that }, slots, first);
            }
        }
        rest = after;
    }
    out.push_str(rest);
}

fn slot_into(out: &mut String, name: &str, slots: &[(&'static str, String)]) {
    let key = name.to_lowercase();
    let (_, value) = slots
        .iter()
        .find(|(slot, _)| *slot == key)
        .unwrap_or_else(|| panic!("no slot {name}"));
    match name == key {
        true => out.push_str(value),
        false => out.push_str(&capital(value)),
    }
}

/// The text with a capital first letter.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::{Num, P, Side, fill, short};

    #[test]
    fn numbers_are_worth_what_they_print() {
        assert_eq!(Num::new(0.848, 2).value, 0.85);
        assert_eq!(Num::new(-0.04, 1).to_string(), "0.0");
        assert_eq!(short(0.05 / 5.0), "0.01");
        assert_eq!(short(0.05 / 6.0), "about 0.0083");
        assert_eq!(P::of_z(1.959964).to_string(), "p = 0.050");
        assert_eq!(P::of_z(-4.0).to_string(), "p < 0.001");
        assert_eq!(P::of_z(1.959964).below(0.05), None);
        assert_eq!(P::of_z(4.0).below(0.0005), None);
        assert_eq!(P::of_z(4.0).below(0.01), Some(true));
    }

    #[test]
    fn an_interval_across_the_value_leaves_the_truth_open() {
        let side = Side::of(0.60, 1.05, 1.0, 0.0).unwrap();
        assert_eq!((side.below(), side.above()), (None, None));
        let side = Side::of(0.60, 0.95, 1.0, 0.0).unwrap();
        assert_eq!((side.below(), side.above()), (Some(true), Some(false)));
        assert!(Side::of(0.60, 1.00, 1.0, 0.0).is_none());
    }

    #[test]
    fn templates_are_filled_with_and_without_a_capital_and_choose_a_claim() {
        let slots = [("drug", "the new drug".to_owned())];
        let template = "{Drug} or {drug}: [more|less than {drug}]?";
        assert_eq!(
            fill(template, &slots, true),
            "The new drug or the new drug: more?"
        );
        assert_eq!(
            fill(template, &slots, false),
            "The new drug or the new drug: less than the new drug?"
        );
    }
}
