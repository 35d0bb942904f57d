//! Inner kernels for x86-64: AMX, AVX-512 BF16, AVX-512, AVX2; and the repacking of frozen weights.
//!
//! Sums of a strip lie row by row, 32 columns apart ([`STRIP_LD`]).

use std::arch::asm;
use std::arch::x86_64::*;

use crate::cpu::layout::{BLOCK, K_TILE, TILE};

const STRIP_LD: usize = 2 * BLOCK;

#[repr(C, align(64))]
struct TileConfig([u8; 64]);

/// Eight tiles of 16 rows × 64 bytes (Intel SDM, "LDTILECFG", palette 1).
static TILES: TileConfig = {
    let mut bytes = [0_u8; 64];
    bytes[0] = 1;
    let mut tile = 0;
    while tile < 8 {
        bytes[16 + 2 * tile] = 64;
        bytes[48 + tile] = 16;
        tile += 1;
    }
    TileConfig(bytes)
};

/// # Safety
/// AMX is there and allowed.
pub(crate) unsafe fn amx_begin() {
    // SAFETY: the configuration is a valid one of 64 bytes.
    unsafe { asm!("ldtilecfg [{}]", in(reg) TILES.0.as_ptr(), options(nostack, readonly)) }
}

/// # Safety
/// AMX is there and allowed.
pub(crate) unsafe fn amx_end() {
    // SAFETY: gives the tile state back.
    unsafe { asm!("tilerelease", options(nostack, nomem)) }
}

/// Sums of up to 32 rows against one or two blocks: `c = a · b`, or `c += a · b` with `continued`.
/// TDPBF16PS adds, for each tile of 32 k, the chains of even and of odd k (both from zero) to the sum.
///
/// # Safety
/// AMX configured by [`amx_begin`]; 32 readable rows of `32 * tiles` bf16 at `a`, `ld` values apart;
/// `tiles` packed tiles at `b0` and `b1`; a strip of sums at `c`.
#[allow(clippy::too_many_arguments)]
pub(crate) unsafe fn amx_strip(
    a: *const u16,
    ld: usize,
    rows: usize,
    b0: *const u16,
    b1: Option<*const u16>,
    tiles: usize,
    continued: bool,
    c: *mut f32,
) {
    let c_stride = STRIP_LD * 4;
    let a_stride = ld * 2;
    // SAFETY: addresses as the caller promises; tiles not used are loaded and stored all the same.
    unsafe {
        let (c10, c01, c11) = (c.add(16 * STRIP_LD), c.add(16), c.add(16 * STRIP_LD + 16));
        let a1 = a.add(16 * ld);
        let upper = rows > 16;
        if continued {
            asm!("tileloadd tmm0, [{c00}+{s}*1]", "tileloadd tmm1, [{c10}+{s}*1]",
                 "tileloadd tmm2, [{c01}+{s}*1]", "tileloadd tmm3, [{c11}+{s}*1]",
                 c00 = in(reg) c, c10 = in(reg) c10, c01 = in(reg) c01, c11 = in(reg) c11, s = in(reg) c_stride,
                 options(nostack));
        } else {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                options(nostack, nomem)
            );
        }
        match (upper, b1) {
            (true, Some(b1)) => {
                for t in 0..tiles {
                    asm!("tileloadd tmm6, [{b0}+{bs}*1]", "tileloadd tmm4, [{a0}+{s}*1]",
                         "tdpbf16ps tmm0, tmm4, tmm6", "tileloadd tmm5, [{a1}+{s}*1]",
                         "tdpbf16ps tmm1, tmm5, tmm6", "tileloadd tmm7, [{b1}+{bs}*1]",
                         "tdpbf16ps tmm2, tmm4, tmm7", "tdpbf16ps tmm3, tmm5, tmm7",
                         a0 = in(reg) a.add(t * K_TILE), a1 = in(reg) a1.add(t * K_TILE),
                         b0 = in(reg) b0.add(t * TILE), b1 = in(reg) b1.add(t * TILE),
                         s = in(reg) a_stride, bs = in(reg) 64_usize, options(nostack));
                }
            }
            (false, Some(b1)) => {
                for t in 0..tiles {
                    asm!("tileloadd tmm4, [{a0}+{s}*1]",
                         "tileloadd tmm6, [{b0}+{bs}*1]", "tdpbf16ps tmm0, tmm4, tmm6",
                         "tileloadd tmm7, [{b1}+{bs}*1]", "tdpbf16ps tmm2, tmm4, tmm7",
                         a0 = in(reg) a.add(t * K_TILE),
                         b0 = in(reg) b0.add(t * TILE), b1 = in(reg) b1.add(t * TILE),
                         s = in(reg) a_stride, bs = in(reg) 64_usize, options(nostack));
                }
            }
            (_, None) => {
                for t in 0..tiles {
                    asm!("tileloadd tmm6, [{b0}+{bs}*1]", "tileloadd tmm4, [{a0}+{s}*1]",
                         "tdpbf16ps tmm0, tmm4, tmm6",
                         a0 = in(reg) a.add(t * K_TILE), b0 = in(reg) b0.add(t * TILE),
                         s = in(reg) a_stride, bs = in(reg) 64_usize, options(nostack));
                    if upper {
                        asm!("tileloadd tmm5, [{a1}+{s}*1]", "tdpbf16ps tmm1, tmm5, tmm6",
                             a1 = in(reg) a1.add(t * K_TILE), s = in(reg) a_stride, options(nostack));
                    }
                }
            }
        }
        asm!("tilestored [{c00}+{s}*1], tmm0", "tilestored [{c01}+{s}*1], tmm2",
             c00 = in(reg) c, c01 = in(reg) c01, s = in(reg) c_stride, options(nostack));
        if upper {
            asm!("tilestored [{c10}+{s}*1], tmm1", "tilestored [{c11}+{s}*1], tmm3",
                 c10 = in(reg) c10, c11 = in(reg) c11, s = in(reg) c_stride, options(nostack));
        }
    }
}

