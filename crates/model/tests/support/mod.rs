//! Golden files of transformers and PEFT, read for the tests (dev/reference/README.md says what they hold),
//! and the device that the tests run on: `VERDICT_TEST_DEVICE`, `cpu` (the default) or `cuda:0`.
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::PathBuf;

use safetensors::SafeTensors;
use serde_json::Value;
use verdict_model::formats::{Adapter, Checkpoint};
use verdict_model::{
    AdapterBank, BaseQuantization, ComputeDtype, Device, Example, LoadOptions, Model,
};
use verdict_testkit::{BF16_UNIT, F32_UNIT, assert_close};

pub const FAMILIES: [&str; 3] = ["llama", "qwen2", "qwen3"];

/// The device under test.
pub fn device() -> Device {
    let name = std::env::var("VERDICT_TEST_DEVICE").unwrap_or_default();
    match name.strip_prefix("cuda:").map(str::parse) {
        None if name.is_empty() || name == "cpu" => Device::Cpu,
        Some(Ok(number)) => Device::Cuda(number),
        _ => panic!("VERDICT_TEST_DEVICE: expected cpu or cuda:0, found {name}"),
    }
}

/// Whether the device under test is a GPU.
pub fn on_gpu() -> bool {
    device() != Device::Cpu
}

/// Whether the device under test is the CPU; a test of the CPU alone says so where it is not.
pub fn on_cpu_or_skipped(what: &str) -> bool {
    if on_gpu() {
        #[allow(clippy::print_stderr, reason = "a skipped test must say so")]
        {
            eprintln!("skipped on a GPU: {what}");
        }
    }
    !on_gpu()
}

/// The device's most exact form of a base: products in f32 on the CPU; on a GPU, which has none, in bf16,
/// and bf16 for an f32 base.
pub fn options(base: BaseQuantization) -> LoadOptions {
    let (base, compute) = match (on_gpu(), base) {
        (false, base) => (base, Some(ComputeDtype::F32)),
        (true, BaseQuantization::F32) => (BaseQuantization::Bf16, None),
        (true, base) => (base, None),
    };
    LoadOptions {
        base,
        compute,
        threads: 2,
        device: device(),
        ..LoadOptions::default()
    }
}

/// Rounding units of the largest wanted value that the device may be off: of f32 on the CPU, of bf16 on a
/// GPU.
///
/// There, weights, residual stream and products are bf16, as in PEFT's own bf16 run. What that is off on
/// the same goldens, `dev/reference/bf16_spread.py` prints; the tests allow twice as much. A wrong sign,
/// factor or index is hundreds of units.
#[track_caller]
pub fn assert_near(what: &str, got: &[f32], want: &[f64], cpu: f64, gpu: f64) {
    match on_gpu() {
        false => assert_close(what, got, want, cpu, F32_UNIT),
        true => assert_close(what, got, want, gpu, BF16_UNIT),
    }
}

pub struct Golden {
    pub folder: PathBuf,
    pub json: Value,
    bytes: Vec<u8>,
}

pub struct Sequence {
    pub tokens: Vec<u32>,
    pub loss_from: Option<usize>,
}

pub fn u32s(value: &Value) -> Vec<u32> {
    value
        .as_array()
        .expect("list")
        .iter()
        .map(|v| v.as_u64().expect("number") as u32)
        .collect()
}

pub fn f64s(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .expect("list")
        .iter()
        .map(|v| v.as_f64().expect("number"))
        .collect()
}

impl Golden {
    pub fn read(family: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/goldens")
            .join(family);
        let json = std::fs::read_to_string(folder.join("golden.json")).expect("golden.json");
        let bytes = std::fs::read(folder.join("golden.safetensors")).expect("golden.safetensors");
        Self {
            json: serde_json::from_str(&json).expect("JSON"),
            folder,
            bytes,
        }
    }

    pub fn tensor(&self, name: &str) -> Vec<f64> {
        let file = SafeTensors::deserialize(&self.bytes).expect("safetensors");
        let data = file
            .tensor(name)
            .unwrap_or_else(|e| panic!("{name}: {e}"))
            .data()
            .to_vec();
        data.as_chunks::<4>()
            .0
            .iter()
            .map(|b| f64::from(f32::from_le_bytes(*b)))
            .collect()
    }

    pub fn names(&self, prefix: &str) -> Vec<String> {
        let file = SafeTensors::deserialize(&self.bytes).expect("safetensors");
        file.names()
            .into_iter()
            .filter(|n| n.starts_with(prefix))
            .map(str::to_owned)
            .collect()
    }

    pub fn sequences(&self) -> Vec<Sequence> {
        let list = self.json["sequences"].as_array().expect("sequences");
        list.iter()
            .map(|s| Sequence {
                tokens: u32s(&s["tokens"]),
                loss_from: s["loss_from"].as_u64().map(|v| v as usize),
            })
            .collect()
    }

    /// The model on the device under test.
    pub fn on_device(&self, base: BaseQuantization) -> Model {
        self.model_with(options(base))
    }

    /// The model on the CPU.
    pub fn model(&self, base: BaseQuantization, compute: ComputeDtype) -> Model {
        let options = LoadOptions {
            base,
            compute: Some(compute),
            threads: 2,
            ..LoadOptions::default()
        };
        self.model_with(options)
    }

    pub fn model_with(&self, options: LoadOptions) -> Model {
        let checkpoint = Checkpoint::open(self.folder.join("model")).expect("checkpoint");
        Model::load(&checkpoint, options).expect("model")
    }

    pub fn adapter(&self, name: &str) -> Adapter {
        Adapter::read(self.folder.join(format!("adapter-{name}"))).expect("adapter")
    }

    pub fn bank(&self, model: &Model, names: &[&str]) -> AdapterBank {
        let mut bank = AdapterBank::empty();
        for name in names {
            bank.add(model.config(), name, &self.adapter(name))
                .expect("adapter fits");
        }
        bank
    }
}

/// Sequences with something to predict, as a batch of one adapter; the weight makes the loss their mean.
pub fn batch<'a>(
    sequences: &'a [Sequence],
    which: &[usize],
    adapter: Option<usize>,
) -> Vec<Example<'a>> {
    let taught: Vec<(usize, usize)> = which
        .iter()
        .filter_map(|i| sequences[*i].loss_from.map(|from| (*i, from)))
        .collect();
    let count: usize = taught
        .iter()
        .map(|(i, from)| sequences[*i].tokens.len() - from)
        .sum();
    taught
        .iter()
        .map(|(i, from)| Example {
            adapter,
            tokens: &sequences[*i].tokens,
            loss_from: *from,
            weight: 1.0 / count as f32,
            rest: None,
            key: *i as u64,
        })
        .collect()
}
