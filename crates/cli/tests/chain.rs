//! The whole chain from the command line on a tiny random model: build, train, eval, ask, demo; what
//! is reported when something is broken or stopped.

#[path = "common/children.rs"]
mod children;
mod common;
#[path = "common/tiny.rs"]
mod tiny;

use std::path::Path;
use std::process::{Command, Stdio};

use common::{show, show_words, transcript, verdict};
use serde_json::Value;
use tiny::folder;

const TRAIN: &str =
    "train --data data --model tiny --rank 2,4 --steps 3 --batch 4 --compute f32 --threads 2";

fn train(folder: &Path, out: &str) {
    let said = show(folder, &format!("{TRAIN} --out {out} --quiet"));
    assert!(said.starts_with("status: 0"), "{said}");
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    let output = verdict(folder).args(arguments).output().expect("ran");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// Figures replaced by N, so that what is measured does not matter.
fn without_figures(text: &str) -> String {
    let mut plain = String::new();
    for word in text.split(' ') {
        let digits = word
            .trim_start_matches(['r', '['])
            .starts_with(|c: char| c.is_ascii_digit());
        match (digits && !word.starts_with('r'), word.is_empty()) {
            (true, _) => plain.push_str("N "),
            (_, true) => {}
            _ => {
                plain.push_str(word);
                plain.push(' ');
            }
        }
    }
    plain
}

#[test]
fn train_eval_and_ask() {
    let folder = folder();
    let at = folder.path();

    let said = json(
        at,
        &[TRAIN, "--out run --json"]
            .join(" ")
            .split(' ')
            .collect::<Vec<_>>(),
    );
    assert_eq!(said["steps"], 3);
    assert_eq!(said["members"].as_array().map(Vec::len), Some(2));
    let best = said["best"].as_str().expect("a name").to_owned();
    for name in [
        "settings.toml",
        "events.jsonl",
        "MANIFEST.json",
        "adapters/r2",
        "adapters/r4",
    ] {
        assert!(at.join("run").join(name).exists(), "{name}");
    }

    let report = json(at, &["eval", "run", "--max-new-tokens", "40", "--json"]);
    let names: Vec<&str> = report["benchmarks"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|b| b["name"].as_str())
        .collect();
    assert_eq!(names, ["test", "challenge"]);
    let systems = report["benchmarks"][1]["systems"]
        .as_array()
        .expect("a list");
    assert_eq!(systems.len(), 2, "base and tuned");
    let written = &systems[1]["written"][1];
    assert_eq!(written["mode"], "guaranteed");
    assert_eq!(written["format"]["value"], 1.0, "the guaranteed form");
    let kept: Value =
        serde_json::from_slice(&std::fs::read(at.join("run/report.json")).expect("read"))
            .expect("JSON");
    assert_eq!(kept, report);

    let question = "Do antibiotics help in acute bronchitis?";
    let answer = json(
        at,
        &[
            "ask",
            "--run",
            "run",
            question,
            "--json",
            "--max-new-tokens",
            "40",
        ],
    );
    assert_eq!(answer["adapter"], best);
    assert_eq!(answer["question"], question);
    let sum: f64 = ["Yes", "No", "Uncertain"]
        .iter()
        .filter_map(|l| answer["probabilities"][l].as_f64())
        .sum();
    assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    let text = answer["answer"].as_str().expect("a text");
    let start = format!(
        "{}. Rationale: ",
        answer["label"].as_str().expect("a label")
    );
    assert!(text.starts_with(&start), "{text}");

    let other = if best == "r2" { "r4" } else { "r2" };
    let piped = verdict(at)
        .args([
            "ask",
            "--run",
            "run",
            "--adapter",
            other,
            "--json",
            "--quiet",
        ])
        .write_stdin("Is it safe?\n\nDoes it help?\n")
        .output()
        .expect("ran");
    let lines: Vec<Value> = String::from_utf8_lossy(&piped.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let asked: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["question"].as_str())
        .collect();
    assert_eq!(asked, ["Is it safe?", "Does it help?"]);
    assert!(lines.iter().all(|line| line["adapter"] == other));

    insta::assert_snapshot!(
        "no_such_adapter",
        show_words(at, &["ask", "--run", "run", "--adapter", "r9", "Is it?"])
    );
    let long = "word ".repeat(10_000);
    insta::assert_snapshot!(
        "question_too_long",
        show_words(at, &["ask", "--run", "run", &long])
    );
    insta::assert_snapshot!("run_exists", show(at, &format!("{TRAIN} --out run")));
    let over = show(at, &format!("{TRAIN} --out run --overwrite --quiet"));
    assert!(over.starts_with("status: 0"), "{over}");
    let stale = at.join("run/report.json").exists() || at.join("run/predictions.jsonl").exists();
    assert!(!stale, "the old report is not one of the new run");
}

#[test]
fn what_people_see() {
    let folder = folder();
    let at = folder.path();
    let said = show(at, &format!("{TRAIN} --out run"));
    let (stdout, _) = said.split_once("----- stderr").expect("both streams");
    insta::assert_snapshot!("train_table", without_figures(stdout));
    assert!(said.contains("step    0  validation  base model"), "{said}");
    assert!(said.contains("train: step 3/3"), "{said}");
}

#[test]
fn folds_tell_their_cost_first_and_the_honest_figure_last() {
    let folder = folder();
    let at = folder.path();
    let words = format!("{TRAIN} --folds 3 --repeats 2 --out run");
    let said = show(at, &words);
    // Of each adapter: itself, and twice 3 without one fold and 3 without two.
    let cost = "3 folds, drawn 2 times: 26 adapters to train, 24 of them for the folds; \
                13.0 times the work of 2 adapters alone";
    assert!(said.contains(cost), "{said}");
    assert!(said.contains("81 examples in folds, 3 steps"), "{said}");
    assert!(
        said.contains("nested     choosing and training an adapter: label accuracy "),
        "{said}"
    );
    assert!(said.contains(" on 81 examples seen by neither"), "{said}");
    assert!(
        !said.contains("r2@"),
        "folds' adapters fill no screen: {said}"
    );
    assert!(at.join("run/folds.jsonl").exists() && !at.join("run/adapters/r2@0.1").exists());
    insta::assert_snapshot!(
        "too_many_folds",
        show(at, &format!("{TRAIN} --folds 40 --out many"))
    );
    assert!(!at.join("many").exists());
}

#[test]
fn the_same_settings_make_the_same_bytes() {
    let folder = folder();
    let at = folder.path();
    train(at, "one");
    let again = show(at, "train --config one/settings.toml --out two --quiet");
    assert!(again.starts_with("status: 0"), "{again}");
    let bytes = |run: &str| {
        std::fs::read(at.join(run).join("adapters/r4/adapter_model.safetensors")).expect("read")
    };
    assert!(bytes("one") == bytes("two"), "two runs of one seed differ");
}

#[test]
fn bench_measures_training_and_answers() {
    let folder = folder();
    let at = folder.path();
    let tokens = r#"{"train": [{"ids": [1, 2, 3, 4], "n_prompt": 2}, {"ids": [5, 6, 7], "n_prompt": 1}],
                     "test": [{"ids": [1, 2, 3], "n_prompt": 2}, {"ids": [4, 5], "n_prompt": 1}]}"#;
    std::fs::write(at.join("tokens.json"), tokens).expect("written");
    let of = |command: &str| {
        let words = format!("bench {command} --tokens tokens.json --device cpu --threads 2 --json");
        json(at, &words.split(' ').collect::<Vec<_>>())
    };
    let number = |said: &Value, key: &str| said[key].as_f64().expect(key);

    let said = of("train --model tiny --rank 2,4 --batch 2 --steps 3");
    assert_eq!(said["case"], "train");
    assert_eq!(said["ranks"], serde_json::json!([2, 4]));
    // Seven tokens in each adapter's batch of two.
    assert_eq!(number(&said, "tokens_per_step"), 14.0);
    let (load, first) = (number(&said, "load_s"), number(&said, "first_step_s"));
    assert!(number(&said, "cold_start_s") >= load + first, "{said}");
    let step = &said["step_ms"];
    assert!(number(step, "min") <= number(step, "median"), "{said}");
    assert!(number(step, "median") <= number(step, "max"), "{said}");
    let per_step = number(&said, "recipe_93_steps_s") / 93.0;
    let rate = 14.0 / per_step;
    assert!((rate / number(&said, "tokens_per_s") - 1.0).abs() < 1e-9);

    let said = of("decode --model tiny --base bf16");
    assert_eq!(
        (&said["case"], &said["base"]),
        (&"decode".into(), &"bf16".into())
    );
    assert_eq!(
        (&said["together"], &said["new_tokens"]),
        (&2.into(), &32.into())
    );
    assert_eq!(number(&said, "prompt_tokens_mean"), 1.5);
    assert!(number(&said["alone_ms"], "median") > 0.0);
    assert!(number(&said, "one_by_one_tokens_per_s") > 0.0);
}

