//! The questions of a source as a benchmark, and which of them a training set contaminates.
//!
//! A data set drops and balances rows; a benchmark keeps every row that has a label. Its questions are cleaned like
//! those of training examples; of its answers only mark-up is mended.

use std::collections::{HashMap, HashSet};

use crate::build::{NEAR_QUESTIONS, question};
use crate::mend::mend;
use crate::near::{Shingles, pairs};
use crate::normal::question_key;
use crate::prompted::clean_context;
use crate::rules::built_in;
use crate::sources::{Reading, all};
use crate::{Context, Input, Item, RawItem, Result};

/// Every row of a source that has a label, in the source's order. With a `context` each has
/// its own, cut to that budget; else with none. A row needs no rationale. Rows of which an earlier one has the id get a number
/// behind theirs.
///
/// # Errors
/// Every fault of the source, with file and place.
pub fn benchmark(input: &Input, seed: u64, context: Option<&Context>) -> Result<Vec<Item>> {
    let mut seen = HashSet::new();
    let mut items = Vec::new();
    let reading = Reading {
        seed,
        contexts: context.is_some(),
        rationales: false,
    };
    for row in all(input, reading)? {
        let Some(label) = row.label else { continue };
        let question = question(&row.question, built_in(), &mut |_, _, _| {});
        let text = row.context.filter(|_| context.is_some());
        let text = text.and_then(|text| clean_context(&text));
        let text = match (context, text) {
            (Some(budget), Some(text)) => Some(budget.cut(&text).to_owned()),
            _ => None,
        };
        let mut id = row.id.clone();
        let mut number = 2;
        while !seen.insert(id.clone()) {
            id = format!("{}#{number}", row.id);
            number += 1;
        }
        let rationale = mend(&row.answer);
        items.push(Item {
            group: row.group.into_iter().next().unwrap_or_else(|| id.clone()),
            source: row.source.to_owned(),
            context: text,
            id,
            question,
            label,
            rationale,
        });
    }
    Ok(items)
}

/// What a source says about the publications that a row was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowOrigin {
    /// Their PMIDs.
    pub pmids: Vec<String>,
    /// Their MeSH headings.
    pub mesh: Vec<String>,
    /// The abstract before its results and from its results on, where its sections are labeled.
    pub sections: Option<[String; 2]>,
}

/// The origin of each row of a source, by the row's id.
///
/// # Errors
/// Every fault of the source, with file and place.
pub fn row_origins(input: &Input) -> Result<HashMap<String, RowOrigin>> {
    let reading = Reading {
        seed: 0,
        contexts: true,
        rationales: false,
    };
    let origin = |row: RawItem| {
        let pmids = row.group.iter().filter_map(|key| key.strip_prefix("pmid:"));
        let sections = row.context.zip(row.results_from).and_then(|(text, at)| {
            let (before, results) = text.split_at_checked(at)?;
            Some([clean_context(before)?, clean_context(results)?])
        });
        let origin = RowOrigin {
            pmids: pmids.map(str::to_owned).collect(),
            mesh: row.mesh,
            sections,
        };
        (row.id, origin)
    };
    Ok(all(input, reading)?.into_iter().map(origin).collect())
}

