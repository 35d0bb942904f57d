//! A whole evaluation with a scripted model: figures, report, files, errors.

use tokenizers::Tokenizer;
use verdict_answer::testing::{Scripted, eos, tokenizer};
use verdict_answer::{Answerer, Mode, Settings};
use verdict_data::{Item, Label};
use verdict_eval::{Benchmark, EvalError, EvalReport, Evaluation, Prediction, evaluate};

fn item(number: usize, label: Label) -> Item {
    let question = format!("Does number {number} help?");
    let rationale = "The evidence is mixed.";
    Item {
        id: format!("item-{number}"),
        label,
        rationale: rationale.into(),
        source: "test".into(),
        group: number.to_string(),
        context: None,
        text: Item::render(None, &question, label, rationale),
        question,
    }
}

fn items() -> Vec<Item> {
    (0..9)
        .map(|number| item(number, Label::ALL[number % 3]))
        .collect()
}

/// The base babbles and cites, but likes Yes; the adapter knows two labels of three.
fn plan(prompt: &str, adapter: Option<usize>) -> String {
    let number: usize = prompt
        .chars()
        .filter(char::is_ascii_digit)
        .collect::<String>()
        .parse()
        .unwrap_or(0);
    match (adapter, number) {
        (None, 0) => " Yes. Rationale: A small trial shows benefit [12].".into(),
        (None, _) => " Yes it is, the evidence of a trial is in Smith et al. 2019".into(),
        (Some(_), number) => match number % 3 {
            0 => " Yes. Rationale: The trial shows a significant benefit.".into(),
            1 => " No. Rationale: The trial shows no significant effect.".into(),
            _ => " No. Rationale: The trial was small and the effect is not significant.".into(),
        },
    }
}

fn run(tokenizer: &Tokenizer, benchmarks: &[Benchmark<'_>]) -> Result<Evaluation, EvalError> {
    let mut engine = Scripted::saying(tokenizer, &["r4-lr3e-4"], plan);
    let answerer = Answerer::new(tokenizer, eos(tokenizer)).unwrap();
    let settings = Settings {
        max_answer_tokens: 48,
        ..Settings::default()
    };
    evaluate(
        &mut engine,
        &answerer,
        benchmarks,
        &[None, Some(0)],
        &Mode::WRITTEN,
        &settings,
        &mut |_| {},
    )
}

fn both(items: &[Item]) -> [Benchmark<'_>; 2] {
    [
        Benchmark {
            name: "test",
            items,
        },
        Benchmark {
            name: "small",
            items: &items[..2],
        },
    ]
}

#[test]
fn base_and_adapter_in_both_modes_on_two_benchmarks() {
    let tokenizer = tokenizer();
    let items = items();
    let Evaluation {
        report,
        predictions,
    } = run(&tokenizer, &both(&items)).unwrap();
    assert_eq!(predictions.len(), (9 + 2) * 4);
    let systems: Vec<_> = report.benchmarks[0]
        .systems
        .iter()
        .map(|system| (system.name(), system.mode))
        .collect();
    let (free, guaranteed) = (Mode::Free, Mode::Guaranteed);
    assert_eq!(
        systems,
        [
            ("base", free),
            ("base", guaranteed),
            ("r4-lr3e-4", free),
            ("r4-lr3e-4", guaranteed)
        ]
    );
    let counts: Vec<_> = report.benchmarks[0]
        .systems
        .iter()
        .map(|system| {
            (
                system.accuracy.count,
                system.format.count,
                system.citations.count,
            )
        })
        .collect();
    // Free, the base keeps the format once and cites always; held to the grammar it never cites.
    assert_eq!(counts, [(1, 1, 9), (3, 9, 0), (6, 9, 0), (6, 9, 0)]);
    assert_eq!(
        report.benchmarks[0].systems[2].confusion.0,
        [[3, 0, 0, 0], [0, 3, 0, 0], [0, 3, 0, 0]]
    );
    let small: Vec<_> = report.benchmarks[1]
        .systems
        .iter()
        .map(|system| system.accuracy.count)
        .collect();
    assert_eq!((report.benchmarks[1].items, small), (2, vec![1, 1, 2, 2]));
    for prediction in &predictions {
        assert_eq!(
            prediction.right,
            prediction.verdict.label == Some(prediction.truth)
        );
        if prediction.verdict.mode == guaranteed {
            let best = prediction
                .verdict
                .probabilities
                .iter()
                .copied()
                .fold(0.0, f32::max);
            let label = prediction.verdict.label.unwrap();
            assert_eq!(
                prediction.verdict.probabilities[label.index()],
                best,
                "the label is the most probable one"
            );
        }
    }
}

#[test]
fn the_report_as_text_and_markdown() {
    let tokenizer = tokenizer();
    let items = items();
    let report = run(&tokenizer, &both(&items)).unwrap().report;
    insta::assert_snapshot!("text", report.text());
    insta::assert_snapshot!("markdown", report.markdown());
}

#[test]
fn the_files_read_back_as_they_were() {
    let tokenizer = tokenizer();
    let items = items();
    let evaluation = run(&tokenizer, &both(&items)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    evaluation.write(folder.path()).unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(
        serde_json::from_str::<EvalReport>(&read("report.json")).unwrap(),
        evaluation.report
    );
    let predictions: Vec<Prediction> = read("predictions.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(predictions, evaluation.predictions);
    assert_eq!(read("report.md"), evaluation.report.markdown());
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["predictions.jsonl", "report.json", "report.md"],
        "nothing else is left behind"
    );
}

#[test]
fn every_error_names_what_is_at_fault() {
    let tokenizer = tokenizer();
    let items = items();
    let text = |benchmarks: &[Benchmark<'_>]| run(&tokenizer, benchmarks).unwrap_err().to_string();
    assert_eq!(
        text(&[Benchmark {
            name: "empty",
            items: &[]
        }]),
        "benchmark \"empty\" has no items, expected at least one"
    );
    let test = Benchmark {
        name: "test",
        items: &items,
    };
    assert_eq!(
        text(&[test, test]),
        "two benchmarks are named \"test\", expected different names"
    );
    assert_eq!(text(&[]), "no benchmark to evaluate, expected at least one");
    let long = Item {
        question: "word ".repeat(2000),
        ..item(7, Label::No)
    };
    assert_eq!(
        text(&[
            test,
            Benchmark {
                name: "long",
                items: &[items[0].clone(), long]
            }
        ]),
        "benchmark \"long\", item \"item-7\": question 41: the question \
         \"word word word word word word word word word word word word \u{2026}\" takes 8005 tokens with its prompt, \
         expected at most 512"
    );
    let mut engine = Scripted::saying(&tokenizer, &[], plan);
    let answerer = Answerer::new(&tokenizer, eos(&tokenizer)).unwrap();
    let settings = Settings {
        max_answer_tokens: 3,
        ..Settings::default()
    };
    let error = evaluate(
        &mut engine,
        &answerer,
        &[test],
        &[None],
        &[Mode::Free],
        &settings,
        &mut |_| {},
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the limit for an answer is 3 tokens, expected at least 24"
    );
    let evaluation = run(&tokenizer, &[test]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let error = evaluation.write(&missing).unwrap_err().to_string();
    let expected = format!(
        "{}: cannot write: ",
        missing.join("predictions.jsonl").display()
    );
    assert!(error.starts_with(&expected), "{error}");
}
