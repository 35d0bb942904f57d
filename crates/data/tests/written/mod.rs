//! Parquet for the tests: rows given as JSON, written in the layout of the hub's PubMedQA files or in
//! any other of flat columns and structs of lists.
#![allow(dead_code)]

use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, Type};
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnDescriptor;
use serde_json::{Value, json};

/// The columns of the hub's labelled and artificial files.
pub const LABELLED: &str = "message schema {
    optional int32 pubid;
    optional binary question (STRING);
    optional group context {
        optional group contexts (LIST) { repeated group list { optional binary element (STRING); } }
        optional group labels (LIST) { repeated group list { optional binary element (STRING); } }
        optional group meshes (LIST) { repeated group list { optional binary element (STRING); } }
    }
    optional binary long_answer (STRING);
    optional binary final_decision (STRING);
}";

/// Those of the unlabelled file.
pub fn unlabelled() -> String {
    LABELLED.replace("optional binary final_decision (STRING);", "")
}

/// How a file is written.
pub struct How {
    pub packed: Compression,
    pub dictionary: bool,
    pub rows_in_group: usize,
    pub rows_in_page: usize,
}

/// As `datasets` writes them.
pub const USUAL: How = How {
    packed: Compression::SNAPPY,
    dictionary: true,
    rows_in_group: 1_000,
    rows_in_page: 20_000,
};

/// A row of PubMedQA's JSON in the hub's layout.
pub fn row(pmid: &str, published: &Value) -> Value {
    json!({
        "pubid": pmid.parse::<i32>().unwrap(),
        "question": published["QUESTION"],
        "context": {
            "contexts": published["CONTEXTS"],
            "labels": published["LABELS"],
            "meshes": published["MESHES"],
        },
        "long_answer": published["LONG_ANSWER"],
        "final_decision": published["final_decision"],
    })
}

/// Writes rows. A missing value is null.
pub fn write(path: &Path, schema: &str, rows: &[Value], how: &How) {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let settings = WriterProperties::builder()
        .set_compression(how.packed)
        .set_dictionary_enabled(how.dictionary)
        .set_data_page_row_count_limit(how.rows_in_page)
        .set_write_batch_size(how.rows_in_page.min(1_024));
    let file = std::fs::File::create(path).unwrap();
    let mut file = SerializedFileWriter::new(file, schema, Arc::new(settings.build())).unwrap();
    let columns = file.schema_descr().columns().to_vec();
    for rows in rows.chunks(how.rows_in_group) {
        let mut group = file.next_row_group().unwrap();
        for column in &columns {
            let mut writer = group.next_column().unwrap().unwrap();
            cells(&mut writer, column, rows);
            writer.close().unwrap();
        }
        group.close().unwrap();
    }
    file.close().unwrap();
}

/// Writes one column.
fn cells(writer: &mut SerializedColumnWriter<'_>, column: &ColumnDescriptor, rows: &[Value]) {
    // A required value has no level of its own.
    let value = i16::from(column.self_type().is_optional());
    let parts = column.path().parts();
    let (mut values, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let mut level = 0;
        let mut at = row;
        // The struct, the list and what holds its entries each add a level.
        let names = parts.iter().take_while(|name| *name != "list");
        for (depth, name) in names.enumerate() {
            at = &at[name.as_str()];
            let there = i16::from(!at.is_null());
            level += if depth + 1 == parts.len() {
                there * value
            } else {
                there
            };
        }
        match at {
            Value::Array(list) => {
                let first = defined.len();
                for entry in list {
                    repeated.push(i16::from(defined.len() > first));
                    defined.push(level + 1 + i16::from(!entry.is_null()) * value);
                    values.extend((!entry.is_null()).then_some(entry));
                }
                if list.is_empty() {
                    repeated.push(0);
                    defined.push(level);
                }
            }
            value => {
                repeated.push(0);
                defined.push(level);
                values.extend((!value.is_null()).then_some(value));
            }
        }
    }
    let (defined, repeated) = (Some(&defined[..]), Some(&repeated[..]));
    let number = |value: &&Value| value.as_i64().unwrap();
    match column.physical_type() {
        Type::INT32 => {
            let values: Vec<i32> = values.iter().map(|value| number(value) as i32).collect();
            writer
                .typed::<Int32Type>()
                .write_batch(&values, defined, repeated)
        }
        Type::INT64 => {
            let values: Vec<i64> = values.iter().map(number).collect();
            writer
                .typed::<Int64Type>()
                .write_batch(&values, defined, repeated)
        }
        _ => {
            let values: Vec<ByteArray> = values
                .iter()
                .map(|value| ByteArray::from(value.as_str().unwrap()))
                .collect();
            writer
                .typed::<ByteArrayType>()
                .write_batch(&values, defined, repeated)
        }
    }
    .unwrap();
}
