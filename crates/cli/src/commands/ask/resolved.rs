//! The model, its calibration and the limits of `ask`, from the flags and the run.

use std::path::{Path, PathBuf};

use verdict_answer::{AnswerSettings, Calibration, Calibrations, Fit, Verdict, calibration};
use verdict_data::DataSet;
use verdict_eval::stats::abstain;
use verdict_model::{AdapterBank, LoadOptions};
use verdict_train::RunFolder;

use super::args::Args;
use super::bulk::Answering;
use crate::commands::eval::evaluated_run;
use crate::failure::{Failure, Result};
use crate::loading::{self, Opened};
use crate::moved;
use crate::printer::Printer;

/// What answers, before it is loaded.
pub struct Resolved {
    /// The run, where an adapter answers.
    pub run: Option<RunFolder>,
    /// Name of the adapter, where one was given.
    pub adapter: Option<String>,
    /// The folder of the adapter.
    folder: Option<PathBuf>,
    /// The base model.
    model: String,
    options: LoadOptions,
    /// How probabilities are calibrated; none for a base model.
    pub calibration: Option<Calibration>,
    /// The probability below which to abstain.
    pub threshold: f64,
    /// Limits of prompts and answers.
    pub limits: AnswerSettings,
}

/// A model and its adapter, ready to answer.
pub struct Loaded {
    /// The base model.
    pub opened: Opened,
    /// The bank with the adapter, if any.
    pub bank: AdapterBank,
    /// Number of the adapter in the bank.
    pub adapter: Option<usize>,
}

impl Resolved {
    /// Finds the run, the adapter, its calibration and threshold.
    ///
    /// # Errors
    /// Every fault of the flags; a run or adapter that is not there.
    pub fn of(args: &Args, printer: &Printer) -> Result<Resolved> {
        let run = args.run.as_deref().map(loading::run_folder).transpose()?;
        let settings = run.as_ref().map(|run| &run.settings);
        let options = args.machine.over(settings, printer)?;
        let adapter = args.adapter.as_deref();
        let folder = run.as_ref().map(|run| run.verified_adapter_dir(adapter));
        let folder = folder.transpose()?;
        let model = model(run.as_ref(), args.model.as_deref(), printer)?;
        let faults = faults(args);
        if !faults.is_empty() {
            return Err(Failure::faults(faults));
        }
        let calibration = match (&folder, args.uncalibrated) {
            (Some(folder), false) => Some(fitted(folder)?),
            _ => None,
        };
        let threshold = match (&run, args.target_error_rate, calibration) {
            (Some(run), Some(rate), Some(fitted)) => {
                threshold(run, adapter, fitted, rate, printer)?
            }
            _ => args.abstain_below.unwrap_or(0.0),
        };
        if let Some(warning) = calibration.as_ref().and_then(extreme) {
            printer.warn(warning);
        }
        let limits = AnswerSettings {
            max_answer_tokens: args.max_new_tokens,
            max_prompt_tokens: loading::prompt_tokens(args.max_prompt_tokens, settings),
            prompt_format: settings.map(|of| of.prompt_format).unwrap_or_default(),
            ..AnswerSettings::default()
        };
        Ok(Resolved {
            adapter: args.adapter.clone(),
            run,
            folder,
            model,
            options,
            calibration,
            threshold,
            limits,
        })
    }

    /// What decides the answers to a table.
    pub fn answering(&self) -> Answering<'_> {
        Answering {
            model: &self.model,
            run: self.run.as_ref(),
            adapter: self.folder.as_deref(),
            options: &self.options,
            calibration: self.calibration,
            threshold: self.threshold,
            limits: self.limits,
        }
    }

    /// Loads the model and the adapter.
    ///
    /// # Errors
    /// A model or adapter that cannot be loaded.
    pub fn load(&self, printer: &Printer) -> Result<Loaded> {
        let opened = match &self.run {
            Some(_) => loading::open_of_run(&self.model, self.options, printer)?,
            None => loading::open(&self.model, self.options, printer)?,
        };
        if let Some(run) = self.run.as_ref().filter(|_| self.calibration.is_some())
            && let Some(warning) = opened.older_scores(run)?
        {
            printer.warn(warning);
        }
        let mut bank = AdapterBank::empty();
        let adapter = self.folder.as_deref();
        let adapter = adapter.map(|folder| opened.adapter(&mut bank, folder));
        Ok(Loaded {
            adapter: adapter.transpose()?,
            opened,
            bank,
        })
    }
}

