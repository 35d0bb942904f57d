//! Adapters trained here, written as PEFT folders and read back. With `VERDICT_PEFT_OUT` set to a folder
//! the adapters and their logits stay there, and `dev/reference/check_peft.py` compares PEFT's with them:
//!
//! ```text
//! VERDICT_PEFT_OUT=out cargo test -p verdict-model --test peft
//! python dev/reference/check_peft.py --adapter out/qwen3/adapter --logits out/qwen3/logits.json \
//!     --model crates/model/tests/goldens/qwen3/model
//! ```

mod support;

use std::path::PathBuf;

use support::Golden;
use verdict_model::formats::{Adapter, Targets};
use verdict_model::{
    AdamW, AdapterBank, AdapterSpec, BaseQuantization, Chunk, Example, Model, Rate, Trainer,
};

fn logits(model: &Model, bank: &AdapterBank, tokens: &[u32]) -> Vec<f32> {
    let mut cache = model.new_cache();
    let chunk = Chunk {
        sequence: cache.add_sequence(),
        adapter: Some(0),
        tokens,
    };
    model.extend(bank, &mut cache, &[chunk]).expect("logits")
}

#[test]
fn a_trained_adapter_survives_its_folder_to_the_bit() {
    let kept = std::env::var_os("VERDICT_PEFT_OUT").map(PathBuf::from);
    for family in support::FAMILIES {
        let golden = Golden::read(family);
        let model = golden.on_device(BaseQuantization::F32);
        let mut bank = AdapterBank::empty();
        bank.create(
            model.config(),
            &AdapterSpec {
                name: "trained".into(),
                rank: 5,
                alpha: 10.0,
                dropout: 0.1,
                seed: 3,
            },
        );
        let sequences = golden.sequences();
        let mut trainer = Trainer::new(&model, bank, AdamW::default()).expect("trainer");
        for step in 0..3 {
            let examples: Vec<Example<'_>> = sequences
                .iter()
                .filter(|s| s.tokens.len() > 1)
                .enumerate()
                .map(|(i, s)| Example {
                    adapter: Some(0),
                    tokens: &s.tokens,
                    loss_from: 1,
                    weight: 0.02,
                    rest: None,
                    key: step * 100 + i as u64,
                })
                .collect();
            trainer.accumulate(&model, &examples, &[]).expect("pass");
            let rate = Rate {
                adapter: 0,
                lr: 0.02,
                clip: 1.0,
            };
            trainer.step(&model, &[rate]).expect("step");
        }
        let temporary = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("peft");
        let folder = kept.as_ref().unwrap_or(&temporary).join(family);
        std::fs::create_dir_all(&folder).expect("folder");
        let adapter = trainer.export(&model, 0).expect("adapter");
        adapter.write(folder.join("adapter")).expect("written");
        let read = Adapter::read(folder.join("adapter")).expect("read");
        assert_eq!(read.tensors, adapter.tensors);

        let mut again = AdapterBank::empty();
        again.add(model.config(), "read", &read).expect("fits");
        // Started from the adapter with four times its alpha: B is divided by four, which rounds nothing.
        let mut started = AdapterBank::empty();
        let spec = |rank| AdapterSpec {
            name: "started".into(),
            rank,
            alpha: 40.0,
            dropout: 0.0,
            seed: 9,
        };
        started.create(model.config(), &spec(5));
        let begun = started.initialize(model.config(), 0, &read);
        begun.expect("same rank");
        let mut other = AdapterBank::empty();
        other.create(model.config(), &spec(4));
        let refused = other.initialize(model.config(), 0, &read).unwrap_err();
        assert!(
            refused.to_string().contains("--rank 5 continues it"),
            "{refused}"
        );

        let mut rows = Vec::new();
        for s in &sequences {
            let after = logits(&model, trainer.bank(&model).expect("bank"), &s.tokens);
            assert_eq!(logits(&model, &again, &s.tokens), after, "{family}");
            assert_eq!(logits(&model, &started, &s.tokens), after, "{family}");
            let base = {
                let mut cache = model.new_cache();
                let sequence = cache.add_sequence();
                let chunk = Chunk {
                    sequence,
                    adapter: None,
                    tokens: &s.tokens,
                };
                model.extend(&again, &mut cache, &[chunk]).expect("base")
            };
            assert_ne!(base, after, "{family}: training changed nothing");
            rows.push(serde_json::json!({"tokens": s.tokens, "logits": after}));
        }
        let text = serde_json::json!({"sequences": rows}).to_string();
        std::fs::write(folder.join("logits.json"), text).expect("logits");
    }
}

#[test]
fn an_adapter_whose_tensors_are_not_those_of_its_configuration_is_refused() {
    let model = Golden::read("qwen3").on_device(BaseQuantization::F32);
    let mut bank = AdapterBank::empty();
    let spec = AdapterSpec {
        name: "whole".into(),
        rank: 2,
        alpha: 4.0,
        dropout: 0.0,
        seed: 1,
    };
    bank.create(model.config(), &spec);
    let whole = bank.export(model.config(), 0);
    let fails = |adapter: &Adapter| {
        let error = AdapterBank::empty()
            .add(model.config(), "x", adapter)
            .unwrap_err();
        error.to_string()
    };
    // All of one projection, one layer of it, or its two matrices in one layer.
    for gone in [
        "q_proj",
        "layers.1.self_attn.q_proj",
        "layers.0.mlp.down_proj",
    ] {
        let mut adapter = whole.clone();
        adapter.tensors.retain(|name, _| !name.contains(gone));
        let text = fails(&adapter);
        assert!(
            text.starts_with(
                "adapter `x`: its weights and its configuration do not match: tensor `model.layers."
            ),
            "{text}"
        );
        assert!(text.contains(gone.rsplit('.').next().unwrap()), "{text}");
        assert!(
            text.contains("lora_A.weight` is missing, though `target_modules`"),
            "{text}"
        );
    }
    // More than it names.
    let mut adapter = whole.clone();
    adapter.config.targets = Targets::of(["q_proj", "k_proj", "v_proj", "o_proj", "up_proj"]);
    let text = fails(&adapter);
    assert!(
        text.contains("gate_proj.lora_A.weight` is present, though"),
        "{text}"
    );
    // Fewer modules, as its configuration says.
    adapter
        .tensors
        .retain(|name, _| !name.contains("gate_proj") && !name.contains("down_proj"));
    AdapterBank::empty()
        .add(model.config(), "x", &adapter)
        .expect("as it says");
}
