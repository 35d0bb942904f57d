//! The questions of an evaluation asked otherwise, and what is told of the answers.

use std::collections::HashMap;

use verdict_data::{Item, Label, TwinRule};

use super::{Consistency, Must, Pair, variants};
use crate::judge::Benchmark;
use crate::run::Asked;
use crate::stats::resample::Resampling;

/// Name under which they are asked.
const NAME: &str = "robustness";
/// Seed of the generated ones: not that of the benchmark of held-out ones.
const SEED: u64 = 20_261_124;

/// Questions asked otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// What is asked besides the benchmarks.
    items: Vec<Item>,
    pairs: Vec<Change>,
    questions: usize,
}

/// One of them and its original.
#[derive(Clone, Debug, PartialEq)]
struct Change {
    rule: String,
    must: Must,
    truth: Label,
    original: Original,
    /// Its place in `items`.
    variant: usize,
    /// Number of its original's group.
    group: u32,
}

/// Where the original's answer is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Original {
    /// Among those of a benchmark: its number, and the item's.
    Benchmark(usize, usize),
    /// Among these.
    Here(usize),
}

impl Changed {
    /// Every variant of the first `questions` items of each benchmark, and twins of as many generated questions of
    /// held-out wordings and families.
    pub fn new(benchmarks: &[Benchmark], questions: usize) -> Changed {
        let mut changed = Changed {
            items: Vec::new(),
            pairs: Vec::new(),
            questions: 0,
        };
        let mut groups: HashMap<String, u32> = HashMap::new();
        let mut group = |item: &Item| {
            let next = groups.len() as u32;
            *groups.entry(item.group.clone()).or_insert(next)
        };
        for (number, benchmark) in benchmarks.iter().enumerate() {
            for (place, item) in benchmark.items.iter().take(questions).enumerate() {
                let all = variants(item);
                changed.questions += usize::from(!all.is_empty());
                for variant in all {
                    changed.pairs.push(Change {
                        rule: variant.rule.as_str().to_owned(),
                        must: variant.must,
                        truth: item.label,
                        original: Original::Benchmark(number, place),
                        variant: changed.items.len(),
                        group: group(item),
                    });
                    changed.items.push(variant.item);
                }
            }
        }
        let mut last: Option<(String, usize)> = None;
        for twin in verdict_data::stats_twins(questions, SEED, true) {
            let here = match &last {
                Some((id, place)) if *id == twin.original.id => *place,
                _ => {
                    let place = changed.items.len();
                    last = Some((twin.original.id.clone(), place));
                    changed.questions += 1;
                    changed.items.push(twin.original.clone());
                    place
                }
            };
            let (rule, must) = match twin.rule {
                TwinRule::OppositeClaim => ("stats: opposite claim", Must::Flipped),
                TwinRule::OtherWording => ("stats: other wording", Must::Same),
            };
            changed.pairs.push(Change {
                rule: rule.to_owned(),
                must,
                truth: twin.original.label,
                original: Original::Here(here),
                variant: changed.items.len(),
                group: group(&twin.original),
            });
            changed.items.push(twin.variant);
        }
        changed
    }

    /// What is to be asked.
    pub fn asked(&self) -> Asked<'_> {
        Asked {
            name: NAME,
            items: &self.items,
            written: 0,
        }
    }

    /// Questions of which at least one variant is asked.
    pub fn questions(&self) -> usize {
        self.questions
    }

    /// Variants.
    pub fn variants(&self) -> usize {
        self.pairs.len()
    }

    /// How one system behaves, from its labels to the items of each benchmark and to these.
    pub fn consistency(
        &self,
        benchmarks: &[&[Label]],
        here: &[Label],
        resampling: Resampling,
    ) -> Consistency {
        let pairs: Vec<Pair> = self
            .pairs
            .iter()
            .map(|change| Pair {
                rule: change.rule.clone(),
                must: change.must,
                truth: change.truth,
                original: Some(match change.original {
                    Original::Benchmark(number, place) => benchmarks[number][place],
                    Original::Here(place) => here[place],
                }),
                variant: Some(here[change.variant]),
                group: change.group,
            })
            .collect();
        Consistency::of(&pairs, resampling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_answers_by_the_words_keeps_and_who_knows_turns() {
        let benchmark = Benchmark {
            items: crate::challenge(),
            name: "challenge".into(),
            about: String::new(),
            trained_on: vec![false; 10],
            words: None,
            published: Vec::new(),
        };
        let changed = Changed::new(std::slice::from_ref(&benchmark), 10);
        assert!(changed.questions() > 10 && changed.variants() > 30);
        let truths = |items: &[Item]| items.iter().map(|item| item.label).collect::<Vec<_>>();
        let (own, here) = (truths(&benchmark.items), truths(changed.asked().items));
        let knows = changed.consistency(&[&own], &here, Resampling::default());
        assert_eq!(knows.all.consistent.rows.count, changed.variants());
        let always = |count: usize| vec![Label::Yes; count];
        let stuck = changed.consistency(
            &[&always(own.len())],
            &always(here.len()),
            Resampling::default(),
        );
        assert_eq!(stuck.kept.consistent.rows.value, 1.0);
        assert_eq!(stuck.flipped.consistent.rows.count, 0);
        assert_eq!(
            stuck.all.consistent.rows.total,
            stuck.kept.consistent.rows.total + stuck.flipped.consistent.rows.total
        );
    }
}
