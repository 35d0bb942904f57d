//! A whole evaluation with a scripted model: answers, scores, report, files, errors.

use tokenizers::Tokenizer;
use verdict_answer::testing::{Scripted, eos, tokenizer};
use verdict_answer::{AnswerSettings, Answerer, Fit, Mode};
use verdict_data::{Item, Label};
use verdict_eval::compare::compare;
use verdict_eval::robustness::VariantQuestions;
use verdict_eval::stats::bootstrap::Resampling;
use verdict_eval::text::TrainingRationales;
use verdict_eval::{
    Benchmark, CollectedAnswers, EndedEarly, EvalError, EvalReport, EvaluatedAdapter, EvaluatedRun,
    Evaluation, EvaluationOptions, EvaluationRequest, LearningCurve, Look, Methods,
    NestedSelection, Prediction, Proportion, ValidationPrediction, ValidationScore, answer_count,
    collect_answers, evaluate,
};

const ADAPTERS: [&str; 2] = ["r4", "r8"];

fn item(number: usize, label: Label) -> Item {
    let question = format!("Does number {number} help?");
    let rationale = "The evidence is mixed.";
    Item {
        id: format!("item-{number}"),
        label,
        rationale: rationale.into(),
        source: if number.is_multiple_of(2) {
            "bioasq"
        } else {
            "stats"
        }
        .into(),
        group: number.to_string(),
        context: None,
        question,
    }
}

fn items(count: usize) -> Vec<Item> {
    (0..count)
        .map(|number| item(number, Label::ALL[number % 3]))
        .collect()
}

/// The base model babbles, cites, and prefers Yes; r4 knows two of the three labels; r8 knows all, but always with the same
/// rationale of the training set.
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
        (Some(0), number) => match number % 3 {
            0 => " Yes. Rationale: The trial shows a significant benefit.".into(),
            1 => " No. Rationale: The trial shows no significant effect.".into(),
            _ => " No. Rationale: The trial was small and the effect is not significant.".into(),
        },
        (Some(_), number) => {
            let label = Label::ALL[number % 3];
            format!(" {label}. Rationale: The evidence is mixed.")
        }
    }
}

fn collected(
    tokenizer: &Tokenizer,
    benchmarks: &[EvaluationRequest<'_>],
    most: usize,
) -> Result<Vec<Vec<Vec<CollectedAnswers>>>, EvalError> {
    let mut engine = Scripted::saying(tokenizer, &ADAPTERS, plan);
    let answerer = Answerer::new(tokenizer, eos(tokenizer)).unwrap();
    let settings = AnswerSettings {
        max_answer_tokens: most,
        ..AnswerSettings::default()
    };
    let models = [None, Some(0), Some(1)];
    let mut last = 0;
    let answers = collect_answers(
        &mut engine,
        &answerer,
        benchmarks,
        &models,
        &settings,
        &mut |count| {
            assert!(count > last);
            last = count;
        },
    )?;
    assert_eq!(last, answer_count(benchmarks, models.len()));
    Ok(answers)
}

fn evaluated_run() -> EvaluatedRun {
    let validation = |right| ValidationScore {
        loss: 1.5,
        accuracy: Proportion::new(right, 9),
    };
    let adapter = |name: &str, rank, right| EvaluatedAdapter {
        name: name.into(),
        rank,
        lr: 3e-4,
        seed: 42,
        diverged: None,
        ended_early: None,
        kept_step: None,
        validation: Some(validation(right)),
        curve: LearningCurve {
            train: vec![(1, 2.5), (2, 1.75), (3, 1.5)],
            validation: vec![(2, 1.75, 0.5), (3, 1.5, 0.75)],
        },
    };
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
        adapters: vec![
            EvaluatedAdapter {
                ended_early: Some(EndedEarly {
                    step: 2,
                    reason: "among the worse at a rung".into(),
                }),
                kept_step: Some(1),
                ..adapter("r4", 4, 6)
            },
            adapter("r8", 8, 9),
        ],
        base: validation(3),
        nested: Some(NestedSelection {
            accuracy: Proportion::new(60, 90),
            folds: 3,
            repeats: 1,
            chosen: vec![("r8".into(), 2), ("r4".into(), 1)],
        }),
        settings: serde_json::json!({"rank": [4, 8]}),
    }
}

