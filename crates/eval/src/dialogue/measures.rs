//! What is counted in dialogues.

use serde::{Deserialize, Serialize};
use verdict_data::Label;

use super::turns::{Dialogue, FollowUp};
use crate::stats::bootstrap::Resampling;
use crate::stats::scores::Share;

/// What is counted, at most once in a dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// The first answer is right.
    FirstAnswer,
    /// The label after "Why?" is that before it, right or wrong.
    KeptAfterWhy,
    /// The label after an irrelevant fact is that before it, right or wrong.
    KeptAfterIrrelevantFact,
    /// The answers before and after an irrelevant fact are right.
    RightNonChange,
    /// The answers before and after a changing fact are right; so the label has changed.
    RightChange,
    /// The answers before and after the return to the first facts are right; so the label has changed back.
    RightReturn,
    /// All three answers are right.
    AllRight,
}

impl Measure {
    /// All of them, in the order of tables.
    pub const ALL: [Measure; 7] = [
        Measure::FirstAnswer,
        Measure::KeptAfterWhy,
        Measure::KeptAfterIrrelevantFact,
        Measure::RightNonChange,
        Measure::RightChange,
        Measure::RightReturn,
        Measure::AllRight,
    ];

    /// The name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Measure::FirstAnswer => "first answer right",
            Measure::KeptAfterWhy => "label kept after Why?",
            Measure::KeptAfterIrrelevantFact => "label kept, irrelevant fact",
            Measure::RightNonChange => "right non-change",
            Measure::RightChange => "right change",
            Measure::RightReturn => "right return",
            Measure::AllRight => "all three turns right",
        }
    }

    /// The expected share of a model that draws each answer anew from the three labels: 1/3 for one comparison, 1/9 for
    /// two right answers, 1/27 for three.
    pub fn chance(self) -> f64 {
        let answers = match self {
            Measure::FirstAnswer | Measure::KeptAfterWhy | Measure::KeptAfterIrrelevantFact => 1,
            Measure::RightNonChange | Measure::RightChange | Measure::RightReturn => 2,
            Measure::AllRight => 3,
        };
        3.0_f64.powi(-answers)
    }

    /// Whether a dialogue with these labels counts; none where it has no such turn.
    pub fn of(self, dialogue: &Dialogue, labels: [Label; 3]) -> Option<bool> {
        let right = |turn: usize| labels[turn] == dialogue.turns[turn].label;
        let kept = |follow_up| {
            let turn = dialogue.turn_of(follow_up)?;
            Some(labels[turn] == labels[turn - 1])
        };
        let both = |follow_up| {
            let turn = dialogue.turn_of(follow_up)?;
            Some(right(turn - 1) && right(turn))
        };
        match self {
            Measure::FirstAnswer => Some(right(0)),
            Measure::KeptAfterWhy => kept(FollowUp::Why),
            Measure::KeptAfterIrrelevantFact => kept(FollowUp::IrrelevantFact),
            Measure::RightNonChange => both(FollowUp::IrrelevantFact),
            Measure::RightChange => both(FollowUp::ChangingFact),
            Measure::RightReturn => both(FollowUp::FirstFacts),
            Measure::AllRight => Some((0..3).all(right)),
        }
    }
}

/// How often something is the case.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeasureScore {
    /// What is counted.
    pub measure: Measure,
    /// Its share with Wilson's interval and, where groups have several dialogues, an interval over groups.
    pub share: Share,
    /// The share expected by chance; see [`Measure::chance`].
    pub chance: f64,
}

/// The scores of one model on dialogues, each with its labels and the number of its group. Measures that occur in none
/// are left out.
pub fn measure_scores(
    held: &[(&Dialogue, [Label; 3], u32)],
    resampling: Resampling,
) -> Vec<MeasureScore> {
    let score = |measure: Measure| {
        let rows: Vec<(bool, u32)> = held
            .iter()
            .filter_map(|(dialogue, labels, group)| Some((measure.of(dialogue, *labels)?, *group)))
            .collect();
        (!rows.is_empty()).then(|| MeasureScore {
            measure,
            share: Share::of(&rows, resampling),
            chance: measure.chance(),
        })
    };
    Measure::ALL.into_iter().filter_map(score).collect()
}

#[cfg(test)]
mod tests {
    use Label::{No, Uncertain, Yes};

    use super::*;
    use crate::dialogue::dialogues;

    fn scores(answer: impl Fn(&Dialogue) -> [Label; 3]) -> Vec<(Measure, usize, usize)> {
        let made = dialogues(&[], 30);
        let held: Vec<_> = made
            .iter()
            .zip(0..)
            .map(|(one, group)| (one, answer(one), group))
            .collect();
        measure_scores(&held, Resampling::default())
            .iter()
            .map(|of| (of.measure, of.share.rows.count, of.share.rows.total))
            .collect()
    }

    #[test]
    fn right_answers_score_everything_and_constant_ones_no_change() {
        let truths = |one: &Dialogue| [0, 1, 2].map(|turn| one.turns[turn].label);
        let totals = [30, 12, 12, 12, 30, 6, 30];
        for ((_, count, total), expected) in scores(truths).into_iter().zip(totals) {
            assert_eq!((count, total), (expected, expected));
        }
        // Right at first, and then never another label.
        let constant = scores(|one| [one.turns[0].label; 3]);
        let counts = constant.iter().map(|(_, count, _)| *count);
        assert_eq!(counts.collect::<Vec<_>>(), [30, 12, 12, 6, 0, 0, 0]);
    }

    #[test]
    fn a_kept_label_need_not_be_right_and_a_right_change_needs_both_answers() {
        let mut one = dialogues(&[], 1).remove(0);
        for (turn, label) in one.turns.iter_mut().zip([Yes, Yes, No]) {
            turn.label = label;
        }
        assert_eq!(one.kind(), "Why?, then changing fact");
        let of = |measure: Measure, labels| measure.of(&one, labels);
        assert_eq!(of(Measure::KeptAfterWhy, [No, No, No]), Some(true));
        assert_eq!(of(Measure::KeptAfterWhy, [Yes, Uncertain, No]), Some(false));
        assert_eq!(of(Measure::RightChange, [Yes, No, No]), Some(false));
        assert_eq!(of(Measure::RightChange, [No, Yes, No]), Some(true));
        assert_eq!(of(Measure::AllRight, [No, Yes, No]), Some(false));
        assert_eq!(of(Measure::AllRight, [Yes, Yes, No]), Some(true));
        assert_eq!(of(Measure::RightReturn, [Yes, Yes, No]), None);
    }

    #[test]
    fn chance_is_the_share_of_a_model_that_guesses_anew() {
        let made = dialogues(&[], 45);
        for measure in Measure::ALL {
            let (mut count, mut total) = (0.0, 0.0);
            for one in &made {
                for guess in 0..27 {
                    let labels = [guess / 9, guess / 3 % 3, guess % 3].map(|of| Label::ALL[of]);
                    if let Some(counts) = measure.of(one, labels) {
                        count += f64::from(u8::from(counts));
                        total += 1.0;
                    }
                }
            }
            assert!(
                (count / total - measure.chance()).abs() < 1e-12,
                "{measure:?}"
            );
        }
    }
}