#[test]
fn broken_weights_are_told_by_name() {
    let folder = folder();
    let at = folder.path();
    let weights = at.join("tiny/model.safetensors");
    let good = std::fs::read(&weights).expect("read");

    std::fs::write(&weights, &good[..good.len() / 2]).expect("written");
    insta::assert_snapshot!("truncated_weights", show(at, &format!("{TRAIN} --out run")));

    let mut bad = good.clone();
    let end = bad.len();
    bad[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&weights, &bad).expect("written");
    insta::assert_snapshot!("nan_weights", show(at, &format!("{TRAIN} --out run")));

    assert!(
        !at.join("run").exists(),
        "a run that never began leaves no folder"
    );
}

#[test]
fn an_unknown_model_is_told() {
    let folder = folder();
    insta::assert_snapshot!(show(
        folder.path(),
        "train --data data --model nomodel --out run"
    ));
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_in_good_order_and_the_next_run_works() {
    let folder = folder();
    let at = folder.path();
    let long = TRAIN.replace("--steps 3", "--steps 100000");
    let mut child = start(at, &format!("{long} --out run"));
    let events = at.join("run/events.jsonl");
    children::until(&mut child, "the first step", || {
        std::fs::read_to_string(&events).is_ok_and(|text| text.contains("\"throughput\""))
    });
    signal(child.id());
    let said = transcript(at, children::ended(child));
    assert!(said.starts_with("status: 130"), "{said}");
    assert!(
        said.contains("error: run: interrupted after step"),
        "{said}"
    );
    assert!(
        said.contains("hint: resume it with `verdict train --resume run`"),
        "{said}"
    );
    assert!(!at.join("run/MANIFEST.json").exists());
    assert!(!at.join("run/adapters/r2").exists());

    insta::assert_snapshot!(
        "ask_an_interrupted_run",
        show_words(at, &["ask", "--run", "run", "Is it?"])
    );
    let again = show(at, &format!("{TRAIN} --out run --overwrite --quiet"));
    assert!(again.starts_with("status: 0"), "{again}");
}

#[cfg(unix)]
#[test]
fn a_demo_that_was_stopped_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    tiny::write(&at.join("tiny"));
    let mut child = start(at, "demo --model tiny --steps 100000");
    let events = at.join("verdict-demo/run/events.jsonl");
    children::until(&mut child, "the first step", || {
        std::fs::read_to_string(&events).is_ok_and(|text| text.contains("\"throughput\""))
    });
    signal(child.id());
    let said = transcript(at, children::ended(child));
    assert!(said.starts_with("status: 130"), "{said}");
    assert!(
        said.contains("hint: run the demo again to resume; finished stages are kept"),
        "{said}"
    );

    // Of other settings, it is not erased without a word.
    let refused = show(at, "demo --model tiny --steps 2");
    assert!(refused.starts_with("status: 2"), "{refused}");
    let fault = "verdict-demo/run: holds an interrupted run with other settings: steps";
    assert!(refused.contains(fault), "{refused}");
    let words = [
        "demo",
        "--model",
        "tiny",
        "--steps",
        "2",
        "--json",
        "--overwrite",
    ];
    let first = json(at, &words);
    assert!(at.join(first["report"].as_str().expect("a path")).is_file());
    assert!(at.join(first["adapter"].as_str().expect("a path")).is_dir());
    let manifest = at.join("verdict-demo/run/MANIFEST.json");
    let made = std::fs::metadata(&manifest)
        .and_then(|file| file.modified())
        .expect("made");

    // Neither threads nor steps that were chosen by speed make it another run.
    let second = show(at, "demo --model tiny --threads 1");
    assert!(
        second.contains("holds a finished run with these settings, which is used as it is"),
        "{second}"
    );
    assert!(
        second.contains("This is look 2 at these questions"),
        "{second}"
    );
    let kept = std::fs::metadata(&manifest)
        .and_then(|file| file.modified())
        .expect("kept");
    assert_eq!(made, kept, "a finished stage is not done again");

    let refused = show(at, "demo --model tiny --steps 3");
    assert!(refused.starts_with("status: 2"), "{refused}");
    let fault = "verdict-demo/run: holds a finished run with other settings: steps";
    assert!(refused.contains(fault), "{refused}");
    assert!(
        refused.contains("replace this run with --overwrite"),
        "{refused}"
    );
    assert!(manifest.exists());
}

