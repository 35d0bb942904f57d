//! Sources of a hub on 127.0.0.1: first fetch, from the cache, broken, absent, of another kind.

use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use verdict_data::{Balance, BuildSettings};

use super::*;
use crate::hub::fakes::{BRANCH, BRANCH_COMMIT, Behaviour, COMMIT, TestHub};
use verdict_common::hash::hex;

const QUIET: &dyn Fn(Progress<'_>) = &|_| {};

/// 30 rows in the layout of the hub's files.
const PARQUET: &[u8] = include_bytes!("../../../data/tests/pyarrow/rows.parquet");
const CSV: &[u8] = b"Q,answer,why\nIs it so?,1,It is so in most trials.\n";

fn datasets(dir: &TempDir, endpoint: &str) -> Datasets {
    Datasets {
        cache: Cache::datasets(dir.path()),
        hub: Hub {
            endpoint: endpoint.to_string(),
            token: None,
            offline: false,
            patience: Duration::from_secs(20),
        },
    }
}

/// The user wants no network.
fn offline(dir: &TempDir) -> Datasets {
    let mut datasets = datasets(dir, "http://hub");
    datasets.hub.offline = true;
    datasets
}

fn repository(repo: &'static str, files: &[(&str, &[u8])]) -> Behaviour {
    let files = files
        .iter()
        .map(|(name, bytes)| (name.to_string(), bytes.to_vec()));
    Behaviour {
        dataset: Some(repo),
        files: files.collect(),
        ..Behaviour::default()
    }
}

fn pubmedqa() -> Behaviour {
    repository(
        PUBMEDQA,
        &[
            ("README.md", b"read me"),
            (
                "pqa_artificial/train-00000-of-00001.parquet",
                b"PAR1 of the artificial",
            ),
            ("pqa_labeled/train-00000-of-00002.parquet", PARQUET),
            ("pqa_labeled/train-00001-of-00002.parquet", PARQUET),
            ("pqa_labeled/notes/more.parquet", b"deeper"),
        ],
    )
}

fn hub_source(text: &str) -> HubSource {
    match text.parse::<SourceSpec>() {
        Ok(SourceSpec::Hub(source)) => source,
        other => panic!("{text}: {other:?}"),
    }
}

fn found(datasets: &Datasets, text: &str) -> Result<Input> {
    datasets.input(hub_source(text), QUIET)
}

/// Text and hint of the error, without the folder.
fn refused(datasets: &Datasets, text: &str, dir: &TempDir) -> (String, String) {
    let error = found(datasets, text).expect_err("refused");
    let clean = |text: String| text.replace(&format!("{}/", dir.path().display()), "");
    (
        clean(error.to_string()),
        clean(error.hint().unwrap_or_default()),
    )
}

/// The files below a folder, with their folders.
fn below(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match path.is_dir() {
            true => names.extend(below(&path).iter().map(|inner| format!("{name}/{inner}"))),
            false => names.push(name),
        }
    }
    names.sort();
    names
}

#[test]
fn pubmedqa_comes_whole_is_built_and_then_needs_no_network() {
    let hub = TestHub::start(pubmedqa());
    let dir = TempDir::new().unwrap();
    let text = "hub:qiaojin/PubMedQA/pqa_labeled?cap=20&weight=2";
    let input = found(&datasets(&dir, &hub.endpoint), text).unwrap();
    let cached = dir.path().join("datasets/qiaojin--PubMedQA--pqa_labeled");
    assert_eq!(
        input.source,
        Source::PubmedqaLabeled(cached.join("pqa_labeled"))
    );
    assert_eq!((input.cap, input.weight), (Some(20), 2));
    assert_eq!(input.hub, Some(format!("qiaojin/PubMedQA@{COMMIT}")));
    assert_eq!(
        below(&cached),
        [
            "pqa_labeled/train-00000-of-00002.parquet",
            "pqa_labeled/train-00001-of-00002.parquet",
            "verdict-dataset.json",
        ]
    );
    assert_eq!(
        below(&dir.path().join("datasets")).len(),
        3,
        "nothing half-fetched stays"
    );

    let again = found(&offline(&dir), text).unwrap();
    assert_eq!(again, input);
    let mut settings = BuildSettings::new(vec![again], dir.path().join("set"));
    settings.balance = Balance::Natural;
    let source = &verdict_data::build(&settings).unwrap().manifest.sources[0];
    assert_eq!(source.hub, input.hub);
    assert_eq!(source.files.len(), 2);
    assert_eq!(source.files[0].sha256, hex(&Sha256::digest(PARQUET)));
}

