//! A grid split over tasks and merged is the same as a run of one task. What does not belong together is
//! refused with all reasons.

mod common;

use std::fs;
use std::path::Path;

use common::{ToyEngine, outcome, run, run_with, settings};
use verdict_train::{
    Error, EventKind, NewRun, RunFolder, Shard, TrainSettings, grid, merge, shard,
};

fn whole(out: &Path) -> TrainSettings {
    TrainSettings {
        rank: vec![2, 4],
        lr: vec![0.02, 0.05],
        dropout: vec![0.1],
        ..settings(out)
    }
}

/// The settings of shard `index` of a run in `out`, whose shards have the adapters with these indices.
fn part(out: &Path, index: usize, parts: &[Vec<usize>]) -> TrainSettings {
    let whole = whole(out);
    let names: Vec<String> = grid(&whole).into_iter().map(|of| of.name).collect();
    let adapters = parts[index - 1].iter().map(|of| names[*of].clone());
    TrainSettings {
        out: shard::folder(out, index),
        shard: Some(Shard {
            index,
            of: parts.len(),
            adapters: adapters.collect(),
        }),
        ..whole
    }
}

fn parts() -> Vec<Vec<usize>> {
    shard::split(&[1.0, 1.0, 2.0, 2.0], 2)
}

/// Every reason, without the name of the folder.
fn reasons(error: Error, out: &Path) -> Vec<String> {
    match error {
        Error::Shards { faults, .. } => {
            let out = out.display().to_string();
            faults.iter().map(|of| of.replace(&out, "RUN")).collect()
        }
        other => panic!("{other}"),
    }
}

#[test]
fn merged_shards_are_the_run_of_one_task() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    run(&whole(&out));
    let expected = outcome(&out);
    let events = RunFolder::open(&out).unwrap().events().unwrap();
    fs::remove_dir_all(&out).unwrap();

    for index in [2, 1] {
        run(&part(&out, index, &parts()));
    }
    let open = RunFolder::open(&out).unwrap_err();
    assert!(matches!(open, Error::Unmerged { .. }), "{open}");
    let manifest = merge(&out).unwrap();
    assert_eq!(RunFolder::open(&out).unwrap().manifest, manifest);
    RunFolder::open(&out).unwrap().verify().unwrap();

    let merged = outcome(&out).into_iter();
    let merged: Vec<_> = merged
        .filter(|(name, _)| !name.starts_with("shards/"))
        .collect();
    let files = |all: &[(String, Vec<u8>)]| -> Vec<(String, String)> {
        let kept = all.iter().filter(|(name, _)| !name.contains("events"));
        kept.map(|(name, bytes)| (name.clone(), String::from_utf8_lossy(bytes).into_owned()))
            .collect()
    };
    // The settings.toml of a shard is the shard's, the whole run's is the whole run's.
    assert_eq!(files(&merged), files(&expected));

    // Its events report the same of each adapter as those of a single task, and describe the merged run as a whole.
    let merged = RunFolder::open(&out).unwrap().events().unwrap();
    let of = |events: &[verdict_train::Event], adapter: Option<&str>| -> Vec<(usize, EventKind)> {
        let kept = events.iter().filter(|event| {
            event.adapter.as_deref() == adapter
                && !matches!(event.kind, EventKind::Throughput { .. })
        });
        kept.map(|event| (event.step, event.kind.clone())).collect()
    };
    for adapter in grid(&whole(&out)) {
        let name = Some(adapter.name.as_str());
        assert_eq!(of(&merged, name), of(&events, name), "{name:?}");
    }
    assert_eq!(of(&merged, None), of(&events, None));
    assert!(merged.is_sorted_by(|a, b| a.time <= b.time));

    let again = merge(&out).unwrap_err();
    assert!(matches!(again, Error::Exists { .. }), "{again}");
    let error = NewRun::create(&whole(&out), false).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
    run_with(&whole(&out), &mut ToyEngine::default(), true)
        .0
        .unwrap();
    assert!(!out.join("shards").exists(), "an overwrite takes them away");
}

#[test]
fn a_shard_whose_adapters_all_diverged_does_not_prevent_the_merge() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let alone = vec![vec![0], vec![1, 2, 3]];
    let mut engine = ToyEngine {
        poisoned: Some((grid(&whole(&out))[0].name.clone(), 2)),
        ..ToyEngine::default()
    };
    let failed = run_with(&part(&out, 1, &alone), &mut engine, false).0;
    assert!(matches!(failed, Err(Error::Diverged { .. })), "{failed:?}");
    run(&part(&out, 2, &alone));
    let manifest = merge(&out).unwrap();
    let stopped = |place: usize| manifest.adapters[place].diverged.is_some();
    assert!(stopped(0) && !stopped(1) && !stopped(2) && !stopped(3));
    assert_ne!(manifest.best, manifest.adapters[0].adapter.name);
    assert_eq!(RunFolder::open(&out).unwrap().names().len(), 3);
}

#[test]
fn missing_unfinished_and_foreign_shards_are_reported_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let error = merge(&out).unwrap_err();
    assert!(matches!(error, Error::NotARun { .. }), "{error}");

    let parts = vec![vec![0], vec![1], vec![2, 3]];
    run(&part(&out, 1, &parts));
    let error = merge(&out).unwrap_err();
    assert_eq!(
        reasons(error, &out),
        [
            "r2-lr5e-2: its shard has not started",
            "r4-lr2e-2: its shard has not started",
            "r4-lr5e-2: its shard has not started"
        ]
    );
    let mut engine = ToyEngine {
        failing_call: Some(3),
        ..ToyEngine::default()
    };
    let _ = run_with(&part(&out, 2, &parts), &mut engine, false).0;
    let other = TrainSettings {
        batch: 3,
        ..part(&out, 3, &parts)
    };
    run(&other);
    let error = merge(&out).unwrap_err();
    assert_eq!(
        reasons(error, &out),
        [
            "RUN/shards/2: the run is not complete: it has no MANIFEST.json because it was interrupted or failed",
            "shard 3: its settings differ from those of shard 1"
        ]
    );
    assert!(!out.join("MANIFEST.json").exists() && !out.join("adapters").exists());
}

#[test]
fn changed_bytes_of_a_shard_are_detected() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    for index in [1, 2] {
        run(&part(&out, index, &parts()));
    }
    let adapters = shard::folder(&out, 2).join("adapters");
    let first = fs::read_dir(adapters).unwrap().next().unwrap().unwrap();
    let file = fs::read_dir(first.path()).unwrap().next().unwrap().unwrap();
    fs::write(file.path(), "other").unwrap();
    let error = merge(&out).unwrap_err();
    assert!(matches!(error, Error::Changed { .. }), "{error}");
}

#[test]
fn comparing_adapters_needs_an_unsharded_run() {
    let dir = tempfile::tempdir().unwrap();
    let settings = TrainSettings {
        halving: Some(2),
        ..part(dir.path(), 1, &parts())
    };
    let faults = settings.faults();
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        faults,
        ["halving: expected none with shards, which cannot compare their adapters, found 2"]
    );
    let strange = TrainSettings {
        shard: Some(Shard {
            index: 3,
            of: 2,
            adapters: vec!["r7".into()],
        }),
        ..whole(dir.path())
    };
    let faults: Vec<String> = strange.faults().iter().map(ToString::to_string).collect();
    assert_eq!(
        faults,
        [
            "shard: expected a number from 1 to the number of shards, found 3 of 2",
            "shard: expected adapters of the grid, found \"r7\""
        ]
    );
}
