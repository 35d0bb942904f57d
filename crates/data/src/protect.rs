//! Benchmarks that a data set must not teach: what names their questions.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::Value;

use crate::encoding::mark;
use crate::near::Shingles;
use crate::normal::question_key;
use crate::sources::documents;
use crate::text::is_number;
use crate::{Error, Result};
use verdict_common::hash::sha256;

/// A benchmark whose questions, with all that is tied to them, stay out of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protect {
    /// The 500 questions of PubMedQA's official test, known by their PMIDs and by hashes of their wordings, so that
    /// they and their near copies are found where they were published again without PMIDs.
    PubmedqaTest,
    /// A file: PubMedQA's or BioASQ's JSON, a JSON object keyed by PMID, JSON lines with `question` or `pmid`
    /// (such as a split of a data set), or a PMID a line.
    File(PathBuf),
}

/// The name of [`Protect::PubmedqaTest`].
const PUBMEDQA_TEST: &str = "pubmedqa-test";

impl FromStr for Protect {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        Ok(match text {
            PUBMEDQA_TEST => Protect::PubmedqaTest,
            path => Protect::File(path.into()),
        })
    }
}

impl fmt::Display for Protect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Protect::PubmedqaTest => f.write_str(PUBMEDQA_TEST),
            Protect::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The PMIDs of PubMedQA's official test questions.
pub fn pubmedqa_test() -> impl Iterator<Item = &'static str> {
    hashed().map(|(pmid, ..)| pmid)
}

/// Of each of PubMedQA's official test questions its PMID, the key of its wording, and its word pairs' hashes in
/// hexadecimal.
fn hashed() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let lines = include_str!("pubmedqa_test.txt").lines();
    lines
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut parts = line.splitn(3, ' ');
            Some((parts.next()?, parts.next()?, parts.next()?))
        })
}

/// One question of a benchmark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProtectedQuestion {
    /// Keys that a row may share with it.
    pub(crate) keys: Vec<String>,
    /// Its wording, where it is known.
    pub(crate) shingles: Shingles,
}

impl ProtectedQuestion {
    fn new(keys: Vec<String>, wording: Option<&str>) -> Self {
        let mut keys = keys;
        keys.extend(wording.map(|text| question_key(text, None)));
        ProtectedQuestion {
            keys,
            shingles: wording.map(Shingles::of).unwrap_or_default(),
        }
    }

    /// Of a line that has only hashes.
    fn hashed((pmid, key, pairs): (&str, &str, &str)) -> Self {
        let pairs = pairs.as_bytes().chunks(8);
        let pairs = pairs.filter_map(|digits| std::str::from_utf8(digits).ok());
        ProtectedQuestion {
            keys: vec![format!("pmid:{pmid}"), format!("question:{key}")],
            shingles: Shingles::of_hashes(
                pairs.filter_map(|digits| u32::from_str_radix(digits, 16).ok()),
            ),
        }
    }
}

/// A benchmark that was read.
pub(crate) struct Benchmark {
    pub(crate) name: String,
    pub(crate) sha256: String,
    pub(crate) questions: Vec<ProtectedQuestion>,
}

impl Protect {
    /// What is kept out by default.
    pub fn usual() -> Vec<Protect> {
        vec![Protect::PubmedqaTest]
    }

    /// Reads the benchmark.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Json`] and [`Error::Field`] for a file that names no questions.
    pub(crate) fn read(&self) -> Result<Benchmark> {
        let (path, bytes) = match self {
            Protect::PubmedqaTest => {
                let list = include_str!("pubmedqa_test.txt");
                (Path::new(PUBMEDQA_TEST), list.as_bytes().to_vec())
            }
            Protect::File(path) => (
                path.as_path(),
                std::fs::read(path).map_err(Error::io(path))?,
            ),
        };
        let name = path.file_name().unwrap_or(path.as_os_str());
        Ok(Benchmark {
            name: name.to_string_lossy().into_owned(),
            sha256: sha256(&bytes),
            questions: match self {
                Protect::PubmedqaTest => hashed().map(ProtectedQuestion::hashed).collect(),
                Protect::File(_) => questions(path, &bytes)?,
            },
        })
    }
}

fn questions(path: &Path, bytes: &[u8]) -> Result<Vec<ProtectedQuestion>> {
    let bytes = &bytes[mark(path, bytes)?..];
    let first = bytes.iter().find(|b| !b.is_ascii_whitespace());
    let whole = match first {
        Some(b'{') => serde_json::from_slice::<Value>(bytes).ok(),
        _ => None,
    };
    match whole {
        Some(Value::Object(object)) if object.contains_key("questions") => bioasq(path, &object),
        Some(Value::Object(object)) if WORDINGS.iter().any(|name| object.contains_key(*name)) => {
            Ok(vec![line(path, 1, &Value::Object(object))?])
        }
        Some(Value::Object(object)) => object
            .iter()
            .map(|(pmid, row)| {
                let keys = vec![pmid_key(path, &format!("key {pmid:?}"), pmid)?];
                Ok(ProtectedQuestion::new(keys, row["QUESTION"].as_str()))
            })
            .collect(),
        _ => lines(path, bytes),
    }
}

