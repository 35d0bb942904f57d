//! The card, held to what it is made of: snapshots, hostile texts, sums, and the folder that gives it again.

use std::collections::BTreeMap;
use std::path::Path;

use regex::Regex;
use verdict_page::{Block, Cell, Page, Table};
use verdict_testkit::browser::Browser;

use super::Card;
use super::page::page;
use crate::manifest::{
    Artefact, Effect, FileRecord, Lengths, Manifest, MeshRecord, ProtectRecord, RecordedSettings,
    RuleRecord, SourceRecord, SplitRecord, Suspect, UnlabelledRecord, label_counts,
};
use crate::{Balance, BuildSettings, DataSet, Item, Label, MeshTree, Source, Split, build, verify};

/// A manifest with something in each of its fields, and texts that `name` makes.
fn small(name: impl Fn(&str) -> String) -> (Manifest, Vec<Item>) {
    let text = |text: &str| name(text);
    let items: Vec<Item> = Label::ALL
        .into_iter()
        .map(|label| Item {
            id: text(&format!("pubmedqa-labeled:{label}")),
            question: text("Does aspirin help patients with a headache?"),
            label,
            rationale: text("It did in both trials."),
            source: text("pubmedqa-labeled"),
            group: "pmid:1".into(),
            context: Some(text("Two trials of aspirin.")),
        })
        .collect();
    let split = |split: Split, rows: usize| SplitRecord {
        split: split.to_string(),
        file: text(&format!("{split}.jsonl")),
        sha256: "a".repeat(64),
        rows: 3 * rows,
        labels: Label::ALL.into_iter().map(|label| (label, rows)).collect(),
        sources: BTreeMap::from([(text("pubmedqa-labeled"), 3 * rows)]),
    };
    let splits = [
        (Split::Train, 400),
        (Split::Validation, 50),
        (Split::Test, 50),
    ];
    let by_split = splits.map(|(of, rows)| (of, split(of, rows).labels));
    let file = |name: &str| FileRecord {
        name: text(name),
        bytes: 2_584_787,
        sha256: "b".repeat(64),
    };
    let rule = |rule: &str, effect, rows| RuleRecord {
        rule: rule.to_owned(),
        about: text("what it does"),
        effect,
        rows,
    };
    let manifest = Manifest {
        kind: "verdict data set".into(),
        layout: 1,
        tool_version: "0.0.0".into(),
        seed: 42,
        settings: RecordedSettings {
            balance: "balanced".into(),
            split: None,
            per_class: Some(500),
            contexts: true,
            context: Some("384 tokens by estimate".into()),
            disagreement: None,
            rules: Some(text("own rules")),
            sources: vec![text("pubmedqa-labeled?cap=1600")],
            protected: vec![ProtectRecord {
                name: text("pubmedqa-test"),
                sha256: "c".repeat(64),
                questions: 500,
            }],
        },
        sources: vec![SourceRecord {
            hub: Some(text("owner/name, commit 0123abc")),
            rows: 1638,
            labels: [600, 538, 500]
                .into_iter()
                .zip(Label::ALL)
                .map(|(rows, label)| (label, rows))
                .collect(),
            files: vec![file("ori_pqal.json")],
            ..SourceRecord::new(&text("pubmedqa-labeled"))
        }],
        rules: vec![
            rule("mend", Effect::Changed, 12),
            rule("context", Effect::Changed, 7),
            rule("duplicate", Effect::Dropped, 30),
            rule("near", Effect::Tied, 5),
            rule("protected", Effect::Dropped, 0),
            rule("balance", Effect::Dropped, 8),
            rule("unlabelled", Effect::Apart, 100),
        ],
        rows_read: 1638,
        rows_kept: 1500,
        groups: 1490,
        splits: splits.map(|(of, rows)| split(of, rows)).to_vec(),
        unlabelled: Some(UnlabelledRecord {
            file: text("unlabelled.jsonl"),
            sha256: "d".repeat(64),
            rows: 100,
        }),
        class_weights: Some(Label::ALL.into_iter().zip([0.5, 1.0, 2.25]).collect()),
        years: BTreeMap::from([(
            text("pubmedqa-labeled"),
            BTreeMap::from([(2009, 500), (2011, 900)]),
        )]),
        mesh: BTreeMap::from([(text("Humans"), 1400)]),
        mesh_record: Some(MeshRecord {
            rows: 1450,
            headings: 3,
            tree: Some(file("mtrees2026.bin")),
            unlisted: 1,
            branches: [("B", 1400), ("C", 700)]
                .into_iter()
                .map(|(letter, rows)| (letter.to_owned(), rows))
                .collect(),
        }),
        by_source: BTreeMap::from([(text("pubmedqa-labeled"), BTreeMap::from(by_split))]),
        lengths: [("question", 1), ("rationale", 2), ("context", 20)]
            .into_iter()
            .map(|(name, bar)| {
                (
                    name.to_owned(),
                    Lengths {
                        rows: 1500,
                        words: 6900 * bar,
                        shortest: bar,
                        median: 4 * bar,
                        p95: 6 * bar,
                        longest: 90 * bar,
                        bar,
                        bars: vec![0, 10, 140, 500, 600, 200, 45, 5],
                    },
                )
            })
            .collect(),
        artefact: Some(Artefact {
            rows: 1500,
            right: 650,
            majority: 500,
        }),
        suspects: vec![Suspect {
            ids: [text("pubmedqa-labeled:1"), text("pubmedqa-labeled:2")],
            labels: [Label::Yes, Label::No],
            overlap: 0.875,
        }],
    };
    (manifest, items)
}

