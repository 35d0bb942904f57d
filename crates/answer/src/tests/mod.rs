//! Tests of the crate from outside, by its public names, and what they share.

mod engine;
mod generate;
mod grammar;
mod guarantee;
mod prompt;

use tokenizers::Tokenizer;
use verdict_answer::testing::{Scripted, eos};
use verdict_answer::{Answerer, Mode, Question, Settings, Verdict};

pub(super) fn question(text: &str, mode: Mode, adapter: Option<usize>) -> Question<'_> {
    Question {
        text,
        context: None,
        adapter,
        mode,
    }
}

/// A number that depends on all its parts.
pub(super) fn hash(parts: &[u64]) -> u64 {
    parts.iter().fold(0xcbf2_9ce4_8422_2325, |hash, part| {
        (hash ^ part).wrapping_mul(0x0100_0000_01b3).rotate_left(29)
    })
}

/// A model whose every logit is a random number of (seed, history, adapter, token), in -4 to 4.
pub(super) fn erratic(
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

pub(super) fn ask(
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
