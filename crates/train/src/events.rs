//! `events.jsonl`: what happened in a run, one JSON object a line, appended and flushed at once.
//!
//! Every line has `time` (seconds since 1970, UTC), `step` (optimizer steps done), `adapter` (a
//! member's name; null: the whole run, or the bare base model) and `kind`.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::early_stopping::EarlyStoppingRule;
use crate::error::{Error, Result};

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Seconds since 1970-01-01 UTC, to the millisecond.
    pub time: f64,
    /// Optimizer steps done.
    pub step: usize,
    /// The member's name; none for the whole run or the bare base model.
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
        /// Names of all members.
        #[serde(rename = "members")]
        names: Vec<String>,
        /// Optimizer steps planned.
        steps: usize,
        /// Training rows; with folds, the rows of the pool.
        train_rows: usize,
        /// Validation rows; with folds none, for each row is in turn learnt from and judged on.
        validation_rows: usize,
        /// Adapters in the batch, those of folds with them; as many as members where not given.
        #[serde(rename = "adapters", default, skip_serializing_if = "Option::is_none")]
        fits: Option<usize>,
    },
    /// A member made an optimizer step. Not told of the folds' adapters.
    Train {
        /// Mean loss per supervised token of the batch, in nats, before the step.
        loss: f64,
        /// Learning rate of the step.
        lr: f64,
        /// Norm of the gradient before clipping.
        grad_norm: f64,
    },
    /// A member (or the bare base model) was validated; or the adapter of a fold, whose name is the
    /// member's with `@`, the repeat, `.` and the folds that it did not see (`r4@0.1+2`).
    Validation {
        /// Mean loss per supervised token, in nats.
        loss: f64,
        /// Share of rows whose true label had the highest logit of the three.
        accuracy: f64,
        /// Validation rows.
        n: usize,
    },
    /// How fast the step went, all members together, validation left out.
    Throughput {
        /// Examples per second.
        examples_per_s: f64,
        /// Tokens per second, prompts included; there is no padding to count.
        tokens_per_s: f64,
    },
    /// A member was taken out, and why; the others go on.
    #[serde(rename = "stopped")]
    Diverged {
        /// Names the member, the step and what was found.
        reason: String,
    },
    /// A member left the batch before its steps were done; it is saved all the same.
    #[serde(rename = "dropped")]
    EarlyStopped {
        /// By which rule.
        by: EarlyStoppingRule,
        /// The figures that decided.
        reason: String,
        /// The step whose weights are kept.
        kept: usize,
    },
    /// A member's adapter was written.
    Saved {
        /// Its folder, relative to the run folder.
        path: String,
    },
    /// Training is over.
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
    /// The caller asked to stop.
    Interrupted,
    /// An error.
    Failed,
}

/// The file, open for appending.
#[derive(Debug)]
pub struct EventLog {
    path: PathBuf,
    file: File,
    /// Bytes that stand in the file.
    position: u64,
}

impl EventLog {
    /// Opens the file for appending; makes it where there is none.
    pub fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(Error::io(path, "open"))?;
        let known = file.metadata().map_err(Error::io(path, "read"))?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
            position: known.len(),
        })
    }

    /// As [`EventLog::open`], with all after the first `bytes` bytes taken away.
    pub(crate) fn cut(path: &Path, bytes: u64) -> Result<Self> {
        let mut log = Self::open(path)?;
        let cut = log.file.set_len(bytes).and_then(|()| log.file.sync_all());
        cut.map_err(Error::io(path, "write"))?;
        log.position = bytes;
        Ok(log)
    }

    /// Bytes that stand in the file.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Forces the file to the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync_all().map_err(Error::io(&self.path, "write"))
    }

    /// Appends one line in one write, stamped with the time, and gives it back.
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

/// Reads a whole file. A last line without its end (a process was killed while it wrote, or is
/// writing now) is left out; any other broken line is an error with its number.
pub fn read(path: &Path) -> Result<Vec<Event>> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path, "read"))?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut events = Vec::new();
    for (place, line) in whole.lines().enumerate() {
        let event = serde_json::from_str(line).map_err(|error| Error::Json {
            path: path.to_path_buf(),
            line: place + 1,
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
    fn every_kind_is_read_as_it_was_written() {
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
            },
        };
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"time":1.5,"step":3,"adapter":null,"kind":"validation","loss":1.5,"accuracy":0.75,"n":4}"#
        );
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_a_broken_one_is_named() {
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
    fn opening_again_appends() {
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
