//! What a decoder's configuration says, whichever file it came from.

use crate::error::{Error, Result};
use std::path::Path;

/// The decoder families that Verdict runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Llama and its kin (SmolLM2 among them).
    Llama,
    /// Qwen2: biases on q, k and v.
    Qwen2,
    /// Qwen3: RMS norm over each head's q and k.
    Qwen3,
}

/// Frequencies of the rotary encoding rescaled for longer texts, one factor each.
///
/// Llama 3.1's rule (`rope_type: llama3`; transformers' `_compute_llama3_parameters`): with the wavelength
/// `λ = 2π / f` of a frequency `f`, and `L` the positions that the model was first trained on,
///
/// ```text
/// f' = f                                      where λ < L / high_freq_factor
/// f' = f / factor                             where λ > L / low_freq_factor
/// f' = (1 - s) f / factor + s f               between, s = (L/λ - low_freq_factor) / (high_freq_factor - low_freq_factor)
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// Llama 3.1's rule, as `config.json` states it.
    Llama3 {
        /// Divides the lowest frequencies.
        factor: f32,
        /// Wavelengths beyond `L` over this are divided by `factor`.
        low_freq_factor: f32,
        /// Wavelengths below `L` over this stay.
        high_freq_factor: f32,
        /// `L`.
        original_max_position_embeddings: usize,
    },
    /// What each frequency is divided by, `[head_dim / 2]`: tensor `rope_freqs.weight` of a GGUF file.
    Divisors(Vec<f32>),
}

impl RopeScaling {
    /// Rescales frequencies `[head_dim / 2]` in place.
    pub fn apply(&self, frequencies: &mut [f32]) {
        match self {
            RopeScaling::Divisors(divisors) => {
                for (f, divisor) in frequencies.iter_mut().zip(divisors) {
                    *f /= divisor;
                }
            }
            &RopeScaling::Llama3 {
                factor,
                low_freq_factor: low,
                high_freq_factor: high,
                original_max_position_embeddings: positions,
            } => {
                let positions = positions as f32;
                for f in frequencies {
                    let wavelength = std::f32::consts::TAU / *f;
                    *f = if wavelength > positions / low {
                        *f / factor
                    } else if wavelength < positions / high {
                        *f
                    } else {
                        let smooth = (positions / wavelength - low) / (high - low);
                        (1.0 - smooth) * *f / factor + smooth * *f
                    };
                }
            }
        }
    }
}

/// A decoder's shape and constants. Names follow Hugging Face's `config.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// Decoder family.
    pub architecture: Architecture,
    /// H, width of the residual stream.
    pub hidden_size: usize,
    /// F, width of the feed-forward layer.
    pub intermediate_size: usize,
    /// L, number of blocks.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads (grouped-query attention); divides the query heads.
    pub num_key_value_heads: usize,
    /// D, width of a head.
    pub head_dim: usize,
    /// V, rows of the embedding.
    pub vocab_size: usize,
    /// Longest sequence the positions were trained for.
    pub max_position_embeddings: usize,
    /// Epsilon of every RMS norm.
    pub rms_norm_eps: f32,
    /// Base of the rotary position encoding.
    pub rope_theta: f32,
    /// How the frequencies of the rotary encoding are rescaled; none leaves them as they are.
    pub rope_scaling: Option<RopeScaling>,
    /// The head shares the embedding's weights.
    pub tie_word_embeddings: bool,
    /// q, k and v have a bias.
    pub qkv_bias: bool,
    /// q and k are RMS-normalised per head before the rotation.
    pub qk_norm: bool,
    /// Tokens that end a text; the first is the one Verdict teaches.
    pub eos_token_ids: Vec<u32>,
}

impl Architecture {
    /// The name that `config.json` (`model_type`) and GGUF (`general.architecture`) use.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::Llama => "llama",
            Architecture::Qwen2 => "qwen2",
            Architecture::Qwen3 => "qwen3",
        }
    }

    /// The family of that name, if Verdict runs it.
    pub(crate) fn from_name(name: &str) -> Option<Architecture> {
        [
            Architecture::Llama,
            Architecture::Qwen2,
            Architecture::Qwen3,
        ]
        .into_iter()
        .find(|a| a.name() == name)
    }
}

