//! The end of a table: the staged answers of all parts become the file, and a manifest beside it says what they are.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use verdict_answer::Mode;
use verdict_common::hash::sha256_file;
use verdict_common::{counted, grouped};

use super::output;
use super::part::{self, PartState};
use super::settings::BulkSettings;
use crate::failure::{Failure, Result};
use crate::printer::Printer;

/// What `OUT.manifest.json` says.
#[derive(Debug, Serialize, Deserialize)]
pub struct Summary {
    /// SHA-256 of the file.
    sha256: String,
    /// Rows of each label, in the order Yes, No, Uncertain.
    labels: [usize; 3],
    /// Answers whose probability was too low.
    abstained: usize,
    /// Rows that could not be asked.
    refused: usize,
    /// Why, for the first of them.
    faults: Vec<String>,
    /// What decides the answers.
    settings: BulkSettings,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Printed<'a> {
    out: &'a Path,
    #[serde(flatten)]
    summary: &'a Summary,
}

/// The place of the manifest.
fn manifest(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".manifest.json");
    out.with_file_name(name)
}

impl Summary {
    /// The summary of a finished output; none if it is unfinished, or of other settings.
    ///
    /// # Errors
    /// The output cannot be read.
    pub fn of_finished(out: &Path, settings: &BulkSettings) -> Result<Option<Self>> {
        let found = Self::read(out)?.filter(|of| of.settings == *settings);
        if found.is_some() {
            // A kill may have left them after the file was written.
            part::remove_leftovers(out, settings)?;
        }
        Ok(found)
    }

    /// The summary of the output that is there.
    fn read(out: &Path) -> Result<Option<Self>> {
        let Ok(text) = fs::read_to_string(manifest(out)) else {
            return Ok(None);
        };
        let Some(summary) = serde_json::from_str::<Self>(&text)
            .ok()
            .filter(|_| out.exists())
        else {
            return Ok(None);
        };
        let hash = sha256_file(out)
            .map_err(|fault| Failure::failed(format!("{}: {fault}", out.display())))?;
        Ok((hash == summary.sha256).then_some(summary))
    }

    /// A failure if rows were refused.
    pub fn verdict(&self, out: &Path) -> Result {
        let answered = self.labels.iter().sum();
        PartState::verdict_of(self.refused, &self.faults, answered, out)
    }
}

/// Joins the shards of an output; prints the summary again if they are joined already.
///
/// # Errors
/// Shards that are missing or unfinished, a failure of the disk, rows that were refused.
pub fn merge(out: &Path, printer: &Printer) -> Result {
    let earlier = Summary::read(out)?;
    if let Some(earlier) = &earlier {
        part::remove_leftovers(out, &earlier.settings)?;
    }
    let summary = match earlier.filter(|_| !part::folder(out).exists()) {
        Some(summary) => {
            printer.note(format!("{}: already merged", out.display()));
            summary
        }
        None => join(out)?,
    };
    print(out, &summary, printer);
    summary.verdict(out)
}

/// Removes an output with all that belongs to it.
///
/// # Errors
/// A failure of the disk.
pub fn remove(out: &Path) -> Result {
    let gone = |removed: std::io::Result<()>, path: &Path| match removed {
        Err(fault) if fault.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::failed(format!("{}: {fault}", path.display())))
        }
        _ => Ok(()),
    };
    let (about, parts) = (manifest(out), part::folder(out));
    gone(fs::remove_file(&about), &about)?;
    gone(fs::remove_file(out), out)?;
    gone(fs::remove_dir_all(&parts), &parts)
}

/// Writes the file from the staged answers of all parts, then the manifest, and removes what was staged.
///
/// # Errors
/// As [`merge`], but rows that were refused are none.
pub fn join(out: &Path) -> Result<Summary> {
    let layout = output::format(out)?;
    let parts = part::finished(out)?;
    let dir = part::folder(out);
    let failed = |fault: std::io::Error| Failure::failed(format!("{}: {fault}", out.display()));
    let (files, states): (Vec<PathBuf>, Vec<PartState>) = parts.into_iter().unzip();
    let settings = states[0].settings.clone();
    let (mut labels, mut abstained) = ([0; 3], 0);
    output::answers(&files, &mut |row| {
        if let Some(answer) = row.answer {
            labels[answer.label.index()] += 1;
            abstained += usize::from(answer.abstained);
        }
        Ok(())
    })?;
    let new = dir.join("joined");
    output::write(&files, &new, layout, settings.mode == Mode::Guaranteed)?;
    let mut faults: Vec<String> = states.iter().flat_map(PartState::faults).cloned().collect();
    faults.truncate(part::SHOWN);
    let summary = Summary {
        sha256: sha256_file(&new).map_err(failed)?,
        labels,
        abstained,
        refused: states.iter().map(PartState::refused).sum(),
        faults,
        settings,
    };
    let text = serde_json::to_string_pretty(&summary).map_err(Failure::failed)?;
    let about = dir.join("manifest");
    fs::write(&about, text + "\n").map_err(failed)?;
    fs::rename(&new, out).map_err(failed)?;
    fs::rename(&about, manifest(out)).map_err(failed)?;
    fs::remove_dir_all(&dir).map_err(failed)?;
    Ok(summary)
}

/// Prints what was answered.
pub fn print(out: &Path, summary: &Summary, printer: &Printer) {
    printer.json(&Printed { out, summary });
    let [yes, no, uncertain] = summary.labels.map(grouped);
    let rows = counted(summary.settings.rows, "row");
    printer.line(format!(
        "answers    {rows}: {yes} Yes, {no} No, {uncertain} Uncertain"
    ));
    if summary.abstained > 0 {
        printer.line(format!("abstained  {}", counted(summary.abstained, "row")));
    }
    if summary.refused > 0 {
        printer.line(format!("refused    {}", counted(summary.refused, "row")));
    }
    printer.line(format!("written    {}", out.display()));
}
