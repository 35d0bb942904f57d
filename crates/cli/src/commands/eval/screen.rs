//! `verdict eval --screen`: the answers to a table against the decisions of its reviewers.

use std::collections::HashMap;
use std::ops::ControlFlow;

use serde::Serialize;
use serde_json::{Map, Value};
use verdict_common::counted;
use verdict_data::{ColumnMapping, Input, Label, TableRow, kind_of_json, survey_table, table_rows};
use verdict_eval::stats::bootstrap::Resampling;
use verdict_eval::{ScreenedAnswer, ScreeningReport, screening_report};

use crate::failure::{Failure, Result};
use crate::printer::Printer;
use crate::table::Table;
use crate::tables::{self, Column, IDS};

/// Names under which the reviewers' decision is looked for.
const DECISIONS: &[&str] = &["included", "label_included", "decision", "label"];

/// Flags of the evaluation of a screening.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Screening")]
pub struct ScreenArgs {
    /// Compare answers of `verdict ask --input` with reviewers' decisions
    ///
    /// Recall, precision, specificity, work saved over sampling at a recall of 95 %, and a threshold that is certified to
    /// find the target recall. No run is read.
    #[arg(long, value_name = "ANSWERS", requires = "labels", conflicts_with_all = ["run", "compare", "benchmark", "adapter"])]
    screen: Option<String>,
    /// Read the decisions here: columns `id` and `included` [with --screen]
    ///
    /// JSON lines, CSV or Parquet. Decisions are 1 or 0, yes or no, true or false, included or excluded; other names and
    /// words: `csv:FILE?id=NAME&label=NAME&label.yes=WORD&label.no=WORD`.
    #[arg(long, value_name = "TABLE", requires = "screen")]
    labels: Option<String>,
    /// Certify a threshold for this recall, from 0 to 1 [default: 0.95]
    #[arg(long, value_name = "SHARE", requires = "screen")]
    target_recall: Option<f64>,
}

