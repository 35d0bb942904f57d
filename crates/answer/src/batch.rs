//! The batch of one call: prompts, label scoring and answers of many questions and adapters in shared passes.
//!
//! Each pass extends every running sequence by its pending tokens: a new prompt, the fixed words after a label, or
//! one token. Sequences that finish leave, and new prompts take their place as the limits allow. Questions with the
//! same prompt and adapter share the prompt's pass; their sequences are forked after it. Where a label has several
//! tokens, a fork reads all of them but the last, so that the label is scored by all.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use verdict_data::Label;

use crate::engine::{Chunk, InferenceEngine};
use crate::error::AnswerError;
use crate::grammar::Step;
use crate::labels::{self, LabelScores};
use crate::request::{AnswerSettings, Question};
use crate::sampler::{self, TokenSampler};
use crate::text::{AnswerFormat, AnswerText};
use crate::verdict::{Mode, Verdict};

/// A prompt and the questions that share it.
pub(crate) struct PendingPrompt {
    pub(crate) tokens: Vec<u32>,
    pub(crate) adapter: Option<usize>,
    /// Indices of the questions.
    pub(crate) questions: Vec<usize>,
}

/// Answers the questions of `waiting`; the verdicts are in the order of `questions`.
pub(crate) fn answer(
    format: &AnswerFormat<'_>,
    engine: &mut dyn InferenceEngine,
    questions: &[Question<'_>],
    settings: &AnswerSettings,
    waiting: VecDeque<PendingPrompt>,
    done: &mut dyn FnMut(usize),
) -> Result<Vec<Verdict>, AnswerError> {
    let [yes, no, uncertain] = format.labels.ids();
    let mut batch = Batch {
        format,
        engine,
        questions,
        settings,
        waiting,
        probes: [yes, no, uncertain, format.grammar.full_stop()],
        open: BTreeSet::new(),
        running: Vec::new(),
        scoring: BTreeMap::new(),
        verdicts: vec![None; questions.len()],
    };
    let outcome = batch.run(done);
    // Sequences are left open only after an error.
    for sequence in std::mem::take(&mut batch.open) {
        batch.engine.release(sequence);
    }
    outcome?;
    Ok(batch.verdicts.into_iter().flatten().collect())
}

/// The state of one call of [`answer`].
struct Batch<'a, 't> {
    format: &'a AnswerFormat<'t>,
    engine: &'a mut dyn InferenceEngine,
    questions: &'a [Question<'a>],
    settings: &'a AnswerSettings,
    waiting: VecDeque<PendingPrompt>,
    /// Tokens whose logits are read after nearly every pass.
    probes: [u32; 4],
    /// Sequences to release.
    open: BTreeSet<usize>,
    running: Vec<Running<'a, 't>>,
    /// Prompts whose labels are being scored, by their sequence.
    scoring: BTreeMap<usize, Scoring<'a, 't>>,
    verdicts: Vec<Option<Verdict>>,
}

/// A sequence that the next pass extends.
struct Running<'a, 't> {
    sequence: usize,
    adapter: Option<usize>,
    /// Tokens that are not in the cache yet.
    pending: Vec<u32>,
    started: Instant,
    state: State<'a, 't>,
}

enum State<'a, 't> {
    /// The pass of a prompt; these questions share it.
    Prompt(Vec<usize>),
    /// Scores a label of the prompt of that sequence: it has read the label's tokens before number `next` of its rest.
    Label {
        prompt: usize,
        label: Label,
        next: usize,
    },
    /// Decodes the answer to one question.
    Answer(Answer<'a, 't>),
}

/// A prompt whose labels are being scored.
struct Scoring<'a, 't> {
    adapter: Option<usize>,
    started: Instant,
    questions: Vec<usize>,
    /// Key of the answers' random numbers.
    key: u64,
    /// Sums of the log-probabilities of the labels' tokens so far.
    log_probabilities: [f64; 3],
    /// Labels with tokens left to score.
    left: usize,
    /// Unconstrained answers, whose first token was chosen from the prompt's own logits.
    begun: Vec<(usize, TokenSampler<'a>, AnswerText<'a, 't>, Step)>,
}

/// An answer in progress.
struct Answer<'a, 't> {
    question: usize,
    scores: LabelScores,
    sampler: TokenSampler<'a>,
    text: AnswerText<'a, 't>,
}

impl<'a, 't> Batch<'a, 't> {
    fn run(&mut self, done: &mut dyn FnMut(usize)) -> Result<(), AnswerError> {
        let mut answered = 0;
        loop {
            self.admit();
            if self.running.is_empty() {
                return Ok(());
            }
            // The engine expects the chunks of one adapter side by side.
            self.running.sort_by_key(|one| (one.adapter, one.sequence));
            let chunks: Vec<Chunk<'_>> = self
                .running
                .iter()
                .map(|one| Chunk {
                    sequence: one.sequence,
                    adapter: one.adapter,
                    tokens: &one.pending,
                })
                .collect();
            self.engine
                .extend(&chunks, &self.probes)
                .map_err(AnswerError::Engine)?;
            for (row, one) in std::mem::take(&mut self.running).into_iter().enumerate() {
                self.advance(one, row)?;
            }
            let now = self.verdicts.iter().flatten().count();
            if now > answered {
                answered = now;
                done(answered);
            }
        }
    }

