//! Which rows each member sees at each step, and how rows become packed passes.
//!
//! Two promises stand on this file. A member's rows, their order and their dropout keys follow from
//! its own seed alone. And the places where a member's batch is cut into passes follow from its own
//! rows and the budget alone: a pass takes whole pieces, so sums over a piece are the same numbers
//! whoever else is in the pass.

use verdict_common::random::{SplitMix64, finalize, mix};

/// The order in which one member sees the training rows: a fresh shuffle each epoch, cut into
/// batches, the last one smaller where the rows do not divide.
#[derive(Clone, Debug)]
pub struct BatchOrder {
    seed: u64,
    batch: usize,
    epoch: usize,
    rows: Vec<usize>,
}

impl BatchOrder {
    /// The order of `rows` rows (at least 1) in batches of `batch` (at least 1).
    pub fn new(seed: u64, rows: usize, batch: usize) -> Self {
        assert!(
            rows > 0 && batch > 0,
            "a batch order needs rows and a batch size"
        );
        Self {
            seed,
            batch,
            epoch: 0,
            rows: shuffled(seed, 0, rows),
        }
    }

    /// Indices of the training rows of optimizer step `step`, counted from 0 over all epochs.
    pub fn at(&mut self, step: usize) -> &[usize] {
        let rows = self.rows.len();
        let per_epoch = rows.div_ceil(self.batch);
        let epoch = step / per_epoch;
        if epoch != self.epoch {
            self.epoch = epoch;
            self.rows = shuffled(self.seed, epoch, rows);
        }
        let start = step % per_epoch * self.batch;
        &self.rows[start..(start + self.batch).min(rows)]
    }
}

/// Name of an example for dropout: its step and its place in the member's own batch.
pub fn dropout_key(step: usize, position: usize) -> u64 {
    (step as u64) << 32 | position as u64
}

/// One example of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedExample {
    /// Index of the batch in the input of [`pack`].
    pub batch: usize,
    /// Place in that batch.
    pub position: usize,
}

/// Packs batches into passes of at most `budget` tokens. `lengths[m][p]` is the number of tokens of
/// example `p` of batch `m`; none may exceed the budget.
///
/// Each batch is cut, in its own order, into pieces as long as the budget allows; passes take whole
/// pieces in order. So examples stand in order (sorted by batch), every example once, and no two
/// pieces of one batch share a pass (together they exceed the budget).
pub fn pack(lengths: &[Vec<usize>], budget: usize) -> Vec<Vec<PackedExample>> {
    let mut passes: Vec<Vec<PackedExample>> = Vec::new();
    let mut used = usize::MAX; // tokens of the last pass; "full" before the first
    for (batch, lengths) in lengths.iter().enumerate() {
        let mut start = 0;
        while start < lengths.len() {
            let mut end = start;
            let mut tokens = 0;
            while end < lengths.len() && tokens + lengths[end] <= budget {
                tokens += lengths[end];
                end += 1;
            }
            assert!(
                end > start,
                "example of {} tokens in a pass of {budget}",
                lengths[start]
            );
            if used.saturating_add(tokens) > budget {
                passes.push(Vec::new());
                used = 0;
            }
            used += tokens;
            let pass = passes.last_mut().expect("a pass was opened above");
            pass.extend((start..end).map(|position| PackedExample { batch, position }));
            start = end;
        }
    }
    passes
}

/// As [`pack`], for batches on several devices: batch `m` goes through device `devices[m]`, and each
/// device takes at most `budget` tokens of a pass. Each device's share of the passes is what [`pack`]
/// makes of its batches alone.
pub fn pack_by_device(
    lengths: &[Vec<usize>],
    devices: &[usize],
    budget: usize,
) -> Vec<Vec<PackedExample>> {
    let mut passes: Vec<Vec<PackedExample>> = Vec::new();
    for device in 0..devices.iter().map(|device| device + 1).max().unwrap_or(0) {
        let (batches, own): (Vec<usize>, Vec<Vec<usize>>) = (0..lengths.len())
            .filter(|batch| devices[*batch] == device)
            .map(|batch| (batch, lengths[batch].clone()))
            .unzip();
        for (number, pass) in pack(&own, budget).into_iter().enumerate() {
            if number == passes.len() {
                passes.push(Vec::new());
            }
            passes[number].extend(pass.into_iter().map(|placed| PackedExample {
                batch: batches[placed.batch],
                ..placed
            }));
        }
    }
    for pass in &mut passes {
        pass.sort_by_key(|placed| (placed.batch, placed.position));
    }
    passes
}

/// Fisher-Yates over `0..rows`. Own code, for the order must stay the same for ever.
fn shuffled(seed: u64, epoch: usize, rows: usize) -> Vec<usize> {
    let mut random = SplitMix64::new(spread(seed).wrapping_add(epoch as u64));
    let mut order: Vec<usize> = (0..rows).collect();
    for last in (1..rows).rev() {
        order.swap(last, random.below(last + 1));
    }
    order
}

