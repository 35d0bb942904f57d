//! A tiny random Llama on disk, whose tokenizer knows the words of the built-in questions.

#![allow(dead_code, reason = "not every test binary uses each of these helpers")]

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use verdict_answer::prompt;
use verdict_answer::testing::{eos, tokenizer_of};
use verdict_data::{BuildSettings, DataSet, Source};
use verdict_testkit::numbers;

const HIDDEN: usize = 32;
const FEED_FORWARD: usize = 48;
const LAYERS: usize = 2;
const HEADS: usize = 2;
const HEAD: usize = 16;

/// A folder with a model `tiny` and a data set `data`.
pub fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path());
    folder
}

/// Fills a folder as [`folder`] does.
pub fn fill(folder: &Path) {
    write(&folder.join("tiny"));
    let built = crate::common::show(
        folder,
        "build --source clinical --source stats:30 --per-class 30 --out data --quiet",
    );
    assert!(built.starts_with("status: 0"), "{built}");
}

/// Writes the model's folder. The same bytes each time.
pub fn write(folder: &Path) {
    std::fs::create_dir_all(folder).expect("a folder");
    let words = words();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let tokenizer = tokenizer_of(&words);
    let vocabulary = tokenizer.get_vocab_size(true);
    tokenizer
        .save(folder.join("tokenizer.json"), false)
        .expect("written");
    let config = serde_json::json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "hidden_size": HIDDEN, "intermediate_size": FEED_FORWARD, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": 1, "head_dim": HEAD, "vocab_size": vocabulary,
        "max_position_embeddings": 1024, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "tie_word_embeddings": true, "bos_token_id": null, "eos_token_id": eos(&tokenizer),
        "torch_dtype": "float32",
    });
    std::fs::write(folder.join("config.json"), config.to_string()).expect("written");
    weights(&folder.join("model.safetensors"), vocabulary);
}

fn weights(path: &Path, vocabulary: usize) {
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("model.embed_tokens.weight".into(), vec![vocabulary, HIDDEN]),
        ("model.norm.weight".into(), vec![HIDDEN]),
    ];
    for layer in 0..LAYERS {
        for (name, shape) in [
            ("input_layernorm", vec![HIDDEN]),
            ("self_attn.q_proj", vec![HEADS * HEAD, HIDDEN]),
            ("self_attn.k_proj", vec![HEAD, HIDDEN]),
            ("self_attn.v_proj", vec![HEAD, HIDDEN]),
            ("self_attn.o_proj", vec![HIDDEN, HEADS * HEAD]),
            ("post_attention_layernorm", vec![HIDDEN]),
            ("mlp.gate_proj", vec![FEED_FORWARD, HIDDEN]),
            ("mlp.up_proj", vec![FEED_FORWARD, HIDDEN]),
            ("mlp.down_proj", vec![HIDDEN, FEED_FORWARD]),
        ] {
            shapes.push((format!("model.layers.{layer}.{name}.weight"), shape));
        }
    }
    let tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)> = shapes
        .into_iter()
        .enumerate()
        .map(|(seed, (name, shape))| {
            let bytes = numbers(seed as u64, shape.iter().product(), 0.3)
                .iter()
                .flat_map(|number| {
                    // A norm's weights lie around one.
                    let number = if shape.len() == 1 {
                        1.0 + number
                    } else {
                        *number
                    };
                    number.to_le_bytes()
                })
                .collect();
            (name, (shape, bytes))
        })
        .collect();
    let views = tensors.iter().map(|(name, (shape, bytes))| {
        (
            name,
            TensorView::new(Dtype::F32, shape.clone(), bytes).expect("as many bytes as numbers"),
        )
    });
    serialize_to_file(views, None, path).expect("written");
}

/// The labels first, then the commonest words of the built-in sources.
fn words() -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let sources = vec![Source::Stats(60), Source::Clinical];
    let settings = BuildSettings::new(sources, folder.path().join("data"));
    verdict_data::build(&settings).expect("built-in sources");
    let set = DataSet::read(&settings.out).expect("just built");
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for item in &set.train {
        let text = prompt::render(
            prompt::PromptFormat::default(),
            &item.question,
            item.context.as_deref(),
        ) + &prompt::completion(item.label, &item.rationale);
        for word in text.split_whitespace() {
            *counts.entry(format!(" {word}")).or_default() += 1;
        }
    }
    let mut common: Vec<(usize, String)> = counts
        .into_iter()
        .map(|(word, count)| (count, word))
        .collect();
    common.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let labels = [" Yes", " No", " Uncertain", " Rationale"].map(str::to_owned);
    labels
        .into_iter()
        .chain(common.into_iter().take(800).map(|(_, word)| word))
        .collect()
}
