//! Checkpoints: everything that a run needs to resume as if it had never stopped.
//!
//! ```text
//! checkpoints/000007-step-000120/
//!   state.json                 position, settings, the state of each fit
//!   found.safetensors          results of the last validations
//!   adapter-0003.safetensors   weights and moments of the plan's fourth fit
//!   SHA256SUMS                 hashes of the other files, in the format of `sha256sum -c`
//! ```
//!
//! A checkpoint is written under a temporary name, synced to the disk, then renamed. The last two are
//! kept. An incomplete one is skipped and reported. Random numbers are functions of seed, step and
//! position in this crate, so there is no generator state to store.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use verdict_common::hash;
use verdict_model::formats::{Array, Arrays, arrays_from_bytes, arrays_to_bytes};

use crate::engine::AdapterState;
use crate::error::{Error, Result};
use crate::files;
use crate::machine::Machine;
use crate::origin::Provenance;
use crate::settings::TrainSettings;
use crate::status::FitStatus;
use crate::validation::Score;

const STATE: &str = "state.json";
const RESULTS: &str = "found.safetensors";
const SUMS: &str = "SHA256SUMS";
/// How many checkpoints are kept.
const KEPT: usize = 2;

/// The state of a run, except for the arrays that have files of their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    /// Number of this layout, [`State::FORMAT`].
    pub(crate) format: u32,
    /// Program and version that wrote it.
    pub(crate) tool: String,
    pub(crate) provenance: Provenance,
    /// The machines that computed the run so far.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) machines: Vec<Machine>,
    pub(crate) settings: TrainSettings,
    /// Optimizer steps done.
    pub(crate) done: usize,
    /// Whether the validation after step `done` is still to come.
    #[serde(rename = "pending")]
    pub(crate) validation_due: bool,
    /// Tokens trained on.
    pub(crate) tokens: u64,
    /// Maximum tokens of a micro-batch on one device.
    #[serde(rename = "pass_tokens")]
    pub(crate) micro_batch_tokens: usize,
    /// Length of events.jsonl at this checkpoint, in bytes.
    #[serde(rename = "events")]
    pub(crate) events_length: u64,
    /// Every fit of the plan, in order.
    #[serde(rename = "jobs")]
    pub(crate) fits: Vec<FitState>,
}

/// The state of one fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FitState {
    pub(crate) name: String,
    pub(crate) status: FitStatus,
    pub(crate) train_loss: Option<f64>,
    /// With patience, where its validation loss was lowest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) best: Option<BestState>,
}

/// Where the validation loss of a fit was lowest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BestState {
    /// Optimizer steps done.
    pub(crate) step: usize,
    pub(crate) score: Score,
    /// Validations since then.
    #[serde(rename = "since")]
    pub(crate) validations_since: usize,
}

impl State {
    /// Number of this layout.
    pub(crate) const FORMAT: u32 = 1;
}

/// A complete checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Checkpoint {
    dir: PathBuf,
    pub(crate) state: State,
}

/// The checkpoints found in a run folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CheckpointSearch {
    /// The last complete one.
    pub(crate) last: Option<Checkpoint>,
    /// Newer ones that are incomplete or damaged, and why.
    pub(crate) damaged: Vec<(PathBuf, String)>,
    /// A number greater than that of every checkpoint found.
    pub(crate) next: u64,
}

impl CheckpointSearch {
    /// Searches `checkpoints/`, newest first, for a complete one. `events` is the length of
    /// events.jsonl in bytes.
    pub(crate) fn new(checkpoints: &Path, events: u64) -> Result<Self> {
        let mut found = numbered(checkpoints)?;
        let mut search = Self {
            next: found.last().map_or(0, |(number, _)| number + 1),
            ..Self::default()
        };
        while let Some((_, name)) = found.pop() {
            let dir = checkpoints.join(name);
            match Checkpoint::open(&dir, events) {
                Ok(checkpoint) => {
                    search.last = Some(checkpoint);
                    break;
                }
                Err(reason) => search.damaged.push((dir, reason)),
            }
        }
        Ok(search)
    }
}

