//! The run folder: nothing is overwritten without request, one process at a time, no incomplete folder
//! looks complete. Each refusal with its message.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{ToyEngine, provenance, rows, run, run_with, settings, tree};
use verdict_train::{
    Error, Event, EventKind, NewRun, Outcome, RunFolder, TrainSettings, TrainingSet, train,
};

/// The error message with the run folder as RUN.
fn text(error: &Error, out: &Path) -> String {
    error.to_string().replace(&out.display().to_string(), "RUN")
}

#[test]
fn a_finished_run_is_overwritten_only_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    run(&settings(&out));
    fs::write(out.join("report.json"), "{}").unwrap();

    let error = NewRun::create(&settings(&out), false).unwrap_err();
    assert_eq!(
        text(&error, &out),
        "RUN: expected a new folder, found a finished run"
    );
    assert_eq!(
        error.hint().as_deref(),
        Some("choose another --out, or add --overwrite")
    );

    let other = TrainSettings {
        rank: vec![8],
        ..settings(&out)
    };
    run_with(&other, &mut ToyEngine::default(), true).0.unwrap();
    assert_eq!(RunFolder::open(&out).unwrap().names(), ["r8"]);
    assert!(!out.join("adapters/r4").exists() && !out.join("report.json").exists());
    let starts = RunFolder::open(&out).unwrap().events().unwrap();
    let starts = starts
        .iter()
        .filter(|event| matches!(event.kind, EventKind::Start { .. }))
        .count();
    assert_eq!(starts, 1, "the old events are gone");
}

#[test]
fn a_folder_with_other_files_is_never_changed() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.tex"), "years of work").unwrap();
    for overwrite in [false, true] {
        let error = NewRun::create(&settings(dir.path()), overwrite).unwrap_err();
        assert_eq!(
            text(&error, dir.path()),
            "RUN: expected a run folder, found \"thesis.tex\", which no run writes"
        );
    }
    assert_eq!(tree(dir.path()), ["thesis.tex"]);
}

#[test]
fn a_run_that_never_started_leaves_the_disk_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    drop(NewRun::create(&settings(&out), false).unwrap());
    assert!(!out.exists());
    fs::create_dir(&out).unwrap();
    drop(NewRun::create(&settings(&out), false).unwrap());
    assert!(out.exists() && tree(&out).is_empty());

    run(&settings(&out));
    let before = tree(&out);
    drop(NewRun::create(&settings(&out), true).unwrap());
    assert_eq!(
        tree(&out),
        before,
        "an overwrite takes nothing away before training begins"
    );
    RunFolder::open(&out).unwrap().verify().unwrap();
}

#[test]
fn a_second_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let first = NewRun::create(&settings(&out), false).unwrap();
    let error = NewRun::create(&settings(&out), true).unwrap_err();
    assert_eq!(
        text(&error, &out),
        "RUN: another process is training in this folder"
    );
    assert_eq!(
        second_process(&out),
        "RUN: another process is training in this folder"
    );
    let error = RunFolder::open(&out).unwrap_err();
    assert_eq!(
        text(&error, &out),
        "RUN: the run is not complete: another process is still training"
    );
    drop(first);
    assert_eq!(second_process(&out), "free");
}

/// The result of another process for the folder.
fn second_process(out: &Path) -> String {
    let said = out.with_extension("said");
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_second_process"])
        .env("VERDICT_TEST_RUN", out)
        .env("VERDICT_TEST_SAID", &said)
        .output()
        .unwrap();
    assert!(status.status.success(), "{status:?}");
    fs::read_to_string(said).unwrap()
}

/// Does something only when called by [`second_process`].
#[test]
fn the_second_process() {
    let (Ok(out), Ok(said)) = (
        std::env::var("VERDICT_TEST_RUN"),
        std::env::var("VERDICT_TEST_SAID"),
    ) else {
        return;
    };
    let found = match NewRun::create(&settings(Path::new(&out)), true) {
        Ok(_) => "free".to_owned(),
        Err(error) => text(&error, Path::new(&out)),
    };
    fs::write(said, found).unwrap();
}