impl ScreenArgs {
    /// Whether a screening is to be evaluated.
    pub fn is_given(&self) -> bool {
        self.screen.is_some()
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    report: &'a ScreeningReport,
    /// Records with a decision whose row could not be asked.
    refused: usize,
    /// Answers without a decision.
    undecided: usize,
    /// Decisions without an answer.
    unanswered: usize,
}

/// The answer to a row: label and probability of Yes; none for a row that was refused.
type Answer = Option<(Label, f64)>;

/// Evaluates a screening and prints the figures.
pub fn run(args: &ScreenArgs, resampling: Resampling, printer: &Printer) -> Result {
    let (Some(answers), Some(labels)) = (&args.screen, &args.labels) else {
        return Err(Failure::input("expected --screen and --labels"));
    };
    let target = args.target_recall.unwrap_or(0.95);
    if !(target > 0.0 && target < 1.0) {
        return Err(Failure::input(format!(
            "--target-recall: expected a share between 0 and 1, found {target}"
        )));
    }
    if resampling.replicates < 100 {
        return Err(Failure::input(format!(
            "--bootstrap-samples: expected at least 100, found {}",
            resampling.replicates
        )));
    }
    let answers = Keyed::read("--screen", answers, &|_| Ok(()), answer)?;
    let check = |input: &Input| check_decisions(input);
    let decisions = Keyed::read("--labels", labels, &check, decision)?;
    let (mut both, mut refused, mut unanswered) = (Vec::new(), 0, 0);
    for (id, included) in &decisions.rows {
        match answers.of(id) {
            Some(Some((label, yes))) => both.push(ScreenedAnswer {
                label: *label,
                yes: *yes,
                included: *included,
            }),
            Some(None) => refused += 1,
            None => unanswered += 1,
        }
    }
    let undecided = answers.rows.len() - both.len() - refused;
    let Some(report) = screening_report(&both, target, resampling) else {
        let included = both.iter().filter(|of| of.included).count();
        let fault = format!(
            "--labels: expected included and excluded records with answers, found {included} included and {} excluded",
            both.len() - included
        );
        return Err(Failure::input(fault).hint(
            "answers and decisions are matched by id, and by the row's number where there is none",
        ));
    };
    printer.json(&Printed {
        report: &report,
        refused,
        undecided,
        unanswered,
    });
    print(&report, [refused, undecided, unanswered], printer);
    Ok(())
}

fn print(
    report: &ScreeningReport,
    [refused, undecided, unanswered]: [usize; 3],
    printer: &Printer,
) {
    printer.line(format!(
        "{}, {} included",
        counted(report.records, "record"),
        report.included
    ));
    for (count, what) in [
        (refused, "that could not be asked, to be read by a person"),
        (undecided, "with an answer and no decision"),
        (unanswered, "with a decision and no answer"),
    ] {
        if count > 0 {
            printer.line(format!("not counted: {} {what}", counted(count, "record")));
        }
    }
    printer.line("");
    let mut table = Table::new(ScreeningReport::HEADING);
    report.rows().into_iter().for_each(|row| table.row(row));
    printer.table(&table);
    printer.line("");
    report
        .lines()
        .into_iter()
        .for_each(|line| printer.line(line));
    printer.line(format!("\n{}", report.statement));
}

/// The rows of a table by their identifiers, in the order of the file.
struct Keyed<T> {
    rows: Vec<(String, T)>,
    places: HashMap<String, usize>,
}

/// Takes what is wanted from the fields of a row.
type Take<T> = fn(&ColumnMapping, &Map<String, Value>) -> std::result::Result<T, String>;

impl<T> Keyed<T> {
    /// Reads a table; any bad row is refused, because it would change the figures.
    fn read(
        flag: &str,
        text: &str,
        check: &dyn Fn(&Input) -> Result,
        take: Take<T>,
    ) -> Result<Self> {
        let input = tables::parse(flag, text)?;
        check(&input)?;
        let ids = Column::of(&input.columns.id, &ColumnMapping::default().id, IDS);
        let mut keyed = Keyed {
            rows: Vec::new(),
            places: HashMap::new(),
        };
        let mut faults = Vec::new();
        table_rows(&input.source, &|_| true, &mut |row| {
            let added = keyed.add(&ids, &row, |fields| take(&input.columns, fields));
            if let Err(fault) = added {
                faults.push(format!("{flag} {text}: {}: {fault}", row.place));
            }
            match faults.len() < 10 {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        })?;
        match faults.is_empty() {
            true => Ok(keyed),
            false => Err(Failure::faults(faults)),
        }
    }

    fn add(
        &mut self,
        ids: &Column,
        row: &TableRow,
        take: impl Fn(&Map<String, Value>) -> std::result::Result<T, String>,
    ) -> std::result::Result<(), String> {
        let fields = row.fields.as_ref().map_err(Clone::clone)?;
        let id = match ids.identifier(fields)? {
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(number) => number.to_string(),
            None => row.number.to_string(),
        };
        if self.places.insert(id.clone(), self.rows.len()).is_some() {
            return Err(format!("expected each id once, found {id:?} again"));
        }
        self.rows.push((id, take(fields)?));
        Ok(())
    }

    fn of(&self, id: &str) -> Option<&T> {
        self.places.get(id).map(|place| &self.rows[*place].1)
    }
}

/// The label and the probability of Yes, as `verdict ask --input` writes them in each layout.
fn answer(_: &ColumnMapping, fields: &Map<String, Value>) -> std::result::Result<Answer, String> {
    if fields.get("error").is_some_and(|error| !error.is_null()) {
        return Ok(None);
    }
    let wrong = |name: &str, expected: &str, found: Option<&Value>| {
        let found = kind_of_json(found.unwrap_or(&Value::Null));
        format!("expected field {name:?} as {expected}, found {found}")
    };
    let label = fields.get("label");
    let label = label
        .and_then(Value::as_str)
        .and_then(Label::parse)
        .ok_or_else(|| wrong("label", "Yes, No or Uncertain", label))?;
    let nested = fields.get("probabilities").and_then(|of| of.get("Yes"));
    let yes = nested.or_else(|| fields.get("p_yes"));
    let number = yes.and_then(|of| of.as_f64().or_else(|| of.as_str()?.parse().ok()));
    let number = number.filter(|p| (0.0..=1.0).contains(p));
    let number = number.ok_or_else(|| wrong("p_yes", "a probability from 0 to 1", yes))?;
    Ok(Some((label, number)))
}

/// The column of decisions.
fn decision_column(columns: &ColumnMapping) -> Column {
    Column::of(&columns.label, &ColumnMapping::default().label, DECISIONS)
}

/// Refuses a table with a header that has no decisions.
fn check_decisions(input: &Input) -> Result {
    let Some(header) = survey_table(&input.source)?.columns else {
        return Ok(());
    };
    let column = decision_column(&input.columns);
    if header.iter().any(|name| column.is(name)) {
        return Ok(());
    }
    let names: Vec<String> = header.iter().map(|name| format!("{name:?}")).collect();
    let fault = format!(
        "--labels {}: expected a column {}, found columns {}",
        input,
        column.describe(),
        names.join(", ")
    );
    Err(Failure::input(fault).hint("name it: --labels 'csv:FILE?id=NAME&label=NAME'"))
}

/// The decision on a record.
fn decision(
    columns: &ColumnMapping,
    fields: &Map<String, Value>,
) -> std::result::Result<bool, String> {
    let column = decision_column(columns);
    let found = column.find(fields);
    let word = match found {
        Some((_, Value::String(text))) => text.trim().to_lowercase(),
        Some((_, other)) => other.to_string(),
        None => String::new(),
    };
    let own = |label: Label| columns.words[label.index()].as_ref();
    let is = |label: Label, usual: &[&str]| match own(label) {
        Some(own) => own.to_lowercase() == word,
        None => usual.contains(&word.as_str()),
    };
    let yes = is(
        Label::Yes,
        &["1", "1.0", "yes", "true", "included", "include"],
    );
    let no = is(
        Label::No,
        &["0", "0.0", "no", "false", "excluded", "exclude"],
    );
    match (yes, no) {
        (true, false) => Ok(true),
        (false, true) => Ok(false),
        _ => {
            let (name, found) = found.map_or_else(
                || (column.describe(), "nothing".to_owned()),
                |(name, value)| (format!("{name:?}"), kind_of_json(value)),
            );
            let words = [Label::Yes, Label::No].map(|label| own(label).cloned());
            let expected = match words {
                [None, None] => "1 or 0, yes or no, included or excluded".to_owned(),
                [yes, no] => format!(
                    "{} or {}",
                    yes.unwrap_or_else(|| "yes".into()),
                    no.unwrap_or_else(|| "no".into())
                ),
            };
            Err(format!(
                "expected field {name} as {expected}, found {found}"
            ))
        }
    }
}
