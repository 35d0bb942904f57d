//! The runs that are watched: looks at their folders, feeds the exports.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use verdict_train::owner::{Owner, owner};
use verdict_train::{TrainSettings, adapters};

use crate::error::{Error, Result};
use crate::export::Exports;
use crate::follow::{Follower, NewEvent};
use crate::gpu::{Gpu, Gpus};
use crate::process;
use crate::queue::{Queue, QueuePosition};
use crate::run::Run;
use crate::snapshot::{Process, RunContext, Snapshot};

/// GPUs are asked this often.
const GPUS_EVERY: Duration = Duration::from_secs(2);

/// Now, in seconds since 1970-01-01 UTC.
pub fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

/// What a folder is called, wherever it is named from.
fn name(folder: &Path) -> String {
    let whole = folder.canonicalize().unwrap_or(folder.to_path_buf());
    let last = |path: &Path| Some(path.file_name()?.to_string_lossy().into_owned());
    let own = last(&whole).unwrap_or_else(|| folder.display().to_string());
    // A shard is one of its run.
    let of = whole.parent().filter(|parent| parent.ends_with("shards"));
    match of.and_then(Path::parent).and_then(last) {
        Some(run) => format!("{run}/{own}"),
        None => own,
    }
}

/// Numbers of the shards in a run folder.
fn shards(folder: &Path) -> Vec<usize> {
    let entries = std::fs::read_dir(folder.join("shards"));
    let names = entries.into_iter().flatten().flatten();
    let names = names.filter(|entry| entry.path().is_dir());
    let mut shards: Vec<usize> = names
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    shards.sort_unstable();
    shards
}

/// A run folder that is watched.
#[derive(Debug)]
pub struct Watched {
    folder: PathBuf,
    /// What the run is called among those that are watched.
    pub name: String,
    follower: Follower,
    /// What its events tell.
    pub run: Run,
    process: Process,
    /// When the file was last seen to grow; not at the first look.
    grew: Option<Instant>,
    looked: bool,
    /// Beginning of the run whose settings were read.
    described: Option<f64>,
    trouble: Option<String>,
    /// Which of the queues, and what the run is in it.
    queued: Option<(usize, QueuePosition)>,
}

impl Watched {
    /// A run folder; training need not have begun in it.
    ///
    /// # Errors
    /// [`Error::NotAFolder`].
    pub fn new(folder: &Path) -> Result<Watched> {
        if !folder.is_dir() {
            let found = if folder.exists() { "a file" } else { "nothing" };
            let path = folder.to_path_buf();
            return Err(Error::NotAFolder { path, found });
        }
        Ok(Watched {
            folder: folder.to_path_buf(),
            name: name(folder),
            follower: Follower::new(&folder.join("events.jsonl")),
            run: Run::default(),
            process: Process::Unknown,
            grew: None,
            looked: false,
            described: None,
            trouble: None,
            queued: None,
        })
    }

    /// The run folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads what came; `tell` gets each piece after the run took it. Returns whether anything changed.
    pub fn poll(&mut self, tell: &mut dyn FnMut(&NewEvent, &Run)) -> bool {
        let run = &mut self.run;
        let polled = self.follower.poll(&mut |told| {
            run.take(&told);
            tell(&told, run);
        });
        let before = (self.process, self.trouble.take());
        self.process = match (process::holder(&self.folder.join(".lock")), self.process) {
            (Some(pid), _) => Process::Here(pid),
            (None, Process::Unknown) if owner(&self.folder) != Owner::Gone => Process::Unknown,
            (None, _) => Process::Gone,
        };
        let grew = match polled {
            Ok(grew) => grew,
            Err(fault) => {
                self.trouble = Some(fault.to_string());
                false
            }
        };
        if grew {
            self.grew = self.looked.then(Instant::now);
        }
        self.looked = true;
        if self.run.began != self.described {
            self.describe();
        }
        let changed = before.0 != self.process || before.1 != self.trouble;
        grew || changed
    }

    /// Ranks from the run's settings; without them, where the file is not one of this version's, they stay unknown.
    fn describe(&mut self) {
        self.described = self.run.began;
        if let Ok(settings) = TrainSettings::read(&self.folder.join("settings.toml")) {
            let adapters = adapters(&settings);
            let ranks = adapters.iter().map(|of| (of.name.as_str(), of.rank));
            self.run.describe(ranks);
        }
    }

    fn snapshot(
        &self,
        now: f64,
        dead_after_s: Option<f64>,
        gpus: &[Gpu],
        queues: &[Queue],
    ) -> Snapshot {
        let job = |(queue, place): (usize, QueuePosition)| queues[queue].job(place);
        let around = RunContext {
            now,
            unchanged_s: self.grew.map(|grew| grew.elapsed().as_secs_f64()),
            dead_after_s,
            process: self.process,
            trouble: self.trouble.as_deref(),
            job: self.queued.and_then(job),
            gpus,
        };
        Snapshot::new(&self.name, &self.folder, &self.run, &around)
    }
}

