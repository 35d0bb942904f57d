//! PubMedQA as the Hugging Face hub keeps it (`qiaojin/PubMedQA`): Parquet with the columns `pubid`,
//! `question`, `context` (a struct of lists: `contexts`, `meshes` and others), `long_answer` and, except for
//! the unlabelled part, `final_decision`. Other columns are passed over.
//!
//! Pages are read and unpacked as rows are wanted, so that a page of each column is in memory, not a
//! row group; texts are taken out of them on the workers. This layout has no years.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::parquet::basic::{Compression, Type};
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use ::parquet::data_type::{ByteArray, ByteArrayType, DataType};
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use ::parquet::schema::types::{ColumnDescPtr, SchemaDescriptor};

use super::hashed::Hashed;
use super::piece::{Emit, ROWS, Reading, Rows};
use super::pubmedqa::{Parts, item};
use crate::manifest::FileRecord;
use crate::{Error, Label, Result, Source};

/// What a file begins and ends with.
const MAGIC: &[u8] = b"PAR1";

/// Reads a file.
pub(super) fn read(
    path: &Path,
    source: &'static str,
    reading: Reading,
    emit: &mut Emit<'_>,
) -> Result<FileRecord> {
    let file = whole(path)?;
    let reader = guarded(|| SerializedFileReader::new(file))
        .map_err(|error| broken(path, "footer", "a readable footer", &error))?;
    let layout = Layout::of(
        path,
        reader.metadata().file_metadata().schema_descr(),
        source,
        reading.rationales,
    )?;
    let about = Arc::new(About {
        path: path.to_owned(),
        source,
        reading,
    });
    let mut row = 1;
    for number in 0..reader.num_row_groups() {
        let group = guarded(|| reader.get_row_group(number))
            .map_err(|error| broken(path, &format!("row {row}"), "a readable row group", &error))?;
        let mut group = Group::open(&layout, path, row, &*group)?;
        loop {
            let piece = group.piece(Arc::clone(&about))?;
            if piece.rows == 0 {
                break;
            }
            row += piece.rows;
            emit(Box::new(move || piece.read()))?;
        }
    }
    Hashed::open_binary(path)?.record()
}

/// Opens a file, after a look at both its ends: a download that broke off lacks the second.
pub(super) fn whole(path: &Path) -> Result<File> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let length = file.metadata().map_err(Error::io(path))?.len();
    let ends = [
        ("beginning", SeekFrom::Start(0)),
        ("end", SeekFrom::End(-4)),
    ];
    for (place, from) in ends {
        let mut mark = [0; 4];
        let found = match length < 12 {
            true => format!("a file of {length} bytes"),
            false => {
                let read = file.seek(from).and_then(|_| file.read_exact(&mut mark));
                read.map_err(Error::io(path))?;
                format!("\"{}\"", mark.escape_ascii())
            }
        };
        if mark != MAGIC {
            return Err(Error::Field {
                path: path.to_owned(),
                place: place.into(),
                expected: "\"PAR1\" as in a whole Parquet file".into(),
                found,
            });
        }
    }
    Ok(file)
}

/// Calls the crate, which panics over some spoilt pages and offsets.
pub(super) fn guarded<T>(
    call: impl FnOnce() -> ::parquet::errors::Result<T>,
) -> ::parquet::errors::Result<T> {
    // What was half read is not looked at again: a fault ends the reading.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(ParquetError::General(message.unwrap_or_default()))
    })
}

/// Is a column compressed in a way that can be read?
pub(super) fn check_compression(path: &Path, column: &str, found: Compression) -> Result<()> {
    match found {
        Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_) => Ok(()),
        _ => Err(Error::Compression {
            path: path.to_owned(),
            column: column.to_owned(),
            found: found.to_string(),
        }),
    }
}

/// What the crate could not read.
pub(super) fn broken(path: &Path, place: &str, expected: &str, error: &ParquetError) -> Error {
    Error::Field {
        path: path.to_owned(),
        place: place.into(),
        expected: expected.into(),
        found: error.to_string(),
    }
}

/// Our columns among the leaves of the file.
struct Layout {
    pubid: Leaf,
    question: Leaf,
    contexts: Leaf,
    meshes: Option<Leaf>,
    long_answer: Option<Leaf>,
    final_decision: Option<Leaf>,
}

/// A column without columns below.
struct Leaf {
    name: &'static str,
    index: usize,
    column: ColumnDescPtr,
}

/// What a column must hold.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Number,
    Text,
    Texts,
}

