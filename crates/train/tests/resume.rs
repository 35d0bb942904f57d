//! Checkpoints: wherever a run is interrupted, it resumes to the same bytes. Damaged checkpoints are skipped,
//! those of another run refused.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{ToyEngine, outcome, provenance, rows, run, run_with, settings, tree};
use verdict_train::{
    EarlyStoppingRule, Error, Event, EventKind, MultiDeviceEngine, NewRun, Plan, Result,
    RunSummary, TrainRequest, TrainSettings, train,
};

/// The error message with the run folder as RUN.
fn text(error: &Error, out: &Path) -> String {
    error.to_string().replace(&out.display().to_string(), "RUN")
}

/// Trains until the end, or until the `stop_at`-th call of the engine, from 1.
fn go(run: NewRun, stop_at: Option<usize>) -> Result<RunSummary> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut engine = ToyEngine {
        flag_at: stop_at.map(|at| (at, stop.clone())),
        ..ToyEngine::default()
    };
    train(
        run,
        &rows(),
        &provenance(),
        &mut engine,
        &mut |_| {},
        &*stop,
    )
}

fn small(out: &Path) -> TrainSettings {
    TrainSettings {
        rank: vec![2, 4],
        dropout: vec![0.1],
        steps: Some(4),
        validate_every: 2,
        checkpoint_every: Some(0),
        ..settings(out)
    }
}

fn folded(out: &Path) -> TrainSettings {
    TrainSettings {
        rank: vec![2],
        steps: None,
        epochs: Some(1.0),
        folds: Some(3),
        ..small(out)
    }
}

/// Adapters are early-stopped by patience and pruned at rungs.
fn early_stopping(out: &Path) -> TrainSettings {
    TrainSettings {
        rank: vec![2, 4],
        // The second is so high that validation soon grows worse.
        lr: vec![0.05, 1.0],
        steps: Some(8),
        validate_every: 1,
        patience: Some(1),
        halving: Some(4),
        ..small(out)
    }
}

#[test]
fn the_interrupted_run_below_has_early_stopped_and_pruned_adapters() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = run(&early_stopping(&dir.path().join("run"))).manifest;
    let by = |rule| {
        let dropped = manifest
            .adapters
            .iter()
            .filter_map(|record| record.early_stop.as_ref());
        dropped.filter(|dropped| dropped.by == rule).count()
    };
    assert_eq!(
        (
            by(EarlyStoppingRule::Patience),
            by(EarlyStoppingRule::Halving)
        ),
        (1, 3),
        "{manifest:?}"
    );
}

/// A folder for `run` and the outcome of an uninterrupted run with the same settings in another folder of
/// the same name, so that settings.toml and the manifest are the same.
fn pair(make: fn(&Path) -> TrainSettings) -> (tempfile::TempDir, Vec<(String, Vec<u8>)>) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    run(&make(&out));
    let whole = outcome(&out);
    fs::remove_dir_all(&out).unwrap();
    (dir, whole)
}

fn assert_same(out: &Path, whole: &[(String, Vec<u8>)], what: &str) {
    let found = outcome(out);
    let names = |files: &[(String, Vec<u8>)]| -> Vec<String> {
        files.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&found), names(whole), "{what}");
    for ((name, found), (_, whole)) in found.iter().zip(whole) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            found == whole,
            "{what}: {name}\n{}\n{}",
            text(found),
            text(whole)
        );
    }
}

#[test]
fn a_run_interrupted_at_any_micro_batch_resumes_to_the_same_bytes() {
    for make in [small, folded, early_stopping] {
        let (dir, whole) = pair(make);
        let out = dir.path().join("run");
        let mut stops = 0;
        for call in 1.. {
            let stopped = go(NewRun::create(&make(&out), false).unwrap(), Some(call));
            if stopped.is_ok() {
                break;
            }
            stops += 1;
            assert!(
                matches!(stopped, Err(Error::Interrupted { .. })),
                "{stopped:?}"
            );
            go(NewRun::resume(&out).unwrap(), None).unwrap();
            assert_same(&out, &whole, &format!("stopped at call {call}"));
            fs::remove_dir_all(&out).unwrap();
        }
        assert!(stops > 20, "{stops}");
    }
}