    /// Admits waiting prompts as the limits allow, and at least one where nothing is running.
    fn admit(&mut self) {
        let mut rows: usize = self.running.iter().map(|one| one.pending.len()).sum();
        let mut sequences = self.sequences();
        while let Some(next) = self.waiting.front() {
            rows += next.tokens.len();
            sequences += self.sequences_of_prompt(next.questions.len());
            let fits =
                rows <= self.settings.max_batch_tokens && sequences <= self.settings.max_sequences;
            if !(fits || self.running.is_empty()) {
                return;
            }
            if let Some(prompt) = self.waiting.pop_front() {
                let sequence = self.engine.add_sequence();
                self.open.insert(sequence);
                self.running.push(Running {
                    sequence,
                    adapter: prompt.adapter,
                    pending: prompt.tokens,
                    started: Instant::now(),
                    state: State::Prompt(prompt.questions),
                });
            }
        }
    }

    /// Sequences in use or reserved: those of answers, and all that prompts whose labels are being scored may open.
    fn sequences(&self) -> usize {
        let answers = self.running.iter();
        let answers = answers.filter(|one| matches!(one.state, State::Answer(_)));
        let scoring = self.scoring.values();
        let scoring = scoring.map(|prompt| self.sequences_of_prompt(prompt.questions.len()));
        answers.count() + scoring.sum::<usize>()
    }

    /// Most sequences that a prompt of so many questions has open at once: one for each question or, while labels are
    /// scored, its own and one for each label of several tokens.
    fn sequences_of_prompt(&self, questions: usize) -> usize {
        questions.max(1 + self.format.labels.long().count())
    }

    /// Continues a sequence from the logits after its pending tokens, which are in this row.
    fn advance(&mut self, one: Running<'a, 't>, row: usize) -> Result<(), AnswerError> {
        let Running {
            sequence,
            adapter,
            pending,
            started,
            state,
        } = one;
        match state {
            State::Prompt(questions) => {
                let prompt = PendingPrompt {
                    tokens: pending,
                    adapter,
                    questions,
                };
                self.open(sequence, prompt, started, row)
            }
            State::Label {
                prompt,
                label,
                next,
            } => self.score(sequence, [prompt, next], label, row),
            State::Answer(answer) => self.write(sequence, adapter, started, answer, row),
        }
    }

    /// Begins to score the labels of a prompt whose pass is done.
    fn open(
        &mut self,
        sequence: usize,
        prompt: PendingPrompt,
        started: Instant,
        row: usize,
    ) -> Result<(), AnswerError> {
        let format = self.format;
        let logits = self.engine.logits().row(row);
        let log_probabilities = format.labels.first(logits).map_err(engine)?;
        let key = sampler::key(&prompt.tokens);
        check_finite(&LabelScores::of(log_probabilities), &prompt.questions)?;
        // The first token of unconstrained answers is chosen here, where its logits are.
        let mut begun = Vec::new();
        for &question in &prompt.questions {
            if self.questions[question].mode == Mode::Free {
                let mut sampler = TokenSampler::new(&self.settings.sampling, key);
                let mut text = AnswerText::Free(Vec::new());
                let limit = self.settings.max_answer_tokens;
                let logits = self.engine.logits().row(row);
                let step = format.step(&mut text, &mut sampler, logits, limit);
                begun.push((question, sampler, text, step.map_err(engine)?));
            }
        }
        let labels: Vec<Label> = format.labels.long().collect();
        for &label in &labels {
            let fork = self.engine.fork(sequence).map_err(AnswerError::Engine)?;
            self.open.insert(fork);
            self.running.push(Running {
                sequence: fork,
                adapter: prompt.adapter,
                pending: vec![format.labels.ids()[label.index()]],
                started,
                state: State::Label {
                    prompt: sequence,
                    label,
                    next: 0,
                },
            });
        }
        let scoring = Scoring {
            adapter: prompt.adapter,
            started,
            questions: prompt.questions,
            key,
            log_probabilities,
            left: labels.len(),
            begun,
        };
        match labels.is_empty() {
            true => self.settle(sequence, scoring),
            false => {
                self.scoring.insert(sequence, scoring);
                Ok(())
            }
        }
    }

