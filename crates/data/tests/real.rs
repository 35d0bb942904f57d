//! Builds from the published files. Skipped, and says so, where they are not there.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use verdict_data::{
    Balance, BuildSettings, Context, DataSet, Item, Label, Protect, Source, Split, audit, build,
    citations, verify,
};

/// The folder of published data, or `None` with a line that says what is skipped.
fn published(test: &str) -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if dir.join("pubmedqa/ori_pqal.json").is_file() && dir.join("bioasq").is_dir() {
        return Some(dir);
    }
    skipped(test, &dir);
    None
}

#[allow(clippy::print_stderr)]
fn skipped(test: &str, dir: &Path) {
    eprintln!("skipped {test}: no published data in {}", dir.display());
}

fn sources(data: &Path) -> Vec<Source> {
    vec![
        Source::PubmedqaLabeled(data.join("pubmedqa/ori_pqal.json")),
        Source::Bioasq(data.join("bioasq")),
    ]
}

fn all(set: &DataSet) -> impl Iterator<Item = (Split, &Item)> {
    Split::ALL
        .into_iter()
        .flat_map(|split| set.split(split).iter().map(move |item| (split, item)))
}

fn count(items: &[Item], label: Label) -> usize {
    items.iter().filter(|item| item.label == label).count()
}

#[test]
fn the_balanced_set_is_110_of_each_in_264_33_33() {
    let Some(data) = published("the_balanced_set_is_110_of_each_in_264_33_33") else {
        return;
    };
    let out = tempfile::tempdir().unwrap();
    let mut settings = BuildSettings::new(sources(&data), out.path().join("set"));
    settings.protect = Vec::new();
    let report = build(&settings).unwrap();
    let set = verify(&report.out).unwrap();
    assert_eq!(set.manifest, report.manifest);
    for (items, each) in [(&set.train, 88), (&set.validation, 11), (&set.test, 11)] {
        assert_eq!(Label::ALL.map(|label| count(items, label)), [each; 3]);
    }

    let mut home: HashMap<&str, Split> = HashMap::new();
    let mut ids = BTreeSet::new();
    for (split, item) in all(&set) {
        assert!(ids.insert(&item.id), "{} twice", item.id);
        assert_eq!(
            *home.entry(&item.group).or_insert(split),
            split,
            "{} in two splits",
            item.group
        );
        for text in [&item.question, &item.rationale] {
            assert!(!citations::contains(text), "{text}");
            assert!(!text.contains(['\u{a0}', '\r', '\u{2029}']), "{text}");
        }
        assert!(
            item.question.ends_with(['?', '.', ')', '"']),
            "{}",
            item.question
        );
        assert!(
            item.rationale.split_whitespace().count() >= 3,
            "{}",
            item.rationale
        );
    }

    let manifest = &report.manifest;
    assert_eq!(manifest.sources[0].rows, 1000);
    assert_eq!(manifest.sources[0].labels[&Label::Uncertain], 110);
    assert_eq!(manifest.sources[1].rows, 532);
    assert_eq!(manifest.sources[1].labels[&Label::Yes], 347);
    assert_eq!(manifest.sources[1].files.len(), 21);
    assert_eq!((manifest.rows_read, manifest.rows_kept), (1532, 330));
}

#[test]
fn two_builds_give_the_same_bytes_and_another_seed_others() {
    let Some(data) = published("two_builds_give_the_same_bytes_and_another_seed_others") else {
        return;
    };
    let out = tempfile::tempdir().unwrap();
    let bytes = |name: &str, seed: u64| {
        let mut settings = BuildSettings::new(sources(&data), out.path().join(name));
        settings.seed = seed;
        let dir = build(&settings).unwrap().out;
        [
            "train.jsonl",
            "validation.jsonl",
            "test.jsonl",
            "MANIFEST.json",
        ]
        .map(|file| std::fs::read(dir.join(file)).unwrap())
    };
    let first = bytes("first", 42);
    assert_eq!(first, bytes("second", 42));
    assert_ne!(first, bytes("third", 43));
}

#[test]
fn natural_labels_keep_every_clean_row() {
    let Some(data) = published("natural_labels_keep_every_clean_row") else {
        return;
    };
    let out = tempfile::tempdir().unwrap();
    let mut settings = BuildSettings::new(sources(&data), out.path().join("set"));
    settings.balance = Balance::Natural;
    settings.context = Some(Context::estimated(4000));
    settings.protect = Vec::new();
    let report = build(&settings).unwrap();
    let set = DataSet::read(&report.out).unwrap();
    let dropped: usize = report
        .manifest
        .rules
        .iter()
        .filter(|rule| rule.effect == verdict_data::manifest::Effect::Dropped)
        .map(|rule| rule.rows)
        .sum();
    assert_eq!(report.manifest.rows_kept + dropped, 1532);
    assert!(dropped < 40, "{dropped} of 1532 rows dropped");
    let parts = [set.train.len(), set.validation.len(), set.test.len()];
    let whole: usize = parts.iter().sum();
    for (part, share) in parts.into_iter().zip([0.8, 0.1, 0.1]) {
        assert!(
            (part as f64 / whole as f64 - share).abs() < 0.005,
            "{parts:?}"
        );
    }
    assert!(all(&set).all(|(_, item)| item.context.is_some()));
    let cited = |item: &Item| {
        let context = item.context.as_deref().unwrap_or_default();
        [context, &item.question, &item.rationale].map(citations::contains) != [false; 3]
    };
    assert!(!all(&set).any(|(_, item)| cited(item)));
}

#[test]
fn the_official_test_stays_out_unless_asked_for() {
    let Some(data) = published("the_official_test_stays_out_unless_asked_for") else {
        return;
    };
    let out = tempfile::tempdir().unwrap();
    let settings = BuildSettings::new(sources(&data), out.path().join("set"));
    let report = build(&settings).unwrap();
    let set = DataSet::read(&report.out).unwrap();
    let truth = std::fs::read(data.join("pubmedqa/test_ground_truth.json")).unwrap();
    let truth: HashMap<String, String> = serde_json::from_slice(&truth).unwrap();
    assert_eq!(truth.len(), 500);
    let pmid = |item: &Item| item.id.split(':').nth(1).unwrap().to_owned();
    assert!(all(&set).all(|(_, item)| !truth.contains_key(&pmid(item))));
    assert_eq!(
        Split::ALL.map(|split| set.split(split).len()),
        [129, 18, 18]
    );
    let file = Protect::File(data.join("pubmedqa/test_ground_truth.json"));
    for protect in [&settings.protect[..], &[file]] {
        assert_eq!(audit(&report.out, protect).unwrap().leaks, []);
    }
}