fn benchmark(name: &str, items: Vec<Item>) -> Benchmark {
    Benchmark {
        name: name.into(),
        about: "Scripted questions".into(),
        contaminated: vec![false; items.len()],
        question_only: Some(vec![Label::Yes; items.len()]),
        items,
        ..Benchmark::default()
    }
}

/// An evaluation on two benchmarks with all options; up to 18 questions of each are answered in full.
fn evaluation() -> Evaluation {
    evaluation_of(|_| ())
}

/// As [`evaluation`], with changed answers.
fn evaluation_of(change: impl FnOnce(&mut [Vec<Vec<CollectedAnswers>>])) -> Evaluation {
    let tokenizer = tokenizer();
    let benchmarks = [benchmark("test", items(30)), benchmark("small", items(3))];
    let variants = VariantQuestions::new(&benchmarks, 3);
    let mut requests: Vec<EvaluationRequest<'_>> = benchmarks
        .iter()
        .map(|of| EvaluationRequest {
            name: &of.name,
            items: &of.items,
            written: 18,
        })
        .collect();
    requests.push(variants.request());
    let mut answers = collected(&tokenizer, &requests, 48).unwrap();
    let to_variants = answers.pop().unwrap();
    change(&mut answers);
    let validation: Vec<Vec<ValidationPrediction>> = answers[0]
        .iter()
        .map(|of_model| {
            let rows = of_model.iter().zip(&benchmarks[0].items);
            rows.map(|(answer, item)| ValidationPrediction {
                id: item.id.clone(),
                group: Some(item.group.clone()),
                truth: item.label.index(),
                logits: answer.logits,
            })
            .collect()
        })
        .collect();
    let rationales = TrainingRationales::new(["The evidence is mixed."]);
    let look = |benchmarks: &[&str]| Look {
        time: 1_700_000_000,
        tool: "verdict 0.0.0".into(),
        benchmarks: benchmarks.iter().map(|name| (*name).to_owned()).collect(),
        models: vec!["base".into()],
        rows: Vec::new(),
        run: String::new(),
        id: String::new(),
    };
    let options = EvaluationOptions {
        conditions: Vec::new(),
        run: evaluated_run(),
        methods: Methods {
            fit: Fit::Temperature,
            resampling: Resampling {
                replicates: 200,
                seed: 1,
            },
            target_error_rate: 0.1,
            delta: 0.1,
            max_answer_tokens: 48,
            max_prompt_tokens: 512,
            machine: "a script".into(),
            validation_rows: 30,
            answers: 100,
            seconds: 1.5,
        },
        looks: vec![look(&["test"]), look(&["test", "small"])],
        models: vec!["base".into(), "r4".into(), "r8".into()],
        validation,
        ensembles: vec![("r4+r8".into(), vec![1, 2])],
        training_rationales: Some(&rationales),
        variants: Some((&variants, to_variants)),
        dialogues: None,
    };
    evaluate(options, &benchmarks, &answers)
}

