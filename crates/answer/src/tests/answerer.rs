//! Batched answering with a scripted model: both modes, shared prompts, forced tokens, batch invariance, errors.

use verdict_answer::PromptFormat;
use verdict_answer::testing::{Scripted, eos, tokenizer};
use verdict_answer::{
    AnswerError, AnswerSettings, Answerer, Mode, Question, Sampling, Verdict, fit_prompt, sampler,
};
use verdict_data::Label;

use super::{ask, erratic, question};

const TRUE_ANSWER: &str = " No. Rationale: The small trial shows no significant benefit (RR 0.85).";

/// The verdicts without their times.
fn timeless(verdicts: &[Verdict]) -> Vec<Verdict> {
    verdicts
        .iter()
        .map(|verdict| Verdict {
            latency_ms: 0.0,
            ..verdict.clone()
        })
        .collect()
}

#[test]
fn a_model_that_keeps_the_format_gives_the_same_answer_in_both_modes() {
    let tokenizer = tokenizer();
    let mut engine = Scripted::saying(&tokenizer, &["tuned"], |_, _| TRUE_ANSWER.into());
    let questions = [
        question("Does vitamin D help?", Mode::Free, Some(0)),
        question("Does vitamin D help?", Mode::Guaranteed, Some(0)),
    ];
    let verdicts = ask(
        &mut engine,
        &tokenizer,
        &questions,
        &AnswerSettings::default(),
    );
    for (verdict, mode) in verdicts.iter().zip(Mode::WRITTEN) {
        assert_eq!(verdict.answer, TRUE_ANSWER.trim());
        assert_eq!(verdict.label, Some(Label::No));
        assert_eq!(
            verdict.rationale.as_deref(),
            Some("The small trial shows no significant benefit (RR 0.85).")
        );
        assert_eq!(verdict.adapter.as_deref(), Some("tuned"));
        assert_eq!(verdict.mode, mode);
        assert!(
            verdict.format_ok && verdict.probabilities[1] > 0.99,
            "{verdict:?}"
        );
        assert_eq!(
            verdict.tokens,
            tokenizer.encode(TRUE_ANSWER, false).unwrap().len()
        );
    }
}

#[test]
fn a_label_alone_takes_one_pass_and_is_that_of_the_constrained_answer() {
    let tokenizer = tokenizer();
    let mut engine = Scripted::saying(&tokenizer, &[], |_, _| TRUE_ANSWER.into());
    let texts = ["Does vitamin D help?", "Does a trial help?"];
    let labels: Vec<Question<'_>> = texts
        .iter()
        .map(|text| question(text, Mode::Label, None))
        .collect();
    let verdicts = ask(&mut engine, &tokenizer, &labels, &AnswerSettings::default());
    assert_eq!(engine.calls.len(), 1, "both prompts in one packed pass");
    let written: Vec<Question<'_>> = texts
        .iter()
        .map(|text| question(text, Mode::Guaranteed, None))
        .collect();
    let written = ask(
        &mut engine,
        &tokenizer,
        &written,
        &AnswerSettings::default(),
    );
    for (label, written) in verdicts.iter().zip(&written) {
        assert_eq!(label.label, written.label);
        assert_eq!(label.probabilities, written.probabilities);
        assert_eq!((label.answer.as_str(), label.tokens), ("", 0));
        assert_eq!((label.mode, label.format_ok), (Mode::Label, false));
        assert_eq!(label.rationale, None);
    }
}

