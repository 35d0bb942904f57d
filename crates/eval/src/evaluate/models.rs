//! The evaluated models and ensembles: their probabilities, and their calibration and threshold from the validation set.

use verdict_answer::ensemble::mean;
use verdict_answer::{Calibrations, Fit};
use verdict_data::Label;

use super::inputs::EvaluationOptions;
use crate::abstention::{abstention, most_probable};
use crate::collect::CollectedAnswers;
use crate::evaluated_run::ValidationPrediction;
use crate::report::EvaluatedModel;

/// The probabilities of one model for the questions of one benchmark.
pub(super) struct ModelResults {
    /// Uncalibrated probabilities.
    pub(super) raw: Vec<[f64; 3]>,
    /// Calibrated probabilities.
    pub(super) calibrated: Vec<[f64; 3]>,
}

impl ModelResults {
    /// The most probable label of each question.
    pub(super) fn labels(&self) -> Vec<Label> {
        self.calibrated.iter().map(|p| most_probable(*p)).collect()
    }
}

/// Logits and true labels to fit the calibration on.
pub(super) fn fit_examples(predictions: &[ValidationPrediction]) -> Vec<([f64; 3], Label)> {
    predictions
        .iter()
        .map(|prediction| (prediction.logits, Label::ALL[prediction.truth]))
        .collect()
}

/// Models, then ensembles.
pub(super) fn evaluated_models(
    options: &EvaluationOptions<'_>,
    fits: &[Calibrations],
) -> Vec<EvaluatedModel> {
    let methods = &options.methods;
    let calibrated = |model: usize, place: usize| {
        let prediction = &options.validation[model][place];
        fits[model].of(methods.fit).probabilities(prediction.logits)
    };
    let (target, delta) = (methods.target_error_rate, methods.delta);
    let models = options.models.iter().enumerate().map(|(model, name)| {
        let predictions = &options.validation[model];
        EvaluatedModel {
            name: name.clone(),
            members: Vec::new(),
            calibrations: (!predictions.is_empty()).then_some(fits[model]),
            abstention: abstention(predictions, |place| calibrated(model, place), target, delta),
        }
    });
    let ensembles = options.ensembles.iter().map(|(name, members)| {
        let predictions = &options.validation[members[0]];
        let of = |place| mean(members.iter().map(|model| calibrated(*model, place)));
        EvaluatedModel {
            name: name.clone(),
            members: members
                .iter()
                .map(|model| options.models[*model].clone())
                .collect(),
            calibrations: None,
            abstention: abstention(predictions, of, target, delta),
        }
    });
    models.chain(ensembles).collect()
}

/// The probabilities of all models, then of the ensembles, from the answers of the models.
pub(super) fn results(
    options: &EvaluationOptions<'_>,
    fits: &[Calibrations],
    answers: &[Vec<CollectedAnswers>],
) -> Vec<ModelResults> {
    let with = |model: usize, fit: Fit| -> Vec<[f64; 3]> {
        let calibration = fits[model].of(fit);
        answers[model]
            .iter()
            .map(|answer| calibration.probabilities(answer.logits))
            .collect()
    };
    let mut all: Vec<ModelResults> = (0..answers.len())
        .map(|model| ModelResults {
            raw: with(model, Fit::None),
            calibrated: with(model, options.methods.fit),
        })
        .collect();
    for (_, members) in &options.ensembles {
        let places = 0..answers[members[0]].len();
        let of = |pick: fn(&ModelResults) -> &Vec<[f64; 3]>| -> Vec<[f64; 3]> {
            let at = |place: usize| mean(members.iter().map(|model| pick(&all[*model])[place]));
            places.clone().map(at).collect()
        };
        let ensemble = ModelResults {
            raw: of(|results| &results.raw),
            calibrated: of(|results| &results.calibrated),
        };
        all.push(ensemble);
    }
    all
}
