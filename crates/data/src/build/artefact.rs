//! How well the wording of a question alone predicts its label.
//!
//! A data set whose labels can be guessed from single words ("not", "safe") teaches those words before it teaches
//! anything else. Five-fold cross-validation over groups of the [classifier by words](crate::naive_bayes) says how far
//! that guess gets.

use rayon::prelude::*;

use crate::digest::place;
use crate::manifest::Artefact;
use crate::naive_bayes::{Counts, View, best, words};
use crate::near::hash;
use crate::{Item, Label};

/// Parts of the cross-validation.
const FOLDS: usize = 5;

/// The words of a question, its label and its fold.
pub(crate) struct Row {
    words: Vec<u64>,
    label: Label,
    fold: usize,
}

impl Row {
    fn of(item: &Item) -> Self {
        Row {
            words: words(&item.question),
            label: item.label,
            // A group's fold depends on its name alone.
            fold: (place(0, "artefact", &item.group) % FOLDS as u64) as usize,
        }
    }
}

/// Rows that are guessed at most: enough for a tenth of a per cent.
const MOST: usize = 100_000;

/// The rows as they are written, to be guessed in the end.
#[derive(Default)]
pub(crate) struct Guess {
    rows: Vec<Row>,
    /// Of 2^32 rows so many are seen.
    share: u64,
}

impl Guess {
    /// Sets how many rows will come: of more than [`MOST`], a sample by their ids is seen.
    pub(crate) fn sample(&mut self, rows: usize) {
        self.share = ((MOST as u64) << 32) / rows.max(MOST) as u64;
    }

    /// What has to be known of a row that is kept, if it is among those seen.
    pub(crate) fn row(&self, item: &Item) -> Option<Row> {
        let seen = self.share == 1 << 32 || hash(&["artefact", &item.id]) >> 32 < self.share;
        seen.then(|| Row::of(item))
    }

    /// A row that is kept.
    pub(crate) fn see(&mut self, row: Option<Row>) {
        self.rows.extend(row);
    }

    /// Guesses every row that was seen from the words of its question.
    pub(crate) fn artefact(self) -> Artefact {
        guess(&self.rows)
    }
}

/// Guesses every row from the words of its question.
#[cfg(test)]
pub(crate) fn artefact(items: &[&Item]) -> Artefact {
    let mut all = Guess::default();
    all.sample(items.len());
    for item in items {
        let row = all.row(item);
        all.see(row);
    }
    all.artefact()
}

fn guess(rows: &[Row]) -> Artefact {
    let mut counts = Counts::<FOLDS>::new();
    for row in rows {
        counts.see(&row.words, row.label, row.fold);
    }
    let views: [View; FOLDS] = std::array::from_fn(|fold| counts.view(Some(fold)));
    let guess = |row: &Row| best(counts.scores(&views[row.fold], &row.words));
    let of = |label| rows.iter().filter(|row| row.label == label).count();
    Artefact {
        rows: rows.len(),
        right: rows
            .par_iter()
            .filter(|row| guess(row) == row.label)
            .count(),
        majority: Label::ALL.map(of).into_iter().max().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::artefact;
    use crate::manifest::Artefact;
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
            })
            .collect()
    }

    #[test]
    fn a_word_that_predicts_the_label_is_seen() {
        let words = ["really", "never", "perhaps"];
        let telling = items(
            |n| format!("Does drug {n} {} help?", words[n % 3]),
            |n| n.to_string(),
        );
        let found = artefact(&telling.iter().collect::<Vec<_>>());
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
        let found = artefact(&mute.iter().collect::<Vec<_>>());
        // 100 of 300 by chance; four standard deviations are 33. Fewer is usual: what a fold lacks of a label,
        // the others have.
        assert!(found.right <= 133, "{found:?}");
    }

    #[test]
    fn a_group_is_never_guessed_from_itself() {
        // Each word occurs in one group only, whose label it predicts.
        let copies = items(
            |n| format!("Does w{} help?", n / 60 * 3 + n % 3),
            |n| (n / 60 * 3 + n % 3).to_string(),
        );
        let found = artefact(&copies.iter().collect::<Vec<_>>());
        assert!(found.right < 200, "{found:?}");
    }
}
