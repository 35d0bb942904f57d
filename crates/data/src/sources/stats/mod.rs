//! Generated questions on reading study results. Labels and rationales are computed from the
//! printed numbers, never written by hand.
//!
//! # What the labels mean
//! Every wording asks one of two things, and says which by its words:
//!
//! - **Shown.** "Did the drug *significantly* reduce …", "is … *statistically significant* at the
//!   5% level", "was non-inferiority *shown*". The numbers either show it or they do not, so the
//!   answer is Yes or No. A relative risk of 0.85 with a 95% interval from 0.60 to 1.05 did not
//!   significantly reduce anything: No. An interval wholly on the other side is No as well. Where
//!   no level of significance is stated, it is 5% and the interval a 95% one.
//! - **True.** "Does the drug reduce …", "is the risk lower …", "is the probability above 50%". Yes
//!   where the whole interval (or range) speaks for it, No where the whole interval speaks against
//!   it, Uncertain where it holds both: the same 0.60 to 1.05 leaves open whether the drug works.
//!
//! Where a figure needed for the answer is missing, the answer is Uncertain, unless what is printed
//! settles the question alone: an upper limit of 0.93 shows a reduction whatever the lower limit is,
//! and p = 0.40 is not significant in whichever direction.
//!
//! # How rows are made
//! Row `i` has a label (`i % 3`), a family and a turn that says whether its wording is held out
//! from training; so labels are balanced over the whole and in each family. Numbers are drawn,
//! printed, read back from the print, and the label computed from that; draws whose label is not
//! the wanted one, or whose numbers touch the boundary after rounding, are thrown away. About one
//! row in twenty uses a held-out wording and is pinned to the test split; no other row uses one.
//! The first rows of a longer run are those of a shorter one.

mod diagnosis;
mod difference;
mod likelihood;
mod missing;
mod nnt;
mod non_inferiority;
mod p_value;
mod print;
mod random;
mod ratio;
#[cfg(test)]
mod rederive;
mod words;

use std::collections::HashSet;

use crate::{Label, RawItem, Split};

use print::fill;
use random::Random;

/// One way to reason, asked in several wordings.
struct Family {
    name: &'static str,
    wordings: &'static [Wording],
}

/// One way to ask.
struct Wording {
    /// Name in the ids and groups of its rows.
    name: &'static str,
    /// Whether its rows are kept from training.
    held_out: bool,
    /// The labels that its questions can have.
    labels: &'static [Label],
    /// Draws numbers and computes the label; none where a printed number touches the boundary.
    draw: fn(&mut Random) -> Option<Case>,
    /// The question with `{slots}`; `{Slot}` is the same with a capital.
    template: &'static str,
}

