//! `label`: the unlabelled questions of a data set get labels of a run, and become a source of training examples.

mod common;
#[path = "common/tiny.rs"]
mod tiny;

use std::fs;

use common::{good, lines, show, verdict};
use serde_json::Value;

/// A folder with a run `run` of two adapters, and a data set `open` with ten questions without a label.
fn folder() -> tempfile::TempDir {
    let folder = tiny::folder();
    let at = folder.path();
    let row = |n: usize| {
        let row = serde_json::json!({
            "QUESTION": format!("Does treatment number {n} help adults?"),
            "CONTEXTS": [format!("Treatment {n} was given to adults."), "Pain was measured."],
            "LABELS": ["METHODS", "RESULTS"], "MESHES": [],
            "LONG_ANSWER": format!("Treatment {n} lowers the risk of pain in adults."),
        });
        (format!("{}", 9_000_000 + n), row)
    };
    let rows: serde_json::Map<String, Value> = (0..10).map(row).collect();
    fs::write(at.join("pqau.json"), Value::Object(rows).to_string()).expect("written");
    good(&show(
        at,
        "build --source clinical --source pubmedqa-unlabeled:pqau.json --context abstract --out open --quiet",
    ));
    good(&show(
        at,
        "train --data data --model tiny --rank 2,4 --steps 2 --batch 4 --compute f32 --threads 1 --out run --quiet",
    ));
    folder
}

#[test]
fn labels_of_a_run_become_training_examples() {
    let folder = folder();
    let at = folder.path();
    good(&show(
        at,
        "label --run run --data open --min-probability 0 --out all.jsonl",
    ));
    let open = lines(&at.join("open/unlabelled.jsonl"));
    let all = lines(&at.join("all.jsonl"));
    assert_eq!((open.len(), all.len()), (10, 10));
    let ask = |question: &Value| {
        let question = question["question"].as_str().expect("a question");
        let output = verdict(at)
            .args(["ask", "--run", "run", "--json", "--context"])
            .arg(all_context(&open, question))
            .arg(question)
            .output()
            .expect("ran");
        serde_json::from_slice::<Value>(&output.stdout).expect("an answer")
    };
    for (row, unlabelled) in all.iter().zip(&open) {
        for field in ["id", "question", "rationale", "context", "group"] {
            assert_eq!(row[field], unlabelled[field]);
        }
        assert_eq!(row["split"], "train");
    }
    // The label and its probability are those of `ask`.
    let answer = ask(&all[3]);
    let label = all[3]["label"].as_str().expect("a label");
    assert_eq!(answer["label"], label);
    assert_eq!(answer["probabilities"][label], all[3]["probability"]);
    // A threshold keeps the probable ones, and a number the most probable.
    let mut sorted: Vec<f64> = all.iter().map(probability).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted[5];
    good(&show(
        at,
        &format!("label --run run --data open --min-probability {middle} --out some.jsonl"),
    ));
    let some = lines(&at.join("some.jsonl"));
    let expected: Vec<&Value> = all
        .iter()
        .filter(|row| probability(row) >= middle)
        .collect();
    assert_eq!(some.iter().collect::<Vec<_>>(), expected);
    // They can be built with, and stay in the training set.
    good(&show(
        at,
        "build --source clinical --source jsonl:all.jsonl --unbalanced --context abstract --out more --quiet",
    ));
    let of = |file: &str| {
        let rows = lines(&at.join("more").join(file));
        rows.iter().filter(|row| row["source"] == "jsonl").count()
    };
    assert_eq!(
        [of("train.jsonl"), of("validation.jsonl"), of("test.jsonl")],
        [10, 0, 0]
    );
    // The mean of both adapters labels too.
    good(&show(
        at,
        "label --run run --ensemble all --data open --min-probability 0 --max-per-class 2 --out mean.jsonl",
    ));
    let mean = lines(&at.join("mean.jsonl"));
    assert!(
        mean.iter().all(|row| row["labelled_by"] == "r2+r4"),
        "{mean:?}"
    );
    assert!(mean.len() <= 6);
}

fn probability(row: &Value) -> f64 {
    row["probability"].as_f64().expect("a probability")
}

fn all_context<'a>(open: &'a [Value], question: &str) -> &'a str {
    let row = open.iter().find(|row| row["question"] == question);
    row.and_then(|row| row["context"].as_str())
        .expect("a context")
}

#[test]
fn what_cannot_be_labelled_is_refused() {
    let folder = folder();
    let at = folder.path();
    let fault = |flags: &str, part: &str| {
        let said = show(at, &format!("label --run run {flags}"));
        assert!(
            said.starts_with("status: 2") && said.contains(part),
            "{said}"
        );
    };
    // The run's own data set has none.
    fault(
        "--out a.jsonl",
        "expected questions without a label, found none",
    );
    fault(
        "--data open --min-probability yes=0.9 --out a.jsonl",
        "one for each label",
    );
    fs::write(at.join("a.jsonl"), "mine").expect("written");
    fault("--data open --out a.jsonl", "--overwrite");
    assert_eq!(
        fs::read_to_string(at.join("a.jsonl")).expect("read"),
        "mine"
    );
    let unlabelled = at.join("open/unlabelled.jsonl");
    let text = fs::read_to_string(&unlabelled).expect("read");
    fs::write(&unlabelled, text.replace("adults", "children")).expect("written");
    fault("--data open --out b.jsonl", "unlabelled.jsonl");
    assert!(!at.join("b.jsonl").exists());
}
