//! Leaks that were planted: a build must not let them in, an audit must find them.

use std::fs;
use std::path::Path;

use verdict_data::audit::{LeakKind, audit};
use verdict_data::manifest::Effect;
use verdict_data::{Balance, BuildSettings, DataSet, Protect, Source, Split, build};

/// Thirty questions on thirty things, of both labels.
fn row(n: usize, label: &str) -> serde_json::Value {
    let things = ["aspirin", "statins", "yoga", "zinc", "surgery", "warfarin"];
    let aims = ["strokes", "falls", "migraine", "asthma", "relapse"];
    let (thing, aim) = (things[n % 6], aims[n / 6]);
    serde_json::json!({
        "id": format!("row-{n}"),
        "question": format!("Can daily {thing} at home bring down the yearly rate of {aim} in older adults number {n}?"),
        "label": label,
        "rationale": format!("In trial {n} the rate of {aim} with {thing} was {} per cent lower after {} months.", n + 3, 2 * n + 5),
    })
}

fn rows() -> Vec<serde_json::Value> {
    (0..30)
        .map(|n| row(n, ["Yes", "No", "Uncertain"][n % 3]))
        .collect()
}

fn write(path: &Path, rows: &[serde_json::Value]) {
    let lines: Vec<String> = rows.iter().map(ToString::to_string).collect();
    fs::write(path, lines.join("\n")).expect("written");
}

fn settings(folder: &Path, rows: &[serde_json::Value]) -> BuildSettings {
    let source = folder.join("rows.jsonl");
    write(&source, rows);
    BuildSettings {
        balance: Balance::Natural,
        protect: Vec::new(),
        ..BuildSettings::new(vec![Source::Jsonl(source)], folder.join("set"))
    }
}

/// Rows that a rule touched.
fn touched(set: &DataSet, rule: &str) -> (Effect, usize) {
    let rule = set
        .manifest
        .rules
        .iter()
        .find(|r| r.rule == rule)
        .expect("a rule");
    (rule.effect, rule.rows)
}

fn reworded(row: &serde_json::Value, id: &str) -> serde_json::Value {
    let mut copy = row.clone();
    copy["id"] = id.into();
    let question = row["question"].as_str().expect("text");
    copy["question"] = question
        .replace("in older adults", "among older adults")
        .into();
    copy["rationale"] =
        format!("This one has a reason of its own, {id}, that no other has.").into();
    copy
}

#[test]
fn near_copies_never_stand_in_two_splits() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut all = rows();
    let copies: Vec<_> = (0..30)
        .map(|n| reworded(&all[n], &format!("copy-{n}")))
        .collect();
    all.extend(copies);
    // A copied rationale under another question.
    let mut copied = row(3, "Uncertain");
    copied["id"] = "copied".into();
    copied["question"] = "Would anyone be helped by something else altogether here?".into();
    all.push(copied);
    for seed in 0..5 {
        let settings = BuildSettings {
            seed,
            overwrite: true,
            ..settings(folder.path(), &all)
        };
        build(&settings).expect("builds");
        let set = DataSet::read(&settings.out).expect("reads");
        assert_eq!(touched(&set, "near"), (Effect::Tied, 31));
        let home = |id: &str| {
            let splits = Split::ALL.into_iter();
            let mut homes =
                splits.filter(|split| set.split(*split).iter().any(|item| item.id == id));
            homes.next().expect("every row is kept")
        };
        for n in 0..30 {
            assert_eq!(
                home(&format!("row-{n}")),
                home(&format!("copy-{n}")),
                "row {n}, seed {seed}"
            );
        }
        assert_eq!(home("copied"), home("row-3"));
        assert_eq!(audit(&settings.out, &[]).expect("audits").leaks, []);
    }
}