/// Checkpoint folders by number, ascending; none where the folder does not exist.
fn numbered(checkpoints: &Path) -> Result<Vec<(u64, String)>> {
    if !checkpoints.exists() {
        return Ok(Vec::new());
    }
    let names = files::names(checkpoints)?;
    let number = |name: String| Some((name.split_once("-step-")?.0.parse().ok()?, name));
    let mut found: Vec<(u64, String)> = names.into_iter().filter_map(number).collect();
    found.sort();
    Ok(found)
}

impl Checkpoint {
    /// Reads the state and compares every file with its hash. The error describes the first difference.
    fn open(dir: &Path, events: u64) -> std::result::Result<Self, String> {
        let read = |name: &str| {
            fs::read(dir.join(name)).map_err(|error| format!("{name}: cannot read: {error}"))
        };
        let sums = String::from_utf8_lossy(&read(SUMS)?).into_owned();
        let mut named = Vec::new();
        for line in sums.split_terminator('\n') {
            let (expected, name) = line
                .split_once("  ")
                .ok_or_else(|| format!("{SUMS}: expected a hash and a name, found {line:?}"))?;
            let found = hash::sha256(&read(name)?);
            if found != expected {
                return Err(format!(
                    "{name}: expected SHA-256 {expected}, found {found}"
                ));
            }
            named.push(name);
        }
        if !sums.ends_with('\n') || named.last() != Some(&STATE) {
            return Err(format!("{SUMS}: expected {STATE} as the last file"));
        }
        let state: State = serde_json::from_slice(&read(STATE)?)
            .map_err(|error| format!("{STATE}: line {}: {error}", error.line()))?;
        if state.format != State::FORMAT {
            let (expected, found) = (State::FORMAT, state.format);
            return Err(format!(
                "{STATE}: expected layout {expected}, found {found}"
            ));
        }
        if state.events_length > events {
            let expected = state.events_length;
            return Err(format!(
                "events.jsonl: expected at least {expected} bytes, found {events}"
            ));
        }
        let dir = dir.to_path_buf();
        Ok(Self { dir, state })
    }

    /// The checkpoint's folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// An error that says why this checkpoint cannot be resumed from.
    pub(crate) fn mismatch(&self, reason: impl Into<String>) -> Error {
        Error::Checkpoint {
            path: self.dir.clone(),
            reason: reason.into(),
        }
    }

    /// Results of the last validations.
    pub(crate) fn results(&self) -> Result<Arrays> {
        self.arrays(RESULTS)
    }

    /// The state of a fit's adapter and the weights that patience keeps; `None` where the checkpoint
    /// does not store it because it was no longer needed.
    pub(crate) fn adapter(&self, fit: usize) -> Result<Option<(AdapterState, Vec<f32>)>> {
        let name = file_of(fit);
        if !self.dir.join(&name).exists() {
            return Ok(None);
        }
        let mut arrays = self.arrays(&name)?;
        let mut array = |name: &str| match arrays.remove(name) {
            Some(Array::F32(array)) => array,
            _ => Vec::new(),
        };
        let (weights, m, v, best) = (array("weights"), array("m"), array("v"), array("best"));
        let steps = match arrays.remove("steps") {
            Some(Array::F64(steps)) => steps.first().map_or(0, |steps| *steps as u32),
            _ => 0,
        };
        let state = AdapterState {
            steps,
            weights,
            m,
            v,
        };
        Ok(Some((state, best)))
    }

    fn arrays(&self, name: &str) -> Result<Arrays> {
        let path = self.dir.join(name);
        let bytes = fs::read(&path).map_err(Error::io(&path, "read"))?;
        arrays_from_bytes(&bytes, &path).map_err(|error| self.mismatch(error.to_string()))
    }
}

fn file_of(fit: usize) -> String {
    format!("adapter-{fit:04}.safetensors")
}

