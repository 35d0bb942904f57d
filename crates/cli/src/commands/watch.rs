//! `verdict watch`: shows runs on a terminal, as log lines or as a page, and exports their numbers.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use verdict_watch::page::PageFile;
use verdict_watch::plain::{self, Log};
use verdict_watch::screen::View;
use verdict_watch::{Clock, Snapshot, State, Watch, WatchOptions, now, terminal};

use crate::failure::{Failure, Result, Status};
use crate::folders;
use crate::interrupt::{self, Guard};
use crate::printer::Printer;

/// Watch runs: progress, loss curves, scores; export to TensorBoard or CSV
///
/// Only the run folders are read, so a run on another machine can be watched through a shared folder. On a terminal a
/// full-screen view is shown until you quit it. Elsewhere lines are printed until all runs have ended; the exit status is
/// 0 if all of them finished, else 1. With --json, one object per run shows its state now.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run folders; training need not have started
    #[arg(value_name = "RUN", required = true)]
    pub run: Vec<PathBuf>,
    /// Print lines on a terminal too, instead of the full-screen view
    #[arg(long)]
    pub plain: bool,
    /// Print a line every N steps [default: a hundredth of all steps]
    #[arg(long, value_name = "N")]
    pub every: Option<usize>,
    /// Report a silent run as dead after this time [default: 60 or more]
    ///
    /// Seconds without an event, for a run that no process of this machine is known to hold. The default is ten times the
    /// duration of a step and a validation, at least 60.
    #[arg(long, value_name = "SECONDS")]
    pub dead_after: Option<f64>,
    /// Write a self-contained HTML page to this file every 5 seconds
    ///
    /// The page reloads itself while a run is active.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write TensorBoard event files into this folder, one run per adapter
    #[arg(long, value_name = "FOLDER")]
    pub tensorboard: Option<PathBuf>,
    /// Write all numbers as CSV: run, time, step, adapter, name, value
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
}

impl Args {
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.every == Some(0) {
            faults.push("--every: expected at least 1, found 0".into());
        }
        if let Some(seconds) = self
            .dead_after
            .filter(|seconds| seconds.is_nan() || *seconds <= 0.0)
        {
            faults.push(format!(
                "--dead-after: expected more than 0 seconds, found {seconds}"
            ));
        }
        faults
    }
}

/// Watches.
pub fn run(args: Args, printer: &Printer) -> Result {
    let faults = args.faults();
    if !faults.is_empty() {
        return Err(Failure::faults(faults));
    }
    args.run
        .iter()
        .try_for_each(|run| folders::refuse_data_set(run))?;
    let options = WatchOptions {
        csv: args.csv,
        tensorboard: args.tensorboard,
        dead_after_s: args.dead_after,
    };
    let mut watch = Watch::new(&args.run, &options)?;
    let clock = Clock::local();
    let mut page = args
        .html
        .as_deref()
        .map(|path| PageFile::new(path, clock.clone()));
    let mut polled = |watch: &Watch, snapshots: &[Snapshot]| match &mut page {
        Some(page) => page.update(watch, snapshots),
        None => Ok(()),
    };
    if printer.wants_json() {
        watch.poll(&mut |_, _, _| {})?;
        let snapshots = watch.snapshots(now());
        polled(&watch, &snapshots)?;
        snapshots.iter().for_each(|snapshot| printer.json(snapshot));
        return Ok(());
    }
    if !args.plain && std::io::stdout().is_terminal() {
        let colours = console::colors_enabled();
        let view = View {
            colours,
            ..View::default()
        };
        interrupt::before_end(terminal::restore);
        terminal::show(&mut watch, view, &clock, &mut polled)?;
        return Ok(());
    }
    let guard = Guard::new();
    let names = watch.runs.iter().map(|watched| watched.name.clone());
    let mut log = Log::new(names.collect(), args.every, clock);
    let mut line = |text: String| printer.line(text);
    let snapshots = plain::follow(
        &mut watch,
        &mut log,
        guard.request().stop,
        &mut line,
        &mut polled,
    )?;
    result(&snapshots)
}

/// A failure for each run that did not finish.
fn result(snapshots: &[Snapshot]) -> Result {
    let of = |status: Status, words: &str, wanted: fn(State) -> bool| {
        let runs = snapshots.iter().filter(|of| wanted(of.state));
        let faults: Vec<String> = runs
            .map(|of| format!("{}: {words}{}", of.folder.display(), of.state.as_str()))
            .collect();
        let hints = Vec::new();
        (!faults.is_empty()).then_some(Failure {
            status,
            faults,
            hints,
        })
    };
    // A run that has not ended: the user stopped watching.
    let stopped = of(Status::Interrupted, "stopped watching while ", |state| {
        !state.over()
    });
    let failed = || {
        of(Status::Failed, "", |state| {
            state.over() && state != State::Finished
        })
    };
    stopped.or_else(failed).map_or(Ok(()), Err)
}
