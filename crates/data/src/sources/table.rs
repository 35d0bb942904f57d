//! Own rows, as JSON lines or as CSV (or TSV) with a header: `question`, `label` and `rationale`
//! and, where wanted, `context`, `id`, `group` and `split`, under these names or those of a
//! [`ColumnMapping`]. Other fields are passed over, so that the files of a finished data set can be read
//! back.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::fields::Row;
use super::hashed::Hashed;
use super::piece::{Emit, Piece, ROWS, Rows, file_name};
use super::quotes::{QuoteFault, Quotes};
use crate::manifest::FileRecord;
use crate::normal::abstract_key;
use crate::{ColumnMapping, Error, RawItem, Result};

/// Reads JSON lines. Blank ones are passed over.
pub(super) fn jsonl(
    path: &Path,
    columns: &ColumnMapping,
    rationales: bool,
    emit: &mut Emit<'_>,
) -> Result<FileRecord> {
    let table = Arc::new(Table::new(path, "jsonl", columns, rationales));
    lines(path, &mut |piece, first| {
        let table = Arc::clone(&table);
        emit(Box::new(move || table.lines(&piece, first)))
    })
}

/// Cuts a file into pieces of whole lines, each with the number of its first line.
pub(super) fn lines(
    path: &Path,
    on_piece: &mut dyn FnMut(Vec<u8>, usize) -> Result<()>,
) -> Result<FileRecord> {
    let mut file = Hashed::open(path)?;
    let mut bytes = Vec::new();
    let mut line = 1;
    loop {
        let more = file.append(&mut bytes)? > 0;
        // Whole lines only; at the end what there is.
        let cut = match more {
            true => memchr::memrchr(b'\n', &bytes).map_or(0, |last| last + 1),
            false => bytes.len(),
        };
        let rest = bytes.split_off(cut);
        let piece = std::mem::replace(&mut bytes, rest);
        if !piece.is_empty() {
            let first = line;
            line += memchr::memchr_iter(b'\n', &piece).count();
            on_piece(piece, first)?;
        }
        if !more {
            return file.record();
        }
    }
}

/// Reads comma-separated values with a header; tab-separated ones where the name ends in `.tsv`.
pub(super) fn csv(
    path: &Path,
    columns: &ColumnMapping,
    rationales: bool,
    emit: &mut Emit<'_>,
) -> Result<FileRecord> {
    let table = Arc::new(Table::new(path, "csv", columns, rationales));
    let mut needed = vec![columns.question.as_str(), columns.label.as_str()];
    needed.extend(rationales.then_some(columns.rationale.as_str()));
    let names: Vec<&str> = columns.names().collect();
    records(path, &needed, &names, &mut |piece, first, header| {
        let (table, header) = (Arc::clone(&table), Arc::clone(header));
        emit(Box::new(move || table.records(&piece, first, &header)) as Piece)
    })
}

/// Takes the records of a table with their number from 0 and its header.
type OnRecords<'a> = dyn FnMut(Vec<csv::StringRecord>, usize, &Arc<Vec<String>>) -> Result<()> + 'a;

/// Reads a table that has the columns `needed`, and each of `names` once at most.
pub(super) fn records(
    path: &Path,
    needed: &[&str],
    names: &[&str],
    on_records: &mut OnRecords<'_>,
) -> Result<FileRecord> {
    let mut file = Hashed::open(path)?;
    let delimiter = delimiter(path);
    let mut quotes = Quotes::new(&mut file, delimiter);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .from_reader(&mut quotes);
    let fault = |error: csv::Error| csv_error(path, &error);
    let header = header_of(&mut reader).map_err(fault)?;
    // A missing column is reported once, with the name looked for, not with the first row.
    for name in needed {
        if !header.iter().any(|of| of == name) {
            return Err(Error::Field {
                path: path.to_owned(),
                place: "line 1".into(),
                expected: format!("column {name:?}"),
                found: format!("columns {}", named(&header)),
            });
        }
    }
    for name in names {
        if header.iter().filter(|of| of == name).count() > 1 {
            return Err(Error::Field {
                path: path.to_owned(),
                place: "line 1".into(),
                expected: format!(
                    "one column {name:?}; rename the others, or choose one by its name"
                ),
                found: format!("columns {}", named(&header)),
            });
        }
    }
    let header = Arc::new(header);
    let mut records = reader.into_records();
    let mut number = 0;
    loop {
        let piece: Vec<csv::StringRecord> = records
            .by_ref()
            .take(ROWS)
            .collect::<std::result::Result<_, _>>()
            .map_err(fault)?;
        if piece.is_empty() {
            break;
        }
        let first = number;
        number += piece.len();
        on_records(piece, first, &header)?;
    }
    drop(records);
    file.record()
}

/// The names of columns in quotes: they may hold anything.
fn named(header: &[String]) -> String {
    let names: Vec<String> = header.iter().map(|name| format!("{name:?}")).collect();
    names.join(", ")
}

/// What separates the fields: commas, or tabs where the name ends in `.tsv`.
pub(super) fn delimiter(path: &Path) -> u8 {
    let tabs = path.extension();
    match tabs.is_some_and(|end| end.eq_ignore_ascii_case("tsv")) {
        true => b'\t',
        false => b',',
    }
}

