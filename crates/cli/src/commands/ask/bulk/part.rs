//! The answers to a part of a table while it is being answered, in the folder `OUT.partial`:
//!
//! ```text
//! 2-of-4.jsonl    the answers so far, one JSON object a row
//! 2-of-4.json     what decides them, how many are done, and how many bytes they take
//! ```
//!
//! Answers are written and synced before the state that counts them. What lies behind the counted bytes after a kill is
//! cut off.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use verdict_common::{counted, grouped};

use super::answer::BulkAnswer;
use super::settings::BulkSettings;
use crate::failure::{Failure, Result};
use crate::shards::ShardIndex;

/// Rows whose faults are printed.
pub const SHOWN: usize = 10;

/// How far a part is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartState {
    /// Number of the part, from 1.
    index: usize,
    /// Rows of the table before those of the part.
    first: usize,
    /// Rows of the part.
    rows: usize,
    /// Rows answered or refused.
    done: usize,
    /// Bytes of their answers.
    bytes: u64,
    /// Rows refused.
    refused: usize,
    /// Why, for the first of them.
    faults: Vec<String>,
    /// What decides the answers.
    pub settings: BulkSettings,
}

/// A part that is locked by this process.
pub struct Part {
    path: PathBuf,
    file: File,
    state: PartState,
}

/// What was found of a part.
pub enum Found {
    /// Rows are left to be answered.
    Open(Part),
    /// All rows are answered.
    Finished(Part),
}

/// The folder of an output's parts.
pub fn folder(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    out.with_file_name(name)
}

/// The rows of part N of M: shares that differ by one row at most.
fn share(rows: usize, shard: ShardIndex) -> Range<usize> {
    let end = |index: usize| (rows as u128 * index as u128 / shard.of as u128) as usize;
    end(shard.index - 1)..end(shard.index)
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> Failure {
    let path = path.display().to_string();
    move |fault| Failure::failed(format!("{path}: {fault}"))
}

impl PartState {
    /// The exit status of a part or a whole: a failure if rows were refused.
    pub fn verdict_of(refused: usize, faults: &[String], answered: usize, place: &Path) -> Result {
        if refused == 0 {
            return Ok(());
        }
        let mut lines = faults.to_vec();
        if refused > lines.len() {
            lines.push(format!(
                "and {} more",
                counted(refused - lines.len(), "row")
            ));
        }
        let others = match answered {
            0 => "no row was answered".to_owned(),
            1 => "the other row was answered".to_owned(),
            _ => format!("the other {} rows were answered", grouped(answered)),
        };
        Err(Failure::faults(lines).hint(format!(
            "{others}; {} has these errors in the place of answers",
            place.display()
        )))
    }

    fn is_finished(&self) -> bool {
        self.done == self.rows
    }

    fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(failed(path))?;
        serde_json::from_str(&text).map_err(|error| {
            let failure = Failure::input(format!("{}: {error}", path.display()));
            failure.hint("add --overwrite to start from the beginning")
        })
    }
}

impl Part {
    /// Opens a part where an earlier command stopped, or begins it.
    ///
    /// # Errors
    /// Answers with other settings, another process that writes them, a failure of the disk.
    pub fn open(
        out: &Path,
        settings: &BulkSettings,
        shard: ShardIndex,
        overwrite: bool,
    ) -> Result<Found> {
        let dir = folder(out);
        fs::create_dir_all(&dir).map_err(failed(&dir))?;
        let name = format!("{}-of-{}", shard.index, shard.of);
        let (path, at) = (
            dir.join(format!("{name}.jsonl")),
            dir.join(format!("{name}.json")),
        );
        let file = lock(&path)?;
        if overwrite {
            clear(&dir, &name, settings)?;
        }
        refuse_others(&dir, settings)?;
        if !at.exists() && out.exists() && !overwrite {
            let failure = Failure::input(format!("{}: exists already", out.display()));
            // Only what was just made, and is empty, can be removed.
            let _ = fs::remove_file(&path).and_then(|()| fs::remove_dir(&dir));
            return Err(failure.hint("choose another --out, or add --overwrite to replace it"));
        }
        let rows = share(settings.rows, shard);
        let state = match at.exists() {
            true => PartState::read(&at)?,
            false => PartState {
                index: shard.index,
                first: rows.start,
                rows: rows.len(),
                done: 0,
                bytes: 0,
                refused: 0,
                faults: Vec::new(),
                settings: settings.clone(),
            },
        };
        let length = file.metadata().map_err(failed(&path))?.len();
        if length < state.bytes {
            let fault = format!(
                "{}: expected at least {} bytes, found {length}",
                path.display(),
                state.bytes
            );
            return Err(Failure::input(fault).hint("add --overwrite to start from the beginning"));
        }
        let mut part = Part { path, file, state };
        part.file
            .set_len(part.state.bytes)
            .map_err(failed(&part.path))?;
        part.file
            .seek(SeekFrom::End(0))
            .map_err(failed(&part.path))?;
        part.save()?;
        Ok(match part.state.is_finished() {
            true => Found::Finished(part),
            false => Found::Open(part),
        })
    }

