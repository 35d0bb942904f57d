//! Tokenizers built from GGUF metadata, and from `tokenizer.json`.

mod common;

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Value;
use common::{Metadata, config, folder, gguf, message, metadata, weights};
use safetensors::tensor::Dtype;
use tokenizers::Tokenizer;
use verdict_formats::{Checkpoint, Result};

fn build(change: impl FnOnce(&mut Metadata)) -> (tempfile::TempDir, Result<Tokenizer>) {
    let mut metadata = metadata("llama");
    change(&mut metadata);
    let (dir, path) = gguf("llama", &metadata, &weights("llama"), GgmlDType::F32);
    let tokenizer = Checkpoint::open(path).unwrap().tokenizer();
    (dir, tokenizer)
}

fn pre(name: &str) -> Tokenizer {
    let name = Value::String(name.into());
    build(|m| {
        m.insert("tokenizer.ggml.pre".into(), name);
    })
    .1
    .unwrap()
}

fn tokens(tokenizer: &Tokenizer, text: &str, special: bool) -> Vec<String> {
    tokenizer
        .encode(text, special)
        .unwrap()
        .get_tokens()
        .to_vec()
}

#[test]
fn each_pre_tokenizer_cuts_words_and_digits_its_own_way() {
    // GPT-2 and Qwen2 differ in digits; SmolLM takes digits one by one, and the space before one.
    assert_eq!(
        tokens(&pre("gpt-2"), "ab 12'sabc", false),
        ["ab", "Ġ", "12", "'s", "abc"]
    );
    assert_eq!(
        tokens(&pre("smollm"), "ab 12'sabc", false),
        ["ab", "Ġ", "1", "2", "'s", "abc"]
    );
    assert_eq!(tokens(&pre("qwen2"), "ab12", false), ["ab", "1", "2"]);
    assert_eq!(tokens(&pre("llama-bpe"), "ab12", false), ["ab", "12"]);
    // Llama 3 and Qwen2 take one mark before letters; GPT-2 takes a space alone.
    assert_eq!(tokens(&pre("llama-bpe"), "'abc", false), ["'", "abc"]);
    assert_eq!(tokens(&pre("gpt-2"), " ab\nab", false), ["Ġab", "Ċ", "ab"]);
}

#[test]
fn only_qwen2_composes_accents() {
    // e + combining acute: NFC makes it é, bytes C3 A9.
    assert_eq!(tokens(&pre("qwen2"), "e\u{301}", false), ["Ã", "©"]);
    assert_eq!(tokens(&pre("gpt-2"), "é", false), ["Ã", "©"]);
    assert_ne!(tokens(&pre("gpt-2"), "e\u{301}", false), ["Ã", "©"]);
}

#[test]
fn control_tokens_are_special_and_user_tokens_are_not() {
    let tokenizer = pre("gpt-2");
    let encoded = tokenizer.encode("a<s><think>b</s>", false).unwrap();
    assert_eq!(encoded.get_tokens(), ["a", "<s>", "<think>", "b", "</s>"]);
    assert_eq!(encoded.get_ids(), [3, 0, 2, 4, 1]);
    assert_eq!(
        tokenizer.decode(encoded.get_ids(), true).unwrap(),
        "a<think>b"
    );
    assert_eq!(
        tokenizer.decode(encoded.get_ids(), false).unwrap(),
        "a<s><think>b</s>"
    );
}

#[test]
fn a_text_begins_with_its_token_where_the_family_or_the_file_says_so() {
    assert_eq!(tokens(&pre("llama-bpe"), "ab", true), ["</s>", "ab"]);
    assert_eq!(tokens(&pre("llama-bpe"), "ab", false), ["ab"]);
    assert_eq!(tokens(&pre("smollm"), "ab", true), ["ab"]);
    let (_dir, tokenizer) = build(|m| {
        m.insert("tokenizer.ggml.add_bos_token".into(), Value::Bool(true));
    });
    assert_eq!(tokens(&tokenizer.unwrap(), "ab", true), ["</s>", "ab"]);
}

#[test]
fn vocabularies_that_cannot_be_built() {
    let text = |change: &dyn Fn(&mut Metadata)| {
        let (dir, tokenizer) = build(change);
        message(tokenizer, dir.path())
    };
    let set = |key: &str, value: Value| {
        text(&|m: &mut Metadata| {
            m.insert(format!("tokenizer.ggml.{key}"), value.clone());
        })
    };
    let string = |s: &str| Value::String(s.into());
    assert_eq!(
        set("model", string("llama")),
        "tiny.gguf: tokenizer: model `llama` is not supported: expected `gpt2` (byte-level BPE); use the model's Hugging Face folder, which has a tokenizer.json, or another model, such as Qwen/Qwen3-0.6B-Base or HuggingFaceTB/SmolLM2-360M"
    );
    assert_eq!(
        set("pre", string("tekken")),
        "tiny.gguf: tokenizer: pre-tokenizer `tekken` is not supported: expected smollm, llama-bpe, qwen2 or gpt-2; use the model's Hugging Face folder, which has a tokenizer.json, or another model, such as Qwen/Qwen3-0.6B-Base or HuggingFaceTB/SmolLM2-360M"
    );
    assert_eq!(
        set("merges", Value::Array(vec![string("ab")])),
        "tiny.gguf: key `tokenizer.ggml.merges`: expected a list of pairs `left right`, found a list of 1"
    );
    assert_eq!(
        set("merges", Value::Array(vec![string("x y")])),
        "tiny.gguf: tokenizer: Token `x` out of vocabulary"
    );
    assert_eq!(
        set("token_type", Value::Array(vec![Value::I32(1)])),
        "tiny.gguf: key `tokenizer.ggml.token_type`: expected 21 types, one a token, found 1"
    );
    for key in ["model", "tokens", "merges", "token_type"] {
        let removed = text(&|m: &mut Metadata| {
            m.remove(&format!("tokenizer.ggml.{key}"));
        });
        assert_eq!(
            removed,
            format!("tiny.gguf: key `tokenizer.ggml.{key}` is missing")
        );
    }
    let lost = text(&|m: &mut Metadata| {
        m.insert("tokenizer.ggml.add_bos_token".into(), Value::Bool(true));
        m.insert("tokenizer.ggml.bos_token_id".into(), Value::U32(99));
    });
    assert_eq!(
        lost,
        "tiny.gguf: key `tokenizer.ggml.bos_token_id`: expected an id below 21, found 99"
    );
}

#[test]
fn tokenizer_json_gives_what_the_gguf_vocabulary_gives_and_never_truncates() {
    let mut from_gguf = pre("smollm");
    let truncation = tokenizers::TruncationParams {
        max_length: 2,
        ..Default::default()
    };
    from_gguf.with_truncation(Some(truncation)).unwrap();
    from_gguf.with_padding(Some(tokenizers::PaddingParams {
        strategy: tokenizers::PaddingStrategy::Fixed(9),
        ..Default::default()
    }));
    let dir = folder(&config("llama"), &weights("llama"), Dtype::F32);
    from_gguf
        .save(dir.path().join("tokenizer.json"), false)
        .unwrap();
    let from_json = Checkpoint::open(dir.path()).unwrap().tokenizer().unwrap();
    let text = "<s>abc 12 ab's</s>";
    assert_eq!(
        tokens(&from_json, text, true),
        tokens(&pre("smollm"), text, true)
    );
}