impl Kind {
    fn describe(self) -> &'static str {
        match self {
            Kind::Number => "whole numbers",
            Kind::Text => "text",
            Kind::Texts => "lists of texts",
        }
    }

    fn fits(self, leaf: &ColumnDescPtr) -> bool {
        match (self, leaf.physical_type()) {
            (Kind::Number, Type::INT32 | Type::INT64) | (Kind::Text, Type::BYTE_ARRAY) => {
                leaf.max_rep_level() == 0
            }
            (Kind::Texts, Type::BYTE_ARRAY) => leaf.max_rep_level() == 1,
            _ => false,
        }
    }
}

impl Layout {
    fn of(
        path: &Path,
        schema: &SchemaDescriptor,
        source: &str,
        rationales: bool,
    ) -> Result<Layout> {
        let find = |name, kind| find(path, schema, name, kind);
        let need = |name, kind: Kind| match find(name, kind)? {
            Some(leaf) => Ok(leaf),
            None => {
                let fields = schema.root_schema().get_fields();
                let names: Vec<&str> = fields.iter().map(|field| field.name()).collect();
                Err(Error::Field {
                    path: path.to_owned(),
                    place: "schema".into(),
                    expected: format!("column {name:?} of {}", kind.describe()),
                    found: match names.is_empty() {
                        true => "no columns".into(),
                        false => format!("columns {}", names.join(", ")),
                    },
                })
            }
        };
        Ok(Layout {
            pubid: need("pubid", Kind::Number)?,
            question: need("question", Kind::Text)?,
            contexts: need("context.contexts", Kind::Texts)?,
            meshes: find("context.meshes", Kind::Texts)?,
            long_answer: match rationales {
                true => Some(need("long_answer", Kind::Text)?),
                false => find("long_answer", Kind::Text)?,
            },
            final_decision: match Source::labels(source) {
                true => Some(need("final_decision", Kind::Text)?),
                false => None,
            },
        })
    }
}

/// The column of that name. How writers call what is inside of a list differs, and does not matter.
fn find(
    path: &Path,
    schema: &SchemaDescriptor,
    name: &'static str,
    kind: Kind,
) -> Result<Option<Leaf>> {
    let wanted: Vec<&str> = name.split('.').collect();
    let ours = |column: &ColumnDescPtr| {
        let parts = column.path().parts();
        parts.len() >= wanted.len() && parts.iter().zip(&wanted).all(|(part, name)| part == name)
    };
    let leaves = schema.columns().iter().enumerate();
    let leaves: Vec<(usize, &ColumnDescPtr)> = leaves.filter(|(_, leaf)| ours(leaf)).collect();
    let found = match leaves.as_slice() {
        [] => return Ok(None),
        [(index, leaf)] if kind.fits(leaf) => {
            return Ok(Some(Leaf {
                name,
                index: *index,
                column: Arc::clone(leaf),
            }));
        }
        [(_, leaf)] if leaf.max_rep_level() > 0 => format!("lists of {}", leaf.physical_type()),
        [(_, leaf)] => leaf.physical_type().to_string(),
        leaves => format!("a struct of {} columns", leaves.len()),
    };
    Err(Error::Field {
        path: path.to_owned(),
        place: "schema".into(),
        expected: format!("column {name:?} of {}", kind.describe()),
        found,
    })
}

/// Our columns of a row group, as far as they were read.
struct Group<'a> {
    path: &'a Path,
    /// The next row in the file, from 1.
    row: usize,
    left: usize,
    pubid: Numbers,
    question: Texts,
    contexts: Texts,
    meshes: Option<Texts>,
    long_answer: Option<Texts>,
    final_decision: Option<Texts>,
}

/// `pubid`, which writers keep in 32 bits or in 64.
enum Numbers {
    Short(Column<::parquet::data_type::Int32Type>),
    Long(Column<::parquet::data_type::Int64Type>),
}

type Texts = Column<ByteArrayType>;

/// A column of a row group.
struct Column<T: DataType> {
    name: &'static str,
    reader: ColumnReaderImpl<T>,
    levels: Levels,
}

/// What the levels of a column mean: the one at which there is a value, and the one at which a
/// list has an entry, be it null.
#[derive(Clone, Copy)]
struct Levels {
    value: i16,
    entry: i16,
}

