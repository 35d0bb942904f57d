//! Batch answering with a scripted model: both modes, shared prompts, forced tokens, company, and
//! models that do all they can to break the format.

use tokenizers::Tokenizer;
use verdict_answer::testing::{Scripted, eos, tokenizer};
use verdict_answer::{
    AnswerError, Answerer, Mode, Question, Sampling, Settings, Verdict, choose, encode_prompt,
};
use verdict_data::{Label, citations, sentences};

const TRUE_ANSWER: &str = " No. Rationale: The small trial shows no significant benefit (RR 0.85).";

fn question(text: &str, mode: Mode, adapter: Option<usize>) -> Question<'_> {
    Question {
        text,
        context: None,
        adapter,
        mode,
    }
}

/// A number that depends on all its parts.
fn hash(parts: &[u64]) -> u64 {
    parts.iter().fold(0xcbf2_9ce4_8422_2325, |hash, part| {
        (hash ^ part).wrapping_mul(0x0100_0000_01b3).rotate_left(29)
    })
}

/// A model whose every logit is a random number of (seed, history, adapter, token), in -4 to 4.
fn erratic(
    tokenizer: &Tokenizer,
    adapters: &'static [&'static str],
    seed: u64,
) -> Scripted<'static> {
    let vocabulary = tokenizer.get_vocab_size(true);
    let think = move |history: &[u32], adapter: Option<usize>| {
        let mut parts = vec![seed, adapter.map_or(0, |adapter| adapter as u64 + 1)];
        parts.extend(history.iter().map(|token| u64::from(*token)));
        let state = hash(&parts);
        (0..vocabulary as u64)
            .map(|token| (hash(&[state, token]) % 8001) as f32 / 1000.0 - 4.0)
            .collect()
    };
    Scripted::new(tokenizer, adapters, Box::new(think))
}

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

