//! Passes the program the commit it is built from (`VERDICT_COMMIT`), for the manifests of runs.
//!
//! `-dirty` follows it when the sources differ from the commit. It is determined again whenever a source or
//! the commit changes, so it never names a commit that the sources no longer match. Where git or the
//! repository is missing (a tarball) there is none; `VERDICT_COMMIT` in the environment wins.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=VERDICT_COMMIT");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let crates = std::fs::read_dir(root.join("crates"));
    for of in crates.into_iter().flatten().flatten() {
        // This crate is compiled anew for a change in any of them in any case.
        println!(
            "cargo::rerun-if-changed={}",
            of.path().join("src").display()
        );
    }
    for file in ["Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(file).display());
    }
    let given = std::env::var("VERDICT_COMMIT").ok();
    if let Some(commit) = given.or_else(|| commit(&root)) {
        println!("cargo::rustc-env=VERDICT_COMMIT={commit}");
    }
}

fn commit(root: &Path) -> Option<String> {
    // Where this tree lies in somebody else's repository, that one's commit says nothing.
    if !git(root, &["rev-parse", "--show-prefix"])?.is_empty() {
        return None;
    }
    // Every commit and every change of branch writes to HEAD's log.
    for name in ["HEAD", "logs/HEAD"] {
        let path = root.join(git(root, &["rev-parse", "--git-path", name])?);
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    let commit = git(root, &["rev-parse", "HEAD"])?;
    let sources = ["status", "--porcelain", "--", "crates/*/src", "Cargo.*"];
    Some(match git(root, &sources)?.is_empty() {
        true => commit,
        false => format!("{commit}-dirty"),
    })
}

fn git(root: &Path, words: &[&str]) -> Option<String> {
    let said = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(words)
        .output()
        .ok()?;
    let text = said
        .status
        .success()
        .then(|| String::from_utf8(said.stdout))?;
    Some(text.ok()?.trim().to_owned())
}
