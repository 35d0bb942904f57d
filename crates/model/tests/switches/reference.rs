//! A decoder in f64, straight from the formulas, one token after the other: what all paths of the engines are
//! compared with. LoRA adapters are part of it.

use std::collections::BTreeMap;

use verdict_model::formats::{ModelConfig, RopeScaling};

/// Weights by Hugging Face's names.
pub type Tensors = BTreeMap<String, Vec<f64>>;

/// A LoRA adapter.
pub struct Lora {
    /// `model.layers.0.self_attn.q_proj.lora_A.weight` `[r, in]` and so on.
    pub tensors: Tensors,
    /// α/r.
    pub scale: f64,
}

/// A model's configuration and weights, with an adapter on top where there is one.
#[derive(Clone, Copy)]
pub struct Decoder<'a> {
    pub config: &'a ModelConfig,
    pub tensors: &'a Tensors,
    pub lora: Option<&'a Lora>,
}

impl Decoder<'_> {
    /// Logits `[tokens][V]`.
    pub fn logits(&self, tokens: &[u32]) -> Vec<Vec<f64>> {
        // Without `..`: a new field of the configuration does not compile until this decoder, and with it the
        // table of switches, takes account of it.
        let ModelConfig {
            architecture: _,
            hidden_size,
            intermediate_size: _,
            num_hidden_layers,
            num_attention_heads,
            num_key_value_heads,
            head_dim,
            vocab_size: _,
            max_position_embeddings: _,
            rms_norm_eps: _,
            rope_theta: _,
            rope_scaling: _,
            tie_word_embeddings,
            qkv_bias: _,
            qk_norm: _,
            eos_token_ids: _,
        } = self.config;
        let (heads, kv_heads, d) = (*num_attention_heads, *num_key_value_heads, *head_dim);
        let embedding = self.tensor("model.embed_tokens.weight");
        let mut x: Vec<Vec<f64>> = tokens
            .iter()
            .map(|t| embedding[*t as usize * hidden_size..][..*hidden_size].to_vec())
            .collect();
        for layer in 0..*num_hidden_layers {
            let name = |part: &str| format!("model.layers.{layer}.{part}");
            let mut keys: Vec<Vec<f64>> = Vec::new();
            let mut values: Vec<Vec<f64>> = Vec::new();
            for (position, x) in x.iter_mut().enumerate() {
                let normed = self.norm(x, &name("input_layernorm"));
                let mut q = self.linear(&normed, &name("self_attn.q_proj"));
                let mut k = self.linear(&normed, &name("self_attn.k_proj"));
                self.norm_and_rotate(&mut q, position, &name("self_attn.q_norm"));
                self.norm_and_rotate(&mut k, position, &name("self_attn.k_norm"));
                keys.push(k);
                values.push(self.linear(&normed, &name("self_attn.v_proj")));
                let mut attended = Vec::new();
                for head in 0..heads {
                    let kv = head / (heads / kv_heads) * d..;
                    let q = &q[head * d..][..d];
                    let scores: Vec<f64> = keys
                        .iter()
                        .map(|k| dot(q, &k[kv.clone()][..d]) / (d as f64).sqrt())
                        .collect();
                    let weights = softmax(&scores);
                    attended.extend((0..d).map(|i| {
                        let of = weights.iter().zip(&values);
                        of.map(|(w, v)| w * v[kv.clone()][i]).sum::<f64>()
                    }));
                }
                add(x, &self.linear(&attended, &name("self_attn.o_proj")));
                let normed = self.norm(x, &name("post_attention_layernorm"));
                let gate = self.linear(&normed, &name("mlp.gate_proj"));
                let up = self.linear(&normed, &name("mlp.up_proj"));
                let act: Vec<f64> = gate
                    .iter()
                    .zip(up)
                    .map(|(g, u)| g / (1.0 + (-g).exp()) * u)
                    .collect();
                add(x, &self.linear(&act, &name("mlp.down_proj")));
            }
        }
        let head = match tie_word_embeddings {
            true => "model.embed_tokens",
            false => "lm_head",
        };
        x.iter()
            .map(|x| self.linear(&self.norm(x, "model.norm"), head))
            .collect()
    }

    /// The mean loss of the tokens from `loss_from` on, in nats.
    pub fn loss(&self, tokens: &[u32], loss_from: usize) -> f64 {
        let logits = self.logits(&tokens[..tokens.len() - 1]);
        let losses = (loss_from..tokens.len()).map(|i| {
            let row = &logits[i - 1];
            log_sum_exp(row) - row[tokens[i] as usize]
        });
        losses.sum::<f64>() / (tokens.len() - loss_from) as f64
    }

    fn tensor(&self, name: &str) -> &[f64] {
        let tensor = self.tensors.get(name);
        tensor.unwrap_or_else(|| panic!("no tensor {name}"))
    }

    /// `W x + b + α/r · B A x` of a module.
    fn linear(&self, x: &[f64], module: &str) -> Vec<f64> {
        let mut y = matrix(self.tensor(&format!("{module}.weight")), x);
        let biased = ["q_proj", "k_proj", "v_proj"];
        if self.config.qkv_bias && biased.iter().any(|part| module.ends_with(part)) {
            add(&mut y, self.tensor(&format!("{module}.bias")));
        }
        if let Some(lora) = self.lora {
            let part = |which: &str| lora.tensors.get(&format!("{module}.{which}.weight"));
            if let (Some(a), Some(b)) = (part("lora_A"), part("lora_B")) {
                let update = matrix(b, &matrix(a, x));
                let scaled = update.iter().map(|v| v * lora.scale);
                add(&mut y, &scaled.collect::<Vec<_>>());
            }
        }
        y
    }

    fn norm(&self, x: &[f64], name: &str) -> Vec<f64> {
        let weight = self.tensor(&format!("{name}.weight"));
        let mean = dot(x, x) / x.len() as f64;
        let root = (mean + f64::from(self.config.rms_norm_eps)).sqrt();
        x.iter().zip(weight).map(|(x, w)| x / root * w).collect()
    }

    /// Each head of `x`: normed where the family does so, then rotated to its position.
    fn norm_and_rotate(&self, x: &mut [f64], position: usize, norm: &str) {
        let half = self.config.head_dim / 2;
        for head in x.chunks_exact_mut(2 * half) {
            if self.config.qk_norm {
                let normed = self.norm(head, norm);
                head.copy_from_slice(&normed);
            }
            for i in 0..half {
                let (sin, cos) = (position as f64 * self.frequency(i)).sin_cos();
                let (a, b) = (head[i], head[half + i]);
                (head[i], head[half + i]) = (a * cos - b * sin, b * cos + a * sin);
            }
        }
    }

    fn frequency(&self, i: usize) -> f64 {
        let c = self.config;
        let plain = f64::from(c.rope_theta).powf(-2.0 * i as f64 / c.head_dim as f64);
        match &c.rope_scaling {
            None => plain,
            Some(RopeScaling::Divisors(divisors)) => plain / f64::from(divisors[i]),
            Some(RopeScaling::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position_embeddings,
            }) => {
                let [factor, low, high] =
                    [factor, low_freq_factor, high_freq_factor].map(|v| f64::from(*v));
                let turns =
                    *original_max_position_embeddings as f64 * plain / std::f64::consts::TAU;
                let share = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                (1.0 - share) * plain / factor + share * plain
            }
        }
    }
}

/// `W x` of a matrix `[outputs, inputs]`.
fn matrix(weights: &[f64], x: &[f64]) -> Vec<f64> {
    weights
        .chunks_exact(x.len())
        .map(|row| dot(row, x))
        .collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], from: &[f64]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let sum = log_sum_exp(scores);
    scores.iter().map(|s| (s - sum).exp()).collect()
}

pub fn log_sum_exp(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    largest + values.iter().map(|v| (v - largest).exp()).sum::<f64>().ln()
}
