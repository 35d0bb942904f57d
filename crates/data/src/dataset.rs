//! A finished data set on disk: three files of items and a manifest.

use std::path::Path;

use crate::manifest::Manifest;
use crate::{Error, Item, Result, Split, Unlabelled};
use serde::de::DeserializeOwned;
use verdict_common::hash::sha256;

/// Name of the manifest, which is written last.
pub(crate) const MANIFEST: &str = "MANIFEST.json";

/// A data set in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSet {
    /// Examples for training.
    pub train: Vec<Item>,
    /// Examples for choosing settings.
    pub validation: Vec<Item>,
    /// Examples for the final test.
    pub test: Vec<Item>,
    /// Where the rows come from.
    pub manifest: Manifest,
}

impl DataSet {
    /// Reads the folder that [`build`](crate::build()) wrote.
    ///
    /// # Errors
    /// [`Error::NotFinished`] without a manifest, [`Error::Json`] with file and line for a broken
    /// row, [`Error::Changed`] for a file that is not the one that was built, [`Error::Io`].
    pub fn read(dir: impl AsRef<Path>) -> Result<DataSet> {
        let started = std::time::Instant::now();
        let dir = dir.as_ref();
        let manifest = read_manifest(dir)?;
        let items = |split| read_split(dir, split, &manifest);
        let set = DataSet {
            train: items(Split::Train)?,
            validation: items(Split::Validation)?,
            test: items(Split::Test)?,
            manifest,
        };
        tracing::info!(
            path = %dir.display(),
            train = set.train.len(),
            validation = set.validation.len(),
            test = set.test.len(),
            seconds = started.elapsed().as_secs_f64(),
            "data set read"
        );
        Ok(set)
    }

    /// The questions without a label of the folder that [`build`](crate::build()) wrote; empty where its sources had none.
    ///
    /// # Errors
    /// As [`read`](DataSet::read).
    pub fn read_unlabelled(dir: impl AsRef<Path>) -> Result<Vec<Unlabelled>> {
        let dir = dir.as_ref();
        let manifest = read_manifest(dir)?;
        let Some(record) = &manifest.unlabelled else {
            return Ok(Vec::new());
        };
        read_lines(&dir.join(UNLABELLED), &record.sha256)
    }

    /// The items of one split.
    pub fn split(&self, split: Split) -> &[Item] {
        match split {
            Split::Train => &self.train,
            Split::Validation => &self.validation,
            Split::Test => &self.test,
        }
    }
}

fn read_manifest(dir: &Path) -> Result<Manifest> {
    let path = dir.join(MANIFEST);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| Error::json(&path, 1, &error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::NotFinished {
            path: dir.to_owned(),
        }),
        Err(error) => Err(Error::io(path)(error)),
    }
}

fn read_split(dir: &Path, split: Split, manifest: &Manifest) -> Result<Vec<Item>> {
    let mut records = manifest.splits.iter();
    let record = records.find(|record| record.split == split.as_str());
    let expected = record.map_or("none", |record| &record.sha256);
    read_lines(&dir.join(split.file_name()), expected)
}

/// The lines of a JSON Lines file whose SHA-256 is `expected`.
fn read_lines<T: DeserializeOwned>(path: &Path, expected: &str) -> Result<Vec<T>> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let mut items = Vec::new();
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        if !line.trim_ascii().is_empty() {
            let item = serde_json::from_slice(line);
            items.push(item.map_err(|error| Error::json(path, index + 1, &error))?);
        }
    }
    let found = sha256(&bytes);
    if found != expected {
        return Err(Error::Changed {
            path: path.to_owned(),
            expected: expected.to_owned(),
            found,
        });
    }
    Ok(items)
}

/// Name of the file of rows without a label.
pub(crate) const UNLABELLED: &str = "unlabelled.jsonl";

/// Name of the file beside a set's own in which evaluations record that its rows were looked at. A set that replaces
/// another keeps it.
pub const LOOKS: &str = "looks.log";
