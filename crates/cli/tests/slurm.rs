//! A real SLURM (slurmctld, slurmd, munge and, where they are installed, slurmdbd and MariaDB), started here as
//! ordinary processes in a folder of its own: two tasks, one preempted, one warned that its time is up. What comes out
//! is what one process makes of the grid. Where SLURM is not installed, the tests say that they were skipped.
#![cfg(target_os = "linux")]

mod common;
#[path = "common/tiny.rs"]
mod tiny;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use common::{show, verdict};
use serde_json::Value;
use tiny::folder;

/// How long anything may take before something is wrong.
const LIMIT: Duration = Duration::from_secs(300);

/// A cluster of one node with two processors, two partitions; ended when it goes, or when this process dies.
struct Cluster {
    folder: tempfile::TempDir,
    conf: PathBuf,
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../dev/slurm")
        .join(name)
}

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = [PathBuf::from("/usr/sbin")];
    std::env::split_paths(&path)
        .chain(more)
        .any(|folder| folder.join(program).is_file())
}

impl Cluster {
    /// Starts it; none where SLURM is not installed.
    fn start() -> Option<Cluster> {
        let programs = ["slurmctld", "slurmd", "munged", "sbatch"];
        if let Some(missing) = programs.iter().find(|program| !installed(program)) {
            #[allow(clippy::print_stderr, reason = "a skipped test must say so")]
            {
                eprintln!("skipped: no {missing} on the path");
            }
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let accounts = installed("slurmdbd") && installed("mariadbd");
        let output = Command::new(script("start.sh"))
            .arg(folder.path())
            .env("SLURM_DBD", if accounts { "1" } else { "0" })
            .env("SLURM_WATCH_PID", std::process::id().to_string())
            .output()
            .expect("bash");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let conf = String::from_utf8_lossy(&output.stdout).trim().into();
        Some(Cluster { folder, conf })
    }

    /// The program, in a folder, as a user of the cluster.
    fn verdict(&self, at: &Path, words: &str) -> String {
        let mut command = verdict(at);
        command.env("SLURM_CONF", &self.conf);
        let output = command
            .args(words.split_whitespace())
            .output()
            .expect("it ran");
        common::transcript(at, output)
    }

    /// One of SLURM's programs; it must succeed.
    fn slurm(&self, at: &Path, words: &[&str]) -> String {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).current_dir(at);
        let output: Output = command
            .env("SLURM_CONF", &self.conf)
            .output()
            .expect("it ran");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {said}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// What `watch --json` prints for each run, by its name.
    fn watch(&self, at: &Path) -> Vec<Value> {
        let shown = self.verdict(at, "watch sweep --json");
        let lines = shown.lines().filter(|line| line.starts_with('{'));
        lines
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let ended = Command::new(script("stop.sh"))
            .arg(self.folder.path())
            .status();
        if !thread::panicking() {
            assert!(ended.expect("bash").success());
        }
    }
}

/// Waits until something is so.
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < LIMIT, "waited too long for {what}");
        thread::sleep(Duration::from_millis(100));
    }
}

