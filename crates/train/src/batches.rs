//! Which examples each fit sees at each step, and how examples are packed into micro-batches.
//!
//! Batch invariance rests on this file. The examples of a fit, their order and their dropout keys
//! depend on its own seed only. The positions at which its batch is split into micro-batches depend on
//! its own examples and the token budget only: a micro-batch takes whole pieces, so the sum over a
//! piece is the same whatever else is in the micro-batch.

use verdict_common::random::{SplitMix64, finalize, mix};

/// The order in which one fit sees its training examples: shuffled anew each epoch and split into
/// batches, the last of which is smaller if the number of examples is not a multiple of the batch.
#[derive(Clone, Debug)]
pub struct BatchOrder {
    seed: u64,
    batch: usize,
    epoch: usize,
    examples: Vec<usize>,
}

impl BatchOrder {
    /// The order of `examples` examples (at least 1) in batches of `batch` (at least 1).
    pub fn new(seed: u64, examples: usize, batch: usize) -> Self {
        assert!(
            examples > 0 && batch > 0,
            "a batch order needs examples and a batch size"
        );
        Self {
            seed,
            batch,
            epoch: 0,
            examples: shuffled(seed, 0, examples),
        }
    }

    /// Indices of the training examples of optimizer step `step`, counted from 0 over all epochs.
    pub fn at(&mut self, step: usize) -> &[usize] {
        let count = self.examples.len();
        let per_epoch = count.div_ceil(self.batch);
        let epoch = step / per_epoch;
        if epoch != self.epoch {
            self.epoch = epoch;
            self.examples = shuffled(self.seed, epoch, count);
        }
        let start = step % per_epoch * self.batch;
        &self.examples[start..(start + self.batch).min(count)]
    }
}

/// Dropout key of an example: its step and its position in the fit's own batch.
pub fn dropout_key(step: usize, position: usize) -> u64 {
    (step as u64) << 32 | position as u64
}

/// One example of a micro-batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedExample {
    /// Index of the batch in the input of [`pack`].
    pub batch: usize,
    /// Position in that batch.
    pub position: usize,
}

/// Packs batches into micro-batches of at most `budget` tokens. `lengths[b][p]` is the number of tokens
/// of example `p` of batch `b`; none may exceed the budget.
///
/// Each batch is split, in its own order, into pieces as long as the budget allows; micro-batches take
/// whole pieces in order. So examples are in order (sorted by batch), every example occurs once, and no
/// two pieces of one batch share a micro-batch, because together they exceed the budget.
pub fn pack(lengths: &[Vec<usize>], budget: usize) -> Vec<Vec<PackedExample>> {
    let mut micro_batches: Vec<Vec<PackedExample>> = Vec::new();
    let mut used = usize::MAX; // tokens of the last micro-batch; "full" before the first
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
                "example of {} tokens in a micro-batch of {budget}",
                lengths[start]
            );
            if used.saturating_add(tokens) > budget {
                micro_batches.push(Vec::new());
                used = 0;
            }
            used += tokens;
            let micro_batch = micro_batches
                .last_mut()
                .expect("a micro-batch was opened above");
            micro_batch.extend((start..end).map(|position| PackedExample { batch, position }));
            start = end;
        }
    }
    micro_batches
}

/// Like [`pack`], for batches on several devices: batch `b` is on device `devices[b]`, and each device
/// takes at most `budget` tokens of a micro-batch. Each device's share of the micro-batches is what
/// [`pack`] makes of its batches alone.
pub fn pack_by_device(
    lengths: &[Vec<usize>],
    devices: &[usize],
    budget: usize,
) -> Vec<Vec<PackedExample>> {
    let mut micro_batches: Vec<Vec<PackedExample>> = Vec::new();
    for device in 0..devices.iter().map(|device| device + 1).max().unwrap_or(0) {
        let (batches, own): (Vec<usize>, Vec<Vec<usize>>) = (0..lengths.len())
            .filter(|batch| devices[*batch] == device)
            .map(|batch| (batch, lengths[batch].clone()))
            .unzip();
        for (number, micro_batch) in pack(&own, budget).into_iter().enumerate() {
            if number == micro_batches.len() {
                micro_batches.push(Vec::new());
            }
            micro_batches[number].extend(micro_batch.into_iter().map(|placed| PackedExample {
                batch: batches[placed.batch],
                ..placed
            }));
        }
    }
    for micro_batch in &mut micro_batches {
        micro_batch.sort_by_key(|placed| (placed.batch, placed.position));
    }
    micro_batches
}

/// Fisher–Yates shuffle of `0..examples`, implemented here because the order must never change.
fn shuffled(seed: u64, epoch: usize, examples: usize) -> Vec<usize> {
    let mut random = SplitMix64::new(mixed(seed).wrapping_add(epoch as u64));
    let mut order: Vec<usize> = (0..examples).collect();
    for last in (1..examples).rev() {
        order.swap(last, random.below(last + 1));
    }
    order
}

