//! Everything that a [`ModelConfig`] can switch on, through every path that runs a decoder block: forward,
//! decoding with a cache, backward. Each path is compared with a decoder in f64 (`reference.rs`).
//!
//! The block is written five times: forward and backward on each device, and the recorded decoding step of a
//! GPU. A family that needs something new in the block adds a field to
//! `ModelConfig`, which stops this test from compiling until the reference decoder has it; a row in
//! [`SWITCHES`] then fails in each of the paths that was forgotten. On a GPU: `VERDICT_TEST_DEVICE=cuda:0`.

mod reference;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use reference::{Decoder, Lora, Tensors, log_sum_exp};
use safetensors::tensor::{Dtype, TensorView};
use support::{assert_near, on_gpu, options};
use verdict_model::formats::{
    Adapter, AdapterConfig, AdapterTensor, Architecture, Checkpoint, ModelConfig, RopeScaling,
    Targets,
};
use verdict_model::{AdamW, AdapterBank, BaseQuantization, Chunk, Example, Model, Trainer};
use verdict_testkit::{numbers, relative_error, wide};

/// Turns one switch of a configuration.
type Switch = fn(&mut ModelConfig);

/// What a configuration can switch on, and how it differs from [`plain`].
const SWITCHES: [(&str, Switch); 10] = [
    ("nothing", |_| {}),
    ("grouped-query attention", |c| c.num_key_value_heads = 2),
    ("heads wider than H / heads", |c| c.head_dim = 32),
    ("tied head", |c| c.tie_word_embeddings = true),
    ("biases of q, k and v", |c| {
        c.architecture = Architecture::Qwen2;
        c.qkv_bias = true;
    }),
    ("norms of q and k", |c| {
        c.architecture = Architecture::Qwen3;
        c.qk_norm = true;
    }),
    ("Llama 3's rope scaling", |c| {
        c.rope_scaling = Some(RopeScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 32,
        });
    }),
    ("divisors of rope frequencies", |c| {
        let divisors = (0..c.head_dim / 2).map(|i| 1.0 + i as f32);
        c.rope_scaling = Some(RopeScaling::Divisors(divisors.collect()));
    }),
    ("another rope base", |c| c.rope_theta = 50.0),
    ("another epsilon", |c| c.rms_norm_eps = 0.5),
];

/// Two layers of four heads, of sizes that a GPU takes too; every switch is off.
fn plain() -> ModelConfig {
    ModelConfig {
        architecture: Architecture::Llama,
        hidden_size: 64,
        intermediate_size: 96,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 4,
        head_dim: 16,
        vocab_size: 64,
        max_position_embeddings: 64,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        rope_scaling: None,
        tie_word_embeddings: false,
        qkv_bias: false,
        qk_norm: false,
        eos_token_ids: vec![2],
    }
}

const TOKENS: [u32; 14] = [1, 17, 42, 5, 63, 8, 30, 17, 2, 55, 21, 9, 44, 38];
/// The first supervised token.
const LOSS_FROM: usize = 4;
const RANK: usize = 4;
const SCALE: f32 = 2.0;

/// A model of random weights with one switch on, and one adapter.
struct Case {
    name: &'static str,
    config: ModelConfig,
    weights: Tensors,
    adapter: Adapter,
    lora: Lora,
}

/// Numbers that bf16 holds exactly, so that a GPU has the same weights.
fn exact(seed: u64, len: usize, size: f32) -> Vec<f32> {
    let cut = |v: f32| f32::from_bits(v.to_bits() & 0xffff_0000);
    numbers(seed, len, size).into_iter().map(cut).collect()
}

/// Weights whose activations are about 1 everywhere.
fn weight(seed: u64, name: &str, len: usize) -> Vec<f32> {
    match name {
        _ if name.contains("norm") => {
            let near_one = exact(seed, len, 0.4).into_iter().map(|v| 1.0 + v);
            near_one
                .map(|v| f32::from_bits(v.to_bits() & 0xffff_0000))
                .collect()
        }
        _ if name.contains("embed_tokens") => exact(seed, len, 1.0),
        _ => exact(seed, len, 0.3),
    }
}

