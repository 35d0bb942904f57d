//! `verdict build` from the command line: a small fixture, broken rows, folders in use.

mod common;

use std::path::Path;

use common::{show, transcript, verdict};

/// Ten questions of each label, one JSON object a line.
fn rows(folder: &Path) {
    let mut text = String::new();
    for number in 0..10 {
        for (label, drug) in [
            ("Yes", "aspirin"),
            ("No", "sugar"),
            ("Uncertain", "ginseng"),
        ] {
            text += &format!(
                "{{\"question\": \"Does {drug} number {number} help patients with condition {number}?\", \
                 \"label\": \"{label}\", \"rationale\": \"Trial number {number} of {drug} says so.\"}}\n"
            );
        }
    }
    std::fs::write(folder.join("rows.jsonl"), text).expect("written");
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    rows(folder.path());
    folder
}

#[test]
fn a_small_file_becomes_a_data_set() {
    let folder = folder();
    insta::assert_snapshot!(show(
        folder.path(),
        "build --source jsonl:rows.jsonl --out data"
    ));
    for name in [
        "train.jsonl",
        "validation.jsonl",
        "test.jsonl",
        "MANIFEST.json",
    ] {
        assert!(folder.path().join("data").join(name).is_file(), "{name}");
    }
}

#[test]
fn the_card_of_a_finished_set_is_made_anew() {
    let folder = folder();
    show(
        folder.path(),
        "build --source jsonl:rows.jsonl --out data --protect none",
    );
    let read = |name: &str| std::fs::read_to_string(folder.path().join("data").join(name)).ok();
    let built = [read("card.md"), read("card.html")];
    std::fs::remove_file(folder.path().join("data/card.html")).expect("there");
    insta::assert_snapshot!("card", show(folder.path(), "build --card data"));
    assert!(built[1].is_some());
    assert_eq!([read("card.md"), read("card.html")], built);
    std::fs::write(folder.path().join("tree"), "Head;A01.456\nEye\n").expect("written");
    insta::assert_snapshot!(
        "mesh_tree_broken",
        show(
            folder.path(),
            "build --source jsonl:rows.jsonl --mesh-tree tree --out new"
        )
    );
}

#[test]
fn json_is_one_object_with_the_manifest() {
    let folder = folder();
    let output = verdict(folder.path())
        .args([
            "build",
            "--source",
            "jsonl:rows.jsonl",
            "--out",
            "data",
            "--json",
        ])
        .output()
        .expect("ran");
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(shown["out"], "data");
    assert_eq!(shown["manifest"]["rows_kept"], 30);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_broken_line_is_named_by_its_number() {
    let folder = folder();
    let path = folder.path().join("rows.jsonl");
    let text = std::fs::read_to_string(&path).expect("read");
    let mut lines: Vec<&str> = text.lines().collect();
    lines[4] = "{\"question\": \"Is it";
    std::fs::write(&path, lines.join("\n")).expect("written");
    insta::assert_snapshot!(show(
        folder.path(),
        "build --source jsonl:rows.jsonl --out data"
    ));
    assert!(
        !folder.path().join("data").exists(),
        "nothing under the final name"
    );
}

#[test]
fn a_class_without_rows_is_named_with_a_hint() {
    let folder = folder();
    let path = folder.path().join("rows.jsonl");
    let text = std::fs::read_to_string(&path).expect("read");
    let kept: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("Uncertain"))
        .collect();
    std::fs::write(&path, kept.join("\n")).expect("written");
    insta::assert_snapshot!(show(
        folder.path(),
        "build --source jsonl:rows.jsonl --out data"
    ));
}

#[test]
fn a_folder_in_use_is_left_alone() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("data")).expect("made");
    std::fs::write(folder.path().join("data/thesis.txt"), "mine").expect("written");
    insta::assert_snapshot!(
        "folder_in_use",
        show(folder.path(), "build --source jsonl:rows.jsonl --out data")
    );
    let command = "build --source jsonl:rows.jsonl --out data --overwrite";
    insta::assert_snapshot!("foreign_folder", show(folder.path(), command));
    assert_eq!(
        std::fs::read_to_string(folder.path().join("data/thesis.txt")).expect("read"),
        "mine"
    );
}

#[test]
fn a_finished_set_is_verified_and_built_anew() {
    let folder = folder();
    show(
        folder.path(),
        "build --source jsonl:rows.jsonl --out data --quiet",
    );
    insta::assert_snapshot!(
        "verify_holds",
        show(
            folder.path(),
            "build --verify data --source jsonl:rows.jsonl"
        )
    );
    insta::assert_snapshot!(
        "verify_another_seed",
        show(
            folder.path(),
            "build --verify data --source jsonl:rows.jsonl --seed 7"
        )
    );
    let path = folder.path().join("data/test.jsonl");
    let text = std::fs::read_to_string(&path).expect("read");
    std::fs::write(&path, text.replacen("Trial", "Study", 1)).expect("written");
    insta::assert_snapshot!("verify_changed", show(folder.path(), "build --verify data"));
}

