//! `cargo xtask tidy`: what no compiler checks. Every source file says what it is; the README's map
//! has a line for each folder; links in the documents have targets; only the printer prints; no
//! package host is named; no text uses a private word where the field has a usual one; a file of over
//! 600 lines gets a warning.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use regex::Regex;

use crate::programs::{report, root};
use crate::words::Words;

/// More lines than this are a sign of two things in one file: a warning, not a fault.
const LONG: usize = 600;

/// Folders that are not ours to check; in a second working tree `.git` is a file.
const SKIPPED: &[&str] = &[
    "target",
    ".git",
    ".gpu",
    ".venv",
    "out",
    "runs",
    "__pycache__",
];

/// Where printing is allowed: the printer, and tools for developers (the testkit reports skipped tests).
const PRINTERS: &[&str] = &[
    "crates/cli/src/printer.rs",
    "crates/cli/build.rs",
    "dev/testkit/",
    "dev/xtask/",
];

/// The one file that has to name a host: the model hub's own address, unless `HF_ENDPOINT` says another.
const HUB: &str = "crates/cli/src/hub/mod.rs";

/// A file of the repository.
struct File {
    /// Path from the root, with `/`.
    path: String,
    text: String,
}

/// Runs all of it.
pub fn run() -> anyhow::Result<()> {
    let root = root();
    let mut files = Vec::new();
    collect(&root, &root, &mut files)?;
    let mut faults = Vec::new();
    let private = Words::new();
    for file in &files {
        if file.path.ends_with(".rs") {
            faults.extend(header(file));
            faults.extend(prints(file));
            let lines = file.text.lines().count();
            if lines > LONG {
                eprintln!(
                    "warning: {} has {lines} lines; two things in one file?",
                    file.path
                );
            }
        }
        if file.path.ends_with(".md") {
            faults.extend(links(file, &root));
        }
        faults.extend(hosts(file));
        faults.extend(private.faults(&file.path, &file.text));
    }
    faults.extend(map(&root, &files)?);
    report(faults)
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<File>) -> anyhow::Result<()> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| folder.display().to_string())?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if SKIPPED.contains(&name.as_ref()) {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            // A file that is not UTF-8 is not text.
            let path = path
                .strip_prefix(root)
                .unwrap_or(&path)
                .to_string_lossy()
                .replace('\\', "/");
            files.push(File { path, text });
        }
    }
    Ok(())
}

fn header(file: &File) -> Option<String> {
    let good = file.text.starts_with("//! ");
    (!good).then(|| format!("{}: line 1: expected `//!` and what the file is", file.path))
}

/// Clippy denies these as well; this also sees what an `allow` would hide.
fn prints(file: &File) -> Vec<String> {
    if PRINTERS
        .iter()
        .any(|allowed| file.path.starts_with(allowed))
    {
        return Vec::new();
    }
    let pattern = Regex::new(r"^\s*(e?print(ln)?|dbg)!\(").expect("a good pattern");
    let mut in_tests = ["/tests/", "/examples/"]
        .iter()
        .any(|folder| file.path.contains(folder))
        || file.path.ends_with("tests.rs");
    let mut faults = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        in_tests |= line.trim() == "#[cfg(test)]";
        if !in_tests && pattern.is_match(line) {
            faults.push(format!(
                "{}: line {}: only the printer prints",
                file.path,
                number + 1
            ));
        }
    }
    faults
}

fn links(file: &File, root: &Path) -> Vec<String> {
    let pattern = Regex::new(r"\]\(([^)\s]+)\)").expect("a good pattern");
    let folder = root
        .join(&file.path)
        .parent()
        .map(Path::to_owned)
        .unwrap_or_default();
    let mut faults = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        for link in pattern.captures_iter(line).map(|found| found[1].to_owned()) {
            let target = link.split('#').next().unwrap_or_default();
            let elsewhere =
                link.contains("://") || link.starts_with("mailto:") || target.is_empty();
            if !elsewhere && !folder.join(target).exists() {
                faults.push(format!(
                    "{}: line {}: link to {link} has no target",
                    file.path,
                    number + 1
                ));
            }
        }
    }
    faults
}

/// Names that do not belong in the repository: package hosts (each machine has its own) and paths
/// of one machine.
fn hosts(file: &File) -> Vec<String> {
    // In two parts, so that this file does not contain them.
    let hosts = [
        ["pypi", ".org"],
        ["huggingface", ".co"],
        ["pythonhosted", ".org"],
        ["crates", ".io"],
    ];
    let paths = [["/wor", "k/"], ["/hom", "e/"], ["/roo", "t/"]];
    let mut faults = Vec::new();
    if [HUB, "Cargo.lock"].contains(&file.path.as_str()) {
        return faults;
    }
    for (number, line) in file.text.lines().enumerate() {
        for word in hosts.iter().chain(&paths).map(|parts| parts.concat()) {
            if line.contains(&word) {
                faults.push(format!(
                    "{}: line {}: `{word}` does not belong here",
                    file.path,
                    number + 1
                ));
            }
        }
    }
    faults
}

/// Folders that the README's map must name: every crate, every folder of dev and docs.
fn map(root: &Path, files: &[File]) -> anyhow::Result<Vec<String>> {
    let readme = files
        .iter()
        .find(|file| file.path == "README.md")
        .map_or("", |file| file.text.as_str());
    let mut faults = Vec::new();
    for parent in ["crates", "dev", "docs"] {
        let folder = root.join(parent);
        let mut names: Vec<String> = std::fs::read_dir(&folder)
            .with_context(|| folder.display().to_string())?
            .filter_map(|entry| entry.ok().filter(|entry| entry.path().is_dir()))
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        for name in names {
            let line = format!("{parent}/{name}/");
            if !readme
                .lines()
                .any(|text| text.trim_start_matches(['|', ' ', '`']).starts_with(&line))
            {
                faults.push(format!("README.md: the file map has no line for {line}"));
            }
        }
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File {
            path: path.into(),
            text: text.into(),
        }
    }

    #[test]
    fn a_file_without_a_header_is_a_fault() {
        assert!(header(&file("a.rs", "use x;\n")).is_some());
        assert!(header(&file("a.rs", "//! What it is.\n")).is_none());
    }

    #[test]
    fn printing_outside_the_printer_is_a_fault_with_its_line() {
        let text = "//! x\nfn f() {\n    println!(\"x\");\n}\n";
        assert_eq!(
            prints(&file("crates/data/src/lib.rs", text)),
            ["crates/data/src/lib.rs: line 3: only the printer prints"]
        );
        assert_eq!(
            prints(&file("crates/cli/src/printer.rs", text)),
            Vec::<String>::new()
        );
        let tests = format!("//! x\n#[cfg(test)]\n{text}");
        assert_eq!(
            prints(&file("crates/data/src/lib.rs", &tests)),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_link_without_a_target_is_a_fault() {
        let root = root();
        let text = "[a](Cargo.toml) [b](nowhere.md)\n";
        assert_eq!(
            links(&file("README.md", text), &root),
            ["README.md: line 1: link to nowhere.md has no target"]
        );
    }

    #[test]
    fn a_package_host_is_a_fault() {
        let text = format!("see {}{}\n", "crates", ".io");
        assert_eq!(hosts(&file("docs/a.md", &text)).len(), 1);
    }
}
