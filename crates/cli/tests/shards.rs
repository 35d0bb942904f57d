//! The real program, a grid in shards: each task by itself, started twice, and merged to what one task
//! makes of the whole grid.

mod common;
#[path = "common/tiny.rs"]
mod tiny;

use std::fs;
use std::path::Path;

use common::{show, verdict};
use tiny::folder;

const GRID: &str = "train --data data --model tiny --rank 2,4,16 --lr 1e-3,1e-2 --steps 4 --batch 4 \
                    --validate-every 2 --compute f32 --threads 1 --quiet";

fn good(at: &Path, words: &str) -> String {
    let shown = show(at, words);
    assert!(shown.starts_with("status: 0"), "{words}: {shown}");
    shown
}

fn bytes(run: &Path, member: &str) -> Vec<u8> {
    let folder = run.join("adapters").join(member);
    fs::read(folder.join("adapter_model.safetensors")).expect("an adapter")
}

#[test]
fn shards_trained_apart_are_merged_to_the_run_of_one_task() {
    let folder = folder();
    let at = folder.path();
    good(at, &format!("{GRID} --out whole"));

    let unfinished = show(at, "train --merge sweep");
    assert!(unfinished.starts_with("status: 2"), "{unfinished}");
    // In any order, as a cluster has room.
    good(at, &format!("{GRID} --out sweep --shard 2/2"));
    insta::assert_snapshot!("merge_of_half", show(at, "train --merge sweep"));
    insta::assert_snapshot!("eval_of_shards", show(at, "eval sweep"));
    good(at, &format!("{GRID} --out sweep --shard 1/2"));

    // Started again, as a cluster does: nothing to do, whatever the number of threads.
    let events = at.join("sweep/shards/1/events.jsonl");
    let before = fs::read(&events).expect("events");
    let again = GRID.replace("--threads 1 --quiet", "--threads 2");
    let shown = good(at, &format!("{again} --out sweep --shard 1/2"));
    assert!(
        shown.contains("sweep/shards/1: already finished"),
        "{shown}"
    );
    assert_eq!(fs::read(&events).expect("events"), before);
    // Other settings are another run.
    let other = GRID.replace("--batch 4", "--batch 8");
    let shown = show(at, &format!("{other} --out sweep --shard 1/2"));
    insta::assert_snapshot!("shard_of_other_settings", shown);

    insta::assert_snapshot!("merge_table", good(at, "train --merge sweep"));
    let (whole, sweep) = (at.join("whole"), at.join("sweep"));
    for member in [
        "r2-lr1e-3",
        "r2-lr1e-2",
        "r4-lr1e-3",
        "r4-lr1e-2",
        "r16-lr1e-3",
        "r16-lr1e-2",
    ] {
        assert_eq!(bytes(&whole, member), bytes(&sweep, member), "{member}");
    }
    let manifest = |run: &Path| {
        let text = fs::read_to_string(run.join("MANIFEST.json")).expect("a manifest");
        text.replace("\"sweep\"", "\"RUN\"")
            .replace("\"whole\"", "\"RUN\"")
    };
    assert_eq!(manifest(&whole), manifest(&sweep));
    assert!(good(at, "train --merge sweep").contains("already merged"));
    good(at, "eval sweep --quiet");
    good(at, "ask --run sweep --quiet question");
}

#[test]
fn a_shard_that_was_stopped_goes_on_when_it_is_started_again() {
    let folder = folder();
    let at = folder.path();
    let shard = format!("{GRID} --out sweep --shard 1/3");
    // Taken away in the middle of training, however fast that is: what is left looks the same.
    good(at, &format!("{shard} --checkpoint-every 1"));
    let run = at.join("sweep/shards/1");
    let whole = bytes(&run, "r16-lr1e-3");
    fs::remove_file(run.join("MANIFEST.json")).expect("there");
    fs::remove_dir_all(run.join("adapters")).expect("there");
    let shown = good(at, &shard.replace(" --quiet", ""));
    assert!(shown.contains("starting from the beginning"), "{shown}");
    assert_eq!(bytes(&run, "r16-lr1e-3"), whole);
}

#[test]
fn parts_are_parts_of_the_grid() {
    let folder = folder();
    let at = folder.path();
    insta::assert_snapshot!(
        "shards_too_many",
        show(at, &format!("{GRID} --out sweep --shard 7/7"))
    );
    insta::assert_snapshot!(
        "shards_beyond",
        show(at, &format!("{GRID} --out sweep --shard 3/2"))
    );
    let folds = format!("{GRID} --out sweep --shard 1/2 --folds 3");
    insta::assert_snapshot!("shards_of_folds", show(at, &folds));
    assert!(!at.join("sweep").exists());
}

#[test]
fn without_slurm_the_scripts_are_shown_and_nothing_is_left() {
    let folder = folder();
    let at = folder.path();
    let grid = GRID.replace(" --compute f32", "");
    let slurm =
        format!("{grid} --out sweep --slurm --tasks 2 --partition gpu --gpus 2 --time 1:00:00");
    let dry = good(at, &format!("{slurm} --dry-run"));
    let program = std::path::absolute(env!("CARGO_BIN_EXE_verdict")).expect("a path");
    let dry = dry.replace(&program.display().to_string(), "[VERDICT]");
    insta::assert_snapshot!("slurm_dry_run", dry);
    assert!(!at.join("sweep").exists());
    let words: Vec<&str> = slurm.split_whitespace().collect();
    let mut command = verdict(at);
    let output = command
        .args(words)
        .env("PATH", at)
        .output()
        .expect("it ran");
    insta::assert_snapshot!("slurm_not_there", common::transcript(at, output));
    assert!(!at.join("sweep").exists());
    let folds = format!("{slurm} --dry-run --folds 3");
    insta::assert_snapshot!("slurm_folds", show(at, &folds));
    insta::assert_snapshot!(
        "slurm_flags_alone",
        show(at, &format!("{GRID} --out x --tasks 2"))
    );
}
