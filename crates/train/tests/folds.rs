//! Cross-validation: what the fit of each fold is, which examples it sees, how the scores follow from the
//! predictions, and what is refused.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use common::{ToyEngine, adapter_bytes, rows, run_on, run_with, settings, tree};
use verdict_data::Label;
use verdict_train::{
    EventKind, FoldKind, FoldPrediction, NewRun, Plan, RunFolder, Subset, TokenizedExample,
    TrainSettings, TrainingSet,
};

const FOLDS: usize = 4;

fn folded(out: &Path) -> TrainSettings {
    TrainSettings {
        rank: vec![2, 4],
        dropout: vec![0.1],
        steps: None,
        epochs: Some(2.0),
        folds: Some(FOLDS),
        repeats: Some(2),
        ..settings(out)
    }
}

/// Examples whose answers can be learned only in part: one in five has another label than its first token
/// suggests; two neighbours form a group.
fn noisy() -> TrainingSet {
    let mut rows = rows();
    let pool = rows.train.iter_mut().chain(&mut rows.validation);
    for (place, row) in pool.enumerate() {
        row.group = format!("g{}", place / 2);
        if place % 5 == 0 {
            row.label = (row.label + 1 + place % 2) % 3;
            row.tokens[row.prompt_tokens] = common::PROBES[row.label];
        }
    }
    rows
}

fn pick(pool: &[&TokenizedExample], places: &[usize]) -> Vec<TokenizedExample> {
    places.iter().map(|place| pool[*place].clone()).collect()
}

#[test]
fn the_fit_of_a_fold_is_bitwise_identical_to_a_plain_run_on_its_examples() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let (rows, settings) = (noisy(), folded(&dir.path().join("run")));
    run_on(&rows, &settings, &mut ToyEngine::default(), false)
        .0
        .unwrap();
    let lines = RunFolder::open(&out).unwrap().folds().unwrap();
    let (plan, pool) = (Plan::new(&settings.resolved(), &rows).unwrap(), rows.pool());
    let mut compared = 0;
    for (number, fit) in plan.fits.iter().enumerate().step_by(5) {
        let (subset, adapter) = (&plan.subsets[fit.subset], &plan.adapters[fit.adapter]);
        let alone = dir.path().join(format!("alone-{number}"));
        let plain = TrainSettings {
            rank: vec![adapter.rank],
            folds: None,
            repeats: None,
            ..folded(&alone)
        };
        let own = TrainingSet {
            train: pick(&pool, &subset.train),
            validation: match subset.subset {
                Subset::All => rows.validation.clone(),
                Subset::Without { .. } => pick(&pool, &subset.held_out),
            },
            label_tokens: rows.label_tokens.clone(),
            cuts: rows.cuts,
            label_tails: rows.label_tails.clone(),
        };
        run_on(&own, &plain, &mut ToyEngine::default(), false)
            .0
            .unwrap();
        if let Subset::Without { repeat, folds } = &subset.subset {
            let here = |line: &&FoldPrediction| {
                line.adapter == adapter.name && line.repeat == *repeat && line.without == *folds
            };
            let here: Vec<_> = lines
                .iter()
                .filter(here)
                .map(|line| (&line.id, line.logits))
                .collect();
            let there = RunFolder::open(&alone).unwrap().validation().unwrap();
            let there = there.iter().filter(|line| line.adapter.is_some());
            let there: Vec<_> = there.map(|line| (&line.id, line.logits)).collect();
            assert_eq!(here, there, "{}", fit.name);
            compared += here.len();
        } else {
            let name = format!("r{}", adapter.rank);
            assert!(
                adapter_bytes(&out, &adapter.name) == adapter_bytes(&alone, &name),
                "{name}"
            );
        }
    }
    assert!(compared > 100, "{compared}");
}

