//! Texts that are nearly the same: pairs whose sets of word pairs overlap by at least a given share.
//!
//! Candidates come from MinHash signatures banded for locality-sensitive hashing (Broder 1997; Leskovec,
//! Rajaraman and Ullman, *Mining of Massive Datasets*, chapter 3), and each is then checked against the sets
//! themselves: a pair that is reported is one. With [`BANDS`] bands of [`ROWS`] rows a pair that overlaps by s
//! becomes a candidate with probability `1 − (1 − s^ROWS)^BANDS`: 0.99 at 0.7, 0.87 at 0.6. Own code because
//! the bytes of a data set depend on it: hash families of the crates for this change with their versions.

use rayon::prelude::*;

use verdict_common::random::mix;

use crate::normal::normal;

/// Bands of a signature.
pub(crate) const BANDS: usize = 25;
/// Hashes in a band.
const ROWS: usize = 5;
/// Texts of fewer word pairs are never near another: one word would decide.
pub(crate) const FEWEST: usize = 5;
/// Texts of a bucket that each text is compared with: this many first ones and as many before it. Bounds
/// the work where thousands share a phrase; near texts share other bands too.
const COMPARED: usize = 16;

/// The word pairs of a text, as sorted hashes without repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shingles(Vec<u32>);

impl Shingles {
    /// Of a text, in the form in which dress is forgotten.
    pub(crate) fn of(text: &str) -> Self {
        Shingles::of_normal(&normal(text))
    }

    /// Of a text that is in that form already.
    pub(crate) fn of_normal(normal: &str) -> Self {
        let words: Vec<&str> = normal.split(' ').collect();
        let mut hashes: Vec<u32> = words
            .windows(2)
            .map(|pair| (hash(pair) >> 32) as u32)
            .collect();
        hashes.sort_unstable();
        hashes.dedup();
        Shingles(hashes)
    }

    /// Of hashes that were kept.
    pub(crate) fn of_hashes(hashes: impl Iterator<Item = u32>) -> Self {
        let mut hashes: Vec<u32> = hashes.collect();
        hashes.sort_unstable();
        hashes.dedup();
        Shingles(hashes)
    }

    /// Jaccard's index: the size of the intersection divided by that of the union.
    pub(crate) fn overlap(&self, other: &Self) -> f64 {
        overlap(&self.0, &other.0)
    }

    /// One number for each band: texts with the same one are candidates. None for a text of too few word pairs.
    pub(crate) fn bands(&self) -> Option<[u32; BANDS]> {
        if self.0.len() < FEWEST {
            return None;
        }
        let mut lowest = [u32::MAX; BANDS * ROWS];
        for shingle in &self.0 {
            for (lowest, (factor, term)) in lowest.iter_mut().zip(&FAMILY) {
                // Odd factors permute the 32-bit numbers.
                *lowest = (*lowest).min(shingle.wrapping_mul(*factor).wrapping_add(*term));
            }
        }
        let mut bands = [0; BANDS];
        for (band, rows) in bands.iter_mut().zip(lowest.chunks_exact(ROWS)) {
            let mixed = rows.iter().fold(0, |all, row| mix(all ^ u64::from(*row)));
            *band = (mixed >> 32) as u32;
        }
        Some(bands)
    }

    /// The hashes, for keeping.
    pub(crate) fn hashes(&self) -> &[u32] {
        &self.0
    }
}

/// Jaccard's index of two sorted sets.
pub(crate) fn overlap(a: &[u32], b: &[u32]) -> f64 {
    let (mut i, mut j, mut both) = (0, 0, 0_usize);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        both += usize::from(x == y);
        (i, j) = (i + usize::from(x <= y), j + usize::from(y <= x));
    }
    let either = a.len() + b.len() - both;
    match either {
        0 => 0.0,
        _ => both as f64 / either as f64,
    }
}

