//! Pairs of questions about the same drawn case, and questions of held-out wordings only: for evaluation, not for
//! training.
//!
//! A twin makes the opposite claim about the case, and the answer must be the opposite (an open one stays open); or it
//! uses another wording of the family, and the answer must stay. No list says which wordings fit together: another
//! wording draws from the same random stream, and it fits if it draws exactly the same case. Its own rule has then
//! computed that its claim is true of these numbers. Twins and held-out questions have random streams and ids of their
//! own, apart from those of [`questions`](crate::questions).

use std::collections::HashSet;

use crate::distractors::with_distractors;
use crate::families::FAMILIES;
use crate::generate::{generate, truth_for};
use crate::plan::{QuestionForm, forms};
use crate::question::{Answer, GeneratedQuestion};
use crate::random::Random;
use crate::template::fill;
use crate::wording::{Case, Family, Wording};

/// How a twin differs from its original.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TwinRule {
    /// It makes the opposite claim: Yes becomes No, No becomes Yes, Uncertain stays.
    OppositeClaim,
    /// It makes the same claim about the same numbers in another wording: the answer stays.
    OtherWording,
}

impl TwinRule {
    /// The name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            TwinRule::OppositeClaim => "opposite-claim",
            TwinRule::OtherWording => "other-wording",
        }
    }
}

/// A generated question and another one about the same case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twin {
    /// The question. Its id is `stats-twin:{family}/{wording}/{level}:{row:06}`.
    pub original: GeneratedQuestion,
    /// The other question, with the id `{original's id}:opposite` or `{original's id}:{wording}`. It has the same
    /// group and rationale, and its own answer.
    pub variant: GeneratedQuestion,
    /// How they differ.
    pub rule: TwinRule,
}

/// Names of the random streams.
const TWINS: &str = "stats twins";
const HELD_OUT: &str = "stats held out";

/// Twins of `rows` different questions, with answers in turn: each question with its opposite claim, and with one other
/// wording if the family has one that fits. With `held_out`, the originals have wordings or families that no training
/// row has, and the other wording is any of the family's; without it, both wordings occur in training rows. The same
/// arguments give the same twins, and more rows only add some at the end.
pub fn twins(rows: usize, seed: u64, held_out: bool) -> Vec<Twin> {
    let plan = plan(held_out);
    let mut seen = HashSet::with_capacity(rows);
    let twins = (0..rows).flat_map(|row| twins_of(row, seed, &plan, held_out, &mut seen));
    twins.collect()
}

/// `rows` different questions of held-out wordings and families only, with answers and families in turn. Ids are
/// `stats-held-out:{family}/{wording}/{level}:{row:06}`. The group is `stats-held-out:wording:…` when training has other
/// wordings of the family, and `stats-held-out:family:…` when it has none. The same arguments give the same questions.
pub fn held_out_questions(rows: usize, seed: u64) -> Vec<GeneratedQuestion> {
    let plan = plan(true);
    let mut seen = HashSet::with_capacity(rows);
    let make = |row| {
        let random = Random::of(seed, HELD_OUT, row);
        let forms = &plan[row / 3 % plan.len()];
        let mut question = generate(row, random, forms, "stats-held-out", &mut seen);
        let whole = forms[0].family.held_out;
        let kind = if whole { "family" } else { "wording" };
        question.group = question.group.replacen(':', &format!(":{kind}:"), 1);
        question
    };
    (0..rows).map(make).collect()
}

/// The forms of each family that has any of this kind.
fn plan(held_out: bool) -> Vec<Vec<QuestionForm>> {
    let all = FAMILIES.iter().map(|family| forms(family, held_out, &[]));
    all.filter(|forms| !forms.is_empty()).collect()
}

fn twins_of(
    row: usize,
    seed: u64,
    plan: &[Vec<QuestionForm>],
    held_out: bool,
    seen: &mut HashSet<String>,
) -> Vec<Twin> {
    let answer = Answer::ALL[row % 3];
    let mut random = Random::of(seed, TWINS, row);
    let form = random.pick(&plan[row / 3 % plan.len()]);
    let (family, wording) = (form.family, form.wording);
    let first = random.chance(0.5);
    let truth = truth_for(answer, first);
    loop {
        let before = random.clone();
        let Some(case) = (wording.draw)(&mut random) else {
            continue;
        };
        if case.truth != truth {
            continue;
        }
        // All twins of a question get the same distractors.
        let after = random.clone();
        let ask = |wording: &Wording, first: bool| {
            let question = fill(wording.template, &case.slots, first);
            match form.distractors {
                true => with_distractors(&mut after.clone(), &question),
                false => question,
            }
        };
        let question = ask(wording, first);
        if !seen.insert(question.clone()) {
            continue;
        }
        let id = format!(
            "stats-twin:{}/{}/{}:{row:06}",
            family.name,
            wording.name,
            form.level()
        );
        let make = |suffix: &str, question: String, answer: Answer| GeneratedQuestion {
            id: format!("{id}{suffix}"),
            question,
            answer,
            rationale: case.rationale.clone(),
            group: id.clone(),
            held_out,
        };
        let original = make("", question, answer);
        let mut twins = vec![Twin {
            original: original.clone(),
            variant: make(":opposite", ask(wording, !first), answer.opposite()),
            rule: TwinRule::OppositeClaim,
        }];
        let others = fitting(family, wording, held_out, &before, &case);
        if !others.is_empty() {
            let other = random.pick(&others);
            let suffix = format!(":{}", other.name);
            twins.push(Twin {
                original,
                variant: make(&suffix, ask(other, first), answer),
                rule: TwinRule::OtherWording,
            });
        }
        return twins;
    }
}

