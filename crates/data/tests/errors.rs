//! Every way a build or a reading can fail, by the text that a user sees.

mod written;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use verdict_data::{Balance, BuildSettings, DataSet, Error, Source, build};

/// A folder for one test.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        Bench {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn settings(&self, source: Source) -> BuildSettings {
        BuildSettings::new(vec![source], self.path("set"))
    }

    /// The text of the error, with the folder as `DIR`.
    fn text(&self, error: &Error) -> String {
        error
            .to_string()
            .replace(&self.dir.path().display().to_string(), "DIR")
    }

    /// The text of the error that building from `source` gives; nothing may be left behind.
    fn build_fails(&self, source: Source) -> String {
        let error = build(&self.settings(source)).unwrap_err();
        assert!(!self.path("set").exists());
        self.text(&error)
    }
}

/// `rows` lines of each label, with questions that differ.
fn lines(rows: [usize; 3]) -> String {
    let mut text = String::new();
    for (label, rows) in ["yes", "no", "maybe"].into_iter().zip(rows) {
        for row in 0..rows {
            text += &format!(
                "{{\"question\":\"Is {label} row {row} true?\",\"label\":\"{label}\",\"rationale\":\"It is so in trial {row}.\"}}\n"
            );
        }
    }
    text
}

fn read_fails(bench: &Bench) -> String {
    bench.text(&DataSet::read(bench.path("set")).unwrap_err())
}

#[test]
fn a_broken_json_line_is_named_by_its_number() {
    let bench = Bench::new();
    let file = bench.file(
        "rows.jsonl",
        &format!("{}\n{{\"question\": \"Is it", lines([1, 0, 0])),
    );
    assert_eq!(
        bench.build_fails(Source::Jsonl(file)),
        "DIR/rows.jsonl: line 3: column 19: EOF while parsing a string"
    );
}

#[test]
fn a_truncated_json_file_is_named_by_its_line() {
    let bench = Bench::new();
    let text = "{\n\"1\": {\"QUESTION\": \"Is it so?\",\n";
    let file = bench.file("pqal.json", text);
    assert_eq!(
        bench.build_fails(Source::PubmedqaLabeled(file)),
        "DIR/pqal.json: line 3: column 1: expected the end of the entry, found the end of the file"
    );
    let file = bench.file("golden.json", "{\"questions\": [\n{},,");
    assert_eq!(
        bench.build_fails(Source::Bioasq(file)),
        "DIR/golden.json: line 2: column 4: expected a value, found `,`"
    );
}

#[test]
fn a_missing_or_wrong_field_is_named_with_its_row() {
    let bench = Bench::new();
    let jsonl = |text: &str| bench.build_fails(Source::Jsonl(bench.file("rows.jsonl", text)));
    assert_eq!(
        jsonl("{\"question\":\"Is it so?\",\"label\":\"yes\"}"),
        "DIR/rows.jsonl: line 1: expected field \"rationale\" as text, found nothing"
    );
    assert_eq!(
        jsonl("\n{\"question\":\"Is it so?\",\"label\":\"perhaps\",\"rationale\":\"\"}"),
        "DIR/rows.jsonl: line 2: expected field \"label\" as yes, no, maybe or uncertain, found \"perhaps\""
    );
    assert_eq!(
        jsonl("[1]"),
        "DIR/rows.jsonl: line 1: expected field \"question\" as text, found nothing"
    );
    assert_eq!(
        jsonl(
            "{\"question\":\"Is it so?\",\"label\":\"yes\",\"rationale\":\"It is.\",\"context\":7}"
        ),
        "DIR/rows.jsonl: line 1: expected field \"context\" as text, found the number 7"
    );

    let pubmedqa =
        |text: &str| bench.build_fails(Source::PubmedqaLabeled(bench.file("pqal.json", text)));
    assert_eq!(
        pubmedqa("{\"7\":{\"QUESTION\":\"Is it so?\",\"final_decision\":\"yes\"}}"),
        "DIR/pqal.json: PMID 7: expected field \"LONG_ANSWER\" as text, found nothing"
    );
    assert_eq!(
        pubmedqa(
            "{\"7\":{\"QUESTION\":\"Is it so?\",\"final_decision\":\"yes\",\"LONG_ANSWER\":\"It is.\",\"CONTEXTS\":[\"a\",1]}}"
        ),
        "DIR/pqal.json: PMID 7: expected field \"CONTEXTS\" as a list of texts, found the number 1 in it"
    );
    assert_eq!(
        pubmedqa("[]"),
        "DIR/pqal.json: line 1: column 1: expected an object keyed by PMID, found `[`"
    );
}

