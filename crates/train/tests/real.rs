//! The real engine on the tiny random models of the model crate's goldens: the same guarantees, bitwise,
//! where the toy engine can only test the plan.

mod common;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use common::{adapter_bytes, outcome, provenance, rows, settings};
use verdict_model::formats::{Adapter, Checkpoint};
use verdict_model::{AdapterBank, Device, LoadOptions, Model};
use verdict_train::{
    Error, Event, EventKind, ModelTrainingEngine, NewRun, Plan, RunFolder, RunSummary,
    TrainSettings, TrainingSet, train,
};

/// The device under test: `VERDICT_TEST_DEVICE`, `cpu` (the default) or `cuda:0`.
fn device() -> Device {
    let name = std::env::var("VERDICT_TEST_DEVICE").unwrap_or_default();
    match name.strip_prefix("cuda:") {
        Some(number) => Device::Cuda(number.parse().expect("the number of a GPU")),
        None => Device::Cpu,
    }
}

/// A tiny decoder on the CPU, where results are bitwise identical: 2 layers, width 64, 320 tokens.
fn tiny(family: &str) -> Model {
    tiny_on(Device::Cpu, family)
}

fn tiny_on(device: Device, family: &str) -> Model {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folder = folder
        .join("../model/tests/goldens")
        .join(family)
        .join("model");
    let checkpoint = Checkpoint::open(folder).expect("the tiny model is in the repository");
    Model::load(
        &checkpoint,
        LoadOptions {
            threads: 2,
            device,
            ..LoadOptions::default()
        },
    )
    .expect("loads")
}

fn fit(model: &Model, settings: &TrainSettings) -> RunSummary {
    fit_on(&rows(), model, settings)
}

fn fit_on(rows: &TrainingSet, model: &Model, settings: &TrainSettings) -> RunSummary {
    let run = NewRun::create(settings, false).unwrap();
    let mut engine = ModelTrainingEngine::new(model).base_name("tiny");
    let stop = AtomicBool::new(false);
    train(run, rows, &provenance(), &mut engine, &mut |_| {}, &stop).unwrap()
}

fn small(out: &Path) -> TrainSettings {
    TrainSettings {
        lr: vec![1e-2],
        steps: Some(8),
        validate_every: 4,
        ..settings(out)
    }
}

#[test]
fn the_loss_of_every_family_falls_and_the_saved_adapter_is_the_validated_one() {
    let dir = tempfile::tempdir().unwrap();
    for family in ["llama", "qwen2", "qwen3"] {
        let model = tiny(family);
        let out = dir.path().join(family);
        let manifest = fit(
            &model,
            &TrainSettings {
                steps: Some(30),
                ..small(&out)
            },
        )
        .manifest;
        let score = manifest.adapters[0].validation.unwrap();
        // An untaught random model knows about ln 320 = 5.8; the toy rows hold 1.2 at best.
        assert!(manifest.base.loss > 5.0, "{family}: {:?}", manifest.base);
        assert!(score.loss < 3.0, "{family}: {score:?}");

        let folder = RunFolder::open(&out).unwrap();
        let adapter = Adapter::read(folder.adapter_dir(None).unwrap()).unwrap();
        assert_eq!(
            adapter.config.base_model_name_or_path.as_deref(),
            Some("tiny")
        );
        let mut bank = AdapterBank::empty();
        let index = bank.add(model.config(), "r4", &adapter).unwrap();
        let (mut sum, mut tokens) = (0.0, 0);
        for row in &rows().validation {
            let example = verdict_train::engine::Example {
                adapter: Some(index),
                tokens: &row.tokens,
                loss_from: row.prompt_tokens,
                weight: 1.0,
                rest: None,
                key: 0,
            };
            let found = model.evaluate(&bank, &[example], &[]).unwrap().remove(0);
            sum += found.loss_sum;
            tokens += found.tokens;
        }
        assert_eq!(
            sum / tokens as f64,
            score.loss,
            "{family}: bitwise identical, one example at a time"
        );
    }
}

#[test]
fn alone_and_together_are_bitwise_identical() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny("llama");
    let together = dir.path().join("together");
    let grid = TrainSettings {
        rank: vec![2, 5, 8],
        seed: vec![1, 2],
        ..small(&together)
    };
    for record in fit(&model, &grid).manifest.adapters {
        let adapter = &record.adapter;
        let out = dir.path().join(&adapter.name);
        let (rank, seed) = (vec![adapter.rank], vec![adapter.seed]);
        let alone = TrainSettings {
            rank,
            seed,
            out: out.clone(),
            ..grid.clone()
        };
        let found = fit(&model, &alone).manifest.adapters.remove(0);
        assert_eq!(found.validation, record.validation, "{}", adapter.name);
        let bytes = adapter_bytes(&out, &format!("r{}", adapter.rank));
        assert!(
            bytes == adapter_bytes(&together, &adapter.name),
            "{}",
            adapter.name
        );
    }
}

