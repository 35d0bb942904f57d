//! A file as it is, or unpacked where it is gzipped. Unpacking runs ahead on another thread, by a bounded number of
//! pages, so that it costs the parser no time.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use flate2::read::MultiGzDecoder;

use crate::{Error, Result};

/// Bytes of a page.
const PAGE: usize = 1 << 16;

/// Pages that may be ahead.
const AHEAD: usize = 16;

/// What gzip files begin with.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Reads the file's content by `read`. What a file is shows in its first bytes, not in its name.
pub(super) fn with_content<T>(
    path: &Path,
    read: impl FnOnce(&mut dyn BufRead) -> Result<T>,
) -> Result<T> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let mut first = Vec::new();
    let begun = (&mut file).take(2).read_to_end(&mut first);
    begun.and_then(|_| file.rewind()).map_err(Error::io(path))?;
    if first != MAGIC {
        return read(&mut BufReader::with_capacity(PAGE, file));
    }
    let (send, receive) = sync_channel(AHEAD);
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("unpack".into())
            .spawn_scoped(scope, move || unpack(file, &send))
            .map_err(Error::io(path))?;
        read(&mut Pages {
            receive,
            page: Vec::new(),
            at: 0,
        })
    })
}

/// Sends the content page by page, and the fault that ends it. A receiver that is gone ends it too.
fn unpack(file: File, send: &SyncSender<io::Result<Vec<u8>>>) {
    let mut packed = MultiGzDecoder::new(BufReader::with_capacity(PAGE, file));
    loop {
        let mut page = Vec::with_capacity(PAGE);
        let read = (&mut packed).take(PAGE as u64).read_to_end(&mut page);
        // What was unpacked before a fault is handed on first: the place of the fault is behind it.
        if !page.is_empty() && send.send(Ok(page)).is_err() {
            return;
        }
        match read {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                // Nobody waits for it where the receiver is gone.
                let _ = send.send(Err(io::Error::new(
                    error.kind(),
                    Corrupt(error.to_string()),
                )));
                return;
            }
        }
    }
}

/// A fault of the compression.
#[derive(Debug)]
pub(super) struct Corrupt(pub(super) String);

impl std::fmt::Display for Corrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Corrupt {}

/// The pages as they come.
struct Pages {
    receive: Receiver<io::Result<Vec<u8>>>,
    page: Vec<u8>,
    at: usize,
}

impl BufRead for Pages {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.page.len() {
            // No page more and no sender: the end.
            self.page = self.receive.recv().unwrap_or_else(|_| Ok(Vec::new()))?;
            self.at = 0;
        }
        Ok(&self.page[self.at..])
    }

    fn consume(&mut self, bytes: usize) {
        self.at = (self.at + bytes).min(self.page.len());
    }
}

impl Read for Pages {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}
