//! Answering: many questions and adapters at once, over one packed batch that never idles.
//!
//! Each step extends every running sequence by what it still owes the cache: a new prompt, the fixed
//! words after a label, or one token. Sequences that finish leave; new prompts take their place as
//! the row budget allows. Questions with the same prompt and adapter share the prompt's pass: their
//! sequences are forked after it. Where a label has several tokens, a fork reads those before its last,
//! so that the label is scored by all of them.
//!
//! An answer does not depend on what is answered beside it; on a GPU but for the rounding of sums, whose
//! order follows the number of rows.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Instant;

use tokenizers::Tokenizer;
use verdict_data::Label;

use crate::choose::{self, Choice, Sampling};
use crate::engine::{Chunk, Engine, LogitRow};
use crate::error::AnswerError;
use crate::grammar::{Grammar, Step, Writer};
use crate::labels::{self, LabelError, LabelScores, LabelTokens};
use crate::prompt::{self, EncodedPrompt, PromptError};
use crate::verdict::{Mode, Verdict, first_word, parse_answer};

/// A question to one adapter, or to the base model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question<'q> {
    /// The question.
    pub text: &'q str,
    /// What the model reads before it.
    pub context: Option<&'q str>,
    /// Number of the adapter; none for the base model.
    pub adapter: Option<usize>,
    /// How the answer is to be written.
    pub mode: Mode,
}

/// How to answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Most tokens of an answer, end-of-text included; at least
    /// [`MIN_TOKENS`](crate::grammar::MIN_TOKENS).
    pub max_answer_tokens: usize,
    /// Most tokens of a prompt; a longer context is cut.
    pub max_prompt_tokens: usize,
    /// Rows of one packed batch that new prompts may fill.
    pub max_rows: usize,
    /// Most sequences that run at once.
    pub max_sequences: usize,
    /// How tokens are chosen.
    pub sampling: Sampling,
}

impl Default for Settings {
    /// Greedy answers of up to 96 tokens to prompts as rows of [`prompt::ROW_TOKENS`] have them; up to 64
    /// sequences and 2,048 rows at once.
    fn default() -> Self {
        Settings {
            max_answer_tokens: prompt::ANSWER_TOKENS,
            max_prompt_tokens: prompt::prompt_limit(prompt::ROW_TOKENS),
            max_rows: 2048,
            max_sequences: 64,
            sampling: Sampling::default(),
        }
    }
}

/// Answers questions with one tokenizer. Cheap to make; may be shared between threads.
#[derive(Clone, Debug)]
pub struct Answerer<'t> {
    tokenizer: &'t Tokenizer,
    /// Tokens that end a text.
    ends: Vec<u32>,
    labels: LabelTokens,
    grammar: Grammar<'t>,
}

/// A prompt and the questions that share it.
struct Prompt {
    tokens: Vec<u32>,
    adapter: Option<usize>,
    questions: Vec<usize>,
}

impl<'t> Answerer<'t> {
    /// An answerer for the model whose tokenizer this is; `eos` is its end-of-text token.
    ///
    /// # Errors
    /// [`AnswerError::Label`] or [`AnswerError::Grammar`] where the tokenizer does not allow it.
    pub fn new(tokenizer: &'t Tokenizer, eos: u32) -> Result<Answerer<'t>, AnswerError> {
        let labels = LabelTokens::new(tokenizer)?;
        let grammar = Grammar::new(tokenizer, eos)?;
        Ok(Answerer {
            tokenizer,
            ends: vec![eos],
            labels,
            grammar,
        })
    }

    /// The same, with further tokens that end an answer as the end-of-text does: a model may have several
    /// (`eos_token_id` of `config.json` and `generation_config.json`).
    pub fn with_ends(mut self, ends: &[u32]) -> Answerer<'t> {
        let new = ends.iter().filter(|end| !self.ends.contains(end));
        let new: Vec<u32> = new.copied().collect();
        self.ends.extend(&new);
        self.grammar.add_ends(&new);
        self
    }

    /// The tokens of the three labels.
    pub fn labels(&self) -> &LabelTokens {
        &self.labels
    }

