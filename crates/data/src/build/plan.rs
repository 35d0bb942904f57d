//! The second half of a build: which of the cleaned rows are kept, and which split each goes to.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use super::group::Sets;
use super::rules::{Tally, rules};
use super::settings::{Balance, BuildSettings, Disagreement};
use super::split::{Candidate, assign, capacities};
use super::store::Store;
use super::tie::tie;
use crate::digest::place;
use crate::manifest::{Effect, Suspect};
use crate::near::hash;
use crate::protect::{Benchmark, ProtectedQuestion};
use crate::{Error, Label, Result, Split};

/// Source of rows that say that sources disagree.
pub(super) const DISAGREEMENT: &str = "disagreement";

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The same question has two labels.
    Disputed,
    /// Sources disagree, and another row names the disagreement.
    Disagreed,
    /// The same question was there before, in this row.
    Duplicate(u32),
    /// A benchmark asks it.
    Protected,
    /// Its source has enough.
    Capped,
    /// Its class has enough.
    Unbalanced,
    /// No label, and tied to a validation or test example.
    HeldOut,
    /// No label.
    Apart,
    /// Kept.
    In(Split),
}

/// A row while it is decided on.
struct Outcomes(Vec<Option<Outcome>>);

impl Outcomes {
    fn open(&self, row: u32) -> bool {
        self.0[row as usize].is_none()
    }

    fn set(&mut self, row: u32, outcome: Outcome) {
        self.0[row as usize] = Some(outcome);
    }
}

/// Everything that is decided before a text is read again.
pub(crate) struct Plan {
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) group_of: Vec<u32>,
    /// Rows of which an earlier one has the id too: the number behind theirs.
    pub(super) numbers: HashMap<u32, u32>,
    /// Rows that say that sources disagree: what they say.
    pub(super) said: HashMap<u32, String>,
    pub(super) suspects: Vec<Suspect>,
    pub(super) tally: Tally,
}

/// Decides on every row.
pub(crate) fn plan(
    store: &mut Store,
    benchmarks: &[Benchmark],
    settings: &BuildSettings,
) -> Result<Plan> {
    let mut tally = store.tally;
    let mut outcomes = Outcomes(vec![None; store.rows.len()]);
    let mut sets = Sets::new(
        store.rows.len()
            + benchmarks
                .iter()
                .map(|of| of.questions.len())
                .sum::<usize>(),
    );
    let said = distinct(store, settings, &mut sets, &mut outcomes, &mut tally);
    let rows = || 0..store.rows.len() as u32;
    if !rows().any(|row| outcomes.open(row)) {
        return Err(no_rows(&tally, 0));
    }
    let numbers = unique_ids(store, &outcomes);
    let questions: Vec<&ProtectedQuestion> =
        benchmarks.iter().flat_map(|of| &of.questions).collect();
    let gone = |row: u32| {
        matches!(
            outcomes.0.get(row as usize),
            Some(Some(Outcome::Disputed | Outcome::Disagreed))
        )
    };
    let open = |row: u32| outcomes.open(row);
    let tied = tie(store, sets, gone, open, &questions)?;
    store.release();
    let rows = || 0..store.rows.len() as u32;
    tally.near = tied.near;
    for row in rows() {
        if outcomes.open(row) && tied.protected[row as usize] {
            outcomes.set(row, Outcome::Protected);
            tally.protected += 1;
        }
    }
    let group_of = tied.group_of;
    let ids = Ids {
        store,
        numbers: &numbers,
    };
    cap(&ids, settings, &mut outcomes, &mut tally);
    seat(&ids, settings, &said, &group_of, &mut outcomes, &mut tally)?;
    full(&outcomes, &group_of, settings)?;
    let label = |row: u32| store.rows[row as usize].label.unwrap_or(Label::Uncertain);
    let suspects = tied.suspects.into_iter().map(|(a, b, overlap)| Suspect {
        ids: [a, b].map(|row| ids.of(row).into_owned()),
        labels: [a, b].map(label),
        overlap: (overlap * 1e3).round() / 1e3,
    });
    Ok(Plan {
        suspects: suspects.collect(),
        outcomes: outcomes.0.into_iter().flatten().collect(),
        group_of,
        numbers,
        said,
        tally,
    })
}

