//! An index on disk: its contents after any order of changes, after interruptions, and what cannot be opened.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use verdict_evidence::{
    Change, Contents, Document, Error, FileRecord, Filters, Hit, Index, IndexManifest,
    IndexSettings, IndexWriter, MANIFEST, Notice, NoticeKind, SearchQuery, Section, SectionKind,
};

fn small() -> IndexSettings {
    IndexSettings {
        memory_mib: 16,
        threads: 1,
        ..IndexSettings::default()
    }
}

fn document(id: &str, title: &str, text: &str) -> Document {
    let section = Section {
        label: None,
        kind: SectionKind::Other,
        text: text.into(),
    };
    Document {
        id: id.into(),
        title: title.into(),
        sections: if text.is_empty() {
            vec![]
        } else {
            vec![section]
        },
        source: "test".into(),
        ..Document::default()
    }
}

fn retracted(document: Document) -> Document {
    let notice = Notice {
        kind: NoticeKind::Retracted,
        reference: None,
        pmid: None,
    };
    Document {
        notices: vec![notice],
        ..document
    }
}

fn file(name: &str) -> FileRecord {
    FileRecord {
        name: name.into(),
        bytes: 1,
        sha256: verdict_common::hash::sha256(name.as_bytes()),
        md5: None,
    }
}

fn search(index: &Index, text: &str, filters: Filters) -> Vec<Hit> {
    let query = SearchQuery {
        text,
        top: 10,
        filters,
    };
    index.search(&query).expect("searched")
}

fn ids(hits: &[Hit]) -> Vec<&str> {
    hits.iter().map(|hit| hit.document.id.as_str()).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("read");
    let mut names: Vec<_> = entries
        .map(|e| e.expect("read").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_indexed_is_found_and_comes_back_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index");
    let mut whole = document("1", "Losartan in Alzheimer's disease", "");
    whole.sections = vec![
        Section {
            label: Some("RESULTS".into()),
            kind: SectionKind::Results,
            text: "Losartan lowered TNF-α.".into(),
        },
        Section {
            label: Some("CONCLUSIONS".into()),
            kind: SectionKind::Conclusions,
            text: "It did not reduce brain atrophy.".into(),
        },
    ];
    whole.year = Some(2021);
    whole.journal = Some("Lancet Neurol".into());
    whole.mesh = vec!["Alzheimer Disease".into(), "Losartan".into()];
    whole.types = vec!["Randomized Controlled Trial".into()];
    let other = document("2", "Aspirin and stroke", "Aspirin prevents stroke.");
    let index = Index::create(&path, [whole.clone(), other], &small()).expect("built");
    assert_eq!(index.len(), 2);
    assert_eq!(index.document("1").expect("read"), Some(whole.clone()));
    assert_eq!(index.document("3").expect("read"), None);
    for text in [
        "Is losartan effective?",
        "tnfalpha",
        "ALZHEIMER",
        "atrophies",
    ] {
        assert_eq!(
            ids(&search(&index, text, Filters::default())),
            ["1"],
            "{text}"
        );
    }
    for text in ["", "???", "is it the", "zebrafish"] {
        assert!(
            search(&index, text, Filters::default()).is_empty(),
            "{text}"
        );
    }
    let found = |filters| ids(&search(&index, "losartan aspirin", filters)).join(" ");
    let none = Filters::default;
    assert_eq!(
        found(Filters {
            years: Some(2020..=2021),
            ..none()
        }),
        "1"
    );
    assert_eq!(
        found(Filters {
            years: Some(2022..=2030),
            ..none()
        }),
        ""
    );
    assert_eq!(
        found(Filters {
            types: vec!["randomized controlled trial".into(), "Review".into()],
            ..none()
        }),
        "1"
    );
    assert_eq!(
        found(Filters {
            mesh: vec!["losartan".into(), "ALZHEIMER DISEASE".into()],
            ..none()
        }),
        "1"
    );
    assert_eq!(
        found(Filters {
            mesh: vec!["losartan".into(), "Stroke".into()],
            ..none()
        }),
        ""
    );
    assert_eq!(
        found(Filters {
            without: vec!["1".into()],
            ..none()
        }),
        "2"
    );
    assert_eq!(
        names(folder.path()),
        ["index"],
        "nothing is left beside the index"
    );
}

#[test]
fn retracted_documents_are_flagged_or_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let documents = || {
        let good = document("1", "Statins", "Statins lower cholesterol.");
        [
            good,
            retracted(document("2", "Statins", "Statins cure everything.")),
        ]
    };
    let flagged = Index::create(&folder.path().join("a"), documents(), &small()).expect("built");
    assert_eq!(ids(&search(&flagged, "statins", Filters::default())), ["1"]);
    let with = Filters {
        retracted: true,
        ..Filters::default()
    };
    assert_eq!(search(&flagged, "statins", with.clone()).len(), 2);
    assert_eq!(flagged.manifest().counts.retracted, 1);
    let contents = Contents {
        leave_out_retracted: true,
        ..Contents::default()
    };
    let settings = IndexSettings {
        contents,
        ..small()
    };
    let left_out = Index::create(&folder.path().join("b"), documents(), &settings).expect("built");
    assert_eq!(ids(&search(&left_out, "statins", with)), ["1"]);
    assert_eq!(left_out.len(), 1);
}

