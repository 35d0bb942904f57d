//! Variants of the published questions: every rule finds questions, and what is made keeps what the rule promises.
//! Whether it is sound English was read, not computed: see `robustness/variants.rs`. Skipped where the files are not
//! there.

mod real;

use std::collections::{BTreeMap, HashSet};

use verdict_eval::robustness::{Must, Rule, variants};

#[test]
fn every_rule_finds_published_questions_and_keeps_its_promise() {
    let Some(items) = real::items("every_rule_finds_published_questions_and_keeps_its_promise")
    else {
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
            assert_eq!(made.label, variant.must.of(item.label), "{}", made.id);
            // A rule that turns the answer round leaves the question's own words standing.
            if variant.must == Must::Flipped && variant.rule == Rule::IsTheAnswerNo {
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
    real::told(&format!(
        "variants of {} questions: {counts:?}",
        items.len()
    ));
    for rule in Rule::ALL {
        assert!(counts.contains_key(&rule), "{rule:?} finds no question");
    }
    // Answers that must turn round are as many as a comparison needs: half of a point of the share is one in 200.
    let flipped: usize = counts
        .iter()
        .filter(|(rule, _)| rule.must() == Must::Flipped)
        .map(|(_, count)| count)
        .sum();
    assert!(flipped >= 1000, "{flipped}");
}
