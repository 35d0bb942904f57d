//! Right operands that are not frozen: the adapters' matrices and the rows of a batch.

use std::ops::Range;

use crate::cpu::Isa;
use crate::cpu::gemm::Pack;
use crate::cpu::layout::{BLOCK, K_TILE};
use crate::cpu::math::to_bf16;
use crate::linear::rows::{Data, Rows, padded};

/// A matrix `k × n` behind a product.
#[derive(Clone, Copy, Debug)]
pub enum RightOperand<'a> {
    /// The transpose of a row-major `[n, k]` matrix with rows `ld` apart: sums run along its rows.
    Transposed {
        /// Values.
        data: &'a [f32],
        /// Number of its rows.
        n: usize,
        /// Length of a row that takes part.
        k: usize,
        /// Distance of two rows.
        ld: usize,
    },
    /// A row-major `[k, n]` matrix with rows `ld` apart: sums run over its rows.
    Plain {
        /// Values.
        data: &'a [f32],
        /// Number of rows.
        k: usize,
        /// Number of columns.
        n: usize,
        /// Distance of two rows.
        ld: usize,
    },
    /// Rows of a batch, summed over: `n` columns from `from` on, the rows in `blocks`, laid out as
    /// [`Rows::set_transposed`] lays out the other side.
    Batch {
        /// The batch.
        rows: &'a Rows,
        /// First column.
        from: usize,
        /// Number of columns.
        n: usize,
        /// The rows that take part.
        blocks: &'a [Range<usize>],
    },
}

impl Pack for RightOperand<'_> {
    fn n(&self) -> usize {
        match self {
            Self::Transposed { n, .. } | Self::Plain { n, .. } | Self::Batch { n, .. } => *n,
        }
    }

    fn k(&self) -> usize {
        match self {
            Self::Transposed { k, .. } | Self::Plain { k, .. } => *k,
            Self::Batch { blocks, .. } => padded(blocks),
        }
    }

    fn pack_f32(&self, _isa: Isa, block: usize, out: &mut [f32]) {
        let first = block * BLOCK;
        let count = (self.n() - first).min(BLOCK);
        if count < BLOCK {
            out.fill(0.0);
        }
        match *self {
            Self::Transposed { data, k, ld, .. } => {
                for j in 0..count {
                    let row = &data[(first + j) * ld..][..k];
                    for (o, v) in out[j..].iter_mut().step_by(BLOCK).zip(row) {
                        *o = *v;
                    }
                }
            }
            Self::Plain { data, ld, .. } => {
                for (p, o) in out.chunks_exact_mut(BLOCK).enumerate() {
                    o[..count].copy_from_slice(&data[p * ld + first..][..count]);
                }
            }
            Self::Batch {
                rows, from, blocks, ..
            } => {
                let Data::F32(data) = rows.data() else {
                    unreachable!("f32 product of bf16 rows")
                };
                let mut at = 0;
                for block in blocks {
                    for t in block.clone() {
                        out[at..at + count]
                            .copy_from_slice(&data[t * rows.ld() + from + first..][..count]);
                        at += BLOCK;
                    }
                    let end = at + (block.len().next_multiple_of(K_TILE) - block.len()) * BLOCK;
                    out[at..end].fill(0.0);
                    at = end;
                }
            }
        }
    }

    fn pack_bf16(&self, isa: Isa, block: usize, out: &mut [u16]) {
        let first = block * BLOCK;
        let count = (self.n() - first).min(BLOCK);
        match *self {
            Self::Transposed { data, k, ld, .. } => {
                out.fill(0);
                for j in 0..count {
                    transposed_row(isa, &data[(first + j) * ld..][..k], j, out);
                }
            }
            Self::Plain { data, k, ld, .. } => {
                let row = |p: usize| {
                    if p < k {
                        &data[p * ld + first..][..count]
                    } else {
                        &[]
                    }
                };
                for (pair, o) in out
                    .as_chunks_mut::<{ 2 * BLOCK }>()
                    .0
                    .iter_mut()
                    .enumerate()
                {
                    interleave_f32(isa, row(2 * pair), row(2 * pair + 1), o);
                }
            }
            Self::Batch {
                rows, from, blocks, ..
            } => {
                let Data::Bf16(data) = rows.data() else {
                    unreachable!("bf16 product of f32 rows")
                };
                let (pairs, _) = out.as_chunks_mut::<{ 2 * BLOCK }>();
                let mut at = 0;
                for block in blocks {
                    let row = |t: usize| match t < block.end {
                        true => &data[t * rows.ld() + from + first..][..count],
                        false => &[],
                    };
                    let end = at + block.len().next_multiple_of(K_TILE) / 2;
                    for (i, o) in pairs[at..end].iter_mut().enumerate() {
                        let t = block.start + 2 * i;
                        interleave_bf16(isa, row(t), row(t + 1), o);
                    }
                    at = end;
                }
            }
        }
    }
}

crate::cpu::multiversion! {
    fn transposed_row(isa, row: &[f32], column: usize, out: &mut [u16]) {
        let (pairs, last) = row.as_chunks::<2>();
        for (o, pair) in out[2 * column..].chunks_mut(2 * BLOCK).zip(pairs) {
            o[0] = to_bf16(pair[0]);
            o[1] = to_bf16(pair[1]);
        }
        if let [x] = last {
            out[pairs.len() * 2 * BLOCK + 2 * column] = to_bf16(*x);
        }
    }
}

crate::cpu::multiversion! {
    fn interleave_f32(isa, even: &[f32], odd: &[f32], out: &mut [u16; 2 * BLOCK]) {
        let mut e = [0.0_f32; BLOCK];
        let mut o = [0.0_f32; BLOCK];
        e[..even.len()].copy_from_slice(even);
        o[..odd.len()].copy_from_slice(odd);
        for j in 0..BLOCK {
            let pair = u32::from(to_bf16(e[j])) | u32::from(to_bf16(o[j])) << 16;
            out[2 * j] = pair as u16;
            out[2 * j + 1] = (pair >> 16) as u16;
        }
    }
}

crate::cpu::multiversion! {
    fn interleave_bf16(isa, even: &[u16], odd: &[u16], out: &mut [u16; 2 * BLOCK]) {
        let mut e = [0_u16; BLOCK];
        let mut o = [0_u16; BLOCK];
        e[..even.len()].copy_from_slice(even);
        o[..odd.len()].copy_from_slice(odd);
        for j in 0..BLOCK {
            out[2 * j] = e[j];
            out[2 * j + 1] = o[j];
        }
    }
}
