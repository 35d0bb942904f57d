//! Opening models: the same numbers come back from every format and family.

mod common;

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use common::{Weights, config, folder, gguf, metadata, weights, write_safetensors};
use safetensors::tensor::Dtype;
use std::path::Path;
use verdict_formats::{Architecture, Checkpoint};

const FAMILIES: [(&str, Architecture); 3] = [
    ("llama", Architecture::Llama),
    ("qwen2", Architecture::Qwen2),
    ("qwen3", Architecture::Qwen3),
];

/// Reads a whole tensor.
fn read(checkpoint: &Checkpoint, name: &str) -> Vec<f32> {
    let shape = checkpoint.shape(name).unwrap();
    let rows = if shape.len() == 1 { 1 } else { shape[0] };
    let mut out = vec![f32::NAN; shape.iter().product()];
    checkpoint.read_rows(name, 0..rows, &mut out).unwrap();
    out
}

#[track_caller]
fn assert_holds(checkpoint: &Checkpoint, weights: &Weights) {
    let names: Vec<&str> = weights.keys().map(String::as_str).collect();
    assert_eq!(checkpoint.names(), names);
    for (name, (shape, data)) in weights {
        assert_eq!(checkpoint.shape(name), Some(shape.as_slice()), "{name}");
        assert_eq!(&read(checkpoint, name), data, "{name}");
    }
}

#[test]
fn every_family_opens_from_safetensors_and_from_gguf_with_the_same_weights_and_config() {
    for (family, architecture) in FAMILIES {
        let weights = weights(family);
        let dir = folder(&config(family), &weights, Dtype::F32);
        let hf = Checkpoint::open(dir.path()).unwrap();
        assert_holds(&hf, &weights);
        assert_eq!(hf.config.architecture, architecture);
        assert_eq!(hf.config.qkv_bias, family == "qwen2");
        assert_eq!(hf.config.qk_norm, family == "qwen3");
        assert!(!hf.config.tie_word_embeddings);

        let (_dir, path) = gguf(family, &metadata(family), &weights, GgmlDType::F32);
        let gguf = Checkpoint::open(path).unwrap();
        assert_holds(&gguf, &weights);
        assert_eq!(gguf.config, hf.config);
    }
}

#[test]
fn half_precision_is_widened_exactly() {
    let weights = weights("qwen3");
    for dtype in [Dtype::F16, Dtype::BF16] {
        let dir = folder(&config("qwen3"), &weights, dtype);
        assert_holds(&Checkpoint::open(dir.path()).unwrap(), &weights);
    }
    for dtype in [GgmlDType::F16, GgmlDType::BF16] {
        let (_dir, path) = gguf(
            "llama",
            &metadata("llama"),
            &common::weights("llama"),
            dtype,
        );
        assert_holds(&Checkpoint::open(path).unwrap(), &common::weights("llama"));
    }
}

#[test]
fn quantised_blocks_decode_to_the_bit_as_candle_decodes_them() {
    let weights = weights("qwen2");
    for dtype in [
        GgmlDType::Q4_0,
        GgmlDType::Q4_1,
        GgmlDType::Q5_0,
        GgmlDType::Q5_1,
        GgmlDType::Q8_0,
    ] {
        let (_dir, path) = gguf("qwen2", &metadata("qwen2"), &weights, dtype);
        let checkpoint = Checkpoint::open(path).unwrap();
        for (name, (shape, data)) in &weights {
            let tensor = Tensor::from_slice(data, shape.as_slice(), &Device::Cpu).unwrap();
            let dtype = if shape.len() == 1 {
                GgmlDType::F32
            } else {
                dtype
            };
            let expected = dequantised(&tensor, dtype);
            assert_eq!(read(&checkpoint, name), expected, "{dtype:?} {name}");
        }
    }
}

fn dequantised(tensor: &Tensor, dtype: GgmlDType) -> Vec<f32> {
    let quantised = QTensor::quantize(tensor, dtype).unwrap();
    let plain = quantised.dequantize(&Device::Cpu).unwrap();
    plain.flatten_all().unwrap().to_vec1().unwrap()
}

