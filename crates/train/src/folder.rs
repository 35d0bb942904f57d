//! The layout of a run folder, and a finished run as read from it. `new_run` writes it.
//!
//! ```text
//! settings.toml      the resolved settings
//! paths.json         where the data set and the model are, see `input_paths`
//! events.jsonl       the events of the run, append-only
//! validation.jsonl   the labels' logits for each validation example
//! folds.jsonl        the same for every fit of a fold
//! adapters/<name>/   PEFT folders
//! MANIFEST.json      written last: the run is complete
//! shards/            a grid split over tasks, a run folder for each, see `shard`
//! slurm/             the scripts submitted to SLURM and their output
//! checkpoints/       until the run is complete, see `checkpoint`
//! .lock              locked while a process trains; names that process, see `owner`
//! ```

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::events::{self, Event};
use crate::files;
use crate::input_paths::{InputPaths, PATHS};
use crate::manifest::{AdapterRecord, Manifest};
use crate::owner::LOCK;
use crate::predictions::{FoldPrediction, Prediction};
use crate::settings::TrainSettings;
use crate::shard::SHARDS;

pub(crate) const SETTINGS: &str = "settings.toml";
pub(crate) const EVENTS: &str = "events.jsonl";
pub(crate) const VALIDATION: &str = "validation.jsonl";
pub(crate) const FOLDS: &str = "folds.jsonl";
pub(crate) const ADAPTERS: &str = "adapters";
pub(crate) const CHECKPOINTS: &str = "checkpoints";
/// The folder of the SLURM scripts.
pub const SLURM: &str = "slurm";
pub(crate) const MANIFEST: &str = "MANIFEST.json";

/// Everything that a run and its evaluation write, in the order in which an overwrite deletes it: the
/// manifest first, so that what is left never looks complete.
pub(crate) const OURS: [&str; 16] = [
    MANIFEST,
    "report.json",
    "report.md",
    "report.html",
    "predictions.jsonl",
    "official",
    "earlier",
    VALIDATION,
    FOLDS,
    EVENTS,
    CHECKPOINTS,
    ADAPTERS,
    SETTINGS,
    PATHS,
    SLURM,
    SHARDS,
];

/// Kept by an overwrite: it counts how often the held-out questions were used, which does not depend
/// on the run.
pub(crate) const KEPT: &str = "looks.jsonl";

/// A finished run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunFolder {
    dir: PathBuf,
    /// The resolved settings, as they were given.
    pub settings: TrainSettings,
    /// Where the data set and the model are.
    input_paths: InputPaths,
    /// Its results.
    pub manifest: Manifest,
}

impl RunFolder {
    /// Reads a finished run and checks that the files of every adapter exist.
    ///
    /// # Errors
    /// [`Error::NotARun`]; [`Error::Running`] or [`Error::Incomplete`] where there is no
    /// MANIFEST.json; [`Error::Json`], [`Error::Settings`] or [`Error::Io`] for a broken or missing file.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.to_path_buf();
        if !dir.is_dir() {
            return Err(Error::Io {
                path,
                doing: "read the folder",
                source: std::io::ErrorKind::NotFound.into(),
            });
        }
        let manifest_path = dir.join(MANIFEST);
        if !manifest_path.exists() {
            return Err(if is_locked(dir) {
                Error::Running { path }
            } else if dir.join(SHARDS).exists() {
                Error::Unmerged { path }
            } else if dir.join(SETTINGS).exists() {
                Error::Incomplete { path }
            } else {
                Error::NotARun {
                    path,
                    missing: SETTINGS,
                }
            });
        }
        let settings = TrainSettings::read(&dir.join(SETTINGS))?;
        let manifest = Manifest::read(&manifest_path)?;
        let run = Self {
            input_paths: InputPaths::read(dir)?,
            dir: path,
            settings,
            manifest,
        };
        run.record(&run.manifest.best)?;
        for record in &run.manifest.adapters {
            for file in record.files.keys() {
                let path = run.folder_of(&record.adapter.name).join(file);
                fs::metadata(&path).map_err(Error::io(&path, "read"))?;
            }
        }
        Ok(run)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its settings, with the paths of the data set and the model relative to the current folder.
    pub fn located_settings(&self) -> TrainSettings {
        self.input_paths.locate(&self.dir, &self.settings)
    }

