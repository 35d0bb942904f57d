//! Tensors that the configuration does not name: refused in every format, except those that change
//! nothing.

mod common;

use candle_core::quantized::GgmlDType;
use common::{Weights, config, folder, gguf, message, metadata, weights, write_safetensors};
use safetensors::tensor::Dtype;
use verdict_formats::Checkpoint;

/// What opening says of these weights, as one safetensors file, in two shards and as GGUF.
fn opened(family: &str, tied: bool, weights: &Weights) -> Vec<Result<Vec<String>, String>> {
    let mut config = config(family);
    config["tie_word_embeddings"] = tied.into();
    let names = |opened: verdict_formats::Result<Checkpoint>, dir: &std::path::Path| match opened {
        Ok(checkpoint) => Ok(checkpoint.names().into_iter().map(str::to_owned).collect()),
        Err(error) => {
            let here = dir.display().to_string();
            Err(message(Err::<(), _>(error), dir).replace(&here, "model"))
        }
    };
    let single = folder(&config, weights, Dtype::F32);
    let sharded = folder(&config, weights, Dtype::F32);
    std::fs::remove_file(sharded.path().join("model.safetensors")).unwrap();
    let mut map = serde_json::Map::new();
    for part in 0..2 {
        let shard = format!("part{part}.safetensors");
        let own: Weights = weights
            .iter()
            .enumerate()
            .filter(|(place, _)| place % 2 == part)
            .map(|(_, (name, tensor))| (name.clone(), tensor.clone()))
            .collect();
        for name in own.keys() {
            map.insert(name.clone(), shard.clone().into());
        }
        write_safetensors(&sharded.path().join(shard), &own, Dtype::F32);
    }
    let index = serde_json::json!({ "weight_map": map });
    std::fs::write(
        sharded.path().join("model.safetensors.index.json"),
        index.to_string(),
    )
    .unwrap();
    let mut found: Vec<_> = [&single, &sharded]
        .map(|dir| names(Checkpoint::open(dir.path()), dir.path()))
        .into();
    if !tied {
        let (dir, path) = gguf(family, &metadata(family), weights, GgmlDType::F32);
        found.push(names(Checkpoint::open(path), dir.path()).map_err(|text| {
            let text = text.replace("tiny.gguf: ", "model: ");
            text.replace("block_count", "num_hidden_layers")
        }));
    }
    found
}

fn with(family: &str, extra: &[(&str, &[usize])]) -> Weights {
    let mut weights = weights(family);
    for (name, shape) in extra {
        let data = vec![0.5; shape.iter().product()];
        weights.insert((*name).to_owned(), (shape.to_vec(), data));
    }
    weights
}

#[track_caller]
fn assert_refused(found: &[Result<Vec<String>, String>], parts: &[&str]) {
    for found in found {
        let text = found.as_ref().expect_err("refused");
        for part in parts {
            assert!(text.contains(part), "{part:?} in {text}");
        }
    }
}

#[test]
fn layers_beyond_the_configuration_are_refused_with_their_number() {
    let mut all = weights("qwen3");
    let more: Vec<_> = all
        .iter()
        .filter(|(name, _)| name.contains("layers.1."))
        .flat_map(|(name, tensor)| {
            [2, 11].map(|layer| {
                let name = name.replace("layers.1.", &format!("layers.{layer}."));
                (name, tensor.clone())
            })
        })
        .collect();
    let count = more.len();
    all.extend(more);
    let found = opened("qwen3", false, &all);
    let others = format!("and {} others are no part of the model", count - 1);
    assert_refused(
        &found,
        &[
            "model: tensor `",
            &others,
            "`num_hidden_layers` is 2, and the weights have layers up to 11, which would be left out",
            "set `num_hidden_layers` to 12, or take the weights that belong to this configuration",
        ],
    );
    // The first of them, by its name in the file.
    for (found, name) in found.iter().zip([
        "`model.layers.2.input_layernorm.weight`",
        "`model.layers.2.input_layernorm.weight`",
        "`blk.2.attn_norm.weight`",
    ]) {
        assert!(found.as_ref().unwrap_err().contains(name), "{found:?}");
    }
}

