//! The one place that prints. Results go to stdout, everything else to stderr: notes, warnings,
//! errors with their hints apart, and progress (a bar on a terminal, plain lines elsewhere). With
//! `--log-format json` all of that goes to stderr as `tracing` events, one JSON object a line, among those
//! of the libraries, and this is where their lines are written too.

mod progress;
mod stderr;

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Mutex;

use console::style;
use serde::Serialize;

use crate::failure::{Failure, Status};
use crate::log::{Format, Level, StderrSettings, TARGET};
use crate::table::Table;

pub use self::progress::Progress;
use self::stderr::stderr;
pub use self::stderr::{Stderr, stderr_line};

/// Prints what a command has to say.
pub struct Printer {
    json: bool,
    stderr: StderrSettings,
    /// Whether progress is shown as bars.
    bars: bool,
    /// The first error of stdout; nothing is written after it.
    broken: Mutex<Option<std::io::Error>>,
}

impl Printer {
    /// `json`: print results as JSON only; `quiet`: no notes and no progress.
    #[cfg(test)]
    pub fn new(json: bool, quiet: bool) -> Self {
        Self::with(json, StderrSettings::plain(quiet))
    }

    /// `json`: print results as JSON only; `stderr`: what goes to stderr.
    pub fn with(json: bool, stderr: StderrSettings) -> Self {
        // A bar and the lines of a log do not go together.
        let bars = std::io::stderr().is_terminal() && !stderr.events;
        Self {
            json,
            stderr,
            bars,
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

    /// Whether stderr is a log of JSON lines. What a library reports as an event need not be printed then.
    pub fn logs(&self) -> bool {
        self.stderr.format == Format::Json
    }

    /// A note: stderr, silent under `--quiet`.
    pub fn note(&self, text: impl Display) {
        match self.stderr.format {
            Format::Json => tracing::info!(target: TARGET, "{text}"),
            Format::Text if self.stderr.level >= Level::Info => stderr(&format!("{text}\n")),
            Format::Text => {}
        }
    }

    /// The command that usually comes next: a note, not printed with `--json`.
    pub fn next(&self, command: impl Display) {
        if !self.json {
            self.note(format!("next: {command}"));
        }
    }

    /// A warning: stderr, under `--quiet` too.
    pub fn warn(&self, text: impl Display) {
        match self.stderr.format {
            Format::Json => tracing::warn!(target: TARGET, "{text}"),
            Format::Text if self.stderr.level >= Level::Warn => {
                stderr(&format!("warning: {text}\n"));
            }
            Format::Text => {}
        }
    }

    /// The heading of a stage of a long command: stderr, silent under `--quiet`.
    pub fn stage(&self, text: impl Display) {
        match self.stderr.format {
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
        Progress::start(self.stderr, self.bars, label, unit, total)
    }

    /// A download of `total` bytes.
    pub fn download(&self, file: &str, total: u64) -> Progress {
        Progress::start(self.stderr, self.bars, file, progress::BYTES, total)
    }

    /// The exit status of a successful command. A reader of stdout that closed the pipe is no failure.
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

    /// A result that is text with or without `--json` (a generated document).
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

/// Prints what clap returned: help and version to stdout, wrong usage to stderr.
pub fn usage(error: &clap::Error, log: bool) -> ExitCode {
    match log && error.use_stderr() {
        true => {
            let flags = crate::log::Flags {
                log_format: Some(Format::Json),
                ..crate::log::Flags::default()
            };
            // If VERDICT_LOG is wrong too, the next attempt reports it.
            let _ = crate::log::install(&flags, || Stderr);
            let text = error.render().to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text).trim();
            let status = Status::Input as u8;
            tracing::error!(target: TARGET, status, "{text}");
        }
        // Nothing can be reported on a closed stream.
        false => drop(error.print()),
    }
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}
