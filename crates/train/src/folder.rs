//! The run folder: made and locked by one training process, read by everyone once it is complete.
//!
//! ```text
//! settings.toml      the resolved settings          adapters/<name>/   PEFT folders
//! paths.json         where data and model are, see `places`
//! events.jsonl       what happened, append-only     MANIFEST.json      last: the run is complete
//! validation.jsonl   labels' logits a row           folds.jsonl        the same of every fold's adapter
//! shards/            a grid split over tasks: a run folder each, see `shard`
//! slurm/             the scripts that gave them to SLURM, and what they printed
//! checkpoints/       until the run is complete, see `checkpoint`
//! .lock              held while a process trains; says which one, see `owner`
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::checkpoint::Survey;
use crate::error::{Error, Result};
use crate::events::{self, Event, EventLog};
use crate::files;
use crate::input_paths::{InputPaths, PATHS};
use crate::machine::Machine;
use crate::manifest::{AdapterRecord, Manifest};
use crate::owner;
use crate::predictions::{FoldPrediction, Prediction};
use crate::settings::TrainSettings;
use crate::shard::SHARDS;

pub(crate) const LOCK: &str = ".lock";
const SETTINGS: &str = "settings.toml";
const EVENTS: &str = "events.jsonl";
const VALIDATION: &str = "validation.jsonl";
const FOLDS: &str = "folds.jsonl";
const ADAPTERS: &str = "adapters";
const CHECKPOINTS: &str = "checkpoints";
/// What a run given to SLURM keeps of that.
pub const SLURM: &str = "slurm";
const MANIFEST: &str = "MANIFEST.json";

