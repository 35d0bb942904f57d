//! `verdict train --like RUN`: the settings of another run once more, its data set and model held to their
//! hashes, and at the end its adapters beside the new ones.

use std::path::{Path, PathBuf};

use serde::Serialize;
use verdict_train::repeat::{Compared, compare, differing};
use verdict_train::{Error, InputPaths, Machine, Manifest, Provenance, TrainSettings};

use super::Args;
use crate::failure::{Failure, Result};
use crate::printer::Printer;

const MANIFEST: &str = "MANIFEST.json";

/// A run to repeat.
#[derive(Debug)]
pub struct Like {
    /// As it was named.
    path: PathBuf,
    manifest: Manifest,
    /// Whether other data and another model were asked for by a flag.
    other_data: bool,
    other_model: bool,
}

/// How a run came out beside the one that it repeats.
#[derive(Debug, Serialize)]
pub struct Repeated<'a> {
    /// The run that was repeated.
    run: &'a Path,
    /// Whether all adapters are the same bytes.
    same: bool,
    adapters: Vec<Compared>,
}

impl Like {
    /// Reads the manifest of the run that `--like` names: its folder, or the file alone.
    ///
    /// # Errors
    /// A run that is not finished: what it was made from is not known yet.
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
            other_data: args.data.is_some(),
            other_model: args.model.is_some(),
        }))
    }

    /// The run's settings; the new run's folder is the first of RUN-2, RUN-3 and so on that is not there.
    pub fn settings(&self) -> TrainSettings {
        let mut settings = self.manifest.settings.clone();
        // The same cuts of batches, so that a GPU rounds the same.
        settings.pass_tokens = settings.pass_tokens.or(self.manifest.pass_tokens);
        let settings = &settings;
        let (mut run, settings) = match self.path.is_dir() {
            true => {
                let places = InputPaths::read(&self.path).unwrap_or_default();
                (self.path.clone(), places.found(&self.path, settings))
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

    /// Refuses to train into the run that is to be repeated.
    pub fn check_out(&self, out: &Path) -> Result<()> {
        let real = |path: &Path| path.canonicalize().ok();
        let run = match self.path.is_dir() {
            true => &*self.path,
            false => self.path.parent().unwrap_or(Path::new("")),
        };
        if real(run).is_some() && real(run) == real(out) {
            let fault = format!(
                "--out: expected another folder than the run to repeat, found {}",
                out.display()
            );
            return Err(Failure::input(fault));
        }
        Ok(())
    }

    /// Compares what the new run is made from with what this one was; says what may make a difference.
    ///
    /// # Errors
    /// Other rows or another model, unless a flag asked for them.
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
        let mut differs = |what: &str, flag: &str, asked: bool, place: &str, hashes: [&str; 2]| {
            let text = format!(
                "{place}: expected the {what} of {run}, SHA-256 {}, found {}",
                hashes[0], hashes[1]
            );
            match asked {
                true => printer.warn(format!("not a repetition: {text}")),
                false => {
                    faults.push(text);
                    hints.push(format!(
                        "{flag} names it where it lies now, or another {what} to train on with these settings"
                    ));
                }
            }
        };
        if !found.same_rows(expected) {
            let hashes = [&*expected.data_manifest_sha256, &found.data_manifest_sha256];
            let place = settings.data.display().to_string();
            differs("data set", "--data", self.other_data, &place, hashes);
        } else if expected.data_manifest_sha256 != found.data_manifest_sha256 {
            printer.note(format!(
                "{}: another manifest than that of {run}, the same rows",
                settings.data.display()
            ));
        }
        if found.model_sha256 != expected.model_sha256 {
            let hashes = [&*expected.model_sha256, &found.model_sha256];
            differs(
                "model",
                "--model",
                self.other_model,
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
            let names: Vec<String> = other.iter().map(|key| key.replace('_', "-")).collect();
            printer.warn(format!(
                "not a repetition: other settings than {run} in {}",
                names.join(", ")
            ));
        }
        self.warn(machine, printer);
        Ok(())
    }

    /// Says where program or hardware differ.
    fn warn(&self, machine: &Machine, printer: &Printer) {
        let run = self.path.display();
        let Some(last) = self.manifest.machines.last() else {
            return printer.note(format!(
                "{run} does not say on what it was computed; elsewhere results may differ in rounding"
            ));
        };
        let machines = &self.manifest.machines;
        if let Some(other) = machines.iter().find(|of| !of.computes_as(machine)) {
            printer.warn(format!(
                "{run} was computed on {}, this on {}: results may differ in rounding",
                other.words(),
                machine.words()
            ));
        }
        if last.program() != machine.program() {
            printer.warn(format!(
                "{run} was computed by {}, this by {}: results may differ",
                last.program(),
                machine.program()
            ));
        }
    }

    /// How the new run's adapters stand beside this one's.
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
    /// What `--like` adds to the result for people.
    pub fn words(&self) -> String {
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
            "not the same bytes as {run}: {} differ, {same} the same: {}",
            differ.len(),
            differ.join("; ")
        )
    }
}