impl Case {
    fn new(number: usize) -> Self {
        let (name, set) = SWITCHES[number];
        let mut config = plain();
        set(&mut config);
        // Also what this configuration does not have: the reference without the switch may read it.
        let all = ModelConfig {
            tie_word_embeddings: false,
            qkv_bias: true,
            qk_norm: true,
            ..config.clone()
        };
        let mut weights = Tensors::new();
        let mut adapter = BTreeMap::new();
        for (seed, (name, shape)) in (1..).zip(all.tensors()) {
            let len = shape.iter().product();
            weights.insert(name.clone(), wide(&weight(seed, &name, len)));
            let module = name.strip_suffix("_proj.weight");
            let (Some(module), [outputs, inputs]) = (module, shape.as_slice()) else {
                continue;
            };
            let matrices = [("A", [RANK, *inputs], 100), ("B", [*outputs, RANK], 200)];
            for (which, shape, offset) in matrices {
                let data = exact(offset + seed, shape.iter().product(), 0.3);
                adapter.insert(
                    format!("{module}_proj.lora_{which}.weight"),
                    AdapterTensor {
                        shape: shape.to_vec(),
                        data,
                    },
                );
            }
        }
        let modules = ["q", "k", "v", "o", "gate", "up", "down"].map(|of| format!("{of}_proj"));
        let tensors = adapter
            .iter()
            .map(|(name, t)| (name.clone(), wide(&t.data)));
        Self {
            name,
            lora: Lora {
                tensors: tensors.collect(),
                scale: f64::from(SCALE),
            },
            adapter: Adapter {
                config: AdapterConfig {
                    r: RANK,
                    lora_alpha: SCALE * RANK as f32,
                    lora_dropout: 0.0,
                    targets: Targets::of(modules.to_vec()),
                    target_modules: modules.to_vec(),
                    base_model_name_or_path: None,
                },
                tensors: adapter,
            },
            config,
            weights,
        }
    }

    /// The model on the device under test, opened from files.
    fn model(&self) -> Model {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("switches-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("folder");
        let c = &self.config;
        let json = serde_json::json!({
            "model_type": c.architecture.name(),
            "hidden_size": c.hidden_size,
            "intermediate_size": c.intermediate_size,
            "num_hidden_layers": c.num_hidden_layers,
            "num_attention_heads": c.num_attention_heads,
            "num_key_value_heads": c.num_key_value_heads,
            "head_dim": c.head_dim,
            "vocab_size": c.vocab_size,
            "max_position_embeddings": c.max_position_embeddings,
            "rms_norm_eps": c.rms_norm_eps,
            "rope_theta": c.rope_theta,
            "tie_word_embeddings": c.tie_word_embeddings,
            "eos_token_id": c.eos_token_ids,
        });
        std::fs::write(folder.join("config.json"), json.to_string()).expect("written");
        let tensors = c.tensors();
        let bytes = |name: &String| -> Vec<u8> {
            let values = self.weights[name].iter();
            values.flat_map(|v| (*v as f32).to_le_bytes()).collect()
        };
        let data: Vec<_> = tensors.iter().map(|(name, _)| bytes(name)).collect();
        let views = tensors.iter().zip(&data).map(|((name, shape), data)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), data);
            (name, view.expect("fits"))
        });
        let file = safetensors::serialize(views, None).expect("serialized");
        std::fs::write(folder.join("model.safetensors"), file).expect("written");
        let mut checkpoint = Checkpoint::open(&folder).expect("opens");
        // Divisors come with GGUF files alone.
        checkpoint.config.rope_scaling.clone_from(&c.rope_scaling);
        let model = Model::load(&checkpoint, options(BaseQuantization::F32)).expect("loads");
        assert_eq!(model.config(), c, "{}", self.name);
        std::fs::remove_dir_all(&folder).expect("removed");
        model
    }

    fn bank(&self, model: &Model) -> AdapterBank {
        let mut bank = AdapterBank::empty();
        bank.add(model.config(), "r4", &self.adapter).expect("fits");
        bank
    }

    fn reference(&self, adapter: Option<usize>) -> Decoder<'_> {
        Decoder {
            config: &self.config,
            tensors: &self.weights,
            lora: adapter.map(|_| &self.lora),
        }
    }
}

fn cases() -> impl Iterator<Item = Case> {
    (0..SWITCHES.len()).map(Case::new)
}

fn example(adapter: Option<usize>) -> Example<'static> {
    Example {
        adapter,
        tokens: &TOKENS,
        loss_from: LOSS_FROM,
        weight: 1.0 / (TOKENS.len() - LOSS_FROM) as f32,
        rest: None,
        key: 0,
    }
}

