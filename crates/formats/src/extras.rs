//! Tensors in a model's files that its configuration does not name.
//!
//! A decoder that ignored such a tensor would run, but compute other results than the model's own. So all
//! but a few are refused; the few are buffers of what the decoder computes itself.

use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::store::{Entry, Store, matrix};
use std::collections::HashSet;
use std::path::Path;

/// Ends of names of buffers that older versions of transformers and llama.cpp saved: rotary
/// frequencies and angles, and the constant of the causal mask. All follow from the configuration.
const BUFFERS: &[&str] = &[
    ".rotary_emb.inv_freq",
    ".rotary_emb.original_inv_freq",
    ".rotary_emb.cos_cached",
    ".rotary_emb.sin_cached",
    ".masked_bias",
    ".attn_rot_embd.weight",
];

const HEAD: &str = "lm_head.weight";
const EMBEDDING: &str = "model.embed_tokens.weight";

/// Rows that are compared at once.
const ROWS: usize = 64;

/// Refuses tensors that `config` does not name, and drops those that change nothing.
///
/// `path` is the model's folder or file. `layers` is what its configuration calls the number of
/// layers.
///
/// # Errors
/// [`Error::UnnamedTensors`].
pub(crate) fn refuse(
    store: &mut Store,
    config: &ModelConfig,
    path: &Path,
    layers: &'static str,
) -> Result<()> {
    let named: HashSet<String> = config.tensors().into_iter().map(|(name, _)| name).collect();
    let mut extra: Vec<String> = store
        .names()
        .filter(|name| !named.contains(*name))
        .map(str::to_string)
        .collect();
    extra.retain(|name| {
        if BUFFERS.iter().any(|end| name.ends_with(end)) {
            return false;
        }
        if name == HEAD && config.tie_word_embeddings {
            return !matches!(same(store, path), Ok(true));
        }
        true
    });
    extra.sort_by_key(|name| (layer(name), name.clone()));
    let Some(first) = extra.first() else {
        store.retain(|name| named.contains(name));
        return Ok(());
    };
    let Reason { why, fix } = Reason::of(first, &extra, config, layers);
    Err(Error::UnnamedTensors {
        path: path.to_path_buf(),
        name: store.own_name(first).to_string(),
        more: extra.len() - 1,
        why,
        fix,
    })
}

/// Why a tensor is refused, and what to do.
struct Reason {
    why: String,
    fix: String,
}

impl Reason {
    fn of(first: &str, all: &[String], config: &ModelConfig, layers: &str) -> Reason {
        let family = config.architecture.name();
        let count = config.num_hidden_layers;
        let reason = |why: String, fix: &str| Reason {
            why,
            fix: fix.to_string(),
        };
        if let Some(last) = all.iter().filter_map(|name| layer(name)).max()
            && last >= count
            && layer(first).is_some_and(|number| number >= count)
        {
            return Reason {
                why: format!(
                    "`{layers}` is {count}, and the weights have layers up to {last}, which would be left out"
                ),
                fix: format!(
                    "set `{layers}` to {}, or take the weights that belong to this configuration",
                    last + 1
                ),
            };
        }
        if first == HEAD {
            return reason(
                "`tie_word_embeddings` is true, and the head differs from the embedding".into(),
                "set `tie_word_embeddings` to false in config.json, or take the weights that belong to it",
            );
        }
        if first.contains("lora_") {
            return reason(
                "it is part of an adapter, which would be left out".into(),
                "merge the adapter into the model first (PEFT: `merge_and_unload`), or take the base model",
            );
        }
        if first.ends_with(".bias") {
            return Reason {
                why: format!(
                    "{family} models are run without this bias, and leaving it out changes every answer"
                ),
                fix: "take a model without it; biases on q, k and v run in qwen2 models".into(),
            };
        }
        if first.ends_with("q_norm.weight") || first.ends_with("k_norm.weight") {
            return reason(
                format!("a {family} model does not normalise queries and keys"),
                "correct `model_type` in config.json (qwen3 does), or take the weights that belong to it",
            );
        }
        Reason {
            why: format!(
                "a {family} model of this configuration does not have it, and leaving it out changes every answer"
            ),
            fix: "take a plain llama, qwen2 or qwen3 model, with the config.json that belongs to its weights"
                .into(),
        }
    }
}

/// Number of the layer that a tensor belongs to.
fn layer(name: &str) -> Option<usize> {
    let rest = name.strip_prefix("model.layers.")?;
    rest.split_once('.')?.0.parse().ok()
}

/// Whether the head holds the embedding's numbers.
fn same(store: &Store, path: &Path) -> Result<bool> {
    let (Some(head), Some(embedding)) = (store.get(HEAD), store.get(EMBEDDING)) else {
        return Ok(false);
    };
    if head.shape != embedding.shape {
        return Ok(false);
    }
    let bytes = |entry: &Entry| &store.bytes(entry.file)[entry.bytes.clone()];
    if head.dtype == embedding.dtype {
        return Ok(bytes(head) == bytes(embedding));
    }
    let (rows, columns) = matrix(&head.shape);
    let mut pair = [vec![0.0; ROWS * columns], vec![0.0; ROWS * columns]];
    for start in (0..rows).step_by(ROWS) {
        let end = rows.min(start + ROWS);
        for (out, name) in pair.iter_mut().zip([HEAD, EMBEDDING]) {
            store.read_rows(path, name, start..end, &mut out[..(end - start) * columns])?;
        }
        let len = (end - start) * columns;
        if pair[0][..len] != pair[1][..len] {
            return Ok(false);
        }
    }
    Ok(true)
}