#[test]
fn all_models_are_evaluated_on_the_same_questions() {
    let Evaluation {
        report,
        predictions,
    } = evaluation();
    assert_eq!(predictions.len(), (30 + 3) * 4);
    let test = &report.benchmarks[0];
    let right: Vec<(&str, usize)> = test
        .models
        .iter()
        .map(|model| {
            let of = &model.scores.confusion;
            (model.name.as_str(), (0..3).map(|l| of.0[l][l]).sum())
        })
        .collect();
    assert_eq!(right[..3], [("base", 10), ("r4", 20), ("r8", 30)]);
    assert_eq!(right[3].0, "r4+r8");
    // Base against r8: twenty discordant pairs, all in favour of r8, the strongest of six comparisons.
    let pair = test
        .pairs
        .iter()
        .find(|pair| (pair.first.as_str(), pair.second.as_str()) == ("r8", "base"))
        .unwrap();
    assert_eq!((pair.paired.table.first, pair.paired.table.second), (20, 0));
    assert!(pair.paired.difference.value > 0.0, "tuned minus base");
    assert!((pair.paired.p - 2.0_f64.powi(-19)).abs() < 1e-12);
    assert!((pair.holm - 6.0 * 2.0_f64.powi(-19)).abs() < 1e-12);
    assert_eq!(test.pairs.len(), 6);
    assert_eq!((test.look, report.benchmarks[1].look), (2, 1));
    // Slices by source: even numbers are of one source, odd numbers of the other.
    let parts: Vec<(&str, &str, usize)> = test
        .slices
        .iter()
        .map(|slice| (slice.by.as_str(), slice.part.as_str(), slice.models[0].1.n))
        .collect();
    assert_eq!(
        parts,
        [
            ("source", "bioasq", 15),
            ("source", "stats", 15),
            ("labels", "expert", 15),
            ("labels", "generated", 15)
        ]
    );
}

#[test]
fn generated_answers_are_evaluated_by_mode() {
    let report = evaluation().report;
    let test = &report.benchmarks[0];
    let of = |model: usize, mode| test.models[model].generated(mode).unwrap();
    let (free, guaranteed) = (Mode::Free, Mode::Guaranteed);
    assert_eq!(of(0, free).format.total, 18, "the first 18");
    // Unconstrained, the base model is format-valid once and always cites; constrained, it never cites.
    assert_eq!(of(0, free).format.count, 1);
    assert_eq!(of(0, free).citations.count, 18);
    assert_eq!(of(0, guaranteed).citations.count, 0);
    for model in 0..3 {
        assert_eq!(of(model, guaranteed).format.count, 18);
    }
    // r8 always gives the same rationale of the training set; each such answer is marked.
    let memorized = of(2, free).memorized.as_ref().unwrap();
    assert_eq!(memorized.memorized.count, 18);
    assert_eq!(of(2, free).variety.said_before.count, 17);
    assert_eq!(of(1, free).memorized.as_ref().unwrap().memorized.count, 0);
    assert!(
        test.models[3].generated.is_empty(),
        "an ensemble generates none"
    );
    assert_eq!(report.benchmarks[1].models[0].generated[0].format.total, 3);
}

#[test]
fn unconstrained_answers_have_a_lenient_accuracy_by_their_first_word() {
    let report = evaluation().report;
    let base = &report.benchmarks[0].models[0];
    let free = base.generated(Mode::Free).unwrap();
    // The base model always says Yes, once in a format-valid answer; six of the 18 true labels are Yes.
    assert_eq!(free.right.count, 1);
    let lenient = free.right_first_word.unwrap();
    assert_eq!((lenient.count, lenient.total), (6, 18));
    assert_eq!(
        base.generated(Mode::Guaranteed).unwrap().right_first_word,
        None
    );
    assert_eq!(free.fallbacks, None, "only a constrained answer has one");
}

