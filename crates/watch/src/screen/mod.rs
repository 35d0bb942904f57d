//! The terminal screen: runs, progress, curves, adapters, GPUs. A pure function of the snapshots; see
//! [`crate::terminal`] for the keys.

mod curves;
mod head;
mod tables;
mod view;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

pub use self::view::View;
use crate::run::Run;
use crate::snapshot::Snapshot;
use crate::words::Clock;

/// Minimum number of rows of the curves; with fewer they are not shown.
const CURVES: u16 = 7;
/// Minimum height at which learning rate and throughput have curves too.
const TALL: u16 = 34;

/// Draws the screen.
pub fn draw(
    frame: &mut Frame<'_>,
    runs: &[&Run],
    snapshots: &[Snapshot],
    view: &View,
    clock: &Clock,
) {
    let area = frame.area();
    let shown = view.run.min(snapshots.len().saturating_sub(1));
    let (Some(snapshot), Some(run)) = (snapshots.get(shown), runs.get(shown)) else {
        return;
    };
    let listed = match snapshots.len() {
        1 => 0,
        count => (count as u16 + 1).min(area.height / 3),
    };
    let gpus = match area.height {
        0..16 => 0,
        height => (snapshot.gpus.len() as u16).min(height / 6),
    };
    let gpus = if gpus > 0 { gpus + 1 } else { 0 };
    let rest = area.height.saturating_sub(listed + 3 + gpus + 1);
    let (curves, table) = split_rows(rest, tables::rows(snapshot));
    let heights = [listed, 3, curves, table, gpus, 1].map(Constraint::Length);
    let [list, head, curves, table, gpus, keys] = Layout::vertical(heights).areas(area);
    if !list.is_empty() {
        head::runs(frame, list, snapshots, shown, view);
    }
    head::head(frame, head, snapshot, view, clock);
    let started = !snapshot.adapters.is_empty();
    if started && !curves.is_empty() {
        draw_curves(frame, curves, area, run, snapshot, view);
    }
    if started && !table.is_empty() {
        tables::adapters(frame, table, snapshot, view);
    }
    if !gpus.is_empty() {
        tables::gpus(frame, gpus, snapshot, view);
    }
    if !keys.is_empty() {
        footer(frame, keys, snapshots.len(), view);
    }
    if view.help {
        help(frame, area);
    }
}

/// Splits the remaining rows between the curves and the table.
fn split_rows(rest: u16, wanted: u16) -> (u16, u16) {
    let table = wanted.min((rest / 2).max(rest.saturating_sub(24)));
    match rest.saturating_sub(table) {
        curves if curves >= CURVES => (curves, table),
        _ => (0, rest),
    }
}

fn draw_curves(
    frame: &mut Frame<'_>,
    area: Rect,
    window: Rect,
    run: &Run,
    snapshot: &Snapshot,
    view: &View,
) {
    let two = window.height >= TALL && area.height >= 2 * CURVES;
    let rows = if two { vec![1, 1] } else { vec![1] };
    let rows = Layout::vertical(rows.into_iter().map(Constraint::Fill)).split(area);
    for (row, area) in rows.iter().enumerate() {
        let halves = [Constraint::Fill(1); 2];
        let [left, right] = match window.width >= 60 {
            true => Layout::horizontal(halves).areas(*area),
            false => [*area, Rect::ZERO],
        };
        let both = match row {
            0 => [
                curves::training_loss(run),
                curves::validation(run, view.accuracy),
            ],
            _ => [curves::learning_rate(run), curves::speed(run)],
        };
        for (plot, area) in both.into_iter().zip([left, right]) {
            if !area.is_empty() {
                curves::draw(frame, area, &plot, run, snapshot, view);
            }
        }
    }
}

fn footer(frame: &mut Frame<'_>, area: Rect, runs: usize, view: &View) {
    let mut keys = vec![("q", "quit")];
    if runs > 1 {
        keys.push(("tab", "next run"));
    }
    let other = if view.accuracy { "loss" } else { "accuracy" };
    keys.extend([("↑↓", "adapter"), ("a", other), ("?", "help")]);
    let mut spans = Vec::new();
    for (key, what) in keys {
        spans.push(Span::styled(
            format!(" {key} "),
            Style::new().add_modifier(Modifier::REVERSED),
        ));
        spans.push(Span::raw(format!(" {what}  ")));
    }
    frame.render_widget(Line::from(spans), area);
}

const HELP: &str = "\
 q, Esc        quit; the run continues
 Tab, ⇧Tab     next run, previous run
 ↑ ↓, k j      select an adapter; Home, End
 a             validation: accuracy or loss
 ?             this help; any key closes it

 Curves: each point is the mean of the steps
 in its column. Loss is in nats per
 supervised token. Time left: from the median
 of the last 64 steps and the validations.
 95 %: Wilson's interval of the accuracy.
 GPUs: this machine's, used by any process.";

fn help(frame: &mut Frame<'_>, area: Rect) {
    let lines = HELP.lines().count() as u16;
    let area = area.centered(Constraint::Max(48), Constraint::Max(lines + 2));
    frame.render_widget(Clear, area);
    let block = Block::bordered().title(" keys and columns ");
    frame.render_widget(Paragraph::new(HELP).block(block), area);
}
