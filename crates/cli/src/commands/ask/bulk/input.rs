//! The table of `ask --input`: which file, which columns, and a row as a question.

use std::ops::ControlFlow;
use std::path::Path;

use serde_json::{Map, Value};
use verdict_data::{
    ColumnMapping, Source, TableRow, TableSurvey, clean_context, clean_question, survey_table,
    table_rows,
};

use crate::failure::{Failure, Result};
use crate::tables::{self, Column, IDS};

/// Names under which the text of a row is looked for.
const TEXTS: &[&str] = &["context", "abstract", "text"];
/// Names under which its title is looked for.
const TITLES: &[&str] = &["title"];

/// A table to be asked.
pub struct BulkInput {
    source: Source,
    /// The file as a whole.
    pub survey: TableSurvey,
    columns: Columns,
    /// The question to all rows; none where each has its own.
    pub question: Option<String>,
}

/// The columns that are read.
struct Columns {
    id: Column,
    question: Column,
    title: Column,
    context: Column,
}

/// A row as it is asked.
#[derive(Debug, PartialEq)]
pub struct RowQuestion {
    /// The question; none where it is the same for all rows.
    pub question: Option<String>,
    /// The text before it.
    pub context: Option<String>,
}

impl BulkInput {
    /// Reads a table once, and checks its columns.
    ///
    /// # Errors
    /// A file that cannot be read, is no table, or lacks a column.
    pub fn open(text: &str, question: Option<String>) -> Result<Self> {
        let input = tables::parse("--input", text)?;
        let columns = Columns::of(&input.columns);
        let survey = survey_table(&input.source)?;
        let opened = Self {
            source: input.source,
            survey,
            columns,
            question,
        };
        opened.check_columns()?;
        Ok(opened)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        match &self.source {
            Source::Jsonl(path) | Source::Csv(path) | Source::Parquet(path) => path,
            _ => Path::new(""),
        }
    }

    /// The columns, for the record.
    pub fn column_names(&self) -> Vec<String> {
        self.used().map(Column::describe).collect()
    }

    /// Hands on the rows in the order of the file.
    ///
    /// # Errors
    /// Faults of the file itself.
    pub fn rows(&self, each: &mut dyn FnMut(TableRow) -> ControlFlow<()>) -> Result {
        let wanted = |name: &str| self.used().any(|column| column.is(name));
        Ok(table_rows(&self.source, &wanted, each)?)
    }

    /// The columns that are read, the most important last.
    fn used(&self) -> impl Iterator<Item = &Column> {
        let Columns {
            id,
            question,
            title,
            context,
        } = &self.columns;
        let own = self.question.is_none().then_some(question);
        let title = self.question.is_some().then_some(title);
        [Some(id), title, Some(context), own].into_iter().flatten()
    }

    /// Refuses a table with a header that lacks a column, or has one twice.
    fn check_columns(&self) -> Result {
        let Some(header) = &self.survey.columns else {
            return Ok(());
        };
        let fault = |expected: String| {
            let names: Vec<String> = header.iter().map(|name| format!("{name:?}")).collect();
            let found = match names.is_empty() {
                true => "no columns".to_owned(),
                false => format!("columns {}", names.join(", ")),
            };
            let path = self.path().display();
            let failure = Failure::input(format!("{path}: expected {expected}, found {found}"));
            failure.hint(format!(
                "name a column in the input: --input '{}:{path}?{}'",
                self.source.kind(),
                match self.question {
                    Some(_) => "context=NAME&id=NAME",
                    None => "question=NAME&context=NAME&id=NAME",
                }
            ))
        };
        let has = |column: &Column| header.iter().any(|name| column.is(name));
        for column in self.used() {
            let again = |name: &String| header.iter().filter(|of| *of == name).count() > 1;
            if header.iter().any(|name| column.is(name) && again(name)) {
                return Err(fault(format!("one column {}", column.describe())));
            }
            if matches!(column, Column::Named(_)) && !has(column) {
                return Err(fault(format!("a column {}", column.describe())));
            }
        }
        let Columns {
            question,
            title,
            context,
            ..
        } = &self.columns;
        match &self.question {
            None if !has(question) => Err(fault(format!("a column {}", question.describe()))),
            Some(_) if !has(title) && !has(context) => Err(fault(format!(
                "a column {} or {}",
                title.describe(),
                context.describe()
            ))),
            _ => Ok(()),
        }
    }

    /// A row's identifier and question.
    pub fn asked(&self, row: &TableRow) -> AskedRow {
        let fields = match &row.fields {
            Ok(fields) => fields,
            Err(fault) => {
                return AskedRow {
                    id: row.number.into(),
                    asked: Err(format!("{}: {fault}", row.place)),
                };
            }
        };
        let (id, fault) = match self.columns.id.identifier(fields) {
            Ok(id) => (id.unwrap_or_else(|| row.number.into()), None),
            Err(fault) => (row.number.into(), Some(fault)),
        };
        let asked = match fault {
            Some(fault) => Err(fault),
            None => self.question(fields),
        };
        AskedRow {
            id,
            asked: asked.map_err(|fault| format!("{}: {fault}", row.place)),
        }
    }

