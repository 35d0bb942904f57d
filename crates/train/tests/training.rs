//! Complete runs with the toy engine: what is learned, written and chosen, and what depends on what.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{ToyEngine, adapter_bytes, rows, run, run_on, run_with, settings, tree};
use verdict_data::Label;
use verdict_train::{EventKind, Loss, MultiDeviceEngine, Outcome, RunFolder, TrainSettings};

#[test]
fn the_loss_falls_the_labels_are_learned_and_the_folder_is_complete() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let settings = TrainSettings {
        rank: vec![4, 8],
        ..settings(&out)
    };
    let (result, seen) = run_with(&settings, &mut ToyEngine::default(), false);
    let summary = result.unwrap();

    let base = summary.manifest.base;
    assert!(
        (base.loss - (common::VOCAB as f64).ln()).abs() < 1e-6,
        "an untaught toy knows nothing"
    );
    assert!(base.accuracy < 0.5, "{base:?}");
    for record in &summary.manifest.adapters {
        let score = record.validation.unwrap();
        assert!(score.loss < 0.5 * base.loss, "{score:?}");
        assert_eq!((score.accuracy, score.n), (11.0 / 12.0, 12));
    }
    assert_eq!(
        summary.manifest.best, "r4",
        "level accuracy: the smaller rank"
    );

    assert_eq!(
        tree(&out),
        [
            ".lock",
            "MANIFEST.json",
            "adapters/r4/README.md",
            "adapters/r4/adapter_config.json",
            "adapters/r4/adapter_model.safetensors",
            "adapters/r4/calibration.json",
            "adapters/r8/README.md",
            "adapters/r8/adapter_config.json",
            "adapters/r8/adapter_model.safetensors",
            "adapters/r8/calibration.json",
            "events.jsonl",
            "paths.json",
            "settings.toml",
            "validation.jsonl",
        ]
    );
    let folder = RunFolder::open(&out).unwrap();
    folder.verify().unwrap();
    assert_eq!(folder.settings, settings.resolved());
    assert_eq!(folder.manifest, summary.manifest);
    assert_eq!(
        folder.events().unwrap(),
        seen,
        "the file holds what the observer saw"
    );
    assert_eq!(folder.names(), ["r4", "r8"]);
    assert_eq!(folder.adapter_dir(None).unwrap(), out.join("adapters/r4"));
    assert_eq!(
        folder.adapter_dir(Some("r8")).unwrap(),
        out.join("adapters/r8")
    );
}

#[test]
fn events_come_in_order_with_the_learning_rates_of_the_schedule() {
    let dir = tempfile::tempdir().unwrap();
    let settings = TrainSettings {
        steps: Some(5),
        validate_every: 2,
        ..settings(&dir.path().join("run"))
    };
    let (result, events) = run_with(&settings, &mut ToyEngine::default(), false);
    result.unwrap();
    let lines: Vec<String> = events
        .iter()
        .map(|event| {
            let what = match &event.kind {
                EventKind::Start {
                    names,
                    steps,
                    train_rows,
                    validation_rows,
                    ..
                } => {
                    format!("start {names:?} {steps} {train_rows} {validation_rows}")
                }
                EventKind::Train { lr, .. } => format!("train {lr}"),
                EventKind::Validation { n, .. } => format!("validation {n}"),
                EventKind::Throughput { .. } => "throughput".into(),
                EventKind::Saved { path } => format!("saved {path}"),
                EventKind::Diverged { reason } | EventKind::EarlyStopped { reason, .. } => {
                    reason.clone()
                }
                EventKind::End {
                    outcome,
                    best,
                    error,
                } => format!("end {outcome:?} {best:?} {error:?}"),
            };
            format!(
                "{} {} {what}",
                event.step,
                event.adapter.as_deref().unwrap_or("-")
            )
        })
        .collect();
    // 5 steps, 3 % of them rounded up is 1 of warm-up; then 4/4, 3/4, 2/4, 1/4 of 0.05.
    assert_eq!(
        lines,
        [
            "0 - start [\"r4\"] 5 50 12",
            "0 - validation 12",
            "1 r4 train 0",
            "1 - throughput",
            "2 r4 train 0.05",
            "2 - throughput",
            "2 r4 validation 12",
            "3 r4 train 0.037500000000000006",
            "3 - throughput",
            "4 r4 train 0.025",
            "4 - throughput",
            "4 r4 validation 12",
            "5 r4 train 0.0125",
            "5 - throughput",
            "5 r4 validation 12",
            "5 r4 saved adapters/r4",
            "5 - end Finished Some(\"r4\") None",
        ]
    );
}

#[test]
fn epochs_become_steps() {
    let dir = tempfile::tempdir().unwrap();
    let settings = TrainSettings {
        steps: None,
        epochs: Some(1.5),
        ..settings(&dir.path().join("run"))
    };
    // 50 rows in batches of 16 are 4 steps an epoch.
    assert_eq!(run(&settings).manifest.steps, 6);
}