#[test]
fn both_modes_share_the_prompts_pass_and_fixed_words_are_one_chunk() {
    let tokenizer = tokenizer();
    let mut engine = Scripted::saying(&tokenizer, &[], |_, _| TRUE_ANSWER.into());
    let text = "Does vitamin D help?";
    ask(
        &mut engine,
        &tokenizer,
        &[
            question(text, Mode::Guaranteed, None),
            question(text, Mode::Free, None),
        ],
        &AnswerSettings::default(),
    );
    let prompt = fit_prompt(&tokenizer, PromptFormat::default(), text, None, 512)
        .unwrap()
        .tokens
        .len();
    let opening = tokenizer.encode(" No. Rationale:", false).unwrap().len();
    assert_eq!(engine.calls[0], [prompt]);
    let mut second = engine.calls[1].clone();
    second.sort_unstable();
    assert_eq!(second, [1, opening]);
    assert!(
        engine.calls[2..]
            .iter()
            .flatten()
            .all(|tokens| *tokens == 1)
    );
    // A pass for the prompt, one for the opening, and one for each token of the sentence but the last, after which
    // nothing can follow.
    let sentence = tokenizer.encode(TRUE_ANSWER, false).unwrap().len() - opening;
    let mut alone = Scripted::saying(&tokenizer, &[], |_, _| TRUE_ANSWER.into());
    ask(
        &mut alone,
        &tokenizer,
        &[question(text, Mode::Guaranteed, None)],
        &AnswerSettings::default(),
    );
    assert_eq!(alone.calls.len(), 1 + sentence);
}

#[test]
fn unconstrained_answers_end_at_a_line_break_the_end_of_text_and_the_limit() {
    let tokenizer = tokenizer();
    let settings = AnswerSettings {
        max_answer_tokens: 24,
        ..AnswerSettings::default()
    };
    for (plan, answer, format_ok) in [
        (
            " Yes. Rationale: It is so.\nQ: And more?",
            "Yes. Rationale: It is so.",
            true,
        ),
        (" Yes", "Yes", false),
        ("\nQ: What?", "", false),
        ("", "", false),
    ] {
        let mut engine = Scripted::saying(&tokenizer, &[], move |_, _| plan.into());
        let verdict = &ask(
            &mut engine,
            &tokenizer,
            &[question("Is it?", Mode::Free, None)],
            &settings,
        )[0];
        assert_eq!(
            (verdict.answer.as_str(), verdict.format_ok),
            (answer, format_ok)
        );
        assert_eq!(
            (verdict.label.is_some(), verdict.rationale.is_some()),
            (format_ok, format_ok)
        );
    }
    let endless = " the trial of the trial of".repeat(20);
    let mut engine = Scripted::saying(&tokenizer, &[], move |_, _| endless.clone());
    let verdict = &ask(
        &mut engine,
        &tokenizer,
        &[question("Is it?", Mode::Free, None)],
        &settings,
    )[0];
    assert_eq!((verdict.tokens, verdict.format_ok), (23, false));
}

#[test]
fn the_constrained_label_is_the_most_probable_one() {
    let tokenizer = tokenizer();
    let answerer = Answerer::new(&tokenizer, eos(&tokenizer)).unwrap();
    let first_tokens = answerer.labels().ids();
    let mut met = [0; 3];
    for seed in 0..60 {
        let text = format!("Is it {seed}?");
        let mut engine = erratic(&tokenizer, &[], 5);
        let verdict = &ask(
            &mut engine,
            &tokenizer,
            &[question(&text, Mode::Guaranteed, None)],
            &AnswerSettings::default(),
        )[0];
        let [yes, no, uncertain] = verdict.probabilities;
        assert!((yes + no + uncertain - 1.0).abs() < 1e-5);
        let label = verdict.label.unwrap();
        assert!(
            verdict
                .probabilities
                .iter()
                .all(|p| *p <= verdict.probabilities[label.index()])
        );
        // The label that a greedy model would choose among the first tokens of the three.
        let prompt = fit_prompt(&tokenizer, PromptFormat::default(), &text, None, 512)
            .unwrap()
            .tokens;
        let mut engine = erratic(&tokenizer, &[], 5);
        use verdict_answer::{Chunk, InferenceEngine};
        let sequence = engine.add_sequence();
        let chunk = Chunk {
            sequence,
            adapter: None,
            tokens: &prompt,
        };
        engine.extend(&[chunk], &[]).unwrap();
        let sampling = Sampling::default();
        let first = sampler::TokenSampler::new(&sampling, 0)
            .candidates(engine.logits().row(0))
            .unwrap()
            .map(|token| token.unwrap())
            .find(|token| first_tokens.contains(token));
        assert_eq!(first, Some(first_tokens[label.index()]));
        met[label.index()] += 1;
    }
    assert!(
        met.iter().all(|count| *count > 5),
        "every label was met: {met:?}"
    );
}

