//! How often held-out questions have been looked at, whichever run was evaluated on them.
//!
//! After an evaluation on the test questions, a change and another evaluation, something has been chosen by the test
//! questions, and scores on them are too high. Each evaluation therefore records a look, with the hash of its questions,
//! in three places: `looks.jsonl` in the run folder and, where they are writable, `looks.log` in the data set's folder and
//! in the cache. This also counts looks by other runs, and at a data set that was copied or built again.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use verdict_common::hash::sha256;
use verdict_data::Item;

use crate::error::EvalError;

/// Name of the file in a run folder.
pub const FILE: &str = "looks.jsonl";
/// Name of the file in a data set's folder and in the cache. Not `.jsonl`, since such files in a data set are splits.
pub const SHARED: &str = verdict_data::LOOKS;

/// One evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Look {
    /// Seconds since 1970, UTC.
    pub time: u64,
    /// Tool and version.
    pub tool: String,
    /// Names of the benchmarks.
    pub benchmarks: Vec<String>,
    /// Names of the models.
    #[serde(rename = "systems")]
    pub models: Vec<String>,
    /// [`rows_hash`] of each benchmark, in the same order; empty in looks of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<String>,
    /// Canonical path of the run folder; as typed, or empty, in looks of earlier versions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub run: String,
    /// A unique id, the same in all places; empty in looks of earlier versions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
}

impl Look {
    /// A look at this moment, by the run in this folder, at benchmarks with the hashes of their questions. The path of the
    /// folder is made canonical, so that a run has one name from wherever it is evaluated.
    pub fn now(run: &Path, benchmarks: Vec<(String, String)>, models: Vec<String>) -> Look {
        let run = run.canonicalize().unwrap_or_else(|_| run.to_owned());
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let (benchmarks, rows) = benchmarks.into_iter().unzip();
        Look {
            time: since.as_secs(),
            tool: format!("verdict {}", env!("CARGO_PKG_VERSION")),
            benchmarks,
            models,
            rows,
            run: run.display().to_string(),
            id: format!("{:x}-{:x}", since.as_nanos(), std::process::id()),
        }
    }

    /// Whether it was at the questions with this hash; for a look of an earlier version, at the benchmark of this name.
    fn at(&self, benchmark: &str, rows: &str) -> bool {
        match self.rows.is_empty() {
            true => self.benchmarks.iter().any(|name| name == benchmark),
            false => self.rows.iter().any(|hash| hash == rows),
        }
    }
}

/// SHA-256 over questions, contexts and labels, independent of order and ids, so that a data set that was built again has
/// the same hash.
pub fn rows_hash(items: &[Item]) -> String {
    let mut rows: Vec<[u8; 32]> = items
        .iter()
        .map(|item| {
            let mut hash = Sha256::new();
            let context = item.context.as_deref().unwrap_or_default();
            for part in [item.question.as_str(), context, item.label.as_str()] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
            hash.finalize().into()
        })
        .collect();
    rows.sort_unstable();
    sha256(&rows.concat())
}

/// The looks in a run folder so far, the oldest first; an incomplete last line is ignored.
///
/// # Errors
/// [`EvalError::Io`]; [`EvalError::Json`] for a line that is not a look.
pub fn read(folder: &Path) -> Result<Vec<Look>, EvalError> {
    read_file(folder.join(FILE))
}

