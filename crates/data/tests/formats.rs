//! Own rows as people have them: ids that are numbers, tables with faults, names of files with any characters, a
//! column that says the split, Parquet, scripts without blanks.

mod written;

use std::path::Path;

use serde_json::{Value, json};
use verdict_data::{Balance, BuildSettings, DataSet, Input, Item, Split, build};

const DRUGS: [&str; 5] = ["aspirin", "zinc", "yoga", "warfarin", "statins"];

/// Fifteen rows of all labels whose ids and groups are numbers.
fn rows() -> Vec<Value> {
    (0..15)
        .map(|n| {
            json!({
                "question": format!("Does {} lower the yearly risk of event {n}?", DRUGS[n % 5]),
                "label": (["yes", "no", "maybe"][n % 3]),
                "rationale": format!("Trial {n} of {} answered it for {} patients.", DRUGS[n % 5], 100 + 7 * n),
                "id": 4_000 + n,
                "group": n,
            })
        })
        .collect()
}

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

fn settings(folder: &Path, source: &str) -> BuildSettings {
    let source: Input = source.parse().expect("a source");
    BuildSettings {
        balance: Balance::Natural,
        protect: Vec::new(),
        overwrite: true,
        ..BuildSettings::new([source], folder.join("set"))
    }
}

fn built(folder: &Path, source: &str) -> DataSet {
    let settings = settings(folder, source);
    build(&settings).expect("builds");
    DataSet::read(settings.out).expect("reads")
}

fn fails(folder: &Path, source: &str) -> String {
    let error = build(&settings(folder, source)).expect_err("refused");
    error.to_string()
}

/// Ids, sorted.
fn ids(set: &DataSet) -> Vec<String> {
    let splits = Split::ALL.into_iter().flat_map(|split| set.split(split));
    let mut ids: Vec<String> = splits.map(|item| item.id.clone()).collect();
    ids.sort();
    ids
}

#[test]
fn ids_and_groups_may_be_numbers() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows.jsonl");
    std::fs::write(&path, lines(&rows())).expect("written");
    let set = built(folder.path(), &format!("jsonl:{}", path.display()));
    let expected: Vec<String> = (4_000..4_015).map(|n| n.to_string()).collect();
    assert_eq!(ids(&set), expected);
    assert!(
        set.train
            .iter()
            .any(|item| item.group == "0" || item.group == "1")
    );
}

#[test]
fn rows_go_to_the_split_that_their_column_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows.jsonl");
    let names = ["train", "Training", "dev", "TEST", "val"];
    let mut all = rows();
    for (n, row) in all.iter_mut().enumerate() {
        row["split"] = names[n % 5].into();
    }
    all[14]["split"] = Value::Null;
    std::fs::write(&path, lines(&all)).expect("written");
    let source = format!("jsonl:{}", path.display());
    let set = built(folder.path(), &source);
    for (n, name) in names.iter().enumerate() {
        let split = match *name {
            "dev" | "val" => Split::Validation,
            "TEST" => Split::Test,
            _ => Split::Train,
        };
        for row in (n..14).step_by(5) {
            let id = (4_000 + row).to_string();
            assert!(
                set.split(split).iter().any(|item| item.id == id),
                "{id} in {split}"
            );
        }
    }
    all[3]["split"] = "holdout".into();
    std::fs::write(&path, lines(&all)).expect("written");
    let told = fails(folder.path(), &source);
    assert!(
        told.contains("line 4: expected field \"split\" as train, validation or test"),
        "{told}"
    );
    assert!(told.contains("?split=none"), "{told}");
    assert_eq!(
        built(folder.path(), &format!("{source}?split=none"))
            .manifest
            .rows_kept,
        15
    );
}

#[test]
fn a_table_whose_quotes_do_not_close_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows.csv");
    let source = format!("csv:{}", path.display());
    let table = |third: &str| {
        let mut text = "question,label,rationale\n".to_owned();
        for (n, row) in rows().iter().enumerate() {
            let cell = |name: &str| row[name].as_str().expect("text").to_owned();
            let question = if n == 2 {
                third.to_owned()
            } else {
                cell("question")
            };
            text += &format!("{question},{},{}\n", cell("label"), cell("rationale"));
        }
        text
    };
    std::fs::write(&path, table("\"Does \"\"it\"\", at last, help?\"")).expect("written");
    assert_eq!(built(folder.path(), &source).manifest.rows_kept, 15);
    std::fs::write(&path, table("\"Does it help?")).expect("written");
    let told = fails(folder.path(), &source);
    assert!(
        told.contains("rows.csv: line 4: expected a closing quote"),
        "{told}"
    );
    std::fs::write(&path, table("\"Does \"it\" help?\"")).expect("written");
    let told = fails(folder.path(), &source);
    assert!(
        told.contains("rows.csv: line 4: expected a delimiter"),
        "{told}"
    );
}

#[test]
fn a_column_or_a_field_that_stands_twice_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows.csv");
    let table =
        "question,label,rationale,label\nDoes it help in adults?,yes,It does in trials.,no\n";
    std::fs::write(&path, table).expect("written");
    let told = fails(folder.path(), &format!("csv:{}", path.display()));
    assert!(
        told.contains("line 1: expected one column \"label\""),
        "{told}"
    );
    let path = folder.path().join("rows.jsonl");
    let line = r#"{"question": "Does it help in adults?", "label": "yes", "rationale": "It does.", "label": "no"}"#;
    std::fs::write(&path, line).expect("written");
    let told = fails(folder.path(), &format!("jsonl:{}", path.display()));
    assert!(
        told.contains("line 1: ") && told.contains("\"label\" twice"),
        "{told}"
    );
}

