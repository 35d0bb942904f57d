//! Contexts and their one budget of tokens through build, train, eval and ask; batches with questions that cannot
//! be asked.

mod common;
#[path = "common/tiny.rs"]
mod tiny;

use std::fs;
use std::path::Path;

use common::{show, verdict};
use serde_json::Value;

/// Rows whose contexts open with many sentences of background and end with what was found.
fn rows(path: &Path) {
    let mut text = String::new();
    for n in 0..90 {
        let label = ["yes", "no", "maybe"][n % 3];
        let background = "Aspirin is common in adults. ".repeat(n % 30);
        let row = serde_json::json!({
            "id": format!("r{n}"), "label": label,
            "question": format!("Does aspirin at dose {n} lower pain number {}?", n * 7),
            "rationale": format!("Pain score {n} was seen with dose {}.", n * 7),
            "context": format!("{background}Found: score {n}."),
        });
        text.push_str(&format!("{row}\n"));
    }
    fs::write(path, text).expect("written");
}

fn good(at: &Path, words: &str) -> String {
    let said = show(at, words);
    assert!(said.starts_with("status: 0"), "{words}: {said}");
    said
}

const TRAIN: &str = "train --data set --model tiny --steps 2 --batch 4 --threads 2";

#[test]
fn one_budget_goes_from_train_to_eval_and_ask_and_cuts_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    tiny::write(&at.join("tiny"));
    rows(&at.join("rows.jsonl"));
    good(
        at,
        "build --source jsonl:rows.jsonl --protect none --out set",
    );
    let longest = |line: &str| {
        let row: Value = serde_json::from_str(line).expect("JSON");
        row["context"]
            .as_str()
            .map_or(0, |text| text.split(". ").count())
    };
    let train = fs::read_to_string(at.join("set/train.jsonl")).expect("read");
    let longest = train.lines().map(longest).max();
    assert!(longest > Some(25), "whole in the data set: {longest:?}");

    // Longer than the model's positions: refused before anything is computed.
    let beyond = show(at, &format!("{TRAIN} --out beyond --max-length 1025"));
    assert!(beyond.starts_with("status: 2"), "{beyond}");
    assert!(
        beyond.contains("--max-length: expected at most 1024, the positions of tiny, found 1025"),
        "{beyond}"
    );
    assert!(!beyond.contains("step "), "{beyond}");

    // The default gives way to a model of fewer positions.
    let config = at.join("tiny/config.json");
    let whole = fs::read_to_string(&config).expect("read");
    let short = whole.replace(
        "\"max_position_embeddings\":1024",
        "\"max_position_embeddings\":192",
    );
    assert_ne!(short, whole);
    fs::write(&config, short).expect("written");
    let said = good(at, &format!("{TRAIN} --out short"));
    assert!(
        said.contains("--max-length 192: tiny has no more positions"),
        "{said}"
    );
    let settings = fs::read_to_string(at.join("short/settings.toml")).expect("read");
    assert!(settings.contains("max_length = 192"), "{settings}");
    good(at, "eval short --threads 2 --bootstrap-samples 100");

    // A shard that is started again finds the settings that it began with.
    let shard = format!("{TRAIN} --rank 2,4 --out grid --shard 1/2");
    let said = good(at, &shard);
    assert!(said.contains("--max-length 192: tiny"), "{said}");
    let said = good(at, &shard);
    assert!(said.contains("already finished"), "{said}");
    let beyond = show(at, &format!("{shard} --max-length 193"));
    assert!(beyond.contains("expected at most 192"), "{beyond}");
    fs::write(&config, whole).expect("written");

    let said = good(at, &format!("{TRAIN} --out run --max-length 256"));
    assert!(
        said.contains("contexts cut at the front, by ") && said.contains("to fit --max-length 256"),
        "{said}"
    );
    let said = good(at, "eval run --threads 2 --bootstrap-samples 100");
    assert!(said.contains("contexts cut at the front"), "{said}");
    assert!(said.contains("to fit prompts of 192 tokens"), "{said}");
    let report = fs::read_to_string(at.join("run/report.json")).expect("a report");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["methods"]["max_prompt_tokens"], 192);

    let context = "Aspirin is common in adults. ".repeat(60) + "Found: it helps.";
    let ask = |more: &[&str]| {
        let arguments = [
            "ask",
            "--run",
            "run",
            "--context",
            &context,
            "Does it help?",
        ];
        let output = verdict(at)
            .args(arguments)
            .args(more)
            .output()
            .expect("ran");
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = ask(&[]);
    assert!(
        said.contains("questions: 1 of 1 contexts cut") && said.contains("prompts of 192 tokens"),
        "{said}"
    );
    let said = ask(&["--max-prompt-tokens", "900"]);
    assert!(!said.contains(" is cut"), "{said}");
}

