//! Consistency: how many answers change as expected when their question is paraphrased or negated.

use serde::{Deserialize, Serialize};
use verdict_data::Label;

use super::variants::Expected;
use crate::stats::bootstrap::Resampling;
use crate::stats::scores::Share;

/// The answers to a question and to a variant of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariantAnswers {
    /// Name of the variant's rule.
    pub rule: String,
    /// The expected change of the answer.
    pub expected: Expected,
    /// The true label of the original.
    pub truth: Label,
    /// The answer to the original; none where it has no label.
    pub original: Option<Label>,
    /// The answer to the variant; none where it has no label.
    pub variant: Option<Label>,
    /// Number of the group: variants of one question, and of questions of one group, are not independent.
    pub group: u32,
}

impl VariantAnswers {
    /// Whether both answers have a label, and that of the variant is the expected one.
    pub fn is_consistent(&self) -> bool {
        self.original
            .is_some_and(|label| self.variant == Some(self.expected.of(label)))
    }
}

/// The consistency under one rule, or under several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleConsistency {
    /// Name of the rule; `kept` for paraphrases, `flipped` for negations, `all` for all.
    pub rule: String,
    /// Consistent pairs. Independent of accuracy: a model that always answers `Yes` is consistent on all paraphrases.
    pub consistent: Share,
    /// Inconsistent pairs among those whose original was answered right: right answers that a variant turns wrong.
    pub lost: Share,
}

/// Consistency by rule and in total.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Consistency {
    /// One for each rule with pairs, in the order of their first pairs.
    pub rules: Vec<RuleConsistency>,
    /// All paraphrases; `kept`.
    #[serde(rename = "kept")]
    pub paraphrased: RuleConsistency,
    /// All negations; `flipped`.
    #[serde(rename = "flipped")]
    pub negated: RuleConsistency,
    /// All variants; `all`.
    pub all: RuleConsistency,
}

impl Consistency {
    /// Counts pairs. Intervals are over groups, because variants of one question are not independent.
    pub fn of(pairs: &[VariantAnswers], resampling: Resampling) -> Consistency {
        let mut names: Vec<&str> = Vec::new();
        for pair in pairs {
            if !names.contains(&pair.rule.as_str()) {
                names.push(&pair.rule);
            }
        }
        let count = |rule: &str, meant: &dyn Fn(&VariantAnswers) -> bool| {
            count(rule, pairs, meant, resampling)
        };
        let rules = names
            .iter()
            .map(|name| count(name, &|pair| pair.rule == *name));
        Consistency {
            rules: rules.collect(),
            paraphrased: count("kept", &|pair| pair.expected == Expected::Same),
            negated: count("flipped", &|pair| pair.expected == Expected::Flipped),
            all: count("all", &|_| true),
        }
    }
}

fn count(
    rule: &str,
    pairs: &[VariantAnswers],
    meant: &dyn Fn(&VariantAnswers) -> bool,
    resampling: Resampling,
) -> RuleConsistency {
    let meant: Vec<&VariantAnswers> = pairs.iter().filter(|pair| meant(pair)).collect();
    let consistent: Vec<(bool, u32)> = meant
        .iter()
        .map(|pair| (pair.is_consistent(), pair.group))
        .collect();
    let lost: Vec<(bool, u32)> = meant
        .iter()
        .filter(|pair| pair.original == Some(pair.truth))
        .map(|pair| (!pair.is_consistent(), pair.group))
        .collect();
    RuleConsistency {
        rule: rule.to_owned(),
        consistent: Share::of(&consistent, resampling),
        lost: Share::of(&lost, resampling),
    }
}

#[cfg(test)]
mod tests {
    use Label::{No, Uncertain, Yes};

    use super::*;
    use crate::metrics::Proportion;

    fn pair(
        rule: &str,
        expected: Expected,
        answers: (Option<Label>, Option<Label>),
    ) -> VariantAnswers {
        VariantAnswers {
            rule: rule.to_owned(),
            expected,
            truth: Yes,
            original: answers.0,
            variant: answers.1,
            group: 0,
        }
    }

    #[test]
    fn consistent_answers_stay_or_swap_as_expected() {
        for (expected, original, variant, consistent) in [
            (Expected::Same, Some(Yes), Some(Yes), true),
            (Expected::Same, Some(Yes), Some(No), false),
            (Expected::Same, Some(Uncertain), Some(Uncertain), true),
            (Expected::Flipped, Some(Yes), Some(No), true),
            (Expected::Flipped, Some(No), Some(Yes), true),
            (Expected::Flipped, Some(Yes), Some(Yes), false),
            (Expected::Flipped, Some(Uncertain), Some(Uncertain), true),
            (Expected::Flipped, Some(Uncertain), Some(No), false),
            (Expected::Same, None, None, false),
            (Expected::Same, Some(Yes), None, false),
        ] {
            let pair = pair("a", expected, (original, variant));
            assert_eq!(pair.is_consistent(), consistent, "{pair:?}");
        }
    }

    #[test]
    fn consistency_is_counted_by_rule_by_kind_and_in_total() {
        let pairs = [
            pair("case", Expected::Same, (Some(Yes), Some(Yes))),
            pair("case", Expected::Same, (Some(Yes), Some(No))),
            pair("case", Expected::Same, (Some(No), Some(Yes))),
            pair("false", Expected::Flipped, (Some(Yes), Some(No))),
            pair("false", Expected::Flipped, (None, Some(No))),
        ];
        let found = Consistency::of(&pairs, Resampling::default());
        let figures = |of: &RuleConsistency| {
            let (c, l) = (of.consistent.rows, of.lost.rows);
            (of.rule.clone(), c.count, c.total, l.count, l.total)
        };
        assert_eq!(found.rules.len(), 2);
        assert_eq!(figures(&found.rules[0]), ("case".into(), 1, 3, 1, 2));
        assert_eq!(figures(&found.rules[1]), ("false".into(), 1, 2, 0, 1));
        assert_eq!(figures(&found.paraphrased), ("kept".into(), 1, 3, 1, 2));
        assert_eq!(figures(&found.negated), ("flipped".into(), 1, 2, 0, 1));
        assert_eq!(figures(&found.all), ("all".into(), 2, 5, 1, 3));
        assert_eq!(found.all.consistent.rows, Proportion::new(2, 5));
        // All five are variants of one question, which says nothing about other questions.
        let of = found.all.consistent.estimate();
        assert_eq!((of.low, of.high), (0.0, 1.0));
    }

    #[test]
    fn a_constant_answer_is_consistent_until_a_negation() {
        let pairs = [
            pair("case", Expected::Same, (Some(Yes), Some(Yes))),
            pair("false", Expected::Flipped, (Some(Yes), Some(Yes))),
        ];
        let found = Consistency::of(&pairs, Resampling::default());
        assert_eq!(
            (
                found.paraphrased.consistent.rows.value,
                found.negated.consistent.rows.value
            ),
            (1.0, 0.0)
        );
    }
}