fn bioasq(path: &Path, object: &serde_json::Map<String, Value>) -> Result<Vec<ProtectedQuestion>> {
    let list = object["questions"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let read = |(index, row): (usize, &Value)| {
        let place = format!("question {index}");
        let body = row["body"].as_str();
        let body =
            body.ok_or_else(|| fault(path, &place, "field \"body\" as text", &row["body"]))?;
        let id = row["id"].as_str().map(|id| format!("bioasq:{id}"));
        let keys = id.into_iter().chain(documents(row));
        Ok(ProtectedQuestion::new(keys.collect(), Some(body)))
    };
    list.iter().enumerate().map(read).collect()
}

fn lines(path: &Path, bytes: &[u8]) -> Result<Vec<ProtectedQuestion>> {
    let mut questions = Vec::new();
    for (index, text) in bytes.split(|b| *b == b'\n').enumerate() {
        let text = text.trim_ascii();
        let number = index + 1;
        match text.first() {
            None | Some(b'#') => {}
            Some(b'{') => {
                let row: Value = serde_json::from_slice(text)
                    .map_err(|error| Error::json(path, number, &error))?;
                questions.push(line(path, number, &row)?);
            }
            Some(_) => {
                let pmid = String::from_utf8_lossy(text);
                let key = pmid_key(path, &format!("line {number}"), &pmid)?;
                questions.push(ProtectedQuestion::new(vec![key], None));
            }
        }
    }
    Ok(questions)
}

/// What the wording is called in a row of JSON lines.
const WORDINGS: [&str; 3] = ["question", "QUESTION", "body"];

/// An object with `question`, or `pmid`, or both; an id as data sets have it may hold a PMID too.
fn line(path: &Path, number: usize, row: &Value) -> Result<ProtectedQuestion> {
    let keys: Vec<String> = pmids(row).collect();
    let wording = WORDINGS.iter().find_map(|name| row[name].as_str());
    match wording.is_some() || !keys.is_empty() {
        true => Ok(ProtectedQuestion::new(keys, wording)),
        false => Err(fault(
            path,
            &format!("line {number}"),
            "field \"question\" as text, or \"pmid\"",
            &row["question"],
        )),
    }
}

/// Keys of a row that was made elsewhere: its `pmid` (`PMID`, `pubid`), what its `id` and its `group` say, and its
/// `documents`.
pub(crate) fn pmids(row: &Value) -> impl Iterator<Item = String> {
    let pmid = |name: &str| match &row[name] {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let pmid = ["pmid", "PMID", "pubid"].into_iter().find_map(pmid);
    let pmid = pmid.filter(|text| is_number(text));
    let id = row["id"].as_str().and_then(|id| id.split_once(':'));
    let id = id.and_then(|(kind, number)| match kind {
        "bioasq" => Some(format!("bioasq:{number}")),
        _ if kind.starts_with("pubmedqa") && is_number(number) => Some(format!("pmid:{number}")),
        _ => None,
    });
    let group = row["group"].as_str().filter(|group| {
        let named = group.strip_prefix("pmid:").is_some_and(is_number);
        named || group.starts_with("bioasq:")
    });
    let keys = pmid.map(|text| format!("pmid:{text}")).into_iter();
    let keys = keys.chain(id).chain(group.map(str::to_owned));
    let mut keys: Vec<String> = keys.chain(documents(row)).collect();
    let mut seen = HashSet::new();
    keys.retain(|key| seen.insert(key.clone()));
    keys.into_iter()
}

fn pmid_key(path: &Path, place: &str, text: &str) -> Result<String> {
    match is_number(text) {
        true => Ok(format!("pmid:{text}")),
        false => Err(Error::Field {
            path: path.to_owned(),
            place: place.to_owned(),
            expected: "a PMID".into(),
            found: format!("{:?}", text.chars().take(40).collect::<String>()),
        }),
    }
}

fn fault(path: &Path, place: &str, expected: &str, found: &Value) -> Error {
    Error::Field {
        path: path.to_owned(),
        place: place.to_owned(),
        expected: expected.into(),
        found: crate::sources::kind(found),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Protect, ProtectedQuestion, questions};
    use crate::near::Shingles;
    use crate::normal::question_key;

    fn keys(text: &str) -> Vec<Vec<String>> {
        let read = questions(Path::new("file"), text.as_bytes()).expect("reads");
        let first = |keys: Vec<String>| keys.into_iter().filter(|k| !k.starts_with("question:"));
        read.into_iter().map(|q| first(q.keys).collect()).collect()
    }

    #[test]
    fn every_layout_names_its_questions() {
        let pmids = |list: &[&str]| -> Vec<Vec<String>> {
            list.iter().map(|p| vec![format!("pmid:{p}")]).collect()
        };
        assert_eq!(keys("# a list\n123\n\n456\n"), pmids(&["123", "456"]));
        assert_eq!(
            keys(r#"{"123": "yes", "456": {"QUESTION": "Is it?"}}"#),
            pmids(&["123", "456"])
        );
        assert_eq!(
            keys("{\"question\": \"Is it?\", \"id\": \"pubmedqa-labeled:123\"}\n{\"pmid\": 456}\n"),
            pmids(&["123", "456"])
        );
        assert_eq!(
            keys(r#"{"questions": [{"id": "5c6d", "body": "Is it?"}]}"#),
            [["bioasq:5c6d"]]
        );
        // The abstracts that a question was made from are its benchmark's too.
        assert_eq!(
            keys(
                r#"{"questions": [{"id": "5c6d", "body": "Is it?", "documents": [
                    "http://www.ncbi.nlm.nih.gov/pubmed/123", "https://pubmed.ncbi.nlm.nih.gov/456/"],
                    "snippets": [{"document": "http://www.ncbi.nlm.nih.gov/pubmed/789", "text": "So."},
                    {"document": "http://www.ncbi.nlm.nih.gov/pubmed/123"}]}]}"#
            ),
            [["bioasq:5c6d", "pmid:123", "pmid:456", "pmid:789"]]
        );
        assert_eq!(
            keys("{\"pubid\": 12, \"QUESTION\": \"Is it?\", \"group\": \"pmid:13\"}"),
            [["pmid:12", "pmid:13"]]
        );
        let worded = questions(Path::new("f"), br#"{"question": "Is it so?"}"#).expect("reads");
        assert!(worded[0].keys[0].starts_with("question:"));
    }

    #[test]
    fn a_file_that_names_no_question_is_reported_with_its_place() {
        let error = |text: &str| {
            questions(Path::new("file"), text.as_bytes())
                .expect_err("refused")
                .to_string()
        };
        assert_eq!(
            error("123\nabc\n"),
            "file: line 2: expected a PMID, found \"abc\""
        );
        assert_eq!(
            error("{\"question\": 5}\n{}\n"),
            "file: line 1: expected field \"question\" as text, or \"pmid\", found the number 5"
        );
        assert_eq!(
            error(r#"{"x": 1}"#),
            "file: key \"x\": expected a PMID, found \"x\""
        );
    }

    #[test]
    fn the_official_test_has_500_questions() {
        let benchmark = "pubmedqa-test"
            .parse::<Protect>()
            .expect("a name")
            .read()
            .expect("built in");
        assert_eq!(benchmark.questions.len(), 500);
        assert_eq!(benchmark.name, "pubmedqa-test");
        assert!(
            benchmark
                .questions
                .iter()
                .all(|question| question.keys.len() == 2)
        );
    }

    #[test]
    fn the_official_test_is_known_by_its_wording() {
        let benchmark = Protect::PubmedqaTest.read().expect("built in");
        // PMID 17208539, as others publish it: in lower case and without its PMID (MIT licence).
        let asked = "is anorectal endosonography valuable in dyschesia?";
        let key = question_key(asked, None);
        let known = |question: &&ProtectedQuestion| question.keys.contains(&key);
        let found = benchmark.questions.iter().find(known).expect("known");
        assert_eq!(found.shingles, Shingles::of(asked));
    }

    /// With PubMedQA's files at hand the list is what they give; `VERDICT_WRITE_PUBMEDQA_TEST=1` writes it.
    #[test]
    fn the_hashes_are_those_of_the_published_questions() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let data = here.join("../../../shared/data/pubmedqa");
        let read = |name: &str| -> Option<serde_json::Value> {
            let bytes = std::fs::read(data.join(name)).ok()?;
            serde_json::from_slice(&bytes).ok()
        };
        let (Some(rows), Some(test)) = (read("ori_pqal.json"), read("test_ground_truth.json"))
        else {
            return;
        };
        let mut list = String::from(
            "# PubMedQA's official test questions (Jin et al. 2019, github.com/pubmedqa/pubmedqa, MIT licence), by hashes\n\
             # alone: PMID, key of the wording in its normal form, hashes of its word pairs.\n",
        );
        let mut pmids: Vec<&String> = test.as_object().expect("an object").keys().collect();
        pmids.sort_by_key(|pmid| pmid.parse::<u64>().expect("a number"));
        for pmid in pmids {
            let wording = rows[pmid]["QUESTION"].as_str().expect("text");
            let key = question_key(wording, None);
            let pairs = Shingles::of(wording);
            let pairs: String = pairs
                .hashes()
                .iter()
                .map(|pair| format!("{pair:08x}"))
                .collect();
            list += &format!("{pmid} {} {pairs}\n", key.trim_start_matches("question:"));
        }
        if std::env::var_os("VERDICT_WRITE_PUBMEDQA_TEST").is_some() {
            std::fs::write(here.join("src/pubmedqa_test.txt"), &list).expect("written");
        }
        assert!(
            list == include_str!("pubmedqa_test.txt"),
            "the list is stale"
        );
    }
}
