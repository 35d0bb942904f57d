//! Repetition within an answer and between answers.
//!
//! Within an answer: `seq-rep-n` of Welleck et al. (2019), "Neural text generation with unlikelihood training", the share of
//! n-grams that occurred before in the answer; and loops, n-grams that are repeated immediately. Between answers:
//! `distinct-n` of Li et al. (2016), "A diversity-promoting objective function for neural conversation models", the number
//! of distinct n-grams relative to all words.
//!
//! Words are normalized: lower case, without punctuation at their ends.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use verdict_data::normal;

use crate::metrics::Proportion;

/// Maximum length of the n-gram of a loop.
const LONGEST: usize = 16;

/// Repetition within one text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Repetition {
    /// Number of words.
    pub words: usize,
    /// `seq-rep-n` for n of 1, 2, 3 and 4: 1 − (distinct n-grams / n-grams), 0 to 1; 0 where the text is too short.
    pub repeated: [f64; 4],
    /// Number of words in the longest loop: an n-gram (n up to 16) and its complete immediate repetitions; 0 without a
    /// loop.
    pub loop_words: usize,
    /// How often the n-gram of the loop occurs in a row; 0 without a loop.
    pub loop_times: usize,
}

/// Repetition between answers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variety {
    /// Rationales that repeat an earlier one, up to normalization.
    pub said_before: Proportion,
    /// `distinct-1`: distinct words relative to all words; 0 without words.
    pub distinct_1: f64,
    /// `distinct-2`: distinct pairs of adjacent words relative to all words, as defined by Li et al.
    pub distinct_2: f64,
}

/// Repetition within one text.
pub fn repetition(text: &str) -> Repetition {
    let normal = normal(text);
    let words: Vec<&str> = normal.split(' ').filter(|word| !word.is_empty()).collect();
    let repeated = [1, 2, 3, 4].map(|n| {
        let grams: HashSet<&[&str]> = words.windows(n).collect();
        match words.len().saturating_sub(n - 1) {
            0 => 0.0,
            all => 1.0 - grams.len() as f64 / all as f64,
        }
    });
    let (loop_words, loop_times) = longest_loop(&words);
    Repetition {
        words: words.len(),
        repeated,
        loop_words,
        loop_times,
    }
}

/// Number of words and repetitions of the longest loop, that of the shortest n-gram in a tie. A loop of n-grams is a range
/// in which each word equals the one n places before.
fn longest_loop(words: &[&str]) -> (usize, usize) {
    let mut longest = (0, 0);
    for n in 1..=LONGEST.min(words.len() / 2) {
        let mut same = 0;
        for place in n..words.len() {
            same = match words[place] == words[place - n] {
                true => same + 1,
                false => 0,
            };
            let times = same / n + 1;
            if times > 1 && times * n > longest.0 {
                longest = (times * n, times);
            }
        }
    }
    longest
}

/// Repetition between rationales, in their order.
pub fn variety<'t>(rationales: impl IntoIterator<Item = &'t str>) -> Variety {
    let normals: Vec<String> = rationales.into_iter().map(normal).collect();
    let mut seen = HashSet::new();
    let before = normals.iter().filter(|text| !seen.insert(text.as_str()));
    let said_before = Proportion::new(before.count(), normals.len());
    let (mut words, mut singles, mut pairs) = (0_usize, HashSet::new(), HashSet::new());
    for text in &normals {
        let own: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
        words += own.len();
        pairs.extend(own.windows(2).map(|pair| (pair[0], pair[1])));
        singles.extend(own);
    }
    let all = words.max(1) as f64;
    Variety {
        said_before,
        distinct_1: singles.len() as f64 / all,
        distinct_2: pairs.len() as f64 / all,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_are_those_of_the_definition() {
        // a b c a b c d: 7 words of which 4 differ; 6 pairs (ab bc ca ab bc cd), 4 differ; 5 triples
        // (abc bca cab abc bcd), 4 differ; 4 of four, all different.
        let found = repetition("A b c, a b c d.");
        assert_eq!(found.words, 7);
        let wanted = [1.0 - 4.0 / 7.0, 1.0 - 4.0 / 6.0, 1.0 - 4.0 / 5.0, 0.0];
        assert_eq!(found.repeated, wanted);
        assert_eq!((found.loop_words, found.loop_times), (6, 2));
    }

    #[test]
    fn loops_are_whole_and_immediate() {
        for (text, loop_words, loop_times) in [
            ("", 0, 0),
            ("one", 0, 0),
            ("one two three one", 0, 0),
            ("very very very rare", 3, 3),
            ("the risk the risk the risk the", 6, 3),
            ("it fell and it fell and it rose", 6, 2),
            // Four times one word, not twice two.
            ("no no no no", 4, 4),
        ] {
            let found = repetition(text);
            assert_eq!(
                (found.loop_words, found.loop_times),
                (loop_words, loop_times),
                "{text}"
            );
        }
        let plain = repetition("Statins lowered the rate of fibrillation after surgery.");
        assert_eq!(plain.repeated, [0.0; 4]);
        assert_eq!(repetition("").repeated, [0.0; 4]);
    }

    #[test]
    fn variety_counts_later_copies_and_different_grams() {
        let found = variety(["It works.", "it works", "It does not."]);
        assert_eq!((found.said_before.count, found.said_before.total), (1, 3));
        // 7 words; it, works, does, not; it works, it does, does not.
        assert_eq!((found.distinct_1, found.distinct_2), (4.0 / 7.0, 3.0 / 7.0));
        let none = variety([]);
        assert_eq!(
            (none.said_before.total, none.distinct_1, none.distinct_2),
            (0, 0.0, 0.0)
        );
    }
}
