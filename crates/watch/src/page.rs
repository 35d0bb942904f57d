//! The page of `--html`: the state and the curves of the runs, in one file without external resources. While a run is
//! not over, the page reloads itself.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use verdict_common::{bytes, counted, duration, grouped, percent, share, significant};
use verdict_page::charts::{self, Axis, Series, Unit};
use verdict_page::{Block, Cell, Page, Table};
use verdict_train::EarlyStoppingRule;

use crate::curve::Curve;
use crate::error::Result;
use crate::export::replace;
use crate::gpu::Gpu;
use crate::run::{AdapterProgress, Run};
use crate::snapshot::{Snapshot, State, ValidationSummary};
use crate::watch::Watch;
use crate::words::{Clock, ago, interval, loss, rate};

/// How often the page is written and reloaded.
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
    /// Nothing is written before [`PageFile::update`].
    pub fn new(path: &Path, clock: Clock) -> PageFile {
        PageFile {
            path: path.to_path_buf(),
            clock,
            written: None,
            over: false,
        }
    }

    /// Writes the page if it is due, and once when all runs are over.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn update(&mut self, watch: &Watch, snapshots: &[Snapshot]) -> Result<()> {
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

/// The page of these runs and their snapshots.
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
        [snapshot] => format!("{}, {:.0} %", snapshot.run, 100.0 * snapshot.progress()),
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
    let axis = Axis::new("share of correct labels", Unit::Percent);
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

/// The state of a run in words.
fn headline(snapshot: &Snapshot, clock: &Clock) -> String {
    let state = snapshot.state.as_str();
    let mut text = format!("{}{}", state[..1].to_uppercase(), &state[1..]);
    let details = snapshot.details(clock);
    if !details.is_empty() {
        text += &format!(" ({details})");
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
    if let (Some(began), Some(last)) = (snapshot.began, snapshot.last_event) {
        text += &match snapshot.state {
            State::Running => format!("; started {} ago", duration(snapshot.now - began)),
            _ => format!(
                ", {} from its start to its last event",
                duration(last - began)
            ),
        };
    }
    text.push('.');
    if let Some(speed) = snapshot.tokens_per_s {
        text += &format!(
            " {} tokens per second in the last step.",
            significant(speed.round())
        );
    }
    if let Some(memory) = snapshot.memory_bytes {
        text += &format!(" Its process uses {} of memory.", bytes(memory));
    }
    if snapshot.fits > snapshot.adapters.len() {
        text += &format!(
            " {} fits including those of folds; {} of the folds' fits are validated.",
            grouped(snapshot.fits),
            grouped(snapshot.folds_validated)
        );
    }
    text += &format!(" As of {}.", clock.time(snapshot.now, snapshot.now));
    text
}

fn overview(snapshots: &[Snapshot]) -> Table {
    let head = ["run", "state", "step", "of", "left", "best", "last event"];
    let mut table = Table::new("Runs", &head);
    for snapshot in snapshots {
        let left = snapshot.eta_s.map(duration).unwrap_or_default();
        let last = snapshot.last_event.map(|last| ago(snapshot.now - last));
        table.rows.push(vec![
            snapshot.run.clone().into(),
            snapshot.state.as_str().into(),
            snapshot.step.into(),
            snapshot.steps.into(),
            figure(left),
            snapshot.best.clone().unwrap_or_default().into(),
            figure(last.unwrap_or_default()),
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
        "n",
        "",
    ];
    let mut table = Table::new("Adapters", &head);
    let summary = |summary: Option<ValidationSummary>| -> [Cell; 4] {
        let Some(summary) = summary else {
            return [(); 4].map(|()| "".into());
        };
        [
            figure(loss(summary.loss)),
            figure(share(summary.accuracy)),
            figure(interval((summary.low, summary.high))),
            summary.n.into(),
        ]
    };
    if snapshot.base.is_some() {
        let mut row: Vec<Cell> = vec![unbroken("base model").into()];
        row.extend([(); 4].map(|()| Cell::from("")));
        row.extend(summary(snapshot.base));
        row.push("".into());
        table.rows.push(row);
    }
    for adapter in &snapshot.adapters {
        let number = |value: Option<f64>, format: fn(f64) -> String| {
            figure(value.map(format).unwrap_or_default())
        };
        let mut row: Vec<Cell> = vec![
            unbroken(&adapter.name).into(),
            adapter.rank.map_or("".into(), Cell::from),
            number(adapter.lr, rate),
            number(adapter.train_loss, loss),
            number(adapter.grad_norm, loss),
        ];
        row.extend(summary(adapter.validation));
        row.push(unbroken(&note(adapter, snapshot.state)).into());
        table.rows.push(row);
    }
    table
}

/// The note on an adapter: whether it is the best, diverged, or ended early.
pub fn note(adapter: &crate::snapshot::AdapterSnapshot, state: State) -> String {
    let best = match (adapter.best, state) {
        (false, _) => "",
        (true, State::Finished) => "best",
        (true, _) => "best so far",
    };
    let how = adapter.rule.map_or("", EarlyStoppingRule::outcome);
    match (&adapter.diverged, &adapter.early_stop) {
        (Some(reason), _) => reason.clone(),
        (None, Some(reason)) if best.is_empty() => format!("{how}: {reason}"),
        (None, Some(reason)) => format!("{best}; {how}: {reason}"),
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
        let optional = |text: Option<String>| figure(text.unwrap_or_default());
        table.rows.push(vec![
            Cell::Number(gpu.index as usize),
            unbroken(&gpu.name).into(),
            optional(gpu.load_percent.map(|load| format!("{load} %"))),
            optional(gpu.memory_used_bytes.map(bytes)),
            optional(gpu.memory_total_bytes.map(bytes)),
            optional(gpu.power_w.map(|power| format!("{power:.0} W"))),
            optional(gpu.temperature_c.map(|degrees| format!("{degrees} °C"))),
        ]);
    }
    table
}

/// Prevents a short text from wrapping; a long one may wrap.
fn unbroken(text: &str) -> String {
    match text.chars().count() {
        0..=32 => text.replace(' ', "\u{a0}"),
        _ => text.to_owned(),
    }
}

/// A number as text, or an empty cell.
fn figure(text: String) -> Cell {
    match text.is_empty() {
        true => Cell::Text(text),
        false => Cell::Figure(text),
    }
}
