//! Judging from the command line on a tiny random model: every system at once, looks, comparison, abstention.

mod common;
#[path = "common/tiny.rs"]
mod tiny;

use std::path::Path;

use common::{show, verdict};
use serde_json::Value;

/// A folder with a data set `data`, a model `tiny` and a run `run` of two adapters.
fn folder() -> tempfile::TempDir {
    let folder = tiny::folder();
    let command = "train --data data --model tiny --rank 2,4 --steps 3 --batch 4 --compute f32 --threads 2 --out run --quiet";
    let said = show(folder.path(), command);
    assert!(said.starts_with("status: 0"), "{said}");
    folder
}

fn json(folder: &Path, arguments: &str) -> Value {
    let output = verdict(folder)
        .args(arguments.split(' '))
        .output()
        .expect("ran");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

const MINE: &str = r#"{"id":"a","question":"Does it help?","label":"yes","rationale":"It does."}
{"id":"b","question":"Is it safe in children?","label":"no","rationale":"It is not."}
"#;

#[test]
fn base_adapters_and_ensemble_are_evaluated_in_one_command() {
    let folder = folder();
    let at = folder.path();
    std::fs::write(at.join("mine.jsonl"), MINE).expect("written");
    let report = json(
        at,
        "eval run --adapter all --ensemble all --benchmark test --benchmark jsonl:mine.jsonl \
         --benchmark stats-heldout:12 --robustness 2 --full-answers 2 --max-new-tokens 40 --bootstrap-samples 100 --json",
    );
    let systems: Vec<&str> = report["systems"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|system| system["name"].as_str())
        .collect();
    assert_eq!(systems, ["base", "r2", "r4", "ensemble-of-all"]);
    let names: Vec<&str> = report["benchmarks"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|benchmark| benchmark["name"].as_str())
        .collect();
    assert_eq!(names, ["test", "jsonl:mine.jsonl", "stats-heldout"]);
    for benchmark in report["benchmarks"].as_array().expect("a list") {
        assert_eq!(benchmark["systems"].as_array().map(Vec::len), Some(4));
        assert_eq!(benchmark["pairs"].as_array().map(Vec::len), Some(6));
        assert_eq!(benchmark["look"], 1);
        let written = &benchmark["systems"][1]["written"][0]["format"]["total"];
        assert_eq!(written, 2, "the first two are answered in full");
    }
    assert_eq!(report["benchmarks"][1]["items"], 2);
    assert_eq!(
        report["robustness"]["systems"].as_array().map(Vec::len),
        Some(4)
    );
    // The temperature is the adapter's.
    let beside = std::fs::read(at.join("run/adapters/r2/calibration.json")).expect("read");
    let beside: Value = serde_json::from_slice(&beside).expect("JSON");
    assert_eq!(report["systems"][1]["calibrations"], beside);
    for name in [
        "report.html",
        "report.md",
        "predictions.jsonl",
        "looks.jsonl",
    ] {
        assert!(at.join("run").join(name).is_file(), "{name}");
    }
}

const WITH_CONTEXTS: &str = r#"{"id":"a","question":"Is asthma common in towns?","label":"yes","context":"We counted inhalers in twelve towns and six villages."}
{"id":"b","question":"Do children need sunglasses?","label":"no","context":"Ten schools gave a pair to every second pupil in May."}
"#;

#[test]
fn dialogues_are_held_with_every_model_and_reported() {
    let folder = folder();
    let at = folder.path();
    std::fs::write(at.join("mine.jsonl"), WITH_CONTEXTS).expect("written");
    let eval = "eval run --adapter all --benchmark jsonl:mine.jsonl --dialogues 3 --full-answers 0 --max-new-tokens 40 \
                --bootstrap-samples 100";
    let report = json(at, &format!("{eval} --json"));
    let dialogues = &report["dialogues"];
    assert_eq!(
        dialogues["dialogues"], 5,
        "two of the file, three generated"
    );
    let models: Vec<&Value> = dialogues["models"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|of| &of[0])
        .collect();
    assert_eq!(models, ["base", "r2", "r4"]);
    let parts = dialogues["parts"].as_array().expect("a list");
    let sources = parts.iter().filter(|part| part["by"] == "source");
    let sources: Vec<&Value> = sources.map(|part| &part["part"]).collect();
    assert_eq!(sources, ["jsonl", "stats"]);
    let examples = dialogues["examples"].as_array().expect("a list");
    for example in examples {
        let turns = example["turns"].as_array().expect("a list");
        assert_eq!(turns.len(), 3);
        let answer = turns[0]["answer"].as_str().expect("a text");
        assert!(answer.contains(". Rationale: "), "{answer}");
    }
    for name in ["report.html", "report.md"] {
        let text = std::fs::read_to_string(at.join("run").join(name)).expect("read");
        assert!(text.contains("right non-change"), "{name}");
    }
    // The same again, under the name that other tools have for it.
    let again = json(
        at,
        &format!("{} --json", eval.replace("--dialogues", "--multi-turn")),
    );
    assert_eq!(&again["dialogues"], dialogues);
    let refused = show(at, "eval run --dialogues 3 --evidence none");
    assert!(refused.contains("cannot be used with"), "{refused}");
}

#[test]
fn a_second_look_is_told_and_survives_a_new_run() {
    let folder = folder();
    let at = folder.path();
    let eval = "eval run --benchmark test --full-answers 0 --bootstrap-samples 100";
    let first = show(at, &format!("{eval} --quiet"));
    assert!(first.starts_with("status: 0"), "{first}");
    assert!(!first.contains("look 2"), "{first}");
    let second = show(at, &format!("{eval} --quiet"));
    assert!(second.contains("look 2 at these questions"), "{second}");
    let again = show(
        at,
        "train --data data --model tiny --rank 2 --steps 1 --batch 4 --compute f32 --out run --overwrite --quiet",
    );
    assert!(again.starts_with("status: 0"), "{again}");
    assert!(!at.join("run/report.json").exists());
    let third = show(at, &format!("{eval} --quiet"));
    assert!(third.contains("look 3 at these questions"), "{third}");
}

#[test]
fn a_look_by_a_second_run_at_the_same_questions_is_told() {
    let folder = folder();
    let at = folder.path();
    let eval = "--benchmark test --full-answers 0 --bootstrap-samples 100 --quiet";
    let first = show(at, &format!("eval run {eval}"));
    assert!(!first.contains("look 2"), "{first}");
    let trained = show(
        at,
        "train --data data --model tiny --rank 2 --steps 2 --batch 4 --compute f32 --out changed --quiet",
    );
    assert!(trained.starts_with("status: 0"), "{trained}");
    let second = show(at, &format!("eval changed {eval}"));
    assert!(
        second.contains("look 2 at these questions, by 2 runs"),
        "{second}"
    );
    // The questions count, not their folder.
    assert!(at.join("data/looks.log").is_file());
    std::fs::remove_file(at.join("data/looks.log")).expect("removed");
    let third = show(at, &format!("eval changed {eval}"));
    assert!(
        third.contains("look 3 at these questions, by 2 runs"),
        "{third}"
    );
}

#[test]
fn a_second_evaluation_keeps_the_benchmarks_of_the_first() {
    let folder = folder();
    let at = folder.path();
    std::fs::write(at.join("mine.jsonl"), MINE).expect("written");
    let flags = "--full-answers 0 --bootstrap-samples 100 --json";
    let names = |report: &Value| -> Vec<String> {
        let all = report["benchmarks"].as_array().expect("a list").iter();
        all.filter_map(|of| of["name"].as_str().map(str::to_owned))
            .collect()
    };
    json(at, &format!("eval run --benchmark test {flags}"));
    let second = json(
        at,
        &format!("eval run --benchmark jsonl:mine.jsonl {flags}"),
    );
    assert_eq!(names(&second), ["jsonl:mine.jsonl", "test"]);
    assert!(second["benchmarks"][1]["kept"]["time"].as_u64() > Some(1_700_000_000));
    assert!(second["benchmarks"][0]["kept"].is_null());
    let lines = std::fs::read_to_string(at.join("run/predictions.jsonl")).expect("read");
    assert!(lines.contains("\"benchmark\":\"test\"") && lines.contains("jsonl:mine.jsonl"));
    let page = std::fs::read_to_string(at.join("run/report.md")).expect("read");
    assert!(page.contains("Kept from an earlier evaluation"), "{page}");
    // The same benchmark by another adapter: the new answers are in the report, the old ones are kept.
    let third = json(
        at,
        &format!("eval run --benchmark test --adapter r4 {flags}"),
    );
    assert_eq!(names(&third), ["test", "jsonl:mine.jsonl"]);
    let kept = std::fs::read_dir(at.join("run/earlier")).map_or(0, Iterator::count);
    let best = third["subject"]["best"].as_str();
    assert_eq!(kept, usize::from(best != Some("r4")));
    // Another run's report is not written over.
    let trained = show(
        at,
        "train --data data --model tiny --rank 2 --steps 2 --batch 4 --compute f32 --out other --quiet",
    );
    assert!(trained.starts_with("status: 0"), "{trained}");
    let refused = show(
        at,
        &format!("eval other --benchmark test --out run {flags}"),
    );
    assert!(refused.starts_with("status: 2"), "{refused}");
    assert!(
        refused.contains("holds the report of another run"),
        "{refused}"
    );
    assert!(
        refused.contains("choose another folder for the report with --out"),
        "{refused}"
    );
}

#[cfg(unix)]
#[test]
fn a_report_may_be_read_by_whoever_may_read_the_run() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder();
    let at = folder.path();
    let said = show(
        at,
        "eval run --benchmark test --full-answers 0 --bootstrap-samples 100 --quiet",
    );
    assert!(said.starts_with("status: 0"), "{said}");
    let rights = |name: &str| {
        let of = std::fs::metadata(at.join(name)).expect("a file");
        of.permissions().mode() & 0o777
    };
    std::fs::write(at.join("plain"), "").expect("written");
    for name in [
        "report.html",
        "report.md",
        "report.json",
        "predictions.jsonl",
    ] {
        assert_eq!(rights(&format!("run/{name}")), rights("plain"), "{name}");
    }
}

