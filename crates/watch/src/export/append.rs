//! A file that is first written completely and then appended to.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A file and the bytes to be written to it.
#[derive(Debug)]
pub(super) struct Append {
    path: PathBuf,
    pending: Vec<u8>,
    created: bool,
}

impl Append {
    /// Nothing is written before [`Append::flush`].
    pub(super) fn new(path: PathBuf) -> Append {
        Append {
            path,
            pending: Vec::new(),
            created: false,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes to be written.
    pub(super) fn pending(&mut self) -> &mut Vec<u8> {
        &mut self.pending
    }

    /// Writes the pending bytes: at first into a temporary file, which is renamed, later by appending. The file is not
    /// kept open, because there may be more files than a process may open.
    pub(super) fn flush(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let path = &self.path;
        if self.created {
            let file = OpenOptions::new().append(true).create(true).open(path);
            file.and_then(|mut file| file.write_all(&self.pending))
                .map_err(Error::io(path, "write"))?;
        } else {
            replace(path, &self.pending)?;
        }
        self.created = true;
        self.pending.clear();
        Ok(())
    }
}

/// Writes a file under a temporary name and renames it. Creates its folder.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        fs::create_dir_all(folder).map_err(Error::io(folder, "create the folder"))?;
    }
    let mut part = path.as_os_str().to_owned();
    part.push(".partial");
    fs::write(&part, bytes)
        .and_then(|()| fs::rename(&part, path))
        .map_err(Error::io(path, "write"))
}