#[test]
fn what_a_benchmark_asks_stays_out_with_its_near_copies() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut all = rows();
    all.push(reworded(&all[4], "copy"));
    let benchmark = folder.path().join("benchmark.jsonl");
    write(&benchmark, &[all[4].clone(), all[7].clone()]);
    let protect = vec![Protect::File(benchmark)];
    let settings = BuildSettings {
        protect: protect.clone(),
        ..settings(folder.path(), &all)
    };
    build(&settings).expect("builds");
    let set = DataSet::read(&settings.out).expect("reads");
    assert_eq!(touched(&set, "protected"), (Effect::Dropped, 3));
    let ids = || {
        Split::ALL
            .into_iter()
            .flat_map(|split| set.split(split))
            .map(|item| item.id.as_str())
    };
    assert_eq!(ids().count(), 28);
    assert!(ids().all(|id| !["row-4", "row-7", "copy"].contains(&id)));
    let record = &set.manifest.settings.protected[0];
    assert_eq!(
        (record.name.as_str(), record.questions),
        ("benchmark.jsonl", 2)
    );
    assert_eq!(audit(&settings.out, &protect).expect("audits").leaks, []);
}

#[test]
fn near_questions_with_other_labels_are_suspects() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut all = rows();
    let mut copy = reworded(&all[0], "copy");
    copy["label"] = "No".into();
    all.push(copy);
    let settings = settings(folder.path(), &all);
    let suspects = build(&settings).expect("builds").manifest.suspects;
    assert_eq!(suspects.len(), 1);
    assert_eq!(suspects[0].ids, ["row-0", "copy"]);
    assert!(
        (0.7..1.0).contains(&suspects[0].overlap),
        "{}",
        suspects[0].overlap
    );
}

#[test]
fn an_audit_finds_every_planted_leak_in_a_set_made_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let all = rows();
    let with = |n: usize, key: &str, value: &str| {
        let mut row = all[n].clone();
        row[key] = value.into();
        row
    };
    let mut train = all[..15].to_vec();
    train[3] = with(3, "context", "One hundred were asked.");
    train[5] = with(5, "pmid", "123");
    let dev = vec![all[15].clone(), reworded(&all[1], "near")];
    let mut shouted = all[2].clone();
    shouted["question"] = all[2]["question"]
        .as_str()
        .expect("text")
        .to_uppercase()
        .into();
    shouted["rationale"] = "Nothing of the kind was ever said elsewhere.".into();
    let mut copied = with(20, "rationale", all[6]["rationale"].as_str().expect("text"));
    copied["context"] = "one hundred  were asked".into();
    let test = vec![
        shouted,
        copied,
        with(21, "pmid", "123"),
        all[15].clone(),
        with(22, "pmid", "77"),
    ];
    for (name, rows) in [("train", &train), ("dev", &dev), ("test", &test)] {
        write(&folder.path().join(format!("{name}.jsonl")), rows);
    }
    let pmids = folder.path().join("pmids.txt");
    // The last one is asked in test alone.
    fs::write(&pmids, "999\n123\n77\n").expect("written");
    let found = audit(folder.path(), &[Protect::File(pmids)]).expect("audits");
    assert_eq!(found.rows["train"], 15);
    let count = |kind, of, seen| found.count(kind, of, seen);
    assert_eq!(count(LeakKind::NearQuestion, "validation", "train"), 1);
    assert_eq!(count(LeakKind::Question, "test", "train"), 1);
    assert_eq!(count(LeakKind::NearRationale, "test", "train"), 1);
    assert_eq!(count(LeakKind::Context, "test", "train"), 1);
    assert_eq!(count(LeakKind::Pmid, "test", "train"), 1);
    assert_eq!(count(LeakKind::Question, "test", "validation"), 1);
    assert_eq!(count(LeakKind::NearRationale, "test", "validation"), 1);
    assert_eq!(count(LeakKind::Pmid, "pmids.txt", "train"), 1);
    assert_eq!(found.leaks.len(), 8, "{:#?}", found.leaks);
    let shouted = found
        .leaks
        .iter()
        .find(|l| l.kind == LeakKind::Question)
        .expect("one");
    assert_eq!((shouted.row.line, shouted.seen.line), (1, 3));
}

