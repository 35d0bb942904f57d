//! The terminal page: runs, progress, curves, adapters, GPUs. A pure function of what is known; see [`crate::terminal`]
//! for the keys.

mod curves;
mod head;
mod tables;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use crate::run::Run;
use crate::snapshot::{Snapshot, State};
use crate::words::Clock;

/// Colours that adapters are told apart by.
const COLOURS: [Color; 8] = [
    Color::Cyan,
    Color::Yellow,
    Color::Green,
    Color::Magenta,
    Color::LightBlue,
    Color::LightRed,
    Color::White,
    Color::LightGreen,
];
/// Rows of the curves: at least so many, or none.
const CURVES: u16 = 7;
/// From this height on, learning rate and speed have curves too.
const TALL: u16 = 34;

/// What the reader chose to see.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Which run.
    pub run: usize,
    /// Which adapter; none until one is chosen.
    pub adapter: Option<usize>,
    /// Validation's accuracy instead of its loss.
    pub accuracy: bool,
    /// The keys are explained.
    pub help: bool,
    /// Whether the terminal has colours.
    pub colours: bool,
}

impl Default for Choice {
    fn default() -> Choice {
        Choice {
            run: 0,
            adapter: None,
            accuracy: false,
            help: false,
            colours: true,
        }
    }
}

impl Choice {
    fn colour(&self, colour: Color) -> Style {
        match self.colours {
            true => Style::new().fg(colour),
            false => Style::new(),
        }
    }

    fn faint(&self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// The colour of an adapter. Of more than there are colours, the chosen and the best one have one.
    fn adapter(&self, snapshot: &Snapshot, place: usize) -> Style {
        let set_off = self.adapter == Some(place) || snapshot.adapters[place].best;
        match snapshot.adapters.len() <= COLOURS.len() || set_off {
            true => self.colour(COLOURS[place % COLOURS.len()]),
            false => self.colour(Color::DarkGray),
        }
    }

    fn state(&self, state: State) -> Style {
        let colour = match state {
            State::Waiting => Color::Yellow,
            State::Running => Color::Cyan,
            State::Finished => Color::Green,
            State::Dead | State::Interrupted | State::Failed => Color::Red,
        };
        self.colour(colour).add_modifier(Modifier::BOLD)
    }
}

/// Draws it all.
pub fn draw(
    frame: &mut Frame<'_>,
    runs: &[&Run],
    snapshots: &[Snapshot],
    choice: &Choice,
    clock: &Clock,
) {
    let area = frame.area();
    let shown = choice.run.min(snapshots.len().saturating_sub(1));
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
    let (curves, table) = shares(rest, tables::rows(snapshot));
    let heights = [listed, 3, curves, table, gpus, 1].map(Constraint::Length);
    let [list, head, curves, table, gpus, keys] = Layout::vertical(heights).areas(area);
    if !list.is_empty() {
        head::runs(frame, list, snapshots, shown, choice);
    }
    head::head(frame, head, snapshot, choice, clock);
    let begun = !snapshot.adapters.is_empty();
    if begun && !curves.is_empty() {
        draw_curves(frame, curves, area, run, snapshot, choice);
    }
    if begun && !table.is_empty() {
        tables::adapters(frame, table, snapshot, choice);
    }
    if !gpus.is_empty() {
        tables::gpus(frame, gpus, snapshot, choice);
    }
    if !keys.is_empty() {
        footer(frame, keys, snapshots.len(), choice);
    }
    if choice.help {
        help(frame, area);
    }
}

/// Rows of the curves and of the table, out of those that are left.
fn shares(rest: u16, wanted: u16) -> (u16, u16) {
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
    choice: &Choice,
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
                curves::validation(run, choice.accuracy),
            ],
            _ => [curves::learning_rate(run), curves::speed(run)],
        };
        for (plot, area) in both.into_iter().zip([left, right]) {
            if !area.is_empty() {
                curves::draw(frame, area, &plot, run, snapshot, choice);
            }
        }
    }
}

fn footer(frame: &mut Frame<'_>, area: Rect, runs: usize, choice: &Choice) {
    let mut keys = vec![("q", "quit")];
    if runs > 1 {
        keys.push(("tab", "next run"));
    }
    let other = if choice.accuracy { "loss" } else { "accuracy" };
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
 q, Esc        quit; the run goes on
 Tab, ⇧Tab     next run, run before
 ↑ ↓, k j      choose an adapter; Home, End
 a             validation: accuracy or loss
 ?             this; any key closes it

 Curves: each point is the mean of the steps
 that share its column. Loss is in nats per
 supervised token. Time left: the median of
 the last 64 steps, and the validations left.
 95 %: Wilson's interval of the accuracy.
 GPUs are this machine's, whoever uses them.";

fn help(frame: &mut Frame<'_>, area: Rect) {
    let lines = HELP.lines().count() as u16;
    let area = area.centered(Constraint::Max(48), Constraint::Max(lines + 2));
    frame.render_widget(Clear, area);
    let block = Block::bordered().title(" keys and figures ");
    frame.render_widget(Paragraph::new(HELP).block(block), area);
}
