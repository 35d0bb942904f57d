//! The files of a set, once it is decided which rows are kept, and its manifest.

use std::collections::{BTreeMap, HashMap, HashSet};

use rayon::prelude::*;

use super::artefact::Guess;
use super::plan::{DISAGREEMENT, Ids, Outcome, Plan};
use super::rules::{StoredExample, rules};
use super::settings::{Balance, BuildSettings, Disagreement};
use super::shares::SplitShares;
use super::store::Store;
use crate::card::{Card, Census, Words, measure};
use crate::dataset::UNLABELLED;
use crate::digest::place;
use crate::item::{Item, Unlabelled};
use crate::manifest::{
    LAYOUT, Manifest, ProtectRecord, RecordedSettings, SplitRecord, UnlabelledRecord,
};
use crate::near::hash;
use crate::protect::Benchmark;
use crate::staging::StagingFolder;
use crate::{Label, MeshTree, Result, Split};

/// Rows that are put together at once.
const AT_ONCE: usize = 4096;
/// MeSH headings in the manifest.
const HEADINGS: usize = 60;

/// Counts over the rows kept, made while they are written.
#[derive(Default)]
struct Counts {
    years: BTreeMap<String, BTreeMap<u16, usize>>,
    /// By the heading's hash.
    mesh: HashMap<u64, (String, usize)>,
    groups: HashSet<u64>,
    guess: Guess,
    census: Census,
}

/// A row on its way to its file, put together on any thread.
struct PreparedExample {
    line: Vec<u8>,
    item: Item,
    words: Words,
    group: u64,
    year: Option<u16>,
    mesh: Vec<(u64, String)>,
    guess: Option<super::artefact::Row>,
}

impl PreparedExample {
    fn of(
        row: u32,
        store: &Store,
        plan: &Plan,
        ids: &Ids<'_>,
        guess: &Guess,
    ) -> Result<PreparedExample> {
        let (item, kept) = item(store, plan, ids, row)?;
        let mesh = kept.mesh.into_iter();
        Ok(PreparedExample {
            line: line(&item),
            words: measure(&item),
            group: hash(&[&item.group]),
            guess: guess.row(&item),
            item,
            year: kept.year,
            mesh: mesh.map(|heading| (hash(&[&heading]), heading)).collect(),
        })
    }
}

impl Counts {
    fn see(&mut self, split: Split, made: PreparedExample, tree: Option<&MeshTree>) {
        self.census.see(split, &made.item, made.words);
        self.census.see_mesh(&made.mesh, tree);
        self.groups.insert(made.group);
        self.guess.see(made.guess);
        if let Some(year) = made.year {
            let years = self.years.entry(made.item.source).or_default();
            *years.entry(year).or_default() += 1;
        }
        for (hash, heading) in made.mesh {
            self.mesh.entry(hash).or_insert((heading, 0)).1 += 1;
        }
    }
}

/// Writes the planned rows and their card into the staging folder, and returns the manifest.
pub(crate) fn write(
    store: &Store,
    plan: Plan,
    benchmarks: &[Benchmark],
    settings: &BuildSettings,
    staging: &StagingFolder,
) -> Result<Manifest> {
    let ids = Ids {
        store,
        numbers: &plan.numbers,
    };
    let mut counts = Counts::default();
    let kept = plan
        .outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Outcome::In(_)))
        .count();
    counts.guess.sample(kept);
    let mut splits = Vec::new();
    for split in Split::ALL {
        let rows = in_order(&plan, &ids, settings.seed, Outcome::In(split));
        let mut file = staging.file(&split.file_name())?;
        let mut record = SplitRecord::empty(split);
        for rows in rows.chunks(AT_ONCE) {
            let guess = &counts.guess;
            let make = |row: &u32| PreparedExample::of(*row, store, &plan, &ids, guess);
            let made: Vec<Result<PreparedExample>> = rows.par_iter().map(make).collect();
            for made in made {
                let made = made?;
                file.write(&made.line)?;
                record.count(made.item.label, &made.item.source);
                counts.see(split, made, settings.mesh_tree.as_ref());
            }
        }
        record.sha256 = file.finish()?;
        splits.push(record);
    }
    let apart = in_order(&plan, &ids, settings.seed, Outcome::Apart);
    let unlabelled = match apart.is_empty() {
        true => None,
        false => {
            let mut file = staging.file(UNLABELLED)?;
            for rows in apart.chunks(AT_ONCE) {
                let make = |row: &u32| Ok(line(&unlabelled(store, &plan, &ids, *row)?));
                let made: Vec<Result<Vec<u8>>> = rows.par_iter().map(make).collect();
                for line in made {
                    file.write(&line?)?;
                }
            }
            Some(UnlabelledRecord {
                file: UNLABELLED.to_owned(),
                sha256: file.finish()?,
                rows: apart.len(),
            })
        }
    };
    let examples = counts.census.take_examples();
    let manifest = manifest(
        store, plan, counts, splits, unlabelled, benchmarks, settings,
    );
    Card::new(&manifest, &examples).write(staging.new_folder())?;
    Ok(manifest)
}