/// Calls a kernel with its row count as a constant: eights, then a rest.
macro_rules! by_rows {
    ($rows:expr, $at:ident, $kernel:ident, $args:tt) => {{
        let mut $at = 0;
        while $rows - $at >= 8 {
            $kernel::<8> $args;
            $at += 8;
        }
        match $rows - $at {
            1 => $kernel::<1> $args,
            2 => $kernel::<2> $args,
            3 => $kernel::<3> $args,
            4 => $kernel::<4> $args,
            5 => $kernel::<5> $args,
            6 => $kernel::<6> $args,
            7 => $kernel::<7> $args,
            _ => {}
        }
    }};
}

/// `c = a · b` (or `c += a · b` with `continued`) for one block with VDPBF16PS: one chain per element, pairs of k in rising order.
///
/// # Safety
/// AVX-512 BF16; operands as [`amx_strip`], of `rows` rows.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(crate) unsafe fn dot_strip(
    a: *const u16,
    ld: usize,
    rows: usize,
    b: *const u16,
    tiles: usize,
    continued: bool,
    c: *mut f32,
) {
    // SAFETY: the caller's promise, row by row.
    unsafe {
        by_rows!(
            rows,
            at,
            dot_rows,
            (
                a.add(at * ld),
                ld,
                b,
                tiles,
                continued,
                c.add(at * STRIP_LD)
            )
        );
    }
}

#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn dot_rows<const R: usize>(
    a: *const u16,
    ld: usize,
    b: *const u16,
    tiles: usize,
    continued: bool,
    c: *mut f32,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [_mm512_setzero_ps(); R];
        if continued {
            sums = std::array::from_fn(|r| _mm512_loadu_ps(c.add(r * STRIP_LD)));
        }
        for pair in 0..tiles * (K_TILE / 2) {
            let b: __m512bh =
                std::mem::transmute(_mm512_loadu_si512(b.add(pair * 2 * BLOCK).cast()));
            for r in 0..R {
                let x = a.add(r * ld + 2 * pair).cast::<i32>().read_unaligned();
                let x: __m512bh = std::mem::transmute(_mm512_set1_epi32(x));
                sums[r] = _mm512_dpbf16_ps(sums[r], x, b);
            }
        }
        for r in 0..R {
            _mm512_storeu_ps(c.add(r * STRIP_LD), sums[r]);
        }
    }
}