fn read_file(path: PathBuf) -> Result<Vec<Look>, EvalError> {
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

/// The looks so far, and errors outside the run folder.
#[derive(Debug, Default)]
pub struct RecordedLooks {
    /// Looks of this run, and of other runs at the same questions, the oldest first; this look is the last.
    pub looks: Vec<Look>,
    /// Errors in shared folders; the look is recorded in the run folder all the same.
    pub faults: Vec<EvalError>,
}

/// Records a look before its questions are answered, in the run folder and in each shared folder (the data set's and the
/// cache).
///
/// # Errors
/// As [`read`], for the run folder; errors in shared folders are returned with the looks.
pub fn record(folder: &Path, shared: &[PathBuf], look: Look) -> Result<RecordedLooks, EvalError> {
    let mut looks = read(folder)?;
    append(&folder.join(FILE), &look)?;
    // The run may have been moved, and earlier versions recorded its path as typed.
    for own in &mut looks {
        own.run.clone_from(&look.run);
    }
    let mut faults = Vec::new();
    for place in shared {
        let path = place.join(SHARED);
        let found = read_file(path.clone());
        let found = found.and_then(|found| append(&path, &look).map(|()| found));
        match found {
            Ok(found) => looks.extend(found),
            Err(fault) => faults.push(fault),
        }
    }
    let mut seen = std::collections::HashSet::new();
    looks.retain(|other| other.id.is_empty() || seen.insert(other.id.clone()));
    let own = |other: &Look| other.run.is_empty() || other.run == look.run;
    let shares = |other: &Look| other.rows.iter().any(|hash| look.rows.contains(hash));
    looks.retain(|other| own(other) || shares(other));
    looks.sort_by_key(|other| other.time);
    looks.push(look);
    Ok(RecordedLooks { looks, faults })
}

fn append(path: &Path, look: &Look) -> Result<(), EvalError> {
    let failed = |source| EvalError::Io {
        path: path.to_owned(),
        doing: "write",
        source,
    };
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(failed)?;
    let line = serde_json::json!(look).to_string() + "\n";
    file.write_all(line.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)
}

/// Number of looks at the questions of one benchmark.
pub fn count(looks: &[Look], benchmark: &str, rows: &str) -> usize {
    looks.iter().filter(|look| look.at(benchmark, rows)).count()
}

/// Number of runs that looked at the questions of one benchmark.
pub fn runs(looks: &[Look], benchmark: &str, rows: &str) -> usize {
    let at = looks.iter().filter(|look| look.at(benchmark, rows));
    let names: std::collections::HashSet<&str> = at.map(|look| look.run.as_str()).collect();
    names.len()
}

#[cfg(test)]
mod tests {
    use verdict_data::Label;

    use super::*;

    fn look(run: &str, benchmarks: &[(&str, &str)]) -> Look {
        let own = |(name, hash): &(&str, &str)| ((*name).to_owned(), (*hash).to_owned());
        Look::now(
            Path::new(run),
            benchmarks.iter().map(own).collect(),
            vec!["base".into()],
        )
    }

    #[test]
    fn every_look_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), []);
        for benchmarks in [
            &[("test", "t")][..],
            &[("challenge", "c")],
            &[("test", "t"), ("challenge", "c")],
        ] {
            record(folder.path(), &[], look("run", benchmarks)).unwrap();
        }
        let looks = read(folder.path()).unwrap();
        assert_eq!(looks.len(), 3);
        assert_eq!(
            (count(&looks, "test", "t"), count(&looks, "challenge", "c")),
            (2, 2)
        );
        // Other questions with the same name, and the same questions with another name.
        assert_eq!(count(&looks, "test", "other"), 0);
        assert_eq!(count(&looks, "jsonl:mine.jsonl", "t"), 2);
    }

    #[test]
    fn a_look_by_another_run_at_the_same_rows_is_seen() {
        let folders = tempfile::tempdir().unwrap();
        let place = |name: &str| {
            let place = folders.path().join(name);
            std::fs::create_dir_all(&place).unwrap();
            place
        };
        let shared = [place("data"), place("cache")];
        let evaluate = |run: &str, shared: &[PathBuf], hash: &str| {
            let found = record(&place(run), shared, look(run, &[("test", hash)])).unwrap();
            assert!(found.faults.is_empty());
            (
                count(&found.looks, "test", hash),
                runs(&found.looks, "test", hash),
            )
        };
        assert_eq!(evaluate("first", &shared, "t"), (1, 1));
        // Trained and evaluated again: each look is recorded in two places and counted once.
        assert_eq!(evaluate("second", &shared, "t"), (2, 2));
        // The data set was copied; the cache still has the looks.
        let copied = [place("copy"), shared[1].clone()];
        assert_eq!(evaluate("third", &copied, "t"), (3, 3));
        // The cache was emptied; the data set's folder still has the looks.
        assert_eq!(evaluate("third", &shared[..1], "t"), (4, 3));
        assert_eq!(evaluate("fourth", &shared, "other"), (1, 1));
        // A folder that cannot be written is reported, and the run folder has the look.
        let nowhere = [folders.path().join("none")];
        let found = record(&place("fifth"), &nowhere, look("fifth", &[("test", "t")])).unwrap();
        assert_eq!((found.looks.len(), found.faults.len()), (1, 1));
    }

    #[test]
    fn a_run_is_counted_once_by_whatever_path_it_is_named() {
        let folders = tempfile::tempdir().unwrap();
        let [run, data, other] = ["run", "data", "other"].map(|name| folders.path().join(name));
        for folder in [&run, &data, &other] {
            std::fs::create_dir(folder).unwrap();
        }
        let at = |path: &Path| {
            let benchmarks = vec![("test".to_owned(), "t".to_owned())];
            let look = Look::now(path, benchmarks, vec!["base".into()]);
            let found = record(&run, std::slice::from_ref(&data), look).unwrap();
            (
                count(&found.looks, "test", "t"),
                runs(&found.looks, "test", "t"),
            )
        };
        assert_eq!(at(&run), (1, 1));
        assert_eq!(at(&other.join("../run")), (2, 1));
        // After a move, the looks in the run folder are still the run's own.
        let moved = folders.path().join("moved");
        std::fs::rename(&run, &moved).unwrap();
        let look = Look::now(&moved, vec![("test".into(), "t".into())], Vec::new());
        let found = record(&moved, std::slice::from_ref(&data), look).unwrap();
        assert_eq!(
            (
                count(&found.looks, "test", "t"),
                runs(&found.looks, "test", "t")
            ),
            (3, 1)
        );
    }

    #[test]
    fn a_look_of_an_earlier_version_counts_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let line = r#"{"time":1,"tool":"verdict 0.1.0","benchmarks":["test"],"systems":["base"]}"#;
        std::fs::write(folder.path().join(FILE), format!("{line}\n")).unwrap();
        let found = record(folder.path(), &[], look("run", &[("test", "t")])).unwrap();
        assert_eq!(count(&found.looks, "test", "t"), 2);
        assert_eq!(count(&found.looks, "challenge", "c"), 0);
    }

    #[test]
    fn rows_have_one_hash_in_any_order() {
        let item = |id: &str, question: &str| Item {
            id: id.into(),
            question: question.into(),
            label: Label::Yes,
            rationale: String::new(),
            source: "own".into(),
            group: id.into(),
            context: None,
        };
        let hash = rows_hash(&[item("a", "One?"), item("b", "Two?")]);
        assert_eq!(hash, rows_hash(&[item("c", "Two?"), item("d", "One?")]));
        assert_ne!(hash, rows_hash(&[item("a", "One?"), item("b", "Three?")]));
        assert_ne!(hash, rows_hash(&[item("a", "One?")]));
    }

    #[test]
    fn an_incomplete_last_line_is_ignored_and_a_broken_line_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        record(folder.path(), &[], look("run", &[("test", "t")])).unwrap();
        let path = folder.path().join(FILE);
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{whole}{{\"time\":")).unwrap();
        assert_eq!(read(folder.path()).unwrap().len(), 1);
        std::fs::write(&path, format!("{whole}{{}}\n")).unwrap();
        let error = read(folder.path()).unwrap_err().to_string();
        let expected = format!("{}: expected a look in each line: line 2: ", path.display());
        assert!(error.starts_with(&expected), "{error}");
    }
}
