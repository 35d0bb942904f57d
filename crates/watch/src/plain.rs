//! A log of runs: one line for each group of events, as they come. For files, pipes and terminals that can do no more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use verdict_common::{counted, duration, grouped, significant};
use verdict_train::{Event, EventKind};

use crate::error::Result;
use crate::follow::NewEvent;
use crate::run::Run;
use crate::snapshot::{EvaluationSummary, Snapshot, State};
use crate::watch::{Watch, now};
use crate::words::{Clock, interval, loss, plain, rate, share};

/// How often the folders are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// More adapters than this are told by the lowest and the highest loss.
const ALL: usize = 6;

/// Follows the runs until all are over, or `stop` is set; `line` gets each line, `looked` is called after each look.
/// Returns how they stand.
///
/// # Errors
/// [`crate::Error::Io`] where an export cannot be written, and what `looked` fails with.
pub fn follow(
    watch: &mut Watch,
    log: &mut Log,
    stop: &AtomicBool,
    line: &mut dyn FnMut(String),
    looked: &mut dyn FnMut(&Watch, &[Snapshot]) -> Result<()>,
) -> Result<Vec<Snapshot>> {
    loop {
        let time = now();
        let mut lines = Vec::new();
        watch.poll(&mut |number, told, run| log.told(number, told, run, time, &mut lines))?;
        let snapshots = watch.snapshots(now());
        for (number, snapshot) in snapshots.iter().enumerate() {
            log.stands(number, snapshot, &mut lines);
        }
        looked(watch, &snapshots)?;
        lines.into_iter().for_each(&mut *line);
        let over = snapshots.iter().all(|snapshot| snapshot.state.over());
        if over || stop.load(Ordering::Relaxed) {
            return Ok(snapshots);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// What was told so far.
#[derive(Debug)]
pub struct Log {
    clock: Clock,
    /// Steps from one line to the next; else a hundredth of all.
    every: Option<usize>,
    /// Names of the runs; none for one alone.
    names: Vec<String>,
    groups: Vec<Group>,
    states: Vec<Option<(State, String)>>,
    /// Of each run, the time of the last event, and up to which time it was told before the file was replaced: a
    /// resumed run's file holds what it held, up to its checkpoint.
    times: Vec<[f64; 2]>,
}

/// Events of one kind that come one after another.
#[derive(Debug, Default)]
struct Group {
    kind: &'static str,
    step: usize,
    time: f64,
    parts: Vec<String>,
}

impl Log {
    /// A log of runs with these names; a line at each `every`-th step.
    pub fn new(names: Vec<String>, every: Option<usize>, clock: Clock) -> Log {
        let count = names.len();
        Log {
            clock,
            every: every.map(|every| every.max(1)),
            names: if count > 1 { names } else { Vec::new() },
            groups: (0..count).map(|_| Group::default()).collect(),
            states: vec![None; count],
            times: vec![[f64::NEG_INFINITY; 2]; count],
        }
    }

    /// What was told of a run, which took it already.
    pub fn told(
        &mut self,
        number: usize,
        told: &NewEvent,
        run: &Run,
        now: f64,
        lines: &mut Vec<String>,
    ) {
        match told {
            NewEvent::Event(event) => {
                if self.is_new(number, event.time) {
                    self.event(number, event, run, now, lines);
                }
            }
            NewEvent::Replaced => {
                self.close(number, now, lines);
                self.states[number] = None;
                self.times[number][1] = self.times[number][0];
                let text = "events.jsonl was replaced: the run begins anew, or was resumed";
                lines.push(self.line(number, now, now, text));
            }
            NewEvent::Unknown(unknown) => {
                if !self.is_new(number, unknown.time) {
                    return;
                }
                // Such as tell why tell it to a reader too, whatever they are.
                if let (Some(name), Some(reason)) = (&unknown.adapter, &unknown.reason) {
                    self.close(number, now, lines);
                    let text = format!(
                        "{} {}: {}",
                        plain(name),
                        plain(&unknown.kind),
                        plain(reason)
                    );
                    lines.push(self.line(number, unknown.time, now, &text));
                }
            }
            NewEvent::Broken => {}
        }
    }

    /// Whether an event of this time was not told before.
    fn is_new(&mut self, number: usize, time: f64) -> bool {
        let [last, told] = &mut self.times[number];
        *last = last.max(time);
        time > *told
    }

    /// How a run stands after a look: told where it changed.
    pub fn stands(&mut self, number: usize, snapshot: &Snapshot, lines: &mut Vec<String>) {
        let state = snapshot.state;
        let words = plain(&snapshot.words(&self.clock));
        // What a run waits for is worth a line each time it changes.
        let told = match state {
            State::Waiting => (state, words.clone()),
            _ => (state, String::new()),
        };
        if self.states[number].as_ref() == Some(&told) {
            return;
        }
        let before = self.states[number].replace(told).map(|(before, _)| before);
        self.close(number, snapshot.now, lines);
        let text = match state {
            // The steps tell it.
            State::Running if before.is_none_or(|before| !before.over()) => return,
            State::Running => "running again".into(),
            State::Finished => {
                let took = match (snapshot.began, snapshot.heard) {
                    (Some(began), Some(heard)) => format!(" in {}", duration(heard - began)),
                    _ => String::new(),
                };
                let best = snapshot.best.as_deref().unwrap_or("none");
                let steps = counted(snapshot.step, "step");
                format!("finished: {steps}{took}, best {}", plain(best))
            }
            State::Waiting => format!("waiting: {words}"),
            _ => format!("{}: {words}", state.as_str()),
        };
        let time = match state {
            State::Waiting | State::Running | State::Dead => snapshot.now,
            _ => snapshot.heard.unwrap_or(snapshot.now),
        };
        lines.push(self.line(number, time, snapshot.now, &text));
    }

    fn event(
        &mut self,
        number: usize,
        event: &Event,
        run: &Run,
        now: f64,
        lines: &mut Vec<String>,
    ) {
        let name = plain(event.adapter.as_deref().unwrap_or("base model"));
        let (kind, part) = match &event.kind {
            EventKind::Validation {
                loss: of,
                accuracy,
                n,
            } => {
                if name.contains('@') {
                    return;
                }
                let judged = EvaluationSummary::from(verdict_train::Score {
                    loss: *of,
                    accuracy: *accuracy,
                    n: *n,
                });
                let ends = interval((judged.low, judged.high));
                let (loss, share) = (loss(*of), share(*accuracy));
                (
                    "validation",
                    format!("{name} loss {loss} accuracy {share} [{ends}] of {n}"),
                )
            }
            EventKind::Saved { .. } => ("saved", name.clone()),
            EventKind::Train { .. } => return,
            _ => ("", String::new()),
        };
        let group = &self.groups[number];
        if (group.kind, group.step) != (kind, event.step) {
            self.close(number, now, lines);
        }
        if !kind.is_empty() {
            let group = &mut self.groups[number];
            (group.kind, group.step, group.time) = (kind, event.step, event.time);
            group.parts.push(part);
            return;
        }
        let text = match &event.kind {
            EventKind::Start {
                names,
                steps,
                train_rows,
                ..
            } => format!(
                "began: {}, {}, {}",
                counted(names.len(), "adapter"),
                counted(*steps, "step"),
                counted(*train_rows, "training row")
            ),
            EventKind::Throughput { tokens_per_s, .. } if self.due(event.step, run.steps) => {
                let left = run.eta_s().map(|left| format!(", {} left", duration(left)));
                format!(
                    "step {}/{}  {}  {} tokens/s{}",
                    grouped(event.step),
                    grouped(run.steps),
                    losses(run, event.step),
                    significant(tokens_per_s.round()),
                    left.unwrap_or_default()
                )
            }
            EventKind::Diverged { reason } => format!("{name} taken out: {}", plain(reason)),
            EventKind::EarlyStopped { reason, .. } => format!("{name} left: {}", plain(reason)),
            _ => return,
        };
        lines.push(self.line(number, event.time, now, &text));
    }

    fn due(&self, step: usize, steps: usize) -> bool {
        let every = self.every.unwrap_or((steps / 100).max(1));
        step == 1 || step == steps || step.is_multiple_of(every)
    }

    /// Tells the group that is open.
    fn close(&mut self, number: usize, now: f64, lines: &mut Vec<String>) {
        let group = std::mem::take(&mut self.groups[number]);
        if group.parts.is_empty() {
            return;
        }
        let parts = group.parts.join(match group.kind {
            "saved" => ", ",
            _ => "; ",
        });
        let text = match group.kind {
            "saved" => format!("saved {parts}"),
            _ => format!("validation after step {}  {parts}", grouped(group.step)),
        };
        lines.push(self.line(number, group.time, now, &text));
    }

    fn line(&self, number: usize, time: f64, now: f64, text: &str) -> String {
        let time = self.clock.time(time, now);
        match self.names.get(number) {
            Some(name) => format!("{time}  {}  {text}", plain(name)),
            None => format!("{time}  {text}"),
        }
    }
}

/// The losses of a step: of a few adapters each, of many the lowest and the highest.
fn losses(run: &Run, step: usize) -> String {
    let adapters = run.adapters.iter();
    let mut told: Vec<(&str, f64)> = adapters
        .filter_map(|adapter| {
            let (at, loss) = adapter.train_loss.last()?;
            (at == step).then_some((adapter.name.as_str(), loss))
        })
        .collect();
    let lr = run.adapters.iter().filter_map(|adapter| adapter.lr.last());
    let lr = lr.map(|(_, lr)| lr).fold(0.0, f64::max);
    let count = told.len();
    let one = |(name, of): &(&str, f64)| format!("{} {}", plain(name), loss(*of));
    let losses = if count > ALL {
        told.sort_by(|a, b| a.1.total_cmp(&b.1));
        format!(
            "{} … {} of {count} adapters",
            one(&told[0]),
            one(&told[count - 1])
        )
    } else {
        told.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    format!("loss {losses}  lr {}", rate(lr))
}

#[cfg(test)]
mod tests {
    use verdict_train::Outcome;

    use super::*;
    use crate::run::tests::start;
    use crate::snapshot::{Process, RunContext};

    /// The log of events, a second apart.
    fn log(events: &[(usize, Option<&str>, EventKind)], every: Option<usize>) -> Vec<String> {
        let mut log = Log::new(vec!["run".into()], every, Clock::utc());
        let (mut run, mut lines) = (Run::default(), Vec::new());
        for (number, (step, adapter, kind)) in events.iter().enumerate() {
            let told = NewEvent::Event(Event {
                time: 43_385.0 + number as f64,
                step: *step,
                adapter: adapter.map(str::to_owned),
                kind: kind.clone(),
            });
            run.take(&told);
            log.told(0, &told, &run, 43_400.0, &mut lines);
        }
        let around = RunContext {
            now: 43_400.0,
            process: Process::Gone,
            ..RunContext::default()
        };
        let snapshot = Snapshot::new("run", "run".as_ref(), &run, &around);
        log.stands(0, &snapshot, &mut lines);
        log.stands(0, &snapshot, &mut lines);
        lines
    }

    fn train(loss: f64) -> EventKind {
        EventKind::Train {
            loss,
            lr: 3e-4,
            grad_norm: 0.5,
        }
    }

    fn speed(tokens_per_s: f64) -> EventKind {
        EventKind::Throughput {
            examples_per_s: 4.0,
            tokens_per_s,
        }
    }

    fn score(loss: f64, accuracy: f64) -> EventKind {
        EventKind::Validation {
            loss,
            accuracy,
            n: 33,
        }
    }

    #[test]
    fn each_group_is_a_line() {
        let path = "adapters/r4".to_owned();
        let end = EventKind::End {
            outcome: Outcome::Finished,
            best: Some("r8".into()),
            error: None,
        };
        let lines = log(
            &[
                (0, None, start(&["r4", "r8"], 3)),
                (0, None, score(2.5, 9.0 / 33.0)),
                (1, Some("r4"), train(2.25)),
                (1, Some("r8"), train(2.5)),
                (1, None, speed(52_500.4)),
                (2, Some("r4"), train(2.0)),
                (2, Some("r8"), train(1.75)),
                (2, None, speed(52_000.0)),
                (2, Some("r4"), score(1.5, 15.0 / 33.0)),
                (2, Some("r8"), score(1.25, 1.0)),
                (2, Some("r4@0.1"), score(1.0, 1.0)),
                (
                    3,
                    Some("r8"),
                    EventKind::Diverged {
                        reason: "loss\n is NaN".into(),
                    },
                ),
                (3, Some("r4"), EventKind::Saved { path: path.clone() }),
                (3, Some("r8"), EventKind::Saved { path }),
                (3, None, end),
            ],
            None,
        );
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn a_resumed_run_is_told_where_it_goes_on() {
        let mut log = Log::new(vec!["run".into()], Some(1), Clock::utc());
        let (mut run, mut lines) = (Run::default(), Vec::new());
        let mut tell = |told: NewEvent| {
            run.take(&told);
            log.told(0, &told, &run, 2000.0, &mut lines);
        };
        let event = |time: f64, step: usize| {
            NewEvent::Event(Event {
                time,
                step,
                adapter: None,
                kind: speed(64.0),
            })
        };
        // Killed after step 3; its checkpoint was made after step 2.
        for told in [event(1.0, 1), event(2.0, 2), event(3.0, 3)] {
            tell(told);
        }
        tell(NewEvent::Replaced);
        for told in [event(1.0, 1), event(2.0, 2), event(1003.0, 3)] {
            tell(told);
        }
        let texts: Vec<&str> = lines
            .iter()
            .map(|line| line[10..].split("  ").next().unwrap())
            .collect();
        assert_eq!(
            texts,
            [
                "step 1/0",
                "step 2/0",
                "step 3/0",
                "events.jsonl was replaced: the run begins anew, or was resumed",
                "step 3/0"
            ]
        );
    }

    #[test]
    fn of_many_adapters_the_ends_are_told_and_a_dead_run_is() {
        let names: Vec<String> = (0..20).map(|n| format!("r{n}")).collect();
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut events = vec![(0, None, start(&known, 1000))];
        for step in 1..=30 {
            for (place, name) in known.iter().enumerate() {
                events.push((step, Some(*name), train(2.0 + place as f64 / step as f64)));
            }
            events.push((step, None, speed(100.0)));
        }
        let told = log(&events, Some(15));
        assert_eq!(told.len(), 5, "{told:#?}");
        assert!(
            told[2].ends_with(
                "step 15/1,000  loss r0 2.000 … r19 3.267 of 20 adapters  lr 3e-4  100 tokens/s, 0:00 left"
            ) || told[2].contains("step 15/1,000  loss r0 2.000 … r19 3.267 of 20 adapters"),
            "{}",
            told[2]
        );
        assert!(told[4].contains("dead: no event since "), "{}", told[4]);
        // A hundredth of the steps: the 1st, the 10th, the 20th and the 30th.
        assert_eq!(log(&events, None).len(), 6);
    }
}
