//! Converts a run folder to the plain values of the report.

use std::collections::HashMap;

use verdict_data::DataSet;
use verdict_eval::{Curve, Left, Member, Nested, Proportion, Subject, Validated, ValidationRow};
use verdict_train::{EventKind, RunFolder, Score};

use crate::failure::Result;

/// What the report says about a run.
pub fn subject(run: &RunFolder) -> Result<Subject> {
    let manifest = &run.manifest;
    let mut curves: HashMap<String, Curve> = HashMap::new();
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
    let members = manifest.adapters.iter().map(|record| Member {
        name: record.adapter.name.clone(),
        rank: record.adapter.rank,
        lr: record.adapter.lr,
        seed: record.adapter.seed,
        stopped: record.diverged.clone(),
        left: record.early_stop.as_ref().map(|dropped| Left {
            step: dropped.step,
            reason: dropped.reason.clone(),
        }),
        kept: record.kept_step.filter(|kept| {
            let last = record.early_stop.as_ref().map(|dropped| dropped.step);
            *kept != last.unwrap_or(manifest.steps)
        }),
        validated: record.validation.as_ref().map(validated),
        curve: curves.remove(&record.adapter.name).unwrap_or_default(),
    });
    let dir = run.dir().canonicalize();
    let dir = dir.as_deref().unwrap_or(run.dir());
    Ok(Subject {
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
        members: members.collect(),
        base: validated(&manifest.base),
        nested: manifest.nested.as_ref().map(nested),
        settings: serde_json::to_value(&manifest.settings).unwrap_or_default(),
    })
}

fn nested(of: &verdict_train::NestedValidation) -> Nested {
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
    Nested {
        accuracy: Proportion::new((of.accuracy * of.n as f64).round() as usize, of.n),
        folds: of.repeats.first().map_or(0, |repeat| repeat.chosen.len()),
        repeats: of.repeats.len(),
        chosen,
    }
}

fn validated(score: &Score) -> Validated {
    let right = (score.accuracy * score.n as f64).round() as usize;
    Validated {
        loss: score.loss,
        accuracy: Proportion::new(right, score.n),
    }
}

/// The validation results of some models, in their order; no name is the base model. `set` is called only if results have
/// no group, as those of earlier versions, and gives the groups.
pub fn validation(
    run: &RunFolder,
    models: &[Option<&str>],
    set: impl FnOnce() -> Option<DataSet>,
) -> Result<Vec<Vec<ValidationRow>>> {
    let rows = run.validation()?;
    let set = rows
        .iter()
        .any(|row| row.group.is_none())
        .then(set)
        .flatten();
    // With folds, training examples are scored too, by adapters that were trained without them.
    let groups: HashMap<&str, &str> = set
        .iter()
        .flat_map(|set| set.train.iter().chain(&set.validation))
        .map(|item| (item.id.as_str(), item.group.as_str()))
        .collect();
    let of = |model: &Option<&str>| {
        rows.iter()
            .filter(|row| row.adapter.as_deref() == *model)
            .map(|row| ValidationRow {
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
