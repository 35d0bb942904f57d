//! `ask --input`: tables in every layout, rows that cannot be asked, kills, shards, and what is refused.
#![cfg(unix)]

#[path = "common/children.rs"]
mod children;
mod common;
#[path = "common/tiny.rs"]
mod tiny;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use children::ended;
use common::{good, lines, show, show_words};
use serde_json::Value;
use verdict_common::random::SplitMix64;

const MODEL: &str = "--model tiny --device cpu --compute f32 --threads 1";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    tiny::write(&folder.path().join("tiny"));
    folder
}

/// So many records with titles and abstracts of various lengths, as JSON lines.
fn records(rows: usize) -> String {
    let row = |n: usize| {
        let text = "Aspirin is common in adults. ".repeat(1 + n % 7);
        let row = serde_json::json!({
            "id": format!("r{n}"), "title": format!("Aspirin at dose {n}"),
            "abstract": format!("{text}Pain score {n} was seen."),
        });
        format!("{row}\n")
    };
    (0..rows).map(row).collect()
}

const ASK: [&str; 2] = ["--question", "Does it report a trial?"];

/// `ask` of one question to all rows.
fn screen(at: &Path, words: &str) -> String {
    let words = format!("ask {MODEL} {words}");
    let words: Vec<&str> = words.split_whitespace().chain(ASK).collect();
    show_words(at, &words)
}

