//! Early stopping and pruning: when, why, which weights are kept, and that other adapters are not affected.

mod common;

use std::path::Path;

use common::{ToyEngine, adapter_bytes, rows, run_on, settings};
use verdict_train::{
    EarlyStoppingRule, Event, EventKind, Manifest, NewRun, RunFolder, Schedule, TrainSettings,
    TrainingSet,
};

/// A constant learning rate, so that a run of fewer steps is the beginning of a longer one.
fn constant_rate(out: &Path) -> TrainSettings {
    TrainSettings {
        schedule: Schedule::Constant,
        warmup: 0.0,
        lr: vec![0.3],
        steps: Some(24),
        validate_every: 2,
        ..settings(out)
    }
}

/// Examples of which one in four has a wrong label: memorizing them makes validation worse.
fn noisy() -> TrainingSet {
    let mut rows = rows();
    for (place, row) in rows
        .train
        .iter_mut()
        .enumerate()
        .filter(|(place, _)| place % 4 == 0)
    {
        row.label = (row.label + 1 + place % 2) % 3;
        row.tokens[row.prompt_tokens] = common::PROBES[row.label];
    }
    rows
}

fn fit(settings: &TrainSettings) -> (Manifest, Vec<Event>) {
    let (result, events) = run_on(&noisy(), settings, &mut ToyEngine::default(), false);
    (result.unwrap().manifest, events)
}

