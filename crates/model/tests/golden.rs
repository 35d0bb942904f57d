//! The decoder against transformers and PEFT on three tiny random models: in f32 on the CPU, in bf16 on a
//! GPU (`VERDICT_TEST_DEVICE`).
//!
//! Tolerances are rounding units relative to the largest value of a tensor. In f32 both sides sum
//! products of 64 to 96 terms over two or three blocks in different orders, so tens of units are
//! expected; a wrong sign, factor or index is millions. In bf16, twice what PEFT's own bf16 run is off.

mod support;

use std::path::PathBuf;

use support::{FAMILIES, Golden, assert_near, batch, f64s, u32s};
use verdict_model::{AdamW, AdapterBank, BaseQuantization, Chunk, Model, Rate, Trainer};

fn all_logits(
    model: &Model,
    bank: &AdapterBank,
    adapter: Option<usize>,
    tokens: &[u32],
) -> Vec<f32> {
    let mut cache = model.new_cache();
    let sequence = cache.add_sequence();
    tokens
        .iter()
        .flat_map(|t| {
            model
                .extend(
                    bank,
                    &mut cache,
                    &[Chunk {
                        sequence,
                        adapter,
                        tokens: &[*t],
                    }],
                )
                .expect("extend")
        })
        .collect()
}

#[test]
fn logits_of_base_and_adapters() {
    for family in FAMILIES {
        let golden = Golden::read(family);
        let model = golden.on_device(BaseQuantization::F32);
        let bank = golden.bank(&model, &["r4", "r6"]);
        for (i, sequence) in golden.sequences().iter().enumerate() {
            for (adapter, name) in [(None, "base"), (Some(0), "r4"), (Some(1), "r6")] {
                let got = all_logits(&model, &bank, adapter, &sequence.tokens);
                let want = golden.tensor(&format!("{name}/logits/{i}"));
                assert_near(
                    &format!("{family} {name} logits {i}"),
                    &got,
                    &want,
                    100.0,
                    18.0,
                );
            }
        }
    }
}

#[test]
fn losses_of_base_and_adapters() {
    for family in FAMILIES {
        let golden = Golden::read(family);
        let model = golden.on_device(BaseQuantization::F32);
        let bank = golden.bank(&model, &["r4", "r6"]);
        let sequences = golden.sequences();
        let all: Vec<usize> = (0..sequences.len()).collect();
        for (adapter, want) in [
            (None, &golden.json["base"]),
            (Some(0), &golden.json["adapters"]["r4"]),
            (Some(1), &golden.json["adapters"]["r6"]),
        ] {
            let losses = model
                .evaluate(&bank, &batch(&sequences, &all, adapter), &[])
                .expect("losses");
            let sums: Vec<f32> = losses.iter().map(|l| l.loss_sum as f32).collect();
            assert_near(
                &format!("{family} {adapter:?} loss"),
                &sums,
                &f64s(&want["loss_sums"]),
                50.0,
                1.4,
            );
        }
    }
}

#[test]
fn every_gradient_by_name() {
    for family in FAMILIES {
        let golden = Golden::read(family);
        let model = golden.on_device(BaseQuantization::F32);
        let sequences = golden.sequences();
        let all: Vec<usize> = (0..sequences.len()).collect();
        let mut trainer =
            Trainer::new(&model, golden.bank(&model, &["r4", "r6"]), AdamW::default())
                .expect("trainer");
        for (index, name) in ["r4", "r6"].into_iter().enumerate() {
            trainer
                .accumulate(&model, &batch(&sequences, &all, Some(index)), &[])
                .expect("gradients");
            let got = trainer.gradient(&model, index).expect("gradient");
            let names = golden.names(&format!("{name}/gradient/"));
            assert_eq!(names.len(), got.tensors.len(), "{family} {name}");
            for full in names {
                let tensor = full.rsplit('/').next().expect("name");
                let want = golden.tensor(&full);
                assert_near(
                    &format!("{family} {full}"),
                    &got.tensors[tensor].data,
                    &want,
                    200.0,
                    30.0,
                );
            }
        }
    }
}

