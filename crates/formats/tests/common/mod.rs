//! Tiny models written to disk: one set of numbers as a Hugging Face folder and as a GGUF file.
#![allow(dead_code, reason = "each test file uses its part")]

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A whole model's tensors by Hugging Face's name: shape and numbers.
pub type Weights = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

pub const HIDDEN: usize = 32;
pub const FEED: usize = 64;
pub const HEADS: usize = 4;
pub const KV_HEADS: usize = 2;
pub const HEAD_DIM: usize = 8;
pub const VOCAB: usize = 40;

/// Numbers that F16 and BF16 hold exactly, different in every tensor, row and column.
fn number(tensor: usize, index: usize) -> f32 {
    ((tensor * 31 + index * 7) % 255) as f32 / 128.0 - 1.0
}

/// Weights of a two-layer model of that family.
pub fn weights(family: &str) -> Weights {
    let (q, kv) = (HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM);
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("model.embed_tokens.weight".into(), vec![VOCAB, HIDDEN]),
        ("model.norm.weight".into(), vec![HIDDEN]),
        ("lm_head.weight".into(), vec![VOCAB, HIDDEN]),
    ];
    for layer in 0..2 {
        let mut add = |name: &str, shape: &[usize]| {
            shapes.push((format!("model.layers.{layer}.{name}"), shape.to_vec()));
        };
        add("input_layernorm.weight", &[HIDDEN]);
        add("post_attention_layernorm.weight", &[HIDDEN]);
        add("self_attn.q_proj.weight", &[q, HIDDEN]);
        add("self_attn.k_proj.weight", &[kv, HIDDEN]);
        add("self_attn.v_proj.weight", &[kv, HIDDEN]);
        add("self_attn.o_proj.weight", &[HIDDEN, q]);
        add("mlp.gate_proj.weight", &[FEED, HIDDEN]);
        add("mlp.up_proj.weight", &[FEED, HIDDEN]);
        add("mlp.down_proj.weight", &[HIDDEN, FEED]);
        if family == "qwen2" {
            add("self_attn.q_proj.bias", &[q]);
            add("self_attn.k_proj.bias", &[kv]);
            add("self_attn.v_proj.bias", &[kv]);
        }
        if family == "qwen3" {
            add("self_attn.q_norm.weight", &[HEAD_DIM]);
            add("self_attn.k_norm.weight", &[HEAD_DIM]);
        }
    }
    let fill = |(tensor, (name, shape)): (usize, (String, Vec<usize>))| {
        let data = (0..shape.iter().product())
            .map(|i| number(tensor, i))
            .collect();
        (name, (shape, data))
    };
    shapes.into_iter().enumerate().map(fill).collect()
}

/// `config.json` of that family.
pub fn config(family: &str) -> serde_json::Value {
    serde_json::json!({
        "model_type": family,
        "hidden_size": HIDDEN,
        "intermediate_size": FEED,
        "num_hidden_layers": 2,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_DIM,
        "vocab_size": VOCAB,
        "max_position_embeddings": 128,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": false,
        "bos_token_id": 1,
        "eos_token_id": [2],
    })
}

/// A folder with `config.json` and the weights as one `model.safetensors`.
pub fn folder(config: &serde_json::Value, weights: &Weights, dtype: Dtype) -> TempDir {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    write_safetensors(&dir.path().join("model.safetensors"), weights, dtype);
    dir
}

