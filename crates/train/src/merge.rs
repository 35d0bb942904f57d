//! Merges the shards of a grid, each trained by a task of its own, into one run: adapters, predictions,
//! events, and the choice among all adapters.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::card;
use crate::error::{Error, Result};
use crate::events::{self, Event, EventKind, Outcome};
use crate::files;
use crate::folder::{EVENTS, RunFolder, SETTINGS};
use crate::grid::{adapters, grid};
use crate::manifest::{AdapterRecord, Manifest};
use crate::new_run::NewRun;
use crate::predictions::Prediction;
use crate::select;
use crate::settings::TrainSettings;
use crate::shard::{self, SHARDS};

/// One trained shard.
struct TrainedShard {
    index: usize,
    /// Its settings, which include the shard.
    settings: TrainSettings,
    events: Vec<Event>,
    /// `None` if all of its adapters diverged.
    run: Option<RunFolder>,
}

/// Merges the shards in `dir/shards` into one run in `dir`: the run that a single task would have made of
/// the whole grid, each adapter bitwise identical to its shard's. The shards are kept; their files are
/// hard-linked where the file system supports it. Throughput is left out of the events, because no single
/// machine had it; it remains in the events of the shards.
///
/// # Errors
/// [`Error::Shards`] with every reason why the shards do not form one grid: missing, unfinished, trained
/// with other settings, data or models; [`Error::Changed`] for an adapter that differs from what its shard
/// wrote; [`Error::Exists`] if they were merged before; [`Error::Diverged`] if every adapter diverged;
/// [`Error::Locked`] and [`Error::Io`].
pub fn merge(dir: &Path) -> Result<Manifest> {
    let shards = read(dir)?;
    let settings = whole(dir, &shards[0].settings);
    let mut run = NewRun::merge_into(&settings)?;
    let finished: Vec<&RunFolder> = shards.iter().filter_map(|of| of.run.as_ref()).collect();
    let Some(first) = finished.first() else {
        let reasons = shards.iter().flat_map(|shard| diverged(&shard.events));
        return Err(Error::Diverged {
            reasons: reasons.map(|(_, reason)| reason).collect(),
        });
    };
    for shard in &finished {
        shard.verify()?;
    }
    run = run.with_input_paths(first.input_paths());
    drop(run.begin()?);

    let records = adapters_of(&run, &settings, &shards)?;
    let best = select::best(&records).ok_or_else(|| Error::Diverged {
        reasons: records
            .iter()
            .filter_map(|of| of.diverged.clone())
            .collect(),
    })?;
    let best = records[best].adapter.name.clone();
    run.write_events(&merged_events(&shards, &settings, &best))?;
    let mut machines = Vec::new();
    for machine in finished.iter().flat_map(|of| &of.manifest.machines) {
        if !machines.contains(machine) {
            machines.push(machine.clone());
        }
    }
    let tokens = first.manifest.micro_batch_tokens;
    let mut all = finished.iter().map(|of| of.manifest.micro_batch_tokens);
    let mut manifest = Manifest {
        machines,
        micro_batch_tokens: tokens.filter(|_| all.all(|of| of == tokens)),
        steps: finished
            .iter()
            .map(|of| of.manifest.steps)
            .max()
            .unwrap_or(0),
        best,
        rule: select::RULE.into(),
        adapters: records,
        settings,
        ..first.manifest.clone()
    };
    // The cards of a shard describe the shard alone, so they are written anew.
    card::write(&run, &mut manifest)?;
    run.finish(&manifest)?;
    Ok(manifest)
}

