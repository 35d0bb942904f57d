//! Dialogues with scripted models: one that is always right, one that never changes its label, and the report on both.

use std::collections::HashMap;

use verdict_answer::prompt::{Turn, render_dialogue};
use verdict_answer::testing::{Scripted, eos, tokenizer};
use verdict_answer::{AnswerSettings, Answerer, Fit};
use verdict_data::{Item, Label};
use verdict_eval::dialogue::{Dialogue, HeldDialogue, Measure, dialogues, hold, turn_count};
use verdict_eval::report::DialogueReport;
use verdict_eval::stats::bootstrap::Resampling;
use verdict_eval::{
    Benchmark, EvalReport, EvaluatedRun, Evaluation, EvaluationOptions, Methods, Proportion,
    ValidationScore, evaluate,
};

/// The rationale of every scripted answer.
const RATIONALE: &str = "Rationale: The evidence is mixed.";

/// Questions on abstracts with sections, and on such without.
fn benchmark() -> Benchmark {
    let subjects = [
        ("kidney stones", "Are kidney stones painful?"),
        ("hearing aids", "Do hearing aids last?"),
        ("snake bites", "Is every snake bite fatal?"),
        ("hip fractures", "Would hip fractures heal?"),
        ("asthma attacks", "Can asthma attacks be prevented?"),
        ("dental caries", "Has dental caries become rarer?"),
    ];
    let items = subjects.iter().enumerate();
    let items = items.map(|(number, (subject, question))| Item {
        id: format!("pubmedqa-labeled:{number}"),
        question: (*question).into(),
        label: Label::ALL[number % 3],
        rationale: String::new(),
        source: "pubmedqa-labeled".into(),
        group: format!("pmid:{number}"),
        context: Some(format!(
            "Little is known of {subject} at present. We counted {subject} in twelve districts."
        )),
    });
    let items: Vec<Item> = items.collect();
    let sections = items.iter().map(|item| {
        let (before, results) = item.context.as_deref()?.split_once(". ")?;
        Some([format!("{before}."), results.to_owned()])
    });
    Benchmark {
        name: "pubmedqa".into(),
        contaminated: vec![false; items.len()],
        sections: sections.collect(),
        items,
        ..Benchmark::default()
    }
}

/// The label that is right after each prompt of a model that has been right so far.
fn right_labels(dialogues: &[Dialogue]) -> HashMap<String, Label> {
    let mut labels = HashMap::new();
    for dialogue in dialogues {
        let answers = dialogue.turns.each_ref();
        let answers = answers.map(|turn| format!("{}. {RATIONALE}", turn.label));
        let earlier: Vec<Turn<'_>> = dialogue
            .turns
            .iter()
            .zip(&answers)
            .map(|(turn, answer)| Turn {
                question: &turn.question,
                context: turn.context.as_deref(),
                answer,
            })
            .collect();
        for (place, turn) in dialogue.turns.iter().enumerate() {
            let context = turn.context.as_deref();
            let prompt = render_dialogue(
                Default::default(),
                &earlier[..place],
                &turn.question,
                context,
            );
            labels.insert(prompt, turn.label);
        }
    }
    labels
}

/// The base model always answers Yes; the adapter is always right.
fn held(dialogues: &[Dialogue]) -> Vec<Vec<HeldDialogue>> {
    let tokenizer = tokenizer();
    let labels = right_labels(dialogues);
    let mut engine = Scripted::saying(&tokenizer, &["r8"], |prompt, adapter| {
        let label = match adapter {
            None => Label::Yes,
            Some(_) => labels[prompt],
        };
        format!(" {label}. {RATIONALE}")
    });
    let answerer = Answerer::new(&tokenizer, eos(&tokenizer)).unwrap();
    let settings = AnswerSettings {
        max_prompt_tokens: 4000,
        ..AnswerSettings::default()
    };
    let models = [None, Some(0)];
    let mut last = 0;
    let mut done = |count: usize| {
        assert!(count > last);
        last = count;
    };
    let held = hold(
        &mut engine,
        &answerer,
        dialogues,
        &models,
        &settings,
        &mut done,
    )
    .unwrap();
    assert_eq!(last, turn_count(dialogues, models.len()));
    held
}

