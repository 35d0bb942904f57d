//! SmolLM2-135M's own GGUF file (Q4_1, with a Q8_0 embedding) against transformers and llama.cpp.
//!
//! The file is found through `VERDICT_SMOLLM2_GGUF` or in Verdict's model cache, where
//! `verdict pull smollm2-135m` puts it. The golden file beside says how it was made.

use verdict_formats::{Architecture, Checkpoint};

#[derive(serde::Deserialize)]
struct Golden {
    texts: Vec<Text>,
    rows: Vec<Row>,
}

#[derive(serde::Deserialize)]
struct Text {
    text: String,
    ids: Vec<u32>,
}

#[derive(serde::Deserialize)]
struct Row {
    name: String,
    row: usize,
    values: Vec<f32>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("data/smollm2.json")).unwrap()
}

fn open() -> Option<Checkpoint> {
    verdict_testkit::smollm2_gguf().map(|path| Checkpoint::open(path).unwrap())
}

#[test]
fn config_is_that_of_smollm2_135m() {
    let Some(checkpoint) = open() else { return };
    let c = &checkpoint.config;
    assert_eq!(c.architecture, Architecture::Llama);
    assert_eq!(
        (c.hidden_size, c.intermediate_size, c.num_hidden_layers),
        (576, 1536, 30)
    );
    assert_eq!(
        (c.num_attention_heads, c.num_key_value_heads, c.head_dim),
        (9, 3, 64)
    );
    assert_eq!((c.vocab_size, c.max_position_embeddings), (49152, 8192));
    assert_eq!((c.rms_norm_eps, c.rope_theta), (1e-5, 100_000.0));
    assert!(c.tie_word_embeddings && !c.qkv_bias && !c.qk_norm);
    assert_eq!(c.eos_token_ids, [2]);
    assert_eq!(
        checkpoint.dtype("model.embed_tokens.weight").as_deref(),
        Some("Q8_0")
    );
    assert_eq!(
        checkpoint
            .dtype("model.layers.0.mlp.up_proj.weight")
            .as_deref(),
        Some("Q4_1")
    );
}

#[test]
fn tokens_are_those_of_transformers_and_llama_cpp() {
    let Some(checkpoint) = open() else { return };
    let tokenizer = checkpoint.tokenizer().unwrap();
    for Text { text, ids } in golden().texts {
        let encoded = tokenizer.encode(text.as_str(), true).unwrap();
        assert_eq!(encoded.get_ids(), ids, "{text:?}");
        assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
    }
}

#[test]
fn rows_are_those_of_transformers() {
    let Some(checkpoint) = open() else { return };
    for Row { name, row, values } in golden().rows {
        let columns = checkpoint.shape(&name).unwrap()[1];
        let mut out = vec![0.0; columns];
        checkpoint.read_rows(&name, row..row + 1, &mut out).unwrap();
        assert_eq!(out[..values.len()], values, "{name} row {row}");
    }
}