/// Mixes the seed, so that the epochs of seeds 1 and 2 are unrelated.
fn mixed(seed: u64) -> u64 {
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
    fn the_order_never_changes() {
        let first = [vec![0, 7, 5, 6], vec![3, 8, 1, 9], vec![4, 2]];
        assert_eq!(epoch(42, 0, 10, 4), first);
        assert_ne!(epoch(42, 1, 10, 4), first, "each epoch is shuffled anew");
        assert_ne!(epoch(43, 0, 10, 4), first, "each seed shuffles its own way");
    }

    #[test]
    fn keys_of_different_steps_and_positions_differ() {
        let keys: std::collections::BTreeSet<u64> = (0..50)
            .flat_map(|step| (0..50).map(move |position| dropout_key(step, position)))
            .collect();
        assert_eq!(keys.len(), 2500);
    }

    proptest! {
        #[test]
        fn an_epoch_contains_every_example_once(seed: u64, number in 0usize..5, rows in 1usize..80, batch in 1usize..20) {
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
        fn steps_may_be_requested_in_any_order(seed: u64, steps in prop::collection::vec(0usize..40, 1..10)) {
            let mut order = BatchOrder::new(seed, 23, 5);
            for step in steps {
                let fresh = BatchOrder::new(seed, 23, 5).at(step).to_vec();
                prop_assert_eq!(order.at(step), fresh);
            }
        }

        #[test]
        fn micro_batches_contain_every_example_once_sorted_and_within_the_budget(
            lengths in prop::collection::vec(prop::collection::vec(1usize..60, 0..20), 0..6),
            budget in 60usize..300,
        ) {
            let micro_batches = pack(&lengths, budget);
            let all: Vec<(usize, usize)> =
                micro_batches.concat().iter().map(|placed| (placed.batch, placed.position)).collect();
            let expected: Vec<(usize, usize)> = (0..lengths.len())
                .flat_map(|batch| (0..lengths[batch].len()).map(move |position| (batch, position)))
                .collect();
            prop_assert_eq!(all, expected, "in order, so sorted by member");
            for micro_batch in &micro_batches {
                prop_assert!(!micro_batch.is_empty());
                let tokens: usize = micro_batch.iter().map(|placed| lengths[placed.batch][placed.position]).sum();
                prop_assert!(tokens <= budget);
            }
        }

        #[test]
        fn each_device_has_the_micro_batches_of_its_own_batches(
            batches in prop::collection::vec((0usize..4, prop::collection::vec(1usize..60, 0..20)), 0..8),
            budget in 60usize..300,
        ) {
            let (devices, lengths): (Vec<usize>, Vec<Vec<usize>>) = batches.into_iter().unzip();
            let together = pack_by_device(&lengths, &devices, budget);
            prop_assert!(together.iter().all(|micro_batch| !micro_batch.is_empty()));
            for device in 0..4 {
                let own: Vec<usize> = (0..devices.len()).filter(|batch| devices[*batch] == device).collect();
                let alone = pack(&own.iter().map(|batch| lengths[*batch].clone()).collect::<Vec<_>>(), budget);
                let here = |micro_batch: &Vec<PackedExample>| -> Vec<PackedExample> {
                    micro_batch.iter().filter(|placed| devices[placed.batch] == device).copied().collect()
                };
                let found: Vec<Vec<PackedExample>> = together.iter().map(here).filter(|micro_batch| !micro_batch.is_empty()).collect();
                let renamed = |micro_batch: &Vec<PackedExample>| -> Vec<PackedExample> {
                    micro_batch.iter().map(|placed| PackedExample { batch: own[placed.batch], ..*placed }).collect()
                };
                prop_assert_eq!(found, alone.iter().map(renamed).collect::<Vec<_>>());
            }
            for micro_batch in &together {
                prop_assert!(micro_batch.is_sorted_by_key(|placed| (placed.batch, placed.position)));
            }
        }

        #[test]
        fn a_batch_is_split_at_the_same_positions_alone_and_among_others(
            lengths in prop::collection::vec(prop::collection::vec(1usize..60, 1..20), 1..6),
            budget in 60usize..300,
        ) {
            let together = pack(&lengths, budget);
            for (batch, own) in lengths.iter().enumerate() {
                let pieces = |micro_batches: &[Vec<PackedExample>], batch: usize| -> Vec<Vec<usize>> {
                    let of = |micro_batch: &Vec<PackedExample>| -> Vec<usize> {
                        micro_batch.iter().filter(|placed| placed.batch == batch).map(|placed| placed.position).collect()
                    };
                    micro_batches.iter().map(of).filter(|piece| !piece.is_empty()).collect()
                };
                prop_assert_eq!(
                    pieces(&together, batch),
                    pieces(&pack(std::slice::from_ref(own), budget), 0)
                );
            }
        }
    }
}