/// Links the adapters of all shards into the run and writes their predictions. Returns the adapters'
/// records in the order of the grid.
fn adapters_of(
    run: &NewRun,
    settings: &TrainSettings,
    shards: &[TrainedShard],
) -> Result<Vec<AdapterRecord>> {
    let mut records = Vec::new();
    let of_shard = |shard: &TrainedShard| match &shard.run {
        Some(run) => run.validation(),
        None => Ok(Vec::new()),
    };
    let lines: Vec<Vec<Prediction>> = shards.iter().map(of_shard).collect::<Result<_>>()?;
    // Every finished shard has the base model's predictions.
    let mut of_shards = shards.iter().zip(&lines);
    let first = of_shards.find(|(shard, _)| shard.run.is_some());
    let of_base = first.into_iter().flat_map(|(_, lines)| lines);
    let of_base = of_base.filter(|line| line.adapter.is_none());
    let mut predictions: Vec<Prediction> = of_base.cloned().collect();
    for adapter in grid(settings) {
        let name = &adapter.name;
        let mut of_shards = shards.iter().zip(&lines);
        let shard = of_shards.find(|(shard, _)| shard.trains(name));
        let (shard, lines) = shard.expect("`read` checked that each adapter has a shard");
        let Some(trained) = &shard.run else {
            let mut reasons = diverged(&shard.events);
            records.push(AdapterRecord {
                diverged: reasons.remove(name),
                ..AdapterRecord::untrained(adapter)
            });
            continue;
        };
        let mut all = trained.manifest.adapters.iter();
        let record = all.find(|record| record.adapter.name == *name);
        let record = record.expect("a manifest lists the adapters of its settings");
        if record.diverged.is_none() {
            let from = trained.adapter_dir(Some(name))?;
            run.save(name, |to| Ok(link_files(&from, to)?))?;
            let own = lines
                .iter()
                .filter(|line| line.adapter.as_deref() == Some(name));
            predictions.extend(own.cloned());
        }
        records.push(record.clone());
    }
    run.write_validation(predictions.into_iter())?;
    Ok(records)
}

