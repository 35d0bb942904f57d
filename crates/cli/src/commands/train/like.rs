//! `verdict train --like RUN`: repeats a run with its settings. Data set and model are checked by their hashes, and the new
//! adapters are compared with the run's.

use std::path::{Path, PathBuf};

use serde::Serialize;
use verdict_train::repeat::{AdapterComparison, compare, differing};
use verdict_train::{Error, InputPaths, Machine, Manifest, Provenance, TrainSettings};

use super::args::Args;
use crate::aliases;
use crate::failure::{Failure, Result};
use crate::printer::Printer;

const MANIFEST: &str = "MANIFEST.json";

/// A run to repeat.
#[derive(Debug)]
pub struct Like {
    /// As it was given.
    path: PathBuf,
    manifest: Manifest,
    /// Whether --data and --model were given.
    data_given: bool,
    model_given: bool,
}

/// The comparison of a run with the one that it repeats.
#[derive(Debug, Serialize)]
pub struct Repeated<'a> {
    /// The run that was repeated.
    run: &'a Path,
    /// Whether all adapters have the same bytes.
    same: bool,
    adapters: Vec<AdapterComparison>,
}

impl Like {
    /// Reads the manifest of the run that `--like` names, by its folder or by the file.
    ///
    /// # Errors
    /// A run that is not finished.
    pub fn read(args: &Args) -> Result<Option<Self>> {
        let Some(path) = &args.like else {
            return Ok(None);
        };
        let file = match path.is_dir() {
            true => path.join(MANIFEST),
            false => path.clone(),
        };
        if !file.exists() {
            let fault = match path.join("settings.toml").exists() {
                true => Error::Incomplete { path: path.clone() },
                false => Error::NotARun {
                    path: path.clone(),
                    missing: MANIFEST,
                },
            };
            return Err(Failure::from(fault));
        }
        Ok(Some(Self {
            path: path.clone(),
            manifest: Manifest::read(&file)?,
            data_given: args.data.is_some(),
            model_given: args.model.is_some(),
        }))
    }

    /// The run's settings. The new run's folder is the first of RUN-2, RUN-3 and so on that does not exist.
    pub fn settings(&self) -> TrainSettings {
        let mut settings = self.manifest.settings.clone();
        // The same micro-batches, so that a GPU rounds the same way.
        settings.micro_batch_tokens = settings
            .micro_batch_tokens
            .or(self.manifest.micro_batch_tokens);
        let settings = &settings;
        let (mut run, settings) = match self.path.is_dir() {
            true => {
                let inputs = InputPaths::read(&self.path).unwrap_or_default();
                (self.path.clone(), inputs.locate(&self.path, settings))
            }
            false => (settings.out.clone(), settings.clone()),
        };
        // `.` and `..` have no name to number.
        if run.file_name().is_none()
            && let Ok(whole) = run.canonicalize()
        {
            run = whole;
        }
        let name = run.file_name().unwrap_or("run".as_ref()).to_owned();
        let mut numbered = (2..).map(|number: usize| {
            let mut next = name.clone();
            next.push(format!("-{number}"));
            run.with_file_name(next)
        });
        let out = numbered.find(|out| !out.exists());
        TrainSettings {
            out: out.unwrap_or_default(),
            ..settings
        }
    }

    /// Refuses to write into the run that is repeated.
    pub fn check_out(&self, out: &Path) -> Result<()> {
        let real = |path: &Path| path.canonicalize().ok();
        let run = match self.path.is_dir() {
            true => &*self.path,
            false => self.path.parent().unwrap_or(Path::new("")),
        };
        if real(run).is_some() && real(run) == real(out) {
            let fault = format!(
                "--out: expected another folder than that of the run to repeat, found {}",
                out.display()
            );
            return Err(Failure::input(fault));
        }
        Ok(())
    }

    /// Compares data set, model, settings and machine with those of the run, and warns of what may change results.
    ///
    /// # Errors
    /// Another data set or model, unless a flag names it.
    pub fn check(
        &self,
        settings: &TrainSettings,
        found: &Provenance,
        machine: &Machine,
        printer: &Printer,
    ) -> Result<()> {
        let run = self.path.display();
        let expected = &self.manifest.provenance;
        let (mut faults, mut hints) = (Vec::new(), Vec::new());
        let mut differs = |what: &str, flag: &str, given: bool, place: &str, hashes: [&str; 2]| {
            let text = format!(
                "{place}: expected the {what} of {run}, SHA-256 {}, found {}",
                hashes[0], hashes[1]
            );
            match given {
                true => printer.warn(format!("not a repetition: {text}")),
                false => {
                    faults.push(text);
                    hints.push(format!(
                        "{flag} names its new place, or another {what} to train on with these settings"
                    ));
                }
            }
        };
        if !found.same_rows(expected) {
            let hashes = [&*expected.data_manifest_sha256, &found.data_manifest_sha256];
            let place = settings.data.display().to_string();
            differs("data set", "--data", self.data_given, &place, hashes);
        } else if expected.data_manifest_sha256 != found.data_manifest_sha256 {
            printer.note(format!(
                "{}: its manifest differs from that of {run}, its rows do not",
                settings.data.display()
            ));
        }
        if found.model_sha256 != expected.model_sha256 {
            let hashes = [&*expected.model_sha256, &found.model_sha256];
            differs(
                "model",
                "--model",
                self.model_given,
                &settings.model,
                hashes,
            );
        }
        if !faults.is_empty() {
            let failure = Failure::faults(faults);
            return Err(hints.into_iter().fold(failure, Failure::hint));
        }
        let other = differing(&self.manifest.settings, settings);
        if !other.is_empty() {
            let names: Vec<String> = other.iter().map(|key| aliases::flag(key)).collect();
            printer.warn(format!(
                "not a repetition: settings differ from {run}: {}",
                names.join(", ")
            ));
        }
        self.warn(machine, printer);
        Ok(())
    }

    /// Warns if program or hardware differ.
    fn warn(&self, machine: &Machine, printer: &Printer) {
        let run = self.path.display();
        let Some(last) = self.manifest.machines.last() else {
            return printer.note(format!(
                "{run} does not record its machine; on another one results may differ in rounding"
            ));
        };
        let machines = &self.manifest.machines;
        if let Some(other) = machines.iter().find(|of| !of.computes_as(machine)) {
            printer.warn(format!(
                "{run} was computed on {}, this run is on {}: results may differ in rounding",
                other.describe(),
                machine.describe()
            ));
        }
        if last.program() != machine.program() {
            printer.warn(format!(
                "{run} was computed by {}, this run is by {}: results may differ",
                last.program(),
                machine.program()
            ));
        }
    }

    /// Compares the adapters of the new run with those of this one.
    pub fn compare(&self, manifest: &Manifest) -> Repeated<'_> {
        let adapters = compare(&self.manifest, manifest);
        Repeated {
            run: &self.path,
            same: adapters.iter().all(|adapter| adapter.same),
            adapters,
        }
    }
}

impl Repeated<'_> {
    /// The comparison in words.
    pub fn describe(&self) -> String {
        let run = self.run.display();
        if self.same {
            return format!("the same bytes as {run}");
        }
        let differ = self.adapters.iter().filter(|adapter| !adapter.same);
        let differ: Vec<String> = differ
            .map(|adapter| format!("{} ({})", adapter.name, adapter.differs.join(", ")))
            .collect();
        let same = self.adapters.len() - differ.len();
        format!(
            "not the same bytes as {run}: {} differ, {same} are the same: {}",
            differ.len(),
            differ.join("; ")
        )
    }
}