#[test]
fn the_card_of_a_small_set() {
    let (manifest, items) = small(str::to_owned);
    let card = Card::new(&manifest, &items);
    insta::assert_snapshot!("markdown", card.markdown);
    insta::assert_snapshot!("html", card.html);
}

#[test]
fn the_page_loads_nothing_and_runs_nothing() {
    let (manifest, items) = small(str::to_owned);
    let html = Card::new(&manifest, &items).html;
    for foreign in [
        "://",
        "<script",
        "src=",
        "url(",
        "@import",
        "<link",
        "javascript:",
    ] {
        assert!(!html.contains(foreign), "{foreign}");
    }
}

#[test]
fn a_reader_sees_all_of_it_on_a_phone_and_on_a_desk() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(super::HTML);
    let (manifest, items) = small(str::to_owned);
    std::fs::write(&path, Card::new(&manifest, &items).html).expect("written");
    for (width, dark) in [(390, false), (390, true), (1280, false), (1280, true)] {
        let view = browser.look(&path, width, dark);
        assert_eq!(view.faults, [""; 0]);
        assert!(view.texts > 200, "{}", view.texts);
        assert!(view.contrast >= 4.5, "{}", view.contrast);
    }
}

/// Everything that HTML or Markdown could take for its own.
const HOSTILE: &str = "<script>alert(1)</script>\" onload='x' &lt; | **b** [a](x:y) `c` \\ <!-- </style></svg>\n# h\n";

#[test]
fn hostile_texts_are_shown_and_not_obeyed() {
    let harmless = HOSTILE.replace(|c: char| !c.is_alphanumeric(), "x");
    let hostile = small(|text| format!("{text}{HOSTILE}"));
    let hostile = Card::new(&hostile.0, &hostile.1);
    let harmless = small(|text| format!("{text}{harmless}"));
    let harmless = Card::new(&harmless.0, &harmless.1);
    // The same elements with the same attributes, whatever the texts.
    let tags = |html: &str| -> Vec<String> {
        let style = Regex::new("(?s)<style>.*?</style>").expect("a pattern");
        let html = style.replace(html, "").into_owned();
        let tag = Regex::new("<[^>]*>").expect("a pattern");
        tag.find_iter(&html)
            .map(|tag| tag.as_str().to_owned())
            .collect()
    };
    assert_eq!(tags(&hostile.html), tags(&harmless.html));
    assert!(hostile.html.contains("&lt;script&gt;alert(1)"));
    // The same lines, each table row with its bars alone, and no HTML at all.
    assert!(!hostile.markdown.contains('<'));
    assert_eq!(
        hostile.markdown.lines().count(),
        harmless.markdown.lines().count()
    );
    let bars = Regex::new(r"(?:^|[^\\])\|").expect("a pattern");
    for (hostile, harmless) in hostile.markdown.lines().zip(harmless.markdown.lines()) {
        let count = |line: &str| bars.find_iter(line).count();
        assert_eq!(count(hostile), count(harmless), "{hostile}");
        let heading = |line: &str| line.starts_with('#');
        assert_eq!(heading(hostile), heading(harmless), "{hostile}");
    }
    let unescaped = Regex::new(r"(?:^|[^\\])(?:\*\*b\*|\[a\]|`c`)").expect("a pattern");
    assert!(
        !unescaped.is_match(&hostile.markdown),
        "{}",
        hostile.markdown
    );
}

