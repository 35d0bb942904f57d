//! Tests through the public interface, and shared helpers.

mod answerer;
mod engine;
mod ensemble;
mod grammar;
mod guarantee;
mod prompt;
mod reading;

use tokenizers::Tokenizer;
use verdict_answer::testing::{Scripted, eos};
use verdict_answer::{AnswerSettings, Answerer, Mode, Question, Verdict};

pub(super) fn question(text: &str, mode: Mode, adapter: Option<usize>) -> Question<'_> {
    Question {
        text,
        context: None,
        adapter,
        mode,
        label: None,
    }
}

/// A hash of the parts.
pub(super) fn hash(parts: &[u64]) -> u64 {
    parts.iter().fold(0xcbf2_9ce4_8422_2325, |hash, part| {
        (hash ^ part).wrapping_mul(0x0100_0000_01b3).rotate_left(29)
    })
}

/// A model with random logits from -4 to 4, a function of seed, history, adapter and token.
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
    settings: &AnswerSettings,
) -> Vec<Verdict> {
    let answerer = Answerer::new(tokenizer, eos(tokenizer)).unwrap();
    let verdicts = answerer
        .answer(engine, questions, settings, &mut |_| {})
        .unwrap();
    assert_eq!(engine.open(), 0, "every sequence is released");
    verdicts
}
