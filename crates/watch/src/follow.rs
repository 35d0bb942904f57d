//! Follows `events.jsonl` as it grows: each line is read once.
//!
//! The position after the last complete line is stored, together with the bytes before it. When the length of the file
//! has changed, those bytes are compared. If they differ (the run was overwritten), or if the file is shorter (a resumed
//! run truncates it to its checkpoint), it is read again from its beginning. An unterminated line waits until it is
//! complete. A line that is not an event is skipped: an event kind that this version does not know is
//! [`NewEvent::Unknown`], a line that a killed process left incomplete is [`NewEvent::Invalid`].

use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use verdict_train::Event;

use crate::error::{Error, Result};

/// Bytes read at once.
const CHUNK: usize = 1 << 18;
/// Bytes before the position that identify the file; they contain times in milliseconds.
const TAIL: usize = 256;

/// A change of the file.
#[derive(Clone, Debug, PartialEq)]
pub enum NewEvent {
    /// The file was replaced, truncated or deleted. All earlier events are void.
    Replaced,
    /// An event.
    Event(Event),
    /// An event of a kind that this version does not know.
    Unknown(Unknown),
    /// A line that is not an event.
    Invalid,
}

/// An event of an unknown kind, with the fields that every event has.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Unknown {
    /// Seconds since 1970-01-01 UTC.
    pub time: f64,
    /// Optimizer steps done.
    pub step: usize,
    /// The adapter, if it is about one.
    pub adapter: Option<String>,
    /// Its kind.
    pub kind: String,
    /// The reason, if it has one.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Follows a file.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    /// Bytes of complete lines read so far.
    position: u64,
    /// The last of those bytes.
    tail: Vec<u8>,
    /// Length of the file at the last poll.
    length: u64,
}

impl Follower {
    /// Follows a file from its beginning. It need not exist yet.
    pub fn new(path: &Path) -> Follower {
        Follower {
            path: path.to_path_buf(),
            position: 0,
            tail: Vec::new(),
            length: 0,
        }
    }

    /// Calls `observer` with what was added since the last call, in the order of the file. Returns whether the file
    /// changed.
    ///
    /// # Errors
    /// [`Error::Io`] where the file exists and cannot be read. The next call continues at the same position.
    pub fn poll(&mut self, observer: &mut dyn FnMut(NewEvent)) -> Result<bool> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(fault) if fault.kind() == ErrorKind::NotFound => {
                let existed = self.length > 0;
                if existed {
                    self.restart();
                    observer(NewEvent::Replaced);
                }
                return Ok(existed);
            }
            Err(fault) => return Err(Error::io(&self.path, "read")(fault)),
        };
        let read = self.read(&mut file, observer);
        read.map_err(Error::io(&self.path, "read"))
    }

    /// Starts from the beginning: the next call reads everything again.
    pub fn restart(&mut self) {
        *self = Follower::new(&self.path);
    }

    fn read(
        &mut self,
        file: &mut File,
        observer: &mut dyn FnMut(NewEvent),
    ) -> std::io::Result<bool> {
        let length = file.metadata()?.len();
        if length == self.length {
            return Ok(false);
        }
        if self.position > 0 && !self.is_same_file(file, length)? {
            self.restart();
            observer(NewEvent::Replaced);
        }
        file.seek(SeekFrom::Start(self.position))?;
        let mut waiting: Vec<u8> = Vec::new();
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = match file.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(fault) if fault.kind() == ErrorKind::Interrupted => continue,
                Err(fault) => return Err(fault),
            };
            waiting.extend_from_slice(&chunk[..count]);
            let Some(end) = waiting.iter().rposition(|byte| *byte == b'\n') else {
                continue;
            };
            let complete = &waiting[..=end];
            complete
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
                .for_each(|line| observer(parse(line)));
            self.position += complete.len() as u64;
            self.tail = complete[complete.len().saturating_sub(TAIL)..].to_vec();
            self.length = self.position;
            waiting.drain(..=end);
        }
        self.length = self.position + waiting.len() as u64;
        Ok(true)
    }

    /// Whether the file still contains what was read last.
    fn is_same_file(&self, file: &mut File, length: u64) -> std::io::Result<bool> {
        if length < self.position {
            return Ok(false);
        }
        let mut found = vec![0; self.tail.len()];
        file.seek(SeekFrom::Start(self.position - self.tail.len() as u64))?;
        file.read_exact(&mut found)?;
        Ok(found == self.tail)
    }
}

