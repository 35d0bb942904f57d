//! A finished data set on disk: three files of items and a manifest.

use std::path::Path;

use crate::manifest::Manifest;
use crate::{Error, Item, Result, Split};
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
        let path = dir.join(MANIFEST);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::NotFinished {
                    path: dir.to_owned(),
                });
            }
            Err(error) => return Err(Error::io(path)(error)),
        };
        let manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(|error| Error::json(&path, 1, &error))?;
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

    /// The items of one split.
    pub fn split(&self, split: Split) -> &[Item] {
        match split {
            Split::Train => &self.train,
            Split::Validation => &self.validation,
            Split::Test => &self.test,
        }
    }
}

fn read_split(dir: &Path, split: Split, manifest: &Manifest) -> Result<Vec<Item>> {
    let path = dir.join(split.file_name());
    let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
    let mut items = Vec::new();
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        if !line.trim_ascii().is_empty() {
            let item = serde_json::from_slice(line);
            items.push(item.map_err(|error| Error::json(&path, index + 1, &error))?);
        }
    }
    let found = sha256(&bytes);
    let record = manifest
        .splits
        .iter()
        .find(|record| record.split == split.as_str());
    let expected = record.map_or("none", |record| &record.sha256);
    if found != expected {
        return Err(Error::Changed {
            path,
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
