//! SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): numbers from a seed, and
//! the mixing function alone, by which a number becomes one that has nothing in common with its neighbours'. The same on
//! every machine and in every version.

/// What the state grows by from one number to the next: 2^64 divided by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A sequence of numbers from a seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// The sequence of this seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    #[inline]
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        finalize(self.0)
    }

    /// A number in [0, 1) with 24 bits: as many as an `f32` holds.
    #[inline]
    pub fn next_f32(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / 16_777_216.0
    }

    /// Uniform in `0..bound`, which must not be 0. Numbers at the uneven end of the range are drawn again.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = bound as u64;
        let even = u64::MAX - u64::MAX % bound;
        loop {
            let number = self.next_u64();
            if number < even {
                return (number % bound) as usize;
            }
        }
    }
}

/// The first number of the sequence with this seed: a one-to-one mixing of 64 bits.
#[inline]
pub const fn mix(seed: u64) -> u64 {
    finalize(seed.wrapping_add(STEP))
}

/// SplitMix64's finalizer alone: one-to-one too, but it keeps 0.
#[inline]
pub const fn finalize(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix64_gives_the_published_numbers() {
        // First outputs for seed 1234567, from the reference implementation's test (prng.di.unimi.it).
        let mut random = SplitMix64::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.next_u64()).collect();
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
        assert_eq!(mix(1_234_567), first[0]);
    }

    #[test]
    fn bounded_numbers_stay_below_their_bound() {
        let mut random = SplitMix64::new(1);
        let drawn: Vec<usize> = (0..300).map(|_| random.below(3)).collect();
        for wanted in 0..3 {
            let count = drawn.iter().filter(|number| **number == wanted).count();
            assert!(count > 60, "{wanted}: {count}");
        }
        assert!((0..100).all(|_| (0.0..1.0).contains(&random.next_f32())));
    }
}