#[test]
fn answers_are_batch_invariant() {
    let tokenizer = tokenizer();
    let texts: Vec<String> = (0..12)
        .map(|number| format!("Does number {number} help?"))
        .collect();
    let mut questions = Vec::new();
    for text in &texts {
        for adapter in [None, Some(0), Some(1)] {
            for mode in Mode::WRITTEN {
                questions.push(question(text, mode, adapter));
            }
        }
    }
    let sampling = Sampling {
        temperature: 0.7,
        top_p: 0.9,
        seed: 3,
    };
    for sampling in [Sampling::default(), sampling] {
        let settings = AnswerSettings {
            sampling,
            max_answer_tokens: 40,
            ..AnswerSettings::default()
        };
        let together = ask(
            &mut erratic(&tokenizer, &["a", "b"], 9),
            &tokenizer,
            &questions,
            &settings,
        );
        let narrow = AnswerSettings {
            max_sequences: 3,
            max_batch_tokens: 30,
            ..settings
        };
        let narrowly = ask(
            &mut erratic(&tokenizer, &["a", "b"], 9),
            &tokenizer,
            &questions,
            &narrow,
        );
        assert_eq!(timeless(&together), timeless(&narrowly));
        for (question, verdict) in questions.iter().zip(&together) {
            let alone = ask(
                &mut erratic(&tokenizer, &["a", "b"], 9),
                &tokenizer,
                &[*question],
                &settings,
            );
            assert_eq!(timeless(&alone), timeless(std::slice::from_ref(verdict)));
            assert_eq!(verdict.question, question.text);
            assert_eq!(
                verdict.adapter.as_deref(),
                question.adapter.map(|adapter| ["a", "b"][adapter])
            );
        }
    }
}

#[test]
fn the_batch_keeps_its_limits_and_reports_progress() {
    let tokenizer = tokenizer();
    let texts: Vec<String> = (0..20)
        .map(|number| format!("Does number {number} help?"))
        .collect();
    let questions: Vec<_> = texts
        .iter()
        .map(|text| question(text, Mode::Guaranteed, None))
        .collect();
    let mut engine = Scripted::saying(&tokenizer, &[], |_, _| TRUE_ANSWER.into());
    let settings = AnswerSettings {
        max_sequences: 4,
        max_batch_tokens: 60,
        ..AnswerSettings::default()
    };
    let answerer = Answerer::new(&tokenizer, eos(&tokenizer)).unwrap();
    let mut reported = Vec::new();
    answerer
        .answer(&mut engine, &questions, &settings, &mut |done| {
            reported.push(done)
        })
        .unwrap();
    for call in &engine.calls {
        assert!(
            call.len() <= 4 && call.iter().sum::<usize>() <= 60,
            "{call:?}"
        );
    }
    assert!(
        reported.is_sorted() && reported.last() == Some(&20),
        "{reported:?}"
    );
}

#[test]
fn no_more_sequences_are_open_than_the_settings_allow() {
    // ` Uncertain` has two tokens: while labels are scored, a prompt has a fork beside its own sequence.
    let long =
        verdict_answer::testing::tokenizer_of(&[" Yes", " No", " Un", "certain", " Rationale"]);
    let texts: Vec<String> = (0..20)
        .map(|number| format!("Does number {number} help?"))
        .collect();
    for tokenizer in [tokenizer(), long] {
        for modes in [&Mode::WRITTEN[..], &[Mode::Label], &[Mode::Guaranteed]] {
            let questions: Vec<_> = texts
                .iter()
                .flat_map(|text| modes.iter().map(|mode| question(text, *mode, None)))
                .collect();
            for max_sequences in [2, 3, 5] {
                let settings = AnswerSettings {
                    max_sequences,
                    max_answer_tokens: 40,
                    ..AnswerSettings::default()
                };
                let mut engine = erratic(&tokenizer, &[], 3);
                ask(&mut engine, &tokenizer, &questions, &settings);
                assert!(
                    engine.most_open <= max_sequences,
                    "{} of {max_sequences} in {modes:?}",
                    engine.most_open
                );
            }
        }
    }
}

