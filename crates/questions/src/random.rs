//! Random draws with a fixed sequence: SplitMix64, started from a hash of seed, purpose and row, so that no library's
//! version can change a data set.

use sha2::{Digest, Sha256};
use verdict_common::random::SplitMix64;

/// A stream of draws that belongs to one row.
#[derive(Clone)]
pub(crate) struct Random {
    draws: SplitMix64,
    /// The stream that follows after so many draws.
    then: Option<(usize, SplitMix64)>,
}

impl Random {
    /// The stream of row `row` under `seed`.
    pub(crate) fn new(seed: u64, row: usize) -> Random {
        Random::of(seed, "stats", row)
    }

    /// The stream of row `row` among rows made for another purpose.
    pub(crate) fn of(seed: u64, purpose: &str, row: usize) -> Random {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update((purpose.len() as u64).to_le_bytes());
        hash.update(purpose);
        hash.update(row.to_string());
        let digest = hash.finalize();
        let first = digest[..8].try_into().expect("a SHA-256 has 32 bytes");
        Random {
            draws: SplitMix64::new(u64::from_be_bytes(first)),
            then: None,
        }
    }

    /// The next `draws` draws of this stream, followed by those of another one.
    pub(crate) fn joined(&self, draws: usize, other: Random) -> Random {
        Random {
            draws: self.draws.clone(),
            then: Some((draws, other.draws)),
        }
    }

    /// A number in `0..1`.
    pub(crate) fn unit(&mut self) -> f64 {
        match &mut self.then {
            Some((0, other)) => {
                self.draws = other.clone();
                self.then = None;
            }
            Some((left, _)) => *left -= 1,
            None => (),
        }
        (self.draws.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number in `low..high`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A whole number in `low..=high`.
    pub(crate) fn whole(&mut self, low: u32, high: u32) -> u32 {
        low + (self.unit() * f64::from(high - low + 1)) as u32
    }

    /// One of `items`, all equally likely.
    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[(self.unit() * items.len() as f64) as usize]
    }

    /// True in a share `p` of the draws.
    pub(crate) fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn draws_stay_in_their_ranges_and_reach_the_ends() {
        let mut random = Random::new(1, 2);
        let mut seen = [0; 4];
        for _ in 0..4000 {
            seen[random.whole(2, 5) as usize - 2] += 1;
            assert!((3.0..7.0).contains(&random.between(3.0, 7.0)));
        }
        assert!(
            seen.iter().all(|&count| (900..1100).contains(&count)),
            "{seen:?}"
        );
    }

    #[test]
    fn a_joined_stream_repeats_one_and_continues_as_the_other() {
        let [mut one, mut other] = [1, 2].map(|row| Random::new(1, row));
        let mut joined = one.joined(2, other.clone());
        let expected = [one.unit(), one.unit(), other.unit(), other.unit()];
        assert_eq!([(); 4].map(|()| joined.unit()), expected);
    }
}
