//! What holds for every build, whatever the rows.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;
use verdict_data::manifest::Effect;
use verdict_data::{
    Balance, BuildSettings, DataSet, Error, Item, Label, Source, Split, build, citations,
};

/// A row as it may stand in a file: questions, groups and contexts meet often, answers hold what
/// has to be cleaned.
#[derive(Clone, Debug)]
struct Row {
    question: usize,
    label: usize,
    group: Option<usize>,
    context: Option<usize>,
    answer: usize,
}

const ANSWERS: [&str; 8] = [
    "It lowers the risk of death.",
    "This was shown by two trials (PMID: 12345678). More is needed.",
    "p53 is active in these cells vs. others [3].",
    "Smith et al. (2019) found that it helps.",
    "&lt;b&gt; 5 mg i.v. were enough",
    "Indeed.",
    "",
    "Rates were higher (P<or=.05); see https://example.org/x.",
];

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (
        0usize..60,
        0usize..3,
        prop::option::of(0usize..25),
        prop::option::of(0usize..9),
        0usize..8,
    )
        .prop_map(|(question, label, group, context, answer)| Row {
            question,
            label,
            group,
            context,
            answer,
        });
    prop::collection::vec(row, 1..120)
}

fn file(rows: &[Row]) -> String {
    let mut text = String::new();
    for (place, row) in rows.iter().enumerate() {
        let label = ["YES", "no", "Maybe"][row.label];
        let mut object = serde_json::json!({
            "id": format!("row-{place}"),
            "question": format!("Does treatment {} help?", row.question),
            "label": label,
            "rationale": (ANSWERS[row.answer]),
        });
        if let Some(group) = row.group {
            object["group"] = format!("study:{group}").into();
        }
        if let Some(context) = row.context {
            object["context"] = format!("Report {context} on 100 patients.").into();
        }
        text += &format!("{object}\n");
    }
    text
}

fn all(set: &DataSet) -> Vec<(Split, &Item)> {
    Split::ALL
        .into_iter()
        .flat_map(|split| set.split(split).iter().map(move |item| (split, item)))
        .collect()
}

