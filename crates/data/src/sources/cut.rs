//! Cuts a large JSON file into the texts of its entries, without taking them apart.
//!
//! The published files are one object (PubMedQA, keyed by PMID) or one list within an object
//! (BioASQ's `questions`), of any size. What is cut here is bounded by brackets and quotes alone;
//! whether an entry is JSON is found out by who reads it, on another thread.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::hashed::Hashed;
use super::piece::{Emit, ROWS, Rows};
use crate::manifest::FileRecord;
use crate::{Error, Result};

/// Where the entries of a JSON file are.
#[derive(Clone, Copy)]
pub enum Shape {
    /// In the object that the file is; each with its key.
    Object,
    /// In the list under this key of the object that the file is.
    List(&'static str),
}

/// One entry: its place in the bytes of its piece, and in the file.
struct Entry {
    key: Option<Range<usize>>,
    text: Range<usize>,
    /// Counted from 1.
    line: usize,
    /// Bytes before it on its line.
    column: usize,
}

/// Consecutive entries.
struct Piece {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Number of the first one in the file.
    first: usize,
}

/// An entry of a JSON file as a reader gets it.
pub struct JsonEntry<'a> {
    /// The file.
    pub path: &'a Path,
    /// Its key, in an object.
    pub key: Option<String>,
    /// Its place among the entries, from 0.
    pub index: usize,
    /// Its bytes.
    pub(super) text: &'a [u8],
    line: usize,
    column: usize,
}

impl JsonEntry<'_> {
    /// What it holds.
    ///
    /// # Errors
    /// [`Error::Json`] where it is no JSON, with the place in the file.
    pub fn object(&self) -> Result<Value> {
        serde_json::from_slice(self.text).map_err(|error| self.fault(&error))
    }

    /// The parser's fault with the place in the file.
    pub(super) fn fault(&self, error: &serde_json::Error) -> Error {
        let before = match error.line() {
            0 | 1 => self.column,
            _ => 0,
        };
        let text = error.to_string();
        let message = text.split(" at line ").next().unwrap_or(&text);
        Error::Json {
            path: self.path.to_owned(),
            line: self.line + error.line().max(1) - 1,
            message: format!("column {}: {message}", before + error.column()),
        }
    }
}