#[cfg(unix)]
#[test]
fn a_demo_that_was_stopped_is_resumed() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    tiny::write(&at.join("tiny"));
    // Fewer positions than the default maximum length: the settings of the first run are fitted to the model, and so
    // are those that the second compares with them.
    let config = at.join("tiny/config.json");
    let text = std::fs::read_to_string(&config).expect("read");
    let short = text.replace(
        "\"max_position_embeddings\":1024",
        "\"max_position_embeddings\":512",
    );
    assert_ne!(short, text);
    std::fs::write(&config, short).expect("written");
    let mut child = start(at, "demo --model tiny --steps 60");
    let events = at.join("verdict-demo/run/events.jsonl");
    children::until(&mut child, "the first step", || {
        std::fs::read_to_string(&events).is_ok_and(|text| text.contains("\"throughput\""))
    });
    signal(child.id());
    let said = transcript(at, children::ended(child));
    let again = show(at, "demo --model tiny");
    assert!(again.starts_with("status: 0"), "{again}");
    // On a quick machine the run may have been over before the signal.
    if said.starts_with("status: 130") {
        assert!(again.contains("resuming after step"), "{again}");
    }
    let settings = std::fs::read_to_string(at.join("verdict-demo/run/settings.toml"));
    let settings = settings.expect("settings");
    assert!(settings.contains("steps = 60"), "{settings}");
    assert!(settings.contains("max_length = 512"), "{settings}");
    let third = show(at, "demo --model tiny");
    assert!(
        third.contains("holds a finished run with these settings"),
        "{third}"
    );
}

#[cfg(unix)]
fn start(folder: &Path, arguments: &str) -> std::process::Child {
    Command::new(env!("CARGO_BIN_EXE_verdict"))
        .args(arguments.split(' '))
        .current_dir(folder)
        .env("VERDICT_CACHE", folder.join("cache"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started")
}

#[cfg(unix)]
fn signal(process: u32) {
    let sent = Command::new("kill")
        .args(["-INT", &process.to_string()])
        .status()
        .expect("kill");
    assert!(sent.success());
}
