//! TensorBoard's files, read by TensorBoard itself, and CSV: of finished runs, and of such that grow, are cut, begin
//! anew.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Sample, append};
use serde_json::Value;
use verdict_watch::{Watch, WatchOptions};

/// Numbers by run, tag and step.
type Scalars = BTreeMap<(String, String), Vec<(u64, f64, f32)>>;

fn watch(folders: &[PathBuf], out: &Path) -> Watch {
    let wishes = WatchOptions {
        csv: Some(out.join("all.csv")),
        tensorboard: Some(out.join("board")),
        dead_after_s: None,
    };
    Watch::new(folders, &wishes).expect("folders")
}

fn look(watch: &mut Watch) {
    watch.poll(&mut |_, _, _| {}).expect("looked");
}

/// What a run's events say, without us.
fn wanted(root: &str, events: &str) -> Scalars {
    let mut scalars = Scalars::new();
    for line in events.lines() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        let kind = event["kind"].as_str().expect("a kind");
        let tags: &[&str] = match kind {
            "train" => &["loss", "lr", "grad_norm"],
            "validation" => &["loss", "accuracy"],
            "throughput" => &["examples_per_s", "tokens_per_s"],
            _ => &[],
        };
        let run = match (event["adapter"].as_str(), kind) {
            (Some(name), _) => name,
            (None, "validation") => "base",
            _ => "",
        };
        let run = match (root, run) {
            ("", "") => ".".to_owned(),
            ("", run) | (run, "") => run.to_owned(),
            (root, run) => format!("{root}/{run}"),
        };
        for tag in tags {
            let number = (
                event["step"].as_u64().expect("a step"),
                event["time"].as_f64().expect("a time"),
                event[tag].as_f64().expect("a number") as f32,
            );
            let key = (run.clone(), format!("{kind}/{tag}"));
            scalars.entry(key).or_default().push(number);
        }
    }
    scalars
}

/// A Python that has TensorBoard: `VERDICT_TENSORBOARD_PYTHON`, or where `cargo xtask ci` put one.
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("VERDICT_TENSORBOARD_PYTHON").filter(|name| !name.is_empty());
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tensorboard");
    let found = named.map(PathBuf::from).or_else(|| {
        let whole = made.join("installed").is_file();
        whole.then(|| made.join("bin/python"))
    });
    if found.is_none() {
        #[allow(clippy::print_stderr, reason = "a skipped test must say so")]
        {
            eprintln!(
                "skipped: no TensorBoard; VERDICT_TENSORBOARD_PYTHON names a Python that has it"
            );
        }
    }
    found
}

/// Every scalar of every run below a folder, as TensorBoard's own reader gives it.
const READ: &str = "
import json, os, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
found = []
for folder, _, files in os.walk(sys.argv[1]):
    if not any('tfevents' in name for name in files):
        continue
    reader = EventAccumulator(folder, size_guidance={'scalars': 0})
    reader.Reload()
    for tag in reader.Tags()['scalars']:
        for of in reader.Scalars(tag):
            found.append([os.path.relpath(folder, sys.argv[1]), tag, of.step, of.wall_time, of.value])
print(json.dumps(found))
";

fn read(python: &Path, folder: &Path) -> Scalars {
    let output = Command::new(python)
        .args(["-c", READ])
        .arg(folder)
        .output()
        .expect("Python");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let found: Vec<(String, String, u64, f64, f64)> =
        serde_json::from_slice(&output.stdout).expect("JSON");
    let mut scalars = Scalars::new();
    for (run, tag, step, time, value) in found {
        let numbers = scalars.entry((run, tag)).or_default();
        numbers.push((step, time, value as f32));
    }
    scalars
}

#[test]
fn tensorboard_reads_every_number_of_a_finished_run() {
    let Some(python) = python() else { return };
    let at = tempfile::tempdir().expect("a folder");
    let sample = Sample {
        end: Some("finished"),
        ..Sample::default()
    };
    let run = sample.write(at.path(), "run");
    look(&mut watch(&[run], at.path()));
    let found = read(&python, &at.path().join("board"));
    let wanted = wanted("", &sample.events());
    assert_eq!(wanted.len(), 3 * 5 + 2 + 2);
    assert_eq!(found, wanted);
}