#[test]
fn a_run_that_is_interrupted_repeatedly_gives_the_same_result() {
    for make in [small, folded, early_stopping] {
        let (dir, whole) = pair(make);
        let out = dir.path().join("run");
        let mut sound = ToyEngine::default();
        run_with(&make(&dir.path().join("sound")), &mut sound, false)
            .0
            .unwrap();
        // Longer than any step or validation, so that each time something is done.
        let calls = sound.calls.load(Ordering::Relaxed) / 3;
        let mut run = NewRun::create(&make(&out), false).unwrap();
        let mut stops = 0;
        while let Err(error) = go(run, Some(calls)) {
            assert!(matches!(error, Error::Interrupted { .. }), "{error}");
            stops += 1;
            assert!(stops < 20, "nothing is done between two stops");
            run = NewRun::resume(&out).unwrap();
        }
        assert!(stops > 2, "{stops}");
        assert_same(&out, &whole, "stopped again and again");
    }
}

#[test]
fn an_interruption_while_adapters_are_saved_leaves_each_saved_once() {
    let (dir, whole) = pair(small);
    let out = dir.path().join("run");
    let stop = AtomicBool::new(false);
    let mut observer = |event: &Event| {
        if matches!(event.kind, EventKind::Saved { .. }) {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let new = NewRun::create(&small(&out), false).unwrap();
    let mut engine = ToyEngine::default();
    let stopped = train(
        new,
        &rows(),
        &provenance(),
        &mut engine,
        &mut observer,
        &stop,
    );
    assert!(
        matches!(stopped, Err(Error::Interrupted { .. })),
        "{stopped:?}"
    );
    assert!(out.join("adapters/r2").exists() && !out.join("adapters/r4").exists());
    go(NewRun::resume(&out).unwrap(), None).unwrap();
    assert_same(&out, &whole, "stopped between two adapters");
}

#[test]
fn a_run_resumes_on_another_number_of_devices() {
    let (dir, whole) = pair(early_stopping);
    let out = dir.path().join("run");
    for (at, devices) in [(9, 2), (20, 3)] {
        let stopped = go(
            NewRun::create(&early_stopping(&out), false).unwrap(),
            Some(at),
        );
        assert!(
            matches!(stopped, Err(Error::Interrupted { .. })),
            "{stopped:?}"
        );
        let plan = Plan::new(&early_stopping(&out).resolved(), &rows()).unwrap();
        let engines: Vec<ToyEngine> = (0..devices).map(|_| ToyEngine::default()).collect();
        let mut engine = MultiDeviceEngine::new(engines, &plan.specs());
        let stop = AtomicBool::new(false);
        let run = NewRun::resume(&out).unwrap();
        train(run, &rows(), &provenance(), &mut engine, &mut |_| {}, &stop).unwrap();
        assert_same(&out, &whole, &format!("{devices} devices"));
        fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn a_requested_checkpoint_is_written_and_the_run_continues() {
    let (dir, whole) = pair(small);
    let out = dir.path().join("run");
    let stop = AtomicBool::new(false);
    // One request for in training, one in validation.
    for call in [9, 20] {
        let wanted = Arc::new(AtomicBool::new(false));
        let request = TrainRequest {
            stop: &stop,
            checkpoint: &wanted,
        };
        let mut engine = ToyEngine {
            flag_at: Some((call, wanted.clone())),
            ..ToyEngine::default()
        };
        let new = NewRun::create(&small(&out), false).unwrap();
        let done = train(
            new,
            &rows(),
            &provenance(),
            &mut engine,
            &mut |_| {},
            request,
        )
        .unwrap();
        assert_eq!(done.checkpoints, 1);
        assert!(done.checkpoint_time.as_secs_f64() > 0.0);
        assert!(!wanted.load(Ordering::Relaxed));
        assert_same(&out, &whole, "request for a checkpoint");
        fs::remove_dir_all(&out).unwrap();
    }
}

fn checkpoints(out: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(out.join("checkpoints")).unwrap();
    let mut found: Vec<PathBuf> = found.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn every_step(out: &Path) -> TrainSettings {
    TrainSettings {
        checkpoint_every: Some(1),
        ..small(out)
    }
}

/// A run with a checkpoint each step, ended by an engine that fails in step 4 of 4.
fn failed_run(out: &Path) {
    let mut sound = ToyEngine::default();
    let beside = out.with_file_name("sound");
    run_with(&every_step(&beside), &mut sound, true).0.unwrap();
    let mut engine = ToyEngine {
        failing_call: Some(sound.accumulate_calls),
        ..ToyEngine::default()
    };
    let new = NewRun::create(&every_step(out), false).unwrap();
    let stop = AtomicBool::new(false);
    let failed = train(new, &rows(), &provenance(), &mut engine, &mut |_| {}, &stop);
    assert!(matches!(failed, Err(Error::Engine { .. })), "{failed:?}");
}

#[test]
fn the_last_two_checkpoints_are_kept_and_a_damaged_one_is_skipped() {
    let (dir, whole) = pair(every_step);
    let out = dir.path().join("run");
    failed_run(&out);
    let kept = checkpoints(&out);
    assert_eq!(kept.len(), 2, "{kept:?}");
    let files = tree(&kept[1]);
    assert_eq!(
        files,
        [
            "SHA256SUMS",
            "adapter-0000.safetensors",
            "adapter-0001.safetensors",
            "found.safetensors",
            "state.json"
        ]
    );
    let mut cases = 0;
    for file in &files {
        for (number, damage) in SPOIL.iter().enumerate() {
            let path = kept[1].join(file);
            damage(&path);
            let resumed = NewRun::resume(&out).unwrap();
            let skipped = resumed.skipped_checkpoints();
            assert_eq!(skipped.len(), 1, "{file} {number}");
            assert!(
                skipped[0].starts_with(&format!("{}: skipped: ", kept[1].display())),
                "{skipped:?}"
            );
            let older = kept[0].file_name().unwrap().to_string_lossy().into_owned();
            let step = resumed.resumed_at().unwrap();
            assert!(older.ends_with(&format!("step-{step:06}")), "{older}");
            go(resumed, None).unwrap();
            assert_same(&out, &whole, &format!("{file} damaged by {number}"));
            fs::remove_dir_all(&out).unwrap();
            failed_run(&out);
            cases += 1;
        }
    }
    assert_eq!(cases, 5 * SPOIL.len());
    // Both: from the beginning.
    for kept in checkpoints(&out) {
        fs::write(kept.join("state.json"), "{}").unwrap();
    }
    let resumed = NewRun::resume(&out).unwrap();
    assert_eq!(
        (resumed.skipped_checkpoints().len(), resumed.resumed_at()),
        (2, None)
    );
    go(resumed, None).unwrap();
    assert_same(&out, &whole, "both damaged");
}

/// Ways to damage a file: flip a bit, truncate it, empty it, delete it.
const SPOIL: [fn(&Path); 4] = [
    |path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    },
    |path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
    },
    |path| fs::write(path, b"").unwrap(),
    |path| fs::remove_file(path).unwrap(),
];

#[test]
fn events_that_end_before_the_checkpoint_make_it_a_spoilt_one() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    failed_run(&out);
    fs::write(out.join("events.jsonl"), "").unwrap();
    let skipped = NewRun::resume(&out).unwrap().skipped_checkpoints();
    assert_eq!(skipped.len(), 2);
    assert!(
        skipped[0].contains("events.jsonl: expected at least "),
        "{skipped:?}"
    );
}

#[test]
fn what_cannot_be_resumed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let refused = |out: &Path| text(&NewRun::resume(out).unwrap_err(), out);
    fs::create_dir(&out).unwrap();
    assert_eq!(
        refused(&out),
        "RUN: expected a run folder, found no settings.toml"
    );
    assert!(tree(&out).is_empty());
    failed_run(&out);

    let first = NewRun::resume(&out).unwrap();
    assert_eq!(
        refused(&out),
        "RUN: another process is training in this folder"
    );
    drop(first);

    let path = out.join("settings.toml");
    let before = fs::read_to_string(&path).unwrap();
    fs::write(&path, before.replace("0.05", "0.04")).unwrap();
    let error = go(NewRun::resume(&out).unwrap(), None).unwrap_err();
    let kept = checkpoints(&out).pop().unwrap();
    let kept = format!(
        "RUN/checkpoints/{}",
        kept.file_name().unwrap().to_string_lossy()
    );
    assert_eq!(
        text(&error, &out),
        format!(
            "{kept}: cannot resume from this checkpoint: settings.toml has changed since the run began"
        )
    );
    assert!(error.is_usage());
    // What changes no result may change.
    fs::write(&path, format!("threads = 3\n{before}")).unwrap();
    let mut other = provenance();
    other.model_sha256 = "0".repeat(64);
    let resumed = NewRun::resume(&out).unwrap();
    let stop = AtomicBool::new(false);
    let mut engine = ToyEngine::default();
    let error = train(resumed, &rows(), &other, &mut engine, &mut |_| {}, &stop).unwrap_err();
    assert_eq!(
        text(&error, &out),
        format!(
            "{kept}: cannot resume from this checkpoint: the model or the data set has changed since the run began"
        )
    );
    go(NewRun::resume(&out).unwrap(), None).unwrap();
    assert_eq!(
        refused(&out),
        "RUN: expected an interrupted run, found a finished one"
    );
}

#[test]
fn a_deleted_folder_stops_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let mut observer = |event: &Event| {
        if event.step == 2 && matches!(event.kind, EventKind::Throughput { .. }) {
            fs::remove_dir_all(&out).unwrap();
        }
    };
    let new = NewRun::create(&small(&out), false).unwrap();
    let (stop, mut engine) = (AtomicBool::new(false), ToyEngine::default());
    let error = train(
        new,
        &rows(),
        &provenance(),
        &mut engine,
        &mut observer,
        &stop,
    )
    .unwrap_err();
    assert_eq!(
        text(&error, &out),
        "RUN: the run folder was deleted during training; its adapters are lost"
    );
    assert!(!out.exists(), "it is not made again");
}

#[test]
fn a_checkpoint_that_cannot_be_written_stops_the_run_and_keeps_the_last_one() {
    let (dir, whole) = pair(every_step);
    let out = dir.path().join("run");
    // A folder in the way of the third checkpoint, which no rename can replace.
    let mut observer = |event: &Event| {
        if event.step == 3 && matches!(event.kind, EventKind::Throughput { .. }) {
            fs::create_dir_all(out.join("checkpoints/000002-step-000003/in-the-way")).unwrap();
        }
    };
    let new = NewRun::create(&every_step(&out), false).unwrap();
    let (stop, mut engine) = (AtomicBool::new(false), ToyEngine::default());
    let error = train(
        new,
        &rows(),
        &provenance(),
        &mut engine,
        &mut observer,
        &stop,
    )
    .unwrap_err();
    let said = text(&error, &out);
    assert!(
        said.starts_with("RUN/checkpoints/000002-step-000003: cannot write: "),
        "{said}"
    );
    let resumed = NewRun::resume(&out).unwrap();
    assert_eq!(resumed.resumed_at(), Some(2));
    go(resumed, None).unwrap();
    assert_same(&out, &whole, "gone on from the last whole one");
}
