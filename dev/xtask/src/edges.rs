//! `cargo xtask edges`: which of our crates may use which, in the order of the data's way from bytes to report; and
//! that no two files of a crate use each other, directly or through others.
//!
//! One file uses another when its code names an item that the other defines. Tests do not count. Neither do
//! `mod name;` and `pub use` alone: a name that is re-exported belongs to the file that defines it. So a `mod.rs` may
//! declare, re-export and call its files; what those share is defined in a file of its own, not in the `mod.rs`.

use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use crate::circles::circles;
use crate::modules::Crate;
use crate::programs::{output, report};

/// Package, then the packages of ours that it may depend on. For tests, all but xtask may use the
/// testkit, and the testkit itself may build adapters and models.
const ALLOWED: &[(&str, &[&str])] = &[
    ("verdict-common", &[]),
    ("verdict-formats", &[]),
    ("verdict-kernels", &[]),
    ("verdict-page", &[]),
    ("verdict-questions", &[]),
    ("verdict-data", &["verdict-page", "verdict-questions"]),
    ("verdict-model", &["verdict-formats", "verdict-kernels"]),
    (
        "verdict-answer",
        &["verdict-model", "verdict-data", "verdict-formats"],
    ),
    (
        "verdict-train",
        &[
            "verdict-answer",
            "verdict-model",
            "verdict-data",
            "verdict-formats",
        ],
    ),
    (
        "verdict-eval",
        &[
            "verdict-answer",
            "verdict-model",
            "verdict-data",
            "verdict-page",
        ],
    ),
    (
        "verdict-watch",
        &["verdict-train", "verdict-data", "verdict-page"],
    ),
    (
        "verdict-cli",
        &[
            "verdict-formats",
            "verdict-kernels",
            "verdict-model",
            "verdict-data",
            "verdict-page",
            "verdict-answer",
            "verdict-train",
            "verdict-eval",
            "verdict-watch",
        ],
    ),
    ("verdict-testkit", &["verdict-formats"]),
    ("xtask", &[]),
];

/// The crate that all others may use.
const EVERYWHERE: &str = "verdict-common";

/// Circles that are still to be removed: the crate and its files. None may be added.
const KNOWN: &[(&str, &str)] = &[
    (
        "verdict-cli",
        "src/commands/bench.rs src/commands/bench/decode.rs src/commands/bench/train.rs",
    ),
    (
        "verdict-cli",
        "src/commands/build.rs src/commands/build/verify.rs",
    ),
    (
        "verdict-cli",
        "src/commands/train.rs src/commands/train/like.rs src/commands/train/parts.rs",
    ),
    (
        "verdict-cli",
        "src/hub/cache.rs src/hub/error.rs src/hub/mod.rs src/models/mod.rs src/models/wheel.rs",
    ),
    (
        "verdict-cli",
        "src/log.rs src/printer.rs src/printer/progress.rs",
    ),
    (
        "verdict-data",
        "src/build/mod.rs src/build/plan.rs src/build/rules.rs src/build/scan.rs \
         src/build/store/mod.rs src/build/store/sides.rs src/build/store/writer.rs src/build/tie.rs \
         src/build/write.rs src/card/census.rs src/card/checks.rs src/card/figures.rs src/card/mod.rs \
         src/card/page.rs src/card/rights.rs src/card/tables.rs src/dataset.rs src/manifest.rs \
         src/mesh.rs src/protect.rs src/sources/bioasq.rs src/sources/cut.rs src/sources/hashed.rs \
         src/sources/mod.rs src/sources/own_parquet.rs src/sources/parquet.rs src/sources/pubmedqa.rs \
         src/sources/table.rs",
    ),
    (
        "verdict-data",
        "src/citations.rs src/citations/instead.rs src/citations/place.rs src/normal.rs src/rules.rs \
         src/text.rs",
    ),
    ("verdict-data", "src/error.rs src/source.rs"),
];

