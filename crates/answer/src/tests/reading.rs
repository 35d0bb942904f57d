//! Answers from passages, with a scripted model that answers what its passage says.

use verdict_answer::reading::{NO_SINGLE_PASSAGE, NOTHING_FOUND};
use verdict_answer::testing::{Scripted, eos, tokenizer};
use verdict_answer::{
    AnswerSettings, Answerer, Calibration, Passage, PassageAnswer, PassageQuestion, Pool,
    answer_from_passages, relevance,
};
use verdict_data::Label;

const HELPS: &str = "The trial was large. Vitamin D helps significantly.";
const FAILS: &str = "The trial was small. Vitamin D shows no benefit.";

/// Answers Yes where the passage says "helps", No where it says "no benefit", and Uncertain else.
fn plan(prompt: &str, _: Option<usize>) -> String {
    let (label, why) = match prompt {
        _ if prompt.contains("answer the question") && prompt.contains("Vitamin D") => {
            ("Yes", "It does.")
        }
        _ if prompt.contains("helps") => ("Yes", "The large trial shows a significant benefit."),
        _ if prompt.contains("no benefit") => {
            ("No", "The small trial shows no significant benefit.")
        }
        _ => ("Uncertain", "The trial does not say."),
    };
    format!(" {label}. Rationale: {why}")
}

fn pool(sharpness: f64) -> Pool {
    Pool {
        sharpness,
        calibration: Calibration::default(),
    }
}

fn answer(passages: &[Passage<'_>], pool: &Pool) -> PassageAnswer {
    let tokenizer = tokenizer();
    let mut engine = Scripted::saying(&tokenizer, &["tuned"], plan);
    let answerer = Answerer::new(&tokenizer, eos(&tokenizer)).unwrap();
    let question = PassageQuestion {
        text: "Does vitamin D help?",
        adapter: Some(0),
        passages,
    };
    let settings = AnswerSettings::default();
    let mut answers = answer_from_passages(
        &answerer,
        &mut engine,
        &[question],
        pool,
        &settings,
        &mut |_| {},
    )
    .unwrap();
    assert_eq!(engine.open(), 0, "every sequence is released");
    answers.pop().unwrap()
}

fn passage(text: &str, relevance: f64) -> Passage<'_> {
    Passage { text, relevance }
}

#[test]
fn the_answer_rests_on_the_passages_and_its_rationale_on_the_decisive_one() {
    let found = answer(
        &[
            passage(HELPS, 1.0),
            passage(FAILS, 0.2),
            passage(HELPS, 0.1),
        ],
        &pool(2.0),
    );
    assert_eq!(found.verdict.label, Some(Label::Yes));
    assert_eq!(found.decisive, Some(0));
    assert_eq!(
        found.verdict.rationale.as_deref(),
        Some("The large trial shows a significant benefit.")
    );
    assert_eq!(found.verdict.adapter.as_deref(), Some("tuned"));
    let labels: Vec<Label> = found.readings.iter().map(|of| of.label).collect();
    assert_eq!(labels, [Label::Yes, Label::No, Label::Yes]);
    let sentences: Vec<&str> = found
        .readings
        .iter()
        .filter_map(|of| of.sentence.as_deref())
        .collect();
    assert_eq!(
        sentences,
        [
            "Vitamin D helps significantly.",
            "Vitamin D shows no benefit.",
            "Vitamin D helps significantly."
        ]
    );
    let agreement = found.weights[0] + found.weights[2];
    assert!((found.agreement - agreement).abs() < 1e-12 && agreement < 1.0);
    // The other order of relevance gives the other answer.
    let found = answer(&[passage(FAILS, 1.0), passage(HELPS, 0.1)], &pool(4.0));
    assert_eq!(found.verdict.label, Some(Label::No));
    assert_eq!(
        found.verdict.rationale.as_deref(),
        Some("The small trial shows no significant benefit.")
    );
}

#[test]
fn nothing_found_is_uncertain_and_says_so() {
    let found = answer(&[], &pool(2.0));
    assert_eq!(found.verdict.label, Some(Label::Uncertain));
    assert_eq!(found.verdict.rationale.as_deref(), Some(NOTHING_FOUND));
    assert!(found.verdict.format_ok && found.decisive.is_none());
    assert_eq!(
        found.verdict.answer,
        format!("Uncertain. Rationale: {NOTHING_FOUND}")
    );
}

#[test]
fn a_label_that_no_passage_gives_has_a_fixed_rationale() {
    // One passage says Yes and one No; a bias of the calibration makes the pool Uncertain.
    let uncertain = Pool {
        sharpness: 0.0,
        calibration: Calibration {
            temperature: 10.0,
            bias: [-1.0, -1.0, 2.0],
        },
    };
    let found = answer(&[passage(HELPS, 1.0), passage(FAILS, 1.0)], &uncertain);
    assert_eq!(found.verdict.label, Some(Label::Uncertain));
    assert_eq!(found.verdict.rationale.as_deref(), Some(NO_SINGLE_PASSAGE));
    assert_eq!((found.decisive, found.agreement), (None, 0.0));
}

#[test]
fn the_model_says_which_passage_answers_a_question() {
    let tokenizer = tokenizer();
    let mut engine = Scripted::saying(&tokenizer, &[], plan);
    let answerer = Answerer::new(&tokenizer, eos(&tokenizer)).unwrap();
    let passages = [passage("The trial was small.", 0.0), passage(HELPS, 0.0)];
    let question = PassageQuestion {
        text: "Does it help?",
        adapter: None,
        passages: &passages,
    };
    let settings = AnswerSettings::default();
    let found = relevance(&answerer, &mut engine, &[question], &settings, &mut |_| {}).unwrap();
    assert!(found[0][1] > 0.9 && found[0][0] <= 0.5 + 1e-6, "{found:?}");
}