/// The other wordings of a family that draw the same case from the same stream.
fn fitting(
    family: &'static Family,
    wording: &'static Wording,
    held_out: bool,
    before: &Random,
    case: &Case,
) -> Vec<&'static Wording> {
    let others = family.wordings.iter().filter(|other| {
        other.name != wording.name && (held_out || !other.held_out) && {
            let drawn = (other.draw)(&mut before.clone());
            drawn.is_some_and(|drawn| drawn == *case)
        }
    });
    others.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use sha2::{Digest, Sha256};

    use super::*;
    use crate::{questions, rederive};

    fn family(item: &GeneratedQuestion) -> &str {
        item.id.split([':', '/']).nth(1).unwrap()
    }

    fn wording<'i>(name: &str, item: &'i GeneratedQuestion) -> (&'i str, bool) {
        let wording = item.id.split('/').nth(1).unwrap();
        let family = FAMILIES.iter().find(|family| family.name == name).unwrap();
        let found = family
            .wordings
            .iter()
            .find(|of| of.name == wording)
            .unwrap();
        (wording, family.held_out || found.held_out)
    }

    #[test]
    fn labels_of_twins_follow_from_their_printed_text() {
        for held_out in [false, true] {
            let twins = twins(1200, 5, held_out);
            for twin in &twins {
                for item in [&twin.original, &twin.variant] {
                    let derived = rederive::answer_of(family(item), &item.question);
                    assert_eq!(derived, item.answer, "{} | {}", item.id, item.question);
                }
            }
        }
    }

    #[test]
    fn opposites_reverse_the_answer_and_other_wordings_keep_it() {
        let twins = twins(1200, 6, false);
        let (mut opposites, mut others) = (0, 0);
        for twin in &twins {
            let (original, variant) = (&twin.original, &twin.variant);
            assert_ne!(original.question, variant.question);
            assert_eq!(original.rationale, variant.rationale);
            assert_eq!(original.group, variant.group);
            match twin.rule {
                TwinRule::OppositeClaim => {
                    opposites += 1;
                    assert_eq!(variant.answer, original.answer.opposite());
                }
                TwinRule::OtherWording => {
                    others += 1;
                    assert_eq!(variant.answer, original.answer);
                    // Both print the same figures of the case; the claim's words differ.
                    let numbers = |item: &GeneratedQuestion| -> BTreeSet<String> {
                        rederive::numbers(&item.rationale)
                            .iter()
                            .map(|n| n.to_string())
                            .collect()
                    };
                    assert_eq!(numbers(original), numbers(variant));
                }
            }
        }
        assert_eq!(opposites, 1200);
        assert!(others > 150, "{others}");
    }

    #[test]
    fn held_out_questions_have_held_out_wordings_and_groups_by_kind() {
        let items = held_out_questions(900, 42);
        let mut labels = [0; 3];
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for item in &items {
            let (_, held) = wording(family(item), item);
            assert!(held, "{}", item.id);
            labels[item.answer as usize] += 1;
            *kinds
                .entry(item.group.split(':').nth(1).unwrap())
                .or_default() += 1;
            assert_eq!(
                rederive::answer_of(family(item), &item.question),
                item.answer
            );
        }
        assert_eq!(labels, [300; 3]);
        assert_eq!(
            kinds.keys().copied().collect::<Vec<_>>(),
            ["family", "wording"]
        );
        let ids: BTreeSet<&str> = items.iter().map(|item| item.id.as_str()).collect();
        assert_eq!(ids.len(), items.len());
        assert_eq!(items[..300], held_out_questions(300, 42)[..]);
        let trained: BTreeSet<String> = questions(3000, 42, &[])
            .into_iter()
            .map(|row| row.question)
            .collect();
        assert!(items.iter().all(|item| !trained.contains(&item.question)));
        for twin in twins(300, 8, true) {
            assert!(wording(family(&twin.original), &twin.original).1);
        }
    }

    #[test]
    fn the_rows_of_a_data_set_stay_what_they_were() {
        let mut all = String::new();
        for row in questions(1200, 42, &[])
            .iter()
            .chain(&questions(600, 7, &[2, 3]))
        {
            all += &format!("{}\n{}\n{}\n", row.id, row.question, row.rationale);
        }
        let hash = Sha256::digest(all.as_bytes());
        assert_eq!(hash[..8], [0xb2, 0x65, 0x46, 0x12, 0x41, 0xee, 0xfb, 0xc2]);
    }
}