#[test]
fn an_adapter_is_the_same_alone_and_in_a_grid() {
    let dir = tempfile::tempdir().unwrap();
    let together = dir.path().join("together");
    let grid = TrainSettings {
        rank: vec![2, 4, 8],
        dropout: vec![0.0, 0.1],
        lr: vec![0.02, 0.05],
        seed: vec![1, 2],
        ..settings(&together)
    };
    let adapters = run(&grid).manifest.adapters;
    assert_eq!(adapters.len(), 24);
    for record in [&adapters[0], &adapters[7], &adapters[13], &adapters[23]] {
        let adapter = &record.adapter;
        let out = dir.path().join(&adapter.name);
        let alone = TrainSettings {
            rank: vec![adapter.rank],
            dropout: vec![adapter.dropout],
            lr: vec![adapter.lr],
            seed: vec![adapter.seed],
            out: out.clone(),
            ..grid.clone()
        };
        let found = run(&alone).manifest.adapters.remove(0);
        assert_eq!(found.validation, record.validation);
        assert_eq!(found.train_loss, record.train_loss);
        let name = format!("r{}", adapter.rank);
        assert!(
            adapter_bytes(&out, &name) == adapter_bytes(&together, &adapter.name),
            "{}",
            adapter.name
        );
    }
}

#[test]
fn one_seed_gives_one_adapter_and_another_seed_another() {
    let dir = tempfile::tempdir().unwrap();
    let hash = |name: &str, seed: u64| {
        let settings = TrainSettings {
            seed: vec![seed],
            ..settings(&dir.path().join(name))
        };
        run(&settings).manifest.adapters[0].files["adapter_model.safetensors"].clone()
    };
    assert_eq!(hash("a", 42), hash("b", 42));
    assert_ne!(hash("c", 43), hash("d", 42));
}

#[test]
fn small_micro_batches_add_up_to_the_same_batch() {
    let dir = tempfile::tempdir().unwrap();
    let weights = |name: &str, micro_batch_tokens: usize| {
        let out = dir.path().join(name);
        let settings = TrainSettings {
            micro_batch_tokens: Some(micro_batch_tokens),
            ..settings(&out)
        };
        let mut engine = ToyEngine::default();
        run_with(&settings, &mut engine, false).0.unwrap();
        let bytes = adapter_bytes(&out, "r4");
        let weights: Vec<f32> = bytes
            .chunks(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        (weights, engine.accumulate_calls)
    };
    let (whole, micro_batches) = weights("whole", 4096);
    assert_eq!(micro_batches, 30, "16 × 1: one pass a step");
    let (parts, micro_batches) = weights("parts", 40);
    assert!(
        micro_batches > 3 * 30,
        "4 × 4: about four micro-batches per batch, found {micro_batches}"
    );
    for (a, b) in whole.iter().zip(&parts) {
        // Only the order of f32 sums differs; Adam's normalised steps of 0.05 carry it on.
        assert!((a - b).abs() <= 1e-3 * a.abs().max(0.05), "{a} {b}");
    }
}

#[test]
fn a_class_of_weight_five_counts_as_if_its_examples_occurred_five_times() {
    let dir = tempfile::tempdir().unwrap();
    let trained = |name: &str, rows: &verdict_train::TrainingSet| {
        let out = dir.path().join(name);
        // Every row in every step, so that only the weights differ.
        let settings = TrainSettings {
            batch: rows.train.len(),
            steps: Some(40),
            dropout: vec![0.0],
            micro_batch_tokens: Some(100_000),
            ..settings(&out)
        };
        let mut engine = ToyEngine::default();
        run_on(rows, &settings, &mut engine, false).0.unwrap();
        let bytes = adapter_bytes(&out, "r4");
        let number = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        bytes.chunks(4).map(number).collect::<Vec<f32>>()
    };
    let mut copies = rows();
    let no = |row: &&verdict_train::TokenizedExample| row.label == Label::No.index();
    let again: Vec<_> = copies.train.iter().filter(no).cloned().collect();
    (0..4).for_each(|_| copies.train.extend(again.clone()));
    let mut heavy = rows();
    heavy.weigh(&BTreeMap::from([(Label::No, 5.0)]));
    let (copies, heavy) = (trained("copies", &copies), trained("heavy", &heavy));
    let plain = trained("plain", &rows());
    let apart = |a: &[f32], b: &[f32]| {
        a.iter()
            .zip(b)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max)
    };
    // Only the order of f32 sums differs; Adam's normalised steps of 0.05 carry it on.
    assert!(apart(&copies, &heavy) <= 2e-4, "{}", apart(&copies, &heavy));
    assert!(
        apart(&plain, &heavy) > 1e-2,
        "{} {}",
        apart(&plain, &heavy),
        apart(&copies, &heavy)
    );
}