#[test]
fn tensorboard_reads_runs_that_grow_are_cut_and_begin_anew() {
    let Some(python) = python() else { return };
    let at = tempfile::tempdir().expect("a folder");
    let [mut first, second] = [1, 2].map(|seed| Sample {
        seed,
        steps: 40,
        done: 30,
        ..Sample::default()
    });
    let one = first.write(at.path(), "one");
    let two = second.write(at.path(), "two");
    let mut watch = watch(&[one.clone(), two.clone()], at.path());
    let mut check = |one: &str, two: &str| {
        look(&mut watch);
        let mut all = wanted("one", one);
        all.extend(wanted("two", two));
        assert_eq!(read(&python, &at.path().join("board")), all);
        let rows: usize = all.values().map(Vec::len).sum();
        let csv = fs::read_to_string(at.path().join("all.csv")).expect("read");
        let counts = csv.lines().filter(|line| line.contains("validation/n,"));
        assert_eq!(csv.lines().count(), 1 + rows + counts.count());
    };
    let whole = first.events();
    check(&whole, &second.events());
    // Grown, with half a line missing.
    first.done = 40;
    let more = &first.events()[..first.events().len() - 40];
    append(&one, &more[whole.len()..]);
    check(&more[..=more.rfind('\n').expect("lines")], &second.events());
    // Cut to a checkpoint and grown again.
    let cut = whole.len() / 2;
    let cut = &whole[..=whole[..cut].rfind('\n').expect("lines")];
    fs::write(one.join("events.jsonl"), cut).expect("written");
    check(cut, &second.events());
    // Replaced by another run that began an hour later.
    let later = second.events().replace("\"time\":17954", "\"time\":17955");
    assert_ne!(later, second.events());
    fs::write(one.join("events.jsonl"), &later).expect("written");
    check(&later, &second.events());
}

#[test]
fn a_finished_runs_csv_has_a_row_for_each_number() {
    let at = tempfile::tempdir().expect("a folder");
    let sample = Sample {
        members: vec!["r4".into()],
        steps: 2,
        done: 2,
        end: Some("finished"),
        ..Sample::default()
    };
    let run = sample.write(at.path(), "a, \"run\"");
    look(&mut watch(&[run], at.path()));
    let text = fs::read_to_string(at.path().join("all.csv")).expect("read");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let head = reader
        .headers()
        .expect("a head")
        .iter()
        .collect::<Vec<_>>()
        .join(" ");
    assert_eq!(head, "run time step adapter name value");
    let mut rows: Vec<Vec<String>> = Vec::new();
    for row in reader.records() {
        rows.push(row.expect("a row").iter().map(str::to_owned).collect());
    }
    let mut scalars = Scalars::new();
    for row in &rows {
        assert_eq!(row[0], "a, \"run\"");
        let run = match (row[3].as_str(), row[4].starts_with("validation/")) {
            ("", true) => "base",
            ("", false) => ".",
            (name, _) => name,
        };
        if row[4] == "validation/n" {
            assert_eq!(row[5], "33");
            continue;
        }
        let number = |text: &str| text.parse::<f64>().expect("a number");
        let key = (run.to_owned(), row[4].clone());
        let numbers = scalars.entry(key).or_default();
        numbers.push((
            row[2].parse().expect("a step"),
            number(&row[1]),
            number(&row[5]) as f32,
        ));
    }
    assert_eq!(scalars, wanted("", &sample.events()));
    // To the last digit, where TensorBoard has 32 bits.
    let event: Value =
        serde_json::from_str(sample.events().lines().nth(2).expect("a line")).expect("JSON");
    let loss = event["loss"].as_f64().expect("a number");
    let row = rows
        .iter()
        .find(|row| row[4] == "train/loss")
        .expect("a row");
    assert_eq!(
        row[5].parse::<f64>().expect("a number").to_bits(),
        loss.to_bits()
    );
}

#[test]
fn an_export_that_cannot_be_written_is_named() {
    let at = tempfile::tempdir().expect("a folder");
    let run = Sample::default().write(at.path(), "run");
    let wishes = WatchOptions {
        csv: Some(run.join("events.jsonl/all.csv")),
        ..WatchOptions::default()
    };
    let mut watch = Watch::new(std::slice::from_ref(&run), &wishes).expect("a folder");
    let fault = watch
        .poll(&mut |_, _, _| {})
        .expect_err("no folder")
        .to_string();
    let expected = format!(
        "{}: cannot create the folder: ",
        run.join("events.jsonl").display()
    );
    assert!(fault.starts_with(&expected), "{fault}");
    let fault = Watch::new(&[at.path().join("none")], &WatchOptions::default()).expect_err("none");
    let expected = format!(
        "{}/none: expected a run folder, found nothing",
        at.path().display()
    );
    assert_eq!(fault.to_string(), expected);
}
