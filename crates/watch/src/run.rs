//! A run as its events describe it: its adapters, their progress, curves and scores.

use std::collections::{BTreeMap, HashMap, VecDeque};

use verdict_train::{EarlyStoppingRule, Event, EventKind, Outcome, Score, select};

use crate::curve::Curve;
use crate::follow::{NewEvent, Unknown};

/// Number of recent steps from whose durations the remaining time is estimated.
const RECENT: usize = 64;
/// A run without events for this many times the duration of a step with its validation may be dead.
const SILENCE_FACTOR: f64 = 10.0;
/// Minimum seconds without events before a run may be dead.
const MINIMUM_SILENCE_S: f64 = 60.0;
/// The same before the first step, while the base model is validated.
const INITIAL_SILENCE_S: f64 = 600.0;

/// A run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// The adapters of the grid, in its order.
    pub adapters: Vec<AdapterProgress>,
    index_of: HashMap<String, usize>,
    /// Fits of folds that were validated.
    pub folds_validated: usize,
    /// Fits, those of folds included.
    pub fits: usize,
    /// Optimizer steps planned.
    pub steps: usize,
    /// Optimizer steps done.
    pub step: usize,
    /// The bare base model's score.
    pub base: Option<Score>,
    /// Tokens per second of each step, all adapters together.
    pub tokens_per_s: Curve,
    /// Examples per second of the last step.
    pub examples_per_s: Option<f64>,
    /// When training started, in seconds since 1970-01-01 UTC.
    pub began: Option<f64>,
    /// Time of the last event.
    pub last_event: Option<f64>,
    /// How it ended.
    pub end: Option<End>,
    /// Events of kinds that this version does not know, by kind.
    pub unknown: BTreeMap<String, usize>,
    /// Invalid lines.
    pub invalid_lines: usize,
    pace: Pace,
}

/// The progress of an adapter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AdapterProgress {
    /// Its name.
    pub name: String,
    /// Its LoRA rank, if the run's settings could be read.
    pub rank: Option<usize>,
    /// Mean loss per supervised token of each step's batch, in nats.
    pub train_loss: Curve,
    /// Learning rate of each step.
    pub lr: Curve,
    /// Norm of each step's gradient before clipping.
    pub grad_norm: Curve,
    /// Mean loss per supervised token of each validation, in nats.
    pub validation_loss: Curve,
    /// Share of correct labels of each validation.
    pub accuracy: Curve,
    /// Score of the last validation.
    pub score: Option<Score>,
    /// Why it diverged, if it did.
    pub diverged: Option<String>,
    /// Why it was early-stopped or pruned, if it was. It is saved nevertheless.
    pub early_stop: Option<(EarlyStoppingRule, String)>,
    /// The validation with the lowest loss, and its step.
    lowest: Option<(usize, Score)>,
    /// Whether it was saved.
    pub saved: bool,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// The outcome.
    pub outcome: Outcome,
    /// The chosen adapter of a finished run.
    pub best: Option<String>,
    /// The error of a run that did not finish.
    pub error: Option<String>,
}

impl Run {
    /// Applies a new event.
    pub fn apply(&mut self, new: &NewEvent) {
        match new {
            NewEvent::Replaced => *self = Run::default(),
            NewEvent::Event(event) => self.event(event),
            NewEvent::Unknown(unknown) => self.unknown(unknown),
            NewEvent::Invalid => self.invalid_lines += 1,
        }
    }