#[test]
fn every_example_is_validated_by_fits_that_did_not_see_its_group() {
    let dir = tempfile::tempdir().unwrap();
    let (rows, settings) = (noisy(), folded(&dir.path().join("run")).resolved());
    let (plan, pool) = (Plan::new(&settings, &rows).unwrap(), rows.pool());
    // Two members; a repeat has 4 outer and 6 inner adapters a member.
    assert_eq!(
        plan.fits.len(),
        2 + 2 * 2 * (FOLDS + FOLDS * (FOLDS - 1) / 2)
    );
    assert_eq!(
        plan.specs()
            .iter()
            .map(|spec| &spec.name)
            .collect::<BTreeSet<_>>()
            .len(),
        plan.fits.len()
    );
    let group = |place: &usize| pool[*place].group.as_str();
    for subset in &plan.subsets {
        let all: BTreeSet<usize> = subset
            .train
            .iter()
            .chain(&subset.held_out)
            .copied()
            .collect();
        assert_eq!(all, (0..pool.len()).collect());
        let taught: BTreeSet<&str> = subset.train.iter().map(group).collect();
        assert!(
            subset
                .held_out
                .iter()
                .all(|place| !taught.contains(group(place))),
            "{:?}",
            subset.subset
        );
        // Two epochs over its own rows in batches of 16.
        assert_eq!(subset.steps, 2 * subset.train.len().div_ceil(16));
    }
    assert_eq!(plan.subsets[0].train.len(), 62);
    assert_eq!(plan.steps(), 8);
    assert_ne!(
        plan.folds[0], plan.folds[1],
        "each repeat draws its own folds"
    );
    let same = TrainSettings {
        steps: Some(7),
        epochs: None,
        ..settings
    };
    let plan = Plan::new(&same, &rows).unwrap();
    assert!(plan.subsets.iter().all(|subset| subset.steps == 7));
    assert_eq!(plan.adapter_steps(), 7 * plan.fits.len());
}

/// An independent implementation of the selection rule: of the adapters within one standard error of the
/// most accurate, the smallest rank; of one rank, the more accurate.
fn choose(scored: &[(usize, f64, usize)]) -> usize {
    let top = scored.iter().map(|(_, p, _)| *p).fold(0.0, f64::max);
    let n = scored[0].2 as f64;
    let bar = top - (top * (1.0 - top) / n).sqrt();
    let mut left: Vec<_> = scored.iter().filter(|(_, p, _)| *p >= bar).collect();
    left.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
    left[0].0
}

fn right(line: &FoldPrediction) -> bool {
    let best = (0..3).fold(0, |best, at| {
        if line.logits[at] > line.logits[best] {
            at
        } else {
            best
        }
    });
    Label::ALL[best] == line.truth
}

