//! The build: sources to rows, rows through every rule, what is left into three splits on disk.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use crate::dataset::{check_out, file_name, lines, write};
use crate::digest::{place, sha256};
use crate::manifest::{
    Effect, FileRecord, Manifest, RuleRecord, Settings, SourceRecord, SplitRecord, label_counts,
};
use crate::rationale::{self, MIN_WORDS};
use crate::sources::{self, Reading};
use crate::split::{Candidate, assign, capacities};
use crate::text::{mend, question_key, words};
use crate::{Error, Item, Label, RawItem, Result, Source, Split, citations, group};

/// How many rows of each class a set gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// The same number of each class, as many as the smallest class has.
    #[default]
    Largest,
    /// This many of each class.
    PerClass(usize),
    /// Every row; the classes as the sources have them.
    Natural,
}

/// What to build and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildSettings {
    /// The sources, in the order in which the first of two equal questions wins.
    pub sources: Vec<Source>,
    /// Rows per class.
    pub balance: Balance,
    /// Seed of sampling, splitting and generated rows.
    pub seed: u64,
    /// Rows of PubMedQA and BioASQ carry their abstract as context.
    pub contexts: bool,
    /// Folder of the set; must be new or empty.
    pub out: PathBuf,
    /// A data set that stands in `out` already may be replaced.
    pub overwrite: bool,
}

impl BuildSettings {
    /// The defaults: the largest balanced set, seed 42, no contexts, nothing overwritten.
    pub fn new(sources: Vec<Source>, out: impl Into<PathBuf>) -> BuildSettings {
        BuildSettings {
            sources,
            balance: Balance::default(),
            seed: 42,
            contexts: false,
            out: out.into(),
            overwrite: false,
        }
    }
}

/// What a build did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildReport {
    /// Folder of the set.
    pub out: PathBuf,
    /// The manifest as written.
    pub manifest: Manifest,
}

/// Builds a data set and writes it to `settings.out`.
///
/// # Errors
/// Every fault of a source names file and place; [`Error::EmptyClass`] and [`Error::TooFewRows`]
/// where no balance exists; [`Error::NotEmpty`] and [`Error::ForeignFile`] for a folder in use. No
/// error leaves anything under the final name.
pub fn build(settings: &BuildSettings) -> Result<BuildReport> {
    if settings.sources.is_empty() {
        return Err(Error::NoSources);
    }
    if settings.balance == Balance::PerClass(0) {
        return Err(Error::NothingAsked);
    }
    check_out(&settings.out, settings.overwrite)?;
    let mut records = Vec::new();
    let mut raw = Vec::new();
    for source in &settings.sources {
        let reading = sources::read(source, settings.seed, settings.contexts)?;
        records.push(source_record(source, &reading));
        raw.extend(reading.rows);
    }
    let (splits, manifest) = compose(raw, records, settings)?;
    let files: Vec<(String, Vec<u8>)> = splits
        .iter()
        .map(|(split, items)| (file_name(*split), lines(items)))
        .collect();
    write(&settings.out, &files, &manifest)?;
    Ok(BuildReport {
        out: settings.out.clone(),
        manifest,
    })
}

fn source_record(source: &Source, reading: &Reading) -> SourceRecord {
    SourceRecord {
        source: source.kind().to_owned(),
        rows: reading.rows.len(),
        passed_over: reading.passed_over,
        labels: label_counts(reading.rows.iter().map(|row| row.label)),
        files: reading
            .files
            .iter()
            .map(|file| FileRecord {
                name: file.name.clone(),
                bytes: file.bytes,
                sha256: file.sha256.clone(),
            })
            .collect(),
    }
}

/// A row after cleaning, before grouping.
struct Clean {
    item: Item,
    keys: Vec<String>,
    question_key: String,
    pin: Option<Split>,
}

/// Rows that each rule touched, in the order the rules work.
#[derive(Default)]
struct Tally {
    mended: usize,
    cited: usize,
    led_in: usize,
    cut: usize,
    short_question: usize,
    contradicted: usize,
    short_rationale: usize,
    disputed: usize,
    duplicate: usize,
    unbalanced: usize,
}

/// The splits in order, with their items.
type Parts = Vec<(Split, Vec<Item>)>;

