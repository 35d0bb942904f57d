//! How many answers behave as they must when their question is put another way.

use serde::{Deserialize, Serialize};
use verdict_data::Label;

use super::variants::Must;
use crate::stats::resample::Resampling;
use crate::stats::scores::Share;

/// A question and another way to put it, with what was answered to both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// Name of the rule by which the variant was made.
    pub rule: String,
    /// What must become of the answer.
    pub must: Must,
    /// The right answer to the original.
    pub truth: Label,
    /// The answer to the original; none where no label could be read.
    pub original: Option<Label>,
    /// The answer to the variant; none where no label could be read.
    pub variant: Option<Label>,
    /// Variants of one question, and of questions of one group, are not independent.
    pub group: u32,
}

impl Pair {
    /// Both answers have a label, and the variant's is what must become of the original's.
    pub fn behaves(&self) -> bool {
        self.original
            .is_some_and(|label| self.variant == Some(self.must.of(label)))
    }
}

/// The figures of one rule, or of all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleConsistency {
    /// Name of the rule; `all` over all.
    pub rule: String,
    /// Pairs that behave as they must, of all pairs. Says nothing of right and wrong: a system that answers
    /// everything with `Yes` is wholly consistent under rules that keep the answer.
    pub consistent: Share,
    /// Pairs that do not behave, of those whose original was answered rightly: right answers that another wording
    /// turns wrong.
    pub lost: Share,
}

/// The figures by rule and over all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Consistency {
    /// One for each rule that has pairs, in the order of their first pairs.
    pub rules: Vec<RuleConsistency>,
    /// Rules that keep the answer, together; `kept`.
    pub kept: RuleConsistency,
    /// Rules that turn it round, together; `flipped`.
    pub flipped: RuleConsistency,
    /// Over all pairs; `all`.
    pub all: RuleConsistency,
}

impl Consistency {
    /// Counts pairs. The intervals are over groups: variants of one question are not independent.
    pub fn of(pairs: &[Pair], resampling: Resampling) -> Consistency {
        let mut names: Vec<&str> = Vec::new();
        for pair in pairs {
            if !names.contains(&pair.rule.as_str()) {
                names.push(&pair.rule);
            }
        }
        let count =
            |rule: &str, meant: &dyn Fn(&Pair) -> bool| count(rule, pairs, meant, resampling);
        let rules = names
            .iter()
            .map(|name| count(name, &|pair| pair.rule == *name));
        Consistency {
            rules: rules.collect(),
            kept: count("kept", &|pair| pair.must == Must::Same),
            flipped: count("flipped", &|pair| pair.must == Must::Flipped),
            all: count("all", &|_| true),
        }
    }
}

fn count(
    rule: &str,
    pairs: &[Pair],
    meant: &dyn Fn(&Pair) -> bool,
    resampling: Resampling,
) -> RuleConsistency {
    let meant: Vec<&Pair> = pairs.iter().filter(|pair| meant(pair)).collect();
    let behave: Vec<(bool, u32)> = meant
        .iter()
        .map(|pair| (pair.behaves(), pair.group))
        .collect();
    let lost: Vec<(bool, u32)> = meant
        .iter()
        .filter(|pair| pair.original == Some(pair.truth))
        .map(|pair| (!pair.behaves(), pair.group))
        .collect();
    RuleConsistency {
        rule: rule.to_owned(),
        consistent: Share::of(&behave, resampling),
        lost: Share::of(&lost, resampling),
    }
}

#[cfg(test)]
mod tests {
    use Label::{No, Uncertain, Yes};

    use super::*;
    use crate::metrics::Proportion;

    fn pair(rule: &str, must: Must, answers: (Option<Label>, Option<Label>)) -> Pair {
        Pair {
            rule: rule.to_owned(),
            must,
            truth: Yes,
            original: answers.0,
            variant: answers.1,
            group: 0,
        }
    }

    #[test]
    fn behaving_is_keeping_or_turning_round() {
        for (must, original, variant, behaves) in [
            (Must::Same, Some(Yes), Some(Yes), true),
            (Must::Same, Some(Yes), Some(No), false),
            (Must::Same, Some(Uncertain), Some(Uncertain), true),
            (Must::Flipped, Some(Yes), Some(No), true),
            (Must::Flipped, Some(No), Some(Yes), true),
            (Must::Flipped, Some(Yes), Some(Yes), false),
            (Must::Flipped, Some(Uncertain), Some(Uncertain), true),
            (Must::Flipped, Some(Uncertain), Some(No), false),
            (Must::Same, None, None, false),
            (Must::Same, Some(Yes), None, false),
        ] {
            let pair = pair("a", must, (original, variant));
            assert_eq!(pair.behaves(), behaves, "{pair:?}");
        }
    }

    #[test]
    fn figures_stand_by_rule_by_kind_and_over_all() {
        let pairs = [
            pair("case", Must::Same, (Some(Yes), Some(Yes))),
            pair("case", Must::Same, (Some(Yes), Some(No))),
            pair("case", Must::Same, (Some(No), Some(Yes))),
            pair("false", Must::Flipped, (Some(Yes), Some(No))),
            pair("false", Must::Flipped, (None, Some(No))),
        ];
        let found = Consistency::of(&pairs, Resampling::default());
        let figures = |of: &RuleConsistency| {
            let (c, l) = (of.consistent.rows, of.lost.rows);
            (of.rule.clone(), c.count, c.total, l.count, l.total)
        };
        assert_eq!(found.rules.len(), 2);
        assert_eq!(figures(&found.rules[0]), ("case".into(), 1, 3, 1, 2));
        assert_eq!(figures(&found.rules[1]), ("false".into(), 1, 2, 0, 1));
        assert_eq!(figures(&found.kept), ("kept".into(), 1, 3, 1, 2));
        assert_eq!(figures(&found.flipped), ("flipped".into(), 1, 2, 0, 1));
        assert_eq!(figures(&found.all), ("all".into(), 2, 5, 1, 3));
        assert_eq!(found.all.consistent.rows, Proportion::new(2, 5));
        // All five are variants of one question: nothing is known of other questions.
        let of = found.all.consistent.estimate();
        assert_eq!((of.low, of.high), (0.0, 1.0));
    }

    #[test]
    fn always_the_same_answer_is_consistent_until_it_must_turn_round() {
        let pairs = [
            pair("case", Must::Same, (Some(Yes), Some(Yes))),
            pair("false", Must::Flipped, (Some(Yes), Some(Yes))),
        ];
        let found = Consistency::of(&pairs, Resampling::default());
        assert_eq!(
            (
                found.kept.consistent.rows.value,
                found.flipped.consistent.rows.value
            ),
            (1.0, 0.0)
        );
    }
}