/// K-quants have blocks of 256, wider than the tiny model: a model of one wide matrix is used instead.
#[test]
fn k_quants_decode_to_the_bit_as_candle_decodes_them() {
    let family = "llama";
    let mut meta = metadata(family);
    let mut wide = Weights::new();
    for (name, (shape, _)) in weights(family) {
        // 512 wide, 64 to a head: the permutation crosses whole rows, never blocks.
        let shape: Vec<usize> = shape
            .iter()
            .map(|n| n * if *n == common::VOCAB { 1 } else { 16 })
            .collect();
        let data = (0..shape.iter().product())
            .map(|i: usize| ((i * 37 % 1009) as f32 / 500.0 - 1.0).powi(3));
        wide.insert(name, (shape.clone(), data.collect()));
    }
    use candle_core::quantized::gguf_file::Value;
    for (key, value) in [
        ("embedding_length", 512),
        ("feed_forward_length", 1024),
        ("attention.key_length", 128),
    ] {
        meta.insert(format!("llama.{key}"), Value::U32(value));
    }
    for dtype in [
        GgmlDType::Q2K,
        GgmlDType::Q3K,
        GgmlDType::Q4K,
        GgmlDType::Q5K,
        GgmlDType::Q6K,
    ] {
        let (_dir, path) = gguf(family, &meta, &wide, dtype);
        let checkpoint = Checkpoint::open(path).unwrap();
        for name in [
            "model.layers.1.self_attn.q_proj.weight",
            "model.layers.0.mlp.down_proj.weight",
        ] {
            let (shape, data) = &wide[name];
            let tensor = Tensor::from_slice(data, shape.as_slice(), &Device::Cpu).unwrap();
            // Rows are quantised one by one, so their order changes nothing.
            assert_eq!(
                read(&checkpoint, name),
                dequantised(&tensor, dtype),
                "{dtype:?} {name}"
            );
        }
    }
}

#[test]
fn shards_are_found_through_the_index() {
    let weights = weights("llama");
    let dir = sharded(&weights);
    assert_holds(&Checkpoint::open(dir.path()).unwrap(), &weights);
}

fn sharded(weights: &Weights) -> tempfile::TempDir {
    let dir = tempfile::TempDir::new().unwrap();
    std::fs::write(dir.path().join("config.json"), config("llama").to_string()).unwrap();
    let mut map = serde_json::Map::new();
    for part in 0..3 {
        let file = format!("model-0000{}-of-00003.safetensors", part + 1);
        let share: Weights = weights
            .iter()
            .enumerate()
            .filter(|(i, _)| i % 3 == part)
            .map(|(_, (name, tensor))| (name.clone(), tensor.clone()))
            .collect();
        write_safetensors(&dir.path().join(&file), &share, Dtype::F32);
        for name in share.keys() {
            map.insert(name.clone(), file.clone().into());
        }
    }
    let index = serde_json::json!({ "metadata": {}, "weight_map": map });
    std::fs::write(
        dir.path().join("model.safetensors.index.json"),
        index.to_string(),
    )
    .unwrap();
    dir
}

#[test]
fn a_missing_shard_and_a_tensor_missing_from_its_shard_are_named() {
    let dir = sharded(&weights("llama"));
    let index = dir.path().join("model.safetensors.index.json");
    std::fs::remove_file(dir.path().join("model-00002-of-00003.safetensors")).unwrap();
    assert_eq!(
        common::message(Checkpoint::open(dir.path()), dir.path()),
        "model.safetensors.index.json: the index names shard `model-00002-of-00003.safetensors`, which is not in the folder"
    );

    let dir = sharded(&weights("llama"));
    let text = std::fs::read_to_string(dir.path().join("model.safetensors.index.json")).unwrap();
    std::fs::write(
        dir.path().join("model.safetensors.index.json"),
        text.replace("lm_head.weight", "lm_head.bias"),
    )
    .unwrap();
    assert_eq!(
        common::message(Checkpoint::open(dir.path()), dir.path()),
        "model-00001-of-00003.safetensors: tensor `lm_head.bias` is missing"
    );

    for (weight_map, expected) in [
        (
            r#"{"metadata": {}}"#,
            "model.safetensors.index.json: key `weight_map` is missing",
        ),
        (
            r#"{"weight_map": {"a": "../b.safetensors"}}"#,
            "model.safetensors.index.json: key `weight_map`: expected plain file names, found `../b.safetensors`",
        ),
    ] {
        std::fs::write(dir.path().join(index.file_name().unwrap()), weight_map).unwrap();
        assert_eq!(
            common::message(Checkpoint::open(dir.path()), dir.path()),
            expected
        );
    }
}

