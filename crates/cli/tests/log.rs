//! `--log-format json`, `--log-level` and `VERDICT_LOG`: every line of stderr is one JSON object, and what
//! people see without them stays as it was.

mod common;
#[path = "common/tiny.rs"]
mod tiny;

use std::path::Path;

use common::{show, verdict};
use serde_json::Value;
use tiny::folder;

const TRAIN: &str =
    "train --data data --model tiny --rank 2,4 --steps 3 --batch 4 --compute f32 --threads 2";

/// Exit status, stdout, and the lines of stderr; each is an object with time, level, target and message.
fn logged(at: &Path, words: &str, filter: &str) -> (i32, String, Vec<Value>) {
    let output = verdict(at)
        .args(words.split(' '))
        .env("VERDICT_LOG", filter)
        .output()
        .expect("ran");
    let lines = String::from_utf8(output.stderr).expect("UTF-8");
    let line = |line: &str| -> Value {
        let object: Value =
            serde_json::from_str(line).unwrap_or_else(|fault| panic!("{fault}: {line}"));
        let text = |key: &str| {
            object[key]
                .as_str()
                .unwrap_or_else(|| panic!("{key}: {line}"))
        };
        let levels = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
        assert!(levels.contains(&text("level")), "{line}");
        assert!(text("target").starts_with("verdict"), "{line}");
        assert!(
            !text("message").is_empty() && !line.contains('\u{1b}'),
            "{line}"
        );
        rfc3339(text("timestamp"));
        object
    };
    let lines = lines.lines().map(line).collect();
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    (output.status.code().expect("a status"), stdout, lines)
}

/// `2026-11-23T11:28:52.123456Z`, digit by digit.
fn rfc3339(text: &str) {
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    let (seconds, rest) = shape.split_at_checked(19).expect("a time");
    assert_eq!(seconds, "0000-00-00T00:00:00", "{text}");
    let fraction = rest
        .strip_prefix('.')
        .and_then(|rest| rest.strip_suffix('Z'));
    let digits = fraction.is_some_and(|fraction| fraction.chars().all(|c| c == '0'));
    assert!(digits || rest == "Z", "{text}");
}

fn of_kind<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

fn said<'a>(lines: &'a [Value], message: &str) -> Vec<&'a Value> {
    let mut found = lines
        .iter()
        .filter(|line| line["message"] == message)
        .peekable();
    assert!(found.peek().is_some(), "no {message:?} in {lines:#?}");
    found.collect()
}

#[test]
fn a_run_is_logged_line_by_line() {
    let folder = folder();
    let at = folder.path();
    let words = format!("{TRAIN} --checkpoint-every 2 --out run --json --log-format json");
    let (status, stdout, lines) = logged(at, &words, "");
    assert_eq!(status, 0);
    let result: Value = serde_json::from_str(&stdout).expect("stdout is the result alone");
    assert_eq!(result["steps"], 3);

    let start = of_kind(&lines, "start");
    assert_eq!((start.len(), &start[0]["members"]), (1, &"r2,r4".into()));
    // The base model before the first step, then both adapters after the last.
    let validations = of_kind(&lines, "validation");
    assert_eq!(validations.len(), 3, "{validations:?}");
    assert!(validations[0].get("adapter").is_none() && validations[0]["step"] == 0);
    for (place, name) in [(1, "r2"), (2, "r4")] {
        let line = validations[place];
        assert_eq!((&line["adapter"], &line["step"]), (&name.into(), &3.into()));
        let member = &result["members"][place - 1]["validation"];
        assert_eq!((&line["loss"], &line["n"]), (&member["loss"], &member["n"]));
    }
    assert_eq!(of_kind(&lines, "saved").len(), 2);
    let end = of_kind(&lines, "end");
    assert_eq!(
        (&end[0]["outcome"], &end[0]["best"]),
        (&"finished".into(), &result["best"])
    );
    // Steps are logged at debug; what is logged is not printed again.
    assert!(of_kind(&lines, "train").is_empty() && of_kind(&lines, "throughput").is_empty());
    let twice = |line: &&Value| {
        line["message"]
            .as_str()
            .is_some_and(|text| text.starts_with("step  "))
    };
    assert_eq!(lines.iter().filter(twice).count(), 0);

    let seconds = |line: &Value| line["seconds"].as_f64().expect("seconds") >= 0.0;
    let read = said(&lines, "data set read");
    assert!(read[0]["train"] == 72 && seconds(read[0]), "{read:?}");
    let loaded = said(&lines, "model loaded")[0];
    let bytes = std::fs::metadata(at.join("tiny/model.safetensors"))
        .expect("there")
        .len();
    assert_eq!(
        (&loaded["family"], &loaded["bytes"]),
        (&"llama".into(), &bytes.into())
    );
    let kept = said(&lines, "checkpoint written")[0];
    assert!(
        kept["step"] == 2 && kept["bytes"].as_u64() > Some(1000) && seconds(kept),
        "{kept}"
    );
    assert_eq!(said(&lines, "device chosen")[0]["device"], "cpu");
    assert_eq!(said(&lines, "validated").len(), 2);
    said(&lines, "run folder locked");
    let progress: Vec<&Value> = lines
        .iter()
        .filter(|line| line["target"] == "verdict::progress" && line["label"] == "train")
        .collect();
    let last = progress.last().expect("progress");
    assert_eq!((&last["done"], &last["total"]), (&3.into(), &3.into()));
}