impl<'a> Group<'a> {
    fn open(
        layout: &Layout,
        path: &'a Path,
        row: usize,
        group: &dyn RowGroupReader,
    ) -> Result<Group<'a>> {
        let open = |leaf: &Leaf| open(leaf, path, row, group);
        let text = |leaf: &Leaf| match open(leaf)? {
            ColumnReader::ByteArrayColumnReader(reader) => Ok(Column::new(leaf, reader)),
            _ => unreachable!("the layout was checked"),
        };
        Ok(Group {
            path,
            row,
            left: usize::try_from(group.metadata().num_rows()).unwrap_or(0),
            pubid: match open(&layout.pubid)? {
                ColumnReader::Int32ColumnReader(reader) => {
                    Numbers::Short(Column::new(&layout.pubid, reader))
                }
                ColumnReader::Int64ColumnReader(reader) => {
                    Numbers::Long(Column::new(&layout.pubid, reader))
                }
                _ => unreachable!("the layout was checked"),
            },
            question: text(&layout.question)?,
            contexts: text(&layout.contexts)?,
            meshes: layout.meshes.as_ref().map(text).transpose()?,
            long_answer: layout.long_answer.as_ref().map(text).transpose()?,
            final_decision: layout.final_decision.as_ref().map(text).transpose()?,
        })
    }

    /// The next rows; none at the end.
    fn piece(&mut self, about: Arc<About>) -> Result<Piece> {
        let rows = self.left.min(ROWS);
        let (path, row) = (self.path, self.row);
        let text = |column: &mut Texts| column.take(rows, path, row);
        let piece = Piece {
            about,
            row,
            rows,
            pubid: match &mut self.pubid {
                Numbers::Short(column) => column.take(rows, path, row)?.map(i64::from),
                Numbers::Long(column) => column.take(rows, path, row)?,
            },
            question: text(&mut self.question)?,
            contexts: text(&mut self.contexts)?,
            meshes: self.meshes.as_mut().map(text).transpose()?,
            long_answer: self.long_answer.as_mut().map(text).transpose()?,
            final_decision: self.final_decision.as_mut().map(text).transpose()?,
        };
        self.row += rows;
        self.left -= rows;
        Ok(piece)
    }
}

fn open(leaf: &Leaf, path: &Path, row: usize, group: &dyn RowGroupReader) -> Result<ColumnReader> {
    let place = format!("row {row}");
    let chunk = group.metadata().column(leaf.index);
    let expected = format!("a readable column {:?}", leaf.name);
    check_compression(path, leaf.name, chunk.compression())?;
    guarded(|| group.get_column_reader(leaf.index))
        .map_err(|error| broken(path, &place, &expected, &error))
}

impl<T: DataType> Column<T> {
    fn new(leaf: &Leaf, reader: ColumnReaderImpl<T>) -> Column<T> {
        let value = leaf.column.max_def_level();
        Column {
            name: leaf.name,
            reader,
            levels: Levels {
                value,
                entry: value - i16::from(leaf.column.self_type().is_optional()),
            },
        }
    }

    /// The cells of the next rows, of which there must be as many.
    fn take(&mut self, rows: usize, path: &Path, row: usize) -> Result<Cells<T::T>> {
        let mut cells = Cells {
            levels: self.levels,
            defined: Vec::new(),
            repeated: Vec::new(),
            values: Vec::new(),
        };
        let (defined, repeated) = (&mut cells.defined, &mut cells.repeated);
        let (reader, values) = (&mut self.reader, &mut cells.values);
        let read = guarded(|| reader.read_records(rows, Some(defined), Some(repeated), values));
        let place = format!("row {row}");
        match read {
            Ok((read, ..)) if read == rows => Ok(cells),
            Ok((read, ..)) => Err(Error::Field {
                path: path.to_owned(),
                place,
                expected: format!("column {:?} with {rows} more rows", self.name),
                found: read.to_string(),
            }),
            Err(error) => {
                let expected = format!("a readable column {:?}", self.name);
                Err(broken(path, &place, &expected, &error))
            }
        }
    }
}

/// Some rows of a column as they were read: values, and the levels that say which rows they belong to.
struct Cells<T> {
    levels: Levels,
    /// Empty where every row has a value.
    defined: Vec<i16>,
    /// Empty where no row is a list.
    repeated: Vec<i16>,
    values: Vec<T>,
}

impl<T> Cells<T> {
    fn map<U>(self, to: impl FnMut(T) -> U) -> Cells<U> {
        Cells {
            levels: self.levels,
            defined: self.defined,
            repeated: self.repeated,
            values: self.values.into_iter().map(to).collect(),
        }
    }

    /// Each row's value, or null.
    fn flat(&self) -> impl Iterator<Item = Option<&T>> {
        let mut values = self.values.iter();
        let rows = self.defined.len().max(self.values.len());
        (0..rows).map(move |row| match self.defined.get(row) {
            Some(&level) if level != self.levels.value => None,
            _ => values.next(),
        })
    }

    /// Each row's list. A null in the place of a list is an empty one.
    fn lists(&self) -> impl Iterator<Item = Vec<Option<&T>>> {
        let mut values = self.values.iter();
        let mut at = 0;
        std::iter::from_fn(move || {
            let mut list = Vec::new();
            let from = at;
            while at < self.repeated.len() && (at == from || self.repeated[at] > 0) {
                let level = self
                    .defined
                    .get(at)
                    .map_or(self.levels.value, |&level| level);
                if level == self.levels.value {
                    list.push(values.next());
                } else if level >= self.levels.entry {
                    list.push(None);
                }
                at += 1;
            }
            (at > from).then_some(list)
        })
    }
}