#[test]
fn ten_steps_of_training() {
    for family in FAMILIES {
        let golden = Golden::read(family);
        let model = golden.on_device(BaseQuantization::F32);
        let sequences = golden.sequences();
        for (index, name) in ["r4", "r6"].into_iter().enumerate() {
            let curve = &golden.json["adapters"][name]["curve"];
            let mut trainer =
                Trainer::new(&model, golden.bank(&model, &["r4", "r6"]), AdamW::default())
                    .expect("trainer");
            let (mut losses, mut norms) = (Vec::new(), Vec::new());
            for (which, lr) in curve["batches"]
                .as_array()
                .expect("batches")
                .iter()
                .zip(f64s(&curve["lr"]))
            {
                let which: Vec<usize> = u32s(which).into_iter().map(|i| i as usize).collect();
                let examples = batch(&sequences, &which, Some(index));
                let parts = trainer.accumulate(&model, &examples, &[]).expect("step");
                let tokens: usize = parts.iter().map(|p| p.tokens).sum();
                losses.push((parts.iter().map(|p| p.loss_sum).sum::<f64>() / tokens as f64) as f32);
                let clip = curve["clip"].as_f64().expect("clip") as f32;
                norms.extend(
                    trainer
                        .step(
                            &model,
                            &[Rate {
                                adapter: index,
                                lr: lr as f32,
                                clip,
                            }],
                        )
                        .expect("step"),
                );
            }
            let what = format!("{family} {name}");
            // Adam divides by the root of a moment near zero: a weight whose gradient is rounding noise
            // may move either way by lr. The losses do not feel it.
            assert_near(
                &format!("{what} losses"),
                &losses,
                &f64s(&curve["losses"]),
                500.0,
                1.2,
            );
            assert_near(
                &format!("{what} norms"),
                &norms,
                &f64s(&curve["gradient_norms"]),
                2_000.0,
                7.2,
            );
            let end = trainer.export(&model, index).expect("adapter");
            for full in golden.names(&format!("{name}/final/")) {
                let tensor = full.rsplit('/').next().expect("name");
                assert_near(
                    &format!("{what} {tensor}"),
                    &end.tensors[tensor].data,
                    &golden.tensor(&full),
                    20_000.0,
                    13.0,
                );
            }
        }
    }
}

/// Golden values by transformers (`dev/reference/labels_golden.py`): frequencies of published configurations, and
/// logits in f64 of the tiny Llama with `rope_scaling` laid over its configuration.
#[test]
fn llama_3s_positions_are_rescaled_as_transformers_does() {
    use verdict_model::formats::{Checkpoint, RopeScaling};
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("goldens/llama3_rope.json")).expect("JSON");
    let number = |of: &serde_json::Value, key: &str| of[key].as_f64().expect("number") as f32;
    for of in golden["frequencies"].as_array().expect("list") {
        let scaling = RopeScaling::Llama3 {
            factor: number(of, "factor"),
            low_freq_factor: number(of, "low_freq_factor"),
            high_freq_factor: number(of, "high_freq_factor"),
            original_max_position_embeddings: number(of, "original_max_position_embeddings")
                as usize,
        };
        let head = of["head_dim"].as_u64().expect("number") as usize;
        let mut found = verdict_kernels::rope_frequencies(head, number(of, "theta"));
        scaling.apply(&mut found);
        let wanted = support::f64s(&of["values"]);
        assert_eq!(found.len(), wanted.len());
        for (got, want) in found.iter().zip(wanted) {
            // Two units in the last place: the powers of `theta` are another library's.
            assert!(
                (f64::from(*got) / want - 1.0).abs() < 4e-7,
                "{got} against {want}"
            );
        }
    }
    let folder = Golden::read("llama").folder.join("model");
    let scaled = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("llama3");
    std::fs::create_dir_all(&scaled).expect("folder");
    std::fs::copy(
        folder.join("model.safetensors"),
        scaled.join("model.safetensors"),
    )
    .expect("copied");
    let text = std::fs::read_to_string(folder.join("config.json")).expect("config");
    let mut config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    config["rope_scaling"] = golden["rope_scaling"].clone();
    std::fs::write(scaled.join("config.json"), config.to_string()).expect("written");
    let checkpoint = Checkpoint::open(&scaled).expect("opens");
    let model = Model::load(&checkpoint, support::options(BaseQuantization::F32)).expect("loads");
    let tokens = support::u32s(&golden["tokens"]);
    let mut cache = model.new_cache();
    let chunk = verdict_model::Chunk {
        sequence: cache.add_sequence(),
        adapter: None,
        tokens: &tokens,
    };
    let bank = AdapterBank::empty();
    let found = model.extend(&bank, &mut cache, &[chunk]).expect("logits");
    let wanted = support::f64s(&golden["last_logits"]);
    support::assert_near("llama3 logits", &found, &wanted, 100.0, 8.0);
}