/// `c = a · b` (or `c += a · b` with `continued`) for one block: one fused chain per element.
///
/// # Safety
/// AVX-512; `rows` rows of `k` values at `a`, `k` × 16 at `b`, a strip of sums at `c`.
#[target_feature(enable = "avx512f")]
pub(crate) unsafe fn f32_strip_avx512(
    a: *const f32,
    ld: usize,
    rows: usize,
    b: *const f32,
    k: usize,
    continued: bool,
    c: *mut f32,
) {
    // SAFETY: the caller's promise, row by row.
    unsafe {
        let mut at = 0;
        while rows - at >= 16 {
            f32_rows_avx512::<16>(a.add(at * ld), ld, b, k, continued, c.add(at * STRIP_LD));
            at += 16;
        }
        let (a, c, rows) = (a.add(at * ld), c.add(at * STRIP_LD), rows - at);
        by_rows!(
            rows,
            at,
            f32_rows_avx512,
            (a.add(at * ld), ld, b, k, continued, c.add(at * STRIP_LD))
        );
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn f32_rows_avx512<const R: usize>(
    a: *const f32,
    ld: usize,
    b: *const f32,
    k: usize,
    continued: bool,
    c: *mut f32,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [_mm512_setzero_ps(); R];
        if continued {
            sums = std::array::from_fn(|r| _mm512_loadu_ps(c.add(r * STRIP_LD)));
        }
        for p in 0..k {
            let b = _mm512_loadu_ps(b.add(p * BLOCK));
            for r in 0..R {
                sums[r] = _mm512_fmadd_ps(_mm512_set1_ps(*a.add(r * ld + p)), b, sums[r]);
            }
        }
        for r in 0..R {
            _mm512_storeu_ps(c.add(r * STRIP_LD), sums[r]);
        }
    }
}

/// As [`f32_strip_avx512`], with the same bits.
///
/// # Safety
/// AVX2 and FMA; otherwise as [`f32_strip_avx512`].
#[target_feature(enable = "avx2,fma")]
pub(crate) unsafe fn f32_strip_avx2(
    a: *const f32,
    ld: usize,
    rows: usize,
    b: *const f32,
    k: usize,
    continued: bool,
    c: *mut f32,
) {
    // SAFETY: the caller's promise, row by row.
    unsafe {
        let mut at = 0;
        while rows - at >= 4 {
            f32_rows_avx2::<4>(a.add(at * ld), ld, b, k, continued, c.add(at * STRIP_LD));
            at += 4;
        }
        while at < rows {
            f32_rows_avx2::<1>(a.add(at * ld), ld, b, k, continued, c.add(at * STRIP_LD));
            at += 1;
        }
    }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn f32_rows_avx2<const R: usize>(
    a: *const f32,
    ld: usize,
    b: *const f32,
    k: usize,
    continued: bool,
    c: *mut f32,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let (mut low, mut high) = ([_mm256_setzero_ps(); R], [_mm256_setzero_ps(); R]);
        if continued {
            low = std::array::from_fn(|r| _mm256_loadu_ps(c.add(r * STRIP_LD)));
            high = std::array::from_fn(|r| _mm256_loadu_ps(c.add(r * STRIP_LD + 8)));
        }
        for p in 0..k {
            let b0 = _mm256_loadu_ps(b.add(p * BLOCK));
            let b1 = _mm256_loadu_ps(b.add(p * BLOCK + 8));
            for r in 0..R {
                let x = _mm256_set1_ps(*a.add(r * ld + p));
                low[r] = _mm256_fmadd_ps(x, b0, low[r]);
                high[r] = _mm256_fmadd_ps(x, b1, high[r]);
            }
        }
        for r in 0..R {
            _mm256_storeu_ps(c.add(r * STRIP_LD), low[r]);
            _mm256_storeu_ps(c.add(r * STRIP_LD + 8), high[r]);
        }
    }
}

/// 32 int8 to bf16, exactly.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn int8_to_bf16(from: *const i8) -> __m512i {
    // SAFETY: 32 readable bytes, by the callers.
    unsafe {
        let low = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.cast())));
        let high = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.add(16).cast())));
        std::mem::transmute(_mm512_cvtne2ps_pbh(high, low))
    }
}

