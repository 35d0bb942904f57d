//! Leaks between the splits of any data set, also one made elsewhere.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use crate::build::{NEAR_QUESTIONS, NEAR_RATIONALES};
use crate::encoding::read_bytes;
use crate::near::{Shingles, pairs};
use crate::normal::{abstract_key, question_key};
use crate::protect::pmids;
use crate::{Error, Protect, Result, Split};

/// How two rows of different splits are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeakKind {
    /// The same question after normalization.
    Question,
    /// Nearly the same question.
    NearQuestion,
    /// Nearly the same rationale.
    NearRationale,
    /// The same context.
    Context,
    /// The same abstract, by its PMID.
    Pmid,
    /// The same wording of generated questions, which differ in their numbers alone.
    Wording,
}

impl LeakKind {
    /// Every kind, in the order of tables.
    pub const ALL: [LeakKind; 6] = [
        LeakKind::Question,
        LeakKind::NearQuestion,
        LeakKind::NearRationale,
        LeakKind::Context,
        LeakKind::Pmid,
        LeakKind::Wording,
    ];

    /// In words.
    pub fn about(self) -> &'static str {
        match self {
            LeakKind::Question => "the same question",
            LeakKind::NearQuestion => "nearly the same question",
            LeakKind::NearRationale => "nearly the same rationale",
            LeakKind::Context => "the same context",
            LeakKind::Pmid => "the same PMID",
            LeakKind::Wording => "the same generated wording",
        }
    }
}

/// A split or benchmark, and the line in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Location {
    /// `train`, `validation`, `test`, or a benchmark's name.
    pub split: String,
    /// Line in its file, or place among the benchmark's questions, counted from 1.
    pub line: usize,
}

/// An example that occurs in two places.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Leak {
    /// How.
    pub kind: LeakKind,
    /// The row that ought to be unseen.
    pub row: Location,
    /// The first row of an earlier split (of the data set, for a benchmark's question) with which it is shared.
    pub seen: Location,
    /// The question of the row, where it is known.
    pub question: String,
}

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// The folder.
    pub folder: PathBuf,
    /// Rows of each split or benchmark.
    pub rows: BTreeMap<String, usize>,
    /// One for each row and kind: a row that leaks from ten rows counts once.
    pub leaks: Vec<Leak>,
}

impl Audit {
    /// Rows of `of` that leak from `seen_in` in one way.
    pub fn count(&self, kind: LeakKind, of: &str, seen_in: &str) -> usize {
        let here =
            |leak: &&Leak| leak.kind == kind && leak.row.split == of && leak.seen.split == seen_in;
        self.leaks.iter().filter(here).count()
    }
}

/// File names that a split may have elsewhere.
fn names(split: Split) -> &'static [&'static str] {
    match split {
        Split::Train => &["train.jsonl", "training.jsonl"],
        Split::Validation => &["validation.jsonl", "valid.jsonl", "val.jsonl", "dev.jsonl"],
        Split::Test => &["test.jsonl"],
    }
}

struct AuditedRow {
    place: Location,
    keys: Vec<(LeakKind, String)>,
    text: String,
    question: Shingles,
    rationale: Shingles,
}

/// Looks for examples that occur in two splits of a folder, or in a benchmark and a split: the same or nearly the
/// same question or rationale, the same context, the same PMID. A benchmark's question leaks from train and
/// validation, not from test. Reads `train.jsonl`, `validation.jsonl` (`valid`,
/// `val`, `dev`) and `test.jsonl`, as many as there are; a row needs `question`, and may have `rationale` (or
/// `answer`), `context`, `id` and `pmid`.
///
/// # Errors
/// [`Error::NoFiles`] where no split is there; [`Error::Json`] and [`Error::Field`] with file and line.
pub fn audit(folder: impl AsRef<Path>, protect: &[Protect]) -> Result<Audit> {
    let folder = folder.as_ref();
    let mut rows = Vec::new();
    for split in Split::ALL {
        let paths = names(split).iter().map(|name| folder.join(name));
        if let Some(path) = paths.into_iter().find(|path| path.is_file()) {
            read(&path, split, &mut rows)?;
        }
    }
    if rows.is_empty() {
        return Err(Error::NoFiles {
            path: folder.to_owned(),
            expected: "rows in train.jsonl, validation.jsonl or test.jsonl",
        });
    }
    for benchmark in protect {
        let benchmark = benchmark.read()?;
        let questions = benchmark.questions.into_iter().enumerate();
        rows.extend(questions.map(|(index, question)| AuditedRow {
            place: Location {
                split: benchmark.name.clone(),
                line: index + 1,
            },
            keys: question.keys.into_iter().map(kind_of).collect(),
            text: String::new(),
            question: question.shingles,
            rationale: Shingles::default(),
        }));
    }
    let mut counts = BTreeMap::new();
    for row in &rows {
        *counts.entry(row.place.split.clone()).or_default() += 1;
    }
    Ok(Audit {
        folder: folder.to_owned(),
        rows: counts,
        leaks: leaks(&rows),
    })
}