#[test]
fn the_other_parts_of_pubmedqa_have_their_kinds() {
    let hub = TestHub::start(pubmedqa());
    let dir = TempDir::new().unwrap();
    let datasets = datasets(&dir, &hub.endpoint);
    let input = found(&datasets, "hub:qiaojin/PubMedQA/pqa_artificial").unwrap();
    assert_eq!(input.source.kind(), "pubmedqa-artificial");
    let file = "pqa_labeled/train-00001-of-00002.parquet";
    let input = found(&datasets, &format!("hub:qiaojin/PubMedQA/{file}")).unwrap();
    let Source::PubmedqaLabeled(path) = input.source else {
        panic!("{:?}", input.source);
    };
    assert!(path.ends_with(file) && path.is_file(), "{}", path.display());
    assert_eq!(
        refused(&datasets, "hub:qiaojin/PubMedQA/pqa_unlabeled", &dir).0,
        "qiaojin/PubMedQA: expected a folder or file \"pqa_unlabeled\", found README.md, pqa_artificial/, pqa_labeled/"
    );
}

#[test]
fn a_revision_is_fetched_beside_the_main_one() {
    let hub = TestHub::start(pubmedqa());
    let dir = TempDir::new().unwrap();
    let datasets = datasets(&dir, &hub.endpoint);
    let main = found(&datasets, "hub:qiaojin/PubMedQA/pqa_labeled").unwrap();
    let text = format!("hub:qiaojin/PubMedQA/pqa_labeled@{BRANCH}");
    let branch = found(&datasets, &text).unwrap();
    assert_eq!(
        branch.hub,
        Some(format!("qiaojin/PubMedQA@{BRANCH_COMMIT}"))
    );
    assert_ne!(branch.source, main.source);
    assert_eq!(found(&offline(&dir), &text).unwrap(), branch);
    assert_eq!(
        refused(&datasets, "hub:qiaojin/PubMedQA/pqa_labeled@v9", &dir),
        (
            format!(
                "{}/datasets/qiaojin/PubMedQA/tree/v9: the hub returned status 404",
                hub.endpoint
            ),
            "check the name; set HF_TOKEN for a private or gated repository".into()
        )
    );
}

#[test]
fn a_cut_connection_is_gone_on_with() {
    let cut = PARQUET.len() / 2;
    let hub = TestHub::start(Behaviour {
        cut_first_after: Some(cut),
        ..pubmedqa()
    });
    let dir = TempDir::new().unwrap();
    let text = "hub:qiaojin/PubMedQA/pqa_labeled/train-00000-of-00002.parquet";
    let input = found(&datasets(&dir, &hub.endpoint), text).unwrap();
    let Source::PubmedqaLabeled(path) = input.source else {
        panic!("{:?}", input.source);
    };
    assert_eq!(std::fs::read(path).unwrap(), PARQUET);
    let file = "/cdn/pqa_labeled/train-00000-of-00002.parquet";
    assert_eq!(
        hub.downloads(),
        [format!("{file} bytes=0-"), format!("{file} bytes={cut}-")]
    );
}

#[test]
fn wrong_bytes_are_refused_and_nothing_of_them_stays() {
    let hub = TestHub::start(Behaviour {
        corrupt: true,
        ..pubmedqa()
    });
    let dir = TempDir::new().unwrap();
    let datasets = datasets(&dir, &hub.endpoint);
    let text = "hub:qiaojin/PubMedQA/pqa_artificial";
    let (fault, hint) = refused(&datasets, text, &dir);
    assert!(
        fault.starts_with(
            "qiaojin/PubMedQA/pqa_artificial/train-00000-of-00001.parquet: wrong SHA-256: expected "
        ),
        "{fault}"
    );
    assert!(
        hint.starts_with("the file was deleted; try again"),
        "{hint}"
    );
    assert_eq!(
        datasets
            .cache
            .get("qiaojin/PubMedQA/pqa_artificial")
            .unwrap(),
        None
    );
    assert!(refused(&datasets, text, &dir).0.contains("wrong SHA-256"));
}

#[test]
fn without_a_network_and_without_a_copy_it_is_told() {
    let dir = TempDir::new().unwrap();
    let (fault, hint) = refused(&offline(&dir), "hub:qiaojin/PubMedQA/pqa_labeled", &dir);
    assert_eq!(
        fault,
        "http://hub: cannot reach the hub: HF_HUB_OFFLINE is set"
    );
    assert!(
        hint.contains("without a network copy the files to this machine and give their path"),
        "{hint}"
    );
}