#[test]
fn a_folder_without_splits_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let told = |text: &str| {
        fs::write(folder.path().join("train.jsonl"), text).expect("written");
        audit(folder.path(), &[]).expect_err("refused").to_string()
    };
    assert!(
        audit(folder.path(), &[])
            .expect_err("empty")
            .to_string()
            .contains("expected rows in train.jsonl")
    );
    assert!(
        told("{\"q\": 1}\n")
            .ends_with("train.jsonl: line 1: expected field \"question\" as text, found nothing")
    );
    assert!(told("{}\n\n[").contains("train.jsonl: line 1"));
}

/// Sets of built-in sources, among them the demo's.
#[test]
#[allow(clippy::print_stdout)]
fn the_built_in_sets_pass_their_own_audit() {
    for sources in [
        vec![Source::Stats(2_000)],
        vec![Source::Stats(300), Source::Clinical],
        vec![Source::Clinical],
    ] {
        for balance in [Balance::Largest, Balance::Natural] {
            let folder = tempfile::tempdir().expect("a folder");
            let settings = BuildSettings {
                balance,
                ..BuildSettings::new(sources.clone(), folder.path().join("set"))
            };
            build(&settings).expect("builds");
            let found = audit(&settings.out, &settings.protect).expect("audits");
            assert_eq!(found.leaks, [], "{sources:?}");
            let set = DataSet::read(&settings.out).expect("reads");
            let wordings = |split| -> std::collections::BTreeSet<String> {
                let rows = set.split(split).iter();
                let rows = rows.filter(|row| row.source == "stats");
                rows.map(|row| row.id.rsplitn(2, '/').last().expect("a wording").to_owned())
                    .collect()
            };
            let [train, validation, test] = Split::ALL.map(wordings);
            assert!(train.is_disjoint(&validation) && train.is_disjoint(&test));
            assert!(validation.is_disjoint(&test));
            let rows = Split::ALL.map(|split| set.split(split).len());
            println!(
                "{sources:?} {balance:?} {rows:?} {} {} {}",
                train.len(),
                validation.len(),
                test.len()
            );
        }
    }
}

#[test]
fn a_benchmark_keeps_out_what_shares_an_abstract_with_its_questions() {
    let folder = tempfile::tempdir().expect("a folder");
    let pubmedqa = folder.path().join("pubmedqa.json");
    let rows: serde_json::Map<_, _> = (0..20)
        .map(|n| {
            let row = row(n, "");
            let published = serde_json::json!({
                "QUESTION": row["question"], "CONTEXTS": [format!("Abstract {n}.")],
                "LONG_ANSWER": row["rationale"], "final_decision": "yes",
            });
            ((900 + n).to_string(), published)
        })
        .collect();
    fs::write(&pubmedqa, serde_json::Value::Object(rows).to_string()).expect("written");
    let golden = folder.path().join("golden.json");
    let question = serde_json::json!({"questions": [{
        "id": "5c6d", "type": "yesno", "body": "Is something else asked of these?",
        "documents": ["http://www.ncbi.nlm.nih.gov/pubmed/905"],
        "snippets": [{"text": "So.", "document": "https://pubmed.ncbi.nlm.nih.gov/911/"}],
    }]});
    fs::write(&golden, question.to_string()).expect("written");
    let settings = BuildSettings {
        balance: Balance::Natural,
        protect: vec![Protect::File(golden)],
        ..BuildSettings::new(
            vec![Source::PubmedqaLabeled(pubmedqa)],
            folder.path().join("set"),
        )
    };
    build(&settings).expect("builds");
    let set = DataSet::read(&settings.out).expect("reads");
    assert_eq!(touched(&set, "protected"), (Effect::Dropped, 2));
    assert_eq!(
        audit(&settings.out, &settings.protect)
            .expect("audits")
            .leaks,
        []
    );
}
