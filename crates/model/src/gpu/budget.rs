//! How many rows of a batch fit in memory. The number of rows of a pass decides where sums are cut, and with
//! it the rounding of results on a GPU: so it follows from the GPU's total memory (or the budget), not from
//! what is free.

use verdict_kernels::BaseQuantization;

use crate::bank::AdapterBank;
use crate::gpu::arena::BESIDE;
use crate::gpu::bank::layouts;
use crate::gpu::head::head_rows;
use crate::gpu::load::GpuModel;
use crate::gpu::pass::{Keep, Pass, PassSize};
use crate::site::Site;

/// Products are not faster in a pass of more rows than this.
const MOST_ROWS: usize = 16 << 10;
/// Below this many rows the products are so slow that recomputing the blocks in backward costs less.
const FEW_ROWS: usize = 1024;
const STEP: usize = 64;
/// Bytes of a weight in training: itself, gradient and two moments in f32, and its rounded copy.
const TRAINED_WEIGHT: usize = 18;

impl GpuModel {
    /// Rows that one training micro-batch with this bank may have.
    pub(crate) fn micro_batch_tokens(&self, bank: &AdapterBank, trained: bool) -> usize {
        let gpu = self.gpu();
        let (layouts, weights) = layouts(&self.config, bank);
        let state = if trained { 0 } else { weights * TRAINED_WEIGHT };
        let taken = gpu.held_bytes() + state + BESIDE;
        let room = gpu.plan_bytes().saturating_sub(taken) + self.arena().bytes();
        let widest = layouts.iter().map(|l| l.padded).max().unwrap_or(0);
        let fits = |rows: usize, keep: Keep| {
            let size = PassSize {
                rows,
                head_rows: head_rows(self.config.vocab_size, rows, rows),
                narrow: Site::ALL.map(|site| widest * site.parts(&self.config).len()),
                keep,
                fp8: self.base == BaseQuantization::Fp8,
            };
            Pass::bytes(&self.config, size) <= room
        };
        let most = |keep: Keep| {
            let steps: Vec<usize> = (STEP..=MOST_ROWS).step_by(STEP).collect();
            steps.partition_point(|rows| fits(*rows, keep)) * STEP
        };
        let rows = most(Keep::Everything);
        match rows >= FEW_ROWS {
            true => rows,
            false => most(Keep::Inputs).clamp(rows, FEW_ROWS),
        }
    }
}
