//! Rows of a user's table one by one, as JSON objects, for work that does not stop at a bad row: a row that cannot be
//! read is handed on as its fault. JSON lines, CSV or TSV, and Parquet. Faults of the file itself (another encoding, a
//! quote that never closes, a broken footer) end the reading: behind them nobody knows where a row begins.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::ops::ControlFlow;
use std::path::Path;

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::schema::types::Type;
use serde_json::{Map, Value};

use super::fields::kind;
use super::hashed::Hashed;
use super::own_parquet::value;
use super::parquet::{broken, check_compression, guarded, whole};
use super::quotes::Quotes;
use super::table::{Fields, csv_error, delimiter, header_of};
use crate::manifest::FileRecord;
use crate::{Error, Result, Source};

/// Bytes read at once.
const BUFFER: usize = 1 << 18;

/// One row of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableRow {
    /// Number among the rows of the file, from 1.
    pub number: usize,
    /// Where it is: `line 3`, or `row 3` of a Parquet file.
    pub place: String,
    /// The fields by their columns, or why they cannot be read. An empty field of a CSV table is left out.
    pub fields: std::result::Result<Map<String, Value>, String>,
}

/// A table as a whole, before its rows are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSurvey {
    /// Name, size and hash of the file.
    pub file: FileRecord,
    /// Number of rows.
    pub rows: usize,
    /// Names of the columns; none for JSON lines, whose rows name their own fields.
    pub columns: Option<Vec<String>>,
}

/// Takes one row; [`ControlFlow::Break`] ends the reading.
type Each<'a> = dyn FnMut(TableRow) -> ControlFlow<()> + 'a;

/// Reads a table once, without taking its rows apart: how many there are, and the file's hash.
///
/// # Errors
/// Every fault of the file itself, with the place; a folder, or a source that is no table.
pub fn survey_table(source: &Source) -> Result<TableSurvey> {
    let (file, rows, columns) = match table(source)? {
        (path, Format::Jsonl) => {
            let mut rows = 0;
            let file = lines(path, &mut |_, _| {
                rows += 1;
                ControlFlow::Continue(())
            })?;
            (file, rows, None)
        }
        (path, Format::Csv) => {
            let (mut rows, mut columns) = (0, Vec::new());
            let file = records(path, &mut |header, _| {
                rows += 1;
                columns = header.to_vec();
                ControlFlow::Continue(())
            })?;
            if rows == 0 {
                columns = header(path)?;
            }
            (file, rows, Some(columns))
        }
        (path, Format::Parquet) => {
            let reader = open(path)?;
            let about = reader.metadata().file_metadata();
            let fields = about.schema_descr().root_schema().get_fields();
            let columns = fields.iter().map(|of| of.name().to_owned()).collect();
            let rows = usize::try_from(about.num_rows()).unwrap_or(0);
            let file = Hashed::open_binary(path)?.record()?;
            (file, rows, Some(columns))
        }
    };
    Ok(TableSurvey {
        file,
        rows,
        columns,
    })
}

/// Hands on the rows of a table in the order of the file. Of a Parquet file only the columns that are `wanted` are read.
///
/// # Errors
/// As [`survey_table`].
pub fn table_rows(
    source: &Source,
    wanted: &dyn Fn(&str) -> bool,
    each: &mut Each<'_>,
) -> Result<()> {
    match table(source)? {
        (path, Format::Jsonl) => {
            let mut number = 0;
            lines(path, &mut |line, text| {
                number += 1;
                each(TableRow {
                    number,
                    place: format!("line {line}"),
                    fields: object(text),
                })
            })?;
        }
        (path, Format::Csv) => {
            let mut number = 0;
            records(path, &mut |header, record| {
                number += 1;
                let line = record.position().map_or(0, csv::Position::line);
                each(TableRow {
                    number,
                    place: format!("line {line}"),
                    fields: cells(header, record),
                })
            })?;
        }
        (path, Format::Parquet) => parquet_rows(path, wanted, each)?,
    }
    Ok(())
}

enum Format {
    Jsonl,
    Csv,
    Parquet,
}

/// The file of a table and its layout.
fn table(source: &Source) -> Result<(&Path, Format)> {
    let (path, format) = match source {
        Source::Jsonl(path) => (path, Format::Jsonl),
        Source::Csv(path) => (path, Format::Csv),
        Source::Parquet(path) => (path, Format::Parquet),
        other => {
            return Err(Error::SourceArgument {
                text: other.to_string(),
                expected: "a table: jsonl:PATH, csv:PATH or parquet:PATH",
                found: other.kind().to_owned(),
            });
        }
    };
    match path.is_dir() {
        true => Err(Error::Field {
            path: path.clone(),
            place: "input".into(),
            expected: "one file".into(),
            found: "a folder".into(),
        }),
        false => Ok((path, format)),
    }
}

