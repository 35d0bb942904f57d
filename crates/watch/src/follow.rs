//! `events.jsonl` as it grows: each line is read once.
//!
//! The place after the last whole line is kept, with the bytes before it. When the file has another length than at the
//! last look, those bytes are compared: where they differ (an overwrite), or the file is shorter (a resumed run cuts it
//! to its checkpoint), it is read from its beginning. A line without its end waits until it has one. A line that is not
//! an event is passed over: a kind that this version does not know is [`NewEvent::Unknown`], what a killed process left
//! half-written is [`NewEvent::Broken`].

use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use verdict_train::Event;

use crate::error::{Error, Result};

/// Bytes read at once.
const CHUNK: usize = 1 << 18;
/// Bytes before the place that tell one file from another: a line's time has milliseconds.
const TAIL: usize = 256;

/// What the file says.
#[derive(Clone, Debug, PartialEq)]
pub enum NewEvent {
    /// All that was told before is void: the file was replaced, cut or taken away, and begins anew.
    Replaced,
    /// An event.
    Event(Event),
    /// An event of a kind that this version does not know.
    Unknown(Unknown),
    /// A line that is no event.
    Broken,
}

/// What every event has, whatever its kind.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Unknown {
    /// Seconds since 1970-01-01 UTC.
    pub time: f64,
    /// Optimizer steps done.
    pub step: usize,
    /// The adapter, where it is about one.
    pub adapter: Option<String>,
    /// The kind's name.
    pub kind: String,
    /// Why, where it says so.
    #[serde(default)]
    pub reason: Option<String>,
}

/// A file that is followed.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    /// Bytes of whole lines that were told.
    place: u64,
    /// The last of those bytes.
    tail: Vec<u8>,
    /// Length of the file at the last look.
    length: u64,
}

impl Follower {
    /// Follows a file from its beginning; it need not be there yet.
    pub fn new(path: &Path) -> Follower {
        Follower {
            path: path.to_path_buf(),
            place: 0,
            tail: Vec::new(),
            length: 0,
        }
    }

    /// Tells what came since the last call, in the order of the file; returns whether the file changed.
    ///
    /// # Errors
    /// [`Error::Io`] where the file is there and cannot be read. The next call goes on at the same place.
    pub fn poll(&mut self, tell: &mut dyn FnMut(NewEvent)) -> Result<bool> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(fault) if fault.kind() == ErrorKind::NotFound => {
                let known = self.length > 0;
                if known {
                    self.restart();
                    tell(NewEvent::Replaced);
                }
                return Ok(known);
            }
            Err(fault) => return Err(Error::io(&self.path, "read")(fault)),
        };
        let read = self.read(&mut file, tell);
        read.map_err(Error::io(&self.path, "read"))
    }

    /// Forgets what was read: the next call tells everything.
    pub fn restart(&mut self) {
        *self = Follower::new(&self.path);
    }

    fn read(&mut self, file: &mut File, tell: &mut dyn FnMut(NewEvent)) -> std::io::Result<bool> {
        let length = file.metadata()?.len();
        if length == self.length {
            return Ok(false);
        }
        if self.place > 0 && !self.goes_on(file, length)? {
            self.restart();
            tell(NewEvent::Replaced);
        }
        file.seek(SeekFrom::Start(self.place))?;
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
            let whole = &waiting[..=end];
            whole
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
                .for_each(|line| tell(told(line)));
            self.place += whole.len() as u64;
            self.tail = whole[whole.len().saturating_sub(TAIL)..].to_vec();
            self.length = self.place;
            waiting.drain(..=end);
        }
        self.length = self.place + waiting.len() as u64;
        Ok(true)
    }

    /// Whether the file still holds what was read last.
    fn goes_on(&self, file: &mut File, length: u64) -> std::io::Result<bool> {
        if length < self.place {
            return Ok(false);
        }
        let mut found = vec![0; self.tail.len()];
        file.seek(SeekFrom::Start(self.place - self.tail.len() as u64))?;
        file.read_exact(&mut found)?;
        Ok(found == self.tail)
    }
}

fn told(line: &[u8]) -> NewEvent {
    if let Ok(event) = serde_json::from_slice(line) {
        return NewEvent::Event(event);
    }
    match serde_json::from_slice(line) {
        Ok(unknown) => NewEvent::Unknown(unknown),
        Err(_) => NewEvent::Broken,
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

    /// The steps of what came, 0 for what is void.
    fn steps(follower: &mut Follower) -> Vec<usize> {
        let mut steps = Vec::new();
        follower
            .poll(&mut |told| match told {
                NewEvent::Event(event) => steps.push(event.step),
                NewEvent::Replaced => steps.push(0),
                other => panic!("{other:?}"),
            })
            .expect("read");
        steps
    }

    #[test]
    fn a_growing_file_is_told_once_and_a_torn_line_waits() {
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
    fn more_than_a_chunk_is_told_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("events.jsonl");
        let text: String = (1..=8_000).map(|step| line(step, 0.5)).collect();
        assert!(text.len() > 2 * CHUNK);
        std::fs::write(&path, text).expect("written");
        let expected: Vec<usize> = (1..=8_000).collect();
        assert_eq!(steps(&mut Follower::new(&path)), expected);
    }

    #[test]
    fn a_file_that_was_replaced_cut_or_taken_away_is_told_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("events.jsonl");
        let mut follower = Follower::new(&path);
        let write = |text: String| std::fs::write(&path, text).expect("written");
        write(line(1, 1.0) + &line(2, 2.0));
        assert_eq!(steps(&mut follower), [1, 2]);
        // Longer, but another run's.
        write(line(1, 5.0) + &line(2, 6.0) + &line(3, 7.0));
        assert_eq!(steps(&mut follower), [0, 1, 2, 3]);
        // Cut, as a resumed run does.
        write(line(1, 5.0));
        assert_eq!(steps(&mut follower), [0, 1]);
        // Cut and grown past the place between two looks.
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
    fn unknown_kinds_and_broken_lines_are_passed_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("events.jsonl");
        let text = "{\"time\":1.5,\"step\":7,\"adapter\":\"r4\",\"kind\":\"frozen\",\"layers\":3}\n\
                    {\"time\":1.5,\"st{\"time\":1.5}\n\
                    {\"time\":1.5,\"step\":7,\"adapter\":null,\"kind\":\"end\",\"outcome\":\"finished\",\"new\":1}\n";
        std::fs::write(&path, text).expect("written");
        let mut all = Vec::new();
        Follower::new(&path)
            .poll(&mut |told| all.push(told))
            .expect("read");
        let unknown = Unknown {
            time: 1.5,
            step: 7,
            adapter: Some("r4".into()),
            kind: "frozen".into(),
            reason: None,
        };
        assert_eq!(all[..2], [NewEvent::Unknown(unknown), NewEvent::Broken]);
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