    fn question(&self, fields: &Map<String, Value>) -> std::result::Result<RowQuestion, String> {
        let context = self.columns.context.text(fields)?;
        if self.question.is_some() {
            let title = self.columns.title.text(fields)?;
            let text = [title, context].into_iter().flatten().map(str::trim);
            let text: Vec<&str> = text.filter(|part| !part.is_empty()).collect();
            let context = clean_context(&text.join("\n")).ok_or_else(|| {
                let Columns { title, context, .. } = &self.columns;
                let (title, context) = (title.describe(), context.describe());
                format!("expected a text in {title} or {context}, found no letter and no digit")
            })?;
            return Ok(RowQuestion {
                question: None,
                context: Some(context),
            });
        }
        let column = &self.columns.question;
        let text = column.text(fields)?;
        let question = text.and_then(clean_question).ok_or_else(|| match text {
            None => format!(
                "expected a question in {}, found nothing",
                column.describe()
            ),
            Some(_) => format!(
                "expected a question in {}, found no letter and no digit",
                column.describe()
            ),
        })?;
        Ok(RowQuestion {
            question: Some(question),
            context: context.and_then(clean_context),
        })
    }
}

/// A row's identifier, and its question or why it cannot be asked.
pub struct AskedRow {
    /// As it is in the table; the row's number where it has none.
    pub id: Value,
    pub asked: std::result::Result<RowQuestion, String>,
}

impl Columns {
    fn of(mapping: &ColumnMapping) -> Self {
        let usual = ColumnMapping::default();
        Self {
            id: Column::of(&mapping.id, &usual.id, IDS),
            question: Column::of(&mapping.question, &usual.question, &["question"]),
            title: Column::Usual(TITLES),
            context: Column::of(&mapping.context, &usual.context, TEXTS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(
        name: &str,
        text: &str,
        question: Option<&str>,
    ) -> (tempfile::TempDir, Result<BulkInput>) {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, options) = name.split_once('?').unwrap_or((name, ""));
        let path = folder.path().join(file);
        std::fs::write(&path, text).expect("written");
        let input = format!("{}?{options}", path.display());
        let input = input.trim_end_matches('?');
        let opened = BulkInput::open(input, question.map(str::to_owned));
        (folder, opened)
    }

    fn rows(input: &BulkInput) -> Vec<(Value, std::result::Result<RowQuestion, String>)> {
        let mut found = Vec::new();
        input
            .rows(&mut |row| {
                let row = input.asked(&row);
                found.push((row.id, row.asked));
                ControlFlow::Continue(())
            })
            .expect("read");
        found
    }

    #[test]
    fn title_and_abstract_are_the_context_of_one_question_and_usual_names_are_known_in_any_case() {
        let text =
            "PMID,Title,Abstract,Year\n7,Zinc in colds,It helps.,1990\n,Only a title,,\n9,,,\n";
        let (_folder, input) = opened("a.csv", text, Some("Is it a trial?"));
        let rows = rows(&input.expect("good"));
        let context = |row: usize| rows[row].1.as_ref().map(|of| of.context.as_deref());
        assert_eq!(context(0), Ok(Some("Zinc in colds It helps.")));
        assert_eq!((&rows[0].0, &rows[1].0), (&"7".into(), &2.into()));
        assert_eq!(context(1), Ok(Some("Only a title")));
        assert_eq!(
            context(2).expect_err("empty"),
            "line 4: expected a text in \"title\" or \"context\" or \"abstract\" or \"text\", found no letter and no digit"
        );
    }

    #[test]
    fn each_row_may_have_its_own_question_under_its_own_name() {
        let text = "{\"n\":3,\"q\":\"Does it help\",\"abstract\":\"Yes.\"}\n{\"n\":[1],\"q\":\"A?\"}\n{\"q\":7}\n{}\n{\"q\":\"?\"}\n";
        let (_folder, input) = opened("a.jsonl?question=q&id=n", text, None);
        let rows = rows(&input.expect("good"));
        let first = RowQuestion {
            question: Some("Does it help?".into()),
            context: Some("Yes.".into()),
        };
        assert_eq!(rows[0], (3.into(), Ok(first)));
        let faults: Vec<&str> = rows[1..]
            .iter()
            .map(|row| row.1.as_ref().expect_err("refused").as_str())
            .collect();
        assert_eq!(
            faults,
            [
                "line 2: expected field \"n\" as text or a number, found a list",
                "line 3: expected field \"q\" as text, found the number 7",
                "line 4: expected a question in \"q\", found nothing",
                "line 5: expected a question in \"q\", found no letter and no digit",
            ]
        );
    }

    #[test]
    fn a_missing_column_is_reported_once_with_a_way_out() {
        let fault = |name: &str, text: &str, question: Option<&str>| {
            let (_folder, input) = opened(name, text, question);
            let failure = input.err().expect("refused");
            let fault = failure.faults[0].clone();
            let fault = fault.split(": ").skip(1).collect::<Vec<_>>().join(": ");
            (fault, failure.hints.join(""))
        };
        let (text, hint) = fault("a.csv", "id,Body\n1,a\n", Some("A?"));
        assert_eq!(
            text,
            "expected a column \"title\" or \"context\" or \"abstract\" or \"text\", found columns \"id\", \"Body\""
        );
        assert!(hint.contains("?context=NAME"), "{hint}");
        let (text, hint) = fault("a.csv", "id,text\n1,a\n", None);
        assert_eq!(
            text,
            "expected a column \"question\", found columns \"id\", \"text\""
        );
        assert!(hint.contains("?question=NAME"), "{hint}");
        let (text, _) = fault("a.csv?context=body", "id,Body\n1,a\n", Some("A?"));
        assert_eq!(
            text,
            "expected a column \"body\", found columns \"id\", \"Body\""
        );
        let (text, _) = fault("a.csv", "id,text,text\n1,a,b\n", Some("A?"));
        assert!(text.starts_with("expected one column"), "{text}");
        let (text, _) = fault("a.csv", "", Some("A?"));
        assert!(text.ends_with("found no columns"), "{text}");
    }
}
