//! The answers to questions with their own context, or none: by one model, or by an ensemble.

use verdict_answer::{
    AnswerSettings, EncodedPrompt, ModelInferenceEngine, PromptError, Question, Verdict,
};
use verdict_model::AdapterBank;

use super::chosen::Loaded;
use super::output::Answer;
use super::resolved::Resolved;
use crate::failure::Result;
use crate::loading::{self, Opened};
use crate::printer::{Printer, Progress};

/// Questions, sorted by whether they can be asked.
pub struct Checked<'q> {
    /// Those that can.
    pub good: Vec<Question<'q>>,
    /// Their prompts.
    pub prompts: Vec<EncodedPrompt>,
    /// For every question, why it cannot.
    pub refusals: Vec<Option<PromptError>>,
}

/// Makes the prompts of questions, and reports how many contexts are cut.
///
/// # Errors
/// There is no room for any question.
pub fn checked<'q>(
    loaded: &Loaded,
    questions: &[Question<'q>],
    limits: &AnswerSettings,
    printer: &Printer,
) -> Result<Checked<'q>> {
    let engine = ModelInferenceEngine::new(&loaded.opened.model, &loaded.bank);
    let found = loaded
        .opened
        .answerer()?
        .check(&engine, questions, limits)?;
    loading::report_cuts("questions", found.iter().flatten(), limits, printer);
    let (mut good, mut prompts, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
    for (question, prompt) in questions.iter().zip(found) {
        refusals.push(match prompt {
            Ok(prompt) => {
                good.push(*question);
                prompts.push(prompt);
                None
            }
            Err(error) => Some(error),
        });
    }
    Ok(Checked {
        good,
        prompts,
        refusals,
    })
}

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
    let found = loaded.answer(
        &answerer,
        &mut engine,
        questions,
        prompts,
        settings,
        &mut done,
    )?;
    let answers = found.into_iter().map(|of| Answer {
        verdict: of.verdict,
        members: of.members,
        evidence: None,
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
