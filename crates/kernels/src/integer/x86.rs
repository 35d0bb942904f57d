//! Integer products with AVX-512 VNNI and with AVX2.

use std::arch::x86_64::*;

use super::activations::{OFFSET, QuantizedRows, SCALE_BLOCK};
use crate::cpu::layout::BLOCK;

/// Distance of two rows of sums.
const STRIP_LD: usize = 2 * BLOCK;
/// Weights of four values of k.
const LINE: usize = 4 * BLOCK;
/// How far ahead of their use weights are prefetched, in bytes.
const AHEAD: usize = 4096;

/// # Safety
/// AVX-512 VNNI; otherwise as [`super::strip`].
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn strip_vnni(x: QuantizedRows, rows: usize, w: *const u8, c: *mut f32) {
    // SAFETY: the caller's promise, row by row.
    unsafe {
        let mut at = 0;
        while rows - at >= 8 {
            rows_vnni::<8>(x.from(at), w, c.add(at * STRIP_LD));
            at += 8;
        }
        while rows - at >= 4 {
            rows_vnni::<4>(x.from(at), w, c.add(at * STRIP_LD));
            at += 4;
        }
        match rows - at {
            1 => rows_vnni::<1>(x.from(at), w, c.add(at * STRIP_LD)),
            2 => rows_vnni::<2>(x.from(at), w, c.add(at * STRIP_LD)),
            3 => rows_vnni::<3>(x.from(at), w, c.add(at * STRIP_LD)),
            _ => {}
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn rows_vnni<const R: usize>(x: QuantizedRows, w: *const u8, c: *mut f32) {
    let ld = x.blocks * SCALE_BLOCK;
    // SAFETY: the caller's promise; a prefetch may name any address.
    unsafe {
        let mut sums = [_mm512_setzero_ps(); R];
        for b in 0..x.blocks {
            let mut dots: [__m512i; R] =
                std::array::from_fn(|r| _mm512_set1_epi32(*x.starts.add(r * x.blocks + b)));
            let a = x.values.add(b * SCALE_BLOCK).cast::<i32>();
            let w = w.add(b * SCALE_BLOCK * BLOCK);
            for q in 0..SCALE_BLOCK / 4 {
                if R == 1 {
                    _mm_prefetch::<_MM_HINT_T0>(w.wrapping_add(q * LINE + AHEAD).cast());
                }
                let line = _mm512_loadu_si512(w.add(q * LINE).cast());
                for r in 0..R {
                    let four = _mm512_set1_epi32(a.add(r * ld / 4 + q).read_unaligned());
                    dots[r] = _mm512_dpbusd_epi32(dots[r], line, four);
                }
            }
            for r in 0..R {
                let scale = _mm512_set1_ps(*x.scales.add(r * x.blocks + b));
                sums[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[r]), scale, sums[r]);
            }
        }
        for r in 0..R {
            _mm512_storeu_ps(c.add(r * STRIP_LD), sums[r]);
        }
    }
}

/// # Safety
/// AVX2 and FMA; otherwise as [`super::strip`].
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn strip_avx2(x: QuantizedRows, rows: usize, w: *const u8, c: *mut f32) {
    // SAFETY: the caller's promise, row by row and half by half.
    unsafe {
        let mut at = 0;
        while rows - at >= 4 {
            for half in 0..2 {
                let c = c.add(at * STRIP_LD + half * 8);
                rows_avx2::<4, 1>(x.from(at), w.add(half * LINE / 2), c);
            }
            at += 4;
        }
        while at < rows {
            rows_avx2::<1, 2>(x.from(at), w, c.add(at * STRIP_LD));
            at += 1;
        }
    }
}

/// R rows against H halves of a block, eight columns each.
///
/// VPMADDUBSW adds two products in 16 bits. With signs moved from weights to activations, both factors are at most
/// 127, and 2 · 127² = 32,258 fits.
#[target_feature(enable = "avx2,fma")]
unsafe fn rows_avx2<const R: usize, const H: usize>(x: QuantizedRows, w: *const u8, c: *mut f32) {
    let ld = x.blocks * SCALE_BLOCK;
    let (offset, ones) = (_mm256_set1_epi8(OFFSET as i8), _mm256_set1_epi16(1));
    // SAFETY: the caller's promise; a prefetch may name any address.
    unsafe {
        let mut sums = [[_mm256_setzero_ps(); H]; R];
        for b in 0..x.blocks {
            let mut dots = [[_mm256_setzero_si256(); H]; R];
            let a = x.values.add(b * SCALE_BLOCK).cast::<i32>();
            let w = w.add(b * SCALE_BLOCK * BLOCK);
            for q in 0..SCALE_BLOCK / 4 {
                if R == 1 {
                    _mm_prefetch::<_MM_HINT_T0>(w.wrapping_add(q * LINE + AHEAD).cast());
                }
                for h in 0..H {
                    let line = _mm256_loadu_si256(w.add(q * LINE + h * LINE / 2).cast());
                    let signed = _mm256_xor_si256(line, offset);
                    let magnitude = _mm256_abs_epi8(signed);
                    for r in 0..R {
                        let four = _mm256_set1_epi32(a.add(r * ld / 4 + q).read_unaligned());
                        let pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(four, signed));
                        dots[r][h] = _mm256_add_epi32(dots[r][h], _mm256_madd_epi16(pairs, ones));
                    }
                }
            }
            for r in 0..R {
                let scale = _mm256_set1_ps(*x.scales.add(r * x.blocks + b));
                for h in 0..H {
                    let dot = _mm256_cvtepi32_ps(dots[r][h]);
                    sums[r][h] = _mm256_fmadd_ps(dot, scale, sums[r][h]);
                }
            }
        }
        for r in 0..R {
            for h in 0..H {
                _mm256_storeu_ps(c.add(r * STRIP_LD + h * 8), sums[r][h]);
            }
        }
    }
}