fn kind_of(key: String) -> (LeakKind, String) {
    match key.starts_with("question:") {
        true => (LeakKind::Question, key),
        false => (LeakKind::Pmid, key),
    }
}

fn leaks(rows: &[AuditedRow]) -> Vec<Leak> {
    // Of each row and kind the first other row, in the order of splits.
    let mut first: BTreeMap<(usize, LeakKind), usize> = BTreeMap::new();
    let is = |place: &Location, split: Split| place.split == split.as_str();
    let mut see = |kind, seen: usize, row: usize| {
        let (of, seen_in) = (&rows[row].place, &rows[seen].place);
        // A benchmark's question may be in the test set, from which nothing is learned.
        let harmless = is(seen_in, Split::Test) && !Split::ALL.iter().any(|split| is(of, *split));
        if of.split != seen_in.split && !harmless {
            let earliest = first.entry((row, kind)).or_insert(seen);
            *earliest = seen.min(*earliest);
        }
    };
    let mut by_key: HashMap<&(LeakKind, String), Vec<usize>> = HashMap::new();
    for (index, row) in rows.iter().enumerate() {
        for key in &row.keys {
            // One row of each split is enough to be seen.
            let seen = by_key.entry(key).or_default();
            seen.iter().for_each(|seen| see(key.0, *seen, index));
            if seen
                .iter()
                .all(|seen| rows[*seen].place.split != row.place.split)
            {
                seen.push(index);
            }
        }
    }
    let near = |text: fn(&AuditedRow) -> &Shingles, share| {
        let texts: Vec<&Shingles> = rows.iter().map(text).collect();
        pairs(&texts, share)
    };
    for (seen, row) in near(|row| &row.question, NEAR_QUESTIONS) {
        see(LeakKind::NearQuestion, seen, row);
    }
    for (seen, row) in near(|row| &row.rationale, NEAR_RATIONALES) {
        see(LeakKind::NearRationale, seen, row);
    }
    // What is the same is not reported as nearly the same too.
    let same = |row: usize, seen: usize| first.get(&(row, LeakKind::Question)) == Some(&seen);
    let reported = first
        .iter()
        .filter(|((row, kind), seen)| *kind != LeakKind::NearQuestion || !same(*row, **seen));
    let mut leaks: Vec<Leak> = reported
        .map(|((row, kind), seen)| Leak {
            kind: *kind,
            row: rows[*row].place.clone(),
            seen: rows[*seen].place.clone(),
            question: match rows[*row].text.is_empty() {
                true => rows[*seen].text.clone(),
                false => rows[*row].text.clone(),
            },
        })
        .collect();
    leaks.sort_by_key(|leak| leak.kind);
    leaks
}

/// `stats:family/wording` of a generated row, whose id is `stats:family/wording/level:number`.
fn wording(row: &Value) -> Option<String> {
    let id = row["id"].as_str().filter(|_| row["source"] == "stats")?;
    let (wording, number) = id.rsplit_once('/')?;
    let whole = wording.starts_with("stats:") && wording.contains('/') && number.contains(':');
    whole.then(|| wording.to_owned())
}

fn read(path: &Path, split: Split, rows: &mut Vec<AuditedRow>) -> Result<()> {
    let bytes = read_bytes(path)?;
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let number = index + 1;
        let row: Value =
            serde_json::from_slice(line).map_err(|error| Error::json(path, number, &error))?;
        let question = row["question"].as_str().ok_or_else(|| Error::Field {
            path: path.to_owned(),
            place: format!("line {number}"),
            expected: "field \"question\" as text".into(),
            found: crate::sources::kind(&row["question"]),
        })?;
        let rationale = row["rationale"].as_str().or(row["answer"].as_str());
        let context = row["context"].as_str();
        let mut keys: Vec<(LeakKind, String)> =
            pmids(&row).map(|key| (LeakKind::Pmid, key)).collect();
        keys.push((LeakKind::Question, question_key(question, None)));
        // As in a build: generated rows of one family explain alike and differ in their numbers, which are what they
        // ask for; what must not be seen before is their wording.
        let generated = wording(&row).map(|wording| (LeakKind::Wording, wording));
        let near = generated.is_none();
        keys.extend(generated);
        keys.extend(
            context
                .and_then(abstract_key)
                .map(|key| (LeakKind::Context, key)),
        );
        rows.push(AuditedRow {
            place: Location {
                split: split.to_string(),
                line: number,
            },
            keys,
            text: question.to_owned(),
            question: match near {
                true => Shingles::of(question),
                false => Shingles::default(),
            },
            rationale: rationale
                .filter(|_| near)
                .map(Shingles::of)
                .unwrap_or_default(),
        });
    }
    Ok(())
}
