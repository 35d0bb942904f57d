//! PubMedQA as published: one JSON object, keyed by PMID, the same layout for the expert-labelled
//! part (PQA-L) and the artificial one (PQA-A).
//!
//! Source: Jin, Dhingra, Liu, Cohen and Lu, "PubMedQA: A Dataset for Biomedical Research Question
//! Answering", EMNLP 2019.

use std::fmt;
use std::path::Path;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

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
    // Row by row: the artificial part has 211,269 of them, and most of each is not needed.
    let mut collector = Collector {
        path,
        source,
        contexts,
        rows: Vec::new(),
        fault: None,
    };
    let parsed = parser
        .deserialize_map(&mut collector)
        .and_then(|()| parser.end());
    match (collector.fault, parsed) {
        (Some(fault), _) => Err(fault),
        (None, Err(error)) => Err(json_error(path, 1, &error)),
        (None, Ok(())) => Ok(collector.rows),
    }
}

struct Collector<'a> {
    path: &'a Path,
    source: &'static str,
    contexts: bool,
    rows: Vec<RawItem>,
    fault: Option<crate::Error>,
}

impl<'de> Visitor<'de> for &mut Collector<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object keyed by PMID")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<(), M::Error> {
        while let Some((pmid, object)) = map.next_entry::<String, Value>()? {
            let row = Row {
                path: self.path,
                place: format!("PMID {pmid}"),
                object: &object,
            };
            match item(&row, &pmid, self.source, self.contexts) {
                Ok(item) => self.rows.push(item),
                Err(fault) => {
                    self.fault = Some(fault);
                    return Err(serde::de::Error::custom("a row is at fault"));
                }
            }
        }
        Ok(())
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
