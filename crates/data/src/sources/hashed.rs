//! A file whose hash is taken while it is read.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::piece::file_name;
use crate::encoding;
use crate::manifest::FileRecord;
use crate::{Error, Result};
use verdict_common::hash::hex;

/// Bytes read at once.
const BUFFER: usize = 1 << 18;

/// A file, its hash so far and its path for errors.
pub(super) struct Hashed {
    path: PathBuf,
    /// What was read to look at the encoding, without a byte order mark, and not handed on yet.
    beginning: Vec<u8>,
    file: File,
    hash: Sha256,
    bytes: u64,
}

impl Hashed {
    /// Opens a file of text, to be read from its beginning; a byte order mark is hashed and not read.
    pub(super) fn open(path: &Path) -> Result<Hashed> {
        let mut hashed = Hashed::open_binary(path)?;
        let mut beginning = Vec::new();
        let mut page = (&mut hashed.file).take(4);
        page.read_to_end(&mut beginning).map_err(Error::io(path))?;
        hashed.hash.update(&beginning);
        hashed.bytes += beginning.len() as u64;
        beginning.drain(..encoding::mark(path, &beginning)?);
        hashed.beginning = beginning;
        Ok(hashed)
    }

    /// Opens a file of any bytes.
    pub(super) fn open_binary(path: &Path) -> Result<Hashed> {
        Ok(Hashed {
            path: path.to_owned(),
            beginning: Vec::new(),
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
        let before = self.beginning.len();
        into.append(&mut self.beginning);
        let from = into.len();
        let mut page = (&mut self.file).take(BUFFER as u64);
        let read = page.read_to_end(into).map_err(Error::io(&self.path))?;
        self.hash.update(&into[from..]);
        self.bytes += read as u64;
        Ok(before + read)
    }

    /// The record of the whole file, what was not read yet included.
    pub(super) fn record(mut self) -> Result<FileRecord> {
        let path = self.path.clone();
        let mut rest = BufReader::with_capacity(BUFFER, &mut self);
        loop {
            match rest.fill_buf().map_err(Error::io(&path))?.len() {
                0 => break,
                read => rest.consume(read),
            }
        }
        drop(rest);
        Ok(FileRecord {
            name: file_name(&self.path),
            sha256: hex(&self.hash.finalize()),
            bytes: self.bytes,
        })
    }
}

impl Read for Hashed {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if !self.beginning.is_empty() {
            let read = self.beginning.len().min(into.len());
            into[..read].copy_from_slice(&self.beginning[..read]);
            self.beginning.drain(..read);
            return Ok(read);
        }
        let read = self.file.read(into)?;
        self.hash.update(&into[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}
