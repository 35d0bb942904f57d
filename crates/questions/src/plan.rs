//! Which family and wording each row is of.

use crate::families::FAMILIES;
use crate::wording::{Family, Wording};

/// Turns of which one uses held-out wordings and one held-out families.
const TURNS: usize = 20;
/// Which turn of each `TURNS` uses held-out wordings: not the first, so that a small run still
/// trains.
const WORDINGS_TURN: usize = 7;
/// Which one uses held-out families.
const FAMILIES_TURN: usize = 14;
/// The level of a question with sentences that have no bearing.
const WITH_ASIDES: u8 = 3;

/// A wording, with or without sentences that have no bearing.
#[derive(Clone, Copy)]
pub(crate) struct Choice {
    pub(crate) family: &'static Family,
    pub(crate) wording: &'static Wording,
    pub(crate) asides: bool,
}

impl Choice {
    pub(crate) fn level(self) -> u8 {
        match self.asides {
            true => WITH_ASIDES,
            false => self.wording.level,
        }
    }

    pub(crate) fn held_out(self) -> bool {
        self.family.held_out || self.wording.held_out
    }
}

/// What the rows of one family, in training or held out, are drawn from; plain ones twice as often
/// as those with asides.
pub(crate) fn choices(family: &'static Family, held_out: bool, levels: &[u8]) -> Vec<Choice> {
    let of = |wording| {
        [false, false, true].map(|asides| Choice {
            family,
            wording,
            asides,
        })
    };
    let all = family.wordings.iter().flat_map(of);
    let wanted = |choice: &Choice| {
        choice.held_out() == held_out && (levels.is_empty() || levels.contains(&choice.level()))
    };
    all.filter(wanted).collect()
}

/// The choices of each family that has any at these levels.
pub(crate) struct Plan {
    pub(crate) trained: Vec<Vec<Choice>>,
    /// Held-out wordings of the trained families.
    pub(crate) wordings: Vec<Vec<Choice>>,
    /// Held-out families.
    pub(crate) families: Vec<Vec<Choice>>,
}

impl Plan {
    pub(crate) fn new(levels: &[u8]) -> Plan {
        let of = |whole: bool, held_out: bool| -> Vec<Vec<Choice>> {
            let families = FAMILIES.iter().filter(|family| family.held_out == whole);
            families
                .map(|family| choices(family, held_out, levels))
                .filter(|choices| !choices.is_empty())
                .collect()
        };
        Plan {
            trained: of(false, false),
            wordings: of(false, true),
            families: of(true, true),
        }
    }

    /// The choices of row `row`. Held-out ones take turns where there are fewer of them than trained
    /// families, each with all three labels.
    pub(crate) fn choices(&self, row: usize) -> &[Choice] {
        let (place, turn) = (row / 3 % self.trained.len(), row / 3 / self.trained.len());
        let nth = turn / TURNS * self.trained.len() + place;
        match turn % TURNS {
            WORDINGS_TURN => &self.wordings[nth % self.wordings.len()],
            FAMILIES_TURN => &self.families[nth % self.families.len()],
            _ => &self.trained[place],
        }
    }
}