/// The split to which each group is pinned, if any of its rows is: the strictest one.
fn pins(store: &Store, outcomes: &Outcomes, group_of: &[u32]) -> HashMap<u32, Split> {
    let mut pins = HashMap::new();
    for (row, of) in store.rows.iter().enumerate() {
        let disputed = matches!(outcomes.0[row], Some(Outcome::Disputed));
        if let (Some(pin), false) = (of.pin, disputed) {
            let strictest = pins.entry(group_of[row]).or_insert(pin);
            *strictest = pin.max(*strictest);
        }
    }
    pins
}

/// Assigns the rows that are left: those with a label to splits or out of the balance, those without to the file of
/// their own, unless they are tied to a validation or test example.
fn seat(
    ids: &Ids<'_>,
    settings: &BuildSettings,
    said: &HashMap<u32, String>,
    group_of: &[u32],
    outcomes: &mut Outcomes,
    tally: &mut Tally,
) -> Result<()> {
    let store = ids.store;
    let rows = || 0..store.rows.len() as u32;
    let pins = pins(store, outcomes, group_of);
    let labelled =
        rows().filter(|row| outcomes.open(*row) && store.rows[*row as usize].label.is_some());
    let labelled: Vec<u32> = labelled.collect();
    if labelled.is_empty() {
        let unlabelled = rows().filter(|row| outcomes.open(*row)).count();
        return Err(no_rows(tally, unlabelled));
    }
    let names: Vec<Cow<'_, str>> = labelled.iter().map(|row| ids.of(*row)).collect();
    let candidates: Vec<Candidate<'_>> = labelled
        .iter()
        .zip(&names)
        .map(|(row, id)| {
            let of = &store.rows[*row as usize];
            let input = &settings.sources[usize::from(of.source)];
            let (source, weight) = match said.contains_key(row) {
                true => (DISAGREEMENT, 1),
                false => (input.source.kind(), input.weight),
            };
            Candidate {
                id,
                label: of.label.unwrap_or(Label::Uncertain),
                source,
                weight,
                group: group_of[*row as usize] as usize,
                pin: pins.get(&group_of[*row as usize]).copied(),
            }
        })
        .collect();
    let per_class = per_class(&candidates, settings)?;
    let splits = assign(&candidates, per_class, settings.shares, settings.seed);
    let mut held_out: HashSet<u32> = HashSet::new();
    for (row, split) in labelled.iter().zip(splits) {
        outcomes.set(*row, split.map_or(Outcome::Unbalanced, Outcome::In));
        tally.unbalanced += usize::from(split.is_none());
        if matches!(split, Some(Split::Validation | Split::Test)) {
            held_out.insert(group_of[*row as usize]);
        }
    }
    for row in rows() {
        if !outcomes.open(row) {
            continue;
        }
        match held_out.contains(&group_of[row as usize]) {
            true => {
                outcomes.set(row, Outcome::HeldOut);
                tally.held_out += 1;
            }
            false => {
                outcomes.set(row, Outcome::Apart);
                tally.unlabelled += 1;
            }
        }
    }
    Ok(())
}

/// Why nothing is left.
fn no_rows(tally: &Tally, unlabelled: usize) -> Error {
    let rules = rules(tally).into_iter();
    let dropped = rules.filter(|rule| rule.effect == Effect::Dropped && rule.rows > 0);
    let mut dropped: Vec<(String, usize)> = dropped.map(|rule| (rule.about, rule.rows)).collect();
    if unlabelled > 0 {
        dropped.push(("it has no label".into(), unlabelled));
    }
    Error::NoRows {
        read: tally.read,
        dropped,
    }
}

