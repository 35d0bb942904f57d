//! The model, its calibration and the limits of `ask`, from the flags and the run.

use std::path::Path;

use verdict_answer::{
    AnswerSettings, Calibration, Calibrations, EnsembleMember, Fit, calibration, ensemble,
};
use verdict_data::DataSet;
use verdict_eval::stats::abstain;
use verdict_model::{AdapterBank, LoadOptions};
use verdict_train::RunFolder;

use super::args::Args;
use super::bulk::Answering;
use super::chosen::{ChosenAdapter, Loaded, fit, only_calibration};
use crate::commands::eval::evaluated_run;
use crate::ensembles::NamedEnsemble;
use crate::failure::{Failure, Result};
use crate::loading;
use crate::moved;
use crate::printer::Printer;

/// What answers, before it is loaded.
pub struct Resolved {
    /// The run, where an adapter answers.
    pub run: Option<RunFolder>,
    /// Name of the adapter, where one was given.
    pub adapter: Option<String>,
    /// The adapters that answer: none for a base model, several for an ensemble.
    pub adapters: Vec<ChosenAdapter>,
    /// The base model.
    model: String,
    options: LoadOptions,
    /// How probabilities are calibrated; none for a base model, and for an ensemble, whose members are.
    pub calibration: Option<Calibration>,
    /// The probability below which to abstain.
    pub threshold: f64,
    /// Limits of prompts and answers.
    pub limits: AnswerSettings,
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
        let model = model(run.as_ref(), args.model.as_deref(), printer)?;
        let faults = faults(args);
        if !faults.is_empty() {
            return Err(Failure::faults(faults));
        }
        let adapters = match &run {
            Some(run) => chosen(run, args)?,
            None => Vec::new(),
        };
        let threshold = match (&run, args.target_error_rate) {
            (Some(run), Some(rate)) => threshold(run, &adapters, rate, printer)?,
            _ => args.abstain_below.unwrap_or(0.0),
        };
        let calibrations = adapters.iter().filter_map(|of| of.calibration.as_ref());
        for warning in calibrations.filter_map(extreme) {
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
            calibration: only_calibration(&adapters),
            run,
            adapters,
            model,
            options,
            threshold,
            limits,
        })
    }

    /// What decides the answers to a table.
    pub fn answering(&self) -> Answering<'_> {
        Answering {
            model: &self.model,
            run: self.run.as_ref(),
            adapters: &self.adapters,
            options: &self.options,
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
        if let Some(run) = self.run.as_ref().filter(|_| self.fit() != Fit::None)
            && let Some(warning) = opened.older_scores(run)?
        {
            printer.warn(warning);
        }
        let mut bank = AdapterBank::empty();
        let adapters = self.adapters.iter();
        let members = adapters.map(|of| {
            Ok(EnsembleMember {
                adapter: opened.adapter(&mut bank, &of.dir)?,
                calibration: of.calibration.unwrap_or_default(),
            })
        });
        let members: Vec<EnsembleMember> = members.collect::<Result<_>>()?;
        let (adapter, ensemble) = match members.as_slice() {
            [] => (None, Vec::new()),
            [only] => (Some(only.adapter), Vec::new()),
            _ => (None, members),
        };
        Ok(Loaded {
            opened,
            bank,
            adapter,
            calibration: self.calibration,
            ensemble,
        })
    }

    /// How probabilities are calibrated.
    pub fn fit(&self) -> Fit {
        fit(&self.adapters)
    }
}

/// The adapters of a run that answer: the one that was named, those of an ensemble, or the run's best.
fn chosen(run: &RunFolder, args: &Args) -> Result<Vec<ChosenAdapter>> {
    let names = match (&args.ensemble, &args.adapter) {
        (Some(text), _) => NamedEnsemble::of(run, text)?.members,
        (None, Some(name)) => vec![name.clone()],
        (None, None) => vec![run.best().to_owned()],
    };
    let chosen = names.into_iter().map(|name| {
        let dir = run.verified_adapter_dir(Some(&name))?;
        let calibration = match args.uncalibrated {
            true => None,
            false => Some(fitted(&dir)?),
        };
        Ok(ChosenAdapter {
            name,
            dir,
            calibration,
        })
    });
    chosen.collect()
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

/// The probability below which adapters abstain, so that their error rate among answered questions is at most `rate`.
fn threshold(
    run: &RunFolder,
    adapters: &[ChosenAdapter],
    rate: f64,
    printer: &Printer,
) -> Result<f64> {
    let set = || DataSet::read(&run.located_settings().data).ok();
    let names: Vec<Option<&str>> = adapters.iter().map(|of| Some(of.name.as_str())).collect();
    let rows = evaluated_run::validation(run, &names, set)?;
    let of = |place: usize| {
        let members = adapters.iter().zip(&rows);
        let calibrated = members.map(|(adapter, rows)| {
            let calibration = adapter.calibration.unwrap_or_default();
            calibration.probabilities(rows[place].logits)
        });
        ensemble::mean(calibrated)
    };
    let found = rows
        .first()
        .and_then(|first| verdict_eval::abstention(first, of, rate, abstain::DELTA));
    let Some(found) = found else {
        let names: Vec<&str> = adapters.iter().map(|of| of.name.as_str()).collect();
        return Err(Failure::input(format!(
            "--target-error-rate: {}: found no validation results of adapter {} to certify an error rate on",
            run.dir().display(),
            names.join(", ")
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