#[test]
fn an_answer_without_a_usable_sentence_is_marked_as_a_fallback() {
    let tokenizer = tokenizer();
    // One long word: no prefix of it is a sentence.
    let plan = |_: &str, _: Option<usize>| format!(" Yes. Rationale: {}", "a".repeat(100));
    let mut engine = Scripted::saying(&tokenizer, &[], plan);
    let settings = AnswerSettings {
        max_answer_tokens: 24,
        ..AnswerSettings::default()
    };
    let questions = Mode::WRITTEN.map(|mode| question("Does vitamin D help?", mode, None));
    let [free, guaranteed] = &ask(&mut engine, &tokenizer, &questions, &settings)[..] else {
        panic!("one verdict for each question");
    };
    assert!(guaranteed.fallback && guaranteed.format_ok);
    assert_eq!(guaranteed.label, Some(Label::Yes));
    assert_eq!(
        guaranteed.rationale.as_deref(),
        Some("No reason was stated.")
    );
    // An unconstrained answer stays as the model wrote it.
    assert_eq!(
        (free.fallback, free.label, free.rationale.as_deref()),
        (false, None, None)
    );
    assert_eq!(free.first_word, Some(Label::Yes));
    // A usable sentence is no fallback.
    let mut engine = Scripted::saying(&tokenizer, &[], |_, _| TRUE_ANSWER.into());
    let verdicts = ask(
        &mut engine,
        &tokenizer,
        &questions,
        &AnswerSettings::default(),
    );
    assert!(
        verdicts.iter().all(|verdict| !verdict.fallback),
        "{verdicts:?}"
    );
}

#[test]
fn every_error_names_the_problem_and_its_place() {
    let tokenizer = tokenizer();
    let answerer = Answerer::new(&tokenizer, eos(&tokenizer)).unwrap();
    let fail =
        |engine: &mut Scripted<'_>, questions: &[Question<'_>], settings: &AnswerSettings| {
            let error = answerer
                .answer(engine, questions, settings, &mut |_| {})
                .unwrap_err();
            assert_eq!(engine.open(), 0, "every sequence is released");
            error.to_string()
        };
    let good = question("Is it?", Mode::Guaranteed, None);
    let defaults = AnswerSettings::default();
    let mut engine = erratic(&tokenizer, &["a"], 1);
    assert_eq!(
        fail(
            &mut engine,
            &[good, question("", Mode::Free, None)],
            &defaults
        ),
        "question 2: the question is empty, expected a text"
    );
    assert_eq!(
        fail(
            &mut engine,
            &[question("Is it?", Mode::Free, Some(3))],
            &defaults
        ),
        "question 1 names adapter 3, expected a number below 1"
    );
    assert_eq!(
        fail(
            &mut engine,
            &[good],
            &AnswerSettings {
                max_answer_tokens: 10,
                ..defaults
            }
        ),
        "the maximum number of new tokens is 10, expected at least 24"
    );
    engine.positions = 90;
    assert_eq!(
        fail(&mut engine, &[good], &defaults),
        "an answer of up to 96 tokens leaves no room for a question: the model has 90 positions"
    );
    assert!(
        engine.calls.is_empty(),
        "faults in the questions are found before the model runs"
    );
    let vocabulary = tokenizer.get_vocab_size(true);
    let mut broken = Scripted::new(
        &tokenizer,
        &[],
        Box::new(move |_, _| vec![f32::NAN; vocabulary]),
    );
    // Also the sequences of later questions, and of questions with the same prompt.
    for questions in [
        vec![good],
        vec![
            good,
            question("Is it?", Mode::Free, None),
            question("And?", Mode::Free, None),
        ],
    ] {
        assert_eq!(
            fail(&mut broken, &questions, &defaults),
            "question 1: the model's logits contain NaN or infinity, expected finite numbers"
        );
    }
    struct Failing;
    impl verdict_answer::InferenceEngine for Failing {
        fn vocab_size(&self) -> usize {
            4096
        }
        fn max_positions(&self) -> usize {
            4096
        }
        fn adapters(&self) -> usize {
            0
        }
        fn adapter_name(&self, _: usize) -> &str {
            ""
        }
        fn add_sequence(&mut self) -> usize {
            0
        }
        fn fork(&mut self, _: usize) -> Result<usize, Box<dyn std::error::Error + Send + Sync>> {
            Ok(0)
        }
        fn release(&mut self, _: usize) {}
        fn extend(
            &mut self,
            _: &[verdict_answer::Chunk<'_>],
            _: &[u32],
        ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            Err("out of memory".into())
        }
        fn logits(&self) -> verdict_answer::Logits<'_> {
            verdict_answer::Logits::host(&[], 1)
        }
    }
    let error = answerer
        .answer(&mut Failing, &[good], &defaults, &mut |_| {})
        .unwrap_err();
    assert!(matches!(error, AnswerError::Engine(_)));
    assert_eq!(error.to_string(), "the model failed: out of memory");
}

