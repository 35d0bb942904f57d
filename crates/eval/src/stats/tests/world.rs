//! A simulation of two overconfident models on questions in correlated groups. True values are known from large samples.

use statrs::distribution::{ContinuousCDF, Normal};
use verdict_data::Label;

use crate::stats::bootstrap::uniform;
use crate::stats::paired::PairedAnswers;
use crate::stats::probability::Forecast;
use crate::stats::scores::LabelledAnswer;
use crate::stats::selective::ConfidentAnswer;

/// The kind of answers that are simulated.
#[derive(Clone, Copy, Debug)]
pub(super) struct World {
    /// Spread of the logits: about 60 % right at 2, 90 % at 12.
    pub(super) spread: f64,
    /// The logits that the true label is drawn from, relative to those of the model: 1 is calibrated, less is
    /// overconfident.
    pub(super) honesty: f64,
    /// Number of answers in a group.
    pub(super) size: usize,
    /// Share of each normal number that is common to a group.
    pub(super) shared: f64,
    /// Share of the second model's logits that is its own: at 0.6 only one model is right on 32 % of the questions, at 0.2
    /// on 11 %, at 0.08 on 4 %, at 0.03 on 1.6 %. Below 0.5 the same answers of both are format-valid.
    pub(super) apart: f64,
}

/// Plain answers.
pub(super) const PLAIN: World = World {
    spread: 2.0,
    honesty: 0.6,
    size: 1,
    shared: 0.5,
    apart: 0.6,
};

/// An accuracy of 90 %: extreme shares, skewed losses.
pub(super) const CERTAIN: World = World {
    spread: 12.0,
    ..PLAIN
};

/// Groups of three correlated answers.
pub(super) const GROUPED: World = World { size: 3, ..PLAIN };

/// Groups of three nearly equal answers.
pub(super) const TOGETHER: World = World {
    size: 3,
    shared: 0.95,
    ..PLAIN
};

/// The simulated answers of two models to one question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drawn {
    pub(super) group: u32,
    pub(super) truth: Label,
    pub(super) probabilities: [[f64; 3]; 2],
    /// The distribution of the true label.
    pub(super) chances: [f64; 3],
    formed: [bool; 2],
}

impl World {
    /// `n` answers of the sample with this number.
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
                let logits_of = |model: usize| -> [f64; 3] {
                    std::array::from_fn(|label| {
                        let common = (1.0 - self.apart * self.apart).sqrt();
                        let own = common * number(row, label)
                            + self.apart * number(row, 3 + 3 * model + label);
                        self.spread * own + [0.4, 0.2, 0.0][label]
                    })
                };
                let logits = [logits_of(0), logits_of(1)];
                // The true label follows the first model's logits.
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

    pub(super) fn row(&self) -> LabelledAnswer {
        LabelledAnswer {
            truth: self.truth,
            answer: self.answer(0),
            group: self.group,
        }
    }

    pub(super) fn pair(&self) -> PairedAnswers {
        PairedAnswers {
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

    pub(super) fn confident(&self) -> ConfidentAnswer {
        let forecast = self.forecast();
        ConfidentAnswer {
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
