//! A run as its events tell it: who trains, how far they are, their curves and scores.

use std::collections::{BTreeMap, HashMap, VecDeque};

use verdict_train::{EarlyStoppingRule, Event, EventKind, Outcome, Score, select};

use crate::curve::Curve;
use crate::follow::{NewEvent, Unknown};

/// Steps whose times tell how long the next ones will take.
const RECENT: usize = 64;
/// Silence is suspicious after this many times the usual time between two events, in steps with their validation.
const PATIENCE: f64 = 10.0;
/// … but not before this many seconds,
const LEAST_SILENCE_S: f64 = 60.0;
/// … and before the first steps, while the base model is validated, not before this many.
const FIRST_SILENCE_S: f64 = 600.0;

/// A run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// The adapters that the run is for, in the order of the grid.
    pub adapters: Vec<AdapterProgress>,
    places: HashMap<String, usize>,
    /// Adapters of folds that were judged.
    pub folds_judged: usize,
    /// Adapters in the batch, those of folds with them.
    pub fits: usize,
    /// Optimizer steps planned.
    pub steps: usize,
    /// Optimizer steps done.
    pub step: usize,
    /// The bare base model's validation.
    pub base: Option<Score>,
    /// Tokens per second of each step, all adapters together.
    pub tokens_per_s: Curve,
    /// Examples per second of the last step.
    pub examples_per_s: Option<f64>,
    /// When training began, in seconds since 1970-01-01 UTC.
    pub began: Option<f64>,
    /// When the last event was told.
    pub heard: Option<f64>,
    /// How it ended.
    pub end: Option<End>,
    /// Events of kinds that this version does not know, by kind.
    pub unknown: BTreeMap<String, usize>,
    /// Lines that are no events.
    pub broken: usize,
    pace: Pace,
}

/// An adapter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AdapterProgress {
    /// Its name.
    pub name: String,
    /// Its LoRA rank, where the run's settings could be read.
    pub rank: Option<usize>,
    /// Mean loss per supervised token of each step's batch, in nats.
    pub train_loss: Curve,
    /// Learning rate of each step.
    pub lr: Curve,
    /// Norm of each step's gradient before clipping.
    pub grad_norm: Curve,
    /// Mean loss per supervised token of each validation, in nats.
    pub validation_loss: Curve,
    /// Share of right labels of each validation.
    pub accuracy: Curve,
    /// The last validation.
    pub score: Option<Score>,
    /// Why it was taken out, where it was.
    pub stopped: Option<String>,
    /// Why it left the batch before its steps were done, where it did; it is written all the same.
    pub dropped: Option<String>,
    /// Whether successive halving dropped it: then it is chosen only where no other is left.
    pub halved: bool,
    /// The validation of the lowest loss, and its step.
    lowest: Option<(usize, Score)>,
    /// Whether it was written.
    pub saved: bool,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// How.
    pub outcome: Outcome,
    /// The chosen adapter of a finished run.
    pub best: Option<String>,
    /// The error of a run that did not finish.
    pub error: Option<String>,
}

impl Run {
    /// Takes what the file tells.
    pub fn take(&mut self, told: &NewEvent) {
        match told {
            NewEvent::Replaced => *self = Run::default(),
            NewEvent::Event(event) => self.event(event),
            NewEvent::Unknown(unknown) => self.unknown(unknown),
            NewEvent::Broken => self.broken += 1,
        }
    }

