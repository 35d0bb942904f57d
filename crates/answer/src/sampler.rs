//! Sampling of the next token: candidates in the order in which they are tried.
//!
//! Greedy by default. With a temperature, candidates are drawn without replacement from
//! `softmax(logits / temperature)`, restricted to the nucleus: the smallest set of tokens with a probability mass of
//! `top_p`. Drawing until the grammar admits a candidate samples from the distribution over admitted tokens. After the
//! nucleus, the other tokens follow by descending probability.
//!
//! Random numbers are a function of seed, prompt, position and token, so that answers are batch-invariant.

use std::collections::BinaryHeap;

use verdict_common::random::finalize;
use verdict_model::LogitRow;

/// Greedy candidates that are looked up one by one on the device; for further ones all logits are copied from it.
const LOOKUPS: usize = 8;

/// How tokens are sampled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// 0 is greedy; 1 samples from the model's own distribution.
    pub temperature: f32,
    /// Sample from the most probable tokens with this probability mass; 1 for all tokens.
    pub top_p: f32,
    /// Seed of the random numbers.
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

/// Samples the tokens of one answer.
#[derive(Clone, Debug)]
pub struct TokenSampler<'s> {
    sampling: &'s Sampling,
    key: u64,
    position: u64,
}

/// The candidates for one token, in the order in which they are tried.
#[derive(Debug)]
pub struct TokenCandidates<'a> {
    logits: LogitRow<'a>,
    /// Candidates returned so far.
    returned: Vec<u32>,
    /// The nucleus in its random order.
    drawn: std::vec::IntoIter<u32>,
    /// How many more candidates may be looked up on the device.
    lookups: usize,
    /// All other tokens by descending logit; filled when needed.
    rest: Option<BinaryHeap<Ranked>>,
}

impl TokenCandidates<'_> {
    fn find(&mut self) -> verdict_model::Result<Option<u32>> {
        let candidate = match self.drawn.next() {
            Some(drawn) => Some(drawn),
            None if self.lookups > 0 => {
                self.lookups -= 1;
                self.logits.best(&self.returned)?
            }
            None => return Ok(self.rest()?.pop().map(|ranked| ranked.1)),
        };
        self.returned.extend(candidate);
        Ok(candidate)
    }

    fn rest(&mut self) -> verdict_model::Result<&mut BinaryHeap<Ranked>> {
        if self.rest.is_none() {
            let logits = self.logits.whole()?;
            let all = (0..).zip(logits.iter());
            let others = all.filter(|(token, _)| !self.returned.contains(token));
            self.rest = Some(others.map(|(token, logit)| Ranked(*logit, token)).collect());
        }
        Ok(self.rest.get_or_insert_default())
    }
}

impl Iterator for TokenCandidates<'_> {
    type Item = verdict_model::Result<u32>;

    fn next(&mut self) -> Option<Self::Item> {
        self.find().transpose()
    }
}

/// Key of an answer's random numbers: a hash of the prompt's tokens.
pub fn key(prompt: &[u32]) -> u64 {
    prompt.iter().fold(prompt.len() as u64, |key, token| {
        finalize(key ^ finalize(u64::from(*token)))
    })
}

impl<'s> TokenSampler<'s> {
    /// The sampler of the answer with this key.
    pub fn new(sampling: &'s Sampling, key: u64) -> TokenSampler<'s> {
        TokenSampler {
            sampling,
            key,
            position: 0,
        }
    }

    /// Every token of the vocabulary once: the sampled one first, then those to take instead where it is not admitted.
    ///
    /// # Errors
    /// A GPU that fails.
    pub fn candidates<'a>(
        &mut self,
        logits: LogitRow<'a>,
    ) -> verdict_model::Result<TokenCandidates<'a>> {
        let (drawn, lookups) = match self.sampling.temperature > 0.0 {
            true => (self.draw(&logits.whole()?), 0),
            false => (Vec::new(), LOOKUPS),
        };
        Ok(TokenCandidates {
            logits,
            returned: Vec::new(),
            drawn: drawn.into_iter(),
            lookups,
            rest: None,
        })
    }

    /// The nucleus in a random order.
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
        // Few candidates are ever tried.
        waiting.truncate(64);
        waiting.into_iter().map(|(_, id)| id).collect()
    }

    /// A number in (0, 1] from (seed, key, position, token), by SplitMix64's mixing.
    fn uniform(&self, token: u64) -> f64 {
        let mut bits = self.sampling.seed;
        for part in [self.key, self.position, token] {
            bits = finalize(bits.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ finalize(part));
        }
        ((bits >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }
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

    fn candidates(sampling: &Sampling, answer: u64, logits: &[f32]) -> Vec<u32> {
        let candidates = TokenSampler::new(sampling, answer).candidates(LogitRow::host(logits));
        candidates.unwrap().map(|token| token.unwrap()).collect()
    }

    #[test]
    fn greedy_candidates_are_sorted_by_logit() {
        let sampling = Sampling::default();
        assert_eq!(
            candidates(&sampling, 0, &[1.0, 3.0, 3.0, -1.0, 2.0]),
            [1, 2, 4, 0, 3]
        );
        // Beyond the candidates that are looked up one by one, with ties.
        let logits: Vec<f32> = (0..600_u32)
            .map(|token| (token * 37 % 100) as f32)
            .collect();
        let mut sorted: Vec<u32> = (0..600).collect();
        sorted.sort_by(|a, b| logits[*b as usize].total_cmp(&logits[*a as usize]));
        assert_eq!(candidates(&sampling, 0, &logits), sorted);
    }

    #[test]
    fn samples_follow_the_distribution() {
        let sampling = Sampling {
            temperature: 2.0,
            top_p: 1.0,
            seed: 7,
        };
        // softmax([2, 0, 4] / 2) = [0.244728, 0.090031, 0.665241]
        let mut counts = [0_u32; 3];
        for answer in 0..20_000 {
            let first = candidates(&sampling, answer, &[2.0, 0.0, 4.0])[0];
            counts[first as usize] += 1;
        }
        // Four standard errors of 20,000 draws are at most 0.0136.
        for (count, want) in counts.into_iter().zip([0.244_728, 0.090_031, 0.665_241]) {
            let share = f64::from(count) / 20_000.0;
            assert!((share - want).abs() < 0.0136, "{share} against {want}");
        }
    }

    #[test]
    fn tokens_outside_the_nucleus_come_last() {
        let sampling = Sampling {
            temperature: 1.0,
            top_p: 0.9,
            seed: 1,
        };
        for answer in 0..200 {
            // softmax = [0.665, 0.245, 0.090]: the first two hold 0.91.
            let candidates = candidates(&sampling, answer, &[2.0, 1.0, 0.0]);
            assert_eq!(candidates.len(), 3);
            assert_eq!(candidates[2], 2, "{candidates:?}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_samples_and_another_does_not() {
        let logits = vec![0.0; 1000];
        let draw = |seed, answer| {
            let sampling = Sampling {
                temperature: 1.0,
                top_p: 1.0,
                seed,
            };
            candidates(&sampling, answer, &logits)[..8].to_vec()
        };
        assert_eq!(draw(1, 0), draw(1, 0));
        assert_ne!(draw(1, 0), draw(2, 0));
        assert_ne!(draw(1, 0), draw(1, 1));
    }
}
