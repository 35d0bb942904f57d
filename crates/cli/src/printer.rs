//! The one place that prints. Results go to stdout, everything else to stderr: notes, warnings,
//! errors with their hints apart, and progress (a bar on a terminal, plain lines elsewhere). With
//! `--log-format json` all of that goes to stderr as `tracing` events, one JSON object a line, among those
//! of the libraries, and this is where their lines are written too.

mod progress;

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Mutex;

use console::style;
use serde::Serialize;

use crate::failure::{Failure, Status};
use crate::log::{Format, Level, TARGET, Telling};
use crate::table::Table;

pub use self::progress::Progress;

/// Where a command's words go.
pub struct Printer {
    json: bool,
    telling: Telling,
    terminal: bool,
    /// The first thing that went wrong with stdout; nothing more is written after it.
    broken: Mutex<Option<std::io::Error>>,
}

impl Printer {
    /// `json`: results as JSON alone; `quiet`: no notes and no progress.
    #[cfg(test)]
    pub fn new(json: bool, quiet: bool) -> Self {
        Self::telling(json, Telling::plain(quiet))
    }

    /// `json`: results as JSON alone; what goes to stderr, as the flags say.
    pub fn telling(json: bool, telling: Telling) -> Self {
        // A bar and the lines of a log do not go together.
        let terminal = std::io::stderr().is_terminal() && !telling.events;
        Self {
            json,
            telling,
            terminal,
            broken: Mutex::new(None),
        }
    }

    /// Whether results are JSON.
    pub fn wants_json(&self) -> bool {
        self.json
    }

    /// A line of the result for people; nothing under `--json`.
    pub fn line(&self, text: impl Display) {
        if !self.json {
            self.stdout(&format!("{text}\n"));
        }
    }

    /// A table of the result for people; nothing under `--json`.
    pub fn table(&self, table: &Table) {
        if !self.json {
            self.stdout(&table.render(std::io::stdout().is_terminal()));
        }
    }

    /// The result for scripts, one object on one line; nothing without `--json`.
    pub fn json(&self, value: &impl Serialize) {
        if self.json {
            match serde_json::to_string(value) {
                Ok(text) => self.stdout(&format!("{text}\n")),
                Err(fault) => self.fail_stdout(fault.into()),
            }
        }
    }

    /// Whether what goes to stderr is a log of JSON lines. What a library tells of as an event need not
    /// be said again then.
    pub fn logs(&self) -> bool {
        self.telling.format == Format::Json
    }

    /// A remark on the way: stderr, silent under `--quiet`.
    pub fn note(&self, text: impl Display) {
        match self.telling.format {
            Format::Json => tracing::info!(target: TARGET, "{text}"),
            Format::Text if self.telling.level >= Level::Info => stderr(&format!("{text}\n")),
            Format::Text => {}
        }
    }

    /// The command that usually comes next: a note, for people alone.
    pub fn next(&self, command: impl Display) {
        if !self.json {
            self.note(format!("next: {command}"));
        }
    }

    /// What may be wrong, though the work goes on: stderr, under `--quiet` too.
    pub fn warn(&self, text: impl Display) {
        match self.telling.format {
            Format::Json => tracing::warn!(target: TARGET, "{text}"),
            Format::Text if self.telling.level >= Level::Warn => {
                stderr(&format!("warning: {text}\n"));
            }
            Format::Text => {}
        }
    }

    /// A heading of a long command's stage: stderr, silent under `--quiet`.
    pub fn stage(&self, text: impl Display) {
        match self.telling.format {
            Format::Json => self.note(text),
            Format::Text => self.note(style(text).for_stderr().bold()),
        }
    }

    /// A failure, one line for each fault, hints after them.
    pub fn failure(&self, failure: &Failure) {
        if self.logs() {
            let status = failure.status as u8;
            let hint = (!failure.hints.is_empty()).then(|| failure.hints.join("; "));
            let faults = failure.faults.join("; ");
            return tracing::error!(target: TARGET, status, hint, "{faults}");
        }
        for fault in &failure.faults {
            stderr(&format!(
                "{} {fault}\n",
                style("error:").for_stderr().red().bold()
            ));
        }
        for hint in &failure.hints {
            stderr(&format!(
                "{} {hint}\n",
                style("hint:").for_stderr().cyan().bold()
            ));
        }
    }

    /// Work of `total` units. `unit` names them in plain lines ("step", "prompt").
    pub fn progress(&self, label: &str, unit: &'static str, total: u64) -> Progress {
        Progress::start(self, label, unit, total)
    }

    /// A download of `total` bytes.
    pub fn download(&self, file: &str, total: u64) -> Progress {
        Progress::start(self, file, progress::BYTES, total)
    }

    /// The exit status once a command is through: a reader that went away is no fault of ours.
    pub fn finish(&self) -> ExitCode {
        let broken = self
            .broken
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .take();
        match broken {
            Some(fault) if fault.kind() != ErrorKind::BrokenPipe => {
                self.failure(&Failure::failed(format!("stdout: {fault}")));
                ExitCode::from(1)
            }
            _ => ExitCode::SUCCESS,
        }
    }

    /// Text that is the result whatever the form (a generated document).
    pub fn raw(&self, text: &str) {
        self.stdout(text);
    }

    fn stdout(&self, text: &str) {
        let mut broken = self
            .broken
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if broken.is_none() {
            let mut out = std::io::stdout().lock();
            if let Err(fault) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
                *broken = Some(fault);
            }
        }
    }

    fn fail_stdout(&self, fault: std::io::Error) {
        let mut broken = self
            .broken
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        broken.get_or_insert(fault);
    }
}

/// What clap has to say: help and version to stdout, wrong usage to stderr.
pub fn usage(error: &clap::Error, log: bool) -> ExitCode {
    match log && error.use_stderr() {
        true => {
            let flags = crate::log::Flags {
                log_format: Some(Format::Json),
                ..crate::log::Flags::default()
            };
            // A filter that is wrong too would be told next.
            let _ = crate::log::install(&flags);
            let text = error.render().to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text).trim();
            let status = Status::Input as u8;
            tracing::error!(target: TARGET, status, "{text}");
        }
        // A closed stream leaves nobody to tell.
        false => drop(error.print()),
    }
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

/// A panic as a line of the log.
pub fn panic(info: &std::panic::PanicHookInfo<'_>) {
    let location = info.location().map(ToString::to_string);
    let text = info.payload_as_str().unwrap_or("no text");
    tracing::error!(target: TARGET, location, "panic: {text}");
}

/// Where lines of a log are written; a closed stderr leaves nobody to tell.
#[derive(Clone, Copy, Debug)]
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _ = std::io::stderr().lock().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A line on stderr where no printer is at hand (the signal handler).
pub fn stderr_line(format: Format, text: &str) {
    match format {
        Format::Json => tracing::warn!(target: TARGET, "{text}"),
        Format::Text => stderr(&format!("{text}\n")),
    }
}

fn stderr(text: &str) {
    // A closed stderr leaves nobody to tell.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
