//! A run folder that is being written: locked by one training process until the run is complete.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::checkpoint::CheckpointSearch;
use crate::error::{EngineError, Error, Existing, Result};
use crate::events::{Event, EventLog};
use crate::files;
use crate::folder::{
    ADAPTERS, CHECKPOINTS, EVENTS, FOLDS, KEPT, MANIFEST, OURS, SETTINGS, SLURM, VALIDATION,
    is_locked,
};
use crate::input_paths::InputPaths;
use crate::machine::Machine;
use crate::manifest::Manifest;
use crate::owner::{self, LOCK};
use crate::predictions::{FoldPrediction, Prediction};
use crate::settings::TrainSettings;
use crate::shard::SHARDS;

/// A folder that this process may train into. It holds the lock. Before training begins nothing but the
/// lock is written and nothing is deleted.
#[derive(Debug)]
pub struct NewRun {
    dir: PathBuf,
    settings: TrainSettings,
    /// Where the data set and the model are.
    input_paths: InputPaths,
    lock: File,
    /// Whether this process created the folder.
    created: bool,
    begun: bool,
    /// The checkpoints of an interrupted run that is resumed; `None` for a new run.
    resumed: Option<CheckpointSearch>,
    /// Whether its shards are being merged: they are kept, and so are the SLURM scripts.
    merging: bool,
    /// The machine that computes.
    machine: Option<Machine>,
}

impl NewRun {
    /// Checks the settings (all faults at once), creates `settings.out` and locks it. Call it before
    /// the model is loaded, which is slow, so that a folder in use is refused at once.
    ///
    /// # Errors
    /// [`Error::Settings`]; [`Error::Exists`] where the folder holds a run and `overwrite` is false;
    /// [`Error::Foreign`] where it holds other files; [`Error::Locked`] where a process trains in it.
    pub fn create(settings: &TrainSettings, overwrite: bool) -> Result<Self> {
        Self::lock_new(settings, overwrite, false)
    }

    /// Like [`NewRun::create`], in the folder whose shards will be merged.
    pub(crate) fn merge_into(settings: &TrainSettings) -> Result<Self> {
        Self::lock_new(settings, false, true)
    }

    fn lock_new(settings: &TrainSettings, overwrite: bool, merging: bool) -> Result<Self> {
        settings.validate()?;
        let dir = settings.out.clone();
        let created = !dir.exists();
        fs::create_dir_all(&dir).map_err(Error::io(&dir, "create the folder"))?;
        if is_locked(&dir) {
            return Err(Error::Locked { path: dir });
        }
        refuse(&dir, overwrite, merging)?;
        let lock = lock(&dir)?;
        // Another run may have ended here between the first check and the lock.
        refuse(&dir, overwrite, merging)?;
        let settings = settings.clone().resolved();
        Ok(Self {
            input_paths: InputPaths::of(&settings, &dir),
            dir,
            settings,
            lock,
            created,
            begun: false,
            resumed: None,
            merging,
            machine: None,
        })
    }

    /// Locks the folder of an interrupted run and searches for its last complete checkpoint, from which
    /// the run resumes; without one it starts from the beginning with the same settings. Nothing is
    /// changed before training begins.
    ///
    /// # Errors
    /// [`Error::NotARun`] without settings; [`Error::Finished`]; [`Error::Locked`] where a process
    /// trains in it; the errors of [`TrainSettings::read`].
    pub fn resume(dir: &Path) -> Result<Self> {
        let path = dir.to_path_buf();
        let check = || {
            if dir.join(MANIFEST).exists() {
                Err(Error::Finished { path: path.clone() })
            } else if !dir.join(SETTINGS).exists() {
                let (path, missing) = (path.clone(), SETTINGS);
                Err(Error::NotARun { path, missing })
            } else {
                Ok(())
            }
        };
        if is_locked(dir) {
            return Err(Error::Locked { path });
        }
        check()?;
        let lock = lock(dir)?;
        // The run may have ended between the first check and the lock.
        check()?;
        let settings = TrainSettings::read(&dir.join(SETTINGS))?.resolved();
        settings.validate()?;
        let events = fs::metadata(dir.join(EVENTS)).map_or(0, |file| file.len());
        let checkpoints = CheckpointSearch::new(&dir.join(CHECKPOINTS), events)?;
        Ok(Self {
            input_paths: InputPaths::read(dir)?,
            dir: path,
            settings,
            lock,
            created: false,
            begun: false,
            resumed: Some(checkpoints),
            merging: false,
            machine: None,
        })
    }

    /// Sets the machine that computes the run, for its manifest.
    pub fn computed_on(mut self, machine: Machine) -> Self {
        self.machine = Some(machine);
        self
    }

    /// Reads the data set and the model from the paths of these settings.
    pub fn with_inputs_of(mut self, settings: &TrainSettings) -> Self {
        self.input_paths = InputPaths::of(settings, &self.dir);
        self
    }

    /// Reads the data set and the model from where another run found them.
    pub(crate) fn with_input_paths(mut self, input_paths: &InputPaths) -> Self {
        self.input_paths = input_paths.relative_to(&self.dir);
        self
    }

    /// Sets the maximum sequence length: the default is longer than some models' positions.
    pub fn with_max_length(mut self, tokens: usize) -> Self {
        self.settings.max_length = tokens;
        self
    }

    /// Its settings, with the paths of the data set and the model relative to the current folder.
    pub fn located_settings(&self) -> TrainSettings {
        self.input_paths.locate(&self.dir, &self.settings)
    }

