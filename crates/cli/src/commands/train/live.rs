//! Shows a run while it trains: progress, validations, adapters that end early.

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
    adapters: Vec<String>,
    /// Sum and number of the adapters' losses at this step.
    losses: (f64, usize),
    /// The events as `verdict watch` reads them, for the same estimate of the time left.
    run: Run,
}

impl<'a> Live<'a> {
    /// A view before the first event.
    pub fn new(printer: &'a Printer) -> Self {
        Self {
            printer,
            progress: None,
            steps: 0,
            adapters: Vec::new(),
            losses: (0.0, 0),
            run: Run::default(),
        }
    }

    /// Shows an event.
    pub fn show(&mut self, event: &Event) {
        let log = self.printer.logs();
        self.run.apply(&NewEvent::Event(event.clone()));
        match &event.kind {
            EventKind::Start {
                names,
                steps,
                train_rows,
                validation_rows,
                fits,
            } => {
                let rows = match fits {
                    None => {
                        format!(
                            "{}, {}",
                            counted(*train_rows, "training example"),
                            counted(*validation_rows, "validation example")
                        )
                    }
                    Some(_) => format!("{} in folds", counted(*train_rows, "example")),
                };
                if !log {
                    self.printer.note(format!(
                        "{} in one pass: {}\n{rows}, {}",
                        counted(names.len(), "adapter"),
                        names.join(", "),
                        counted(*steps, "step"),
                    ));
                }
                self.steps = *steps;
                self.adapters = names.clone();
                self.progress = Some(self.printer.progress("train", "step", *steps as u64));
            }
            EventKind::Train { loss, .. } => {
                self.losses.0 += loss;
                self.losses.1 += 1;
            }
            EventKind::Throughput { tokens_per_s, .. } => {
                let (sum, count) = std::mem::take(&mut self.losses);
                let mean = if self.adapters.len() == 1 {
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
                let known = self.adapters.iter().any(|name| name == who);
                if event.adapter.is_some() && !known {
                    return;
                }
                let share = 100.0 * accuracy;
                self.print(format!(
                    "step {:>4}  validation  {who:<16} loss {loss:.3}  label accuracy {share:.1} %",
                    event.step
                ));
            }
            EventKind::Diverged { reason } => {
                self.print(format!("diverged: {reason}"));
            }
            EventKind::EarlyStopped { by, reason, kept } => {
                let who = event.adapter.as_deref().unwrap_or_default();
                let kept = match *kept == event.step {
                    true => String::new(),
                    false => format!("; its weights of step {kept} are saved"),
                };
                self.print(format!("{who} {}: {reason}{kept}", by.outcome()));
            }
            EventKind::Saved { .. } => {}
            EventKind::End { .. } => self.progress = None,
        }
    }

    /// Prints a line, unless stderr is a log, which has the event itself.
    fn print(&self, text: String) {
        match &self.progress {
            _ if self.printer.logs() => {}
            Some(progress) => progress.say(text),
            None => self.printer.note(text),
        }
    }
}
