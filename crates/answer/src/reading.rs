//! Answers that rest on passages: each passage is read alone, all of them in one batch, and what they say is pooled.

use verdict_data::{Label, sentences};

use crate::answerer::Answerer;
use crate::calibration::Calibration;
use crate::engine::InferenceEngine;
use crate::error::AnswerError;
use crate::labels::best;
use crate::pool::{Pool, PooledPassage};
use crate::prompt;
use crate::request::{AnswerSettings, Question};
use crate::verdict::{Mode, Verdict};

/// The rationale where no passage was found.
pub const NOTHING_FOUND: &str = "No relevant publication was found in the index.";
/// The rationale where the pooled answer is that of no single passage.
pub const NO_SINGLE_PASSAGE: &str = "The publications disagree, and no single one of them decides.";

/// A text that a question is to be answered from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Passage<'p> {
    /// The text, as it is put before the question.
    pub text: &'p str,
    /// Its relevance to the question, from 0 to 1.
    pub relevance: f64,
}

/// A question and its passages, the most relevant first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PassageQuestion<'q> {
    /// The question.
    pub text: &'q str,
    /// Index of the adapter; `None` for the base model.
    pub adapter: Option<usize>,
    /// Its passages; none where nothing relevant was found.
    pub passages: &'q [Passage<'q>],
}

/// What the model says of a question from one passage alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The most probable label.
    pub label: Label,
    /// The model's own probabilities of the three labels.
    pub probabilities: [f32; 3],
    /// The sentence of the passage that alone gives the label the highest probability; `None` where sentences were not
    /// asked for, or the passage has none.
    pub sentence: Option<String>,
}

/// An answer from passages.
#[derive(Clone, Debug, PartialEq)]
pub struct PassageAnswer {
    /// The answer, with the pooled probabilities; its rationale is generated from the most decisive passage.
    pub verdict: Verdict,
    /// What each passage says, in the order of the passages.
    pub readings: Vec<Reading>,
    /// The weight of each passage in the pool; their sum is 1.
    pub weights: Vec<f64>,
    /// Index of the most decisive passage: of those that give the answer's label, the one with the largest product of
    /// weight and probability. `None` without such a passage.
    pub decisive: Option<usize>,
    /// Sum of the weights of the passages that give the answer's label.
    pub agreement: f64,
}