/// Cuts a file and hands on its entries, each piece to be read by `row`.
pub(super) fn read<R>(path: &Path, shape: Shape, row: R, emit: &mut Emit<'_>) -> Result<FileRecord>
where
    R: Fn(&JsonEntry<'_>, &mut Rows) -> Result<()> + Send + Clone + 'static,
{
    pieces(path, shape, &mut |piece: Piece| {
        let (path, row): (PathBuf, R) = (path.to_owned(), row.clone());
        emit(Box::new(move || {
            let mut rows = Rows::default();
            piece.each(&path, &mut |entry| row(entry, &mut rows))?;
            Ok(rows)
        }))
    })
}

/// Cuts a file and hands on its entries in their order, on this thread.
pub(super) fn entries(
    path: &Path,
    shape: Shape,
    each: &mut dyn FnMut(&JsonEntry<'_>) -> Result<()>,
) -> Result<FileRecord> {
    pieces(path, shape, &mut |piece: Piece| piece.each(path, each))
}

fn pieces(path: &Path, shape: Shape, on_piece: &mut OnPiece<'_>) -> Result<FileRecord> {
    let mut splitter = JsonSplitter::new(Hashed::open(path)?);
    match shape {
        Shape::Object => splitter.object(on_piece)?,
        Shape::List(key) => splitter.list_in(key, on_piece)?,
    }
    splitter.file.record()
}

impl Piece {
    fn each(&self, path: &Path, each: &mut dyn FnMut(&JsonEntry<'_>) -> Result<()>) -> Result<()> {
        for (place, entry) in self.entries.iter().enumerate() {
            let key = entry.key.clone().map(|key| &self.bytes[key]);
            let mut cut = JsonEntry {
                path,
                key: None,
                index: self.first + place,
                text: &self.bytes[entry.text.clone()],
                line: entry.line,
                column: entry.column,
            };
            let key = key.map(serde_json::from_slice).transpose();
            cut.key = key.map_err(|error| cut.fault(&error))?;
            each(&cut)?;
        }
        Ok(())
    }
}

/// The file as far as it was read, and how far it was cut.
struct JsonSplitter {
    file: Hashed,
    /// What was read and not handed on.
    bytes: Vec<u8>,
    /// How far in `bytes`.
    at: usize,
    /// Line of the byte at `counted`, from 1, and where that line began, which may be before `bytes`.
    line: usize,
    line_start: isize,
    counted: usize,
    entries: Vec<Entry>,
    emitted: usize,
}

type OnPiece<'a> = dyn FnMut(Piece) -> Result<()> + 'a;

impl JsonSplitter {
    fn new(file: Hashed) -> JsonSplitter {
        JsonSplitter {
            file,
            bytes: Vec::new(),
            at: 0,
            line: 1,
            line_start: 0,
            counted: 0,
            entries: Vec::new(),
            emitted: 0,
        }
    }

    /// `{"key": entry, …}` and nothing behind it.
    fn object(&mut self, on_piece: &mut OnPiece<'_>) -> Result<()> {
        self.open(b'{', "an object keyed by PMID")?;
        let mut more = !self.empty(b'}')?;
        while more {
            let key = self.key()?;
            self.entry(Some(key), on_piece)?;
            more = self.comma_or(b'}')?;
        }
        self.finish(on_piece)
    }

    /// The list under `key` of `{"key": [entry, …], …}`, and nothing behind the object.
    fn list_in(&mut self, key: &'static str, on_piece: &mut OnPiece<'_>) -> Result<()> {
        self.open(b'{', "an object with a list of questions")?;
        let mut more = !self.empty(b'}')?;
        let mut listed = false;
        let mut other = Value::Null;
        while more {
            let name = self.key()?;
            let ours = self.bytes[name.start + 1..name.end - 1] == *key.as_bytes();
            if ours && self.after_blanks()? == Some(b'[') {
                self.at += 1;
                listed = true;
                let mut more = !self.empty(b']')?;
                while more {
                    self.entry(None, on_piece)?;
                    more = self.comma_or(b']')?;
                }
            } else {
                let value = self.value()?;
                if ours {
                    other = serde_json::from_slice(&self.bytes[value]).unwrap_or_default();
                }
            }
            more = self.comma_or(b'}')?;
        }
        match listed {
            true => self.finish(on_piece),
            false => Err(Error::Field {
                path: self.file.path().to_owned(),
                place: "top level".into(),
                expected: format!("field {key:?} as a list"),
                found: super::kind(&other),
            }),
        }
    }

    /// The next byte that is no blank, which stays.
    fn after_blanks(&mut self) -> Result<Option<u8>> {
        loop {
            match self.bytes.get(self.at).copied() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return Ok(Some(byte)),
                None if !self.more()? => return Ok(None),
                None => {}
            }
        }
    }

    /// Reads on; false at the end of the file.
    fn more(&mut self) -> Result<bool> {
        Ok(self.file.append(&mut self.bytes)? > 0)
    }

    fn open(&mut self, bracket: u8, what: &str) -> Result<()> {
        match self.after_blanks()? {
            Some(byte) if byte == bracket => {
                self.at += 1;
                Ok(())
            }
            found => Err(self.fault(what, found)),
        }
    }

    /// Whether the bracket closes at once.
    fn empty(&mut self, closing: u8) -> Result<bool> {
        let empty = self.after_blanks()? == Some(closing);
        self.at += usize::from(empty);
        Ok(empty)
    }

    /// After an entry: true where another follows, false where the bracket closes.
    fn comma_or(&mut self, closing: u8) -> Result<bool> {
        match self.after_blanks()? {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == closing => {
                self.at += 1;
                Ok(false)
            }
            found => Err(self.fault(&format!("`,` or `{}`", char::from(closing)), found)),
        }
    }

    /// A key with its quotes, and the colon behind it.
    fn key(&mut self) -> Result<Range<usize>> {
        let key = match self.after_blanks()? {
            Some(b'"') => self.value()?,
            found => return Err(self.fault("a key in quotes", found)),
        };
        match self.after_blanks()? {
            Some(b':') => self.at += 1,
            found => return Err(self.fault("`:`", found)),
        }
        Ok(key)
    }

    fn entry(&mut self, key: Option<Range<usize>>, on_piece: &mut OnPiece<'_>) -> Result<()> {
        let text = self.value()?;
        let (line, column) = self.place(text.start);
        self.entries.push(Entry {
            key,
            text,
            line,
            column,
        });
        match self.entries.len() {
            ROWS => self.emit(on_piece),
            _ => Ok(()),
        }
    }

    /// Where a value ends: at the bracket or quote that closes it, or before what parts it from the next.
    fn value(&mut self) -> Result<Range<usize>> {
        let Some(first) = self.after_blanks()? else {
            return Err(self.fault("a value", None));
        };
        let start = self.at;
        let mut depth = 0usize;
        let mut quoted = false;
        loop {
            if self.at == self.bytes.len() && !self.more()? {
                return Err(self.fault("the end of the entry", None));
            }
            if quoted {
                let rest = &self.bytes[self.at..];
                match memchr::memchr2(b'"', b'\\', rest) {
                    None => self.at = self.bytes.len(),
                    Some(skip) if rest[skip] == b'"' => {
                        self.at += skip + 1;
                        quoted = false;
                    }
                    // The escaped character may be on the next page.
                    Some(skip) if skip + 1 == rest.len() => {
                        self.at += skip;
                        if !self.more()? {
                            return Err(self.fault("the end of the entry", None));
                        }
                        self.at += 2;
                    }
                    Some(skip) => self.at += skip + 2,
                }
                if !quoted && depth == 0 {
                    return Ok(start..self.at);
                }
                continue;
            }
            match self.bytes[self.at] {
                b'"' => quoted = true,
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    if depth == 0 {
                        self.at += 1;
                        return Ok(start..self.at);
                    }
                }
                b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t' if depth == 0 => {
                    return match self.at > start {
                        true => Ok(start..self.at),
                        false => Err(self.fault("a value", Some(first))),
                    };
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    /// Line, from 1, and bytes before the place on it. Places must come in order.
    fn place(&mut self, at: usize) -> (usize, usize) {
        for newline in memchr::memchr_iter(b'\n', &self.bytes[self.counted..at]) {
            self.line += 1;
            self.line_start = (self.counted + newline + 1) as isize;
        }
        self.counted = at;
        (self.line, (at as isize - self.line_start) as usize)
    }

    /// The entries so far, with the bytes up to here.
    fn emit(&mut self, on_piece: &mut OnPiece<'_>) -> Result<()> {
        if self.entries.is_empty() {
            return Ok(());
        }
        self.place(self.at);
        let rest = self.bytes.split_off(self.at);
        let piece = Piece {
            bytes: std::mem::replace(&mut self.bytes, rest),
            entries: std::mem::take(&mut self.entries),
            first: self.emitted,
        };
        self.line_start -= self.at as isize;
        (self.at, self.counted) = (0, 0);
        self.emitted += piece.entries.len();
        on_piece(piece)
    }

    /// Nothing but blanks may follow.
    fn finish(&mut self, on_piece: &mut OnPiece<'_>) -> Result<()> {
        match self.after_blanks()? {
            None => self.emit(on_piece),
            found => Err(self.fault("nothing after the last bracket", found)),
        }
    }

    fn fault(&mut self, expected: &str, found: Option<u8>) -> Error {
        let (line, column) = self.place(self.at);
        let found = match found {
            None => "the end of the file".to_owned(),
            Some(byte) => format!("`{}`", char::from(byte).escape_default()),
        };
        Error::Json {
            path: self.file.path().to_owned(),
            line,
            message: format!("column {}: expected {expected}, found {found}", column + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{JsonSplitter, Piece, Shape, read};
    use crate::sources::hashed::Hashed;

    /// Every entry's key and text.
    fn cut(text: &str, shape: Shape) -> Result<Vec<(Option<String>, String)>, String> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        let mut entries = Vec::new();
        let mut take = |piece: Piece| {
            let text = |range| String::from_utf8_lossy(&piece.bytes[range]).into_owned();
            for entry in &piece.entries {
                entries.push((entry.key.clone().map(text), text(entry.text.clone())));
            }
            Ok(())
        };
        let mut splitter = JsonSplitter::new(Hashed::open(file.path()).expect("opens"));
        let done = match shape {
            Shape::Object => splitter.object(&mut take),
            Shape::List(key) => splitter.list_in(key, &mut take),
        };
        let named = file.path().display().to_string();
        done.map_err(|error| error.to_string().replace(&named, "FILE"))?;
        Ok(entries)
    }

    proptest! {
        #[test]
        fn entries_are_those_of_the_parser(
            texts in prop::collection::vec("[a-z\"\\\\{}\\[\\],: é\n]{0,12}", 0..9), pretty: bool,
        ) {
            let rows: Vec<Value> = texts.iter().enumerate()
                .map(|(n, text)| json!({"t": text, "n": [n, {"u": text}], "x": null})).collect();
            let object: serde_json::Map<String, Value> = rows.iter().enumerate()
                .map(|(n, row)| (format!("{n}{}", texts[n]), row.clone())).collect();
            let print = |value: &Value| match pretty {
                true => serde_json::to_string_pretty(value).unwrap(),
                false => value.to_string(),
            };
            let parse = |text: &String| serde_json::from_str::<Value>(text).unwrap();
            let found = cut(&print(&Value::Object(object.clone())), Shape::Object).unwrap();
            prop_assert_eq!(found.len(), object.len());
            for ((key, text), (name, row)) in found.iter().zip(&object) {
                prop_assert_eq!(&parse(key.as_ref().unwrap()), &json!(name));
                prop_assert_eq!(&parse(text), row);
            }
            let list = json!({"a": {"questions": [1]}, "questions": rows, "b": "]"});
            let found = cut(&print(&list), Shape::List("questions")).unwrap();
            let found: Vec<Value> = found.iter().map(|(_, text)| parse(text)).collect();
            prop_assert_eq!(found, rows);
        }

        #[test]
        fn no_bytes_make_it_fall(bytes in prop::collection::vec(prop::sample::select(
            b"{}[],:\"\\ \n1a".to_vec()), 0..40)) {
            let text = String::from_utf8(bytes).unwrap();
            let _ = cut(&text, Shape::Object);
            let _ = cut(&text, Shape::List("a"));
        }
    }

    #[test]
    fn faults_name_line_column_expected_and_found() {
        let error = |text: &str| cut(text, Shape::Object).expect_err("refused");
        assert_eq!(
            error("[1]"),
            "FILE: line 1: column 1: expected an object keyed by PMID, found `[`"
        );
        assert_eq!(
            error("{\n \"1\" 2}"),
            "FILE: line 2: column 6: expected `:`, found `2`"
        );
        assert_eq!(
            error("{\"1\": {\"a\": \"b\n"),
            "FILE: line 2: column 1: expected the end of the entry, found the end of the file"
        );
        assert_eq!(
            error("{\"1\": 2} x"),
            "FILE: line 1: column 10: expected nothing after the last bracket, found `x`"
        );
        assert_eq!(
            error("{\"1\": 2 3}"),
            "FILE: line 1: column 9: expected `,` or `}`, found `3`"
        );
    }

    #[test]
    fn a_fault_within_an_entry_is_reported_by_its_place_in_the_file() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let mut text = "{\n".to_owned();
        for n in 0..300 {
            text += &format!(
                "  \"{n}\": {{\"a\": {}}},\n",
                if n == 290 { "x" } else { "1" }
            );
        }
        text += "\"last\": 5}";
        std::fs::write(file.path(), text).expect("written");
        let mut faults = Vec::new();
        read(
            file.path(),
            Shape::Object,
            |cut, _| match serde_json::from_slice::<Value>(cut.text) {
                Ok(_) => Ok(()),
                Err(error) => Err(cut.fault(&error)),
            },
            &mut |piece| {
                faults.extend(piece().err().map(|error| error.to_string()));
                Ok(())
            },
        )
        .expect("cuts");
        assert_eq!(faults.len(), 1);
        assert!(
            faults[0].ends_with("line 292: column 16: expected value"),
            "{}",
            faults[0]
        );
    }
}
