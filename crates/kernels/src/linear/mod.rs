//! Matrix products: frozen weights forward and backward, and the small trained ones of the adapters.
//!
//! Forward `y = x Wᵀ + b` (x `[T, in]`, W `[out, in]`, y `[T, out]`); backward `dx = dy W`. The
//! adapters' products use [`RightOperand`] over plain f32 matrices or over rows.

mod cuda;
mod cuda_decode;
mod cuda_frozen;
mod cuda_unpack;
mod frozen;
pub mod reference;
mod right_operand;
mod rows;
#[cfg(test)]
mod tests;

pub use crate::cpu::gemm::Mode;
pub use cuda::{Out, Scratch};
pub use cuda_decode::{SKINNY_ROWS, Skinny, SkinnyOut};
pub use cuda_frozen::GpuLinear;
pub use cuda_unpack::Unpacker;
pub use frozen::FrozenLinear;
pub use right_operand::RightOperand;
pub use rows::Rows;

use crate::cpu::gemm::{Pack, Product, run};
use crate::cpu::{Cpu, SharedMut};
use std::ops::Range;

/// One product of a batch of them: rows `rows` of `left` (columns `from..from + k`) times `right`
/// (`k × n`), into rows of `out` from `out_row` on, columns `out_column..out_column + n`.
#[derive(Debug)]
pub struct SmallProduct<'a> {
    /// Left operand.
    pub left: &'a Rows,
    /// Its rows that take part.
    pub rows: Range<usize>,
    /// Its first column.
    pub from: usize,
    /// Right operand.
    pub right: RightOperand<'a>,
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
/// When two products' outputs overlap, or an operand is too small for a product.
pub fn matmul(cpu: &Cpu, products: &[SmallProduct<'_>], out: &mut [f32], out_ld: usize) {
    check_disjoint(products, out.len(), out_ld);
    let shared = SharedMut::new(out);
    let ready: Vec<Product<'_>> = products
        .iter()
        .map(|product| {
            assert!(
                product.rows.end <= product.left.len(),
                "rows {:?} of {}",
                product.rows,
                product.left.len()
            );
            assert!(
                product.from + product.right.k() <= product.left.readable(),
                "left operand too narrow"
            );
            Product {
                left: product.left.left(product.rows.start, product.from),
                ld: product.left.ld(),
                m: product.rows.len(),
                right: &product.right,
                out: shared,
                out_at: product.out_row * out_ld + product.out_column,
                out_ld,
                mode: product.mode,
                factor: product.factor,
                scale: None,
                bias: None,
            }
        })
        .collect();
    run(cpu, &ready);
}

fn check_disjoint(products: &[SmallProduct<'_>], len: usize, ld: usize) {
    let area = |product: &SmallProduct<'_>| {
        (
            product.out_row..product.out_row + product.rows.len(),
            product.out_column..product.out_column + product.right.n(),
        )
    };
    for (i, product) in products.iter().enumerate() {
        let (rows, columns) = area(product);
        assert!(
            columns.end <= ld && rows.end * ld <= len,
            "product writes outside its matrix"
        );
        for other in &products[..i] {
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
