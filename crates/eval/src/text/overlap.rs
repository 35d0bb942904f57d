//! Is a rationale memorized? Compares it with the rationales of the training set.
//!
//! A rationale counts as memorized if it equals one of them up to case, spaces and punctuation at the ends of words, or if
//! a large share of its word 5-grams occurs in a single one of them. The latter is the *containment* of Broder (1997), with
//! the answer as the contained text, so that a short answer cut from a long rationale is found, unlike with Jaccard's
//! index.
//!
//! 5-grams are stored as sorted 64-bit hashes with the number of their rationale, so that an answer takes a binary search
//! for each 5-gram and a step for each rationale that contains it, independent of the number of rationales.

use serde::{Deserialize, Serialize};
use verdict_data::{hash_words, normal};

use crate::metrics::Proportion;

/// Number of words in an n-gram.
pub const GRAM: usize = 5;
/// Containment from which on a rationale counts as memorized.
pub const MEMORIZED: f64 = 0.8;

/// The rationales of a training set, indexed for comparison.
#[derive(Clone, Debug, Default)]
pub struct TrainingRationales {
    /// Hash of each normalized rationale with its number; sorted.
    whole: Vec<(u64, u32)>,
    /// Hash of each distinct n-gram of each rationale, with the number of the rationale; sorted.
    grams: Vec<(u64, u32)>,
    count: usize,
}

/// The overlap of a rationale with the training set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overlap {
    /// Whether it equals a rationale of the training set up to normalization.
    pub exact: bool,
    /// The largest share, 0 to 1, of its distinct 5-grams that occur in one rationale of the training set; none for texts of
    /// fewer than five words, which can only match exactly.
    pub share: Option<f64>,
    /// Number, from 0, of that rationale, the first in a tie; none without overlap.
    pub nearest: Option<usize>,
    /// Whether it is exact or has a share of at least [`MEMORIZED`].
    pub memorized: bool,
}

/// The overlap of many rationales.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OverlapSummary {
    /// Rationales that equal one of the training set up to normalization.
    pub exact: Proportion,
    /// Memorized rationales, including exact ones.
    #[serde(rename = "memorised")]
    pub memorized: Proportion,
    /// Mean share over the rationales that have one; 0 if none has.
    pub mean_share: f64,
}

impl TrainingRationales {
    /// Indexes the rationales of a training set.
    ///
    /// # Panics
    /// With more than 2³² rationales.
    pub fn new<'t>(rationales: impl IntoIterator<Item = &'t str>) -> TrainingRationales {
        let mut trained = TrainingRationales::default();
        for (number, rationale) in rationales.into_iter().enumerate() {
            let number = u32::try_from(number).expect("fewer than 2^32 rationales");
            let (whole, grams) = hashes(rationale);
            trained.whole.push((whole, number));
            trained
                .grams
                .extend(grams.into_iter().map(|gram| (gram, number)));
            trained.count += 1;
        }
        trained.whole.sort_unstable();
        trained.grams.sort_unstable();
        trained
    }

    /// The overlap of one rationale.
    pub fn overlap(&self, rationale: &str) -> Overlap {
        let (whole, grams) = hashes(rationale);
        let exact = with(&self.whole, whole).next();
        // An n-gram counts once for each rationale that contains it.
        let mut shared = vec![0_u32; if grams.is_empty() { 0 } else { self.count }];
        for gram in &grams {
            for number in with(&self.grams, *gram) {
                shared[number as usize] += 1;
            }
        }
        let most = shared.iter().copied().max().unwrap_or(0);
        let near = (most > 0)
            .then(|| shared.iter().position(|count| *count == most))
            .flatten();
        let share = (!grams.is_empty()).then(|| f64::from(most) / grams.len() as f64);
        Overlap {
            exact: exact.is_some(),
            share,
            nearest: exact.map(|number| number as usize).or(near),
            memorized: exact.is_some() || share.is_some_and(|share| share >= MEMORIZED),
        }
    }
}

impl OverlapSummary {
    /// Summarizes overlaps.
    pub fn of(overlaps: &[Overlap]) -> OverlapSummary {
        let count = |has: fn(&Overlap) -> bool| {
            let count = overlaps.iter().filter(|overlap| has(overlap)).count();
            Proportion::new(count, overlaps.len())
        };
        let shares: Vec<f64> = overlaps
            .iter()
            .filter_map(|overlap| overlap.share)
            .collect();
        OverlapSummary {
            exact: count(|overlap| overlap.exact),
            memorized: count(|overlap| overlap.memorized),
            mean_share: shares.iter().sum::<f64>() / shares.len().max(1) as f64,
        }
    }
}

/// The hash of the whole text, and the sorted hashes of its distinct n-grams.
fn hashes(text: &str) -> (u64, Vec<u64>) {
    let normal = normal(text);
    let words: Vec<&str> = normal.split(' ').collect();
    let mut grams: Vec<u64> = words.windows(GRAM).map(hash_words).collect();
    grams.sort_unstable();
    grams.dedup();
    (hash_words(&words), grams)
}