#[test]
fn rows_can_be_read_in_parts_from_many_threads() {
    let weights = weights("llama");
    let (_dir, path) = gguf("llama", &metadata("llama"), &weights, GgmlDType::Q8_0);
    let checkpoint = Checkpoint::open(path).unwrap();
    let name = "model.layers.1.self_attn.k_proj.weight";
    let whole = read(&checkpoint, name);
    std::thread::scope(|scope| {
        for start in 0..4 {
            let (checkpoint, whole) = (&checkpoint, &whole);
            scope.spawn(move || {
                for end in start..=16 {
                    let mut out = vec![f32::NAN; (end - start) * common::HIDDEN];
                    checkpoint.read_rows(name, start..end, &mut out).unwrap();
                    assert_eq!(out, whole[start * common::HIDDEN..end * common::HIDDEN]);
                }
            });
        }
    });
}

#[test]
fn rows_outside_the_tensor_or_a_wrong_buffer_are_refused() {
    let dir = folder(&config("llama"), &weights("llama"), Dtype::F32);
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let name = "model.layers.0.self_attn.k_proj.weight";
    let mut out = vec![0.0; 32];
    assert_eq!(
        common::message(
            checkpoint.read_rows(name, 15..17, &mut [0.0; 64]),
            dir.path()
        ),
        format!(
            "model.safetensors: tensor `{name}` of shape [16, 32]: rows 15..17 into 64 numbers do not fit"
        )
    );
    assert!(checkpoint.read_rows(name, 0..2, &mut out).is_err());
    assert_eq!(
        common::message(checkpoint.read_rows("x", 0..1, &mut out), dir.path()),
        format!("{}: tensor `x` is missing", dir.path().display())
    );
    assert_eq!(checkpoint.shape("x"), None);
    assert_eq!(checkpoint.dtype(name).as_deref(), Some("F32"));
    assert_eq!(checkpoint.path(), dir.path());
}

#[test]
fn defaults_of_config_json_are_those_of_transformers() {
    let mut json = config("llama");
    for key in [
        "num_key_value_heads",
        "head_dim",
        "rope_theta",
        "tie_word_embeddings",
    ] {
        json.as_object_mut().unwrap().remove(key);
    }
    json["rope_parameters"] = serde_json::json!({"rope_theta": 500000.0, "rope_type": "default"});
    json["eos_token_id"] = 5.into();
    json["use_sliding_window"] = false.into();
    json["rope_scaling"] = serde_json::Value::Null;
    let mut weights = weights("llama");
    for layer in 0..2 {
        for side in ["k", "v"] {
            let name = format!("model.layers.{layer}.self_attn.{side}_proj.weight");
            weights.insert(name, (vec![32, 32], vec![0.5; 32 * 32]));
        }
    }
    let dir = folder(&json, &weights, Dtype::F32);
    let generation = r#"{"eos_token_id": [5, 7], "temperature": 0.6}"#;
    std::fs::write(dir.path().join("generation_config.json"), generation).unwrap();
    let config = Checkpoint::open(dir.path()).unwrap().config;
    assert_eq!((config.num_key_value_heads, config.head_dim), (4, 8));
    assert_eq!(config.rope_theta, 500_000.0);
    assert_eq!(config.eos_token_ids, [5, 7]);
    assert!(!config.tie_word_embeddings);
}

#[test]
fn a_gguf_file_without_a_head_is_tied() {
    let mut weights = weights("qwen3");
    weights.remove("lm_head.weight");
    let (_dir, path) = gguf("qwen3", &metadata("qwen3"), &weights, GgmlDType::F32);
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert!(checkpoint.config.tie_word_embeddings);
    assert_holds(&checkpoint, &weights);
    assert_eq!(checkpoint.path(), Path::new(&path));
}
