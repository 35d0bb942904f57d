//! What a build does to one row, and why.

use serde::Serialize;

use super::plan::{Outcome, plan};
use super::rules::{clean, question};
use super::settings::BuildSettings;
use crate::choice::{Candidate, choose};
use crate::mend::mend_by;
use crate::sources::{self, Reading};
use crate::staging::StagingFolder;
use crate::{Error, RawItem, Result, Split};

/// One change of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The rule, as the manifest names it; `rationale` is all that makes a sentence out of an answer.
    pub rule: &'static str,
    /// The text before.
    pub before: String,
    /// The text after.
    pub after: String,
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// Its id.
    pub id: String,
    /// The question as the source writes it.
    pub question: String,
    /// Its label; none where it has none.
    pub label: Option<String>,
    /// The answer as the source writes it.
    pub answer: String,
    /// The changes, in order.
    pub steps: Vec<Step>,
    /// The sentences of its answer as they were weighed; none where it has one alone.
    pub candidates: Vec<Candidate>,
    /// The split it went to; none where it was dropped or set apart.
    pub split: Option<Split>,
    /// What became of it, in words.
    #[serde(rename = "fate")]
    pub outcome: String,
    /// Rows that are tied to it, the first few.
    pub tied: Vec<String>,
}

/// Rows of a group that are listed.
const LISTED: usize = 10;

/// Builds without writing a data set, and returns what became of one row: that of the id, or of the id that ends in a
/// colon and what is given.
///
/// # Errors
/// As [`build`](super::build()); [`Error::NoSuchRow`] where no source has the row.
pub fn explain(settings: &BuildSettings, id: &str) -> Result<Explanation> {
    settings.check()?;
    let benchmarks = settings.benchmarks()?;
    let raw = find(settings, id)?;
    let id = raw.id.clone();
    let id = id.as_str();
    // One row is looked at, not a set.
    let settings = &BuildSettings {
        empty_splits: true,
        ..settings.clone()
    };
    let mut explanation = Explanation {
        id: id.to_owned(),
        question: raw.question.clone(),
        label: raw.label.map(|label| label.to_string()),
        answer: raw.answer.clone(),
        steps: Vec::new(),
        candidates: candidates(&raw, settings),
        split: None,
        outcome: String::new(),
        tied: Vec::new(),
    };
    let mut trace = |rule, before: &str, after: &str| {
        explanation.steps.push(Step {
            rule,
            before: before.to_owned(),
            after: after.to_owned(),
        });
    };
    let (clean, tally) = clean(raw, settings, &mut trace);
    if clean.is_none() {
        let rules = super::rules::rules(&tally);
        let dropped = |rule: &&crate::manifest::RuleRecord| {
            rule.rows > 0 && rule.effect == crate::manifest::Effect::Dropped
        };
        let why = rules.iter().find(dropped).map_or("", |rule| &rule.about);
        explanation.outcome = format!("dropped: {why}");
        return Ok(explanation);
    }
    let scratch = tempfile::tempdir().map_err(Error::io(std::env::temp_dir()))?;
    let staging = StagingFolder::beside(&scratch.path().join("set"))?;
    let mut store = super::scan::scan(settings, &staging.scratch()?, (1, 1))?;
    store.hold((settings.memory_mib as u64) << 20)?;
    let plan = plan(&mut store, &benchmarks, settings)?;
    let rows = || 0..store.rows.len() as u32;
    let Some(row) = rows().find(|row| store.id(*row) == id) else {
        return Err(Error::NoSuchRow {
            id: id.to_owned(),
            like: None,
        });
    };
    let group = plan.group_of[row as usize];
    let others = rows().filter(|other| plan.group_of[*other as usize] == group && *other != row);
    explanation.tied = others
        .take(LISTED)
        .map(|other| store.id(other).to_owned())
        .collect();
    explanation.outcome = match plan.outcomes[row as usize] {
        Outcome::Disputed => "dropped: the same question has two labels".into(),
        Outcome::Disagreed => {
            "dropped: sources answer the question differently, and one Uncertain example names the disagreement".into()
        }
        Outcome::Duplicate(first) => {
            format!("dropped: the same question is in {}", store.id(first))
        }
        Outcome::Protected => "dropped: a protected benchmark has it, or a row that is tied to it".into(),
        Outcome::Capped => {
            "dropped: its source, or its source's class, has reached its cap".into()
        }
        Outcome::Unbalanced => {
            "dropped: left out by the seeded sample that makes the classes equal".into()
        }
        Outcome::HeldOut => {
            "dropped: it has no label, and is tied to a row of validation or test".into()
        }
        Outcome::Apart => "set apart: it has no label".into(),
        Outcome::In(split) => {
            explanation.split = Some(split);
            format!("kept: {split}")
        }
    };
    Ok(explanation)
}

/// The sentences of a row's answer, weighed as [`clean`] weighs them.
fn candidates(raw: &RawItem, settings: &BuildSettings) -> Vec<Candidate> {
    let rules = &settings.rules;
    let question = question(&raw.question, rules, &mut |_, _, _| {});
    let (answer, _) = rules.citations.remove(&mend_by(&raw.answer, rules));
    choose(&question, raw.label, &answer, rules).1
}

/// The row as it was read.
fn find(settings: &BuildSettings, id: &str) -> Result<RawItem> {
    let reading = Reading {
        seed: settings.seed,
        contexts: settings.context.is_some(),
        rationales: true,
    };
    let (mut found, mut like) = (None, None);
    // A PMID alone names its row too.
    let named = |row: &RawItem| row.id == id || row.id.rsplit(':').next() == Some(id);
    for input in &settings.sources {
        let read = sources::read(input, reading, &mut |piece| {
            let rows = piece()?.rows;
            if like.is_none() {
                like = rows.first().map(|row| row.id.clone());
            }
            found = rows.into_iter().find(named);
            match found.is_some() {
                true => Err(Error::Stopped),
                false => Ok(()),
            }
        });
        match (found.take(), read) {
            (Some(row), _) => return Ok(row),
            (None, Err(error)) => return Err(error),
            (None, Ok(_)) => {}
        }
    }
    Err(Error::NoSuchRow {
        id: id.to_owned(),
        like,
    })
}
