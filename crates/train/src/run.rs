//! The training run: every member of the grid, step by step, in shared passes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::batches::{BatchOrder, dropout_key, pack_lanes};
use crate::engine::{Engine, Example, Rate};
use crate::error::{Error, Fault, Result};
use crate::events::{Event, EventKind, EventLog, Outcome};
use crate::folder::NewRun;
use crate::grid::{Member, members};
use crate::manifest::{Manifest, MemberRecord, Provenance};
use crate::rows::Rows;
use crate::schedule::{Rates, steps_for};
use crate::select;
use crate::settings::TrainSettings;
use crate::validation::{Score, Validation, validate};

/// A finished run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSummary {
    /// The run folder.
    pub dir: PathBuf,
    /// What MANIFEST.json says.
    pub manifest: Manifest,
    /// Tokens trained on, all members together, prompts included.
    pub tokens: u64,
    /// Time from the first validation to the manifest.
    pub elapsed: Duration,
}

/// Trains every member of the settings' grid and fills the run folder, MANIFEST.json last.
///
/// Validates the bare base model before the first step, then every member each
/// `settings.validate_every` steps and after the last. Each event is written, then handed to
/// `observer`. `stop` is looked at before every pass. A member whose loss or gradient becomes NaN or
/// infinite is taken out with an event; the others go on as if it had never been there.
///
/// # Errors
/// [`Error::Interrupted`] after `stop`; [`Error::Diverged`] when no member is left; [`Error::Engine`],
/// [`Error::Save`] and [`Error::Io`] for what they say. After any of them there is no MANIFEST.json.
pub fn train(
    mut run: NewRun,
    rows: &Rows,
    provenance: &Provenance,
    engine: &mut dyn Engine,
    observer: &mut dyn FnMut(&Event),
    stop: &AtomicBool,
) -> Result<RunSummary> {
    let settings = run.settings().clone();
    let longest = longest(rows, &settings)?;
    let steps = settings.steps.unwrap_or_else(|| {
        let epochs = settings
            .epochs
            .expect("resolved settings have epochs or steps");
        steps_for(epochs, rows.train.len(), settings.batch)
    });
    let log = run.begin()?;
    let mut training = Training {
        rates: Rates::new(settings.schedule, settings.warmup, steps),
        settings: &settings,
        rows,
        engine,
        sink: Sink { log, observer },
        stop,
        run: &run,
        pass_tokens: longest,
        live: Vec::new(),
        done: 0,
        tokens: 0,
    };
    let result = training.all(provenance);
    if let Err(error) = &result {
        let interrupted = matches!(error, Error::Interrupted { .. });
        let outcome = if interrupted {
            Outcome::Interrupted
        } else {
            Outcome::Failed
        };
        let end = EventKind::End {
            outcome,
            best: None,
            error: Some(error.to_string()),
        };
        // On a full disk this fails as well; the first error is the one to tell.
        let _ = training.sink.emit(training.done, None, end);
    }
    result
}

/// Tokens of the longest row; refuses rows that no pass of these settings could take.
fn longest(rows: &Rows, settings: &TrainSettings) -> Result<usize> {
    let mut longest = 0;
    for (split, rows) in [("train", &rows.train), ("validation", &rows.validation)] {
        let here = rows.iter().map(|row| row.tokens.len()).max();
        let here = here.ok_or(Error::NoRows { split })?;
        longest = longest.max(here);
        if let Some(found) = settings.pass_tokens.filter(|most| here > *most) {
            let text =
                format!("expected at least {here}, the longest row of {split}, found {found}");
            let faults = vec![Fault {
                key: "pass_tokens".into(),
                text,
            }];
            return Err(Error::Settings {
                origin: "settings".into(),
                faults,
            });
        }
    }
    Ok(longest)
}

/// Events to the file, then to the observer.
struct Sink<'a> {
    log: EventLog,
    observer: &'a mut dyn FnMut(&Event),
}

impl Sink<'_> {
    fn emit(&mut self, step: usize, adapter: Option<&str>, kind: EventKind) -> Result<()> {
        let event = self.log.write(step, adapter, kind)?;
        (self.observer)(&event);
        Ok(())
    }
}

/// A member while it trains.
struct Live {
    member: Member,
    adapter: usize,
    order: BatchOrder,
    stopped: Option<String>,
    train_loss: Option<f64>,
    validation: Option<Score>,
}

/// One member's part of a step.
struct Part {
    /// Index in `Training::live`.
    live: usize,
    rows: Vec<usize>,
    /// Sum of the tokens that the loss counts, each by its row's weight.
    weight: f64,
    loss_sum: f64,
    tokens: usize,
}

struct Training<'a> {
    settings: &'a TrainSettings,
    rates: Rates,
    rows: &'a Rows,
    engine: &'a mut dyn Engine,
    sink: Sink<'a>,
    stop: &'a AtomicBool,
    run: &'a NewRun,
    /// Most tokens of a pass on one device.
    pass_tokens: usize,
    live: Vec<Live>,
    /// Optimizer steps done.
    done: usize,
    tokens: u64,
}

