//! Every source from its files: what becomes of each odd form, and the errors of bad ones.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use verdict_evidence::{
    Change, Document, Error, FileRecord, LiteratureSource, Md5Check, NoticeKind, SectionKind,
};

/// The hand-made files.
fn pubmed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pubmed")
}

fn source(text: &str) -> LiteratureSource {
    text.parse().expect("a source")
}

fn read(text: &str) -> Result<(Vec<Change>, Vec<FileRecord>), Error> {
    let mut changes = Vec::new();
    let records = source(text).read(&mut |change| {
        changes.push(change);
        Ok(())
    })?;
    Ok((changes, records))
}

/// The documents of a source that deletes none.
fn documents(text: &str) -> Vec<Document> {
    let (changes, _) = read(text).expect("reads");
    let document = |change| match change {
        Change::Put(document) => *document,
        Change::Delete(id) => panic!("{id} deleted"),
    };
    changes.into_iter().map(document).collect()
}

/// What is left after all changes, by id.
fn applied(changes: Vec<Change>) -> BTreeMap<String, Document> {
    let mut left = BTreeMap::new();
    for change in changes {
        match change {
            Change::Put(document) => left.insert(document.id.clone(), *document),
            Change::Delete(id) => left.remove(&id),
        };
    }
    left
}

fn json_of(document: &Document) -> Value {
    serde_json::to_value(document).expect("JSON")
}

#[test]
fn every_odd_form_of_pubmed_is_read() {
    let found = documents(&format!(
        "pubmed:{}",
        pubmed().join("pubmed25n0001.xml").display()
    ));
    let expected = json!([
        {
            "id": "90000001",
            "title": "Does Saccharomyces shorten diarrhœa in children < 5 years? A randomised trial.",
            "sections": [
                {"label": "BACKGROUND AND AIMS", "kind": "objective", "text": "We gave 10^9 organisms a day."},
                {"label": "METHODS", "kind": "methods", "text": "H2O was drunk at 3 × 10^-3 m2 s−1; CD4+ cells, Ca2+ and 18F \
                  were counted, log10 5 in base 10_2."},
                {"label": "RESULTS", "kind": "results", "text": "Stools fell by 2 & 3 a day (p < 0.05)."},
                {"label": "INTERPRETATION", "kind": "conclusions", "text": "It does."},
            ],
            "year": 1999,
            "journal": "The Journal of Examples & Trials",
            "mesh": ["Diarrhea", "Humans"],
            "types": ["Journal Article", "Randomized Controlled Trial", "Retracted Publication"],
            "notices": [
                {"kind": "corrected", "reference": "J Ex Trials. 1999 Jun;12(6):7"},
                {"kind": "retracted", "reference": "J Ex Trials. 2001;14:2", "pmid": "90000092"},
                {"kind": "concern", "reference": "J Ex Trials. 2000;13:1", "pmid": "90000093"},
            ],
            "source": "pubmed",
        },
        {
            "id": "90000002",
            "title": "Asthma in schools",
            "sections": [{"kind": "other", "text": "Told by a database."}],
            "year": 1998,
            "journal": "Z Beisp",
            "types": ["Journal Article"],
            "source": "pubmed",
        },
        {
            "id": "90000003",
            "title": "El tiempo.",
            "sections": [{"kind": "other", "text": "For all x^2=a/b_i+√(y) and &unknown; α it holds."}],
            "year": 2024,
            "journal": "Rev Ejem",
            "types": ["Retracted Publication"],
            "notices": [{"kind": "retracted"}],
            "source": "pubmed",
        },
        {
            "id": "90000004",
            "title": "Retraction: Does Saccharomyces shorten diarrhoea?",
            "year": 2001,
            "journal": "The Journal of Examples & Trials",
            "types": ["Retraction of Publication"],
            "source": "pubmed",
        },
        {
            "id": "90000005",
            "title": "A chapter",
            "sections": [{"label": "CLINICAL CHARACTERISTICS", "kind": "other", "text": "Rare."}],
            "year": 2023,
            "journal": "Book of Examples",
            "types": ["Review"],
            "source": "pubmed",
        },
    ]);
    for (found, expected) in found.iter().zip(expected.as_array().unwrap()) {
        assert_eq!(&json_of(found), expected);
    }
    assert_eq!(found.len(), 5);
}

