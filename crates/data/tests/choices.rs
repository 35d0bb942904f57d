//! What a build can be asked for: shards, weights, caps, columns, contexts, rules, unlabelled rows,
//! disagreement, explanations.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use verdict_data::manifest::Effect;
use verdict_data::{
    Balance, BuildSettings, Context, DataSet, Disagreement, Error, Input, Item, Label, Rules,
    Source, Split, Unlabelled, build, explain, merge, scan_shard, verify,
};

const FILES: [&str; 4] = [
    "train.jsonl",
    "validation.jsonl",
    "test.jsonl",
    "MANIFEST.json",
];
const DRUGS: [&str; 7] = [
    "aspirin", "zinc", "yoga", "statins", "warfarin", "iron", "rest",
];
const ILLS: [&str; 11] = [
    "migraine", "asthma", "stroke", "falls", "gout", "reflux", "eczema", "anaemia", "sciatica",
    "croup", "scurvy",
];

/// Rows of PubMedQA's layout, each on another thing.
fn published(
    rows: std::ops::Range<usize>,
    label: impl Fn(usize) -> Option<&'static str>,
) -> String {
    let mut object = serde_json::Map::new();
    for n in rows {
        let (drug, ill) = (DRUGS[n % 7], ILLS[n / 7 % 11]);
        let mut row = serde_json::json!({
            "QUESTION": format!("Does {drug} given early bring down the rate of {ill} in cohort {n}?"),
            "CONTEXTS": [format!("Cohort {n} took {drug}. It was large. Rates of {ill} were counted for {} years.", n % 9 + 2)],
            "MESHES": [ill, "Humans"],
            "YEAR": (1990 + n % 30).to_string(),
            "LONG_ANSWER": format!("In cohort {n} the rate of {ill} with {drug} was {} per cent of the other rate.", n % 97),
        });
        if let Some(label) = label(n) {
            row["final_decision"] = label.into();
        }
        object.insert((1000 + n).to_string(), row);
    }
    serde_json::Value::Object(object).to_string()
}

const THREE: [&str; 3] = ["yes", "no", "maybe"];

fn any(n: usize) -> Option<&'static str> {
    Some(THREE[n % 3])
}

struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Bench {
        Bench(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    fn settings(&self, sources: &[&str], out: &str) -> BuildSettings {
        let sources = sources.iter().map(|text| {
            let text = text.replace("DIR", &self.0.path().display().to_string());
            text.parse::<Input>().expect("a source")
        });
        BuildSettings {
            balance: Balance::Natural,
            protect: Vec::new(),
            ..BuildSettings::new(sources, self.path(out))
        }
    }
}

fn bytes(folder: &Path) -> Vec<Vec<u8>> {
    let read = |name: &&str| std::fs::read(folder.join(name)).expect("a file of the set");
    FILES.iter().map(read).collect()
}

fn items(set: &DataSet) -> impl Iterator<Item = &Item> {
    Split::ALL.into_iter().flat_map(|split| set.split(split))
}

fn by_label(set: &DataSet) -> [usize; 3] {
    Label::ALL.map(|label| items(set).filter(|item| item.label == label).count())
}

/// Rows that a rule touched.
fn touched(set: &DataSet, rule: &str) -> (Effect, usize) {
    let rule = set.manifest.rules.iter().find(|of| of.rule == rule);
    rule.map(|rule| (rule.effect, rule.rows)).expect("a rule")
}

#[test]
fn shards_built_apart_merge_to_the_same_bytes() {
    let bench = Bench::new();
    bench.file("a.json", &published(0..1500, any));
    bench.file("b.json", &published(1400..2300, any));
    let sources = [
        "pubmedqa-labeled:DIR/a.json",
        "pubmedqa-artificial:DIR/b.json",
        "stats:600",
    ];
    let one = bench.settings(&sources, "one");
    build(&one).expect("builds");
    let mut shards = Vec::new();
    for n in 1..=3 {
        let settings = bench.settings(&sources, &format!("shard-{n}"));
        scan_shard(&settings, (n, 3)).expect("a shard");
        shards.push(settings.out);
    }
    // Whatever order they are named in.
    shards.rotate_left(1);
    let merged = bench.settings(&["clinical"], "merged");
    merge(&shards, &merged).expect("merges");
    assert_eq!(bytes(&one.out), bytes(&merged.out));
    verify(&merged.out).expect("holds");

    let fails = |shards: &[PathBuf]| {
        let error = merge(shards, &bench.settings(&["clinical"], "none")).expect_err("refused");
        assert!(!bench.path("none").exists());
        error
            .to_string()
            .replace(&bench.0.path().display().to_string(), "DIR")
    };
    let [two, three, first] = &shards[..] else {
        panic!("three shards")
    };
    assert_eq!(
        fails(&[first.clone(), three.clone()]),
        "DIR/shard-3: expected shard 2 of 3, found shard 3"
    );
    assert_eq!(
        fails(&[first.clone(), two.clone()]),
        "DIR/shard-2: expected 3 shards, found 2"
    );
    let other = bench.settings(&sources[1..], "other");
    scan_shard(&other, (3, 3)).expect("a shard");
    assert_eq!(
        fails(&[first.clone(), two.clone(), other.out]),
        "DIR/other: expected the sources of DIR/shard-1, found other sources or other files"
    );
    std::fs::write(first.join("shard.bin"), "x").expect("written");
    assert!(fails(&shards).starts_with("DIR/shard-1/shard.bin: expected a shard as"));
}

#[test]
fn threads_and_memory_change_nothing() {
    let bench = Bench::new();
    bench.file("a.json", &published(0..2000, any));
    let built = |name: &str, threads, memory_mib| {
        let settings = BuildSettings {
            memory_mib,
            ..bench.settings(&["pubmedqa-labeled:DIR/a.json"], name)
        };
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("threads");
        pool.install(|| build(&settings)).expect("builds");
        bytes(&settings.out)
    };
    let one = built("one", 1, 1024);
    assert_eq!(one, built("five", 5, 1024));
    assert_eq!(one, built("frugal", 2, 0), "word pairs from disk");
}

#[test]
fn unlabelled_rows_go_to_a_file_of_their_own_and_never_beside_a_test_row() {
    let bench = Bench::new();
    bench.file("a.json", &published(0..600, any));
    // Half of them are questions that have a label elsewhere, and one shares an abstract with a labelled row.
    bench.file("u.json", &published(300..900, |_| None));
    let settings = bench.settings(
        &[
            "pubmedqa-labeled:DIR/a.json",
            "pubmedqa-unlabeled:DIR/u.json",
        ],
        "set",
    );
    let manifest = build(&settings).expect("builds").manifest;
    let set = verify(&settings.out).expect("holds");
    let record = manifest.unlabelled.expect("a file");
    let text = std::fs::read_to_string(settings.out.join(&record.file)).expect("read");
    let rows: Vec<Unlabelled> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a row"))
        .collect();
    assert_eq!(rows.len(), record.rows);
    assert_eq!(touched(&set, "unlabelled"), (Effect::Apart, rows.len()));
    assert_eq!(touched(&set, "duplicate"), (Effect::Dropped, 300));
    assert!(rows.iter().all(|row| row.source == "pubmedqa-unlabeled"));
    let held: Vec<&str> = [Split::Validation, Split::Test]
        .into_iter()
        .flat_map(|split| set.split(split))
        .map(|item| item.group.as_str())
        .collect();
    assert!(rows.iter().all(|row| !held.contains(&row.group.as_str())));
    let dropped: usize = manifest
        .rules
        .iter()
        .filter(|rule| rule.effect == Effect::Dropped)
        .map(|rule| rule.rows)
        .sum();
    assert_eq!(
        manifest.rows_read,
        manifest.rows_kept + dropped + rows.len()
    );
    assert_eq!(manifest.rows_read, 1200);
}

#[test]
fn weights_and_caps_say_how_many_rows_a_source_gives() {
    let bench = Bench::new();
    bench.file("a.json", &published(0..600, any));
    bench.file("b.json", &published(600..1200, any));
    let of = |first: &str, second: &str, balance| {
        let mut settings = bench.settings(&[first, second], "set");
        settings.balance = balance;
        settings.overwrite = true;
        build(&settings).expect("builds");
        DataSet::read(&settings.out).expect("reads")
    };
    let from =
        |set: &DataSet, source: &str| items(set).filter(|item| item.source == source).count();
    let (labeled, artificial) = ("pubmedqa-labeled", "pubmedqa-artificial");
    let (a, b) = (
        "pubmedqa-labeled:DIR/a.json",
        "pubmedqa-artificial:DIR/b.json",
    );
    let even = of(a, b, Balance::PerClass(60));
    assert!(
        (85..=95).contains(&from(&even, labeled)),
        "{}",
        from(&even, labeled)
    );
    let heavy = of(&format!("{a}?weight=5"), b, Balance::PerClass(60));
    assert!(
        (147..=153).contains(&from(&heavy, labeled)),
        "{}",
        from(&heavy, labeled)
    );
    let capped = of(
        a,
        &format!("{b}?cap=100&cap.yes=10&cap.no=0"),
        Balance::Natural,
    );
    assert_eq!(from(&capped, artificial), 100);
    let of_class = |label| {
        items(&capped)
            .filter(|item| item.source == artificial && item.label == label)
            .count()
    };
    assert_eq!((of_class(Label::Yes), of_class(Label::No)), (10, 0));
    assert_eq!(touched(&capped, "cap"), (Effect::Dropped, 500));
    assert_eq!(
        capped.manifest.settings.sources,
        ["pubmedqa-artificial?cap=100&cap.yes=10&cap.no=0"]
    );
    let few = of(
        &format!("{a}?cap.no=20"),
        &format!("{b}?cap=0"),
        Balance::AtMost(50),
    );
    assert_eq!(by_label(&few), [50, 20, 50]);
    // 40, 16 and 40 rows of 96 in training.
    let weights = few.manifest.class_weights.clone().expect("weights");
    assert_eq!(
        weights,
        BTreeMap::from([(Label::Yes, 0.8), (Label::No, 2.0), (Label::Uncertain, 0.8)])
    );
    assert_eq!(even.manifest.class_weights, None);
}

#[test]
fn where_sources_disagree_a_row_may_say_so() {
    let bench = Bench::new();
    bench.file("a.json", &published(0..90, any));
    // The first ten are answered with the next word; the next ten twice within one file, by another question mark.
    bench.file("b.json", &published(0..10, |n| any(n + 1)));
    let mut twice: serde_json::Value =
        serde_json::from_str(&published(100..101, |_| Some("yes"))).expect("rows");
    let mut other = twice["1100"].clone();
    other["final_decision"] = "no".into();
    twice["9999"] = other;
    bench.file("c.json", &twice.to_string());
    let sources = [
        "pubmedqa-labeled:DIR/a.json",
        "pubmedqa-artificial:DIR/b.json",
        "pubmedqa-artificial:DIR/c.json",
    ];
    let dropped = bench.settings(&sources, "dropped");
    build(&dropped).expect("builds");
    let dropped = DataSet::read(&dropped.out).expect("reads");
    assert_eq!(touched(&dropped, "disputed"), (Effect::Dropped, 22));
    let told = BuildSettings {
        disagreement: Disagreement::Uncertain,
        ..bench.settings(&sources, "told")
    };
    build(&told).expect("builds");
    let set = verify(&told.out).expect("holds");
    assert_eq!(
        touched(&set, "disputed"),
        (Effect::Dropped, 2),
        "one source with itself"
    );
    assert_eq!(touched(&set, "disagreement"), (Effect::Dropped, 10));
    let rows: Vec<&Item> = items(&set)
        .filter(|item| item.source == "disagreement")
        .collect();
    assert_eq!(rows.len(), 10);
    assert!(rows.iter().all(|row| row.label == Label::Uncertain));
    let first = rows
        .iter()
        .find(|row| row.id.ends_with(":1000"))
        .expect("the first");
    assert_eq!(first.id, "disagreement:pubmedqa-labeled:1000");
    assert_eq!(
        first.rationale,
        "Published answers to this question disagree: pubmedqa-labeled answers Yes, pubmedqa-artificial answers No."
    );
    assert_eq!(
        set.manifest.settings.disagreement.as_deref(),
        Some("uncertain")
    );
}

#[test]
fn tables_are_read_by_the_names_of_their_columns() {
    let bench = Bench::new();
    let mut csv = "n,Frage,Antwort,\"Grund, kurz\"\n".to_owned();
    let mut tsv = "question\tlabel\trationale\n".to_owned();
    for n in 0..30 {
        csv += &format!(
            "r{n},\"Does \"\"drug {n}\"\", alone, help?\",{},\"It did, in trial {n}.\"\n",
            n % 3
        );
        tsv += &format!(
            "Does cure {n} by itself help?\t{}\tIt did so in trial {n}.\n",
            THREE[n % 3]
        );
    }
    bench.file("a.csv", &csv);
    bench.file("b.tsv", &tsv);
    let own = "csv:DIR/a.csv?id=n&question=Frage&label=Antwort&rationale=Grund, kurz&label.yes=1&label.no=0&label.uncertain=2";
    let settings = bench.settings(&[own, "csv:DIR/b.tsv"], "set");
    build(&settings).expect("builds");
    let set = DataSet::read(&settings.out).expect("reads");
    assert_eq!(by_label(&set), [20; 3]);
    let row = items(&set).find(|item| item.id == "r4").expect("by its id");
    assert_eq!(
        (row.question.as_str(), row.label),
        ("Does \"drug 4\", alone, help?", Label::Yes)
    );
    assert!(items(&set).any(|item| item.id == "csv:b.tsv:1"));

    let fails = |name: &str, text: &str| {
        bench.file(name, text);
        let error =
            build(&bench.settings(&[&format!("csv:DIR/{name}")], "none")).expect_err("refused");
        error
            .to_string()
            .replace(&bench.0.path().display().to_string(), "DIR")
    };
    assert_eq!(
        fails("c.csv", "question,answer\nx,y\n"),
        "DIR/c.csv: line 1: expected column \"label\", found columns \"question\", \"answer\""
    );
    let head = "question,label,rationale\n";
    assert_eq!(
        fails(
            "d.csv",
            &format!("{head}Is it so?,yes,It is.\nIs it?,perhaps,No.\n")
        ),
        "DIR/d.csv: line 3: expected field \"label\" as yes, no, maybe or uncertain, found \"perhaps\""
    );
    assert_eq!(
        fails("e.csv", &format!("{head}Is it so?,yes\n")),
        "DIR/e.csv: line 2: expected 3 fields as in the header, found 2"
    );
    assert_eq!(
        fails("f.csv", &format!("{head}Is it so?,yes,\n")),
        "DIR/f.csv: line 2: expected field \"rationale\" as text, found nothing"
    );
}

#[test]
fn contexts_lose_whole_sentences_from_the_front_to_fit_a_budget() {
    let bench = Bench::new();
    bench.file("a.json", &published(0..60, any));
    let words = |text: &str| text.split_whitespace().count();
    let settings = BuildSettings {
        context: Some(Context::counted(11, "words", std::sync::Arc::new(words))),
        ..bench.settings(&["pubmedqa-labeled:DIR/a.json"], "set")
    };
    build(&settings).expect("builds");
    let set = verify(&settings.out).expect("holds");
    assert_eq!(touched(&set, "context"), (Effect::Changed, 60));
    assert_eq!(
        set.manifest.settings.context.as_deref(),
        Some("11 tokens by words")
    );
    let mut rules = set.manifest.rules.iter();
    let about = &rules.find(|rule| rule.rule == "context").expect("it").about;
    let (_, share) = about.split_once("from the front: ").expect("a share");
    assert!(share.ends_with(" % of their text"), "{about}");
    let row = items(&set)
        .find(|item| item.id.ends_with(":1000"))
        .expect("the first");
    assert_eq!(
        row.context.as_deref(),
        Some("It was large. Rates of migraine were counted for 2 years.")
    );
}

#[test]
fn own_rules_take_the_place_of_the_built_in_ones_and_stand_in_the_manifest() {
    let bench = Bench::new();
    bench.file("a.json", &published(0..60, any));
    let text = verdict_data::rules::BUILT_IN
        .replace("question_words = 3", "question_words = 3 ")
        .replace(
            "label_words = [",
            "label_words = [\n  '^In cohort [0-9]+ ',",
        );
    let rules = Rules::read(bench.file("rules.toml", &text)).expect("rules");
    let settings = BuildSettings {
        rules,
        ..bench.settings(&["pubmedqa-labeled:DIR/a.json"], "set")
    };
    build(&settings).expect("builds");
    let set = verify(&settings.out).expect("holds");
    assert_eq!(touched(&set, "study-speak"), (Effect::Changed, 60));
    assert!(items(&set).all(|item| item.rationale.starts_with("The rate of ")));
    assert_eq!(set.manifest.settings.rules.as_deref(), Some(text.as_str()));
}

#[test]
fn a_row_is_explained_by_rule_before_and_after_and_by_its_fate() {
    let bench = Bench::new();
    bench.file("a.json", &published(0..60, any));
    bench.file(
        "b.jsonl",
        "{\"id\":\"x\",\"question\":\"Does  tea help (PMID: 12345678)?\",\"label\":\"yes\",\"rationale\":\"Yes, our results show that tea helps a lot. More is needed.\"}\n\
         {\"id\":\"y\",\"question\":\"Does tea help?\",\"label\":\"yes\",\"rationale\":\"It does help them.\"}\n\
         {\"id\":\"z\",\"question\":\"Does tea harm?\",\"label\":\"yes\",\"rationale\":\"No, it does not harm.\"}\n",
    );
    let settings = bench.settings(&["pubmedqa-labeled:DIR/a.json", "jsonl:DIR/b.jsonl"], "set");
    let told = explain(&settings, "x").expect("explained");
    assert!(!bench.path("set").exists());
    let steps: Vec<(&str, &str)> = told
        .steps
        .iter()
        .map(|step| (step.rule, step.after.as_str()))
        .collect();
    assert_eq!(
        steps,
        [
            ("mend", "Does tea help (PMID: 12345678)?"),
            ("citations", "Does tea help?"),
            ("rationale", "Tea helps a lot."),
        ]
    );
    assert!(told.outcome.starts_with("kept: "), "{}", told.outcome);
    let outcome = |id: &str| explain(&settings, id).expect("explained").outcome;
    assert_eq!(outcome("y"), "dropped: the same question is in x");
    assert_eq!(
        outcome("z"),
        "dropped: the answer opens with another label than the row's"
    );
    assert!(matches!(
        explain(&settings, "w"),
        Err(Error::NoSuchRow { .. })
    ));
    let kept = explain(&settings, "pubmedqa-labeled:1000").expect("explained");
    build(&settings).expect("builds");
    let set = DataSet::read(&settings.out).expect("reads");
    let home = Split::ALL
        .into_iter()
        .find(|split| set.split(*split).iter().any(|item| item.id == kept.id));
    assert_eq!(kept.split, home);
}

#[test]
fn a_folder_gives_all_its_files_and_ids_stay_apart() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("parts")).expect("a folder");
    bench.file("parts/a.json", &published(0..30, any));
    bench.file("parts/b.json", &published(30..60, any));
    bench.file("parts/notes.txt", "not ours");
    let settings = bench.settings(&["pubmedqa-labeled:DIR/parts", "clinical"], "set");
    let manifest = build(&settings).expect("builds").manifest;
    assert_eq!(manifest.sources[0].files.len(), 2);
    assert_eq!(manifest.sources[0].rows, 60);
    assert_eq!(
        manifest.years["pubmedqa-labeled"].values().sum::<usize>(),
        60
    );
    assert_eq!(manifest.mesh["Humans"], 60);
    let clinical = BuildSettings::new([Source::Clinical, Source::Clinical], bench.path("twice"));
    let twice = build(&clinical).expect("builds").manifest;
    assert_eq!(twice.rows_read, 2 * twice.sources[0].rows);
}
