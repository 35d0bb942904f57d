//! Several runs side by side, from the files of their evaluations; no model is run.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use verdict_common::counted;
use verdict_page::{Block, Cell, Page, Table};

use crate::error::EvalError;
use crate::metrics::Levels;
use crate::report::{
    EvalReport, Evaluation, PairReport, Prediction, figures, plain, put, tables, terminal,
};
use crate::stats::bootstrap::group_numbers;
use crate::stats::paired::{Paired, PairedAnswers, paired};
use crate::stats::scores::Scores;

/// A comparison of runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The runs.
    pub runs: Vec<RunOverview>,
    /// One for each benchmark on which at least two of them were evaluated.
    pub benchmarks: Vec<BenchmarkComparison>,
    /// Benchmarks that could not be compared, with the reason.
    pub left_out: Vec<String>,
}

/// An overview of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunOverview {
    /// Its folder.
    pub folder: PathBuf,
    /// Its base model.
    pub model: String,
    /// Number of training examples.
    pub train_rows: usize,
    /// Its best adapter.
    pub best: String,
    /// SHA-256 of its data set's manifest.
    pub data_sha256: String,
}

/// The comparison on one benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkComparison {
    /// Its name.
    pub name: String,
    /// Number of questions.
    pub items: usize,
    /// The baselines of chance and of the majority label.
    pub levels: Levels,
    /// Scores of the models of each run, named `run/model`.
    #[serde(rename = "systems")]
    pub models: Vec<(String, Scores)>,
    /// The best adapters of every two runs compared, with p values adjusted over all pairs.
    pub pairs: Vec<PairReport>,
}

impl BenchmarkComparison {
    /// Scores by name.
    fn scored(&self) -> Vec<(&str, &Scores)> {
        let models = self.models.iter();
        models
            .map(|(name, scores)| (name.as_str(), scores))
            .collect()
    }
}

/// The stored evaluation of a run.
struct StoredEvaluation {
    name: String,
    report: EvalReport,
    predictions: Vec<Prediction>,
}

/// Compares the evaluations of several run folders.
///
/// # Errors
/// [`EvalError::Io`] for a run that was not evaluated; [`EvalError::Json`] for one that was evaluated by another version.
pub fn compare(folders: &[PathBuf]) -> Result<Comparison, EvalError> {
    let mut runs = Vec::new();
    for folder in folders {
        runs.push(read(folder)?);
    }
    // Folders with the same name are distinguished by their paths.
    let name = |run: &StoredEvaluation, folder: &Path| {
        let same = runs.iter().filter(|other| other.name == run.name).count();
        match same {
            1 => run.name.clone(),
            _ => folder.display().to_string(),
        }
    };
    let names: Vec<String> = runs
        .iter()
        .zip(folders)
        .map(|(run, folder)| name(run, folder))
        .collect();
    let mut benchmarks: Vec<&str> = Vec::new();
    for run in &runs {
        for benchmark in &run.report.benchmarks {
            if !benchmarks.contains(&benchmark.name.as_str()) {
                benchmarks.push(&benchmark.name);
            }
        }
    }
    let mut left_out = Vec::new();
    let compared = benchmarks
        .into_iter()
        .filter_map(|benchmark| of_benchmark(benchmark, &runs, &names, &mut left_out))
        .collect();
    let overview = runs.iter().zip(folders).map(|(run, folder)| RunOverview {
        folder: folder.clone(),
        model: run.report.run.model.clone(),
        train_rows: run.report.run.train_rows,
        best: run.report.run.best.clone(),
        data_sha256: run.report.run.data_sha256.clone(),
    });
    Ok(Comparison {
        runs: overview.collect(),
        benchmarks: compared,
        left_out,
    })
}

fn of_benchmark(
    name: &str,
    runs: &[StoredEvaluation],
    names: &[String],
    left_out: &mut Vec<String>,
) -> Option<BenchmarkComparison> {
    let with: Vec<usize> = (0..runs.len())
        .filter(|run| runs[*run].report.benchmark(name).is_some())
        .collect();
    if with.len() < 2 {
        left_out.push(format!("{name}: evaluated in one run only"));
        return None;
    }
    let first = runs[with[0]].report.benchmark(name)?;
    let (same, other): (Vec<usize>, Vec<usize>) = with.into_iter().partition(|run| {
        let of = runs[*run].report.benchmark(name);
        of.is_some_and(|of| of.sha256 == first.sha256)
    });
    left_out.extend(other.iter().map(|run| {
        format!(
            "{name}: {} and {} have different questions",
            names[*run], names[same[0]]
        )
    }));
    if same.len() < 2 {
        return None;
    }
    let mut models = Vec::new();
    for &run in &same {
        let of = runs[run].report.benchmark(name)?;
        models.extend(of.models.iter().map(|model| {
            let name = format!("{}/{}", names[run], model.name);
            (name, model.scores.clone())
        }));
    }
    let mut compared = Vec::new();
    // The later run first, as a tuned model comes before the base model.
    for (place, &second) in same.iter().enumerate() {
        for &first in &same[place + 1..] {
            compared.extend(pair(
                name,
                [&runs[first], &runs[second]],
                [&names[first], &names[second]],
            ));
        }
    }
    Some(BenchmarkComparison {
        name: name.to_owned(),
        items: first.items,
        levels: first.levels,
        models,
        pairs: PairReport::adjusted(compared),
    })
}