#[test]
fn the_level_says_how_much() {
    let folder = folder();
    let at = folder.path();
    let run = |more: &str, filter: &str| {
        let words = format!("{TRAIN} --out run --overwrite --log-format json{more}");
        let (status, _, lines) = logged(at, &words, filter);
        assert_eq!(status, 0);
        lines
    };
    let debug = run(" --log-level debug", "");
    assert_eq!(
        of_kind(&debug, "train").len(),
        6,
        "three steps of two adapters"
    );
    assert_eq!(of_kind(&debug, "throughput").len(), 3);
    // The flag wins over the variable: of two directives for all the last counts.
    for quiet in [
        run(" --quiet", ""),
        run(" --log-level warn", ""),
        run("", "warn"),
        run(" --log-level warn", "debug"),
    ] {
        assert!(quiet.is_empty(), "{quiet:?}");
    }
    let parts = run("", "off,verdict_data=info");
    let targets = |lines: &[Value]| {
        lines
            .iter()
            .all(|line| line["target"] == "verdict_data::dataset")
    };
    assert!(!parts.is_empty() && targets(&parts), "{parts:?}");
}

#[test]
fn a_failure_is_one_line_with_its_hint() {
    let folder = folder();
    let at = folder.path();
    assert_eq!(logged(at, &format!("{TRAIN} --out run --quiet"), "").0, 0);
    let one = |words: &str, filter: &str| {
        let (status, stdout, lines) = logged(at, words, filter);
        assert_eq!(
            (status, stdout.as_str(), lines.len()),
            (2, "", 1),
            "{lines:?}"
        );
        assert_eq!(
            (&lines[0]["level"], &lines[0]["status"]),
            (&"ERROR".into(), &2.into())
        );
        lines[0].clone()
    };
    let there = one(&format!("{TRAIN} --out run --log-format json"), "");
    assert_eq!(
        there["message"],
        "run: expected a new folder, found a finished run"
    );
    assert_eq!(there["hint"], "choose another --out, or add --overwrite");
    // Of several faults, all; of wrong usage, before there is a printer.
    let faults = one(
        "train --rank 0 --dropout 1 --device cpu --log-format=json --quiet",
        "",
    );
    let text = faults["message"].as_str().expect("a text");
    assert!(
        text.contains("--rank: ") && text.contains("; --dropout: "),
        "{text}"
    );
    let usage = one("train --log-format json --no-such-flag", "");
    let text = usage["message"].as_str().expect("a text");
    assert!(
        text.starts_with("unexpected argument '--no-such-flag' found"),
        "{text}"
    );
    let filter = one("doctor --log-format json", "verdict=loudly");
    let text = filter["message"].as_str().expect("a text");
    assert!(
        text.starts_with("VERDICT_LOG: ") && text.contains("verdict=loudly"),
        "{text}"
    );
    assert!(filter["hint"].is_string());
}

#[test]
fn a_spoilt_checkpoint_is_a_warning_that_quiet_does_not_hide() {
    let folder = folder();
    let at = folder.path();
    let long = TRAIN.replace("--steps 3", "--steps 4");
    let words = format!("{long} --checkpoint-every 1 --out run --quiet");
    assert_eq!(logged(at, &words, "").0, 0);
    // As if it had been killed, its one checkpoint spoilt.
    std::fs::remove_file(at.join("run/MANIFEST.json")).expect("removed");
    std::fs::create_dir_all(at.join("run/checkpoints/000003-step-000004")).expect("made");
    let (status, _, lines) = logged(at, "train --resume run --quiet --log-format json", "");
    assert_eq!((status, lines.len()), (0, 1), "{lines:?}");
    assert_eq!(lines[0]["level"], "WARN");
    let text = lines[0]["message"].as_str().expect("a text");
    assert!(text.contains("skipped: SHA256SUMS: cannot read"), "{text}");
}

#[test]
fn without_being_asked_people_see_no_events() {
    let folder = folder();
    let at = folder.path();
    let plain = show(at, &format!("{TRAIN} --out run"));
    assert!(
        !plain.contains("data set read") && !plain.contains("INFO"),
        "{plain}"
    );
    assert!(
        plain.contains("step    0  validation  base model"),
        "{plain}"
    );
    let shown = show(
        at,
        &format!("{TRAIN} --out run --overwrite --log-level info"),
    );
    assert!(
        shown.contains("INFO verdict_data::dataset: data set read path=data train=72"),
        "{shown}"
    );
    assert!(
        shown.contains("step    0  validation  base model"),
        "{shown}"
    );
    let quiet = show(at, &format!("{TRAIN} --out run --overwrite --quiet"));
    assert!(quiet.ends_with("----- stderr -----\n"), "{quiet}");
}
