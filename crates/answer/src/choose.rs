//! Which token next: the model's wishes in the order in which they are tried.
//!
//! Greedy by default. With a temperature, wishes are drawn without replacement from
//! `softmax(logits / temperature)`, cut to the smallest set of tokens that holds `top_p` of the mass.
//! To draw until a wish is admitted is to draw from the distribution over the admitted tokens. When
//! the set is used up, the rest follow from the most probable down.
//!
//! Random numbers come from a counter (seed, prompt, position, token), so that an answer does not depend
//! on what is answered beside it.

use std::collections::BinaryHeap;

/// How tokens are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// 0 is greedy; 1 draws from the model's own distribution.
    pub temperature: f32,
    /// Draw from the most probable tokens that hold this much of the mass; 1 takes all.
    pub top_p: f32,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for Sampling {
    /// Greedy.
    fn default() -> Self {
        Sampling {
            temperature: 0.0,
            top_p: 1.0,
            seed: 42,
        }
    }
}

/// The chooser of one answer.
#[derive(Clone, Debug)]
pub struct Choice<'s> {
    sampling: &'s Sampling,
    key: u64,
    position: u64,
}

/// The number that names an answer to its chooser: made of the prompt's tokens alone.
pub fn key(prompt: &[u32]) -> u64 {
    prompt.iter().fold(prompt.len() as u64, |key, token| {
        mix(key ^ mix(u64::from(*token)))
    })
}

impl<'s> Choice<'s> {
    /// The chooser of the answer that `key` names.
    pub fn new(sampling: &'s Sampling, key: u64) -> Choice<'s> {
        Choice {
            sampling,
            key,
            position: 0,
        }
    }

    /// Every token of the vocabulary once, the one to take first, then what to take where that is
    /// not admitted.
    pub fn wishes(&mut self, logits: &[f32]) -> impl Iterator<Item = u32> {
        let mut drawn = Vec::new();
        let first = if self.sampling.temperature > 0.0 {
            drawn = self.draw(logits);
            None
        } else {
            logits
                .iter()
                .enumerate()
                .max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)))
                .map(|(id, _)| id as u32)
        };
        let taken: Vec<u32> = first.iter().chain(&drawn).copied().collect();
        // The heap is built only when the first wishes were refused.
        let rest = std::iter::once_with(move || {
            let mut heap: BinaryHeap<Ranked> = logits
                .iter()
                .enumerate()
                .map(|(id, logit)| Ranked(*logit, id as u32))
                .collect();
            std::iter::from_fn(move || heap.pop().map(|ranked| ranked.1))
        })
        .flatten();
        let skip = taken.clone();
        taken
            .into_iter()
            .chain(rest.filter(move |id| !skip.contains(id)))
    }

    /// The nucleus in a drawn order.
    fn draw(&mut self, logits: &[f32]) -> Vec<u32> {
        let temperature = f64::from(self.sampling.temperature);
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut weights: Vec<(f64, u32)> = logits
            .iter()
            .enumerate()
            .map(|(id, logit)| ((f64::from(logit - largest) / temperature).exp(), id as u32))
            .collect();
        weights.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let wanted =
            f64::from(self.sampling.top_p) * weights.iter().map(|(weight, _)| weight).sum::<f64>();
        let mut held = 0.0;
        let nucleus = weights.iter().take_while(|(weight, _)| {
            let inside = held < wanted;
            held += weight;
            inside
        });
        // Sampling without replacement: the order of exponential waiting times (Efraimidis and
        // Spirakis 2006) has the law of successive draws.
        let mut waiting: Vec<(f64, u32)> = nucleus
            .map(|(weight, id)| (-self.uniform(u64::from(*id)).ln() / weight, *id))
            .collect();
        self.position += 1;
        waiting.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        // Few of them are ever tried.
        waiting.truncate(64);
        waiting.into_iter().map(|(_, id)| id).collect()
    }

    /// A number in (0, 1] from (seed, key, position, token), by SplitMix64's mixing.
    fn uniform(&self, token: u64) -> f64 {
        let mut bits = self.sampling.seed;
        for part in [self.key, self.position, token] {
            bits = mix(bits.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ mix(part));
        }
        ((bits >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A token by its logit, the lower number first in a tie.
#[derive(PartialEq)]
struct Ranked(f32, u32);

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0).then(other.1.cmp(&self.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greedy_wishes_go_down_the_logits() {
        let sampling = Sampling::default();
        let wishes: Vec<u32> = Choice::new(&sampling, 0)
            .wishes(&[1.0, 3.0, 3.0, -1.0, 2.0])
            .collect();
        assert_eq!(wishes, [1, 2, 4, 0, 3]);
    }

    #[test]
    fn draws_follow_the_distribution() {
        let sampling = Sampling {
            temperature: 2.0,
            top_p: 1.0,
            seed: 7,
        };
        // softmax([2, 0, 4] / 2) = [0.244728, 0.090031, 0.665241]
        let mut counts = [0_u32; 3];
        for answer in 0..20_000 {
            let first = Choice::new(&sampling, answer)
                .wishes(&[2.0, 0.0, 4.0])
                .next()
                .unwrap();
            counts[first as usize] += 1;
        }
        // Four standard errors of 20,000 draws are at most 0.0136.
        for (count, want) in counts.into_iter().zip([0.244_728, 0.090_031, 0.665_241]) {
            let share = f64::from(count) / 20_000.0;
            assert!((share - want).abs() < 0.0136, "{share} against {want}");
        }
    }

    #[test]
    fn top_p_leaves_the_tail_for_last() {
        let sampling = Sampling {
            temperature: 1.0,
            top_p: 0.9,
            seed: 1,
        };
        for answer in 0..200 {
            // softmax = [0.665, 0.245, 0.090]: the first two hold 0.91.
            let wishes: Vec<u32> = Choice::new(&sampling, answer)
                .wishes(&[2.0, 1.0, 0.0])
                .collect();
            assert_eq!(wishes.len(), 3);
            assert_eq!(wishes[2], 2, "{wishes:?}");
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_and_another_does_not() {
        let logits = vec![0.0; 1000];
        let draw = |seed, answer| {
            let sampling = Sampling {
                temperature: 1.0,
                top_p: 1.0,
                seed,
            };
            Choice::new(&sampling, answer)
                .wishes(&logits)
                .take(8)
                .collect::<Vec<_>>()
        };
        assert_eq!(draw(1, 0), draw(1, 0));
        assert_ne!(draw(1, 0), draw(2, 0));
        assert_ne!(draw(1, 0), draw(1, 1));
    }
}