/// How far ahead of their use int8 weights are prefetched, in bytes: blocks follow one another, so
/// what follows a block is what the thread needs next.
const AHEAD: usize = 4096;

/// Expands stored int8 tiles to bf16 tiles.
///
/// # Safety
/// AVX-512 BW and BF16; as many bytes readable at `from` as values writable at `out`, a multiple of 64.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
#[inline]
unsafe fn expand(from: *const i8, out: *mut u16, len: usize, ahead: usize) {
    for at in (0..len).step_by(64) {
        // SAFETY: the caller's promise; a prefetch may name any address.
        unsafe {
            let (from, out) = (from.add(at), out.add(at));
            _mm_prefetch::<_MM_HINT_T1>(from.wrapping_add(ahead));
            _mm512_storeu_si512(out.cast(), int8_to_bf16(from));
            _mm512_storeu_si512(out.add(32).cast(), int8_to_bf16(from.add(32)));
        }
    }
}

/// Expands stored int8 tiles to bf16 tiles.
///
/// # Safety
/// AVX-512 BW and BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(crate) unsafe fn expand_int8(from: &[i8], out: &mut [u16]) {
    assert!(from.len() == out.len() && out.len().is_multiple_of(64));
    // SAFETY: lengths as asserted.
    unsafe { expand(from.as_ptr(), out.as_mut_ptr(), out.len(), AHEAD) }
}

#[repr(C, align(64))]
struct TilePair([u16; 2 * TILE]);

/// Sums of up to 16 rows against one or two blocks stored in int8; bitwise identical to [`amx_strip`]
/// over the expanded blocks.
///
/// # Safety
/// AMX configured; 16 readable rows at `a` as for [`amx_strip`]; a strip of sums at `c`; `b1` as long as `b0`.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(crate) unsafe fn amx_half_strip_int8(
    a: *const u16,
    ld: usize,
    b0: &[i8],
    b1: Option<&[i8]>,
    continued: bool,
    c: *mut f32,
) {
    // Four buffers in turn: a tile is loaded long after it was stored.
    let mut buffers: [TilePair; 4] = [const { TilePair([0; 2 * TILE]) }; 4];
    let b1 = b1.unwrap_or(b0);
    assert_eq!(b0.len(), b1.len());
    // The same place in the next pair of blocks, which this thread reads next.
    let next = 2 * b0.len();
    // SAFETY: the caller's promise; tiles lie within the blocks.
    unsafe {
        if continued {
            asm!("tileloadd tmm0, [{c}+{s}*1]", "tileloadd tmm2, [{d}+{s}*1]",
                 c = in(reg) c, d = in(reg) c.add(16), s = in(reg) STRIP_LD * 4, options(nostack));
        } else {
            asm!("tilezero tmm0", "tilezero tmm2", options(nostack, nomem));
        }
        for t in 0..b0.len() / TILE {
            let buffer = buffers[t % 4].0.as_mut_ptr();
            expand(b0.as_ptr().add(t * TILE), buffer, TILE, next);
            expand(b1.as_ptr().add(t * TILE), buffer.add(TILE), TILE, next);
            asm!("tileloadd tmm4, [{a}+{s}*1]",
                 "tileloadd tmm6, [{b0}+{bs}*1]", "tdpbf16ps tmm0, tmm4, tmm6",
                 "tileloadd tmm7, [{b1}+{bs}*1]", "tdpbf16ps tmm2, tmm4, tmm7",
                 a = in(reg) a.add(t * K_TILE), b0 = in(reg) buffer, b1 = in(reg) buffer.add(TILE),
                 s = in(reg) ld * 2, bs = in(reg) 64_usize, options(nostack));
        }
        asm!("tilestored [{c}+{s}*1], tmm0", "tilestored [{d}+{s}*1], tmm2",
             c = in(reg) c, d = in(reg) c.add(16), s = in(reg) STRIP_LD * 4, options(nostack));
    }
}

