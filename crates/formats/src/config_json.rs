//! Hugging Face's `config.json` (and `generation_config.json` beside it) to a [`ModelConfig`].
//!
//! Everything that would change the arithmetic and that the decoder does not do is refused here,
//! by name, so that no model runs subtly wrong.

use crate::config::{Architecture, ConfigKeys, ModelConfig, RopeScaling};
use crate::error::{Error, Result};
use serde_json::{Map, Value};
use std::path::Path;

/// What `config.json` calls the number of layers.
pub(crate) const LAYERS: &str = "num_hidden_layers";

const KEYS: ConfigKeys = ConfigKeys {
    hidden_size: "hidden_size",
    intermediate_size: "intermediate_size",
    num_hidden_layers: LAYERS,
    num_attention_heads: "num_attention_heads",
    num_key_value_heads: "num_key_value_heads",
    head_dim: "head_dim",
    vocab_size: "vocab_size",
    max_position_embeddings: "max_position_embeddings",
    rms_norm_eps: "rms_norm_eps",
    rope_theta: "rope_theta",
    rope_scaling: "rope_scaling",
};

/// Reads `config.json` at `path`, and the ends of text that `generation_config.json` adds.
pub(crate) fn read(path: &Path) -> Result<ModelConfig> {
    let file = Object::read(path)?;
    let generation = path.with_file_name("generation_config.json");
    let generation = match generation.is_file() {
        true => Some(Object::read(&generation)?),
        false => None,
    };
    parse(&file, generation.as_ref())
}

fn parse(file: &Object, generation: Option<&Object>) -> Result<ModelConfig> {
    let name = file.text("model_type")?;
    let architecture = Architecture::from_name(name).ok_or_else(|| Error::UnknownArchitecture {
        path: file.path.to_path_buf(),
        found: name.to_string(),
    })?;
    refuse(file, architecture)?;

    let hidden_size = file.size(KEYS.hidden_size)?;
    let heads = file.size(KEYS.num_attention_heads)?;
    let head_dim = match (file.optional_size(KEYS.head_dim)?, architecture) {
        (Some(head_dim), _) => head_dim,
        // Qwen3Config's own default; its heads are wider than H / heads.
        (None, Architecture::Qwen3) => 128,
        (None, _) if heads > 0 && hidden_size.is_multiple_of(heads) => hidden_size / heads,
        (None, _) => {
            return Err(Error::bad_value(
                file.path,
                KEYS.num_attention_heads,
                format!("a divisor of the hidden size {hidden_size}"),
                heads.to_string(),
            ));
        }
    };
    let mut eos_token_ids = file.tokens("eos_token_id")?;
    if let Some(generation) = generation {
        for id in generation.tokens("eos_token_id")? {
            if !eos_token_ids.contains(&id) {
                eos_token_ids.push(id);
            }
        }
    }
    if eos_token_ids.is_empty() {
        return Err(Error::missing_key(file.path, "eos_token_id"));
    }
    let config = ModelConfig {
        architecture,
        hidden_size,
        intermediate_size: file.size(KEYS.intermediate_size)?,
        num_hidden_layers: file.size(KEYS.num_hidden_layers)?,
        num_attention_heads: heads,
        num_key_value_heads: file
            .optional_size(KEYS.num_key_value_heads)?
            .unwrap_or(heads),
        head_dim,
        vocab_size: file.size(KEYS.vocab_size)?,
        max_position_embeddings: file.size(KEYS.max_position_embeddings)?,
        rms_norm_eps: file
            .number(KEYS.rms_norm_eps)?
            .ok_or_else(|| Error::missing_key(file.path, KEYS.rms_norm_eps))?
            as f32,
        rope_theta: rope_theta(file)?,
        rope_scaling: rope_scaling(file)?,
        tie_word_embeddings: file.flag("tie_word_embeddings")?.unwrap_or(false),
        qkv_bias: architecture == Architecture::Qwen2,
        qk_norm: architecture == Architecture::Qwen3,
        eos_token_ids,
    };
    config.validate(file.path, &KEYS)?;
    Ok(config)
}

/// Refuses what the decoder does not do.
fn refuse(file: &Object, architecture: Architecture) -> Result<()> {
    let no = |setting: String, reason: &str| Err(Error::unsupported(file.path, setting, reason));
    if let Some(method) = file.object("quantization_config")? {
        let method = method.get("quant_method").and_then(Value::as_str);
        return no(
            format!("quantization_config ({})", method.unwrap_or("unnamed")),
            "take the unquantised checkpoint, or a GGUF file",
        );
    }
    if let Some(act) = file.optional_text("hidden_act")?.filter(|a| *a != "silu") {
        return no(
            format!("hidden_act `{act}`"),
            "the feed-forward is SwiGLU, with `silu`",
        );
    }
    for key in ["attention_bias", "mlp_bias"] {
        // Qwen2's bias on q, k and v is part of the family and has no key.
        if file.flag(key)? == Some(true) {
            let name = architecture.name();
            return no(format!("{key} = true"), &format!("{name} runs without it"));
        }
    }
    if file.flag("use_sliding_window")? == Some(true) {
        return no(
            "use_sliding_window = true".to_string(),
            "attention is over the whole text",
        );
    }
    if let Some(Value::Array(types)) = file.get("layer_types")
        && let Some(other) = types.iter().find(|t| *t != "full_attention")
    {
        return no(
            format!("layer_types with {other}"),
            "attention is over the whole text",
        );
    }
    if let Some(factor) = file.number("partial_rotary_factor")?.filter(|f| *f != 1.0) {
        return no(
            format!("partial_rotary_factor = {factor}"),
            "the whole head is rotated",
        );
    }
    for key in ["rope_scaling", "rope_parameters"] {
        let Some(rope) = file.object(key)? else {
            continue;
        };
        if rope.values().any(Value::is_object) {
            return no(
                format!("{key} by layer type"),
                "all layers share one rotation",
            );
        }
        let kind = rope.get("rope_type").or_else(|| rope.get("type"));
        if let Some(kind) = kind.filter(|k| *k != "default" && *k != LLAMA3) {
            return no(
                format!("{key} of type {kind}"),
                "positions are rescaled as llama3 does or not at all",
            );
        }
        if let Some(factor) = rope
            .get("partial_rotary_factor")
            .filter(|f| f.as_f64() != Some(1.0))
        {
            return no(
                format!("{key}.partial_rotary_factor = {factor}"),
                "the whole head is rotated",
            );
        }
    }
    Ok(())
}

