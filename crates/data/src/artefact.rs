//! What the wording of a question alone gives away about its label.
//!
//! A data set whose labels can be guessed from single words ("not", "safe") teaches those words before it teaches
//! anything else. Five-fold cross-validation over groups of a multinomial naive Bayes classifier on the words of the
//! question (McCallum and Nigam 1998), with add-one smoothing, says how far that guess gets.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::digest::place;
use crate::text::normal;
use crate::{Item, Label};

/// Parts of the cross-validation.
const FOLDS: u64 = 5;

/// How well single words of the question guess the label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artefact {
    /// Rows guessed, each by a classifier that saw no row of its group.
    pub rows: usize,
    /// Of them right.
    pub right: usize,
    /// Rows of the commonest label: what guessing it always would get right.
    pub majority: usize,
}

/// Counts of words by label.
#[derive(Default)]
struct Bayes {
    words: HashMap<String, [u32; 3]>,
    totals: [u32; 3],
    rows: [u32; 3],
}

impl Bayes {
    fn learn(&mut self, words: &[String], label: Label) {
        let label = label.index();
        self.rows[label] += 1;
        for word in words {
            self.words.entry(word.clone()).or_default()[label] += 1;
            self.totals[label] += 1;
        }
    }

    /// The likeliest label; the first of equals.
    fn guess(&self, words: &[String]) -> Label {
        let known = self.words.len() as f64;
        let score = |label: Label| {
            let l = label.index();
            let prior = f64::from(self.rows[l] + 1).ln();
            let sum: f64 = words
                .iter()
                .filter_map(|word| self.words.get(word))
                .map(|counts| (f64::from(counts[l] + 1) / (f64::from(self.totals[l]) + known)).ln())
                .sum();
            prior + sum
        };
        let mut best = (Label::ALL[0], f64::NEG_INFINITY);
        for label in Label::ALL {
            let score = score(label);
            if score > best.1 {
                best = (label, score);
            }
        }
        best.0
    }
}

/// Guesses every row from the words of its question.
pub(crate) fn artefact<'a>(items: impl Iterator<Item = &'a Item>) -> Artefact {
    // A group's fold hangs on its name alone.
    let fold = |item: &Item| place(0, "artefact", &item.group) % FOLDS;
    let rows: Vec<(Vec<String>, Label, u64)> = items
        .map(|item| {
            let mut words: Vec<String> = normal(&item.question)
                .split(' ')
                .map(str::to_owned)
                .collect();
            words.sort_unstable();
            words.dedup();
            (words, item.label, fold(item))
        })
        .collect();
    let mut right = 0;
    for held in 0..FOLDS {
        let mut bayes = Bayes::default();
        let learnt = rows.iter().filter(|row| row.2 != held);
        learnt.for_each(|(words, label, _)| bayes.learn(words, *label));
        let guessed = rows.iter().filter(|row| row.2 == held);
        right += guessed
            .filter(|(words, label, _)| bayes.guess(words) == *label)
            .count();
    }
    let of = |label| rows.iter().filter(|row| row.1 == label).count();
    Artefact {
        rows: rows.len(),
        right,
        majority: Label::ALL.map(of).into_iter().max().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::{Artefact, artefact};
    use crate::{Item, Label};

    fn items(question: impl Fn(usize) -> String, group: impl Fn(usize) -> String) -> Vec<Item> {
        (0..300)
            .map(|n| Item {
                id: n.to_string(),
                question: question(n),
                label: Label::ALL[n % 3],
                rationale: String::new(),
                source: "jsonl".into(),
                group: group(n),
                context: None,
                text: String::new(),
            })
            .collect()
    }

    #[test]
    fn a_word_that_gives_the_label_away_is_seen() {
        let tell = ["really", "never", "perhaps"];
        let told = items(
            |n| format!("Does drug {n} {} help?", tell[n % 3]),
            |n| n.to_string(),
        );
        let found = artefact(told.iter());
        assert_eq!(
            found,
            Artefact {
                rows: 300,
                right: 300,
                majority: 100
            }
        );
    }

    #[test]
    fn words_that_say_nothing_guess_no_better_than_chance() {
        let words = ["liver", "lung", "heart", "skin", "bone", "eye", "ear"];
        let mute = items(
            |n| format!("Does it help the {}?", words[n % 7]),
            |n| n.to_string(),
        );
        let found = artefact(mute.iter());
        // 100 of 300 by chance; four standard deviations are 33. Fewer is usual: what a fold lacks of a label,
        // the others have.
        assert!(found.right <= 133, "{found:?}");
    }

    #[test]
    fn a_group_is_never_guessed_from_itself() {
        // Each word stands in one group only, where it says the label.
        let copies = items(
            |n| format!("Does w{} help?", n / 60 * 3 + n % 3),
            |n| (n / 60 * 3 + n % 3).to_string(),
        );
        let found = artefact(copies.iter());
        assert!(found.right < 200, "{found:?}");
    }
}
