//! Adapter folders: PEFT's are read, Verdict's are the same each time, wrong ones are named.

mod common;

use common::{Weights, message, write_safetensors};
use safetensors::tensor::Dtype;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use verdict_formats::{Adapter, AdapterConfig, AdapterTensor, Targets};

const A: &str = "model.layers.0.self_attn.q_proj.lora_A.weight";
const B: &str = "model.layers.0.self_attn.q_proj.lora_B.weight";

fn adapter() -> Adapter {
    let tensor = |shape: [usize; 2], from: f32| AdapterTensor {
        shape: shape.to_vec(),
        data: (0..shape[0] * shape[1])
            .map(|i| from + i as f32 / 3.0)
            .collect(),
    };
    Adapter {
        config: AdapterConfig {
            r: 2,
            lora_alpha: 32.0,
            lora_dropout: 0.05,
            target_modules: vec!["down_proj".into(), "q_proj".into()],
            base_model_name_or_path: Some("smollm2-135m".into()),
            targets: Targets::of(["down_proj", "q_proj"]),
        },
        tensors: BTreeMap::from([
            (A.into(), tensor([2, 4], 0.1)),
            (B.into(), tensor([6, 2], -1.0)),
            (
                "model.layers.0.mlp.down_proj.lora_A.weight".into(),
                tensor([2, 8], 7.0),
            ),
            (
                "model.layers.0.mlp.down_proj.lora_B.weight".into(),
                tensor([4, 2], 0.0),
            ),
        ]),
    }
}

#[test]
fn what_is_written_is_read_back_and_the_bytes_are_the_same_each_time() {
    let (one, two) = (
        tempfile::TempDir::new().unwrap(),
        tempfile::TempDir::new().unwrap(),
    );
    adapter().write(one.path()).unwrap();
    adapter().write(two.path().join("new/folder")).unwrap();
    assert_eq!(Adapter::read(one.path()).unwrap(), adapter());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(one.path()).unwrap() {
        let name = entry.unwrap().file_name();
        let bytes = |dir: &Path| std::fs::read(dir.join(&name)).unwrap();
        assert_eq!(bytes(one.path()), bytes(&two.path().join("new/folder")));
        names.push(name.into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["adapter_config.json", "adapter_model.safetensors"]);
    // Over an old adapter, too.
    adapter().write(one.path()).unwrap();
    assert_eq!(Adapter::read(one.path()).unwrap(), adapter());
}

#[test]
fn the_configuration_written_has_only_keys_that_every_peft_knows() {
    let dir = tempfile::TempDir::new().unwrap();
    adapter().write(dir.path()).unwrap();
    assert_eq!(
        std::fs::read_to_string(dir.path().join("adapter_config.json")).unwrap(),
        r#"{
  "base_model_name_or_path": "smollm2-135m",
  "bias": "none",
  "fan_in_fan_out": false,
  "inference_mode": true,
  "lora_alpha": 32,
  "lora_dropout": 0.05,
  "peft_type": "LORA",
  "r": 2,
  "target_modules": [
    "down_proj",
    "q_proj"
  ],
  "task_type": "CAUSAL_LM"
}
"#
    );
}

#[test]
fn an_adapter_that_peft_wrote_is_read() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/peft_adapter");
    let adapter = Adapter::read(dir).unwrap();
    assert_eq!((adapter.config.r, adapter.config.lora_alpha), (2, 4.0));
    assert_eq!(adapter.config.lora_dropout, 0.05);
    assert_eq!(adapter.config.target_modules, ["down_proj", "q_proj"]);
    assert_eq!(adapter.config.base_model_name_or_path, None);
    let names: Vec<&str> = adapter.tensors.keys().map(String::as_str).collect();
    let down = "model.layers.0.mlp.down_proj";
    assert_eq!(
        names,
        [
            format!("{down}.lora_A.weight").as_str(),
            &format!("{down}.lora_B.weight"),
            A,
            B
        ]
    );
    let a = &adapter.tensors[A];
    assert_eq!(a.shape, [2, 8]);
    // Eighths that rise by one, as peft_adapter.py set them.
    assert!(
        a.data.windows(2).all(|w| w[1] - w[0] == 0.125),
        "{:?}",
        a.data
    );
}