#[test]
fn who_left_the_batch_early_stands_in_the_report() {
    let folder = tiny::folder();
    let at = folder.path();
    let train = "train --data data --model tiny --rank 2,4 --lr 1e-3,1 --steps 8 --batch 4 --validate-every 1 \
                 --patience 1 --halving 4 --compute f32 --out run --quiet";
    let said = show(at, train);
    assert!(said.starts_with("status: 0"), "{said}");
    let said = show(at, "eval run --full-answers 0 --quiet");
    assert!(said.starts_with("status: 0"), "{said}");
    let manifest = std::fs::read_to_string(at.join("run/MANIFEST.json")).expect("a manifest");
    let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
    let reasons = manifest["members"].as_array().expect("members").iter();
    let reasons: Vec<&str> = reasons
        .filter_map(|of| of["dropped"]["reason"].as_str())
        .collect();
    assert!(reasons.len() >= 2, "{manifest}");
    for page in ["report.md", "report.html"] {
        let text = std::fs::read_to_string(at.join("run").join(page)).expect("a report");
        for reason in &reasons {
            assert!(
                text.contains(&format!("ended early: {reason}")),
                "{page}: {reason}"
            );
        }
    }
}

#[test]
fn runs_are_set_side_by_side() {
    let folder = folder();
    let at = folder.path();
    let early = show(at, "eval --compare run other");
    assert!(early.starts_with("status: 2"), "{early}");
    assert!(early.contains("hint: evaluate each run first"), "{early}");
    let trained = show(
        at,
        "train --data data --model tiny --rank 2 --lr 1e-2 --steps 2 --batch 4 --compute f32 --out other --quiet",
    );
    assert!(trained.starts_with("status: 0"), "{trained}");
    for run in ["run", "other"] {
        let said = show(
            at,
            &format!(
                "eval {run} --benchmark test --full-answers 0 --bootstrap-samples 100 --quiet"
            ),
        );
        assert!(said.starts_with("status: 0"), "{said}");
    }
    let compared = json(at, "eval --compare run other --out compared --json");
    let test = &compared["benchmarks"][0];
    assert_eq!(test["name"], "test");
    assert_eq!(test["systems"].as_array().map(Vec::len), Some(4));
    assert_eq!(test["pairs"].as_array().map(Vec::len), Some(1));
    assert!(at.join("compared/comparison.html").is_file());
    let one = show(at, "eval --compare run");
    assert!(
        one.contains("--compare: expected at least two runs, found one"),
        "{one}"
    );
}