#[test]
fn fallback_rationales_are_counted_and_shown_where_there_are_any() {
    // All fallbacks of the script are removed, and some are set.
    let with = |fallbacks: &[(usize, usize)]| {
        evaluation_of(|answers| {
            for (model, of_model) in answers.iter_mut().flat_map(|of| of.iter_mut().enumerate()) {
                for (place, answer) in of_model.iter_mut().enumerate() {
                    if let Some([_, constrained]) = &mut answer.written {
                        assert_eq!(constrained.mode, Mode::Guaranteed);
                        constrained.fallback = fallbacks.contains(&(model, place));
                    }
                }
            }
        })
    };
    let shown = |evaluation: &Evaluation| {
        let [text, markdown, html] = [
            evaluation.report.text(),
            evaluation.report.markdown(),
            evaluation.html(),
        ];
        [text, markdown, html].map(|of| of.contains("fallback"))
    };
    assert_eq!(shown(&with(&[])), [false; 3]);
    let one = with(&[(1, 4)]);
    assert_eq!(shown(&one), [true; 3]);
    let of = |model: usize| {
        let generated = one.report.benchmarks[0].models[model].generated(Mode::Guaranteed);
        generated.unwrap().fallbacks.unwrap()
    };
    assert_eq!((of(0).count, of(1).count, of(1).total), (0, 1, 18));
    assert!(
        one.report
            .text()
            .lines()
            .all(|line| line.chars().count() <= 80),
        "{}",
        one.report.text()
    );
    let marked = one.predictions.iter();
    let marked = marked.filter(|one| one.guaranteed.as_ref().is_some_and(|of| of.fallback));
    assert_eq!(marked.count(), 1);
}

#[test]
fn cut_contexts_are_mentioned_only_where_there_are_contexts() {
    let mut report = evaluation().report;
    let words = "a longer context loses its first sentences";
    assert_eq!(report.benchmarks[0].contexts, 0);
    assert!(!report.markdown().contains(words));
    report.benchmarks[1].contexts = 1;
    assert!(report.markdown().contains(words));
}

#[test]
fn memorized_rationales_are_marked() {
    for one in evaluation().predictions {
        let marked = one.free.and_then(|free| free.memorized);
        let written =
            one.benchmark == "small" || one.id["item-".len()..].parse::<usize>().unwrap() < 18;
        match one.model.as_str() {
            "r8" if written => assert_eq!(marked, Some(true)),
            "r4" if written => assert_eq!(marked, Some(false)),
            "base" | "r4" | "r8" => assert_ne!(marked, Some(true)),
            _ => assert_eq!(marked, None),
        }
    }
}

