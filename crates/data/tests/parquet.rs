//! PubMedQA out of Parquet gives the data set that its JSON gives, byte by byte; spoilt files give errors.

mod written;

use std::path::{Path, PathBuf};

use parquet::basic::{Compression, GzipLevel};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use verdict_data::{
    Balance, BuildReport, BuildSettings, Context, Error, Input, Item, Source, benchmark, build,
};
use written::{How, LABELLED, USUAL, row, unlabelled, write};

/// Rows as the labelled part has them, with what its texts hold: quotes, line breaks, signs beyond ASCII,
/// abstracts without sections.
fn published(rows: usize) -> Map<String, Value> {
    let labels = ["yes", "no", "maybe"];
    let row = |n: usize| {
        let topic = format!(
            "{}{}",
            [
                "aspirin",
                "\"β-blockade\"",
                "naïve\u{a0}T cells",
                "p<or=0.05"
            ][n % 4],
            n * 7919
        );
        let sections = n % 5;
        let contexts: Vec<String> = (0..sections)
            .map(|part| {
                format!(
                    "Part {part} of trial {n} on {topic}.\nIt went on for {} weeks.",
                    n % 50
                )
            })
            .collect();
        let published = json!({
            "QUESTION": format!("Does {topic} change outcome {}?", n * 31),
            "CONTEXTS": contexts,
            "LABELS": (0..sections).map(|part| format!("PART{part}")).collect::<Vec<_>>(),
            "MESHES": (0..n % 3).map(|mesh| format!("Heading {mesh}")).collect::<Vec<_>>(),
            "LONG_ANSWER": format!("The outcome number {n} moved with {topic} in {} of all trials.", n * 13),
            "final_decision": labels[n % 3],
        });
        ((10_000_000 + n).to_string(), published)
    };
    (0..rows).map(row).collect()
}

fn table(published: &Map<String, Value>) -> Vec<Value> {
    published
        .iter()
        .map(|(pmid, published)| row(pmid, published))
        .collect()
}

fn built(source: Source, out: PathBuf, abstracts: bool) -> BuildReport {
    let mut settings = BuildSettings::new(vec![source], out);
    settings.balance = Balance::Natural;
    settings.protect = Vec::new();
    settings.context = abstracts.then(|| Context::estimated(384));
    build(&settings).unwrap()
}

/// Every file of a data set but the manifest.
fn bytes(report: &BuildReport) -> Vec<(String, String)> {
    let files = std::fs::read_dir(&report.out).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> = files.filter(|name| name.ends_with(".jsonl")).collect();
    files.sort();
    let text = |name: &String| std::fs::read_to_string(report.out.join(name)).unwrap();
    files
        .iter()
        .map(|name| (name.clone(), text(name)))
        .collect()
}

/// The set from Parquet is the set from JSON, except for the record of the files read and the years, which the
/// hub's layout lacks.
fn same(json: &BuildReport, parquet: &BuildReport) {
    assert_eq!(bytes(parquet), bytes(json));
    let (mut ours, mut theirs) = (parquet.manifest.clone(), json.manifest.clone());
    for manifest in [&mut ours, &mut theirs] {
        manifest.sources[0].files.clear();
        manifest.years.clear();
    }
    assert_eq!(ours, theirs);
}

#[test]
fn parquet_and_json_give_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let rows = published(700);
    std::fs::write(path("pqal.json"), Value::Object(rows.clone()).to_string()).unwrap();
    let hows = [
        USUAL,
        How {
            rows_in_group: 300,
            rows_in_page: 37,
            ..USUAL
        },
        How {
            packed: Compression::UNCOMPRESSED,
            dictionary: false,
            rows_in_page: 100,
            ..USUAL
        },
        How {
            packed: Compression::GZIP(GzipLevel::default()),
            rows_in_group: 256,
            ..USUAL
        },
    ];
    for abstracts in [false, true] {
        let name = |what: &str| path(&format!("{what}-{abstracts}"));
        let source = Source::PubmedqaLabeled(path("pqal.json"));
        let json = built(source, name("json"), abstracts);
        assert_eq!(json.manifest.rows_kept, 700);
        for (number, how) in hows.iter().enumerate() {
            write(&path("pqal.parquet"), LABELLED, &table(&rows), how);
            let source = Source::PubmedqaLabeled(path("pqal.parquet"));
            same(
                &json,
                &built(source, name(&format!("parquet{number}")), abstracts),
            );
        }
    }
}

#[test]
fn the_columns_may_be_required_or_of_64_bits_and_others_may_stand_beside() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let rows = published(40);
    std::fs::write(path("a.json"), Value::Object(rows.clone()).to_string()).unwrap();
    let json = built(
        Source::PubmedqaArtificial(path("a.json")),
        path("json"),
        true,
    );
    let entries = "optional group meshes (LIST) { repeated group list {";
    let schema = LABELLED
        .replace(
            "optional int32 pubid",
            "optional int32 other; required int64 pubid",
        )
        .replace("optional binary question", "required binary question")
        .replace(
            &format!("{entries} optional"),
            &format!("{entries} required"),
        );
    assert_eq!(schema.matches("required").count(), 3);
    write(&path("A.PARQUET"), &schema, &table(&rows), &USUAL);
    same(
        &json,
        &built(
            Source::PubmedqaArtificial(path("A.PARQUET")),
            path("set"),
            true,
        ),
    );
}