    /// Ranks of the adapters, by name.
    pub fn describe<'a>(&mut self, ranks: impl IntoIterator<Item = (&'a str, usize)>) {
        for (name, rank) in ranks {
            if let Some(place) = self.places.get(name) {
                self.adapters[*place].rank = Some(rank);
            }
        }
    }

    /// Name of the chosen adapter; while none is chosen, of the one that would be by the last validations, by the rule
    /// of [`select::choose`] where the ranks are known, else of the highest accuracy, then the lowest loss.
    pub fn best(&self) -> Option<&str> {
        if let Some(best) = self.end.as_ref().and_then(|end| end.best.as_deref()) {
            return Some(best);
        }
        let of = |with_halved: bool| {
            let adapters = self.adapters.iter().enumerate();
            let left = adapters.filter(|(_, adapter)| {
                adapter.stopped.is_none() && (with_halved || !adapter.halved)
            });
            left.filter_map(|(place, adapter)| Some((place, adapter.rank, adapter.score?)))
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
                    .map(|(place, rank, score)| (*place, rank.unwrap_or(0), *score)),
            ),
            false => scored
                .iter()
                .min_by(|(_, _, a), (_, _, b)| {
                    let order = b.accuracy.total_cmp(&a.accuracy);
                    order.then(a.loss.total_cmp(&b.loss))
                })
                .map(|(place, _, _)| *place),
        };
        best.map(|place| self.adapters[place].name.as_str())
    }

    /// Seconds that the rest will take if it goes on as of late: the steps left at the median time of the last
    /// 64, and the validations left at the time of the last one. None where that is not known yet.
    pub fn eta_s(&self) -> Option<f64> {
        if self.end.is_some() {
            return None;
        }
        let left = self.steps.saturating_sub(self.step) as f64;
        let validations = self.pace.every().map_or(0.0, |every| left / every as f64);
        Some(left * self.pace.step_s()? + validations.ceil() * self.pace.validation_s)
    }

    /// Seconds without an event after which a run that no process here is known to hold is taken for dead: ten times
    /// those of a usual step and a validation, at least a minute; before the first steps ten minutes.
    pub fn silence_s(&self) -> f64 {
        let usual = self.pace.step_s().map(|step| step + self.pace.validation_s);
        usual.map_or(FIRST_SILENCE_S, |usual| {
            (PATIENCE * usual).max(LEAST_SILENCE_S)
        })
    }

    fn event(&mut self, event: &Event) {
        let Event {
            time, step, kind, ..
        } = event;
        let name = event.adapter.as_deref();
        self.heard = Some(*time);
        self.step = *step;
        match kind {
            EventKind::Start {
                names, steps, fits, ..
            } => {
                *self = Run {
                    steps: *steps,
                    fits: fits.unwrap_or(names.len()),
                    began: Some(*time),
                    heard: Some(*time),
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
            EventKind::Validation { loss, accuracy, n } => {
                let (loss, accuracy, n) = (*loss, *accuracy, *n);
                let score = Score { loss, accuracy, n };
                self.end = None;
                self.pace.validated(*step, *time);
                match name {
                    None => self.base = Some(score),
                    // The adapter of a fold: the member's name, `@` and the fold.
                    Some(name) if name.contains('@') => self.folds_judged += 1,
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
                    self.adapter(name).stopped = Some(reason.clone());
                }
            }
            EventKind::EarlyStopped { by, reason, kept } => {
                self.pace.mark(*time);
                if let Some(name) = name.filter(|name| !name.contains('@')) {
                    let adapter = self.adapter(name);
                    adapter.dropped = Some(reason.clone());
                    adapter.halved = *by == EarlyStoppingRule::Halving;
                    // Patience keeps an adapter as it was where its loss was lowest.
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
        self.heard = Some(unknown.time);
        self.pace.mark(unknown.time);
        *self.unknown.entry(unknown.kind.clone()).or_default() += 1;
    }

    /// The member of a name; made where the line that names all members was lost.
    fn adapter(&mut self, name: &str) -> &mut AdapterProgress {
        let place = match self.places.get(name) {
            Some(place) => *place,
            None => {
                self.places.insert(name.to_owned(), self.adapters.len());
                self.adapters.push(AdapterProgress {
                    name: name.to_owned(),
                    ..AdapterProgress::default()
                });
                self.adapters.len() - 1
            }
        };
        &mut self.adapters[place]
    }
}

/// How long steps and validations take.
#[derive(Clone, Debug, Default, PartialEq)]
struct Pace {
    /// When the last thing that is no part of a step was told.
    marked: Option<f64>,
    /// Seconds of the last steps.
    steps: VecDeque<f64>,
    /// Steps of the last two validations of members, and seconds of the last.
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

    /// One adapter's score; those of one step come one after another, after one wait.
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

    /// Steps from one validation to the next.
    fn every(&self) -> Option<usize> {
        let [before, last] = self.validated;
        last?.checked_sub(before?).filter(|steps| *steps > 0)
    }

    /// The median: a pause, or a machine that was busy with something else, is no step.
    fn step_s(&self) -> Option<f64> {
        let mut steps: Vec<f64> = self.steps.iter().copied().collect();
        steps.sort_by(f64::total_cmp);
        steps.get(steps.len() / 2).copied()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A run from lines as training writes them.
    pub(crate) fn told(lines: &[(f64, usize, Option<&str>, EventKind)]) -> Run {
        let mut run = Run::default();
        for (time, step, adapter, kind) in lines {
            run.take(&NewEvent::Event(Event {
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
        }
    }

    fn speed() -> EventKind {
        EventKind::Throughput {
            examples_per_s: 4.0,
            tokens_per_s: 500.0,
        }
    }

    #[test]
    fn the_rest_is_the_steps_and_the_validations_left() {
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
        assert_eq!(told(&lines[..1]).eta_s(), None);
        assert_eq!(told(&lines[..2]).eta_s(), Some(99.0 * 2.0));
        let run = told(&lines);
        // 79 steps, and the validations after 30, 40, … 100.
        assert_eq!(run.eta_s(), Some(79.0 * 2.0 + 8.0 * 6.0));
        assert_eq!(run.silence_s(), 80.0);
        assert_eq!(told(&lines[..2]).silence_s(), 60.0);
        assert_eq!(told(&lines[..1]).silence_s(), 600.0);
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
        let mut run = told(&lines);
        assert_eq!(run.base.map(|score| score.accuracy), Some(0.2));
        // Without ranks the highest accuracy; with them the smallest within a standard error, √(.575 × .425 / 40) = .078.
        assert_eq!(run.best(), Some("r16"));
        run.describe([("r4", 4), ("r8", 8), ("r16", 16)]);
        assert_eq!(run.best(), Some("r4"));
        run.take(&NewEvent::Event(Event {
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
        run.take(&NewEvent::Event(event));
        assert_eq!((run.best(), run.eta_s()), (Some("r16"), None));
    }

    #[test]
    fn who_left_early_is_judged_as_training_judges_it() {
        let mut run = told(&[
            (0.0, 0, None, start(&["r4", "r8"], 100)),
            (2.0, 10, Some("r4"), score(1.0, 0.5)),
            (2.0, 10, Some("r8"), score(1.5, 0.9)),
            (3.0, 20, Some("r4"), score(2.0, 0.25)),
        ]);
        let mut dropped = |adapter: &str, by, kept| {
            run.take(&NewEvent::Event(Event {
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
        // r8 is the better one, but a rung took it out.
        assert_eq!(
            dropped("r8", EarlyStoppingRule::Halving, 10),
            (Some("r4".into()), Some(0.25))
        );
        assert_eq!(
            dropped("r4", EarlyStoppingRule::Patience, 10),
            (Some("r4".into()), Some(0.5))
        );
        // Where no other is left it is chosen after all.
        assert_eq!(
            dropped("r4", EarlyStoppingRule::Halving, 10),
            (Some("r8".into()), Some(0.5))
        );
    }

    #[test]
    fn folds_are_counted_and_a_lost_start_is_no_fault() {
        let train = EventKind::Train {
            loss: 1.5,
            lr: 1e-3,
            grad_norm: 0.5,
        };
        let run = told(&[
            (1.0, 3, Some("r4"), train),
            (1.0, 3, Some("r4@0.1+2"), score(1.0, 0.5)),
        ]);
        assert_eq!((run.adapters.len(), run.folds_judged, run.step), (1, 1, 3));
        assert_eq!(run.adapters[0].train_loss.last(), Some((3, 1.5)));
        assert_eq!(run.adapters[0].score, None);
    }

    #[test]
    fn what_is_replaced_is_forgotten() {
        let mut run = told(&[(1.0, 3, Some("r4"), score(1.0, 0.5))]);
        run.take(&NewEvent::Broken);
        run.take(&NewEvent::Unknown(Unknown {
            time: 9.0,
            step: 3,
            adapter: None,
            kind: "checkpoint".into(),
            reason: None,
        }));
        assert_eq!((run.broken, run.unknown["checkpoint"]), (1, 1));
        assert_eq!(run.heard, Some(9.0));
        run.take(&NewEvent::Replaced);
        assert_eq!(run, Run::default());
    }
}