#[test]
fn a_document_without_an_abstract_is_found_by_its_title_or_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let title = || [document("1", "Malaria vaccine", "")];
    let index = Index::create(&folder.path().join("a"), title(), &small()).expect("built");
    assert_eq!(ids(&search(&index, "vaccine", Filters::default())), ["1"]);
    assert_eq!(index.manifest().counts.without_abstract, 1);
    let contents = Contents {
        with_abstract_only: true,
        ..Contents::default()
    };
    let settings = IndexSettings {
        contents,
        ..small()
    };
    assert!(
        Index::create(&folder.path().join("b"), title(), &settings)
            .expect("built")
            .is_empty()
    );
}

#[test]
fn equal_scores_are_ordered_by_id_and_scores_do_not_depend_on_segments() {
    let folder = tempfile::tempdir().expect("a folder");
    let documents: Vec<_> = (0..200)
        .map(|n| {
            let text = match n % 3 {
                0 => "aspirin prevents heart attacks and strokes in adults",
                1 => "the heart of adults after a stroke",
                _ => "aspirin",
            };
            document(&(997 * n % 200).to_string(), "Trial", text)
        })
        .collect();
    let one =
        Index::create(&folder.path().join("one"), documents.clone(), &small()).expect("built");
    let path = folder.path().join("many");
    let settings = IndexSettings {
        commit_after: 0,
        ..small()
    };
    let mut writer = IndexWriter::create(&path, &settings).expect("begun");
    for (part, documents) in documents.chunks(37).enumerate() {
        for document in documents {
            writer
                .apply(Change::Put(Box::new(document.clone())))
                .expect("applied");
        }
        writer
            .end_file("test", file(&part.to_string()))
            .expect("ended");
    }
    writer.finish().expect("finished");
    let many = Index::open(&path).expect("opened");
    for text in ["aspirin heart attack", "adults stroke", "aspirin"] {
        let (one, many) = (
            search(&one, text, Filters::default()),
            search(&many, text, Filters::default()),
        );
        assert_eq!(one.len(), 10);
        assert_eq!(one, many, "{text}");
        let order = one.windows(2).all(|pair| {
            let id = |hit: &Hit| hit.document.id.parse::<u32>().expect("a number");
            pair[0].score > pair[1].score || id(&pair[0]) < id(&pair[1])
        });
        assert!(order, "{text}");
    }
}

/// The files of a build: each a list of changes.
fn build(path: &Path, settings: &IndexSettings, files: &[(String, Vec<Change>)]) -> IndexManifest {
    let mut writer = IndexWriter::create(path, settings).expect("begun");
    read(&mut writer, files);
    writer.finish().expect("finished")
}

fn read(writer: &mut IndexWriter, files: &[(String, Vec<Change>)]) {
    for (name, changes) in files {
        if writer.has("test", &file(name)) {
            continue;
        }
        for change in changes {
            writer.apply(change.clone()).expect("applied");
        }
        writer.end_file("test", file(name)).expect("ended");
    }
}

fn put(id: &str, text: &str) -> Change {
    Change::Put(Box::new(document(id, "title", text)))
}

