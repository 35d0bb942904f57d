//! What the checks share: the root of the repository, running programs in it, and reporting faults.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("dev/xtask is two folders deep")
        .to_owned()
}

/// Runs a program in the root; its output is not captured.
pub fn call(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let status = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .status()
        .with_context(|| format!("{program} could not be started"))?;
    if !status.success() {
        bail!("`{program} {}` ended with {status}", arguments.join(" "));
    }
    Ok(())
}

/// Runs a program in the root and returns what it wrote to stdout.
pub fn output(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("{program} could not be started"))?;
    if !output.status.success() {
        bail!(
            "`{program} {}` ended with {}",
            arguments.join(" "),
            output.status
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("{program} wrote no UTF-8"))
}

/// Prints every fault on a line of its own, and fails if there are any.
pub fn report(faults: Vec<String>) -> anyhow::Result<()> {
    if faults.is_empty() {
        return Ok(());
    }
    for fault in &faults {
        eprintln!("{fault}");
    }
    bail!("{} fault(s)", faults.len())
}