fn run() -> EvaluatedRun {
    EvaluatedRun {
        run: "run".into(),
        trained_by: "verdict 0.0.0".into(),
        model: "tiny".into(),
        model_sha256: "aa".into(),
        data_sha256: "bb".into(),
        steps: 3,
        train_rows: 100,
        rule: "the smallest rank within one standard error".into(),
        best: "r8".into(),
        adapters: Vec::new(),
        base: ValidationScore {
            loss: 1.5,
            accuracy: Proportion::new(3, 9),
        },
        nested: None,
        settings: serde_json::json!({}),
    }
}

fn evaluation(dialogues: Option<&[Dialogue]>) -> Evaluation {
    let options = EvaluationOptions {
        conditions: Vec::new(),
        run: run(),
        methods: Methods {
            fit: Fit::Temperature,
            resampling: Resampling {
                replicates: 200,
                seed: 1,
            },
            target_error_rate: 0.1,
            delta: 0.1,
            max_answer_tokens: 96,
            max_prompt_tokens: 4000,
            machine: "a script".into(),
            validation_rows: 0,
            answers: 0,
            seconds: 1.5,
        },
        looks: Vec::new(),
        models: vec!["base".into(), "r8".into()],
        validation: vec![Vec::new(); 2],
        ensembles: Vec::new(),
        training_rationales: None,
        variants: None,
        dialogues: dialogues.map(|of| (of, held(of))),
    };
    evaluate(options, &[], &[])
}

fn report() -> EvalReport {
    let made = dialogues(&[benchmark()], 10);
    evaluation(Some(&made)).report
}

fn counts(of: &DialogueReport, model: usize) -> Vec<(Measure, usize, usize)> {
    let scores = of.models[model].1.iter();
    scores
        .map(|score| {
            (
                score.measure,
                score.share.rows.count,
                score.share.rows.total,
            )
        })
        .collect()
}

#[test]
fn a_model_that_is_always_right_scores_everything_and_a_constant_one_no_change() {
    let report = report().dialogues.unwrap();
    assert_eq!(report.dialogues, 16);
    for (measure, count, total) in counts(&report, 1) {
        assert_eq!(count, total, "{measure:?}");
        assert!(total > 0, "{measure:?}");
    }
    for (measure, count, total) in counts(&report, 0) {
        match measure {
            Measure::KeptAfterWhy | Measure::KeptAfterIrrelevantFact => assert_eq!(count, total),
            Measure::RightChange | Measure::RightReturn => assert_eq!(count, 0),
            _ => assert!(count < total, "{measure:?}"),
        }
    }
    // By source and by kind, each dialogue once.
    for by in ["source", "kind"] {
        let parts = report.parts.iter().filter(|part| part.by == by);
        let counted: usize = parts.map(|part| part.dialogues).sum();
        assert_eq!(counted, 16, "{by}");
    }
    let change = report.pairs.iter();
    let mut change = change.filter(|of| of.measure == Measure::RightChange);
    let pair = &change.next().unwrap().pair;
    assert_eq!((pair.first.as_str(), pair.second.as_str()), ("r8", "base"));
    assert_eq!((pair.paired.table.first, pair.paired.table.second), (14, 0));
    assert!(change.next().is_none());
}

#[test]
fn the_section_of_the_report() {
    let report = report();
    let markdown = report.markdown();
    let start = markdown.find("## Dialogues").unwrap();
    let end = markdown.find("## Intended use").unwrap();
    insta::assert_snapshot!("dialogues_markdown", &markdown[start..end]);
    let text = report.text();
    insta::assert_snapshot!("dialogues_text", text);
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    let html = report.page().html();
    for text in [
        "Dialogues",
        "right change",
        "These figures replace the first ones.",
    ] {
        assert!(html.contains(text), "{text}");
    }
    let again: EvalReport = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!(again, report);
}

#[test]
fn a_report_without_dialogues_has_no_such_section_and_keeps_an_earlier_one() {
    let without = evaluation(None);
    assert!(!without.report.markdown().contains("Dialogues"));
    assert!(serde_json::json!(without.report).get("dialogues").is_none());
    let made = dialogues(&[benchmark()], 10);
    let earlier = evaluation(Some(&made));
    let kept = without.beside(&earlier);
    assert_eq!(kept.report.dialogues, earlier.report.dialogues);
}
