//! Elementwise functions in sixteen lanes, written so that the compiler turns them into vector code.

use crate::cpu::multiversion;

/// Lanes of every blocked sum. Fixed, so that an order of summation never depends on the processor.
pub(crate) const LANES: usize = 16;

/// e^x, relative error below 2e-7 on [-87, 88]; smaller x give 0, larger saturate.
/// Cody-Waite reduction and the polynomial of Cephes `expf`.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const LOG2E: f32 = std::f32::consts::LOG2_E;
    const LN2_HI: f32 = 0.693_359_4;
    const LN2_LO: f32 = -2.121_944_4e-4;
    let clamped = x.clamp(-87.3, 88.0);
    // Rounding to nearest by adding 1.5 * 2^23; the low bits of the sum are the integer.
    const MAGIC: f32 = 12_582_912.0;
    let shifted = clamped.mul_add(LOG2E, MAGIC);
    let n = shifted - MAGIC;
    let r = n.mul_add(-LN2_HI, clamped);
    let r = n.mul_add(-LN2_LO, r);
    let mut p = 1.987_569_1e-4_f32;
    p = p.mul_add(r, 1.398_2e-3);
    p = p.mul_add(r, 8.333_452e-3);
    p = p.mul_add(r, 4.166_579_6e-2);
    p = p.mul_add(r, 1.666_666_6e-1);
    p = p.mul_add(r, 0.5);
    let y = p.mul_add(r * r, r) + 1.0;
    let scale = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    let y = y * scale;
    if x < -87.3 { 0.0 } else { y }
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Sum of sixteen lanes as a fixed tree.
#[inline(always)]
pub(crate) fn sum_lanes(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// Dot product: sixteen interleaved chains, then a tree.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (a16, a_rest) = a.as_chunks::<LANES>();
    let (b16, b_rest) = b.as_chunks::<LANES>();
    for (x, y) in a16.iter().zip(b16) {
        for i in 0..LANES {
            lanes[i] = x[i].mul_add(y[i], lanes[i]);
        }
    }
    for (i, (x, y)) in a_rest.iter().zip(b_rest).enumerate() {
        lanes[i] = x.mul_add(*y, lanes[i]);
    }
    sum_lanes(lanes)
}

/// y += a * x.
#[inline(always)]
pub(crate) fn axpy(a: f32, x: &[f32], y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = x.mul_add(a, *y);
    }
}

/// f32 to bf16, to nearest even. NaN stays NaN.
#[inline(always)]
pub(crate) fn to_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    let quiet_nan = (bits >> 16) | 0x40;
    (if x.is_nan() { quiet_nan } else { rounded }) as u16
}

/// bf16 to f32, exact.
#[inline(always)]
pub(crate) fn from_bf16(x: u16) -> f32 {
    f32::from_bits(u32::from(x) << 16)
}

multiversion! {
    /// Rounds a row to bf16; `out` may be longer, the rest becomes zero.
    pub(crate) fn row_to_bf16(isa, x: &[f32], out: &mut [u16]) {
        let (head, tail) = out.split_at_mut(x.len());
        for (o, x) in head.iter_mut().zip(x) {
            *o = to_bf16(*x);
        }
        tail.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_agrees_with_the_library_to_a_few_units() {
        let mut x = -90.0_f32;
        while x < 88.0 {
            let want = f64::from(x).exp();
            let got = f64::from(exp(x));
            if x < -87.3 {
                assert_eq!(got, 0.0);
            } else {
                assert!(
                    (got - want).abs() <= 3.0e-7 * want,
                    "exp({x}) = {got}, not {want}"
                );
            }
            x += 0.013;
        }
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
    }

    #[test]
    fn bf16_rounds_like_half() {
        for i in 0..200_000_u32 {
            let x = f32::from_bits(i.wrapping_mul(2_654_435_761));
            let want = half::bf16::from_f32(x);
            if x.is_nan() {
                assert!(from_bf16(to_bf16(x)).is_nan());
            } else {
                assert_eq!(to_bf16(x), want.to_bits(), "{x:?}");
            }
        }
    }
}
