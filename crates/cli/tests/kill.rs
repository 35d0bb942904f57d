//! The real program, killed at random moments without warning: it resumes, with another number of threads,
//! to the bytes that an undisturbed run comes to. Signals; a disk that takes no more; the second process.
#![cfg(unix)]

#[path = "common/children.rs"]
mod children;
mod common;
#[path = "common/tiny.rs"]
mod tiny;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use children::{LIMIT, ended, until};
use common::show;
use tiny::folder;
use verdict_common::random::SplitMix64;

const GRID: &str = "train --data data --model tiny --rank 2,16 --steps 10 --batch 4 --validate-every 3 \
                    --compute f32 --checkpoint-every 1 --quiet";
const FOLDS: &str = "train --data data --model tiny --rank 2 --steps 3 --batch 4 --folds 3 --compute f32 \
                     --checkpoint-every 1 --quiet";

const LEAVING: &str = "train --data data --model tiny --rank 2,4 --lr 1e-3,1 --steps 8 --batch 4 --validate-every 1 \
                       --patience 1 --halving 4 --compute f32 --checkpoint-every 1 --quiet";
/// Few checkpoints, and bf16 products where the processor has them: elsewhere the flag would be refused.
fn seldom() -> String {
    let compute = match verdict_model::Isa::detect().has_bf16() {
        true => "bf16",
        false => "f32",
    };
    format!(
        "train --data data --model tiny --rank 4,16 --steps 8 --batch 4 --validate-every 2 \
         --compute {compute} --base bf16 --checkpoint-every 3 --loss full --quiet"
    )
}

fn spawn(folder: &Path, words: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_verdict"))
        .args(words.split_whitespace())
        .current_dir(folder)
        .env("VERDICT_CACHE", folder.join("cache"))
        .env("CUDA_VISIBLE_DEVICES", "")
        .env("NO_COLOR", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

fn finished(folder: &Path, words: &str) -> String {
    let output = ended(spawn(folder, words));
    assert!(output.status.success(), "{words}: {}", said(&output));
    said(&output)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Every file of a finished run with its bytes, events without what a clock said, and settings and
/// manifest without the folder's name.
fn outcome(run: &Path) -> Vec<(String, String)> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => walk(&path, found),
                false => found.push(path),
            }
        }
    }
    let mut found = Vec::new();
    walk(run, &mut found);
    // Which process trained.
    found.retain(|path| !path.ends_with(".lock"));
    found.sort();
    let name = run
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).expect("a file");
        let of = path
            .strip_prefix(run)
            .expect("below")
            .to_string_lossy()
            .into_owned();
        let text = match of.as_str() {
            "events.jsonl" => timeless(&String::from_utf8_lossy(&bytes)),
            "settings.toml" | "MANIFEST.json" => {
                String::from_utf8_lossy(&bytes).replace(&format!("\"{name}\""), "\"RUN\"")
            }
            // Bytes as text, one for one.
            _ => bytes.iter().map(|byte| char::from(*byte)).collect(),
        };
        (of, text)
    };
    found.into_iter().map(read).collect()
}

fn timeless(events: &str) -> String {
    let line = |line: &str| {
        let mut event: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let fields = event.as_object_mut().expect("an object");
        for name in ["time", "examples_per_s", "tokens_per_s"] {
            fields.remove(name);
        }
        format!("{event}\n")
    };
    events.lines().map(line).collect()
}

fn assert_same(run: &Path, whole: &[(String, String)]) {
    let found = outcome(run);
    let names = |files: &[(String, String)]| -> Vec<String> {
        files.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&found), names(whole), "{}", run.display());
    for ((name, found), (_, whole)) in found.iter().zip(whole) {
        assert!(found == whole, "{}: {name} differs", run.display());
    }
}