    /// Sets the ranks of the adapters, by name.
    pub fn set_ranks<'a>(&mut self, ranks: impl IntoIterator<Item = (&'a str, usize)>) {
        for (name, rank) in ranks {
            if let Some(index) = self.index_of.get(name) {
                self.adapters[*index].rank = Some(rank);
            }
        }
    }

    /// Name of the chosen adapter; before the choice, of the one that would be chosen by the last validations: by the
    /// rule of [`select::choose`] if the ranks are known, else the highest accuracy, then the lowest loss.
    pub fn best(&self) -> Option<&str> {
        if let Some(best) = self.end.as_ref().and_then(|end| end.best.as_deref()) {
            return Some(best);
        }
        let of = |with_pruned: bool| {
            let adapters = self.adapters.iter().enumerate();
            let left = adapters.filter(|(_, adapter)| {
                adapter.diverged.is_none() && (with_pruned || !adapter.is_pruned())
            });
            left.filter_map(|(index, adapter)| Some((index, adapter.rank, adapter.score?)))
                .collect::<Vec<_>>()
        };
        let mut scored: Vec<(usize, Option<usize>, Score)> = of(false);
        if scored.is_empty() {
            scored = of(true);
        }
        let known = scored.iter().all(|(_, rank, _)| rank.is_some());
        let best = match known {
            true => select::choose(
                scored
                    .iter()
                    .map(|(index, rank, score)| (*index, rank.unwrap_or(0), *score)),
            ),
            false => scored
                .iter()
                .min_by(|(_, _, a), (_, _, b)| select::order(a, b))
                .map(|(index, _, _)| *index),
        };
        best.map(|index| self.adapters[index].name.as_str())
    }

    /// Estimated seconds left: the remaining steps at the median duration of the last 64, and the remaining validations
    /// at the duration of the last one. `None` where these are not known yet.
    pub fn eta_s(&self) -> Option<f64> {
        if self.end.is_some() {
            return None;
        }
        let left = self.steps.saturating_sub(self.step) as f64;
        let validations = self.pace.every().map_or(0.0, |every| left / every as f64);
        Some(left * self.pace.step_s()? + validations.ceil() * self.pace.validation_s)
    }

    /// Seconds without an event after which a run whose process is not known counts as dead: ten times the duration of
    /// a step and a validation, at least a minute; ten minutes before the first step.
    pub fn silence_s(&self) -> f64 {
        let usual = self.pace.step_s().map(|step| step + self.pace.validation_s);
        usual.map_or(INITIAL_SILENCE_S, |usual| {
            (SILENCE_FACTOR * usual).max(MINIMUM_SILENCE_S)
        })
    }

    fn event(&mut self, event: &Event) {
        let Event {
            time, step, kind, ..
        } = event;
        let name = event.adapter.as_deref();
        self.last_event = Some(*time);
        self.step = *step;
        match kind {
            EventKind::Start {
                names, steps, fits, ..
            } => {
                *self = Run {
                    steps: *steps,
                    fits: fits.unwrap_or(names.len()),
                    began: Some(*time),
                    last_event: Some(*time),
                    ..Run::default()
                };
                for name in names {
                    self.adapter(name);
                }
                self.pace.mark(*time);
            }
            EventKind::Train {
                loss,
                lr,
                grad_norm,
            } => {
                self.end = None;
                if let Some(adapter) = name.map(|name| self.adapter(name)) {
                    adapter.train_loss.push(*step, *loss);
                    adapter.lr.push(*step, *lr);
                    adapter.grad_norm.push(*step, *grad_norm);
                }
            }
            EventKind::Validation {
                loss,
                accuracy,
                n,
                label_loss,
            } => {
                let (loss, accuracy, n, label_loss) = (*loss, *accuracy, *n, *label_loss);
                let score = Score {
                    loss,
                    accuracy,
                    n,
                    label_loss,
                };
                self.end = None;
                self.pace.validated(*step, *time);
                match name {
                    None => self.base = Some(score),
                    // The fit of a fold: the adapter's name, `@`, and what it leaves out.
                    Some(name) if name.contains('@') => self.folds_validated += 1,
                    Some(name) => {
                        let adapter = self.adapter(name);
                        adapter.score = Some(score);
                        if adapter.lowest.is_none_or(|(_, lowest)| loss < lowest.loss) {
                            adapter.lowest = Some((*step, score));
                        }
                        adapter.validation_loss.push(*step, loss);
                        adapter.accuracy.push(*step, accuracy);
                    }
                }
            }
            EventKind::Throughput {
                examples_per_s,
                tokens_per_s,
            } => {
                self.tokens_per_s.push(*step, *tokens_per_s);
                self.examples_per_s = Some(*examples_per_s);
                self.pace.stepped(*time);
            }
            EventKind::Diverged { reason } => {
                if let Some(name) = name.filter(|name| !name.contains('@')) {
                    self.adapter(name).diverged = Some(reason.clone());
                }
            }
            EventKind::EarlyStopped { by, reason, kept } => {
                self.pace.mark(*time);
                if let Some(name) = name.filter(|name| !name.contains('@')) {
                    let adapter = self.adapter(name);
                    adapter.early_stop = Some((*by, reason.clone()));
                    // Patience keeps the weights of the step with the lowest loss.
                    let kept = adapter.lowest.filter(|(step, _)| step == kept);
                    adapter.score = kept.map(|(_, score)| score).or(adapter.score);
                }
            }
            EventKind::Saved { .. } => {
                self.pace.mark(*time);
                if let Some(name) = name {
                    self.adapter(name).saved = true;
                }
            }
            EventKind::End {
                outcome,
                best,
                error,
            } => {
                self.end = Some(End {
                    outcome: *outcome,
                    best: best.clone(),
                    error: error.clone(),
                });
            }
        }
    }

    fn unknown(&mut self, unknown: &Unknown) {
        self.last_event = Some(unknown.time);
        self.pace.mark(unknown.time);
        *self.unknown.entry(unknown.kind.clone()).or_default() += 1;
    }

    /// The adapter with a name; added if the event that lists all adapters was lost.
    fn adapter(&mut self, name: &str) -> &mut AdapterProgress {
        let index = match self.index_of.get(name) {
            Some(index) => *index,
            None => {
                self.index_of.insert(name.to_owned(), self.adapters.len());
                self.adapters.push(AdapterProgress {
                    name: name.to_owned(),
                    ..AdapterProgress::default()
                });
                self.adapters.len() - 1
            }
        };
        &mut self.adapters[index]
    }
}