/// Writes a folder with that configuration over [`adapter`]'s tensors in `dtype`.
fn folder(
    change: impl FnOnce(&mut serde_json::Value),
    tensors: &Weights,
    dtype: Dtype,
) -> tempfile::TempDir {
    let dir = tempfile::TempDir::new().unwrap();
    let mut config = json!({
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 2, "lora_alpha": 4,
        "lora_dropout": 0.0, "target_modules": ["q_proj"], "bias": "none",
    });
    change(&mut config);
    std::fs::write(dir.path().join("adapter_config.json"), config.to_string()).unwrap();
    write_safetensors(
        &dir.path().join("adapter_model.safetensors"),
        tensors,
        dtype,
    );
    dir
}

fn tensors() -> Weights {
    let prefix = |name: &str| format!("base_model.model.{name}");
    BTreeMap::from([
        (prefix(A), (vec![2, 4], vec![0.5; 8])),
        (prefix(B), (vec![6, 2], vec![-2.0; 12])),
    ])
}

#[test]
fn half_precision_rank_stabilised_and_pattern_adapters_are_read() {
    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
        let dir = folder(|_| {}, &tensors(), dtype);
        assert_eq!(Adapter::read(dir.path()).unwrap().tensors[A].data, [0.5; 8]);
    }
    let dir = folder(
        |c| {
            c["use_rslora"] = true.into();
            c["lora_alpha"] = 16.into();
            c["target_modules"] = r".*\.(q|k)_proj".into();
        },
        &tensors(),
        Dtype::F32,
    );
    let config = Adapter::read(dir.path()).unwrap().config;
    // 16 / √2 = lora_alpha / 2
    assert_eq!(config.lora_alpha, 16.0 * 2f32.sqrt());
    assert_eq!(config.target_modules, ["q_proj"]);
}

#[test]
fn settings_that_verdict_does_not_do_are_refused_by_name() {
    for (key, value, expected) in [
        (
            "peft_type",
            json!("IA3"),
            "peft_type \"IA3\" is not supported: adapters are LORA",
        ),
        (
            "task_type",
            json!("SEQ_CLS"),
            "task_type \"SEQ_CLS\" is not supported: adapters answer by generating: CAUSAL_LM",
        ),
        (
            "use_dora",
            json!(true),
            "use_dora = true is not supported: DoRA rescales the base's columns; train with use_dora = false",
        ),
        (
            "rank_pattern",
            json!({"q_proj": 8}),
            "rank_pattern = {\"q_proj\":8} is not supported: all modules of an adapter share one rank and alpha",
        ),
        (
            "alpha_pattern",
            json!({"q_proj": 8}),
            "alpha_pattern = {\"q_proj\":8} is not supported: all modules of an adapter share one rank and alpha",
        ),
        (
            "modules_to_save",
            json!(["lm_head"]),
            "modules_to_save = [\"lm_head\"] is not supported: the base's own weights stay as they are; only LoRA's A and B are read",
        ),
        (
            "bias",
            json!("all"),
            "bias = \"all\" is not supported: adapters have no biases; train with bias = \"none\"",
        ),
        (
            "fan_in_fan_out",
            json!(true),
            "fan_in_fan_out = true is not supported: weights are [out, in]",
        ),
        (
            "init_lora_weights",
            json!("pissa"),
            "init_lora_weights = \"pissa\" is not supported: this start changes the base's weights; save it with path_initial_model_for_weight_conversion",
        ),
        (
            "new_trick",
            json!(3),
            "new_trick = 3 is not supported: it may change the result, and Verdict does not know it",
        ),
        (
            "r",
            json!(0),
            "key `r`: expected a whole number from 1 up, found 0",
        ),
        (
            "lora_alpha",
            json!("4"),
            "key `lora_alpha`: expected a number above 0, found \"4\"",
        ),
        (
            "lora_dropout",
            json!(1.0),
            "key `lora_dropout`: expected 0 to below 1, found 1.0",
        ),
        (
            "target_modules",
            json!([1]),
            "key `target_modules`: expected a list of module names, found [1]",
        ),
        (
            "use_rslora",
            json!("x"),
            "key `use_rslora`: expected true or false, found \"x\"",
        ),
    ] {
        let dir = folder(|c| c[key] = value, &tensors(), Dtype::F32);
        let text = message(Adapter::read(dir.path()), dir.path());
        assert_eq!(
            text,
            format!("adapter_config.json: {expected}").replace(": key", ": key")
        );
    }
    for key in ["peft_type", "r", "lora_alpha", "target_modules"] {
        let dir = folder(
            |c| drop(c.as_object_mut().unwrap().remove(key)),
            &tensors(),
            Dtype::F32,
        );
        let text = message(Adapter::read(dir.path()), dir.path());
        assert_eq!(text, format!("adapter_config.json: key `{key}` is missing"));
    }
}

