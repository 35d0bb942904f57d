//! PubMedQA as published: one JSON object, keyed by PMID, the same layout for the expert-labelled
//! part (PQA-L) and the artificial one (PQA-A).
//!
//! Source: Jin, Dhingra, Liu, Cohen and Lu, "PubMedQA: A Dataset for Biomedical Research Question
//! Answering", EMNLP 2019.

use std::fmt;
use std::path::Path;

use rayon::prelude::*;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::fields::Row;
use crate::dataset::json_error;
use crate::text::{abstract_key, question_key};
use crate::{RawItem, Result};

/// The rows of a file, in its order.
pub(super) fn parse(
    path: &Path,
    bytes: &[u8],
    source: &'static str,
    contexts: bool,
) -> Result<Vec<RawItem>> {
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    // Where the rows stand, then the rows themselves on all threads: the artificial part has 211,269.
    let places = parser.deserialize_map(Places).and_then(|places| {
        parser.end()?;
        Ok(places)
    });
    let places = places.map_err(|error| json_error(path, 1, &error))?;
    let read = |(pmid, text): &(String, &RawValue)| {
        // It was read once already.
        let object: Value =
            serde_json::from_str(text.get()).map_err(|error| json_error(path, 1, &error))?;
        let row = Row {
            path,
            place: format!("PMID {pmid}"),
            object: &object,
        };
        item(&row, pmid, source, contexts)
    };
    // The first fault in the file's order, whichever thread was faster.
    let rows: Vec<Result<RawItem>> = places.par_iter().map(read).collect();
    rows.into_iter().collect()
}

/// PMIDs, and the text of their rows.
struct Places;

impl<'de> Visitor<'de> for Places {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object keyed by PMID")
    }

    fn visit_map<M: MapAccess<'de>>(
        self,
        mut map: M,
    ) -> std::result::Result<Self::Value, M::Error> {
        let mut places = Vec::new();
        while let Some(place) = map.next_entry()? {
            places.push(place);
        }
        Ok(places)
    }
}

fn item(row: &Row<'_>, pmid: &str, source: &'static str, contexts: bool) -> Result<RawItem> {
    let question = row.text("QUESTION")?.to_owned();
    let label = row.label("final_decision", row.text("final_decision")?)?;
    let answer = row.text("LONG_ANSWER")?.to_owned();
    let body = row.texts("CONTEXTS")?.join(" ");
    let mut group = vec![format!("pmid:{pmid}")];
    group.extend(abstract_key(&body));
    group.push(question_key(&question, None));
    Ok(RawItem {
        id: format!("{source}:{pmid}"),
        question,
        label,
        answer,
        source: source.to_owned(),
        group,
        context: (contexts && !body.trim().is_empty()).then_some(body),
        split: None,
    })
}
