//! Where an index lies while it is made, and how it gets its name.

use std::path::Path;

use crate::{Error, IndexManifest, Result};

/// Is the place free for a new index? With `overwrite` there may be an index, but nothing else.
pub(super) fn check(index: &Path, overwrite: bool) -> Result<()> {
    let mut entries = match std::fs::read_dir(index) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io(index)(error)),
    };
    match (entries.next().is_none(), overwrite) {
        (true, _) => Ok(()),
        (false, true) => IndexManifest::read(index).map(|_| ()),
        (false, false) => Err(Error::Exists {
            path: index.to_owned(),
        }),
    }
}

/// Moves a finished index into its place; what was there before is removed.
pub(super) fn settle(partial: &Path, index: &Path) -> Result<()> {
    let old = partial.with_extension("old");
    match std::fs::remove_dir_all(&old) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::io(old)(error));
        }
        _ => {}
    }
    let replaced = match std::fs::rename(index, &old) {
        Ok(()) => true,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(Error::io(index)(error)),
    };
    std::fs::rename(partial, index).map_err(|error| {
        if replaced {
            // Best effort: put the old index back.
            let _ = std::fs::rename(&old, index);
        }
        Error::io(index)(error)
    })?;
    if replaced {
        std::fs::remove_dir_all(&old).map_err(Error::io(&old))?;
    }
    Ok(())
}

/// Removes a folder in which threads of a writer that was dropped may still end their work.
pub(super) fn remove(folder: &Path) -> Result<()> {
    let mut attempts = 0;
    loop {
        match std::fs::remove_dir_all(folder) {
            Err(error)
                if error.kind() == std::io::ErrorKind::DirectoryNotEmpty && attempts < 50 =>
            {
                attempts += 1;
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            result => return result.map_err(Error::io(folder)),
        }
    }
}
