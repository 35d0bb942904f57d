//! `verdict watch` without a terminal: a real run, a folder that grows, how it ends.

#[path = "common/children.rs"]
mod children;
mod common;
#[path = "common/tiny.rs"]
mod tiny;

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{show, verdict};
use serde_json::Value;

/// Follows a run in the background.
fn follow(folder: &Path, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_verdict"))
        .args(["watch", "run"])
        .args(arguments)
        .current_dir(folder)
        .env("TZ", "UTC")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started")
}

#[test]
fn a_run_that_was_trained_here() {
    let folder = tiny::folder();
    let at = folder.path();
    let command = "train --data data --model tiny --rank 2,4 --steps 3 --batch 4 --compute f32 --threads 2 --out run --quiet";
    let said = show(at, command);
    assert!(said.starts_with("status: 0"), "{said}");
    let said = show(
        at,
        "watch run --html out/run.html --csv out/run.csv --tensorboard out/board",
    );
    assert!(said.starts_with("status: 0"), "{said}");
    for text in [
        "started: 2 adapters, 3 steps, ",
        "validation after step 0  base model loss ",
        "step 1/3  loss r2 ",
        "step 2/3  loss r2 ",
        "step 3/3  loss r2 ",
        "validation after step 3  r2 loss ",
        "saved r2, r4",
        "finished: 3 steps in ",
    ] {
        assert_eq!(said.matches(text).count(), 1, "{text}: {said}");
    }
    let html = fs::read_to_string(at.join("out/run.html")).expect("read");
    assert!(html.contains("<title>run, 100 %</title>") && !html.contains("refresh"));
    // Two adapters' three steps and one validation, the base model's, the speeds; see the crate for their contents.
    let csv = fs::read_to_string(at.join("out/run.csv")).expect("read");
    assert_eq!(
        csv.lines().count(),
        1 + 2 * (3 * 3 + 4) + 4 + 3 * 2,
        "{csv}"
    );
    assert!(at.join("out/board/r4").is_dir());

    let output = verdict(at)
        .args(["watch", "run", "--json"])
        .output()
        .expect("ran");
    let shown: Value = serde_json::from_slice(&output.stdout).expect("one object");
    let manifest = fs::read_to_string(at.join("run/MANIFEST.json")).expect("read");
    let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
    assert_eq!(
        (&shown["state"], &shown["step"]),
        (&"finished".into(), &3.into())
    );
    assert_eq!(shown["best"], manifest["best"]);
    for (now, record) in [0, 1].map(|of| (&shown["members"][of], &manifest["members"][of])) {
        assert_eq!(now["name"], record["name"]);
        assert_eq!(now["rank"], record["rank"]);
        assert_eq!(now["train_loss"], record["train_loss"]);
        assert_eq!(now["validation"]["loss"], record["validation"]["loss"]);
        assert_eq!(now["saved"], true);
    }
}

#[test]
fn a_run_is_followed_to_its_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("run");
    fs::create_dir(&run).expect("a folder");
    let mut child = follow(folder.path(), &["--every", "2", "--html", "run.html"]);
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    // Without its time: that is another one each day.
    let mut next = || {
        let line = lines.next().expect("a line").expect("UTF-8");
        line.split_once("  ").map(|(_, text)| text.to_owned())
    };
    let path = run.join("events.jsonl");
    let write = |text: &str| {
        let file = OpenOptions::new().append(true).create(true).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .expect("written");
    };
    assert_eq!(next().as_deref(), Some("waiting: training has not started"));
    let page = || fs::read_to_string(folder.path().join("run.html")).expect("read");
    assert!(page().contains("<meta http-equiv=\"refresh\" content=\"5\">"));
    let start = r#"{"time":1.0,"step":0,"adapter":null,"kind":"start","members":["r4"],"steps":9,"train_rows":8,"validation_rows":4}"#;
    write(&format!("{start}\n{{\"time\":1.0,\"step\":1,\"ada"));
    assert_eq!(
        next().as_deref(),
        Some("started: 1 adapter, 9 steps, 8 training examples")
    );
    let step = |step: usize| {
        format!(
            "{{\"time\":{step}.5,\"step\":{step},\"adapter\":\"r4\",\"kind\":\"train\",\"loss\":1.5,\"lr\":1e-4,\"grad_norm\":0.5}}\n\
             {{\"time\":{step}.5,\"step\":{step},\"adapter\":null,\"kind\":\"throughput\",\"examples_per_s\":1.0,\"tokens_per_s\":64.0}}\n"
        )
    };
    write("pter\":null,\"kind\":\"of a later version\",\"what\":[1]}\n");
    write(&(step(1) + &step(2)));
    let shown = "step 1/9  loss r4 1.500  lr 1e-4  64 tokens/s, 0:04 left";
    assert_eq!(next().as_deref(), Some(shown));
    let shown = "step 2/9  loss r4 1.500  lr 1e-4  64 tokens/s, 0:07 left";
    assert_eq!(next().as_deref(), Some(shown));
    write(
        &(step(3)
            + r#"{"time":9.0,"step":3,"adapter":null,"kind":"end","outcome":"failed","error":"no room"}"#
            + "\n"),
    );
    assert_eq!(next().as_deref(), Some("failed: no room"));
    let output = children::ended(child);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "error: run: failed\n"
    );
    assert!(!page().contains("refresh"));
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_log_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("run")).expect("a folder");
    let mut child = follow(folder.path(), &[]);
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    lines.next().expect("a line").expect("UTF-8");
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status();
    assert!(sent.expect("kill").success());
    let output = children::ended(child);
    assert_eq!(output.status.code(), Some(130));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.ends_with("error: run: stopped watching while waiting\n"),
        "{said}"
    );
}

#[test]
fn a_run_of_which_nothing_is_heard_is_dead() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("run");
    fs::create_dir(&run).expect("a folder");
    let start = r#"{"time":1.0,"step":0,"adapter":null,"kind":"start","members":["r4"],"steps":9,"train_rows":8,"validation_rows":4}"#;
    fs::write(run.join("events.jsonl"), format!("{start}\n")).expect("written");
    let said = show(folder.path(), "watch run");
    assert!(said.starts_with("status: 1\n"), "{said}");
    assert!(said.contains("dead: no event since 1970-01-01 "), "{said}");
}

#[test]
fn what_is_no_run_folder_and_wrong_flags_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("file"), "").expect("written");
    for command in [
        "watch none",
        "watch file",
        "watch . --every 0 --dead-after 0",
    ] {
        let name = format!("watch_refused_{}", command.split(' ').nth(1).unwrap_or(""));
        insta::assert_snapshot!(name.replace('.', "flags"), show(folder.path(), command));
    }
}