/// The numbers of the rationales with a hash.
fn with(sorted: &[(u64, u32)], hash: u64) -> impl Iterator<Item = u32> {
    let start = sorted.partition_point(|(other, _)| *other < hash);
    let same = sorted[start..]
        .iter()
        .take_while(move |(other, _)| *other == hash);
    same.map(|(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRAINED: [&str; 3] = [
        "Statins given before surgery lowered the rate of atrial fibrillation in every subgroup.",
        "It works.",
        "The trial was too small to tell whether early mobilisation shortens the stay in hospital.",
    ];

    #[test]
    fn copies_are_found_after_normalization() {
        let trained = TrainingRationales::new(TRAINED);
        for (text, nearest) in [
            (TRAINED[0], 0),
            (
                "statins  given before surgery, lowered the rate of atrial fibrillation in every subgroup",
                0,
            ),
            ("it works", 1),
        ] {
            let found = trained.overlap(text);
            assert!(found.exact && found.memorized, "{text}: {found:?}");
            assert_eq!(found.nearest, Some(nearest), "{text}");
        }
    }

    #[test]
    fn the_share_is_that_of_the_answers_own_grams_in_one_rationale() {
        let trained = TrainingRationales::new(TRAINED);
        // 12 words are 8 grams; the last word changed spoils one: 7 of 8.
        let near =
            "Statins given before surgery lowered the rate of atrial fibrillation in children.";
        let found = trained.overlap(near);
        assert_eq!(found.share, Some(7.0 / 8.0));
        assert!(!found.exact && found.memorized);
        assert_eq!(found.nearest, Some(0));
        // A part of a rationale has all its grams in it.
        let part = trained.overlap("Before surgery lowered the rate of atrial fibrillation.");
        assert_eq!((part.share, part.memorized), (Some(1.0), true));
        // A word changed in the middle spoils five grams of eight.
        let other = trained.overlap(
            "Statins given before surgery lowered the odds of atrial fibrillation in children.",
        );
        assert_eq!(other.share, Some(2.0 / 8.0));
        assert!(!other.memorized);
        // Grams of two rationales are not added up: 5 of 11 in one, 3 in the other.
        let mixed = trained.overlap(
            "Statins given before surgery lowered the rate of hospital early mobilisation shortens the stay in hospital.",
        );
        assert_eq!(mixed.share, Some(4.0 / 12.0));
    }

    #[test]
    fn short_and_unrelated_texts_are_not_memorized() {
        let trained = TrainingRationales::new(TRAINED);
        let short = trained.overlap("It works well.");
        assert_eq!((short.share, short.memorized), (None, false));
        assert_eq!(short.nearest, None);
        let other = trained.overlap("No controlled study has compared the two drugs in adults.");
        assert_eq!((other.share, other.nearest), (Some(0.0), None));
        let empty = TrainingRationales::new([]).overlap(TRAINED[0]);
        assert_eq!((empty.share, empty.memorized), (Some(0.0), false));
    }

    #[test]
    fn a_summary_counts_each_once() {
        let trained = TrainingRationales::new(TRAINED);
        let texts = [
            TRAINED[0],
            "It works well.",
            "No controlled study has compared the two drugs.",
        ];
        let summary = OverlapSummary::of(&texts.map(|text| trained.overlap(text)));
        assert_eq!((summary.exact.count, summary.exact.total), (1, 3));
        assert_eq!(summary.memorized.count, 1);
        assert_eq!(summary.mean_share, 0.5);
        assert_eq!(OverlapSummary::of(&[]).mean_share, 0.0);
    }

    /// A rationale of 20 words out of 3,000, half of whose 5-grams are a phrase that every tenth shares.
    fn rationale(number: u64) -> String {
        let word = |place: u64| {
            let mixed = (number * 31 + place).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            format!("w{}", mixed % 3000)
        };
        let phrase = (0..10).map(|place| format!("p{}x{place}", number % 10));
        phrase
            .chain((0..10).map(word))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn planted_copies_are_found_among_many_and_nothing_else() {
        let texts: Vec<String> = (0..2000).map(rationale).collect();
        let trained = TrainingRationales::new(texts.iter().map(String::as_str));
        for number in (0..2000).step_by(97) {
            let found = trained.overlap(&texts[number]);
            assert_eq!((found.exact, found.nearest), (true, Some(number)));
        }
        for number in 5000..5050 {
            let found = trained.overlap(&rationale(number));
            // 16 grams, of which the shared phrase of ten words makes six.
            assert_eq!(found.share, Some(6.0 / 16.0));
            assert!(!found.memorized);
        }
    }

    /// The time, to be read in a release build:
    /// `cargo test --release -p verdict-eval five_hundred -- --ignored`.
    #[test]
    #[ignore = "measures time"]
    fn five_hundred_answers_against_ten_thousand_rationales_take_well_below_a_second() {
        let texts: Vec<String> = (0..10_000).map(rationale).collect();
        let answers: Vec<String> = (20_000..20_500).map(rationale).collect();
        let start = std::time::Instant::now();
        let trained = TrainingRationales::new(texts.iter().map(String::as_str));
        let found = answers
            .iter()
            .filter(|text| trained.overlap(text).memorized);
        assert_eq!(found.count(), 0);
        let took = start.elapsed();
        assert!(took.as_secs_f64() < 0.5, "{took:?}");
    }
}
