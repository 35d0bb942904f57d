//! `verdict watch`: how runs go, on a terminal, as a log, as a page; their numbers for other programs.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use verdict_watch::page::PageFile;
use verdict_watch::plain::{self, Log};
use verdict_watch::screen::Choice;
use verdict_watch::{Clock, Snapshot, State, Watch, WatchOptions, now, terminal};

use crate::failure::{Failure, Result, Status};
use crate::folders;
use crate::interrupt::{self, Guard};
use crate::printer::Printer;

/// Watch runs: progress, curves, scores; export them to TensorBoard or CSV
///
/// Reads the run folders alone, so a run on another machine is watched through a shared folder. On a terminal a page is
/// shown until you quit it; elsewhere, a line for each group of events until all runs are over: exit status 0 where all
/// finished, 1 where one did not. With --json one object for each run, as it stands now.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run folders; training need not have begun
    #[arg(value_name = "RUN", required = true)]
    pub run: Vec<PathBuf>,
    /// Lines instead of the page, on a terminal too
    #[arg(long)]
    pub plain: bool,
    /// Steps from one line to the next, without the page [default: a hundredth of all]
    #[arg(long, value_name = "STEPS")]
    pub every: Option<usize>,
    /// Seconds without an event after which a run is dead that no process on this machine is known to hold [default: ten
    /// times those of a step and a validation, at least 60]
    #[arg(long, value_name = "SECONDS")]
    pub dead_after: Option<f64>,
    /// Write a page to this file, every 5 seconds while a run goes; it loads nothing and reads itself again
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write TensorBoard's event files into this folder, a run for each adapter
    #[arg(long, value_name = "FOLDER")]
    pub tensorboard: Option<PathBuf>,
    /// Write every number as a row: run, time, step, adapter, name, value
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
                "--dead-after: expected seconds above 0, found {seconds}"
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
    let wishes = WatchOptions {
        csv: args.csv,
        tensorboard: args.tensorboard,
        dead_after_s: args.dead_after,
    };
    let mut watch = Watch::new(&args.run, &wishes)?;
    let clock = Clock::local();
    let mut page = args
        .html
        .as_deref()
        .map(|path| PageFile::new(path, clock.clone()));
    let mut looked = |watch: &Watch, snapshots: &[Snapshot]| match &mut page {
        Some(page) => page.looked(watch, snapshots),
        None => Ok(()),
    };
    if printer.wants_json() {
        watch.poll(&mut |_, _, _| {})?;
        let snapshots = watch.snapshots(now());
        looked(&watch, &snapshots)?;
        snapshots.iter().for_each(|snapshot| printer.json(snapshot));
        return Ok(());
    }
    if !args.plain && std::io::stdout().is_terminal() {
        let colours = console::colors_enabled();
        let choice = Choice {
            colours,
            ..Choice::default()
        };
        interrupt::before_end(terminal::restore);
        terminal::show(&mut watch, choice, &clock, &mut looked)?;
        return Ok(());
    }
    let guard = Guard::new();
    let names = watch.runs.iter().map(|watched| watched.name.clone());
    let mut log = Log::new(names.collect(), args.every, clock);
    let mut line = |text: String| printer.line(text);
    let snapshots = plain::follow(
        &mut watch,
        &mut log,
        guard.asked().stop,
        &mut line,
        &mut looked,
    )?;
    ended(&snapshots)
}

/// Every run that did not finish is a fault.
fn ended(snapshots: &[Snapshot]) -> Result {
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
    // A run that is not over: the reader stopped watching.
    let stopped = of(Status::Interrupted, "watched no more while ", |state| {
        !state.over()
    });
    let failed = || {
        of(Status::Failed, "", |state| {
            state.over() && state != State::Finished
        })
    };
    stopped.or_else(failed).map_or(Ok(()), Err)
}