    /// Answers every question; the verdicts come in the questions' order. `done` is called with the
    /// number of questions answered so far, each time it has grown.
    ///
    /// # Errors
    /// Any of [`AnswerError`]. Faults in the questions are found before the model runs.
    pub fn answer(
        &self,
        engine: &mut dyn Engine,
        questions: &[Question<'_>],
        settings: &Settings,
        done: &mut dyn FnMut(usize),
    ) -> Result<Vec<Verdict>, AnswerError> {
        let waiting = self.prompts(engine, questions, settings)?;
        let verdicts = vec![None; questions.len()];
        let [yes, no, uncertain] = self.labels.ids();
        let mut batch = Batch {
            answerer: self,
            engine,
            questions,
            settings,
            waiting,
            probes: [yes, no, uncertain, self.grammar.full_stop()],
            open: BTreeSet::new(),
            running: Vec::new(),
            scoring: BTreeMap::new(),
            verdicts,
        };
        let outcome = batch.run(done);
        // None is left but after a fault.
        for sequence in std::mem::take(&mut batch.open) {
            batch.engine.release(sequence);
        }
        outcome?;
        Ok(batch.verdicts.into_iter().flatten().collect())
    }

    /// The prompt of each question as [`answer`](Answerer::answer) would make it, or why it cannot be asked.
    ///
    /// # Errors
    /// [`AnswerError::NoRoom`] where no question at all could be asked.
    pub fn check(
        &self,
        engine: &dyn Engine,
        questions: &[Question<'_>],
        settings: &Settings,
    ) -> Result<Vec<Result<EncodedPrompt, PromptError>>, AnswerError> {
        let limit = limit(engine, settings)?;
        let rows = engine.vocabulary();
        let fit = |of: &Question<'_>| {
            let prompt = prompt::fit_prompt(self.tokenizer, of.text, of.context, limit)?;
            prompt::check_embedding(self.tokenizer, &prompt.tokens, rows).map(|()| prompt)
        };
        Ok(questions.iter().map(fit).collect())
    }

    /// The prompts of all questions, each once for an adapter, in the order of first use.
    fn prompts(
        &self,
        engine: &dyn Engine,
        questions: &[Question<'_>],
        settings: &Settings,
    ) -> Result<VecDeque<Prompt>, AnswerError> {
        self.grammar
            .writer(Label::Yes, settings.max_answer_tokens)?;
        let limit = limit(engine, settings)?;
        let rows = engine.vocabulary();
        for label in Label::ALL {
            let opening = self.grammar.opening(label);
            prompt::check_embedding(self.tokenizer, opening, rows).map_err(|error| {
                let text = prompt::opening(label);
                let reason = error.to_string();
                AnswerError::Label(LabelError::NoToken { text, reason })
            })?;
        }
        let mut prompts: Vec<Prompt> = Vec::new();
        let mut places: HashMap<(Option<usize>, Vec<u32>), usize> = HashMap::new();
        for (index, question) in questions.iter().enumerate() {
            let number = index + 1;
            if let Some(adapter) = question
                .adapter
                .filter(|adapter| *adapter >= engine.adapters())
            {
                return Err(AnswerError::NoAdapter {
                    number,
                    adapter,
                    adapters: engine.adapters(),
                });
            }
            let tokens =
                prompt::encode_prompt(self.tokenizer, question.text, question.context, limit)
                    .and_then(|tokens| {
                        prompt::check_embedding(self.tokenizer, &tokens, rows).map(|()| tokens)
                    })
                    .map_err(|source| AnswerError::Prompt { number, source })?;
            let place = *places
                .entry((question.adapter, tokens.clone()))
                .or_insert_with(|| {
                    prompts.push(Prompt {
                        tokens,
                        adapter: question.adapter,
                        questions: Vec::new(),
                    });
                    prompts.len() - 1
                });
            prompts[place].questions.push(index);
        }
        Ok(prompts.into())
    }
}

/// Most tokens of a prompt: what the settings allow and the model's positions leave beside an answer.
fn limit(engine: &dyn Engine, settings: &Settings) -> Result<usize, AnswerError> {
    let (answer, positions) = (settings.max_answer_tokens, engine.max_positions());
    let room = positions.checked_sub(answer).filter(|room| *room > 0);
    let room = room.ok_or(AnswerError::NoRoom { answer, positions })?;
    Ok(room.min(settings.max_prompt_tokens))
}

/// All that is under way in one call of [`Answerer::answer`].
struct Batch<'a, 't> {
    answerer: &'a Answerer<'t>,
    engine: &'a mut dyn Engine,
    questions: &'a [Question<'a>],
    settings: &'a Settings,
    waiting: VecDeque<Prompt>,
    /// Tokens whose logits are wanted at nearly every step.
    probes: [u32; 4],
    /// Sequences that are to be released.
    open: BTreeSet<usize>,
    running: Vec<Running<'a, 't>>,
    /// Prompts whose labels are being scored, by their sequence.
    scoring: BTreeMap<usize, Scoring<'a, 't>>,
    verdicts: Vec<Option<Verdict>>,
}

/// A running sequence.
struct Running<'a, 't> {
    sequence: usize,
    adapter: Option<usize>,
    /// Tokens that the cache does not hold yet.
    owed: Vec<u32>,
    started: Instant,
    state: State<'a, 't>,
}

enum State<'a, 't> {
    /// Its prompt is under way; these questions wait for it.
    Prompt(Vec<usize>),
    /// It has read a label's tokens before number `next` of its rest, for the prompt of that sequence.
    Label {
        prompt: usize,
        label: Label,
        next: usize,
    },
    /// It answers one question.
    Answer(Answer<'a, 't>),
}

/// A prompt whose labels are being scored.
struct Scoring<'a, 't> {
    adapter: Option<usize>,
    started: Instant,
    asked: Vec<usize>,
    /// Names the answers to their choosers.
    key: u64,
    /// Sums of the logarithms of the labels' tokens' probabilities, so far.
    log_probabilities: [f64; 3],
    /// Labels that have tokens left.
    left: usize,
    /// Free-running answers, whose first token was chosen from the prompt's own logits.
    begun: Vec<(usize, Choice<'a>, Text<'a, 't>, Step)>,
}

/// An answer under way.
struct Answer<'a, 't> {
    question: usize,
    scores: LabelScores,
    choice: Choice<'a>,
    text: Text<'a, 't>,
}

/// What has been written of an answer.
enum Text<'a, 't> {
    Free(Vec<u32>),
    Guaranteed(Writer<'a, 't>),
    /// Nothing is asked for but the label.
    None,
}

impl<'a, 't> Batch<'a, 't> {
    fn run(&mut self, done: &mut dyn FnMut(usize)) -> Result<(), AnswerError> {
        let mut answered = 0;
        loop {
            self.admit();
            if self.running.is_empty() {
                return Ok(());
            }
            // Chunks of one adapter stand together.
            self.running.sort_by_key(|one| (one.adapter, one.sequence));
            let chunks: Vec<Chunk<'_>> = self
                .running
                .iter()
                .map(|one| Chunk {
                    sequence: one.sequence,
                    adapter: one.adapter,
                    tokens: &one.owed,
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

    /// Lets waiting prompts in while the budget allows; one at least where nothing runs.
    fn admit(&mut self) {
        let mut rows: usize = self.running.iter().map(|one| one.owed.len()).sum();
        let mut sequences = self.running.len();
        while let Some(next) = self.waiting.front() {
            rows += next.tokens.len();
            sequences += next.questions.len();
            let fits = rows <= self.settings.max_rows && sequences <= self.settings.max_sequences;
            if !(fits || self.running.is_empty()) {
                return;
            }
            if let Some(prompt) = self.waiting.pop_front() {
                let sequence = self.engine.add_sequence();
                self.open.insert(sequence);
                self.running.push(Running {
                    sequence,
                    adapter: prompt.adapter,
                    owed: prompt.tokens,
                    started: Instant::now(),
                    state: State::Prompt(prompt.questions),
                });
            }
        }
    }

    /// Takes in the logits after what a sequence owed, a row of the last extension's.
    fn advance(&mut self, one: Running<'a, 't>, row: usize) -> Result<(), AnswerError> {
        match one.state {
            State::Prompt(ref asked) => {
                let asked = asked.clone();
                self.open(one, &asked, row)
            }
            State::Label {
                prompt,
                label,
                next,
            } => self.score(one, prompt, label, next, row),
            State::Answer(answer) => {
                let Running {
                    sequence,
                    adapter,
                    started,
                    ..
                } = one;
                self.write(sequence, adapter, started, answer, row)
            }
        }
    }

    /// A prompt's pass is done: begins to score its labels.
    fn open(
        &mut self,
        one: Running<'a, 't>,
        asked: &[usize],
        row: usize,
    ) -> Result<(), AnswerError> {
        let answerer = self.answerer;
        let logits = self.engine.logits().row(row);
        let log_probabilities = answerer.labels.first(logits).map_err(engine)?;
        let key = choose::key(&one.owed);
        if let (false, Some(first)) = (
            LabelScores::of(log_probabilities).is_finite(),
            asked.first(),
        ) {
            return Err(AnswerError::NotFinite { number: first + 1 });
        }
        // Their first token is chosen here, where its logits are.
        let mut begun = Vec::new();
        for &question in asked {
            if self.questions[question].mode == Mode::Free {
                let mut choice = Choice::new(&self.settings.sampling, key);
                let mut tokens = Vec::new();
                let limit = self.settings.max_answer_tokens;
                let logits = self.engine.logits().row(row);
                let step = answerer.free_step(&mut tokens, &mut choice, logits, limit);
                begun.push((question, choice, Text::Free(tokens), step.map_err(engine)?));
            }
        }
        let several = |label: &Label| !answerer.labels.rest(*label).is_empty();
        let labels: Vec<Label> = Label::ALL.into_iter().filter(several).collect();
        for &label in &labels {
            let sequence = self.engine.fork(one.sequence);
            let sequence = sequence.map_err(AnswerError::Engine)?;
            self.open.insert(sequence);
            self.running.push(Running {
                sequence,
                adapter: one.adapter,
                owed: vec![answerer.labels.ids()[label.index()]],
                started: one.started,
                state: State::Label {
                    prompt: one.sequence,
                    label,
                    next: 0,
                },
            });
        }
        let scoring = Scoring {
            adapter: one.adapter,
            started: one.started,
            asked: asked.to_vec(),
            key,
            log_probabilities,
            left: labels.len(),
            begun,
        };
        match labels.is_empty() {
            true => self.settle(one.sequence, scoring),
            false => {
                self.scoring.insert(one.sequence, scoring);
                Ok(())
            }
        }
    }

    /// Takes in a label's next token; the last of them opens the prompt's answers.
    fn score(
        &mut self,
        one: Running<'a, 't>,
        prompt: usize,
        label: Label,
        next: usize,
        row: usize,
    ) -> Result<(), AnswerError> {
        let rest = self.answerer.labels.rest(label);
        let logits = self.engine.logits().row(row);
        let found = labels::log_probability(logits, rest[next]).map_err(engine)?;
        let Some(mut scoring) = self.scoring.remove(&prompt) else {
            return Ok(());
        };
        scoring.log_probabilities[label.index()] += found;
        if next + 1 < rest.len() {
            self.running.push(Running {
                owed: vec![rest[next]],
                state: State::Label {
                    prompt,
                    label,
                    next: next + 1,
                },
                ..one
            });
        } else {
            self.open.remove(&one.sequence);
            self.engine.release(one.sequence);
            scoring.left -= 1;
            if scoring.left == 0 {
                return self.settle(prompt, scoring);
            }
        }
        self.scoring.insert(prompt, scoring);
        Ok(())
    }

    /// The labels of a prompt are scored: begins the answers of its questions.
    fn settle(&mut self, prompt: usize, mut scoring: Scoring<'a, 't>) -> Result<(), AnswerError> {
        let scores = LabelScores::of(scoring.log_probabilities);
        let (adapter, started) = (scoring.adapter, scoring.started);
        for (place, &question) in scoring.asked.iter().enumerate() {
            if !scores.is_finite() {
                return Err(AnswerError::NotFinite {
                    number: question + 1,
                });
            }
            let last = place + 1 == scoring.asked.len();
            let sequence = if last {
                prompt
            } else {
                let copy = self.engine.fork(prompt);
                let copy = copy.map_err(AnswerError::Engine)?;
                self.open.insert(copy);
                copy
            };
            let begun = scoring.begun.iter().position(|(of, ..)| *of == question);
            let (choice, text, owed) = match self.questions[question].mode {
                Mode::Guaranteed => {
                    let grammar = &self.answerer.grammar;
                    let limit = self.settings.max_answer_tokens;
                    let writer = grammar.writer(scores.label(), limit)?;
                    let owed = grammar.opening(scores.label()).to_vec();
                    let choice = Choice::new(&self.settings.sampling, scoring.key);
                    (choice, Text::Guaranteed(writer), owed)
                }
                Mode::Free if let Some(begun) = begun => {
                    let (_, choice, text, step) = scoring.begun.swap_remove(begun);
                    let owed = match step {
                        Step::Took(token) => vec![token],
                        Step::Done => Vec::new(),
                    };
                    (choice, text, owed)
                }
                Mode::Free | Mode::Label => {
                    let choice = Choice::new(&self.settings.sampling, scoring.key);
                    (choice, Text::None, Vec::new())
                }
            };
            let answer = Answer {
                question,
                scores,
                choice,
                text,
            };
            match owed.is_empty() {
                true => self.finish(sequence, adapter, started, answer),
                false => self.running.push(Running {
                    sequence,
                    adapter,
                    owed,
                    started,
                    state: State::Answer(answer),
                }),
            }
        }
        Ok(())
    }

    /// Writes the next token of an answer, or finishes it.
    fn write(
        &mut self,
        sequence: usize,
        adapter: Option<usize>,
        started: Instant,
        mut answer: Answer<'a, 't>,
        row: usize,
    ) -> Result<(), AnswerError> {
        let logits = self.engine.logits().row(row);
        let step = match &mut answer.text {
            Text::Free(tokens) => self.answerer.free_step(
                tokens,
                &mut answer.choice,
                logits,
                self.settings.max_answer_tokens,
            ),
            Text::Guaranteed(writer) => writer.step(logits, &mut answer.choice),
            Text::None => Ok(Step::Done),
        };
        match step.map_err(engine)? {
            Step::Took(token) => {
                let state = State::Answer(answer);
                self.running.push(Running {
                    sequence,
                    adapter,
                    owed: vec![token],
                    started,
                    state,
                });
            }
            Step::Done => self.finish(sequence, adapter, started, answer),
        }
        Ok(())
    }

    /// Lets a sequence go and keeps its answer.
    fn finish(
        &mut self,
        sequence: usize,
        adapter: Option<usize>,
        started: Instant,
        answer: Answer<'_, '_>,
    ) {
        self.open.remove(&sequence);
        self.engine.release(sequence);
        let name = adapter.map(|adapter| self.engine.adapter_name(adapter).to_owned());
        let question = answer.question;
        let text = self.questions[question].text;
        self.verdicts[question] = Some(self.answerer.verdict(text, answer, name, started));
    }
}

/// Logits that could not be read.
fn engine(error: verdict_model::Error) -> AnswerError {
    AnswerError::Engine(Box::new(error))
}

impl<'t> Answerer<'t> {
    /// One token of a free-running answer. Control tokens and new lines end it.
    fn free_step(
        &self,
        tokens: &mut Vec<u32>,
        choice: &mut Choice<'_>,
        logits: LogitRow<'_>,
        limit: usize,
    ) -> verdict_model::Result<Step> {
        let Some(token) = choice.wishes(logits)?.next().transpose()? else {
            return Ok(Step::Done);
        };
        let added = self
            .tokenizer
            .get_added_vocabulary()
            .get_added_tokens_decoder();
        if self.ends.contains(&token) || added.get(&token).is_some_and(|token| token.special) {
            return Ok(Step::Done);
        }
        let text = self.tokenizer.decode(&[token], false).unwrap_or_default();
        if !text.starts_with('\n') {
            tokens.push(token);
        }
        Ok(match text.contains('\n') || tokens.len() + 1 >= limit {
            true => Step::Done,
            false => Step::Took(token),
        })
    }

    /// The finished answer as a value.
    fn verdict(
        &self,
        question: &str,
        answer: Answer<'_, '_>,
        adapter: Option<String>,
        started: Instant,
    ) -> Verdict {
        let scores = answer.scores;
        let fallback = matches!(&answer.text, Text::Guaranteed(writer) if writer.fell_back());
        let (mode, text) = match answer.text {
            Text::Free(tokens) => {
                let text = self.tokenizer.decode(&tokens, true).unwrap_or_default();
                (
                    Mode::Free,
                    text.split('\n')
                        .next()
                        .unwrap_or_default()
                        .trim()
                        .to_owned(),
                )
            }
            Text::Guaranteed(writer) => {
                let text = prompt::completion(scores.label(), &writer.sentence());
                (Mode::Guaranteed, text.trim().to_owned())
            }
            Text::None => (Mode::Label, String::new()),
        };
        let tokens = self
            .tokenizer
            .encode(format!(" {text}"), false)
            .map_or(0, |encoding| encoding.len());
        let parsed = parse_answer(&text);
        let first_word = match mode {
            Mode::Label => None,
            Mode::Free | Mode::Guaranteed => first_word(&text),
        };
        Verdict {
            first_word,
            fallback,
            question: question.to_owned(),
            label: match mode {
                Mode::Label => Some(scores.label()),
                Mode::Free | Mode::Guaranteed => parsed.as_ref().map(|parsed| parsed.label),
            },
            probabilities: scores.probabilities,
            other: scores.other,
            format_ok: parsed.is_some(),
            rationale: parsed.map(|parsed| parsed.rationale),
            tokens: if text.is_empty() { 0 } else { tokens },
            answer: text,
            adapter,
            mode,
            latency_ms: started.elapsed().as_micros() as f64 / 1e3,
        }
    }
}