/// Uniform in [0, 1).
fn uniform(random: &mut SplitMix64) -> f64 {
    (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Kills runs with these flags at random moments, resumes them, and compares their results.
fn kill(words: &str, wanted: usize) {
    let folder = folder();
    let at = folder.path();
    let started = Instant::now();
    finished(at, &format!("{words} --threads 2 --out whole"));
    let (whole, took) = (outcome(&at.join("whole")), started.elapsed());
    let mut random = SplitMix64::new(wanted as u64);
    let (mut kills, mut runs, mut resumed) = (0, 0, 0);
    // On a machine that has become busier than it was, later: else no run would ever come to a checkpoint.
    let (mut later, mut kept) = (1.0, Vec::new());
    while kills < wanted {
        let name = format!("run-{runs}");
        let run = at.join(&name);
        loop {
            let begun = run.join("settings.toml").exists();
            let threads = 1 + (uniform(&mut random) * 3.0) as usize;
            let mut child = spawn(
                at,
                &match begun {
                    true => format!("train --resume {name} --threads {threads} --quiet"),
                    false => format!("{words} --threads 2 --out {name}"),
                },
            );
            resumed += usize::from(begun);
            // Any moment of loading, training and saving: what is left takes less and less.
            let moment = took.mul_f64(0.6 * later * uniform(&mut random));
            let killed = kills < wanted && {
                thread::sleep(moment);
                let ended = child.try_wait().expect("its status").is_some();
                if !ended {
                    child.kill().expect("killed");
                }
                !ended
            };
            let output = ended(child);
            // It may have ended in the instant before.
            if !killed || output.status.success() {
                assert!(output.status.success(), "{name}: {}", said(&output));
                break;
            }
            kills += 1;
            let before = std::mem::replace(&mut kept, checkpoints(&run));
            later = if kept == before { later * 1.2 } else { 1.0 };
            // Complete already; only its checkpoints may not have been taken away any more.
            if run.join("MANIFEST.json").exists() {
                let _ = fs::remove_dir_all(run.join("checkpoints"));
                break;
            }
        }
        assert_same(&run, &whole);
        fs::remove_dir_all(&run).expect("removed");
        runs += 1;
    }
    assert!(
        runs >= 2 && resumed > wanted / 2,
        "{runs} runs, resumed {resumed} times"
    );
}

/// Names of a run's checkpoints.
fn checkpoints(run: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(run.join("checkpoints"));
    let mut names: Vec<PathBuf> = entries
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("an entry").path())
        .collect();
    names.sort();
    names
}

// 200 times in all.

#[test]
fn a_grid_killed_sixty_times_comes_to_the_same_bytes() {
    kill(GRID, 60);
}

#[test]
fn folds_killed_thirty_times_come_to_the_same_bytes() {
    kill(FOLDS, 30);
}

#[test]
fn a_grid_whose_members_leave_killed_sixty_times_comes_to_the_same_bytes() {
    kill(LEAVING, 60);
}

#[test]
fn a_run_of_few_checkpoints_killed_fifty_times_comes_to_the_same_bytes() {
    kill(&seldom(), 50);
}

/// Waits until the run has its first checkpoint.
fn first_checkpoint(child: &mut Child, run: &Path) {
    let kept = || fs::read_dir(run.join("checkpoints")).map_or(0, Iterator::count);
    until(child, "the first checkpoint", || kept() > 0);
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status();
    assert!(sent.expect("kill runs").success());
}

#[test]
fn a_signal_stops_in_good_order_with_a_checkpoint_and_usr1_goes_on() {
    let folder = folder();
    let at = folder.path();
    let words =
        format!("{GRID} --threads 2").replace("--checkpoint-every 1", "--checkpoint-every 1000");
    finished(at, &format!("{words} --out whole"));
    let whole = outcome(&at.join("whole"));
    for name in ["TERM", "INT"] {
        let mut child = spawn(at, &format!("{words} --out {name}"));
        let run = at.join(name);
        let steps = || fs::read_to_string(run.join("events.jsonl")).unwrap_or_default();
        until(&mut child, "the first step", || {
            steps().contains("throughput")
        });
        signal(&child, "USR1");
        first_checkpoint(&mut child, &run);
        signal(&child, name);
        let output = ended(child);
        // On a quick machine the run may be over before the signal.
        if !output.status.success() {
            assert_eq!(output.status.code(), Some(130), "{}", said(&output));
            let hint = format!("verdict train --resume {name}");
            assert!(said(&output).contains(&hint), "{}", said(&output));
            finished(at, &format!("train --resume {name} --threads 1 --quiet"));
        }
        assert_same(&run, &whole);
    }
}

/// Launchers and terminals both send the signal: two of them within moments are one request.
#[test]
fn two_signals_within_moments_still_leave_a_checkpoint() {
    let folder = folder();
    let at = folder.path();
    let words = GRID
        .replace("--checkpoint-every 1", "--checkpoint-every 100000")
        .replace("--steps 10", "--steps 100000");
    let mut child = spawn(at, &format!("{words} --threads 2 --out run"));
    let run = at.join("run");
    until(&mut child, "the first step", || {
        fs::read_to_string(run.join("events.jsonl")).is_ok_and(|text| text.contains("throughput"))
    });
    for _ in 0..3 {
        signal(&child, "TERM");
    }
    let output = ended(child);
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    let hint = "verdict train --resume run";
    assert!(said(&output).contains(hint), "{}", said(&output));
    assert_eq!(checkpoints(&run).len(), 1);
}

#[test]
fn a_disk_that_takes_no_more_stops_the_run_and_leaves_the_last_checkpoint_whole() {
    let folder = folder();
    let at = folder.path();
    finished(at, &format!("{GRID} --threads 2 --out whole"));
    let mut child = spawn(at, &format!("{GRID} --threads 2 --out run"));
    first_checkpoint(&mut child, &at.join("run"));
    child.kill().expect("killed");
    child.wait().expect("it ends");
    // Files of at most 64 KiB: an adapter's state of rank 16 is larger, events are not.
    let program = env!("CARGO_BIN_EXE_verdict");
    let limited = format!("trap '' XFSZ; ulimit -f 64; exec {program} train --resume run --quiet");
    let child = Command::new("bash")
        .args(["-c", &limited])
        .current_dir(at)
        .env("CUDA_VISIBLE_DEVICES", "")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("bash runs");
    let output = ended(child);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("run/checkpoints/"),
        "{}",
        said(&output)
    );
    assert!(
        said(&output).contains("cannot write: "),
        "{}",
        said(&output)
    );
    finished(at, "train --resume run --threads 1 --quiet");
    assert_same(&at.join("run"), &outcome(&at.join("whole")));
}

