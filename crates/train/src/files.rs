//! Writing files under a temporary name first, so that no file with its final name is incomplete; and
//! hashes of what was written.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use verdict_common::hash;

use crate::error::{Error, Result};

/// The temporary name, in the same folder, under which `path` is written.
pub(crate) fn partial(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.partial"))
}

/// Syncs the entries of a folder to the disk.
pub(crate) fn sync(dir: &Path) -> io::Result<()> {
    // On other systems a folder cannot be opened as a file; there the file system's journal keeps renames.
    if cfg!(unix) {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

/// Writes a file under a temporary name, then renames it. On failure the temporary file is deleted.
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

/// Like [`write()`], with one JSON object per line.
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

/// Reads a file written by [`write_lines`].
pub(crate) fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = fs::read_to_string(path).map_err(Error::io(path, "read"))?;
    let line = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| Error::Json {
            path: path.to_path_buf(),
            line: index + 1,
            message: error.to_string(),
        })
    };
    text.lines().enumerate().map(line).collect()
}

/// SHA-256 of a file in hexadecimal.
pub(crate) fn sha256(path: &Path) -> Result<String> {
    hash::sha256_file(path).map_err(Error::io(path, "read"))
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
        fs::create_dir(&path).unwrap(); // a folder of that name, so the rename fails
        let error = write(&path, b"{}").unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{}: cannot write: ", path.display())),
            "{error}"
        );
        assert_eq!(names(dir.path()).unwrap(), ["MANIFEST.json"]);
        assert!(path.is_dir(), "what existed is kept");
    }
}