fn parse(line: &[u8]) -> NewEvent {
    if let Ok(event) = serde_json::from_slice(line) {
        return NewEvent::Event(event);
    }
    match serde_json::from_slice(line) {
        Ok(unknown) => NewEvent::Unknown(unknown),
        Err(_) => NewEvent::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use verdict_train::EventKind;

    use super::*;

    fn line(step: usize, time: f64) -> String {
        format!(
            "{{\"time\":{time},\"step\":{step},\"adapter\":null,\"kind\":\"throughput\",\
             \"examples_per_s\":1.5,\"tokens_per_s\":{step}.0}}\n"
        )
    }

    /// The steps of the new events, 0 for a replaced file.
    fn steps(follower: &mut Follower) -> Vec<usize> {
        let mut steps = Vec::new();
        follower
            .poll(&mut |new| match new {
                NewEvent::Event(event) => steps.push(event.step),
                NewEvent::Replaced => steps.push(0),
                other => panic!("{other:?}"),
            })
            .expect("read");
        steps
    }

    #[test]
    fn each_line_is_read_once_and_an_unterminated_one_waits() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("events.jsonl");
        let mut follower = Follower::new(&path);
        assert_eq!(steps(&mut follower), [0; 0]);
        let mut file = File::create(&path).expect("made");
        let (one, two) = (line(1, 1.0), line(2, 2.0));
        let mut write = |text: &str| file.write_all(text.as_bytes()).expect("written");
        write(&one);
        write(&two[..20]);
        assert_eq!(steps(&mut follower), [1]);
        assert_eq!(steps(&mut follower), [0; 0]);
        write(&two[20..two.len() - 1]);
        assert_eq!(steps(&mut follower), [0; 0]);
        write("\n");
        write(&line(3, 3.0));
        assert_eq!(steps(&mut follower), [2, 3]);
        assert_eq!(steps(&mut follower), [0; 0]);
    }

    #[test]
    fn more_than_a_chunk_is_read_completely() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("events.jsonl");
        let text: String = (1..=8_000).map(|step| line(step, 0.5)).collect();
        assert!(text.len() > 2 * CHUNK);
        std::fs::write(&path, text).expect("written");
        let expected: Vec<usize> = (1..=8_000).collect();
        assert_eq!(steps(&mut Follower::new(&path)), expected);
    }

    #[test]
    fn a_replaced_truncated_or_deleted_file_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("events.jsonl");
        let mut follower = Follower::new(&path);
        let write = |text: String| std::fs::write(&path, text).expect("written");
        write(line(1, 1.0) + &line(2, 2.0));
        assert_eq!(steps(&mut follower), [1, 2]);
        // Longer, but of another run.
        write(line(1, 5.0) + &line(2, 6.0) + &line(3, 7.0));
        assert_eq!(steps(&mut follower), [0, 1, 2, 3]);
        // Truncated, as by a resumed run.
        write(line(1, 5.0));
        assert_eq!(steps(&mut follower), [0, 1]);
        // Truncated and grown past the position between two polls.
        write(line(1, 5.0) + &line(2, 8.0));
        assert_eq!(steps(&mut follower), [2]);
        write(line(1, 5.0) + &line(2, 9.0) + &line(3, 9.5));
        assert_eq!(steps(&mut follower), [0, 1, 2, 3]);
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(steps(&mut follower), [0]);
        assert_eq!(steps(&mut follower), [0; 0]);
        write(line(4, 1.0));
        assert_eq!(steps(&mut follower), [4]);
    }

    #[test]
    fn unknown_kinds_and_invalid_lines_are_skipped() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("events.jsonl");
        let text = "{\"time\":1.5,\"step\":7,\"adapter\":\"r4\",\"kind\":\"frozen\",\"layers\":3}\n\
                    {\"time\":1.5,\"st{\"time\":1.5}\n\
                    {\"time\":1.5,\"step\":7,\"adapter\":null,\"kind\":\"end\",\"outcome\":\"finished\",\"new\":1}\n";
        std::fs::write(&path, text).expect("written");
        let mut all = Vec::new();
        Follower::new(&path)
            .poll(&mut |new| all.push(new))
            .expect("read");
        let unknown = Unknown {
            time: 1.5,
            step: 7,
            adapter: Some("r4".into()),
            kind: "frozen".into(),
            reason: None,
        };
        assert_eq!(all[..2], [NewEvent::Unknown(unknown), NewEvent::Invalid]);
        assert!(
            matches!(&all[2..], [NewEvent::Event(event)] if matches!(event.kind, EventKind::End { .. }))
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let fault = Follower::new(folder.path()).poll(&mut |_| {});
        let fault = fault.expect_err("a folder is no file").to_string();
        assert!(
            fault.starts_with(&format!("{}: cannot read: ", folder.path().display())),
            "{fault}"
        );
    }
}