/// Where [`transpose_tiles`] reads.
#[derive(Clone, Copy)]
pub(crate) enum Tiles<'a> {
    Bf16(&'a [u16]),
    Int8(&'a [i8]),
}

/// Packs 16 columns of the transposed matrix: from tiles `[n/16][k/32][16 pairs of k][16 n][2]` the
/// columns `k = 16 block ..` as `[n/32][16 pairs of n][16 k][2]`. `n_blocks` = n/16; the last tile is
/// padded with zeros where it is odd.
///
/// # Safety
/// AVX-512 BW and BF16; `tiles` holds `n_blocks * k_tiles` tiles.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(crate) unsafe fn transpose_tiles(
    tiles: Tiles<'_>,
    n_blocks: usize,
    k_tiles: usize,
    block: usize,
    out: &mut [u16],
) {
    assert_eq!(out.len(), n_blocks.next_multiple_of(2) * BLOCK * BLOCK);
    let words = _mm512_set4_epi32(0x0f0e_0b0a, 0x0d0c_0908, 0x0706_0302, 0x0504_0100);
    for n_block in 0..n_blocks {
        let from = (n_block * k_tiles + block / 2) * TILE + (block % 2) * (TILE / 2);
        // SAFETY: half a tile of 8 rows of 32 values at `from`; half a tile written.
        unsafe {
            let row = |i: usize| -> __m512i {
                let at = from + i * 32;
                let row = match tiles {
                    Tiles::Bf16(t) => _mm512_loadu_si512(t[at..at + 32].as_ptr().cast()),
                    Tiles::Int8(t) => int8_to_bf16(t[at..at + 32].as_ptr()),
                };
                // Within each pair of n: (even k, odd k, even k, odd k) to (even, even, odd, odd).
                _mm512_shuffle_epi8(row, words)
            };
            let r: [__m512i; 8] = std::array::from_fn(row);
            // An 8 × 8 transpose of quadwords.
            let lo: [__m512i; 4] =
                std::array::from_fn(|i| _mm512_unpacklo_epi64(r[2 * i], r[2 * i + 1]));
            let hi: [__m512i; 4] =
                std::array::from_fn(|i| _mm512_unpackhi_epi64(r[2 * i], r[2 * i + 1]));
            let to = out.as_mut_ptr().add(n_block * 8 * 32);
            for (parity, h) in [lo, hi].into_iter().enumerate() {
                let a = _mm512_shuffle_i64x2::<0x88>(h[0], h[1]);
                let b = _mm512_shuffle_i64x2::<0xdd>(h[0], h[1]);
                let c = _mm512_shuffle_i64x2::<0x88>(h[2], h[3]);
                let d = _mm512_shuffle_i64x2::<0xdd>(h[2], h[3]);
                let rows = [
                    _mm512_shuffle_i64x2::<0x88>(a, c),
                    _mm512_shuffle_i64x2::<0x88>(b, d),
                    _mm512_shuffle_i64x2::<0xdd>(a, c),
                    _mm512_shuffle_i64x2::<0xdd>(b, d),
                ];
                for (i, row) in rows.into_iter().enumerate() {
                    _mm512_storeu_si512(to.add((2 * i + parity) * 32).cast(), row);
                }
            }
        }
    }
    out[n_blocks * 8 * 32..].fill(0);
}
