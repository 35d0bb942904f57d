//! Variants of published questions: every rule applies to some, and the variants have the promised properties. Whether they
//! are sound English was checked by reading, see `robustness/variants.rs`. Skipped without the files.

mod real;

use std::collections::{BTreeMap, HashSet};

use verdict_eval::robustness::{Expected, Rule, variants};

#[test]
fn every_rule_applies_to_published_questions() {
    let Some(items) = real::items("every_rule_applies_to_published_questions") else {
        return;
    };
    let mut counts: BTreeMap<Rule, usize> = BTreeMap::new();
    let mut ids = HashSet::new();
    for item in &items {
        for variant in variants(item) {
            *counts.entry(variant.rule).or_default() += 1;
            let made = &variant.item;
            assert!(ids.insert(made.id.clone()), "{} twice", made.id);
            assert_ne!(made.question, item.question, "{}", made.id);
            assert_eq!(made.label, variant.expected.of(item.label), "{}", made.id);
            // This negation keeps the words of the question.
            if variant.expected == Expected::Flipped && variant.rule == Rule::IsTheAnswerNo {
                assert!(made.question.ends_with(&item.question), "{}", made.question);
            }
            let marks = made.question.matches('?').count();
            let frame = usize::from(variant.rule == Rule::IsTheAnswerNo);
            let gone = usize::from(variant.rule == Rule::NoQuestionMark);
            assert_eq!(
                marks + gone,
                item.question.matches('?').count() + frame,
                "{}",
                made.question
            );
        }
    }
    real::print(&format!(
        "variants of {} questions: {counts:?}",
        items.len()
    ));
    for rule in Rule::ALL {
        assert!(counts.contains_key(&rule), "{rule:?} finds no question");
    }
    // Enough negations for a comparison.
    let flipped: usize = counts
        .iter()
        .filter(|(rule, _)| rule.expected() == Expected::Flipped)
        .map(|(_, count)| count)
        .sum();
    assert!(flipped >= 1000, "{flipped}");
}
