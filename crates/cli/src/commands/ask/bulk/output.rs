//! The files that hold answers: JSON lines, CSV or TSV, Parquet.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::answer::{BulkAnswer, Probabilities, columns};
use super::parquet_out::ParquetTable;
use crate::failure::{Failure, Result};
use crate::tables::ENDINGS;

/// The layout of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutFormat {
    Jsonl,
    /// With its delimiter.
    Csv(u8),
    Parquet,
}

/// The layout by the ending of a name.
///
/// # Errors
/// Another ending.
pub fn format(out: &Path) -> Result<OutFormat> {
    let ending = out.extension().unwrap_or_default().to_string_lossy();
    match ending.to_ascii_lowercase().as_str() {
        "jsonl" | "ndjson" => Ok(OutFormat::Jsonl),
        "csv" => Ok(OutFormat::Csv(b',')),
        "tsv" => Ok(OutFormat::Csv(b'\t')),
        "parquet" => Ok(OutFormat::Parquet),
        _ => Err(Failure::input(format!(
            "--out {}: expected a file ending in {ENDINGS}",
            out.display()
        ))),
    }
}

/// Refuses an output that cannot be written, or that is the input.
///
/// # Errors
/// A folder that does not exist, a folder in the place of the file, the input itself.
pub fn refuse_place(out: &Path, input: &Path) -> Result {
    let place = out.display();
    let folder = match out.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        let fault = format!(
            "--out {place}: expected an existing folder, found none at {}",
            folder.display()
        );
        return Err(Failure::input(fault).hint("create the folder first"));
    }
    if out.is_dir() {
        return Err(Failure::input(format!(
            "--out {place}: expected a file, found a folder"
        )));
    }
    let same = |a: &Path, b: &Path| matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b);
    match same(out, input) {
        true => Err(Failure::input(format!(
            "--out {place}: expected another file than the input, found the same"
        ))),
        false => Ok(()),
    }
}

/// Calls `each` with every answer of staged files.
///
/// # Errors
/// A file that cannot be read, and the errors of `each`.
pub fn answers(files: &[PathBuf], each: &mut dyn FnMut(BulkAnswer) -> Result) -> Result {
    for path in files {
        let failed =
            |fault: &dyn std::fmt::Display| Failure::failed(format!("{}: {fault}", path.display()));
        let file = File::open(path).map_err(|fault| failed(&fault))?;
        for line in BufReader::new(file).lines() {
            let line = line.map_err(|fault| failed(&fault))?;
            each(serde_json::from_str(&line).map_err(|fault| failed(&fault))?)?;
        }
    }
    Ok(())
}

/// Writes the answers of staged files to a new file.
///
/// # Errors
/// A failure of the disk.
pub fn write(files: &[PathBuf], to: &Path, layout: OutFormat, rationale: bool) -> Result {
    let failed =
        |fault: &dyn std::fmt::Display| Failure::failed(format!("{}: {fault}", to.display()));
    let new = File::create(to).map_err(|fault| failed(&fault))?;
    match layout {
        OutFormat::Jsonl => {
            let mut new = new;
            for path in files {
                let mut file = File::open(path).map_err(|fault| failed(&fault))?;
                std::io::copy(&mut file, &mut new).map_err(|fault| failed(&fault))?;
            }
            new.sync_data().map_err(|fault| failed(&fault))
        }
        OutFormat::Csv(delimiter) => {
            let mut table = csv::WriterBuilder::new()
                .delimiter(delimiter)
                .from_writer(BufWriter::new(new));
            let header = columns(rationale);
            table
                .write_record(&header)
                .map_err(|fault| failed(&fault))?;
            answers(files, &mut |answer| {
                let cells = cells(&answer, rationale);
                table.write_record(&cells).map_err(|fault| failed(&fault))
            })?;
            let mut new = table.into_inner().map_err(|fault| failed(&fault))?;
            new.flush().map_err(|fault| failed(&fault))
        }
        OutFormat::Parquet => {
            let mut table = ParquetTable::new(new, rationale).map_err(|fault| failed(&fault))?;
            answers(files, &mut |answer| {
                table.add(&answer).map_err(|fault| failed(&fault))
            })?;
            table.close().map_err(|fault| failed(&fault))
        }
    }
}

/// The cells of an answer.
fn cells(row: &BulkAnswer, rationale: bool) -> Vec<String> {
    let mut cells = vec![row.id_text()];
    match &row.answer {
        Some(of) => {
            cells.push(of.label.to_string());
            let Probabilities { yes, no, uncertain } = of.probabilities;
            cells.extend([yes, no, uncertain, of.other].map(|p| p.to_string()));
            cells.push(of.calibration.as_str().to_owned());
            cells.push(of.abstained.to_string());
            cells.extend(rationale.then(|| of.rationale.clone().unwrap_or_default()));
        }
        None => cells.resize(columns(rationale).len() - 1, String::new()),
    }
    cells.push(row.error.clone().unwrap_or_default());
    cells
}
