//! A file that begins whole and then grows.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Bytes on their way to a file.
#[derive(Debug)]
pub(super) struct Append {
    path: PathBuf,
    waiting: Vec<u8>,
    begun: bool,
}

impl Append {
    /// Nothing is written before [`Append::flush`].
    pub(super) fn new(path: PathBuf) -> Append {
        Append {
            path,
            waiting: Vec::new(),
            begun: false,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the bytes wait.
    pub(super) fn waiting(&mut self) -> &mut Vec<u8> {
        &mut self.waiting
    }

    /// Writes what waits: at first beside the place, then renamed; later at the end. The file is not kept open, for
    /// there may be more of them than a process may open.
    pub(super) fn flush(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let path = &self.path;
        if self.begun {
            let file = OpenOptions::new().append(true).create(true).open(path);
            file.and_then(|mut file| file.write_all(&self.waiting))
                .map_err(Error::io(path, "write"))?;
        } else {
            replace(path, &self.waiting)?;
        }
        self.begun = true;
        self.waiting.clear();
        Ok(())
    }
}

/// Writes a file under a temporary name beside its own and renames it; makes its folder.
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
