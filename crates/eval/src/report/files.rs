//! What an evaluation leaves in its folder.

use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use verdict_data::Label;

use super::EvalReport;
use crate::run::EvalError;

/// The report and every single answer behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The figures.
    pub report: EvalReport,
    /// One for each benchmark, system and item, in this order.
    pub predictions: Vec<Prediction>,
}

/// One system's answer to one item, beside its truth: a line of `predictions.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Name of the benchmark.
    pub benchmark: String,
    /// Name of the system.
    pub system: String,
    /// Id of the item.
    pub id: String,
    /// Its question; empty in the files of earlier versions.
    #[serde(default)]
    pub question: String,
    /// Its group.
    pub group: String,
    /// Where it is from.
    pub source: String,
    /// The right label.
    pub truth: Label,
    /// The most probable label.
    pub label: Label,
    /// Whether it is the right one.
    pub right: bool,
    /// Calibrated probabilities in the order of [`Label::ALL`].
    pub probabilities: [f64; 3],
    /// The same as the model gives them.
    pub uncalibrated: [f64; 3],
    /// Probability that the model gave to other beginnings of an answer; none for an ensemble.
    pub other: Option<f32>,
    /// What it wrote when left to itself.
    pub free: Option<Wrote>,
    /// What it wrote in the guaranteed form.
    pub guaranteed: Option<Wrote>,
}

/// An answer that was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wrote {
    /// The whole answer.
    pub answer: String,
    /// Its label; none where it is not in the form.
    pub label: Option<Label>,
    /// The label that its first word names; none where it names none, or in files of earlier versions.
    #[serde(default)]
    pub first_word: Option<Label>,
    /// Whether it is in the form.
    pub format_ok: bool,
    /// Whether its rationale is the fixed sentence that replaces an unusable one.
    #[serde(default)]
    pub fallback: bool,
    /// Whether it holds a citation.
    pub citation: bool,
    /// Whether its rationale contradicts its label, by rule.
    pub contradicts: bool,
    /// Whether its rationale is one of the training rows', by heart or nearly; none where those are not at hand.
    pub memorised: Option<bool>,
    /// Tokens.
    pub tokens: usize,
}

/// Folder of the files for official scripts.
const OFFICIAL_FOLDER: &str = "official";
/// Benchmarks that have one.
const OFFICIAL: [&str; 2] = ["pubmedqa", "pubmedqa-question-only"];

impl Evaluation {
    /// Writes `predictions.jsonl`, `report.md`, `report.html` and, last, `report.json` into a folder, and for
    /// PubMedQA's official test a file for each system in `official/`, as its authors' script reads it (an object from PMID to
    /// `yes`, `no` or `maybe`). Each appears under its name only when it is whole.
    ///
    /// # Errors
    /// [`EvalError::Io`] with the file.
    pub fn write(&self, folder: &Path) -> Result<(), EvalError> {
        put_predictions(self, folder)?;
        let official = self.official();
        let own = folder.join(OFFICIAL_FOLDER);
        if !official.is_empty() {
            std::fs::create_dir_all(&own).map_err(|source| EvalError::Io {
                path: own.clone(),
                doing: "create",
                source,
            })?;
        }
        for (name, text) in official {
            put(&own, &name, text.as_bytes())?;
        }
        put(folder, "report.md", self.report.markdown().as_bytes())?;
        put(folder, "report.html", self.html().as_bytes())?;
        put_report(self, folder)
    }

    /// The report as one HTML file that loads and runs nothing, with the answers.
    pub fn html(&self) -> String {
        self.report.page_with(&self.predictions).html()
    }

    /// Files for PubMedQA's official script: name and text.
    pub fn official(&self) -> Vec<(String, String)> {
        let mut files = Vec::new();
        for benchmark in OFFICIAL {
            for system in &self.report.systems {
                let own = self
                    .predictions
                    .iter()
                    .filter(|one| one.benchmark == benchmark && one.system == system.name);
                let answers: serde_json::Map<String, serde_json::Value> = own
                    .map(|one| {
                        let pmid = one.id.rsplit(':').next().unwrap_or_default();
                        (pmid.to_owned(), official_word(one.label).into())
                    })
                    .collect();
                if !answers.is_empty() {
                    let name = format!("{benchmark}-{}.json", system.name);
                    let text = serde_json::Value::Object(answers).to_string() + "\n";
                    files.push((name, text));
                }
            }
        }
        files
    }
}

/// A label as PubMedQA's files write it.
fn official_word(label: Label) -> &'static str {
    match label {
        Label::Yes => "yes",
        Label::No => "no",
        Label::Uncertain => "maybe",
    }
}

pub(super) fn put_predictions(of: &Evaluation, folder: &Path) -> Result<(), EvalError> {
    let mut lines = Vec::new();
    for prediction in &of.predictions {
        lines.extend(plain(serde_json::to_vec(prediction)));
        lines.push(b'\n');
    }
    put(folder, "predictions.jsonl", &lines)
}

pub(super) fn put_report(of: &Evaluation, folder: &Path) -> Result<(), EvalError> {
    let mut report = plain(serde_json::to_vec_pretty(&of.report));
    report.push(b'\n');
    put(folder, "report.json", &report)
}

fn plain(made: serde_json::Result<Vec<u8>>) -> Vec<u8> {
    made.expect("reports and predictions are plain data")
}

/// Writes a file beside its place, then moves it there.
pub(crate) fn put(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), EvalError> {
    let path = folder.join(name);
    let failed = |source| EvalError::Io {
        path: path.clone(),
        doing: "write",
        source,
    };
    let mut file = verdict_data::new_file_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(&path).map_err(|error| failed(error.error))?;
    Ok(())
}
