//! Every way a model, an adapter or a batch can be refused, by its text.

mod support;

use support::Golden;
use verdict_model::formats::Checkpoint;
use verdict_model::{
    AdamW, AdapterBank, AdapterSpec, BaseQuantization, Chunk, ComputeDtype, Example, Isa,
    LoadOptions, Model, Trainer,
};

fn model() -> (Golden, Model) {
    let golden = Golden::read("llama");
    let model = golden.on_device(BaseQuantization::Int8);
    (golden, model)
}

fn example(tokens: &[u32], loss_from: usize, adapter: Option<usize>) -> Example<'_> {
    Example {
        adapter,
        tokens,
        loss_from,
        weight: 1.0,
        rest: None,
        key: 0,
    }
}

fn refused(model: &Model, examples: &[Example<'_>]) -> String {
    let error = model.evaluate(&AdapterBank::empty(), examples, &[]);
    error.expect_err("must be refused").to_string()
}

#[test]
fn a_weight_that_is_not_a_number() {
    let golden = Golden::read("llama");
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("nan-weight");
    std::fs::create_dir_all(&folder).expect("folder");
    for file in ["config.json", "tokenizer.json"] {
        std::fs::copy(golden.folder.join("model").join(file), folder.join(file)).expect("copied");
    }
    let mut bytes = std::fs::read(golden.folder.join("model/model.safetensors")).expect("weights");
    let header = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    let json: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).expect("header");
    let tensor = "model.layers.1.mlp.up_proj.weight";
    let start = json[tensor]["data_offsets"][0].as_u64().expect("offset") as usize;
    // Row 3 of 64 columns.
    let at = 8 + header + start + (3 * 64 + 5) * 4;
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(folder.join("model.safetensors"), bytes).expect("written");
    let checkpoint = Checkpoint::open(&folder).expect("opens");
    for base in [
        BaseQuantization::Int8,
        BaseQuantization::Bf16,
        BaseQuantization::F32,
    ] {
        let text = Model::load(&checkpoint, support::options(base))
            .expect_err("NaN")
            .to_string();
        let end = "nan-weight: tensor `model.layers.1.mlp.up_proj.weight`: row 3 holds NaN, expected finite numbers";
        assert!(text.ends_with(end), "{text}");
    }
}

#[test]
fn an_adapter_for_another_model() {
    let (golden, model) = model();
    let mut bank = AdapterBank::empty();
    let other = Golden::read("qwen3").adapter("r4");
    let text = bank
        .add(model.config(), "r4", &other)
        .expect_err("other shapes")
        .to_string();
    assert_eq!(
        text,
        "adapter `r4` does not fit this model: `model.layers.0.self_attn.q_proj.lora_B.weight` is [96, 4], \
         expected [64, 4]"
    );
    let mut longer = golden.adapter("r4");
    let tensor = longer.tensors["model.layers.0.mlp.up_proj.lora_A.weight"].clone();
    longer
        .tensors
        .insert("model.layers.7.mlp.up_proj.lora_A.weight".into(), tensor);
    let text = bank
        .add(model.config(), "r4", &longer)
        .expect_err("no such layer")
        .to_string();
    assert_eq!(
        text,
        "adapter `r4` does not fit this model: it has `model.layers.7.mlp.up_proj.lora_A.weight`, the model has \
         no such layer"
    );
    assert!(bank.is_empty(), "a refused adapter leaves nothing behind");
}

#[test]
fn examples_that_cannot_run() {
    let (_, model) = model();
    assert_eq!(
        refused(&model, &[example(&[1, 2, 999], 1, None)]),
        "token 999: the model's vocabulary has 320 entries"
    );
    let long = vec![1; model.max_positions() + 1];
    assert_eq!(
        refused(&model, &[example(&long, 1, None)]),
        format!(
            "a sequence of {} tokens: the model's positions end at {}",
            long.len(),
            long.len() - 1
        )
    );
    assert_eq!(
        refused(&model, &[example(&[1, 2], 2, None)]),
        "example 0: supervised from token 2 of 2"
    );
    assert_eq!(
        refused(&model, &[example(&[1, 2], 1, Some(0))]),
        "example 0: no adapter Some(0)"
    );
    let mut bank = AdapterBank::empty();
    let spec = AdapterSpec {
        name: "a".into(),
        rank: 4,
        alpha: 8.0,
        dropout: 0.0,
        seed: 1,
    };
    bank.create(model.config(), &spec);
    let unsorted = [example(&[1, 2], 1, Some(0)), example(&[1, 2], 1, None)];
    let mut trainer = Trainer::new(&model, bank, AdamW::default()).expect("trainer");
    let text = trainer.accumulate(&model, &unsorted, &[]);
    assert_eq!(
        text.expect_err("unsorted").to_string(),
        "examples must be sorted by adapter"
    );
}

#[test]
fn chunks_that_cannot_run() {
    let (_, model) = model();
    let mut cache = model.new_cache();
    let sequence = cache.add_sequence();
    let bank = AdapterBank::empty();
    let mut text = |chunks: &[Chunk<'_>]| {
        model
            .extend(&bank, &mut cache, chunks)
            .expect_err("must be refused")
            .to_string()
    };
    let chunk = |sequence, tokens| Chunk {
        sequence,
        adapter: None,
        tokens,
    };
    assert_eq!(text(&[chunk(5, &[1])]), "sequence 5: not in the cache");
    assert_eq!(
        text(&[chunk(sequence, &[])]),
        "sequence 0: no token to append"
    );
    assert_eq!(
        text(&[chunk(sequence, &[1]), chunk(sequence, &[2])]),
        "sequence 0: named twice"
    );
    assert_eq!(
        text(&[Chunk {
            adapter: Some(1),
            ..chunk(sequence, &[1])
        }]),
        "sequence 0: no such adapter"
    );
    assert_eq!(cache.len(sequence), 0, "a refused call changes nothing");
}

#[test]
fn a_machine_without_bf16() {
    if !support::on_cpu_or_skipped("bf16 is always there") {
        return;
    }
    let golden = Golden::read("llama");
    let checkpoint = Checkpoint::open(golden.folder.join("model")).expect("opens");
    let options = LoadOptions {
        compute: Some(ComputeDtype::Bf16),
        isa: Isa::Portable,
        ..LoadOptions::default()
    };
    let text = Model::load(&checkpoint, options)
        .expect_err("no bf16")
        .to_string();
    assert_eq!(
        text,
        "compute bf16 needs AVX-512 BF16 or AMX; this processor offers portable"
    );
}
