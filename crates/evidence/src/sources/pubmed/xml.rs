//! XML event by event, with errors that name file, article and byte.

use std::fmt;
use std::io::{self, BufRead, Read};
use std::ops::Deref;
use std::path::Path;

use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

use super::attributes;
use super::markup::Plain;
use crate::sources::unpacked::Corrupt;
use crate::{Error, Result};

/// Bytes of an article, at most. The largest ones, with thousands of authors and references, have a few million.
const LONGEST: u64 = 1 << 26;

/// A file of XML, read from its beginning.
pub(super) struct Xml<'p, R> {
    path: &'p Path,
    reader: Reader<Bounded<R>>,
    buffer: Vec<u8>,
    /// Attributes of the element that was opened last, as they are written.
    attributes: String,
    /// Articles begun.
    articles: u64,
    /// The PMID of the article that is read, where it is known.
    pub(super) pmid: Option<String>,
}

/// What was read.
enum Step {
    Open(Name),
    Close,
    /// Text was handed on, or nothing that counts was read.
    Within,
}

/// The name of an element without its prefix, as far as it fits: no name that is known is longer.
struct Name {
    bytes: [u8; Name::LONGEST],
    length: usize,
}

impl Name {
    const LONGEST: usize = 32;

    fn new(name: &str) -> Name {
        let mut length = name.len().min(Name::LONGEST);
        while !name.is_char_boundary(length) {
            length -= 1;
        }
        let mut bytes = [0; Name::LONGEST];
        bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
        Name { bytes, length }
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        // Cut between characters, so it is text.
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

/// Takes the children of an element; each must be read to its end.
type OnChild<'a, 'p, R> = dyn FnMut(&mut Xml<'p, R>, &str) -> Result<()> + 'a;

impl<'p, R: BufRead> Xml<'p, R> {
    pub(super) fn new(path: &'p Path, content: R) -> Xml<'p, R> {
        let mut reader = Reader::from_reader(Bounded {
            content,
            left: LONGEST,
        });
        // One way to read <X/> and <X></X>.
        reader.config_mut().expand_empty_elements = true;
        Xml {
            path,
            reader,
            buffer: Vec::new(),
            attributes: String::new(),
            articles: 0,
            pmid: None,
        }
    }

    /// Reads up to the first element, which must have one of these names.
    pub(super) fn root(&mut self, names: &[&str]) -> Result<()> {
        loop {
            self.buffer.clear();
            let event = match self.reader.read_event_into(&mut self.buffer) {
                Ok(event) => event,
                Err(error) => return Err(self.broken(&error)),
            };
            let found = match event {
                Event::Start(start) => {
                    let name = Name::new(start.local_name().as_ref());
                    if names.iter().any(|of| *of == &*name) {
                        return Ok(());
                    }
                    format!("<{}>", &*name)
                }
                Event::Text(text) if text.trim().is_empty() => continue,
                Event::Decl(declaration) => match declaration.encoding() {
                    Some(Ok(encoding)) if !encoding.eq_ignore_ascii_case("utf-8") => {
                        let found = format!("the encoding {encoding:?}");
                        return Err(self.fault(format!("expected XML in UTF-8, found {found}")));
                    }
                    _ => continue,
                },
                Event::Comment(_) | Event::PI(_) | Event::DocType(_) => continue,
                Event::Text(text) => {
                    format!("{:?}", text.trim().chars().take(40).collect::<String>())
                }
                Event::Eof => "the end of the file".to_owned(),
                _ => "text".to_owned(),
            };
            return Err(self.fault(format!("expected <{}> of PubMed, found {found}", names[0])));
        }
    }

    /// After the root was closed: nothing may follow but blanks and comments.
    pub(super) fn end(&mut self) -> Result<()> {
        (self.articles, self.pmid) = (0, None);
        loop {
            self.buffer.clear();
            match self.reader.read_event_into(&mut self.buffer) {
                Ok(Event::Eof) => return Ok(()),
                Ok(Event::Comment(_) | Event::PI(_)) => {}
                Ok(Event::Text(text)) if text.trim().is_empty() => {}
                Ok(_) => {
                    let found = "expected the end of the file behind the last element, found more";
                    return Err(self.fault(found.into()));
                }
                Err(error) => return Err(self.broken(&error)),
            }
        }
    }

    /// An article begins, for errors and the bound on its length.
    pub(super) fn begin_article(&mut self) {
        self.articles += 1;
        self.pmid = None;
        self.reader.get_mut().left = LONGEST;
    }

    /// Reads the element that was opened to its end, its text into `plain` where there is one.
    fn step(&mut self, plain: Option<&mut Plain>) -> Result<Step> {
        self.buffer.clear();
        let event = match self.reader.read_event_into(&mut self.buffer) {
            Ok(event) => event,
            Err(error) => return Err(self.broken(&error)),
        };
        match event {
            Event::Start(start) => {
                self.attributes.clear();
                self.attributes.push_str(start.attributes_raw());
                return Ok(Step::Open(Name::new(start.local_name().as_ref())));
            }
            Event::End(_) => return Ok(Step::Close),
            Event::Text(text) => {
                if let Some(plain) = plain {
                    plain.push(&text);
                }
            }
            Event::CData(text) => {
                if let Some(plain) = plain {
                    plain.push(&text);
                }
            }
            Event::GeneralRef(reference) => {
                if let Some(plain) = plain
                    && let Err(message) = resolve(&reference, plain)
                {
                    return Err(self.fault(message));
                }
            }
            Event::Eof => {
                let message = "expected the end of the element, found the end of the file";
                return Err(self.fault(message.into()));
            }
            // Empty elements come as a start and an end.
            Event::Empty(_)
            | Event::Comment(_)
            | Event::PI(_)
            | Event::Decl(_)
            | Event::DocType(_) => {}
        }
        Ok(Step::Within)
    }

    /// Hands on each child of the element that was opened last.
    pub(super) fn children(&mut self, on_child: &mut OnChild<'_, 'p, R>) -> Result<()> {
        loop {
            match self.step(None)? {
                Step::Open(name) => on_child(self, &name)?,
                Step::Close => return Ok(()),
                Step::Within => {}
            }
        }
    }

    /// Passes over the element that was opened last.
    pub(super) fn skip(&mut self) -> Result<()> {
        let mut depth = 0usize;
        loop {
            match self.step(None)? {
                Step::Open(_) => depth += 1,
                Step::Close if depth == 0 => return Ok(()),
                Step::Close => depth -= 1,
                Step::Within => {}
            }
        }
    }

    /// The text of the element that was opened last, without its mark-up.
    pub(super) fn text(&mut self) -> Result<String> {
        let mut plain = Plain::default();
        loop {
            match self.step(Some(&mut plain))? {
                Step::Open(name) => plain.open(&name),
                Step::Close => {
                    if !plain.close() {
                        return Ok(plain.finish());
                    }
                }
                Step::Within => {}
            }
        }
    }

    /// An attribute of the element that was opened last, before anything of it is read.
    pub(super) fn attribute(&self, name: &str) -> Result<Option<String>> {
        attributes::value(&self.attributes, name).map_err(|error| {
            let found = format!("expected attributes as name=\"value\", found {error}");
            self.fault(found)
        })
    }

    /// A fault at the place that was read last.
    pub(super) fn fault(&self, message: String) -> Error {
        Error::Xml {
            path: self.path.to_owned(),
            place: self.place(self.reader.buffer_position()),
            message,
        }
    }

    /// A field of an article that is missing or holds something else than it should.
    pub(super) fn field(&self, expected: &str, found: String) -> Error {
        Error::Field {
            path: self.path.to_owned(),
            place: self.place(self.reader.buffer_position()),
            expected: expected.into(),
            found,
        }
    }

    fn place(&self, byte: u64) -> String {
        match (self.articles, &self.pmid) {
            (0, _) => format!("byte {byte}"),
            (_, Some(pmid)) => format!("PMID {pmid}, byte {byte}"),
            (number, None) => format!("record {number}, byte {byte}"),
        }
    }

    /// What the parser could not read.
    fn broken(&self, error: &quick_xml::Error) -> Error {
        let path = self.path.to_owned();
        if let quick_xml::Error::Io(error) = error {
            let inner = error.get_ref();
            if inner.is_some_and(|inner| inner.is::<TooLong>()) {
                return self.fault(TooLong.to_string());
            }
            return match inner.and_then(|inner| inner.downcast_ref::<Corrupt>()) {
                Some(Corrupt(found)) => Error::Gzip {
                    path,
                    found: found.clone(),
                },
                None => Error::Io {
                    path,
                    source: io::Error::new(error.kind(), error.to_string()),
                },
            };
        }
        let byte = match error {
            quick_xml::Error::Syntax(_) | quick_xml::Error::IllFormed(_) => {
                self.reader.error_position()
            }
            _ => self.reader.buffer_position(),
        };
        Error::Xml {
            path,
            place: self.place(byte),
            message: format!("not XML: {error}"),
        }
    }
}

/// What a reference stands for: a character by its number, one of the five of XML, or one that HTML has. Any other is
/// kept as it is written: what a file's own definitions say is not read.
fn resolve(reference: &BytesRef<'_>, plain: &mut Plain) -> std::result::Result<(), String> {
    let name: &str = reference;
    if reference.is_char_ref() {
        return match reference.resolve_char_ref() {
            Ok(Some(c)) => {
                plain.push(c.encode_utf8(&mut [0; 4]));
                Ok(())
            }
            _ => Err(format!(
                "expected the number of a character, found &{name};"
            )),
        };
    }
    let whole = format!("&{name};");
    match name {
        "lt" => plain.push("<"),
        "gt" => plain.push(">"),
        "amp" => plain.push("&"),
        "quot" => plain.push("\""),
        "apos" => plain.push("'"),
        _ => plain.push(&html_escape::decode_html_entities(&whole)),
    }
    Ok(())
}

/// A source of bytes that ends with an error where an article does not.
struct Bounded<R> {
    content: R,
    left: u64,
}

#[derive(Debug)]
struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "expected an article of at most {} MiB, found a longer one",
            LONGEST >> 20
        )
    }
}

impl std::error::Error for TooLong {}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Err(io::Error::other(TooLong));
        }
        self.content.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes as u64);
        self.content.consume(bytes);
    }
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}
