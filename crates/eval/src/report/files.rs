//! The files of an evaluation.

use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use verdict_data::Label;

use super::value::EvalReport;
use crate::error::EvalError;

/// The report and all predictions.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The report.
    pub report: EvalReport,
    /// One for each benchmark, model and question, in this order.
    pub predictions: Vec<Prediction>,
}

/// The prediction of one model for one question, a line of `predictions.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Name of the benchmark.
    pub benchmark: String,
    /// Name of the model.
    #[serde(rename = "system")]
    pub model: String,
    /// Id of the question.
    pub id: String,
    /// The question; empty in files of earlier versions.
    #[serde(default)]
    pub question: String,
    /// Its group.
    pub group: String,
    /// Its source.
    pub source: String,
    /// The true label.
    pub truth: Label,
    /// The predicted label.
    pub label: Label,
    /// Whether the prediction is right.
    pub right: bool,
    /// Calibrated probabilities in the order of [`Label::ALL`].
    pub probabilities: [f64; 3],
    /// Uncalibrated probabilities.
    pub uncalibrated: [f64; 3],
    /// Probability that an answer begins with none of the labels; none for an ensemble.
    pub other: Option<f32>,
    /// The answer by unconstrained decoding.
    pub free: Option<GeneratedAnswer>,
    /// The answer by constrained decoding.
    pub guaranteed: Option<GeneratedAnswer>,
}

/// A generated answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GeneratedAnswer {
    /// The whole answer.
    pub answer: String,
    /// Its label; none where it is not format-valid.
    pub label: Option<Label>,
    /// The label that its first word names; none where it names none, or in files of earlier versions.
    #[serde(default)]
    pub first_word: Option<Label>,
    /// Whether it is format-valid.
    pub format_ok: bool,
    /// Whether its rationale is the fallback.
    #[serde(default)]
    pub fallback: bool,
    /// Whether it contains a citation.
    pub citation: bool,
    /// Whether its rationale contradicts its label, by rules.
    pub contradicts: bool,
    /// Whether its rationale is memorized; none where the training set is not known.
    #[serde(rename = "memorised")]
    pub memorized: Option<bool>,
    /// Number of tokens.
    pub tokens: usize,
}

/// Folder of the files for official scripts.
const OFFICIAL_FOLDER: &str = "official";
/// Benchmarks with such files.
const OFFICIAL: [&str; 2] = ["pubmedqa", "pubmedqa-question-only"];

impl Evaluation {
    /// Writes `predictions.jsonl`, `report.md`, `report.html` and, last, `report.json` into a folder, and for PubMedQA's
    /// official test a file for each model in `official/`, in the format of its authors' script (an object from PMID to
    /// `yes`, `no` or `maybe`). Each file is written elsewhere and renamed when it is complete.
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

    /// The report as a single HTML file without scripts, with the answers.
    pub fn html(&self) -> String {
        self.report.page_with(&self.predictions).html()
    }

    /// The files for PubMedQA's official script: names and contents.
    pub fn official(&self) -> Vec<(String, String)> {
        let mut files = Vec::new();
        for benchmark in OFFICIAL {
            for model in &self.report.models {
                let own = self
                    .predictions
                    .iter()
                    .filter(|one| one.benchmark == benchmark && one.model == model.name);
                let answers: serde_json::Map<String, serde_json::Value> = own
                    .map(|one| {
                        let pmid = one.id.rsplit(':').next().unwrap_or_default();
                        (pmid.to_owned(), official_word(one.label).into())
                    })
                    .collect();
                if !answers.is_empty() {
                    let name = format!("{benchmark}-{}.json", model.name);
                    let text = serde_json::Value::Object(answers).to_string() + "\n";
                    files.push((name, text));
                }
            }
        }
        files
    }
}

/// A label in the spelling of PubMedQA.
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
        lines.extend(bytes(serde_json::to_vec(prediction)));
        lines.push(b'\n');
    }
    put(folder, "predictions.jsonl", &lines)
}

pub(super) fn put_report(of: &Evaluation, folder: &Path) -> Result<(), EvalError> {
    let mut report = bytes(serde_json::to_vec_pretty(&of.report));
    report.push(b'\n');
    put(folder, "report.json", &report)
}

fn bytes(made: serde_json::Result<Vec<u8>>) -> Vec<u8> {
    made.expect("reports and predictions are plain data")
}

/// Writes a temporary file and renames it.
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