/// Calls `each` with the number of every line that is not blank, and its bytes.
fn lines(path: &Path, each: &mut dyn FnMut(usize, &[u8]) -> ControlFlow<()>) -> Result<FileRecord> {
    let mut file = Hashed::open(path)?;
    let mut reader = BufReader::with_capacity(BUFFER, &mut file);
    let mut bytes = Vec::new();
    let mut line = 0;
    loop {
        bytes.clear();
        let read = reader.read_until(b'\n', &mut bytes);
        if read.map_err(Error::io(path))? == 0 {
            break;
        }
        line += 1;
        let text = bytes.trim_ascii();
        if !text.is_empty() && each(line, text).is_break() {
            break;
        }
    }
    drop(reader);
    file.record()
}

/// A line of JSON as an object.
fn object(line: &[u8]) -> std::result::Result<Map<String, Value>, String> {
    let text = std::str::from_utf8(line).map_err(|_| not_utf8())?;
    let read = match text.starts_with('{') {
        true => serde_json::from_str(text).map(|Fields(object)| object),
        false => serde_json::from_str(text),
    };
    match read {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Err(format!("expected an object, found {}", kind(&other))),
        Err(error) => {
            let text = error.to_string();
            let message = text.split(" at line ").next().unwrap_or(&text);
            Err(format!("column {}: {message}", error.column()))
        }
    }
}

fn not_utf8() -> String {
    "expected UTF-8, found other bytes".into()
}

/// Calls `each` with the header and every record.
fn records(
    path: &Path,
    each: &mut dyn FnMut(&[String], &csv::ByteRecord) -> ControlFlow<()>,
) -> Result<FileRecord> {
    let mut file = Hashed::open(path)?;
    let delimiter = delimiter(path);
    let mut quotes = Quotes::new(&mut file, delimiter);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .from_reader(&mut quotes);
    let fault = |error: csv::Error| csv_error(path, &error);
    let header = header_of(&mut reader).map_err(fault)?;
    let mut record = csv::ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(fault)? {
        if each(&header, &record).is_break() {
            break;
        }
    }
    drop(reader);
    file.record()
}

/// The header of a table.
fn header(path: &Path) -> Result<Vec<String>> {
    let mut file = Hashed::open(path)?;
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(path))
        .from_reader(&mut file);
    header_of(&mut reader).map_err(|error| csv_error(path, &error))
}

/// A record as an object.
fn cells(
    header: &[String],
    record: &csv::ByteRecord,
) -> std::result::Result<Map<String, Value>, String> {
    if record.len() != header.len() {
        let (expected, found) = (header.len(), record.len());
        return Err(format!(
            "expected {expected} fields as in the header, found {found}"
        ));
    }
    let mut fields = Map::new();
    for (name, cell) in header.iter().zip(record) {
        let text = std::str::from_utf8(cell).map_err(|_| not_utf8())?;
        if !text.is_empty() {
            // The first of two columns of one name counts; callers refuse such tables.
            fields
                .entry(name.clone())
                .or_insert_with(|| Value::from(text));
        }
    }
    Ok(fields)
}

fn open(path: &Path) -> Result<SerializedFileReader<File>> {
    let file = whole(path)?;
    guarded(|| SerializedFileReader::new(file))
        .map_err(|error| broken(path, "footer", "a readable footer", &error))
}

