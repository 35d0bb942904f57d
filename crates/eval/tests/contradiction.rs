//! The contradiction rules compared with labels by readers: published rationales with their own label, where an alarm should
//! be false, and with the opposite label, where it should be true. `labels/contradictions.jsonl` has every alarm (id and
//! label) in the half of the examples that was not used for writing the rules, with a reader's verdict. Skipped without the
//! files.

mod real;

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use verdict_data::{Item, Label};
use verdict_eval::Proportion;
use verdict_eval::text::contradiction;

#[derive(Deserialize)]
struct ReadAlarm {
    id: String,
    under: Label,
    /// Whether the rationale really contradicts the label.
    real: bool,
}

/// The half of the examples that was not used for writing the rules.
fn measured(item: &Item) -> bool {
    Sha256::digest(&item.id)[0] % 2 == 1
}

fn opposite(label: Label) -> Label {
    match label {
        Label::Yes => Label::No,
        Label::No => Label::Yes,
        Label::Uncertain => Label::Uncertain,
    }
}

#[test]
fn alarms_are_what_readers_call_contradictions() {
    let Some(items) = real::items("alarms_are_what_readers_call_contradictions") else {
        return;
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/labels/contradictions.jsonl");
    let text = std::fs::read_to_string(path).expect("the labels");
    let alarms: HashMap<(String, Label), bool> = text
        .lines()
        .map(|line| serde_json::from_str::<ReadAlarm>(line).expect("a label"))
        .map(|alarm| ((alarm.id, alarm.under), alarm.real))
        .collect();
    let decided = items.iter().filter(|item| item.label != Label::Uncertain);
    let (mut rows, mut own, mut hits, mut wrong) = (0, 0, 0, 0);
    for item in decided.filter(|item| measured(item)) {
        rows += 1;
        for under in [item.label, opposite(item.label)] {
            let Some(found) = contradiction(&item.question, under, &item.rationale) else {
                continue;
            };
            let real = alarms.get(&(item.id.clone(), under)).copied();
            if real.is_none() {
                // An unread alarm counts as false.
                real::print(&format!("not read {} under {under}: {found:?}", item.id));
            }
            match (under == item.label, real.unwrap_or(false)) {
                (true, false) => own += 1,
                (false, true) => hits += 1,
                (false, false) => wrong += 1,
                // The published label is the mistake.
                (true, true) => {}
            }
        }
    }
    let rate = |what: &str, count: usize, total: usize| {
        let share = Proportion::new(count, total);
        real::print(&format!(
            "{what}: {count} of {total}, {:.4} ({:.4} to {:.4})",
            share.value, share.low, share.high
        ));
        share
    };
    let false_alarms = rate("false alarms under the own label", own, rows);
    let recall = rate("found under the opposite label", hits, rows);
    let precision = rate("alarms that are right", hits, hits + own + wrong);
    assert!(rows >= 600, "{rows}");
    assert!(false_alarms.value <= 0.01, "{false_alarms:?}");
    assert!(precision.value >= 0.95, "{precision:?}");
    assert!(recall.value >= 0.18, "{recall:?}");
}

#[test]
fn rationales_of_open_questions_raise_no_alarm() {
    let Some(items) = real::items("rationales_of_open_questions_raise_no_alarm") else {
        return;
    };
    let open: Vec<&Item> = items
        .iter()
        .filter(|item| item.label == Label::Uncertain)
        .collect();
    let alarms = open
        .iter()
        .filter(|item| contradiction(&item.question, Label::Uncertain, &item.rationale).is_some());
    assert_eq!((alarms.count(), open.len()), (0, 110));
}
