//! The card as a whole, its metadata as a YAML reader has them, and what it says where.

use std::collections::BTreeMap;

use serde_json::json;
use verdict_data::Label;
use verdict_data::manifest::{FileRecord, SourceRecord, SplitRecord};

use super::*;
use crate::grid::AdapterSettings;
use crate::machine::Machine;
use crate::manifest::NestedValidation;
use crate::origin::{DataRecord, ModelRecord, Provenance};
use crate::settings::TrainSettings;

fn labels(yes: usize, no: usize, uncertain: usize) -> BTreeMap<Label, usize> {
    let counts = [
        (Label::Yes, yes),
        (Label::No, no),
        (Label::Uncertain, uncertain),
    ];
    counts.into_iter().collect()
}

fn split(name: &str, counts: BTreeMap<Label, usize>) -> SplitRecord {
    let rows = counts.values().sum();
    SplitRecord {
        split: name.into(),
        file: format!("{name}.jsonl"),
        sha256: name.repeat(3),
        rows,
        labels: counts,
        sources: [("pubmedqa-labeled".to_owned(), rows)].into(),
    }
}

fn data() -> DataRecord {
    let file = FileRecord {
        name: "train.parquet".into(),
        bytes: 9,
        sha256: "f".repeat(64),
    };
    let source = SourceRecord {
        source: "pubmedqa-labeled".into(),
        hub: Some("qiaojin/PubMedQA@9001f2853fb87cab8d220904e0de81ac6973b318".into()),
        rows: 330,
        passed_over: 0,
        labels: labels(150, 100, 80),
        files: vec![file],
    };
    DataRecord {
        tool_version: "0.1.0".into(),
        seed: 42,
        sources: vec![source],
        splits: vec![
            split("train", labels(120, 80, 64)),
            split("validation", labels(15, 10, 8)),
            split("test", labels(15, 10, 8)),
        ],
    }
}

fn model() -> ModelRecord {
    ModelRecord {
        family: "llama".into(),
        source: Some("hub:HuggingFaceTB/SmolLM2-360M@abc".into()),
        licence: Some("Apache-2.0".into()),
        parameters: 361_821_120,
        hidden_size: 960,
        intermediate_size: 2560,
        num_hidden_layers: 32,
        num_attention_heads: 15,
        num_key_value_heads: 5,
        head_dim: 64,
        vocab_size: 49_152,
        tokenizer_sha256: Some("a".repeat(64)),
    }
}

fn record(name: &str, accuracy: f64) -> AdapterRecord {
    AdapterRecord {
        adapter: AdapterSettings {
            name: name.into(),
            rank: 16,
            alpha: 32.0,
            dropout: 0.05,
            lr: 3e-4,
            seed: 42,
        },
        diverged: None,
        early_stop: None,
        kept_step: None,
        train_loss: Some(1.25),
        validation: Some(Score {
            loss: 1.5,
            accuracy,
            n: 33,
            label_loss: None,
        }),
        folds: Vec::new(),
        files: [("adapter_model.safetensors".to_owned(), "b".repeat(64))].into(),
    }
}

fn manifest(adapters: Vec<AdapterRecord>) -> Manifest {
    Manifest {
        micro_batch_tokens: None,
        label_score: None,
        tool: "verdict 0.1.0".into(),
        provenance: Provenance {
            data_manifest_sha256: "d".repeat(64),
            model_sha256: "e".repeat(64),
            init_adapter_sha256: None,
            data: Some(data()),
            model: Some(model()),
        },
        machines: vec![Machine {
            tool: "verdict 0.1.0".into(),
            commit: Some("0d6dc3c".into()),
            system: "linux".into(),
            processor: "Intel(R) Xeon(R)".into(),
            architecture: "x86_64".into(),
            kernels: "amx".into(),
            threads: 2,
            memory_gib: Some(64),
            ..Machine::default()
        }],
        steps: 93,
        train_rows: 264,
        base: Score {
            loss: 3.25,
            accuracy: 14.0 / 33.0,
            n: 33,
            label_loss: None,
        },
        nested: None,
        best: adapters[0].adapter.name.clone(),
        rule: "the smallest rank".into(),
        adapters,
        settings: TrainSettings {
            model: "/shelf/models/smollm2-360m".into(),
            ..TrainSettings::default()
        }
        .resolved(),
    }
}

