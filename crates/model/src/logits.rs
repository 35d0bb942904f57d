//! Logits after the last extension of a cache, read where they are: in host or in device memory.
//!
//! On a GPU they stay in device memory. Each row's best token, its logit, the log-sum and the probes' logits
//! come to the host in one small copy with the extension itself; everything else costs a copy of its own.

use std::borrow::Cow;

use crate::error::Result;
use crate::gpu::{GpuModel, Last};
use crate::host_logits::{best, log_sum_exp};

/// The logits after each chunk of the last [`advance`](crate::Model::advance), one row per chunk.
#[derive(Clone, Copy, Debug)]
pub struct Logits<'a>(RowsOf<'a>);

#[derive(Clone, Copy, Debug)]
enum RowsOf<'a> {
    Host { rows: &'a [f32], vocabulary: usize },
    Gpu(&'a GpuModel, Option<&'a Last>),
}

/// The logits of one row `[V]`.
#[derive(Clone, Copy, Debug)]
pub struct LogitRow<'a>(RowOf<'a>);

#[derive(Clone, Copy, Debug)]
enum RowOf<'a> {
    Host(&'a [f32]),
    Gpu(&'a GpuModel, &'a Last, usize),
}

impl<'a> Logits<'a> {
    /// Logits `[rows, vocabulary]` in host memory.
    pub fn host(rows: &'a [f32], vocabulary: usize) -> Self {
        Self(RowsOf::Host { rows, vocabulary })
    }

    pub(crate) fn gpu(model: &'a GpuModel, last: Option<&'a Last>) -> Self {
        Self(RowsOf::Gpu(model, last))
    }

    /// Number of rows.
    pub fn len(self) -> usize {
        match self.0 {
            RowsOf::Host { rows, vocabulary } => rows.len() / vocabulary.max(1),
            RowsOf::Gpu(_, last) => last.map_or(0, Last::len),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The logits after a chunk.
    ///
    /// # Panics
    /// When the last extension had no such chunk.
    pub fn row(self, chunk: usize) -> LogitRow<'a> {
        let rows = self.len();
        assert!(chunk < rows, "row {chunk} of {rows}");
        LogitRow(match self.0 {
            RowsOf::Host { rows, vocabulary } => {
                RowOf::Host(&rows[chunk * vocabulary..][..vocabulary])
            }
            RowsOf::Gpu(_, None) => unreachable!("there is a row"),
            RowsOf::Gpu(model, Some(last)) => RowOf::Gpu(model, last, chunk),
        })
    }
}

impl<'a> LogitRow<'a> {
    /// A row in host memory.
    pub fn host(row: &'a [f32]) -> Self {
        Self(RowOf::Host(row))
    }

    /// The token of the largest logit among those not refused, the lowest in a tie; none where all are
    /// refused.
    ///
    /// # Errors
    /// A GPU that fails.
    pub fn best(self, refused: &[u32]) -> Result<Option<u32>> {
        match self.0 {
            RowOf::Host(row) => Ok(best(row, refused)),
            RowOf::Gpu(model, last, chunk) => model.best(last, chunk, refused),
        }
    }

    /// The largest logit.
    pub fn largest(self) -> f32 {
        match self.0 {
            RowOf::Host(row) => row.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            RowOf::Gpu(_, last, chunk) => last.largest(chunk),
        }
    }

    /// `ln Σ exp(z)` over the vocabulary: in f64 on the CPU, in f32 on a GPU. Not finite where a logit is NaN
    /// or +∞, or all are −∞.
    pub fn log_sum(self) -> f64 {
        match self.0 {
            RowOf::Host(row) => log_sum_exp(row),
            RowOf::Gpu(_, last, chunk) => f64::from(last.log_sum(chunk)),
        }
    }

    /// The logits of these tokens. Those that were probes of the extension are there already.
    ///
    /// # Errors
    /// A GPU that fails.
    ///
    /// # Panics
    /// For a token that is not in the vocabulary.
    pub fn values(self, tokens: &[u32]) -> Result<Vec<f32>> {
        match self.0 {
            RowOf::Host(row) => Ok(tokens.iter().map(|t| row[*t as usize]).collect()),
            RowOf::Gpu(model, last, chunk) => model.values(last, chunk, tokens),
        }
    }

    /// The whole row.
    ///
    /// # Errors
    /// A GPU that fails.
    pub fn whole(self) -> Result<Cow<'a, [f32]>> {
        match self.0 {
            RowOf::Host(row) => Ok(Cow::Borrowed(row)),
            RowOf::Gpu(model, last, chunk) => Ok(Cow::Owned(model.whole(last, chunk)?)),
        }
    }
}
