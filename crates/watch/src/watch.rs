//! The watched runs: polls their folders and feeds the exports.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use verdict_train::owner::{Owner, owner};
use verdict_train::{TrainSettings, adapters, shard};

use crate::error::{Error, Result};
use crate::export::Exports;
use crate::follow::{Follower, NewEvent};
use crate::gpu::{Gpu, Gpus};
use crate::process;
use crate::queue::{Queue, QueuePosition};
use crate::run::Run;
use crate::snapshot::{Process, RunContext, Snapshot};

/// How often GPUs are read.
const GPUS_EVERY: Duration = Duration::from_secs(2);

/// Now, in seconds since 1970-01-01 UTC.
pub fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

/// Name of a folder, which does not depend on the current folder.
fn name(folder: &Path) -> String {
    let full = folder.canonicalize().unwrap_or(folder.to_path_buf());
    let last = |path: &Path| Some(path.file_name()?.to_string_lossy().into_owned());
    let own = last(&full).unwrap_or_else(|| folder.display().to_string());
    // A shard is named after its run.
    let of = full.parent().filter(|parent| parent.ends_with("shards"));
    match of.and_then(Path::parent).and_then(last) {
        Some(run) => format!("{run}/{own}"),
        None => own,
    }
}

/// A watched run folder.
#[derive(Debug)]
pub struct Watched {
    folder: PathBuf,
    /// Name of the run among the watched runs.
    pub name: String,
    follower: Follower,
    /// The run as its events describe it.
    pub run: Run,
    process: Process,
    /// When the file was last seen to grow, after the first poll.
    grew: Option<Instant>,
    polled: bool,
    /// Start time of the run whose settings were read.
    described: Option<f64>,
    read_error: Option<String>,
    /// Index of its queue, and its position there.
    queued: Option<(usize, QueuePosition)>,
}

impl Watched {
    /// A run folder, in which training need not have started.
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
            polled: false,
            described: None,
            read_error: None,
            queued: None,
        })
    }

    /// The run folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads new events. `observer` is called with each after it was applied to the run.
    pub fn poll(&mut self, observer: &mut dyn FnMut(&NewEvent, &Run)) {
        let run = &mut self.run;
        let polled = self.follower.poll(&mut |new| {
            run.apply(&new);
            observer(&new, run);
        });
        self.read_error = None;
        self.process = match (process::holder(&self.folder.join(".lock")), self.process) {
            (Some(pid), _) => Process::Here(pid),
            (None, Process::Unknown) if owner(&self.folder) != Owner::Gone => Process::Unknown,
            (None, _) => Process::Gone,
        };
        let grew = match polled {
            Ok(grew) => grew,
            Err(fault) => {
                self.read_error = Some(fault.to_string());
                false
            }
        };
        if grew {
            self.grew = self.polled.then(Instant::now);
        }
        self.polled = true;
        if self.run.began != self.described {
            self.read_ranks();
        }
    }

    /// Reads the ranks from the run's settings. They stay unknown if this version cannot read the file.
    fn read_ranks(&mut self) {
        self.described = self.run.began;
        if let Ok(settings) = TrainSettings::read(&self.folder.join("settings.toml")) {
            let adapters = adapters(&settings);
            let ranks = adapters.iter().map(|of| (of.name.as_str(), of.rank));
            self.run.set_ranks(ranks);
        }
    }

    fn snapshot(
        &self,
        now: f64,
        dead_after_s: Option<f64>,
        gpus: &[Gpu],
        queues: &[Queue],
    ) -> Snapshot {
        let job = |(queue, position): (usize, QueuePosition)| queues[queue].job(position);
        let context = RunContext {
            now,
            unchanged_s: self.grew.map(|grew| grew.elapsed().as_secs_f64()),
            dead_after_s,
            process: self.process,
            read_error: self.read_error.as_deref(),
            job: self.queued.and_then(job),
            gpus,
        };
        Snapshot::new(&self.name, &self.folder, &self.run, &context)
    }
}

/// Options of watching.
#[derive(Clone, Debug, Default)]
pub struct WatchOptions {
    /// A CSV file to write.
    pub csv: Option<PathBuf>,
    /// A folder to write TensorBoard files into.
    pub tensorboard: Option<PathBuf>,
    /// Seconds without events after which a run counts as dead; by default derived from the duration of its steps.
    pub dead_after_s: Option<f64>,
}