/// Spreads seeds, so that the epochs of seeds 1 and 2 have nothing in common.
fn spread(seed: u64) -> u64 {
    mix(finalize(seed ^ 0xba7c_4e5f_0d3a_9b21))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn epoch(seed: u64, epoch: usize, rows: usize, batch: usize) -> Vec<Vec<usize>> {
        let per_epoch = rows.div_ceil(batch);
        let mut order = BatchOrder::new(seed, rows, batch);
        (epoch * per_epoch..(epoch + 1) * per_epoch)
            .map(|step| order.at(step).to_vec())
            .collect()
    }

    #[test]
    fn the_order_stays_the_same_for_ever() {
        let first = [vec![0, 7, 5, 6], vec![3, 8, 1, 9], vec![4, 2]];
        assert_eq!(epoch(42, 0, 10, 4), first);
        assert_ne!(epoch(42, 1, 10, 4), first, "each epoch is shuffled anew");
        assert_ne!(epoch(43, 0, 10, 4), first, "each seed shuffles its own way");
    }

    #[test]
    fn keys_tell_steps_and_places_apart() {
        let keys: std::collections::BTreeSet<u64> = (0..50)
            .flat_map(|step| (0..50).map(move |position| dropout_key(step, position)))
            .collect();
        assert_eq!(keys.len(), 2500);
    }

    proptest! {
        #[test]
        fn an_epoch_holds_every_row_once(seed: u64, number in 0usize..5, rows in 1usize..80, batch in 1usize..20) {
            let batches = epoch(seed, number, rows, batch);
            for (position, rows_of_batch) in batches.iter().enumerate() {
                let whole = position + 1 < batches.len() || rows % batch == 0;
                prop_assert_eq!(rows_of_batch.len(), if whole { batch } else { rows % batch });
            }
            let mut all = batches.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..rows).collect::<Vec<_>>());
        }

        #[test]
        fn any_step_may_be_asked_for_in_any_order(seed: u64, steps in prop::collection::vec(0usize..40, 1..10)) {
            let mut order = BatchOrder::new(seed, 23, 5);
            for step in steps {
                let fresh = BatchOrder::new(seed, 23, 5).at(step).to_vec();
                prop_assert_eq!(order.at(step), fresh);
            }
        }

        #[test]
        fn passes_hold_every_example_once_sorted_and_within_the_budget(
            lengths in prop::collection::vec(prop::collection::vec(1usize..60, 0..20), 0..6),
            budget in 60usize..300,
        ) {
            let passes = pack(&lengths, budget);
            let all: Vec<(usize, usize)> =
                passes.concat().iter().map(|placed| (placed.batch, placed.position)).collect();
            let expected: Vec<(usize, usize)> = (0..lengths.len())
                .flat_map(|batch| (0..lengths[batch].len()).map(move |position| (batch, position)))
                .collect();
            prop_assert_eq!(all, expected, "in order, so sorted by member");
            for pass in &passes {
                prop_assert!(!pass.is_empty());
                let tokens: usize = pass.iter().map(|placed| lengths[placed.batch][placed.position]).sum();
                prop_assert!(tokens <= budget);
            }
        }

        #[test]
        fn each_device_has_the_passes_of_its_own_batches(
            batches in prop::collection::vec((0usize..4, prop::collection::vec(1usize..60, 0..20)), 0..8),
            budget in 60usize..300,
        ) {
            let (devices, lengths): (Vec<usize>, Vec<Vec<usize>>) = batches.into_iter().unzip();
            let together = pack_by_device(&lengths, &devices, budget);
            prop_assert!(together.iter().all(|pass| !pass.is_empty()));
            for device in 0..4 {
                let own: Vec<usize> = (0..devices.len()).filter(|batch| devices[*batch] == device).collect();
                let alone = pack(&own.iter().map(|batch| lengths[*batch].clone()).collect::<Vec<_>>(), budget);
                let here = |pass: &Vec<PackedExample>| -> Vec<PackedExample> {
                    pass.iter().filter(|placed| devices[placed.batch] == device).copied().collect()
                };
                let found: Vec<Vec<PackedExample>> = together.iter().map(here).filter(|pass| !pass.is_empty()).collect();
                let renamed = |pass: &Vec<PackedExample>| -> Vec<PackedExample> {
                    pass.iter().map(|placed| PackedExample { batch: own[placed.batch], ..*placed }).collect()
                };
                prop_assert_eq!(found, alone.iter().map(renamed).collect::<Vec<_>>());
            }
            for pass in &together {
                prop_assert!(pass.is_sorted_by_key(|placed| (placed.batch, placed.position)));
            }
        }

        #[test]
        fn a_batch_is_cut_at_the_same_places_alone_and_in_company(
            lengths in prop::collection::vec(prop::collection::vec(1usize..60, 1..20), 1..6),
            budget in 60usize..300,
        ) {
            let together = pack(&lengths, budget);
            for (batch, own) in lengths.iter().enumerate() {
                let pieces = |passes: &[Vec<PackedExample>], batch: usize| -> Vec<Vec<usize>> {
                    let of = |pass: &Vec<PackedExample>| -> Vec<usize> {
                        pass.iter().filter(|placed| placed.batch == batch).map(|placed| placed.position).collect()
                    };
                    passes.iter().map(of).filter(|piece| !piece.is_empty()).collect()
                };
                prop_assert_eq!(
                    pieces(&together, batch),
                    pieces(&pack(std::slice::from_ref(own), budget), 0)
                );
            }
        }
    }
}
