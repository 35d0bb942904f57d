//! How a command fails: the error messages, hints, and the exit status.

use std::error::Error as StdError;
use std::fmt::Display;
use std::io::ErrorKind;

/// The exit status of a failure says whose fault it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// The system failed: disk, network, memory.
    Failed = 1,
    /// The user gave wrong arguments, or a file or folder with wrong contents.
    Input = 2,
    /// The user stopped the command.
    Interrupted = 130,
}

/// A failed command: one line for each fault, and hints.
#[derive(Debug)]
pub struct Failure {
    /// Exit status.
    pub status: Status,
    /// One line each; at least one.
    pub faults: Vec<String>,
    /// What the user can do about it.
    pub hints: Vec<String>,
}

/// Result of a command.
pub type Result<T = ()> = std::result::Result<T, Failure>;

impl Failure {
    /// Wrong usage or input.
    pub fn input(fault: impl Display) -> Self {
        Self::new(Status::Input, fault)
    }

    /// A failure of the system.
    pub fn failed(fault: impl Display) -> Self {
        Self::new(Status::Failed, fault)
    }

    /// Several faults of the input at once.
    pub fn faults(faults: Vec<String>) -> Self {
        Self {
            status: Status::Input,
            faults,
            hints: Vec::new(),
        }
    }

    /// The error of a library: I/O errors of the system are failures, everything else is wrong input.
    pub fn from_error(error: &(dyn StdError + 'static)) -> Self {
        Self::new(status_of(error), one_line(error))
    }

    /// Adds a hint.
    pub fn hint(mut self, hint: impl Display) -> Self {
        self.hints.push(hint.to_string());
        self
    }

    fn new(status: Status, fault: impl Display) -> Self {
        Self {
            status,
            faults: vec![fault.to_string()],
            hints: Vec::new(),
        }
    }
}

/// The status of an error, by the I/O error among its sources.
fn status_of(error: &(dyn StdError + 'static)) -> Status {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return match io.kind() {
                ErrorKind::NotFound
                | ErrorKind::NotADirectory
                | ErrorKind::IsADirectory
                | ErrorKind::PermissionDenied
                | ErrorKind::AlreadyExists
                | ErrorKind::InvalidData
                | ErrorKind::InvalidInput
                | ErrorKind::UnexpectedEof => Status::Input,
                _ => Status::Failed,
            };
        }
        next = error.source();
    }
    Status::Input
}

/// The error's text on one line. Libraries put their source's text into their own.
fn one_line(error: &dyn StdError) -> String {
    error
        .to_string()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("out/items.jsonl: {source}")]
    struct Wrapped {
        source: std::io::Error,
    }

    #[test]
    fn a_full_disk_is_no_fault_of_the_input() {
        let error = Wrapped {
            source: ErrorKind::StorageFull.into(),
        };
        let failure = Failure::from_error(&error);
        assert_eq!(failure.status, Status::Failed);
        assert_eq!(failure.faults, ["out/items.jsonl: no storage space"]);
    }

    #[test]
    fn a_missing_file_is_wrong_input() {
        let error = Wrapped {
            source: ErrorKind::NotFound.into(),
        };
        assert_eq!(Failure::from_error(&error).status, Status::Input);
    }
}
