//! Matrix products: frozen weights forward and backward, and the small trained ones of the adapters.
//!
//! Forward `y = x Wᵀ + b` (x `[T, in]`, W `[out, in]`, y `[T, out]`); backward `dx = dy W`. The
//! adapters' products use [`Columns`] over plain f32 matrices or over rows.

mod columns;
mod cuda;
mod decode;
mod frozen;
pub mod reference;
mod rows;
#[cfg(test)]
mod tests;
mod unpack;

pub use crate::cpu::gemm::Mode;
pub use columns::Columns;
pub use cuda::{GpuLinear, Out, Scratch};
pub use decode::{SKINNY_ROWS, Skinny, SkinnyOut};
pub use frozen::FrozenLinear;
pub use rows::Rows;
pub use unpack::Unpacker;

use crate::cpu::gemm::{Pack, Product, run};
use crate::cpu::{Cpu, SharedMut};
use std::ops::Range;

/// One product of a batch of them: rows `rows` of `left` (columns `from..from + k`) times `right`
/// (`k × n`), into rows of `out` from `out_row` on, columns `out_column..out_column + n`.
#[derive(Debug)]
pub struct Job<'a> {
    /// Left operand.
    pub left: &'a Rows,
    /// Its rows that take part.
    pub rows: Range<usize>,
    /// Its first column.
    pub from: usize,
    /// Right operand.
    pub right: Columns<'a>,
    /// First row written.
    pub out_row: usize,
    /// First column written.
    pub out_column: usize,
    /// What becomes of a sum.
    pub mode: Mode,
    /// Multiplies each sum.
    pub factor: f32,
}

/// Runs many small products into one matrix `out` of rows `out_ld` long.
///
/// # Panics
/// When two jobs' outputs overlap, or an operand is too small for what a job asks.
pub fn matmul(cpu: &Cpu, jobs: &[Job<'_>], out: &mut [f32], out_ld: usize) {
    check_disjoint(jobs, out.len(), out_ld);
    let shared = SharedMut::new(out);
    let products: Vec<Product<'_>> = jobs
        .iter()
        .map(|job| {
            assert!(
                job.rows.end <= job.left.len(),
                "rows {:?} of {}",
                job.rows,
                job.left.len()
            );
            assert!(
                job.from + job.right.k() <= job.left.readable(),
                "left operand too narrow"
            );
            Product {
                left: job.left.left(job.rows.start, job.from),
                ld: job.left.ld(),
                m: job.rows.len(),
                right: &job.right,
                out: shared,
                out_at: job.out_row * out_ld + job.out_column,
                out_ld,
                mode: job.mode,
                factor: job.factor,
                scale: None,
                bias: None,
            }
        })
        .collect();
    run(cpu, &products);
}

fn check_disjoint(jobs: &[Job<'_>], len: usize, ld: usize) {
    let area = |job: &Job<'_>| {
        (
            job.out_row..job.out_row + job.rows.len(),
            job.out_column..job.out_column + job.right.n(),
        )
    };
    for (i, job) in jobs.iter().enumerate() {
        let (rows, columns) = area(job);
        assert!(
            columns.end <= ld && rows.end * ld <= len,
            "product writes outside its matrix"
        );
        for other in &jobs[..i] {
            let (r, c) = area(other);
            let apart = rows.end <= r.start
                || r.end <= rows.start
                || columns.end <= c.start
                || c.end <= columns.start;
            assert!(
                apart || rows.is_empty() || r.is_empty(),
                "two products write one element"
            );
        }
    }
}
