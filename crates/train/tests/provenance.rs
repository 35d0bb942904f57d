//! What a manifest records of the inputs and the machines of a run, and how a repetition is compared.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use common::{ToyEngine, provenance, rows, run, settings};
use verdict_train::repeat::{AdapterComparison, compare};
use verdict_train::{
    Machine, Manifest, NewRun, Result, RunFolder, RunSummary, TrainSettings, train,
};

fn machine(processor: &str) -> Machine {
    Machine {
        tool: "verdict 0.1.0".into(),
        processor: processor.into(),
        kernels: "portable".into(),
        threads: 2,
        ..Machine::default()
    }
}

/// Trains until the end, or until the `stop_at`-th call of the engine, from 1.
fn go(run: NewRun, stop_at: Option<usize>) -> Result<RunSummary> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut engine = ToyEngine {
        flag_at: stop_at.map(|at| (at, stop.clone())),
        ..ToyEngine::default()
    };
    let mut deaf = |_: &_| {};
    train(run, &rows(), &provenance(), &mut engine, &mut deaf, &*stop)
}

fn processors(manifest: &Manifest) -> Vec<&str> {
    let machines = manifest.machines.iter();
    machines.map(|machine| machine.processor.as_str()).collect()
}

#[test]
fn a_run_resumed_elsewhere_lists_each_machine_once_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let first = NewRun::create(&settings(&out), false).unwrap();
    go(first.computed_on(machine("A")), Some(20)).unwrap_err();
    for name in ["B", "A"] {
        let again = NewRun::resume(&out).unwrap().computed_on(machine(name));
        go(again, Some(10)).unwrap_err();
    }
    let again = NewRun::resume(&out).unwrap().computed_on(machine("B"));
    let manifest = go(again, None).unwrap().manifest;
    assert_eq!(processors(&manifest), ["A", "B"]);
    assert_eq!(RunFolder::open(&out).unwrap().manifest, manifest);
    let card = std::fs::read_to_string(out.join("adapters/r4/README.md")).unwrap();
    let places = ["| A (portable", "| B (portable"].map(|of| card.find(of));
    assert!(places[0].is_some() && places[0] < places[1], "{card}");
}

#[test]
fn manifests_of_older_versions_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let known = NewRun::create(&settings(&out), false).unwrap();
    go(known.computed_on(machine("A")), None).unwrap();
    let path = out.join("MANIFEST.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let object = json.as_object_mut().unwrap();
    assert!(object.remove("machines").is_some());
    assert!(object.get("data").is_none() && object.get("model").is_none());
    std::fs::write(&path, json.to_string()).unwrap();
    let read = RunFolder::open(&out).unwrap().manifest;
    assert_eq!((read.machines, read.provenance), (vec![], provenance()));
}

#[test]
fn a_repetition_is_bitwise_identical_and_another_seed_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let grid = |name: &str, seed: u64| TrainSettings {
        rank: vec![2, 4],
        seed: vec![seed],
        ..settings(&dir.path().join(name))
    };
    let (first, again) = (run(&grid("first", 1)), run(&grid("again", 1)));
    let compared = |name: &str, differs: &[&str]| AdapterComparison {
        name: name.into(),
        same: differs.is_empty(),
        differs: differs.iter().map(|file| (*file).to_owned()).collect(),
    };
    assert_eq!(
        compare(&first.manifest, &again.manifest),
        [compared("r2", &[]), compared("r4", &[])]
    );
    let other = run(&grid("other", 2));
    let weights = ["adapter_model.safetensors", "calibration.json"];
    assert_eq!(
        compare(&first.manifest, &other.manifest),
        [compared("r2", &weights), compared("r4", &weights)]
    );
    let fewer = run(&TrainSettings {
        rank: vec![4, 8],
        ..grid("fewer", 1)
    });
    let all = [
        "adapter_config.json",
        "adapter_model.safetensors",
        "calibration.json",
    ];
    assert_eq!(
        compare(&first.manifest, &fewer.manifest),
        [
            compared("r2", &all),
            compared("r4", &[]),
            compared("r8", &all)
        ]
    );
    assert!(Manifest::read(&Path::new("nowhere").join("MANIFEST.json")).is_err());
}