/// A checkpoint while it is written: write its adapters and results, then [`finish`](Writer::finish). A
/// writer that is dropped before that leaves nothing behind.
pub(crate) struct Writer {
    part: PathBuf,
    path: PathBuf,
    sums: String,
    /// Its files, synced at the end: syncing all at once takes hardly longer than syncing one.
    written: Vec<File>,
    bytes: u64,
    finished: bool,
}

impl Writer {
    /// Begins checkpoint `number` after `done` steps. The folder `checkpoints` must exist.
    pub(crate) fn new(checkpoints: &Path, number: u64, done: usize) -> Result<Self> {
        let path = checkpoints.join(format!("{number:06}-step-{done:06}"));
        let part = files::partial(&path);
        if part.exists() {
            fs::remove_dir_all(&part).map_err(Error::io(&part, "remove"))?;
        }
        fs::create_dir(&part).map_err(Error::io(&path, "write"))?;
        Ok(Self {
            part,
            path,
            sums: String::new(),
            written: Vec::new(),
            bytes: 0,
            finished: false,
        })
    }

    /// Writes the state of a fit's adapter and the weights that patience keeps.
    pub(crate) fn adapter(
        &mut self,
        fit: usize,
        state: AdapterState,
        best: Option<&[f32]>,
    ) -> Result<()> {
        let mut arrays = Arrays::from([
            ("weights".into(), Array::F32(state.weights)),
            ("m".into(), Array::F32(state.m)),
            ("v".into(), Array::F32(state.v)),
            ("steps".into(), Array::F64(vec![f64::from(state.steps)])),
        ]);
        if let Some(best) = best {
            arrays.insert("best".into(), Array::F32(best.to_vec()));
        }
        self.arrays(&file_of(fit), &arrays)
    }

    /// Writes the results of the last validations.
    pub(crate) fn results(&mut self, arrays: &Arrays) -> Result<()> {
        self.arrays(RESULTS, arrays)
    }

    fn arrays(&mut self, name: &str, arrays: &Arrays) -> Result<()> {
        let path = self.path.join(name);
        let bytes = arrays_to_bytes(arrays, &path).map_err(|error| Error::Checkpoint {
            path: self.path.clone(),
            reason: error.to_string(),
        })?;
        self.put(name, &bytes)
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let hash = hash::sha256(bytes);
        self.sums.push_str(&format!("{hash}  {name}\n"));
        self.write(name, bytes)
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let write = || -> io::Result<File> {
            let mut file = File::create(self.part.join(name))?;
            io::Write::write_all(&mut file, bytes)?;
            Ok(file)
        };
        let written = write().map_err(Error::io(&self.path, "write"))?;
        self.written.push(written);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Writes the state and the hashes, renames the checkpoint to its final name and deletes all but the
    /// last two. Returns its size in bytes.
    pub(crate) fn finish(mut self, state: &State) -> Result<u64> {
        let mut text = serde_json::to_string_pretty(state).expect("a state is plain data");
        text.push('\n');
        self.put(STATE, text.as_bytes())?;
        let sums = std::mem::take(&mut self.sums);
        self.write(SUMS, sums.as_bytes())?;
        let checkpoints = self.path.parent().unwrap_or(Path::new("."));
        let mut written = self.written.iter();
        let named = written
            .try_for_each(File::sync_all)
            .and_then(|()| files::sync(&self.part))
            .and_then(|()| fs::rename(&self.part, &self.path))
            .and_then(|()| files::sync(checkpoints));
        named.map_err(Error::io(&self.path, "write"))?;
        self.finished = true;
        let mut found = numbered(checkpoints)?;
        found.truncate(found.len().saturating_sub(KEPT));
        for (_, name) in found {
            let path = checkpoints.join(name);
            fs::remove_dir_all(&path).map_err(Error::io(&path, "remove"))?;
        }
        Ok(self.bytes)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_dir_all(&self.part);
        }
    }
}
