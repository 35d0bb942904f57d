//! Which family and wording each row is of.

use crate::families::FAMILIES;
use crate::wording::{Family, Wording};

/// The period of the plan, in turns: one turn of it uses held-out wordings, one held-out families.
const TURNS: usize = 20;
/// The turn that uses held-out wordings. Not the first, so that a small run still has training rows.
const WORDINGS_TURN: usize = 7;
/// The turn that uses held-out families.
const FAMILIES_TURN: usize = 14;
/// The level of a question with irrelevant sentences.
const WITH_DISTRACTORS: u8 = 3;

/// A wording, with or without irrelevant sentences.
#[derive(Clone, Copy)]
pub(crate) struct QuestionForm {
    pub(crate) family: &'static Family,
    pub(crate) wording: &'static Wording,
    pub(crate) distractors: bool,
}

impl QuestionForm {
    pub(crate) fn level(self) -> u8 {
        match self.distractors {
            true => WITH_DISTRACTORS,
            false => self.wording.level,
        }
    }

    pub(crate) fn held_out(self) -> bool {
        self.family.held_out || self.wording.held_out
    }
}

/// The forms of one family at these levels (all, when the list is empty), in training or held out. Each wording is
/// listed twice without distractors and once with them, which are their frequencies.
pub(crate) fn forms(family: &'static Family, held_out: bool, levels: &[u8]) -> Vec<QuestionForm> {
    let of = |wording| {
        [false, false, true].map(|distractors| QuestionForm {
            family,
            wording,
            distractors,
        })
    };
    let all = family.wordings.iter().flat_map(of);
    let wanted = |form: &QuestionForm| {
        form.held_out() == held_out && (levels.is_empty() || levels.contains(&form.level()))
    };
    all.filter(wanted).collect()
}

/// The forms of each family that has any at the requested levels, and which row has which.
pub(crate) struct RowPlan {
    pub(crate) trained: Vec<Vec<QuestionForm>>,
    /// Held-out wordings of the trained families.
    pub(crate) wordings: Vec<Vec<QuestionForm>>,
    /// Held-out families.
    pub(crate) families: Vec<Vec<QuestionForm>>,
}

impl RowPlan {
    pub(crate) fn new(levels: &[u8]) -> RowPlan {
        let of = |whole: bool, held_out: bool| -> Vec<Vec<QuestionForm>> {
            let families = FAMILIES.iter().filter(|family| family.held_out == whole);
            families
                .map(|family| forms(family, held_out, levels))
                .filter(|forms| !forms.is_empty())
                .collect()
        };
        RowPlan {
            trained: of(false, false),
            wordings: of(false, true),
            families: of(true, true),
        }
    }

    /// The forms of row `row`. Where there are fewer held-out families than trained ones, they repeat, each with all
    /// three answers.
    pub(crate) fn forms(&self, row: usize) -> &[QuestionForm] {
        let (place, turn) = (row / 3 % self.trained.len(), row / 3 / self.trained.len());
        let nth = turn / TURNS * self.trained.len() + place;
        match turn % TURNS {
            WORDINGS_TURN => &self.wordings[nth % self.wordings.len()],
            FAMILIES_TURN => &self.families[nth % self.families.len()],
            _ => &self.trained[place],
        }
    }
}
