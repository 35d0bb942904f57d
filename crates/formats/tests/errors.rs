//! Every way a model's files can be wrong, by the text of its error.

mod common;

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Value;
use common::{Metadata, config, folder, gguf, message, metadata, weights};
use safetensors::tensor::Dtype;
use serde_json::json;
use std::path::Path;
use verdict_formats::Checkpoint;

/// The message for a folder whose `config.json` was changed.
fn with_config(family: &str, change: impl FnOnce(&mut serde_json::Value)) -> String {
    let mut config = config(family);
    change(&mut config);
    let dir = folder(&config, &weights(family), Dtype::F32);
    message(Checkpoint::open(dir.path()), dir.path())
}

/// The message for a GGUF file whose metadata was changed.
fn with_metadata(family: &str, change: impl FnOnce(&mut Metadata)) -> String {
    let mut metadata = metadata(family);
    change(&mut metadata);
    let (dir, path) = gguf(family, &metadata, &weights(family), GgmlDType::F32);
    message(Checkpoint::open(path), dir.path())
}

#[test]
fn no_model_at_the_path() {
    let dir = tempfile::TempDir::new().unwrap();
    let here = dir.path().display().to_string();
    let expected = "expected config.json beside model.safetensors or model.safetensors.index.json";
    assert_eq!(
        message(Checkpoint::open(dir.path()), dir.path()),
        format!("{here}: no model here: {expected}, found an empty folder")
    );
    std::fs::write(dir.path().join("config.json"), config("llama").to_string()).unwrap();
    for i in 0..7 {
        std::fs::write(dir.path().join(format!("f{i}")), "").unwrap();
    }
    assert_eq!(
        message(Checkpoint::open(dir.path()), dir.path()),
        format!(
            "{here}: no model here: {expected}, found config.json, f0, f1, f2, f3, f4 and 2 more"
        )
    );
    assert_eq!(
        message(Checkpoint::open(dir.path().join("x")), dir.path()),
        "x: No such file or directory (os error 2)"
    );
}

#[test]
fn config_json_broken_or_incomplete() {
    let dir = folder(&config("llama"), &weights("llama"), Dtype::F32);
    std::fs::write(
        dir.path().join("config.json"),
        "{\n  \"hidden_size\": 32,\n}",
    )
    .unwrap();
    assert_eq!(
        message(Checkpoint::open(dir.path()), dir.path()),
        "config.json: not valid JSON: trailing comma at line 3 column 1"
    );
    for key in [
        "model_type",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "vocab_size",
        "max_position_embeddings",
        "rms_norm_eps",
        "eos_token_id",
    ] {
        let text = with_config("llama", |c| {
            c.as_object_mut().unwrap().remove(key);
        });
        assert_eq!(text, format!("config.json: key `{key}` is missing"));
    }
}

#[test]
fn config_json_with_a_value_that_cannot_be() {
    for (key, value, expected) in [
        (
            "hidden_size",
            json!("32"),
            "key `hidden_size`: expected a whole number, found \"32\"",
        ),
        (
            "hidden_size",
            json!(0),
            "key `hidden_size`: expected 1 to 268435456, found 0",
        ),
        (
            "num_hidden_layers",
            json!(2_000_000),
            "key `num_hidden_layers`: expected 1 to 1024, found 2000000",
        ),
        (
            "vocab_size",
            json!(1u64 << 40),
            "key `vocab_size`: expected 1 to 268435456, found 1099511627776",
        ),
        (
            "num_key_value_heads",
            json!(3),
            "key `num_key_value_heads`: expected a divisor of the 4 query heads, found 3",
        ),
        (
            "head_dim",
            json!(7),
            "key `head_dim`: expected an even number, found 7",
        ),
        (
            "rms_norm_eps",
            json!(-1.0),
            "key `rms_norm_eps`: expected a small number above 0, found -1",
        ),
        (
            "rope_theta",
            json!(0.5),
            "key `rope_theta`: expected a number from 1 up, found 0.5",
        ),
        (
            "tie_word_embeddings",
            json!("no"),
            "key `tie_word_embeddings`: expected true or false, found \"no\"",
        ),
        (
            "eos_token_id",
            json!([2, "x"]),
            "key `eos_token_id`: expected a token id or a list of them, found [2,\"x\"]",
        ),
        (
            "model_type",
            json!(1),
            "key `model_type`: expected a string, found 1",
        ),
    ] {
        let text = with_config("llama", |c| c[key] = value);
        assert_eq!(text, format!("config.json: {expected}"));
    }
    let text = with_config("llama", |c| {
        c["num_attention_heads"] = 6.into();
        c.as_object_mut().unwrap().remove("head_dim");
    });
    assert_eq!(
        text,
        "config.json: key `num_attention_heads`: expected a divisor of the hidden size 32, found 6"
    );
    let text = with_config("qwen3", |c| {
        c.as_object_mut().unwrap().remove("rope_theta");
        c["rope_parameters"] = json!({"rope_theta": "x"});
    });
    assert_eq!(
        text,
        "config.json: key `rope_parameters.rope_theta`: expected a number, found \"x\""
    );
}