impl Training<'_> {
    fn all(&mut self, provenance: &Provenance) -> Result<RunSummary> {
        let started = Instant::now();
        self.create()?;
        // What fits depends on the adapters; the longest row must go through in any case.
        let fits = |engine: &dyn Engine| engine.pass_tokens().max(self.pass_tokens);
        self.pass_tokens = self.settings.pass_tokens.unwrap_or(fits(self.engine));
        let base = self.scores(&[None])?[0];
        self.report(None, base)?;
        while self.done < self.rates.steps {
            self.step()?;
            let last = self.done == self.rates.steps;
            if last || self.done.is_multiple_of(self.settings.validate_every) {
                self.validate()?;
            }
        }
        let manifest = self.finish(provenance, base)?;
        let dir = self.run.dir().to_path_buf();
        Ok(RunSummary {
            dir,
            manifest,
            tokens: self.tokens,
            elapsed: started.elapsed(),
        })
    }

    fn create(&mut self) -> Result<()> {
        for member in members(self.settings) {
            let adapter = self
                .engine
                .create(&member.spec())
                .map_err(|source| Error::Engine {
                    doing: format!("making adapter {}", member.name),
                    source,
                })?;
            let order = BatchOrder::new(member.seed, self.rows.train.len(), self.settings.batch);
            let (stopped, train_loss, validation) = (None, None, None);
            self.live.push(Live {
                member,
                adapter,
                order,
                stopped,
                train_loss,
                validation,
            });
        }
        let start = EventKind::Start {
            members: self
                .live
                .iter()
                .map(|live| live.member.name.clone())
                .collect(),
            steps: self.rates.steps,
            train_rows: self.rows.train.len(),
            validation_rows: self.rows.validation.len(),
        };
        self.sink.emit(0, None, start)
    }

    /// One optimizer step of every member that is left.
    fn step(&mut self) -> Result<()> {
        let started = Instant::now();
        let mut parts = self.parts();
        let (examples, tokens) = self.accumulate(&mut parts)?;
        let step = self.done;
        self.done += 1;
        self.tokens += tokens as u64;

        let share = self.rates.share(step);
        let clip = self.settings.clip;
        let clip = if clip == 0.0 {
            f32::INFINITY
        } else {
            clip as f32
        };
        let mut stepping = Vec::new();
        let mut rates = Vec::new();
        for part in &parts {
            let loss = part.loss_sum / part.tokens as f64;
            let live = &mut self.live[part.live];
            if loss.is_finite() {
                live.train_loss = Some(loss);
                let lr = live.member.lr * share;
                rates.push(Rate {
                    adapter: live.adapter,
                    lr: lr as f32,
                    clip,
                });
                stepping.push((part.live, loss, lr));
            } else {
                self.take_out(part.live, "loss", loss)?;
            }
        }
        let doing = || format!("optimizer step {}", step + 1);
        let norms = self.engine.step(&rates).map_err(|source| Error::Engine {
            doing: doing(),
            source,
        })?;
        for ((index, loss, lr), norm) in stepping.into_iter().zip(norms) {
            let grad_norm = f64::from(norm);
            if grad_norm.is_finite() {
                let name = &self.live[index].member.name;
                self.sink.emit(
                    self.done,
                    Some(name),
                    EventKind::Train {
                        loss,
                        lr,
                        grad_norm,
                    },
                )?;
            } else {
                self.take_out(index, "gradient norm", grad_norm)?;
            }
        }
        self.any_left()?;
        let seconds = started.elapsed().as_secs_f64().max(1e-9);
        let throughput = EventKind::Throughput {
            examples_per_s: examples as f64 / seconds,
            tokens_per_s: tokens as f64 / seconds,
        };
        self.sink.emit(self.done, None, throughput)
    }

    /// What each member that is left sees at this step.
    fn parts(&mut self) -> Vec<Part> {
        let (rows, loss, step) = (self.rows, self.settings.loss, self.done);
        let left = self
            .live
            .iter_mut()
            .enumerate()
            .filter(|(_, live)| live.stopped.is_none());
        left.map(|(index, live)| {
            let batch = live.order.at(step).to_vec();
            let tokens: usize = batch
                .iter()
                .map(|row| rows.train[*row].supervised(loss))
                .sum();
            let weigh =
                |row: &usize| rows.train[*row].weight * rows.train[*row].supervised(loss) as f64;
            let weight = batch.iter().map(weigh).sum();
            Part {
                live: index,
                rows: batch,
                weight,
                loss_sum: 0.0,
                tokens,
            }
        })
        .collect()
    }

    /// Gradients of all parts, pass by pass; returns the examples and the tokens that went through.
    fn accumulate(&mut self, parts: &mut [Part]) -> Result<(usize, usize)> {
        let rows = &self.rows.train;
        let length = |row: &usize| rows[*row].tokens.len();
        let lengths: Vec<Vec<usize>> = parts
            .iter()
            .map(|part| part.rows.iter().map(length).collect())
            .collect();
        let lane = |part: &Part| self.engine.lane(Some(self.live[part.live].adapter));
        let lanes: Vec<usize> = parts.iter().map(lane).collect();
        for pass in pack_lanes(&lengths, &lanes, self.pass_tokens) {
            self.look_at_stop()?;
            let example = |placed: &crate::batches::Placed| {
                let part = &parts[placed.member];
                let row = &rows[part.rows[placed.place]];
                Example {
                    adapter: Some(self.live[part.live].adapter),
                    tokens: &row.tokens,
                    loss_from: row.loss_from(self.settings.loss),
                    weight: (row.weight / part.weight) as f32,
                    key: dropout_key(self.done, placed.place),
                }
            };
            let examples: Vec<Example<'_>> = pass.iter().map(example).collect();
            let losses =
                self.engine
                    .accumulate(&examples, &[])
                    .map_err(|source| Error::Engine {
                        doing: format!("training step {}", self.done + 1),
                        source,
                    })?;
            for (placed, found) in pass.iter().zip(losses) {
                parts[placed.member].loss_sum += found.loss_sum;
            }
        }
        let examples = lengths.iter().map(Vec::len).sum();
        Ok((examples, lengths.iter().flatten().sum()))
    }

    /// Validates every member that is left.
    fn validate(&mut self) -> Result<()> {
        let left = self
            .live
            .iter()
            .enumerate()
            .filter(|(_, live)| live.stopped.is_none());
        let (indices, adapters): (Vec<usize>, Vec<Option<usize>>) = left
            .map(|(index, live)| (index, Some(live.adapter)))
            .unzip();
        for (index, score) in indices.into_iter().zip(self.scores(&adapters)?) {
            if score.loss.is_finite() {
                self.live[index].validation = Some(score);
                self.report(Some(index), score)?;
            } else {
                self.take_out(index, "validation loss", score.loss)?;
            }
        }
        self.any_left()
    }

    fn scores(&self, adapters: &[Option<usize>]) -> Result<Vec<Score>> {
        let scores = validate(&self.validation(), adapters);
        scores
            .map_err(|source| Error::Engine {
                doing: format!("validation after step {}", self.done),
                source,
            })?
            .ok_or_else(|| self.interrupted())
    }

    fn validation(&self) -> Validation<'_> {
        Validation {
            engine: &*self.engine,
            rows: self.rows,
            settings: self.settings,
            pass_tokens: self.pass_tokens,
            stop: self.stop,
        }
    }

    fn report(&mut self, index: Option<usize>, score: Score) -> Result<()> {
        let Score { loss, accuracy, n } = score;
        let name = index.map(|index| self.live[index].member.name.as_str());
        self.sink
            .emit(self.done, name, EventKind::Validation { loss, accuracy, n })
    }

    /// Takes a member out for a number that is NaN or infinite.
    fn take_out(&mut self, index: usize, what: &str, found: f64) -> Result<()> {
        let live = &mut self.live[index];
        let name = &live.member.name;
        let reason = format!("adapter {name}: {what} is {found} at step {}", self.done);
        live.stopped = Some(reason.clone());
        self.sink
            .emit(self.done, Some(name), EventKind::Stopped { reason })
    }

    fn any_left(&self) -> Result<()> {
        let reasons: Vec<String> = self
            .live
            .iter()
            .filter_map(|live| live.stopped.clone())
            .collect();
        if reasons.len() < self.live.len() {
            Ok(())
        } else {
            Err(Error::Diverged { reasons })
        }
    }

    fn look_at_stop(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            Err(self.interrupted())
        } else {
            Ok(())
        }
    }

    fn interrupted(&self) -> Error {
        let path = self.run.dir().to_path_buf();
        Error::Interrupted {
            path,
            step: self.done,
            steps: self.rates.steps,
        }
    }

    /// Saves the adapters, chooses the best, writes the manifest.
    fn finish(&mut self, provenance: &Provenance, base: Score) -> Result<Manifest> {
        let mut records = Vec::new();
        for live in &self.live {
            let name = &live.member.name;
            let mut files = BTreeMap::new();
            if live.stopped.is_none() {
                self.look_at_stop()?;
                files = self
                    .run
                    .save(name, |dir| self.engine.save(live.adapter, dir))?;
                let path = format!("adapters/{name}");
                self.sink
                    .emit(self.done, Some(name), EventKind::Saved { path })?;
            }
            records.push(MemberRecord {
                member: live.member.clone(),
                stopped: live.stopped.clone(),
                train_loss: live.train_loss,
                validation: live.validation,
                files,
            });
        }
        let best = select::best(&records).expect("a run without members left has failed before");
        let best = records[best].member.name.clone();
        let manifest = Manifest {
            tool: Manifest::tool(),
            provenance: provenance.clone(),
            steps: self.done,
            train_rows: self.rows.train.len(),
            base,
            best: best.clone(),
            rule: select::RULE.into(),
            members: records,
            settings: self.settings.clone(),
        };
        let end = EventKind::End {
            outcome: Outcome::Finished,
            best: Some(best),
            error: None,
        };
        self.sink.emit(self.done, None, end)?;
        self.run.finish(&manifest)?;
        Ok(manifest)
    }
}
