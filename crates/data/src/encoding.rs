//! What a file of text begins with: a byte order mark is read past, and another encoding than UTF-8 is named.

use std::path::Path;

use crate::{Error, Result};

/// The byte order mark that some editors and most spreadsheets write before UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Length of the byte order mark at the beginning of a file of UTF-8, 0 where there is none.
///
/// # Errors
/// [`Error::Encoding`] where the beginning is that of UTF-16 or UTF-32, with or without a mark.
pub(crate) fn mark(path: &Path, beginning: &[u8]) -> Result<usize> {
    let found = match beginning {
        [0xff, 0xfe, 0, 0, ..] | [_, 0, 0, 0, ..] => "UTF-32LE",
        [0, 0, 0xfe, 0xff, ..] | [0, 0, 0, _, ..] => "UTF-32BE",
        [0xff, 0xfe, ..] | [1..=0xff, 0, ..] => "UTF-16LE",
        [0xfe, 0xff, ..] | [0, 1..=0xff, ..] => "UTF-16BE",
        _ => {
            return Ok(match beginning.starts_with(MARK) {
                true => MARK.len(),
                false => 0,
            });
        }
    };
    Err(Error::Encoding {
        path: path.to_owned(),
        found,
    })
}

/// A whole text in UTF-8, without a byte order mark; `path` names it in errors.
///
/// # Errors
/// [`Error::Encoding`] for UTF-16 and UTF-32; [`Error::Json`] with the line of the first byte that is not UTF-8.
pub fn decode(path: impl AsRef<Path>, mut bytes: Vec<u8>) -> Result<String> {
    let path = path.as_ref();
    bytes.drain(..mark(path, &bytes)?);
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        Error::Json {
            path: path.to_owned(),
            line: 1 + memchr::memchr_iter(b'\n', valid).count(),
            message: "expected UTF-8, found other bytes; save the file as UTF-8".into(),
        }
    })
}

/// The bytes of a whole file of text, without a byte order mark.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = std::fs::read(path).map_err(Error::io(path))?;
    let mark = mark(path, &bytes)?;
    bytes.drain(..mark);
    Ok(bytes)
}

/// Reads a whole file of UTF-8, without a byte order mark: settings, rules, lists of questions.
///
/// # Errors
/// [`Error::Io`]; else as [`decode`].
pub fn read_text(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    decode(path, std::fs::read(path).map_err(Error::io(path))?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{mark, read_text};

    #[test]
    fn a_mark_is_read_past_and_other_encodings_are_named() {
        let file = Path::new("rows.csv");
        assert_eq!(mark(file, b"\xef\xbb\xbfquestion").expect("UTF-8"), 3);
        for fine in [&b"question"[..], b"", b"{", b"\xc3\xa9"] {
            assert_eq!(mark(file, fine).expect("UTF-8"), 0);
        }
        for (bytes, name) in [
            (&b"\xff\xfeq\0"[..], "UTF-16LE"),
            (b"q\0u\0", "UTF-16LE"),
            (b"\xfe\xff\0q", "UTF-16BE"),
            (b"\0q\0u", "UTF-16BE"),
            (b"\xff\xfe\0\0q\0\0\0", "UTF-32LE"),
            (b"\0\0\0q", "UTF-32BE"),
        ] {
            let error = mark(file, bytes).expect_err("not UTF-8");
            assert_eq!(
                error.to_string(),
                format!("rows.csv: expected text in UTF-8, found {name}")
            );
            assert!(error.hint().is_some_and(|hint| hint.contains("UTF-8")));
        }
    }

    #[test]
    fn a_file_in_another_code_page_is_reported_with_its_line() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), b"\xef\xbb\xbfa = 1\nb = \"\xe9\"\n").expect("written");
        let error = read_text(file.path()).expect_err("not UTF-8").to_string();
        assert!(error.contains("line 2: expected UTF-8"), "{error}");
    }
}
