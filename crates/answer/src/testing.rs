//! For tests, here and in crates above: a tiny tokenizer.

use std::collections::HashMap;

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer};

/// Words that the tiny tokenizer knows as one token each, besides the 256 bytes.
const WORDS: &[&str] = &[
    " Yes",
    " No",
    " Uncertain",
    " Rationale",
    " Vitamin",
    " D",
    " lowers",
    " the",
    " risk",
    " of",
    " a",
    " trial",
    " was",
    " not",
    " significant",
    " evidence",
    " is",
    " mixed",
    " and",
    " in",
    "Q",
    "A",
    "Context",
    " small",
    " effect",
    " shows",
    " no",
    " patients",
    " benefit",
    " Does",
    " help",
    " et",
    " al",
    " (",
    " [",
];

/// Text of the tiny tokenizer's end-of-text token.
pub const EOS: &str = "<|endoftext|>";

/// A byte-level BPE tokenizer of 256 bytes, about 35 words with the merges that lead to them, and
/// the end-of-text token last. It splits text as GPT-2's does.
pub fn tokenizer() -> Tokenizer {
    let letter: HashMap<u8, char> = bytes_to_letters();
    let mut vocabulary: HashMap<String, u32> = HashMap::new();
    for byte in 0..=255_u8 {
        vocabulary.insert(letter[&byte].to_string(), u32::from(byte));
    }
    let mut merges: Vec<(String, String)> = Vec::new();
    for word in WORDS {
        let letters: Vec<String> = word.bytes().map(|byte| letter[&byte].to_string()).collect();
        let mut whole = letters[0].clone();
        for next in &letters[1..] {
            let longer = format!("{whole}{next}");
            if !vocabulary.contains_key(&longer) {
                vocabulary.insert(longer.clone(), vocabulary.len() as u32);
                merges.push((whole, next.clone()));
            }
            whole = longer;
        }
    }
    let model = BPE::builder()
        .vocab_and_merges(vocabulary.into_iter().collect::<Vocab>(), merges)
        .build()
        .expect("the vocabulary holds every merge");
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, false, true)));
    tokenizer.with_decoder(Some(ByteLevel::default()));
    tokenizer.add_special_tokens(&[AddedToken::from(EOS, true)]);
    tokenizer
}

/// Id of the tiny tokenizer's end-of-text token.
pub fn eos(tokenizer: &Tokenizer) -> u32 {
    tokenizer
        .token_to_id(EOS)
        .expect("the tiny tokenizer has an end-of-text token")
}

/// GPT-2's printable letter for each byte.
fn bytes_to_letters() -> HashMap<u8, char> {
    let plain = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut next = 0x100;
    (0..=255_u8)
        .map(|byte| {
            let letter = if plain(byte) {
                char::from(byte)
            } else {
                next += 1;
                char::from_u32(next - 1).expect("below the surrogates")
            };
            (byte, letter)
        })
        .collect()
}
