//! The readers of files for other crates: rows as JSON objects, whatever the layout, one after the other on the calling
//! thread. A few pieces are in memory, never a file; the file's hash is taken on the way.
//!
//! Each function hands its rows on in the file's order and ends at the first error, be it the file's or the caller's.

use std::path::{Path, PathBuf};

use super::cut;
use super::{own_parquet, table};
use crate::manifest::FileRecord;
use crate::{Error, Result};

pub use super::bioasq::document;
pub use super::cut::{JsonEntry, Shape};
pub use super::fields::{Row, kind};

/// The files that a path means: itself, or every file of a folder with one of the `endings`, in the order of their
/// names.
///
/// # Errors
/// [`Error::Io`], and [`Error::NoFiles`] with `expected` for a folder without such a file.
pub fn files(path: &Path, endings: &[&str], expected: &'static str) -> Result<Vec<PathBuf>> {
    super::files(path, endings, expected)
}

/// Whether a file is read as Parquet, by its name.
pub fn is_parquet(path: &Path) -> bool {
    super::is_parquet(path)
}

/// The entries of a JSON file that is one object, or has one list.
///
/// # Errors
/// Of the file, and those of `each`.
pub fn json_entries<E: From<Error>>(
    path: &Path,
    shape: Shape,
    mut each: impl FnMut(&JsonEntry<'_>) -> Result<(), E>,
) -> Result<FileRecord, E> {
    let mut fault = None;
    let read = cut::entries(path, shape, &mut |entry| stop(each(entry), &mut fault));
    ended(read, fault)
}

/// The objects of JSON lines. Blank lines are passed over; a field that is there twice is an error.
///
/// # Errors
/// Of the file, and those of `each`.
pub fn json_lines<E: From<Error>>(
    path: &Path,
    mut each: impl FnMut(&Row<'_>) -> Result<(), E>,
) -> Result<FileRecord, E> {
    let mut fault = None;
    let read = table::lines(path, &mut |bytes, first| {
        table::objects(path, &bytes, first, &mut |object, line| {
            let place = format!("line {line}");
            stop(
                each(&Row {
                    path,
                    place,
                    object,
                }),
                &mut fault,
            )
        })
    });
    ended(read, fault)
}

/// The rows of a table with a header: commas, or tabs where the name ends in `.tsv`. It must have the columns `needed`,
/// and each of `names` once at most. An empty field is a missing one.
///
/// # Errors
/// Of the file, and those of `each`.
pub fn csv<E: From<Error>>(
    path: &Path,
    needed: &[&str],
    names: &[&str],
    mut each: impl FnMut(&Row<'_>) -> Result<(), E>,
) -> Result<FileRecord, E> {
    let mut fault = None;
    let read = table::records(path, needed, names, &mut |records, _, header| {
        records.iter().try_for_each(|record| {
            let (object, place) = table::object(record, header);
            let row = Row {
                path,
                place,
                object: &object,
            };
            stop(each(&row), &mut fault)
        })
    });
    ended(read, fault)
}

/// The rows of a Parquet file, of which only the columns `names` are read; it must have those `needed`.
///
/// # Errors
/// Of the file, and those of `each`.
pub fn parquet<E: From<Error>>(
    path: &Path,
    needed: &[&str],
    names: &[&str],
    mut each: impl FnMut(&Row<'_>) -> Result<(), E>,
) -> Result<FileRecord, E> {
    let mut fault = None;
    let read = own_parquet::pieces(path, needed, names, &mut |piece, before| {
        piece.iter().enumerate().try_for_each(|(index, object)| {
            let place = format!("row {}", before + index + 1);
            stop(
                each(&Row {
                    path,
                    place,
                    object,
                }),
                &mut fault,
            )
        })
    });
    ended(read, fault)
}

/// Keeps the caller's error, which the readers do not know, and ends their reading.
fn stop<E>(result: Result<(), E>, fault: &mut Option<E>) -> Result<()> {
    result.map_err(|error| {
        *fault = Some(error);
        Error::Stopped
    })
}

fn ended<E: From<Error>>(read: Result<FileRecord>, fault: Option<E>) -> Result<FileRecord, E> {
    match fault {
        Some(fault) => Err(fault),
        None => read.map_err(E::from),
    }
}
