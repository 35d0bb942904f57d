//! Dialogues from questions whose right labels are known before and after each turn.
//!
//! - **Generated questions**: the figures are corrected. The wording's own rule computes both labels.
//! - **Questions on an abstract with labeled sections** (PubMedQA): the first turn gives what precedes the results, so
//!   that the right label is Uncertain; the results change it to the question's own label. Questions whose own label is
//!   Uncertain are asked as the following ones.
//! - **Other questions with a context**: the whole context comes first, and nothing changes the label.

use std::collections::HashSet;

use verdict_data::{CorrectedItem, Item, Label};

use super::turns::{Dialogue, DialogueTurn, FollowUp};
use super::unrelated::OtherQuestions;
use crate::benchmark::Benchmark;
use FollowUp::{ChangingFact, FirstFacts, IrrelevantFact, Why};

/// Seed of generated questions; another one than those of the held-out benchmark and of variants.
const SEED: u64 = 20_261_125;
/// The question that asks for a reason.
const WHY: &str = "Why?";

/// What the later turns do, in turn, where a fact can change the label and be taken back.
const GENERATED: [[FollowUp; 2]; 5] = [
    [Why, ChangingFact],
    [ChangingFact, Why],
    [IrrelevantFact, ChangingFact],
    [ChangingFact, IrrelevantFact],
    [ChangingFact, FirstFacts],
];
/// The same where a fact can change the label.
const CHANGING: [[FollowUp; 2]; 4] = [GENERATED[0], GENERATED[1], GENERATED[2], GENERATED[3]];
/// The same where none can.
const KEEPING: [[FollowUp; 2]; 2] = [[Why, IrrelevantFact], [IrrelevantFact, Why]];

/// Dialogues from the first `count` questions with a context of each benchmark that are not contaminated, and from as
/// many generated questions of held-out wordings and families. A question that several benchmarks have is asked once.
pub fn dialogues(benchmarks: &[Benchmark], count: usize) -> Vec<Dialogue> {
    let others = OtherQuestions::of(benchmarks);
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for benchmark in benchmarks {
        let asked = benchmark.items.iter().enumerate().filter(|(place, item)| {
            item.context.is_some() && !benchmark.contaminated.get(*place).is_some_and(|of| *of)
        });
        let (mut changing, mut keeping) = (0, 0);
        for (place, item) in asked.take(count) {
            if !seen.insert(item.id.as_str()) {
                continue;
            }
            let irrelevant = others.fact(item, benchmark.headings.get(place));
            let sections = benchmark.sections.get(place).and_then(Option::as_ref);
            match sections.filter(|_| item.label != Label::Uncertain) {
                Some(sections) => {
                    let follow_ups = CHANGING[changing % CHANGING.len()];
                    changing += 1;
                    all.extend(sectioned(item, sections, irrelevant, follow_ups));
                }
                None => {
                    let follow_ups = KEEPING[keeping % KEEPING.len()];
                    keeping += 1;
                    all.extend(whole(item, irrelevant, follow_ups));
                }
            }
        }
    }
    let generated = verdict_data::stats_corrected(count, SEED);
    all.extend(
        generated
            .iter()
            .zip(GENERATED.iter().cycle())
            .map(|(question, follow_ups)| corrected(question, *follow_ups)),
    );
    all
}

/// A turn that adds facts to a question.
fn turn(context: Option<String>, question: &str, label: Label) -> DialogueTurn {
    DialogueTurn {
        context,
        question: question.to_owned(),
        label,
    }
}

/// The dialogue of an opening turn and of those that `next` makes of each follow-up and the right label before it.
fn dialogue(
    item: &Item,
    follow_ups: [FollowUp; 2],
    opening: DialogueTurn,
    next: impl Fn(FollowUp, Label) -> Option<DialogueTurn>,
) -> Option<Dialogue> {
    let next = |follow_up: FollowUp, label: Label| match follow_up {
        Why => Some(turn(None, WHY, label)),
        other => next(other, label),
    };
    let second = next(follow_ups[0], opening.label)?;
    let third = next(follow_ups[1], second.label)?;
    Some(Dialogue {
        id: item.id.clone(),
        source: item.source.clone(),
        group: item.group.clone(),
        follow_ups,
        turns: [opening, second, third],
    })
}

/// The results of an abstract change the label; none where an irrelevant fact is needed and there is none.
fn sectioned(
    item: &Item,
    [before, results]: &[String; 2],
    irrelevant: Option<String>,
    follow_ups: [FollowUp; 2],
) -> Option<Dialogue> {
    let asked = |context: &str, label| turn(Some(context.to_owned()), &item.question, label);
    let opening = asked(before, Label::Uncertain);
    dialogue(item, follow_ups, opening, |follow_up, label| {
        Some(match follow_up {
            ChangingFact => asked(results, item.label),
            _ => asked(irrelevant.as_deref()?, label),
        })
    })
}

/// Nothing changes the label; none where there is no irrelevant fact.
fn whole(item: &Item, irrelevant: Option<String>, follow_ups: [FollowUp; 2]) -> Option<Dialogue> {
    let opening = turn(item.context.clone(), &item.question, item.label);
    dialogue(item, follow_ups, opening, |_, label| {
        Some(turn(Some(irrelevant.clone()?), &item.question, label))
    })
}

