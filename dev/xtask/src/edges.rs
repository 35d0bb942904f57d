//! `cargo xtask edges`: which of our crates may use which. The order is the data's way from bytes to
//! report; nothing reaches back.

use anyhow::Context as _;
use serde_json::Value;

use crate::{output, report};

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

/// Compares the workspace with [`ALLOWED`].
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
    report(faults(&metadata))
}

fn faults(metadata: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let packages = metadata["packages"].as_array().into_iter().flatten();
    for package in packages {
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
                    "{name} uses {used}: not allowed; see ARCHITECTURE.md, Who may use whom"
                ));
            }
        }
    }
    faults
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
        let faults = faults(&metadata("verdict-formats", "verdict-model", Value::Null));
        let expected = "verdict-formats uses verdict-model: not allowed; see ARCHITECTURE.md, Who may use whom";
        assert_eq!(faults, [expected]);
    }

    #[test]
    fn the_testkit_is_for_tests_alone() {
        let dev = metadata("verdict-model", "verdict-testkit", "dev".into());
        assert_eq!(faults(&dev), Vec::<String>::new());
        assert_eq!(
            faults(&metadata("verdict-model", "verdict-testkit", Value::Null)).len(),
            1
        );
    }

    #[test]
    fn an_unknown_crate_is_a_fault() {
        assert_eq!(
            faults(&metadata("verdict-serve", "serde", Value::Null)).len(),
            1
        );
    }
}