#[test]
fn updates_replace_and_delete_in_the_order_of_the_files() {
    let (changes, records) = read(&format!("pubmed:{}", pubmed().display())).unwrap();
    let names: Vec<&str> = records.iter().map(|record| record.name.as_str()).collect();
    assert_eq!(names, ["pubmed25n0001.xml", "pubmed25n0002.xml"]);
    assert_eq!(records[0].md5, Some(Md5Check::Missing));
    assert_eq!(changes.len(), 8);
    let left = applied(changes);
    let ids: Vec<&str> = left.keys().map(String::as_str).collect();
    assert_eq!(ids, ["90000001", "90000002", "90000004", "90000005"]);
    assert_eq!(left["90000002"].title, "Asthma in schools, revised.");
    assert!(left["90000001"].is_retracted());
    assert_eq!(left["90000001"].notices[0].kind, NoticeKind::Corrected);
}

/// A folder with one file of these bytes.
struct OneFile {
    folder: tempfile::TempDir,
    name: &'static str,
}

impl OneFile {
    fn new(name: &'static str, bytes: impl AsRef<[u8]>) -> OneFile {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), bytes).unwrap();
        OneFile { folder, name }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(self.name)
    }

    fn source(&self, kind: &str, options: &str) -> String {
        format!("{kind}:{}{options}", self.path().display())
    }

