//! The answers to questions with their own context, or none: by one model, or by an ensemble.

use verdict_answer::{
    AnswerSettings, EncodedPrompt, ModelInferenceEngine, Question, Verdict, answer_ensemble,
};
use verdict_model::AdapterBank;

use super::chosen::Loaded;
use super::output::Answer;
use super::resolved::{Resolved, calibrate};
use crate::failure::Result;
use crate::loading::Opened;
use crate::printer::{Printer, Progress};

/// Answers questions whose prompts are made already; the probabilities are calibrated.
///
/// # Errors
/// A failure of the model.
pub fn calibrated(
    resolved: &Resolved,
    loaded: &Loaded,
    questions: &[Question<'_>],
    prompts: Vec<EncodedPrompt>,
    printer: &Printer,
) -> Result<Vec<Answer>> {
    let answerer = loaded.opened.answerer()?;
    let mut engine = ModelInferenceEngine::new(&loaded.opened.model, &loaded.bank);
    let mut done = shown(questions.len(), printer);
    let settings = &resolved.limits;
    if !loaded.ensemble.is_empty() {
        let members = &loaded.ensemble;
        let found = answer_ensemble(
            &answerer,
            &mut engine,
            questions,
            prompts,
            members,
            settings,
            &mut done,
        )?;
        let answers = found.into_iter().map(|of| Answer {
            verdict: of.verdict,
            members: of.members,
            evidence: None,
        });
        return Ok(answers.collect());
    }
    let verdicts = answerer.answer_encoded(&mut engine, questions, prompts, settings, &mut done)?;
    let answers = verdicts.into_iter().map(|mut verdict| {
        if let Some(calibration) = resolved.calibration {
            calibrate(&mut verdict, calibration);
        }
        Answer {
            verdict,
            members: Vec::new(),
            evidence: None,
        }
    });
    Ok(answers.collect())
}

/// Answers all questions in one batch; shows progress for more than one.
///
/// # Errors
/// A question that cannot be asked, or a failure of the model.
pub fn answer(
    opened: &Opened,
    bank: &AdapterBank,
    questions: &[Question<'_>],
    settings: &AnswerSettings,
    printer: &Printer,
) -> Result<Vec<Verdict>> {
    let answerer = opened.answerer()?;
    let mut engine = ModelInferenceEngine::new(&opened.model, bank);
    let mut done = shown(questions.len(), printer);
    Ok(answerer.answer(&mut engine, questions, settings, &mut done)?)
}

/// Shows how many of `total` questions are answered, if there are several.
fn shown(total: usize, printer: &Printer) -> impl FnMut(usize) + use<> {
    let progress: Option<Progress> =
        (total > 1).then(|| printer.progress("ask", "question", total as u64));
    move |count| {
        if let Some(progress) = &progress {
            progress.set(count as u64, "");
        }
    }
}
