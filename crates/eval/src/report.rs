//! The report: a value for scripts, tables for people, files for the run folder.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use comfy_table::{CellAlignment, Table, presets};
use serde::{Deserialize, Serialize};
use verdict_answer::{Mode, Verdict};
use verdict_data::{Item, Label, citations};

use crate::metrics::{Confusion, Lengths, Levels, Proportion};
use crate::run::{EvalError, Evaluation};

/// Name of the base model in tables.
pub const BASE: &str = "base";

/// All figures of an evaluation: the content of `report.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalReport {
    /// Version of the tool that made it.
    pub version: String,
    /// One for each benchmark.
    pub benchmarks: Vec<BenchmarkReport>,
}

/// The figures on one benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkReport {
    /// Its name.
    pub name: String,
    /// Number of items.
    pub items: usize,
    /// How often each label is the truth, in the order of [`Label::ALL`].
    pub truths: [usize; 3],
    /// What answering without reading scores.
    pub levels: Levels,
    /// One for each system and mode.
    pub systems: Vec<SystemReport>,
}

/// The figures of one system in one mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SystemReport {
    /// Name of the adapter; none for the base model.
    pub adapter: Option<String>,
    /// How its answers were written.
    pub mode: Mode,
    /// Share of answers with the right label; an answer without the format is wrong.
    pub accuracy: Proportion,
    /// Mean recall of the labels.
    pub balanced_accuracy: f64,
    /// Mean F1 of the labels.
    pub macro_f1: f64,
    /// Truth against answer.
    pub confusion: Confusion,
    /// Share of answers with the format.
    pub format: Proportion,
    /// Share of answers with a citation.
    pub citations: Proportion,
    /// Lengths of the answers in tokens.
    pub tokens: Lengths,
}

/// One answer beside its truth: a line of `predictions.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Name of the benchmark.
    pub benchmark: String,
    /// Id of the item.
    pub id: String,
    /// The right label.
    pub truth: Label,
    /// Whether the answer's label is the right one.
    pub right: bool,
    /// Whether the answer holds a citation.
    pub citation: bool,
    /// The answer.
    #[serde(flatten)]
    pub verdict: Verdict,
}

impl Prediction {
    /// Sets an answer beside its item.
    pub fn new(benchmark: &str, item: &Item, verdict: Verdict) -> Prediction {
        Prediction {
            benchmark: benchmark.to_owned(),
            id: item.id.clone(),
            truth: item.label,
            right: verdict.label == Some(item.label),
            citation: citations::contains(&verdict.answer),
            verdict,
        }
    }
}

impl SystemReport {
    /// The figures of the answers of one system in one mode.
    ///
    /// # Panics
    /// Without any answer.
    pub fn new(answers: &[(&Item, &Verdict)]) -> SystemReport {
        let first = answers[0].1;
        let share = |test: &dyn Fn(&Verdict) -> bool| {
            Proportion::new(
                answers.iter().filter(|(_, verdict)| test(verdict)).count(),
                answers.len(),
            )
        };
        let confusion = Confusion::of(
            answers
                .iter()
                .map(|(item, verdict)| (item.label, verdict.label)),
        );
        let tokens: Vec<usize> = answers.iter().map(|(_, verdict)| verdict.tokens).collect();
        SystemReport {
            adapter: first.adapter.clone(),
            mode: first.mode,
            accuracy: confusion.accuracy(),
            balanced_accuracy: confusion.balanced_accuracy(),
            macro_f1: confusion.macro_f1(),
            confusion,
            format: share(&|verdict| verdict.format_ok),
            citations: share(&|verdict| citations::contains(&verdict.answer)),
            tokens: Lengths::of(&tokens),
        }
    }

    /// The adapter's name, or [`BASE`].
    pub fn name(&self) -> &str {
        self.adapter.as_deref().unwrap_or(BASE)
    }
}

impl BenchmarkReport {
    /// The report on a benchmark with these items.
    pub fn new(name: &str, items: &[Item], systems: Vec<SystemReport>) -> BenchmarkReport {
        let truths = Confusion::of(items.iter().map(|item| (item.label, None))).truths();
        let levels = Levels::of(truths);
        BenchmarkReport {
            name: name.to_owned(),
            items: items.len(),
            truths,
            levels,
            systems,
        }
    }

    /// One line on what the benchmark holds.
    fn title(&self) -> String {
        let labels: Vec<String> = Label::ALL
            .iter()
            .map(|label| format!("{label} {}", self.truths[label.index()]))
            .collect();
        format!(
            "{}: {} items ({})",
            self.name,
            self.items,
            labels.join(", ")
        )
    }