/// FNV-1a over words with a blank between, then mixed by SplitMix64: 64 bits, the same in every version.
pub fn hash(words: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for (i, word) in words.iter().enumerate() {
        let blank: &[u8] = if i > 0 { b" " } else { b"" };
        for byte in blank.iter().chain(word.as_bytes()) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    mix(hash)
}

/// The hash functions: an odd factor and a term for each.
const FAMILY: [(u32, u32); BANDS * ROWS] = {
    let mut family = [(0, 0); BANDS * ROWS];
    let mut i = 0;
    while i < family.len() {
        let drawn = mix(i as u64);
        family[i] = ((drawn >> 32) as u32 | 1, drawn as u32);
        i += 1;
    }
    family
};

/// Texts by number, wherever they lie.
pub(crate) trait Texts: Sync {
    /// What reading them may end with.
    type Error: Send;

    /// The band's number of every text of [`FEWEST`] word pairs or more, with the text's number.
    fn band(&self, band: usize, into: &mut Vec<(u32, u32)>) -> Result<(), Self::Error>;

    /// The share of word pairs that both have.
    fn overlap(&self, a: u32, b: u32) -> Result<f64, Self::Error>;
}

/// Texts in memory.
pub(crate) struct HeldTexts<'a> {
    texts: &'a [&'a Shingles],
    bands: Vec<Option<[u32; BANDS]>>,
}

impl<'a> HeldTexts<'a> {
    pub(crate) fn new(texts: &'a [&'a Shingles]) -> HeldTexts<'a> {
        let bands = texts.par_iter().map(|text| text.bands()).collect();
        HeldTexts { texts, bands }
    }
}

impl Texts for HeldTexts<'_> {
    type Error = std::convert::Infallible;

    fn band(&self, band: usize, into: &mut Vec<(u32, u32)>) -> Result<(), Self::Error> {
        let bands = self.bands.iter().enumerate();
        into.extend(bands.filter_map(|(text, of)| Some(((*of)?[band], text as u32))));
        Ok(())
    }

    fn overlap(&self, a: u32, b: u32) -> Result<f64, Self::Error> {
        Ok(self.texts[a as usize].overlap(self.texts[b as usize]))
    }
}

/// Who looks for near pairs.
pub(crate) trait PairVisitor: Sync {
    /// Called before each band.
    fn begin(&mut self) {}

    /// Whether the overlap of a candidate is worth looking up.
    fn wants(&self, _pair: (u32, u32)) -> bool {
        true
    }

    /// A pair that overlaps by at least the requested share, the lower number first. A pair may be found several times.
    fn found(&mut self, pair: (u32, u32), overlap: f64);
}

/// Rows of a band whose candidates are looked up at once, each by any thread.
const LOOKED_UP: usize = 1 << 15;

/// Calls the visitor with the pairs of texts that overlap by at least `share`, in the same order for any number of threads.
pub(crate) fn visit_pairs<T: Texts>(
    texts: &T,
    share: f64,
    visitor: &mut impl PairVisitor,
) -> Result<(), T::Error> {
    let mut rows = Vec::new();
    for band in 0..BANDS {
        visitor.begin();
        rows.clear();
        texts.band(band, &mut rows)?;
        rows.par_sort_unstable();
        let buckets: Vec<&[(u32, u32)]> = rows.chunk_by(|a, b| a.0 == b.0).collect();
        let buckets: Vec<&[(u32, u32)]> = buckets
            .into_iter()
            .filter(|bucket| bucket.len() > 1)
            .collect();
        for buckets in buckets.chunks(LOOKED_UP) {
            let look_up = |bucket: &&[(u32, u32)]| {
                let pairs = compared(bucket.len()).map(|(i, j)| (bucket[i].1, bucket[j].1));
                let looked =
                    pairs
                        .filter(|pair| visitor.wants(*pair))
                        .filter_map(|pair| match texts.overlap(pair.0, pair.1) {
                            Ok(overlap) => (overlap >= share).then_some(Ok((pair, overlap))),
                            Err(error) => Some(Err(error)),
                        });
                looked.collect::<Vec<_>>()
            };
            let found: Result<Vec<_>, T::Error> = buckets
                .par_iter()
                .with_min_len(256)
                .flat_map_iter(look_up)
                .collect();
            for (pair, overlap) in found? {
                visitor.found(pair, overlap);
            }
        }
    }
    Ok(())
}

/// Every pair that is found among texts in memory, sorted.
pub(crate) fn pairs(texts: &[&Shingles], share: f64) -> Vec<(usize, usize)> {
    struct All(Vec<(usize, usize)>);
    impl PairVisitor for All {
        fn found(&mut self, (a, b): (u32, u32), _: f64) {
            self.0.push((a as usize, b as usize));
        }
    }
    let mut all = All(Vec::new());
    let Ok(()) = visit_pairs(&HeldTexts::new(texts), share, &mut all);
    all.0.sort_unstable();
    all.0.dedup();
    all.0
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
        let word = |n: u64| format!("w{}", super::mix(n) % 4000);
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
