//! Which rows form a group, and which groups contain a protected question.

use super::group::Sets;
use super::store::{Store, StoredTexts, TextKind};
use crate::Result;
use crate::near::{PairVisitor, hash, visit_pairs};
use crate::protect::ProtectedQuestion;

/// Overlap of word pairs from which on two questions are the same except for a word or two.
pub(crate) const NEAR_QUESTIONS: f64 = 0.7;
/// The same of rationales, which are longer.
pub(crate) const NEAR_RATIONALES: f64 = 0.8;

/// Rows, tied.
pub(crate) struct Tied {
    /// For each row the number of its group's first row.
    pub(crate) group_of: Vec<u32>,
    /// Whether a benchmark's question is in the row's group.
    pub(crate) protected: Vec<bool>,
    /// Rows that only a near text ties to another row.
    pub(crate) near: usize,
    /// Pairs of unprotected rows, with their overlap.
    pub(crate) suspects: Vec<(u32, u32, f64)>,
}

/// Ties rows that share a key, or a nearly equal question or rationale, directly or through others. Rows that are
/// `gone` tie nothing; `sets` may have rows that are tied already.
pub(crate) fn tie(
    store: &mut Store,
    mut sets: Sets,
    gone: impl Fn(u32) -> bool + Sync,
    distinct: impl Fn(u32) -> bool,
    protected: &[&ProtectedQuestion],
) -> Result<Tied> {
    let rows = store.rows.len();
    let mut keys = store.take_keys();
    keys.retain(|(_, row)| !gone(*row));
    let others = protected.iter().zip(rows as u32..);
    keys.extend(
        others.flat_map(|(question, row)| question.keys.iter().map(move |key| (hash(&[key]), row))),
    );
    sets.join_equal(&mut keys);
    drop(keys);
    let by_keys = sets.roots();
    let store = &*store;
    let label = |row: u32| store.rows.get(row as usize).and_then(|row| row.label);
    let mut found = Joining {
        sets,
        gone: &gone,
        // Similar questions with different labels are reported, however they are tied.
        reported: &|a, b| matches!((label(a), label(b)), (Some(a), Some(b)) if a != b),
        suspects: Vec::new(),
    };
    let questions = StoredTexts {
        store,
        kind: TextKind::Question,
        others: protected
            .iter()
            .map(|question| &question.shingles)
            .collect(),
    };
    visit_pairs(&questions, NEAR_QUESTIONS, &mut found)?;
    let mut suspects = std::mem::take(&mut found.suspects);
    found.reported = &|_, _| false;
    let rationales = StoredTexts {
        store,
        kind: TextKind::Rationale,
        others: Vec::new(),
    };
    visit_pairs(&rationales, NEAR_RATIONALES, &mut found)?;
    let group_of = found.sets.roots();
    let mut asked = vec![false; group_of.len()];
    for group in &group_of[rows..] {
        asked[*group as usize] = true;
    }
    // A benchmark's question is numbered after the rows, so the first of a group that has both is a row.
    let protected: Vec<bool> = group_of[..rows]
        .iter()
        .map(|group| asked[*group as usize])
        .collect();
    // Protected rows are dropped; near rows share a group, so both are or neither.
    suspects.retain(|(a, b, _)| distinct(*a) && distinct(*b) && !protected[*b as usize]);
    suspects.sort_by_key(|(a, b, _)| (*a, *b));
    suspects.dedup_by_key(|(a, b, _)| (*a, *b));
    // A row that near texts move to another group is tied by them alone.
    let moved = |row: &u32| {
        let at = *row as usize;
        by_keys[at] == *row && group_of[at] != *row && distinct(*row)
    };
    Ok(Tied {
        near: (0..rows as u32).filter(moved).count(),
        protected,
        group_of: group_of[..rows].to_vec(),
        suspects,
    })
}

/// Joins near rows as they are found.
struct Joining<'a> {
    sets: Sets,
    gone: &'a (dyn Fn(u32) -> bool + Sync),
    reported: &'a (dyn Fn(u32, u32) -> bool + Sync),
    suspects: Vec<(u32, u32, f64)>,
}

impl PairVisitor for Joining<'_> {
    fn begin(&mut self) {
        self.sets.flatten();
    }

    fn wants(&self, (a, b): (u32, u32)) -> bool {
        // What an earlier band has tied need not be looked at again: copies share all bands.
        let news = !self.sets.together(a, b) || (self.reported)(a, b);
        news && !(self.gone)(a) && !(self.gone)(b)
    }

    fn found(&mut self, (a, b): (u32, u32), overlap: f64) {
        self.sets.join(a, b);
        if (self.reported)(a, b) {
            self.suspects.push((a, b, overlap));
        }
    }
}
