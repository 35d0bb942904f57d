//! What the program says to wrong usage and wrong settings: text, stream and exit status.

mod common;

use common::{show, show_words};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn no_command() {
    insta::assert_snapshot!(show(folder().path(), ""));
}

#[test]
fn help_of_each_command() {
    let folder = folder();
    for command in [
        "demo", "doctor", "pull", "build", "train", "watch", "eval", "ask", "index", "search",
        "bench",
    ] {
        insta::assert_snapshot!(
            format!("help_{command}"),
            show(folder.path(), &format!("{command} -h"))
        );
    }
}

#[test]
fn unknown_command_is_wrong_usage() {
    insta::assert_snapshot!(show(folder().path(), "biuld"));
}

#[test]
fn build_tells_all_faults_of_its_flags() {
    insta::assert_snapshot!(show(
        folder().path(),
        "build --source pubmed:x --source stats:0"
    ));
}

#[test]
fn build_refuses_unknown_keys_of_a_settings_file() {
    let folder = folder();
    let text = "sources = [\"clinical\"]\nseed = \"many\"\nout = \"d\"\n";
    std::fs::write(folder.path().join("build.toml"), text).expect("written");
    insta::assert_snapshot!(show(folder.path(), "build --config build.toml"));
}

#[test]
fn train_tells_all_faults_at_once() {
    insta::assert_snapshot!(show(
        folder().path(),
        "train --rank 0 --dropout 1 --base fp8 --device cpu --memory-gib 0"
    ));
}

#[test]
fn an_unknown_device_is_wrong_usage() {
    insta::assert_snapshot!(show(folder().path(), "train --device gpu1"));
}

#[test]
fn a_gpu_that_is_not_there_is_told_with_a_hint() {
    let folder = folder();
    for command in [
        "train --data d --model m --out run --device cuda:0",
        "ask --model m --device cuda:0 Help?",
        "bench train --model m --device cuda:0,1",
    ] {
        let said = show(folder.path(), command);
        let start = "status: 2\n----- stdout -----\n----- stderr -----\nerror: --device: cuda:0";
        assert!(said.starts_with(start), "{said}");
        assert!(said.contains(" cannot be used: "), "{said}");
        let hint = "\nhint: `verdict doctor` shows what was searched for, and where\n";
        assert!(said.ends_with(hint), "{said}");
    }
    let left = std::fs::read_dir(folder.path().join("run"));
    assert!(left.is_err(), "a run that never began leaves no folder");
}

#[test]
fn bench_tells_all_faults_of_its_flags() {
    insta::assert_snapshot!(show(
        folder().path(),
        "bench train --rank 0,4 --batch 0 --steps 0 --micro-batch-tokens 0 --dropout 1"
    ));
}

#[test]
fn train_refuses_unknown_keys_of_a_settings_file() {
    let folder = folder();
    std::fs::write(
        folder.path().join("train.toml"),
        "rnak = [4]\nbatch = \"many\"\n",
    )
    .expect("written");
    insta::assert_snapshot!(show(folder.path(), "train --config train.toml"));
}

#[test]
fn train_needs_a_finished_data_set() {
    let folder = folder();
    insta::assert_snapshot!(show(folder.path(), "train --data d --model m --out run"));
    assert!(
        !folder.path().join("run").exists(),
        "a run that never began leaves no folder"
    );
}

#[test]
fn a_missing_settings_file_is_wrong_input() {
    insta::assert_snapshot!(show(folder().path(), "train --config nowhere.toml"));
}

#[test]
fn eval_and_ask_need_a_run() {
    let folder = folder();
    insta::assert_snapshot!("eval_of_nothing", show(folder.path(), "eval nowhere"));
    insta::assert_snapshot!(
        "ask_of_nothing",
        show_words(folder.path(), &["ask", "--run", "nowhere", "Is it?"])
    );
    insta::assert_snapshot!(
        "ask_without_run_or_model",
        show_words(folder.path(), &["ask", "Is it?"])
    );
}
