//! Texts that are nearly the same: pairs whose sets of word pairs overlap by at least a given share.
//!
//! Candidates come from MinHash signatures banded for locality-sensitive hashing (Broder 1997; Leskovec,
//! Rajaraman and Ullman, *Mining of Massive Datasets*, chapter 3), and each is then checked against the sets
//! themselves: a pair that is told is one. With [`BANDS`] bands of [`ROWS`] rows a pair that overlaps by s
//! becomes a candidate with probability `1 − (1 − s^ROWS)^BANDS`: 0.99 at 0.7, 0.87 at 0.6. Own code because
//! the bytes of a data set hang on it: hash families of the crates for this change with their versions.

use rayon::prelude::*;

use crate::text::normal;

/// Bands of a signature.
const BANDS: usize = 25;
/// Hashes in a band.
const ROWS: usize = 5;
/// Texts of fewer word pairs are never near another: one word would decide.
const FEWEST: usize = 5;
/// Texts of a bucket that each text is compared with: this many first ones and as many before it. Bounds
/// the work where thousands share a phrase; near texts share other bands too.
const COMPARED: usize = 16;

/// The word pairs of a text, as sorted hashes without repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shingles(Vec<u32>);

impl Shingles {
    /// Of a text, in the form in which dress is forgotten.
    pub(crate) fn of(text: &str) -> Self {
        let normal = normal(text);
        let words: Vec<&str> = normal.split(' ').collect();
        let mut hashes: Vec<u32> = words
            .windows(2)
            .map(|pair| (hash(pair) >> 32) as u32)
            .collect();
        hashes.sort_unstable();
        hashes.dedup();
        Shingles(hashes)
    }

    /// Jaccard's index: the share of what is in both sets in what is in either.
    pub(crate) fn overlap(&self, other: &Self) -> f64 {
        let (mut i, mut j, mut both) = (0, 0, 0_usize);
        while let (Some(a), Some(b)) = (self.0.get(i), other.0.get(j)) {
            both += usize::from(a == b);
            (i, j) = (i + usize::from(a <= b), j + usize::from(b <= a));
        }
        let either = self.0.len() + other.0.len() - both;
        match either {
            0 => 0.0,
            _ => both as f64 / either as f64,
        }
    }

    /// One number for each band: texts with the same one are candidates.
    fn bands(&self) -> [u32; BANDS] {
        let mut lowest = [u32::MAX; BANDS * ROWS];
        for shingle in &self.0 {
            for (lowest, (factor, term)) in lowest.iter_mut().zip(&FAMILY) {
                // Odd factors permute the 32-bit numbers.
                *lowest = (*lowest).min(shingle.wrapping_mul(*factor).wrapping_add(*term));
            }
        }
        let mut bands = [0; BANDS];
        for (band, rows) in bands.iter_mut().zip(lowest.chunks_exact(ROWS)) {
            let mixed = rows
                .iter()
                .fold(0, |all, row| splitmix(all ^ u64::from(*row)));
            *band = (mixed >> 32) as u32;
        }
        bands
    }
}