/// Checks every crate of the workspace.
pub fn run() -> anyhow::Result<()> {
    let text = output(
        "cargo",
        &[
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ],
    )
    .or_else(|_| output("cargo", &["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&text).context("cargo metadata wrote no JSON")?;
    let mut faults = crate_faults(&metadata);
    for package in packages(&metadata) {
        faults.extend(file_faults(package)?);
    }
    report(faults)
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}

/// Uses between crates that are not [`ALLOWED`].
fn crate_faults(metadata: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    for package in packages(metadata) {
        let name = package["name"].as_str().unwrap_or_default();
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == name) else {
            faults.push(format!(
                "{name}: a new crate; say in dev/xtask/src/edges.rs what it may use"
            ));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let used = dependency["name"].as_str().unwrap_or_default();
            let ours = used.starts_with("verdict-") || used == "xtask";
            let for_tests = dependency["kind"].as_str() == Some("dev");
            let fine = used == EVERYWHERE
                || allowed.contains(&used)
                || (for_tests && used == "verdict-testkit");
            if ours && !fine {
                faults.push(format!(
                    "{name} uses {used}: not allowed; see ARCHITECTURE.md, Dependencies between crates"
                ));
            }
        }
    }
    faults
}

/// Circles between the files of a package that are not [`KNOWN`].
fn file_faults(package: &Value) -> anyhow::Result<Vec<String>> {
    let name = package["name"].as_str().unwrap_or_default();
    let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
    let folder = manifest.parent().unwrap_or(Path::new("."));
    let sources = |file: &str| match std::fs::read_to_string(folder.join(file)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| folder.join(file).display().to_string()),
    };
    let mut faults = Vec::new();
    for root in ["src/lib.rs", "src/main.rs"] {
        if !folder.join(root).exists() {
            continue;
        }
        let read = Crate::read(root, &sources).with_context(|| name.to_owned())?;
        for circle in circles(&read.edges()) {
            let known = KNOWN.iter().any(|(of, files)| {
                let listed = |file: &String| files.split(' ').any(|known| known == file);
                *of == name && circle.files.iter().all(listed)
            });
            if !known {
                faults.extend(circle.ways.iter().map(|way| described(name, way)));
            }
        }
    }
    Ok(faults)
}

/// A way round a circle: `verdict-x: circle: src/a.rs uses B of src/b.rs, which uses A of src/a.rs`.
fn described(package: &str, way: &[(String, String)]) -> String {
    let steps = way.iter().enumerate().map(|(nth, (file, names))| {
        let (next, _) = &way[(nth + 1) % way.len()];
        match nth {
            0 => format!("{file} uses {names} of {next}"),
            _ => format!("which uses {names} of {next}"),
        }
    });
    let steps: Vec<String> = steps.collect();
    format!("{package}: circle: {}", steps.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(package: &str, dependency: &str, kind: Value) -> Value {
        serde_json::json!({"packages": [
            {"name": package, "dependencies": [{"name": dependency, "kind": kind}]}
        ]})
    }

    #[test]
    fn an_edge_that_reaches_back_is_a_fault() {
        let faults = crate_faults(&metadata("verdict-formats", "verdict-model", Value::Null));
        let expected = "verdict-formats uses verdict-model: not allowed; see ARCHITECTURE.md, Dependencies between crates";
        assert_eq!(faults, [expected]);
    }

    #[test]
    fn the_testkit_is_for_tests_alone() {
        let dev = metadata("verdict-model", "verdict-testkit", "dev".into());
        assert_eq!(crate_faults(&dev), Vec::<String>::new());
        assert_eq!(
            crate_faults(&metadata("verdict-model", "verdict-testkit", Value::Null)).len(),
            1
        );
    }

    #[test]
    fn an_unknown_crate_is_a_fault() {
        assert_eq!(
            crate_faults(&metadata("verdict-serve", "serde", Value::Null)).len(),
            1
        );
    }

    #[test]
    fn a_circle_names_each_step() {
        let way = [("src/a.rs", "B"), ("src/b.rs", "A, a")].map(|(a, b)| (a.into(), b.into()));
        assert_eq!(
            described("verdict-x", &way),
            "verdict-x: circle: src/a.rs uses B of src/b.rs, which uses A, a of src/a.rs"
        );
    }
}