    /// Where the data set and the model are.
    pub(crate) fn input_paths(&self) -> &InputPaths {
        &self.input_paths
    }

    /// Name of the chosen adapter.
    pub fn best(&self) -> &str {
        &self.manifest.best
    }

    /// Names of the adapters that were saved, in the order of the grid.
    pub fn names(&self) -> Vec<&str> {
        let saved = self
            .manifest
            .adapters
            .iter()
            .filter(|record| record.diverged.is_none());
        saved.map(|record| record.adapter.name.as_str()).collect()
    }

    /// The record of a saved adapter. [`Error::NoAdapter`] lists the names that exist.
    pub fn record(&self, name: &str) -> Result<&AdapterRecord> {
        let saved =
            |record: &&AdapterRecord| record.diverged.is_none() && record.adapter.name == name;
        self.manifest
            .adapters
            .iter()
            .find(saved)
            .ok_or_else(|| Error::NoAdapter {
                path: self.dir.clone(),
                name: name.to_owned(),
                known: self.names().into_iter().map(str::to_owned).collect(),
            })
    }

    /// The PEFT folder of a saved adapter, by default of the chosen one.
    pub fn adapter_dir(&self, name: Option<&str>) -> Result<PathBuf> {
        let record = self.record(name.unwrap_or(self.best()))?;
        Ok(self.folder_of(&record.adapter.name))
    }

    /// Like [`adapter_dir`](Self::adapter_dir), after comparing the adapter's files with their hashes in
    /// the manifest, because an adapter that was modified gives other answers.
    ///
    /// # Errors
    /// [`Error::NoAdapter`]; [`Error::Changed`] for the first file that differs from what the run wrote.
    pub fn verified_adapter_dir(&self, name: Option<&str>) -> Result<PathBuf> {
        let record = self.record(name.unwrap_or(self.best()))?;
        self.verify_adapter(record)?;
        Ok(self.folder_of(&record.adapter.name))
    }

    /// The events of the run.
    pub fn events(&self) -> Result<Vec<Event>> {
        events::read(&self.dir.join(EVENTS))
    }

    /// The predictions of the last validation: first the bare base model's, then each saved adapter's;
    /// with folds, the out-of-fold predictions of each adapter.
    pub fn validation(&self) -> Result<Vec<Prediction>> {
        files::read_lines(&self.dir.join(VALIDATION))
    }

    /// Every prediction by the fits of folds; empty in a run without folds.
    pub fn folds(&self) -> Result<Vec<FoldPrediction>> {
        match self.settings.folds {
            Some(_) => files::read_lines(&self.dir.join(FOLDS)),
            None => Ok(Vec::new()),
        }
    }

    /// Compares every adapter file with its hash in the manifest.
    ///
    /// # Errors
    /// [`Error::Changed`] for the first file that differs from what the run wrote.
    pub fn verify(&self) -> Result<()> {
        let adapters = &self.manifest.adapters;
        adapters.iter().try_for_each(|of| self.verify_adapter(of))
    }

    fn verify_adapter(&self, record: &AdapterRecord) -> Result<()> {
        for (file, expected) in &record.files {
            let path = self.folder_of(&record.adapter.name).join(file);
            let found = files::sha256(&path)?;
            if found != *expected {
                return Err(Error::Changed {
                    path,
                    expected: expected.clone(),
                    found,
                });
            }
        }
        Ok(())
    }

    fn folder_of(&self, name: &str) -> PathBuf {
        self.dir.join(ADAPTERS).join(name)
    }
}

/// Whether a process holds the folder's lock.
pub(crate) fn is_locked(dir: &Path) -> bool {
    let lock = File::open(dir.join(LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