    /// The machines that computed the run so far, then the one that computes it now.
    pub(crate) fn machines(&self) -> Vec<Machine> {
        let last = self
            .resumed
            .as_ref()
            .and_then(|checkpoints| checkpoints.last.as_ref());
        let mut machines = last.map_or_else(Vec::new, |last| last.state.machines.clone());
        if let Some(machine) = self.machine.as_ref().filter(|of| !machines.contains(of)) {
            machines.push(machine.clone());
        }
        machines
    }

    /// Optimizer steps done at the checkpoint from which this run resumes; `None` for a new run, or
    /// one that starts from the beginning.
    pub fn resumed_at(&self) -> Option<usize> {
        Some(self.resumed.as_ref()?.last.as_ref()?.state.done)
    }

    /// Describes each checkpoint that is skipped because it is incomplete or damaged.
    pub fn skipped_checkpoints(&self) -> Vec<String> {
        let damaged = self.resumed.iter().flat_map(|search| &search.damaged);
        damaged
            .map(|(path, reason)| format!("{}: skipped: {reason}", path.display()))
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

    /// Deletes the run in the folder, as the beginning of training would.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn clear(&self) -> Result<()> {
        for name in OURS {
            remove(&self.dir.join(name))?;
        }
        Ok(())
    }

    /// The folder of the checkpoints.
    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.dir.join(CHECKPOINTS)
    }

    /// Fails where the folder was deleted.
    pub(crate) fn still_there(&self) -> Result<()> {
        match self.dir.join(EVENTS).exists() {
            true => Ok(()),
            false => Err(Error::Vanished {
                path: self.dir.clone(),
            }),
        }
    }

    /// Deletes the files of an earlier run, writes `settings.toml` and opens `events.jsonl`. Of a run
    /// that is resumed, what it had written at the checkpoint is kept.
    pub(crate) fn begin(&mut self) -> Result<(EventLog, CheckpointSearch)> {
        self.begun = true;
        let resumed = self.resumed.clone();
        let merging = self.merging;
        let kept = |name: &str| {
            resumed.is_some() && [SETTINGS, EVENTS, CHECKPOINTS].contains(&name)
                || merging && [SLURM, SHARDS].contains(&name)
        };
        let leftovers = files::names(&self.dir)?
            .into_iter()
            .filter(|name| name.ends_with(".partial"));
        let ours = OURS.into_iter().filter(|name| !kept(name));
        for name in ours.map(str::to_owned).chain(leftovers) {
            remove(&self.dir.join(name))?;
        }
        let checkpoints = resumed.unwrap_or_default();
        for (path, _) in &checkpoints.damaged {
            remove(path)?;
        }
        if !self.dir.join(SETTINGS).exists() {
            files::write(&self.dir.join(SETTINGS), self.settings.to_toml().as_bytes())?;
        }
        self.input_paths.write(&self.dir)?;
        for dir in [self.checkpoints(), self.dir.join(ADAPTERS)] {
            fs::create_dir_all(&dir).map_err(Error::io(&dir, "create the folder"))?;
        }
        let last = checkpoints.last.as_ref();
        let length = last.map_or(0, |last| last.state.events_length);
        let log = EventLog::truncated(&self.dir.join(EVENTS), length)?;
        files::sync(&self.dir).map_err(Error::io(&self.dir, "write"))?;
        Ok((log, checkpoints))
    }

    /// Writes one adapter with `save` under a temporary name, renames it, and returns the SHA-256
    /// of each of its files.
    pub(crate) fn save(
        &self,
        name: &str,
        save: impl FnOnce(&Path) -> Result<(), EngineError>,
    ) -> Result<BTreeMap<String, String>> {
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
        let mut hashes = BTreeMap::new();
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

    /// Writes the manifest, which completes the run, and deletes its checkpoints.
    pub(crate) fn finish(&self, manifest: &Manifest) -> Result<()> {
        let mut text = serde_json::to_string_pretty(manifest).expect("a manifest is plain data");
        text.push('\n');
        files::write(&self.dir.join(MANIFEST), text.as_bytes())?;
        remove(&self.checkpoints())
    }
}

impl Drop for NewRun {
    /// Where training never began, because the model could not be loaded, the folder is left as it was.
    fn drop(&mut self) {
        if !self.begun && files::names(&self.dir).is_ok_and(|names| names == [LOCK]) {
            let _ = fs::remove_file(self.dir.join(LOCK));
            if self.created {
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
            // `verdict watch` uses the signature to tell a process that has ended from one on another
            // machine. Where it cannot be written because the disk is full, the run itself will fail.
            let _ = lock
                .set_len(0)
                .and_then(|()| lock.write_all(owner::signature().as_bytes()));
            tracing::info!(run = %dir.display(), "run folder locked");
            Ok(lock)
        }
        Err(TryLockError::WouldBlock) => Err(Error::Locked {
            path: dir.to_path_buf(),
        }),
        Err(TryLockError::Error(error)) => Err(Error::io(&path, "lock")(error)),
    }
}

/// Deletes a file or a folder, if it exists.
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

/// Fails where the folder holds files that must not be overwritten.
fn refuse(dir: &Path, overwrite: bool, merging: bool) -> Result<()> {
    let names = files::names(dir)?;
    let holds = |name: &str| names.iter().any(|found| found == name);
    let found = match () {
        () if holds(MANIFEST) => Some(Existing::FinishedRun),
        // A merge that was interrupted starts from the beginning.
        () if merging => None,
        () if holds(SHARDS) => Some(Existing::Shards),
        () if holds(SETTINGS) => Some(Existing::InterruptedRun),
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
