//! Integer products for answering: activations of 16 bits times int8 weights, exact sums in i32.
//!
//! A row of activations x `[k]` is cut into blocks b of 32 values. Each block has one f32 scale,
//! `s_b = max|x| / 127`, and whole numbers `a = round(x / s_b)`; what they miss is written in the same way with a scale
//! that is 254 times finer, `c = round((x - s_b a) / (s_b / 254))`. Both are int8: two quantized rows for each row of
//! activations. A row of weights has one f32 scale t and whole numbers `w`. An output is
//!
//! ```text
//! y = t · (Σ_b s_b · Σ_{p in b} a_p w_p  +  Σ_b s_b / 254 · Σ_{p in b} c_p w_p)
//! ```
//!
//! The inner sums are exact. Each outer one is a single chain of fused multiply-adds over rising b, so every
//! version gives the same bits, and a row's result does not depend on other rows or on threads. The weights are read
//! once for both.
//!
//! VPDPBUSD multiplies unsigned by signed bytes. Weights are therefore stored as `w + 128`, and a block's sum starts
//! at `-128 Σ a`.
//!
//! Error: a value is off by at most `s_b / 508`, a part in 64,516 of the largest of its block, so a product is off by at
//! most `t · Σ_b s_b / 508 · Σ_{p in b} |w_p|`, and by the rounding of the f32 sums.

mod activations;
mod layout;
pub mod reference;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::cpu::Isa;
use crate::cpu::layout::BLOCK;
use activations::SCALE_BLOCK;
pub(crate) use activations::{Activations, QuantizedRows};
pub(crate) use layout::{block_bytes, place, stored, weight};

/// `c[row][j] = Σ_b s_b Σ a w` for up to 32 quantized rows against one block of 16 columns; rows of `c` are 32 apart.
///
/// # Safety
/// `rows` rows at `x`; [`block_bytes`] bytes at `w`; a strip of sums at `c`.
pub(crate) unsafe fn strip(isa: Isa, x: QuantizedRows, rows: usize, w: *const u8, c: *mut f32) {
    // SAFETY: handed on; `Isa` is never above what the processor has.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        {
            if isa >= Isa::Avx512Vnni {
                return x86::strip_vnni(x, rows, w, c);
            }
            if isa >= Isa::Avx2 {
                return x86::strip_avx2(x, rows, w, c);
            }
        }
        let _ = isa;
        for row in 0..rows {
            strip_portable(x.from(row), w, c.add(row * 2 * BLOCK));
        }
    }
}

crate::cpu::multiversion! {
    /// The sums of each pair of quantized rows, added: those of row i of activations go to row i of the strip.
    pub(crate) fn add_pairs(isa, sums: &mut [f32], rows: usize) {
        for row in 0..rows {
            for j in 0..2 * BLOCK {
                let of = |half: usize| sums[(2 * row + half) * 2 * BLOCK + j];
                sums[row * 2 * BLOCK + j] = of(0) + of(1);
            }
        }
    }
}

/// # Safety
/// As [`strip`], for one row.
unsafe fn strip_portable(x: QuantizedRows, w: *const u8, c: *mut f32) {
    let mut sums = [0.0_f32; BLOCK];
    for b in 0..x.blocks {
        // SAFETY: block `b` of the row, and its 32 × 16 weights.
        let (a, w, scale, start) = unsafe {
            (
                std::slice::from_raw_parts(x.values.add(b * SCALE_BLOCK), SCALE_BLOCK),
                std::slice::from_raw_parts(w.add(b * SCALE_BLOCK * BLOCK), SCALE_BLOCK * BLOCK),
                *x.scales.add(b),
                *x.starts.add(b),
            )
        };
        let mut dots = [start; BLOCK];
        for (a, w) in a
            .as_chunks::<4>()
            .0
            .iter()
            .zip(w.as_chunks::<{ 4 * BLOCK }>().0)
        {
            for j in 0..BLOCK {
                for q in 0..4 {
                    dots[j] += i32::from(a[q]) * i32::from(w[4 * j + q]);
                }
            }
        }
        for j in 0..BLOCK {
            sums[j] = (dots[j] as f32).mul_add(scale, sums[j]);
        }
    }
    // SAFETY: 16 writable sums.
    unsafe { std::slice::from_raw_parts_mut(c, BLOCK) }.copy_from_slice(&sums);
}
