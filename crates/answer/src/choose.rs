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

use verdict_model::LogitRow;

/// Greedy wishes that are asked for one by one; whoever refuses them all gets the whole row.
const ASKS: usize = 8;

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

/// The model's wishes for one token, in the order in which they are tried.
#[derive(Debug)]
pub struct Wishes<'a> {
    logits: LogitRow<'a>,
    given: Vec<u32>,
    drawn: std::vec::IntoIter<u32>,
    /// How often the best of those that were not given may still be asked for.
    asks: usize,
    /// All others, the best first; made when they are needed.
    rest: Option<BinaryHeap<Ranked>>,
}

impl Wishes<'_> {
    fn find(&mut self) -> verdict_model::Result<Option<u32>> {
        let wish = match self.drawn.next() {
            Some(drawn) => Some(drawn),
            None if self.asks > 0 => {
                self.asks -= 1;
                self.logits.best(&self.given)?
            }
            None => return Ok(self.rest()?.pop().map(|ranked| ranked.1)),
        };
        self.given.extend(wish);
        Ok(wish)
    }

    fn rest(&mut self) -> verdict_model::Result<&mut BinaryHeap<Ranked>> {
        if self.rest.is_none() {
            let logits = self.logits.whole()?;
            let all = (0..).zip(logits.iter());
            let others = all.filter(|(token, _)| !self.given.contains(token));
            self.rest = Some(others.map(|(token, logit)| Ranked(*logit, token)).collect());
        }
        Ok(self.rest.get_or_insert_default())
    }
}

impl Iterator for Wishes<'_> {
    type Item = verdict_model::Result<u32>;

    fn next(&mut self) -> Option<Self::Item> {
        self.find().transpose()
    }
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
    ///
    /// # Errors
    /// A GPU that fails.
    pub fn wishes<'a>(&mut self, logits: LogitRow<'a>) -> verdict_model::Result<Wishes<'a>> {
        let (drawn, asks) = match self.sampling.temperature > 0.0 {
            true => (self.draw(&logits.whole()?), 0),
            false => (Vec::new(), ASKS),
        };
        Ok(Wishes {
            logits,
            given: Vec::new(),
            drawn: drawn.into_iter(),
            asks,
            rest: None,
        })
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
#[derive(Debug, PartialEq)]
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

    fn wishes(sampling: &Sampling, answer: u64, logits: &[f32]) -> Vec<u32> {
        let wishes = Choice::new(sampling, answer).wishes(LogitRow::host(logits));
        wishes.unwrap().map(|token| token.unwrap()).collect()
    }

    #[test]
    fn greedy_wishes_go_down_the_logits() {
        let sampling = Sampling::default();
        assert_eq!(
            wishes(&sampling, 0, &[1.0, 3.0, 3.0, -1.0, 2.0]),
            [1, 2, 4, 0, 3]
        );
        // Far beyond those that are asked for one by one, with ties.
        let logits: Vec<f32> = (0..600_u32)
            .map(|token| (token * 37 % 100) as f32)
            .collect();
        let mut sorted: Vec<u32> = (0..600).collect();
        sorted.sort_by(|a, b| logits[*b as usize].total_cmp(&logits[*a as usize]));
        assert_eq!(wishes(&sampling, 0, &logits), sorted);
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
            let first = wishes(&sampling, answer, &[2.0, 0.0, 4.0])[0];
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
            let wishes = wishes(&sampling, answer, &[2.0, 1.0, 0.0]);
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
            wishes(&sampling, answer, &logits)[..8].to_vec()
        };
        assert_eq!(draw(1, 0), draw(1, 0));
        assert_ne!(draw(1, 0), draw(2, 0));
        assert_ne!(draw(1, 0), draw(1, 1));
    }
}
