//! A run as it goes, told to whoever started it.

use std::time::Duration;

use verdict_common::counted;
use verdict_train::{Event, EventKind};
use verdict_watch::follow::NewEvent;
use verdict_watch::run::Run;

use crate::printer::{Printer, Progress};

/// The live view of a run: a bar of steps, a line for each validation.
pub struct Live<'a> {
    printer: &'a Printer,
    progress: Option<Progress>,
    steps: usize,
    members: Vec<String>,
    /// Sum and number of the members' losses at this step.
    losses: (f64, usize),
    /// The same events as `verdict watch` sees them, for the same estimate of the time left.
    run: Run,
}

impl<'a> Live<'a> {
    /// Nothing is told yet.
    pub fn new(printer: &'a Printer) -> Self {
        Self {
            printer,
            progress: None,
            steps: 0,
            members: Vec::new(),
            losses: (0.0, 0),
            run: Run::default(),
        }
    }

    /// Tells an event.
    pub fn see(&mut self, event: &Event) {
        let log = self.printer.logs();
        self.run.take(&NewEvent::Event(event.clone()));
        match &event.kind {
            EventKind::Start {
                names: members,
                steps,
                train_rows,
                validation_rows,
                fits: adapters,
            } => {
                let rows = match adapters {
                    None => {
                        format!(
                            "{}, {}",
                            counted(*train_rows, "training row"),
                            counted(*validation_rows, "validation row")
                        )
                    }
                    Some(_) => format!("{} in folds", counted(*train_rows, "row")),
                };
                if !log {
                    self.printer.note(format!(
                        "{} in one pass: {}\n{rows}, {}",
                        counted(members.len(), "adapter"),
                        members.join(", "),
                        counted(*steps, "step"),
                    ));
                }
                self.steps = *steps;
                self.members = members.clone();
                self.progress = Some(self.printer.progress("train", "step", *steps as u64));
            }
            EventKind::Train { loss, .. } => {
                self.losses.0 += loss;
                self.losses.1 += 1;
            }
            EventKind::Throughput { tokens_per_s, .. } => {
                let (sum, count) = std::mem::take(&mut self.losses);
                let mean = if self.members.len() == 1 {
                    "loss"
                } else {
                    "mean loss"
                };
                let message = format!(
                    "{mean} {:.3}, {tokens_per_s:.0} tokens/s",
                    sum / count as f64
                );
                if let Some(progress) = &self.progress {
                    let left = self.run.eta_s().map(Duration::from_secs_f64);
                    progress.set_with_left(event.step as u64, &message, left);
                }
            }
            EventKind::Validation { loss, accuracy, .. } => {
                let who = event.adapter.as_deref().unwrap_or("base model");
                let member = self.members.iter().any(|member| member == who);
                if event.adapter.is_some() && !member {
                    return;
                }
                let share = 100.0 * accuracy;
                self.say(format!(
                    "step {:>4}  validation  {who:<16} loss {loss:.3}  label accuracy {share:.1} %",
                    event.step
                ));
            }
            EventKind::Diverged { reason } => {
                self.say(format!("taken out: {reason}"));
            }
            EventKind::EarlyStopped { reason, kept, .. } => {
                let who = event.adapter.as_deref().unwrap_or_default();
                let kept = match *kept == event.step {
                    true => String::new(),
                    false => format!("; its weights of step {kept} are kept"),
                };
                self.say(format!("{who} leaves the batch: {reason}{kept}"));
            }
            EventKind::Saved { .. } => {}
            EventKind::End { .. } => self.progress = None,
        }
    }

    /// Says what happened. A log has heard of it already, from the event itself.
    fn say(&self, text: String) {
        match &self.progress {
            _ if self.printer.logs() => {}
            Some(progress) => progress.say(text),
            None => self.printer.note(text),
        }
    }
}