#[test]
fn a_missing_bioasq_field_is_named_with_the_questions_index() {
    let bench = Bench::new();
    let bioasq = |text: &str| bench.build_fails(Source::Bioasq(bench.file("golden.json", text)));
    let whole = "{\"id\":\"a1\",\"type\":\"yesno\",\"body\":\"Is it so?\",\"exact_answer\":\"yes\",\"ideal_answer\":[\"It is.\"]}";
    assert_eq!(
        bioasq(&format!(
            "{{\"questions\":[{whole},{{\"id\":\"b2\",\"type\":\"yesno\",\"body\":\"Is it?\",\"ideal_answer\":\"No.\"}}]}}"
        )),
        "DIR/golden.json: question 1 (id b2): expected field \"exact_answer\" as text or a list of texts, found nothing"
    );
    assert_eq!(
        bioasq("{\"questions\":[{\"body\":\"Is it?\"}]}"),
        "DIR/golden.json: question 0: expected field \"type\" as text, found nothing"
    );
    assert_eq!(
        bioasq("{\"data\":[]}"),
        "DIR/golden.json: top level: expected field \"questions\" as a list, found nothing"
    );
    assert_eq!(
        bioasq(&format!(
            "{{\"questions\":[{}]}}",
            whole.replace("[\"It is.\"]", "[]")
        )),
        "DIR/golden.json: question 0 (id a1): expected field \"ideal_answer\" as text or a list of texts, found an empty list"
    );
}

#[test]
fn a_folder_without_golden_files_and_a_file_that_is_not_there() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("empty")).unwrap();
    assert_eq!(
        bench.build_fails(Source::Bioasq(bench.path("empty"))),
        "DIR/empty: expected BioASQ golden files (*.json), found none"
    );
    assert_eq!(
        bench.build_fails(Source::PubmedqaLabeled(bench.path("empty"))),
        "DIR/empty: expected PubMedQA files (*.json, *.parquet), found none"
    );
    assert_eq!(
        bench.build_fails(Source::PubmedqaLabeled(bench.path("nowhere.json"))),
        "DIR/nowhere.json: No such file or directory (os error 2)"
    );
}

#[test]
fn an_empty_or_small_class_is_told_with_the_counts() {
    let bench = Bench::new();
    let source = |rows| Source::Jsonl(bench.file("rows.jsonl", &lines(rows)));
    assert_eq!(
        bench.build_fails(source([4, 5, 0])),
        "class Uncertain is empty: expected rows of every class, found 4 Yes, 5 No, 0 Uncertain"
    );
    let mut settings = bench.settings(source([9, 4, 8]));
    settings.balance = Balance::PerClass(6);
    let error = build(&settings).unwrap_err();
    assert_eq!(
        error.to_string(),
        "class No has too few rows: expected 6 per class, found 4 that can be used (9 Yes, 4 No, 8 Uncertain after cleaning)"
    );
    assert_eq!(
        error.hint(),
        Some("ask for fewer rows per class, or add a source")
    );
    settings.balance = Balance::PerClass(0);
    assert_eq!(
        build(&settings).unwrap_err().to_string(),
        "rows per class: expected at least 1, found 0"
    );
    assert_eq!(
        bench.build_fails(source([0, 0, 0])),
        "no rows left: expected questions with answers, found 0 rows, none of which could be used"
    );
    assert_eq!(
        build(&BuildSettings::new(Vec::<Source>::new(), bench.path("set")))
            .unwrap_err()
            .to_string(),
        "no sources: expected at least one of pubmedqa-labeled:PATH, pubmedqa-artificial:PATH, \
         pubmedqa-unlabeled:PATH, bioasq:PATH, jsonl:PATH, csv:PATH, parquet:PATH, stats:ROWS, clinical"
    );
}