#[test]
fn files_for_pubmedqas_script_have_its_format() {
    let mut evaluation = evaluation();
    for one in &mut evaluation.predictions {
        if one.benchmark == "small" {
            one.benchmark = "pubmedqa".into();
            one.id = one.id.replace("item-", "pubmedqa-labeled:");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    evaluation.write(folder.path()).unwrap();
    let text = std::fs::read_to_string(folder.path().join("official/pubmedqa-r8.json")).unwrap();
    assert_eq!(text, "{\"0\":\"yes\",\"1\":\"no\",\"2\":\"maybe\"}\n");
    let files = std::fs::read_dir(folder.path().join("official")).unwrap();
    assert_eq!(files.count(), 4, "one for each model");
}

#[test]
fn an_ensemble_is_the_mean_of_its_members_calibrated_probabilities() {
    let Evaluation { predictions, .. } = evaluation();
    let of = |model: &str| -> Vec<&Prediction> {
        let own = predictions
            .iter()
            .filter(|one| one.model == model && one.benchmark == "test");
        own.collect()
    };
    let (r4, r8, both) = (of("r4"), of("r8"), of("r4+r8"));
    for ((a, b), mean) in r4.iter().zip(&r8).zip(&both) {
        for label in 0..3 {
            let expected = f64::midpoint(a.probabilities[label], b.probabilities[label]);
            assert!((mean.probabilities[label] - expected).abs() < 1e-12);
        }
        assert_eq!((mean.other, &mean.free), (None, &None));
    }
    // Calibration by temperature changes no label.
    for one in &predictions {
        let top = |p: [f64; 3]| (1..3).fold(0, |top, l| if p[l] > p[top] { l } else { top });
        if one.model != "r4+r8" {
            assert_eq!(top(one.probabilities), top(one.uncalibrated));
        }
        assert_eq!(one.label.index(), top(one.probabilities));
        assert_eq!(one.right, one.label == one.truth);
    }
}

#[test]
fn the_report_as_text_and_markdown() {
    let report = evaluation().report;
    insta::assert_snapshot!("text", report.text());
    insta::assert_snapshot!("markdown", report.markdown());
    let html = report.page().html();
    assert!(html.starts_with("<!DOCTYPE html>"));
    assert!(html.contains("<svg"), "figures are drawn");
}

#[test]
fn the_whole_report_is_visible_in_a_browser() {
    let Some(mut browser) = verdict_testkit::browser::Browser::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    std::fs::write(&path, evaluation().html()).unwrap();
    for (width, dark) in [(360, false), (360, true), (1280, false), (1280, true)] {
        // All folds are opened first.
        let view = browser.look(&path, width, dark);
        assert_eq!(view.faults, [""; 0], "{width} {dark}");
        assert!(view.contrast >= 4.5, "{}", view.contrast);
        for text in [
            "Evaluation of run",
            "it is better than the base model",
            "Difference from the base model",
            "All 30 answers of r8, mistakes first",
            "Filter the answers",
            "Intended use and limits",
            "Error rate when only the most confident answers are given",
            "Validation loss by optimizer step",
            "stats: opposite claim",
            "Answering only with a probability of at least",
        ] {
            assert!(view.text.contains(text), "{text}: {}", view.text);
        }
    }
}

#[test]
fn the_most_confident_mistakes_come_first() {
    let mut evaluation = evaluation();
    let ids: Vec<String> = ["less confident", "most confident"]
        .map(str::to_owned)
        .into();
    let own = evaluation.predictions.iter_mut();
    let mut own: Vec<_> = own
        .filter(|one| one.benchmark == "test" && one.model == "r8")
        .collect();
    for ((place, id), sure) in [4, 20].into_iter().zip(&ids).zip([0.5, 0.9]) {
        let one = &mut *own[place];
        one.question = format!("Is this the {id} <one>?");
        one.right = false;
        let others = (1.0 - sure) / 2.0;
        one.probabilities = [others; 3];
        one.probabilities[one.label.index()] = sure;
        one.truth = Label::ALL[(one.label.index() + 1) % 3];
    }
    let html = evaluation.html();
    let at = |text: &str| {
        let found = html.find(text);
        found.unwrap_or_else(|| panic!("{text} is not shown"))
    };
    let first = at("Is this the most confident &lt;one&gt;?");
    assert!(at("The most confident mistakes of r8:") < first);
    assert!(first < at("Is this the less confident &lt;one&gt;?"));
    assert!(at("90.0 %</span> wrong: the true label is") < first);
    // Once among the mistakes, and again among all answers.
    assert_eq!(
        html.matches("Is this the most confident &lt;one&gt;?")
            .count(),
        2
    );
    let without = evaluation.report.page().html();
    assert!(!without.contains("mistakes first"));
}

#[test]
fn the_files_keep_the_field_names_of_the_first_version() {
    let evaluation = evaluation();
    let report = serde_json::json!(evaluation.report);
    let prediction = serde_json::json!(evaluation.predictions[0]);
    let robustness = &report["robustness"]["systems"][0][1];
    for (value, names) in [
        (
            &report,
            "benchmarks looks methods robustness subject systems tool",
        ),
        (
            &report["subject"],
            "base best data_sha256 members model model_sha256 nested rule run settings steps \
             train_rows trained_by",
        ),
        (
            &report["subject"]["members"][0],
            "curve kept left lr name rank seed stopped validated",
        ),
        (
            &report["methods"],
            "answers delta error_rate fit machine max_answer_tokens max_prompt_tokens resampling \
             seconds validation_rows",
        ),
        (
            &report["benchmarks"][0],
            "about contexts groups items levels look name pairs published runs sha256 slices \
             systems trained_on truths words",
        ),
        (
            &report["benchmarks"][0]["systems"][0],
            "abstained calibrated name raw scores selective written",
        ),
        (
            &report["benchmarks"][0]["systems"][0]["written"][1],
            "citations contradictions fallbacks format loops memorised mode right tokens variety",
        ),
        (robustness, "all flipped kept rules"),
        (
            &prediction,
            "benchmark free group guaranteed id label other probabilities question right source \
             system truth uncalibrated",
        ),
        (
            &prediction["free"],
            "answer citation contradicts fallback first_word format_ok label memorised tokens",
        ),
    ] {
        let mut found: Vec<&str> = value
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        found.sort_unstable();
        assert_eq!(found.join(" "), names);
    }
}

#[test]
fn files_are_read_back_unchanged() {
    let evaluation = evaluation();
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
        [
            "predictions.jsonl",
            "report.html",
            "report.json",
            "report.md"
        ],
        "nothing else is left behind"
    );
}

#[test]
fn runs_are_compared_where_their_questions_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = evaluation();
    // A run with another best adapter, and with other questions in its second benchmark.
    let folders = ["one", "two"].map(|name| folder.path().join(name));
    for path in &folders {
        std::fs::create_dir(path).unwrap();
    }
    evaluation().write(&folders[0]).unwrap();
    other.report.run.best = "r4".into();
    other.report.benchmarks[1].sha256 = "other".into();
    other.write(&folders[1]).unwrap();
    let comparison = compare(&folders).unwrap();
    let names: Vec<&str> = comparison
        .benchmarks
        .iter()
        .map(|of| of.name.as_str())
        .collect();
    assert_eq!(names, ["test"]);
    assert_eq!(
        comparison.left_out,
        ["small: two and one have different questions"]
    );
    let test = &comparison.benchmarks[0];
    assert_eq!(test.models.len(), 8);
    assert_eq!(test.models[7].0, "two/r4+r8");
    let pair = &test.pairs[0];
    assert_eq!(
        (pair.first.as_str(), pair.second.as_str()),
        ("two/r4", "one/r8")
    );
    assert_eq!((pair.paired.table.first, pair.paired.table.second), (0, 10));
    assert!(comparison.text().contains("two/r4 – one/r8"));
    comparison.write(folder.path()).unwrap();
    assert!(folder.path().join("comparison.html").exists());
    let error = compare(&[folder.path().join("none"), folders[0].clone()]).unwrap_err();
    let expected = format!(
        "{}: cannot read: ",
        folder.path().join("none/report.json").display()
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
    std::fs::write(folders[0].join("report.json"), "{}").unwrap();
    let error = compare(&folders).unwrap_err().to_string();
    assert!(
        error.contains("expected a report of this version"),
        "{error}"
    );
}

#[test]
fn every_error_names_its_cause() {
    let tokenizer = tokenizer();
    let items = items(9);
    let of = |name, items| EvaluationRequest {
        name,
        items,
        written: 9,
    };
    let text = |benchmarks: &[EvaluationRequest<'_>]| {
        let error = collected(&tokenizer, benchmarks, 48);
        error.unwrap_err().to_string()
    };
    assert_eq!(
        text(&[of("empty", &[])]),
        "benchmark \"empty\" has no questions, expected at least one"
    );
    let test = of("test", &items);
    assert_eq!(
        text(&[test, test]),
        "two benchmarks are named \"test\", expected different names"
    );
    assert_eq!(text(&[]), "no benchmark to evaluate, expected at least one");
    let long = Item {
        question: "word ".repeat(2000),
        ..item(7, Label::No)
    };
    let long = [items[0].clone(), long];
    let error = text(&[test, of("long", &long)]);
    assert!(
        error.starts_with("benchmark \"long\", question \"item-7\": question ")
            && error.ends_with("takes 8005 tokens with its prompt, expected at most 928"),
        "{error}"
    );
    let error = collected(&tokenizer, &[test], 3).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the maximum number of new tokens is 3, expected at least 24"
    );
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let error = evaluation().write(&missing).unwrap_err().to_string();
    let expected = format!(
        "{}: cannot write: ",
        missing.join("predictions.jsonl").display()
    );
    assert!(error.starts_with(&expected), "{error}");
}