/// What a run and its evaluation write, in the order in which an overwrite takes it away: the
/// manifest first, so that what is left never looks complete.
const OURS: [&str; 16] = [
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

/// What an overwrite leaves: how often held-out questions were looked at is true of the next run too.
const KEPT: &str = "looks.jsonl";

/// A folder that this process may train into. It holds the lock; nothing but the lock is written,
/// and nothing is taken away, before training begins.
#[derive(Debug)]
pub struct NewRun {
    dir: PathBuf,
    settings: TrainSettings,
    /// Where data set and model are.
    input_paths: InputPaths,
    lock: File,
    made: bool,
    begun: bool,
    /// What an interrupted run left; none for a new one.
    resumed: Option<Survey>,
    /// Whether its shards are merged: they stay, and what gave them to SLURM.
    merging: bool,
    /// What computes.
    machine: Option<Machine>,
}

impl NewRun {
    /// Checks the settings (all faults at once), makes `settings.out` and locks it. Call it before
    /// the slow loading of a model, so that a folder in use is refused at once.
    ///
    /// # Errors
    /// [`Error::Settings`]; [`Error::Exists`] where the folder holds a run and `overwrite` is false;
    /// [`Error::Foreign`] where it holds other things; [`Error::Locked`] where a process trains in it.
    pub fn create(settings: &TrainSettings, overwrite: bool) -> Result<Self> {
        Self::make(settings, overwrite, false)
    }

    /// As [`NewRun::create`], in the folder of the shards that will be merged.
    pub(crate) fn merge_into(settings: &TrainSettings) -> Result<Self> {
        Self::make(settings, false, true)
    }

    fn make(settings: &TrainSettings, overwrite: bool, merging: bool) -> Result<Self> {
        settings.validate()?;
        let dir = settings.out.clone();
        let made = !dir.exists();
        fs::create_dir_all(&dir).map_err(Error::io(&dir, "create the folder"))?;
        if running(&dir) {
            return Err(Error::Locked { path: dir });
        }
        refuse(&dir, overwrite, merging)?;
        let lock = lock(&dir)?;
        // Between the first look and the lock another run may have ended here.
        refuse(&dir, overwrite, merging)?;
        let settings = settings.clone().resolved();
        Ok(Self {
            input_paths: InputPaths::of(&settings, &dir),
            dir,
            settings,
            lock,
            made,
            begun: false,
            resumed: None,
            merging,
            machine: None,
        })
    }

    /// Locks the folder of an interrupted run and looks for its last whole checkpoint, to go on from
    /// there; without one the run begins anew with the same settings. Nothing is changed before training
    /// begins.
    ///
    /// # Errors
    /// [`Error::NotARun`] without settings; [`Error::Finished`]; [`Error::Locked`] where a process
    /// trains in it; what [`TrainSettings::read`] says.
    pub fn resume(dir: &Path) -> Result<Self> {
        let path = dir.to_path_buf();
        let look = || {
            if dir.join(MANIFEST).exists() {
                Err(Error::Finished { path: path.clone() })
            } else if !dir.join(SETTINGS).exists() {
                let (path, missing) = (path.clone(), SETTINGS);
                Err(Error::NotARun { path, missing })
            } else {
                Ok(())
            }
        };
        if running(dir) {
            return Err(Error::Locked { path });
        }
        look()?;
        let lock = lock(dir)?;
        // Between the first look and the lock the run may have ended.
        look()?;
        let settings = TrainSettings::read(&dir.join(SETTINGS))?.resolved();
        settings.validate()?;
        let events = fs::metadata(dir.join(EVENTS)).map_or(0, |known| known.len());
        let survey = Survey::of(&dir.join(CHECKPOINTS), events)?;
        Ok(Self {
            input_paths: InputPaths::read(dir)?,
            dir: path,
            settings,
            lock,
            made: false,
            begun: false,
            resumed: Some(survey),
            merging: false,
            machine: None,
        })
    }

    /// The same run, with what computes it; its manifest will say so.
    pub fn on(mut self, machine: Machine) -> Self {
        self.machine = Some(machine);
        self
    }

    /// The same run, with its data set and model where these settings say.
    pub fn reading(mut self, settings: &TrainSettings) -> Self {
        self.input_paths = InputPaths::of(settings, &self.dir);
        self
    }

    /// The same run, with its data set and model where another run found them.
    pub(crate) fn reading_as(mut self, input_paths: &InputPaths) -> Self {
        self.input_paths = input_paths.seen_from(&self.dir);
        self
    }

    /// The same run, with rows of at most so many tokens: the default is longer than some models' positions.
    pub fn with_max_length(mut self, tokens: usize) -> Self {
        self.settings.max_length = tokens;
        self
    }

    /// Its settings, with paths that lead to data set and model from the current folder.
    pub fn found(&self) -> TrainSettings {
        self.input_paths.found(&self.dir, &self.settings)
    }

    /// What computed the run so far, and what computes it now.
    pub(crate) fn machines(&self) -> Vec<Machine> {
        let known = self
            .resumed
            .as_ref()
            .and_then(|survey| survey.last.as_ref());
        let mut machines = known.map_or_else(Vec::new, |last| last.state.machines.clone());
        if let Some(machine) = self.machine.as_ref().filter(|of| !machines.contains(of)) {
            machines.push(machine.clone());
        }
        machines
    }

    /// Steps that were done where this run goes on; none for a new run, or one that begins anew.
    pub fn resumed_at(&self) -> Option<usize> {
        Some(self.resumed.as_ref()?.last.as_ref()?.state.done)
    }

    /// Checkpoints that are not whole and so are passed over, each with the reason.
    pub fn passed_over(&self) -> Vec<String> {
        let spoilt = self.resumed.iter().flat_map(|survey| &survey.spoilt);
        spoilt
            .map(|(path, reason)| format!("{}: passed over: {reason}", path.display()))
            .collect()
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The resolved settings.
    pub fn settings(&self) -> &TrainSettings {
        &self.settings
    }

    /// Takes away what stands in the folder, as the beginning of training would.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn clear(&self) -> Result<()> {
        for name in OURS {
            remove(&self.dir.join(name))?;
        }
        Ok(())
    }

    /// Where checkpoints stand.
    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.dir.join(CHECKPOINTS)
    }

    /// Fails where the folder was taken away.
    pub(crate) fn still_there(&self) -> Result<()> {
        match self.dir.join(EVENTS).exists() {
            true => Ok(()),
            false => Err(Error::Vanished {
                path: self.dir.clone(),
            }),
        }
    }

    /// Takes away what an earlier run left, writes `settings.toml` and opens `events.jsonl`. Of a run
    /// to go on with, what it knew at the checkpoint stays.
    pub(crate) fn begin(&mut self) -> Result<(EventLog, Survey)> {
        self.begun = true;
        let resumed = self.resumed.clone();
        let of_tasks = self.merging;
        let kept = |name: &str| {
            resumed.is_some() && [SETTINGS, EVENTS, CHECKPOINTS].contains(&name)
                || of_tasks && [SLURM, SHARDS].contains(&name)
        };
        let leftovers = files::names(&self.dir)?
            .into_iter()
            .filter(|name| name.ends_with(".partial"));
        let ours = OURS.into_iter().filter(|name| !kept(name));
        for name in ours.map(str::to_owned).chain(leftovers) {
            remove(&self.dir.join(name))?;
        }
        let survey = resumed.unwrap_or_default();
        for (path, _) in &survey.spoilt {
            remove(path)?;
        }
        if !self.dir.join(SETTINGS).exists() {
            files::write(&self.dir.join(SETTINGS), self.settings.to_toml().as_bytes())?;
        }
        self.input_paths.write(&self.dir)?;
        for dir in [self.checkpoints(), self.dir.join(ADAPTERS)] {
            fs::create_dir_all(&dir).map_err(Error::io(&dir, "create the folder"))?;
        }
        let events = survey.last.as_ref().map_or(0, |last| last.state.events);
        let log = EventLog::cut(&self.dir.join(EVENTS), events)?;
        files::sync(&self.dir).map_err(Error::io(&self.dir, "write"))?;
        Ok((log, survey))
    }

    /// Writes one adapter with `save` under a temporary name, renames it, and returns the SHA-256
    /// of each of its files.
    pub(crate) fn save(
        &self,
        name: &str,
        save: impl FnOnce(&Path) -> Result<(), crate::error::EngineError>,
    ) -> Result<std::collections::BTreeMap<String, String>> {
        let parent = self.dir.join(ADAPTERS);
        let path = parent.join(name);
        let part = files::partial(&path);
        let saved = save(&part)
            .map_err(|source| Error::Save {
                name: name.to_owned(),
                path: path.clone(),
                source,
            })
            .and_then(|()| {
                let named = files::sync(&part).and_then(|()| fs::rename(&part, &path));
                named
                    .and_then(|()| files::sync(&parent))
                    .map_err(Error::io(&path, "write"))
            });
        if let Err(error) = saved {
            let _ = fs::remove_dir_all(&part);
            return Err(error);
        }
        let mut hashes = std::collections::BTreeMap::new();
        for file in files::names(&path)? {
            let hash = files::sha256(&path.join(&file))?;
            hashes.insert(file, hash);
        }
        Ok(hashes)
    }

    /// Writes one more file into an adapter's folder; returns its hash.
    pub(crate) fn add(&self, adapter: &str, file: &str, bytes: &[u8]) -> Result<String> {
        let path = self.dir.join(ADAPTERS).join(adapter).join(file);
        files::write(&path, bytes)?;
        files::sha256(&path)
    }

    /// Writes `validation.jsonl`.
    pub(crate) fn write_validation(&self, lines: impl Iterator<Item = Prediction>) -> Result<()> {
        files::write_lines(&self.dir.join(VALIDATION), lines)
    }

    /// Writes `events.jsonl` at once.
    pub(crate) fn write_events(&self, events: &[Event]) -> Result<()> {
        files::write_lines(&self.dir.join(EVENTS), events.iter())
    }

    /// Writes `folds.jsonl`.
    pub(crate) fn write_folds(&self, lines: impl Iterator<Item = FoldPrediction>) -> Result<()> {
        files::write_lines(&self.dir.join(FOLDS), lines)
    }

    /// Writes the manifest: the run is complete, and its checkpoints are of no more use.
    pub(crate) fn finish(&self, manifest: &Manifest) -> Result<()> {
        let mut text = serde_json::to_string_pretty(manifest).expect("a manifest is plain data");
        text.push('\n');
        files::write(&self.dir.join(MANIFEST), text.as_bytes())?;
        remove(&self.checkpoints())
    }
}

