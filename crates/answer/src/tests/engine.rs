//! Answering with a tiny random model and adapters saved by PEFT.

use std::path::Path;

use verdict_answer::PromptFormat;
use verdict_answer::testing::{eos, tokenizer_of};
use verdict_answer::{AnswerSettings, Answerer, Mode, ModelInferenceEngine, Question, Verdict};
use verdict_model::formats::{Adapter, Checkpoint};
use verdict_model::{AdapterBank, BaseQuantization, ComputeDtype, Isa, LoadOptions, Model};

/// Answers from the tiny model of a family with its two adapters.
fn ask(family: &str, questions: &[Question<'_>], settings: &AnswerSettings) -> Vec<Verdict> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../model/tests/goldens")
        .join(family);
    let options = LoadOptions {
        base: BaseQuantization::F32,
        compute: Some(ComputeDtype::F32),
        threads: 1,
        isa: Isa::detect(),
        ..LoadOptions::default()
    };
    let model = Model::load(&Checkpoint::open(folder.join("model")).unwrap(), options).unwrap();
    let mut bank = AdapterBank::empty();
    for name in ["adapter-r4", "adapter-r6"] {
        bank.add(
            model.config(),
            name,
            &Adapter::read(folder.join(name)).unwrap(),
        )
        .unwrap();
    }
    // 280 tokens: fewer than the 320 of the model.
    let tokenizer = tokenizer_of(&[" Yes", " No", " Uncertain", " Rationale"]);
    let answerer = Answerer::new(&tokenizer, eos(&tokenizer)).unwrap();
    let mut engine = ModelInferenceEngine::new(&model, &bank);
    let verdicts = answerer
        .answer(&mut engine, questions, settings, &mut |_| {})
        .unwrap();
    verdicts
        .into_iter()
        .map(|verdict| Verdict {
            latency_ms: 0.0,
            ..verdict
        })
        .collect()
}

#[test]
fn a_random_model_keeps_the_format_and_is_batch_invariant() {
    let settings = AnswerSettings {
        max_answer_tokens: 60,
        ..AnswerSettings::default()
    };
    for family in ["llama", "qwen2", "qwen3"] {
        let texts = ["Does it help?", "Is the ratio of 0.85 significant?"];
        let mut questions = Vec::new();
        for text in texts {
            for adapter in [None, Some(0), Some(1)] {
                for mode in Mode::WRITTEN {
                    questions.push(Question {
                        text,
                        context: None,
                        adapter,
                        mode,
                        label: None,
                    });
                }
            }
        }
        let together = ask(family, &questions, &settings);
        for (question, verdict) in questions.iter().zip(&together) {
            assert_eq!(
                verdict.adapter.as_deref(),
                question
                    .adapter
                    .map(|adapter| ["adapter-r4", "adapter-r6"][adapter])
            );
            assert!(
                verdict.format_ok || question.mode == Mode::Free,
                "{verdict:?}"
            );
            let alone = ask(family, &[*question], &settings);
            assert_eq!(&alone[0], verdict, "{family}: bitwise identical");
        }
        let probabilities: Vec<[f32; 3]> = together
            .iter()
            .map(|verdict| verdict.probabilities)
            .collect();
        assert_ne!(
            probabilities[0], probabilities[2],
            "an adapter changes the base model's probabilities"
        );
        assert_ne!(
            probabilities[2], probabilities[4],
            "and another adapter differs from it"
        );
        assert_eq!(
            probabilities[0], probabilities[1],
            "the decoding mode does not"
        );
    }
}

/// Golden values: log softmax of transformers' logits in f64 on these models, summed over all tokens of each label
/// (`dev/reference/labels_golden.py`).
#[test]
fn labels_are_scored_by_all_their_tokens_as_transformers_scores_them() {
    let golden: serde_json::Value = serde_json::from_str(include_str!("labels.json")).unwrap();
    let tokenizer = tokenizer_of(&[" Yes", " No", " Un", "certain"]);
    let prompt = verdict_answer::fit_prompt(
        &tokenizer,
        PromptFormat::default(),
        "Does it help?",
        None,
        512,
    )
    .unwrap();
    assert_eq!(serde_json::json!(prompt.tokens), golden["prompt"]);
    let labels = verdict_answer::LabelTokens::new(&tokenizer).unwrap();
    for label in verdict_data::Label::ALL {
        let mut tokens = vec![labels.ids()[label.index()]];
        tokens.extend(labels.rest(label));
        assert_eq!(serde_json::json!(tokens), golden["labels"][label.as_str()]);
    }
    for family in ["llama", "qwen2", "qwen3"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../model/tests/goldens")
            .join(family);
        let options = LoadOptions {
            base: BaseQuantization::F32,
            compute: Some(ComputeDtype::F32),
            threads: 1,
            isa: Isa::detect(),
            ..LoadOptions::default()
        };
        let model = Model::load(&Checkpoint::open(folder.join("model")).unwrap(), options).unwrap();
        let bank = AdapterBank::empty();
        let answerer = Answerer::new(&tokenizer, eos(&tokenizer)).unwrap();
        let ask = |questions: &[Question<'_>]| {
            let mut engine = ModelInferenceEngine::new(&model, &bank);
            answerer
                .answer(
                    &mut engine,
                    questions,
                    &AnswerSettings::default(),
                    &mut |_| {},
                )
                .unwrap()
        };
        let question = |text, mode| Question {
            text,
            context: None,
            adapter: None,
            mode,
            label: None,
        };
        let wanted = verdict_data::Label::ALL.map(|label| {
            golden["log_probabilities"][family][label.as_str()]
                .as_f64()
                .unwrap()
                .exp()
        });
        let named: f64 = wanted.iter().sum();
        let alone = ask(&[question("Does it help?", Mode::Label)]);
        let together = ask(&[
            question("Is the ratio of 0.85 significant?", Mode::Guaranteed),
            question("Does it help?", Mode::Free),
            question("Does it help?", Mode::Label),
        ]);
        for verdict in [&alone[0], &together[1], &together[2]] {
            for (got, want) in verdict.probabilities.iter().zip(wanted) {
                let want = want / named;
                assert!(
                    (f64::from(*got) - want).abs() < 2e-5 * want.max(0.05),
                    "{family}: {got} against {want}"
                );
            }
            assert!(
                (f64::from(verdict.other) - (1.0 - named)).abs() < 2e-5,
                "{family}"
            );
        }
        assert_eq!(alone[0].probabilities, together[2].probabilities);
        assert_eq!(alone[0].other, together[2].other);
    }
}