impl AdapterProgress {
    /// Whether successive halving pruned it. It is then chosen only if no other adapter is left.
    pub fn is_pruned(&self) -> bool {
        matches!(self.early_stop, Some((EarlyStoppingRule::Halving, _)))
    }
}

/// How long steps and validations take.
#[derive(Clone, Debug, Default, PartialEq)]
struct Pace {
    /// Time at which the current step or validation started.
    marked: Option<f64>,
    /// Durations of the last steps in seconds.
    steps: VecDeque<f64>,
    /// Steps of the last two validations, and the duration of the last one in seconds.
    validated: [Option<usize>; 2],
    validation_s: f64,
}

impl Pace {
    fn mark(&mut self, time: f64) {
        self.marked = Some(time);
    }

    fn stepped(&mut self, time: f64) {
        if let Some(before) = self.marked {
            if self.steps.len() == RECENT {
                self.steps.pop_front();
            }
            self.steps.push_back((time - before).max(0.0));
        }
        self.mark(time);
    }

    /// Records one adapter's score. The scores of one step arrive one after another and count as one validation.
    fn validated(&mut self, step: usize, time: f64) {
        let took = (time - self.marked.unwrap_or(time)).max(0.0);
        if self.validated[1] == Some(step) {
            self.validation_s += took;
        } else {
            self.validated = [self.validated[1], Some(step)];
            self.validation_s = took;
        }
        self.mark(time);
    }

    /// Steps between validations.
    fn every(&self) -> Option<usize> {
        let [before, last] = self.validated;
        last?.checked_sub(before?).filter(|steps| *steps > 0)
    }

