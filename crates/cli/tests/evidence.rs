//! Evidence from the command line on a tiny random model: answers that rest on an index, and their evaluation.

mod common;
#[path = "common/tiny.rs"]
mod tiny;

use std::path::Path;

use common::{show, show_words, verdict};
use serde_json::Value;

/// Three publications on one question, one of them retracted, and one on another.
const LITERATURE: &str = r#"{"id":"11","title":"Vitamin D and hip fractures","text":"Older women took vitamin D or placebo. Hip fractures occurred in 5 % and 9 %.","year":2010,"journal":"J Bones"}
{"id":"12","title":"Vitamin D in women","text":"Vitamin D did not change the rate of hip fractures in older women.","year":2019}
{"id":"14","title":"Headache","text":"Aspirin relieved headache within an hour.","year":2001}
"#;

const PUBMED: &str = r#"<?xml version="1.0"?>
<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID Version="1">13</PMID>
<Article><Journal><Title>J Bones</Title><JournalIssue><PubDate><Year>2012</Year></PubDate></JournalIssue></Journal>
<ArticleTitle>Vitamin D prevents hip fractures in older women.</ArticleTitle>
<Abstract><AbstractText>Vitamin D prevented all hip fractures in older women.</AbstractText></Abstract>
<PublicationTypeList><PublicationType>Retracted Publication</PublicationType></PublicationTypeList></Article>
<CommentsCorrectionsList><CommentsCorrections RefType="RetractionIn"><RefSource>J Bones. 2015;1:1</RefSource><PMID Version="1">99</PMID></CommentsCorrections></CommentsCorrectionsList>
</MedlineCitation></PubmedArticle></PubmedArticleSet>
"#;

const QUESTION: &str = "Does vitamin D prevent hip fractures in older women?";

/// A folder with a data set, a model, a run `run` and an index `index`.
fn folder() -> tempfile::TempDir {
    let folder = tiny::folder();
    let at = folder.path();
    std::fs::write(at.join("own.jsonl"), LITERATURE).expect("written");
    std::fs::write(at.join("pubmed.xml"), PUBMED).expect("written");
    for command in [
        "train --data data --model tiny --rank 2 --steps 3 --batch 4 --compute f32 --threads 2 --out run --quiet",
        "index --source jsonl:own.jsonl --source pubmed:pubmed.xml --out index --quiet",
    ] {
        let said = show(at, command);
        assert!(said.starts_with("status: 0"), "{said}");
    }
    folder
}

