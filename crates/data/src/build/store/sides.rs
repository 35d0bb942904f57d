//! The texts of a store as the search for near pairs sees them.

use rayon::prelude::*;

use super::{BANDS_FILE, Piece, Store, TextKind, numbers};
use crate::near::{self, BANDS, Texts};
use crate::{Error, Result};

/// The texts of one kind, and behind the rows those of a benchmark.
pub(crate) struct StoredTexts<'a> {
    pub(crate) store: &'a Store,
    pub(crate) kind: TextKind,
    /// Texts that are no rows, numbered behind them.
    pub(crate) others: Vec<&'a near::Shingles>,
}

impl<'a> StoredTexts<'a> {
    fn of<'b>(&'b self, row: u32, page: &'b mut Vec<u32>) -> Result<&'b [u32]> {
        match (row as usize).checked_sub(self.store.rows.len()) {
            Some(other) => Ok(self.others[other].hashes()),
            None => self.store.shingles(row, self.kind, page),
        }
    }
}

impl Texts for StoredTexts<'_> {
    type Error = Error;

    fn band(&self, band: usize, into: &mut Vec<(u32, u32)>) -> Result<()> {
        let kind = if self.kind == TextKind::Question {
            0
        } else {
            BANDS
        };
        let read = |(shard, first, piece): &(u16, u32, Piece)| {
            let files = &self.store.shards[usize::from(*shard)];
            let rows = piece.rows as usize;
            let mut bytes = vec![0; 4 * rows];
            let at = piece.bands_at + (4 * rows * (kind + band)) as u64;
            files.read(BANDS_FILE, &files.bands, at, &mut bytes)?;
            let long = |row: &u32| {
                let row = &self.store.rows[*row as usize];
                let shingles = match self.kind {
                    TextKind::Question => row.question_shingles,
                    TextKind::Rationale => row.rationale_shingles,
                };
                usize::from(shingles) >= near::FEWEST
            };
            let rows = numbers(&bytes).zip(*first..).filter(|(_, row)| long(row));
            Ok(rows.collect::<Vec<(u32, u32)>>())
        };
        let pieces: Vec<Vec<(u32, u32)>> = self
            .store
            .pieces
            .par_iter()
            .map(read)
            .collect::<Result<_>>()?;
        into.extend(pieces.into_iter().flatten());
        let others = self.others.iter().zip(self.store.rows.len() as u32..);
        into.extend(others.filter_map(|(text, row)| Some((text.bands()?[band], row))));
        Ok(())
    }

    fn overlap(&self, a: u32, b: u32) -> Result<f64> {
        let (mut one, mut two) = (Vec::new(), Vec::new());
        Ok(near::overlap(self.of(a, &mut one)?, self.of(b, &mut two)?))
    }
}