/// Builds from rows and reads the set back.
fn built(rows: &[Row], balance: Balance, seed: u64) -> Result<DataSet, Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.jsonl");
    std::fs::write(&path, file(rows)).unwrap();
    let mut settings = BuildSettings::new(vec![Source::Jsonl(path)], dir.path().join("set"));
    settings.balance = balance;
    settings.seed = seed;
    settings.empty_splits = true;
    build(&settings)?;
    DataSet::read(dir.path().join("set"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn groups_stay_whole_counts_add_up_and_texts_are_clean(
        rows in rows(), natural: bool, seed in 0u64..8,
    ) {
        let balance = if natural { Balance::Natural } else { Balance::Largest };
        let set = match built(&rows, balance, seed) {
            Ok(set) => set,
            Err(Error::EmptyClass { .. }) if !natural => return Ok(()),
            Err(Error::NoRows { .. }) => return Ok(()),
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        let items = all(&set);

        // What ties two rows in the file keeps them in one split.
        let place = |item: &Item| item.id["row-".len()..].parse::<usize>().unwrap();
        let mut home: HashMap<String, Split> = HashMap::new();
        for (split, item) in &items {
            let row = &rows[place(item)];
            let keys = [
                Some(item.group.clone()),
                row.group.map(|group| format!("study:{group}")),
                row.context.map(|context| format!("context {context}")),
            ];
            for key in keys.into_iter().flatten() {
                let first = *home.entry(key.clone()).or_insert(*split);
                prop_assert_eq!(first, *split, "{} spans two splits", key);
            }
        }

        // Every row is kept or dropped by one rule.
        let dropped: usize = set.manifest.rules.iter()
            .filter(|rule| rule.effect == Effect::Dropped)
            .map(|rule| rule.rows)
            .sum();
        prop_assert_eq!(set.manifest.rows_read, rows.len());
        prop_assert_eq!(items.len() + dropped, rows.len());
        prop_assert_eq!(set.manifest.rows_kept, items.len());
        let by_label = |label| items.iter().filter(|(_, item)| item.label == label).count();
        if !natural {
            prop_assert_eq!(by_label(Label::Yes), by_label(Label::No));
            prop_assert_eq!(by_label(Label::Yes), by_label(Label::Uncertain));
        }
        for record in &set.manifest.splits {
            let label_sum: usize = record.labels.values().sum();
            let source_sum: usize = record.sources.values().sum();
            prop_assert_eq!((label_sum, source_sum), (record.rows, record.rows));
        }

        // No question twice, no citation, one sentence.
        let mut seen = HashSet::new();
        for (_, item) in &items {
            prop_assert!(seen.insert((&item.question, &item.context)), "{} twice", item.question);
            for text in [&item.question, &item.rationale] {
                prop_assert!(!citations::contains(text), "{text}");
            }
            prop_assert!(item.rationale.ends_with('.'), "{}", item.rationale);
        }
    }

    #[test]
    fn cleaning_what_is_clean_changes_nothing(rows in rows()) {
        let Ok(set) = built(&rows, Balance::Natural, 1) else { return Ok(()) };
        let dir = tempfile::tempdir().unwrap();
        let mut text = String::new();
        for (_, item) in all(&set) {
            text += &format!("{}\n", serde_json::to_string(item).unwrap());
        }
        let path = dir.path().join("again.jsonl");
        std::fs::write(&path, text).unwrap();
        let mut settings = BuildSettings::new(vec![Source::Jsonl(path)], dir.path().join("set"));
        settings.balance = Balance::Natural;
        settings.empty_splits = true;
        let report = build(&settings).unwrap();
        for rule in &report.manifest.rules {
            prop_assert_eq!(rule.rows, 0, "{} touched clean rows", rule.rule);
        }
        let again = DataSet::read(&report.out).unwrap();
        let texts = |set: &DataSet| {
            let items = all(set).into_iter().map(|(_, item)| item.clone());
            let texts = items.map(|item| (item.question, item.label.as_str(), item.rationale, item.context));
            texts.collect::<HashSet<_>>()
        };
        prop_assert_eq!(texts(&again), texts(&set));
    }

    #[test]
    fn nothing_removed_twice_and_nothing_left(
        parts in prop::collection::vec(prop::sample::select(vec![
            "It helps", " (PMID: 12345678)", " [12]", "[1,2-5]", " Smith et al. (2019) found that ",
            " (Smith et al., 2019; Lee & Kim, 2020)", " NCT00069784", " https://a.org/b.", "; ", ", ",
            ". ", "(", ")", " doi: 10.1056/NEJMoa1", " registered at", " in mice", "P[8]", " 2019;380:1-9",
            " EudraCT 2010-123456-12", " et al.", " Survey (2010)", "PMC1234567", "www.who.int", "é",
        ]), 0..12),
    ) {
        let text = parts.concat();
        let (clean, found) = citations::remove(&text);
        prop_assert!(!citations::contains(&clean), "{text:?} became {clean:?}");
        prop_assert_eq!(citations::contains(&text), !found.is_empty());
        prop_assert_eq!(citations::remove(&clean), (clean.clone(), Vec::new()));
    }

    #[test]
    fn any_text_can_be_searched_and_cleaned(text in "\\PC{0,80}") {
        let (clean, _) = citations::remove(&text);
        prop_assert!(!citations::contains(&clean));
    }
}

#[test]
fn the_order_of_the_sources_does_not_move_a_row() {
    let row = |place: usize| Row {
        question: place,
        label: place % 3,
        group: None,
        context: None,
        answer: 0,
    };
    let mut rows: Vec<Row> = (0..60).map(row).collect();
    let homes = |rows: &[Row]| -> HashMap<String, Split> {
        let set = built(rows, Balance::Largest, 42).unwrap();
        all(&set)
            .into_iter()
            .map(|(split, item)| (item.question.clone(), split))
            .collect()
    };
    let before = homes(&rows);
    // Ids follow the place in the file, so only rows with the same place may be compared.
    rows.swap(0, 3);
    let after = homes(&rows);
    let moved = before
        .iter()
        .filter(|(question, split)| after[*question] != **split)
        .count();
    assert!(moved <= 2, "{moved} of 60 rows moved");
}
