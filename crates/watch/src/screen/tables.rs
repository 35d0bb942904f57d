//! The table of adapters and the table of this machine's GPUs.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Cell, Row, Table, TableState};
use verdict_common::{bytes, share};
use verdict_train::EarlyStoppingRule;

use super::view::View;
use crate::gpu::Gpu;
use crate::page::note;
use crate::snapshot::{Snapshot, ValidationSummary};
use crate::words::{interval, loss, plain, rate};

/// Rows of the complete table of adapters.
pub(super) fn rows(snapshot: &Snapshot) -> u16 {
    let rows = 1 + usize::from(snapshot.base.is_some()) + snapshot.adapters.len();
    u16::try_from(rows).unwrap_or(u16::MAX)
}

/// A column: its name, its width, and the minimum width of the window at which it is shown.
struct Column(&'static str, u16, u16);

const COLUMNS: [Column; 8] = [
    Column("rank", 5, 70),
    Column("lr", 8, 62),
    Column("train", 7, 30),
    Column("val.", 7, 38),
    Column("accuracy", 8, 48),
    Column("95 %", 10, 74),
    Column("n", 6, 90),
    Column("", 9, 58),
];

/// A row for the bare base model and one for each adapter. The selected one is kept visible.
pub(super) fn adapters(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, view: &View) {
    let shown: Vec<usize> = (0..COLUMNS.len())
        .filter(|column| COLUMNS[*column].2 <= area.width)
        .collect();
    let numbers = |cells: [String; 8]| {
        let cells = shown.iter().map(move |column| {
            let text = Text::raw(cells[*column].clone());
            // The last column is text.
            Cell::new(if *column + 1 < COLUMNS.len() {
                text.right_aligned()
            } else {
                text
            })
        });
        cells.collect::<Vec<_>>()
    };
    let summary = |summary: Option<ValidationSummary>| {
        summary.map_or([const { String::new() }; 4], |summary| {
            [
                loss(summary.loss),
                share(summary.accuracy),
                interval((summary.low, summary.high)),
                summary.n.to_string(),
            ]
        })
    };
    let row =
        |name: Line<'static>, first: [String; 3], of: Option<ValidationSummary>, note: String| {
            let ([rank, lr, train], [val, accuracy, ends, n]) = (first, summary(of));
            let mut cells = vec![Cell::new(name)];
            cells.extend(numbers([rank, lr, train, val, accuracy, ends, n, note]));
            Row::new(cells)
        };
    let mut rows = Vec::new();
    if snapshot.base.is_some() {
        let name = Line::styled("  base model", view.faint());
        let nothing = [const { String::new() }; 3];
        rows.push(row(name, nothing, snapshot.base, String::new()));
    }
    let before = rows.len();
    for (index, adapter) in snapshot.adapters.iter().enumerate() {
        let name = Line::from(vec![
            Span::styled("━ ", view.adapter_style(snapshot, index)),
            Span::raw(plain(&adapter.name)),
        ]);
        let number =
            |value: Option<f64>, format: fn(f64) -> String| value.map_or(String::new(), format);
        let first = [
            adapter.rank.map_or(String::new(), |rank| rank.to_string()),
            number(adapter.lr, rate),
            number(adapter.train_loss, loss),
        ];
        let note = match (&adapter.diverged, adapter.rule) {
            (Some(_), _) if area.width < 120 => "diverged".into(),
            (None, _) if area.width < 100 && adapter.best => "best".into(),
            // "early-stopped" is wider than the column.
            (None, Some(EarlyStoppingRule::Patience)) if area.width < 120 => "early".into(),
            (None, Some(rule)) if area.width < 120 => rule.outcome().into(),
            _ => plain(&note(adapter, snapshot.state)),
        };
        let row = row(name, first, adapter.validation, note);
        rows.push(match (adapter.best, &adapter.diverged) {
            (true, _) => row.style(Style::new().add_modifier(Modifier::BOLD)),
            (_, Some(_)) => row.style(view.faint()),
            _ if adapter.early_stop.is_some() => row.style(view.faint()),
            _ => row,
        });
    }
    let names = snapshot.adapters.iter().map(|of| of.name.chars().count());
    let widest = names.max().unwrap_or(0).max("base model".len()) as u16 + 2;
    let taken: u16 = shown.iter().map(|column| COLUMNS[*column].1 + 2).sum();
    let widest = widest.min(area.width.saturating_sub(taken).max(12));
    let mut widths = vec![Constraint::Length(widest)];
    widths.extend(shown.iter().map(|column| match column {
        7 => Constraint::Fill(1),
        _ => Constraint::Length(COLUMNS[*column].1),
    }));
    let mut head = vec![Cell::new("  adapter")];
    head.extend(numbers(COLUMNS.map(|Column(name, ..)| name.to_owned())));
    let table = Table::new(rows, widths)
        .header(Row::new(head).style(view.faint()))
        .column_spacing(2)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::new();
    state.select(view.adapter.map(|adapter| adapter + before));
    frame.render_stateful_widget(table, area, &mut state);
}

/// A line for each GPU.
pub(super) fn gpus(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, view: &View) {
    let mut lines = vec![Line::styled(" GPUs of this machine", view.faint())];
    lines.extend(snapshot.gpus.iter().map(|gpu| Line::raw(describe(gpu))));
    for (line, area) in lines.into_iter().zip(area.rows()) {
        frame.render_widget(line, area);
    }
}

fn describe(gpu: &Gpu) -> String {
    let mut parts = Vec::new();
    parts.extend(gpu.load_percent.map(|load| format!("load {load} %")));
    if let (Some(used), Some(all)) = (gpu.memory_used_bytes, gpu.memory_total_bytes) {
        parts.push(format!("{}/{}", bytes(used), bytes(all)));
    }
    parts.extend(match (gpu.power_w, gpu.power_limit_w) {
        (Some(power), Some(limit)) => Some(format!("{power:.0}/{limit:.0} W")),
        (power, _) => power.map(|power| format!("{power:.0} W")),
    });
    parts.extend(gpu.temperature_c.map(|degrees| format!("{degrees} °C")));
    format!(" {} {}  {}", gpu.index, plain(&gpu.name), parts.join(" · "))
}
