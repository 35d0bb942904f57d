//! Several runs side by side, from what their evaluations left: nothing is asked again.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use verdict_page::{Block, Page, Table};

use crate::metrics::Levels;
use crate::report::{
    EvalReport, Evaluation, PairReport, Prediction, figures, plain, put, short, tables,
};
use crate::run::EvalError;
use crate::stats::paired::{Pair, holm, paired};
use crate::stats::scores::Scores;

/// Runs side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The runs, by their folders' names.
    pub runs: Vec<RunTold>,
    /// One for each benchmark that at least two of them were judged on.
    pub benchmarks: Vec<Compared>,
    /// Benchmarks of one name whose questions are not the same, and others that could not be compared.
    pub left_out: Vec<String>,
}

/// What a run is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunTold {
    /// Its folder.
    pub folder: PathBuf,
    /// Its base model.
    pub model: String,
    /// Rows that it learnt from.
    pub train_rows: usize,
    /// Its chosen adapter.
    pub best: String,
    /// SHA-256 of its data set's manifest.
    pub data_sha256: String,
}

/// One benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// Its name.
    pub name: String,
    /// Number of items.
    pub items: usize,
    /// What answering without reading scores.
    pub levels: Levels,
    /// Scores of each run's systems, named `run/system`.
    pub systems: Vec<(String, Scores)>,
    /// The runs' chosen adapters against each other, p values adjusted over all of them.
    pub pairs: Vec<PairReport>,
}

impl Compared {
    /// Scores by name.
    fn scored(&self) -> Vec<(&str, &Scores)> {
        let systems = self.systems.iter();
        systems
            .map(|(name, scores)| (name.as_str(), scores))
            .collect()
    }
}

/// A run's evaluation, read back.
struct Judged {
    name: String,
    report: EvalReport,
    predictions: Vec<Prediction>,
}

