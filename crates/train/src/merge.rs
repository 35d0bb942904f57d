//! The shards of a grid, each trained by a task of its own, to one run: adapters, predictions, events,
//! and the choice among all members.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::card;
use crate::error::{Error, Result};
use crate::events::{self, Event, EventKind, Outcome};
use crate::files;
use crate::folder::{NewRun, RunFolder};
use crate::grid::{adapters, grid};
use crate::manifest::{AdapterRecord, Manifest};
use crate::select;
use crate::settings::TrainSettings;
use crate::shard::{self, SHARDS};

/// One shard, as it came out.
struct TrainedShard {
    index: usize,
    /// The settings, its shard with them.
    settings: TrainSettings,
    events: Vec<Event>,
    /// None where every member of it was taken out.
    run: Option<RunFolder>,
}

/// Makes one run of the shards in `dir/shards`, in `dir`: the run that one task would have made of the
/// whole grid, each adapter the bytes that its shard wrote. The shards stay; adapters share the disk with
/// theirs where the file system can. Rates of tokens are left out of the events, since no machine had
/// them; the shards' own events have them.
///
/// # Errors
/// [`Error::Shards`] with every reason why they are not all of one grid: missing, unfinished, made from
/// other settings, data or models; [`Error::Changed`] for an adapter that is not what its shard wrote;
/// [`Error::Exists`] where they were merged before; [`Error::Diverged`] where every member was taken
/// out; [`Error::Locked`] and [`Error::Io`].
pub fn merge(dir: &Path) -> Result<Manifest> {
    let shards = read(dir)?;
    let settings = whole(dir, &shards[0].settings);
    let mut run = NewRun::merge_into(&settings)?;
    let finished: Vec<&RunFolder> = shards
        .iter()
        .filter_map(|shard| shard.run.as_ref())
        .collect();
    let Some(first) = finished.first() else {
        let reasons = shards.iter().flat_map(|shard| stopped(&shard.events));
        return Err(Error::Diverged {
            reasons: reasons.map(|(_, reason)| reason).collect(),
        });
    };
    for shard in &finished {
        shard.verify()?;
    }
    run = run.reading_as(first.input_paths());
    drop(run.begin()?);

    let mut records = Vec::new();
    let mut predictions = first.validation()?;
    predictions.retain(|prediction| prediction.adapter.is_none());
    for adapter in grid(&settings) {
        let name = &adapter.name;
        let shard = shards.iter().find(|shard| shard.trains(name));
        let shard = shard.expect("each member has its shard: it was checked");
        let Some(of) = &shard.run else {
            let mut reasons = stopped(&shard.events);
            records.push(AdapterRecord {
                diverged: reasons.remove(name),
                ..AdapterRecord::untrained(adapter)
            });
            continue;
        };
        let mut all = of.manifest.adapters.iter();
        let record = all.find(|record| record.adapter.name == *name);
        let record = record.expect("a manifest has the members of its settings");
        if record.diverged.is_none() {
            let from = of.adapter_dir(Some(name))?;
            run.save(name, |to| Ok(share(&from, to)?))?;
            let own = of.validation()?.into_iter();
            predictions.extend(own.filter(|line| line.adapter.as_deref() == Some(name)));
        }
        records.push(record.clone());
    }
    run.write_validation(predictions.into_iter())?;
    let best = select::best(&records).ok_or_else(|| Error::Diverged {
        reasons: records
            .iter()
            .filter_map(|of| of.diverged.clone())
            .collect(),
    })?;
    let best = records[best].adapter.name.clone();
    run.write_events(&together(&shards, &settings, &best))?;
    let mut machines = Vec::new();
    for machine in finished.iter().flat_map(|of| &of.manifest.machines) {
        if !machines.contains(machine) {
            machines.push(machine.clone());
        }
    }
    let pass_tokens = first.manifest.pass_tokens;
    let mut others = finished.iter().map(|of| of.manifest.pass_tokens);
    let pass_tokens = pass_tokens.filter(|_| others.all(|of| of == pass_tokens));
    let mut manifest = Manifest {
        machines,
        pass_tokens,
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
    // Each shard's cards know their shard alone.
    card::write(&run, &mut manifest)?;
    run.finish(&manifest)?;
    Ok(manifest)
}

impl TrainedShard {
    fn read(dir: &Path, index: usize) -> Result<Self> {
        let folder = shard::folder(dir, index);
        let events_of = |folder: &Path| events::read(&folder.join("events.jsonl"));
        match RunFolder::open(&folder) {
            Ok(run) => Ok(TrainedShard {
                index,
                settings: run.settings.clone(),
                events: run.events()?,
                run: Some(run),
            }),
            // One whose members were all taken out ends without a manifest; the others go on.
            Err(error @ Error::Incomplete { .. }) => {
                let settings = TrainSettings::read(&folder.join("settings.toml"))?;
                let events = events_of(&folder)?;
                let stopped = stopped(&events);
                let failed = |event: &Event| {
                    let failed = Outcome::Failed;
                    matches!(&event.kind, EventKind::End { outcome, .. } if *outcome == failed)
                };
                let all = adapters(&settings)
                    .iter()
                    .all(|of| stopped.contains_key(&of.name));
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

/// The settings of the whole run, of those of a shard.
fn whole(dir: &Path, settings: &TrainSettings) -> TrainSettings {
    TrainSettings {
        out: dir.to_path_buf(),
        shard: None,
        ..settings.clone()
    }
}

/// Every shard; or every reason why they do not make one run.
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
        faults.extend(unlike(dir, first, &shards));
        if faults.is_empty() {
            faults.extend(uncovered(&shards));
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

/// Where shards were made otherwise than the first.
fn unlike(dir: &Path, first: &TrainedShard, shards: &[TrainedShard]) -> Vec<String> {
    let told = |shard: &TrainedShard, what: &str| {
        let (index, first) = (shard.index, first.index);
        format!("shard {index}: other {what} than shard {first}")
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
            faults.push(told(shard, "settings"));
        }
        if !alike(shard) {
            faults.push(told(shard, "data, another model or another version"));
        }
    }
    faults
}

/// Members that no shard has, or more than one.
fn uncovered(shards: &[TrainedShard]) -> Vec<String> {
    let named = grid(&shards[0].settings);
    let counted = named.iter().map(|adapter| {
        let shards = shards.iter().filter(|shard| shard.trains(&adapter.name));
        (&adapter.name, shards.count())
    });
    let wrong = counted.filter(|(_, count)| *count != 1);
    wrong
        .map(|(name, count)| match count {
            0 => format!("{name}: its shard has not begun"),
            _ => format!("{name}: in {count} shards"),
        })
        .collect()
}

/// Members that were taken out, with the reasons.
fn stopped(events: &[Event]) -> BTreeMap<String, String> {
    let reason = |event: &Event| match &event.kind {
        EventKind::Diverged { reason } => Some((event.adapter.clone()?, reason.clone())),
        _ => None,
    };
    events.iter().filter_map(reason).collect()
}

/// The events of all shards as those of one run, in the order of time.
fn together(shards: &[TrainedShard], settings: &TrainSettings, best: &str) -> Vec<Event> {
    let mut begun = false;
    let mut judged = false;
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
                if std::mem::replace(&mut judged, true) {
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

/// Makes a folder of the files of another: the same bytes on the disk where that can be, else copies.
fn share(from: &Path, to: &Path) -> io::Result<()> {
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