impl Drop for NewRun {
    /// Where training never began (the model could not be loaded), the folder is left as it was.
    fn drop(&mut self) {
        if !self.begun && files::names(&self.dir).is_ok_and(|names| names == [LOCK]) {
            let _ = fs::remove_file(self.dir.join(LOCK));
            if self.made {
                let _ = fs::remove_dir(&self.dir);
            }
        }
        let _ = self.lock.unlock();
    }
}

/// Locks a folder for training.
fn lock(dir: &Path) -> Result<File> {
    let path = dir.join(LOCK);
    let mut lock = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(Error::io(&path, "open"))?;
    match lock.try_lock() {
        Ok(()) => {
            // Whoever watches tells a process that is gone from one that is elsewhere. A disk that is full says so
            // where it matters.
            let _ = lock
                .set_len(0)
                .and_then(|()| lock.write_all(owner::sign().as_bytes()));
            tracing::info!(run = %dir.display(), "run folder locked");
            Ok(lock)
        }
        Err(TryLockError::WouldBlock) => Err(Error::Locked {
            path: dir.to_path_buf(),
        }),
        Err(TryLockError::Error(error)) => Err(Error::io(&path, "lock")(error)),
    }
}

/// Takes a file or a folder away, where there is one.
fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else if path.exists() {
        fs::remove_file(path)
    } else {
        Ok(())
    };
    removed.map_err(Error::io(path, "remove"))
}

