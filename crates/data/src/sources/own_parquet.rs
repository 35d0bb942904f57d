//! Own rows as Parquet: flat columns of the names that JSON lines have, `question`, `label`, `rationale` and, where
//! wanted, `context`, `id`, `group` and `split`, or those of a [`ColumnMapping`]. Other columns are passed over.

use std::path::Path;
use std::sync::Arc;

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::Field;
use ::parquet::schema::types::Type;
use serde_json::{Map, Value};

use super::hashed::Hashed;
use super::parquet::{broken, check_compression, guarded, whole};
use super::piece::{Emit, ROWS, Rows};
use super::table::Table;
use crate::manifest::FileRecord;
use crate::{ColumnMapping, Error, Result};

/// Reads a file.
pub(super) fn read(
    path: &Path,
    columns: &ColumnMapping,
    rationales: bool,
    emit: &mut Emit<'_>,
) -> Result<FileRecord> {
    let table = Arc::new(Table::new(path, "parquet", columns, rationales));
    let needed = [columns.question.as_str(), columns.label.as_str()];
    let names: Vec<&str> = columns.names().collect();
    pieces(path, &needed, &names, &mut |piece, before| {
        let table = Arc::clone(&table);
        emit(Box::new(move || {
            let mut rows = Rows::default();
            for (index, object) in piece.iter().enumerate() {
                let number = before + index + 1;
                rows.rows
                    .push(table.item(object, format!("row {number}"), number)?);
            }
            Ok(rows)
        }))
    })
}

/// Reads the columns `names` of a file that has those `needed`: pieces of rows as objects, each with the number of rows
/// before it.
pub(super) fn pieces(
    path: &Path,
    needed: &[&str],
    names: &[&str],
    on_piece: &mut dyn FnMut(Vec<Value>, usize) -> Result<()>,
) -> Result<FileRecord> {
    let file = whole(path)?;
    let reader = guarded(|| SerializedFileReader::new(file))
        .map_err(|error| broken(path, "footer", "a readable footer", &error))?;
    let wanted = projection(
        path,
        needed,
        names,
        reader
            .metadata()
            .file_metadata()
            .schema_descr()
            .root_schema(),
    )?;
    for group in reader.metadata().row_groups() {
        for column in group.columns() {
            let name = &column.column_path().parts()[0];
            if wanted.get_fields().iter().any(|field| field.name() == name) {
                check_compression(path, name, column.compression())?;
            }
        }
    }
    let mut rows = guarded(|| reader.get_row_iter(Some(wanted)))
        .map_err(|error| broken(path, "schema", "readable columns", &error))?;
    let mut first = 0;
    loop {
        let mut piece = Vec::with_capacity(ROWS);
        while piece.len() < ROWS {
            let row = guarded(|| rows.next().transpose());
            let place = || format!("row {}", first + piece.len() + 1);
            let row = row.map_err(|error| broken(path, &place(), "a readable row", &error))?;
            let Some(row) = row else { break };
            let fields = row.get_column_iter();
            let fields = fields.map(|(name, field)| (name.clone(), value(field)));
            piece.push(Value::Object(fields.collect::<Map<_, _>>()));
        }
        if piece.is_empty() {
            break;
        }
        let before = first;
        first += piece.len();
        on_piece(piece, before)?;
    }
    Hashed::open_binary(path)?.record()
}

/// The columns that are ours, as a schema. A missing one is reported once, not with the first row.
fn projection(path: &Path, needed: &[&str], names: &[&str], schema: &Type) -> Result<Type> {
    let there = |name: &str| schema.get_fields().iter().any(|field| field.name() == name);
    for name in needed {
        if !there(name) {
            let there: Vec<String> = schema
                .get_fields()
                .iter()
                .map(|field| format!("{:?}", field.name()))
                .collect();
            return Err(Error::Field {
                path: path.to_owned(),
                place: "schema".into(),
                expected: format!("column {name:?}"),
                found: format!("columns {}", there.join(", ")),
            });
        }
    }
    let ours = |name: &str| names.contains(&name);
    let fields = schema.get_fields().iter();
    let fields = fields.filter(|field| ours(field.name())).cloned();
    Type::group_type_builder(schema.name())
        .with_fields(fields.collect())
        .build()
        .map_err(|error| broken(path, "schema", "readable columns", &error))
}

/// A value as JSON has it.
pub(super) fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(value) => (*value).into(),
        Field::Byte(value) => (*value).into(),
        Field::Short(value) => (*value).into(),
        Field::Int(value) => (*value).into(),
        Field::Long(value) => (*value).into(),
        Field::UByte(value) => (*value).into(),
        Field::UShort(value) => (*value).into(),
        Field::UInt(value) => (*value).into(),
        Field::ULong(value) => (*value).into(),
        Field::Float(value) => (*value).into(),
        Field::Double(value) => (*value).into(),
        Field::Str(text) => text.as_str().into(),
        // Some writers do not say that their bytes are text.
        Field::Bytes(bytes) => String::from_utf8_lossy(bytes.data()).into_owned().into(),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        Field::Group(row) => {
            let fields = row.get_column_iter();
            let fields = fields.map(|(name, field)| (name.clone(), value(field)));
            Value::Object(fields.collect())
        }
        // By its kind alone, which no column of ours is.
        Field::MapInternal(_) => Value::Object(Map::new()),
        other => other.to_string().into(),
    }
}