fn lines(file: &Path) -> usize {
    fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

fn text(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

#[test]
fn two_tasks_one_preempted_and_one_out_of_time_come_to_the_run_of_one_process() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    // The scripts bear a blank in the path.
    let at = &folder.path().join("a run");
    fs::create_dir(at).expect("made");
    tiny::fill(at);
    // Some seconds of work, so that there is something to break off.
    const GRID: &str = "train --data data --model tiny --rank 2,4 --lr 1e-3,1e-2 --steps 250 --batch 16 \
                        --validate-every 100 --compute f32 --threads 1 --quiet";
    let whole = show(at, &format!("{GRID} --out whole"));
    assert!(whole.starts_with("status: 0"), "{whole}");

    // A refusal of SLURM is reported and leaves nothing.
    let refused = cluster.verdict(
        at,
        &format!("{GRID} --out sweep --slurm --partition nowhere"),
    );
    insta::assert_snapshot!("slurm_refuses", refused);
    assert!(!at.join("sweep").exists());

    let slurm = "--slurm --tasks 2 --partition low --cpus 1 --time 30";
    let submitted = cluster.verdict(at, &format!("{GRID} --out sweep {slurm}"));
    insta::assert_snapshot!("slurm_submitted", submitted);
    let again = cluster.verdict(at, "train --resume sweep --slurm");
    assert!(again.contains("are still in the queue"), "{again}");
    let again = cluster.verdict(at, &format!("{GRID} --out sweep {slurm} --overwrite"));
    assert!(again.contains("are still in the queue"), "{again}");

    // Both train; then one is preempted, and the other receives the signal that its time is nearly up.
    let events = |task: usize| at.join(format!("sweep/shards/{task}/events.jsonl"));
    until("both tasks", || {
        lines(&events(1)) > 40 && lines(&events(2)) > 40
    });
    let seen = cluster.watch(at);
    let field = |of: &Value, key: &str| of[key].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        seen.iter()
            .map(|of| (
                field(of, "run"),
                field(of, "state"),
                field(&of["job"], "state")
            ))
            .collect::<Vec<_>>(),
        [
            (
                "sweep".to_owned(),
                "waiting".to_owned(),
                "PENDING".to_owned()
            ),
            (
                "sweep/1".to_owned(),
                "running".to_owned(),
                "RUNNING".to_owned()
            ),
            (
                "sweep/2".to_owned(),
                "running".to_owned(),
                "RUNNING".to_owned()
            ),
        ]
    );
    assert_eq!(seen[0]["job"]["reason"], "Dependency");
    let array = seen[1]["job"]["id"].as_str().expect("a number");
    let array = array.split('_').next().expect("the array's").to_owned();
    cluster.slurm(
        at,
        &[
            "sbatch",
            "--parsable",
            "--partition=high",
            "--ntasks=1",
            "--wrap=sleep 2",
        ],
    );
    let log = |task: usize| at.join(format!("sweep/slurm/task-{task}.log"));
    let stopped = |task: usize| text(&log(task)).contains("stopping after this step");
    until("a preemption", || stopped(1) || stopped(2));
    let (preempted, other) = if stopped(1) { (1, 2) } else { (2, 1) };
    cluster.slurm(
        at,
        &[
            "scancel",
            "--batch",
            "--signal=USR1",
            &format!("{array}_{other}"),
        ],
    );
    until("the other", || stopped(other));
    let put_back = |of: &Value| {
        of["job"]["restarts"]
            .as_u64()
            .is_some_and(|times| times > 0)
    };
    let mut words = Vec::new();
    until("both to resume", || {
        let seen = cluster.watch(at);
        words.extend(
            seen.iter()
                .map(|of| format!("{} {}", of["state"], of["job"]["state"])),
        );
        seen.len() < 3
            || seen[1..]
                .iter()
                .all(|of| put_back(of) && of["state"] != "waiting")
    });
    // A run that waits for its turn again is not dead.
    assert!(
        words.iter().any(|of| of == "\"waiting\" \"PENDING\""),
        "{words:?}"
    );
    assert!(
        !words.iter().any(|of| of.starts_with("\"dead\"")),
        "{words:?}"
    );

    // The last job merges, selects and evaluates.
    let merged = at.join("sweep/slurm/merge.log");
    until("the report", || at.join("sweep/report.html").exists());
    assert!(text(&merged).contains("best"), "{}", text(&merged));
    for task in [preempted, other] {
        assert!(
            text(&log(task)).contains("resuming after step"),
            "{}",
            text(&log(task))
        );
    }
    for member in ["r2-lr1e-3", "r2-lr1e-2", "r4-lr1e-3", "r4-lr1e-2"] {
        let adapter = format!("adapters/{member}/adapter_model.safetensors");
        let bytes = |run: &str| fs::read(at.join(run).join(&adapter)).expect("an adapter");
        assert!(bytes("whole") == bytes("sweep"), "{member}");
    }
    let manifest = |run: &str| -> Value {
        serde_json::from_str(&text(&at.join(run).join("MANIFEST.json"))).expect("JSON")
    };
    assert_eq!(manifest("whole")["best"], manifest("sweep")["best"]);
    assert_eq!(manifest("whole")["members"], manifest("sweep")["members"]);
    let seen = cluster.watch(at);
    assert_eq!(seen.len(), 1, "merged, it is one run");
    assert_eq!(seen[0]["state"], "finished");
}

#[test]
fn a_task_that_fails_is_named_and_submitted_again() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let folder = folder();
    let at = folder.path();
    // The first task finds a folder that a task cannot write into.
    let submitted = cluster.verdict(
        at,
        "train --data data --model tiny --rank 2,4 --steps 2 --batch 2 --compute f32 --threads 1 --out sweep \
         --slurm --cpus 1 --time 30 --sbatch-option=--begin=now+3 --setup true --quiet",
    );
    assert!(submitted.starts_with("status: 0"), "{submitted}");
    let shard = at.join("sweep/shards/1");
    fs::remove_dir(&shard).expect("an empty folder");
    fs::write(&shard, "in the way").expect("written");

    let merge = at.join("sweep/slurm/merge.log");
    until("the last job", || text(&merge).contains("error:"));
    assert!(text(&merge).contains("shard"), "{}", text(&merge));
    until("the queue", || {
        cluster.slurm(at, &["squeue", "-h"]).is_empty()
    });
    let seen = cluster.watch(at);
    let task = seen
        .iter()
        .find(|of| of["run"] == "sweep/2")
        .expect("the other");
    assert_eq!(task["state"], "finished");
    let last = seen
        .iter()
        .find(|of| of["run"] == "sweep")
        .expect("the whole");
    assert_eq!(
        (&last["state"], &last["job"]["state"]),
        (&"failed".into(), &"FAILED".into())
    );
    assert_eq!(last["job"]["exit"], "2:0");

    fs::remove_file(&shard).expect("there");
    fs::create_dir(&shard).expect("made");
    let again = cluster.verdict(at, "train --resume sweep --slurm");
    insta::assert_snapshot!("slurm_submitted_again", again);
    until("the report", || at.join("sweep/report.html").exists());
    let done = cluster.verdict(at, "train --resume sweep --slurm");
    assert!(
        done.contains("expected an interrupted run, found a finished one"),
        "{done}"
    );
}