#[test]
fn biases_norms_adapters_and_strangers_are_refused() {
    let q = common::HEADS * common::HEAD_DIM;
    for (family, name, shape, why) in [
        (
            "llama",
            "model.layers.1.self_attn.o_proj.bias",
            vec![common::HIDDEN],
            "llama models are run without this bias",
        ),
        (
            "qwen3",
            "model.layers.0.self_attn.q_proj.bias",
            vec![q],
            "qwen3 models are run without this bias",
        ),
        (
            "qwen2",
            "model.layers.0.mlp.down_proj.bias",
            vec![common::HIDDEN],
            "qwen2 models are run without this bias",
        ),
        (
            "llama",
            "model.layers.0.self_attn.q_norm.weight",
            vec![common::HEAD_DIM],
            "a llama model does not normalise queries and keys; correct `model_type`",
        ),
        (
            "qwen2",
            "model.layers.0.self_attn.q_proj.lora_A.weight",
            vec![2, common::HIDDEN],
            "it is part of an adapter",
        ),
        (
            "llama",
            "vision_tower.patch.weight",
            vec![3, 3],
            "does not have it, and leaving it out changes every answer; take a plain llama, qwen2 or qwen3 model",
        ),
    ] {
        assert_refused(
            &opened(family, false, &with(family, &[(name, &shape)])),
            &[
                "is no part of the model that its configuration describes",
                why,
            ],
        );
    }
}

#[test]
fn an_integer_tensor_that_nobody_named_is_refused_too() {
    let dir = folder(&config("llama"), &weights("llama"), Dtype::F32);
    let path = dir.path().join("model.safetensors");
    let whole = std::fs::read(&path).unwrap();
    let read = safetensors::SafeTensors::deserialize(&whole).unwrap();
    let data = [0_u8; 8];
    for (name, refused) in [
        ("model.layers.0.mlp.up_proj.zeros", true),
        ("model.layers.0.self_attn.masked_bias", false),
    ] {
        let extra = safetensors::tensor::TensorView::new(Dtype::I64, vec![1], &data).unwrap();
        let views = read.tensors().into_iter().chain([(name.to_owned(), extra)]);
        std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
        let opened = Checkpoint::open(dir.path());
        assert_eq!(opened.is_err(), refused, "{name}");
    }
}

#[test]
fn buffers_of_older_versions_and_a_head_that_repeats_the_embedding_are_let_pass() {
    let half = common::HEAD_DIM / 2;
    let buffers: [(&str, &[usize]); 3] = [
        ("model.layers.0.self_attn.rotary_emb.inv_freq", &[half]),
        ("model.rotary_emb.inv_freq", &[half]),
        ("model.layers.1.self_attn.masked_bias", &[1]),
    ];
    let plain: Vec<String> = weights("llama").into_keys().collect();
    for found in opened("llama", false, &with("llama", &buffers)) {
        assert_eq!(found, Ok(plain.clone()));
    }
    let mut tied = weights("llama");
    let embedding = tied["model.embed_tokens.weight"].clone();
    tied.insert("lm_head.weight".into(), embedding);
    for found in opened("llama", true, &tied) {
        let names = found.unwrap();
        assert!(!names.contains(&"lm_head.weight".to_owned()), "{names:?}");
    }
    // Another head: the configuration or the weights are wrong.
    let (_, numbers) = tied.get_mut("lm_head.weight").unwrap();
    *numbers.last_mut().unwrap() += 1.0;
    assert_refused(
        &opened("llama", true, &tied),
        &["`tie_word_embeddings` is true, and the head differs from the embedding"],
    );
}

#[test]
fn a_tensor_in_two_shards_is_read_from_the_one_that_the_index_names() {
    let weights = weights("llama");
    let dir = folder(&config("llama"), &weights, Dtype::F32);
    let name = "model.norm.weight";
    std::fs::rename(
        dir.path().join("model.safetensors"),
        dir.path().join("a.safetensors"),
    )
    .unwrap();
    let other = Weights::from([(
        name.to_owned(),
        (vec![common::HIDDEN], vec![7.0; common::HIDDEN]),
    )]);
    write_safetensors(&dir.path().join("b.safetensors"), &other, Dtype::F32);
    for (shard, expected) in [
        ("a.safetensors", weights[name].1[0]),
        ("b.safetensors", 7.0),
    ] {
        let mut map: serde_json::Map<String, serde_json::Value> = weights
            .keys()
            .map(|name| (name.clone(), "a.safetensors".into()))
            .collect();
        map.insert(name.to_owned(), shard.into());
        let index = serde_json::json!({ "weight_map": map });
        std::fs::write(
            dir.path().join("model.safetensors.index.json"),
            index.to_string(),
        )
        .unwrap();
        let checkpoint = Checkpoint::open(dir.path()).unwrap();
        let mut row = vec![0.0; common::HIDDEN];
        checkpoint.read_rows(name, 0..1, &mut row).unwrap();
        assert_eq!(row[0], expected, "{shard}");
    }
}