#[test]
fn a_folder_in_use_is_left_alone() {
    let bench = Bench::new();
    let mut settings = bench.settings(Source::Jsonl(bench.file("rows.jsonl", &lines([5, 5, 5]))));
    bench.file("set/notes.txt", "mine");
    assert_eq!(
        bench.text(&build(&settings).unwrap_err()),
        "DIR/set: expected a new or empty folder, found one with files in it"
    );
    settings.overwrite = true;
    assert_eq!(
        bench.text(&build(&settings).unwrap_err()),
        "DIR/set: expected a data set to overwrite, found \"notes.txt\" in it"
    );
    assert_eq!(std::fs::read(bench.path("set/notes.txt")).unwrap(), b"mine");

    std::fs::remove_file(bench.path("set/notes.txt")).unwrap();
    settings.overwrite = false;
    let first = build(&settings).unwrap();
    assert!(matches!(build(&settings), Err(Error::NotEmpty { .. })));
    settings.overwrite = true;
    settings.seed = 7;
    let second = build(&settings).unwrap();
    assert_ne!(first.manifest, second.manifest);
    assert_eq!(
        DataSet::read(bench.path("set")).unwrap().manifest,
        second.manifest
    );
    assert_eq!(left_over(bench.dir.path()), ["rows.jsonl", "set"]);
}