#[test]
fn every_token_that_ends_a_text_ends_an_answer() {
    let tokenizer = tokenizer();
    let stop = tokenizer.token_to_id("Ġrisk").unwrap();
    let answerer = Answerer::new(&tokenizer, eos(&tokenizer)).unwrap();
    let free = question("Does vitamin D help?", Mode::Free, None);
    let answer = |answerer: &Answerer<'_>| {
        let plan = |_: &str, _: Option<usize>| " Vitamin D lowers the risk of a trial".to_owned();
        let mut engine = Scripted::saying(&tokenizer, &[], plan);
        let settings = AnswerSettings::default();
        answerer
            .answer(&mut engine, &[free], &settings, &mut |_| {})
            .unwrap()[0]
            .answer
            .clone()
    };
    assert_eq!(answer(&answerer), "Vitamin D lowers the risk of a trial");
    assert_eq!(answer(&answerer.with_ends(&[stop])), "Vitamin D lowers the");
}

#[test]
fn a_label_of_several_tokens_is_scored_by_all_of_them() {
    let tokenizer =
        verdict_answer::testing::tokenizer_of(&[" Yes", " No", " Un", "certain", "til"]);
    // Most of the mass is on ` Un` and then on `til`, so the model does not say Uncertain.
    let id = |text: &str| tokenizer.token_to_id(text).unwrap() as usize;
    let (un, til, yes, no) = (id("ĠUn"), id("til"), id("ĠYes"), id("ĠNo"));
    let vocabulary = tokenizer.get_vocab_size(true);
    let think = move |history: &[u32], _: Option<usize>| {
        let mut logits = vec![-30.0; vocabulary];
        if history.last() == Some(&(un as u32)) {
            logits[til] = 10.0;
        } else {
            (logits[un], logits[yes], logits[no]) = (3.0, 1.0, 0.0);
        }
        logits
    };
    let mut engine = Scripted::new(&tokenizer, &[], Box::new(think));
    let questions = [
        question("Does it help?", Mode::Label, None),
        question("Does it help?", Mode::Guaranteed, None),
    ];
    let verdicts = ask(
        &mut engine,
        &tokenizer,
        &questions,
        &AnswerSettings::default(),
    );
    for verdict in &verdicts {
        assert_eq!(verdict.label, Some(Label::Yes));
        assert!(
            verdict.probabilities[2] < 1e-6 && verdict.other > 0.8,
            "{verdict:?}"
        );
    }
    assert!(!verdicts[0].fallback);
    let fixed = verdicts[1].rationale.as_deref() == Some("No reason was stated.");
    assert_eq!(verdicts[1].fallback, fixed);
}

/// A model that always begins to think.
#[test]
fn an_answer_holds_no_thought() {
    let mut tokenizer = tokenizer();
    let marks = ["<think>", "</think>"].map(|text| tokenizers::AddedToken::from(text, false));
    tokenizer.add_tokens(&marks);
    let thought = tokenizer.token_to_id("<think>").unwrap() as usize;
    let size = tokenizer.get_vocab_size(true);
    let think = move |_: &[u32], _: Option<usize>| {
        let mut logits = vec![0.0_f32; size];
        logits[thought] = 9.0;
        logits
    };
    for mode in [Mode::Free, Mode::Guaranteed] {
        let mut engine = Scripted::new(&tokenizer, &[], Box::new(think));
        let asked = [question("Does it help?", mode, None)];
        let verdicts = ask(&mut engine, &tokenizer, &asked, &AnswerSettings::default());
        assert!(!verdicts[0].answer.contains("think"), "{:?}", verdicts[0]);
        assert_eq!(verdicts[0].format_ok, mode == Mode::Guaranteed);
    }
}
