//! A whole evaluation with a scripted model: asking, judging, the report, files, errors.

use tokenizers::Tokenizer;
use verdict_answer::testing::{Scripted, eos, tokenizer};
use verdict_answer::{AnswerSettings, Answerer, Fit, Mode};
use verdict_data::{Item, Label};
use verdict_eval::compare::compare;
use verdict_eval::robustness::Changed;
use verdict_eval::stats::resample::Resampling;
use verdict_eval::text::Trained;
use verdict_eval::{
    Answered, Asked, Benchmark, Curve, EvalError, EvalReport, Evaluation, Judging, Left, Look,
    Member, Methods, Nested, Prediction, Proportion, Subject, Validated, ValidationRow, answers,
    ask, judge,
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

/// The base babbles and cites, but likes Yes; r4 knows two labels of three, r8 all three but says the same
/// sentence, one of the training rows.
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

fn asked(
    tokenizer: &Tokenizer,
    benchmarks: &[Asked<'_>],
    most: usize,
) -> Result<Vec<Vec<Vec<Answered>>>, EvalError> {
    let mut engine = Scripted::saying(tokenizer, &ADAPTERS, plan);
    let answerer = Answerer::new(tokenizer, eos(tokenizer)).unwrap();
    let settings = AnswerSettings {
        max_answer_tokens: most,
        ..AnswerSettings::default()
    };
    let models = [None, Some(0), Some(1)];
    let mut last = 0;
    let answered = ask(
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
    assert_eq!(last, answers(benchmarks, models.len()));
    Ok(answered)
}

fn subject() -> Subject {
    let validated = |right| Validated {
        loss: 1.5,
        accuracy: Proportion::new(right, 9),
    };
    let member = |name: &str, rank, right| Member {
        name: name.into(),
        rank,
        lr: 3e-4,
        seed: 42,
        stopped: None,
        left: None,
        kept: None,
        validated: Some(validated(right)),
        curve: Curve {
            train: vec![(1, 2.5), (2, 1.75), (3, 1.5)],
            validation: vec![(2, 1.75, 0.5), (3, 1.5, 0.75)],
        },
    };
    Subject {
        run: "run".into(),
        trained_by: "verdict 0.0.0".into(),
        model: "tiny".into(),
        model_sha256: "aa".into(),
        data_sha256: "bb".into(),
        steps: 3,
        train_rows: 100,
        rule: "the smallest rank within one standard error".into(),
        best: "r8".into(),
        members: vec![
            Member {
                left: Some(Left {
                    step: 2,
                    reason: "among the worse at a rung".into(),
                }),
                kept: Some(1),
                ..member("r4", 4, 6)
            },
            member("r8", 8, 9),
        ],
        base: validated(3),
        nested: Some(Nested {
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
        trained_on: vec![false; items.len()],
        words: Some(vec![Label::Yes; items.len()]),
        published: Vec::new(),
        items,
    }
}

/// Two benchmarks, the first 18 of the first answered in full, with everything that can be judged.
fn evaluation() -> Evaluation {
    evaluation_of(|_| ())
}

/// As [`evaluation`], with the answers changed before they are judged.
fn evaluation_of(change: impl FnOnce(&mut [Vec<Vec<Answered>>])) -> Evaluation {
    let tokenizer = tokenizer();
    let benchmarks = [benchmark("test", items(30)), benchmark("small", items(3))];
    let changed = Changed::new(&benchmarks, 3);
    let mut asks: Vec<Asked<'_>> = benchmarks
        .iter()
        .map(|of| Asked {
            name: &of.name,
            items: &of.items,
            written: 18,
        })
        .collect();
    asks.push(changed.asked());
    let mut answered = asked(&tokenizer, &asks, 48).unwrap();
    let otherwise = answered.pop().unwrap();
    change(&mut answered);
    let validation: Vec<Vec<ValidationRow>> = answered[0]
        .iter()
        .map(|of_model| {
            let rows = of_model.iter().zip(&benchmarks[0].items);
            rows.map(|(answer, item)| ValidationRow {
                id: item.id.clone(),
                group: Some(item.group.clone()),
                truth: item.label.index(),
                logits: answer.logits,
            })
            .collect()
        })
        .collect();
    let trained = Trained::new(["The evidence is mixed."]);
    let look = |benchmarks: &[&str]| Look {
        time: 1_700_000_000,
        tool: "verdict 0.0.0".into(),
        benchmarks: benchmarks.iter().map(|name| (*name).to_owned()).collect(),
        systems: vec!["base".into()],
        rows: Vec::new(),
        run: String::new(),
        id: String::new(),
    };
    let judging = Judging {
        subject: subject(),
        methods: Methods {
            fit: Fit::Temperature,
            resampling: Resampling {
                replicates: 200,
                seed: 1,
            },
            error_rate: 0.1,
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
        trained: Some(&trained),
        changed: Some((&changed, otherwise)),
    };
    judge(judging, &benchmarks, &answered)
}

#[test]
fn everyone_is_judged_on_the_same_questions() {
    let Evaluation {
        report,
        predictions,
    } = evaluation();
    assert_eq!(predictions.len(), (30 + 3) * 4);
    let test = &report.benchmarks[0];
    let right: Vec<(&str, usize)> = test
        .systems
        .iter()
        .map(|system| {
            let of = &system.scores.confusion;
            (system.name.as_str(), (0..3).map(|l| of.0[l][l]).sum())
        })
        .collect();
    assert_eq!(right[..3], [("base", 10), ("r4", 20), ("r8", 30)]);
    assert_eq!(right[3].0, "r4+r8");
    // Base against r8: twenty questions decide, all for r8. Exact, and the strongest of six pairs.
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
    // Parts by source: even numbers are of the one, odd of the other.
    let parts: Vec<(&str, &str, usize)> = test
        .slices
        .iter()
        .map(|slice| (slice.by.as_str(), slice.part.as_str(), slice.systems[0].1.n))
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
fn what_was_written_is_judged_by_mode() {
    let report = evaluation().report;
    let test = &report.benchmarks[0];
    let of = |system: usize, mode| test.systems[system].written(mode).unwrap();
    let (free, guaranteed) = (Mode::Free, Mode::Guaranteed);
    assert_eq!(of(0, free).format.total, 18, "the first 18");
    // Free, the base keeps the form once and cites always; held to the form it never cites.
    assert_eq!(of(0, free).format.count, 1);
    assert_eq!(of(0, free).citations.count, 18);
    assert_eq!(of(0, guaranteed).citations.count, 0);
    for system in 0..3 {
        assert_eq!(of(system, guaranteed).format.count, 18);
    }
    // r8's sentence is that of the training rows, and the same each time; each such answer is marked.
    let memorised = of(2, free).memorised.as_ref().unwrap();
    assert_eq!(memorised.memorised.count, 18);
    assert_eq!(of(2, free).variety.said_before.count, 17);
    assert_eq!(of(1, free).memorised.as_ref().unwrap().memorised.count, 0);
    assert!(
        test.systems[3].written.is_empty(),
        "an ensemble writes none"
    );
    assert_eq!(report.benchmarks[1].systems[0].written[0].format.total, 3);
}

#[test]
fn free_running_answers_are_read_by_their_first_word_too() {
    let report = evaluation().report;
    let base = &report.benchmarks[0].systems[0];
    let free = base.written(Mode::Free).unwrap();
    // The base says Yes to all, once in the form; six of the 18 are Yes.
    assert_eq!(free.right.count, 1);
    let lenient = free.right_first_word.unwrap();
    assert_eq!((lenient.count, lenient.total), (6, 18));
    assert_eq!(
        base.written(Mode::Guaranteed).unwrap().right_first_word,
        None
    );
    assert_eq!(free.fallbacks, None, "only a constrained answer has one");
}

#[test]
fn fallback_rationales_are_counted_and_shown_where_there_are_any() {
    // The base model of the script writes no usable sentence; here it does, and one answer of r4 does not.
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
    let of = |system: usize| {
        let written = one.report.benchmarks[0].systems[system].written(Mode::Guaranteed);
        written.unwrap().fallbacks.unwrap()
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
fn contexts_are_spoken_of_only_where_there_are_some() {
    let mut report = evaluation().report;
    let words = "a longer context loses its first sentences";
    assert_eq!(report.benchmarks[0].contexts, 0);
    assert!(!report.markdown().contains(words));
    report.benchmarks[1].contexts = 1;
    assert!(report.markdown().contains(words));
}

#[test]
fn answers_learnt_by_heart_are_marked_one_by_one() {
    for one in evaluation().predictions {
        let marked = one.free.and_then(|free| free.memorised);
        let written =
            one.benchmark == "small" || one.id["item-".len()..].parse::<usize>().unwrap() < 18;
        match one.system.as_str() {
            "r8" if written => assert_eq!(marked, Some(true)),
            "r4" if written => assert_eq!(marked, Some(false)),
            "base" | "r4" | "r8" => assert_ne!(marked, Some(true)),
            _ => assert_eq!(marked, None),
        }
    }
}

#[test]
fn pubmedqas_script_gets_the_file_that_it_reads() {
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
    assert_eq!(files.count(), 4, "one for each system");
}

#[test]
fn an_ensemble_is_the_mean_of_its_members_calibrated_probabilities() {
    let Evaluation { predictions, .. } = evaluation();
    let of = |system: &str| -> Vec<&Prediction> {
        let own = predictions
            .iter()
            .filter(|one| one.system == system && one.benchmark == "test");
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
        if one.system != "r4+r8" {
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
    let html = report.html();
    assert!(html.starts_with("<!DOCTYPE html>"));
    assert!(html.contains("<svg"), "figures are drawn");
}

#[test]
fn a_reader_sees_all_of_the_report_in_a_browser() {
    let Some(mut browser) = verdict_testkit::browser::Browser::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    std::fs::write(&path, evaluation().html()).unwrap();
    for (width, dark) in [(360, false), (360, true), (1280, false), (1280, true)] {
        // Every fold is opened before the look.
        let view = browser.look(&path, width, dark);
        assert_eq!(view.faults, [""; 0], "{width} {dark}");
        assert!(view.contrast >= 4.5, "{}", view.contrast);
        for text in [
            "Evaluation of run",
            "it is better than the untrained model",
            "Difference to the untrained model",
            "All 30 answers of r8, mistakes first",
            "Filter the answers",
            "What it is for, and what not",
            "How many answers are wrong when only the surest are given",
            "Validation loss by optimizer step",
            "stats: opposite claim",
            "Answering only from a probability of",
        ] {
            assert!(view.text.contains(text), "{text}: {}", view.text);
        }
    }
}

#[test]
fn the_surest_mistakes_are_shown_first() {
    let mut evaluation = evaluation();
    let ids: Vec<String> = ["less sure", "surest"].map(str::to_owned).into();
    let own = evaluation.predictions.iter_mut();
    let mut own: Vec<_> = own
        .filter(|one| one.benchmark == "test" && one.system == "r8")
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
    let surest = at("Is this the surest &lt;one&gt;?");
    assert!(at("The mistakes that r8 was surest of:") < surest);
    assert!(surest < at("Is this the less sure &lt;one&gt;?"));
    assert!(at("90.0 %</span> wrong: the reference is") < surest);
    // Shown at once, and again among all rows.
    assert_eq!(html.matches("Is this the surest &lt;one&gt;?").count(), 2);
    let without = evaluation.report.html();
    assert!(!without.contains("mistakes first"));
}

#[test]
fn the_files_read_back_as_they_were() {
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
fn runs_stand_side_by_side_where_their_questions_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = evaluation();
    // A run whose chosen adapter is the other one, and whose second benchmark has other questions.
    let folders = ["one", "two"].map(|name| folder.path().join(name));
    for path in &folders {
        std::fs::create_dir(path).unwrap();
    }
    evaluation().write(&folders[0]).unwrap();
    other.report.subject.best = "r4".into();
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
        ["small: the questions of two are not those of one"]
    );
    let test = &comparison.benchmarks[0];
    assert_eq!(test.systems.len(), 8);
    assert_eq!(test.systems[7].0, "two/r4+r8");
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
fn every_error_names_what_is_at_fault() {
    let tokenizer = tokenizer();
    let items = items(9);
    let of = |name, items| Asked {
        name,
        items,
        written: 9,
    };
    let text = |benchmarks: &[Asked<'_>]| {
        let error = asked(&tokenizer, benchmarks, 48);
        error.unwrap_err().to_string()
    };
    assert_eq!(
        text(&[of("empty", &[])]),
        "benchmark \"empty\" has no items, expected at least one"
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
    let told = text(&[test, of("long", &long)]);
    assert!(
        told.starts_with("benchmark \"long\", item \"item-7\": question ")
            && told.ends_with("takes 8005 tokens with its prompt, expected at most 928"),
        "{told}"
    );
    let error = asked(&tokenizer, &[test], 3).unwrap_err();
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
