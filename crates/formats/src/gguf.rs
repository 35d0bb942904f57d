//! GGUF files: header, configuration and tensor names. candle-core reads the header.

use crate::config::{Architecture, ConfigKeys, ModelConfig, RopeScaling};
use crate::error::{Error, Result};
use crate::store::{Entry, Store, matrix};
use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::{Content, Value};
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// Number formats a GGUF file may use here.
pub(crate) const DTYPES: &str =
    "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K or Q6_K";

/// The divisors of rotary frequencies, where the model has them (Llama 3.1).
const ROPE_FREQS: &str = "rope_freqs.weight";

/// What GGUF calls the number of layers.
pub(crate) const BLOCKS: &str = "block_count";

const KEYS: ConfigKeys = ConfigKeys {
    hidden_size: "embedding_length",
    intermediate_size: "feed_forward_length",
    num_hidden_layers: BLOCKS,
    num_attention_heads: "attention.head_count",
    num_key_value_heads: "attention.head_count_kv",
    head_dim: "attention.key_length",
    vocab_size: "vocab_size",
    max_position_embeddings: "context_length",
    rms_norm_eps: "attention.layer_norm_rms_epsilon",
    rope_theta: "rope.freq_base",
    rope_scaling: ROPE_FREQS,
};

/// A GGUF file's header.
pub(crate) struct Gguf {
    path: PathBuf,
    content: Content,
}

impl std::fmt::Debug for Gguf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gguf({})", self.path.display())
    }
}