/// Everything between reading and writing.
pub(crate) fn compose(
    raw: Vec<RawItem>,
    sources: Vec<SourceRecord>,
    settings: &BuildSettings,
) -> Result<(Parts, Manifest)> {
    let read = raw.len();
    let mut tally = Tally::default();
    let rows: Vec<Clean> = raw
        .into_iter()
        .filter_map(|row| clean(row, &mut tally))
        .collect();
    let mut rows = distinct(rows, &mut tally);
    if rows.is_empty() {
        return Err(Error::NoRows { read });
    }
    unique_ids(&mut rows);
    let group_of = tie(&mut rows);
    let candidates: Vec<Candidate<'_>> = rows
        .iter()
        .zip(&group_of)
        .map(|(row, &group)| Candidate {
            id: &row.item.id,
            label: row.item.label,
            source: &row.item.source,
            group,
            pin: row.pin,
        })
        .collect();
    let per_class = per_class(&candidates, settings.balance)?;
    let splits = assign(&candidates, per_class, settings.seed);
    drop(candidates);

    let mut parts: Parts = Split::ALL
        .into_iter()
        .map(|split| (split, Vec::new()))
        .collect();
    for (row, split) in rows.into_iter().zip(splits) {
        match split {
            Some(split) => parts[split.index()].1.push(row.item),
            None => tally.unbalanced += 1,
        }
    }
    for (_, items) in &mut parts {
        items.sort_by_cached_key(|item| (place(settings.seed, "order", &item.id), item.id.clone()));
    }
    let manifest = manifest(&parts, sources, read, &tally, settings);
    Ok((parts, manifest))
}

/// One row through the rules that look at it alone.
fn clean(row: RawItem, tally: &mut Tally) -> Option<Clean> {
    let question = mend(&row.question);
    let answer = mend(&row.answer);
    let context = row.context.as_deref().map(mend);
    let changed = question != row.question
        || answer != row.answer
        || context.as_deref() != row.context.as_deref();
    tally.mended += usize::from(changed);

    let (question, from_question) = citations::remove(&question);
    let (answer, from_answer) = citations::remove(&answer);
    let (context, from_context) = match context.as_deref().map(citations::remove) {
        Some((text, found)) => (Some(text).filter(|text| !text.is_empty()), found),
        None => (None, Vec::new()),
    };
    let cited = from_question.len() + from_answer.len() + from_context.len() > 0;
    tally.cited += usize::from(cited);

    let question = as_question(question);
    if words(&question) < MIN_WORDS {
        tally.short_question += 1;
        return None;
    }
    let cleaned = rationale::clean(&answer);
    tally.led_in += usize::from(cleaned.lead.is_some());
    tally.cut += usize::from(cleaned.cut);
    if cleaned.lead.is_some_and(|lead| lead != row.label) {
        tally.contradicted += 1;
        return None;
    }
    if cleaned.text.is_empty() {
        tally.short_rationale += 1;
        return None;
    }
    let question_key = question_key(&question, context.as_deref());
    let mut keys = row.group;
    keys.push(question_key.clone());
    let text = Item::render(context.as_deref(), &question, row.label, &cleaned.text);
    let item = Item {
        id: row.id,
        question,
        label: row.label,
        rationale: cleaned.text,
        source: row.source,
        group: String::new(),
        context,
        text,
    };
    Some(Clean {
        item,
        keys,
        question_key,
        pin: row.split,
    })
}

/// A question ends with its mark.
fn as_question(mut question: String) -> String {
    if !question.contains('?') {
        let kept = question
            .trim_end_matches(['.', ',', ';', ':', '!', ' '])
            .len();
        question.truncate(kept);
        if !question.is_empty() {
            question.push('?');
        }
    }
    question
}

/// The first row of each question; none where its rows disagree. A row that goes leaves its keys
/// and its pin to the one that stays: what it was tied to must still not cross the splits.
fn distinct(rows: Vec<Clean>, tally: &mut Tally) -> Vec<Clean> {
    let mut labels: HashMap<String, HashSet<Label>> = HashMap::new();
    for row in &rows {
        labels
            .entry(row.question_key.clone())
            .or_default()
            .insert(row.item.label);
    }
    let mut kept: Vec<Clean> = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for row in rows {
        if labels[&row.question_key].len() > 1 {
            tally.disputed += 1;
        } else if let Some(&first) = seen.get(&row.question_key) {
            tally.duplicate += 1;
            kept[first].keys.extend(row.keys);
            kept[first].pin = kept[first].pin.max(row.pin);
        } else {
            seen.insert(row.question_key.clone(), kept.len());
            kept.push(row);
        }
    }
    kept
}

/// Gives a row whose id another has already taken a number behind it.
fn unique_ids(rows: &mut [Clean]) {
    let mut taken: HashSet<String> = HashSet::new();
    for row in rows {
        let id = row.item.id.clone();
        let mut number = 2;
        while !taken.insert(row.item.id.clone()) {
            row.item.id = format!("{id}#{number}");
            number += 1;
        }
    }
}

