//! Earlier evaluations in the same folder: reading them, and keeping their results beside new ones.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::files::{Evaluation, Prediction, put_predictions, put_report};
use super::value::{EarlierEvaluation, EvalReport};
use crate::error::EvalError;
use crate::evaluated_run::EvaluatedRun;

/// Folder of replaced evaluations, each in a folder named by its time.
const REPLACED: &str = "earlier";

impl Evaluation {
    /// Reads the evaluation in a folder; none where there is no `report.json`.
    ///
    /// # Errors
    /// [`EvalError::Io`] where its files cannot be read; [`EvalError::Json`] where another version wrote them.
    pub fn read(folder: &Path) -> Result<Option<Evaluation>, EvalError> {
        match folder.join("report.json").exists() {
            true => Evaluation::read_needed(folder).map(Some),
            false => Ok(None),
        }
    }

    /// Reads the evaluation in a folder; an error where there is none.
    pub(crate) fn read_needed(folder: &Path) -> Result<Evaluation, EvalError> {
        let text = |name: &str| {
            let path = folder.join(name);
            let text = std::fs::read_to_string(&path);
            text.map_err(|source| EvalError::Io {
                path,
                doing: "read",
                source,
            })
        };
        let fault = |name: &str, expected, message: String| EvalError::Json {
            path: folder.join(name),
            expected,
            message,
        };
        let report: EvalReport = serde_json::from_str(&text("report.json")?).map_err(|error| {
            let expected = "a report of this version of `verdict eval`";
            fault("report.json", expected, error.to_string())
        })?;
        let mut predictions = Vec::new();
        for (number, line) in text("predictions.jsonl")?.lines().enumerate() {
            predictions.push(serde_json::from_str(line).map_err(|error| {
                let expected = "a prediction in each line";
                let message = format!("line {}: {error}", number + 1);
                fault("predictions.jsonl", expected, message)
            })?);
        }
        Ok(Evaluation {
            report,
            predictions,
        })
    }

    /// Whether this is an evaluation of the same run: the same base model, data set and settings.
    pub fn same_run(&self, run: &EvaluatedRun) -> bool {
        let of = &self.report.run;
        (&of.model_sha256, &of.data_sha256, of.steps, &of.best)
            == (&run.model_sha256, &run.data_sha256, run.steps, &run.best)
            && of.settings == run.settings
    }

    /// This evaluation, together with the benchmarks of an earlier one that are not in this one, each with its own date
    /// and methods. The same for consistency on variants
    /// and for dialogues.
    #[must_use]
    pub fn beside(mut self, earlier: &Evaluation) -> Evaluation {
        let evaluated: HashSet<String> = self.names().map(str::to_owned).collect();
        let before = &earlier.report;
        let kept = before
            .benchmarks
            .iter()
            .filter(|benchmark| !evaluated.contains(&benchmark.name))
            .cloned()
            .map(|mut benchmark| {
                benchmark.earlier.get_or_insert_with(|| EarlierEvaluation {
                    time: before.looks.last().map_or(0, |look| look.time),
                    tool: before.tool.clone(),
                    methods: before.methods.clone(),
                    models: before.models.clone(),
                });
                benchmark
            });
        self.report.benchmarks.extend(kept);
        let predictions = earlier.predictions.iter();
        self.predictions.extend(
            predictions
                .filter(|one| !evaluated.contains(&one.benchmark))
                .cloned(),
        );
        if self.report.robustness.is_none() {
            self.report.robustness.clone_from(&before.robustness);
        }
        if self.report.dialogues.is_none() {
            self.report.dialogues.clone_from(&before.dialogues);
        }
        self
    }

    /// Keeps an earlier evaluation that this one replaces, if it has predictions of models that are not in this one: its
    /// `report.json` and `predictions.jsonl` are written to `earlier/TIME`. Returns that folder.
    ///
    /// # Errors
    /// [`EvalError::Io`].
    pub fn keep(&self, earlier: &Evaluation, folder: &Path) -> Result<Option<PathBuf>, EvalError> {
        let of = |one: &Prediction| (one.benchmark.clone(), one.model.clone());
        let here: HashSet<(String, String)> = self.predictions.iter().map(of).collect();
        if earlier
            .predictions
            .iter()
            .all(|one| here.contains(&of(one)))
        {
            return Ok(None);
        }
        let time = earlier.report.looks.last().map_or(0, |look| look.time);
        let own = folder.join(REPLACED).join(time.to_string());
        std::fs::create_dir_all(&own).map_err(|source| EvalError::Io {
            path: own.clone(),
            doing: "create",
            source,
        })?;
        put_predictions(earlier, &own)?;
        put_report(earlier, &own)?;
        Ok(Some(own))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.report.benchmarks.iter().map(|of| of.name.as_str())
    }
}
