//! Writing so that nothing stands half-written under a final name, and hashes of what was written.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// The name beside `path` under which it is made.
pub(crate) fn partial(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.partial"))
}

/// Forces a folder's names to the disk.
pub(crate) fn sync(dir: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened as a file, and renames are kept by the file system's log.
    if cfg!(unix) {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

/// Writes a file under a temporary name, then renames it. On failure the temporary file goes.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let part = partial(path);
    let written = (|| {
        let mut file = File::create(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        sync(path.parent().unwrap_or(Path::new(".")))
    })();
    written.map_err(|error| {
        let _ = fs::remove_file(&part);
        Error::io(path, "write")(error)
    })
}

/// As [`write()`], one JSON object a line.
pub(crate) fn write_lines<T: Serialize>(path: &Path, lines: impl Iterator<Item = T>) -> Result<()> {
    let part = partial(path);
    let written = (|| {
        let mut file = BufWriter::new(File::create(&part)?);
        for line in lines {
            serde_json::to_writer(&mut file, &line)?;
            file.write_all(b"\n")?;
        }
        file.into_inner()?.sync_all()?;
        fs::rename(&part, path)?;
        sync(path.parent().unwrap_or(Path::new(".")))
    })();
    written.map_err(|error: io::Error| {
        let _ = fs::remove_file(&part);
        Error::io(path, "write")(error)
    })
}

/// Reads what [`write_lines`] wrote.
pub(crate) fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = fs::read_to_string(path).map_err(Error::io(path, "read"))?;
    let line = |(place, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| Error::Json {
            path: path.to_path_buf(),
            line: place + 1,
            message: error.to_string(),
        })
    };
    text.lines().enumerate().map(line).collect()
}

/// SHA-256 of a file in hexadecimal.
pub(crate) fn sha256(path: &Path) -> Result<String> {
    verdict_common::hash::sha256_file(path).map_err(Error::io(path, "read"))
}

/// Names in a folder, sorted.
pub(crate) fn names(dir: &Path) -> Result<Vec<String>> {
    let read = || -> io::Result<Vec<String>> {
        let name =
            |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        fs::read_dir(dir)?.map(name).collect()
    };
    let mut names = read().map_err(Error::io(dir, "read the folder"))?;
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_nothing_and_names_the_final_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("MANIFEST.json");
        fs::create_dir(&path).unwrap(); // a folder in the way: the rename fails
        let error = write(&path, b"{}").unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{}: cannot write: ", path.display())),
            "{error}"
        );
        assert_eq!(names(dir.path()).unwrap(), ["MANIFEST.json"]);
        assert!(path.is_dir(), "what was there stays");
    }
}
