//! When a run writes a checkpoint.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::settings::TrainSettings;

/// Shortest time between two checkpoints where the settings give no number of steps.
const MINIMUM_INTERVAL: Duration = Duration::from_secs(60);
/// Where the settings give no number of steps, the time between two checkpoints is at least this many
/// times the time that the last one took, so that checkpoints take at most 0.5 % of the run.
const INTERVAL_PER_COST: u32 = 200;

/// When checkpoints were written and how long they took.
pub(super) struct CheckpointSchedule {
    next: Cell<u64>,
    last: Cell<Instant>,
    cost: Cell<Duration>,
    written: Cell<usize>,
    spent: Cell<Duration>,
}

impl CheckpointSchedule {
    /// Before the first checkpoint, whose number is `next`.
    pub(super) fn new(next: u64) -> Self {
        Self {
            next: Cell::new(next),
            last: Cell::new(Instant::now()),
            cost: Cell::default(),
            written: Cell::default(),
            spent: Cell::default(),
        }
    }

    /// Number of the next checkpoint.
    pub(super) fn next_number(&self) -> u64 {
        self.next.get()
    }

    /// Whether it is unknown how long a checkpoint takes.
    pub(super) fn needs_estimate(&self) -> bool {
        self.cost.get().is_zero()
    }

    /// Sets how long a checkpoint is expected to take.
    pub(super) fn estimate(&self, cost: Duration) {
        self.cost.set(cost);
    }

    /// Whether a checkpoint is due after `done` steps.
    pub(super) fn is_due(&self, settings: &TrainSettings, done: usize) -> bool {
        match settings.checkpoint_every {
            Some(0) => false,
            Some(steps) => done.is_multiple_of(steps),
            None => {
                let interval = MINIMUM_INTERVAL.max(self.cost.get() * INTERVAL_PER_COST);
                self.last.get().elapsed() >= interval
            }
        }
    }

    /// Records a checkpoint that took `cost` to write.
    pub(super) fn record(&self, cost: Duration) {
        self.next.set(self.next.get() + 1);
        self.last.set(Instant::now());
        self.cost.set(cost);
        self.written.set(self.written.get() + 1);
        self.spent.set(self.spent.get() + cost);
    }

    /// Checkpoints written so far.
    pub(super) fn written(&self) -> usize {
        self.written.get()
    }

    /// Time spent on writing them.
    pub(super) fn spent(&self) -> Duration {
        self.spent.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a checkpoint is due `after` seconds, where the last one took `cost` seconds.
    fn is_due(every: Option<usize>, done: usize, after: u64, cost: f64) -> bool {
        let schedule = CheckpointSchedule::new(0);
        schedule.cost.set(Duration::from_secs_f64(cost));
        let last = Instant::now().checked_sub(Duration::from_secs(after));
        schedule
            .last
            .set(last.expect("the machine has been up that long"));
        let settings = TrainSettings {
            checkpoint_every: every,
            ..TrainSettings::default()
        };
        schedule.is_due(&settings, done)
    }

    #[test]
    fn by_steps_at_their_multiples_and_never_for_zero() {
        assert!(is_due(Some(5), 10, 0, 0.0) && !is_due(Some(5), 11, 900, 0.0));
        assert!(!is_due(Some(0), 10, 900, 0.0));
    }

    #[test]
    fn by_time_a_minute_apart_and_at_most_half_a_percent_of_the_run() {
        assert!(!is_due(None, 10, 58, 0.01) && is_due(None, 10, 61, 0.01));
        assert!(!is_due(None, 10, 398, 2.0) && is_due(None, 10, 401, 2.0));
    }
}
