//! `cargo xtask edges`: which of our crates may use which, in the order of the data's way from bytes to report; and
//! that no two files of a crate use each other, directly or through others.
//!
//! One file uses another when its code names an item that the other defines. Tests do not count. Neither do
//! `mod name;` and `pub use` alone: a name that is re-exported belongs to the file that defines it. So a `mod.rs` may
//! declare, re-export and call its files; what those share is defined in a file of its own, not in the `mod.rs`.

use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use crate::circles::{Circle, circles};
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
    ("verdict-evidence", &["verdict-data", "verdict-page"]),
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
            "verdict-evidence",
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

/// Circles between the files of a package.
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
        let circles = circles(&read.edges());
        faults.extend(circles.iter().map(|circle| described(name, circle)));
    }
    Ok(faults)
}

/// A circle in words: `verdict-x: circle: src/a.rs uses B of src/b.rs, which uses A of src/a.rs`.
fn described(package: &str, circle: &Circle) -> String {
    let steps = circle.iter().enumerate().map(|(nth, (file, names))| {
        let (next, _) = &circle[(nth + 1) % circle.len()];
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
        let circle = [("src/a.rs", "B"), ("src/b.rs", "A, a")];
        let circle = circle.map(|(file, names)| (file.into(), names.into()));
        assert_eq!(
            described("verdict-x", &circle.into()),
            "verdict-x: circle: src/a.rs uses B of src/b.rs, which uses A, a of src/a.rs"
        );
    }
}