#[test]
fn a_folder_is_read_in_the_order_of_names_and_the_manifest_names_every_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let rows = published(60);
    std::fs::write(path("all.json"), Value::Object(rows.clone()).to_string()).unwrap();
    let json = built(
        Source::PubmedqaLabeled(path("all.json")),
        path("json"),
        false,
    );
    std::fs::create_dir(path("parts")).unwrap();
    let table = table(&rows);
    write(
        &path("parts/train-00000-of-00002.parquet"),
        LABELLED,
        &table[..25],
        &USUAL,
    );
    write(
        &path("parts/train-00001-of-00002.parquet"),
        LABELLED,
        &table[25..],
        &USUAL,
    );
    let parquet = built(Source::PubmedqaLabeled(path("parts")), path("set"), false);
    same(&json, &parquet);
    let files = &parquet.manifest.sources[0].files;
    assert_eq!(files.len(), 2);
    let second = path("parts/train-00001-of-00002.parquet");
    assert_eq!(files[1].bytes, std::fs::metadata(&second).unwrap().len());
    assert_eq!(files[1].sha256.len(), 64);
    assert_ne!(files[0].sha256, files[1].sha256);
}

#[test]
fn a_benchmark_needs_no_rationales() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("asked.parquet");
    let without = LABELLED.replace("optional binary long_answer (STRING);", "");
    assert_ne!(without, LABELLED);
    let mut rows = table(&published(4));
    let input = Input::from(Source::PubmedqaLabeled(path.clone()));
    let asked = || benchmark(&input, 1, None).unwrap();
    write(&path, LABELLED, &rows, &USUAL);
    let whole = asked();
    assert!(whole.iter().all(|item| !item.rationale.is_empty()));
    // A rationale that is null, and no column of rationales.
    rows[1]["long_answer"] = Value::Null;
    for (schema, left) in [(LABELLED, 3), (&without, 0)] {
        write(&path, schema, &rows, &USUAL);
        let items = asked();
        let given = items.iter().filter(|item| !item.rationale.is_empty());
        assert_eq!(given.count(), left);
        let same = |(a, b): (&Item, &Item)| (&a.question, a.label) == (&b.question, b.label);
        assert!(items.len() == 4 && items.iter().zip(&whole).all(same));
        // Training examples need one, and the error says where it is missing.
        let error = verdict_data::rows(&input, 1, false).unwrap_err();
        assert!(error.to_string().contains("\"long_answer\""), "{error}");
    }
}

#[test]
fn unlabelled_rows_need_no_labels_and_stand_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let rows = published(50);
    let labelled = Source::PubmedqaLabeled(path("l.json"));
    std::fs::write(path("l.json"), Value::Object(rows.clone()).to_string()).unwrap();
    std::fs::write(path("u.json"), Value::Object(published(90)).to_string()).unwrap();
    write(
        &path("u.parquet"),
        &unlabelled(),
        &table(&published(90)),
        &USUAL,
    );
    let both = |name: &str| {
        let unlabelled = Source::PubmedqaUnlabeled(path(name));
        let out = path(&format!("set-{name}"));
        let mut settings = BuildSettings::new(vec![labelled.clone(), unlabelled], out);
        settings.balance = Balance::Natural;
        build(&settings).unwrap()
    };
    let (json, parquet) = (both("u.json"), both("u.parquet"));
    assert_eq!(bytes(&json).len(), 4);
    assert_eq!(bytes(&parquet), bytes(&json));
}

/// `rows.parquet` was written by `dev/reference/pubmedqa_parquet.py` out of `rows.json`.
#[test]
fn what_pyarrow_writes_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name| {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/pyarrow")
            .join(name)
    };
    let built = |name| {
        built(
            Source::PubmedqaLabeled(file(name)),
            dir.path().join(name),
            true,
        )
    };
    same(&built("rows.json"), &built("rows.parquet"));
}

#[test]
fn the_published_rows_come_out_the_same() {
    let data =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/pubmedqa/ori_pqal.json");
    let Ok(text) = std::fs::read_to_string(&data) else {
        return skipped(&data);
    };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let rows: Map<String, Value> = serde_json::from_str(&text).unwrap();
    write(&path("pqal.parquet"), LABELLED, &table(&rows), &USUAL);
    let json = built(Source::PubmedqaLabeled(data), path("json"), true);
    let parquet = Source::PubmedqaLabeled(path("pqal.parquet"));
    same(&json, &built(parquet, path("parquet"), true));
}

#[allow(clippy::print_stderr)]
fn skipped(data: &Path) {
    eprintln!(
        "skipped the_published_rows_come_out_the_same: no {}",
        data.display()
    );
}

/// A small file with everything in it.
fn small() -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let how = How {
        rows_in_group: 30,
        rows_in_page: 7,
        ..USUAL
    };
    write(file.path(), LABELLED, &table(&published(45)), &how);
    std::fs::read(file.path()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("PARQUET_CASES").map_or(64, |n| n.parse().unwrap()), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_fall(
        spoilt in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        tail: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut file = small();
        let from = if tail { file.len() - file.len() / 4 } else { 0 };
        for (place, byte) in spoilt {
            let length = file.len();
            file[from + place.index(length - from)] = byte;
        }
        let path = dir.path().join("a.parquet");
        std::fs::write(&path, file).unwrap();
        let source = Source::PubmedqaLabeled(path);
        let mut settings = BuildSettings::new(vec![source], dir.path().join("set"));
        settings.balance = Balance::Natural;
        match build(&settings) {
            Ok(_) | Err(Error::Field { .. } | Error::NoRows { .. } | Error::EmptyClass { .. }) => {}
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }
}
