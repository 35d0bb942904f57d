//! The terminal page: takes the terminal over, draws once a second and at each key, gives the terminal back.

use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::error::{Error, Result};
use crate::run::Run;
use crate::screen::{self, Choice};
use crate::snapshot::Snapshot;
use crate::watch::{Watch, now};
use crate::words::Clock;

/// How often the folders are looked at and the page is drawn.
const EVERY: Duration = Duration::from_secs(1);

/// Shows the runs until the reader quits. A run that is over stays. `looked` is called after each look.
///
/// Keys are waited for in the system's own time: where the terminal goes away under it, it does not come back. A
/// signal has to end the process, after [`restore`].
///
/// # Errors
/// [`Error::Terminal`]; [`Error::Io`] where an export cannot be written; what `looked` fails with.
pub fn show(
    watch: &mut Watch,
    choice: Choice,
    clock: &Clock,
    looked: &mut dyn FnMut(&Watch, &[Snapshot]) -> Result<()>,
) -> Result<()> {
    let mut terminal = ratatui::try_init().map_err(Error::Terminal)?;
    let shown = stay(&mut terminal, watch, choice, clock, looked);
    let restored = ratatui::try_restore().map_err(Error::Terminal);
    shown.and(restored)
}

/// Gives the terminal back.
pub fn restore() {
    // There is nobody left to tell.
    let _ = ratatui::try_restore();
}

fn stay(
    terminal: &mut ratatui::DefaultTerminal,
    watch: &mut Watch,
    mut choice: Choice,
    clock: &Clock,
    looked: &mut dyn FnMut(&Watch, &[Snapshot]) -> Result<()>,
) -> Result<()> {
    loop {
        let next = Instant::now() + EVERY;
        watch.poll(&mut |_, _, _| {})?;
        let snapshots = watch.snapshots(now());
        looked(watch, &snapshots)?;
        let runs: Vec<&Run> = watch.runs.iter().map(|watched| &watched.run).collect();
        loop {
            terminal
                .draw(|frame| screen::draw(frame, &runs, &snapshots, &choice, clock))
                .map_err(Error::Terminal)?;
            let wait = next.saturating_duration_since(Instant::now());
            if wait.is_zero() || !event::poll(wait).map_err(Error::Terminal)? {
                break;
            }
            if let Event::Key(key) = event::read().map_err(Error::Terminal)?
                && key.kind != KeyEventKind::Release
                && !press(key, &snapshots, &mut choice)
            {
                return Ok(());
            }
        }
    }
}

/// What a key does; false: quit.
pub fn press(key: KeyEvent, snapshots: &[Snapshot], choice: &mut Choice) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if control && matches!(key.code, KeyCode::Char('c' | 'd')) {
        return false;
    }
    if std::mem::take(&mut choice.help) {
        return true;
    }
    let runs = snapshots.len().max(1);
    let shown = snapshots.get(choice.run);
    let last = shown.map_or(0, |shown| shown.adapters.len()).checked_sub(1);
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return false,
        KeyCode::Char('?' | 'h') => choice.help = true,
        KeyCode::Char('a') => choice.accuracy = !choice.accuracy,
        KeyCode::Tab | KeyCode::Right => {
            (choice.run, choice.adapter) = ((choice.run + 1) % runs, None);
        }
        KeyCode::BackTab | KeyCode::Left => {
            (choice.run, choice.adapter) = ((choice.run + runs - 1) % runs, None);
        }
        KeyCode::Down | KeyCode::Char('j') => {
            let next = choice.adapter.map_or(0, |adapter| adapter + 1);
            choice.adapter = last.map(|last| next.min(last));
        }
        KeyCode::Up | KeyCode::Char('k') => {
            // Above the first one, none is chosen.
            choice.adapter = choice.adapter.and_then(|adapter| adapter.checked_sub(1));
        }
        KeyCode::Home => choice.adapter = last.map(|_| 0),
        KeyCode::End => choice.adapter = last,
        _ => {}
    }
    true
}
