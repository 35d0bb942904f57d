//! The build: sources to rows, rows through every rule, what is left into three splits on disk.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use rayon::prelude::*;

use crate::artefact::artefact;
use crate::dataset::{check_out, file_name, lines, write};
use crate::digest::{place, sha256};
use crate::manifest::{
    FileRecord, Manifest, ProtectRecord, Settings, SourceRecord, SplitRecord, Suspect, label_counts,
};
use crate::protect::{Benchmark, Question};
use crate::rules::{Clean, Tally, clean, rules};
use crate::sources::{self, Reading};
use crate::split::{Candidate, assign, capacities};
use crate::{Error, Item, Label, Protect, RawItem, Result, Source, Split, tie};

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
    /// Benchmarks that stay out, with everything that is tied to their questions.
    pub protect: Vec<Protect>,
    /// Folder of the set; must be new or empty.
    pub out: PathBuf,
    /// A data set that stands in `out` already may be replaced.
    pub overwrite: bool,
}

impl BuildSettings {
    /// The defaults: the largest balanced set, seed 42, no contexts, PubMedQA's test kept out, nothing
    /// overwritten.
    pub fn new(sources: Vec<Source>, out: impl Into<PathBuf>) -> BuildSettings {
        BuildSettings {
            sources,
            balance: Balance::default(),
            seed: 42,
            contexts: false,
            protect: Protect::usual(),
            out: out.into(),
            overwrite: false,
        }
    }
}

/// What a build did.
#[derive(Clone, Debug, PartialEq)]
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
    let benchmarks = settings.protect.iter().map(Protect::read);
    let benchmarks: Vec<Benchmark> = benchmarks.collect::<Result<_>>()?;
    let (files, manifest) = compose(raw, records, benchmarks, settings)?;
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

/// The splits in order, with their items.
type Parts = Vec<(Split, Vec<Item>)>;

/// The files of the splits: name and bytes.
type Files = Vec<(String, Vec<u8>)>;

/// Everything between reading and writing.
pub(crate) fn compose(
    raw: Vec<RawItem>,
    sources: Vec<SourceRecord>,
    benchmarks: Vec<Benchmark>,
    settings: &BuildSettings,
) -> Result<(Files, Manifest)> {
    let read = raw.len();
    let mut tally = Tally::default();
    let cleaned: Vec<(Option<Clean>, Tally)> = raw.into_par_iter().map(clean).collect();
    let rows = cleaned.into_iter().filter_map(|(row, touched)| {
        tally.add(touched);
        row
    });
    let rows: Vec<Clean> = rows.collect();
    let mut rows = distinct(rows, &mut tally);
    if rows.is_empty() {
        return Err(Error::NoRows { read });
    }
    unique_ids(&mut rows);
    let (rows, group_of, suspects) = tied(rows, &benchmarks, &mut tally);
    if rows.is_empty() {
        return Err(Error::NoRows { read });
    }
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
    let files: Files = parts
        .par_iter()
        .map(|(split, items)| (file_name(*split), lines(items)))
        .collect();
    let mut manifest = manifest(&parts, &files, sources, read, &tally, settings);
    manifest.suspects = suspects;
    let kept: Vec<&Item> = parts.iter().flat_map(|(_, items)| items).collect();
    manifest.artefact = Some(artefact(&kept));
    manifest.settings.protected = benchmarks
        .into_iter()
        .map(|benchmark| ProtectRecord {
            name: benchmark.name,
            sha256: benchmark.sha256,
            questions: benchmark.questions.len(),
        })
        .collect();
    Ok((files, manifest))
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

/// Drops what a benchmark asks for, names each row's group after the first key of the group's first row, and
/// pins all of a group where one row is pinned: to test before validation before train. Gives the rows, their
/// groups' numbers and the suspects among them.
fn tied(
    rows: Vec<Clean>,
    benchmarks: &[Benchmark],
    tally: &mut Tally,
) -> (Vec<Clean>, Vec<usize>, Vec<Suspect>) {
    let questions: Vec<&Question> = benchmarks.iter().flat_map(|b| &b.questions).collect();
    let seen: Vec<tie::Row<'_>> = rows
        .iter()
        .map(|row| tie::Row {
            id: &row.item.id,
            question: &row.item.question,
            label: row.item.label,
            rationale: &row.item.rationale,
            keys: &row.keys,
            generated: Source::generates(&row.item.source),
        })
        .collect();
    let tied = tie::tie(&seen, &questions);
    let names: Vec<String> = tied
        .group_of
        .iter()
        .map(|group| rows[*group].keys[0].clone())
        .collect();
    let mut pins: HashMap<usize, Split> = HashMap::new();
    for (row, &group) in rows.iter().zip(&tied.group_of) {
        if let Some(pin) = row.pin {
            let strictest = pins.entry(group).or_insert(pin);
            *strictest = pin.max(*strictest);
        }
    }
    tally.near = tied.near;
    let (mut kept, mut group_of) = (Vec::new(), Vec::new());
    let places = names.into_iter().zip(tied.group_of).zip(tied.protected);
    for (mut row, ((name, group), protected)) in rows.into_iter().zip(places) {
        if protected {
            tally.protected += 1;
            continue;
        }
        row.item.group = name;
        row.pin = pins.get(&group).copied();
        kept.push(row);
        group_of.push(group);
    }
    (kept, group_of, tied.suspects)
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
    files: &Files,
    sources: Vec<SourceRecord>,
    rows_read: usize,
    tally: &Tally,
    settings: &BuildSettings,
) -> Manifest {
    let splits: Vec<SplitRecord> = parts
        .iter()
        .zip(files)
        .map(|((split, items), (_, bytes))| SplitRecord::new(*split, items, sha256(bytes)))
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
            protected: Vec::new(),
        },
        sources,
        rules: rules(tally),
        rows_read,
        rows_kept: splits.iter().map(|split| split.rows).sum(),
        groups: groups.len(),
        splits,
        artefact: None,
        suspects: Vec::new(),
    }
}