#[test]
fn a_damaged_copy_is_refused_with_the_folder_to_delete() {
    let hub = TestHub::start(pubmedqa());
    let dir = TempDir::new().unwrap();
    let datasets = datasets(&dir, &hub.endpoint);
    let text = "hub:qiaojin/PubMedQA/pqa_artificial";
    found(&datasets, text).unwrap();
    let folder = "datasets/qiaojin--PubMedQA--pqa_artificial";
    let file = format!("{folder}/pqa_artificial/train-00000-of-00001.parquet");
    std::fs::write(dir.path().join(&file), "PAR1").unwrap();
    assert_eq!(
        refused(&datasets, text, &dir),
        (
            format!("{file}: damaged file in the cache: expected 22 bytes, found 4 bytes"),
            format!("delete {folder} and download it again")
        )
    );
}

#[test]
fn tables_of_any_repository_are_read_by_their_endings() {
    let files: &[(&str, &[u8])] = &[
        ("README.md", b"read me"),
        ("rows.jsonl", b"{}\n"),
        ("tables/test.TSV", CSV),
        ("tables/train.csv", CSV),
        ("tables/picture.png", b"png"),
        ("packed/train.parquet", PARQUET),
        ("both/a.csv", CSV),
        ("both/b.jsonl", b"{}\n"),
    ];
    let hub = TestHub::start(repository("org/tables", files));
    let dir = TempDir::new().unwrap();
    let datasets = datasets(&dir, &hub.endpoint);
    let cached = |name: &str| dir.path().join("datasets").join(name);

    let input = found(
        &datasets,
        "hub:org/tables/tables?question=Q&label=answer&label.yes=1",
    )
    .unwrap();
    let folder = cached("org--tables--tables");
    assert_eq!(input.source, Source::Csv(folder.join("tables")));
    assert_eq!(input.columns.question, "Q");
    assert_eq!(
        below(&folder),
        [
            "tables/test.TSV",
            "tables/train.csv",
            "verdict-dataset.json"
        ]
    );
    let input = found(&datasets, "hub:org/tables").unwrap();
    assert_eq!(input.source, Source::Jsonl(cached("org--tables").join("")));
    let input = found(&datasets, "hub:org/tables/both/a.csv").unwrap();
    let file = cached("org--tables--both--a.csv").join("both/a.csv");
    assert_eq!(input.source, Source::Csv(file));

    let input = found(&datasets, "hub:org/tables/packed").unwrap();
    let folder = cached("org--tables--packed").join("packed");
    assert_eq!(input.source, Source::Parquet(folder));

    let refusal = |text: &str| refused(&datasets, text, &dir);
    assert_eq!(
        refusal("hub:org/tables/both").0,
        "org/tables: expected files of one kind, or the name of one file, found both/a.csv, both/b.jsonl"
    );
    assert_eq!(
        refusal("hub:org/tables/tabels").0,
        "org/tables: expected a folder or file \"tabels\", found README.md, both/, packed/, rows.jsonl, tables/"
    );
}

#[test]
fn texts_that_are_no_source_are_told_before_anything_is_fetched() {
    let refusal = |text: &str| text.parse::<SourceSpec>().expect_err("refused");
    let how = "expected hub:ORG/NAME/PATH";
    for name in [
        "squad",
        "",
        "org/",
        "org/name/../x",
        "org/name/a@",
        "org/.git/x",
    ] {
        assert_eq!(
            refusal(&format!("hub:{name}")),
            format!("source \"hub:{name}\": {how}, found {name:?}")
        );
    }
    assert_eq!(
        refusal("hub:qiaojin/PubMedQA/pqa_l"),
        "source \"hub:qiaojin/PubMedQA/pqa_l\": expected one of pqa_labeled, pqa_artificial, pqa_unlabeled after hub:qiaojin/PubMedQA/, found \"pqa_l\""
    );
    assert_eq!(
        refusal("hub:qiaojin/PubMedQA/pqa_labeled?cap=x"),
        "source \"hub:qiaojin/PubMedQA/pqa_labeled?cap=x\": expected cap as a whole number from 0 on, found \"cap=x\""
    );
    assert!(
        refusal("hub:qiaojin/PubMedQA/pqa_labeled?question=Q")
            .contains("expected a name of weight, cap")
    );
    assert!(refusal("pubmed:x").ends_with("stats:ROWS, clinical, hub:ORG/NAME/PATH"));
    assert!(matches!("clinical".parse(), Ok(SourceSpec::Local(_))));
}
