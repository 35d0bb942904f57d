//! The byte order mark that editors and spreadsheets write is read past in every file, and text in another encoding
//! than UTF-8 is refused by its name.

use std::path::{Path, PathBuf};

use verdict_data::audit::audit;
use verdict_data::{Balance, BuildSettings, DataSet, Error, Input, Protect, Rules, build};

const MARK: &str = "\u{feff}";

const ROWS: &str = r#"{"question": "Does zinc shorten a cold in children?", "label": "no", "rationale": "Trials found no effect of zinc."}"#;

/// A source's file name, its kind and its text, each of one row that can be used.
const SOURCES: [(&str, &str, &str); 6] = [
    ("rows.jsonl", "jsonl", ROWS),
    (
        "rows.csv",
        "csv",
        "question,label,rationale\nDoes zinc shorten a cold in children?,no,Trials found no effect of zinc.\n",
    ),
    (
        "quoted.csv",
        "csv",
        "\"question\",\"label\",\"rationale\"\n\"Does zinc shorten a cold in children?\",no,Trials found no effect of zinc.\n",
    ),
    (
        "rows.tsv",
        "csv",
        "question\tlabel\trationale\nDoes zinc shorten a cold in children?\tno\tTrials found no effect of zinc.\n",
    ),
    (
        "pubmedqa.json",
        "pubmedqa-labeled",
        r#"{"1": {"QUESTION": "Does zinc shorten a cold in children?", "CONTEXTS": ["A trial."], "LONG_ANSWER": "Trials found no effect of zinc.", "final_decision": "no"}}"#,
    ),
    (
        "bioasq.json",
        "bioasq",
        r#"{"questions": [{"id": "5c", "type": "yesno", "body": "Does zinc shorten a cold in children?", "exact_answer": "no", "ideal_answer": "Trials found no effect of zinc.", "documents": []}]}"#,
    ),
];

fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("written");
    path
}

fn utf16(text: &str) -> Vec<u8> {
    let units = format!("{MARK}{text}");
    units.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn settings(folder: &Path, kind: &str, path: &Path) -> BuildSettings {
    let source: Input = format!("{kind}:{}", path.display()).parse().expect("good");
    BuildSettings {
        balance: Balance::Natural,
        protect: Vec::new(),
        ..BuildSettings::new([source], folder.join("data"))
    }
}

/// The only question of what is built.
fn built(settings: &BuildSettings) -> String {
    build(settings).expect("builds");
    let mut set = DataSet::read(&settings.out).expect("reads");
    assert_eq!(set.train.len(), 1);
    set.train.remove(0).question
}

fn encoding(error: &Error) -> bool {
    matches!(error, Error::Encoding { found, .. } if *found == "UTF-16LE")
}

#[test]
fn sources_of_every_layout_may_begin_with_a_mark() {
    for (name, kind, text) in SOURCES {
        let folder = tempfile::tempdir().expect("a folder");
        let marked = file(folder.path(), name, format!("{MARK}{text}").as_bytes());
        let question = built(&settings(folder.path(), kind, &marked));
        assert_eq!(question, "Does zinc shorten a cold in children?", "{name}");
        let wide = file(folder.path(), name, &utf16(text));
        let folder = tempfile::tempdir().expect("a folder");
        let error = build(&settings(folder.path(), kind, &wide)).expect_err("refused");
        assert!(encoding(&error), "{name}: {error}");
    }
}

#[test]
fn benchmarks_of_every_layout_may_begin_with_a_mark() {
    let lists = SOURCES
        .into_iter()
        .filter(|(name, ..)| name.contains(".json"))
        .map(|(name, _, text)| (name, text));
    for (name, text) in lists.chain([("pmids.txt", "1\n"), ("keys.json", "{\"1\": \"no\"}")]) {
        let folder = tempfile::tempdir().expect("a folder");
        let (_, kind, rows) = SOURCES[4];
        let source = file(folder.path(), "source.json", rows.as_bytes());
        let benchmark = file(folder.path(), name, format!("{MARK}{text}").as_bytes());
        let protected = |benchmark: PathBuf| BuildSettings {
            protect: vec![Protect::File(benchmark)],
            ..settings(folder.path(), kind, &source)
        };
        let error = build(&protected(benchmark)).expect_err("every row is protected");
        assert!(matches!(error, Error::NoRows { .. }), "{name}: {error}");
        let wide = file(folder.path(), name, &utf16(text));
        let error = build(&protected(wide)).expect_err("refused");
        assert!(encoding(&error), "{name}: {error}");
    }
}

#[test]
fn audits_and_rules_may_begin_with_a_mark() {
    let folder = tempfile::tempdir().expect("a folder");
    for split in ["train.jsonl", "test.jsonl"] {
        file(folder.path(), split, format!("{MARK}{ROWS}\n").as_bytes());
    }
    assert_eq!(audit(folder.path(), &[]).expect("audits").leaks.len(), 2);
    file(folder.path(), "test.jsonl", &utf16(ROWS));
    assert!(encoding(&audit(folder.path(), &[]).expect_err("refused")));
    let marked = format!("{MARK}{}", verdict_data::rules::BUILT_IN);
    let path = file(folder.path(), "rules.toml", marked.as_bytes());
    assert_eq!(Rules::read(path).expect("reads"), Rules::default());
}