#[test]
fn bad_questions_do_not_stop_the_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    tiny::write(&at.join("tiny"));
    let long = "pain ".repeat(3_000) + "now?";
    let questions = [
        "Is it safe?",
        &long,
        "",
        "Does it help?",
        "Is <|endoftext|> a word?",
    ];
    let ask = |more: &[&str], questions: &[&str]| {
        let arguments = ["ask", "--model", "tiny", "--threads", "2"];
        let output = verdict(at)
            .args(arguments)
            .args(more)
            .args(questions)
            .output();
        let output = output.expect("ran");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let (status, stdout, stderr) = ask(&["--json"], &questions);
    assert_eq!(status, Some(2), "{stderr}");
    let lines: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    for (line, question) in lines.iter().zip(questions) {
        assert_eq!(line["question"], question);
    }
    let failed: Vec<bool> = lines
        .iter()
        .map(|line| line.get("error").is_some())
        .collect();
    assert_eq!(failed, [false, true, true, false, true]);
    assert!(
        lines[1]["error"]
            .as_str()
            .expect("a text")
            .contains("expected at most 928")
    );
    assert_eq!(lines[2]["error"], "the question is empty, expected a text");
    assert!(lines[0]["label"].is_string() && lines[3]["label"].is_string());

    let (status, stdout, stderr) = ask(&["--quiet"], &questions);
    assert_eq!(status, Some(2), "{stderr}");
    assert!(
        stdout.starts_with("Is it safe?\n") && stdout.contains("\nDoes it help?\n"),
        "{stdout}"
    );
    for fault in [
        "error: question 2: ",
        "error: question 3: ",
        "error: question 5: ",
    ] {
        assert!(stderr.contains(fault), "{stderr}");
    }
    assert!(
        stderr.contains("the other 2 questions were answered"),
        "{stderr}"
    );

    // Nothing good among them.
    let (status, stdout, stderr) = ask(&["--quiet"], &[&long]);
    assert_eq!((status, stdout.as_str()), (Some(2), ""), "{stderr}");
}

#[test]
fn a_data_set_is_no_run_and_a_run_no_data_set_and_each_command_says_what_comes_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    tiny::write(&at.join("tiny"));
    rows(&at.join("rows.jsonl"));
    let built = good(
        at,
        "build --source jsonl:rows.jsonl --protect none --out set",
    );
    assert!(
        built.contains("next: verdict train --data set --model "),
        "{built}"
    );
    for command in ["ask --run set Is-it-so?", "eval set", "watch set"] {
        let said = show(at, command);
        assert!(said.starts_with("status: 2"), "{command}: {said}");
        assert!(
            said.contains("set: expected a run folder, found a data set"),
            "{command}: {said}"
        );
    }
    let trained = good(at, &format!("{TRAIN} --out run"));
    assert!(trained.contains("next: verdict eval run"), "{trained}");
    for command in [
        "train --data run --model tiny --out other",
        "train --resume run --data run",
        "train --data run --model tiny --out other --shard 1/1",
        "eval run --data run",
    ] {
        let said = show(at, command);
        assert!(said.starts_with("status: 2"), "{command}: {said}");
        assert!(
            said.contains("--data run: expected a data set folder, found a run"),
            "{said}"
        );
    }
    assert!(!at.join("other").exists());
}
