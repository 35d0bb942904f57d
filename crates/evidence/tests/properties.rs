//! Properties of the reader of PubMed's XML: what is written is read, the last file wins, and no bytes at all make it
//! panic or hang.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;
use verdict_evidence::{Change, Document, Error, Section, SectionKind, read_pubmed_xml};

fn read(xml: &[u8]) -> Result<Vec<Change>, Error> {
    let mut changes = Vec::new();
    read_pubmed_xml(Path::new("a.xml"), xml, &mut |change| {
        changes.push(change);
        Ok(())
    })?;
    Ok(changes)
}

/// Texts as a document has them: no blanks at the ends or in a row.
fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9<>&'\"αβé≥%.,()\u{2212}-]{1,9}( [a-zA-Z0-9<>&'\"αβé≥%.,-]{1,9}){0,5}"
        .prop_filter("a note or a placeholder", |text| {
            !text.contains("ABSTRACT TRUNCATED")
        })
}

fn section() -> impl Strategy<Value = Section> {
    let headed = prop_oneof![
        Just((SectionKind::Background, "BACKGROUND")),
        Just((SectionKind::Objective, "OBJECTIVE")),
        Just((SectionKind::Methods, "METHODS")),
        Just((SectionKind::Results, "RESULTS")),
        Just((SectionKind::Conclusions, "CONCLUSIONS")),
    ];
    let headed = (headed, text()).prop_map(|((kind, label), text)| Section {
        label: Some(label.into()),
        kind,
        text,
    });
    let bare = text().prop_map(|text| Section {
        label: None,
        kind: SectionKind::Other,
        text,
    });
    prop_oneof![headed, bare]
}

fn document() -> impl Strategy<Value = Document> {
    (
        1..50u32,
        text(),
        prop::collection::vec(section(), 0..5),
        prop::option::of(1500..2100u16),
        prop::option::of(text()),
        prop::collection::btree_set(text(), 0..4),
        prop::collection::btree_set(text(), 0..3),
    )
        .prop_map(
            |(id, title, sections, year, journal, mesh, types)| Document {
                id: id.to_string(),
                title,
                sections,
                year,
                journal,
                mesh: mesh.into_iter().collect(),
                types: types.into_iter().collect(),
                notices: Vec::new(),
                source: "pubmed".into(),
            },
        )
}

/// A text in one of the ways in which XML can write it.
fn written(text: &str, way: usize) -> String {
    let escaped = html_escape::encode_text(text).into_owned();
    match way % 4 {
        0 => escaped,
        1 => format!("<![CDATA[{text}]]>"),
        2 => text.chars().fold(String::new(), |mut out, c| {
            let _ = write!(out, "&#x{:x};", u32::from(c));
            out
        }),
        // In bold, with blanks and a comment around it.
        _ => format!("\n   <b>{escaped}</b><!-- & --> \n"),
    }
}

fn article(document: &Document, way: usize) -> String {
    let text = |text: &str| written(text, way);
    let mut out = format!(
        "<PubmedArticle><MedlineCitation><PMID Version=\"1\">{}</PMID><Article><Journal><JournalIssue><PubDate>{}</PubDate>\
         </JournalIssue>{}</Journal><ArticleTitle>{}</ArticleTitle><Abstract>",
        document.id,
        document
            .year
            .map_or(String::new(), |year| format!("<Year>{year}</Year>")),
        document
            .journal
            .as_ref()
            .map_or(String::new(), |of| format!("<Title>{}</Title>", text(of))),
        text(&document.title),
    );
    for section in &document.sections {
        let label = section
            .label
            .as_ref()
            .map_or(String::new(), |label| format!(" Label=\"{label}\""));
        let _ = write!(
            out,
            "<AbstractText{label}>{}</AbstractText>",
            text(&section.text)
        );
    }
    out.push_str("</Abstract><PublicationTypeList>");
    for of in &document.types {
        let _ = write!(out, "<PublicationType>{}</PublicationType>", text(of));
    }
    out.push_str("</PublicationTypeList></Article><MeshHeadingList>");
    for heading in &document.mesh {
        let heading = text(heading);
        let _ = write!(
            out,
            "<MeshHeading><DescriptorName>{heading}</DescriptorName></MeshHeading>"
        );
    }
    out.push_str("</MeshHeadingList></MedlineCitation></PubmedArticle>");
    out
}

