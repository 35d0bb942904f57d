//! Progress of a piece of work, with the time left: a bar on a terminal, plain lines elsewhere.

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use verdict_common::{bytes, duration};

use super::stderr::stderr;
use crate::log::{Format, Level, StderrSettings, TARGET};

/// Without a terminal, a line is printed at most this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The unit of downloads.
pub(super) const BYTES: &str = "bytes";

/// Progress of one piece of work. A bar disappears when this is dropped.
pub struct Progress {
    kind: Kind,
    label: String,
    unit: &'static str,
    total: u64,
    started: Instant,
    format: Format,
}

enum Kind {
    Bar(ProgressBar, End),
    /// When the last line was printed.
    Lines(Mutex<Option<Instant>>),
    Silent,
}

/// When the work is expected to end; none if that is not known yet.
#[derive(Clone, Default)]
struct End(Arc<Mutex<Option<Instant>>>);

impl End {
    fn expect(&self, left: Option<Duration>) {
        *locked(&self.0) = left.and_then(|left| Instant::now().checked_add(left));
    }

    /// The time left, as the bar shows it; empty if it is not known.
    fn words(&self) -> String {
        let end = *locked(&self.0);
        end.map_or_else(String::new, |end| {
            format!(
                ", {} left",
                duration(end.saturating_duration_since(Instant::now()).as_secs_f64())
            )
        })
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Progress {
    pub(super) fn start(
        settings: StderrSettings,
        bars: bool,
        label: &str,
        unit: &'static str,
        total: u64,
    ) -> Self {
        let kind = if settings.level < Level::Info {
            Kind::Silent
        } else if bars {
            let end = End::default();
            Kind::Bar(bar(label, unit, total, &end), end)
        } else {
            Kind::Lines(Mutex::new(None))
        };
        Self {
            kind,
            label: label.to_owned(),
            unit,
            total,
            started: Instant::now(),
            format: settings.format,
        }
    }

    /// Sets the units done so far and a message (may be empty). The time left is estimated from the units done so far.
    pub fn set(&self, position: u64, message: &str) {
        let left = self.proportional(position, self.started.elapsed());
        self.set_with_left(position, message, left);
    }

    /// As [`Progress::set`], with an estimate of the time left.
    pub fn set_with_left(&self, position: u64, message: &str, left: Option<Duration>) {
        match &self.kind {
            Kind::Bar(bar, end) => {
                end.expect(left);
                bar.set_position(position);
                bar.set_message(message.to_owned());
            }
            Kind::Lines(printed) => {
                let mut printed = locked(printed);
                let due = printed.is_none_or(|at| at.elapsed() >= LINE_EVERY);
                if due || position == self.total {
                    *printed = Some(Instant::now());
                    self.print(position, message, left);
                }
            }
            Kind::Silent => {}
        }
    }

    /// Prints a line above the bar.
    pub fn say(&self, text: impl Display) {
        match &self.kind {
            Kind::Bar(bar, _) => bar.suspend(|| stderr(&format!("{text}\n"))),
            Kind::Lines(_) => match self.format {
                Format::Json => tracing::info!(target: TARGET, "{text}"),
                Format::Text => stderr(&format!("{text}\n")),
            },
            Kind::Silent => {}
        }
    }

    /// The time left if every unit takes as long as those done so far; none before the first.
    fn proportional(&self, position: u64, gone: Duration) -> Option<Duration> {
        let units = self.total.saturating_sub(position) as f64;
        (position > 0).then(|| gone.mul_f64(units / position as f64))
    }

    fn print(&self, position: u64, message: &str, left: Option<Duration>) {
        let gone = self.started.elapsed();
        let text = self.plain(position, message, left, gone);
        match self.format {
            Format::Text => stderr(&format!("{text}\n")),
            Format::Json => {
                let (label, unit, total) = (self.label.as_str(), self.unit, self.total);
                let seconds = gone.as_secs_f64();
                tracing::info!(target: "verdict::progress", label, unit, done = position, total, seconds, "{text}");
            }
        }
    }

    fn plain(
        &self,
        position: u64,
        message: &str,
        left: Option<Duration>,
        gone: Duration,
    ) -> String {
        let (label, total) = (&self.label, self.total);
        let mut text = match self.unit {
            BYTES => format!("{label}: {} of {}", bytes(position), bytes(total)),
            unit => format!("{label}: {unit} {position}/{total}"),
        };
        if !message.is_empty() {
            text += &format!(", {message}");
        }
        if position >= total {
            text += &format!(", took {}", duration(gone.as_secs_f64()));
        } else if let Some(left) = left {
            text += &format!(", {} left", duration(left.as_secs_f64()));
        }
        text
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Kind::Bar(bar, _) = &self.kind {
            bar.finish_and_clear();
        }
    }
}

fn bar(label: &str, unit: &str, total: u64, end: &End) -> ProgressBar {
    let shown = match unit {
        BYTES => "{binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}",
        _ => "{pos}/{len}  {msg}",
    };
    let template = format!("{{prefix}} {{bar:24}} {shown}  {{elapsed}} gone{{left}}");
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    if let Ok(look) = ProgressStyle::with_template(&template) {
        let end = end.clone();
        let left = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
            // A bar that cannot be drawn must not fail the work.
            let _ = out.write_str(&end.words());
        };
        bar.set_style(look.with_key("left", left).progress_chars("━╸─"));
    }
    bar.set_prefix(label.to_owned());
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn start(label: &str, unit: &'static str, total: u64) -> Progress {
        Progress::start(StderrSettings::plain(true), false, label, unit, total)
    }

    #[test]
    fn plain_lines_have_position_message_and_time_left() {
        let progress = start("train", "step", 10);
        let line = |position, left| progress.plain(position, "loss 1.25", left, MINUTE);
        assert_eq!(line(0, None), "train: step 0/10, loss 1.25");
        assert_eq!(
            line(5, Some(MINUTE)),
            "train: step 5/10, loss 1.25, 1:00 left"
        );
        assert_eq!(
            line(10, Some(Duration::ZERO)),
            "train: step 10/10, loss 1.25, took 1:00"
        );
        let download = start("a", BYTES, 2 << 20);
        assert_eq!(
            download.plain(1 << 20, "", None, MINUTE),
            "a: 1.0 MiB of 2.0 MiB"
        );
    }

    #[test]
    fn time_left_is_unknown_before_the_first_unit_and_then_in_proportion() {
        let progress = start("evaluate", "answer", 10);
        assert_eq!(progress.proportional(0, MINUTE), None);
        assert_eq!(
            progress.proportional(4, MINUTE),
            Some(Duration::from_secs(90))
        );
        assert_eq!(progress.proportional(10, MINUTE), Some(Duration::ZERO));
    }

    #[test]
    fn the_bar_counts_down_to_the_expected_end() {
        let end = End::default();
        assert_eq!(end.words(), "");
        end.expect(Some(Duration::from_millis(90_500)));
        assert_eq!(end.words(), ", 1:30 left");
        end.expect(None);
        assert_eq!(end.words(), "");
    }
}