#[test]
fn config_json_of_another_architecture_or_with_features_that_do_not_run() {
    assert_eq!(
        with_config("llama", |c| c["model_type"] = "mamba".into()),
        "config.json: architecture `mamba` is not supported: expected llama, qwen2 or qwen3"
    );
    for (family, key, value, expected) in [
        (
            "llama",
            "attention_bias",
            json!(true),
            "attention_bias = true is not supported: llama runs without it",
        ),
        (
            "llama",
            "mlp_bias",
            json!(true),
            "mlp_bias = true is not supported: llama runs without it",
        ),
        (
            "qwen3",
            "attention_bias",
            json!(true),
            "attention_bias = true is not supported: qwen3 runs without it",
        ),
        (
            "qwen2",
            "use_sliding_window",
            json!(true),
            "use_sliding_window = true is not supported: attention is over the whole text",
        ),
        (
            "qwen2",
            "layer_types",
            json!(["full_attention", "sliding_attention"]),
            "layer_types with \"sliding_attention\" is not supported: attention is over the whole text",
        ),
        (
            "llama",
            "hidden_act",
            json!("gelu"),
            "hidden_act `gelu` is not supported: the feed-forward is SwiGLU, with `silu`",
        ),
        (
            "llama",
            "rope_scaling",
            json!({"rope_type": "llama3", "factor": 8.0}),
            "key `rope_scaling.low_freq_factor` is missing",
        ),
        (
            "llama",
            "rope_scaling",
            json!({"type": "linear", "factor": 2.0}),
            "rope_scaling of type \"linear\" is not supported: positions are rescaled as llama3 does or not at all",
        ),
        (
            "qwen3",
            "rope_parameters",
            json!({"full_attention": {"rope_theta": 1.0}}),
            "rope_parameters by layer type is not supported: all layers share one rotation",
        ),
        (
            "qwen3",
            "rope_parameters",
            json!({"partial_rotary_factor": 0.5}),
            "rope_parameters.partial_rotary_factor = 0.5 is not supported: the whole head is rotated",
        ),
        (
            "llama",
            "partial_rotary_factor",
            json!(0.5),
            "partial_rotary_factor = 0.5 is not supported: the whole head is rotated",
        ),
        (
            "qwen2",
            "quantization_config",
            json!({"quant_method": "gptq"}),
            "quantization_config (gptq) is not supported: take the unquantised checkpoint, or a GGUF file",
        ),
    ] {
        let text = with_config(family, |c| c[key] = value);
        assert_eq!(text, format!("config.json: {expected}"));
    }
}

#[test]
fn safetensors_cut_short_at_any_length() {
    let dir = folder(&config("llama"), &weights("llama"), Dtype::F32);
    let path = dir.path().join("model.safetensors");
    let whole = std::fs::read(&path).unwrap();
    let header = 8 + u64::from_le_bytes(*whole.first_chunk().unwrap());
    for len in [
        0,
        1,
        7,
        8,
        9,
        100,
        header as usize - 1,
        header as usize,
        whole.len() / 2,
        whole.len() - 1,
    ] {
        std::fs::write(&path, &whole[..len]).unwrap();
        let expected = match len as u64 {
            0..8 => 8,
            len if len < header => header,
            _ => whole.len() as u64,
        };
        assert_eq!(
            message(Checkpoint::open(dir.path()), dir.path()),
            format!(
                "model.safetensors: the file is cut short: expected {expected} bytes, found {len}"
            )
        );
    }
}

#[test]
fn safetensors_that_never_were() {
    let dir = folder(&config("llama"), &weights("llama"), Dtype::F32);
    let path = dir.path().join("model.safetensors");
    let whole = std::fs::read(&path).unwrap();
    let open = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        message(Checkpoint::open(dir.path()), dir.path())
    };
    assert_eq!(
        open(b"version https://git-lfs.github.com/spec/v1\n"),
        "model.safetensors: not a readable safetensors file: header too large"
    );
    assert_eq!(
        open(&[whole.as_slice(), &[0; 3]].concat()),
        "model.safetensors: not a readable safetensors file: 3 bytes follow the last tensor"
    );
    let mut broken = whole.clone();
    broken[8] = b'[';
    let text = open(&broken);
    assert!(
        text.starts_with(
            "model.safetensors: not a readable safetensors file: invalid JSON in header"
        ),
        "{text}"
    );
}

