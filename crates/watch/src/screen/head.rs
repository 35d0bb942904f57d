//! The part of the screen above the curves: the list of runs; a run's name, progress and metrics.

use ratatui::Frame;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use verdict_common::{bytes, duration, grouped, significant};

use super::view::View;
use crate::snapshot::{Snapshot, State};
use crate::words::{Clock, ago, loss, plain, rate};

/// A line for each run; the shown one is highlighted.
pub(super) fn runs(
    frame: &mut Frame<'_>,
    area: Rect,
    snapshots: &[Snapshot],
    shown: usize,
    view: &View,
) {
    let room = usize::from(area.height.saturating_sub(1)).max(1);
    let first = shown
        .saturating_sub(room / 2)
        .min(snapshots.len().saturating_sub(room));
    let wide = snapshots.iter().map(|of| of.run.chars().count()).max();
    let wide = wide.unwrap_or(0).clamp(3, 24);
    for (row, snapshot) in snapshots.iter().skip(first).take(room).enumerate() {
        let name: String = plain(&snapshot.run).chars().take(wide).collect();
        let highlighted = first + row == shown;
        let mark = if highlighted { "▸ " } else { "  " };
        let style = match highlighted {
            true => Style::new().add_modifier(Modifier::BOLD),
            false => Style::new(),
        };
        let state = snapshot.state;
        let mut spans = vec![
            Span::styled(format!("{mark}{name:wide$}  "), style),
            Span::styled(format!("{:11}", state.as_str()), view.state_style(state)),
            Span::raw(format!(" {:3.0} %  ", 100.0 * snapshot.progress())),
        ];
        spans.extend(bar(snapshot, 12, view));
        if let Some(left) = snapshot.eta_s {
            spans.push(Span::raw(format!("  {} left", duration(left))));
        }
        if let Some(best) = &snapshot.best {
            spans.push(Span::raw(format!("  best {}", plain(best))));
        }
        let line = Rect {
            y: area.y + row as u16,
            height: 1,
            ..area
        };
        frame.render_widget(Line::from(spans), line);
    }
}

/// Three lines: name and state, progress, metrics.
pub(super) fn head(
    frame: &mut Frame<'_>,
    area: Rect,
    snapshot: &Snapshot,
    view: &View,
    clock: &Clock,
) {
    let lines = [
        name(snapshot, view, clock),
        progress(snapshot, area.width, view),
        metrics(snapshot),
    ];
    for (row, (line, area)) in lines.into_iter().zip(area.rows()).enumerate() {
        frame.render_widget(line, area);
        if row == 0 && snapshot.last_event.is_some() {
            let time = clock.time(snapshot.now, snapshot.now);
            let style = view.faint();
            let wide = area.width >= 60;
            let line = Line::styled(time, style).alignment(Alignment::Right);
            if wide {
                frame.render_widget(line, area);
            }
        }
    }
}

fn name(snapshot: &Snapshot, view: &View, clock: &Clock) -> Line<'static> {
    let state = snapshot.state;
    let details = plain(&snapshot.details(clock));
    Line::from(vec![
        Span::styled(
            format!(" {}  ", plain(&snapshot.run)),
            Style::new().add_modifier(Modifier::BOLD),
        ),
        Span::styled(state.as_str(), view.state_style(state)),
        Span::raw(format!("  {details}")),
    ])
}

fn progress(snapshot: &Snapshot, width: u16, view: &View) -> Line<'static> {
    if snapshot.steps == 0 {
        return Line::default();
    }
    let mut text = format!(
        "  step {} of {}  {:.0} %",
        grouped(snapshot.step),
        grouped(snapshot.steps),
        100.0 * snapshot.progress()
    );
    let took = match (snapshot.began, snapshot.last_event) {
        (Some(began), Some(last)) => Some(last - began),
        _ => None,
    };
    text += &match (snapshot.eta_s, took) {
        (Some(left), _) => format!("  {} left", duration(left)),
        (None, Some(took)) if snapshot.state == State::Finished => {
            format!("  took {}", duration(took))
        }
        _ => String::new(),
    };
    let room = usize::from(width).saturating_sub(text.chars().count() + 2);
    let mut spans = vec![Span::raw(" ")];
    spans.extend(bar(snapshot, room, view));
    spans.push(Span::raw(text));
    Line::from(spans)
}

fn metrics(snapshot: &Snapshot) -> Line<'static> {
    let mut parts = Vec::new();
    let best = snapshot.adapters.iter().find(|adapter| adapter.best);
    if let Some(of) = best.and_then(|adapter| adapter.train_loss) {
        let name = best.map_or("", |adapter| adapter.name.as_str());
        parts.push(format!("loss {} ({})", loss(of), plain(name)));
    } else if let Some(of) = snapshot
        .adapters
        .iter()
        .find_map(|adapter| adapter.train_loss)
    {
        parts.push(format!("loss {}", loss(of)));
    }
    let rates = snapshot.adapters.iter().filter_map(|adapter| adapter.lr);
    if let Some(lr) = rates.max_by(f64::total_cmp) {
        parts.push(format!("lr {}", rate(lr)));
    }
    if let Some(speed) = snapshot.tokens_per_s {
        parts.push(format!("{} tokens/s", significant(speed.round())));
    }
    if let Some(memory) = snapshot.memory_bytes {
        parts.push(bytes(memory));
    }
    if snapshot.fits > snapshot.adapters.len() {
        let folds = snapshot.fits - snapshot.adapters.len();
        let validated = snapshot.folds_validated;
        parts.push(format!("{validated} of {folds} fold fits validated"));
    }
    if let (Some(last), false) = (snapshot.last_event, snapshot.state.over()) {
        parts.push(format!("last event {}", ago(snapshot.now - last)));
    }
    Line::raw(format!(" {}", parts.join(" · ")))
}

/// A progress bar with this many columns.
fn bar(snapshot: &Snapshot, columns: usize, view: &View) -> [Span<'static>; 2] {
    let done = (snapshot.progress() * columns as f64) as usize;
    let style = view.state_style(snapshot.state);
    [
        Span::styled("━".repeat(done), style),
        Span::styled("─".repeat(columns.saturating_sub(done)), view.faint()),
    ]
}