impl Gguf {
    /// Reads the header from the file's bytes.
    pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<Gguf> {
        let corrupt = |reason: String| Error::Corrupt {
            path: path.to_path_buf(),
            format: "GGUF",
            reason,
        };
        if !bytes.starts_with(b"GGUF") {
            let start: String = bytes
                .iter()
                .take(4)
                .map(|b| b.escape_ascii().to_string())
                .collect();
            return Err(corrupt(format!(
                "it begins with `{start}`, not with `GGUF`"
            )));
        }
        if alignment_is_zero(bytes) {
            return Err(corrupt("general.alignment is 0".to_string()));
        }
        let content = Content::read(&mut Cursor::new(bytes)).map_err(|e| {
            // Under RUST_BACKTRACE candle's errors carry a backtrace from the second line on.
            let text = e.to_string();
            let reason = text.lines().next().unwrap_or_default();
            // candle stops at the first number format that it does not know.
            match reason.strip_prefix("unknown dtype for tensor ") {
                Some(code) => Error::UnknownDtype {
                    path: path.to_path_buf(),
                    name: "?".to_string(),
                    found: format!("GGML type {code}"),
                    expected: DTYPES,
                },
                None => corrupt(format!("{reason} (file of {} bytes)", bytes.len())),
            }
        })?;
        Ok(Gguf {
            path: path.to_path_buf(),
            content,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds all tensors to the store under Hugging Face's names and works out the configuration.
    pub(crate) fn add_to(&self, store: &mut Store, file: usize) -> Result<ModelConfig> {
        let name = self
            .text("general.architecture")?
            .ok_or_else(|| Error::missing_key(&self.path, "general.architecture"))?;
        let architecture =
            Architecture::from_name(name).ok_or_else(|| Error::UnknownArchitecture {
                path: self.path.clone(),
                found: name.to_string(),
            })?;
        if let Some(parts) = self.size("split.count")?.filter(|n| *n > 1) {
            return Err(Error::unsupported(
                &self.path,
                format!("a GGUF file split into {parts} parts"),
                "merge them first: llama-gguf-split --merge",
            ));
        }
        self.refuse(architecture)?;
        let config = self.config(architecture, self.rope_divisors(store.bytes(file))?)?;
        self.add_tensors(store, file, &config)?;
        Ok(config)
    }

    fn add_tensors(&self, store: &mut Store, file: usize, config: &ModelConfig) -> Result<()> {
        let len = store.bytes(file).len() as u64;
        let mut end = self.content.tensor_data_offset;
        let mut entries = Vec::new();
        for (name, info) in &self.content.tensor_infos {
            let bad =
                |expected: &str, found: String| Error::bad_value(&self.path, name, expected, found);
            let shape = info.shape.dims().to_vec();
            let (block, bytes) = (info.ggml_dtype.block_size(), info.ggml_dtype.type_size());
            let (_, columns) = matrix(&shape);
            if !columns.is_multiple_of(block) {
                return Err(bad(
                    &format!("rows of whole blocks of {block}"),
                    format!("rows of {columns} numbers"),
                ));
            }
            let numbers = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
            let range = numbers.and_then(|n| {
                let start = self.content.tensor_data_offset.checked_add(info.offset)?;
                let size = (n / block).checked_mul(bytes)?;
                Some((start, start.checked_add(size as u64)?))
            });
            let Some((start, stop)) = range else {
                return Err(bad(
                    "a tensor that fits in memory",
                    format!("shape {shape:?}"),
                ));
            };
            end = end.max(stop);
            if name == ROPE_FREQS {
                continue;
            }
            // No name of Hugging Face's begins with `?`: it is found to be one that the
            // configuration does not name.
            let hf_name = hugging_face_name(name).unwrap_or_else(|| format!("?{name}"));
            let rotary_heads = match (config.architecture, hf_name.as_str()) {
                (Architecture::Llama, n) if n.ends_with(".self_attn.q_proj.weight") => {
                    Some(config.num_attention_heads)
                }
                (Architecture::Llama, n) if n.ends_with(".self_attn.k_proj.weight") => {
                    Some(config.num_key_value_heads)
                }
                _ => None,
            };
            entries.push((
                hf_name,
                Entry {
                    file,
                    dtype: info.ggml_dtype,
                    shape,
                    bytes: start as usize..stop as usize,
                    own_name: Some(name.clone()),
                    rotary_heads,
                },
            ));
        }
        if end > len {
            return Err(Error::Truncated {
                path: self.path.clone(),
                expected: end,
                found: len,
            });
        }
        for (name, entry) in entries {
            store.insert(name, entry);
        }
        Ok(())
    }

    /// What the rotary frequencies are divided by, where the file says so.
    fn rope_divisors(&self, bytes: &[u8]) -> Result<Option<RopeScaling>> {
        let Some(info) = self.content.tensor_infos.get(ROPE_FREQS) else {
            return Ok(None);
        };
        let bad = |found: String| {
            Err(Error::bad_value(
                &self.path,
                ROPE_FREQS,
                "a vector of F32 within the file",
                found,
            ))
        };
        let [count] = *info.shape.dims() else {
            return bad(format!("shape {:?}", info.shape.dims()));
        };
        if info.ggml_dtype != GgmlDType::F32 {
            return bad(format!("{:?}", info.ggml_dtype));
        }
        let start = self.content.tensor_data_offset.checked_add(info.offset);
        let range = start.and_then(|start| {
            let start = usize::try_from(start).ok()?;
            Some(start..start.checked_add(count.checked_mul(4)?)?)
        });
        let Some(bytes) = range.and_then(|range| bytes.get(range)) else {
            return bad(format!("{count} numbers beyond the file's end"));
        };
        let numbers = bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b));
        Ok(Some(RopeScaling::Divisors(numbers.collect())))
    }

    fn config(
        &self,
        architecture: Architecture,
        rope_scaling: Option<RopeScaling>,
    ) -> Result<ModelConfig> {
        let key = |key: &str| format!("{}.{key}", architecture.name());
        let size = |name: &str| {
            self.size(&key(name))?
                .ok_or_else(|| Error::missing_key(&self.path, &key(name)))
        };
        let embedding = self.content.tensor_infos.get("token_embd.weight");
        let vocab_size = embedding
            .and_then(|info| info.shape.dims().first().copied())
            .ok_or_else(|| Error::MissingTensor {
                path: self.path.clone(),
                name: "token_embd.weight".to_string(),
            })?;
        let hidden_size = size(KEYS.hidden_size)?;
        let heads = size(KEYS.num_attention_heads)?;
        let head_dim = match self.size(&key(KEYS.head_dim))? {
            Some(head_dim) => head_dim,
            None => hidden_size.checked_div(heads).unwrap_or(0),
        };
        for name in ["attention.value_length", "rope.dimension_count"] {
            if let Some(other) = self.size(&key(name))?.filter(|n| *n != head_dim) {
                return Err(Error::unsupported(
                    &self.path,
                    format!("{} = {other}", key(name)),
                    format!("keys, values and the rotation share one head width, here {head_dim}"),
                ));
            }
        }
        let mut eos_token_ids = Vec::new();
        for name in ["eos", "eot", "eom"] {
            if let Some(id) = self.token_id(&format!("tokenizer.ggml.{name}_token_id"))?
                && !eos_token_ids.contains(&id)
            {
                eos_token_ids.push(id);
            }
        }
        if eos_token_ids.is_empty() {
            return Err(Error::missing_key(
                &self.path,
                "tokenizer.ggml.eos_token_id",
            ));
        }
        let config = ModelConfig {
            architecture,
            hidden_size,
            intermediate_size: size(KEYS.intermediate_size)?,
            num_hidden_layers: size(KEYS.num_hidden_layers)?,
            num_attention_heads: heads,
            num_key_value_heads: self.size(&key(KEYS.num_key_value_heads))?.unwrap_or(heads),
            head_dim,
            vocab_size,
            max_position_embeddings: size(KEYS.max_position_embeddings)?,
            rms_norm_eps: self
                .number(&key(KEYS.rms_norm_eps))?
                .ok_or_else(|| Error::missing_key(&self.path, &key(KEYS.rms_norm_eps)))?,
            rope_theta: self.number(&key(KEYS.rope_theta))?.unwrap_or(10_000.0),
            rope_scaling,
            tie_word_embeddings: !self.has_tensor("output.weight"),
            qkv_bias: architecture == Architecture::Qwen2,
            qk_norm: architecture == Architecture::Qwen3,
            eos_token_ids,
        };
        config.validate(&self.path, &KEYS)?;
        Ok(config)
    }

    /// Refuses what the decoder does not do.
    fn refuse(&self, architecture: Architecture) -> Result<()> {
        let arch = architecture.name();
        let no =
            |setting: String, reason: &str| Err(Error::unsupported(&self.path, setting, reason));
        let scaling = format!("{arch}.rope.scaling.type");
        if let Some(kind) = self.text(&scaling)?.filter(|k| *k != "none") {
            return no(format!("{scaling} `{kind}`"), "positions are not rescaled");
        }
        let experts = format!("{arch}.expert_count");
        if let Some(count) = self.size(&experts)?.filter(|n| *n > 0) {
            return no(format!("{experts} = {count}"), "the feed-forward is dense");
        }
        let window = format!("{arch}.attention.sliding_window");
        if let Some(width) = self.size(&window)?.filter(|n| *n > 0) {
            return no(
                format!("{window} = {width}"),
                "attention is over the whole text",
            );
        }
        Ok(())
    }

    fn has_tensor(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    fn typed<'v, T>(
        &'v self,
        key: &str,
        expected: &str,
        convert: impl Fn(&'v Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.content.metadata.get(key) else {
            return Ok(None);
        };
        convert(value).map(Some).ok_or_else(|| {
            let found = match value {
                Value::Array(items) => format!("a list of {}", items.len()),
                other => format!("{other:?}"),
            };
            Error::bad_value(&self.path, key, expected, found)
        })
    }

    fn size(&self, key: &str) -> Result<Option<usize>> {
        self.typed(key, "a whole number", |v| {
            whole(v).and_then(|n| usize::try_from(n).ok())
        })
    }

    pub(crate) fn token_id(&self, key: &str) -> Result<Option<u32>> {
        self.typed(key, "a token id", |v| {
            whole(v).and_then(|n| u32::try_from(n).ok())
        })
    }

    fn number(&self, key: &str) -> Result<Option<f32>> {
        self.typed(key, "a number", |v| match v {
            Value::F32(x) => Some(*x),
            Value::F64(x) => Some(*x as f32),
            other => whole(other).map(|n| n as f32),
        })
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.typed(key, "true or false", |v| v.to_bool().ok())
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>> {
        self.typed(key, "a string", |v| match v {
            Value::String(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// A list that must be there, each item converted.
    pub(crate) fn list<'v, T>(
        &'v self,
        key: &str,
        expected: &str,
        convert: impl Fn(&'v Value) -> Option<T>,
    ) -> Result<Vec<T>> {
        self.typed(key, expected, |v| match v {
            Value::Array(items) => items.iter().map(&convert).collect::<Option<Vec<T>>>(),
            _ => None,
        })?
        .ok_or_else(|| Error::missing_key(&self.path, key))
    }
}

/// A whole number of any width.
pub(crate) fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::U8(n) => Some(i64::from(*n)),
        Value::I8(n) => Some(i64::from(*n)),
        Value::U16(n) => Some(i64::from(*n)),
        Value::I16(n) => Some(i64::from(*n)),
        Value::U32(n) => Some(i64::from(*n)),
        Value::I32(n) => Some(i64::from(*n)),
        Value::U64(n) => i64::try_from(*n).ok(),
        Value::I64(n) => Some(*n),
        _ => None,
    }
}

/// Whether the header sets an alignment of 0, on which candle would divide.
fn alignment_is_zero(bytes: &[u8]) -> bool {
    const KEY: &[u8] = b"general.alignment";
    // Metadata of a few words each come first in every writer; the vocabulary follows.
    let head = &bytes[..bytes.len().min(1 << 16)];
    head.windows(KEY.len())
        .position(|w| w == KEY)
        .and_then(|at| bytes.get(at + KEY.len() + 4..at + KEY.len() + 8))
        .is_some_and(|value| value == [0; 4])
}

/// Hugging Face's name for llama.cpp's tensor name (`gguf-py/gguf/tensor_mapping.py`).
fn hugging_face_name(name: &str) -> Option<String> {
    match name {
        "token_embd.weight" => return Some("model.embed_tokens.weight".to_string()),
        "output_norm.weight" => return Some("model.norm.weight".to_string()),
        "output.weight" => return Some("lm_head.weight".to_string()),
        _ => {}
    }
    let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
    let layer: usize = layer.parse().ok()?;
    let (module, kind) = rest.rsplit_once('.')?;
    let module = match module {
        "attn_norm" => "input_layernorm",
        "attn_q" => "self_attn.q_proj",
        "attn_k" => "self_attn.k_proj",
        "attn_v" => "self_attn.v_proj",
        "attn_output" => "self_attn.o_proj",
        "attn_q_norm" => "self_attn.q_norm",
        "attn_k_norm" => "self_attn.k_norm",
        "ffn_norm" => "post_attention_layernorm",
        "ffn_gate" => "mlp.gate_proj",
        "ffn_up" => "mlp.up_proj",
        "ffn_down" => "mlp.down_proj",
        _ => return None,
    };
    Some(format!("model.layers.{layer}.{module}.{kind}"))
}
