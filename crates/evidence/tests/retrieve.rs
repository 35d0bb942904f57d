//! Passages for questions: relevance, retractions, and a benchmark's own source.

use verdict_evidence::retrieve::{RetrievalSettings, retrieve};
use verdict_evidence::{
    Conclusions, Document, Evidence, Index, IndexSettings, Notice, NoticeKind, QuestionSource,
    Section, SectionKind,
};

const QUESTION: &str = "Does vitamin D prevent hip fractures in older women?";

fn document(id: &str, sections: &[(&str, &str)]) -> Document {
    Document {
        id: id.into(),
        title: format!("Study {id}"),
        sections: sections
            .iter()
            .map(|(label, text)| Section {
                label: Some((*label).to_owned()),
                kind: SectionKind::of_heading(label),
                text: (*text).to_owned(),
            })
            .collect(),
        source: "pubmed".into(),
        ..Document::default()
    }
}

fn index(folder: &tempfile::TempDir) -> Index {
    let mut retracted = document(
        "3",
        &[(
            "RESULTS",
            "Vitamin D prevented all hip fractures in older women.",
        )],
    );
    retracted.notices.push(Notice {
        kind: NoticeKind::Retracted,
        reference: None,
        pmid: Some("99".into()),
    });
    let documents = [
        document(
            "1",
            &[
                ("METHODS", "Older women took vitamin D or placebo."),
                ("RESULTS", "Hip fractures occurred in 5 % and 9 %."),
                (
                    "CONCLUSIONS",
                    "Vitamin D prevents hip fractures in older women.",
                ),
            ],
        ),
        document(
            "2",
            &[(
                "RESULTS",
                "Vitamin D did not change the rate of hip fractures in women.",
            )],
        ),
        retracted,
        document(
            "4",
            &[("RESULTS", "Aspirin relieved headache within an hour.")],
        ),
    ];
    Index::create(
        &folder.path().join("index"),
        documents,
        &IndexSettings::default(),
    )
    .unwrap()
}

fn found(
    index: &Index,
    question: &str,
    top: usize,
    source: Option<QuestionSource<'_>>,
) -> Vec<Evidence> {
    let settings = RetrievalSettings {
        top,
        ..RetrievalSettings::default()
    };
    retrieve(index, question, &settings, source, |_| true).unwrap()
}

fn ids(found: &[Evidence]) -> Vec<&str> {
    found.iter().map(|one| one.document.id.as_str()).collect()
}

#[test]
fn relevant_publications_are_found_and_retracted_ones_marked() {
    let folder = tempfile::tempdir().unwrap();
    let index = index(&folder);
    let all = found(&index, QUESTION, 5, None);
    let mut sorted = ids(&all);
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        ["1", "2", "3"],
        "what is on aspirin is not relevant"
    );
    assert_eq!(all[0].relevance, 1.0);
    assert!(
        all.iter().all(|one| (0.35..=1.0).contains(&one.matched)),
        "{all:?}"
    );
    let retracted = all.iter().filter(|one| one.document.is_retracted());
    assert_eq!(retracted.count(), 1);
    // The retracted one does not take the place of another.
    let two = found(&index, QUESTION, 2, None);
    assert_eq!(
        two.iter()
            .filter(|one| !one.document.is_retracted())
            .count(),
        2
    );
    assert!(found(&index, "Is metformin safe in pregnancy?", 5, None).is_empty());
    assert!(
        found(&index, "Is it so?", 5, None).is_empty(),
        "stop words alone"
    );
}

#[test]
fn the_conclusion_of_a_questions_own_source_is_in_no_passage() {
    let folder = tempfile::tempdir().unwrap();
    let index = index(&folder);
    let own = ["1".to_owned()];
    let source = |conclusions| {
        Some(QuestionSource {
            ids: &own,
            conclusions,
        })
    };
    let hidden = found(&index, QUESTION, 5, source(Some(Conclusions::Hidden)));
    let first = hidden.iter().find(|one| one.document.id == "1").unwrap();
    assert!(
        first.text.contains("5 % and 9 %") && !first.text.contains("prevents"),
        "{}",
        first.text
    );
    let kept = found(&index, QUESTION, 5, source(Some(Conclusions::Kept)));
    assert!(kept.iter().any(|one| one.text.contains("prevents")));
    let without = found(&index, QUESTION, 5, source(None));
    assert!(!ids(&without).contains(&"1"), "{:?}", ids(&without));
}
