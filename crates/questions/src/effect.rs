//! An effect with its confidence interval and p value, on the scale of a ratio or of a difference.

use crate::numbers::{Level, PValue, PrintedNumber, Side};
use crate::random::Random;

/// Name of a ratio, the same with its article, and its abbreviation.
pub(crate) const RATIOS: [(&str, &str, &str); 3] = [
    ("risk ratio", "a risk ratio", "RR"),
    ("odds ratio", "an odds ratio", "OR"),
    ("hazard ratio", "a hazard ratio", "HR"),
];

/// An estimate as it is printed.
pub(crate) struct Effect {
    pub(crate) estimate: PrintedNumber,
    pub(crate) low: PrintedNumber,
    pub(crate) high: PrintedNumber,
    pub(crate) p: PValue,
    /// The position of the interval relative to no effect: 1 for a ratio, 0 for a difference.
    pub(crate) side: Side,
    /// No effect, as it is written.
    null: &'static str,
}

impl Effect {
    /// A ratio with Wald's interval on the log scale; none when a printed limit is 1, or when interval and p value
    /// disagree after rounding.
    pub(crate) fn ratio(random: &mut Random, level: Level) -> Option<Effect> {
        let log = random.between(-0.7, 0.7);
        let error = random.between(0.05, 0.35);
        let [estimate, low, high] =
            [0.0, -level.z, level.z].map(|z| PrintedNumber::new((log + z * error).exp(), 2));
        Effect::checked(estimate, low, high, PValue::of_z(log / error), level, "1")
    }

    /// A difference with Wald's interval, `width` being half of a typical one.
    pub(crate) fn difference(
        random: &mut Random,
        level: Level,
        width: f64,
        decimals: usize,
    ) -> Option<Effect> {
        let difference = width * random.between(-2.2, 2.2);
        let error = width * random.between(0.25, 0.8);
        let [estimate, low, high] =
            [0.0, -level.z, level.z].map(|z| PrintedNumber::new(difference + z * error, decimals));
        let p = PValue::of_z(difference / error);
        Effect::checked(estimate, low, high, p, level, "0")
    }

    fn checked(
        estimate: PrintedNumber,
        low: PrintedNumber,
        high: PrintedNumber,
        p: PValue,
        level: Level,
        null: &'static str,
    ) -> Option<Effect> {
        let none: f64 = if null == "1" { 1.0 } else { 0.0 };
        let side = Side::of(low.value, high.value, none, 0.0)?;
        let inside = low.value < estimate.value && estimate.value < high.value;
        let small = p.below(f64::from(level.alpha) / 100.0)?;
        let agrees = small == (side != Side::Across);
        (inside && agrees && estimate.value != none).then_some(Effect {
            estimate,
            low,
            high,
            p,
            side,
            null,
        })
    }

    /// Whether the interval excludes "no effect".
    pub(crate) fn significant(&self) -> bool {
        self.side != Side::Across
    }

    /// `0.70 to 0.93`.
    pub(crate) fn ci(&self) -> String {
        format!("{} to {}", self.low, self.high)
    }

    /// "from 0.70 to 0.93 lies wholly below 1".
    pub(crate) fn place(&self) -> String {
        let place = match self.side {
            Side::Below => "lies wholly below",
            Side::Above => "lies wholly above",
            Side::Across => "includes",
        };
        format!("from {} {place} {}", self.ci(), self.null)
    }
}

#[cfg(test)]
mod tests {
    use super::{Effect, PrintedNumber, Random};
    use crate::numbers::USUAL;

    /// By how much the logarithm of a printed number may be off.
    fn rounding(number: &PrintedNumber) -> f64 {
        0.005 / number.value
    }

    #[test]
    fn a_printed_ratio_is_the_centre_of_its_interval_on_a_log_scale() {
        let mut drawn = 0;
        for row in 0..4_000 {
            let mut random = Random::new(11, row);
            let Some(effect) = Effect::ratio(&mut random, USUAL) else {
                continue;
            };
            let Effect {
                estimate,
                low,
                high,
                ..
            } = effect;
            let centre = 0.5 * (low.value.ln() + high.value.ln());
            let slack = rounding(&estimate) + 0.5 * (rounding(&low) + rounding(&high));
            let off = (estimate.value.ln() - centre).abs();
            assert!(off <= slack * 1.02, "{estimate} ({low} to {high})");
            drawn += 1;
        }
        assert!(drawn > 1_000, "{drawn}");
    }
}
