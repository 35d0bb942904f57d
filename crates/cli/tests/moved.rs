//! A run used from another folder, and after its data set, its model or all of it was moved.

mod common;
#[path = "common/tiny.rs"]
mod tiny;

use std::fs;
use std::path::Path;

use common::show;

/// A folder `w` with a data set, a model and a run, whose settings have relative paths.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path().join("w");
    fs::create_dir(&at).expect("made");
    tiny::fill(&at);
    let train = "train --data data --model ./tiny --rank 2 --steps 2 --batch 4 --threads 1 --device cpu --out run --quiet";
    good(&at, train);
    folder
}

fn good(at: &Path, words: &str) -> String {
    let said = show(at, words);
    assert!(said.starts_with("status: 0"), "{words}: {said}");
    said
}

/// The answer that a command printed, without how long it took.
fn answer(said: &str) -> serde_json::Value {
    let line = said.lines().find(|line| line.starts_with('{'));
    let mut answer: serde_json::Value =
        serde_json::from_str(line.expect("an object")).expect("JSON");
    let took = answer
        .as_object_mut()
        .and_then(|of| of.remove("latency_ms"));
    assert!(took.is_some(), "{said}");
    answer
}

const ASK: &str = "--threads 1 --device cpu --json --quiet Is-it-so?";
const EVAL: &str = "--threads 1 --device cpu --full-answers 0 --bootstrap-samples 100 --quiet";

#[test]
fn a_run_is_used_from_another_folder() {
    let folder = folder();
    let (at, elsewhere) = (folder.path(), tempfile::tempdir().expect("a folder"));
    let run = at.join("w/run").display().to_string();
    let here = answer(&good(&at.join("w"), &format!("ask --run run {ASK}")));
    let there = answer(&good(elsewhere.path(), &format!("ask --run {run} {ASK}")));
    assert_eq!(here, there);
    good(elsewhere.path(), &format!("eval {run} {EVAL}"));
    good(
        elsewhere.path(),
        &format!("train --like {run} --out again --quiet"),
    );
}

#[test]
fn a_run_that_was_moved_with_its_data_and_model_finds_them() {
    let folder = folder();
    let at = folder.path();
    fs::rename(at.join("w"), at.join("elsewhere")).expect("moved");
    good(at, &format!("ask --run elsewhere/run {ASK}"));
    good(at, &format!("eval elsewhere/run {EVAL}"));
}

#[test]
fn what_moved_alone_is_named_by_a_flag_and_held_to_its_hash() {
    let folder = folder();
    let at = folder.path().join("w");
    fs::rename(at.join("tiny"), at.join("model")).expect("moved");
    fs::rename(at.join("data"), at.join("set")).expect("moved");
    let said = show(&at, &format!("ask --run run {ASK}"));
    assert!(
        said.starts_with("status: 2") && said.contains("--model takes"),
        "{said}"
    );
    let said = show(&at, &format!("eval run --model model {EVAL}"));
    assert!(
        said.starts_with("status: 2") && said.contains("--data takes"),
        "{said}"
    );
    good(&at, &format!("ask --run run --model model {ASK}"));
    good(&at, &format!("eval run --model model --data set {EVAL}"));

    // Another model in the place that is named.
    let config = at.join("model/config.json");
    let text = fs::read_to_string(&config).expect("read");
    fs::write(&config, text.replace("10000.0", "20000.0")).expect("written");
    let said = show(&at, &format!("ask --run run --model model {ASK}"));
    assert!(said.starts_with("status: 2"), "{said}");
    assert!(
        said.contains("expected the base model of run, SHA-256"),
        "{said}"
    );
}
