//! What the user selected to see, and the styles that follow from it.

use ratatui::style::{Color, Modifier, Style};

use crate::snapshot::{Snapshot, State};

/// Colours that distinguish adapters.
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

/// What the user selected to see.
#[derive(Clone, Debug)]
pub struct View {
    /// Index of the run.
    pub run: usize,
    /// Index of the selected adapter, if one is selected.
    pub adapter: Option<usize>,
    /// Show the validation accuracy instead of the validation loss.
    pub accuracy: bool,
    /// Show the help.
    pub help: bool,
    /// Whether the terminal has colours.
    pub colours: bool,
}

impl Default for View {
    fn default() -> View {
        View {
            run: 0,
            adapter: None,
            accuracy: false,
            help: false,
            colours: true,
        }
    }
}

impl View {
    fn colour(&self, colour: Color) -> Style {
        match self.colours {
            true => Style::new().fg(colour),
            false => Style::new(),
        }
    }

    pub(super) fn faint(&self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// The colour of an adapter. If there are more adapters than colours, only the selected and the best one have one.
    pub(super) fn adapter_style(&self, snapshot: &Snapshot, index: usize) -> Style {
        let highlighted = self.adapter == Some(index) || snapshot.adapters[index].best;
        match snapshot.adapters.len() <= COLOURS.len() || highlighted {
            true => self.colour(COLOURS[index % COLOURS.len()]),
            false => self.colour(Color::DarkGray),
        }
    }

    pub(super) fn state_style(&self, state: State) -> Style {
        let colour = match state {
            State::Waiting => Color::Yellow,
            State::Running => Color::Cyan,
            State::Finished => Color::Green,
            State::Dead | State::Interrupted | State::Failed => Color::Red,
        };
        self.colour(colour).add_modifier(Modifier::BOLD)
    }
}
