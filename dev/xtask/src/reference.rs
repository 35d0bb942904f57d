//! `cargo xtask reference`: docs/reference/cli.md, written by the program itself.

use anyhow::{Context as _, ensure};

use crate::programs::{output, root};

const FILE: &str = "docs/reference/cli.md";

/// Writes the file.
pub fn write() -> anyhow::Result<()> {
    std::fs::write(root().join(FILE), generated()?).with_context(|| FILE.to_owned())
}

/// Fails where the file and the program differ.
pub fn check() -> anyhow::Result<()> {
    compare(&generated()?)
}

/// As [`check`], with a program that is already built: `cargo run` would compile most of it a second time, with the
/// features of one package instead of the workspace's.
pub fn check_built(program: &str) -> anyhow::Result<()> {
    compare(&output(program, &["reference"])?)
}

fn compare(generated: &str) -> anyhow::Result<()> {
    let kept = std::fs::read_to_string(root().join(FILE)).with_context(|| FILE.to_owned())?;
    ensure!(
        kept == generated,
        "{FILE} differs from the program; run `cargo xtask reference`"
    );
    Ok(())
}

fn generated() -> anyhow::Result<String> {
    output(
        "cargo",
        &[
            "run",
            "--quiet",
            "--package",
            "verdict-cli",
            "--",
            "reference",
        ],
    )
}
