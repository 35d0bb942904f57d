//! A log of runs: one line for each group of events. For files, pipes and terminals without cursor control.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use verdict_common::{counted, duration, grouped, share, significant};
use verdict_train::{Event, EventKind};

use crate::error::Result;
use crate::follow::NewEvent;
use crate::run::Run;
use crate::snapshot::{Snapshot, State, ValidationSummary};
use crate::watch::{Watch, now};
use crate::words::{Clock, interval, loss, plain, rate};

/// How often the folders are polled.
const POLL_EVERY: Duration = Duration::from_millis(500);
/// With more adapters than this, only the lowest and the highest loss are printed.
const MOST_LISTED: usize = 6;

/// Follows the runs until all are over, or `stop` is set. `line` is called with each line, `polled` after each poll.
/// Returns the last snapshots.
///
/// # Errors
/// [`crate::Error::Io`] where an export cannot be written, and the errors of `polled`.
pub fn follow(
    watch: &mut Watch,
    log: &mut Log,
    stop: &AtomicBool,
    line: &mut dyn FnMut(String),
    polled: &mut dyn FnMut(&Watch, &[Snapshot]) -> Result<()>,
) -> Result<Vec<Snapshot>> {
    loop {
        let time = now();
        let mut lines = Vec::new();
        watch.poll(&mut |index, new, run| log.add(index, new, run, time, &mut lines))?;
        let snapshots = watch.snapshots(now());
        for (index, snapshot) in snapshots.iter().enumerate() {
            log.add_state(index, snapshot, &mut lines);
        }
        polled(watch, &snapshots)?;
        lines.into_iter().for_each(&mut *line);
        let over = snapshots.iter().all(|snapshot| snapshot.state.over());
        if over || stop.load(Ordering::Relaxed) {
            return Ok(snapshots);
        }
        std::thread::sleep(POLL_EVERY);
    }
}

/// The state of the log.
#[derive(Debug)]
pub struct Log {
    clock: Clock,
    /// Steps between lines; by default 1 % of all steps.
    every: Option<usize>,
    /// Names of the runs; empty for a single run.
    names: Vec<String>,
    groups: Vec<Group>,
    states: Vec<Option<(State, String)>>,
    /// For each run, the time of its last event, and the time up to which its events were printed before the file was
    /// replaced: the file of a resumed run contains the same events up to its checkpoint.
    times: Vec<[f64; 2]>,
}