/// The rows of one outcome, in the seed's order.
fn in_order(plan: &Plan, ids: &Ids<'_>, seed: u64, outcome: Outcome) -> Vec<u32> {
    let rows = plan.outcomes.par_iter().enumerate();
    let rows = rows.filter(|(_, of)| **of == outcome);
    let mut rows: Vec<(u64, u32)> = rows
        .map(|(row, _)| (place(seed, "order", &ids.of(row as u32)), row as u32))
        .collect();
    rows.par_sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| ids.of(a.1).cmp(&ids.of(b.1))));
    rows.into_iter().map(|(_, row)| row).collect()
}

/// A line of a file.
fn line(row: &impl serde::Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(row).expect("a row has only texts");
    line.push(b'\n');
    line
}

/// The name of a row's group: the first key of the group's first row.
fn group(store: &Store, plan: &Plan, row: u32, kept: &StoredExample) -> Result<String> {
    match plan.group_of[row as usize] {
        first if first == row => Ok(kept.name.clone()),
        first => Ok(store.read(first)?.name),
    }
}

fn item(store: &Store, plan: &Plan, ids: &Ids<'_>, row: u32) -> Result<(Item, StoredExample)> {
    let mut kept = store.read(row)?;
    let group = group(store, plan, row, &kept)?;
    let mut id = ids.of(row).into_owned();
    if let Some(said) = plan.said.get(&row) {
        id = format!("{DISAGREEMENT}:{id}");
        said.clone_into(&mut kept.rationale);
        kept.source = DISAGREEMENT.to_owned();
    }
    let label = store.rows[row as usize].label.unwrap_or(Label::Uncertain);
    let take = std::mem::take::<String>;
    let (question, rationale) = (take(&mut kept.question), take(&mut kept.rationale));
    let item = Item {
        id,
        label,
        source: take(&mut kept.source),
        group,
        question,
        rationale,
        context: kept.context.take(),
    };
    Ok((item, kept))
}

fn unlabelled(store: &Store, plan: &Plan, ids: &Ids<'_>, row: u32) -> Result<Unlabelled> {
    let mut kept = store.read(row)?;
    let group = group(store, plan, row, &kept)?;
    let take = std::mem::take::<String>;
    Ok(Unlabelled {
        id: ids.of(row).into_owned(),
        question: take(&mut kept.question),
        rationale: take(&mut kept.rationale),
        source: take(&mut kept.source),
        group,
        context: kept.context.take(),
    })
}

fn manifest(
    store: &Store,
    plan: Plan,
    counts: Counts,
    splits: Vec<SplitRecord>,
    unlabelled: Option<UnlabelledRecord>,
    benchmarks: &[Benchmark],
    settings: &BuildSettings,
) -> Manifest {
    let mut mesh: Vec<(String, usize)> = counts.mesh.into_values().collect();
    let mesh_record = counts.census.mesh(mesh.len(), settings.mesh_tree.as_ref());
    mesh.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    mesh.truncate(HEADINGS);
    let protected = benchmarks.iter().map(|benchmark| ProtectRecord {
        name: benchmark.name.clone(),
        sha256: benchmark.sha256.clone(),
        questions: benchmark.questions.len(),
    });
    let (balance, per_class) = match settings.balance {
        Balance::Largest => ("balanced", None),
        Balance::PerClass(rows) => ("balanced", Some(rows)),
        Balance::AtMost(rows) => ("capped", Some(rows)),
        Balance::Natural => ("natural", None),
    };
    let asked = store.inputs.iter().filter_map(|input| {
        let (source, options) = crate::input::parts(&input.text);
        let options = options?;
        Some(format!(
            "{}?{options}",
            source.split(':').next().unwrap_or(source)
        ))
    });
    Manifest {
        kind: "verdict data set".to_owned(),
        layout: LAYOUT,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        seed: settings.seed,
        settings: RecordedSettings {
            balance: balance.to_owned(),
            per_class,
            split: (settings.shares != SplitShares::default()).then(|| settings.shares.to_string()),
            contexts: store.shard_settings.context.is_some(),
            context: store.shard_settings.context.clone(),
            disagreement: (settings.disagreement == Disagreement::Uncertain)
                .then(|| "uncertain".to_owned()),
            rules: store.shard_settings.rules.clone(),
            sources: asked.collect(),
            protected: protected.collect(),
        },
        sources: store
            .inputs
            .iter()
            .map(|input| input.record.clone())
            .collect(),
        rules: rules(&plan.tally),
        rows_read: plan.tally.read,
        rows_kept: splits.iter().map(|split| split.rows).sum(),
        groups: counts.groups.len(),
        class_weights: class_weights(&splits[0]),
        splits,
        unlabelled,
        years: counts.years,
        mesh: mesh.into_iter().collect(),
        mesh_record,
        by_source: counts.census.by_source(),
        lengths: counts.census.lengths(),
        artefact: Some(counts.guess.artefact()),
        suspects: plan.suspects,
    }
}

/// What each class of the train split weighs; none where all are of one size.
fn class_weights(train: &SplitRecord) -> Option<BTreeMap<Label, f64>> {
    let counts = Label::ALL.map(|label| train.labels[&label]);
    let there = counts.iter().filter(|rows| **rows > 0).count();
    (counts.iter().any(|rows| *rows != counts[0])).then(|| {
        let weight = |rows: usize| match rows {
            0 => 0.0,
            rows => train.rows as f64 / (there * rows) as f64,
        };
        Label::ALL.into_iter().zip(counts.map(weight)).collect()
    })
}
