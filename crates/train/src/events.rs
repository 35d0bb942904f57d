//! `events.jsonl`: the events of a run, one JSON object per line, each flushed when it is written.
//!
//! Every line has `time` (seconds since 1970, UTC), `step` (optimizer steps done), `adapter` (an
//! adapter's name; null for the whole run or the bare base model) and `kind`.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::early_stopping::EarlyStoppingRule;
use crate::error::{Error, Result};
use crate::validation::LabelLoss;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Seconds since 1970-01-01 UTC, to the millisecond.
    pub time: f64,
    /// Optimizer steps done.
    pub step: usize,
    /// The adapter's name; `None` for the whole run or the bare base model.
    pub adapter: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EventKind {
    /// Training begins.
    Start {
        /// Names of all adapters of the grid.
        #[serde(rename = "members")]
        names: Vec<String>,
        /// Optimizer steps planned.
        steps: usize,
        /// Training examples; with folds, the examples of the pool.
        train_rows: usize,
        /// Validation examples; 0 with folds, where each example is trained on by some fits and validated
        /// on by others.
        validation_rows: usize,
        /// Fits, those of folds included; `None` where there is one per adapter.
        #[serde(rename = "adapters", default, skip_serializing_if = "Option::is_none")]
        fits: Option<usize>,
    },
    /// An adapter took an optimizer step. Not written for the fits of folds.
    Train {
        /// Mean loss per supervised token of the batch, in nats, before the step.
        loss: f64,
        /// Learning rate of the step.
        lr: f64,
        /// Norm of the gradient before clipping.
        grad_norm: f64,
    },
    /// An adapter (or the bare base model) was validated; or the fit of a fold, whose name is the
    /// adapter's followed by `@`, the repeat, `.` and the folds that it left out (`r4@0.1+2`).
    Validation {
        /// Mean loss per supervised token, in nats.
        loss: f64,
        /// Share of examples whose true label had the highest logit of the three.
        accuracy: f64,
        /// Validation examples.
        n: usize,
        /// The label's log loss; `None` in files of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        label_loss: Option<LabelLoss>,
    },
    /// Throughput of a step of all adapters together, without validation.
    Throughput {
        /// Examples per second.
        examples_per_s: f64,
        /// Tokens per second, prompts included. There is no padding.
        tokens_per_s: f64,
    },
    /// An adapter diverged. The others continue.
    #[serde(rename = "stopped")]
    Diverged {
        /// Names the adapter, the number that is not finite, and the step.
        reason: String,
    },
    /// An adapter was early-stopped or pruned before its steps were done. It is saved nevertheless.
    #[serde(rename = "dropped")]
    EarlyStopped {
        /// The rule.
        by: EarlyStoppingRule,
        /// The numbers behind the decision.
        reason: String,
        /// The step whose weights are kept.
        kept: usize,
    },
    /// An adapter was saved.
    Saved {
        /// Its folder, relative to the run folder.
        path: String,
    },
    /// The run ended.
    End {
        /// How it ended.
        outcome: Outcome,
        /// The chosen adapter of a finished run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        best: Option<String>,
        /// The error of a run that did not finish.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything was done; MANIFEST.json follows.
    Finished,
    /// The caller requested to stop.
    Interrupted,
    /// An error.
    Failed,
}

/// The file, open for appending.
#[derive(Debug)]
pub struct EventLog {
    path: PathBuf,
    file: File,
    /// Length of the file in bytes.
    position: u64,
}

impl EventLog {
    /// Opens the file for appending; creates it if it does not exist.
    pub fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(Error::io(path, "open"))?;
        let metadata = file.metadata().map_err(Error::io(path, "read"))?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
            position: metadata.len(),
        })
    }

    /// Like [`EventLog::open`], truncated to its first `bytes` bytes.
    pub(crate) fn truncated(path: &Path, bytes: u64) -> Result<Self> {
        let mut log = Self::open(path)?;
        let truncated = log.file.set_len(bytes).and_then(|()| log.file.sync_all());
        truncated.map_err(Error::io(path, "write"))?;
        log.position = bytes;
        Ok(log)
    }

    /// Length of the file in bytes.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Syncs the file to the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync_all().map_err(Error::io(&self.path, "write"))
    }

    /// Appends one event, stamped with the current time, in a single write, and returns it.
    pub fn write(&mut self, step: usize, adapter: Option<&str>, kind: EventKind) -> Result<Event> {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let time = since.as_millis() as f64 / 1000.0;
        let event = Event {
            time,
            step,
            adapter: adapter.map(str::to_owned),
            kind,
        };
        let mut line = serde_json::to_string(&event).expect("an event is plain data");
        line.push('\n');
        self.file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.flush())
            .map_err(Error::io(&self.path, "write"))?;
        self.position += line.len() as u64;
        Ok(event)
    }
}

