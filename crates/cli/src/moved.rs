//! The data set and the base model of a run after they were moved: a flag names the new place, and the hash of what is
//! there is compared with the one that the run recorded.

use std::path::{Path, PathBuf};

use verdict_train::{Provenance, TrainSettings};

use crate::failure::{Failure, Result};
use crate::loading;
use crate::printer::Printer;

/// The run's settings with the new place of its data set.
///
/// # Errors
/// A folder without a data set, or with another one.
pub fn data(
    mut settings: TrainSettings,
    at: Option<&Path>,
    run: &Path,
    expected: &Provenance,
) -> Result<TrainSettings> {
    if let Some(at) = at {
        let found = Provenance::data_sha256(at).map_err(|error| {
            Failure::from(error).hint("--data takes a folder written by `verdict build`")
        })?;
        let place = at.display().to_string();
        same(
            "data set",
            &place,
            run,
            &expected.data_manifest_sha256,
            &found,
        )?;
        settings.data = PathBuf::from(at);
    }
    Ok(settings)
}

/// The run's settings with the new place of its base model.
///
/// # Errors
/// A model that cannot be found, or another one.
pub fn model(
    mut settings: TrainSettings,
    at: Option<&str>,
    run: &Path,
    expected: &Provenance,
    printer: &Printer,
) -> Result<TrainSettings> {
    if let Some(at) = at {
        let path = loading::resolve(at, printer)?.path;
        let found = Provenance::model_sha256(&path)?;
        same("base model", at, run, &expected.model_sha256, &found)?;
        settings.model = at.to_owned();
    }
    Ok(settings)
}

fn same(what: &str, place: &str, run: &Path, expected: &str, found: &str) -> Result {
    if expected == found {
        return Ok(());
    }
    let run = run.display();
    let fault = format!("{place}: expected the {what} of {run}, SHA-256 {expected}, found {found}");
    let hint = match what {
        "data set" => {
            "`verdict build --verify` compares a data set with its manifest; --benchmark evaluates on other questions"
        }
        _ => "an adapter needs the base model that it was trained on, in the same files",
    };
    Err(Failure::input(fault).hint(hint))
}