/// Rows from which on each split must have some: a tenth of them is a row.
const SPLIT: usize = 10;

/// Whether every split with a share has rows, where there are enough of them.
fn full(outcomes: &Outcomes, group_of: &[u32], settings: &BuildSettings) -> Result<()> {
    let mut counts = [0; 3];
    let mut groups = HashSet::new();
    for (outcome, group) in outcomes.0.iter().zip(group_of) {
        if let Some(Outcome::In(split)) = outcome {
            counts[split.index()] += 1;
            groups.insert(*group);
        }
    }
    let rows = counts.iter().sum();
    let empty = Split::ALL
        .into_iter()
        .find(|&split| counts[split.index()] == 0 && settings.shares.percent(split) > 0);
    match empty {
        Some(split) if rows >= SPLIT && !settings.empty_splits => Err(Error::EmptySplit {
            split,
            rows,
            groups: groups.len(),
        }),
        _ => Ok(()),
    }
}

/// The first row of each question stays; none where its rows disagree. A dropped row passes its keys and its
/// pin on to the one that is kept: what it was tied to must still not cross the splits. With
/// [`Disagreement::Uncertain`] the first of rows that sources answer differently is kept and names the disagreement.
fn distinct(
    store: &mut Store,
    settings: &BuildSettings,
    sets: &mut Sets,
    outcomes: &mut Outcomes,
    tally: &mut Tally,
) -> HashMap<u32, String> {
    let mut order: Vec<(u64, u32)> = store
        .rows
        .iter()
        .zip(0..)
        .map(|(row, n)| (row.question, n))
        .collect();
    order.par_sort_unstable();
    let mut said = HashMap::new();
    for same in order.chunk_by(|a, b| a.0 == b.0) {
        let answers: Vec<(u32, &'static str, Label)> = same
            .iter()
            .filter_map(|(_, row)| {
                let of = &store.rows[*row as usize];
                Some((
                    *row,
                    settings.sources[usize::from(of.source)].source.kind(),
                    of.label?,
                ))
            })
            .collect();
        let disputed = answers.iter().any(|(_, _, label)| *label != answers[0].2);
        // Rows without a label are duplicates of any that has one.
        let first = answers.first().map_or(same[0].1, |(row, _, _)| *row);
        if disputed {
            let apart = settings.disagreement == Disagreement::Uncertain
                && answers
                    .iter()
                    .any(|(_, source, label)| *source != answers[0].1 && *label != answers[0].2);
            if apart {
                said.insert(first, says(&answers));
                store.rows[first as usize].label = Some(Label::Uncertain);
            }
            for (_, row) in same {
                match apart {
                    true if *row == first => {}
                    true => {
                        outcomes.set(*row, Outcome::Disagreed);
                        tally.disagreed += 1;
                    }
                    false => {
                        outcomes.set(*row, Outcome::Disputed);
                        tally.disputed += 1;
                    }
                }
            }
            continue;
        }
        for (_, row) in same.iter().filter(|(_, row)| *row != first) {
            outcomes.set(*row, Outcome::Duplicate(first));
            tally.duplicate += 1;
            sets.join(first, *row);
        }
    }
    said
}

/// Which source answers what, in the order of the rows.
fn says(answers: &[(u32, &str, Label)]) -> String {
    let mut distinct: Vec<(&str, Label)> = Vec::new();
    for (_, source, label) in answers {
        if !distinct.contains(&(source, *label)) {
            distinct.push((source, *label));
        }
    }
    let distinct: Vec<String> = distinct
        .iter()
        .map(|(source, label)| format!("{source} answers {label}"))
        .collect();
    format!(
        "Published answers to this question disagree: {}.",
        distinct.join(", ")
    )
}

/// The number behind the id of each row whose id an earlier one has already taken.
fn unique_ids(store: &Store, outcomes: &Outcomes) -> HashMap<u32, u32> {
    let mut ids: Vec<(u64, u32)> = (0..store.rows.len() as u32)
        .filter(|row| outcomes.open(*row))
        .map(|row| (hash(&[store.id(row)]), row))
        .collect();
    ids.par_sort_unstable();
    let mut numbers = HashMap::new();
    let taken = |id: &str| {
        let hash = hash(&[id]);
        ids.binary_search_by_key(&hash, |(of, _)| *of).is_ok()
    };
    for same in ids.chunk_by(|a, b| a.0 == b.0) {
        let mut number = 2;
        for (_, row) in &same[1..] {
            let id = store.id(*row);
            while taken(&numbered(id, number)) {
                number += 1;
            }
            numbers.insert(*row, number);
            number += 1;
        }
    }
    numbers
}

fn numbered(id: &str, number: u32) -> String {
    format!("{id}#{number}")
}

/// The ids that rows have in the end.
pub(super) struct Ids<'a> {
    pub(super) store: &'a Store,
    pub(super) numbers: &'a HashMap<u32, u32>,
}