/// For each item, whether it is contaminated: the training set contains the same or nearly the same question, or an
/// example of the same abstract.
pub fn trained_on(train: &[Item], items: &[Item]) -> Vec<bool> {
    let key = |item: &Item| question_key(&item.question, None);
    let questions: HashSet<String> = train.iter().map(key).collect();
    let abstracts: HashSet<&str> = train
        .iter()
        .map(|item| item.group.as_str())
        .filter(|group| group.starts_with("pmid:"))
        .collect();
    let mut found: Vec<bool> = items
        .iter()
        .map(|item| questions.contains(&key(item)) || abstracts.contains(item.group.as_str()))
        .collect();
    let shingles: Vec<Shingles> = train
        .iter()
        .chain(items)
        .map(|item| Shingles::of(&item.question))
        .collect();
    let shingles: Vec<&Shingles> = shingles.iter().collect();
    for (a, b) in pairs(&shingles, NEAR_QUESTIONS) {
        let (first, last) = (a.min(b), a.max(b));
        if first < train.len() && last >= train.len() {
            found[last - train.len()] = true;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::Label;

    fn jsonl(lines: &[&str]) -> (tempfile::NamedTempFile, Input) {
        let mut file = tempfile::Builder::new()
            .suffix(".jsonl")
            .tempfile()
            .unwrap();
        file.write_all(lines.join("\n").as_bytes()).unwrap();
        let input = format!("jsonl:{}", file.path().display()).parse().unwrap();
        (file, input)
    }

    const LINES: [&str; 3] = [
        r#"{"id":"a","question":"Does it help","label":"yes","rationale":"It does.","context":"One two three. Four five six."}"#,
        r#"{"id":"b","question":"Is it safe in &lt;2 children?","label":"no","rationale":"No."}"#,
        r#"{"id":"a","question":"Does it help","label":"maybe","rationale":"It may."}"#,
    ];

    #[test]
    fn every_row_is_asked_also_those_that_a_data_set_would_drop() {
        let (_file, input) = jsonl(&LINES);
        let items = benchmark(&input, 1, None).unwrap();
        let found: Vec<_> = items
            .iter()
            .map(|item| (item.question.as_str(), item.label, item.context.as_deref()))
            .collect();
        assert_eq!(
            found,
            [
                ("Does it help?", Label::Yes, None),
                ("Is it safe in <2 children?", Label::No, None),
                ("Does it help?", Label::Uncertain, None),
            ]
        );
        let ids: HashSet<&str> = items.iter().map(|item| item.id.as_str()).collect();
        assert_eq!(ids.len(), 3, "{ids:?}");
    }

    #[test]
    fn a_row_needs_no_rationale() {
        let (_file, input) = jsonl(&[
            r#"{"question":"Does it help","label":"yes"}"#,
            r#"{"question":"Is it safe","label":"no","rationale":null}"#,
            r#"{"question":"Does it last","label":"maybe","rationale":"It may."}"#,
        ]);
        let answers = |input: &Input| -> Vec<(Label, String)> {
            let items = benchmark(input, 1, None).unwrap();
            items
                .into_iter()
                .map(|item| (item.label, item.rationale))
                .collect()
        };
        let found = answers(&input);
        assert_eq!(found[0], (Label::Yes, String::new()));
        assert_eq!(found[1], (Label::No, String::new()));
        assert_eq!(found[2], (Label::Uncertain, "It may.".into()));
        let folder = tempfile::tempdir().unwrap();
        for (kind, name, text, labels) in [
            (
                "csv",
                "own.csv",
                "question,label\nDoes it help?,yes\nIs it safe?,no\n",
                2,
            ),
            ("csv", "own.tsv", "label\tquestion\nno\tIs it safe?\n", 1),
            (
                "bioasq",
                "golden.json",
                r#"{"questions":[{"id":"1","type":"yesno","body":"Does it help?","exact_answer":"yes"}]}"#,
                1,
            ),
            (
                "pubmedqa-labeled",
                "ori_pqal.json",
                r#"{"7":{"QUESTION":"Does it help?","CONTEXTS":["One."],"final_decision":"maybe"}}"#,
                1,
            ),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            let input: Input = format!("{kind}:{}", path.display()).parse().unwrap();
            let found = answers(&input);
            assert_eq!(found.len(), labels, "{name}");
            assert!(
                found.iter().all(|(_, rationale)| rationale.is_empty()),
                "{name}"
            );
            // Training examples need one, and the error says where it is missing.
            let error = crate::rows(&input, 1, false).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn the_results_of_a_labeled_abstract_are_a_section_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ori_pqal.json");
        let row = |labels: &str| {
            format!(
                r#"{{"QUESTION":"Does it help?","CONTEXTS":["It is common.","We asked 40 men.","It helped."],
                "LABELS":{labels},"MESHES":["Humans","Men"],"final_decision":"yes"}}"#
            )
        };
        let sections = |labels: &str| {
            let text = format!(r#"{{"7":{}}}"#, row(labels));
            std::fs::write(&path, text).unwrap();
            let input = format!("pubmedqa-labeled:{}", path.display());
            let origins = row_origins(&input.parse().unwrap()).unwrap();
            let origin = origins["pubmedqa-labeled:7"].clone();
            assert_eq!(origin.pmids, ["7"]);
            assert_eq!(origin.mesh, ["Humans", "Men"]);
            origin.sections
        };
        let [before, methods, results] = ["It is common.", "We asked 40 men.", "It helped."];
        assert_eq!(
            sections(r#"["BACKGROUND","METHODS","RESULTS"]"#),
            Some([format!("{before} {methods}"), results.to_owned()])
        );
        assert_eq!(
            sections(r#"["AIM","METHODS AND RESULTS","FINDINGS"]"#),
            Some([before.to_owned(), format!("{methods} {results}")])
        );
        // Nothing precedes the results, nothing is labeled so, a section may hold them too, a label is missing.
        for labels in [
            r#"["RESULTS","METHODS","RESULTS"]"#,
            r#"["BACKGROUND","METHODS","CONCLUSION"]"#,
            r#"["BACKGROUND","DISCUSSION","RESULTS"]"#,
            r#"["BACKGROUND","RESULTS"]"#,
            "null",
        ] {
            assert_eq!(sections(labels), None, "{labels}");
        }
    }

    #[test]
    fn a_context_is_cut_to_its_budget() {
        let (_file, input) = jsonl(&LINES);
        let items = benchmark(&input, 1, Some(&Context::estimated(5))).unwrap();
        assert_eq!(items[0].context.as_deref(), Some("Four five six."));
        assert_eq!(items[1].context, None);
    }

    #[test]
    fn contaminated_questions_are_found() {
        let item = |question: &str, group: &str| Item {
            id: question.into(),
            question: question.into(),
            label: Label::Yes,
            rationale: "It does.".into(),
            source: "jsonl".into(),
            group: group.into(),
            context: None,
        };
        let long = "Does early treatment with a high dose of vitamin D lower the risk of falls in women over seventy years of age";
        let train = [
            item("Does aspirin help?", "g1"),
            item("Other?", "pmid:7"),
            item(&format!("{long} or not?"), "g2"),
        ];
        let asked = [
            item("does Aspirin help", "x"),
            item("Is it so?", "pmid:7"),
            item(&format!("{long}?"), "y"),
            item("Does ibuprofen help?", "g1"),
        ];
        assert_eq!(trained_on(&train, &asked), [true, true, true, false]);
    }
}
