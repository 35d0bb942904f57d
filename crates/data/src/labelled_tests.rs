//! The citation detector and the first sentence against labels that were made by reading: 590 sentences and 304
//! answers of PubMedQA and BioASQ. `tests/labels` holds the labels as places in the published files, not the texts;
//! docs/concepts/data-set.md tells how they were drawn and decided. Skipped where the files are not there.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::Rules;
use crate::citations::{self, Kind};
use crate::rationale::clean;
use crate::text::mend;

#[derive(Deserialize)]
struct Place {
    file: String,
    id: String,
    field: String,
    start: usize,
    end: usize,
    sha: String,
}

#[derive(Deserialize)]
struct Sentence {
    #[serde(flatten)]
    place: Place,
    citations: Vec<Span>,
}

#[derive(Deserialize)]
struct Span {
    kind: Kind,
    start: usize,
    end: usize,
}

/// The published files, read as they are asked for.
struct Published {
    folder: PathBuf,
    files: HashMap<String, Value>,
}

impl Published {
    fn find(test: &str) -> Option<Published> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
        if !folder.join("pubmedqa/ori_pqal.json").is_file() {
            told(&format!(
                "skipped {test}: no published data in {}",
                folder.display()
            ));
            return None;
        }
        Some(Published {
            folder,
            files: HashMap::new(),
        })
    }

    /// The field's whole text, and the labelled part of it.
    fn text(&mut self, place: &Place) -> (String, String) {
        let folder = &self.folder;
        let file = self.files.entry(place.file.clone()).or_insert_with(|| {
            let bytes = std::fs::read(folder.join(&place.file)).expect("a published file");
            serde_json::from_slice(&bytes).expect("JSON")
        });
        let row = match file["questions"].as_array() {
            Some(questions) => questions.iter().find(|row| row["id"] == place.id.as_str()),
            None => Some(&file[&place.id]),
        };
        let mut value = row.expect("the row");
        for part in place
            .field
            .split(['.', '['])
            .map(|part| part.trim_end_matches(']'))
        {
            value = match part.parse::<usize>() {
                Ok(index) => &value[index],
                Err(_) => &value[part],
            };
        }
        let whole = value.as_str().expect("a text").to_owned();
        let part = slice(&whole, place.start, place.end);
        assert_eq!(
            crate::digest::sha256(part.as_bytes())[..8],
            place.sha,
            "{}",
            place.id
        );
        (whole, part)
    }
}

/// Characters from one to another.
fn slice(text: &str, start: usize, end: usize) -> String {
    text.chars().skip(start).take(end - start).collect()
}

fn labels<T: for<'de> Deserialize<'de>>(name: &str) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/labels")
        .join(name);
    let text = std::fs::read_to_string(path).expect("the labels");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a label"))
        .collect()
}

#[allow(clippy::print_stderr)]
fn told(text: &str) {
    eprintln!("{text}");
}

#[test]
fn the_detector_finds_what_readers_call_citations() {
    let Some(mut published) = Published::find("the_detector_finds_what_readers_call_citations")
    else {
        return;
    };
    let (mut both, mut false_alarms, mut missed) = (0, 0, 0);
    let mut kinds: BTreeMap<Kind, (usize, usize)> = BTreeMap::new();
    for sentence in labels::<Sentence>("citations.jsonl") {
        let (_, raw) = published.text(&sentence.place);
        let found = citations::contains(&mend(&raw));
        match (found, sentence.citations.is_empty()) {
            (true, false) => both += 1,
            (true, true) => {
                false_alarms += 1;
                told(&format!(
                    "false alarm {}: {:?} in {raw}",
                    sentence.place.id,
                    citations::remove(&mend(&raw)).1
                ));
            }
            (false, false) => missed += 1,
            (false, true) => {}
        }
        for span in &sentence.citations {
            // A citation is found by itself where what surrounds it does not help.
            let text = slice(&raw, span.start, span.end);
            let seen = citations::remove(&mend(&raw)).1;
            let hit = seen.iter().any(|of| {
                mend(&text).contains(of.text.trim()) || of.text.contains(mend(&text).trim())
            });
            let (hits, all) = kinds.entry(span.kind).or_default();
            *hits += usize::from(hit);
            *all += 1;
            if !hit {
                told(&format!(
                    "missed {:?} {}: {text:?} in {raw}",
                    span.kind, sentence.place.id
                ));
            }
        }
    }
    let precision = f64::from(both) / f64::from(both + false_alarms);
    let recall = f64::from(both) / f64::from(both + missed);
    told(&format!(
        "sentences: {both} found, {false_alarms} false alarms, {missed} missed: precision {precision:.4}, recall {recall:.4}; citations by kind: {kinds:?}"
    ));
    assert!(precision >= 0.98, "precision {precision}");
    assert!(recall >= 0.95, "recall {recall}");
}

#[test]
fn the_first_sentence_is_the_one_that_readers_take() {
    let Some(mut published) = Published::find("the_first_sentence_is_the_one_that_readers_take")
    else {
        return;
    };
    let rules = Rules::default();
    let (mut right, mut all) = (0, 0);
    for place in labels::<Place>("first_sentences.jsonl") {
        let (whole, sentence) = published.text(&place);
        let (found, alone) = (
            clean(&mend(&whole), &rules),
            clean(&mend(&sentence), &rules),
        );
        // What a reader takes is one sentence for us too, and is what we take.
        all += 1;
        match found.text == alone.text && !alone.cut {
            true => right += 1,
            false => told(&format!(
                "wrong {}: {:?} for {sentence:?} of {whole:?}",
                place.id, found.text
            )),
        }
    }
    told(&format!("first sentences: {right} of {all} right"));
    assert!(right * 100 >= all * 99, "{right} of {all}");
}