/// Names each row's group after the first key of the group's first row, and pins all of a group
/// where one row is pinned: to test before validation before train. Gives the groups' numbers.
fn tie(rows: &mut [Clean]) -> Vec<usize> {
    let keys: Vec<Vec<String>> = rows.iter().map(|row| row.keys.clone()).collect();
    let group_of = group::groups(&keys);
    let mut pins: HashMap<usize, Split> = HashMap::new();
    for (row, &group) in rows.iter().zip(&group_of) {
        if let Some(pin) = row.pin {
            let strictest = pins.entry(group).or_insert(pin);
            *strictest = pin.max(*strictest);
        }
    }
    for (row, group) in rows.iter_mut().zip(&group_of) {
        row.item.group = keys[*group][0].clone();
        row.pin = pins.get(group).copied();
    }
    group_of
}

/// Rows per class, or `None` for all.
fn per_class(candidates: &[Candidate<'_>], balance: Balance) -> Result<Option<usize>> {
    if balance == Balance::Natural {
        return Ok(None);
    }
    let counts = Label::ALL.map(|label| candidates.iter().filter(|row| row.label == label).count());
    if let Some(label) = Label::ALL
        .into_iter()
        .find(|label| counts[label.index()] == 0)
    {
        return Err(Error::EmptyClass { label, counts });
    }
    let usable = capacities(candidates);
    let largest = usable.into_iter().min().unwrap_or(0);
    let Balance::PerClass(asked) = balance else {
        return Ok(Some(largest));
    };
    match Label::ALL
        .into_iter()
        .find(|label| usable[label.index()] < asked)
    {
        Some(label) => Err(Error::TooFewRows {
            label,
            asked,
            found: usable[label.index()],
            counts,
        }),
        None => Ok(Some(asked)),
    }
}

fn manifest(
    parts: &Parts,
    sources: Vec<SourceRecord>,
    rows_read: usize,
    tally: &Tally,
    settings: &BuildSettings,
) -> Manifest {
    let splits: Vec<SplitRecord> = parts
        .iter()
        .map(|(split, items)| {
            let mut sources = BTreeMap::new();
            for item in items {
                *sources.entry(item.source.clone()).or_default() += 1;
            }
            SplitRecord {
                split: split.to_string(),
                file: file_name(*split),
                sha256: sha256(&lines(items)),
                rows: items.len(),
                labels: label_counts(items.iter().map(|item| item.label)),
                sources,
            }
        })
        .collect();
    let groups: HashSet<&str> = parts
        .iter()
        .flat_map(|(_, items)| items.iter().map(|item| item.group.as_str()))
        .collect();
    Manifest {
        kind: "verdict data set".to_owned(),
        layout: 1,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        seed: settings.seed,
        settings: Settings {
            balance: if settings.balance == Balance::Natural {
                "natural"
            } else {
                "balanced"
            }
            .to_owned(),
            per_class: match settings.balance {
                Balance::PerClass(rows) => Some(rows),
                _ => None,
            },
            contexts: settings.contexts,
        },
        sources,
        rules: rules(tally),
        rows_read,
        rows_kept: splits.iter().map(|split| split.rows).sum(),
        groups: groups.len(),
        splits,
    }
}

fn rules(tally: &Tally) -> Vec<RuleRecord> {
    use Effect::{Changed, Dropped};
    [
        (
            "mend",
            Changed,
            tally.mended,
            "mark-up leftovers, entities, blanks and spacing put right",
        ),
        (
            "citations",
            Changed,
            tally.cited,
            "citations removed from question, answer and context",
        ),
        (
            "short-question",
            Dropped,
            tally.short_question,
            "the question has fewer than three words",
        ),
        (
            "lead-in",
            Changed,
            tally.led_in,
            "label word taken off the answer's beginning",
        ),
        (
            "first-sentence",
            Changed,
            tally.cut,
            "answer cut to its first sentence of three or more words",
        ),
        (
            "contradicted",
            Dropped,
            tally.contradicted,
            "the answer opens with another label than the row's",
        ),
        (
            "no-rationale",
            Dropped,
            tally.short_rationale,
            "the answer has no sentence of three or more words",
        ),
        (
            "disputed",
            Dropped,
            tally.disputed,
            "the same question stands under two labels; all its rows go",
        ),
        (
            "duplicate",
            Dropped,
            tally.duplicate,
            "the same question was there before",
        ),
        (
            "balance",
            Dropped,
            tally.unbalanced,
            "left out by the seeded sample that makes the classes equal",
        ),
    ]
    .into_iter()
    .map(|(rule, effect, rows, about)| RuleRecord {
        rule: rule.to_owned(),
        about: about.to_owned(),
        effect,
        rows,
    })
    .collect()
}