/// What lies in a folder, in order: no partial folder may stay.
fn left_over(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_set_that_is_not_whole_is_refused() {
    let bench = Bench::new();
    assert_eq!(
        read_fails(&bench),
        "DIR/set: expected a finished data set, found no MANIFEST.json"
    );
    build(&bench.settings(Source::Jsonl(
        bench.file("rows.jsonl", &lines([10, 10, 10])),
    )))
    .unwrap();
    let test = bench.path("set/test.jsonl");
    let whole = std::fs::read_to_string(&test).unwrap();

    std::fs::write(&test, &whole[..whole.len() - 20]).unwrap();
    assert!(
        read_fails(&bench).starts_with("DIR/set/test.jsonl: line 3: column "),
        "{}",
        read_fails(&bench)
    );
    std::fs::write(&test, whole.replacen("\"source\":", "\"origin\":", 1)).unwrap();
    assert!(
        read_fails(&bench).contains("test.jsonl: line 1: column ")
            && read_fails(&bench).contains("unknown field `origin`"),
        "{}",
        read_fails(&bench)
    );
    std::fs::write(&test, whole.replace("Is yes", "Was yes")).unwrap();
    let text = read_fails(&bench);
    assert!(
        text.starts_with("DIR/set/test.jsonl: expected SHA-256 ")
            && text.ends_with(": changed since it was built"),
        "{text}"
    );
    std::fs::remove_file(&test).unwrap();
    assert_eq!(
        read_fails(&bench),
        "DIR/set/test.jsonl: No such file or directory (os error 2)"
    );
    std::fs::write(bench.path("set/MANIFEST.json"), "{").unwrap();
    assert_eq!(
        read_fails(&bench),
        "DIR/set/MANIFEST.json: line 1: column 1: EOF while parsing an object"
    );
}

/// A row as the hub's files have it.
fn hub_row() -> Value {
    json!({
        "pubid": 7, "question": "Is it so?", "long_answer": "It is so in most trials.", "final_decision": "yes",
        "context": {"contexts": ["We asked.", "They told."], "labels": ["A", "B"], "meshes": []},
    })
}

#[test]
fn bytes_that_are_no_parquet_or_break_off_are_told() {
    let bench = Bench::new();
    let told = |bytes: &[u8]| {
        let path = bench.path("a.parquet");
        std::fs::write(&path, bytes).unwrap();
        bench.build_fails(Source::PubmedqaLabeled(path))
    };
    assert_eq!(
        told(b"PAR1"),
        "DIR/a.parquet: beginning: expected \"PAR1\" as in a whole Parquet file, found a file of 4 bytes"
    );
    assert_eq!(
        told(b"{\"1\": {\"QUESTION\": \"Is it so?\"}}"),
        "DIR/a.parquet: beginning: expected \"PAR1\" as in a whole Parquet file, found \"{\\\"1\\\"\""
    );
    let path = bench.path("a.parquet");
    written::write(&path, written::LABELLED, &[hub_row()], &written::USUAL);
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(
        told(&whole[..whole.len() - 9]).split("found").next(),
        Some("DIR/a.parquet: end: expected \"PAR1\" as in a whole Parquet file, ")
    );
    let mut spoilt = whole.clone();
    let footer = spoilt.len() - 8;
    spoilt[footer..footer + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let text = told(&spoilt);
    assert!(
        text.starts_with("DIR/a.parquet: footer: expected a readable footer, found "),
        "{text}"
    );
    let mut spoilt = whole;
    spoilt[4..40].fill(0xff);
    let text = told(&spoilt);
    assert!(
        text.starts_with("DIR/a.parquet: row 1: expected a readable column \"pubid\", found "),
        "{text}"
    );
}

#[test]
fn a_missing_or_wrong_column_is_named_with_those_that_are_there() {
    let bench = Bench::new();
    let path = bench.path("a.parquet");
    let told = |schema: &str, row: Value| {
        written::write(&path, schema, &[row], &written::USUAL);
        bench.build_fails(Source::PubmedqaLabeled(path.clone()))
    };
    assert_eq!(
        told(&written::unlabelled(), hub_row()),
        "DIR/a.parquet: schema: expected column \"final_decision\" of text, found columns pubid, question, context, long_answer"
    );
    assert_eq!(
        told(
            "message own { optional binary question (STRING); }",
            hub_row()
        ),
        "DIR/a.parquet: schema: expected column \"pubid\" of whole numbers, found columns question"
    );
    let numbers = written::LABELLED.replace("binary long_answer (STRING)", "int32 long_answer");
    let mut row = hub_row();
    row["long_answer"] = json!(3);
    assert_eq!(
        told(&numbers, row),
        "DIR/a.parquet: schema: expected column \"long_answer\" of text, found INT32"
    );
    let lists = written::LABELLED.replace(
        "optional group contexts (LIST) { repeated group list { optional binary element (STRING); } }",
        "optional binary contexts (STRING);",
    );
    let mut row = hub_row();
    row["context"]["contexts"] = json!("We asked.");
    assert_eq!(
        told(&lists, row),
        "DIR/a.parquet: schema: expected column \"context.contexts\" of lists of texts, found BYTE_ARRAY"
    );
    let nested = written::LABELLED.replace(
        "optional binary question (STRING);",
        "optional group question { optional binary a (STRING); optional binary b (STRING); }",
    );
    let mut row = hub_row();
    row["question"] = json!({"a": "Is it so?"});
    assert_eq!(
        told(&nested, row),
        "DIR/a.parquet: schema: expected column \"question\" of text, found a struct of 2 columns"
    );
}

#[test]
fn a_null_or_a_word_that_is_no_label_is_named_with_its_row() {
    let bench = Bench::new();
    let path = bench.path("a.parquet");
    let told = |field: &str, value: Value| {
        let mut rows = [hub_row(), hub_row()];
        *rows[1].pointer_mut(field).unwrap() = value;
        written::write(&path, written::LABELLED, &rows, &written::USUAL);
        bench.build_fails(Source::PubmedqaLabeled(path.clone()))
    };
    assert_eq!(
        told("/pubid", Value::Null),
        "DIR/a.parquet: row 2: expected field \"pubid\" as a whole number, found nothing"
    );
    assert_eq!(
        told("/question", Value::Null),
        "DIR/a.parquet: row 2 (PMID 7): expected field \"question\" as text, found nothing"
    );
    assert_eq!(
        told("/long_answer", Value::Null),
        "DIR/a.parquet: row 2 (PMID 7): expected field \"long_answer\" as text, found nothing"
    );
    assert_eq!(
        told("/context/contexts", json!(["We asked.", null])),
        "DIR/a.parquet: row 2 (PMID 7): expected field \"contexts\" as a list of texts, found nothing in it"
    );
    assert_eq!(
        told("/final_decision", Value::Null),
        "DIR/a.parquet: row 2 (PMID 7): expected field \"final_decision\" as text, found nothing"
    );
    assert_eq!(
        told("/final_decision", json!("perhaps")),
        "DIR/a.parquet: row 2 (PMID 7): expected field \"final_decision\" as yes, no, maybe or uncertain, found \"perhaps\""
    );
}
