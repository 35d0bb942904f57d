//! Checkpoints: all that a run needs to go on as if it had never stopped.
//!
//! ```text
//! checkpoints/000007-step-000120/
//!   state.json                 position, settings, each adapter's standing
//!   found.safetensors          what the last validations found
//!   adapter-0003.safetensors   weights and moments of the plan's fourth adapter
//!   SHA256SUMS                 hashes of the others, as `sha256sum -c` reads them
//! ```
//!
//! A checkpoint is written beside its place, each file and the folder forced to the disk, then renamed.
//! The last two are kept. One that is not whole is passed over, and told. Random numbers are functions
//! of seed, step and place here, so there is no generator's state to keep.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use verdict_common::hash::sha256;
use verdict_model::formats::{Array, Arrays, arrays_from_bytes, arrays_to_bytes};

use crate::engine::AdapterState;
use crate::error::{Error, Result};
use crate::files;
use crate::machine::Machine;
use crate::origin::Provenance;
use crate::settings::TrainSettings;
use crate::validation::Score;

const STATE: &str = "state.json";
const FOUND: &str = "found.safetensors";
const SUMS: &str = "SHA256SUMS";
/// How many are kept.
const KEPT: usize = 2;

/// Where a run stands, but for numbers that fill files of their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    /// Of this layout.
    pub(crate) format: u32,
    /// What wrote it.
    pub(crate) tool: String,
    pub(crate) provenance: Provenance,
    /// What computed so far.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) machines: Vec<Machine>,
    pub(crate) settings: TrainSettings,
    /// Optimizer steps done.
    pub(crate) done: usize,
    /// Whether the validation after step `done` is still to come.
    pub(crate) pending: bool,
    /// Tokens trained on.
    pub(crate) tokens: u64,
    /// Most tokens of a pass on one device.
    pub(crate) pass_tokens: usize,
    /// Bytes of events.jsonl up to here.
    pub(crate) events: u64,
    /// Every fit of the plan, in order.
    #[serde(rename = "jobs")]
    pub(crate) fits: Vec<FitState>,
}

/// One adapter's standing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FitState {
    pub(crate) name: String,
    pub(crate) status: crate::run::Status,
    pub(crate) train_loss: Option<f64>,
    /// With patience: where its validation loss was lowest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) best: Option<BestState>,
}

/// Where an adapter's validation loss was lowest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BestState {
    /// Optimizer steps done.
    pub(crate) step: usize,
    pub(crate) score: Score,
    /// Validations since then.
    pub(crate) since: usize,
}

impl State {
    /// Number of this layout.
    pub(crate) const FORMAT: u32 = 1;
}

/// A checkpoint that was found whole.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Checkpoint {
    dir: PathBuf,
    pub(crate) state: State,
}

/// What a run folder holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Survey {
    /// The last whole one.
    pub(crate) last: Option<Checkpoint>,
    /// Newer ones that are not whole, and why.
    pub(crate) spoilt: Vec<(PathBuf, String)>,
    /// Greater than any number there.
    pub(crate) next: u64,
}

impl Survey {
    /// Looks through `checkpoints/`, newest first, until one is whole; `events` are the bytes that
    /// events.jsonl has.
    pub(crate) fn of(checkpoints: &Path, events: u64) -> Result<Self> {
        let mut found = numbered(checkpoints)?;
        let mut survey = Self {
            next: found.last().map_or(0, |(number, _)| number + 1),
            ..Self::default()
        };
        while let Some((_, name)) = found.pop() {
            let dir = checkpoints.join(name);
            match Checkpoint::open(&dir, events) {
                Ok(checkpoint) => {
                    survey.last = Some(checkpoint);
                    break;
                }
                Err(reason) => survey.spoilt.push((dir, reason)),
            }
        }
        Ok(survey)
    }
}

/// Checkpoints by number, ascending; none where there is no folder.
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
    /// Reads the state and compares every file with its hash; says in words what is not as it was.
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
            let found = sha256(&read(name)?);
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
        if state.events > events {
            let expected = state.events;
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

    /// What the last validations found.
    pub(crate) fn found(&self) -> Result<Arrays> {
        self.arrays(FOUND)
    }

    /// The state of an adapter of the plan, and its weights where patience found them best; none where
    /// it was not needed any more.
    pub(crate) fn adapter(&self, fit: usize) -> Result<Option<(AdapterState, Vec<f32>)>> {
        let name = file_of(fit);
        if !self.dir.join(&name).exists() {
            return Ok(None);
        }
        let mut arrays = self.arrays(&name)?;
        let mut row = |name: &str| match arrays.remove(name) {
            Some(Array::F32(row)) => row,
            _ => Vec::new(),
        };
        let (weights, m, v, best) = (row("weights"), row("m"), row("v"), row("best"));
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
        arrays_from_bytes(&bytes, &path).map_err(|error| Error::Checkpoint {
            path: self.dir.clone(),
            reason: error.to_string(),
        })
    }
}

fn file_of(fit: usize) -> String {
    format!("adapter-{fit:04}.safetensors")
}

/// A checkpoint while it is written: `put` its files, then [`finish`](Writer::finish). Dropped before,
/// it leaves nothing.
pub(crate) struct Writer {
    part: PathBuf,
    path: PathBuf,
    sums: String,
    /// Its files, forced to the disk at the end: all at once they take the time of one.
    written: Vec<File>,
    bytes: u64,
    finished: bool,
}

impl Writer {
    /// Begins checkpoint `number` after `done` steps. The folder `checkpoints` is there.
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

    /// Writes an adapter's state, and its weights where patience found them best.
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

    /// Writes what the last validations found.
    pub(crate) fn found(&mut self, arrays: &Arrays) -> Result<()> {
        self.arrays(FOUND, arrays)
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
        let hash = sha256(bytes);
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

    /// Writes the state and the hashes, gives the checkpoint its name, and takes away all but the last
    /// two. Returns the bytes of its files.
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
