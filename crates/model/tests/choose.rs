//! Questions about logits that stay where they are, against the logits themselves, on the device under test
//! (`VERDICT_TEST_DEVICE`): prompts and single steps, several adapters, forks, sequences that leave.

mod support;

use support::{Golden, on_gpu};
use verdict_model::{
    AdapterBank, BaseQuantization, Chunk, Error, KvCache, Logits, Model, log_sum_exp,
};

/// The same sequences in two caches: one whose logits are copied whole, one whose rows are read where they are.
struct Twins<'m> {
    model: &'m Model,
    bank: &'m AdapterBank,
    fetched: KvCache,
    asked: KvCache,
}

impl Twins<'_> {
    fn add(&mut self) -> usize {
        let sequence = self.fetched.add_sequence();
        assert_eq!(self.asked.add_sequence(), sequence);
        sequence
    }

    fn fork(&mut self, of: usize) -> usize {
        let sequence = self.fetched.fork(of).expect("fork");
        assert_eq!(self.asked.fork(of).expect("fork"), sequence);
        sequence
    }

    fn release(&mut self, sequence: usize) {
        self.fetched.release(sequence);
        self.asked.release(sequence);
    }

    /// Extends both, asks the one about all that the other gave, and returns that.
    fn extend(&mut self, what: &str, chunks: &[Chunk<'_>], probes: &[u32]) -> Vec<f32> {
        let want = self.model.extend(self.bank, &mut self.fetched, chunks);
        let want = want.expect("logits");
        let logits = self
            .model
            .advance(self.bank, &mut self.asked, chunks, probes)
            .expect("step");
        check(what, logits, &want, self.model.config().vocab_size);
        want
    }
}

/// Tokens from the best down, the lower first in a tie.
fn order(row: &[f32]) -> Vec<u32> {
    let mut tokens: Vec<u32> = (0..row.len() as u32).collect();
    tokens.sort_by(|a, b| row[*b as usize].total_cmp(&row[*a as usize]));
    tokens
}

fn check(what: &str, logits: Logits<'_>, want: &[f32], vocabulary: usize) {
    assert_eq!(logits.len(), want.len() / vocabulary, "{what}");
    for (i, want) in want.chunks_exact(vocabulary).enumerate() {
        let (row, what) = (logits.row(i), format!("{what}, row {i}"));
        let best = |refused: &[u32]| row.best(refused).expect("best");
        let order = order(want);
        assert_eq!(row.whole().expect("row"), want, "{what}");
        for refused in [0, 1, 2, 8, 33, vocabulary - 1] {
            let what = format!("{what}, {refused} refused");
            assert_eq!(best(&order[..refused]), Some(order[refused]), "{what}");
        }
        assert_eq!(best(&order), None, "{what}: all refused");
        assert_eq!(best(&order[1..9]), Some(order[0]), "{what}: others refused");
        let beyond = [order[0], vocabulary as u32, u32::MAX];
        assert_eq!(best(&beyond), Some(order[1]), "{what}: unknown refused");
        assert_eq!(row.largest(), want[order[0] as usize], "{what}");

        let (sum, exact) = (row.log_sum(), log_sum_exp(want));
        // The fast exponential of a GPU is off by 2 units and their argument's rounding.
        let off = if on_gpu() {
            4e-6 * exact.abs().max(1.0)
        } else {
            0.0
        };
        assert!((sum - exact).abs() <= off, "{what}: {sum} against {exact}");

        let tokens = [3, 0, vocabulary as u32 - 1, 17, 3];
        let values = tokens.map(|t| want[t as usize]);
        assert_eq!(row.values(&tokens).expect("values"), values, "{what}");
    }
}

fn tokens(seed: usize, len: usize, vocabulary: usize) -> Vec<u32> {
    let token = |i: usize| ((seed * 131 + i * 37 + i * i) % vocabulary) as u32;
    (0..len).map(token).collect()
}

