//! Batch answering with a scripted model: both modes, shared prompts, forced tokens, company, errors.

use verdict_answer::testing::{Scripted, eos, tokenizer};
use verdict_answer::{
    AnswerError, Answerer, Mode, Question, Sampling, Settings, Verdict, choose, encode_prompt,
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
fn a_model_that_keeps_the_format_answers_alike_in_both_modes() {
    let tokenizer = tokenizer();
    let mut engine = Scripted::saying(&tokenizer, &["tuned"], |_, _| TRUE_ANSWER.into());
    let questions = [
        question("Does vitamin D help?", Mode::Free, Some(0)),
        question("Does vitamin D help?", Mode::Guaranteed, Some(0)),
    ];
    let verdicts = ask(&mut engine, &tokenizer, &questions, &Settings::default());
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
fn a_label_alone_costs_one_pass_and_is_that_of_the_guaranteed_answer() {
    let tokenizer = tokenizer();
    let mut engine = Scripted::saying(&tokenizer, &[], |_, _| TRUE_ANSWER.into());
    let texts = ["Does vitamin D help?", "Does a trial help?"];
    let labels: Vec<Question<'_>> = texts
        .iter()
        .map(|text| question(text, Mode::Label, None))
        .collect();
    let verdicts = ask(&mut engine, &tokenizer, &labels, &Settings::default());
    assert_eq!(engine.calls.len(), 1, "both prompts in one packed pass");
    let written: Vec<Question<'_>> = texts
        .iter()
        .map(|text| question(text, Mode::Guaranteed, None))
        .collect();
    let written = ask(&mut engine, &tokenizer, &written, &Settings::default());
    for (label, written) in verdicts.iter().zip(&written) {
        assert_eq!(label.label, written.label);
        assert_eq!(label.probabilities, written.probabilities);
        assert_eq!((label.answer.as_str(), label.tokens), ("", 0));
        assert_eq!((label.mode, label.format_ok), (Mode::Label, false));
        assert_eq!(label.rationale, None);
    }
}

#[test]
fn one_prompts_pass_serves_both_modes_and_fixed_words_go_in_one_chunk() {
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
        &Settings::default(),
    );
    let prompt = encode_prompt(&tokenizer, text, None, 512).unwrap().len();
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
    // The prompt's pass, the opening, one pass a token of the sentence but for the last: after it
    // nothing can follow.
    let sentence = tokenizer.encode(TRUE_ANSWER, false).unwrap().len() - opening;
    let mut alone = Scripted::saying(&tokenizer, &[], |_, _| TRUE_ANSWER.into());
    ask(
        &mut alone,
        &tokenizer,
        &[question(text, Mode::Guaranteed, None)],
        &Settings::default(),
    );
    assert_eq!(alone.calls.len(), 1 + sentence);
}

#[test]
fn free_answers_stop_at_a_new_line_the_end_of_text_and_the_limit() {
    let tokenizer = tokenizer();
    let settings = Settings {
        max_answer_tokens: 24,
        ..Settings::default()
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
fn the_guaranteed_label_is_the_most_probable_one_and_the_grammars_first_wish() {
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
            &Settings::default(),
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
        // What a grammar of the three words would let a greedy model begin with.
        let prompt = encode_prompt(&tokenizer, &text, None, 512).unwrap();
        let mut engine = erratic(&tokenizer, &[], 5);
        use verdict_answer::{Chunk, Engine};
        let sequence = engine.add_sequence();
        let chunk = Chunk {
            sequence,
            adapter: None,
            tokens: &prompt,
        };
        engine.extend(&[chunk], &[]).unwrap();
        let sampling = Sampling::default();
        let first = choose::Choice::new(&sampling, 0)
            .wishes(engine.logits().row(0))
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
fn an_answer_does_not_depend_on_its_company() {
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
        let settings = Settings {
            sampling,
            max_answer_tokens: 40,
            ..Settings::default()
        };
        let together = ask(
            &mut erratic(&tokenizer, &["a", "b"], 9),
            &tokenizer,
            &questions,
            &settings,
        );
        let narrow = Settings {
            max_sequences: 3,
            max_rows: 30,
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
fn the_batch_keeps_its_budget_and_tells_of_progress() {
    let tokenizer = tokenizer();
    let texts: Vec<String> = (0..20)
        .map(|number| format!("Does number {number} help?"))
        .collect();
    let questions: Vec<_> = texts
        .iter()
        .map(|text| question(text, Mode::Guaranteed, None))
        .collect();
    let mut engine = Scripted::saying(&tokenizer, &[], |_, _| TRUE_ANSWER.into());
    let settings = Settings {
        max_sequences: 4,
        max_rows: 60,
        ..Settings::default()
    };
    let answerer = Answerer::new(&tokenizer, eos(&tokenizer)).unwrap();
    let mut told = Vec::new();
    answerer
        .answer(&mut engine, &questions, &settings, &mut |done| {
            told.push(done)
        })
        .unwrap();
    for call in &engine.calls {
        assert!(
            call.len() <= 4 && call.iter().sum::<usize>() <= 60,
            "{call:?}"
        );
    }
    assert!(told.is_sorted() && told.last() == Some(&20), "{told:?}");
}

#[test]
fn every_error_says_what_and_where() {
    let tokenizer = tokenizer();
    let answerer = Answerer::new(&tokenizer, eos(&tokenizer)).unwrap();
    let fail = |engine: &mut Scripted<'_>, questions: &[Question<'_>], settings: &Settings| {
        let error = answerer
            .answer(engine, questions, settings, &mut |_| {})
            .unwrap_err();
        assert_eq!(engine.open(), 0, "every sequence is released");
        error.to_string()
    };
    let good = question("Is it?", Mode::Guaranteed, None);
    let defaults = Settings::default();
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
        "question 1 asks for adapter 3, expected one below 1"
    );
    assert_eq!(
        fail(
            &mut engine,
            &[good],
            &Settings {
                max_answer_tokens: 10,
                ..defaults
            }
        ),
        "the limit for an answer is 10 tokens, expected at least 24"
    );
    engine.positions = 90;
    assert_eq!(
        fail(&mut engine, &[good], &defaults),
        "an answer of up to 96 tokens leaves no room for a question, the model takes 90 tokens in all"
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
    // Also the sequences of the questions behind the one at fault, and of those that share its prompt.
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
            "question 1: the model's output holds NaN or is infinite, expected finite numbers"
        );
    }
    struct Failing;
    impl verdict_answer::Engine for Failing {
        fn vocabulary(&self) -> usize {
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
    assert_eq!(
        error.to_string(),
        "the model could not answer: out of memory"
    );
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
        let settings = Settings::default();
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
fn a_label_of_several_tokens_counts_only_as_a_whole() {
    let tokenizer =
        verdict_answer::testing::tokenizer_of(&[" Yes", " No", " Un", "certain", "til"]);
    // Nine tenths on ` Un`, and after it on `til`: the model does not say Uncertain.
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
    let verdicts = ask(&mut engine, &tokenizer, &questions, &Settings::default());
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