/// The metadata as a YAML reader sees it.
fn front(card: &str) -> serde_json::Value {
    let rest = card.strip_prefix("---\n").expect("it begins with ---");
    let (yaml, _) = rest.split_once("\n---\n").expect("and ends with ---");
    serde_norway::from_str(yaml).expect("YAML")
}

#[test]
fn the_whole_card() {
    let manifest = manifest(vec![record("r16", 20.0 / 33.0)]);
    insta::assert_snapshot!(card(&manifest, &manifest.adapters[0]));
}

#[test]
fn the_metadata_is_yaml_with_the_hubs_keys() {
    let odd = "r\"16: \\ #x";
    let manifest = manifest(vec![record(odd, 20.0 / 33.0)]);
    let expected = json!({
        "base_model": "HuggingFaceTB/SmolLM2-360M",
        "base_model_relation": "adapter",
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "language": ["en"],
        "tags": ["lora", "peft", "verdict", "biomedical", "yes-no-questions"],
        "datasets": ["qiaojin/PubMedQA"],
        "metrics": ["accuracy"],
        "model-index": [{
            "name": odd,
            "results": [{
                "task": {"type": "text-generation", "name": "biomedical yes/no/uncertain questions"},
                "dataset": {
                    "type": "verdict",
                    "name": "validation examples of the Verdict data set dddddddddddd",
                    "split": "validation",
                },
                "metrics": [{
                    "type": "accuracy",
                    "value": 20.0 / 33.0,
                    "name": "label accuracy on validation examples",
                }],
            }],
        }],
    });
    assert_eq!(front(&card(&manifest, &manifest.adapters[0])), expected);
}

#[test]
fn what_is_unknown_is_left_out() {
    let mut manifest = manifest(vec![record("r16", 0.5)]);
    manifest.provenance.data = None;
    manifest.provenance.model = None;
    manifest.machines.clear();
    manifest.adapters[0].validation = None;
    let text = card(&manifest, &manifest.adapters[0]);
    let front = front(&text);
    for key in [
        "base_model",
        "datasets",
        "model-index",
        "metrics",
        "license",
    ] {
        assert!(front.get(key).is_none(), "{key}");
    }
    assert!(text.contains("## Validation\n\nNot measured.\n"), "{text}");
    assert!(text.contains("## Computed on\n\nNot recorded.\n"), "{text}");
    // Of a path only the last part, because folder names are private.
    assert!(text.contains("base model smollm2-360m"), "{text}");
    assert!(!text.contains("/shelf"), "{text}");
}

#[test]
fn an_accuracy_near_that_of_the_most_common_label_shows_nothing() {
    let shown = |accuracy: f64| {
        let manifest = manifest(vec![record("r16", accuracy)]);
        card(&manifest, &manifest.adapters[0])
    };
    // Always Yes is right for 15 of 33, 45.5 %; Wilson's interval of 20 of 33 begins at 43.7 %, of 25 at 59.0 %.
    let weak = shown(20.0 / 33.0);
    assert!(weak.contains("| always Yes | 45.5 % |"), "{weak}");
    assert!(
        weak.contains("The confidence interval reaches down to 43.7 %"),
        "{weak}"
    );
    assert!(!shown(25.0 / 33.0).contains("The confidence interval reaches"));
}

#[test]
fn an_adapter_of_a_grid_with_folds_describes_how_it_was_scored_and_chosen() {
    let mut manifest = manifest(vec![record("r16", 0.5), record("r32", 0.75)]);
    manifest.settings.folds = Some(5);
    manifest.settings.repeats = Some(2);
    manifest.nested = Some(NestedValidation {
        accuracy: 0.45,
        n: 297,
        repeats: Vec::new(),
    });
    let text = card(&manifest, &manifest.adapters[1]);
    for part in [
        "It was trained together with one other;",
        "(5 folds, drawn 2 times; the score is their mean)",
        "Of the 2 adapters another was chosen, by this rule: the smallest rank.",
        "including the choice of the adapter: label accuracy 45.0 % [39.6 %–50.8 %] on 297 examples.",
        // Train and validation: 135 of 297.
        "| always Yes | 45.5 % |",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert_eq!(
        front(&text)["model-index"][0]["results"][0]["dataset"]["split"],
        "pool"
    );
}