/// FNV-1a over words with a blank between, then mixed: 64 bits.
pub(crate) fn hash(words: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for (i, word) in words.iter().enumerate() {
        let blank: &[u8] = if i > 0 { b" " } else { b"" };
        for byte in blank.iter().chain(word.as_bytes()) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    splitmix(hash)
}

/// Steele, Lea and Flood's SplitMix64, one step.
const fn splitmix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The hash functions: an odd factor and a term for each.
const FAMILY: [(u32, u32); BANDS * ROWS] = {
    let mut family = [(0, 0); BANDS * ROWS];
    let mut i = 0;
    while i < family.len() {
        let drawn = splitmix(i as u64);
        family[i] = ((drawn >> 32) as u32 | 1, drawn as u32);
        i += 1;
    }
    family
};

/// Pairs of texts that overlap by at least `share`, the lower number first, sorted. The same for any number of
/// threads.
pub(crate) fn pairs(texts: &[&Shingles], share: f64) -> Vec<(usize, usize)> {
    let long: Vec<usize> = (0..texts.len())
        .filter(|i| texts[*i].0.len() >= FEWEST)
        .collect();
    let bands: Vec<[u32; BANDS]> = long.par_iter().map(|i| texts[*i].bands()).collect();
    let mut found: Vec<(usize, usize)> = (0..BANDS)
        .into_par_iter()
        .flat_map_iter(|band| {
            let mut rows: Vec<(u32, usize)> = bands
                .iter()
                .zip(&long)
                .map(|(bands, i)| (bands[band], *i))
                .collect();
            rows.sort_unstable();
            let buckets = rows.chunk_by(|a, b| a.0 == b.0);
            let near = |a: usize, b: usize| texts[a].overlap(texts[b]) >= share;
            let pairs = buckets
                .flat_map(|bucket| compared(bucket.len()).map(|(i, j)| (bucket[i].1, bucket[j].1)));
            pairs.filter(|(a, b)| near(*a, *b)).collect::<Vec<_>>()
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Which places of a bucket are compared.
fn compared(len: usize) -> impl Iterator<Item = (usize, usize)> {
    (1..len).flat_map(|j| {
        let first = 0..COMPARED.min(j);
        let before = j.saturating_sub(COMPARED).max(first.end)..j;
        first.chain(before).map(move |i| (i, j))
    })
}

#[cfg(test)]
mod tests {
    use super::{Shingles, compared, pairs};

    fn near(a: &str, b: &str) -> f64 {
        Shingles::of(a).overlap(&Shingles::of(b))
    }

    #[test]
    fn overlap_is_the_share_of_common_word_pairs() {
        assert_eq!(near("a b c d", "A b, c d."), 1.0);
        // ab bc cd and ab bc ce: 2 of 4.
        assert_eq!(near("a b c d", "a b c e"), 0.5);
        assert_eq!(near("a b", "c d"), 0.0);
        assert_eq!(near("", ""), 0.0);
    }

    /// Every pair, plainly.
    fn all(texts: &[Shingles], share: f64) -> Vec<(usize, usize)> {
        let pairs = (0..texts.len()).flat_map(|i| (i + 1..texts.len()).map(move |j| (i, j)));
        pairs
            .filter(|(i, j)| {
                texts[*i].0.len() >= super::FEWEST
                    && texts[*j].0.len() >= super::FEWEST
                    && texts[*i].overlap(&texts[*j]) >= share
            })
            .collect()
    }

    /// 300 texts of 14 words, half of them another with one to four words changed.
    fn texts() -> Vec<Shingles> {
        let word = |n: u64| format!("w{}", super::splitmix(n) % 4000);
        (0..300_u64)
            .map(|i| {
                let source = if i % 2 == 1 { i - 1 } else { i };
                let changed = |place: u64| i % 2 == 1 && place % 14 < 1 + i / 2 % 4;
                let words: Vec<String> = (0..14)
                    .map(|place| match changed(place) {
                        true => word(1_000_000 + i * 14 + place),
                        false => word(source * 14 + place),
                    })
                    .collect();
                Shingles::of(&words.join(" "))
            })
            .collect()
    }

    #[test]
    fn what_is_found_is_near_and_little_is_missed() {
        let texts = texts();
        for (share, least) in [(0.7, 0.97), (0.6, 0.85)] {
            let (found, all) = (
                pairs(&texts.iter().collect::<Vec<_>>(), share),
                all(&texts, share),
            );
            assert!(all.len() > 60, "{}", all.len());
            assert!(found.iter().all(|pair| all.contains(pair)), "at {share}");
            let share_found = found.len() as f64 / all.len() as f64;
            assert!(
                share_found >= least,
                "at {share}: {} of {}",
                found.len(),
                all.len()
            );
        }
    }

    #[test]
    fn threads_change_nothing() {
        let texts = texts();
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("threads");
            pool.install(|| pairs(&texts.iter().collect::<Vec<_>>(), 0.6))
        };
        assert_eq!(with(1), with(5));
    }

    #[test]
    fn a_large_bucket_costs_a_bounded_number_of_looks() {
        let pairs: Vec<_> = compared(5).collect();
        assert_eq!(pairs.len(), 10, "small ones are compared whole");
        assert_eq!(compared(1000).count(), 31_472);
        assert!(compared(1000).all(|(i, j)| i < j));
    }
}