fn parquet_rows(path: &Path, wanted: &dyn Fn(&str) -> bool, each: &mut Each<'_>) -> Result<()> {
    let reader = open(path)?;
    let about = reader.metadata().file_metadata();
    let schema = about.schema_descr().root_schema();
    let ours = schema.get_fields().iter();
    let ours: Vec<_> = ours.filter(|of| wanted(of.name())).cloned().collect();
    for group in reader.metadata().row_groups() {
        for column in group.columns() {
            let name = &column.column_path().parts()[0];
            if ours.iter().any(|field| field.name() == name) {
                check_compression(path, name, column.compression())?;
            }
        }
    }
    let schema = Type::group_type_builder(schema.name())
        .with_fields(ours)
        .build()
        .map_err(|error| broken(path, "schema", "readable columns", &error))?;
    let mut rows = guarded(|| reader.get_row_iter(Some(schema)))
        .map_err(|error| broken(path, "schema", "readable columns", &error))?;
    for number in 1.. {
        let place = format!("row {number}");
        let row = guarded(|| rows.next().transpose())
            .map_err(|error| broken(path, &place, "a readable row", &error))?;
        let Some(row) = row else { break };
        let fields = row.get_column_iter();
        let fields = fields.map(|(name, field)| (name.clone(), value(field)));
        let row = TableRow {
            number,
            place,
            fields: Ok(fields.collect()),
        };
        if each(row).is_break() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, bytes: &[u8]) -> (tempfile::TempDir, Source) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        let source = match name.split('.').next_back() {
            Some("jsonl") => Source::Jsonl(path),
            Some("parquet") => Source::Parquet(path),
            _ => Source::Csv(path),
        };
        (folder, source)
    }

    fn all(source: &Source) -> Vec<TableRow> {
        let mut found = Vec::new();
        table_rows(source, &|_| true, &mut |row| {
            found.push(row);
            ControlFlow::Continue(())
        })
        .expect("read");
        found
    }

    #[test]
    fn bad_lines_are_handed_on_with_their_faults_and_the_rest_is_read() {
        let bytes = b"\xef\xbb\xbf{\"id\":1}\n\n{\"id\":\n[1]\n{\"a\":1,\"a\":2}\n{\"id\":\"\xe9\"}\n{\"id\":2}";
        let (_folder, source) = written("rows.jsonl", bytes);
        let rows = all(&source);
        let faults: Vec<(usize, &str, &str)> = rows
            .iter()
            .filter_map(|row| Some((row.number, row.place.as_str(), row.fields.as_ref().err()?)))
            .map(|(number, place, fault)| (number, place, fault.as_str()))
            .collect();
        assert_eq!(
            faults,
            [
                (2, "line 3", "column 6: EOF while parsing a value"),
                (3, "line 4", "expected an object, found a list"),
                (
                    4,
                    "line 5",
                    "column 13: expected each field once, found \"a\" twice"
                ),
                (5, "line 6", "expected UTF-8, found other bytes"),
            ]
        );
        assert_eq!(rows[5].fields.as_ref().expect("an object")["id"], 2);
        let survey = survey_table(&source).expect("read");
        assert_eq!((survey.rows, survey.columns), (6, None));
        assert_eq!(
            survey.file.sha256,
            verdict_common::hash::sha256(bytes),
            "of the whole file, the byte order mark included"
        );
    }

    #[test]
    fn a_record_of_other_length_is_a_fault_of_its_own_and_an_open_quote_one_of_the_file() {
        let (_folder, source) = written("rows.csv", b"id,text\n1,a\n2\n3,\"b\nc\"\n4,\xe9\n5,\n");
        let rows = all(&source);
        let faults: Vec<Option<&String>> =
            rows.iter().map(|row| row.fields.as_ref().err()).collect();
        let short = "expected 2 fields as in the header, found 1".to_owned();
        let bytes = not_utf8();
        assert_eq!(faults, [None, Some(&short), None, Some(&bytes), None]);
        assert_eq!(rows[2].fields.as_ref().expect("an object")["text"], "b\nc");
        assert!(
            rows[4]
                .fields
                .as_ref()
                .is_ok_and(|of| !of.contains_key("text"))
        );
        let survey = survey_table(&source).expect("read");
        assert_eq!(survey.rows, 5);
        assert_eq!(survey.columns.expect("a header"), ["id", "text"]);
        let (_folder, source) = written("rows.csv", b"id,text\n1,\"a\n");
        let error = survey_table(&source).expect_err("refused").to_string();
        assert!(
            error.contains("line 2: expected a closing quote"),
            "{error}"
        );
        let (_folder, source) = written("rows.csv", b"id,text\n");
        let survey = survey_table(&source).expect("read");
        assert_eq!(
            (survey.rows, survey.columns.map(|of| of.len())),
            (0, Some(2))
        );
    }

    #[test]
    fn what_is_no_table_is_refused() {
        let error = survey_table(&Source::Clinical).expect_err("refused");
        assert!(error.to_string().contains("expected a table"), "{error}");
        let folder = tempfile::tempdir().expect("a folder");
        let source = Source::Jsonl(folder.path().to_owned());
        let error = survey_table(&source).expect_err("refused").to_string();
        assert!(
            error.contains("expected one file, found a folder"),
            "{error}"
        );
        let (_folder, source) = written("rows.parquet", b"PAR1");
        let error = survey_table(&source).expect_err("refused").to_string();
        assert!(error.contains("whole Parquet file"), "{error}");
    }
}
