//! The contents of a run folder as plain values, for the report.

use std::collections::HashMap;

use verdict_data::DataSet;
use verdict_eval::{
    EndedEarly, EvaluatedAdapter, EvaluatedRun, LearningCurve, NestedSelection, Proportion,
    ValidationPrediction, ValidationScore,
};
use verdict_train::{EventKind, RunFolder, Score};

use crate::failure::Result;

/// The values of a run for the report.
pub fn evaluated_run(run: &RunFolder) -> Result<EvaluatedRun> {
    let manifest = &run.manifest;
    let mut curves: HashMap<String, LearningCurve> = HashMap::new();
    for event in run.events()? {
        let Some(name) = event.adapter else { continue };
        let curve = curves.entry(name).or_default();
        match event.kind {
            EventKind::Train { loss, .. } => curve.train.push((event.step, loss)),
            EventKind::Validation { loss, accuracy, .. } => {
                curve.validation.push((event.step, loss, accuracy));
            }
            _ => {}
        }
    }
    let adapters = manifest.adapters.iter().map(|record| EvaluatedAdapter {
        name: record.adapter.name.clone(),
        rank: record.adapter.rank,
        lr: record.adapter.lr,
        seed: record.adapter.seed,
        diverged: record.diverged.clone(),
        ended_early: record.early_stop.as_ref().map(|stop| EndedEarly {
            step: stop.step,
            reason: stop.reason.clone(),
        }),
        kept_step: record.kept_step.filter(|kept| {
            let last = record.early_stop.as_ref().map(|stop| stop.step);
            *kept != last.unwrap_or(manifest.steps)
        }),
        validation: record.validation.as_ref().map(validation_score),
        curve: curves.remove(&record.adapter.name).unwrap_or_default(),
    });
    let dir = run.dir().canonicalize();
    let dir = dir.as_deref().unwrap_or(run.dir());
    Ok(EvaluatedRun {
        run: dir
            .file_name()
            .unwrap_or(dir.as_os_str())
            .to_string_lossy()
            .into_owned(),
        trained_by: manifest.tool.clone(),
        model: run.settings.model.clone(),
        model_sha256: manifest.provenance.model_sha256.clone(),
        data_sha256: manifest.provenance.data_manifest_sha256.clone(),
        steps: manifest.steps,
        train_rows: manifest.train_rows,
        rule: manifest.rule.clone(),
        best: manifest.best.clone(),
        adapters: adapters.collect(),
        base: validation_score(&manifest.base),
        nested: manifest.nested.as_ref().map(nested),
        settings: serde_json::to_value(&manifest.settings).unwrap_or_default(),
    })
}

fn nested(of: &verdict_train::NestedValidation) -> NestedSelection {
    let mut chosen: Vec<(String, usize)> = Vec::new();
    for name in of
        .repeats
        .iter()
        .flat_map(|repeat| &repeat.chosen)
        .flatten()
    {
        match chosen.iter_mut().find(|(other, _)| other == name) {
            Some((_, times)) => *times += 1,
            None => chosen.push((name.clone(), 1)),
        }
    }
    chosen.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    NestedSelection {
        accuracy: Proportion::new((of.accuracy * of.n as f64).round() as usize, of.n),
        folds: of.repeats.first().map_or(0, |repeat| repeat.chosen.len()),
        repeats: of.repeats.len(),
        chosen,
    }
}

fn validation_score(score: &Score) -> ValidationScore {
    let right = (score.accuracy * score.n as f64).round() as usize;
    ValidationScore {
        loss: score.loss,
        accuracy: Proportion::new(right, score.n),
    }
}

/// The validation predictions of some models (`None` is the base model), in this order. Runs of earlier versions do not
/// record the groups of examples; `set` is called only for those, and its data set provides the groups.
pub fn validation(
    run: &RunFolder,
    models: &[Option<&str>],
    set: impl FnOnce() -> Option<DataSet>,
) -> Result<Vec<Vec<ValidationPrediction>>> {
    let rows = run.validation()?;
    let set = rows
        .iter()
        .any(|row| row.group.is_none())
        .then(set)
        .flatten();
    // With folds, there are also out-of-fold predictions for the training set.
    let groups: HashMap<&str, &str> = set
        .iter()
        .flat_map(|set| set.train.iter().chain(&set.validation))
        .map(|item| (item.id.as_str(), item.group.as_str()))
        .collect();
    let of = |model: &Option<&str>| {
        rows.iter()
            .filter(|row| row.adapter.as_deref() == *model)
            .map(|row| ValidationPrediction {
                id: row.id.clone(),
                group: row.group.clone().or_else(|| {
                    let group = groups.get(row.id.as_str())?;
                    Some((*group).to_owned())
                }),
                truth: row.truth.index(),
                logits: row.logits.map(f64::from),
            })
            .collect()
    };
    Ok(models.iter().map(of).collect())
}