    /// Median duration of a step, which ignores pauses and times when the machine was busy.
    fn step_s(&self) -> Option<f64> {
        let mut steps: Vec<f64> = self.steps.iter().copied().collect();
        steps.sort_by(f64::total_cmp);
        steps.get(steps.len() / 2).copied()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A run from events as training writes them.
    pub(crate) fn run_of(lines: &[(f64, usize, Option<&str>, EventKind)]) -> Run {
        let mut run = Run::default();
        for (time, step, adapter, kind) in lines {
            run.apply(&NewEvent::Event(Event {
                time: *time,
                step: *step,
                adapter: adapter.map(str::to_owned),
                kind: kind.clone(),
            }));
        }
        run
    }

    pub(crate) fn start(adapters: &[&str], steps: usize) -> EventKind {
        EventKind::Start {
            names: adapters.iter().map(|name| (*name).to_owned()).collect(),
            steps,
            train_rows: 100,
            validation_rows: 40,
            fits: None,
        }
    }

    fn score(loss: f64, accuracy: f64) -> EventKind {
        EventKind::Validation {
            loss,
            accuracy,
            n: 40,
            label_loss: None,
        }
    }

    fn speed() -> EventKind {
        EventKind::Throughput {
            examples_per_s: 4.0,
            tokens_per_s: 500.0,
        }
    }

    #[test]
    fn the_time_left_counts_the_remaining_steps_and_validations() {
        // Steps of 2 s, a validation of 6 s after each tenth, a pause of an hour before step 15.
        let mut lines = vec![(0.0, 0, None, start(&["r4"], 100))];
        let mut time = 0.0;
        for step in 1..=21 {
            time += if step == 15 { 3600.0 } else { 2.0 };
            lines.push((time, step, None, speed()));
            if step % 10 == 0 {
                time += 6.0;
                lines.push((time, step, Some("r4"), score(1.0, 0.5)));
            }
        }
        assert_eq!(run_of(&lines[..1]).eta_s(), None);
        assert_eq!(run_of(&lines[..2]).eta_s(), Some(99.0 * 2.0));
        let run = run_of(&lines);
        // 79 steps, and the validations after 30, 40, … 100.
        assert_eq!(run.eta_s(), Some(79.0 * 2.0 + 8.0 * 6.0));
        assert_eq!(run.silence_s(), 80.0);
        assert_eq!(run_of(&lines[..2]).silence_s(), 60.0);
        assert_eq!(run_of(&lines[..1]).silence_s(), 600.0);
    }

    #[test]
    fn the_best_so_far_is_chosen_as_training_chooses() {
        let lines = [
            (0.0, 0, None, start(&["r4", "r8", "r16"], 100)),
            (1.0, 0, None, score(3.0, 0.2)),
            (2.0, 10, Some("r4"), score(2.0, 0.5)),
            (2.0, 10, Some("r8"), score(1.5, 0.56)),
            (2.0, 10, Some("r16"), score(1.0, 0.575)),
        ];
        let mut run = run_of(&lines);
        assert_eq!(run.base.map(|score| score.accuracy), Some(0.2));
        // Without ranks the highest accuracy; with them the smallest within a standard error, √(.575 × .425 / 40) = .078.
        assert_eq!(run.best(), Some("r16"));
        run.set_ranks([("r4", 4), ("r8", 8), ("r16", 16)]);
        assert_eq!(run.best(), Some("r4"));
        run.apply(&NewEvent::Event(Event {
            time: 3.0,
            step: 11,
            adapter: Some("r4".into()),
            kind: EventKind::Diverged {
                reason: "loss is NaN".into(),
            },
        }));
        assert_eq!(run.best(), Some("r8"));
        let end = EventKind::End {
            outcome: Outcome::Finished,
            best: Some("r16".into()),
            error: None,
        };
        let event = Event {
            time: 4.0,
            step: 12,
            adapter: None,
            kind: end,
        };
        run.apply(&NewEvent::Event(event));
        assert_eq!((run.best(), run.eta_s()), (Some("r16"), None));
    }

    #[test]
    fn early_stopped_and_pruned_adapters_are_scored_as_in_training() {
        let mut run = run_of(&[
            (0.0, 0, None, start(&["r4", "r8"], 100)),
            (2.0, 10, Some("r4"), score(1.0, 0.5)),
            (2.0, 10, Some("r8"), score(1.5, 0.9)),
            (3.0, 20, Some("r4"), score(2.0, 0.25)),
        ]);
        let mut stop = |adapter: &str, by, kept| {
            run.apply(&NewEvent::Event(Event {
                time: 4.0,
                step: 20,
                adapter: Some(adapter.into()),
                kind: EventKind::EarlyStopped {
                    by,
                    reason: "why".into(),
                    kept,
                },
            }));
            let accuracy = run.adapters[0].score.map(|score| score.accuracy);
            (run.best().map(str::to_owned), accuracy)
        };
        // r8 is better, but was pruned.
        assert_eq!(
            stop("r8", EarlyStoppingRule::Halving, 10),
            (Some("r4".into()), Some(0.25))
        );
        assert_eq!(
            stop("r4", EarlyStoppingRule::Patience, 10),
            (Some("r4".into()), Some(0.5))
        );
        // It is chosen when no other adapter is left.
        assert_eq!(
            stop("r4", EarlyStoppingRule::Halving, 10),
            (Some("r8".into()), Some(0.5))
        );
    }

    #[test]
    fn folds_are_counted_and_a_missing_start_is_tolerated() {
        let train = EventKind::Train {
            loss: 1.5,
            lr: 1e-3,
            grad_norm: 0.5,
        };
        let run = run_of(&[
            (1.0, 3, Some("r4"), train),
            (1.0, 3, Some("r4@0.1+2"), score(1.0, 0.5)),
        ]);
        assert_eq!(
            (run.adapters.len(), run.folds_validated, run.step),
            (1, 1, 3)
        );
        assert_eq!(run.adapters[0].train_loss.last(), Some((3, 1.5)));
        assert_eq!(run.adapters[0].score, None);
    }

    #[test]
    fn a_replaced_file_resets_the_run() {
        let mut run = run_of(&[(1.0, 3, Some("r4"), score(1.0, 0.5))]);
        run.apply(&NewEvent::Invalid);
        run.apply(&NewEvent::Unknown(Unknown {
            time: 9.0,
            step: 3,
            adapter: None,
            kind: "checkpoint".into(),
            reason: None,
        }));
        assert_eq!((run.invalid_lines, run.unknown["checkpoint"]), (1, 1));
        assert_eq!(run.last_event, Some(9.0));
        run.apply(&NewEvent::Replaced);
        assert_eq!(run, Run::default());
    }
}
