//! A run that answers the questions of another command.

use verdict_answer::{ModelInferenceEngine, Question, Verdict};

use super::answering::calibrated;
use super::args::Args;
use super::chosen::Loaded;
use super::resolved::Resolved;
use crate::failure::Result;
use crate::loading;
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
        let engine = ModelInferenceEngine::new(&loaded.opened.model, &loaded.bank);
        let limits = &resolved.limits;
        let prompts = loaded.opened.answerer()?.check(&engine, &asked, limits)?;
        loading::report_cuts("questions", prompts.iter().flatten(), limits, printer);
        let fits: Vec<bool> = prompts.iter().map(|prompt| prompt.is_ok()).collect();
        let good = asked.iter().zip(&fits).filter(|(_, fits)| **fits);
        let good: Vec<Question<'_>> = good.map(|(question, _)| *question).collect();
        let prompts = prompts.into_iter().flatten().collect();
        let mut answers = calibrated(resolved, loaded, &good, prompts, printer)?.into_iter();
        let answer = |fits: bool| match fits {
            true => answers.next().map(|answer| answer.verdict),
            false => None,
        };
        Ok(fits.into_iter().map(answer).collect())
    }
}