    /// The scores, a row for each system and mode; chance and majority first.
    fn scores(&self) -> Table {
        let mut table = Table::new();
        table.set_header([
            "system",
            "mode",
            "accuracy [95 %]",
            "balanced",
            "macro F1",
            "format [95 %]",
            "citations [95 %]",
            "tokens mean",
            "median",
            "p95",
            "max",
        ]);
        let levels = &self.levels;
        let none = || vec![String::from("–"); 6];
        for (name, scores) in [
            (
                "chance".to_owned(),
                [
                    levels.chance_accuracy,
                    levels.chance_balanced_accuracy,
                    levels.chance_macro_f1,
                ],
            ),
            (
                format!("always {}", levels.majority_label),
                [
                    levels.majority_accuracy,
                    levels.majority_balanced_accuracy,
                    levels.majority_macro_f1,
                ],
            ),
        ] {
            let mut row = vec![name, "–".into()];
            row.extend(scores.map(percent));
            row.extend(none());
            table.add_row(row);
        }
        for system in &self.systems {
            table.add_row(vec![
                system.name().to_owned(),
                system.mode.to_string(),
                interval(&system.accuracy),
                percent(system.balanced_accuracy),
                percent(system.macro_f1),
                interval(&system.format),
                interval(&system.citations),
                format!("{:.1}", system.tokens.mean),
                format!("{:.1}", system.tokens.median),
                format!("{:.1}", system.tokens.p95),
                system.tokens.max.to_string(),
            ]);
        }
        align(&mut table, 2);
        table
    }

    /// Truth against answer, a block of three rows for each system and mode.
    fn confusions(&self) -> Table {
        let mut table = Table::new();
        table.set_header([
            "system",
            "mode",
            "truth",
            "Yes",
            "No",
            "Uncertain",
            "no label",
        ]);
        for system in &self.systems {
            for label in Label::ALL {
                let mut row = vec![
                    system.name().to_owned(),
                    system.mode.to_string(),
                    label.to_string(),
                ];
                row.extend(system.confusion.0[label.index()].map(|count| count.to_string()));
                table.add_row(row);
            }
        }
        align(&mut table, 3);
        table
    }
}

impl EvalReport {
    /// The report as plain text: for each benchmark the scores and what was confused with what.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (place, benchmark) in self.benchmarks.iter().enumerate() {
            let gap = if place == 0 { "" } else { "\n" };
            let tables = [benchmark.scores(), benchmark.confusions()].map(|mut table| {
                table.load_preset(presets::NOTHING);
                trimmed(&table)
            });
            let _ = write!(
                text,
                "{gap}{}\n\n{}\nanswers, by what is true\n\n{}",
                benchmark.title(),
                tables[0],
                tables[1]
            );
        }
        text
    }

    /// The same as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::from("# Evaluation\n");
        for benchmark in &self.benchmarks {
            let tables = [benchmark.scores(), benchmark.confusions()].map(|mut table| {
                table.load_preset(presets::ASCII_MARKDOWN);
                trimmed(&table)
            });
            let _ = write!(
                text,
                "\n## {}\n\n{}\nIntervals are Wilson's at 95 %. Answers, by what is true:\n\n{}",
                benchmark.title(),
                tables[0],
                tables[1]
            );
        }
        text
    }
}

impl Evaluation {
    /// Writes `predictions.jsonl`, `report.md` and, last, `report.json` into a folder. Each appears
    /// under its name only when it is whole.
    ///
    /// # Errors
    /// [`EvalError::Write`] with the file.
    pub fn write(&self, folder: &Path) -> Result<(), EvalError> {
        let mut lines = Vec::new();
        for prediction in &self.predictions {
            lines.extend(json(serde_json::to_vec(prediction), folder)?);
            lines.push(b'\n');
        }
        let mut report = json(serde_json::to_vec_pretty(&self.report), folder)?;
        report.push(b'\n');
        put(folder, "predictions.jsonl", &lines)?;
        put(folder, "report.md", self.report.markdown().as_bytes())?;
        put(folder, "report.json", &report)
    }
}

fn json(made: serde_json::Result<Vec<u8>>, folder: &Path) -> Result<Vec<u8>, EvalError> {
    made.map_err(|error| EvalError::Write {
        path: folder.to_owned(),
        source: error.into(),
    })
}

/// Writes a file beside its place, then moves it there.
fn put(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), EvalError> {
    let path = folder.join(name);
    let failed = |source| EvalError::Write {
        path: path.clone(),
        source,
    };
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(&path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Numbers to the right from this column on.
fn align(table: &mut Table, from: usize) {
    for column in table.column_iter_mut().skip(from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// The table's text without blanks at the ends of lines.
fn trimmed(table: &Table) -> String {
    table
        .to_string()
        .lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn interval(share: &Proportion) -> String {
    format!(
        "{} [{:.1}–{:.1}]",
        percent(share.value),
        100.0 * share.low,
        100.0 * share.high
    )
}