#[test]
fn the_scores_of_the_manifest_follow_from_the_predictions_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let rows = noisy();
    run_on(&rows, &folded(&out), &mut ToyEngine::default(), false)
        .0
        .unwrap();
    assert!(tree(&out).contains(&"folds.jsonl".to_owned()));
    let folder = RunFolder::open(&out).unwrap();
    let (lines, manifest) = (folder.folds().unwrap(), &folder.manifest);
    // Each row: 4 outer and inner predictions a member and repeat, of them 1 outer.
    assert_eq!(lines.len(), 62 * 2 * 2 * FOLDS);
    let accuracy = |lines: &[&FoldPrediction]| {
        lines.iter().filter(|line| right(line)).count() as f64 / lines.len() as f64
    };
    for record in &manifest.adapters {
        let own = |line: &&FoldPrediction| {
            line.adapter == record.adapter.name && line.kind == FoldKind::Outer
        };
        let own: Vec<&FoldPrediction> = lines.iter().filter(own).collect();
        let score = record.validation.unwrap();
        assert_eq!((score.accuracy, score.n), (accuracy(&own), 62));
        assert_eq!(record.folds.len(), 2 * FOLDS);
        for found in &record.folds {
            let here =
                |line: &&&FoldPrediction| line.repeat == found.repeat && line.fold == found.fold;
            let here: Vec<&FoldPrediction> = own.iter().filter(here).copied().collect();
            assert_eq!(
                (found.score.accuracy, found.score.n),
                (accuracy(&here), here.len())
            );
        }
    }
    let nested = manifest.nested.as_ref().unwrap();
    assert_eq!(nested.n, 62);
    for (repeat, found) in nested.repeats.iter().enumerate() {
        let mut hits = 0;
        for fold in 0..FOLDS {
            let scored: Vec<(usize, f64, usize)> = [2, 4]
                .iter()
                .map(|rank| {
                    let serves = |line: &&FoldPrediction| {
                        line.adapter == format!("r{rank}")
                            && line.repeat == repeat
                            && line.kind == FoldKind::Inner
                            && line.without.contains(&fold)
                            && line.fold != fold
                    };
                    let serves: Vec<&FoldPrediction> = lines.iter().filter(serves).collect();
                    (*rank, accuracy(&serves), serves.len())
                })
                .collect();
            let chosen = format!("r{}", choose(&scored));
            assert_eq!(found.chosen[fold].as_deref(), Some(chosen.as_str()));
            let scored = |line: &&FoldPrediction| {
                line.adapter == chosen
                    && line.repeat == repeat
                    && line.kind == FoldKind::Outer
                    && line.fold == fold
            };
            hits += lines
                .iter()
                .filter(scored)
                .filter(|line| right(line))
                .count();
        }
        assert_eq!(found.accuracy, hits as f64 / 62.0);
    }
    let mean = (nested.repeats[0].accuracy + nested.repeats[1].accuracy) / 2.0;
    assert_eq!(nested.accuracy, mean);
    assert!(
        (0.5..0.95).contains(&mean),
        "learnt, but not the noise: {mean}"
    );
}

#[test]
fn validation_lines_are_the_base_model_and_each_adapters_out_of_fold_logits() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let rows = noisy();
    let (result, events) = run_on(&rows, &folded(&out), &mut ToyEngine::default(), false);
    let manifest = result.unwrap().manifest;
    assert_eq!(manifest.base.n, 62);
    let folder = RunFolder::open(&out).unwrap();
    let (lines, folds) = (folder.validation().unwrap(), folder.folds().unwrap());
    assert_eq!(lines.len(), 62 + 2 * 2 * 62);
    let ids: Vec<&str> = rows.pool().iter().map(|row| row.id.as_str()).collect();
    for (part, expected) in
        lines
            .chunks(62)
            .zip([(None, None), (Some("r2"), Some(0)), (Some("r2"), Some(1))])
    {
        let found: Vec<&str> = part.iter().map(|line| line.id.as_str()).collect();
        assert_eq!(found, ids, "in the order of the pool");
        assert!(
            part.iter()
                .all(|line| (line.adapter.as_deref(), line.repeat) == expected)
        );
    }
    let key = |adapter: &str, repeat: usize, id: &str| (adapter.to_owned(), repeat, id.to_owned());
    let outer: BTreeMap<_, _> = folds
        .iter()
        .filter(|line| line.kind == FoldKind::Outer)
        .map(|line| (key(&line.adapter, line.repeat, &line.id), line.logits))
        .collect();
    for line in &lines[62..] {
        let key = key(
            line.adapter.as_ref().unwrap(),
            line.repeat.unwrap(),
            &line.id,
        );
        assert_eq!(outer[&key], line.logits);
    }
    // Only the adapters of the grid have events of steps; every fit of a fold has one event, its validation.
    let steps = |name: &str| {
        let told = events
            .iter()
            .filter(|event| matches!(event.kind, EventKind::Train { .. }));
        told.filter(|event| event.adapter.as_deref() == Some(name))
            .count()
    };
    assert_eq!((steps("r2"), steps("r4"), steps("r2@0.1")), (8, 8, 0));
    let of_folds = |event: &&verdict_train::Event| {
        let name = event.adapter.as_deref().unwrap_or_default();
        matches!(event.kind, EventKind::Validation { .. }) && name.contains('@')
    };
    assert_eq!(events.iter().filter(of_folds).count(), 2 * 2 * 10);
    let EventKind::Start {
        fits,
        train_rows,
        validation_rows,
        ..
    } = &events[0].kind
    else {
        panic!("{:?}", events[0]);
    };
    assert_eq!((*fits, *train_rows, *validation_rows), (Some(42), 62, 0));
}