/// Validation losses of an adapter by step.
fn losses(events: &[Event], name: &str) -> Vec<(usize, f64)> {
    let of = |event: &Event| match event.kind {
        EventKind::Validation { label_loss, .. } if event.adapter.as_deref() == Some(name) => {
            Some((event.step, label_loss.unwrap().mean))
        }
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

/// Bytes of an adapter after this many steps.
fn after(dir: &Path, settings: &TrainSettings, steps: usize) -> Vec<u8> {
    let out = dir.join(format!("after-{steps}-{:e}", settings.lr[0]));
    let plain = TrainSettings {
        out: out.clone(),
        steps: Some(steps),
        patience: None,
        halving: None,
        ..settings.clone()
    };
    if !out.exists() {
        fit(&plain);
    }
    adapter_bytes(&out, "r4")
}

#[test]
fn patience_keeps_the_weights_of_the_lowest_loss_and_stops_when_due() {
    let dir = tempfile::tempdir().unwrap();
    let (_, events) = fit(&constant_rate(&dir.path().join("whole")));
    let whole = losses(&events, "r4");
    for patience in [1, 2, 3, 50] {
        // The rule, written anew on the losses of a run to the end.
        let (mut best, mut since, mut end) = (whole[0], 0, 24);
        for found in &whole[1..] {
            if found.1 < best.1 {
                (best, since) = (*found, 0);
            } else {
                since += 1;
                if since == patience {
                    end = found.0;
                    break;
                }
            }
        }
        assert!(
            patience > 10 || end < 24,
            "the toy examples are memorized: {whole:?}"
        );
        let out = dir.path().join(format!("patience-{patience}"));
        let settings = TrainSettings {
            patience: Some(patience),
            ..constant_rate(&out)
        };
        let (manifest, events) = fit(&settings);
        let record = &manifest.adapters[0];
        assert_eq!(record.kept_step, Some(best.0));
        assert_eq!(
            record.validation.map(|score| score.selection_loss()),
            Some(best.1)
        );
        assert_eq!(manifest.steps, end);
        assert!(adapter_bytes(&out, "r4") == after(dir.path(), &settings, best.0));
        let told: Vec<(usize, usize)> = events
            .iter()
            .filter_map(|event| match event.kind {
                EventKind::EarlyStopped {
                    by: EarlyStoppingRule::Patience,
                    kept,
                    ..
                } => Some((event.step, kept)),
                _ => None,
            })
            .collect();
        match &record.early_stop {
            Some(stop) => {
                assert_eq!((stop.by, stop.step), (EarlyStoppingRule::Patience, end));
                assert_eq!(told, [(end, best.0)]);
                let begins = format!("label loss {:.4} after step {end}; ", whole[end / 2 - 1].1);
                assert!(stop.reason.starts_with(&begins), "{}", stop.reason);
            }
            None => assert_eq!((end, told.len()), (24, 0)),
        }
        // The logits on disk are those of the weights on disk.
        let lines = RunFolder::open(&out).unwrap().validation().unwrap();
        let of = |name: Option<&str>| {
            lines
                .iter()
                .filter(|line| line.adapter.as_deref() == name)
                .map(|line| line.logits)
                .collect::<Vec<_>>()
        };
        let folder = RunFolder::open(&dir.path().join(format!("after-{}-3e-1", best.0))).unwrap();
        let there = folder.validation().unwrap();
        let there = there.iter().filter(|line| line.adapter.is_some());
        assert_eq!(
            of(Some("r4")),
            there.map(|line| line.logits).collect::<Vec<_>>()
        );
    }
}

#[test]
fn the_worse_adapters_are_pruned_at_each_rung_and_the_others_are_not_affected() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let rates = [1e-4, 0.02, 1e-3, 0.01];
    let settings = TrainSettings {
        lr: rates.to_vec(),
        steps: Some(12),
        validate_every: 5,
        halving: Some(2),
        ..constant_rate(&out)
    };
    let (manifest, events) = fit(&settings);
    // 4 members, η = 2: after 3 steps 2 stay, after 6 steps 1.
    let name = |lr: f64| format!("r4-lr{lr:e}");
    let at = |step: usize, lr: f64| {
        let found = losses(&events, &name(lr))
            .into_iter()
            .find(|found| found.0 == step);
        found.map(|found| found.1)
    };
    let mut left = rates.to_vec();
    let mut ends = Vec::new();
    for (step, keep) in [(3, 2), (6, 1)] {
        left.sort_by(|a, b| at(step, *a).unwrap().total_cmp(&at(step, *b).unwrap()));
        ends.extend(left.split_off(keep).into_iter().map(|lr| (lr, step)));
    }
    let winner = left[0];
    for (record, lr) in manifest.adapters.iter().zip(rates) {
        let end = ends
            .iter()
            .find(|(stop, _)| *stop == lr)
            .map(|(_, step)| *step);
        let stop = record.early_stop.as_ref();
        assert_eq!(stop.map(|stop| stop.step), end, "{lr}");
        assert!(stop.is_none_or(|stop| stop.by == EarlyStoppingRule::Halving));
        let alone = TrainSettings {
            lr: vec![lr],
            ..settings.clone()
        };
        let expected = after(dir.path(), &alone, end.unwrap_or(12));
        assert!(
            adapter_bytes(&out, &name(lr)) == expected,
            "{lr}: saved as it was"
        );
        let steps = events.iter().filter(|event| {
            event.adapter.as_deref() == Some(&name(lr))
                && matches!(event.kind, EventKind::Train { .. })
        });
        assert_eq!(
            steps.count(),
            end.unwrap_or(12),
            "{lr}: no step after it left"
        );
    }
    assert_eq!(manifest.best, name(winner));
    assert_eq!(
        losses(&events, &name(winner))
            .iter()
            .map(|found| found.0)
            .collect::<Vec<_>>(),
        [3, 5, 6, 10, 12]
    );
    let reason = &manifest
        .adapters
        .iter()
        .find_map(|record| record.early_stop.clone())
        .unwrap()
        .reason;
    assert!(
        reason.contains("after step 3, rank ") && reason.contains(" of 4; the best 2 continue"),
        "{reason}"
    );
}

#[test]
fn neither_is_allowed_with_folds_or_with_invalid_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let bad = TrainSettings {
        patience: Some(0),
        halving: Some(1),
        folds: Some(3),
        ..settings(&out)
    };
    insta::assert_snapshot!(NewRun::create(&bad, false).unwrap_err(), @r"
    settings: 4 faults:
      patience: expected at least 1, found 0
      patience: expected none with folds, because early stopping would select on the held-out fold, found 0
      halving: expected at least 2, found 1
      halving: expected none with folds, because early stopping would select on the held-out fold, found 1
    ");
}