    /// Rows of the table that belong to the part.
    pub fn rows(&self) -> Range<usize> {
        self.state.first..self.state.first + self.state.rows
    }

    /// Those that are left.
    pub fn left(&self) -> Range<usize> {
        self.state.first + self.state.done..self.rows().end
    }

    /// How many are answered or refused.
    pub fn done(&self) -> usize {
        self.state.done
    }

    /// N/M.
    pub fn shard(&self) -> ShardIndex {
        ShardIndex {
            index: self.state.index,
            of: self.state.settings.shards,
        }
    }

    /// How far it is.
    pub fn state(&self) -> &PartState {
        &self.state
    }

    /// The file of its answers.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A failure if rows of it were refused.
    pub fn verdict(&self) -> Result {
        let state = &self.state;
        let answered = state.rows - state.refused;
        PartState::verdict_of(state.refused, &state.faults, answered, &self.path)
    }

    /// Adds the answers to the next rows; `input` is the table, for messages.
    ///
    /// # Errors
    /// A failure of the disk. What was counted before stays.
    pub fn append(&mut self, input: &Path, rows: &[BulkAnswer]) -> Result {
        let mut text = Vec::new();
        for row in rows {
            serde_json::to_writer(&mut text, row).map_err(Failure::failed)?;
            text.push(b'\n');
            if let Some(error) = &row.error {
                self.state.refused += 1;
                if self.state.faults.len() < SHOWN {
                    let fault = format!("{}: {error}", input.display());
                    self.state.faults.push(fault);
                }
            }
        }
        let written = self.file.write_all(&text);
        written
            .and_then(|()| self.file.sync_data())
            .map_err(failed(&self.path))?;
        self.state.done += rows.len();
        self.state.bytes += text.len() as u64;
        self.save()
    }

    fn save(&self) -> Result {
        let path = self.path.with_extension("json");
        let new = self.path.with_extension("json.new");
        let text = serde_json::to_string_pretty(&self.state).map_err(Failure::failed)?;
        fs::write(&new, text + "\n")
            .and_then(|()| fs::rename(&new, &path))
            .map_err(failed(&path))
    }
}

/// Opens the file of a part for this process alone.
fn lock(path: &Path) -> Result<File> {
    let open = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path);
    let file = open.map_err(failed(path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let fault = format!("{}: another process is writing it", path.display());
            Err(Failure::input(fault).hint("wait for it to end, or choose another --out"))
        }
        Err(TryLockError::Error(fault)) => Err(failed(path)(fault)),
    }
}

/// Removes a part of the name, and the parts of other settings.
fn clear(dir: &Path, name: &str, settings: &BulkSettings) -> Result {
    for path in states(dir)? {
        let ours = path.file_stem().is_some_and(|stem| stem == name);
        if ours {
            fs::remove_file(&path).map_err(failed(&path))?;
        } else if !PartState::read(&path).is_ok_and(|of| of.settings == *settings) {
            let answers = path.with_extension("jsonl");
            drop(lock(&answers)?);
            let removed = fs::remove_file(&path).and_then(|()| fs::remove_file(&answers));
            removed.map_err(failed(&path))?;
        }
    }
    Ok(())
}

