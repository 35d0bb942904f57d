//! `verdict train --like RUN`: a run once more, to the same bytes; other data, another model and what is
//! no repetition are reported. What manifest and model card say about where a run comes from.

mod common;
#[path = "common/tiny.rs"]
mod tiny;

use std::fs;
use std::path::Path;

use common::{show, verdict};
use serde_json::Value;

/// A folder with a data set `data`, a model `tiny` and a run `run` of two adapters.
fn folder() -> tempfile::TempDir {
    let folder = tiny::folder();
    let at = folder.path();
    let train = "train --data data --model tiny --rank 2,4 --steps 3 --batch 4 --threads 2 --out run --quiet";
    let said = show(at, train);
    assert!(said.starts_with("status: 0"), "{said}");
    folder
}

fn build(at: &Path, out: &str, rows: usize) {
    let words = format!(
        "build --source clinical --source stats:{rows} --per-class 30 --out {out} --overwrite --quiet"
    );
    let said = show(at, &words);
    assert!(said.starts_with("status: 0"), "{said}");
}

fn json(at: &Path, words: &str) -> Value {
    let output = verdict(at).args(words.split(' ')).output().expect("ran");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

fn manifest(run: &Path) -> Value {
    let text = fs::read(run.join("MANIFEST.json")).expect("a manifest");
    serde_json::from_slice(&text).expect("JSON")
}

#[test]
fn a_run_is_repeated_to_the_same_bytes() {
    let folder = folder();
    let at = folder.path();
    let said = json(at, "train --like run --json");
    assert_eq!(said["run"], "run-2");
    let same = |name: &str| serde_json::json!({"name": name, "same": true, "differs": []});
    let expected =
        serde_json::json!({"run": "run", "same": true, "adapters": [same("r2"), same("r4")]});
    assert_eq!(said["like"], expected);
    for name in ["r2", "r4"] {
        let files: Vec<_> = fs::read_dir(at.join("run/adapters").join(name))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(files.len(), 4, "{files:?}");
        for file in files {
            let read = |run: &str| {
                let path = at.join(run).join("adapters").join(name).join(&file);
                fs::read(path).expect("a file")
            };
            assert!(read("run") == read("run-2"), "{name}/{}", file.display());
        }
    }
    // Except for the folder's name, the manifest too: what was a default of the first run is a setting of the second.
    let text = |run: &str| fs::read_to_string(at.join(run).join("MANIFEST.json")).expect("read");
    let again = text("run-2").replace("\"run-2\"", "\"run\"");
    let again = again.replacen("    \"pass_tokens\": 1024,\n", "", 1);
    assert_eq!(text("run"), again);

    // The manifest alone is enough, from anywhere; a flag on top is no repetition.
    fs::copy(at.join("run/MANIFEST.json"), at.join("kept.json")).expect("copied");
    let said = show(at, "train --like kept.json --lr 1e-3");
    assert!(
        said.contains("warning: not a repetition: settings differ from kept.json: lr\n"),
        "{said}"
    );
    let files = "(adapter_model.safetensors, calibration.json)";
    let shown = format!(
        "repeats    not the same bytes as kept.json: 2 differ, 0 are the same: r2 {files}; r4 {files}\n"
    );
    assert!(said.contains(&shown), "{said}");
    assert!(said.contains("run        run-3\n"), "{said}");
}

#[test]
fn other_data_or_another_model_is_refused_unless_a_flag_asks_for_it() {
    let folder = folder();
    let at = folder.path();
    build(at, "data", 33);
    let weights = at.join("tiny/model.safetensors");
    let good = fs::read(&weights).expect("read");
    let mut other = good.clone();
    let end = other.len();
    other[end - 4..].copy_from_slice(&0.5f32.to_le_bytes());
    fs::write(&weights, &other).expect("written");
    insta::with_settings!({filters => vec![("[0-9a-f]{64}", "[HASH]")]}, {
        insta::assert_snapshot!("other_data_and_model", show(at, "train --like run"));
    });
    assert!(!at.join("run-2").exists(), "nothing was begun");

    fs::write(&weights, &good).expect("written");
    let said = show(at, "train --like run --data data");
    assert!(said.starts_with("status: 0"), "{said}");
    assert!(
        said.contains("warning: not a repetition: data: expected"),
        "{said}"
    );
    assert!(
        said.contains("repeats    not the same bytes as run:"),
        "{said}"
    );
}

#[test]
fn the_same_rows_under_another_manifest_will_do() {
    let folder = folder();
    let at = folder.path();
    let path = at.join("data/MANIFEST.json");
    let text = fs::read_to_string(&path).expect("read");
    let later = text.replace(
        &format!("\"tool_version\": \"{}\"", env!("CARGO_PKG_VERSION")),
        "\"tool_version\": \"99.0.0\"",
    );
    assert_ne!(text, later);
    fs::write(&path, later).expect("written");
    let said = show(at, "train --like run");
    assert!(
        said.contains("data: its manifest differs from that of run, its rows do not\n"),
        "{said}"
    );
    assert!(
        said.contains("repeats    the same bytes as run\n"),
        "{said}"
    );
}

#[test]
fn another_machine_or_version_is_told() {
    let folder = folder();
    let at = folder.path();
    let path = at.join("run/MANIFEST.json");
    let mut found = manifest(&at.join("run"));
    let here = found["machines"][0]["processor"]
        .as_str()
        .expect("a name")
        .to_owned();
    found["machines"][0]["processor"] = "Abacus 3000".into();
    found["machines"][0]["tool"] = "verdict 0.0.1".into();
    fs::write(&path, found.to_string()).expect("written");
    let said = show(at, "train --like run");
    let shown = "warning: run was computed on Abacus 3000 (";
    assert!(said.contains(shown) && said.contains(&here), "{said}");
    let shown = "warning: run was computed by verdict 0.0.1";
    assert!(said.contains(shown), "{said}");
    // Runs of versions that did not note it can be repeated as well.
    let mut found = manifest(&at.join("run"));
    for key in ["machines", "data", "model"] {
        found.as_object_mut().expect("an object").remove(key);
    }
    fs::write(&path, found.to_string()).expect("written");
    let said = show(at, "train --like run");
    assert!(said.contains("run does not record its machine"), "{said}");
    assert!(
        said.contains("repeats    the same bytes as run\n"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_repeated_is_told() {
    let folder = folder();
    let at = folder.path();
    let mut said = String::new();
    for words in [
        "train --like nowhere",
        "train --like tiny",
        "train --like run --config run/settings.toml",
        "train --like run --resume run",
        "train --like run --out run --overwrite",
    ] {
        said.push_str(&format!("$ verdict {words}\n{}\n", show(at, words)));
    }
    fs::remove_file(at.join("run/MANIFEST.json")).expect("removed");
    let words = "train --like run";
    said.push_str(&format!("$ verdict {words}\n{}", show(at, words)));
    insta::assert_snapshot!("cannot_be_repeated", said);
}

#[test]
fn manifest_and_card_say_where_a_run_comes_from() {
    let folder = folder();
    let at = folder.path();
    let found = manifest(&at.join("run"));
    let machine = &found["machines"][0];
    assert_eq!(found["machines"].as_array().map(Vec::len), Some(1));
    assert_eq!(machine["tool"], found["tool"]);
    assert_eq!(machine["architecture"], std::env::consts::ARCH);
    assert!(
        machine["processor"]
            .as_str()
            .is_some_and(|name| !name.is_empty())
    );
    assert!(
        machine["threads"]
            .as_u64()
            .is_some_and(|threads| threads > 0)
    );
    assert!(machine.get("gpus").is_none() && machine.get("cuda").is_none());
    // What the data set says of its files, and what they are.
    let data: Value =
        serde_json::from_slice(&fs::read(at.join("data/MANIFEST.json")).expect("read"))
            .expect("JSON");
    assert_eq!(found["data"]["splits"], data["splits"]);
    assert_eq!(found["data"]["sources"], data["sources"]);
    let config: Value =
        serde_json::from_slice(&fs::read(at.join("tiny/config.json")).expect("read"))
            .expect("JSON");
    let model = &found["model"];
    assert_eq!(model["family"], "llama");
    for key in ["hidden_size", "num_hidden_layers", "vocab_size", "head_dim"] {
        assert_eq!(model[key], config[key], "{key}");
    }
    let weights = fs::metadata(at.join("tiny/model.safetensors"))
        .expect("read")
        .len();
    let parameters = model["parameters"].as_u64().expect("a number");
    // Four bytes each, and a header.
    assert!(
        (0..8192).contains(&(weights - 4 * parameters)),
        "{weights} {parameters}"
    );

    let card = fs::read_to_string(at.join("run/adapters/r2/README.md")).expect("a card");
    for (file, hash) in found["members"][0]["files"].as_object().expect("files") {
        let line = format!("| `{file}` | `{}` |", hash.as_str().expect("a hash"));
        assert_eq!(card.contains(&line), file != "README.md", "{line}");
    }
    let name = machine["processor"].as_str().expect("a name");
    assert!(
        card.contains(name) && card.contains("base model tiny"),
        "{card}"
    );
    assert!(!card.contains(&at.display().to_string()), "{card}");
}