/// Llama 3.1's way to rescale positions.
const LLAMA3: &str = "llama3";

/// `rope_scaling` (up to transformers 4) or `rope_parameters` (from 5 on).
fn rope_scaling(file: &Object) -> Result<Option<RopeScaling>> {
    for key in ["rope_scaling", "rope_parameters"] {
        let Some(rope) = file.object(key)? else {
            continue;
        };
        if rope.get("rope_type").or_else(|| rope.get("type")) != Some(&Value::from(LLAMA3)) {
            continue;
        }
        let number = |name: &str| {
            let found = rope.get(name).filter(|value| !value.is_null());
            let value =
                found.ok_or_else(|| Error::missing_key(file.path, &format!("{key}.{name}")))?;
            value.as_f64().ok_or_else(|| {
                Error::bad_value(file.path, &format!("{key}.{name}"), "a number", show(value))
            })
        };
        return Ok(Some(RopeScaling::Llama3 {
            factor: number("factor")? as f32,
            low_freq_factor: number("low_freq_factor")? as f32,
            high_freq_factor: number("high_freq_factor")? as f32,
            original_max_position_embeddings: number("original_max_position_embeddings")? as usize,
        }));
    }
    Ok(None)
}

/// `rope_theta`, at the top level (up to transformers 4) or in `rope_parameters` (from 5 on).
fn rope_theta(file: &Object) -> Result<f32> {
    if let Some(theta) = file.number("rope_theta")? {
        return Ok(theta as f32);
    }
    let nested = file.object("rope_parameters")?;
    match nested.and_then(|rope| rope.get("rope_theta")) {
        None => Ok(10_000.0),
        Some(value) => value.as_f64().map(|theta| theta as f32).ok_or_else(|| {
            Error::bad_value(
                file.path,
                "rope_parameters.rope_theta",
                "a number",
                show(value),
            )
        }),
    }
}

/// A JSON object with the path it came from, for errors.
struct Object<'a> {
    path: &'a Path,
    map: Map<String, Value>,
}

impl<'a> Object<'a> {
    fn read(path: &'a Path) -> Result<Object<'a>> {
        let text = std::fs::read(path).map_err(Error::io(path))?;
        let map = serde_json::from_slice(&text).map_err(|source| Error::Json {
            path: path.to_path_buf(),
            source,
        })?;
        Ok(Object { path, map })
    }

    /// The value of a key; `null` counts as absent.
    fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|v| !v.is_null())
    }

    fn typed<'v, T>(
        &'v self,
        key: &str,
        expected: &str,
        convert: impl Fn(&'v Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        match convert(value) {
            Some(found) => Ok(Some(found)),
            None => Err(Error::bad_value(self.path, key, expected, show(value))),
        }
    }

    fn optional_size(&self, key: &str) -> Result<Option<usize>> {
        self.typed(key, "a whole number", |v| {
            v.as_u64().and_then(|n| usize::try_from(n).ok())
        })
    }

    fn size(&self, key: &str) -> Result<usize> {
        self.optional_size(key)?
            .ok_or_else(|| Error::missing_key(self.path, key))
    }

    fn number(&self, key: &str) -> Result<Option<f64>> {
        self.typed(key, "a number", Value::as_f64)
    }

    fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.typed(key, "true or false", Value::as_bool)
    }

    fn optional_text(&self, key: &str) -> Result<Option<&str>> {
        self.typed(key, "a string", Value::as_str)
    }

    fn text(&self, key: &str) -> Result<&str> {
        self.optional_text(key)?
            .ok_or_else(|| Error::missing_key(self.path, key))
    }

    fn object(&self, key: &str) -> Result<Option<&Map<String, Value>>> {
        self.typed(key, "an object", Value::as_object)
    }

    /// A token id, a list of them, or none.
    fn tokens(&self, key: &str) -> Result<Vec<u32>> {
        let id = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok());
        let found = self.typed(key, "a token id or a list of them", |v| match v {
            Value::Array(ids) => ids.iter().map(id).collect(),
            one => id(one).map(|id| vec![id]),
        })?;
        Ok(found.unwrap_or_default())
    }
}

/// A value as the file has it, cut to a readable length.
fn show(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
