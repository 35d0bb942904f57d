//! `verdict index` and `verdict search`, from files to what is found.

mod common;

use std::path::Path;

use common::{show, show_words, verdict};

const FIRST: &str = r#"{"id": "1", "title": "Losartan in Alzheimer's disease", "text": "Losartan did not reduce brain atrophy.", "year": 2021, "journal": "Lancet Neurol", "mesh": ["Losartan"], "types": ["Randomized Controlled Trial"]}
{"id": "2", "title": "β-blockers after infarction", "text": "Beta-blockers lowered mortality.", "year": 1999, "types": ["Review"]}
"#;

const SECOND: &str = r#"{"id": "2", "title": "β-blockers after infarction", "text": "Metoprolol lowered mortality.", "year": 2000}
{"id": "3", "title": "IL-6 in sepsis", "text": "IL-6 rose.", "year": 2010}
"#;

fn json(folder: &Path, words: &[&str]) -> Vec<serde_json::Value> {
    let output = verdict(folder)
        .args(words)
        .arg("--json")
        .output()
        .expect("ran");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn ids(folder: &Path, words: &[&str]) -> Vec<String> {
    let search: Vec<_> = ["search", "index"]
        .into_iter()
        .chain(words.iter().copied())
        .collect();
    let found = json(folder, &search);
    found
        .iter()
        .map(|hit| hit["id"].as_str().expect("an id").to_owned())
        .collect()
}

#[test]
fn an_index_is_built_updated_and_searched() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    std::fs::write(folder.join("a.jsonl"), FIRST).expect("written");
    let built = &json(
        folder,
        &["index", "--source", "jsonl:a.jsonl", "--out", "index"],
    )[0];
    assert_eq!(
        (&built["documents"], &built["files_read"]),
        (&2.into(), &1.into())
    );
    assert_eq!(ids(folder, &["Do beta blockers lower mortality?"]), ["2"]);
    assert_eq!(
        ids(folder, &["losartan mortality", "--years", "2020-2022"]),
        ["1"]
    );
    assert_eq!(
        ids(folder, &["losartan mortality", "--type", "review"]),
        ["2"]
    );
    assert_eq!(
        ids(folder, &["losartan mortality", "--mesh", "LOSARTAN"]),
        ["1"]
    );
    insta::assert_snapshot!(
        "search_text",
        show_words(
            folder,
            &["search", "index", "Is losartan effective in Alzheimer's?"]
        )
    );
    std::fs::write(folder.join("b.jsonl"), SECOND).expect("written");
    let update = [
        "index",
        "--source",
        "jsonl:a.jsonl",
        "--source",
        "jsonl:b.jsonl",
        "--out",
        "index",
        "--update",
    ];
    let updated = &json(folder, &update)[0];
    assert_eq!(
        (
            &updated["documents"],
            &updated["files_read"],
            &updated["files_known"]
        ),
        (&3.into(), &1.into(), &1.into())
    );
    assert_eq!(ids(folder, &["metoprolol"]), ["2"]);
    assert_eq!(ids(folder, &["Is IL6 raised?"]), ["3"]);
}

#[test]
fn what_cannot_be_indexed_or_searched_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    std::fs::write(folder.join("a.jsonl"), FIRST).expect("written");
    std::fs::write(folder.join("broken.jsonl"), "{\"id\": \"1\"\n").expect("written");
    std::fs::create_dir(folder.join("other")).expect("made");
    std::fs::write(folder.join("other/notes.txt"), "mine").expect("written");
    for (name, command) in [
        (
            "sources_unknown",
            "index --source pumbed:x --source jsonl --out index",
        ),
        (
            "source_missing",
            "index --source pubmed:nowhere --out index",
        ),
        (
            "source_broken",
            "index --source jsonl:broken.jsonl --out index",
        ),
        ("out_taken", "index --source jsonl:a.jsonl --out other"),
        (
            "out_is_no_index",
            "index --source jsonl:a.jsonl --out other --overwrite",
        ),
        (
            "update_of_nothing",
            "index --source jsonl:a.jsonl --out nowhere --update",
        ),
        (
            "memory_too_small",
            "index --source jsonl:a.jsonl --out index --memory-mib 1",
        ),
        ("search_of_nothing", "search nowhere aspirin"),
        ("search_of_a_folder", "search other aspirin"),
        (
            "search_of_wrong_years",
            "search index aspirin --years 2020-2010",
        ),
    ] {
        insta::assert_snapshot!(name, show(folder, command));
    }
    assert!(!folder.join("index").exists(), "no half-made index");
}
