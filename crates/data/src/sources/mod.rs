//! Readers: one file per layout of a source, each from bytes to pieces of raw rows.
//!
//! A reader goes through its file once and hands on [`Piece`]s in the file's order. A piece is taken
//! apart by whichever thread is free, so that reading holds a few pieces in memory, never a file.
//! Where a piece ends depends on the file alone: shards of one build cut alike.

mod bioasq;
mod clinical;
mod cut;
mod fields;
mod hashed;
mod objects;
mod own_parquet;
mod parquet;
mod piece;
mod pubmedqa;
mod quotes;
pub mod records;
mod stats;
mod table;

use std::path::{Path, PathBuf};

pub(crate) use bioasq::documents;
pub(crate) use fields::Row;
pub use fields::kind;
pub use objects::{TableRow, TableSurvey, survey_table, table_rows};
pub(crate) use piece::{Piece, Reading};
pub use stats::{CorrectedItem, Twin, TwinRule, stats_corrected, stats_held_out, stats_twins};

use crate::manifest::FileRecord;
use crate::{Error, Input, RawItem, Result, Source};

use piece::{Emit, ROWS, Rows};

/// Reads one source, and returns the records of its files.
pub(crate) fn read(
    input: &Input,
    reading: Reading,
    emit: &mut Emit<'_>,
) -> Result<Vec<FileRecord>> {
    let specialties = &input.specialties;
    let mut chosen = |piece: Piece| -> Result<()> {
        if specialties.is_empty() {
            return emit(piece);
        }
        let specialties = specialties.clone();
        emit(Box::new(move || {
            let mut rows = piece()?;
            let before = rows.rows.len();
            rows.rows.retain(|row| {
                let mut all = specialties.iter();
                all.any(|specialty| specialty.covers(&row.mesh, &row.question))
            });
            rows.passed_over += before - rows.rows.len();
            Ok(rows)
        }))
    };
    let emit: &mut Emit<'_> = &mut chosen;
    let kind = input.source.kind();
    match &input.source {
        Source::PubmedqaLabeled(path)
        | Source::PubmedqaArtificial(path)
        | Source::PubmedqaUnlabeled(path) => {
            let files = files(
                path,
                &["json", "parquet"],
                "PubMedQA files (*.json, *.parquet)",
            )?;
            let read = |path: &PathBuf| match is_parquet(path) {
                true => parquet::read(path, kind, reading, emit),
                false => pubmedqa::read(path, kind, reading, emit),
            };
            files.iter().map(read).collect()
        }
        Source::Bioasq(path) => {
            let files = files(path, &["json"], "BioASQ golden files (*.json)")?;
            let read = |path: &PathBuf| bioasq::read(path, reading, emit);
            files.iter().map(read).collect()
        }
        Source::Jsonl(path) => {
            let files = files(path, &["jsonl"], "JSON lines (*.jsonl)")?;
            let read =
                |path: &PathBuf| table::jsonl(path, &input.columns, reading.rationales, emit);
            files.iter().map(read).collect()
        }
        Source::Parquet(path) => {
            let files = files(path, &["parquet"], "Parquet files (*.parquet)")?;
            let read =
                |path: &PathBuf| own_parquet::read(path, &input.columns, reading.rationales, emit);
            files.iter().map(read).collect()
        }
        Source::Csv(path) => {
            let files = files(path, &["csv", "tsv"], "tables (*.csv, *.tsv)")?;
            let read = |path: &PathBuf| table::csv(path, &input.columns, reading.rationales, emit);
            files.iter().map(read).collect()
        }
        Source::Stats(rows) => made(stats::stats(*rows, reading.seed, &input.levels), emit),
        Source::Clinical => made(clinical::clinical(), emit),
    }
}

/// Rows that come from no file.
fn made(rows: Vec<RawItem>, emit: &mut Emit<'_>) -> Result<Vec<FileRecord>> {
    let mut rows = rows.into_iter();
    loop {
        let piece: Vec<RawItem> = rows.by_ref().take(ROWS).collect();
        if piece.is_empty() {
            return Ok(Vec::new());
        }
        emit(Box::new(|| {
            Ok(Rows {
                rows: piece,
                passed_over: 0,
            })
        }))?;
    }
}

/// The files that a path means: itself, or every file of a folder with one of the `endings`, in the
/// order of their names.
fn files(path: &Path, endings: &[&str], expected: &'static str) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(Error::io(path))? {
        let file = entry.map_err(Error::io(path))?.path();
        let ending = file.extension().unwrap_or_default().to_ascii_lowercase();
        if endings.iter().any(|of| ending == *of) && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    match files.is_empty() {
        true => Err(Error::NoFiles {
            path: path.to_owned(),
            expected,
        }),
        false => Ok(files),
    }
}

fn is_parquet(path: &Path) -> bool {
    let ending = path.extension();
    ending.is_some_and(|ending| ending.eq_ignore_ascii_case("parquet"))
}

/// The rows of a source as they are read, before any cleaning; `contexts` as in
/// [`BuildSettings`](crate::BuildSettings). All of them in memory: for looking at a source, not for building.
///
/// # Errors
/// Every fault of the source, with file and place.
pub fn rows(input: &Input, seed: u64, contexts: bool) -> Result<Vec<RawItem>> {
    all(
        input,
        Reading {
            seed,
            contexts,
            rationales: true,
        },
    )
}

/// All rows of a source.
pub(crate) fn all(input: &Input, reading: Reading) -> Result<Vec<RawItem>> {
    let mut rows = Vec::new();
    read(input, reading, &mut |piece| {
        rows.extend(piece()?.rows);
        Ok(())
    })?;
    Ok(rows)
}
