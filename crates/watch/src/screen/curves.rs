//! Curves of metrics over the steps, one for each adapter.

use ratatui::Frame;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, Paragraph};
use verdict_common::{grouped, share, significant};

use super::view::View;
use crate::curve::Curve;
use crate::run::{AdapterProgress, Run};
use crate::snapshot::Snapshot;

/// A curve as it is drawn: the adapter's index, its style, its points.
type Drawn = (usize, Style, Vec<(f64, f64)>);

/// A chart.
pub(super) struct Plot<'a> {
    title: String,
    /// One for each adapter, in the order of the grid; or one for the whole run.
    curves: Vec<&'a Curve>,
    /// The value of the bare base model.
    base: Option<f64>,
    /// Formats a value.
    format: fn(f64) -> String,
}

fn of_adapters(run: &Run, curve: fn(&AdapterProgress) -> &Curve) -> Vec<&Curve> {
    run.adapters.iter().map(curve).collect()
}

pub(super) fn training_loss(run: &Run) -> Plot<'_> {
    Plot {
        title: "training loss".into(),
        curves: of_adapters(run, |adapter| &adapter.train_loss),
        base: None,
        format: significant,
    }
}

pub(super) fn validation(run: &Run, accuracy: bool) -> Plot<'_> {
    let base = run.base;
    match accuracy {
        true => Plot {
            title: "validation accuracy".into(),
            curves: of_adapters(run, |adapter| &adapter.accuracy),
            base: base.map(|score| score.accuracy),
            format: share,
        },
        false => Plot {
            title: "validation loss".into(),
            curves: of_adapters(run, |adapter| &adapter.validation_loss),
            base: base.map(|score| score.loss),
            format: significant,
        },
    }
}

pub(super) fn learning_rate(run: &Run) -> Plot<'_> {
    Plot {
        title: "learning rate".into(),
        curves: of_adapters(run, |adapter| &adapter.lr),
        base: None,
        format: crate::words::rate,
    }
}

pub(super) fn speed(run: &Run) -> Plot<'_> {
    Plot {
        title: "tokens per second".into(),
        curves: vec![&run.tokens_per_s],
        base: None,
        format: |speed| significant(speed.round()),
    }
}

/// Draws a chart over the steps that are done.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    plot: &Plot<'_>,
    run: &Run,
    snapshot: &Snapshot,
    view: &View,
) {
    let end = run.step.max(1) as f64;
    // A character is two dots wide; the frame and the numbers take about ten.
    let columns = 2 * usize::from(area.width.saturating_sub(10)).max(1);
    let one_each = plot.curves.len() == snapshot.adapters.len();
    let mut lines: Vec<Drawn> = plot
        .curves
        .iter()
        .enumerate()
        .map(|(index, curve)| {
            let style = match one_each {
                true => view.adapter_style(snapshot, index),
                false => Style::new(),
            };
            (index, style, curve.columns(columns, end))
        })
        .filter(|(_, _, points)| !points.is_empty())
        .collect();
    // Highlighted curves are drawn last, over the others.
    lines.sort_by_key(|(index, ..)| {
        let best = one_each && snapshot.adapters[*index].best;
        (view.adapter == Some(*index), best)
    });
    let base = plot.base.map(|value| vec![(0.0, value), (end, value)]);
    let values = lines
        .iter()
        .map(|(_, _, points)| points)
        .chain(&base)
        .flatten()
        .map(|(_, value)| *value);
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let block = Block::bordered()
        .border_style(view.faint())
        .title(Span::raw(format!(" {} ", plot.title)));
    if lines.is_empty() {
        let text = Paragraph::new("no data yet").alignment(Alignment::Center);
        frame.render_widget(text.style(view.faint()).block(block), area);
        return;
    }
    let margin = match high - low {
        0.0 => low.abs().max(1e-9) * 0.1,
        range => range * 0.05,
    };
    // Values that are never negative need no axis below zero.
    let floor = if low < 0.0 { f64::NEG_INFINITY } else { 0.0 };
    let (low, high) = ((low - margin).max(floor), high + margin);
    let mut datasets = Vec::new();
    if let Some(points) = &base {
        let data = Dataset::default().data(points).style(view.faint());
        datasets.push(data.marker(Marker::Dot).graph_type(GraphType::Line));
    }
    for (_, style, points) in &lines {
        let data = Dataset::default().data(points).style(*style);
        datasets.push(data.marker(Marker::Braille).graph_type(GraphType::Line));
    }
    let label = |text: String| Line::styled(text, view.faint());
    let x = Axis::default()
        .bounds([0.0, end])
        .style(view.faint())
        .labels([label("0".into()), label(grouped(run.step))]);
    let middle = f64::midpoint(low, high);
    let y = Axis::default()
        .bounds([low, high])
        .style(view.faint())
        .labels([low, middle, high].map(|value| label((plot.format)(value))));
    let chart = Chart::new(datasets).block(block).x_axis(x).y_axis(y);
    frame.render_widget(chart.legend_position(None), area);
}