#[test]
fn an_answer_may_abstain() {
    let folder = folder();
    let at = folder.path();
    let ask = |flags: &str| {
        json(
            at,
            &format!("ask --run run Why? --json --max-new-tokens 40 {flags}"),
        )
    };
    let plain = ask("--abstain-below 0");
    assert_eq!(plain["abstained"], false);
    assert_eq!(plain["calibration"], "temperature");
    assert_eq!(ask("--abstain-below 1")["abstained"], true);
    assert_eq!(ask("--uncalibrated")["calibration"], "none");
    // Three questions of a model that guesses certify nothing at one wrong in a thousand, and an answer at chance
    // level is none, whatever is allowed.
    assert_eq!(ask("--target-error-rate 0.001")["abstained"], true);
    assert_eq!(ask("--target-error-rate 0.999")["abstained"], true);
    let said = show(
        at,
        "ask --run run Why? --max-new-tokens 40 --target-error-rate 0.001",
    );
    assert!(
        said.contains(
            "abstains: no probability could be certified on the validation set for this error rate"
        ),
        "{said}"
    );
    let fault = show(at, "ask --run run Why? --abstain-below 1.5 --unconstrained");
    assert!(
        fault.contains("--abstain-below: expected a probability from 0 to 1, found 1.5"),
        "{fault}"
    );
}