/// The figures of a generated question are corrected.
fn corrected(question: &CorrectedItem, follow_ups: [FollowUp; 2]) -> Dialogue {
    let first = &question.first;
    let opening = turn(None, &first.question, first.label);
    let [figures, new_figures] = &question.figures;
    let [claim, new_claim] = &question.claims;
    let next = |follow_up: FollowUp, label: Label| {
        Some(match follow_up {
            ChangingFact => {
                let text = format!("These figures replace the first ones. {new_figures}");
                turn(Some(text), new_claim, question.corrected)
            }
            FirstFacts => {
                let text =
                    format!("The correction was a mistake; the first figures hold. {figures}");
                turn(Some(text), claim, first.label)
            }
            _ => {
                let claim = if label == first.label {
                    claim
                } else {
                    new_claim
                };
                turn(Some(question.irrelevant.clone()), claim, label)
            }
        })
    };
    dialogue(first, follow_ups, opening, next).expect("every fact is known")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(number: usize, label: Label) -> Item {
        let (subject, question) = [
            ("kidney stones", "Are kidney stones painful?"),
            ("hearing aids", "Do hearing aids last?"),
            ("snake bites", "Is every snake bite fatal?"),
            ("hip fractures", "Would hip fractures heal?"),
        ][number % 4];
        Item {
            id: format!("pubmedqa-labeled:{number}"),
            question: question.into(),
            label,
            rationale: String::new(),
            source: "pubmedqa-labeled".into(),
            group: format!("pmid:{number}"),
            context: Some(format!(
                "Little is known of {subject} at present. We counted {subject} in twelve districts."
            )),
        }
    }

    fn benchmark(labels: &[Label]) -> Benchmark {
        let items: Vec<Item> = labels
            .iter()
            .enumerate()
            .map(|(number, label)| item(number, *label))
            .collect();
        let sections = |item: &Item| {
            let text = item.context.clone()?;
            let (before, results) = text.split_once(". ")?;
            Some([format!("{before}."), results.to_owned()])
        };
        Benchmark {
            name: "pubmedqa".into(),
            contaminated: vec![false; items.len()],
            sections: items.iter().map(sections).collect(),
            items,
            ..Benchmark::default()
        }
    }

    fn labels(dialogue: &Dialogue) -> [Label; 3] {
        [0, 1, 2].map(|turn| dialogue.turns[turn].label)
    }

    #[test]
    fn the_results_of_an_abstract_change_the_label_and_nothing_else_does() {
        let benchmark = benchmark(&[
            Label::Yes,
            Label::No,
            Label::Yes,
            Label::No,
            Label::Uncertain,
        ]);
        let made = dialogues(std::slice::from_ref(&benchmark), 5);
        let u = Label::Uncertain;
        let of_abstracts: Vec<_> = made[..5]
            .iter()
            .map(|one| (one.kind(), labels(one)))
            .collect();
        let expected = [
            ("Why?, then changing fact", [u, u, Label::Yes]),
            ("changing fact, then Why?", [u, Label::No, Label::No]),
            ("irrelevant fact, then changing fact", [u, u, Label::Yes]),
            (
                "changing fact, then irrelevant fact",
                [u, Label::No, Label::No],
            ),
            ("Why?, then irrelevant fact", [u, u, u]),
        ];
        assert_eq!(
            of_abstracts,
            expected.map(|(kind, labels)| (kind.to_owned(), labels))
        );
        let [first, _, last] = &made[3].turns;
        let [before, results] = benchmark.sections[3].as_ref().unwrap();
        assert_eq!(first.context.as_ref(), Some(before));
        assert_eq!(made[3].turns[1].context.as_ref(), Some(results));
        let irrelevant = last.context.as_deref().unwrap();
        assert!(
            irrelevant.starts_with("On another question ("),
            "{irrelevant}"
        );
        assert!(!irrelevant.contains("hip fractures"), "{irrelevant}");
        assert_eq!(made[4].turns[0].context, benchmark.items[4].context);
    }

    #[test]
    fn corrected_figures_have_the_label_of_their_rule() {
        let made = dialogues(&[], 60);
        assert_eq!(made.len(), 60);
        for (one, follow_ups) in made.iter().zip(GENERATED.iter().cycle()) {
            assert_eq!(one.follow_ups, *follow_ups);
            let [opening, second, third] = labels(one);
            match one.follow_ups {
                [ChangingFact, FirstFacts] => assert!(opening == third && opening != second),
                [ChangingFact, _] => assert!(opening != second && second == third),
                _ => assert!(opening == second && second != third),
            }
            let change = one.turn_of(ChangingFact).unwrap();
            let context = one.turns[change].context.as_deref().unwrap();
            assert!(context.starts_with("These figures replace the first ones. "));
        }
        assert_eq!(
            made,
            dialogues(&[], 60),
            "the same seed gives the same dialogues"
        );
    }

    #[test]
    fn contaminated_questions_and_those_without_a_context_are_left_out() {
        let mut benchmark = benchmark(&[Label::Yes; 4]);
        benchmark.contaminated[1] = true;
        benchmark.items[2].context = None;
        let twice = [benchmark, self::benchmark(&[Label::Yes; 1])];
        let made = dialogues(&twice, 3);
        let ids: Vec<&str> = made.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(ids[..2], ["pubmedqa-labeled:0", "pubmedqa-labeled:3"]);
        assert!(ids[2..].iter().all(|id| id.starts_with("stats-dialogue:")));
        assert_eq!(ids.len(), 5);
    }
}