impl ModelConfig {
    /// Every tensor such a model has, by Hugging Face's name, with its shape `[out, in]` or `[n]`.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (h, f, d) = (self.hidden_size, self.intermediate_size, self.head_dim);
        let (q, kv) = (self.num_attention_heads * d, self.num_key_value_heads * d);
        // The same in every layer.
        let mut layer: Vec<(&str, Vec<usize>)> = vec![
            ("input_layernorm.weight", vec![h]),
            ("self_attn.q_proj.weight", vec![q, h]),
            ("self_attn.k_proj.weight", vec![kv, h]),
            ("self_attn.v_proj.weight", vec![kv, h]),
            ("self_attn.o_proj.weight", vec![h, q]),
        ];
        if self.qkv_bias {
            layer.extend([
                ("self_attn.q_proj.bias", vec![q]),
                ("self_attn.k_proj.bias", vec![kv]),
                ("self_attn.v_proj.bias", vec![kv]),
            ]);
        }
        if self.qk_norm {
            layer.extend([
                ("self_attn.q_norm.weight", vec![d]),
                ("self_attn.k_norm.weight", vec![d]),
            ]);
        }
        layer.extend([
            ("post_attention_layernorm.weight", vec![h]),
            ("mlp.gate_proj.weight", vec![f, h]),
            ("mlp.up_proj.weight", vec![f, h]),
            ("mlp.down_proj.weight", vec![h, f]),
        ]);
        let mut tensors = vec![
            (
                "model.embed_tokens.weight".to_string(),
                vec![self.vocab_size, h],
            ),
            ("model.norm.weight".to_string(), vec![h]),
        ];
        if !self.tie_word_embeddings {
            tensors.push(("lm_head.weight".to_string(), vec![self.vocab_size, h]));
        }
        for index in 0..self.num_hidden_layers {
            let named = |(name, shape): &(&str, Vec<usize>)| {
                (format!("model.layers.{index}.{name}"), shape.clone())
            };
            tensors.extend(layer.iter().map(named));
        }
        tensors
    }

    /// Checks what no decoder can do without: sizes above zero, heads that divide evenly.
    ///
    /// `path` and `keys` (this file's words for heads, key-value heads, head width) go into the
    /// error's text.
    pub(crate) fn validate(&self, path: &Path, keys: &ConfigKeys) -> Result<()> {
        // The caps keep a broken file from asking for more memory or time than there is: products
        // of two sizes stay far from overflow, and `tensors` names no more than a few thousand.
        const SIZE: usize = 1 << 28;
        for (key, value, cap) in [
            (keys.hidden_size, self.hidden_size, SIZE),
            (keys.intermediate_size, self.intermediate_size, SIZE),
            (keys.num_hidden_layers, self.num_hidden_layers, 1024),
            (keys.num_attention_heads, self.num_attention_heads, SIZE),
            (keys.num_key_value_heads, self.num_key_value_heads, SIZE),
            (keys.head_dim, self.head_dim, SIZE),
            (keys.vocab_size, self.vocab_size, SIZE),
            (
                keys.max_position_embeddings,
                self.max_position_embeddings,
                SIZE,
            ),
        ] {
            if value == 0 || value > cap {
                let (expected, found) = (format!("1 to {cap}"), value.to_string());
                return Err(Error::bad_value(path, key, expected, found));
            }
        }
        if !self
            .num_attention_heads
            .is_multiple_of(self.num_key_value_heads)
        {
            return Err(Error::bad_value(
                path,
                keys.num_key_value_heads,
                format!("a divisor of the {} query heads", self.num_attention_heads),
                self.num_key_value_heads.to_string(),
            ));
        }
        if !self.head_dim.is_multiple_of(2) {
            let found = self.head_dim.to_string();
            return Err(Error::bad_value(
                path,
                keys.head_dim,
                "an even number",
                found,
            ));
        }
        if !(self.rms_norm_eps > 0.0 && self.rms_norm_eps < 1.0) {
            let found = self.rms_norm_eps.to_string();
            return Err(Error::bad_value(
                path,
                keys.rms_norm_eps,
                "a small number above 0",
                found,
            ));
        }
        if !(self.rope_theta >= 1.0 && self.rope_theta.is_finite()) {
            let found = self.rope_theta.to_string();
            return Err(Error::bad_value(
                path,
                keys.rope_theta,
                "a number from 1 up",
                found,
            ));
        }
        let positive = |value: f32| value.is_finite() && value > 0.0;
        let wrong = match &self.rope_scaling {
            None => None,
            Some(RopeScaling::Divisors(all)) => {
                let frequencies = self.head_dim / 2;
                let bad = all.iter().find(|d| !positive(**d));
                let found = match bad {
                    _ if all.len() != frequencies => Some(format!("{} divisors", all.len())),
                    Some(divisor) => Some(format!("the divisor {divisor}")),
                    None => None,
                };
                found.map(|found| (format!("{frequencies} divisors above 0"), found))
            }
            Some(RopeScaling::Llama3 {
                factor,
                low_freq_factor: low,
                high_freq_factor: high,
                original_max_position_embeddings: positions,
            }) => {
                let sound = positive(*factor)
                    && positive(*low)
                    && high > low
                    && high.is_finite()
                    && *positions > 0;
                let expected = "numbers above 0, high_freq_factor above low_freq_factor";
                let found = format!(
                    "factor {factor}, low_freq_factor {low}, high_freq_factor {high}, \
                     original_max_position_embeddings {positions}"
                );
                (!sound).then(|| (expected.to_owned(), found))
            }
        };
        match wrong {
            None => Ok(()),
            Some((expected, found)) => {
                Err(Error::bad_value(path, keys.rope_scaling, expected, found))
            }
        }
    }
}

/// What a file format calls the fields of [`ModelConfig`].
pub(crate) struct ConfigKeys {
    pub(crate) hidden_size: &'static str,
    pub(crate) intermediate_size: &'static str,
    pub(crate) num_hidden_layers: &'static str,
    pub(crate) num_attention_heads: &'static str,
    pub(crate) num_key_value_heads: &'static str,
    pub(crate) head_dim: &'static str,
    pub(crate) vocab_size: &'static str,
    pub(crate) max_position_embeddings: &'static str,
    pub(crate) rms_norm_eps: &'static str,
    pub(crate) rope_theta: &'static str,
    pub(crate) rope_scaling: &'static str,
}
