//! `verdict build --verify`: compares a finished data set with its manifest, and with a new build from its sources.

use std::path::Path;

use serde::Serialize;
use verdict_common::counted;

use super::settings::Settings;
use crate::failure::{Failure, Result};
use crate::printer::Printer;

/// Checks a finished data set; if sources are given, builds it again and compares the bytes.
pub(super) fn verify(folder: &Path, mut settings: Settings, printer: &Printer) -> Result {
    let set = verdict_data::verify(folder)?;
    let mut lines = vec![format!(
        "{}: {} in {}, as the manifest says",
        folder.display(),
        counted(set.manifest.rows_kept, "row"),
        counted(set.manifest.groups, "group")
    )];
    let rebuilt = settings.source.is_some();
    if rebuilt {
        let folder_of_build = tempfile::tempdir().map_err(|e| Failure::from_error(&e))?;
        settings.out = Some(folder_of_build.path().join("set"));
        let again = verdict_data::build(&settings.resolve(false, printer)?)?.manifest;
        for (ours, theirs) in set.manifest.splits.iter().zip(&again.splits) {
            if ours.sha256 != theirs.sha256 {
                let fault = format!(
                    "{}: {}: expected SHA-256 {} from a new build, found {}",
                    folder.display(),
                    ours.file,
                    theirs.sha256,
                    ours.sha256
                );
                let hint = "sources, settings, seed or version differ; MANIFEST.json records those of the build";
                return Err(Failure::input(fault).hint(hint));
            }
        }
        lines.push("a new build from its sources gives the same bytes".into());
    }
    printer.json(&Verified {
        folder,
        rows: set.manifest.rows_kept,
        rebuilt,
    });
    lines.iter().for_each(|line| printer.line(line));
    Ok(())
}

#[derive(Serialize)]
struct Verified<'a> {
    folder: &'a Path,
    rows: usize,
    /// Whether it was built again, with the same result.
    rebuilt: bool,
}
