//! `cargo xtask`: the checks of this repository. `ci` runs them all, cheapest first; the others run
//! one of them. Nothing here is published or linked into the program.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for developers prints"
)]

mod ci;
mod edges;
mod reference;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};

const USAGE: &str = "\
cargo xtask ci                   every check, cheapest first
cargo xtask tidy                 headers, file map, links, words, who prints
cargo xtask edges                which crate may use which
cargo xtask reference [--check]  write (or compare) docs/reference/cli.md";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["ci"] => ci::run(),
        ["tidy"] => tidy::run(),
        ["edges"] => edges::run(),
        ["reference"] => reference::write(),
        ["reference", "--check"] => reference::check(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("error: {fault:#}");
            ExitCode::FAILURE
        }
    }
}

/// The repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("dev/xtask stands two folders deep")
        .to_owned()
}

/// Runs a program in the root; its output goes where ours goes.
fn call(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
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
fn output(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
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

/// Fails with every fault on a line of its own.
fn report(faults: Vec<String>) -> anyhow::Result<()> {
    if faults.is_empty() {
        return Ok(());
    }
    for fault in &faults {
        eprintln!("{fault}");
    }
    bail!("{} fault(s)", faults.len())
}