#[test]
fn what_is_read_of_a_row_is_what_the_whole_row_gives() {
    for family in support::FAMILIES {
        let golden = Golden::read(family);
        let model = golden.on_device(BaseQuantization::Bf16);
        let bank = golden.bank(&model, &["r4", "r6"]);
        let v = model.config().vocab_size;
        let mut twins = Twins {
            model: &model,
            bank: &bank,
            fetched: model.new_cache(),
            asked: model.new_cache(),
        };
        assert!(model.logits(&twins.asked).is_empty());
        let probes = [17, 0, 5];

        let adapters = [None, None, Some(0), Some(0), Some(1)];
        let prompts: Vec<Vec<u32>> = (0..5).map(|i| tokens(i, 3 + 7 * i, v)).collect();
        let mut running: Vec<(usize, Option<usize>)> =
            adapters.map(|adapter| (twins.add(), adapter)).to_vec();
        let chunks: Vec<Chunk<'_>> = running
            .iter()
            .zip(&prompts)
            .map(|(&(sequence, adapter), tokens)| Chunk {
                sequence,
                adapter,
                tokens,
            })
            .collect();
        let want = twins.extend(&format!("{family} prompts"), &chunks, &probes);
        for (of, adapter) in [(0, None), (2, Some(0)), (4, Some(1)), (4, Some(1))] {
            running.push((twins.fork(running[of].0), adapter));
        }
        let logits = model.logits(&twins.asked);
        check(&format!("{family} prompts, forked"), logits, &want, v);

        let step = |twins: &mut Twins<'_>, what: &str, number: usize, running: &mut Vec<_>| {
            running.sort_by_key(|(sequence, adapter)| (*adapter, *sequence));
            let next: Vec<u32> = tokens(number, running.len(), v);
            let chunks: Vec<Chunk<'_>> = running
                .iter()
                .zip(&next)
                .map(|(&(sequence, adapter), token)| Chunk {
                    sequence,
                    adapter,
                    tokens: std::slice::from_ref(token),
                })
                .collect();
            let what = format!("{family} step {number}, {what}");
            twins.extend(&what, &chunks, &probes)
        };
        step(&mut twins, "all", 0, &mut running);
        step(&mut twins, "all", 1, &mut running);
        // The first rows of a recorded step leave, then most.
        for left in [5, 2] {
            for (gone, _) in running.drain(..running.len() - left) {
                twins.release(gone);
            }
            step(&mut twins, &format!("{left} left"), left, &mut running);
            step(&mut twins, &format!("{left} left"), left + 1, &mut running);
        }
        // The cache grows, and the recorded step goes: its logits stay until the next.
        let want = step(&mut twins, "before growth", 10, &mut running);
        for _ in 0..12 {
            running.push((twins.fork(running[0].0), running[0].1));
        }
        let logits = model.logits(&twins.asked);
        check(&format!("{family} step, forked"), logits, &want, v);
        step(&mut twins, "after growth", 11, &mut running);

        // Single tokens beside a new prompt, and other probes, and none.
        for (number, probes) in [vec![1, 2, 3, 4], vec![], vec![7]].iter().enumerate() {
            let (new, prompt) = (twins.add(), tokens(90 + number, 20, v));
            let mut chunks = vec![Chunk {
                sequence: new,
                adapter: None,
                tokens: &prompt,
            }];
            let what = format!("{family} mixed {number}");
            chunks.extend(running.iter().map(|&(sequence, adapter)| Chunk {
                sequence,
                adapter,
                tokens: &prompt[..1],
            }));
            twins.extend(&what, &chunks, probes);
            twins.extend(
                &what,
                &[Chunk {
                    tokens: &prompt[..1],
                    ..chunks[0]
                }],
                probes,
            );
        }
    }
}

#[test]
fn nothing_can_be_read_where_nothing_is_kept() {
    let golden = Golden::read("llama");
    let model = golden.on_device(BaseQuantization::Bf16);
    let bank = AdapterBank::empty();
    let mut cache = model.new_cache();
    let chunk = Chunk {
        sequence: cache.add_sequence(),
        adapter: None,
        tokens: &[1, 2, 3],
    };
    let unknown = Chunk {
        sequence: 99,
        ..chunk
    };
    let advance = |cache: &mut KvCache, chunks: &[Chunk<'_>], probes: &[u32]| {
        let logits = model.advance(&bank, cache, chunks, probes);
        logits.map(Logits::len)
    };
    assert_eq!(advance(&mut cache, &[chunk], &[]).expect("one row"), 1);
    assert!(matches!(
        advance(&mut cache, &[chunk], &[320]),
        Err(Error::Token { found: 320, .. })
    ));
    assert_eq!(cache.len(chunk.sequence), 3, "nothing was appended");
    assert!(advance(&mut cache, &[unknown], &[]).is_err());
    assert!(model.logits(&cache).is_empty(), "after a fault");
    assert_eq!(advance(&mut cache, &[chunk], &[]).expect("one row"), 1);
    assert_eq!(advance(&mut cache, &[], &[]).expect("no row"), 0);
    assert_eq!(advance(&mut cache, &[chunk], &[]).expect("one row"), 1);
    model.extend(&bank, &mut cache, &[chunk]).expect("logits");
    assert!(model.logits(&cache).is_empty(), "they were handed out");
}