    /// The error of reading it, without its folder.
    fn error(&self, kind: &str, options: &str) -> String {
        let error = read(&self.source(kind, options)).expect_err("refused");
        let folder = format!("{}/", self.folder.path().display());
        error.to_string().replace(&folder, "")
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// A citation with these elements in it.
fn article(inner: &str) -> String {
    format!("<PubmedArticle><MedlineCitation>{inner}</MedlineCitation></PubmedArticle>")
}

fn set(inner: &str) -> String {
    format!("<PubmedArticleSet>{inner}</PubmedArticleSet>")
}

#[test]
fn gzipped_files_are_those_that_begin_as_such() {
    let text = std::fs::read(pubmed().join("pubmed25n0001.xml")).unwrap();
    let plain = OneFile::new("a.xml.gz", &text);
    let packed = OneFile::new("a.xml.gz", gzip(&text));
    // Two members one after the other are one file.
    let (first, second) = text.split_at(text.len() / 2);
    let members = OneFile::new("a.xml.gz", [gzip(first), gzip(second)].concat());
    let expected = documents(&plain.source("pubmed", ""));
    assert_eq!(expected.len(), 5);
    assert_eq!(documents(&packed.source("pubmed", "")), expected);
    assert_eq!(documents(&members.source("pubmed", "")), expected);
}

#[test]
fn a_file_is_compared_with_its_md5_sum_before_anything_is_read() {
    let file = OneFile::new("a.xml", set(&article("<PMID>1</PMID>")));
    let sum = "aeaedd5c78237e08c52f8b71cb8a2bb4";
    let beside = file.folder.path().join("a.xml.md5");
    for text in [
        format!("MD5(a.xml)= {sum}\n"),
        format!("{}  a.xml\n", sum.to_uppercase()),
    ] {
        std::fs::write(&beside, text).unwrap();
        let (_, records) = read(&file.source("pubmed", "")).unwrap();
        assert_eq!(records[0].md5, Some(Md5Check::Matches));
    }
    std::fs::write(&beside, "MD5(a.xml)= d41d8cd98f00b204e9800998ecf8427e").unwrap();
    let mut seen = 0;
    let error = source(&file.source("pubmed", ""))
        .read(&mut |_| {
            seen += 1;
            Ok(())
        })
        .expect_err("another file");
    assert_eq!(seen, 0);
    assert_eq!(error.hint(), Some("download the file and its .md5 again"));
    assert_eq!(
        file.error("pubmed", ""),
        format!(
            "a.xml: expected MD5 d41d8cd98f00b204e9800998ecf8427e as in a.xml.md5, found {sum}"
        )
    );
    std::fs::write(&beside, "<html>\n").unwrap();
    assert_eq!(
        file.error("pubmed", ""),
        "a.xml.md5: line 1: expected an MD5 sum of 32 hexadecimal digits, as \"MD5(FILE)= SUM\" or \"SUM  FILE\", found \"<html>\""
    );
}

#[test]
fn bad_files_of_pubmed_are_named_with_their_place() {
    let one = article("<PMID>1</PMID>");
    let mut wrong = Vec::new();
    for (text, expected) in [
        (
            String::new(),
            "byte 0: expected <PubmedArticleSet> of PubMed, found the end of the file",
        ),
        (
            "Error 404: not found".into(),
            "byte 20: expected <PubmedArticleSet> of PubMed, found \"Error 404: not found\"",
        ),
        (
            "<!DOCTYPE html><html><body><br></body></html>".into(),
            "byte 21: expected <PubmedArticleSet> of PubMed, found <html>",
        ),
        (
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><PubmedArticleSet/>".into(),
            "byte 43: expected XML in UTF-8, found the encoding \"ISO-8859-1\"",
        ),
        (
            format!("<PubmedArticleSet>{one}"),
            "PMID 1, byte 98: expected the end of the element, found the end of the file",
        ),
        (
            set(&format!(
                "{one}<PubmedArticle><MedlineCitation><PMID>2</PMID><Article><Abstract><AbstractText>a"
            )),
            "PMID 2, byte 178: not XML: ill-formed document: expected `</AbstractText>`, but `</PubmedArticleSet>` was found",
        ),
        (
            set("<PubmedArticles/>"),
            "byte 35: expected PubmedArticle, PubmedBookArticle or DeleteCitation, found <PubmedArticles>",
        ),
        (
            format!("{}<PubmedArticleSet/>", set(&one)),
            "byte 136: expected the end of the file behind the last element, found more",
        ),
        (
            set(&article("<Article/>")),
            "record 1, byte 94: expected field \"PMID\" as digits, found nothing",
        ),
        (
            set(&article("<PMID>PMC12</PMID>")),
            "record 1, byte 68: expected field \"PMID\" as digits, found \"PMC12\"",
        ),
        (
            set("<DeleteCitation><PMID/></DeleteCitation>"),
            "record 1, byte 41: expected field \"PMID\" as digits, found nothing",
        ),
        (
            set(&article(
                "<PMID>1</PMID><Article><ArticleTitle>a &#0; b</ArticleTitle></Article>",
            )),
            "PMID 1, byte 93: expected the number of a character, found &#0;",
        ),
        (
            set(&article(
                "<PMID>1</PMID><Article><ArticleTitle>a & b</ArticleTitle></Article>",
            )),
            "PMID 1, byte 89: not XML: ill-formed document: entity or character reference not closed: `;` not found before end of input",
        ),
        (
            set(&article(
                "<PMID>1</PMID><Article><Abstract><AbstractText Label=RESULTS>a</AbstractText></Abstract></Article>",
            )),
            "PMID 1, byte 111: expected attributes as name=\"value\", found error while parsing attribute: position 7: attribute value must be enclosed in `\"` or `'`",
        ),
    ] {
        let file = OneFile::new("a.xml", &text);
        let error = file.error("pubmed", "");
        let expected = format!("a.xml: {expected}");
        if error != expected {
            wrong.push(format!("{error}\n{expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let text = set(&article(
        "<PMID>1</PMID><Article><ArticleTitle>a</ArticleTitle></Article>",
    ));
    let at = text.find(">a<").unwrap() + 1;
    let mut bytes = text.into_bytes();
    bytes[at] = 0xff;
    let file = OneFile::new("a.xml", bytes);
    assert_eq!(
        file.error("pubmed", ""),
        "a.xml: PMID 1, byte 88: not XML: cannot decode input using UTF-8: invalid utf-8 sequence of 1 bytes from index 0"
    );
}

#[test]
fn a_gzip_file_that_breaks_off_or_is_spoilt_is_said_to_be() {
    let many: String = (1..2000)
        .map(|n| {
            article(&format!(
                "<PMID>{n}</PMID><Article><ArticleTitle>{}</ArticleTitle></Article>",
                n * n
            ))
        })
        .collect();
    let packed = gzip(set(&many).as_bytes());
    let cut = OneFile::new("a.xml.gz", &packed[..packed.len() / 2]);
    let error = cut.error("pubmed", "");
    assert!(
        error.starts_with("a.xml.gz: expected a whole gzip file, found "),
        "{error}"
    );
    let mut spoilt = packed.clone();
    let end = spoilt.len() - 6;
    spoilt[end] ^= 1;
    let spoilt = OneFile::new("a.xml.gz", spoilt);
    let error = read(&spoilt.source("pubmed", "")).expect_err("spoilt");
    assert_eq!(error.hint(), Some("download the file and its .md5 again"));
    assert!(matches!(error, Error::Gzip { .. }), "{error}");
}

#[test]
fn a_file_that_defines_entities_within_entities_stays_small() {
    let bomb = "<!DOCTYPE PubmedArticleSet [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;\">]>";
    let title = "<PMID>1</PMID><Article><ArticleTitle>&b;&b;</ArticleTitle></Article>";
    let file = OneFile::new("a.xml", format!("{bomb}{}", set(&article(title))));
    let found = documents(&file.source("pubmed", ""));
    assert_eq!(found[0].title, "&b;&b;");
}

#[test]
fn an_error_of_the_caller_ends_the_reading() {
    let text: String = (1..100_000)
        .map(|n| article(&format!("<PMID>{n}</PMID>")))
        .collect();
    let file = OneFile::new("a.xml.gz", gzip(set(&text).as_bytes()));
    let mut seen = 0;
    let stop = || Error::NoFiles {
        path: "stopped".into(),
        expected: "nothing",
    };
    let error = source(&file.source("pubmed", "")).read(&mut |_| {
        seen += 1;
        if seen == 3 { Err(stop()) } else { Ok(()) }
    });
    assert_eq!(error.expect_err("stopped").to_string(), stop().to_string());
    assert_eq!(seen, 3);
    let file = OneFile::new("a.jsonl", "{\"id\":1,\"text\":\"a\"}\n");
    let error = source(&file.source("jsonl", "")).read(&mut |_| Err(stop()));
    assert_eq!(error.expect_err("stopped").to_string(), stop().to_string());
}

#[test]
fn pubmedqa_has_sections_with_their_headings() {
    let row = json!({"12": {
        "QUESTION": "Does it\u{a0}work?", "CONTEXTS": ["Why.", "How.", " "], "LABELS": ["BACKGROUND", "METHODS", "RESULTS"],
        "LONG_ANSWER": "It does.", "MESHES": ["Humans"], "YEAR": "2011", "final_decision": "yes"}});
    let file = OneFile::new("a.json", row.to_string());
    let found = documents(&file.source("pubmedqa-labeled", ""));
    let expected = json!([{
        "id": "12",
        "title": "Does it work?",
        "sections": [
            {"label": "BACKGROUND", "kind": "background", "text": "Why."},
            {"label": "METHODS", "kind": "methods", "text": "How."},
            {"label": "CONCLUSIONS", "kind": "conclusions", "text": "It does."},
        ],
        "year": 2011,
        "mesh": ["Humans"],
        "source": "pubmedqa-labeled",
    }]);
    assert_eq!(Value::Array(found.iter().map(json_of).collect()), expected);
    let without = documents(&file.source("pubmedqa-labeled", "?title=no"));
    assert_eq!(without[0].title, "");
    assert_eq!(without[0].sections, found[0].sections);

    for (row, expected) in [
        (
            json!({"12": {}}),
            "PMID 12: expected field \"QUESTION\" as text, found nothing",
        ),
        (
            json!({"12": {"QUESTION": "a", "CONTEXTS": "b"}}),
            "PMID 12: expected field \"CONTEXTS\" as a list of texts, found the text \"b\"",
        ),
        (
            json!({"12": {"QUESTION": "a", "CONTEXTS": ["b"], "LABELS": ["c", "d"]}}),
            "PMID 12: expected field \"LABELS\" with 1 labels, one for each of CONTEXTS, found 2",
        ),
        (
            json!({"12": {"QUESTION": "a", "CONTEXTS": ["b"], "LONG_ANSWER": 3}}),
            "PMID 12: expected field \"LONG_ANSWER\" as text, found the number 3",
        ),
        (
            json!({"12": {"QUESTION": "a", "YEAR": "MMXI"}}),
            "PMID 12: expected field \"YEAR\" as a year, found \"MMXI\"",
        ),
        (
            json!({"12": {"QUESTION": "a", "MESHES": [1]}}),
            "PMID 12: expected field \"MESHES\" as a list of texts, found the number 1 in it",
        ),
        (
            json!({"x": {}}),
            "row 1: expected a PMID as key, found \"x\"",
        ),
        (
            json!({"questions": []}),
            "row 1: expected a PMID as key, found \"questions\" as in BioASQ's files; give those as bioasq:PATH",
        ),
        (
            json!([1]),
            "line 1: column 1: expected an object keyed by PMID, found `[`",
        ),
    ] {
        let file = OneFile::new("a.json", row.to_string());
        assert_eq!(
            file.error("pubmedqa-unlabeled", ""),
            format!("a.json: {expected}")
        );
    }
}

#[test]
fn the_snippets_of_an_abstract_make_one_document() {
    let at = |pmid: u32, text: &str, begin: u32, section: &str| {
        json!({"document": format!("http://www.ncbi.nlm.nih.gov/pubmed/{pmid}"), "text": text,
               "offsetInBeginSection": begin, "beginSection": section})
    };
    let first = json!({"questions": [
        {"id": "a", "type": "list", "documents": ["http://www.ncbi.nlm.nih.gov/pubmed/9"], "snippets": [
            at(7, "Second one.", 40, "abstract"), at(8, "Alone.", 0, "abstract"), at(7, "A title", 0, "title")]},
        {"id": "b", "type": "yesno"},
    ]});
    let second = json!({"questions": [{"id": "c", "type": "summary", "snippets": [
        at(7, "First one.", 3, "abstract"), at(7, "Second one.", 40, "abstract"), at(7, "one.", 46, "abstract"),
        at(7, "A title of it.", 0, "title"),
        {"document": "http://www.ebi.ac.uk/x", "text": "Elsewhere."}]}]});
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("1.json"), first.to_string()).unwrap();
    std::fs::write(folder.path().join("2.json"), second.to_string()).unwrap();
    let found = documents(&format!("bioasq:{}", folder.path().display()));
    let expected = json!([
        {"id": "7", "title": "A title of it.", "sections": [{"kind": "other", "text": "First one. Second one."}], "source": "bioasq"},
        {"id": "8", "title": "", "sections": [{"kind": "other", "text": "Alone."}], "source": "bioasq"},
    ]);
    assert_eq!(Value::Array(found.iter().map(json_of).collect()), expected);

    for (question, expected) in [
        (
            json!({"id": "a", "snippets": 3}),
            "question 0 (id a): expected field \"snippets\" as a list, found the number 3",
        ),
        (
            json!({"snippets": [{"document": "x"}]}),
            "question 0, snippet 0: expected field \"text\" as text, found nothing",
        ),
        (
            json!({"snippets": [{"text": "x"}]}),
            "question 0, snippet 0: expected field \"document\" as text, found nothing",
        ),
        (
            json!({"snippets": [{"text": "x", "document": "http://a/1", "beginSection": 1}]}),
            "question 0, snippet 0: expected field \"beginSection\" as text, found the number 1",
        ),
    ] {
        let file = OneFile::new("a.json", json!({"questions": [question]}).to_string());
        assert_eq!(file.error("bioasq", ""), format!("a.json: {expected}"));
    }
}

#[test]
fn own_documents_are_read_from_three_layouts_under_any_names() {
    let expected = json!([{
        "id": "d1", "title": "A title", "sections": [{"kind": "other", "text": "Some text."}], "year": 2020,
        "journal": "J", "mesh": ["Lung Diseases, Obstructive", "Humans"], "types": ["Review"], "source": "KIND",
    }]);
    let with = |kind: &str| {
        let mut expected = expected.clone();
        expected[0]["source"] = kind.into();
        expected
    };
    let lines = json!({"id": "d1", "title": "A  title", "text": "Some\ntext.", "year": 2020, "journal": "J",
        "mesh": ["Lung Diseases, Obstructive", "Humans"], "types": ["Review"], "other": 1});
    let file = OneFile::new("a.jsonl", format!("{lines}\n\n"));
    let all = |text: &str| Value::Array(documents(text).iter().map(json_of).collect());
    assert_eq!(all(&file.source("jsonl", "")), with("jsonl"));
    let table = "pmid\tTitle\ttext\ty\tjournal\tmesh\tkind\nd1\tA title\tSome text.\t2020\tJ\tLung Diseases, Obstructive; Humans\tReview\n";
    let file = OneFile::new("a.tsv", table);
    let options = "?id=pmid&title=Title&year=y&types=kind";
    assert_eq!(all(&file.source("csv", options)), with("csv"));

    for (name, kind, text, expected) in [
        (
            "a.jsonl",
            "jsonl",
            "{\"text\":\"a\"}",
            "line 1: expected field \"id\" as text, found nothing",
        ),
        (
            "a.jsonl",
            "jsonl",
            "{\"id\":\" \",\"text\":\"a\"}",
            "line 1: expected field \"id\" as an id, found an empty text",
        ),
        (
            "a.jsonl",
            "jsonl",
            "\n{\"id\":1}",
            "line 2: expected field \"text\" as text, found nothing",
        ),
        (
            "a.jsonl",
            "jsonl",
            "{\"id\":1,\"text\":\"a\",\"title\":[]}",
            "line 1: expected field \"title\" as text, found an empty list",
        ),
        (
            "a.jsonl",
            "jsonl",
            "{\"id\":1,\"text\":\"a\",\"year\":\"soon\"}",
            "line 1: expected field \"year\" as a year, found \"soon\"",
        ),
        (
            "a.jsonl",
            "jsonl",
            "{\"id\":1,\"text\":\"a\",\"year\":99999}",
            "line 1: expected field \"year\" as a year, found \"99999\"",
        ),
        (
            "a.jsonl",
            "jsonl",
            "{\"id\":1,\"text\":\"a\",\"journal\":3}",
            "line 1: expected field \"journal\" as text, found the number 3",
        ),
        (
            "a.jsonl",
            "jsonl",
            "{\"id\":1,\"text\":\"a\",\"mesh\":3}",
            "line 1: expected field \"mesh\" as a list of texts, found the number 3",
        ),
        (
            "a.jsonl",
            "jsonl",
            "{\"id\":1,\"text\":\"a\",\"types\":[3]}",
            "line 1: expected field \"types\" as a list of texts, found the number 3 in it",
        ),
        (
            "a.jsonl",
            "jsonl",
            "{\"id\":1,\"id\":2}",
            "line 1: column 15: expected each field once, found \"id\" twice",
        ),
        (
            "a.csv",
            "csv",
            "id,body\n1,a\n",
            "line 1: expected column \"text\", found columns \"id\", \"body\"",
        ),
        (
            "a.csv",
            "csv",
            "id,text\n,a\n",
            "line 2: expected field \"id\" as text, found nothing",
        ),
        (
            "a.parquet",
            "parquet",
            "PAR1",
            "beginning: expected \"PAR1\" as in a whole Parquet file, found a file of 4 bytes",
        ),
    ] {
        let file = OneFile::new(name, text);
        assert_eq!(file.error(kind, ""), format!("{name}: {expected}"));
    }
}

#[test]
fn a_file_that_is_missing_is_named() {
    for kind in [
        "pubmed",
        "pubmedqa-labeled",
        "bioasq",
        "jsonl",
        "csv",
        "parquet",
    ] {
        let error = read(&format!("{kind}:nowhere/a"))
            .expect_err("missing")
            .to_string();
        assert_eq!(error, "nowhere/a: No such file or directory (os error 2)");
    }
}

/// The folder of published data, or `None` with a line that says what is skipped.
#[allow(clippy::print_stderr)]
fn published(test: &str) -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if dir.join("pubmedqa/ori_pqal.json").is_file() && dir.join("bioasq").is_dir() {
        return Some(dir);
    }
    eprintln!("skipped {test}: no published data in {}", dir.display());
    None
}

#[test]
fn the_published_pubmedqa_is_1000_documents_with_sections() {
    let Some(data) = published("the_published_pubmedqa_is_1000_documents_with_sections") else {
        return;
    };
    let path = data.join("pubmedqa/ori_pqal.json");
    let found = documents(&format!("pubmedqa-labeled:{}", path.display()));
    assert_eq!(found.len(), 1000);
    let ids: BTreeSet<&str> = found.iter().map(|document| document.id.as_str()).collect();
    assert_eq!(ids.len(), 1000);
    let text = std::fs::read_to_string(&path).unwrap();
    let rows: Value = serde_json::from_str(&text).unwrap();
    for document in &found {
        let row = &rows[&document.id];
        let last = document.sections.last().unwrap();
        assert_eq!(last.label.as_deref(), Some("CONCLUSIONS"));
        assert_eq!(last.kind, SectionKind::Conclusions);
        let contexts = row["CONTEXTS"].as_array().unwrap();
        assert_eq!(
            document.sections.len(),
            contexts.len() + 1,
            "{}",
            document.id
        );
        for (section, label) in document
            .sections
            .iter()
            .zip(row["LABELS"].as_array().unwrap())
        {
            assert_eq!(section.label.as_deref(), label.as_str());
        }
        assert!(!document.title.is_empty() && !document.mesh.is_empty());
    }
    let results = |document: &&Document| {
        let kind = |of| document.sections.iter().any(|section| section.kind == of);
        kind(SectionKind::Results)
    };
    assert!(found.iter().filter(results).count() > 850);
}

#[test]
fn the_published_bioasq_files_have_a_document_for_each_address_with_snippets() {
    let Some(data) =
        published("the_published_bioasq_files_have_a_document_for_each_address_with_snippets")
    else {
        return;
    };
    for folder in ["bioasq", "bioasq-11"] {
        let folder = data.join(folder);
        let found = documents(&format!("bioasq:{}", folder.display()));
        // The addresses, counted from the text alone.
        let mut addresses = BTreeSet::new();
        for file in std::fs::read_dir(&folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let rows: Value = serde_json::from_str(&text).unwrap();
            for question in rows["questions"].as_array().unwrap() {
                for snippet in question["snippets"].as_array().into_iter().flatten() {
                    let address = snippet["document"].as_str().unwrap();
                    addresses.extend(address.rsplit('/').next().map(str::to_owned));
                }
            }
        }
        let ids: BTreeSet<String> = found.iter().map(|document| document.id.clone()).collect();
        assert_eq!(ids, addresses);
        assert_eq!(found.len(), addresses.len());
        let empty =
            |document: &&Document| document.title.is_empty() && document.sections.is_empty();
        assert_eq!(found.iter().filter(empty).count(), 0);
    }
}

/// The two files of the data set's tests hold the same rows; the Parquet file was written by pyarrow.
#[test]
fn pubmedqa_reads_the_same_from_json_and_from_the_hubs_parquet() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/tests/pyarrow");
    let read = |name: &str| documents(&format!("pubmedqa-labeled:{}", folder.join(name).display()));
    let json = read("rows.json");
    assert!(json.len() > 10);
    assert!(json.iter().any(|document| document.sections.len() > 2));
    assert_eq!(read("rows.parquet"), json);
}
