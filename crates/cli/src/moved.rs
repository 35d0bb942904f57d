//! A run's data set and model after they moved: found beside the run, or named by a flag and then
//! compared with the hashes that the run recorded.

use std::path::{Path, PathBuf};

use verdict_train::{Provenance, TrainSettings};

use crate::failure::{Failure, Result};
use crate::loading;
use crate::printer::Printer;

/// The run's settings with its data set in another place, which must hold the same data set.
///
/// # Errors
/// A folder without a data set; another data set.
pub fn data(
    mut settings: TrainSettings,
    at: Option<&Path>,
    run: &Path,
    expected: &Provenance,
) -> Result<TrainSettings> {
    if let Some(at) = at {
        let found = Provenance::data_sha256(at).map_err(|error| {
            Failure::from(error).hint("--data takes a folder that `verdict build` wrote")
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

/// The run's settings with its base model in another place, which must hold the same model.
///
/// # Errors
/// A model that cannot be found; another model.
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
            "`verdict build --verify` compares a data set with its manifest; other \
                       questions to judge on are given by --benchmark"
        }
        _ => "an adapter answers through the base model that it was trained on, in the same files",
    };
    Err(Failure::input(fault).hint(hint))
}
