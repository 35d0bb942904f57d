//! `adapter_config.json`: what Verdict reads of it, refuses in it, and writes.

use crate::error::{Error, Result};
use crate::targets::Targets;
use serde_json::{Map, Value, json};
use std::path::Path;

/// What a LoRA adapter says about itself. Names follow PEFT's `LoraConfig`.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterConfig {
    /// Rank r of the update B·A.
    pub r: usize,
    /// Numerator of the update's scale, which is always `lora_alpha / r` here. An adapter read
    /// with `use_rslora` (scale `lora_alpha / √r`) has it multiplied by √r.
    pub lora_alpha: f32,
    /// Dropout before A while training, 0 to below 1. Answering ignores it.
    pub lora_dropout: f32,
    /// Last names of the adapted modules (`q_proj`, `down_proj`, …).
    pub target_modules: Vec<String>,
    /// The base model's hub name or path, where the adapter names one.
    pub base_model_name_or_path: Option<String>,
    /// Which modules of the base the adapter says it adapts.
    pub targets: Targets,
}

/// Keys that change nothing when the adapter is used: provenance, start values, training aids.
const HARMLESS: &[&str] = &[
    "auto_mapping",
    "peft_version",
    "revision",
    "inference_mode",
    "megatron_core",
    "loftq_config",
    "eva_config",
    "runtime_config",
    "qalora_group_size",
    "ensure_weight_tying",
    "task_type",
];

impl AdapterConfig {
    /// Reads and checks `adapter_config.json`. The second value is true where `target_modules` is a
    /// pattern: the modules are then those of the tensors' names.
    pub(crate) fn read(path: &Path) -> Result<(AdapterConfig, bool)> {
        let text = std::fs::read(path).map_err(Error::io(path))?;
        let map: Map<String, Value> =
            serde_json::from_slice(&text).map_err(|source| Error::Json {
                path: path.to_path_buf(),
                source,
            })?;
        Self::parse(path, &map)
    }

    fn parse(path: &Path, map: &Map<String, Value>) -> Result<(AdapterConfig, bool)> {
        let bad = |key: &str, expected: &str| {
            let found = map.get(key).map_or("nothing".to_string(), Value::to_string);
            Error::bad_value(path, key, expected, found)
        };
        let peft_type = map
            .get("peft_type")
            .ok_or_else(|| Error::missing_key(path, "peft_type"))?;
        if peft_type != "LORA" {
            return Err(Error::unsupported(
                path,
                format!("peft_type {peft_type}"),
                "adapters are LORA",
            ));
        }
        let mut config = AdapterConfig {
            r: 0,
            lora_alpha: 0.0,
            lora_dropout: 0.0,
            target_modules: Vec::new(),
            base_model_name_or_path: None,
            targets: Targets::parse(path, map)?,
        };
        let (mut pattern, mut rslora) = (false, false);
        for key in ["r", "lora_alpha", "target_modules"] {
            if map.get(key).is_none_or(Value::is_null) {
                return Err(Error::missing_key(path, key));
            }
        }
        for (key, value) in map {
            match (key.as_str(), value) {
                ("r", v) => {
                    let r = v.as_u64().filter(|r| (1..=65_536).contains(r));
                    config.r = r.ok_or_else(|| bad(key, "a whole number from 1 up"))? as usize;
                }
                ("lora_alpha", v) => {
                    let alpha = v.as_f64().filter(|a| a.is_finite() && *a > 0.0);
                    config.lora_alpha = alpha.ok_or_else(|| bad(key, "a number above 0"))? as f32;
                }
                ("lora_dropout", v) => {
                    let p = v.as_f64().filter(|p| (0.0..1.0).contains(p));
                    config.lora_dropout = p.ok_or_else(|| bad(key, "0 to below 1"))? as f32;
                }
                ("target_modules", Value::String(_)) => pattern = true,
                ("target_modules", v) => {
                    let names: Option<Vec<String>> = v
                        .as_array()
                        .map(|l| l.iter().map(|n| n.as_str().map(str::to_string)).collect())
                        .unwrap_or_default();
                    let mut names = names.ok_or_else(|| bad(key, "a list of module names"))?;
                    names.sort_unstable();
                    config.target_modules = names;
                }
                ("base_model_name_or_path", v) => {
                    config.base_model_name_or_path =
                        v.as_str().filter(|s| !s.is_empty()).map(str::to_string);
                }
                ("use_rslora", v) => {
                    rslora = v.as_bool().ok_or_else(|| bad(key, "true or false"))?;
                }
                ("peft_type" | "exclude_modules" | "layers_to_transform" | "layers_pattern", _) => {
                }
                ("bias", v) if v == "none" => {}
                ("init_lora_weights", v) if starts_from_base(v) => {}
                (key, _) if HARMLESS.contains(&key) => {}
                (_, v) if is_off(v) => {}
                (key, v) => return Err(Error::unsupported(path, setting(key, v), refusal(key))),
            }
        }
        if let Some(task) = map
            .get("task_type")
            .filter(|t| !t.is_null() && *t != "CAUSAL_LM")
        {
            return Err(Error::unsupported(
                path,
                format!("task_type {task}"),
                "adapters answer by generating: CAUSAL_LM",
            ));
        }
        if rslora {
            config.lora_alpha *= (config.r as f32).sqrt();
        }
        Ok((config, pattern))
    }

    /// The JSON that PEFT 0.10 and every later release to 0.21 loads: no key newer than 0.10, none
    /// whose default it could take.
    pub(crate) fn to_json(&self) -> String {
        // A whole alpha is written whole: PEFT declares it `int`.
        let alpha = match self.lora_alpha {
            a if a.fract() == 0.0 && a.abs() < 1e9 => json!(a as i64),
            a => json!(a),
        };
        let mut map = json!({
            "base_model_name_or_path": self.base_model_name_or_path,
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "lora_alpha": alpha,
            "lora_dropout": shortest(self.lora_dropout),
            "peft_type": "LORA",
            "r": self.r,
            "target_modules": self.target_modules,
            "task_type": "CAUSAL_LM",
        });
        self.targets.write(&mut map);
        let mut text = serde_json::to_string_pretty(&map).expect("plain JSON values");
        text.push('\n');
        text
    }
}

/// The f64 that prints as this f32 does: 0.05, not 0.05000000074505806.
fn shortest(x: f32) -> f64 {
    x.to_string().parse().expect("a printed number")
}

/// `init_lora_weights` under which the adapter belongs to the base model as it was published.
fn starts_from_base(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) => true,
        Value::String(s) => matches!(s.as_str(), "gaussian" | "eva" | "orthogonal"),
        _ => false,
    }
}

/// Whether a value switches nothing on.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn setting(key: &str, value: &Value) -> String {
    let mut text = value.to_string();
    if let Some((end, _)) = text.char_indices().nth(60) {
        text.truncate(end);
        text.push('…');
    }
    format!("{key} = {text}")
}

/// Why a setting that is on is refused.
fn refusal(key: &str) -> &'static str {
    match key {
        "use_dora" => "DoRA rescales the base's columns; train with use_dora = false",
        "rank_pattern" | "alpha_pattern" => "all modules of an adapter share one rank and alpha",
        "modules_to_save" | "trainable_token_indices" => {
            "the base's own weights stay as they are; only LoRA's A and B are read"
        }
        "bias" | "lora_bias" => "adapters have no biases; train with bias = \"none\"",
        "fan_in_fan_out" => "weights are [out, in]",
        "init_lora_weights" => {
            "this start changes the base's weights; save it with path_initial_model_for_weight_conversion"
        }
        _ => "it may change the result, and Verdict does not know it",
    }
}
