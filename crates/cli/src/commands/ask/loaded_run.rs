//! A run that answers the questions of another command.

use verdict_answer::{PromptError, Question, Verdict};

use super::answering::{Checked, calibrated, checked};
use super::args::Args;
use super::chosen::Loaded;
use super::resolved::Resolved;
use crate::failure::Result;
use crate::printer::Printer;

/// A run whose adapter or ensemble is loaded.
pub struct LoadedRun {
    resolved: Resolved,
    loaded: Loaded,
}

impl LoadedRun {
    /// Loads what the flags name.
    ///
    /// # Errors
    /// As for `verdict ask`.
    pub fn load(args: &Args, printer: &Printer) -> Result<LoadedRun> {
        let resolved = Resolved::of(args, printer)?;
        let loaded = resolved.load(printer)?;
        Ok(LoadedRun { resolved, loaded })
    }

    /// Answers questions, with calibrated probabilities; none for a question that does not fit into a prompt.
    ///
    /// # Errors
    /// A failure of the model.
    pub fn answer(
        &self,
        questions: &[Question<'_>],
        printer: &Printer,
    ) -> Result<Vec<Option<Verdict>>> {
        let (resolved, loaded) = (&self.resolved, &self.loaded);
        let asked: Vec<Question<'_>> = questions
            .iter()
            .map(|question| Question {
                adapter: loaded.adapter,
                ..*question
            })
            .collect();
        let Checked {
            good,
            prompts,
            refusals,
        } = checked(loaded, &asked, &resolved.limits, printer)?;
        let mut answers = calibrated(resolved, loaded, &good, prompts, printer)?.into_iter();
        let answer = |refusal: Option<PromptError>| match refusal {
            None => answers.next().map(|answer| answer.verdict),
            Some(_) => None,
        };
        Ok(refusals.into_iter().map(answer).collect())
    }
}