/// The names of a table's columns.
pub(super) fn header_of<R: std::io::Read>(reader: &mut csv::Reader<R>) -> csv::Result<Vec<String>> {
    Ok(reader.headers()?.iter().map(Into::into).collect())
}

pub(super) fn csv_error(path: &Path, error: &csv::Error) -> Error {
    if let csv::ErrorKind::Io(fault) = error.kind()
        && let Some(fault) = fault.get_ref()
        && let Some(fault) = fault.downcast_ref::<QuoteFault>()
    {
        return Error::Json {
            path: path.to_owned(),
            line: fault.line,
            message: fault.to_string(),
        };
    }
    let line = error
        .position()
        .map_or(1, |position| position.line() as usize);
    let message = match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!("expected {expected_len} fields as in the header, found {len}"),
        csv::ErrorKind::Utf8 { err, .. } => format!("expected UTF-8, found {err}"),
        _ => error.to_string(),
    };
    Error::Json {
        path: path.to_owned(),
        line,
        message,
    }
}

/// A JSON object without repeated keys: of two values the later would win silently.
pub(super) struct Fields(pub(super) Value);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(
                self,
                mut map: M,
            ) -> std::result::Result<Fields, M::Error> {
                let mut fields = Map::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    if fields.contains_key(&key) {
                        let fault = format!("expected each field once, found {key:?} twice");
                        return Err(de::Error::custom(fault));
                    }
                    fields.insert(key, value);
                }
                Ok(Fields(Value::Object(fields)))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// The objects of whole lines, each with its line. Blank lines are passed over.
pub(super) fn objects(
    path: &Path,
    bytes: &[u8],
    first: usize,
    each: &mut dyn FnMut(&Value, usize) -> Result<()>,
) -> Result<()> {
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let number = first + index;
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let object = match line[0] {
            b'{' => serde_json::from_slice(line).map(|Fields(object)| object),
            // The first field that is looked for reports what else it is.
            _ => serde_json::from_slice(line),
        };
        let object = object.map_err(|error| Error::json(path, number, &error))?;
        each(&object, number)?;
    }
    Ok(())
}

/// A record as an object, and its place. An empty field of a table is a missing one.
pub(super) fn object(record: &csv::StringRecord, header: &[String]) -> (Value, String) {
    let fields = header
        .iter()
        .zip(record)
        .filter(|(_, text)| !text.is_empty());
    let fields = fields.map(|(name, text)| (name.clone(), Value::from(text)));
    let line = record.position().map_or(0, csv::Position::line);
    (Value::Object(fields.collect()), format!("line {line}"))
}

/// A file of rows and what its columns are called.
pub(super) struct Table {
    path: std::path::PathBuf,
    name: String,
    source: &'static str,
    columns: ColumnMapping,
    /// A row without a rationale is an error.
    rationales: bool,
}

impl Table {
    pub(super) fn new(
        path: &Path,
        source: &'static str,
        columns: &ColumnMapping,
        rationales: bool,
    ) -> Table {
        Table {
            path: path.to_owned(),
            name: file_name(path),
            source,
            columns: columns.clone(),
            rationales,
        }
    }

    fn lines(&self, bytes: &[u8], first: usize) -> Result<Rows> {
        let mut rows = Rows::default();
        objects(&self.path, bytes, first, &mut |object, number| {
            rows.rows
                .push(self.item(object, format!("line {number}"), number)?);
            Ok(())
        })?;
        Ok(rows)
    }

    fn records(
        &self,
        records: &[csv::StringRecord],
        first: usize,
        header: &[String],
    ) -> Result<Rows> {
        let mut rows = Rows::default();
        for (index, record) in records.iter().enumerate() {
            let (object, place) = object(record, header);
            rows.rows
                .push(self.item(&object, place, first + index + 1)?);
        }
        Ok(rows)
    }

    pub(super) fn item(&self, object: &Value, place: String, number: usize) -> Result<RawItem> {
        let row = Row {
            path: &self.path,
            place,
            object,
        };
        let columns = &self.columns;
        let question = row.text(&columns.question)?.to_owned();
        let word = row.word(&columns.label)?;
        let label = columns.read_label(&word);
        let label =
            label.ok_or_else(|| row.no_label(&columns.label, &columns.label_words(), &word))?;
        let answer = match self.rationales {
            true => row.text(&columns.rationale)?,
            false => row.optional_text(&columns.rationale)?.unwrap_or_default(),
        }
        .to_owned();
        let context = row.optional_text(&columns.context)?.map(str::to_owned);
        let mut group: Vec<String> = row.optional_word(&columns.group)?.into_iter().collect();
        group.extend(context.as_deref().and_then(abstract_key));
        let id = match row.optional_word(&columns.id)? {
            Some(id) if !id.trim().is_empty() => id,
            _ => format!("{}:{}:{number}", self.source, self.name),
        };
        Ok(RawItem {
            id,
            question,
            label: Some(label),
            answer,
            source: self.source,
            group,
            context,
            split: row.split(&columns.split)?,
            year: None,
            mesh: Vec::new(),
            results_from: None,
        })
    }
}
