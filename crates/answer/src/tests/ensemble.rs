//! Ensembles: the mean of calibrated probabilities, and the rationale that goes with its label.

use verdict_answer::testing::{Scripted, eos, tokenizer};
use verdict_answer::{
    AnswerSettings, Answerer, Calibration, EnsembleMember, EnsembleVerdict, InferenceEngine, Mode,
    Question, answer_ensemble, parse_answer,
};
use verdict_data::Label;

use super::{ask, erratic, question};

fn members(temperatures: &[f64]) -> Vec<EnsembleMember> {
    let member = |(adapter, temperature): (usize, &f64)| EnsembleMember {
        adapter,
        calibration: Calibration {
            temperature: *temperature,
            bias: [0.0; 3],
        },
    };
    temperatures.iter().enumerate().map(member).collect()
}

fn ensemble(
    engine: &mut Scripted<'_>,
    questions: &[Question<'_>],
    members: &[EnsembleMember],
) -> Vec<EnsembleVerdict> {
    let tokenizer = tokenizer();
    let answerer = Answerer::new(&tokenizer, eos(&tokenizer)).unwrap();
    let settings = AnswerSettings::default();
    let limits = answerer.limits(engine, &settings).unwrap();
    let prompts = questions
        .iter()
        .map(|of| answerer.encode(of.text, of.context, limits).unwrap())
        .collect();
    let mut counts = Vec::new();
    let mut done = |count| counts.push(count);
    let found = answer_ensemble(
        &answerer, engine, questions, prompts, members, &settings, &mut done,
    )
    .unwrap();
    assert_eq!(engine.open(), 0, "every sequence is released");
    assert_eq!(counts.last(), Some(&questions.len()));
    found
}

#[test]
fn an_ensemble_is_the_mean_of_what_its_members_say_alone() {
    let tokenizer = tokenizer();
    let texts = ["Does it help?", "Is it safe?", "Does D lower the risk?"];
    let temperatures = [1.0, 2.5, 0.7];
    for seed in 0..10 {
        let names: &[&str] = &["r4", "r8", "r16"];
        let mut engine = erratic(&tokenizer, names, seed);
        let questions = texts.map(|text| question(text, Mode::Guaranteed, None));
        let all = ensemble(&mut engine, &questions, &members(&temperatures));
        for (text, found) in texts.iter().zip(&all) {
            let mut sum = [0.0; 3];
            for (adapter, member) in members(&temperatures).iter().enumerate() {
                let alone = question(text, Mode::Guaranteed, Some(adapter));
                let mut engine = erratic(&tokenizer, names, seed);
                let settings = AnswerSettings::default();
                let verdict = &ask(&mut engine, &tokenizer, &[alone], &settings)[0];
                let calibrated = member.calibration.recalibrate(verdict.probabilities);
                assert_eq!(found.members[adapter].adapter, names[adapter]);
                assert_eq!(Some(found.members[adapter].label), verdict.label);
                assert_eq!(
                    found.members[adapter].probabilities,
                    calibrated.map(|p| p as f32)
                );
                for (sum, p) in sum.iter_mut().zip(calibrated) {
                    *sum += p;
                }
            }
            for (p, sum) in found.verdict.probabilities.iter().zip(sum) {
                assert!((f64::from(*p) - sum / 3.0).abs() < 1e-6);
            }
            assert_eq!(found.verdict.adapter.as_deref(), Some("r4+r8+r16"));
            let parsed = parse_answer(&found.verdict.answer).expect("a format-valid answer");
            assert_eq!(Some(parsed.label), found.verdict.label);
            let most = found
                .verdict
                .probabilities
                .iter()
                .copied()
                .fold(0.0, f32::max);
            assert_eq!(found.verdict.probabilities[parsed.label.index()], most);
        }
    }
}

/// Two members that prefer Yes and No with 0.50 each and give Uncertain 0.45: the mean prefers Uncertain.
fn split() -> Scripted<'static> {
    let tokenizer = tokenizer();
    let id = |word: &str| tokenizer.token_to_id(word).unwrap() as usize;
    let labels = [id("ĠYes"), id("ĠNo"), id("ĠUncertain")];
    let full_stop = id(".");
    let [lowers, end] = [id("Ġlowers"), id("<|endoftext|>")];
    let size = tokenizer.get_vocab_size(true);
    let think = move |history: &[u32], adapter: Option<usize>| {
        let mut logits = vec![-20.0_f32; size];
        let shares = match adapter {
            Some(0) => [0.50_f32, 0.05, 0.45],
            _ => [0.05, 0.50, 0.45],
        };
        for (label, share) in labels.into_iter().zip(shares) {
            logits[label] = share.ln();
        }
        // Words after the label, ended once there are enough of them for a sentence.
        let words = history
            .iter()
            .rev()
            .take_while(|&&token| token as usize == lowers);
        match words.count() {
            0..6 => logits[lowers] = 1.0,
            _ => logits[full_stop] = 1.0,
        }
        if history.last() == Some(&(full_stop as u32)) {
            logits[end] = 2.0;
        }
        logits
    };
    Scripted::new(&tokenizer, &["a", "b"], Box::new(think))
}

#[test]
fn a_label_that_no_member_gives_gets_a_rationale_of_its_own() {
    let mut engine = split();
    let questions = [question("Does it help?", Mode::Guaranteed, None)];
    let found = &ensemble(&mut engine, &questions, &members(&[1.0, 1.0]))[0];
    let labels: Vec<Label> = found.members.iter().map(|member| member.label).collect();
    assert_eq!(labels, [Label::Yes, Label::No]);
    assert_eq!(found.verdict.label, Some(Label::Uncertain));
    let parsed = parse_answer(&found.verdict.answer).expect("a format-valid answer");
    assert_eq!(parsed.label, Label::Uncertain);
    assert_eq!(engine.adapter_name(0), "a");
}

#[test]
fn an_ensemble_of_labels_alone_writes_nothing() {
    let mut engine = split();
    let questions = [question("Does it help?", Mode::Label, None)];
    let found = &ensemble(&mut engine, &questions, &members(&[1.0, 1.0]))[0];
    assert_eq!(found.verdict.label, Some(Label::Uncertain));
    assert_eq!(found.verdict.answer, "");
    assert_eq!(found.verdict.tokens, 0);
}