impl<'a> Ids<'a> {
    pub(super) fn of(&self, row: u32) -> Cow<'a, str> {
        let id = self.store.id(row);
        match self.numbers.get(&row) {
            Some(number) => numbered(id, *number).into(),
            None => id.into(),
        }
    }
}

/// Drops what a source, or a class of it, has too many of; which rows stay, the seed draws.
fn cap(ids: &Ids<'_>, settings: &BuildSettings, outcomes: &mut Outcomes, tally: &mut Tally) {
    for (number, input) in settings.sources.iter().enumerate() {
        if input.cap.is_none() && input.class_caps == [None; 3] {
            continue;
        }
        let ours = |row: &u32| {
            usize::from(ids.store.rows[*row as usize].source) == number && outcomes.open(*row)
        };
        let mut rows: Vec<u32> = (0..ids.store.rows.len() as u32).filter(ours).collect();
        rows.sort_by_cached_key(|row| (place(settings.seed, "cap", &ids.of(*row)), *row));
        let (mut kept, mut of_class) = (0, [0; 3]);
        for row in rows {
            let class = ids.store.rows[row as usize].label.map(Label::index);
            let full = input.cap.is_some_and(|most| kept >= most)
                || class.is_some_and(|class| {
                    input.class_caps[class].is_some_and(|most| of_class[class] >= most)
                });
            if full {
                outcomes.set(row, Outcome::Capped);
                tally.capped += 1;
            } else {
                kept += 1;
                class.into_iter().for_each(|class| of_class[class] += 1);
            }
        }
    }
}

/// Rows of each class, or `None` for all.
fn per_class(candidates: &[Candidate<'_>], settings: &BuildSettings) -> Result<Option<[usize; 3]>> {
    let balance = settings.balance;
    if balance == Balance::Natural {
        return Ok(None);
    }
    let counts = Label::ALL.map(|label| candidates.iter().filter(|row| row.label == label).count());
    let usable = capacities(candidates, settings.shares);
    if let Balance::AtMost(most) = balance {
        return Ok(Some(usable.map(|usable| usable.min(most))));
    }
    if let Some(label) = Label::ALL
        .into_iter()
        .find(|label| counts[label.index()] == 0)
    {
        return Err(Error::EmptyClass { label, counts });
    }
    let largest = usable.into_iter().min().unwrap_or(0);
    let Balance::PerClass(requested) = balance else {
        return Ok(Some([largest; 3]));
    };
    match Label::ALL
        .into_iter()
        .find(|label| usable[label.index()] < requested)
    {
        Some(label) => Err(Error::TooFewRows {
            label,
            requested,
            found: usable[label.index()],
            counts,
        }),
        None => Ok(Some([requested; 3])),
    }
}