impl TrainedShard {
    fn read(dir: &Path, index: usize) -> Result<Self> {
        let folder = shard::folder(dir, index);
        let events_of = |folder: &Path| events::read(&folder.join(EVENTS));
        match RunFolder::open(&folder) {
            Ok(run) => Ok(TrainedShard {
                index,
                settings: run.settings.clone(),
                events: run.events()?,
                run: Some(run),
            }),
            // A shard whose adapters all diverged ends without a manifest; the others can still be merged.
            Err(error @ Error::Incomplete { .. }) => {
                let settings = TrainSettings::read(&folder.join(SETTINGS))?;
                let events = events_of(&folder)?;
                let diverged = diverged(&events);
                let failed = |event: &Event| {
                    let failed = Outcome::Failed;
                    matches!(&event.kind, EventKind::End { outcome, .. } if *outcome == failed)
                };
                let all = adapters(&settings)
                    .iter()
                    .all(|of| diverged.contains_key(&of.name));
                match all && events.last().is_some_and(failed) {
                    true => Ok(TrainedShard {
                        index,
                        settings,
                        events,
                        run: None,
                    }),
                    false => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    fn trains(&self, name: &String) -> bool {
        let shard = self.settings.shard.as_ref();
        shard.is_some_and(|shard| shard.adapters.contains(name))
    }
}

/// The settings of the whole run, from those of a shard.
fn whole(dir: &Path, settings: &TrainSettings) -> TrainSettings {
    TrainSettings {
        out: dir.to_path_buf(),
        shard: None,
        ..settings.clone()
    }
}

/// Reads all shards. The error lists every reason why they do not form one run.
fn read(dir: &Path) -> Result<Vec<TrainedShard>> {
    let folder = dir.join(SHARDS);
    if !folder.is_dir() {
        let (path, missing) = (dir.to_path_buf(), SHARDS);
        return Err(Error::NotARun { path, missing });
    }
    let mut faults = Vec::new();
    let mut shards = Vec::new();
    let mut indices: Vec<usize> = files::names(&folder)?
        .iter()
        .filter_map(|name| name.parse().ok())
        .collect();
    indices.sort_unstable();
    for index in indices {
        match TrainedShard::read(dir, index) {
            Ok(shard) => shards.push(shard),
            Err(error) => faults.push(error.to_string()),
        }
    }
    if let Some(first) = shards.first() {
        faults.extend(mismatches(dir, first, &shards));
        if faults.is_empty() {
            faults.extend(coverage_faults(&shards));
        }
    } else if faults.is_empty() {
        faults.push(format!("{}: no shards", folder.display()));
    }
    match faults.is_empty() {
        true => Ok(shards),
        false => Err(Error::Shards {
            path: dir.to_path_buf(),
            faults,
        }),
    }
}

/// Differences between the shards and the first one.
fn mismatches(dir: &Path, first: &TrainedShard, shards: &[TrainedShard]) -> Vec<String> {
    let differs = |shard: &TrainedShard, what: &str| {
        let (index, first) = (shard.index, first.index);
        format!("shard {index}: its {what} differ from those of shard {first}")
    };
    let settings = |shard: &TrainedShard| whole(dir, &shard.settings).of_results();
    let known = shards
        .iter()
        .find_map(|shard| Some(&shard.run.as_ref()?.manifest));
    let alike = |shard: &TrainedShard| {
        let both = shard.run.as_ref().zip(known);
        both.is_none_or(|(run, known)| {
            let of = &run.manifest;
            of.provenance.same(&known.provenance) && of.tool == known.tool
        })
    };
    let mut faults = Vec::new();
    for shard in shards {
        if settings(shard) != settings(first) {
            faults.push(differs(shard, "settings"));
        }
        if !alike(shard) {
            faults.push(differs(shard, "data, model or version"));
        }
    }
    faults
}

/// Adapters that belong to no shard, or to several.
fn coverage_faults(shards: &[TrainedShard]) -> Vec<String> {
    let named = grid(&shards[0].settings);
    let counted = named.iter().map(|adapter| {
        let trained_by = shards.iter().filter(|shard| shard.trains(&adapter.name));
        (&adapter.name, trained_by.count())
    });
    let wrong = counted.filter(|(_, count)| *count != 1);
    wrong
        .map(|(name, count)| match count {
            0 => format!("{name}: its shard has not started"),
            _ => format!("{name}: trained by {count} shards"),
        })
        .collect()
}

/// Adapters that diverged, with the reasons.
fn diverged(events: &[Event]) -> BTreeMap<String, String> {
    let reason = |event: &Event| match &event.kind {
        EventKind::Diverged { reason } => Some((event.adapter.clone()?, reason.clone())),
        _ => None,
    };
    events.iter().filter_map(reason).collect()
}

/// The events of all shards as those of one run, ordered by time.
fn merged_events(shards: &[TrainedShard], settings: &TrainSettings, best: &str) -> Vec<Event> {
    let mut begun = false;
    let mut base_validated = false;
    let mut all: Vec<&Event> = shards.iter().flat_map(|shard| &shard.events).collect();
    all.sort_by(|a, b| a.time.total_cmp(&b.time));
    let steps = |event: &Event| match &event.kind {
        EventKind::Start { steps, .. } => Some(*steps),
        _ => None,
    };
    let planned = all.iter().filter_map(|event| steps(event)).max();
    let mut events = Vec::new();
    for event in &all {
        let kind = match &event.kind {
            EventKind::Start {
                train_rows,
                validation_rows,
                ..
            } if !begun => {
                begun = true;
                let names = grid(settings).into_iter();
                EventKind::Start {
                    names: names.map(|adapter| adapter.name).collect(),
                    steps: planned.unwrap_or_default(),
                    train_rows: *train_rows,
                    validation_rows: *validation_rows,
                    fits: None,
                }
            }
            EventKind::Validation { .. } if event.adapter.is_none() => {
                if std::mem::replace(&mut base_validated, true) {
                    continue;
                }
                event.kind.clone()
            }
            EventKind::Start { .. } | EventKind::Throughput { .. } | EventKind::End { .. } => {
                continue;
            }
            other => other.clone(),
        };
        events.push(Event {
            kind,
            ..(*event).clone()
        });
    }
    if let Some(last) = all.last() {
        events.push(Event {
            time: last.time,
            step: all.iter().map(|event| event.step).max().unwrap_or_default(),
            adapter: None,
            kind: EventKind::End {
                outcome: Outcome::Finished,
                best: Some(best.to_owned()),
                error: None,
            },
        });
    }
    events
}

/// Creates a folder with the files of another one: hard links if possible, else copies.
fn link_files(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if fs::hard_link(entry.path(), &to).is_err() {
            fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}