/// Consecutive events of one kind.
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

    /// Adds a new event, which was already applied to its run.
    pub fn add(
        &mut self,
        index: usize,
        new: &NewEvent,
        run: &Run,
        now: f64,
        lines: &mut Vec<String>,
    ) {
        match new {
            NewEvent::Event(event) => {
                if self.is_new(index, event.time) {
                    self.event(index, event, run, now, lines);
                }
            }
            NewEvent::Replaced => {
                self.close(index, now, lines);
                self.states[index] = None;
                self.times[index][1] = self.times[index][0];
                let text = "events.jsonl was replaced: the run was restarted or resumed";
                lines.push(self.line(index, now, now, text));
            }
            NewEvent::Unknown(unknown) => {
                if !self.is_new(index, unknown.time) {
                    return;
                }
                // An unknown event that gives a reason is printed with it.
                if let (Some(name), Some(reason)) = (&unknown.adapter, &unknown.reason) {
                    self.close(index, now, lines);
                    let text = format!(
                        "{} {}: {}",
                        plain(name),
                        plain(&unknown.kind),
                        plain(reason)
                    );
                    lines.push(self.line(index, unknown.time, now, &text));
                }
            }
            NewEvent::Invalid => {}
        }
    }

    /// Whether an event of this time was not printed before.
    fn is_new(&mut self, index: usize, time: f64) -> bool {
        let [last, printed] = &mut self.times[index];
        *last = last.max(time);
        time > *printed
    }

    /// Adds the state of a run after a poll, if it has changed.
    pub fn add_state(&mut self, index: usize, snapshot: &Snapshot, lines: &mut Vec<String>) {
        let state = snapshot.state;
        let details = plain(&snapshot.details(&self.clock));
        // What a run waits for is printed each time it changes.
        let shown = match state {
            State::Waiting => (state, details.clone()),
            _ => (state, String::new()),
        };
        if self.states[index].as_ref() == Some(&shown) {
            return;
        }
        let before = self.states[index].replace(shown).map(|(before, _)| before);
        self.close(index, snapshot.now, lines);
        let text = match state {
            // The lines of its steps show that.
            State::Running if before.is_none_or(|before| !before.over()) => return,
            State::Running => "running again".into(),
            State::Finished => {
                let took = match (snapshot.began, snapshot.last_event) {
                    (Some(began), Some(last)) => format!(" in {}", duration(last - began)),
                    _ => String::new(),
                };
                let best = snapshot.best.as_deref().unwrap_or("none");
                let steps = counted(snapshot.step, "step");
                format!("finished: {steps}{took}, best {}", plain(best))
            }
            State::Waiting => format!("waiting: {details}"),
            _ => format!("{}: {details}", state.as_str()),
        };
        let time = match state {
            State::Waiting | State::Running | State::Dead => snapshot.now,
            _ => snapshot.last_event.unwrap_or(snapshot.now),
        };
        lines.push(self.line(index, time, snapshot.now, &text));
    }

    fn event(&mut self, index: usize, event: &Event, run: &Run, now: f64, lines: &mut Vec<String>) {
        let name = plain(event.adapter.as_deref().unwrap_or("base model"));
        let (kind, part) = match &event.kind {
            EventKind::Validation {
                loss: of,
                accuracy,
                n,
                label_loss,
            } => {
                if name.contains('@') {
                    return;
                }
                let summary = ValidationSummary::from(verdict_train::Score {
                    loss: *of,
                    accuracy: *accuracy,
                    n: *n,
                    label_loss: *label_loss,
                });
                let ends = interval((summary.low, summary.high));
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
        let group = &self.groups[index];
        if (group.kind, group.step) != (kind, event.step) {
            self.close(index, now, lines);
        }
        if !kind.is_empty() {
            let group = &mut self.groups[index];
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
                "started: {}, {}, {}",
                counted(names.len(), "adapter"),
                counted(*steps, "step"),
                counted(*train_rows, "training example")
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
            EventKind::Diverged { reason } => format!("{name} diverged: {}", plain(reason)),
            EventKind::EarlyStopped { by, reason, .. } => {
                format!("{name} {}: {}", by.outcome(), plain(reason))
            }
            _ => return,
        };
        lines.push(self.line(index, event.time, now, &text));
    }

    fn due(&self, step: usize, steps: usize) -> bool {
        let every = self.every.unwrap_or((steps / 100).max(1));
        step == 1 || step == steps || step.is_multiple_of(every)
    }

    /// Prints the open group.
    fn close(&mut self, index: usize, now: f64, lines: &mut Vec<String>) {
        let group = std::mem::take(&mut self.groups[index]);
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
        lines.push(self.line(index, group.time, now, &text));
    }

    fn line(&self, index: usize, time: f64, now: f64, text: &str) -> String {
        let time = self.clock.time(time, now);
        match self.names.get(index) {
            Some(name) => format!("{time}  {}  {text}", plain(name)),
            None => format!("{time}  {text}"),
        }
    }
}

/// The losses of a step: of each adapter if there are few, else the lowest and the highest.
fn losses(run: &Run, step: usize) -> String {
    let adapters = run.adapters.iter();
    let mut found: Vec<(&str, f64)> = adapters
        .filter_map(|adapter| {
            let (at, loss) = adapter.train_loss.last()?;
            (at == step).then_some((adapter.name.as_str(), loss))
        })
        .collect();
    let lr = run.adapters.iter().filter_map(|adapter| adapter.lr.last());
    let lr = lr.map(|(_, lr)| lr).fold(0.0, f64::max);
    let count = found.len();
    let one = |(name, of): &(&str, f64)| format!("{} {}", plain(name), loss(*of));
    let losses = if count > MOST_LISTED {
        found.sort_by(|a, b| a.1.total_cmp(&b.1));
        format!(
            "{} … {} of {count} adapters",
            one(&found[0]),
            one(&found[count - 1])
        )
    } else {
        found.iter().map(one).collect::<Vec<_>>().join(", ")
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
        for (index, (step, adapter, kind)) in events.iter().enumerate() {
            let new = NewEvent::Event(Event {
                time: 43_385.0 + index as f64,
                step: *step,
                adapter: adapter.map(str::to_owned),
                kind: kind.clone(),
            });
            run.apply(&new);
            log.add(0, &new, &run, 43_400.0, &mut lines);
        }
        let around = RunContext {
            now: 43_400.0,
            process: Process::Gone,
            ..RunContext::default()
        };
        let snapshot = Snapshot::new("run", "run".as_ref(), &run, &around);
        log.add_state(0, &snapshot, &mut lines);
        log.add_state(0, &snapshot, &mut lines);
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
            label_loss: None,
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
    fn a_resumed_run_continues_where_it_resumed() {
        let mut log = Log::new(vec!["run".into()], Some(1), Clock::utc());
        let (mut run, mut lines) = (Run::default(), Vec::new());
        let mut add = |new: NewEvent| {
            run.apply(&new);
            log.add(0, &new, &run, 2000.0, &mut lines);
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
        for new in [event(1.0, 1), event(2.0, 2), event(3.0, 3)] {
            add(new);
        }
        add(NewEvent::Replaced);
        for new in [event(1.0, 1), event(2.0, 2), event(1003.0, 3)] {
            add(new);
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
                "events.jsonl was replaced: the run was restarted or resumed",
                "step 3/0"
            ]
        );
    }

    #[test]
    fn of_many_adapters_the_lowest_and_the_highest_loss_are_printed() {
        let names: Vec<String> = (0..20).map(|n| format!("r{n}")).collect();
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut events = vec![(0, None, start(&known, 1000))];
        for step in 1..=30 {
            for (place, name) in known.iter().enumerate() {
                events.push((step, Some(*name), train(2.0 + place as f64 / step as f64)));
            }
            events.push((step, None, speed(100.0)));
        }
        let lines = log(&events, Some(15));
        assert_eq!(lines.len(), 5, "{lines:#?}");
        assert!(
            lines[2].ends_with(
                "step 15/1,000  loss r0 2.000 … r19 3.267 of 20 adapters  lr 3e-4  100 tokens/s, 0:00 left"
            ) || lines[2].contains("step 15/1,000  loss r0 2.000 … r19 3.267 of 20 adapters"),
            "{}",
            lines[2]
        );
        assert!(lines[4].contains("dead: no event since "), "{}", lines[4]);
        // 1 % of the steps: the 1st, the 10th, the 20th and the 30th.
        assert_eq!(log(&events, None).len(), 6);
    }
}