#[test]
fn a_second_process_and_foreign_flags_are_refused() {
    let folder = folder();
    let at = folder.path();
    let mut child = spawn(
        at,
        &format!(
            "{} --threads 1 --out run",
            GRID.replace("--steps 10", "--steps 100000")
        ),
    );
    first_checkpoint(&mut child, &at.join("run"));
    insta::assert_snapshot!("resume_in_use", show(at, "train --resume run"));
    child.kill().expect("killed");
    child.wait().expect("it ends");
    insta::assert_snapshot!(
        "resume_with_other_flags",
        show(at, "train --resume run --lr 1e-4 --rank 4 --threads 2")
    );
    insta::assert_snapshot!("resume_of_nothing", show(at, "train --resume nowhere"));
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_that_was_killed_before_anyone_watched_is_known_to_be_dead() {
    let folder = folder();
    let at = folder.path();
    let mut child = spawn(
        at,
        &format!(
            "{} --out run",
            seldom().replace("--steps 8", "--steps 100000")
        ),
    );
    let events = at.join("run/events.jsonl");
    until(&mut child, "five events", || {
        fs::read_to_string(&events).map_or(0, |text| text.lines().count()) >= 5
    });
    let state = || {
        let shown = show(at, "watch run --json");
        let line = shown
            .lines()
            .find(|line| line.starts_with('{'))
            .expect("an object");
        let run: serde_json::Value = serde_json::from_str(line).expect("JSON");
        run["state"].as_str().expect("a state").to_owned()
    };
    assert_eq!(state(), "running");
    child.kill().expect("it lives");
    // Not waited for: a process of which nothing but its name is left is gone.
    let limit = Instant::now() + LIMIT;
    while fs::read_to_string(format!("/proc/{}/stat", child.id()))
        .is_ok_and(|stat| !stat.contains(") Z "))
    {
        assert!(Instant::now() < limit, "a killed process runs on");
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(state(), "dead");
    child.wait().expect("it ended");
    assert_eq!(state(), "dead");
}
