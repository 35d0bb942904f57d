//! The variants that an evaluation uses, and the consistency of the answers to them.

use std::collections::HashMap;

use verdict_data::{Item, Label, TwinRule};

use super::{Consistency, Expected, VariantAnswers, variants};
use crate::benchmark::Benchmark;
use crate::collect::EvaluationRequest;
use crate::stats::bootstrap::Resampling;

/// Name of the request.
const NAME: &str = "robustness";
/// Seed of generated questions; another one than that of the held-out benchmark.
const SEED: u64 = 20_261_124;

/// Variants of benchmark questions and of generated questions.
#[derive(Clone, Debug, PartialEq)]
pub struct VariantQuestions {
    /// The questions to answer besides those of the benchmarks.
    items: Vec<Item>,
    pairs: Vec<VariantPair>,
    questions: usize,
}

/// A variant and its original.
#[derive(Clone, Debug, PartialEq)]
struct VariantPair {
    rule: String,
    expected: Expected,
    truth: Label,
    original: Original,
    /// Index of the variant in `items`.
    variant: usize,
    /// Number of the original's group.
    group: u32,
}

/// Where the answer to the original is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Original {
    /// Among those of a benchmark: numbers of benchmark and question.
    Benchmark(usize, usize),
    /// Among the answers to `items`.
    Here(usize),
}

impl VariantQuestions {
    /// All variants of the first `questions` questions of each benchmark, and twins of as many generated questions of
    /// held-out wordings and families.
    pub fn new(benchmarks: &[Benchmark], questions: usize) -> VariantQuestions {
        let mut all = VariantQuestions {
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
                let made = variants(item);
                all.questions += usize::from(!made.is_empty());
                for variant in made {
                    all.pairs.push(VariantPair {
                        rule: variant.rule.as_str().to_owned(),
                        expected: variant.expected,
                        truth: item.label,
                        original: Original::Benchmark(number, place),
                        variant: all.items.len(),
                        group: group(item),
                    });
                    all.items.push(variant.item);
                }
            }
        }
        let mut last: Option<(String, usize)> = None;
        for twin in verdict_data::stats_twins(questions, SEED, true) {
            let here = match &last {
                Some((id, place)) if *id == twin.original.id => *place,
                _ => {
                    let place = all.items.len();
                    last = Some((twin.original.id.clone(), place));
                    all.questions += 1;
                    all.items.push(twin.original.clone());
                    place
                }
            };
            let rule = match twin.rule {
                TwinRule::OppositeClaim => "stats: opposite claim",
                TwinRule::OtherWording => "stats: other wording",
            };
            all.pairs.push(VariantPair {
                rule: rule.to_owned(),
                expected: twin.rule.into(),
                truth: twin.original.label,
                original: Original::Here(here),
                variant: all.items.len(),
                group: group(&twin.original),
            });
            all.items.push(twin.variant);
        }
        all
    }

    /// The request for their answers.
    pub fn request(&self) -> EvaluationRequest<'_> {
        EvaluationRequest {
            name: NAME,
            items: &self.items,
            written: 0,
        }
    }

    /// Number of originals.
    pub fn questions(&self) -> usize {
        self.questions
    }

    /// Number of variants.
    pub fn variants(&self) -> usize {
        self.pairs.len()
    }

    /// The consistency of one model, from its labels for the questions of each benchmark and for these.
    pub fn consistency(
        &self,
        benchmarks: &[&[Label]],
        here: &[Label],
        resampling: Resampling,
    ) -> Consistency {
        let pairs: Vec<VariantAnswers> = self
            .pairs
            .iter()
            .map(|pair| VariantAnswers {
                rule: pair.rule.clone(),
                expected: pair.expected,
                truth: pair.truth,
                original: Some(match pair.original {
                    Original::Benchmark(number, place) => benchmarks[number][place],
                    Original::Here(place) => here[place],
                }),
                variant: Some(here[pair.variant]),
                group: pair.group,
            })
            .collect();
        Consistency::of(&pairs, resampling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_answer_is_consistent_on_paraphrases_alone() {
        let benchmark = Benchmark {
            items: crate::challenge(),
            name: "challenge".into(),
            about: String::new(),
            contaminated: vec![false; 10],
            ..Benchmark::default()
        };
        let variants = VariantQuestions::new(std::slice::from_ref(&benchmark), 10);
        assert!(variants.questions() > 10 && variants.variants() > 30);
        let truths = |items: &[Item]| items.iter().map(|item| item.label).collect::<Vec<_>>();
        let (own, here) = (truths(&benchmark.items), truths(variants.request().items));
        let right = variants.consistency(&[&own], &here, Resampling::default());
        assert_eq!(right.all.consistent.rows.count, variants.variants());
        let always = |count: usize| vec![Label::Yes; count];
        let constant = variants.consistency(
            &[&always(own.len())],
            &always(here.len()),
            Resampling::default(),
        );
        assert_eq!(constant.paraphrased.consistent.rows.value, 1.0);
        assert_eq!(constant.negated.consistent.rows.count, 0);
        assert_eq!(
            constant.all.consistent.rows.total,
            constant.paraphrased.consistent.rows.total + constant.negated.consistent.rows.total
        );
    }
}
