//! How often a run's held-out questions were looked at: `looks.jsonl` in its folder.
//!
//! Whoever looks at the test questions, changes something and looks again has chosen by them, and their
//! figures are no longer those of unseen questions. Each evaluation leaves a line; every report counts them.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::run::EvalError;

/// Name of the file.
pub const FILE: &str = "looks.jsonl";

/// One evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Look {
    /// Seconds since 1970, UTC.
    pub time: u64,
    /// Tool and version.
    pub tool: String,
    /// The benchmarks whose questions were asked.
    pub benchmarks: Vec<String>,
    /// Who was asked.
    pub systems: Vec<String>,
}

impl Look {
    /// A look now.
    pub fn now(benchmarks: Vec<String>, systems: Vec<String>) -> Look {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Look {
            time: since.as_secs(),
            tool: format!("verdict {}", env!("CARGO_PKG_VERSION")),
            benchmarks,
            systems,
        }
    }
}

/// The looks so far, the oldest first; a last line that was cut off by a full disk is left out.
///
/// # Errors
/// [`EvalError::Io`]; [`EvalError::Json`] for a line that is not a look.
pub fn read(folder: &Path) -> Result<Vec<Look>, EvalError> {
    let path = folder.join(FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(EvalError::Io {
                path,
                doing: "read",
                source,
            });
        }
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let look = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| EvalError::Json {
            path: path.clone(),
            expected: "a look in each line",
            message: format!("line {}: {error}", number + 1),
        })
    };
    whole.lines().enumerate().map(look).collect()
}

/// Writes down a look before its questions are asked. Returns all looks, this one the last.
///
/// # Errors
/// As [`read`].
pub fn record(folder: &Path, look: Look) -> Result<Vec<Look>, EvalError> {
    let mut looks = read(folder)?;
    let path = folder.join(FILE);
    let failed = |source| EvalError::Io {
        path: path.clone(),
        doing: "write",
        source,
    };
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(failed)?;
    let line = serde_json::json!(look).to_string() + "\n";
    file.write_all(line.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    looks.push(look);
    Ok(looks)
}

/// Looks at one benchmark.
pub fn count(looks: &[Look], benchmark: &str) -> usize {
    let has = |look: &&Look| look.benchmarks.iter().any(|name| name == benchmark);
    looks.iter().filter(has).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_look_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), []);
        for names in [vec!["test"], vec!["challenge"], vec!["test", "challenge"]] {
            let names = names.into_iter().map(str::to_owned).collect();
            let look = Look::now(names, vec!["base".into()]);
            record(folder.path(), look).unwrap();
        }
        let looks = read(folder.path()).unwrap();
        assert_eq!(looks.len(), 3);
        assert_eq!((count(&looks, "test"), count(&looks, "challenge")), (2, 2));
        assert_eq!(count(&looks, "pubmedqa"), 0);
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_a_broken_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        record(folder.path(), Look::now(vec!["test".into()], vec![])).unwrap();
        let path = folder.path().join(FILE);
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{whole}{{\"time\":")).unwrap();
        assert_eq!(read(folder.path()).unwrap().len(), 1);
        std::fs::write(&path, format!("{whole}{{}}\n")).unwrap();
        let told = read(folder.path()).unwrap_err().to_string();
        let expected = format!("{}: expected a look in each line: line 2: ", path.display());
        assert!(told.starts_with(&expected), "{told}");
    }
}
