//! A world to draw rows from: two models whose probabilities are overconfident, on questions in groups that share
//! part of their luck. What figures are in the long run is known from many rows.

use statrs::distribution::{ContinuousCDF, Normal};
use verdict_data::Label;

use crate::stats::paired::Pair;
use crate::stats::probability::Forecast;
use crate::stats::resample::uniform;
use crate::stats::scores::Row;
use crate::stats::selective::Confident;

/// What kind of rows are drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct World {
    /// Spread of the logits: about 60 % right at 2, 90 % at 12.
    pub(super) spread: f64,
    /// The logits that truth is drawn from, over those told: 1 is calibrated, less is overconfident.
    pub(super) honesty: f64,
    /// Rows of a group.
    pub(super) size: usize,
    /// How much of each normal number a row shares with its group, where groups have several rows.
    pub(super) shared: f64,
    /// How much of the second model's logits is its own: at 0.6 one alone is right on 32 % of the rows, at 0.2 on
    /// 11 %, at 0.08 on 4 %, at 0.03 on 1.6 %. Below 0.5 both also write the same answers in the form.
    pub(super) apart: f64,
}

/// Rows of the plain kind.
pub(super) const PLAIN: World = World {
    spread: 2.0,
    honesty: 0.6,
    size: 1,
    shared: 0.5,
    apart: 0.6,
};

/// Nine of ten right: counts near their ends, skewed losses.
pub(super) const CERTAIN: World = World {
    spread: 12.0,
    ..PLAIN
};

/// Three rows of each group, which share half of their luck.
pub(super) const GROUPED: World = World { size: 3, ..PLAIN };

/// Three rows of each group that are nearly the same.
pub(super) const TOGETHER: World = World {
    size: 3,
    shared: 0.95,
    ..PLAIN
};

/// One drawn row of two models.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drawn {
    pub(super) group: u32,
    pub(super) truth: Label,
    pub(super) probabilities: [[f64; 3]; 2],
    /// What the truth was drawn from.
    pub(super) chances: [f64; 3],
    formed: [bool; 2],
}

impl World {
    /// `n` rows of the sample of this number.
    pub(super) fn draw(&self, n: usize, sample: u64) -> Vec<Drawn> {
        let normal = Normal::standard();
        let shared = if self.size > 1 { self.shared } else { 0.0 };
        let number = |row: usize, place: usize| {
            let of = |row: usize, kind: u64| {
                let draw = (row * 32 + place) as u64 * 2 + kind;
                normal.inverse_cdf(uniform(71, sample, draw).max(1e-300))
            };
            let group = if shared > 0.0 {
                of(row / self.size, 1)
            } else {
                0.0
            };
            shared.sqrt() * group + (1.0 - shared).sqrt() * of(row, 0)
        };
        (0..n)
            .map(|row| {
                let told = |model: usize| -> [f64; 3] {
                    std::array::from_fn(|label| {
                        let common = (1.0 - self.apart * self.apart).sqrt();
                        let own = common * number(row, label)
                            + self.apart * number(row, 3 + 3 * model + label);
                        self.spread * own + [0.4, 0.2, 0.0][label]
                    })
                };
                let logits = [told(0), told(1)];
                // The truth follows the first model's logits.
                let chances = softmax(logits[0].map(|logit| logit * self.honesty));
                let luck = normal.cdf(number(row, 9));
                let truth = match luck {
                    luck if luck < chances[0] => Label::Yes,
                    luck if luck < chances[0] + chances[1] => Label::No,
                    _ => Label::Uncertain,
                };
                Drawn {
                    group: (row / self.size) as u32,
                    truth,
                    chances,
                    probabilities: logits.map(softmax),
                    formed: [10, if self.apart < 0.5 { 10 } else { 11 }]
                        .map(|place| number(row, place) < 2.0),
                }
            })
            .collect()
    }
}

impl Drawn {
    fn answer(&self, model: usize) -> Option<Label> {
        let p = self.probabilities[model];
        let best = Label::ALL
            .into_iter()
            .max_by(|a, b| p[a.index()].total_cmp(&p[b.index()]));
        best.filter(|_| self.formed[model])
    }

    pub(super) fn row(&self) -> Row {
        Row {
            truth: self.truth,
            answer: self.answer(0),
            group: self.group,
        }
    }

    pub(super) fn pair(&self) -> Pair {
        Pair {
            truth: self.truth,
            first: self.answer(0),
            second: self.answer(1),
            group: self.group,
        }
    }

    pub(super) fn forecast(&self) -> Forecast {
        Forecast {
            truth: self.truth,
            probabilities: self.probabilities[0],
            group: self.group,
        }
    }

    pub(super) fn confident(&self) -> Confident {
        let forecast = self.forecast();
        Confident {
            confidence: forecast.confidence(),
            right: forecast.right(),
            group: self.group,
        }
    }
}

pub(super) fn softmax(logits: [f64; 3]) -> [f64; 3] {
    let most = logits.into_iter().fold(f64::MIN, f64::max);
    let parts = logits.map(|logit| (logit - most).exp());
    let sum: f64 = parts.iter().sum();
    parts.map(|part| part / sum)
}
