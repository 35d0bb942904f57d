//! `verdict train --init-adapter`: a run that starts from the adapter of another one.

mod common;
#[path = "common/tiny.rs"]
mod tiny;

use std::fs;
use std::path::Path;

use common::show;
use serde_json::Value;

fn manifest(run: &Path) -> Value {
    let text = fs::read(run.join("MANIFEST.json")).expect("a manifest");
    serde_json::from_slice(&text).expect("JSON")
}

#[test]
fn the_second_phase_begins_where_the_first_ended() {
    let folder = tiny::folder();
    let at = folder.path();
    let train = |flags: &str| {
        let settings =
            "--data data --model tiny --batch 4 --threads 2 --prompt-format question-twice --quiet";
        show(at, &format!("train {settings} {flags}"))
    };
    let said = train("--rank 2 --lr 0.01 --steps 6 --rationale-weight 0.1 --out first");
    assert!(said.starts_with("status: 0"), "{said}");
    // A learning rate that changes nothing: the second run validates the first one's adapter.
    let next = "--init-adapter first/adapters/r2 --lr 1e-12 --steps 1 --out second";
    let said = train(&format!("--rank 2 --alpha-ratio 4 {next}"));
    assert!(said.starts_with("status: 0"), "{said}");
    let [first, second] = ["first", "second"].map(|run| manifest(&at.join(run)));
    let loss = |run: &Value, of: &Value| -> f64 {
        assert!(
            of["label_loss"]["standard_error"]
                .as_f64()
                .expect("a number")
                > 0.0,
            "{run}"
        );
        of["label_loss"]["mean"].as_f64().expect("a number")
    };
    let [ended, begun] = [&first, &second].map(|run| loss(run, &run["members"][0]["validation"]));
    assert!((ended - begun).abs() < 1e-4, "{ended} and {begun}");
    let base = loss(&first, &first["base"]);
    assert!(
        (ended - base).abs() > 1e-3,
        "the first phase changed something: {base}"
    );
    assert_eq!(
        second["init_adapter_sha256"],
        first["members"][0]["files"]["adapter_model.safetensors"]
    );
    assert_eq!(second["settings"]["prompt_format"], "question-twice");

    let said = train(&format!("--rank 4 {next}-of-another-rank"));
    assert!(said.contains("--rank 2 continues it"), "{said}");
    let said = train(&format!("--rank 2,4 {next}-of-two-ranks"));
    assert!(said.contains("expected one rank"), "{said}");
}