    /// Adds the log-probability of a label's next token; the last one of all labels begins the prompt's answers.
    fn score(
        &mut self,
        sequence: usize,
        [prompt, next]: [usize; 2],
        label: Label,
        row: usize,
    ) -> Result<(), AnswerError> {
        let rest = self.format.labels.rest(label);
        let logits = self.engine.logits().row(row);
        let found = labels::log_probability(logits, rest[next]).map_err(engine)?;
        let Some(mut scoring) = self.scoring.remove(&prompt) else {
            return Ok(());
        };
        scoring.log_probabilities[label.index()] += found;
        if next + 1 < rest.len() {
            self.running.push(Running {
                sequence,
                adapter: scoring.adapter,
                pending: vec![rest[next]],
                started: scoring.started,
                state: State::Label {
                    prompt,
                    label,
                    next: next + 1,
                },
            });
        } else {
            self.release(sequence);
            scoring.left -= 1;
            if scoring.left == 0 {
                return self.settle(prompt, scoring);
            }
        }
        self.scoring.insert(prompt, scoring);
        Ok(())
    }

    /// Begins the answers of a prompt whose labels are scored.
    fn settle(&mut self, prompt: usize, mut scoring: Scoring<'a, 't>) -> Result<(), AnswerError> {
        let scores = LabelScores::of(scoring.log_probabilities);
        check_finite(&scores, &scoring.questions)?;
        let (adapter, started) = (scoring.adapter, scoring.started);
        for (place, &question) in scoring.questions.iter().enumerate() {
            let sequence = match place + 1 == scoring.questions.len() {
                true => prompt,
                false => {
                    let fork = self.engine.fork(prompt).map_err(AnswerError::Engine)?;
                    self.open.insert(fork);
                    fork
                }
            };
            let begun = scoring.begun.iter().position(|(of, ..)| *of == question);
            let asked = &self.questions[question];
            let (sampler, text, pending) = match asked.mode {
                Mode::Guaranteed => {
                    let grammar = &self.format.grammar;
                    let limit = self.settings.max_answer_tokens;
                    let label = asked.label.unwrap_or(scores.label());
                    let writer = grammar.writer(label, limit)?;
                    let pending = grammar.opening(label).to_vec();
                    let sampler = TokenSampler::new(&self.settings.sampling, scoring.key);
                    (sampler, AnswerText::Guaranteed(writer), pending)
                }
                Mode::Free if let Some(begun) = begun => {
                    let (_, sampler, text, step) = scoring.begun.swap_remove(begun);
                    let pending = match step {
                        Step::Took(token) => vec![token],
                        Step::Done => Vec::new(),
                    };
                    (sampler, text, pending)
                }
                Mode::Free | Mode::Label => {
                    let sampler = TokenSampler::new(&self.settings.sampling, scoring.key);
                    (sampler, AnswerText::None, Vec::new())
                }
            };
            let answer = Answer {
                question,
                scores,
                sampler,
                text,
            };
            match pending.is_empty() {
                true => self.finish(sequence, adapter, started, &answer),
                false => self.running.push(Running {
                    sequence,
                    adapter,
                    pending,
                    started,
                    state: State::Answer(answer),
                }),
            }
        }
        Ok(())
    }

    /// Decodes the next token of an answer, or finishes it.
    fn write(
        &mut self,
        sequence: usize,
        adapter: Option<usize>,
        started: Instant,
        mut answer: Answer<'a, 't>,
        row: usize,
    ) -> Result<(), AnswerError> {
        let logits = self.engine.logits().row(row);
        let limit = self.settings.max_answer_tokens;
        let (text, sampler) = (&mut answer.text, &mut answer.sampler);
        let step = self.format.step(text, sampler, logits, limit);
        match step.map_err(engine)? {
            Step::Took(token) => self.running.push(Running {
                sequence,
                adapter,
                pending: vec![token],
                started,
                state: State::Answer(answer),
            }),
            Step::Done => self.finish(sequence, adapter, started, &answer),
        }
        Ok(())
    }

    /// Releases a sequence and keeps its answer.
    fn finish(
        &mut self,
        sequence: usize,
        adapter: Option<usize>,
        started: Instant,
        answer: &Answer<'_, '_>,
    ) {
        self.release(sequence);
        let name = adapter.map(|adapter| self.engine.adapter_name(adapter).to_owned());
        let question = self.questions[answer.question].text;
        let (text, scores) = (&answer.text, &answer.scores);
        let verdict = self.format.verdict(question, text, scores, name, started);
        self.verdicts[answer.question] = Some(verdict);
    }

    fn release(&mut self, sequence: usize) {
        self.open.remove(&sequence);
        self.engine.release(sequence);
    }
}

/// Refuses scores that are not numbers, by the first question that they belong to.
fn check_finite(scores: &LabelScores, questions: &[usize]) -> Result<(), AnswerError> {
    match questions.first() {
        Some(first) if !scores.is_finite() => Err(AnswerError::NotFinite { number: first + 1 }),
        _ => Ok(()),
    }
}

/// Logits that could not be read.
fn engine(error: verdict_model::Error) -> AnswerError {
    AnswerError::Engine(Box::new(error))
}