#[test]
fn tensors_missing_misshapen_or_of_another_number_format() {
    let name = "model.layers.1.mlp.up_proj.weight";
    let mut gone = weights("llama");
    gone.remove(name);
    let dir = folder(&config("llama"), &gone, Dtype::F32);
    let here = dir.path().display().to_string();
    assert_eq!(
        message(Checkpoint::open(dir.path()), dir.path()),
        format!("{here}: tensor `{name}` is missing")
    );

    let mut bent = weights("llama");
    bent.get_mut(name).unwrap().0 = vec![32, 64];
    let dir = folder(&config("llama"), &bent, Dtype::F32);
    assert_eq!(
        message(Checkpoint::open(dir.path()), dir.path()),
        format!("model.safetensors: tensor `{name}`: expected shape [64, 32], found [32, 64]")
    );

    let dir = folder(&config("llama"), &weights("llama"), Dtype::I32);
    assert_eq!(
        message(Checkpoint::open(dir.path()), dir.path()),
        "model.safetensors: tensor `model.embed_tokens.weight`: number format I32 is not supported: expected F32, F16 or BF16"
    );
}

#[test]
fn gguf_cut_short_at_any_length_is_an_error_and_never_a_panic() {
    let (dir, path) = gguf(
        "llama",
        &metadata("llama"),
        &weights("llama"),
        GgmlDType::Q4_0,
    );
    let whole = std::fs::read(&path).unwrap();
    // The last tensor's padding may go.
    let data_end = whole.len() - 32;
    for len in (0..data_end).step_by(13).chain(data_end - 3..data_end) {
        std::fs::write(&path, &whole[..len]).unwrap();
        let text = message(Checkpoint::open(&path), dir.path());
        assert!(
            text.starts_with("tiny.gguf: not a readable GGUF file: ")
                || text.starts_with("tiny.gguf: the file is cut short: expected "),
            "{len}: {text}"
        );
    }
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(
        message(Checkpoint::open(&path), dir.path()),
        format!(
            "tiny.gguf: the file is cut short: expected {} bytes, found {}",
            whole.len(),
            whole.len() / 2
        )
    );
    std::fs::write(&path, &whole[..30]).unwrap();
    let text = message(Checkpoint::open(&path), dir.path());
    assert!(
        text.ends_with("only 6 remaining (file of 30 bytes)"),
        "{text}"
    );
}

/// Found with it: a layer count of billions, whose tensor names filled the memory.
#[test]
fn gguf_with_any_header_byte_changed_never_panics() {
    let (_dir, path) = gguf(
        "qwen3",
        &metadata("qwen3"),
        &weights("qwen3"),
        GgmlDType::F16,
    );
    let whole = std::fs::read(&path).unwrap();
    let header = whole.windows(5).rposition(|w| w == b"blk.1").unwrap() + 64;
    for at in 0..header {
        for value in [0, 0xff, whole[at] ^ 1] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            std::fs::write(&path, &bytes).unwrap();
            if let Ok(checkpoint) = Checkpoint::open(&path) {
                let _ = checkpoint.tokenizer();
                let mut out = vec![0.0; 32];
                checkpoint
                    .read_rows("model.norm.weight", 0..1, &mut out)
                    .unwrap();
            }
        }
    }
}

#[test]
fn gguf_that_is_none_or_uses_a_number_format_unknown_here() {
    let (dir, path) = gguf(
        "llama",
        &metadata("llama"),
        &weights("llama"),
        GgmlDType::F16,
    );
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, b"PK\x03\x04 a zip file").unwrap();
    assert_eq!(
        message(Checkpoint::open(&path), dir.path()),
        "tiny.gguf: not a readable GGUF file: it begins with `PK\\x03\\x04`, not with `GGUF`"
    );
    // The type of output.weight, after name, dimension count and two dimensions: 22 is IQ2_S.
    let at = whole
        .windows(13)
        .position(|w| w == b"output.weight")
        .unwrap()
        + 13
        + 4
        + 16;
    let mut bytes = whole.clone();
    bytes[at] = 22;
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(
        message(Checkpoint::open(&path), dir.path()),
        "tiny.gguf: tensor `?`: number format GGML type 22 is not supported: expected F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K or Q6_K"
    );
    assert_eq!(
        with_metadata("llama", |m| {
            m.insert("general.alignment".into(), Value::U32(0));
        }),
        "tiny.gguf: not a readable GGUF file: general.alignment is 0"
    );
}