/// All watched runs.
#[derive(Debug)]
pub struct Watch {
    /// The runs.
    pub runs: Vec<Watched>,
    queues: Vec<Queue>,
    exports: Exports,
    dead_after_s: Option<f64>,
    gpus: Gpus,
    gpus_read: Option<(Instant, Vec<Gpu>)>,
}

impl Watch {
    /// Watches run folders. If a run consists of shards that are not merged yet, each shard is watched as a run; the
    /// run itself precedes them if it was submitted to SLURM.
    ///
    /// # Errors
    /// [`Error::NotAFolder`] for the first path that is not a folder.
    pub fn new(folders: &[PathBuf], options: &WatchOptions) -> Result<Watch> {
        let (mut runs, mut queues) = (Vec::new(), Vec::new());
        for folder in folders {
            let of_run = runs.len();
            runs.push(Watched::new(folder)?);
            let shards = shard::indices(folder);
            if shards.is_empty() || folder.join("MANIFEST.json").exists() {
                continue;
            }
            let queue = Queue::of(folder);
            for index in shards {
                let mut watched = Watched::new(&shard::folder(folder, index))?;
                watched.queued = queue.as_ref().map(|_| (queues.len(), Some(index)));
                runs.push(watched);
            }
            match queue {
                Some(queue) => {
                    runs[of_run].queued = Some((queues.len(), None));
                    queues.push(queue);
                }
                // Without SLURM no job will merge the shards, so the run itself has no progress to show.
                None => drop(runs.remove(of_run)),
            }
        }
        let names: Vec<String> = runs.iter().map(|watched| watched.name.clone()).collect();
        for watched in &mut runs {
            // Runs with the same name are distinguished by their paths.
            if names.iter().filter(|name| **name == watched.name).count() > 1 {
                watched.name = watched.folder.display().to_string();
            }
        }
        let names: Vec<String> = runs.iter().map(|watched| watched.name.clone()).collect();
        let exports = Exports::new(
            options.csv.as_deref(),
            options.tensorboard.as_deref(),
            &names,
        );
        Ok(Watch {
            runs,
            queues,
            exports,
            dead_after_s: options.dead_after_s,
            gpus: Gpus::open(),
            gpus_read: None,
        })
    }

    /// Polls every folder and writes the exports. `observer` is called with the index of the run, the new event and
    /// the run after it.
    ///
    /// # Errors
    /// [`Error::Io`] where an export cannot be written. Folders that cannot be read are reported in the snapshot.
    pub fn poll(&mut self, observer: &mut dyn FnMut(usize, &NewEvent, &Run)) -> Result<()> {
        for queue in &mut self.queues {
            queue.poll();
        }
        let mut replaced = false;
        for (index, watched) in self.runs.iter_mut().enumerate() {
            let (exports, name) = (&mut self.exports, watched.name.clone());
            watched.poll(&mut |new, run| {
                replaced |= matches!(new, NewEvent::Replaced);
                exports.write(index, &name, new);
                observer(index, new, run);
            });
        }
        if replaced && self.exports.any() {
            // The exports mix the metrics of all runs, so all of them are written again.
            self.exports.restart();
            for (index, watched) in self.runs.iter_mut().enumerate() {
                watched.follower.restart();
                watched.run = Run::default();
                watched.described = None;
                let (exports, name) = (&mut self.exports, watched.name.clone());
                watched.poll(&mut |new, _| exports.write(index, &name, new));
            }
        }
        self.exports.flush()?;
        let due = |(at, _): &(Instant, Vec<Gpu>)| at.elapsed() >= GPUS_EVERY;
        if self.gpus_read.as_ref().is_none_or(due) {
            self.gpus_read = Some((Instant::now(), self.gpus.read()));
        }
        Ok(())
    }

    /// This machine's GPUs as of the last poll.
    pub fn gpus(&self) -> &[Gpu] {
        self.gpus_read.as_ref().map_or(&[], |(_, gpus)| gpus)
    }

    /// A snapshot of every run.
    pub fn snapshots(&self, now: f64) -> Vec<Snapshot> {
        let gpus = self.gpus();
        let runs = self.runs.iter();
        runs.map(|watched| watched.snapshot(now, self.dead_after_s, gpus, &self.queues))
            .collect()
    }
}