#[test]
fn loss_on_the_full_text_counts_every_token_and_still_scores_labels() {
    let dir = tempfile::tempdir().unwrap();
    let full = TrainSettings {
        loss: Loss::Full,
        ..settings(&dir.path().join("full"))
    };
    let manifest = run(&full).manifest;
    let score = manifest.adapters[0].validation.unwrap();
    assert_eq!(score.accuracy, 11.0 / 12.0);
    let completion = run(&settings(&dir.path().join("completion"))).manifest;
    let found = completion.adapters[0].validation.unwrap();
    assert!(
        score.loss > found.loss,
        "fillers are harder to predict: {score:?}, {found:?}"
    );
}

#[test]
fn an_adapter_that_diverges_is_removed_and_the_others_are_not_affected() {
    let dir = tempfile::tempdir().unwrap();
    let sound = dir.path().join("sound");
    let grid = |out: &Path| TrainSettings {
        rank: vec![2, 4, 8],
        ..settings(out)
    };
    run(&grid(&sound));

    let out = dir.path().join("run");
    let mut engine = ToyEngine {
        poisoned: Some(("r2".into(), 6)),
        ..ToyEngine::default()
    };
    let (result, events) = run_with(&grid(&out), &mut engine, false);
    let manifest = result.unwrap().manifest;
    let reason = "adapter r2: loss is NaN at step 7";
    assert_eq!(manifest.adapters[0].diverged.as_deref(), Some(reason));
    assert!(manifest.adapters[0].files.is_empty() && !out.join("adapters/r2").exists());
    assert_eq!(manifest.best, "r4");
    let stopped: Vec<_> = events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::Diverged { .. }))
        .map(|event| (event.step, event.adapter.as_deref()))
        .collect();
    assert_eq!(stopped, [(7, Some("r2"))]);
    for name in ["r4", "r8"] {
        assert!(
            adapter_bytes(&out, name) == adapter_bytes(&sound, name),
            "{name}"
        );
    }
    let folder = RunFolder::open(&out).unwrap();
    assert_eq!(folder.names(), ["r4", "r8"]);
    let error = folder.adapter_dir(Some("r2")).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("{}: no adapter \"r2\"; the run has r4, r8", out.display())
    );
}

#[test]
fn a_run_whose_adapters_all_diverge_fails_with_every_reason() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let mut engine = ToyEngine {
        poisoned: Some(("r4".into(), 2)),
        ..ToyEngine::default()
    };
    let (result, events) = run_with(&settings(&out), &mut engine, false);
    let error = result.unwrap_err();
    let text = "every adapter diverged: adapter r4: loss is NaN at step 3";
    assert_eq!(error.to_string(), text);
    assert_eq!(error.hint().as_deref(), Some("try a lower --lr"));
    let end = EventKind::End {
        outcome: Outcome::Failed,
        best: None,
        error: Some(text.into()),
    };
    assert_eq!(events.last().unwrap().kind, end);
    assert!(!out.join("MANIFEST.json").exists());
}

#[test]
fn an_adapter_with_an_exploding_gradient_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let settings = TrainSettings {
        rank: vec![4, 8],
        ..settings(&dir.path().join("run"))
    };
    let mut engine = ToyEngine {
        exploding: Some(("r4".into(), 2)),
        ..ToyEngine::default()
    };
    let manifest = run_with(&settings, &mut engine, false).0.unwrap().manifest;
    let reason = "adapter r4: gradient norm is inf at step 3";
    assert_eq!(manifest.adapters[0].diverged.as_deref(), Some(reason));
    assert_eq!(manifest.best, "r8");
}

#[test]
fn an_engine_error_names_the_step() {
    let dir = tempfile::tempdir().unwrap();
    let settings = TrainSettings {
        micro_batch_tokens: Some(4096),
        ..settings(&dir.path().join("run"))
    };
    let mut engine = ToyEngine {
        failing_call: Some(5),
        ..ToyEngine::default()
    };
    let (result, events) = run_with(&settings, &mut engine, false);
    let text = "training step 5: the toy broke";
    assert_eq!(result.unwrap_err().to_string(), text);
    let end = EventKind::End {
        outcome: Outcome::Failed,
        best: None,
        error: Some(text.into()),
    };
    assert_eq!(events.last().unwrap().kind, end);
}

#[test]
fn two_devices_give_the_same_bytes_as_one() {
    let dir = tempfile::tempdir().unwrap();
    let grid = |name: &str| TrainSettings {
        rank: vec![4, 8, 16],
        micro_batch_tokens: None,
        ..settings(&dir.path().join(name))
    };
    let alone = run(&grid("one"));

    let settings = grid("two");
    let specs: Vec<_> = verdict_train::adapters(&settings)
        .iter()
        .map(verdict_train::AdapterSettings::spec)
        .collect();
    let engines = vec![ToyEngine::default(), ToyEngine::default()];
    let mut devices = MultiDeviceEngine::new(engines, &specs);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let together = verdict_train::train(
        verdict_train::NewRun::create(&settings, false).unwrap(),
        &common::rows(),
        &common::provenance(),
        &mut devices,
        &mut |_| {},
        &stop,
    )
    .unwrap();
    assert_eq!(together.manifest.adapters, alone.manifest.adapters);
    assert_eq!(together.manifest.base, alone.manifest.base);
    assert_eq!(together.tokens, alone.tokens);
}