/// Fails where the folder holds what must not be overwritten.
fn refuse(dir: &Path, overwrite: bool, merging: bool) -> Result<()> {
    let names = files::names(dir)?;
    let holds = |name: &str| names.iter().any(|found| found == name);
    let found = match () {
        () if holds(MANIFEST) => Some("a finished run"),
        // Merging begins anew where it was broken off.
        () if merging => None,
        () if holds(SHARDS) => Some("a run in shards"),
        () if holds(SETTINGS) => Some("an interrupted run"),
        () => None,
    };
    if !overwrite && let Some(found) = found {
        return Err(Error::Exists {
            path: dir.to_path_buf(),
            found,
        });
    }
    let ours = |name: &String| {
        let name = name.as_str();
        OURS.contains(&name) || [LOCK, KEPT].contains(&name) || name.ends_with(".partial")
    };
    match names.iter().find(|name| !ours(name)) {
        Some(found) => Err(Error::Foreign {
            path: dir.to_path_buf(),
            found: found.clone(),
        }),
        None => Ok(()),
    }
}

/// A finished run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunFolder {
    dir: PathBuf,
    /// The resolved settings, as they were given.
    pub settings: TrainSettings,
    /// Where its data set and model are.
    input_paths: InputPaths,
    /// What came out.
    pub manifest: Manifest,
}

impl RunFolder {
    /// Reads a finished run and makes sure that every adapter's files are there.
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
            return Err(if running(dir) {
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

    /// Its settings, with paths that lead to data set and model from the current folder.
    pub fn found(&self) -> TrainSettings {
        self.input_paths.found(&self.dir, &self.settings)
    }

    /// Where its data set and model are.
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

    /// How a saved adapter came out. [`Error::NoAdapter`] names those that exist.
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

    /// PEFT folder of a saved adapter; of the chosen one where no name is given.
    pub fn adapter_dir(&self, name: Option<&str>) -> Result<PathBuf> {
        let record = self.record(name.unwrap_or(self.best()))?;
        Ok(self.folder_of(&record.adapter.name))
    }

    /// As [`adapter_dir`](Self::adapter_dir), after comparing the adapter's files with their hashes in
    /// the manifest: an adapter that was altered answers as another one.
    ///
    /// # Errors
    /// [`Error::NoAdapter`]; [`Error::Changed`] for the first file that is not what the run wrote.
    pub fn verified_adapter_dir(&self, name: Option<&str>) -> Result<PathBuf> {
        let record = self.record(name.unwrap_or(self.best()))?;
        self.verify_adapter(record)?;
        Ok(self.folder_of(&record.adapter.name))
    }

    /// Everything that happened.
    pub fn events(&self) -> Result<Vec<Event>> {
        events::read(&self.dir.join(EVENTS))
    }

    /// Labels' logits of the last validation: the bare base model's rows first, then each saved
    /// adapter's; with folds each member's out-of-fold predictions.
    pub fn validation(&self) -> Result<Vec<Prediction>> {
        files::read_lines(&self.dir.join(VALIDATION))
    }

    /// Every prediction of the folds' adapters; none in a run without folds.
    pub fn folds(&self) -> Result<Vec<FoldPrediction>> {
        match self.settings.folds {
            Some(_) => files::read_lines(&self.dir.join(FOLDS)),
            None => Ok(Vec::new()),
        }
    }

    /// Compares every adapter file with its hash in the manifest.
    ///
    /// # Errors
    /// [`Error::Changed`] for the first file that is not what the run wrote.
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

/// Whether some process holds the folder's lock.
fn running(dir: &Path) -> bool {
    let lock = File::open(dir.join(LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
