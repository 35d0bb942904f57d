//! What must hold of every row, whatever its family.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::families::FAMILIES;
use crate::plan::{RowPlan, forms};
use crate::random::Random;
use crate::wording::Family;
use crate::{Answer, GeneratedQuestion, questions, rederive};

/// Family, wording and level from an id `stats:family/wording/2:000017`.
fn names(row: &GeneratedQuestion) -> (&'static Family, &str, u8) {
    let middle = row.id.split(':').nth(1).unwrap();
    let parts: Vec<&str> = middle.split('/').collect();
    let [family, wording, level] = parts[..] else {
        panic!("{}", row.id)
    };
    let family = FAMILIES.iter().find(|f| f.name == family).unwrap();
    (family, wording, level.parse().unwrap())
}

fn trained_families() -> usize {
    FAMILIES.iter().filter(|family| !family.held_out).count()
}

#[test]
fn every_wording_can_have_each_answer() {
    for family in FAMILIES {
        for wording in family.wordings {
            let place = format!("{}/{}", family.name, wording.name);
            let mut counts = [0; 3];
            let mut random = Random::new(1, 0);
            for _ in 0..2000 {
                if let Some(case) = (wording.draw)(&mut random) {
                    counts[case.truth.map_or(2, usize::from)] += 1;
                }
            }
            assert!(
                counts.iter().all(|count| *count >= 40),
                "{place}: {counts:?} of 2000"
            );
            let claims = wording.template.matches('[').count();
            assert_eq!(claims, 1, "{place}: a claim and its opposite");
        }
    }
}

#[test]
fn families_have_enough_wordings_and_levels_in_and_out_of_training() {
    assert!(trained_families() >= 30);
    assert!(FAMILIES.len() - trained_families() >= 4);
    let names: BTreeSet<&str> = FAMILIES.iter().map(|family| family.name).collect();
    assert_eq!(names.len(), FAMILIES.len());
    for family in FAMILIES {
        let count = |held_out| {
            let wordings = family.wordings.iter().filter(|w| w.held_out == held_out);
            wordings.map(|w| w.name).collect::<BTreeSet<_>>().len()
        };
        assert_eq!(
            count(false) + count(true),
            family.wordings.len(),
            "{}",
            family.name
        );
        match family.held_out {
            true => assert!(count(false) >= 2, "{}", family.name),
            false => assert!(count(false) >= 3 && count(true) >= 1, "{}", family.name),
        }
        let levels: BTreeSet<u8> = forms(family, family.held_out, &[])
            .iter()
            .map(|form| form.level())
            .collect();
        assert!(levels.len() >= 2, "{}: {levels:?}", family.name);
        assert!(
            levels.iter().all(|level| (1..=3).contains(level)),
            "{}",
            family.name
        );
    }
}

#[test]
fn labels_are_balanced_over_the_whole_and_in_each_family() {
    let rows = questions(10_000, 42, &[]);
    let mut families: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for row in &rows {
        families.entry(names(row).0.name).or_default()[row.answer as usize] += 1;
    }
    assert_eq!(families.len(), FAMILIES.len());
    for (name, counts) in families {
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(most - least <= 1, "{name}: {counts:?}");
    }
}

#[test]
fn rows_are_different_and_named_and_plain_text() {
    let rows = questions(10_000, 7, &[]);
    assert_eq!(rows.len(), 10_000);
    let questions: BTreeSet<&str> = rows.iter().map(|row| row.question.as_str()).collect();
    assert_eq!(questions.len(), rows.len());
    let ids: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids.len(), rows.len());
    for row in &rows {
        for text in [&row.question, &row.rationale] {
            let brackets = ['{', '}', '[', ']', '|'];
            assert!(!text.contains(brackets) && !text.contains("  "), "{text}");
            assert!(text.starts_with(char::is_uppercase), "{text}");
        }
        assert!(row.question.ends_with('?'), "{}", row.question);
        assert_eq!(row.question.matches('?').count(), 1, "{}", row.question);
        assert!(row.rationale.ends_with('.'), "{}", row.rationale);
        assert!(
            !row.rationale.contains(". "),
            "two sentences: {}",
            row.rationale
        );
        let words = row.rationale.split(' ').count();
        assert!(
            (10..=48).contains(&words),
            "{words} words: {}",
            row.rationale
        );
        let wording = row.id.rsplitn(2, '/').last().expect("a wording");
        assert_eq!(row.group, wording);
    }
}