#[test]
fn wrong_tensors_are_named() {
    let prefix = "base_model.model.";
    let text = |change: &dyn Fn(&mut Weights), dtype: Dtype| {
        let mut tensors = tensors();
        change(&mut tensors);
        let dir = folder(|_| {}, &tensors, dtype);
        let text = message(Adapter::read(dir.path()), dir.path());
        text.strip_prefix("adapter_model.safetensors: tensor ")
            .unwrap()
            .to_string()
    };
    let nothing = |_: &mut Weights| {};
    assert_eq!(
        text(&nothing, Dtype::I32),
        format!("`{prefix}{A}`: number format I32 is not supported: expected F32, F16 or BF16")
    );
    assert_eq!(
        text(&|t| drop(t.remove(&format!("{prefix}{B}"))), Dtype::F32),
        format!("`{prefix}{B}` is missing")
    );
    assert_eq!(
        text(
            &|t| t.get_mut(&format!("{prefix}{A}")).unwrap().0 = vec![4, 2],
            Dtype::F32
        ),
        format!("`{A}`: expected shape [2, 2], found [4, 2]")
    );
    assert_eq!(
        text(
            &|t| t.get_mut(&format!("{prefix}{B}")).unwrap().0 = vec![12],
            Dtype::F32
        ),
        format!("`{B}`: expected shape [6, 2], found [12]")
    );
    for (value, shown) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        assert_eq!(
            text(
                &|t| t.get_mut(&format!("{prefix}{B}")).unwrap().1[7] = value,
                Dtype::F32
            ),
            format!("`{B}`: value 7 is {shown}, expected a finite number")
        );
    }
    let names = "expected base_model.model.<module>.lora_A.weight or lora_B.weight";
    for name in ["model.norm.weight", "base_model.model.lm_head.weight"] {
        let stray = |t: &mut Weights| drop(t.insert(name.into(), (vec![1], vec![0.0])));
        let shown = name.strip_prefix(prefix).unwrap_or(name);
        assert_eq!(
            text(&stray, Dtype::F32),
            format!("`{shown}` does not belong here: {names}")
        );
    }
    assert_eq!(
        text(&|t| t.clear(), Dtype::F32),
        "`base_model.model.<module>.lora_A.weight or lora_B.weight` is missing"
    );
}

#[test]
fn files_missing_or_broken() {
    let dir = tempfile::TempDir::new().unwrap();
    assert_eq!(
        message(Adapter::read(dir.path()), dir.path()),
        "adapter_config.json: No such file or directory (os error 2)"
    );
    let dir = folder(|_| {}, &tensors(), Dtype::F32);
    let weights = dir.path().join("adapter_model.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &whole[..whole.len() - 5]).unwrap();
    assert_eq!(
        message(Adapter::read(dir.path()), dir.path()),
        format!(
            "adapter_model.safetensors: the file is cut short: expected {} bytes, found {}",
            whole.len(),
            whole.len() - 5
        )
    );
    std::fs::rename(&weights, dir.path().join("adapter_model.bin")).unwrap();
    assert_eq!(
        message(Adapter::read(dir.path()), dir.path()),
        "adapter_model.bin: a pickled adapter is not supported: save it with safe_serialization=True"
    );
    std::fs::write(dir.path().join("adapter_config.json"), "{\"r\": }").unwrap();
    assert_eq!(
        message(Adapter::read(dir.path()), dir.path()),
        "adapter_config.json: not valid JSON: expected value at line 1 column 7"
    );
}

#[test]
fn a_failed_write_leaves_nothing_under_a_final_name() {
    let dir = tempfile::TempDir::new().unwrap();
    let mut broken = adapter();
    broken.tensors.get_mut(A).unwrap().data[3] = f32::NAN;
    assert_eq!(
        message(broken.write(dir.path()), dir.path()),
        format!(
            "adapter_model.safetensors: tensor `{A}`: value 3 is NaN, expected a finite number"
        )
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    // A folder has the name of the temporary file.
    std::fs::create_dir(dir.path().join("adapter_model.safetensors.partial")).unwrap();
    assert_eq!(
        message(adapter().write(dir.path()), dir.path()),
        "adapter_model.safetensors.partial: Is a directory (os error 21)"
    );
    assert!(!dir.path().join("adapter_config.json").exists());
}
