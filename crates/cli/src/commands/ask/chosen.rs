//! The adapters that answer, before and after they are loaded.

use std::path::PathBuf;

use verdict_answer::{
    AnswerSettings, Answerer, Calibration, EncodedPrompt, EnsembleMember, EnsembleVerdict, Fit,
    ModelInferenceEngine, Question, Verdict, answer_ensemble,
};
use verdict_model::AdapterBank;

use crate::failure::Result;
use crate::loading::Opened;

/// An adapter that answers.
#[derive(Clone, Debug)]
pub struct ChosenAdapter {
    /// Its name in the run.
    pub name: String,
    /// Its folder.
    pub dir: PathBuf,
    /// How its probabilities are calibrated; none with --uncalibrated.
    pub calibration: Option<Calibration>,
}

/// How the probabilities of these adapters are calibrated.
pub fn fit(adapters: &[ChosenAdapter]) -> Fit {
    match adapters.iter().any(|of| of.calibration.is_some()) {
        true => Fit::Temperature,
        false => Fit::None,
    }
}

/// The calibration of the only adapter; none for a base model, and for an ensemble, whose members are calibrated.
pub fn only_calibration(adapters: &[ChosenAdapter]) -> Option<Calibration> {
    match adapters {
        [only] => only.calibration,
        _ => None,
    }
}

/// A model and its adapters, ready to answer.
pub struct Loaded {
    /// The base model.
    pub opened: Opened,
    /// The bank with the adapters, if any.
    pub bank: AdapterBank,
    /// Number of the adapter in the bank; none for a base model and for an ensemble.
    pub adapter: Option<usize>,
    /// How its probabilities are calibrated.
    pub calibration: Option<Calibration>,
    /// The members of an ensemble; empty where one adapter or the base model answers.
    pub ensemble: Vec<EnsembleMember>,
}

impl Loaded {
    /// Answers questions whose prompts are made already; the probabilities are calibrated, and only an ensemble has
    /// members.
    ///
    /// # Errors
    /// A failure of the model.
    pub fn answer(
        &self,
        answerer: &Answerer<'_>,
        engine: &mut ModelInferenceEngine<'_>,
        questions: &[Question<'_>],
        prompts: Vec<EncodedPrompt>,
        settings: &AnswerSettings,
        done: &mut dyn FnMut(usize),
    ) -> Result<Vec<EnsembleVerdict>> {
        if !self.ensemble.is_empty() {
            let members = &self.ensemble;
            return Ok(answer_ensemble(
                answerer, engine, questions, prompts, members, settings, done,
            )?);
        }
        let verdicts = answerer.answer_encoded(engine, questions, prompts, settings, done)?;
        let answers = verdicts.into_iter().map(|mut verdict| {
            if let Some(calibration) = self.calibration {
                calibrate(&mut verdict, calibration);
            }
            EnsembleVerdict {
                verdict,
                members: Vec::new(),
            }
        });
        Ok(answers.collect())
    }
}

/// Replaces the probabilities of an answer by calibrated ones.
pub fn calibrate(verdict: &mut Verdict, calibration: Calibration) {
    let calibrated = calibration.recalibrate(verdict.probabilities);
    verdict.probabilities = calibrated.map(|p| p as f32);
}