#[test]
fn a_broken_manifest_gives_a_card_and_no_panic() {
    let (mut manifest, _) = small(str::to_owned);
    manifest.artefact = Some(Artefact {
        rows: 3,
        right: 5,
        majority: 9,
    });
    manifest.years = BTreeMap::from([("x".into(), BTreeMap::from([(0, 1), (u16::MAX, 2)]))]);
    manifest.rows_kept = 0;
    manifest.rows_read = 0;
    manifest.splits.clear();
    manifest
        .lengths
        .values_mut()
        .for_each(|lengths| lengths.bars.clear());
    let card = Card::new(&manifest, &[]);
    assert!(card.html.len() < 200_000, "{}", card.html.len());
}

fn table<'a>(page: &'a Page, caption: &str) -> Option<&'a Table> {
    let tables = page.blocks.iter().filter_map(|block| match block {
        Block::Table(table) => Some(table),
        _ => None,
    });
    tables
        .into_iter()
        .find(|table| table.caption.starts_with(caption))
}

/// The numbers of a table's column, less its sum where it has one.
fn column(table: &Table, name: &str) -> (usize, Option<usize>) {
    let column = table
        .head
        .iter()
        .position(|head| head == name)
        .expect("a column");
    let mut numbers: Vec<usize> = table
        .rows
        .iter()
        .map(|row| match row[column] {
            Cell::Number(number) => number,
            ref other => panic!("{other:?} in {name}"),
        })
        .collect();
    let total = table.total.then(|| numbers.pop().expect("a sum"));
    (numbers.iter().sum(), total)
}

/// Rows as PubMedQA has them, with years, headings and repetitions; every ninth without a label.
fn published(folder: &Path) -> [Source; 2] {
    let mut labelled = serde_json::Map::new();
    let mut open = serde_json::Map::new();
    for n in 0..180_usize {
        let row = serde_json::json!({
            "QUESTION": format!("Does treatment{} help with disease{}?", n % 170, n % 170),
            "CONTEXTS": [format!("We gave treatment{n} to {n} people with disease{n}.")],
            "MESHES": ["Humans", format!("Disease {}", n % 7)],
            "YEAR": (1990 + n % 25).to_string(),
            "LONG_ANSWER": format!("Treatment{n} changed the course of disease{n} in {n} people. More is needed."),
            "final_decision": (["yes", "no", "maybe"][n % 170 % 3]),
        });
        let part = if n % 9 == 0 { &mut open } else { &mut labelled };
        part.insert((10_000_000 + n).to_string(), row);
    }
    let write = |name: &str, rows: serde_json::Map<String, serde_json::Value>| {
        let path = folder.join(name);
        let text = serde_json::to_string(&rows).expect("JSON");
        std::fs::write(&path, text).expect("written");
        path
    };
    [
        Source::PubmedqaLabeled(write("l.json", labelled)),
        Source::PubmedqaUnlabeled(write("u.json", open)),
    ]
}

fn settings(folder: &Path, balance: Balance) -> BuildSettings {
    let mut sources = published(folder).to_vec();
    sources.extend([Source::Stats(90), Source::Clinical]);
    let mut settings = BuildSettings::new(sources, folder.join("set"));
    let tree = folder.join("mtrees.bin");
    std::fs::write(
        &tree,
        "Humans;B01.050\nDisease 1;C01\nDisease 2;C01.100\nDisease 2;F03\n",
    )
    .expect("written");
    settings.mesh_tree = Some(MeshTree::read(tree).expect("a tree"));
    settings.balance = balance;
    settings.overwrite = true;
    settings
}

