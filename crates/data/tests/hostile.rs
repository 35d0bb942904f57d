//! Readers on corrupted files: whatever one contains, a reader gives rows or an error that names the
//! file, and no more rows than it can have. dev/fuzz does the same without end.

use std::path::Path;

use proptest::prelude::*;
use verdict_data::{Input, Rules, audit, rows};

const PUBMEDQA: &str = r#"{"1": {"QUESTION": "Is it \"so\"?", "CONTEXTS": ["A. B é", "C"], "MESHES": ["Humans"],
 "YEAR": "2011", "LONG_ANSWER": "It is so, p<or=0.05.", "final_decision": "yes"},
 "2": {"QUESTION": "Was it?", "CONTEXTS": null, "YEAR": 1999, "LONG_ANSWER": "\u00e9", "final_decision": "maybe"}}"#;
const BIOASQ: &str = r#"{"v": [1, {"a": "]}"}], "questions": [{"id": "5a", "type": "yesno", "body": "Is it?",
 "exact_answer": ["yes"], "ideal_answer": ["Yes. It is."], "documents": ["http://x/pubmed/12"],
 "snippets": [{"text": "It was."}]}, {"id": "6b", "type": "list", "body": "Which?"}]}"#;
const JSONL: &str = "{\"question\": \"Is it?\", \"label\": \"no\", \"rationale\": \"It is not.\", \"context\": \"C.\"}\n\n{\"question\": \"Was it?\", \"label\": \"yes\", \"rationale\": \"It was.\", \"id\": \"b\", \"group\": \"g\"}\n";
const CSV: &str = "id,question,label,rationale\n1,\"Is it, or\n not?\",no,\"It \"\"is\"\" not.\"\n2,Was it?,yes,It was.\n";

/// A change of a file.
#[derive(Clone, Debug)]
enum Spoil {
    Cut(prop::sample::Index),
    Drop(prop::sample::Index, usize),
    Insert(prop::sample::Index, Vec<u8>),
    Repeat(prop::sample::Index, usize),
}

fn spoil() -> impl Strategy<Value = Spoil> {
    let at = any::<prop::sample::Index>;
    let bytes = prop::sample::select(b"{}[]\",:\\\n\r\t 0-eyn\xff\xc3\xa9\xef\xbb\xbf\0".to_vec());
    prop_oneof![
        1 => at().prop_map(Spoil::Cut),
        3 => (at(), 1..9usize).prop_map(|(at, n)| Spoil::Drop(at, n)),
        4 => (at(), prop::collection::vec(bytes, 1..5)).prop_map(|(at, new)| Spoil::Insert(at, new)),
        1 => (at(), 1..60usize).prop_map(|(at, n)| Spoil::Repeat(at, n)),
    ]
}

fn spoilt(text: &str, spoils: &[Spoil]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for spoil in spoils {
        let len = bytes.len() + 1;
        match spoil {
            Spoil::Cut(at) => bytes.truncate(at.index(len)),
            Spoil::Drop(at, n) => {
                let at = at.index(len);
                let end = (at + n).min(bytes.len());
                drop(bytes.drain(at..end));
            }
            Spoil::Insert(at, new) => {
                let at = at.index(len);
                drop(bytes.splice(at..at, new.iter().copied()));
            }
            Spoil::Repeat(at, n) => {
                let at = at.index(len);
                let again = bytes[at..(at + n).min(bytes.len())].to_vec();
                drop(bytes.splice(at..at, again));
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_spoilt_file_gives_rows_or_an_error_that_names_it(
        kind in 0..4usize, contexts: bool, spoils in prop::collection::vec(spoil(), 1..6),
    ) {
        let (source, text) = [
            ("pubmedqa-labeled", PUBMEDQA), ("bioasq", BIOASQ), ("jsonl", JSONL), ("csv", CSV),
        ][kind];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spoilt");
        let bytes = spoilt(text, &spoils);
        std::fs::write(&path, &bytes).unwrap();
        let input: Input = format!("{source}:{}", path.display()).parse().unwrap();
        match rows(&input, 1, contexts) {
            Ok(rows) => prop_assert!(rows.len() <= bytes.len()),
            Err(error) => {
                let text = error.to_string();
                prop_assert!(text.starts_with(&path.display().to_string()), "{text}");
                prop_assert!(!text.contains('\n'), "{text:?}");
            }
        }
        // What is audited may be anybody's.
        std::fs::rename(&path, folder.path().join("train.jsonl")).unwrap();
        let _ = audit(folder.path(), &[]);
    }

    #[test]
    fn spoilt_rules_are_refused_or_kept_whole(spoils in prop::collection::vec(spoil(), 1..3)) {
        let bytes = spoilt(verdict_data::rules::BUILT_IN, &spoils);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules.toml");
        std::fs::write(&path, &bytes).unwrap();
        match Rules::read(&path) {
            Ok(rules) => prop_assert_eq!(rules.text().unwrap().as_bytes(), bytes),
            Err(error) => prop_assert!(error.to_string().starts_with(&path.display().to_string())),
        }
    }
}

#[test]
fn what_is_not_spoilt_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let read = |kind: &str, text: &str| {
        let path: &Path = &folder.path().join(kind);
        std::fs::write(path, text).unwrap();
        rows(
            &format!("{kind}:{}", path.display()).parse().unwrap(),
            1,
            true,
        )
        .unwrap()
        .len()
    };
    assert_eq!(read("pubmedqa-labeled", PUBMEDQA), 2);
    assert_eq!(read("bioasq", BIOASQ), 1);
    assert_eq!(read("jsonl", JSONL), 2);
    assert_eq!(read("csv", CSV), 2);
}