#[test]
fn a_run_with_folds_is_calibrated_on_out_of_fold_predictions() {
    let folder = folder();
    let at = folder.path();
    let trained = show(
        at,
        "train --data data --model tiny --rank 2,4 --folds 3 --steps 2 --batch 4 --compute f32 --out folds --quiet",
    );
    assert!(trained.starts_with("status: 0"), "{trained}");
    let report = json(
        at,
        "eval folds --benchmark challenge --full-answers 0 --bootstrap-samples 100 --json",
    );
    let nested = &report["subject"]["nested"];
    assert_eq!(
        (nested["folds"].as_u64(), nested["repeats"].as_u64()),
        (Some(3), Some(1))
    );
    // Every row to learn from and to choose by is a validation row, once.
    let pool = std::fs::read_to_string(at.join("data/train.jsonl"))
        .expect("read")
        .lines()
        .count()
        + std::fs::read_to_string(at.join("data/validation.jsonl"))
            .expect("read")
            .lines()
            .count();
    assert_eq!(report["systems"][1]["calibrations"]["rows"], pool);
    assert_eq!(nested["accuracy"]["total"], pool);
}

#[test]
fn what_cannot_be_evaluated_is_an_error() {
    let folder = folder();
    let at = folder.path();
    std::fs::write(at.join("few.json"), "{}").expect("written");
    for (arguments, shown) in [
        (
            "eval run --benchmark tset",
            "expected one of test, validation, challenge",
        ),
        ("eval run --adapter r9", "r9"),
        (
            "eval run --ensemble r2",
            "--ensemble r2: expected at least two adapters, found 1",
        ),
        ("eval run other", "expected one run, found 2"),
        (
            "eval run --target-error-rate 2 --bootstrap-samples 5",
            "--bootstrap-samples: expected at least 100, found 5",
        ),
        (
            "eval run --benchmark pubmedqa:few.json",
            "expected the 500 questions of the official test, found 0 of them",
        ),
    ] {
        let said = show(at, arguments);
        assert!(said.starts_with("status: 2"), "{arguments}: {said}");
        assert!(said.contains(shown), "{arguments}: {said}");
    }
    assert!(
        !at.join("run/looks.jsonl").exists(),
        "nothing was looked at"
    );
}

