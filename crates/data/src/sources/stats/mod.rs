//! Generated questions on reading study results. Labels and rationales are computed from the
//! printed numbers, never written by hand.
//!
//! # What the labels mean
//! A question puts a claim; its wording says which of two things it asks, and every wording can
//! have all three answers:
//!
//! - **Shown.** "Did the drug *significantly* reduce …", "was non-inferiority *shown*". The numbers
//!   either show it or they do not: a relative risk of 0.85 with a 95% interval from 0.69 to 1.05
//!   did not significantly reduce anything. Where no level of significance is stated, it is 5% and
//!   the interval a 95% one. The answer is Uncertain where a figure that decides is missing, unless
//!   what is printed settles the question alone: an upper limit of 0.93 shows a reduction whatever
//!   the lower limit is.
//! - **True.** "Does the drug reduce …", "is the probability above 50%". Yes where the whole interval
//!   (or range) speaks for it, No where the whole interval speaks against it, Uncertain where it
//!   holds both: the same 0.69 to 1.05 leaves open whether the drug works.
//!
//! # How rows are made
//! Row `i` has a label (`i % 3`) and a family, so that labels are balanced over the whole and in
//! each family. Numbers are drawn, printed, read back from the print, and the truth of the claim
//! computed from that; draws that do not give the wanted label, or whose numbers touch the boundary
//! after rounding, are thrown away. No question occurs twice, and the first rows of a longer run
//! are those of a shorter one.
//!
//! # Why the wording does not give the label away
//! - Each template holds a claim and its exact opposite, `[above|below]`, and a fair coin chooses
//!   one before any number is drawn. Yes and No so have the same words and numbers.
//! - A missing figure is "not reported", and where a wording can miss a figure that decides, one
//!   that does not (the number of centres, say) is "not reported" in its other questions.
//! - Sentences without bearing are drawn after, and apart from, the label.
//!
//! A test holds a bag-of-words classifier ([`Artefact`](crate::manifest::Artefact)) to 40 % right; chance is 33 %.
//!
//! # Levels of difficulty
//! 1. One comparison.
//! 2. One computed quantity, or two conditions.
//! 3. Several steps; or any wording with sentences that have no bearing put before or into it.
//!
//! The level is in the id, `stats:{family}/{wording}/{level}:{row:06}`.
//!
//! # What is held out
//! Of every [`TURNS`] turns (runs of rows that have each trained family with each label once) one
//! uses wordings that no training row has, and one uses whole families that no training row has:
//! prediction intervals (read like confidence intervals), false discovery (like Holm's procedure),
//! numbers of events (like sample sizes) and kappa (a share less what is due to chance, like I²).
//! Both, about one row in twenty each, are pinned to the test split.
//!
//! Rows of one wording are one group: what validation and test ask is asked in wordings that training does not have,
//! and intervals count wordings, not rows.

mod absolute_risk;
mod analysis_set;
mod baseline;
mod confounding;
mod correlation;
mod difference;
mod effect;
mod endpoints;
mod hazard;
mod heterogeneity;
mod interim;
mod kappa;
mod likelihood;
mod multiplicity;
mod nnt;
mod non_inferiority;
mod p_value;
mod precision;
mod predictive_value;
mod print;
mod random;
mod ratio;
#[cfg(test)]
mod rederive;
mod regression;
mod sample_size;
mod small_counts;
mod spare;
mod subgroup;
mod survival;
#[cfg(test)]
mod tests;
mod twins;
mod words;

use std::collections::HashSet;

use crate::{Label, RawItem, Split};

use print::fill;
use random::Random;
use spare::with_asides;

pub use twins::{Twin, TwinRule, stats_held_out, stats_twins};

/// One way to reason, asked in several wordings.
struct Family {
    name: &'static str,
    /// Whether all its rows are kept from training.
    held_out: bool,
    wordings: &'static [Wording],
}

/// One way to ask.
struct Wording {
    /// Name in the ids of its rows.
    name: &'static str,
    /// Whether its rows are kept from training.
    held_out: bool,
    /// Level of difficulty without sentences that have no bearing.
    level: u8,
    /// Draws numbers and computes the truth; none where a printed number touches the boundary.
    draw: fn(&mut Random) -> Option<Case>,
    /// The question: `{slots}`, `{Slot}` with a capital, and a claim as `[this|its opposite]`.
    template: &'static str,
}

/// One drawn situation.
#[derive(PartialEq)]
struct Case {
    /// Whether the template's first claim holds (false: its opposite does); none where that is open.
    truth: Option<bool>,
    slots: Slots,
    rationale: String,
}