/// The best adapters of two runs on the same questions, with their names; a difference is first minus second.
fn pair(
    benchmark: &str,
    runs: [&StoredEvaluation; 2],
    names: [&str; 2],
) -> Option<([String; 2], Paired)> {
    let of = |run: &StoredEvaluation| -> Vec<Prediction> {
        let best = run.report.run.best.as_str();
        let own = |one: &&Prediction| one.benchmark == benchmark && one.model == best;
        run.predictions.iter().filter(own).cloned().collect()
    };
    let [first, second] = runs.map(of);
    let groups = group_numbers(first.iter().map(|one| one.group.as_str()));
    let rows: Vec<PairedAnswers> = first
        .iter()
        .zip(&second)
        .zip(groups)
        .map(|((a, b), group)| PairedAnswers {
            truth: a.truth,
            first: Some(a.label),
            second: Some(b.label),
            group,
        })
        .collect();
    let paired = paired(&rows, runs[0].report.methods.resampling)?;
    let full_name = |run: &StoredEvaluation, name: &str| format!("{name}/{}", run.report.run.best);
    let names = [0, 1].map(|place| full_name(runs[place], names[place]));
    Some((names, paired))
}

fn read(folder: &Path) -> Result<StoredEvaluation, EvalError> {
    let Evaluation {
        report,
        predictions,
    } = Evaluation::read_needed(folder)?;
    let name = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = name.file_name().unwrap_or_default().to_string_lossy();
    Ok(StoredEvaluation {
        name: name.into_owned(),
        report,
        predictions,
    })
}

/// The table of the runs.
fn runs_table(runs: &[RunOverview]) -> Table {
    let head = [
        "run",
        "base model",
        "training examples",
        "best adapter",
        "data set, SHA-256",
    ];
    let rows = runs.iter().map(|run| {
        vec![
            Cell::Code(run.folder.display().to_string()),
            run.model.as_str().into(),
            Cell::Number(run.train_rows),
            run.best.as_str().into(),
            Cell::Code(run.data_sha256.chars().take(12).collect()),
        ]
    });
    Table {
        rows: rows.collect(),
        ..Table::new("Runs", &head)
    }
}

impl Comparison {
    /// The comparison as plain text, for a terminal.
    pub fn text(&self) -> String {
        let rendered = |table: &Table| format!("{}\n{}\n", table.caption, plain(table));
        let mut text = rendered(&runs_table(&self.runs));
        for line in &self.left_out {
            text += &format!("not compared: {line}\n");
        }
        for benchmark in &self.benchmarks {
            let questions = counted(benchmark.items, "question");
            text += &format!("{}: {questions}\n\n", benchmark.name);
            let scores = terminal::scores(&benchmark.scored(), &benchmark.levels);
            let pairs = terminal::pairs(&benchmark.pairs);
            text.extend(scores.iter().chain(&pairs).map(rendered));
        }
        text
    }

    /// Writes `comparison.md`, `comparison.html` and, last, `comparison.json` into a folder.
    ///
    /// # Errors
    /// [`EvalError::Io`] with the file.
    pub fn write(&self, folder: &Path) -> Result<(), EvalError> {
        let page = self.page();
        let json = serde_json::json!(self).to_string() + "\n";
        put(folder, "comparison.md", page.markdown().as_bytes())?;
        put(folder, "comparison.html", page.html().as_bytes())?;
        put(folder, "comparison.json", json.as_bytes())
    }

    /// The comparison as a page.
    pub fn page(&self) -> Page {
        let mut blocks = vec![Block::Table(runs_table(&self.runs))];
        if !self.left_out.is_empty() {
            blocks.push(Block::Text("Not compared:".into()));
            blocks.push(Block::List(self.left_out.clone()));
        }
        for benchmark in &self.benchmarks {
            blocks.push(Block::Section(format!(
                "{}: {}",
                benchmark.name,
                counted(benchmark.items, "question")
            )));
            let models = benchmark.scored();
            blocks.push(Block::Figure(figures::accuracy(&models, &benchmark.levels)));
            blocks.extend(tables::scores(&models, &benchmark.levels).map(Block::Table));
            blocks.extend(tables::pairs(&benchmark.pairs).map(Block::Table));
        }
        Page {
            title: format!("Comparison of {} runs", self.runs.len()),
            blocks,
        }
    }
}
