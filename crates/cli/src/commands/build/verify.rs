//! `verdict build --verify`: a finished data set against its manifest, and against its sources.

use std::path::Path;

use serde::Serialize;
use verdict_common::counted;

use super::Settings;
use crate::failure::{Failure, Result};
use crate::printer::Printer;

/// Checks a finished set, and where sources are given builds it anew beside it.
pub(super) fn verify(folder: &Path, mut settings: Settings, printer: &Printer) -> Result {
    let set = verdict_data::verify(folder)?;
    let mut told = vec![format!(
        "{}: {} in {}, as the manifest says",
        folder.display(),
        counted(set.manifest.rows_kept, "row"),
        counted(set.manifest.groups, "group")
    )];
    let rebuilt = settings.source.is_some();
    if rebuilt {
        let workshop = tempfile::tempdir().map_err(|e| Failure::from_error(&e))?;
        settings.out = Some(workshop.path().join("set"));
        let again = verdict_data::build(&settings.resolve(false, printer)?)?.manifest;
        for (ours, theirs) in set.manifest.splits.iter().zip(&again.splits) {
            if ours.sha256 != theirs.sha256 {
                let fault = format!(
                    "{}: {}: expected SHA-256 {} as built anew, found {}",
                    folder.display(),
                    ours.file,
                    theirs.sha256,
                    ours.sha256
                );
                let hint = "other sources, settings, seed or version: MANIFEST.json says with which it was built";
                return Err(Failure::input(fault).hint(hint));
            }
        }
        told.push("built anew from its sources: the same bytes".into());
    }
    printer.json(&Verified {
        folder,
        rows: set.manifest.rows_kept,
        rebuilt,
    });
    told.iter().for_each(|line| printer.line(line));
    Ok(())
}

#[derive(Serialize)]
struct Verified<'a> {
    folder: &'a Path,
    rows: usize,
    /// Whether it was built anew and came out the same.
    rebuilt: bool,
}