/// Sets the evaluations of several run folders side by side.
///
/// # Errors
/// [`EvalError::Io`] for a run that was not judged; [`EvalError::Json`] for one that another version judged.
pub fn compare(folders: &[PathBuf]) -> Result<Comparison, EvalError> {
    let mut runs = Vec::new();
    for folder in folders {
        runs.push(read(folder)?);
    }
    // Folders of one name are told apart by their paths.
    let name = |run: &Judged, folder: &Path| {
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
    let told = runs.iter().zip(folders).map(|(run, folder)| RunTold {
        folder: folder.clone(),
        model: run.report.subject.model.clone(),
        train_rows: run.report.subject.train_rows,
        best: run.report.subject.best.clone(),
        data_sha256: run.report.subject.data_sha256.clone(),
    });
    Ok(Comparison {
        runs: told.collect(),
        benchmarks: compared,
        left_out,
    })
}

fn of_benchmark(
    name: &str,
    runs: &[Judged],
    names: &[String],
    left_out: &mut Vec<String>,
) -> Option<Compared> {
    let with: Vec<usize> = (0..runs.len())
        .filter(|run| runs[*run].report.benchmark(name).is_some())
        .collect();
    if with.len() < 2 {
        left_out.push(format!("{name}: judged in one run only"));
        return None;
    }
    let first = runs[with[0]].report.benchmark(name)?;
    let (same, other): (Vec<usize>, Vec<usize>) = with.into_iter().partition(|run| {
        let of = runs[*run].report.benchmark(name);
        of.is_some_and(|of| of.sha256 == first.sha256)
    });
    left_out.extend(other.iter().map(|run| {
        format!(
            "{name}: the questions of {} are not those of {}",
            names[*run], names[same[0]]
        )
    }));
    if same.len() < 2 {
        return None;
    }
    let mut systems = Vec::new();
    for &run in &same {
        let of = runs[run].report.benchmark(name)?;
        systems.extend(of.systems.iter().map(|system| {
            let name = format!("{}/{}", names[run], system.name);
            (name, system.scores.clone())
        }));
    }
    let mut pairs = Vec::new();
    // The later run first, as a tuned model before its base.
    for (place, &second) in same.iter().enumerate() {
        for &first in &same[place + 1..] {
            pairs.extend(pair(
                name,
                [&runs[first], &runs[second]],
                [&names[first], &names[second]],
            ));
        }
    }
    let adjusted = holm(&pairs.iter().map(|pair| pair.holm).collect::<Vec<_>>());
    for (pair, adjusted) in pairs.iter_mut().zip(adjusted) {
        pair.holm = adjusted;
    }
    Some(Compared {
        name: name.to_owned(),
        items: first.items,
        levels: first.levels,
        systems,
        pairs,
    })
}

/// The chosen adapters of two runs on the same questions: a difference is the first minus the second.
fn pair(benchmark: &str, runs: [&Judged; 2], names: [&str; 2]) -> Option<PairReport> {
    let of = |run: &Judged| -> Vec<Prediction> {
        let best = run.report.subject.best.as_str();
        let own = |one: &&Prediction| one.benchmark == benchmark && one.system == best;
        run.predictions.iter().filter(own).cloned().collect()
    };
    let [first, second] = runs.map(of);
    let mut groups: Vec<&str> = first.iter().map(|one| one.group.as_str()).collect();
    groups.sort_unstable();
    groups.dedup();
    let rows: Vec<Pair> = first
        .iter()
        .zip(&second)
        .map(|(a, b)| Pair {
            truth: a.truth,
            first: Some(a.label),
            second: Some(b.label),
            group: groups.partition_point(|group| *group < a.group.as_str()) as u32,
        })
        .collect();
    let paired = paired(&rows, runs[0].report.methods.resampling)?;
    let told = |run: &Judged, name: &str| format!("{name}/{}", run.report.subject.best);
    Some(PairReport {
        first: told(runs[0], names[0]),
        second: told(runs[1], names[1]),
        holm: paired.group_p.unwrap_or(paired.p),
        paired,
    })
}

fn read(folder: &Path) -> Result<Judged, EvalError> {
    let Evaluation {
        report,
        predictions,
    } = Evaluation::read_needed(folder)?;
    let name = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = name.file_name().unwrap_or_default().to_string_lossy();
    Ok(Judged {
        name: name.into_owned(),
        report,
        predictions,
    })
}

impl Comparison {
    /// As plain text, for a terminal.
    pub fn text(&self) -> String {
        let told = |table: &Table| format!("{}\n{}\n", table.caption, plain(table));
        let mut text = told(&tables::runs(self));
        for line in &self.left_out {
            text += &format!("left out: {line}\n");
        }
        for benchmark in &self.benchmarks {
            text += &format!("{}: {} questions\n\n", benchmark.name, benchmark.items);
            let scores = short::scores(&benchmark.scored(), &benchmark.levels);
            let pairs = short::pairs(&benchmark.pairs);
            text.extend(scores.iter().chain(&pairs).map(told));
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

    /// As a page, for [`Page::html`] and [`Page::markdown`].
    pub fn page(&self) -> Page {
        let mut blocks = vec![Block::Table(tables::runs(self))];
        if !self.left_out.is_empty() {
            blocks.push(Block::Text("Left out:".into()));
            blocks.push(Block::List(self.left_out.clone()));
        }
        for benchmark in &self.benchmarks {
            blocks.push(Block::Section(format!(
                "{}: {} questions",
                benchmark.name, benchmark.items
            )));
            let systems = benchmark.scored();
            blocks.push(Block::Figure(figures::accuracy(
                &systems,
                &benchmark.levels,
            )));
            blocks.extend(tables::scores(&systems, &benchmark.levels).map(Block::Table));
            blocks.extend(tables::pairs(&benchmark.pairs).map(Block::Table));
        }
        Page {
            title: format!("{} runs side by side", self.runs.len()),
            blocks,
        }
    }
}
