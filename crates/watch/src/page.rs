//! The page of `--html`: how the runs stand, their curves, in one file that loads nothing. While a run goes it asks the
//! browser to read it again.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use verdict_common::{bytes, counted, duration, grouped, percent, significant};
use verdict_page::charts::{self, Axis, Series, Unit};
use verdict_page::{Block, Cell, Page, Table};

use crate::curve::Curve;
use crate::error::Result;
use crate::export::replace;
use crate::gpu::Gpu;
use crate::run::{AdapterProgress, Run};
use crate::snapshot::{EvaluationSummary, Snapshot, State};
use crate::watch::Watch;
use crate::words::{Clock, ago, interval, loss, rate, share};

/// The page is written, and read again, this often.
const EVERY: Duration = Duration::from_secs(5);

/// The file.
#[derive(Debug)]
pub struct PageFile {
    path: PathBuf,
    clock: Clock,
    written: Option<Instant>,
    over: bool,
}

impl PageFile {
    /// Nothing is written before [`PageFile::looked`].
    pub fn new(path: &Path, clock: Clock) -> PageFile {
        PageFile {
            path: path.to_path_buf(),
            clock,
            written: None,
            over: false,
        }
    }

    /// Writes the page where it is time to, and once when all runs are over.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn looked(&mut self, watch: &Watch, snapshots: &[Snapshot]) -> Result<()> {
        let over = snapshots.iter().all(|snapshot| snapshot.state.over());
        let due = self.written.is_none_or(|at| at.elapsed() >= EVERY);
        if over && self.over || !over && !due {
            return Ok(());
        }
        let runs: Vec<&Run> = watch.runs.iter().map(|watched| &watched.run).collect();
        let page = page(&runs, snapshots, &self.clock);
        let html = match over {
            true => page.html(),
            false => page.live_html(EVERY.as_secs() as u32),
        };
        replace(&self.path, html.as_bytes())?;
        (self.written, self.over) = (Some(Instant::now()), over);
        Ok(())
    }
}

/// The page of runs and how they stand.
pub fn page(runs: &[&Run], snapshots: &[Snapshot], clock: &Clock) -> Page {
    let mut blocks = Vec::new();
    if let [snapshot] = snapshots {
        blocks.push(Block::Text(headline(snapshot, clock)));
    } else {
        blocks.push(Block::Table(overview(snapshots)));
    }
    for (run, snapshot) in runs.iter().zip(snapshots) {
        let several = snapshots.len() > 1;
        if several {
            blocks.push(Block::Section(snapshot.run.clone()));
            blocks.push(Block::Text(headline(snapshot, clock)));
        }
        one(&mut blocks, run, snapshot);
    }
    if let Some(gpus) = snapshots.first().map(|snapshot| &snapshot.gpus)
        && !gpus.is_empty()
    {
        if snapshots.len() > 1 {
            blocks.push(Block::Section("This machine".into()));
        }
        blocks.push(Block::Table(machine(gpus)));
    }
    let title = match snapshots {
        [snapshot] => format!("{}, {:.0} %", snapshot.run, 100.0 * snapshot.share()),
        _ => counted(snapshots.len(), "run"),
    };
    Page { title, blocks }
}

fn one(blocks: &mut Vec<Block>, run: &Run, snapshot: &Snapshot) {
    if run.adapters.is_empty() {
        return;
    }
    blocks.push(Block::Table(adapters(snapshot)));
    let step = Axis::new("optimizer step", Unit::Count);
    let nats = |name: &str| Axis::new(format!("{name}, nats per token"), Unit::Number);
    let mut chart =
        |title: &str, y: &Axis, curve: fn(&AdapterProgress) -> &Curve, base: Option<f64>| {
            let adapters = run.adapters.iter();
            let mut series: Vec<Series> = adapters
                .map(|adapter| Series {
                    name: adapter.name.clone(),
                    points: curve(adapter).points(),
                    best: None,
                })
                .collect();
            if let Some(value) = base {
                let ends = [0.0, run.step.max(1) as f64];
                series.push(Series {
                    name: "base model".into(),
                    points: ends.map(|step| [step, value]).to_vec(),
                    best: None,
                });
            }
            blocks.push(Block::Figure(charts::lines(title, [&step, y], &series)));
        };
    let stride = run.adapters.iter().map(|of| of.train_loss.stride()).max();
    let title = match stride {
        Some(stride @ 2..) => format!("Training loss, means of {stride} steps"),
        _ => "Training loss".into(),
    };
    chart(&title, &nats("loss of a batch"), |of| &of.train_loss, None);
    let base = snapshot.base;
    let axis = nats("validation loss");
    chart(
        "Validation loss",
        &axis,
        |of| &of.validation_loss,
        base.map(|of| of.loss),
    );
    let axis = Axis::new("share of right labels", Unit::Percent);
    chart(
        "Validation accuracy",
        &axis,
        |of| &of.accuracy,
        base.map(|of| of.accuracy),
    );
    let axis = Axis::new("learning rate", Unit::Number);
    chart("Learning rate", &axis, |of| &of.lr, None);
    let speeds: Vec<f64> = run
        .tokens_per_s
        .points()
        .iter()
        .map(|point| point[1])
        .collect();
    blocks.push(Block::Figure(charts::spark(
        "Tokens per second",
        &speeds,
        Unit::Number,
    )));
}