#[test]
fn an_interrupted_run_is_not_complete_and_the_next_one_succeeds() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let stop = AtomicBool::new(false);
    let mut events = Vec::new();
    let mut observer = |event: &Event| {
        events.push(event.clone());
        if event.step == 12 && matches!(event.kind, EventKind::Throughput { .. }) {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let new = NewRun::create(&settings(&out), false).unwrap();
    let mut engine = ToyEngine::default();
    let error = train(
        new,
        &rows(),
        &provenance(),
        &mut engine,
        &mut observer,
        &stop,
    )
    .unwrap_err();
    let expected = "RUN: interrupted after step 12 of 30; the run is not complete";
    assert_eq!(text(&error, &out), expected);
    assert!(matches!(
        events.last().unwrap().kind,
        EventKind::End {
            outcome: Outcome::Interrupted,
            ..
        }
    ));
    let kept = "checkpoints/000000-step-000012";
    assert_eq!(
        tree(&out),
        [
            ".lock".to_owned(),
            format!("{kept}/SHA256SUMS"),
            format!("{kept}/adapter-0000.safetensors"),
            format!("{kept}/found.safetensors"),
            format!("{kept}/state.json"),
            "events.jsonl".into(),
            "paths.json".into(),
            "settings.toml".into(),
        ]
    );

    let error = RunFolder::open(&out).unwrap_err();
    assert_eq!(
        text(&error, &out),
        "RUN: the run is not complete: it has no MANIFEST.json because it was interrupted or failed"
    );
    let error = NewRun::create(&settings(&out), false).unwrap_err();
    assert_eq!(
        text(&error, &out),
        "RUN: expected a new folder, found an interrupted run"
    );
    run_with(&settings(&out), &mut ToyEngine::default(), true)
        .0
        .unwrap();
    RunFolder::open(&out).unwrap().verify().unwrap();
}

#[test]
fn a_stop_request_is_handled_in_every_phase() {
    let dir = tempfile::tempdir().unwrap();
    for phase in ["start", "validation", "saved"] {
        let out = dir.path().join(phase);
        let stop = AtomicBool::new(false);
        let mut observer = |event: &Event| {
            let kind = serde_json::to_value(event).unwrap()["kind"]
                .as_str()
                .unwrap()
                .to_owned();
            if kind == phase {
                stop.store(true, Ordering::Relaxed);
            }
        };
        let settings = TrainSettings {
            rank: vec![4, 8],
            ..settings(&out)
        };
        let new = NewRun::create(&settings, false).unwrap();
        let mut engine = ToyEngine::default();
        let result = train(
            new,
            &rows(),
            &provenance(),
            &mut engine,
            &mut observer,
            &stop,
        );
        assert!(
            matches!(result, Err(Error::Interrupted { .. })),
            "{phase}: {result:?}"
        );
        assert!(!out.join("MANIFEST.json").exists(), "{phase}");
        assert!(
            !tree(&out).iter().any(|path| path.contains(".partial")),
            "{phase}"
        );
    }
}

#[test]
fn a_full_disk_while_saving_names_the_adapter_and_leaves_nothing_incomplete() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let settings = TrainSettings {
        rank: vec![4, 8],
        ..settings(&out)
    };
    let mut engine = ToyEngine {
        full_disk: Some("r8".into()),
        ..ToyEngine::default()
    };
    let error = run_with(&settings, &mut engine, false).0.unwrap_err();
    assert_eq!(
        text(&error, &out),
        "adapter r8: cannot save to RUN/adapters/r8: no storage space"
    );
    assert!(!error.is_usage());
    assert_eq!(
        tree(&out),
        [
            ".lock",
            "adapters/r4/adapter_config.json",
            "adapters/r4/adapter_model.safetensors",
            "events.jsonl",
            "paths.json",
            "settings.toml",
        ]
    );
}

#[test]
fn broken_run_folders_are_refused_naming_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let open = |out: &Path| text(&RunFolder::open(out).unwrap_err(), out);
    assert_eq!(open(&out), "RUN: cannot read the folder: entity not found");
    fs::create_dir(&out).unwrap();
    assert_eq!(
        open(&out),
        "RUN: expected a run folder, found no settings.toml"
    );

    run_with(&settings(&out), &mut ToyEngine::default(), false)
        .0
        .unwrap();
    let weights = out.join("adapters/r4/adapter_model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() - 1]).unwrap();
    let run = RunFolder::open(&out).unwrap();
    assert!(run.verified_adapter_dir(Some("r4")).is_err());
    let error = run.verify().unwrap_err();
    let said = text(&error, &out);
    let begins = "RUN/adapters/r4/adapter_model.safetensors: the file was changed since the run wrote it: expected SHA-256 ";
    assert!(
        said.starts_with(begins) && said.contains(", found "),
        "{said}"
    );
    fs::remove_file(&weights).unwrap();
    let expected = "RUN/adapters/r4/adapter_model.safetensors: cannot read: No such file";
    assert!(open(&out).starts_with(expected), "{}", open(&out));
    fs::write(&weights, &bytes).unwrap();

    let manifest = out.join("MANIFEST.json");
    let whole = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, &whole[..whole.len() / 2]).unwrap();
    assert!(
        open(&out).starts_with("RUN/MANIFEST.json: line "),
        "{}",
        open(&out)
    );
    fs::write(&manifest, whole).unwrap();
    fs::write(out.join("settings.toml"), "rnk = 4\n").unwrap();
    assert_eq!(
        open(&out),
        "RUN/settings.toml: rnk: unknown key, did you mean `rank`? (line 1)"
    );
}

#[test]
fn invalid_settings_and_examples_are_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let bad = TrainSettings {
        batch: 0,
        ..settings(&out)
    };
    let error = NewRun::create(&bad, false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "settings: batch: expected at least 1, found 0"
    );
    assert!(!out.exists());

    let try_rows = |rows: TrainingSet| {
        let new = NewRun::create(&settings(&out), false).unwrap();
        let stop = AtomicBool::new(false);
        let mut engine = ToyEngine::default();
        train(new, &rows, &provenance(), &mut engine, &mut |_| {}, &stop)
            .unwrap_err()
            .to_string()
    };
    let none = TrainingSet {
        validation: vec![],
        ..rows()
    };
    assert_eq!(
        try_rows(none),
        "data: the validation split has no examples; expected at least 1"
    );
    let mut long = rows();
    long.train[3].tokens.resize(100, 7);
    assert_eq!(
        try_rows(long),
        "settings: pass_tokens: expected at least 100, the tokens of the longest train example, found 64"
    );
    assert!(!out.exists());
}
