//! Who was asked: models and ensembles, their probabilities, and what their validation rows say.

use verdict_answer::{Calibrations, Fit};
use verdict_data::Label;

use super::Judging;
use crate::abstention::{abstention, most_probable};
use crate::report::System;
use crate::run::Answered;
use crate::subject::ValidationRow;

/// One system's answers to one benchmark.
pub(super) struct Judged {
    /// As the model gives them.
    pub(super) raw: Vec<[f64; 3]>,
    /// With what was fitted on validation.
    pub(super) calibrated: Vec<[f64; 3]>,
}

impl Judged {
    /// The most probable label of each item.
    pub(super) fn labels(&self) -> Vec<Label> {
        self.calibrated.iter().map(|p| most_probable(*p)).collect()
    }
}

/// Validation rows to fit on.
pub(super) fn fit_rows(rows: &[ValidationRow]) -> Vec<([f64; 3], Label)> {
    rows.iter()
        .map(|row| (row.logits, Label::ALL[row.truth]))
        .collect()
}

/// Models and ensembles, with what their validation rows say.
pub(super) fn systems(judging: &Judging<'_>, fits: &[Calibrations]) -> Vec<System> {
    let methods = &judging.methods;
    let calibrated = |model: usize, place: usize| {
        let row = &judging.validation[model][place];
        fits[model].of(methods.fit).probabilities(row.logits)
    };
    let (target, delta) = (methods.error_rate, methods.delta);
    let models = judging.models.iter().enumerate().map(|(model, name)| {
        let rows = &judging.validation[model];
        System {
            name: name.clone(),
            members: Vec::new(),
            calibrations: (!rows.is_empty()).then_some(fits[model]),
            abstention: abstention(rows, |place| calibrated(model, place), target, delta),
        }
    });
    let ensembles = judging.ensembles.iter().map(|(name, members)| {
        let rows = &judging.validation[members[0]];
        let of = |place| mean(members.iter().map(|model| calibrated(*model, place)));
        System {
            name: name.clone(),
            members: members
                .iter()
                .map(|model| judging.models[*model].clone())
                .collect(),
            calibrations: None,
            abstention: abstention(rows, of, target, delta),
        }
    });
    models.chain(ensembles).collect()
}

/// Mean of some probabilities.
fn mean(all: impl Iterator<Item = [f64; 3]>) -> [f64; 3] {
    let (mut sum, mut count) = ([0.0; 3], 0);
    for one in all {
        for (sum, p) in sum.iter_mut().zip(one) {
            *sum += p;
        }
        count += 1;
    }
    sum.map(|sum| sum / f64::from(count.max(1)))
}

/// Probabilities of every system, models first.
pub(super) fn judged(
    judging: &Judging<'_>,
    fits: &[Calibrations],
    of_models: &[Vec<Answered>],
) -> Vec<Judged> {
    let with = |model: usize, fit: Fit| -> Vec<[f64; 3]> {
        let fitted = fits[model].of(fit);
        of_models[model]
            .iter()
            .map(|answered| fitted.probabilities(answered.logits))
            .collect()
    };
    let mut all: Vec<Judged> = (0..of_models.len())
        .map(|model| Judged {
            raw: with(model, Fit::None),
            calibrated: with(model, judging.methods.fit),
        })
        .collect();
    for (_, members) in &judging.ensembles {
        let places = 0..of_models[members[0]].len();
        let of = |pick: fn(&Judged) -> &Vec<[f64; 3]>| -> Vec<[f64; 3]> {
            let at = |place: usize| mean(members.iter().map(|model| pick(&all[*model])[place]));
            places.clone().map(at).collect()
        };
        let ensemble = Judged {
            raw: of(|judged| &judged.raw),
            calibrated: of(|judged| &judged.calibrated),
        };
        all.push(ensemble);
    }
    all
}
