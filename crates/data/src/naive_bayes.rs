//! Guessing a label from single words of the question: what a model has to beat to have read more than words.
//!
//! Multinomial naive Bayes (McCallum and Nigam 1998) on which words occur, with add-one smoothing of words and of
//! labels. [`NaiveBayes`] is trained on rows and guesses others; the build cross-validates the same counts.

use std::collections::HashMap;

use crate::near::hash;
use crate::normal::normal;
use crate::{Item, Label};

/// The words of a question in the form in which dress is forgotten, each once, as sorted hashes.
pub(crate) fn words(question: &str) -> Vec<u64> {
    let question = normal(question);
    let mut words: Vec<u64> = question.split(' ').map(|word| hash(&[word])).collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// Rows, or occurrences of a word: by part and label.
type Parts<const PARTS: usize> = [[u32; 3]; PARTS];

/// What was counted in rows that came in parts.
pub(crate) struct Counts<const PARTS: usize> {
    words: HashMap<u64, Parts<PARTS>>,
    rows: Parts<PARTS>,
    totals: Parts<PARTS>,
}

/// What a classifier that was not shown one part (or was shown all) counted.
#[derive(Clone, Copy)]
pub(crate) struct View {
    without: Option<usize>,
    /// Different words.
    known: f64,
    /// Rows by label.
    rows: [u32; 3],
    /// Words by label.
    totals: [u32; 3],
}

/// What was counted outside a part.
fn outside<const PARTS: usize>(counts: &Parts<PARTS>, without: Option<usize>) -> [u32; 3] {
    let others = (0..PARTS).filter(|other| Some(*other) != without);
    others.fold([0; 3], |sum, other| {
        std::array::from_fn(|label| sum[label] + counts[other][label])
    })
}

impl<const PARTS: usize> Counts<PARTS> {
    pub(crate) fn new() -> Self {
        Counts {
            words: HashMap::new(),
            rows: [[0; 3]; PARTS],
            totals: [[0; 3]; PARTS],
        }
    }

    /// Counts a row of this part.
    pub(crate) fn see(&mut self, words: &[u64], label: Label, part: usize) {
        let label = label.index();
        self.rows[part][label] += 1;
        self.totals[part][label] += words.len() as u32;
        for word in words {
            self.words.entry(*word).or_insert([[0; 3]; PARTS])[part][label] += 1;
        }
    }

    /// What a classifier knows that did not see this part.
    pub(crate) fn view(&self, without: Option<usize>) -> View {
        let seen = |counts: &&Parts<PARTS>| outside(counts, without) != [0; 3];
        View {
            without,
            known: self.words.values().filter(seen).count() as f64,
            rows: outside(&self.rows, without),
            totals: outside(&self.totals, without),
        }
    }

    /// For each label `ln (rows + 1) + Σ ln ((times the word was seen + 1) / (words seen + different words))` over
    /// the words that were seen: the log of the label's probability except for a term that all share.
    pub(crate) fn scores(&self, view: &View, words: &[u64]) -> [f64; 3] {
        let seen: Vec<[u32; 3]> = words
            .iter()
            .filter_map(|word| self.words.get(word))
            .map(|counts| outside(counts, view.without))
            .filter(|counts| *counts != [0; 3])
            .collect();
        std::array::from_fn(|l| {
            let all = f64::from(view.totals[l]) + view.known;
            let words = seen
                .iter()
                .map(|counts| (f64::from(counts[l] + 1) / all).ln());
            f64::from(view.rows[l] + 1).ln() + words.sum::<f64>()
        })
    }
}

/// The label of the highest score, the first of equals.
pub(crate) fn best(scores: [f64; 3]) -> Label {
    let better = |a: Label, b: Label| {
        if scores[b.index()] > scores[a.index()] {
            b
        } else {
            a
        }
    };
    Label::ALL.into_iter().fold(Label::Yes, better)
}

/// A trained classifier of questions by their words.
pub struct NaiveBayes {
    counts: Counts<1>,
    view: View,
}

impl NaiveBayes {
    /// Trained on these rows. On none it gives every label a third.
    pub fn train<'a>(items: impl IntoIterator<Item = &'a Item>) -> NaiveBayes {
        let mut counts = Counts::new();
        for item in items {
            counts.see(&words(&item.question), item.label, 0);
        }
        let view = counts.view(None);
        NaiveBayes { counts, view }
    }

    /// The label that the words of a question speak for, the first of equals, and the probability of each, in the
    /// order of [`Label::ALL`]. Words that training did not show say nothing.
    ///
    /// The probabilities take words as independent given the label, so they are surer than they should be.
    pub fn guess(&self, question: &str) -> (Label, [f64; 3]) {
        let scores = self.counts.scores(&self.view, &words(question));
        let most = scores.into_iter().fold(f64::MIN, f64::max);
        let parts = scores.map(|score| (score - most).exp());
        let sum: f64 = parts.iter().sum();
        (best(scores), parts.map(|part| part / sum))
    }
}

#[cfg(test)]
mod tests {
    use super::NaiveBayes;
    use crate::{Item, Label};

    fn item(question: &str, label: Label) -> Item {
        Item {
            id: question.into(),
            question: question.into(),
            label,
            rationale: String::new(),
            source: "jsonl".into(),
            group: question.into(),
            context: None,
        }
    }

    #[test]
    fn probabilities_are_those_counted_by_hand() {
        let seen = [
            item("Is aspirin safe?", Label::Yes),
            item("Is aspirin never safe?", Label::No),
            item("Is it safe, safe, SAFE?", Label::Yes),
        ];
        let bayes = NaiveBayes::train(&seen);
        // Words: is aspirin safe never it, 5. Yes has 2 rows of 3 words each, No one of 4, Uncertain none. A word
        // twice in a question counts once; "new" was never seen.
        let (label, p) = bayes.guess("never new");
        let (yes, no, uncertain) = (3.0 * 1.0 / 11.0, 2.0 * 2.0 / 9.0, 1.0 * 1.0 / 5.0);
        let sum = yes + no + uncertain;
        assert_eq!(label, Label::No);
        for (got, want) in p.into_iter().zip([yes / sum, no / sum, uncertain / sum]) {
            assert!((got - want).abs() < 1e-14, "{got} against {want}");
        }
    }

    #[test]
    fn who_saw_nothing_knows_nothing() {
        let (label, p) = NaiveBayes::train(&[]).guess("Does it help?");
        assert_eq!((label, p), (Label::Yes, [1.0 / 3.0; 3]));
    }
}