/// One drawn situation.
struct Case {
    label: Label,
    slots: Vec<(&'static str, String)>,
    rationale: String,
}

const YES_NO: &[Label] = &[Label::Yes, Label::No];
const ALL: &[Label] = &Label::ALL;

static FAMILIES: [Family; 8] = [
    ratio::FAMILY,
    difference::FAMILY,
    p_value::FAMILY,
    diagnosis::FAMILY,
    nnt::FAMILY,
    non_inferiority::FAMILY,
    likelihood::FAMILY,
    missing::FAMILY,
];

/// A turn is a run of rows that has every family with every label once. One turn of this many uses
/// the held-out wordings.
const TURNS: usize = 20;
/// Which turn of each `TURNS` that is: not the first, so that a small run still trains.
const HELD_OUT_TURN: usize = 7;

/// `rows` different questions with their computed answers; the same for the same seed.
pub(super) fn stats(rows: usize, seed: u64) -> Vec<RawItem> {
    let mut seen = HashSet::with_capacity(rows);
    (0..rows)
        .map(|row| generate(row, seed, &mut seen))
        .collect()
}

fn generate(row: usize, seed: u64, seen: &mut HashSet<String>) -> RawItem {
    let label = Label::ALL[row % 3];
    let family = &FAMILIES[row / 3 % FAMILIES.len()];
    let turn = row / 3 / FAMILIES.len();
    let held_out = turn % TURNS == HELD_OUT_TURN;
    let wordings: Vec<&Wording> = family
        .wordings
        .iter()
        .filter(|wording| wording.held_out == held_out && wording.labels.contains(&label))
        .collect();
    let mut random = Random::new(seed, row);
    let wording = random.pick(&wordings);
    // Ends: every wording draws each of its labels in at least one of some fifty cases (a test
    // counts them), and there are many more different questions than rows.
    loop {
        let Some(case) = (wording.draw)(&mut random) else {
            continue;
        };
        if case.label != label {
            continue;
        }
        let question = fill(wording.template, &case.slots);
        if !seen.insert(question.clone()) {
            continue;
        }
        let name = format!("stats:{}/{}:{row:06}", family.name, wording.name);
        return RawItem {
            id: name.clone(),
            question,
            label: Some(label),
            answer: case.rationale,
            source: "stats",
            group: vec![name],
            context: None,
            split: held_out.then_some(Split::Test),
            year: None,
            mesh: Vec::new(),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::{FAMILIES, Random, stats};
    use crate::{Label, RawItem, Split};

    /// Family and wording from an id `stats:family/wording:000017`.
    fn names(row: &RawItem) -> (&str, &str) {
        row.id.split(':').nth(1).unwrap().split_once('/').unwrap()
    }

    #[test]
    fn every_wording_gives_each_of_its_labels_often_and_no_other() {
        for family in &FAMILIES {
            for wording in family.wordings {
                let place = format!("{}/{}", family.name, wording.name);
                let mut counts = [0; 3];
                let mut random = Random::new(1, 0);
                for _ in 0..2000 {
                    if let Some(case) = (wording.draw)(&mut random) {
                        counts[case.label.index()] += 1;
                    }
                }
                for label in Label::ALL {
                    let count = counts[label.index()];
                    match wording.labels.contains(&label) {
                        true => assert!(count >= 40, "{place}: {label} {count} of 2000"),
                        false => assert_eq!(count, 0, "{place}: {label}"),
                    }
                }
            }
        }
    }

    #[test]
    fn families_have_enough_wordings_in_and_out_of_training() {
        assert!(FAMILIES.len() >= 8);
        for family in &FAMILIES {
            let names: BTreeSet<&str> = family.wordings.iter().map(|w| w.name).collect();
            assert_eq!(names.len(), family.wordings.len(), "{}", family.name);
            assert!(names.len() >= 5, "{}", family.name);
            for held_out in [false, true] {
                let labels: BTreeSet<Label> = family
                    .wordings
                    .iter()
                    .filter(|w| w.held_out == held_out)
                    .flat_map(|w| w.labels)
                    .copied()
                    .collect();
                assert_eq!(labels.len(), 3, "{} held out: {held_out}", family.name);
            }
        }
    }

    #[test]
    fn labels_are_balanced_over_the_whole_and_in_each_family() {
        let rows = stats(3001, 42);
        let mut families: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        for row in &rows {
            families.entry(names(row).0).or_default()[row.label.unwrap().index()] += 1;
        }
        assert_eq!(families.len(), FAMILIES.len());
        for (name, counts) in families {
            let all: usize = counts.iter().sum();
            for count in counts {
                let share = count as f64 / all as f64;
                assert!((share - 1.0 / 3.0).abs() < 0.02, "{name}: {counts:?}");
            }
        }
    }

    #[test]
    fn rows_are_different_and_named_and_plain_text() {
        let rows = stats(10_000, 7);
        assert_eq!(rows.len(), 10_000);
        let questions: BTreeSet<&str> = rows.iter().map(|row| row.question.as_str()).collect();
        assert_eq!(questions.len(), rows.len());
        let ids: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids.len(), rows.len());
        for row in &rows {
            for text in [&row.question, &row.answer] {
                assert!(!text.contains(['{', '}']) && !text.contains("  "), "{text}");
                assert!(text.starts_with(char::is_uppercase), "{text}");
            }
            assert!(row.question.ends_with('?'), "{}", row.question);
            assert!(row.answer.ends_with('.'), "{}", row.answer);
            assert!(!row.answer.contains(". "), "two sentences: {}", row.answer);
            let words = row.answer.split(' ').count();
            assert!((10..=45).contains(&words), "{words} words: {}", row.answer);
            assert_eq!(row.group, std::slice::from_ref(&row.id));
            assert_eq!(row.source, "stats");
        }
    }

    #[test]
    fn held_out_wordings_stand_in_the_test_split_alone() {
        let rows = stats(4800, 3);
        let mut pinned = 0;
        for row in &rows {
            let (family, wording) = names(row);
            let family = FAMILIES.iter().find(|f| f.name == family).unwrap();
            let wording = family.wordings.iter().find(|w| w.name == wording).unwrap();
            assert_eq!(
                row.split,
                wording.held_out.then_some(Split::Test),
                "{}",
                row.id
            );
            pinned += usize::from(wording.held_out);
        }
        assert_eq!(pinned, 240);
        let used: BTreeSet<_> = rows.iter().map(names).collect();
        assert_eq!(
            used.len(),
            FAMILIES.iter().map(|f| f.wordings.len()).sum::<usize>()
        );
    }

    #[test]
    fn ten_thousand_rows_take_less_than_a_second() {
        // The best of three: other tests run beside this one.
        let best = (0..3).map(|seed| {
            let start = std::time::Instant::now();
            assert_eq!(stats(10_000, seed).len(), 10_000);
            start.elapsed()
        });
        let best = best.min().unwrap();
        assert!(best.as_secs_f64() < 1.0, "{best:?}");
    }

    #[test]
    fn cleaning_changes_nothing() {
        for row in stats(4800, 11) {
            let cleaned = crate::rationale::clean(&row.answer, &crate::Rules::default());
            assert_eq!(
                (cleaned.text, cleaned.cut, cleaned.lead),
                (row.answer, false, None)
            );
            assert_eq!(crate::text::mend(&row.question), row.question);
            assert!(
                !crate::citations::contains(&row.question),
                "{}",
                row.question
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn labels_follow_from_the_printed_text(seed: u64) {
            for row in stats(480, seed) {
                let (family, _) = names(&row);
                prop_assert_eq!(
                    Some(super::rederive::label(family, &row.question)), row.label, "{}", row.question
                );
            }
        }

        #[test]
        fn the_same_seed_gives_the_same_rows(seed: u64) {
            let long = stats(300, seed);
            prop_assert_eq!(&long[..200], &stats(200, seed)[..]);
            prop_assert_ne!(&long[..], &stats(300, seed.wrapping_add(1))[..]);
        }

        #[test]
        fn rationales_state_numbers_of_their_question(seed: u64) {
            for row in stats(240, seed) {
                let shared = super::rederive::numbers(&row.answer)
                    .iter()
                    .any(|number| super::rederive::numbers(&row.question).contains(number));
                prop_assert!(shared, "{} | {}", row.question, row.answer);
            }
        }
    }
}