/// The base model: the run's, wherever it is now, or the one that was named.
fn model(run: Option<&RunFolder>, named: Option<&str>, printer: &Printer) -> Result<String> {
    match (run, named) {
        (Some(run), at) => {
            let (known, settings) = (&run.manifest.provenance, run.located_settings());
            Ok(moved::model(settings, at, run.dir(), known, printer)?.model)
        }
        (None, Some(model)) => Ok(model.to_owned()),
        (None, None) => {
            let failure = Failure::input("expected --run or --model, found neither");
            Err(failure.hint(
                "`verdict ask --run RUN \"question\"` uses a trained adapter, --model a base model",
            ))
        }
    }
}

/// What is wrong with the flags.
fn faults(args: &Args) -> Vec<String> {
    let mut faults = Vec::new();
    if let Some(found) = args.abstain_below.filter(|of| !(0.0..=1.0).contains(of)) {
        faults.push(format!(
            "--abstain-below: expected a probability from 0 to 1, found {found}"
        ));
    }
    if let Some(found) = args
        .target_error_rate
        .filter(|of| !(*of > 0.0 && *of < 1.0))
    {
        faults.push(format!(
            "--target-error-rate: expected a share between 0 and 1, found {found}"
        ));
    }
    faults
}

/// The calibration of an adapter, fitted on the run's validation set: a temperature, which changes no label.
pub fn fitted(adapter: &Path) -> Result<Calibration> {
    let path = adapter.join(calibration::FILE);
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Failure::input(format!("{}: cannot read: {error}", path.display())))?;
    let fitted: Calibrations = serde_json::from_str(&text)
        .map_err(|error| Failure::input(format!("{}: {error}", path.display())))?;
    Ok(fitted.of(Fit::Temperature))
}

/// Temperatures outside this range mean that the fit found almost no information in the probabilities.
const SANE_TEMPERATURE: std::ops::RangeInclusive<f64> = 0.1..=10.0;

/// A warning about a calibration that cannot be trusted.
fn extreme(calibration: &Calibration) -> Option<String> {
    let temperature = calibration.temperature;
    if SANE_TEMPERATURE.contains(&temperature) {
        return None;
    }
    let (low, high) = (SANE_TEMPERATURE.start(), SANE_TEMPERATURE.end());
    let why = match temperature > 1.0 {
        true => {
            "the model's probabilities hardly separate right answers from wrong ones, and all of them end up near 33 %"
        }
        false => "there were too few examples, or no wrong answers",
    };
    Some(format!(
        "calibration: the temperature fitted on the validation set is {temperature:.2}, expected {low} to {high}: {why}; \
         train longer, use a larger validation set, or print the model's own probabilities with --uncalibrated"
    ))
}

/// Replaces the probabilities of an answer by calibrated ones.
pub fn calibrate(verdict: &mut Verdict, calibration: Calibration) {
    let calibrated = calibration.recalibrate(verdict.probabilities);
    verdict.probabilities = calibrated.map(|p| p as f32);
}

/// The probability below which an adapter abstains, so that its error rate among answered questions is at most `rate`.
fn threshold(
    run: &RunFolder,
    name: Option<&str>,
    calibration: Calibration,
    rate: f64,
    printer: &Printer,
) -> Result<f64> {
    let name = name.unwrap_or(run.best());
    let set = || DataSet::read(&run.located_settings().data).ok();
    let mut rows = evaluated_run::validation(run, &[Some(name)], set)?;
    let rows = rows.pop().unwrap_or_default();
    let of = |place: usize| calibration.probabilities(rows[place].logits);
    let Some(found) = verdict_eval::abstention(&rows, of, rate, abstain::DELTA) else {
        return Err(Failure::input(format!(
            "--target-error-rate: {}: found no validation results of adapter {name} to certify an error rate on",
            run.dir().display()
        ))
        .hint("--abstain-below sets the probability directly"));
    };
    printer.note(&found.guarantee);
    // Above every probability if no threshold can be certified.
    Ok(found.threshold.unwrap_or(1.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calibration_far_from_one_is_warned_of() {
        let at = |temperature: f64| {
            extreme(&Calibration {
                temperature,
                bias: [0.0; 3],
            })
        };
        assert_eq!((at(1.0), at(4.0)), (None, None));
        assert!(at(52.0).is_some_and(|text| text.contains("52.00") && text.contains("33 %")));
        assert!(at(0.01).is_some_and(|text| text.contains("too few examples")));
    }
}