/// Speeds and times vary.
fn timeless(said: &str) -> String {
    let lines = said.lines().map(|line| match line.split_once("  ") {
        Some(("speed", _)) => "speed      …",
        _ if line.starts_with("ask: row ") => "ask: row …",
        _ => line,
    });
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn every_layout_gives_the_same_answers_and_bad_rows_do_not_stop_the_others() {
    let folder = folder();
    let at = folder.path();
    let mut bytes = records(6).into_bytes();
    bytes.extend(b"{\"id\":\"broken\",\n");
    bytes.extend(b"{\"id\":\"blank\",\"title\":\" \",\"abstract\":\"\"}\n");
    bytes.extend(b"{\"id\":\"latin\",\"title\":\"\xe9\"}\n");
    bytes.extend(b"{\"id\":7,\"title\":[\"a\"]}\n");
    bytes.extend(b"{\"id\":8,\"title\":\"Zinc\"}\n");
    fs::write(at.join("rows.jsonl"), bytes).expect("written");
    let said = screen(at, "--input rows.jsonl --out a.jsonl --checkpoint-every 4");
    insta::assert_snapshot!("bulk_bad_rows", timeless(&said));
    let answers = lines(&at.join("a.jsonl"));
    assert_eq!(answers.len(), 11);
    let ids: Vec<Value> = answers.iter().map(|row| row["id"].clone()).collect();
    assert_eq!(
        ids[5..],
        [
            "r5".into(),
            7.into(),
            "blank".into(),
            9.into(),
            7.into(),
            8.into()
        ] as [Value; 6]
    );
    for (place, row) in answers.iter().enumerate() {
        let refused = (6..10).contains(&place);
        assert_eq!(row.get("error").is_some(), refused, "{row}");
        assert_eq!(row.get("label").is_none(), refused, "{row}");
        if !refused {
            let sum: f64 = ["Yes", "No", "Uncertain"]
                .map(|label| row["probabilities"][label].as_f64().expect("a number"))
                .iter()
                .sum();
            assert!((sum - 1.0).abs() < 1e-5, "{row}");
            assert_eq!(
                (&row["abstained"], &row["calibration"]),
                (&false.into(), &"none".into())
            );
        }
    }
    // One at a time, the answers are the same.
    let context = "Aspirin at dose 0 Aspirin is common in adults. Pain score 0 was seen.";
    let words = format!("ask {MODEL} --json --context");
    let words: Vec<&str> = words.split_whitespace().chain([context, ASK[1]]).collect();
    let alone = show_words(at, &words);
    let probability = answers[0]["probabilities"]["Yes"].to_string();
    assert!(
        alone.contains(&format!("\"Yes\":{probability},")),
        "{alone} {probability}"
    );

    // Through CSV, TSV and Parquet, in and out.
    fs::write(at.join("good.jsonl"), records(5)).expect("written");
    good(&screen(at, "--input good.jsonl --out good.out.jsonl"));
    let expected = lines(&at.join("good.out.jsonl"));
    let mut table = String::from("PMID,Title,Abstract\n");
    for row in lines(&at.join("good.jsonl")) {
        let cell = |name: &str| row[name].as_str().expect("text").to_owned();
        table += &format!(
            "{},\"{}\",\"{}\"\n",
            cell("id"),
            cell("title"),
            cell("abstract")
        );
    }
    fs::write(at.join("good.csv"), &table).expect("written");
    good(&screen(at, "--input good.csv --out b.jsonl"));
    assert_eq!(lines(&at.join("b.jsonl")), expected);
    fs::write(at.join("good.tsv"), table.replace(',', "\t")).expect("written");
    good(&screen(at, "--input good.tsv --out c.tsv"));
    let c = fs::read_to_string(at.join("c.tsv")).expect("read");
    let header = "id\tlabel\tp_yes\tp_no\tp_uncertain\tp_other\tcalibration\tabstained\terror\n";
    assert!(c.starts_with(header), "{c}");
    let p = expected[4]["probabilities"]["Yes"].to_string();
    assert!(
        c.contains(&format!(
            "r4\t{}\t{p}\t",
            expected[4]["label"].as_str().expect("a label")
        )),
        "{c}"
    );
    good(&screen(at, "--input good.csv --out d.parquet"));
    good(&screen(at, "--input good.csv --out e.csv"));
    // The tables of answers are read back, and compared with decisions.
    let decisions = "id,included\nr0,1\nr1,0\nr2,yes\nr3,excluded\nr9,0\n";
    fs::write(at.join("decisions.csv"), decisions).expect("written");
    let figures = |answers: &str| {
        show(
            at,
            &format!("eval --screen {answers} --labels decisions.csv --bootstrap-samples 100"),
        )
    };
    let said = figures("good.out.jsonl");
    insta::assert_snapshot!("bulk_screen", said);
    for answers in ["d.parquet", "e.csv", "c.tsv"] {
        assert_eq!(figures(answers), said, "{answers}");
    }
}

#[test]
fn each_row_may_have_its_own_question_and_rationales_are_written_where_asked() {
    let folder = folder();
    let at = folder.path();
    let rows =
        "q,about,n\nDoes aspirin help?,Aspirin is common in adults.,1\n,,2\nDoes zinc help,,3\n";
    fs::write(at.join("rows.csv"), rows).expect("written");
    let input = "csv:rows.csv?question=q&context=about&id=n";
    let said = show(
        at,
        &format!("ask {MODEL} --input {input} --out a.jsonl --rationale"),
    );
    assert!(said.starts_with("status: 2"), "{said}");
    assert!(
        said.contains("rows.csv: line 3: expected a question in \"q\", found nothing"),
        "{said}"
    );
    let answers = lines(&at.join("a.jsonl"));
    assert_eq!(answers[0]["id"], "1");
    assert!(
        answers[0]["rationale"]
            .as_str()
            .is_some_and(|text| text.len() > 1),
        "{answers:?}"
    );
    let said = show(
        at,
        &format!("ask {MODEL} --input {input} --out b.csv --rationale --strict"),
    );
    insta::assert_snapshot!("bulk_strict", timeless(&said));
    assert!(!at.join("b.csv").exists());
    good(
        &show(
            at,
            &format!("ask {MODEL} --input {input} --out c.parquet --rationale"),
        )
        .replace("status: 2", "status: 0"),
    );
    assert!(
        fs::read(at.join("c.parquet"))
            .expect("read")
            .ends_with(b"PAR1")
    );
}

#[test]
fn no_rows_are_no_answers() {
    let folder = folder();
    let at = folder.path();
    fs::write(at.join("empty.jsonl"), "").expect("written");
    fs::write(at.join("empty.csv"), "id,title\n").expect("written");
    good(&screen(at, "--input empty.jsonl --out a.jsonl"));
    assert_eq!(fs::read(at.join("a.jsonl")).expect("read"), b"");
    good(&screen(at, "--input empty.csv --out b.csv"));
    assert_eq!(
        fs::read_to_string(at.join("b.csv"))
            .expect("read")
            .lines()
            .count(),
        1
    );
    good(&screen(at, "--input empty.csv --out c.parquet"));
    good(&screen(at, "--input c.parquet --out d.jsonl").replace("status: 2", "status: 0"));
}

#[test]
fn what_cannot_be_asked_is_refused_before_the_model_is_loaded() {
    let folder = folder();
    let at = folder.path();
    fs::write(at.join("rows.jsonl"), records(2)).expect("written");
    fs::write(at.join("rows.csv"), "id,body\n1,a\n").expect("written");
    fs::write(at.join("open.csv"), "id,text\n1,\"a\n").expect("written");
    fs::write(at.join("wide.csv"), b"\xff\xfei\0d\0").expect("written");
    fs::write(at.join("bad.parquet"), "PAR1").expect("written");
    fs::write(at.join("rows.xlsx"), "").expect("written");
    fs::create_dir(at.join("set")).expect("made");
    let mut all = String::new();
    for words in [
        "--input rows.xlsx --out a.jsonl",
        "--input nowhere.jsonl --out a.jsonl",
        "--input jsonl:set --out a.jsonl",
        "--input rows.csv --out a.jsonl",
        "--input csv:rows.csv?txt=body --out a.jsonl",
        "--input open.csv --out a.jsonl",
        "--input wide.csv --out a.jsonl",
        "--input bad.parquet --out a.jsonl",
        "--input rows.jsonl --out a.xlsx",
        "--input rows.jsonl --out there/a.jsonl",
        "--input rows.jsonl --out rows.jsonl",
        "--input rows.jsonl",
        "--input rows.jsonl --out a.jsonl --shard 3/2",
        "--input rows.jsonl --out a.jsonl --checkpoint-every 0",
    ] {
        let said = screen(at, words).replace("tiny", "nowhere");
        all += &format!("$ verdict ask {words}\n{said}\n");
    }
    insta::assert_snapshot!("bulk_refused", all);
    assert!(!at.join("a.jsonl.partial").exists());
}

#[test]
fn shards_are_joined_to_the_file_of_one_command() {
    let folder = folder();
    let at = folder.path();
    fs::write(at.join("rows.jsonl"), records(11)).expect("written");
    good(&screen(at, "--input rows.jsonl --out whole.csv"));
    let none = show(at, "ask --merge parts.csv");
    assert!(none.starts_with("status: 2"), "{none}");
    good(&screen(
        at,
        "--input rows.jsonl --out parts.csv --shard 3/3",
    ));
    good(&screen(
        at,
        "--input rows.jsonl --out parts.csv --shard 1/3",
    ));
    insta::assert_snapshot!("bulk_merge_of_two", show(at, "ask --merge parts.csv"));
    let again = screen(at, "--input rows.jsonl --out parts.csv --shard 1/3");
    assert!(again.contains("already finished"), "{again}");
    let other = screen(at, "--input rows.jsonl --out parts.csv --shard 1/2");
    insta::assert_snapshot!("bulk_other_settings", other);
    let last = screen(at, "--input rows.jsonl --out parts.csv --shard 2/3");
    insta::assert_snapshot!("bulk_last_shard", timeless(&last));
    insta::assert_snapshot!("bulk_merged", show(at, "ask --merge parts.csv"));
    let read = |name: &str| fs::read(at.join(name)).expect("read");
    assert_eq!(read("parts.csv"), read("whole.csv"));
    assert!(show(at, "ask --merge parts.csv").contains("already merged"));
    assert!(!at.join("parts.csv.partial").exists());
}

#[test]
fn a_finished_file_is_kept_and_another_is_not_replaced() {
    let folder = folder();
    let at = folder.path();
    fs::write(at.join("rows.jsonl"), records(3)).expect("written");
    fs::write(at.join("mine.jsonl"), "mine").expect("written");
    let said = screen(at, "--input rows.jsonl --out mine.jsonl");
    insta::assert_snapshot!("bulk_exists", said);
    assert_eq!(
        fs::read_to_string(at.join("mine.jsonl")).expect("read"),
        "mine"
    );
    assert!(!at.join("mine.jsonl.partial").exists());
    good(&screen(
        at,
        "--input rows.jsonl --out mine.jsonl --overwrite",
    ));
    let again = screen(at, "--input rows.jsonl --out mine.jsonl");
    good(&again);
    assert!(again.contains("mine.jsonl: already finished"), "{again}");
    let other = screen(
        at,
        "--input rows.jsonl --out mine.jsonl --max-prompt-tokens 40",
    );
    assert!(other.contains("exists already"), "{other}");
}

#[test]
fn a_job_array_has_a_task_for_each_shard_and_a_job_that_joins_them() {
    let folder = folder();
    let at = folder.path();
    fs::write(at.join("rows.jsonl"), records(9)).expect("written");
    let slurm = "--input rows.jsonl --out answers.csv --slurm --tasks 3 --partition gpu --gpus 1 --time 1:00:00";
    let dry = screen(at, &format!("{slurm} --dry-run"));
    let program = std::path::absolute(env!("CARGO_BIN_EXE_verdict")).expect("a path");
    let here = at.canonicalize().expect("a path").display().to_string();
    let dry = dry.replace(&program.display().to_string(), "[VERDICT]");
    insta::assert_snapshot!("bulk_slurm_dry_run", dry.replace(&here, "[FOLDER]"));
    assert!(!at.join("answers.csv.slurm").exists());
    let shard = screen(at, &format!("{slurm} --shard 1/3"));
    assert!(
        shard.contains("--slurm: expected --input and --out, and no --shard"),
        "{shard}"
    );
    let alone = show(at, "ask --model tiny --slurm Help?");
    assert!(alone.contains("--slurm: expected --input"), "{alone}");
}

fn spawn(at: &Path, words: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_verdict"))
        .args(format!("ask {MODEL} {words}").split_whitespace().chain(ASK))
        .current_dir(at)
        .env("VERDICT_CACHE", at.join("cache"))
        .env("CUDA_VISIBLE_DEVICES", "")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

#[test]
fn a_table_killed_forty_times_comes_to_the_same_bytes() {
    let folder = folder();
    let at = folder.path();
    fs::write(at.join("rows.jsonl"), records(400)).expect("written");
    let words = |out: &str| format!("--input rows.jsonl --out {out} --checkpoint-every 3 --quiet");
    let started = Instant::now();
    for layout in ["jsonl", "parquet"] {
        let output = ended(spawn(at, &words(&format!("whole.{layout}"))));
        assert!(output.status.success());
    }
    let took = started.elapsed() / 2;
    let mut random = SplitMix64::new(40);
    let (mut kills, mut continued, mut files, mut later) = (0, 0, 0, 1.0);
    while kills < 40 || files < 2 {
        let layout = ["jsonl", "parquet"][files % 2];
        let out = format!("killed{files}.{layout}");
        let bytes = || {
            fs::metadata(at.join(format!("{out}.partial/1-of-1.jsonl"))).map_or(0, |of| of.len())
        };
        loop {
            let before = bytes();
            continued += usize::from(before > 0);
            let mut child = spawn(at, &words(&out));
            let share = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
            if kills < 40 {
                thread::sleep(Duration::from_secs_f64(
                    took.as_secs_f64() * 0.5 * later * share,
                ));
                if child.try_wait().expect("its status").is_none() {
                    child.kill().expect("killed");
                    kills += 1;
                }
            }
            let output = ended(child);
            if output.status.success() {
                break;
            }
            // On a machine that has become busier, later.
            later = if bytes() == before { later * 1.2 } else { 1.0 };
        }
        let read = |name: &str| fs::read(at.join(name)).expect("read");
        assert!(
            read(&out) == read(&format!("whole.{layout}")),
            "{out} differs"
        );
        assert!(!at.join(format!("{out}.partial")).exists());
        files += 1;
    }
    assert!(
        files >= 2 && continued > 10,
        "{files} files, continued {continued} times"
    );
}

#[test]
fn a_second_process_is_refused() {
    let folder = folder();
    let at = folder.path();
    fs::write(at.join("rows.jsonl"), records(4000)).expect("written");
    let mut child = spawn(at, "--input rows.jsonl --out a.jsonl --checkpoint-every 2");
    let state = at.join("a.jsonl.partial/1-of-1.json");
    children::until(&mut child, "the first rows", || state.exists());
    let second = screen(at, "--input rows.jsonl --out a.jsonl --checkpoint-every 2");
    child.kill().expect("killed");
    child.wait().expect("it ends");
    insta::assert_snapshot!("bulk_in_use", second);
}