fn three_files() -> Vec<(String, Vec<Change>)> {
    vec![
        (
            "1".into(),
            vec![put("1", "one"), put("2", "two"), put("x", "letters")],
        ),
        (
            "2".into(),
            vec![
                put("2", "two afresh"),
                Change::Delete("1".into()),
                Change::Delete("9".into()),
            ],
        ),
        ("3".into(), vec![put("3", "three")]),
    ]
}

#[test]
fn an_interrupted_build_continues_after_its_last_commit() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = IndexSettings {
        commit_after: 0,
        ..small()
    };
    let whole = build(&folder.path().join("whole"), &settings, &three_files());
    let path = folder.path().join("index");
    let mut writer = IndexWriter::create(&path, &settings).expect("begun");
    read(&mut writer, &three_files()[..2]);
    writer.apply(put("77", "half of a file")).expect("applied");
    // As if killed: nothing is finished.
    drop(writer);
    assert!(
        matches!(Index::open(&path), Err(Error::Unfinished { .. })),
        "half-done"
    );
    let mut writer = IndexWriter::create(&path, &settings).expect("continued");
    assert!(writer.has("test", &file("1")) && !writer.has("test", &file("3")));
    assert!(
        !writer.has("other", &file("1")),
        "the kind of source counts"
    );
    read(&mut writer, &three_files());
    assert_eq!(writer.finish().expect("finished"), whole);
    let index = Index::open(&path).expect("opened");
    assert_eq!(index.document("77").expect("read"), None);
    assert_eq!((index.len(), index.manifest()), (3, &whole));
    assert_eq!(names(folder.path()), ["index", "whole"]);
}

#[test]
fn an_unfinished_build_of_other_settings_is_not_continued() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index");
    let settings = IndexSettings {
        commit_after: 0,
        ..small()
    };
    let mut writer = IndexWriter::create(&path, &settings).expect("begun");
    read(&mut writer, &three_files());
    drop(writer);
    let contents = Contents {
        leave_out_retracted: true,
        ..Contents::default()
    };
    let writer = IndexWriter::create(
        &path,
        &IndexSettings {
            contents,
            ..settings
        },
    )
    .expect("begun anew");
    assert!(writer.files().is_empty());
}

#[test]
fn an_update_reads_new_files_alone_and_an_unfinished_one_is_not_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index");
    let settings = IndexSettings {
        commit_after: 0,
        ..small()
    };
    build(&path, &settings, &three_files()[..1]);
    let old = Index::open(&path).expect("opened");
    let mut writer = IndexWriter::update(&path, &settings).expect("begun");
    assert!(matches!(
        IndexWriter::update(&path, &settings),
        Err(Error::Busy { .. })
    ));
    read(&mut writer, &three_files()[..2]);
    drop(writer);
    assert!(matches!(Index::open(&path), Err(Error::Unfinished { .. })));
    let mut writer = IndexWriter::update(&path, &settings).expect("continued");
    read(&mut writer, &three_files());
    let manifest = writer.finish().expect("finished");
    let index = Index::open(&path).expect("opened");
    let files: Vec<_> = manifest
        .files
        .iter()
        .map(|f| (f.file.name.as_str(), f.put, f.deleted))
        .collect();
    assert_eq!(files, [("1", 3, 0), ("2", 1, 2), ("3", 1, 0)]);
    assert_eq!(index.document("1").expect("read"), None, "deleted");
    assert_eq!(ids(&search(&index, "afresh", Filters::default())), ["2"]);
    assert_eq!(old.len(), 3, "an open index stays as it was");
    assert_eq!(ids(&search(&old, "one", Filters::default())), ["1"]);
    let again = IndexWriter::update(&path, &settings)
        .expect("begun")
        .finish()
        .expect("finished");
    assert_eq!(again, manifest, "nothing new, nothing changed");
}

