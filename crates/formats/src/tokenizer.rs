//! Tokenizers: `tokenizer.json`, or byte-level BPE built from a GGUF file's vocabulary and merges.
//!
//! GGUF names the pre-tokenizer by a word (`tokenizer.ggml.pre`). The words are defined in llama.cpp's
//! `llama-vocab.cpp` and by the `tokenizer.json` of the models that they are made from.

use crate::error::{Error, Result};
use crate::gguf::{Gguf, whole};
use candle_core::quantized::gguf_file::Value;
use std::path::Path;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::NFC;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, SplitDelimiterBehavior, Tokenizer};

/// Reads a `tokenizer.json`. Truncation and padding, which some files switch on, are switched off.
pub(crate) fn from_json(path: &Path) -> Result<Tokenizer> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|e| Error::tokenizer(path, e))?;
    tokenizer.with_padding(None);
    tokenizer
        .with_truncation(None)
        .map_err(|e| Error::tokenizer(path, e))?;
    Ok(tokenizer)
}

/// Builds the tokenizer that a GGUF file describes.
pub(crate) fn from_gguf(gguf: &Gguf) -> Result<Tokenizer> {
    let path = gguf.path();
    let fail = |e: tokenizers::Error| Error::tokenizer(path, e);
    match gguf.text("tokenizer.ggml.model")? {
        Some("gpt2") => {}
        Some(other) => {
            return Err(Error::tokenizer(
                path,
                format!(
                    "model `{other}` is not supported: expected `gpt2` (byte-level BPE); {INSTEAD}"
                ),
            ));
        }
        None => return Err(Error::missing_key(path, "tokenizer.ggml.model")),
    }
    let pre = gguf.text("tokenizer.ggml.pre")?.unwrap_or("default");
    let family = Family::from_name(pre).ok_or_else(|| {
        Error::tokenizer(
            path,
            format!("pre-tokenizer `{pre}` is not supported: expected {FAMILIES}; {INSTEAD}"),
        )
    })?;

    let tokens = gguf.list("tokenizer.ggml.tokens", "a list of strings", text)?;
    let types = gguf.list("tokenizer.ggml.token_type", "a list of numbers", whole)?;
    let merges = gguf.list(
        "tokenizer.ggml.merges",
        "a list of pairs `left right`",
        |v| {
            let (left, right) = text(v)?.split_once(' ')?;
            Some((left.to_string(), right.to_string()))
        },
    )?;
    if types.len() != tokens.len() {
        return Err(Error::bad_value(
            path,
            "tokenizer.ggml.token_type",
            format!("{} types, one a token", tokens.len()),
            types.len().to_string(),
        ));
    }
    let vocab: Vocab = tokens
        .iter()
        .zip(0u32..)
        .map(|(token, id)| (token.to_string(), id))
        .collect();
    let bpe = BPE::builder()
        .vocab_and_merges(vocab, merges)
        .ignore_merges(family == Family::Llama3)
        .build()
        .map_err(fail)?;

    let mut tokenizer = Tokenizer::new(bpe);
    if family == Family::Qwen2 {
        tokenizer.with_normalizer(Some(NFC));
    }
    tokenizer.with_pre_tokenizer(Some(family.pre_tokenizer().map_err(fail)?));
    tokenizer.with_decoder(Some(ByteLevel::default()));
    let of_type = |kind: TokenType, special| -> Vec<AddedToken> {
        tokens
            .iter()
            .zip(&types)
            .filter(|(_, t)| **t == kind as i64)
            .map(|(token, _)| AddedToken::from(token.to_string(), special).normalized(false))
            .collect()
    };
    tokenizer.add_special_tokens(&of_type(TokenType::Control, true));
    tokenizer.add_tokens(&of_type(TokenType::UserDefined, false));
    begin_of_text(gguf, family, &tokens, &mut tokenizer)?;
    Ok(tokenizer)
}

/// Puts the begin-of-text token before every text, where the family does so.
fn begin_of_text(
    gguf: &Gguf,
    family: Family,
    tokens: &[&str],
    tokenizer: &mut Tokenizer,
) -> Result<()> {
    const KEY: &str = "tokenizer.ggml.bos_token_id";
    let add = gguf.flag("tokenizer.ggml.add_bos_token")?;
    if !add.unwrap_or(family == Family::Llama3) {
        return Ok(());
    }
    let path = gguf.path();
    let id = gguf
        .token_id(KEY)?
        .ok_or_else(|| Error::missing_key(path, KEY))?;
    let token = *tokens.get(id as usize).ok_or_else(|| {
        let expected = format!("an id below {}", tokens.len());
        Error::bad_value(path, KEY, expected, id.to_string())
    })?;
    let template = TemplateProcessing::builder()
        .try_single(vec![token, "$A"])
        .and_then(|t| t.try_pair(vec![token, "$A", token, "$B:1"]))
        .map_err(|e| Error::tokenizer(path, e))?
        .special_tokens(vec![(token, id)])
        .build()
        .map_err(|e| Error::tokenizer(path, e))?;
    tokenizer.with_post_processor(Some(template));
    Ok(())
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// llama.cpp's token types that need a place outside the BPE vocabulary.
#[derive(Clone, Copy)]
enum TokenType {
    Control = 3,
    UserDefined = 4,
}

/// Ways to cut a text into words before BPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Gpt2,
    Smollm,
    Llama3,
    Qwen2,
}

const FAMILIES: &str = "smollm, llama-bpe, qwen2 or gpt-2";

/// What to do about a GGUF file whose tokenizer cannot be built.
const INSTEAD: &str = "use the model's Hugging Face folder, which has a tokenizer.json, or another model, such as \
     Qwen/Qwen3-0.6B-Base or HuggingFaceTB/SmolLM2-360M";

impl Family {
    fn from_name(pre: &str) -> Option<Family> {
        match pre {
            "gpt-2" | "gpt2" | "default" => Some(Family::Gpt2),
            "smollm" => Some(Family::Smollm),
            "llama-bpe" | "llama3" | "llama-v3" => Some(Family::Llama3),
            "qwen2" | "deepseek-r1-qwen" => Some(Family::Qwen2),
            _ => None,
        }
    }

    fn pre_tokenizer(self) -> tokenizers::Result<PreTokenizerWrapper> {
        let digits = match self {
            Family::Gpt2 => return Ok(ByteLevel::new(false, true, true).into()),
            Family::Smollm => {
                let steps = vec![
                    Digits::new(true).into(),
                    ByteLevel::new(false, true, true).into(),
                ];
                return Ok(Sequence::new(steps).into());
            }
            Family::Llama3 => r"\p{N}{1,3}",
            Family::Qwen2 => r"\p{N}",
        };
        let words = format!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        );
        let steps = vec![
            Split::new(
                SplitPattern::Regex(words),
                SplitDelimiterBehavior::Isolated,
                false,
            )?
            .into(),
            ByteLevel::new(false, true, false).into(),
        ];
        Ok(Sequence::new(steps).into())
    }
}