/// `ask` prints one object; its probabilities in the order Yes, No, Uncertain.
fn probabilities(answer: &Value) -> [f64; 3] {
    ["Yes", "No", "Uncertain"].map(|label| answer["probabilities"][label].as_f64().expect("one"))
}

#[test]
fn an_ensemble_answers_with_the_mean_of_its_adapters() {
    let folder = folder();
    let at = folder.path();
    let ask = |flags: &str| json(at, &format!("ask --run run {flags} --json Does_it_help?"));
    let (small, large) = (ask("--adapter r2"), ask("--adapter r4"));
    let both = ask("--ensemble r2,r4");
    let means = probabilities(&small)
        .into_iter()
        .zip(probabilities(&large))
        .map(|(a, b)| (a + b) / 2.0);
    let found = probabilities(&both);
    for (mean, found) in means.zip(found) {
        // Rounded to f32 once for each adapter and once for the mean.
        assert!(
            (mean - found).abs() <= 2.0 * f64::from(f32::EPSILON),
            "{mean} {found}"
        );
    }
    let most = found.into_iter().fold(0.0, f64::max);
    let label = both["label"].as_str().expect("a label");
    assert_eq!(both["probabilities"][label].as_f64(), Some(most));
    assert_eq!(both["adapter"], "r2+r4");
    for (member, alone) in [&small, &large].into_iter().enumerate() {
        assert_eq!(both["members"][member]["adapter"], alone["adapter"]);
        assert_eq!(both["members"][member]["label"], alone["label"]);
        assert_eq!(
            both["members"][member]["probabilities"],
            alone["probabilities"]
        );
    }
    // A table has the same answers, and remembers which adapters gave them.
    std::fs::write(
        at.join("rows.jsonl"),
        "{\"id\":\"a\",\"question\":\"Does_it_help?\"}\n",
    )
    .expect("written");
    let table = "ask --run run --ensemble all --input rows.jsonl --out answers.jsonl --rationale";
    let said = show(at, table);
    assert!(said.starts_with("status: 0"), "{said}");
    let text = std::fs::read_to_string(at.join("answers.jsonl")).expect("answers");
    let row: Value = serde_json::from_str(&text).expect("one object");
    assert_eq!(row["rationale"], both["rationale"]);
    for (name, label) in [("Yes", "Yes"), ("No", "No"), ("Uncertain", "Uncertain")] {
        assert_eq!(row["probabilities"][name], both["probabilities"][label]);
    }
    let other = show(
        at,
        "ask --run run --adapter r2 --input rows.jsonl --out answers.jsonl --rationale",
    );
    assert!(
        other.starts_with("status: 2") && other.contains("exists already"),
        "{other}"
    );
    // A threshold for the ensemble is certified on its own validation results.
    let said = show(
        at,
        "ask --run run --ensemble all --target-error-rate 0.5 Does_it_help?",
    );
    assert!(said.starts_with("status: 0"), "{said}");
    for (flags, fault) in [
        ("--ensemble r2", "expected at least two adapters, found 1"),
        (
            "--ensemble r2,r2",
            "expected each adapter once, found r2 twice",
        ),
        ("--ensemble r2,r9", "r9"),
        ("--ensemble all --adapter r2", "cannot be used with"),
        ("--ensemble all --unconstrained", "cannot be used with"),
    ] {
        let said = show(at, &format!("ask --run run {flags} Does_it_help?"));
        assert!(
            said.starts_with("status: 2") && said.contains(fault),
            "{said}"
        );
    }
}
