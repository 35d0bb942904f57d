//! Models that try to break the format, and where a constrained answer ends.

use verdict_answer::PromptFormat;
use verdict_answer::testing::{Scripted, tokenizer};
use verdict_answer::{AnswerSettings, Mode, Sampling, Verdict, fit_prompt};
use verdict_data::{citations, sentences};

use super::{ask, erratic, hash, question};

/// Asserts a format-valid answer within its limits.
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
fn no_model_breaks_the_format_or_exceeds_the_limit() {
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
        // Prefers its text over and over.
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
            let settings = AnswerSettings {
                max_answer_tokens: limit,
                ..AnswerSettings::default()
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
        // Prefers an incomplete character.
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
            &AnswerSettings::default(),
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
        let settings = AnswerSettings {
            max_answer_tokens: limit,
            sampling,
            ..AnswerSettings::default()
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
fn an_answer_at_its_limit_ends_where_a_full_stop_was_most_likely() {
    let tokenizer = tokenizer();
    let full_stop = tokenizer.token_to_id(".").unwrap() as usize;
    let words = " The trial of patients shows benefit and a significant effect is in the evidence of the trial";
    let mut plan = tokenizer.encode(words, false).unwrap().get_ids().to_vec();
    plan.extend_from_within(..);
    let answerer_opening = tokenizer.encode(" Yes. Rationale:", false).unwrap().len();
    let prompt = fit_prompt(&tokenizer, PromptFormat::default(), "Is it?", None, 512)
        .unwrap()
        .tokens
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
                // A full stop is unlikely everywhere, least so here.
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
    let settings = AnswerSettings {
        max_answer_tokens: answerer_opening + 2 + near + 6,
        ..AnswerSettings::default()
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
fn a_constrained_answer_ends_where_the_model_ends_its_line() {
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
        let questions = [question("Is it?", Mode::Guaranteed, None)];
        let verdict = &ask(
            &mut engine,
            &tokenizer,
            &questions,
            &AnswerSettings::default(),
        )[0];
        assert_eq!(verdict.rationale.as_deref(), Some(rationale), "{plan:?}");
    }
}