fn ask(
    engine: &mut Scripted<'_>,
    tokenizer: &Tokenizer,
    questions: &[Question<'_>],
    settings: &Settings,
) -> Vec<Verdict> {
    let answerer = Answerer::new(tokenizer, eos(tokenizer)).unwrap();
    let verdicts = answerer
        .answer(engine, questions, settings, &mut |_| {})
        .unwrap();
    assert_eq!(engine.open(), 0, "every sequence is released");
    verdicts
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
    for (verdict, mode) in verdicts.iter().zip(Mode::ALL) {
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
fn a_guaranteed_answer_ends_where_the_model_ends_its_line() {
    let tokenizer = tokenizer();
    for (plan, rationale) in [
        (
            " No. Rationale: The trial was small",
            "The trial was small.",
        ),
        (
            " No. Rationale: The trial was small\nQ: And",
            "The trial was small.",
        ),
        (
            " No. Rationale: The trial was small.\nQ: And",
            "The trial was small.",
        ),
        (
            " No. Rationale: The trial gave vitamin D.\nQ: And",
            "The trial gave vitamin D.",
        ),
        (
            " No. Rationale: The trial gave vitamin D. It was so.",
            "The trial gave vitamin D.",
        ),
    ] {
        let mut engine = Scripted::saying(&tokenizer, &[], move |_, _| plan.into());
        let asked = [question("Is it?", Mode::Guaranteed, None)];
        let verdict = &ask(&mut engine, &tokenizer, &asked, &Settings::default())[0];
        assert_eq!(verdict.rationale.as_deref(), Some(rationale), "{plan:?}");
    }
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
        let logits = engine
            .extend(&[Chunk {
                sequence,
                adapter: None,
                tokens: &prompt,
            }])
            .unwrap();
        let sampling = Sampling::default();
        let first = choose::Choice::new(&sampling, 0)
            .wishes(&logits)
            .find(|token| first_tokens.contains(token));
        assert_eq!(first, Some(first_tokens[label.index()]));
        met[label.index()] += 1;
    }
    assert!(
        met.iter().all(|count| *count > 5),
        "every label was met: {met:?}"
    );
}

/// A well-formed answer within its limits, whatever the model wanted.
fn assert_kept(verdict: &Verdict, limit: usize, who: &str) {
    let rationale = verdict
        .rationale
        .as_deref()
        .unwrap_or_else(|| panic!("{who}: {verdict:?}"));
    assert!(verdict.format_ok, "{who}: {verdict:?}");
    assert!(
        verdict.tokens < limit,
        "{who}: {} of {limit}: {verdict:?}",
        verdict.tokens
    );
    assert!(
        (20..=400).contains(&rationale.chars().count()),
        "{who}: {rationale:?}"
    );
    assert_eq!(sentences(rationale).count(), 1, "{who}: {rationale:?}");
    assert!(
        !citations::contains(&verdict.answer),
        "{who}: {rationale:?}"
    );
    assert_eq!(
        verdict.answer,
        format!("{}. Rationale: {rationale}", verdict.label.unwrap())
    );
}

#[test]
fn no_model_breaks_the_format_or_outruns_the_limit() {
    let tokenizer = tokenizer();
    let obsessed: &[&str] = &[
        " the",
        " ",
        ".",
        "a",
        "0",
        "\n",
        "<|endoftext|>",
        "(",
        ")",
        " et al.",
        " (Smith et al., 2019)",
        "[12]",
        " PMID: 123456",
        " doi:10.1000/abc",
        " vs.",
        "i.v. ",
        "...",
        "!",
        " www.example.org/x",
        "ä",
        "🩺",
        "\u{a0}",
        " A. B. C. The",
        " e.g. ",
        "1.",
    ];
    for wish in obsessed {
        // Wants its text over and over, and an end least of all.
        let mut tokens = tokenizer.encode(*wish, false).unwrap().get_ids().to_vec();
        tokens.dedup();
        for limit in [24, 25, 31, 48, 96, 600] {
            let tokens = tokens.clone();
            let vocabulary = tokenizer.get_vocab_size(true);
            let think = move |history: &[u32], _| {
                let mut logits: Vec<f32> = (0..vocabulary as u64)
                    .map(|token| -((hash(&[history.len() as u64, token]) % 100) as f32))
                    .collect();
                logits[tokens[history.len() % tokens.len()] as usize] = 50.0;
                logits
            };
            let mut engine = Scripted::new(&tokenizer, &[], Box::new(think));
            let settings = Settings {
                max_answer_tokens: limit,
                ..Settings::default()
            };
            let verdict = &ask(
                &mut engine,
                &tokenizer,
                &[question("Is it?", Mode::Guaranteed, None)],
                &settings,
            )[0];
            assert_kept(verdict, limit, &format!("obsessed with {wish:?}"));
        }
    }
    for byte in [0xc3, 0xe2, 0xf0, 0x80] {
        // Wants half a character, always the same.
        let vocabulary = tokenizer.get_vocab_size(true);
        let think = move |_: &[u32], _| {
            let mut logits = vec![0.0; vocabulary];
            logits[byte] = 50.0;
            logits
        };
        let mut engine = Scripted::new(&tokenizer, &[], Box::new(think));
        let verdict = &ask(
            &mut engine,
            &tokenizer,
            &[question("Is it?", Mode::Guaranteed, None)],
            &Settings::default(),
        )[0];
        assert_kept(verdict, 96, &format!("byte {byte:x}"));
    }
    for seed in 0..150 {
        let mut engine = erratic(&tokenizer, &[], seed);
        let limit = 24 + (seed as usize * 7) % 150;
        let sampling = Sampling {
            temperature: (seed % 3) as f32,
            top_p: 0.95,
            seed,
        };
        let settings = Settings {
            max_answer_tokens: limit,
            sampling,
            ..Settings::default()
        };
        let verdict = &ask(
            &mut engine,
            &tokenizer,
            &[question("Is it?", Mode::Guaranteed, None)],
            &settings,
        )[0];
        assert_kept(verdict, limit, &format!("erratic {seed}"));
    }
}

#[test]
fn a_cut_answer_ends_where_the_model_was_nearest_to_a_stop() {
    let tokenizer = tokenizer();
    let full_stop = tokenizer.token_to_id(".").unwrap() as usize;
    let words = " The trial of patients shows benefit and a significant effect is in the evidence of the trial";
    let mut plan = tokenizer.encode(words, false).unwrap().get_ids().to_vec();
    plan.extend_from_within(..);
    let answerer_opening = tokenizer.encode(" Yes. Rationale:", false).unwrap().len();
    let prompt = encode_prompt(&tokenizer, "Is it?", None, 512)
        .unwrap()
        .len();
    let near = tokenizer
        .encode(
            " The trial of patients shows benefit and a significant effect",
            false,
        )
        .unwrap()
        .len();
    let yes = tokenizer.token_to_id("ĠYes").unwrap() as usize;
    let think = move |history: &[u32], _| {
        let mut logits = vec![0.0; 400];
        match history.len().checked_sub(prompt + answerer_opening) {
            None => logits[yes] = 10.0,
            Some(written) => {
                logits[plan[written] as usize] = 10.0;
                // Every full stop is far off, this one less.
                logits[full_stop] = if written == near { 5.0 } else { -5.0 };
            }
        }
        logits
    };
    let vocabulary = tokenizer.get_vocab_size(true);
    let think = move |history: &[u32], adapter| {
        let mut logits = think(history, adapter);
        logits.resize(vocabulary, -50.0);
        logits
    };
    let mut engine = Scripted::new(&tokenizer, &[], Box::new(think));
    let settings = Settings {
        max_answer_tokens: answerer_opening + 2 + near + 6,
        ..Settings::default()
    };
    let verdict = &ask(
        &mut engine,
        &tokenizer,
        &[question("Is it?", Mode::Guaranteed, None)],
        &settings,
    )[0];
    assert_eq!(
        verdict.rationale.as_deref(),
        Some("The trial of patients shows benefit and a significant effect.")
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
            for mode in Mode::ALL {
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
    assert_eq!(
        fail(&mut broken, &[good], &defaults),
        "question 1: the model's output holds NaN or is infinite, expected finite numbers"
    );
    struct Failing;
    impl verdict_answer::Engine for Failing {
        fn vocabulary(&self) -> usize {
            1
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
        fn fork(&mut self, _: usize) -> usize {
            0
        }
        fn release(&mut self, _: usize) {}
        fn extend(
            &mut self,
            _: &[verdict_answer::Chunk<'_>],
        ) -> Result<Vec<f32>, Box<dyn std::error::Error + Send + Sync>> {
            Err("out of memory".into())
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