#[test]
fn one_row_in_twenty_is_of_a_held_out_wording_and_one_of_a_held_out_family() {
    // A whole round: each trained family with each label in twenty turns.
    let rows = questions(2 * 20 * 3 * trained_families(), 3, &[]);
    let (mut wordings, mut families) = (0, 0);
    for row in &rows {
        let (family, wording, _) = names(row);
        let wording = family.wordings.iter().find(|w| w.name == wording).unwrap();
        let held_out = family.held_out || wording.held_out;
        assert_eq!(row.held_out, held_out, "{}", row.id);
        wordings += usize::from(wording.held_out);
        families += usize::from(family.held_out);
    }
    assert_eq!((wordings, families), (rows.len() / 20, rows.len() / 20));
}

#[test]
fn every_wording_is_used() {
    let rows = questions(20_000, 3, &[]);
    let used: BTreeSet<_> = rows
        .iter()
        .map(|row| (names(row).0.name, names(row).1))
        .collect();
    let all: usize = FAMILIES.iter().map(|family| family.wordings.len()).sum();
    assert_eq!(used.len(), all);
}

#[test]
fn only_the_asked_levels_are_generated() {
    let asked: [&[u8]; 7] = [&[], &[1], &[2], &[3], &[1, 2], &[1, 3], &[2, 3]];
    for levels in asked {
        let rows = questions(3000, 9, levels);
        let found: BTreeSet<u8> = rows.iter().map(|row| names(row).2).collect();
        let wanted: BTreeSet<u8> = match levels {
            [] => [1, 2, 3].into(),
            levels => levels.iter().copied().collect(),
        };
        assert_eq!(found, wanted);
        assert!(rows.iter().any(|row| row.held_out), "{levels:?}");
        let plan = RowPlan::new(levels);
        assert!(
            plan.trained.len() >= 10,
            "{levels:?}: {}",
            plan.trained.len()
        );
        for answer in Answer::ALL {
            assert_eq!(rows.iter().filter(|row| row.answer == answer).count(), 1000);
        }
    }
}

/// The time of 10,000 rows, to be read in a release build:
/// `cargo test --release -p verdict-questions ten_thousand -- --ignored`.
#[test]
#[ignore = "measures time"]
fn ten_thousand_rows_take_less_than_a_second() {
    let best = (0..3).map(|seed| {
        let start = std::time::Instant::now();
        assert_eq!(questions(10_000, seed, &[]).len(), 10_000);
        start.elapsed()
    });
    let best = best.min().unwrap();
    assert!(best.as_secs_f64() < 1.0, "{best:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn labels_follow_from_the_printed_text(seed: u64) {
        for row in questions(1800, seed, &[]) {
            let (family, _, _) = names(&row);
            let derived = rederive::answer_of(family.name, &row.question);
            prop_assert_eq!(derived, row.answer, "{} | {} | {}", row.id, row.question, row.rationale);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_rows(seed: u64) {
        let long = questions(400, seed, &[]);
        prop_assert_eq!(&long[..200], &questions(200, seed, &[])[..]);
        prop_assert_ne!(&long[..], &questions(400, seed.wrapping_add(1), &[])[..]);
        let hard = questions(400, seed, &[3]);
        prop_assert_eq!(&hard[..200], &questions(200, seed, &[3])[..]);
    }

    #[test]
    fn rationales_state_numbers_of_their_question(seed: u64) {
        for row in questions(600, seed, &[]) {
            let asked = rederive::numbers(&row.question);
            let shared = rederive::numbers(&row.rationale).iter().any(|number| asked.contains(number));
            prop_assert!(shared, "{} | {}", row.question, row.rationale);
        }
    }
}
