//! Writes lines to stderr. Errors of a closed stderr are ignored, because they cannot be reported.

use std::io::Write;

use crate::log::{Format, TARGET};

/// Where the lines of a log are written.
#[derive(Clone, Copy, Debug)]
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _ = std::io::stderr().lock().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A line on stderr, for code without a printer (the signal handler).
pub fn stderr_line(format: Format, text: &str) {
    match format {
        Format::Json => tracing::warn!(target: TARGET, "{text}"),
        Format::Text => stderr(&format!("{text}\n")),
    }
}

/// Writes a text as it is.
pub(super) fn stderr(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