/// Reads every passage of every question, in one batch. With `deciding_sentences`, each of their sentences is read too.
///
/// # Errors
/// Any [`AnswerError`]; its numbers count all passages, and then all sentences.
pub fn read_passages(
    answerer: &Answerer<'_>,
    engine: &mut dyn InferenceEngine,
    questions: &[PassageQuestion<'_>],
    deciding_sentences: bool,
    settings: &AnswerSettings,
    done: &mut dyn FnMut(usize),
) -> Result<Vec<Vec<Reading>>, AnswerError> {
    let texts = questions
        .iter()
        .flat_map(|of| of.passages.iter().map(move |passage| (of, passage.text)));
    let mut all: Vec<Question<'_>> = Vec::new();
    let mut parts: Vec<Vec<&str>> = Vec::new();
    for (of, text) in texts.clone() {
        all.push(label_question(of, text));
        parts.push(match deciding_sentences {
            true => sentences(text).collect(),
            false => Vec::new(),
        });
    }
    let passages = all.len();
    for ((of, _), parts) in texts.zip(&parts) {
        all.extend(parts.iter().map(|part| label_question(of, part)));
    }
    let verdicts = answerer.answer(engine, &all, settings, done)?;
    let (verdicts, mut of_sentences) = verdicts.split_at(passages);
    let mut readings = verdicts.iter().zip(parts).map(|(verdict, parts)| {
        let label = best(verdict.probabilities);
        let (own, rest) = of_sentences.split_at(parts.len());
        of_sentences = rest;
        let support = |verdict: &Verdict| verdict.probabilities[label.index()];
        // The earlier sentence in a tie.
        let most = parts.iter().zip(own).rev();
        let most = most.max_by(|a, b| support(a.1).total_cmp(&support(b.1)));
        Reading {
            label,
            probabilities: verdict.probabilities,
            sentence: most.map(|(sentence, _)| (*sentence).to_owned()),
        }
    });
    Ok(questions
        .iter()
        .map(|of| readings.by_ref().take(of.passages.len()).collect())
        .collect())
}

/// Answers every question from its passages: reads them, pools what they say, and generates the rationale from the most
/// decisive one. Without passages the answer is Uncertain and says so.
///
/// # Errors
/// As [`read_passages`].
pub fn answer_from_passages(
    answerer: &Answerer<'_>,
    engine: &mut dyn InferenceEngine,
    questions: &[PassageQuestion<'_>],
    pool: &Pool,
    settings: &AnswerSettings,
    done: &mut dyn FnMut(usize),
) -> Result<Vec<PassageAnswer>, AnswerError> {
    let readings = read_passages(answerer, engine, questions, true, settings, done)?;
    let pooled: Vec<Pooled> = questions
        .iter()
        .zip(readings)
        .map(|(of, readings)| Pooled::of(of, readings, pool))
        .collect();
    let decisive: Vec<Question<'_>> = questions
        .iter()
        .zip(&pooled)
        .filter_map(|(of, pooled)| {
            Some(Question {
                mode: Mode::Guaranteed,
                ..label_question(of, of.passages[pooled.decisive?].text)
            })
        })
        .collect();
    let mut written = answerer
        .answer(engine, &decisive, settings, &mut |_| {})?
        .into_iter();
    Ok(questions
        .iter()
        .zip(pooled)
        .map(|(of, pooled)| {
            let adapter = of
                .adapter
                .map(|adapter| engine.adapter_name(adapter).to_owned());
            let verdict = match pooled.decisive {
                Some(_) => written.next(),
                None => None,
            };
            pooled.answer(of, verdict, adapter)
        })
        .collect())
}

fn label_question<'q>(of: &PassageQuestion<'q>, context: &'q str) -> Question<'q> {
    Question {
        text: of.text,
        context: Some(context),
        adapter: of.adapter,
        mode: Mode::Label,
        label: None,
    }
}

/// The passages' readings and what follows from them.
struct Pooled {
    label: Label,
    probabilities: [f32; 3],
    readings: Vec<Reading>,
    weights: Vec<f64>,
    decisive: Option<usize>,
    agreement: f64,
}

impl Pooled {
    fn of(question: &PassageQuestion<'_>, readings: Vec<Reading>, pool: &Pool) -> Pooled {
        let passages: Vec<PooledPassage> = question
            .passages
            .iter()
            .zip(&readings)
            .map(|(passage, reading)| PooledPassage {
                relevance: passage.relevance,
                probabilities: reading.probabilities,
            })
            .collect();
        let weights = pool.weights(&passages);
        let Some(probabilities) = pool.probabilities(&passages) else {
            return Pooled {
                label: Label::Uncertain,
                probabilities: [1.0 / 3.0; 3],
                readings,
                weights,
                decisive: None,
                agreement: 0.0,
            };
        };
        let probabilities = probabilities.map(|p| p as f32);
        let label = best(probabilities);
        let agrees = |place: &usize| readings[*place].label == label;
        let support =
            |place: usize| weights[place] * f64::from(readings[place].probabilities[label.index()]);
        let places = 0..readings.len();
        // The more relevant passage in a tie.
        let decisive = places.clone().rev().filter(agrees);
        let decisive = decisive.max_by(|a, b| support(*a).total_cmp(&support(*b)));
        let agreement = places.filter(agrees).map(|place| weights[place]).sum();
        Pooled {
            label,
            probabilities,
            weights,
            decisive,
            agreement,
            readings,
        }
    }

    /// The answer, with the constrained answer from the decisive passage where there is one.
    fn answer(
        self,
        of: &PassageQuestion<'_>,
        written: Option<Verdict>,
        adapter: Option<String>,
    ) -> PassageAnswer {
        let verdict = match written {
            Some(written) => Verdict {
                probabilities: self.probabilities,
                ..written
            },
            None => {
                let rationale = match self.readings.is_empty() {
                    true => NOTHING_FOUND,
                    false => NO_SINGLE_PASSAGE,
                };
                Verdict {
                    question: of.text.to_owned(),
                    label: Some(self.label),
                    probabilities: self.probabilities,
                    other: 0.0,
                    rationale: Some(rationale.to_owned()),
                    answer: prompt::completion(self.label, rationale).trim().to_owned(),
                    adapter,
                    mode: Mode::Guaranteed,
                    first_word: Some(self.label),
                    fallback: false,
                    format_ok: true,
                    tokens: 0,
                    latency_ms: 0.0,
                }
            }
        };
        PassageAnswer {
            verdict,
            readings: self.readings,
            weights: self.weights,
            decisive: self.decisive,
            agreement: self.agreement,
        }
    }
}

/// The probability, by the base model, that each passage answers its question; passages are named by question. It
/// orders the candidates of a search a second time.
///
/// The model is asked `Does this text answer the question "…"?` with the passage as context, and the answer is
/// `p(Yes) / (p(Yes) + p(No))`.
///
/// # Errors
/// Any [`AnswerError`]; its numbers count all passages.
pub fn relevance(
    answerer: &Answerer<'_>,
    engine: &mut dyn InferenceEngine,
    questions: &[PassageQuestion<'_>],
    settings: &AnswerSettings,
    done: &mut dyn FnMut(usize),
) -> Result<Vec<Vec<f64>>, AnswerError> {
    let texts: Vec<String> = questions
        .iter()
        .map(|of| format!("Does this text answer the question \"{}\"?", of.text))
        .collect();
    let all: Vec<Question<'_>> = questions
        .iter()
        .zip(&texts)
        .flat_map(|(of, text)| {
            of.passages.iter().map(|passage| Question {
                text,
                context: Some(passage.text),
                adapter: None,
                mode: Mode::Label,
                label: None,
            })
        })
        .collect();
    let verdicts = answerer.answer(engine, &all, settings, done)?;
    let mut found = verdicts.iter().map(|verdict| {
        let [yes, no, _] = Calibration::default().recalibrate(verdict.probabilities);
        yes / (yes + no)
    });
    Ok(questions
        .iter()
        .map(|of| found.by_ref().take(of.passages.len()).collect())
        .collect())
}