#[test]
fn a_file_may_have_any_name() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in [
        "Is it flu?.jsonl",
        "50% of #1 & more?.jsonl",
        "why?cap=2.jsonl",
        "a:b?c=d.jsonl",
        "流感？是吗?.jsonl",
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, lines(&rows())).expect("written");
        let source = format!("jsonl:{}", path.display());
        let set = built(folder.path(), &source);
        assert_eq!(set.manifest.rows_kept, 15, "{name}");
        let capped = built(folder.path(), &format!("{source}?cap=10"));
        assert_eq!(capped.manifest.rows_kept, 10, "{name}");
        let parsed: Input = format!("{source}?cap=10").parse().expect("good");
        assert_eq!(parsed.to_string(), format!("{source}?cap=10"));
    }
}

#[test]
fn own_rows_may_be_parquet() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows.parquet");
    let schema = "message schema {
        optional int64 id;
        optional binary question (STRING);
        optional binary answer (STRING);
        optional binary rationale (STRING);
        optional int32 group;
        optional int32 year;
    }";
    let mut all = rows();
    for row in &mut all {
        row["answer"] = row["label"].clone();
        row["year"] = 2020.into();
    }
    written::write(&path, schema, &all, &written::USUAL);
    let source = format!("parquet:{}", path.display());
    let told = fails(folder.path(), &source);
    assert!(
        told.contains("expected column \"label\", found columns \"id\""),
        "{told}"
    );
    let set = built(folder.path(), &format!("{source}?label=answer"));
    let lines_path = folder.path().join("rows.jsonl");
    std::fs::write(&lines_path, lines(&rows())).expect("written");
    let same = built(folder.path(), &format!("jsonl:{}", lines_path.display()));
    assert_eq!(ids(&set), ids(&same));
    let texts = |item: &Item| {
        let item = item.clone();
        (item.question, item.label, item.rationale, item.context)
    };
    for (ours, theirs) in set.train.iter().zip(&same.train) {
        assert_eq!(ours.group, theirs.group);
        assert_eq!(texts(ours), texts(theirs));
    }
}

#[test]
fn questions_in_scripts_without_blanks_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows.jsonl");
    let all: Vec<Value> = [
        ("吸烟会导致肺癌吗？", "大量研究显示吸烟者更常患肺癌。"),
        (
            "亜鉛は風邪に効きますか？",
            "試験では風邪が短くなることはなかった。",
        ),
        (
            "ยาแอสไพรินช่วยป้องกันโรคหลอดเลือดสมองได้หรือไม่?",
            "การทดลองพบว่าโรคหลอดเลือดสมองลดลง",
        ),
        (
            "운동이 우울증에 도움이 됩니까?",
            "여러 시험에서 운동이 우울증을 줄였다.",
        ),
    ]
    .into_iter()
    .map(|(question, why)| json!({"question": question, "label": "yes", "rationale": why}))
    .collect();
    std::fs::write(&path, lines(&all)).expect("written");
    let set = built(folder.path(), &format!("jsonl:{}", path.display()));
    assert_eq!(set.manifest.rows_kept, 4);
}

#[test]
fn a_set_with_an_empty_split_is_refused_or_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows.jsonl");
    let mut all = rows();
    for row in &mut all {
        row["group"] = "one".into();
    }
    std::fs::write(&path, lines(&all)).expect("written");
    let source = format!("jsonl:{}", path.display());
    let told = fails(folder.path(), &source);
    assert_eq!(
        told,
        "the validation split is empty: expected rows in train, validation and test, found 15 rows in 1 group, and \
         a group stays in one split"
    );
    assert!(!folder.path().join("set").exists());
    let allowed = BuildSettings {
        empty_splits: true,
        ..settings(folder.path(), &source)
    };
    assert_eq!(build(&allowed).expect("builds").manifest.rows_kept, 15);
}

#[test]
fn why_no_row_could_be_used_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows.jsonl");
    let row = |question: &str, rationale: &str| json!({"question": question, "label": "yes", "rationale": rationale});
    let all = [
        row("Why?", "It does so in trials."),
        row("Is it?", "It does so in trials."),
        row("Does it help in adults?", "Yes."),
    ];
    std::fs::write(&path, lines(&all)).expect("written");
    let told = fails(folder.path(), &format!("jsonl:{}", path.display()));
    assert!(
        told.contains(
            "none of which could be used (2: the question has fewer than three words; 1: "
        ),
        "{told}"
    );
}

#[test]
fn a_bioasq_file_given_as_pubmedqa_is_told_what_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("golden.json");
    std::fs::write(
        &path,
        r#"{"questions": [{"id": "5c", "type": "yesno", "body": "Is it?"}]}"#,
    )
    .expect("written");
    let told = fails(
        folder.path(),
        &format!("pubmedqa-labeled:{}", path.display()),
    );
    assert!(told.contains("give those as bioasq:PATH"), "{told}");
}