/// Reads a whole file. An unterminated last line (a process was killed while it wrote, or is writing
/// now) is ignored; any other invalid line is an error with its number.
pub fn read(path: &Path) -> Result<Vec<Event>> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path, "read"))?;
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut events = Vec::new();
    for (index, line) in complete.lines().enumerate() {
        let event = serde_json::from_str(line).map_err(|error| Error::Json {
            path: path.to_path_buf(),
            line: index + 1,
            message: error.to_string(),
        })?;
        events.push(event);
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_kinds() -> Vec<EventKind> {
        vec![
            EventKind::Start {
                names: vec!["r4".into(), "r8".into()],
                steps: 93,
                train_rows: 264,
                validation_rows: 33,
                fits: Some(32),
            },
            EventKind::Train {
                loss: 1.25,
                lr: 3e-4,
                grad_norm: 0.5,
            },
            EventKind::Validation {
                loss: 1.5,
                accuracy: 0.75,
                n: 4,
                label_loss: None,
            },
            EventKind::Throughput {
                examples_per_s: 10.0,
                tokens_per_s: 500.0,
            },
            EventKind::Diverged {
                reason: "r4: loss is NaN at step 3".into(),
            },
            EventKind::EarlyStopped {
                by: EarlyStoppingRule::Halving,
                reason: "validation loss 1.5".into(),
                kept: 3,
            },
            EventKind::Saved {
                path: "adapters/r8".into(),
            },
            EventKind::End {
                outcome: Outcome::Finished,
                best: Some("r8".into()),
                error: None,
            },
            EventKind::End {
                outcome: Outcome::Failed,
                best: None,
                error: Some("no".into()),
            },
        ]
    }

    #[test]
    fn every_kind_round_trips() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let mut log = EventLog::open(&path).unwrap();
        let write = |(step, kind)| log.write(step, Some("r4"), kind).unwrap();
        let written: Vec<Event> = all_kinds().into_iter().enumerate().map(write).collect();
        assert_eq!(read(&path).unwrap(), written);
    }

    #[test]
    fn a_line_has_time_step_adapter_and_kind() {
        let event = Event {
            time: 1.5,
            step: 3,
            adapter: None,
            kind: EventKind::Validation {
                loss: 1.5,
                accuracy: 0.75,
                n: 4,
                label_loss: None,
            },
        };
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"time":1.5,"step":3,"adapter":null,"kind":"validation","loss":1.5,"accuracy":0.75,"n":4}"#
        );
    }

    #[test]
    fn an_unterminated_last_line_is_ignored_and_an_invalid_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let line = r#"{"time":1.5,"step":3,"adapter":null,"kind":"saved","path":"adapters/r8"}"#;
        std::fs::write(&path, format!("{line}\n{{\"time\":1.5,\"st")).unwrap();
        assert_eq!(read(&path).unwrap().len(), 1);
        std::fs::write(&path, format!("{line}\n{{\"time\":1.5}}\n{line}\n")).unwrap();
        let error = read(&path).unwrap_err().to_string();
        let expected = format!("{}: line 2: missing field `step`", path.display());
        assert!(error.starts_with(&expected), "{error}");
    }

    #[test]
    fn reopening_appends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        for step in 0..2 {
            let kind = EventKind::Saved {
                path: "adapters/r8".into(),
            };
            EventLog::open(&path)
                .unwrap()
                .write(step, None, kind)
                .unwrap();
        }
        assert_eq!(read(&path).unwrap().len(), 2);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_names_the_file() {
        let mut log = EventLog::open(Path::new("/dev/full")).unwrap();
        let kind = EventKind::Saved {
            path: "adapters/r8".into(),
        };
        let error = log.write(0, None, kind).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/dev/full: cannot write: No space left on device (os error 28)"
        );
        assert!(error.hint().unwrap().contains("free some disk space"));
    }
}