/// What is wanted besides looking.
#[derive(Clone, Debug, Default)]
pub struct WatchOptions {
    /// A CSV file to write.
    pub csv: Option<PathBuf>,
    /// A folder to write TensorBoard's files into.
    pub tensorboard: Option<PathBuf>,
    /// Seconds of silence after which a run is dead; else it follows from its steps.
    pub dead_after_s: Option<f64>,
}

/// All of them.
#[derive(Debug)]
pub struct Watch {
    /// The runs.
    pub runs: Vec<Watched>,
    queues: Vec<Queue>,
    exports: Exports,
    dead_after_s: Option<f64>,
    gpus: Gpus,
    read: Option<(Instant, Vec<Gpu>)>,
}

impl Watch {
    /// Run folders, and what is wanted besides. Of a run in shards that are not merged, each shard is a run; before
    /// them, where SLURM runs it, the run itself.
    ///
    /// # Errors
    /// [`Error::NotAFolder`] for the first path that is no folder.
    pub fn new(folders: &[PathBuf], wishes: &WatchOptions) -> Result<Watch> {
        let (mut runs, mut queues) = (Vec::new(), Vec::new());
        for folder in folders {
            let of_run = runs.len();
            runs.push(Watched::new(folder)?);
            let shards = shards(folder);
            if shards.is_empty() || folder.join("MANIFEST.json").exists() {
                continue;
            }
            let queue = Queue::of(folder);
            for shard in shards {
                let mut watched = Watched::new(&folder.join("shards").join(shard.to_string()))?;
                watched.queued = queue.as_ref().map(|_| (queues.len(), Some(shard)));
                runs.push(watched);
            }
            match queue {
                Some(queue) => {
                    runs[of_run].queued = Some((queues.len(), None));
                    queues.push(queue);
                }
                // Nobody will merge them but the reader.
                None => drop(runs.remove(of_run)),
            }
        }
        let names: Vec<String> = runs.iter().map(|watched| watched.name.clone()).collect();
        for watched in &mut runs {
            // Runs of one name are told apart by their paths.
            if names.iter().filter(|name| **name == watched.name).count() > 1 {
                watched.name = watched.folder.display().to_string();
            }
        }
        let names: Vec<String> = runs.iter().map(|watched| watched.name.clone()).collect();
        let exports = Exports::new(wishes.csv.as_deref(), wishes.tensorboard.as_deref(), &names);
        Ok(Watch {
            runs,
            queues,
            exports,
            dead_after_s: wishes.dead_after_s,
            gpus: Gpus::open(),
            read: None,
        })
    }

    /// Looks at every folder and writes the exports; `tell` gets each run's number, what was told and the run after
    /// it. Returns whether anything changed.
    ///
    /// # Errors
    /// [`Error::Io`] where an export cannot be written. What cannot be read is told by the snapshot.
    pub fn poll(&mut self, tell: &mut dyn FnMut(usize, &NewEvent, &Run)) -> Result<bool> {
        let mut changed = false;
        for queue in &mut self.queues {
            changed |= queue.poll();
        }
        let mut void = false;
        for (number, watched) in self.runs.iter_mut().enumerate() {
            let (exports, name) = (&mut self.exports, watched.name.clone());
            changed |= watched.poll(&mut |told, run| {
                void |= matches!(told, NewEvent::Replaced);
                exports.take(number, &name, told);
                tell(number, told, run);
            });
        }
        if void && self.exports.any() {
            // What was written of it stands among the other runs' numbers: all of it is written anew.
            self.exports.begin_again();
            for (number, watched) in self.runs.iter_mut().enumerate() {
                watched.follower.restart();
                watched.run = Run::default();
                watched.described = None;
                let (exports, name) = (&mut self.exports, watched.name.clone());
                watched.poll(&mut |told, _| exports.take(number, &name, told));
            }
        }
        self.exports.flush()?;
        let due = |(at, _): &(Instant, Vec<Gpu>)| at.elapsed() >= GPUS_EVERY;
        if self.read.as_ref().is_none_or(due) {
            self.read = Some((Instant::now(), self.gpus.read()));
        }
        Ok(changed)
    }

    /// This machine's GPUs as they were at the last look.
    pub fn gpus(&self) -> &[Gpu] {
        self.read.as_ref().map_or(&[], |(_, gpus)| gpus)
    }

    /// How every run stands.
    pub fn snapshots(&self, now: f64) -> Vec<Snapshot> {
        let gpus = self.gpus();
        let runs = self.runs.iter();
        runs.map(|watched| watched.snapshot(now, self.dead_after_s, gpus, &self.queues))
            .collect()
    }
}
