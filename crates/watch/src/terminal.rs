//! The terminal screen: sets up the terminal, draws once a second and at each key press, and restores the terminal.

use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::error::{Error, Result};
use crate::run::Run;
use crate::screen::{self, View};
use crate::snapshot::Snapshot;
use crate::watch::{Watch, now};
use crate::words::Clock;

/// How often the folders are polled and the screen is drawn.
const EVERY: Duration = Duration::from_secs(1);

/// Shows the runs until the user quits, finished ones included. `polled` is called after each poll.
///
/// Waiting for a key does not return if the terminal is closed meanwhile. Then a signal must end the process, after
/// [`restore`].
///
/// # Errors
/// [`Error::Terminal`]; [`Error::Io`] where an export cannot be written; the errors of `polled`.
pub fn show(
    watch: &mut Watch,
    view: View,
    clock: &Clock,
    polled: &mut dyn FnMut(&Watch, &[Snapshot]) -> Result<()>,
) -> Result<()> {
    let mut terminal = ratatui::try_init().map_err(Error::Terminal)?;
    let shown = run(&mut terminal, watch, view, clock, polled);
    let restored = ratatui::try_restore().map_err(Error::Terminal);
    shown.and(restored)
}

/// Restores the terminal.
pub fn restore() {
    // There is nowhere to report an error.
    let _ = ratatui::try_restore();
}

fn run(
    terminal: &mut ratatui::DefaultTerminal,
    watch: &mut Watch,
    mut view: View,
    clock: &Clock,
    polled: &mut dyn FnMut(&Watch, &[Snapshot]) -> Result<()>,
) -> Result<()> {
    loop {
        let next = Instant::now() + EVERY;
        watch.poll(&mut |_, _, _| {})?;
        let snapshots = watch.snapshots(now());
        polled(watch, &snapshots)?;
        let runs: Vec<&Run> = watch.runs.iter().map(|watched| &watched.run).collect();
        loop {
            terminal
                .draw(|frame| screen::draw(frame, &runs, &snapshots, &view, clock))
                .map_err(Error::Terminal)?;
            let wait = next.saturating_duration_since(Instant::now());
            if wait.is_zero() || !event::poll(wait).map_err(Error::Terminal)? {
                break;
            }
            if let Event::Key(key) = event::read().map_err(Error::Terminal)?
                && key.kind != KeyEventKind::Release
                && !press(key, &snapshots, &mut view)
            {
                return Ok(());
            }
        }
    }
}

/// Handles a key press; returns false to quit.
pub fn press(key: KeyEvent, snapshots: &[Snapshot], view: &mut View) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if control && matches!(key.code, KeyCode::Char('c' | 'd')) {
        return false;
    }
    if std::mem::take(&mut view.help) {
        return true;
    }
    let runs = snapshots.len().max(1);
    let shown = snapshots.get(view.run);
    let last = shown.map_or(0, |shown| shown.adapters.len()).checked_sub(1);
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return false,
        KeyCode::Char('?' | 'h') => view.help = true,
        KeyCode::Char('a') => view.accuracy = !view.accuracy,
        KeyCode::Tab | KeyCode::Right => {
            (view.run, view.adapter) = ((view.run + 1) % runs, None);
        }
        KeyCode::BackTab | KeyCode::Left => {
            (view.run, view.adapter) = ((view.run + runs - 1) % runs, None);
        }
        KeyCode::Down | KeyCode::Char('j') => {
            let next = view.adapter.map_or(0, |adapter| adapter + 1);
            view.adapter = last.map(|last| next.min(last));
        }
        KeyCode::Up | KeyCode::Char('k') => {
            // Moving up from the first adapter selects none.
            view.adapter = view.adapter.and_then(|adapter| adapter.checked_sub(1));
        }
        KeyCode::Home => view.adapter = last.map(|_| 0),
        KeyCode::End => view.adapter = last,
        _ => {}
    }
    true
}