/// Where a run stands, in words.
fn headline(snapshot: &Snapshot, clock: &Clock) -> String {
    let state = snapshot.state.as_str();
    let mut text = format!("{}{}", state[..1].to_uppercase(), &state[1..]);
    let words = snapshot.words(clock);
    if !words.is_empty() {
        text += &format!(" ({words})");
    }
    if snapshot.steps > 0 {
        text += &format!(
            ": step {} of {}, {}",
            grouped(snapshot.step),
            grouped(snapshot.steps),
            percent(snapshot.step, snapshot.steps)
        );
    }
    if let Some(left) = snapshot.eta_s {
        text += &format!(", {} left", duration(left));
    }
    if let (Some(began), Some(heard)) = (snapshot.began, snapshot.heard) {
        text += &match snapshot.state {
            State::Running => format!(", {} since it began", duration(snapshot.now - began)),
            _ => format!(
                ", {} from its beginning to its last event",
                duration(heard - began)
            ),
        };
    }
    text.push('.');
    if let Some(speed) = snapshot.tokens_per_s {
        text += &format!(
            " {} tokens per second at the last step.",
            significant(speed.round())
        );
    }
    if let Some(memory) = snapshot.memory_bytes {
        text += &format!(" Its process holds {}.", bytes(memory));
    }
    if snapshot.fits > snapshot.adapters.len() {
        text += &format!(
            " {} adapters in the batch, those of folds with them; {} of the folds' are judged.",
            grouped(snapshot.fits),
            grouped(snapshot.folds_judged)
        );
    }
    text += &format!(" Told at {}.", clock.time(snapshot.now, snapshot.now));
    text
}

fn overview(snapshots: &[Snapshot]) -> Table {
    let head = ["run", "state", "step", "of", "left", "best", "last event"];
    let mut table = Table::new("Runs", &head);
    for snapshot in snapshots {
        let left = snapshot.eta_s.map(duration).unwrap_or_default();
        let heard = snapshot.heard.map(|heard| ago(snapshot.now - heard));
        table.rows.push(vec![
            snapshot.run.clone().into(),
            snapshot.state.as_str().into(),
            snapshot.step.into(),
            snapshot.steps.into(),
            figure(left),
            snapshot.best.clone().unwrap_or_default().into(),
            figure(heard.unwrap_or_default()),
        ]);
    }
    table
}

fn adapters(snapshot: &Snapshot) -> Table {
    let head = [
        "adapter",
        "rank",
        "lr",
        "train loss",
        "grad. norm",
        "val. loss",
        "val. accuracy",
        "95 %",
        "rows",
        "",
    ];
    let mut table = Table::new("Adapters", &head);
    let judged = |judged: Option<EvaluationSummary>| -> [Cell; 4] {
        let Some(judged) = judged else {
            return [(); 4].map(|()| "".into());
        };
        [
            figure(loss(judged.loss)),
            figure(share(judged.accuracy)),
            figure(interval((judged.low, judged.high))),
            judged.n.into(),
        ]
    };
    if snapshot.base.is_some() {
        let mut row: Vec<Cell> = vec![unbroken("base model").into()];
        row.extend([(); 4].map(|()| Cell::from("")));
        row.extend(judged(snapshot.base));
        row.push("".into());
        table.rows.push(row);
    }
    for adapter in &snapshot.adapters {
        let number = |value: Option<f64>, told: fn(f64) -> String| {
            figure(value.map(told).unwrap_or_default())
        };
        let mut row: Vec<Cell> = vec![
            unbroken(&adapter.name).into(),
            adapter.rank.map_or("".into(), Cell::from),
            number(adapter.lr, rate),
            number(adapter.train_loss, loss),
            number(adapter.grad_norm, loss),
        ];
        row.extend(judged(adapter.validation));
        row.push(unbroken(&note(adapter, snapshot.state)).into());
        table.rows.push(row);
    }
    table
}

/// What is to be said of an adapter.
pub fn note(adapter: &crate::snapshot::AdapterSnapshot, state: State) -> String {
    let best = match (adapter.best, state) {
        (false, _) => "",
        (true, State::Finished) => "best",
        (true, _) => "best so far",
    };
    match (&adapter.stopped, &adapter.dropped) {
        (Some(reason), _) => reason.clone(),
        (None, Some(reason)) if best.is_empty() => format!("left early: {reason}"),
        (None, Some(reason)) => format!("{best}; left early: {reason}"),
        _ => best.into(),
    }
}

fn machine(gpus: &[Gpu]) -> Table {
    let head = [
        "GPU",
        "name",
        "load",
        "memory",
        "of",
        "power",
        "temperature",
    ];
    let mut table = Table::new("GPUs of the machine that wrote this page", &head);
    for gpu in gpus {
        let told = |text: Option<String>| figure(text.unwrap_or_default());
        table.rows.push(vec![
            Cell::Number(gpu.index as usize),
            unbroken(&gpu.name).into(),
            told(gpu.load_percent.map(|load| format!("{load} %"))),
            told(gpu.memory_used_bytes.map(bytes)),
            told(gpu.memory_total_bytes.map(bytes)),
            told(gpu.power_w.map(|power| format!("{power:.0} W"))),
            told(gpu.temperature_c.map(|degrees| format!("{degrees} °C"))),
        ]);
    }
    table
}

/// A short text that stays on one line; a long one may be broken.
fn unbroken(text: &str) -> String {
    match text.chars().count() {
        0..=32 => text.replace(' ', "\u{a0}"),
        _ => text.to_owned(),
    }
}

/// A figure, or an empty cell.
fn figure(text: String) -> Cell {
    match text.is_empty() {
        true => Cell::Text(text),
        false => Cell::Figure(text),
    }
}
