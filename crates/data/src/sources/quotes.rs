//! Whether the quotes of a table close: a reader that does not ask swallows all rows to the next quote in silence.
//!
//! The layout is that of RFC 4180: a quote opens a field at its beginning alone, within it two quotes are one, and
//! what follows a closing quote is a delimiter or the end of the line. Blanks before these are forgiven.

use std::fmt;
use std::io::{Error, Read, Result};

/// A quote that does not close, or closes too early.
#[derive(Debug)]
pub(super) struct QuoteFault {
    /// Line of the quote that opens the field, from 1.
    pub(super) line: usize,
    /// Line on which something follows the closing quote; none at the end of the file.
    behind: Option<usize>,
}

impl fmt::Display for QuoteFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.behind {
            None => f.write_str(
                "expected a closing quote, found the end of the file; close the field, or write \"\" for a quote within it",
            ),
            Some(line) => write!(
                f,
                "expected a delimiter or the end of the line behind the field's closing quote, found text on line {line}; \
                 write \"\" for a quote within a field"
            ),
        }
    }
}

impl std::error::Error for QuoteFault {}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// At the beginning of a field.
    Start,
    /// In a field without quotes.
    Bare,
    /// Between quotes.
    Quoted,
    /// Behind a quote within a quoted field: it closes, or is the first of two.
    Quote,
    /// Behind the closing quote, after a blank.
    Behind,
}

/// A table that is handed on as it is, and whose quotes are looked at on the way.
pub(super) struct Quotes<R> {
    table: R,
    delimiter: u8,
    state: State,
    line: usize,
    opened: usize,
}

impl<R: Read> Quotes<R> {
    pub(super) fn new(table: R, delimiter: u8) -> Quotes<R> {
        Quotes {
            table,
            delimiter,
            state: State::Start,
            line: 1,
            opened: 1,
        }
    }

    fn see(&mut self, byte: u8) -> std::result::Result<(), QuoteFault> {
        let ends = byte == self.delimiter || matches!(byte, b'\n' | b'\r');
        self.state = match (self.state, byte) {
            (State::Start, b'"') => {
                self.opened = self.line;
                State::Quoted
            }
            (State::Quoted, b'"') => State::Quote,
            (State::Quoted, _) | (State::Quote, b'"') => State::Quoted,
            (_, _) if ends => State::Start,
            (State::Quote | State::Behind, b' ' | b'\t') => State::Behind,
            (State::Quote | State::Behind, _) => {
                return Err(QuoteFault {
                    line: self.opened,
                    behind: Some(self.line),
                });
            }
            (State::Start | State::Bare, _) => State::Bare,
        };
        self.line += usize::from(byte == b'\n');
        Ok(())
    }
}

impl<R: Read> Read for Quotes<R> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        let read = self.table.read(into)?;
        for byte in &into[..read] {
            self.see(*byte).map_err(Error::other)?;
        }
        if read == 0 && !into.is_empty() && self.state == State::Quoted {
            return Err(Error::other(QuoteFault {
                line: self.opened,
                behind: None,
            }));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::{QuoteFault, Quotes};

    /// The fault of a table: line of the opening quote, line of what follows the closing one.
    fn fault(table: &str) -> Option<(usize, Option<usize>)> {
        let mut text = String::new();
        let error = Quotes::new(table.as_bytes(), b',').read_to_string(&mut text);
        let error = error.err()?.into_inner().expect("a fault");
        let fault = error.downcast::<QuoteFault>().expect("of quotes");
        Some((fault.line, fault.behind))
    }

    #[test]
    fn quotes_that_close_are_no_fault() {
        for table in [
            "a,b\n1,2\n",
            "\"a\",\"b\"\r\n\"two\nlines\",\"\"\n",
            "\"she said \"\"no\"\"\",x\n",
            "a 5\" tube,x\n",
            "\"a\" , \"b\"\n",
            "\"a\"",
            "",
        ] {
            assert_eq!(fault(table), None, "{table:?}");
        }
    }

    #[test]
    fn quotes_that_do_not_close_are_reported_with_their_line() {
        assert_eq!(fault("a,b\n\"x,1\ny,2\n"), Some((2, None)));
        // The next quote closes the field, and what follows it gives it away.
        assert_eq!(fault("a,b\n\"x,1\ny,2\nz,\"w\"\n"), Some((2, Some(4))));
        assert_eq!(fault("\"he said \"no\" twice\",1\n"), Some((1, Some(1))));
    }
}