/// Refuses parts of other settings.
fn refuse_others(dir: &Path, settings: &BulkSettings) -> Result {
    for path in states(dir)? {
        let differences = PartState::read(&path)?.settings.differences(settings);
        if !differences.is_empty() {
            let fault = format!(
                "{}: holds answers of another command, which differs in: {}",
                path.display(),
                differences.join(", ")
            );
            return Err(Failure::input(fault)
                .hint("choose another --out, or add --overwrite to start from the beginning"));
        }
    }
    Ok(())
}

/// The states in a folder, in the order of their names; none if there is no folder.
fn states(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(fault) => return Err(failed(dir)(fault)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed(dir))?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Whether every part of an output is finished.
///
/// # Errors
/// A state that cannot be read.
pub fn all_finished(out: &Path) -> Result<bool> {
    let states = read_all(out)?;
    let of = states.first().map_or(0, |(_, state)| state.settings.shards);
    Ok(states.len() == of && states.iter().all(|(_, state)| state.is_finished()))
}

/// Removes the parts of a finished output: what a kill left of them at the end, or those of shards that were joined.
/// Parts that are being written, or of other settings, stay.
///
/// # Errors
/// A failure of the disk.
pub fn remove_leftovers(out: &Path, settings: &BulkSettings) -> Result {
    let left = read_all(out)?;
    let ours = |state: &PartState| state.is_finished() && state.settings == *settings;
    if !left.iter().all(|(_, state)| ours(state)) {
        return Ok(());
    }
    let dir = folder(out);
    match fs::remove_dir_all(&dir) {
        Err(fault) if fault.kind() != std::io::ErrorKind::NotFound => Err(failed(&dir)(fault)),
        _ => Ok(()),
    }
}

/// The parts of an output in the order of their rows, each with the file of its answers.
///
/// # Errors
/// Parts that are missing, unfinished or of another command, one line each.
pub fn finished(out: &Path) -> Result<Vec<(PathBuf, PartState)>> {
    let dir = folder(out);
    let mut states = read_all(out)?;
    states.sort_by_key(|(_, state)| state.index);
    let Some(settings) = states.first().map(|(_, state)| state.settings.clone()) else {
        let fault = format!(
            "{}: expected the answers of shards, found none",
            dir.display()
        );
        return Err(Failure::input(fault)
            .hint("`verdict ask --input FILE --shard N/M --out OUT` writes them"));
    };
    refuse_others(&dir, &settings)?;
    let mut faults = Vec::new();
    let mut done = 0;
    for index in 1..=settings.shards {
        let name = format!("{}: shard {index}/{}", dir.display(), settings.shards);
        match states.iter().find(|(_, state)| state.index == index) {
            None => faults.push(format!("{name} is missing")),
            Some((_, state)) if !state.is_finished() => faults.push(format!(
                "{name} has {} of {}",
                grouped(state.done),
                counted(state.rows, "row")
            )),
            Some(_) => done += 1,
        }
    }
    match faults.is_empty() {
        true => Ok(states),
        false => Err(Failure::faults(faults).hint(format!(
            "{done} of {} shards are finished; start the others again to continue them",
            settings.shards
        ))),
    }
}

fn read_all(out: &Path) -> Result<Vec<(PathBuf, PartState)>> {
    let states = states(&folder(out))?.into_iter();
    states
        .map(|path| Ok((path.with_extension("jsonl"), PartState::read(&path)?)))
        .collect()
}

/// How many rows of a part were refused, and why the first of them were.
impl PartState {
    /// Rows refused.
    pub fn refused(&self) -> usize {
        self.refused
    }

    /// Why, for the first of them.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_all_rows_once_and_differ_by_one_at_most() {
        for (rows, of) in [(0, 3), (2, 3), (10, 3), (1_000_003, 7)] {
            let shares = (1..=of).map(|index| share(rows, ShardIndex { index, of }));
            let mut next = 0;
            for share in shares {
                assert_eq!(share.start, next);
                assert!(share.len().abs_diff(rows / of) <= 1);
                next = share.end;
            }
            assert_eq!(next, rows);
        }
    }
}