#[test]
fn what_is_no_index_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index");
    let refused = |part: &str| {
        let error = Index::open(&path).err().expect("refused");
        assert!(error.to_string().contains(part), "{error}");
        error.hint()
    };
    assert_eq!(refused("No such file"), None);
    std::fs::create_dir(&path).expect("made");
    assert!(refused("a folder without MANIFEST.json").is_some());
    std::fs::write(path.join(MANIFEST), "{").expect("written");
    refused("not JSON");
    std::fs::write(path.join(MANIFEST), "{\"splits\": []}").expect("written");
    refused("of something else");
    let error = IndexWriter::create(&path, &small()).err().expect("refused");
    assert!(
        matches!(error, Error::Exists { .. }) && error.hint().is_some(),
        "{error}"
    );
    let settings = IndexSettings {
        overwrite: true,
        ..small()
    };
    let error = IndexWriter::create(&path, &settings)
        .err()
        .expect("refused");
    assert!(matches!(error, Error::NotAnIndex { .. }), "{error}");
    std::fs::remove_dir_all(&path).expect("removed");
    build(&path, &small(), &three_files());
    let manifest = path.join(MANIFEST);
    let text = std::fs::read_to_string(&manifest).expect("read");
    std::fs::write(&manifest, text.replace("\"version\": 1", "\"version\": 7")).expect("written");
    assert!(refused("expected an index of version 1, found version 7").is_some());
    std::fs::write(&manifest, text.replace("biomedical-1", "biomedical-0")).expect("written");
    refused("the analysis \"biomedical-0\"");
    std::fs::write(&manifest, &text).expect("written");
    std::fs::remove_dir_all(path.join("segments")).expect("removed");
    refused("segments that cannot be opened");
    let error = IndexWriter::create(
        &path,
        &IndexSettings {
            memory_mib: 1,
            ..settings
        },
    )
    .err()
    .expect("refused");
    assert_eq!(
        error.to_string(),
        "memory-mib: expected 16 to 4000, found 1"
    );
}

#[test]
fn an_index_is_replaced_when_the_new_one_is_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index");
    build(&path, &small(), &three_files());
    let settings = IndexSettings {
        overwrite: true,
        ..small()
    };
    let writer = IndexWriter::create(&path, &settings).expect("begun");
    assert_eq!(
        Index::open(&path).expect("opened").len(),
        3,
        "the old one until then"
    );
    writer.finish().expect("finished");
    assert!(Index::open(&path).expect("opened").is_empty());
    assert_eq!(names(folder.path()), ["index"]);
}

/// Changes on few ids, so that they meet.
fn changes() -> impl Strategy<Value = Vec<Vec<(u8, Option<u8>)>>> {
    let change = (0u8..12, proptest::option::weighted(0.7, 0u8..5));
    proptest::collection::vec(proptest::collection::vec(change, 0..12), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The last change on an id holds, wherever files and commits end, and a file applied twice changes nothing.
    #[test]
    fn an_index_is_what_a_map_would_be(files in changes(), twice in any::<bool>(), update_at in 0usize..6) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("index");
        let mut model: BTreeMap<String, String> = BTreeMap::new();
        let id = |n: u8| if n % 4 == 3 { format!("letters-{n}") } else { n.to_string() };
        let settings = IndexSettings { commit_after: 5, ..small() };
        let mut writer = IndexWriter::create(&path, &settings).expect("begun");
        for (nth, changes) in files.iter().enumerate() {
            if nth == update_at {
                writer.finish().expect("finished");
                writer = IndexWriter::update(&path, &settings).expect("begun");
            }
            for pass in 0..1 + usize::from(twice) {
                for &(n, text) in changes {
                    let change = match text {
                        Some(text) => put(&id(n), &format!("word{text} nth{nth}")),
                        None => Change::Delete(id(n)),
                    };
                    match &change {
                        Change::Put(document) => model.insert(id(n), document.sections[0].text.clone()),
                        Change::Delete(_) => model.remove(&id(n)),
                    };
                    writer.apply(change).expect("applied");
                }
                writer.end_file("test", file(&format!("{nth}-{pass}"))).expect("ended");
            }
        }
        let manifest = writer.finish().expect("finished");
        let index = Index::open(&path).expect("opened");
        prop_assert_eq!(index.len(), model.len());
        prop_assert_eq!(manifest.counts.documents, model.len());
        for n in 0..12 {
            let found = index.document(&id(n)).expect("read").map(|d| d.sections[0].text.clone());
            prop_assert_eq!(&found, &model.get(&id(n)).cloned());
        }
        let hits = search(&index, "word0 word1 word2 word3 word4", Filters::default());
        prop_assert_eq!(hits.len(), model.len().min(10));
    }
}