#[test]
fn gguf_metadata_missing_or_of_another_type() {
    for key in [
        "general.architecture",
        "llama.block_count",
        "llama.context_length",
        "llama.embedding_length",
        "llama.feed_forward_length",
        "llama.attention.head_count",
        "llama.attention.layer_norm_rms_epsilon",
        "tokenizer.ggml.eos_token_id",
    ] {
        let text = with_metadata("llama", |m| {
            m.remove(key);
        });
        assert_eq!(text, format!("tiny.gguf: key `{key}` is missing"));
    }
    assert_eq!(
        with_metadata("qwen2", |m| {
            let layers = Value::Array(vec![Value::U32(4), Value::U32(2)]);
            m.insert("qwen2.attention.head_count".into(), layers);
        }),
        "tiny.gguf: key `qwen2.attention.head_count`: expected a whole number, found a list of 2"
    );
    assert_eq!(
        with_metadata("qwen2", |m| {
            m.insert("general.architecture".into(), Value::U32(1));
        }),
        "tiny.gguf: key `general.architecture`: expected a string, found U32(1)"
    );
}

#[test]
fn gguf_of_another_architecture_or_with_features_that_do_not_run() {
    assert_eq!(
        with_metadata("llama", |m| {
            m.insert(
                "general.architecture".into(),
                Value::String("gemma3".into()),
            );
        }),
        "tiny.gguf: architecture `gemma3` is not supported: expected llama, qwen2 or qwen3"
    );
    for (family, key, value, expected) in [
        (
            "llama",
            "llama.rope.scaling.type",
            Value::String("yarn".into()),
            "llama.rope.scaling.type `yarn` is not supported: positions are not rescaled",
        ),
        (
            "llama",
            "llama.expert_count",
            Value::U32(8),
            "llama.expert_count = 8 is not supported: the feed-forward is dense",
        ),
        (
            "qwen2",
            "qwen2.attention.sliding_window",
            Value::U32(4096),
            "qwen2.attention.sliding_window = 4096 is not supported: attention is over the whole text",
        ),
        (
            "qwen3",
            "qwen3.attention.value_length",
            Value::U32(16),
            "qwen3.attention.value_length = 16 is not supported: keys, values and the rotation share one head width, here 8",
        ),
        (
            "qwen3",
            "split.count",
            Value::U16(3),
            "a GGUF file split into 3 parts is not supported: merge them first: llama-gguf-split --merge",
        ),
    ] {
        let text = with_metadata(family, |m| {
            m.insert(key.into(), value);
        });
        assert_eq!(text, format!("tiny.gguf: {expected}"));
    }
    for (family, tensor, expected) in [
        (
            "llama",
            "model.layers.0.self_attn.q_proj.bias",
            "tensor `blk.0.attn_q.bias` is no part of the model that its configuration describes: llama models are run without this bias, and leaving it out changes every answer; take a model without it; biases on q, k and v run in qwen2 models",
        ),
        (
            "qwen2",
            "model.layers.0.self_attn.o_proj.bias",
            "tensor `blk.0.attn_output.bias` is no part of the model that its configuration describes: qwen2 models are run without this bias, and leaving it out changes every answer; take a model without it; biases on q, k and v run in qwen2 models",
        ),
        (
            "llama",
            "rope_freqs.weight",
            "key `rope_freqs.weight`: expected 4 divisors above 0, found 32 divisors",
        ),
    ] {
        let mut weights = weights(family);
        weights.insert(tensor.into(), (vec![32], vec![0.0; 32]));
        let (dir, path) = gguf(family, &metadata(family), &weights, GgmlDType::F32);
        let text = message(Checkpoint::open(path), dir.path());
        assert_eq!(text, format!("tiny.gguf: {expected}"));
    }
}

#[test]
fn gguf_tensors_missing_or_misshapen() {
    let open = |weights: &common::Weights| {
        let (dir, path) = gguf("qwen3", &metadata("qwen3"), weights, GgmlDType::F32);
        message(Checkpoint::open(path), dir.path())
    };
    let mut gone = weights("qwen3");
    gone.remove("model.layers.0.self_attn.q_norm.weight");
    assert_eq!(
        open(&gone),
        "tiny.gguf: tensor `model.layers.0.self_attn.q_norm.weight` is missing"
    );
    let mut gone = weights("qwen3");
    gone.remove("model.embed_tokens.weight");
    assert_eq!(
        open(&gone),
        "tiny.gguf: tensor `token_embd.weight` is missing"
    );
    let mut bent = weights("qwen3");
    bent.get_mut("model.norm.weight").unwrap().0 = vec![16, 2];
    assert_eq!(
        open(&bent),
        "tiny.gguf: tensor `model.norm.weight`: expected shape [32], found [16, 2]"
    );
}

#[test]
fn a_folder_without_its_tokenizer_says_which_file() {
    let dir = folder(&config("llama"), &weights("llama"), Dtype::F32);
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    assert_eq!(
        message(checkpoint.tokenizer(), dir.path()),
        "tokenizer.json: No such file or directory (os error 2)"
    );
    std::fs::write(dir.path().join("tokenizer.json"), "{").unwrap();
    let text = message(checkpoint.tokenizer(), dir.path());
    assert!(text.starts_with("tokenizer.json: tokenizer: "), "{text}");
    assert!(Path::new(dir.path()).is_dir());
}
