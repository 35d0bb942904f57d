//! Answers as Parquet: the columns of the CSV table, texts as UTF-8, probabilities as FLOAT, empty cells as nulls.

use std::fs::File;
use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, FloatType};
use parquet::errors::Result;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;

use super::answer::{BulkAnswer, columns};

/// Rows of a row group, which is held in memory.
const GROUP: usize = 1 << 16;

/// A file that is being written.
pub struct ParquetTable {
    file: SerializedFileWriter<File>,
    rationale: bool,
    rows: Vec<BulkAnswer>,
}

impl ParquetTable {
    /// Begins a file.
    pub fn new(file: File, rationale: bool) -> Result<Self> {
        let fields = columns(rationale).into_iter().map(|name| {
            let (physical, converted) = match name {
                "abstained" => (Physical::BOOLEAN, ConvertedType::NONE),
                name if name.starts_with("p_") => (Physical::FLOAT, ConvertedType::NONE),
                _ => (Physical::BYTE_ARRAY, ConvertedType::UTF8),
            };
            let repetition = match name {
                "id" => Repetition::REQUIRED,
                _ => Repetition::OPTIONAL,
            };
            let field = Type::primitive_type_builder(name, physical)
                .with_converted_type(converted)
                .with_repetition(repetition);
            field.build().map(Arc::new)
        });
        let schema = Type::group_type_builder("answers")
            .with_fields(fields.collect::<Result<_>>()?)
            .build()?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .build();
        Ok(Self {
            file: SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))?,
            rationale,
            rows: Vec::new(),
        })
    }

    /// Adds a row.
    pub fn add(&mut self, row: &BulkAnswer) -> Result<()> {
        self.rows.push(row.clone());
        match self.rows.len() < GROUP {
            true => Ok(()),
            false => self.write_group(),
        }
    }

    /// Writes what is left, and the footer.
    pub fn close(mut self) -> Result<()> {
        if !self.rows.is_empty() {
            self.write_group()?;
        }
        self.file.close().map(drop)
    }

    fn write_group(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let mut group = self.file.next_row_group()?;
        let answers = || rows.iter().map(|row| row.answer.as_ref());
        let ids: Vec<ByteArray> = rows
            .iter()
            .map(|row| row.id_text().into_bytes().into())
            .collect();
        column::<ByteArrayType>(&mut group, &ids, None)?;
        optional::<ByteArrayType>(
            &mut group,
            answers().map(|of| Some(text(of?.label.as_str()))),
        )?;
        optional::<FloatType>(&mut group, answers().map(|of| Some(of?.probabilities.yes)))?;
        optional::<FloatType>(&mut group, answers().map(|of| Some(of?.probabilities.no)))?;
        optional::<FloatType>(
            &mut group,
            answers().map(|of| Some(of?.probabilities.uncertain)),
        )?;
        optional::<FloatType>(&mut group, answers().map(|of| Some(of?.other)))?;
        optional::<ByteArrayType>(
            &mut group,
            answers().map(|of| Some(text(of?.calibration.as_str()))),
        )?;
        optional::<BoolType>(&mut group, answers().map(|of| Some(of?.abstained)))?;
        if self.rationale {
            let rationales = answers().map(|of| of?.rationale.as_deref().map(text));
            optional::<ByteArrayType>(&mut group, rationales)?;
        }
        optional::<ByteArrayType>(
            &mut group,
            rows.iter().map(|row| row.error.as_deref().map(text)),
        )?;
        group.close().map(drop)
    }
}

fn text(text: &str) -> ByteArray {
    text.as_bytes().to_vec().into()
}

/// Writes a column with nulls.
fn optional<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    cells: impl Iterator<Item = Option<T::T>>,
) -> Result<()> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    for cell in cells {
        levels.push(i16::from(cell.is_some()));
        values.extend(cell);
    }
    column::<T>(group, &values, Some(&levels))
}

fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<()> {
    let Some(mut column) = group.next_column()? else {
        return Ok(());
    };
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
}