fn ask(folder: &Path, question: &str, more: &[&str]) -> Value {
    let output = verdict(folder)
        .args([
            "ask",
            "--run",
            "run",
            "--evidence",
            "index",
            "--json",
            question,
        ])
        .args(more)
        .output()
        .expect("ran");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

fn ids(answer: &Value) -> Vec<&str> {
    let all = answer["evidence"].as_array().expect("a list");
    let mut ids: Vec<&str> = all.iter().filter_map(|one| one["id"].as_str()).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn an_answer_lists_the_publications_that_it_rests_on() {
    let folder = folder();
    let at = folder.path();
    let answer = ask(at, QUESTION, &[]);
    assert_eq!(
        ids(&answer),
        ["11", "12", "13"],
        "the one on headache is not relevant"
    );
    let mut weight = 0.0;
    let mut decisive = 0;
    for one in answer["evidence"].as_array().expect("a list") {
        match one["id"].as_str() {
            Some("13") => {
                assert_eq!(
                    (&one["retracted"], &one["reading"]),
                    (&Value::Bool(true), &Value::Null)
                );
                assert_eq!(one["notices"][0]["pmid"], "99");
            }
            _ => {
                let reading = &one["reading"];
                weight += reading["weight"].as_f64().expect("a weight");
                decisive += usize::from(reading["decisive"] == true);
                let sentence = reading["sentence"].as_str().expect("a sentence");
                let passage = one["passage"].as_str().expect("a passage");
                assert!(passage.contains(sentence), "{sentence} of {passage}");
                assert_eq!(reading["agrees"], reading["label"] == answer["label"]);
            }
        }
    }
    assert!((weight - 1.0).abs() < 1e-9, "{weight}");
    assert!(decisive <= 1);
    let agreement = answer["agreement"].as_f64().expect("a share");
    assert!((0.0..=1.0).contains(&agreement));
    // The same question again, and as the literature stood in 2011.
    assert_eq!(without_times(ask(at, QUESTION, &[])), without_times(answer));
    assert_eq!(ids(&ask(at, QUESTION, &["--as-of", "2011"])), ["11"]);
    assert_eq!(ids(&ask(at, QUESTION, &["--years", "2015-"])), ["12"]);
    let text = show_words(
        at,
        &["ask", "--run", "run", "--evidence", "index", QUESTION],
    );
    assert!(
        text.contains("retracted, not counted: Vitamin D prevents hip fractures"),
        "{text}"
    );
    assert!(text.contains("J Bones. 2015;1:1 (PMID 99)"), "{text}");
}

fn without_times(mut answer: Value) -> Value {
    answer["latency_ms"] = Value::Null;
    answer
}

#[test]
fn nothing_relevant_is_uncertain_and_said_so() {
    let folder = folder();
    let answer = ask(folder.path(), "Is metformin safe in pregnancy?", &[]);
    assert_eq!(answer["label"], "Uncertain");
    assert_eq!(
        answer["rationale"],
        "No relevant publication was found in the index."
    );
    assert_eq!(answer["evidence"].as_array().map(Vec::len), Some(0));
}

#[test]
fn conditions_are_compared_and_the_pool_is_kept() {
    let folder = folder();
    let at = folder.path();
    let mine = r#"{"id":"a","question":"Does vitamin D prevent hip fractures in older women?","label":"yes","rationale":"It does.","context":"Hip fractures occurred in 5 % and 9 %. It prevents fractures."}
{"id":"b","question":"Does aspirin relieve headache within an hour?","label":"no","rationale":"It does not.","context":"Aspirin relieved headache."}
"#;
    std::fs::write(at.join("mine.jsonl"), mine).expect("written");
    let output = verdict(at)
        .args([
            "eval",
            "run",
            "--benchmark",
            "jsonl:mine.jsonl",
            "--evidence",
            "index",
            "--full-answers",
            "1",
        ])
        .args([
            "--max-new-tokens",
            "40",
            "--bootstrap-samples",
            "100",
            "--json",
        ])
        .output()
        .expect("ran");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let systems = report["systems"].as_array().expect("a list");
    let names: Vec<&str> = systems
        .iter()
        .filter_map(|of| of["name"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "base",
            "r2",
            "base closed-book",
            "r2 closed-book",
            "base + evidence",
            "r2 + evidence",
            "base + evidence without source",
            "r2 + evidence without source"
        ]
    );
    assert!(
        said.contains("the weights of evidence were not fitted"),
        "{said}"
    );
    // The same model under two of four conditions, or both models under the same.
    let pairs = report["benchmarks"][0]["pairs"].as_array().map(Vec::len);
    assert_eq!(pairs, Some(2 * 6 + 4));
    let html = std::fs::read_to_string(at.join("run/report.html")).expect("read");
    assert!(html.contains("r2 + evidence without source"));
}

#[test]
fn wrong_flags_and_folders_are_refused() {
    let folder = folder();
    let at = folder.path();
    for (flags, expected) in [
        ("--evidence data", "expected an index"),
        ("--evidence nowhere", "nowhere"),
        (
            "--evidence index --top 0",
            "--top: expected at least 1, found 0",
        ),
        (
            "--evidence index --min-match 2",
            "--min-match: expected a share from 0 to 1, found 2",
        ),
        ("--evidence index --context Text", "cannot be used with"),
        ("--top 3", "--evidence <INDEX>"),
        (
            "--evidence index --as-of 2011 --years 2010",
            "cannot be used with",
        ),
    ] {
        let said = show(at, &format!("ask --run run {flags} Why?"));
        assert!(
            said.starts_with("status: 2") && said.contains(expected),
            "{flags}: {said}"
        );
    }
}