#[test]
fn an_adapter_whose_fold_diverged_is_not_chosen_and_the_others_are_not_affected() {
    let dir = tempfile::tempdir().unwrap();
    let (sound, out) = (dir.path().join("sound"), dir.path().join("run"));
    let rows = noisy();
    let whole = run_on(&rows, &folded(&sound), &mut ToyEngine::default(), false)
        .0
        .unwrap()
        .manifest;
    let mut engine = ToyEngine {
        poisoned: Some(("r2@0.1".into(), 2)),
        ..ToyEngine::default()
    };
    let manifest = run_on(&rows, &folded(&out), &mut engine, false)
        .0
        .unwrap()
        .manifest;
    let (hurt, mut other) = (&manifest.adapters[0], manifest.adapters[1].clone());
    let mut of_the_whole = whole.adapters[1].clone();
    // The cards tell of the choice, which differs.
    for record in [&mut other, &mut of_the_whole] {
        record.files.remove("README.md").unwrap();
    }
    assert_eq!((hurt.validation, hurt.diverged.as_ref()), (None, None));
    assert_eq!(hurt.folds.len(), 2 * FOLDS - 1);
    assert_eq!(other, of_the_whole);
    assert_eq!(manifest.best, "r4");
    assert!(
        adapter_bytes(&out, "r2") == adapter_bytes(&sound, "r2"),
        "it is saved all the same"
    );
    // An inner adapter: its member cannot be chosen for either of the two folds.
    let out = dir.path().join("inner");
    let mut engine = ToyEngine {
        poisoned: Some(("r2@1.0+3".into(), 2)),
        ..ToyEngine::default()
    };
    let manifest = run_on(&rows, &folded(&out), &mut engine, false)
        .0
        .unwrap()
        .manifest;
    let chosen = &manifest.nested.unwrap().repeats[1].chosen;
    assert_eq!(
        (chosen[0].as_deref(), chosen[3].as_deref()),
        (Some("r4"), Some("r4"))
    );
    assert!(manifest.adapters[0].validation.is_some());
}

#[test]
fn impossible_folds_are_refused_with_every_reason_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let bad = TrainSettings {
        folds: Some(2),
        repeats: Some(0),
        ..settings(&out)
    };
    insta::assert_snapshot!(NewRun::create(&bad, false).unwrap_err(), @r"
    settings: 2 faults:
      folds: expected 0 or at least 3, found 2
      repeats: expected at least 1, found 0
    ");
    let alone = TrainSettings {
        repeats: Some(3),
        ..settings(&out)
    };
    insta::assert_snapshot!(NewRun::create(&alone, false).unwrap_err(), @"settings: repeats: expected 1 without folds, found 3");
    let many = TrainSettings {
        folds: Some(30),
        ..settings(&out)
    };
    let error = run_with(&many, &mut ToyEngine::default(), false)
        .0
        .unwrap_err();
    insta::assert_snapshot!(error, @r"
    settings: 3 faults:
      folds: expected at most 22, the number of groups with the label Yes, found 30
      folds: expected at most 21, the number of groups with the label No, found 30
      folds: expected at most 19, the number of groups with the label Uncertain, found 30
    ");
    assert!(!out.exists());
    let off = TrainSettings {
        folds: Some(0),
        ..settings(&out)
    };
    assert_eq!(off.resolved().folds, None);
}