#[test]
fn sixteen_at_once_equal_four_times_four_and_one_seed_gives_one_hash() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny("qwen3");
    let hash = |name: &str, micro_batch_tokens: usize| {
        let settings = TrainSettings {
            micro_batch_tokens: Some(micro_batch_tokens),
            ..small(&dir.path().join(name))
        };
        fit(&model, &settings).manifest.adapters[0].files["adapter_model.safetensors"].clone()
    };
    let whole = hash("whole", 4096);
    assert_eq!(hash("again", 4096), whole);
    assert_eq!(hash("four", 40), whole);
    assert_eq!(hash("nearly-one-by-one", 32), whole);
}

#[test]
fn the_fit_of_a_fold_is_bitwise_identical_to_a_plain_run_on_its_examples() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny("llama");
    let out = dir.path().join("run");
    let (rows, folds) = (rows(), Some(3));
    let settings = TrainSettings {
        rank: vec![2, 5],
        folds,
        ..small(&out)
    };
    fit_on(&rows, &model, &settings);
    let lines = RunFolder::open(&out).unwrap().folds().unwrap();
    let plan = Plan::new(&settings.clone().resolved(), &rows).unwrap();
    let pool = rows.pool();
    // One outer and one inner adapter of the second member.
    for subset in [&plan.subsets[2], &plan.subsets[5]] {
        let verdict_train::Subset::Without { folds, .. } = &subset.subset else {
            panic!("{:?}", subset.subset);
        };
        let alone = dir.path().join(format!("alone-{}", folds.len()));
        let pick = |places: &[usize]| places.iter().map(|at| pool[*at].clone()).collect();
        let own = TrainingSet {
            train: pick(&subset.train),
            validation: pick(&subset.held_out),
            label_tokens: rows.label_tokens.clone(),
            cuts: rows.cuts,
            label_tails: rows.label_tails.clone(),
        };
        let plain = TrainSettings {
            rank: vec![5],
            folds: None,
            out: alone.clone(),
            ..settings.clone()
        };
        fit_on(&own, &model, &plain);
        let here = lines
            .iter()
            .filter(|line| line.adapter == "r5" && line.without == *folds);
        let here: Vec<_> = here.map(|line| (line.id.clone(), line.logits)).collect();
        let there = RunFolder::open(&alone).unwrap().validation().unwrap();
        let there = there.into_iter().filter(|line| line.adapter.is_some());
        let there: Vec<_> = there.map(|line| (line.id, line.logits)).collect();
        assert_eq!(here.len(), subset.held_out.len());
        assert_eq!(here, there);
    }
}

/// On a GPU as well, where weights and moments are copied from the device and back.
#[test]
fn an_interrupted_run_resumes_to_the_same_bytes_on_the_device_under_test() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_on(device(), "qwen3");
    let out = dir.path().join("run");
    let settings = TrainSettings {
        rank: vec![3, 16],
        lr: vec![1e-2, 1e-1],
        dropout: vec![0.1],
        patience: Some(1),
        halving: Some(4),
        validate_every: 1,
        ..small(&out)
    };
    fit(&model, &settings);
    let whole = outcome(&out);
    let steps = |event: &Event| event.step;
    for at in 1..steps(
        &RunFolder::open(&out)
            .unwrap()
            .events()
            .unwrap()
            .pop()
            .unwrap(),
    ) {
        std::fs::remove_dir_all(&out).unwrap();
        let stop = AtomicBool::new(false);
        let mut observer = |event: &Event| {
            if event.step == at && matches!(event.kind, EventKind::Throughput { .. }) {
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        };
        let new = NewRun::create(&settings, false).unwrap();
        let mut engine = ModelTrainingEngine::new(&model).base_name("tiny");
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
        let resumed = NewRun::resume(&out).unwrap();
        assert_eq!(resumed.resumed_at(), Some(at));
        let mut engine = ModelTrainingEngine::new(&model).base_name("tiny");
        let stop = AtomicBool::new(false);
        train(
            resumed,
            &rows(),
            &provenance(),
            &mut engine,
            &mut |_| {},
            &stop,
        )
        .unwrap();
        assert!(outcome(&out) == whole, "stopped after step {at}");
    }
}