pub fn write_safetensors(path: &Path, weights: &Weights, dtype: Dtype) {
    let stored: Vec<(&String, &Vec<usize>, Vec<u8>)> = weights
        .iter()
        .map(|(name, (shape, data))| (name, shape, store(data, dtype)))
        .collect();
    let views = stored.iter().map(|(name, shape, data)| {
        (
            name,
            TensorView::new(dtype, (*shape).clone(), data).unwrap(),
        )
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn store(data: &[f32], dtype: Dtype) -> Vec<u8> {
    match dtype {
        Dtype::F32 => data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Dtype::F16 => data
            .iter()
            .flat_map(|x| half::f16::from_f32(*x).to_le_bytes())
            .collect(),
        Dtype::BF16 => data
            .iter()
            .flat_map(|x| half::bf16::from_f32(*x).to_le_bytes())
            .collect(),
        Dtype::I32 => data
            .iter()
            .flat_map(|x| (*x as i32).to_le_bytes())
            .collect(),
        other => unimplemented!("{other:?}"),
    }
}

/// GGUF metadata by key.
pub type Metadata = BTreeMap<String, Value>;

/// Metadata of that family, with a byte-level tokenizer of a few words.
pub fn metadata(family: &str) -> Metadata {
    let strings =
        |items: &[&str]| Value::Array(items.iter().map(|s| Value::String(s.to_string())).collect());
    let mut tokens = vec![
        "<s>", "</s>", "<think>", "a", "b", "c", "1", "2", "Ġ", "'", "s", "\u{e9}",
    ];
    tokens.extend(["ab", "abc", "Ġa", "Ġab", "12", "'s", "Ã", "©", "Ċ"]);
    let types = tokens.iter().enumerate().map(|(i, _)| match i {
        0 | 1 => 3,
        2 => 4,
        _ => 1,
    });
    let entries: Vec<(String, Value)> = vec![
        ("general.architecture".into(), Value::String(family.into())),
        (format!("{family}.block_count"), Value::U32(2)),
        (format!("{family}.context_length"), Value::U32(128)),
        (
            format!("{family}.embedding_length"),
            Value::U32(HIDDEN as u32),
        ),
        (
            format!("{family}.feed_forward_length"),
            Value::U32(FEED as u32),
        ),
        (
            format!("{family}.attention.head_count"),
            Value::U32(HEADS as u32),
        ),
        (
            format!("{family}.attention.head_count_kv"),
            Value::U32(KV_HEADS as u32),
        ),
        (
            format!("{family}.attention.key_length"),
            Value::U32(HEAD_DIM as u32),
        ),
        (
            format!("{family}.attention.layer_norm_rms_epsilon"),
            Value::F32(1e-6),
        ),
        (format!("{family}.rope.freq_base"), Value::F32(10_000.0)),
        ("tokenizer.ggml.model".into(), Value::String("gpt2".into())),
        ("tokenizer.ggml.pre".into(), Value::String("gpt-2".into())),
        ("tokenizer.ggml.tokens".into(), strings(&tokens)),
        (
            "tokenizer.ggml.token_type".into(),
            Value::Array(types.map(Value::I32).collect()),
        ),
        (
            "tokenizer.ggml.merges".into(),
            strings(&["a b", "ab c", "Ġ a", "Ġ ab", "1 2", "' s"]),
        ),
        ("tokenizer.ggml.bos_token_id".into(), Value::U32(1)),
        ("tokenizer.ggml.eos_token_id".into(), Value::U32(2)),
    ];
    entries.into_iter().collect()
}

/// llama.cpp's name for Hugging Face's.
fn gguf_name(name: &str) -> String {
    name.replace("model.embed_tokens", "token_embd")
        .replace("model.norm", "output_norm")
        .replace("lm_head", "output")
        .replace("model.layers.", "blk.")
        .replace("input_layernorm", "attn_norm")
        .replace("post_attention_layernorm", "ffn_norm")
        .replace("self_attn.q_norm", "attn_q_norm")
        .replace("self_attn.k_norm", "attn_k_norm")
        .replace("self_attn.o_proj", "attn_output")
        .replace("self_attn.q_proj", "attn_q")
        .replace("self_attn.k_proj", "attn_k")
        .replace("self_attn.v_proj", "attn_v")
        .replace("mlp.gate_proj", "ffn_gate")
        .replace("mlp.up_proj", "ffn_up")
        .replace("mlp.down_proj", "ffn_down")
}

/// What llama.cpp's converter does to Llama's Q and K: `reshape(heads, 2, D/2, in)`, swap the
/// middle two, `reshape(out, in)`.
fn permute(tensor: &Tensor, heads: usize) -> Tensor {
    let (rows, columns) = tensor.dims2().unwrap();
    let halves = tensor
        .reshape((heads, 2, rows / heads / 2, columns))
        .unwrap();
    let pairs = halves.transpose(1, 2).unwrap().contiguous().unwrap();
    pairs.reshape((rows, columns)).unwrap()
}

/// A GGUF file in a folder of its own; matrices as `dtype`, vectors F32.
pub fn gguf(
    family: &str,
    metadata: &Metadata,
    weights: &Weights,
    dtype: GgmlDType,
) -> (TempDir, PathBuf) {
    let tensors: Vec<(String, QTensor)> = weights
        .iter()
        .map(|(name, (shape, data))| {
            let mut tensor = Tensor::from_slice(data, shape.as_slice(), &Device::Cpu).unwrap();
            if family == "llama" && name.ends_with("q_proj.weight") {
                tensor = permute(&tensor, HEADS);
            }
            if family == "llama" && name.ends_with("k_proj.weight") {
                tensor = permute(&tensor, KV_HEADS);
            }
            let dtype = if shape.len() == 1 {
                GgmlDType::F32
            } else {
                dtype
            };
            (gguf_name(name), QTensor::quantize(&tensor, dtype).unwrap())
        })
        .collect();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("tiny.gguf");
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(k, v)| (k.as_str(), v)).collect();
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(n, t)| (n.as_str(), t)).collect();
    let mut file = std::fs::File::create(&path).unwrap();
    gguf_file::write(&mut file, &metadata, &tensors).unwrap();
    (dir, path)
}

/// An error's text with the temporary folder cut out.
pub fn message<T>(result: verdict_formats::Result<T>, dir: &Path) -> String {
    let Err(error) = result else {
        panic!("expected an error");
    };
    error
        .to_string()
        .replace(&format!("{}/", dir.display()), "")
}
