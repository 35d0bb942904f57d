//! How often held-out questions were looked at, whichever run was judged on them.
//!
//! Whoever looks at the test questions, changes something and looks again has chosen by them, and their
//! figures are no longer those of unseen questions. Each evaluation leaves a line, with the hash of the questions it
//! asked, in three places: `looks.jsonl` in the run folder, and where they can be written `looks.log` in the data
//! set's folder and in the cache. So a look by another run, trained after the first was judged, is counted too, and
//! one of a data set that was copied or built again.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use verdict_common::hash::hex;
use verdict_data::Item;

use crate::run::EvalError;

/// Name of the file in a run folder.
pub const FILE: &str = "looks.jsonl";
/// Name of the file in a data set's folder and in the cache. No `.jsonl`: those of a folder are rows.
pub const SHARED: &str = verdict_data::LOOKS;

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
    /// [`rows_hash`] of each benchmark's questions, in their order; empty in looks of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<String>,
    /// Canonical path of the run's folder; as it was typed, or empty, in looks of earlier versions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub run: String,
    /// Tells one look from all others: the same in each place; empty in looks of earlier versions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
}

impl Look {
    /// A look of the run in this folder now, at benchmarks with the hashes of their questions. The folder's path is
    /// made canonical: one run has one name, from wherever it is evaluated.
    pub fn now(run: &Path, benchmarks: Vec<(String, String)>, systems: Vec<String>) -> Look {
        let run = run.canonicalize().unwrap_or_else(|_| run.to_owned());
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let (benchmarks, rows) = benchmarks.into_iter().unzip();
        Look {
            time: since.as_secs(),
            tool: format!("verdict {}", env!("CARGO_PKG_VERSION")),
            benchmarks,
            systems,
            rows,
            run: run.display().to_string(),
            id: format!("{:x}-{:x}", since.as_nanos(), std::process::id()),
        }
    }

    /// Whether questions of this hash were asked; of a look of earlier versions, whether questions of that name were.
    fn at(&self, benchmark: &str, rows: &str) -> bool {
        match self.rows.is_empty() {
            true => self.benchmarks.iter().any(|name| name == benchmark),
            false => self.rows.iter().any(|hash| hash == rows),
        }
    }
}

/// SHA-256 over the questions, contexts and labels, whatever their order and ids: the same for the test rows of a
/// data set that was built again.
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
    hex(&Sha256::digest(rows.concat()))
}

/// The looks in a run folder so far, the oldest first; a last line that was cut off by a full disk is left out.
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

/// The looks found, and the places outside the run folder where one could not be read or written.
#[derive(Debug, Default)]
pub struct Recorded {
    /// The run's own looks and those of other runs that share questions with this one, the oldest first; this one is
    /// the last.
    pub looks: Vec<Look>,
    /// What failed in a shared place; the look is in the run folder all the same.
    pub faults: Vec<EvalError>,
}

/// Writes down a look before its questions are asked, in the run folder and in each shared folder (the data set's,
/// the cache).
///
/// # Errors
/// As [`read`], for the run folder; a shared folder that cannot be used is among the faults.
pub fn record(folder: &Path, shared: &[PathBuf], look: Look) -> Result<Recorded, EvalError> {
    let mut looks = read(folder)?;
    append(&folder.join(FILE), &look)?;
    // Whatever path this run had then: it may have been moved, and earlier versions wrote it as it was typed.
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
    Ok(Recorded { looks, faults })
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

/// Looks at the questions of one benchmark, by their hash.
pub fn count(looks: &[Look], benchmark: &str, rows: &str) -> usize {
    looks.iter().filter(|look| look.at(benchmark, rows)).count()
}

/// Runs that looked at the questions of one benchmark.
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
        // Other questions under the same name, and the same ones under another.
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
        let judge = |run: &str, shared: &[PathBuf], hash: &str| {
            let found = record(&place(run), shared, look(run, &[("test", hash)])).unwrap();
            assert!(found.faults.is_empty());
            (
                count(&found.looks, "test", hash),
                runs(&found.looks, "test", hash),
            )
        };
        assert_eq!(judge("first", &shared, "t"), (1, 1));
        // Changed, trained again, judged again: each look stands in two places and counts once.
        assert_eq!(judge("second", &shared, "t"), (2, 2));
        // The data set was copied: the cache knows.
        let copied = [place("copy"), shared[1].clone()];
        assert_eq!(judge("third", &copied, "t"), (3, 3));
        // The cache was emptied: the data set knows.
        assert_eq!(judge("third", &shared[..1], "t"), (4, 3));
        assert_eq!(judge("fourth", &shared, "other"), (1, 1));
        // A place that cannot be written is told, and the run folder has the look.
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
        // Moved since: looks in the run's own folder are its own.
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
    fn a_torn_last_line_is_left_out_and_a_broken_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        record(folder.path(), &[], look("run", &[("test", "t")])).unwrap();
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