fn file(documents: &[Document], deleted: &[u32], way: usize) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<PubmedArticleSet>");
    out.extend(documents.iter().map(|document| article(document, way)));
    if !deleted.is_empty() {
        out.push_str("<DeleteCitation>");
        for id in deleted {
            let _ = write!(out, "<PMID Version=\"1\">{id}</PMID>");
        }
        out.push_str("</DeleteCitation>");
    }
    out.push_str("</PubmedArticleSet>\n");
    out
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        documents in prop::collection::vec(document(), 0..4), deleted in prop::collection::vec(1..99u32, 0..3), way in 0..4usize,
    ) {
        let found = read(file(&documents, &deleted, way).as_bytes()).unwrap();
        let put = documents.into_iter().map(|document| Change::Put(Box::new(document)));
        let delete = deleted.iter().map(|id| Change::Delete(id.to_string()));
        let expected: Vec<Change> = put.chain(delete).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn the_last_file_that_has_a_pmid_decides(
        files in prop::collection::vec(
            (prop::collection::vec(document(), 0..6), prop::collection::vec(1..50u32, 0..6)), 1..5),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut expected: BTreeMap<String, Document> = BTreeMap::new();
        for (number, (documents, deleted)) in files.iter().enumerate() {
            // 7, 8, …, 10: by number, not by name.
            let path = folder.path().join(format!("pubmed25n{}.xml", number + 7));
            std::fs::write(path, file(documents, deleted, number)).unwrap();
            expected.extend(documents.iter().map(|document| (document.id.clone(), document.clone())));
            expected.retain(|id, _| !deleted.contains(&id.parse().unwrap()));
        }
        let mut found = BTreeMap::new();
        let source = format!("pubmed:{}", folder.path().display());
        let source: verdict_evidence::LiteratureSource = source.parse().unwrap();
        source.read(&mut |change| {
            match change {
                Change::Put(document) => found.insert(document.id.clone(), *document),
                Change::Delete(id) => found.remove(&id),
            };
            Ok(())
        }).unwrap();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// The hand-made file with bytes changed, cut out and doubled. Read in both ways: plain, and gzipped and spoilt then.
    #[test]
    fn spoilt_files_are_read_or_refused(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4u8, any::<u8>(), 1..60usize), 1..5), pack: bool,
    ) {
        let mut bytes = include_bytes!("pubmed/pubmed25n0001.xml").to_vec();
        if pack {
            bytes = gzip(&bytes);
        }
        for (index, what, byte, length) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = index.index(bytes.len());
            let end = (at + length).min(bytes.len());
            match what {
                0 => bytes[at] = byte,
                // Where mark-up begins and ends is where parsers go wrong.
                1 => bytes[at] = b"<>&;\"/![]"[usize::from(byte) % 9],
                2 => drop(bytes.drain(at..end)),
                _ => {
                    let part = bytes[at..end].to_vec();
                    bytes.splice(at..at, part);
                }
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.xml.gz");
        std::fs::write(&path, &bytes).unwrap();
        let source = format!("pubmed:{}", path.display());
        let source: verdict_evidence::LiteratureSource = source.parse().unwrap();
        if let Err(error) = source.read(&mut |_| Ok(())) {
            let text = error.to_string();
            prop_assert!(text.starts_with(&path.display().to_string()), "{}", text);
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

#[test]
fn an_article_without_an_end_is_refused_before_memory_is_full() {
    let begin =
        "<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>1</PMID><Article><ArticleTitle>";
    let endless = std::io::Read::chain(begin.as_bytes(), std::io::repeat(b'a'));
    let endless = std::io::BufReader::new(endless);
    let error = read_pubmed_xml(Path::new("a.xml"), endless, &mut |_| Ok(())).expect_err("refused");
    let text = error.to_string();
    assert!(
        text.ends_with("expected an article of at most 64 MiB, found a longer one"),
        "{text}"
    );
}
