//! What a card counts of the rows kept, and which of them it shows: gathered while rows are written, or from a
//! finished folder.

use std::collections::{BTreeMap, HashSet};

use crate::manifest::{LabelCounts, Lengths, MeshRecord, label_counts};
use crate::mesh::{BRANCHES, MeshTree};
use crate::text::words;
use crate::{DataSet, Item, Split};

/// Examples of each source and class.
const EXAMPLES: usize = 2;
/// Bars of a histogram, the last of which holds all longer ones.
const BARS: usize = 16;
/// How many words a bar may span.
const WIDTHS: [usize; 11] = [1, 2, 3, 4, 5, 10, 20, 25, 50, 100, 200];

/// Words of question, rationale and context, where it has them.
pub(crate) type Words = [Option<usize>; 3];

/// How long a row's texts are.
pub(crate) fn measure(item: &Item) -> Words {
    let context = item.context.as_deref();
    [Some(&*item.question), Some(&*item.rationale), context].map(|text| text.map(words))
}

/// Counts so far.
#[derive(Default)]
pub(crate) struct Census {
    by_source: BTreeMap<String, BTreeMap<Split, LabelCounts>>,
    /// Rows of each number of words: of questions, rationales and contexts.
    lengths: [Vec<usize>; 3],
    /// The first rows of each source and class of the train split.
    examples: Vec<Item>,
    mesh_rows: usize,
    branches: [usize; BRANCHES.len()],
    unlisted: HashSet<String>,
}

impl Census {
    /// Of a finished set, as far as its examples show.
    pub(crate) fn of(set: &DataSet) -> Census {
        let mut census = Census::default();
        for split in Split::ALL {
            set.split(split)
                .iter()
                .for_each(|item| census.see(split, item, measure(item)));
        }
        census
    }

    /// A row that is kept, of so many words.
    pub(crate) fn see(&mut self, split: Split, item: &Item, words: Words) {
        let sources = &mut self.by_source;
        if !sources.contains_key(&item.source) {
            sources.insert(item.source.clone(), BTreeMap::new());
        }
        if let Some(splits) = sources.get_mut(&item.source) {
            let labels = splits.entry(split).or_insert_with(|| label_counts([]));
            *labels.entry(item.label).or_default() += 1;
            // Of the train split only: the others are not to be looked at.
            if split == Split::Train && labels[&item.label] <= EXAMPLES {
                self.examples.push(item.clone());
            }
        }
        for (lengths, words) in self.lengths.iter_mut().zip(words) {
            let Some(words) = words else { continue };
            if lengths.len() <= words {
                lengths.resize(words + 1, 0);
            }
            lengths[words] += 1;
        }
    }

    /// Its MeSH headings, each with its hash.
    pub(crate) fn see_mesh(&mut self, headings: &[(u64, String)], tree: Option<&MeshTree>) {
        self.mesh_rows += usize::from(!headings.is_empty());
        let Some(tree) = tree else { return };
        let mut all = 0;
        for (_, heading) in headings {
            match tree.bits(heading) {
                Some(bits) => all |= bits,
                None if self.unlisted.contains(heading) => {}
                None => drop(self.unlisted.insert(heading.clone())),
            }
        }
        for (bit, rows) in self.branches.iter_mut().enumerate() {
            *rows += usize::from(all >> bit & 1 == 1);
        }
    }

    /// The examples, in the order of the training set.
    pub(crate) fn take_examples(&mut self) -> Vec<Item> {
        std::mem::take(&mut self.examples)
    }

    /// Rows by source, split and label.
    pub(crate) fn by_source(&self) -> BTreeMap<String, BTreeMap<Split, LabelCounts>> {
        self.by_source.clone()
    }

    /// Lengths of each field that occurs.
    pub(crate) fn lengths(&self) -> BTreeMap<String, Lengths> {
        let names = ["question", "rationale", "context"];
        let named = names.into_iter().zip(&self.lengths);
        named
            .filter_map(|(name, rows)| Some((name.to_owned(), lengths(rows)?)))
            .collect()
    }

    /// What is known of MeSH headings; none where there are none.
    pub(crate) fn mesh(&self, distinct: usize, tree: Option<&MeshTree>) -> Option<MeshRecord> {
        let counted = BRANCHES.iter().zip(self.branches);
        let branches = counted.map(|((letter, _), rows)| (letter.to_string(), rows));
        (self.mesh_rows > 0).then(|| MeshRecord {
            rows: self.mesh_rows,
            headings: distinct,
            tree: tree.map(|tree| tree.file().clone()),
            unlisted: self.unlisted.len(),
            branches: match tree {
                Some(_) => branches.collect(),
                None => BTreeMap::new(),
            },
        })
    }
}

/// Sums up how many rows have each number of words; none where there are no rows.
fn lengths(rows_of: &[usize]) -> Option<Lengths> {
    let rows: usize = rows_of.iter().sum();
    // The shortest length that so many rows do not exceed.
    let reaching = |share: usize| {
        let mut seen = 0;
        rows_of.iter().position(|rows| {
            seen += rows;
            seen >= share
        })
    };
    let at = |percent: usize| reaching((rows * percent).div_ceil(100).max(1)).unwrap_or(0);
    let longest = rows_of.len().checked_sub(1)?;
    let most = at(99) + 1;
    let fits = |width: &usize| width * BARS >= most;
    let width = WIDTHS
        .into_iter()
        .find(fits)
        .unwrap_or_else(|| most.div_ceil(BARS));
    let mut bars = vec![0; (longest / width + 1).min(BARS)];
    let last = bars.len() - 1;
    for (words, rows) in rows_of.iter().enumerate() {
        bars[(words / width).min(last)] += rows;
    }
    Some(Lengths {
        rows,
        words: rows_of
            .iter()
            .enumerate()
            .map(|(words, rows)| words * rows)
            .sum(),
        shortest: reaching(1)?,
        median: at(50),
        p95: at(95),
        longest,
        bar: width,
        bars,
    })
}

#[cfg(test)]
mod tests {
    use super::lengths;

    #[test]
    fn lengths_are_summed_up_by_rank() {
        // One row of each length from 1 to 100.
        let mut rows = vec![1; 101];
        rows[0] = 0;
        let found = lengths(&rows).expect("rows");
        assert_eq!((found.rows, found.words), (100, 5050));
        assert_eq!(
            (found.shortest, found.median, found.p95, found.longest),
            (1, 50, 95, 100)
        );
        assert_eq!((found.bar, found.bars.len()), (10, 11));
        assert_eq!(found.bars.iter().sum::<usize>(), 100);
        assert_eq!(found.bars[0], 9);
        assert_eq!(lengths(&[]), None);
    }

    #[test]
    fn one_long_text_does_not_flatten_the_others() {
        let mut rows = vec![0; 10_001];
        rows[8] = 500;
        rows[10_000] = 1;
        let found = lengths(&rows).expect("rows");
        assert_eq!((found.bar, found.bars.len()), (1, 16));
        assert_eq!((found.bars[8], found.bars[15]), (500, 1));
    }
}