#[test]
fn its_numbers_add_up() {
    let folder = tempfile::tempdir().expect("a folder");
    for balance in [
        Balance::Natural,
        Balance::Largest,
        Balance::PerClass(20),
        Balance::AtMost(50),
    ] {
        let settings = settings(folder.path(), balance);
        let manifest = build(&settings).expect("builds").manifest;
        let page = page(&manifest, &[]);
        let get =
            |caption: &str| table(&page, caption).unwrap_or_else(|| panic!("no table {caption:?}"));
        let (kept, read) = (manifest.rows_kept, manifest.rows_read);

        let labels = get("Rows by split and label");
        let mut all = 0;
        for label in Label::ALL {
            let (sum, total) = column(labels, label.as_str());
            assert_eq!(Some(sum), total, "{label}");
            assert_eq!(
                column(get("Rows by source, split and label"), label.as_str()).0,
                sum
            );
            all += sum;
        }
        assert_eq!(column(labels, "all"), (kept, Some(kept)));
        assert_eq!(all, kept);
        assert_eq!(column(get("Rows by source, split"), "all").0, kept);
        assert_eq!(column(get("Sources"), "rows read").0, read);
        assert_eq!(
            column(get("Every row that was read"), "rows"),
            (read, Some(read)),
            "{balance:?}"
        );
        for text in ["question", "rationale"] {
            assert_eq!(
                column(get(&format!("Rows by words of the {text}")), "rows").0,
                kept
            );
        }
        let dated: usize = manifest.years.values().flat_map(BTreeMap::values).sum();
        assert_eq!(column(get("Rows by year"), "all").0, dated);
        assert_eq!(column(get("Rows by year"), "pubmedqa-labeled").0, dated);

        let mesh = manifest.mesh_record.as_ref().expect("headings");
        assert_eq!(mesh.rows, dated, "every published row has both");
        assert_eq!((mesh.headings, mesh.unlisted), (8, 5));
        assert_eq!(mesh.branches["B"], mesh.rows);
        assert_eq!(
            mesh.branches["C"],
            manifest.mesh["Disease 1"] + manifest.mesh["Disease 2"]
        );
        assert_eq!(mesh.branches["F"], manifest.mesh["Disease 2"]);
        assert_eq!(mesh.branches["A"], 0);

        let set = DataSet::read(&settings.out).expect("reads");
        let items = Split::ALL.into_iter().flat_map(|split| set.split(split));
        assert_eq!(
            label_counts(items.map(|item| item.label))
                .values()
                .sum::<usize>(),
            kept
        );
    }
}

#[test]
fn the_folder_gives_the_card_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(folder.path(), Balance::Natural);
    build(&settings).expect("builds");
    let read = |name: &str| std::fs::read_to_string(settings.out.join(name)).expect("reads");
    let card = Card::of(&settings.out).expect("reads");
    assert_eq!(
        [read(super::MARKDOWN), read(super::HTML)],
        [card.markdown.clone(), card.html.clone()]
    );
    let set = verify(&settings.out).expect("a set with a card holds");
    let trained = |item: &str| set.train.iter().any(|of| of.id == item);
    assert!(trained(&set.train[0].id) && !card.markdown.contains(&set.test[0].question));

    // A card that was lost or spoilt comes back, and nothing else changes.
    std::fs::remove_file(settings.out.join(super::HTML)).expect("removed");
    std::fs::write(settings.out.join(super::MARKDOWN), "spoilt").expect("written");
    card.renew(&settings.out).expect("written");
    assert_eq!(
        [read(super::MARKDOWN), read(super::HTML)],
        [card.markdown.clone(), card.html.clone()]
    );
    let names = std::fs::read_dir(&settings.out).expect("a folder");
    assert_eq!(
        names.count(),
        7,
        "three splits, the unlabelled, two cards, the manifest"
    );

    // An older manifest lacks the counts; the rows have them.
    let path = settings.out.join("MANIFEST.json");
    let mut older: serde_json::Value = serde_json::from_str(&read("MANIFEST.json")).expect("JSON");
    let fields = older.as_object_mut().expect("an object");
    for field in ["by_source", "lengths"] {
        assert!(fields.remove(field).is_some(), "{field}");
    }
    std::fs::write(path, older.to_string()).expect("written");
    assert_eq!(Card::of(&settings.out).expect("reads"), card);

    build(&settings).expect("a set with a card may be replaced");
    assert_eq!(
        [read(super::MARKDOWN), read(super::HTML)],
        [card.markdown, card.html]
    );
}
