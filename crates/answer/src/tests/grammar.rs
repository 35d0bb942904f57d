//! Supported tokenizers, and the errors of others.

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{DecoderWrapper, Tokenizer, decoders};
use verdict_answer::testing::{eos, tokenizer};
use verdict_answer::{AnswerError, Answerer, Grammar, GrammarError};
use verdict_data::Label;

#[test]
fn a_completion_begins_with_the_opening() {
    let tokenizer = tokenizer();
    let grammar = Grammar::new(&tokenizer, eos(&tokenizer)).unwrap();
    for label in Label::ALL {
        let whole = tokenizer
            .encode(format!(" {label}. Rationale: The trial was small."), false)
            .unwrap();
        assert!(whole.get_ids().starts_with(grammar.opening(label)));
    }
}

#[test]
fn the_grammar_is_send_and_sync() {
    fn is_send<T: Send + Sync>(_: &T) {}
    let tokenizer = tokenizer();
    is_send(&Answerer::new(&tokenizer, eos(&tokenizer)).unwrap());
}

#[test]
fn a_tokenizer_of_another_kind_is_refused() {
    let mut other = tokenizer();
    other.with_decoder(Some(DecoderWrapper::Fuse(decoders::fuse::Fuse::default())));
    let error = Grammar::new(&other, 0).unwrap_err();
    assert_eq!(
        error,
        GrammarError::NotByteLevel {
            found: "Fuse".into()
        }
    );
    assert_eq!(
        error.to_string(),
        "the tokenizer's decoder is Fuse, expected a byte-level one (GPT-2, Llama 3, Qwen, SmolLM2): SentencePiece vocabularies (Llama 1 and 2, TinyLlama, Mistral) are not supported; take a model of one of these families"
    );
}

#[test]
fn a_tokenizer_that_cannot_write_the_format_is_refused() {
    let vocabulary =
        [("Ġ", 0), ("Y", 1), ("e", 2), ("s", 3)].map(|(text, id)| (text.to_owned(), id));
    let model = BPE::builder()
        .vocab_and_merges(Vocab::from(vocabulary), vec![])
        .build()
        .unwrap();
    let mut poor = Tokenizer::new(model);
    poor.with_pre_tokenizer(Some(ByteLevel::new(false, false, true)));
    poor.with_decoder(Some(ByteLevel::default()));
    let error = Grammar::new(&poor, 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the tokenizer cannot write \" Yes. Rationale:\" as tokens of its own: its tokens read \" Yes e\""
    );
    let error = Answerer::new(&poor, 0).unwrap_err();
    assert!(matches!(error, AnswerError::Label(_)), "{error}");
}
