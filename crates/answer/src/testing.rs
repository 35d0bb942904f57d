//! Test support for this crate and its users: a tiny tokenizer and a scripted model.

use std::collections::HashMap;
use std::error::Error;

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer};

use crate::engine::{Chunk, InferenceEngine, Logits};

/// Words with a token of their own in the tiny tokenizer, besides the 256 bytes.
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

/// A byte-level BPE tokenizer with 256 bytes, about 35 words with their merges, and the end-of-text token last. It
/// splits text as GPT-2's does.
pub fn tokenizer() -> Tokenizer {
    tokenizer_of(WORDS)
}

/// A tokenizer of the same kind with these words.
pub fn tokenizer_of(words: &[&str]) -> Tokenizer {
    let letter: HashMap<u8, char> = bytes_to_letters();
    let mut vocabulary: HashMap<String, u32> = HashMap::new();
    for byte in 0..=255_u8 {
        vocabulary.insert(letter[&byte].to_string(), u32::from(byte));
    }
    let mut merges: Vec<(String, String)> = Vec::new();
    for word in words {
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
        .expect("the vocabulary contains every merge");
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

/// The logits of a scripted model after a sequence of tokens, for an adapter.
pub type Think<'f> = Box<dyn Fn(&[u32], Option<usize>) -> Vec<f32> + 'f>;

/// A model that returns planned logits and records the calls.
pub struct Scripted<'f> {
    vocabulary: usize,
    adapters: Vec<String>,
    histories: Vec<Option<Vec<u32>>>,
    think: Think<'f>,
    logits: Vec<f32>,
    /// Number of tokens of each chunk, for every call of `extend`.
    pub calls: Vec<Vec<usize>>,
    /// Largest number of sequences that were open at once.
    pub most_open: usize,
    /// Maximum number of tokens in a sequence.
    pub positions: usize,
}

impl<'f> Scripted<'f> {
    /// A model with the vocabulary of `tokenizer`, these adapters and these logits.
    pub fn new(tokenizer: &Tokenizer, adapters: &[&str], think: Think<'f>) -> Scripted<'f> {
        Scripted {
            vocabulary: tokenizer.get_vocab_size(true),
            adapters: adapters.iter().map(|name| (*name).to_owned()).collect(),
            histories: Vec::new(),
            think,
            logits: Vec::new(),
            calls: Vec::new(),
            most_open: 0,
            positions: 4096,
        }
    }

    /// A model that answers each prompt with the text that `plan` returns for it and the adapter, then with the
    /// end-of-text token, which it also prefers where the answer has departed from the plan.
    pub fn saying(
        tokenizer: &'f Tokenizer,
        adapters: &[&str],
        plan: impl Fn(&str, Option<usize>) -> String + 'f,
    ) -> Scripted<'f> {
        let vocabulary = tokenizer.get_vocab_size(true);
        let think = move |history: &[u32], adapter: Option<usize>| {
            let text = tokenizer
                .decode(history, false)
                .expect("tokens of the tiny tokenizer");
            let (prompt, written) = text.rsplit_once("\nA:").expect("a prompt that ends in A:");
            let planned = plan(&format!("{prompt}\nA:"), adapter);
            let rest = planned.strip_prefix(written).unwrap_or_default();
            let next = tokenizer
                .encode(rest, false)
                .expect("text encodes")
                .get_ids()
                .first()
                .copied();
            let mut logits = vec![0.0; vocabulary];
            logits[next.unwrap_or_else(|| eos(tokenizer)) as usize] = 10.0;
            logits
        };
        Scripted::new(tokenizer, adapters, Box::new(think))
    }

    /// Number of sequences that are open.
    pub fn open(&self) -> usize {
        self.histories.iter().flatten().count()
    }

    fn put(&mut self, history: Vec<u32>) -> usize {
        self.histories.push(Some(history));
        self.most_open = self.most_open.max(self.open());
        self.histories.len() - 1
    }
}

impl InferenceEngine for Scripted<'_> {
    fn vocab_size(&self) -> usize {
        self.vocabulary
    }

    fn max_positions(&self) -> usize {
        self.positions
    }

    fn adapters(&self) -> usize {
        self.adapters.len()
    }

    fn adapter_name(&self, adapter: usize) -> &str {
        &self.adapters[adapter]
    }

    fn add_sequence(&mut self) -> usize {
        self.put(Vec::new())
    }

    fn fork(&mut self, sequence: usize) -> Result<usize, Box<dyn Error + Send + Sync>> {
        let history = self.histories[sequence].clone().expect("an open sequence");
        Ok(self.put(history))
    }

    fn release(&mut self, sequence: usize) {
        assert!(
            self.histories[sequence].take().is_some(),
            "sequence {sequence} released twice"
        );
    }

    fn extend(
        &mut self,
        chunks: &[Chunk<'_>],
        _: &[u32],
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.calls
            .push(chunks.iter().map(|chunk| chunk.tokens.len()).collect());
        self.logits.clear();
        for chunk in chunks {
            let history = self.histories[chunk.sequence]
                .as_mut()
                .ok_or("the sequence is closed")?;
            history.extend_from_slice(chunk.tokens);
            if history.len() > self.positions {
                return Err(format!(
                    "{} tokens, the script ends at {}",
                    history.len(),
                    self.positions
                )
                .into());
            }
            self.logits.extend((self.think)(history, chunk.adapter));
        }
        Ok(())
    }

    fn logits(&self) -> Logits<'_> {
        Logits::host(&self.logits, self.vocabulary)
    }
}
