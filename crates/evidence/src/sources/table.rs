//! Own documents, as JSON lines, as a table with a header or as Parquet: `id`, `text` and, where wanted, `title`, `year`,
//! `journal`, `mesh` and `types`, under these names or those of a [`DocumentColumns`]. Other columns are passed over.

use std::path::Path;

use serde_json::Value;
use verdict_data::blanks;
use verdict_data::records::{self, Row};

use super::change::{Change, Emit};
use super::files::FileRecord;
use crate::{Document, DocumentColumns, Result, Section, SectionKind, SourceKind};

/// Reads a file.
pub(super) fn read(
    path: &Path,
    kind: SourceKind,
    columns: &DocumentColumns,
    emit: &mut Emit<'_>,
) -> Result<FileRecord> {
    let names = columns.names();
    let needed = [columns.id.as_str(), columns.text.as_str()];
    let each = |row: &Row<'_>| {
        let document = document(row, kind, columns)?;
        emit(Change::Put(Box::new(document)))
    };
    let record = match kind {
        SourceKind::Csv => records::csv(path, &needed, &names, each)?,
        SourceKind::Parquet => records::parquet(path, &needed, &names, each)?,
        _ => records::json_lines(path, each)?,
    };
    Ok(record.into())
}

fn document(row: &Row<'_>, kind: SourceKind, columns: &DocumentColumns) -> Result<Document> {
    // A number of the row would do for a search, not for a citation: it changes with the rows before it.
    let id = row.word(&columns.id)?.trim().to_owned();
    if id.is_empty() {
        let expected = format!("field {:?} as an id", columns.id);
        return Err(row.fault(expected, "an empty text".into()).into());
    }
    let text = |name: &str| -> Result<String> {
        Ok(row.optional_text(name)?.map(blanks).unwrap_or_default())
    };
    let body = match kind {
        // An empty field of a table is a missing one.
        SourceKind::Csv | SourceKind::Parquet => text(&columns.text)?,
        _ => blanks(row.text(&columns.text)?),
    };
    let section = Section {
        label: None,
        kind: SectionKind::Other,
        text: body,
    };
    Ok(Document {
        id,
        title: text(&columns.title)?,
        sections: match section.text.is_empty() {
            true => Vec::new(),
            false => vec![section],
        },
        year: year(row, &columns.year)?,
        journal: Some(text(&columns.journal)?).filter(|journal| !journal.is_empty()),
        mesh: list(row, &columns.mesh)?,
        types: list(row, &columns.types)?,
        source: kind.name().into(),
        ..Document::default()
    })
}

/// A year, with or without quotes.
fn year(row: &Row<'_>, name: &str) -> Result<Option<u16>> {
    let Some(text) = row.optional_word(name)? else {
        return Ok(None);
    };
    match text.trim() {
        "" => Ok(None),
        text => match text.parse() {
            Ok(year) => Ok(Some(year)),
            Err(_) => {
                let expected = format!("field {name:?} as a year");
                Err(row.fault(expected, format!("{text:?}")).into())
            }
        },
    }
}

/// A list of texts, or a text in which they are parted by semicolons: headings have commas.
fn list(row: &Row<'_>, name: &str) -> Result<Vec<String>> {
    let texts = match &row.object[name] {
        Value::String(text) => text.split(';').collect(),
        _ => row.texts(name)?,
    };
    let texts = texts.into_iter().map(blanks);
    Ok(texts.filter(|text| !text.is_empty()).collect())
}