/// What all pieces of a file share.
struct About {
    path: PathBuf,
    source: &'static str,
    reading: Reading,
}

/// Consecutive rows, by column.
struct Piece {
    about: Arc<About>,
    /// The first one in the file, from 1.
    row: usize,
    rows: usize,
    pubid: Cells<i64>,
    question: Cells<ByteArray>,
    contexts: Cells<ByteArray>,
    meshes: Option<Cells<ByteArray>>,
    long_answer: Option<Cells<ByteArray>>,
    final_decision: Option<Cells<ByteArray>>,
}

impl Piece {
    fn read(self) -> Result<Rows> {
        let About {
            path,
            source,
            reading,
        } = &*self.about;
        let mut rows = Rows::default();
        let mut pubids = self.pubid.flat();
        let mut questions = self.question.flat();
        let mut bodies = self.contexts.lists();
        let mut meshes = self.meshes.as_ref().map(Cells::lists);
        let mut answers = self.long_answer.as_ref().map(Cells::flat);
        let mut labels = self.final_decision.as_ref().map(Cells::flat);
        for number in self.row..self.row + self.rows {
            let mut place = RowLocation {
                path,
                row: number,
                pmid: None,
            };
            let pmid = pubids.next().flatten();
            let pmid = pmid.ok_or_else(|| {
                place.fault("field \"pubid\" as a whole number".into(), "nothing".into())
            })?;
            let pmid = place.pmid.insert(pmid.to_string()).clone();
            let question = place.text("question", questions.next().flatten())?;
            let label = match &mut labels {
                Some(labels) => Some(place.label(labels.next().flatten())?),
                None => None,
            };
            let answer = match answers.as_mut().and_then(Iterator::next).flatten() {
                None if !reading.rationales => String::new(),
                cell => place.text("long_answer", cell)?,
            };
            let body = place.texts("contexts", bodies.next())?;
            let mesh = match &mut meshes {
                Some(meshes) => place.texts("meshes", meshes.next())?,
                None => Vec::new(),
            };
            let parts = Parts {
                pmid: &pmid,
                question,
                label,
                answer,
                body: body.join(" "),
                results_from: None,
                year: None,
                mesh,
            };
            rows.rows.push(item(parts, source, reading.contexts));
        }
        Ok(rows)
    }
}

/// A row, for errors.
struct RowLocation<'a> {
    path: &'a Path,
    row: usize,
    pmid: Option<String>,
}

impl RowLocation<'_> {
    fn fault(&self, expected: String, found: String) -> Error {
        let pmid = self.pmid.as_ref();
        let pmid = pmid.map_or_else(String::new, |pmid| format!(" (PMID {pmid})"));
        Error::Field {
            path: self.path.to_owned(),
            place: format!("row {}{pmid}", self.row),
            expected,
            found,
        }
    }

    fn text(&self, name: &str, cell: Option<&ByteArray>) -> Result<String> {
        self.utf8(cell)
            .map_err(|found| self.fault(format!("field {name:?} as text"), found))
    }

    fn texts(&self, name: &str, list: Option<Vec<Option<&ByteArray>>>) -> Result<Vec<String>> {
        let list = list.unwrap_or_default().into_iter();
        list.map(|cell| {
            self.utf8(cell).map_err(|found| {
                let expected = format!("field {name:?} as a list of texts");
                self.fault(expected, format!("{found} in it"))
            })
        })
        .collect()
    }

    fn label(&self, cell: Option<&ByteArray>) -> Result<Label> {
        let text = self.text("final_decision", cell)?;
        Label::parse(&text).ok_or_else(|| {
            let expected = "field \"final_decision\" as yes, no, maybe or uncertain";
            self.fault(expected.into(), format!("{text:?}"))
        })
    }

    /// The text of a cell, or what it is instead.
    fn utf8(&self, cell: Option<&ByteArray>) -> std::result::Result<String, String> {
        let bytes = cell.ok_or("nothing")?.data();
        let text = std::str::from_utf8(bytes);
        text.map(str::to_owned)
            .map_err(|_| "bytes that are no UTF-8".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ::parquet::basic::Compression;

    use super::check_compression;

    #[test]
    fn a_codec_that_is_not_supported_is_named_and_the_hint_converts() {
        let check = |codec| check_compression(Path::new("a.parquet"), "question", codec);
        assert!(check(Compression::SNAPPY).is_ok());
        let error = check(Compression::LZ4).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a.parquet: column \"question\": expected no compression, Snappy or gzip, found LZ4"
        );
        assert!(error.hint().unwrap().contains("compression='snappy'"));
    }
}