/// What stands in a template's slots.
type Slots = Vec<(&'static str, String)>;

/// The slots of the named variables, after those of a scene where one stands before a semicolon.
macro_rules! slots {
    (@ $name:ident) => { $name.to_string() };
    (@ $name:ident $value:expr) => { $value.to_string() };
    ($scene:ident; $($rest:tt)*) => {{
        let mut all = $scene.slots();
        all.extend($crate::sources::stats::slots!($($rest)*));
        all
    }};
    ($($name:ident $(= $value:expr)?),* $(,)?) => {
        vec![$((
            stringify!($name),
            $crate::sources::stats::slots!(@ $name $($value)?),
        )),*]
    };
}
use slots;

const fn trained(
    name: &'static str,
    level: u8,
    draw: fn(&mut Random) -> Option<Case>,
    template: &'static str,
) -> Wording {
    Wording {
        name,
        held_out: false,
        level,
        draw,
        template,
    }
}

const fn held(
    name: &'static str,
    level: u8,
    draw: fn(&mut Random) -> Option<Case>,
    template: &'static str,
) -> Wording {
    Wording {
        name,
        held_out: true,
        level,
        draw,
        template,
    }
}

static FAMILIES: &[&Family] = &[
    &ratio::FAMILY,
    &difference::FAMILY,
    &p_value::FAMILY,
    &predictive_value::FAMILY,
    &likelihood::FAMILY,
    &nnt::FAMILY,
    &non_inferiority::NON_INFERIORITY,
    &non_inferiority::EQUIVALENCE,
    &sample_size::SAMPLE_SIZE,
    &multiplicity::MULTIPLICITY,
    &subgroup::FAMILY,
    &endpoints::SURROGATE,
    &endpoints::COMPOSITE,
    &hazard::HAZARD,
    &hazard::CROSSING,
    &survival::MEDIAN,
    &survival::LEAD_TIME,
    &regression::FAMILY,
    &correlation::FAMILY,
    &confounding::FAMILY,
    &analysis_set::ANALYSIS_SET,
    &analysis_set::ATTRITION,
    &heterogeneity::HETEROGENEITY,
    &absolute_risk::ABSOLUTE,
    &absolute_risk::ODDS,
    &baseline::FAMILY,
    &precision::FAMILY,
    &interim::FAMILY,
    &small_counts::EXPECTED,
    &small_counts::DENOMINATOR,
    &heterogeneity::PREDICTION,
    &multiplicity::FALSE_DISCOVERY,
    &sample_size::EVENTS,
    &kappa::FAMILY,
];

/// Turns of which one uses held-out wordings and one held-out families.
const TURNS: usize = 20;
/// Which turn of each `TURNS` uses held-out wordings: not the first, so that a small run still
/// trains.
const WORDINGS_TURN: usize = 7;
/// Which one uses held-out families.
const FAMILIES_TURN: usize = 14;
/// Name of the source, and what the ids of its rows begin with.
const SOURCE: &str = "stats";
/// The level of a question with sentences that have no bearing.
const WITH_ASIDES: u8 = 3;

/// A wording, with or without sentences that have no bearing.
#[derive(Clone, Copy)]
struct Choice {
    family: &'static Family,
    wording: &'static Wording,
    asides: bool,
}

impl Choice {
    fn level(self) -> u8 {
        match self.asides {
            true => WITH_ASIDES,
            false => self.wording.level,
        }
    }

    fn held_out(self) -> bool {
        self.family.held_out || self.wording.held_out
    }
}

/// What the rows of one family, in training or held out, are drawn from; plain ones twice as often
/// as those with asides.
fn choices(family: &'static Family, held_out: bool, levels: &[u8]) -> Vec<Choice> {
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
struct Plan {
    trained: Vec<Vec<Choice>>,
    /// Held-out wordings of the trained families.
    wordings: Vec<Vec<Choice>>,
    /// Held-out families.
    families: Vec<Vec<Choice>>,
}

impl Plan {
    fn new(levels: &[u8]) -> Plan {
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
    fn choices(&self, row: usize) -> &[Choice] {
        let (place, turn) = (row / 3 % self.trained.len(), row / 3 / self.trained.len());
        let nth = turn / TURNS * self.trained.len() + place;
        match turn % TURNS {
            WORDINGS_TURN => &self.wordings[nth % self.wordings.len()],
            FAMILIES_TURN => &self.families[nth % self.families.len()],
            _ => &self.trained[place],
        }
    }
}

/// `rows` different questions of the given levels (none given: of all) with their computed answers;
/// the same for the same seed.
pub(super) fn stats(rows: usize, seed: u64, levels: &[u8]) -> Vec<RawItem> {
    let plan = Plan::new(levels);
    let mut seen = HashSet::with_capacity(rows);
    (0..rows)
        .map(|row| {
            let random = Random::new(seed, row);
            generate(row, random, plan.choices(row), SOURCE, &mut seen)
        })
        .collect()
}

/// Row `row`, drawn from `random`; its id begins with `prefix`.
fn generate(
    row: usize,
    mut random: Random,
    choices: &[Choice],
    prefix: &str,
    seen: &mut HashSet<String>,
) -> RawItem {
    let label = Label::ALL[row % 3];
    let choice = random.pick(choices);
    let (family, wording) = (choice.family, choice.wording);
    // Whether the first claim is asked, or its opposite.
    let first = random.chance(0.5);
    let truth = wanted(label, first);
    // Ends: every wording draws each truth in at least one of some fifty cases (a test counts
    // them), and there are many more different questions than rows.
    loop {
        let Some(case) = (wording.draw)(&mut random) else {
            continue;
        };
        if case.truth != truth {
            continue;
        }
        let mut question = fill(wording.template, &case.slots, first);
        if choice.asides {
            question = with_asides(&mut random, &question);
        }
        if !seen.insert(question.clone()) {
            continue;
        }
        let level = choice.level();
        let name = format!("{prefix}:{}/{}/{level}:{row:06}", family.name, wording.name);
        return RawItem {
            id: name,
            question,
            label: Some(label),
            answer: case.rationale,
            source: SOURCE,
            group: vec![format!("{prefix}:{}/{}", family.name, wording.name)],
            context: None,
            split: choice.held_out().then_some(Split::Test),
            year: None,
            mesh: Vec::new(),
        };
    }
}

/// Whether the first claim holds of a case that gives this label where `first` says that it is the one asked.
fn wanted(label: Label, first: bool) -> Option<bool> {
    match label {
        Label::Yes => Some(first),
        Label::No => Some(!first),
        Label::Uncertain => None,
    }
}