/// Without this, a path that ignores a switch might pass for one that has it.
#[test]
fn every_switch_changes_the_logits_far_beyond_rounding() {
    for case in cases().skip(1) {
        let plain = plain();
        let off = ModelConfig {
            // Shapes must stay; what they change is beyond doubt.
            num_key_value_heads: case.config.num_key_value_heads,
            head_dim: case.config.head_dim,
            ..plain.clone()
        };
        if off.tensors() != plain.tensors() {
            continue;
        }
        let on = case.reference(None).logits(&TOKENS).concat();
        let off = Decoder {
            config: &off,
            ..case.reference(None)
        };
        let off: Vec<f32> = off
            .logits(&TOKENS)
            .concat()
            .iter()
            .map(|v| *v as f32)
            .collect();
        let change = relative_error(&off, &on);
        assert!(change > 0.2, "{}: {change}", case.name);
    }
}

#[test]
fn forward() {
    for case in cases() {
        let model = case.model();
        let probes: Vec<u32> = (0..case.config.vocab_size as u32).collect();
        let examples = [None, Some(0)].map(example);
        let losses = model.evaluate(&case.bank(&model), &examples, &probes);
        for (found, example) in losses.expect("losses").iter().zip(examples) {
            let what = format!("{}, adapter {:?}", case.name, example.adapter);
            let logits = case.reference(example.adapter).logits(&TOKENS);
            assert_near(&what, &found.probes, &logits[LOSS_FROM - 1], 100.0, 18.0);
            let wanted = (LOSS_FROM..TOKENS.len()).map(|i| {
                let row = &logits[i - 1];
                log_sum_exp(row) - row[TOKENS[i] as usize]
            });
            let wanted = [wanted.sum::<f64>()];
            assert_near(&what, &[found.loss_sum as f32], &wanted, 100.0, 10.0);
        }
    }
}

#[test]
fn decoding() {
    for case in cases() {
        let model = case.model();
        let bank = case.bank(&model);
        let wanted = [None, Some(0)].map(|adapter| case.reference(adapter).logits(&TOKENS));
        let mut cache = model.new_cache();
        let sequences = [None, Some(0)].map(|adapter| (cache.add_sequence(), adapter));
        // A prompt of some tokens, then one at a time.
        let (mut done, prompt) = (0, 5);
        while done < TOKENS.len() {
            let tokens = &TOKENS[done..if done == 0 { prompt } else { done + 1 }];
            let chunks = sequences.map(|(sequence, adapter)| Chunk {
                sequence,
                adapter,
                tokens,
            });
            done += tokens.len();
            let found = model.extend(&bank, &mut cache, &chunks).expect("logits");
            let rows = found.chunks_exact(case.config.vocab_size);
            for ((found, wanted), (_, adapter)) in rows.zip(&wanted).zip(sequences) {
                let what = format!("{}, adapter {adapter:?}, {done} tokens", case.name);
                assert_near(&what, found, &wanted[done - 1], 100.0, 18.0);
            }
        }
    }
}

/// Each matrix's gradient along a random direction against the reference's derivative along it.
#[test]
fn backward() {
    // Of the gradient's length; on a GPU activations and their gradients are rounded to bf16.
    let tolerance = if on_gpu() { 0.2 } else { 1e-3 };
    for mut case in cases() {
        let model = case.model();
        let mut trainer =
            Trainer::new(&model, case.bank(&model), AdamW::default()).expect("trainer");
        trainer
            .accumulate(&model, &[example(Some(0))], &[])
            .expect("gradients");
        let gradient = trainer.gradient(&model, 0).expect("gradient");
        for (name, found) in &gradient.tensors {
            let found = wide(&found.data);
            let direction = wide(&numbers(7, found.len(), 1.0));
            let place = case.lora.tensors[name].clone();
            let mut loss_at = |step: f64| {
                let moved = place.iter().zip(&direction).map(|(p, d)| p + step * d);
                case.lora.tensors.insert(name.clone(), moved.collect());
                case.reference(Some(0)).loss(&TOKENS, LOSS_FROM)
            };
            let step = 1e-4;
            let wanted = (loss_at(step) - loss_at(-step)) / (2.0 * step);
            case.lora.tensors.insert(name.clone(), place);
            let slope: f64 = found.iter().zip(&direction).map(|(g, d)| g * d).sum();
            let length = found.iter().map(|g| g * g).sum::<f64>().sqrt();
            assert!(
                (slope - wanted).abs() <= tolerance * length,
                "{}, {name}: slope {slope}, expected {wanted}, gradient of length {length}",
                case.name
            );
        }
    }
}