#[test]
fn an_audit_tells_leaks_and_fails() {
    let folder = folder();
    show(
        folder.path(),
        "build --source jsonl:rows.jsonl --out data --quiet",
    );
    insta::assert_snapshot!(
        "audit_clean",
        show(folder.path(), "build --audit data --protect none")
    );
    let data = folder.path().join("data");
    let train = std::fs::read_to_string(data.join("train.jsonl")).expect("read");
    let test = std::fs::read_to_string(data.join("test.jsonl")).expect("read");
    let first = train.lines().next().expect("a row");
    std::fs::write(data.join("test.jsonl"), format!("{test}{first}\n")).expect("written");
    std::fs::write(folder.path().join("asked.jsonl"), first).expect("written");
    insta::assert_snapshot!(
        "audit_leaks",
        show(folder.path(), "build --audit data --protect asked.jsonl")
    );
}

/// Fetching itself is tested within the program, against a hub of its own.
#[test]
fn a_source_of_a_hub_is_read_from_the_cache_without_a_network() {
    let folder = folder();
    let cached = folder.path().join("cache/datasets/org--name--rows.jsonl");
    std::fs::create_dir_all(&cached).expect("a folder");
    let rows = folder.path().join("rows.jsonl");
    let bytes = std::fs::copy(rows, cached.join("rows.jsonl")).expect("copied");
    let manifest = serde_json::json!({
        "name": "org/name/rows.jsonl",
        "source": "hub:org/name@0123456789abcdef0123456789abcdef01234567",
        "files": [{"name": "rows.jsonl", "size_bytes": bytes}],
    });
    std::fs::write(cached.join("verdict-dataset.json"), manifest.to_string()).expect("written");
    let offline = |source: &str, out: &str| {
        verdict(folder.path())
            .env("HF_HUB_OFFLINE", "1")
            .env("HF_ENDPOINT", "http://hub")
            .args(["build", "--source", source, "--out", out])
            .output()
            .expect("ran")
    };
    insta::assert_snapshot!(
        "hub_cached",
        transcript(
            folder.path(),
            offline("hub:org/name/rows.jsonl?cap=12", "data")
        )
    );
    let manifest = std::fs::read(folder.path().join("data/MANIFEST.json")).expect("read");
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).expect("JSON");
    assert_eq!(
        manifest["sources"][0]["hub"],
        "org/name@0123456789abcdef0123456789abcdef01234567"
    );
    insta::assert_snapshot!(
        "hub_offline",
        transcript(
            folder.path(),
            offline("hub:qiaojin/PubMedQA/pqa_labeled", "other")
        )
    );
}

#[test]
fn a_protected_question_stays_out() {
    let folder = folder();
    let rows = std::fs::read_to_string(folder.path().join("rows.jsonl")).expect("read");
    let asked: Vec<&str> = rows.lines().take(3).collect();
    std::fs::write(folder.path().join("asked.jsonl"), asked.join("\n")).expect("written");
    insta::assert_snapshot!(
        "protect",
        show(
            folder.path(),
            "build --source jsonl:rows.jsonl --protect asked.jsonl --out data"
        )
    );
    insta::assert_snapshot!(
        "protect_broken",
        show(
            folder.path(),
            "build --source jsonl:rows.jsonl --protect rows.txt --out other"
        )
    );
}

#[test]
fn a_source_gives_the_rows_of_a_specialty() {
    let folder = tempfile::tempdir().expect("a folder");
    let row = |question: &str, headings: &[&str]| {
        serde_json::json!({
            "QUESTION": question, "CONTEXTS": ["A trial."], "LABELS": ["METHODS"], "MESHES": headings,
            "LONG_ANSWER": format!("The answer to the question, {question}, is positive."), "final_decision": "yes",
        })
    };
    let rows = serde_json::json!({
        "1": row("Does bypass surgery help old people?", &["Coronary Artery Bypass", "Humans"]),
        "2": row("Does radiotherapy prolong life in adults?", &["Breast Neoplasms"]),
        "3": row("Do nurses like longer shifts on wards?", &["Attitude of Health Personnel"]),
    });
    std::fs::write(folder.path().join("q.json"), rows.to_string()).expect("written");
    let build = |option: &str| {
        show(
            folder.path(),
            &format!(
                "build --source pubmedqa-labeled:q.json?specialty={option} --unbalanced --overwrite --out d --json"
            ),
        )
    };
    let both = build("cardiology,oncology");
    assert!(
        both.starts_with("status: 0") && both.contains("\"rows_kept\":2"),
        "{both}"
    );
    assert!(
        both.contains("pubmedqa-labeled?specialty=cardiology,oncology"),
        "{both}"
    );
    let one = build("oncology");
    assert!(
        one.contains("\"rows_kept\":1") && one.contains("\"passed_over\":2"),
        "{one}"
    );
    let none = build("hearts");
    assert!(
        none.starts_with("status: 2") && none.contains("a specialty of cardiology"),
        "{none}"
    );
}
