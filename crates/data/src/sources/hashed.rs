//! A file whose hash is taken while it is read.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{ReadFile, file_name};
use crate::digest::hex;
use crate::{Error, Result};

/// Bytes read at once.
const BUFFER: usize = 1 << 18;

/// A file, its hash so far and its path for errors.
pub(super) struct Hashed {
    path: PathBuf,
    file: File,
    hash: Sha256,
    bytes: u64,
}

impl Hashed {
    /// Opens a file, to be read from its beginning.
    pub(super) fn open(path: &Path) -> Result<Hashed> {
        Ok(Hashed {
            path: path.to_owned(),
            file: File::open(path).map_err(Error::io(path))?,
            hash: Sha256::new(),
            bytes: 0,
        })
    }

    /// The path, for errors.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What follows, up to [`BUFFER`] bytes, behind what `into` holds; none at the end.
    pub(super) fn append(&mut self, into: &mut Vec<u8>) -> Result<usize> {
        let from = into.len();
        let mut page = (&mut self.file).take(BUFFER as u64);
        let read = page.read_to_end(into).map_err(Error::io(&self.path))?;
        self.hash.update(&into[from..]);
        self.bytes += read as u64;
        Ok(read)
    }

    /// The record of the whole file, what was not read yet included.
    pub(super) fn record(mut self) -> Result<ReadFile> {
        let path = self.path.clone();
        let mut rest = BufReader::with_capacity(BUFFER, &mut self);
        loop {
            match rest.fill_buf().map_err(Error::io(&path))?.len() {
                0 => break,
                read => rest.consume(read),
            }
        }
        drop(rest);
        Ok(ReadFile {
            name: file_name(&self.path),
            sha256: hex(&self.hash.finalize()),
            bytes: self.bytes,
        })
    }
}

impl Read for Hashed {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(into)?;
        self.hash.update(&into[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}
