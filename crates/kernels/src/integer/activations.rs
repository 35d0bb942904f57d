//! Rows of activations, quantized block by block.

use crate::cpu::{Cpu, SharedMut, resize_buffer};

/// Values that share a scale.
pub(crate) const SCALE_BLOCK: usize = 32;
/// What is added to a weight so that it is stored without a sign.
pub(super) const OFFSET: i32 = 128;
/// How much finer the scale of what the values miss is: they miss at most half a unit, which is 127 of the finer ones.
const FINER: f32 = 254.0;
/// 1.5 · 2^23: added, it rounds to the nearest whole number (ties to even), which is the low byte of the sum.
const ROUND: f32 = 12_582_912.0;
/// Rows whose quantization is worth handing to another thread.
const GRAIN: usize = 8;

/// Rows of activations, each as two quantized rows: the values, and what they miss.
#[derive(Debug, Default)]
pub(crate) struct Activations {
    /// Blocks of a row; the last is filled up with zeros.
    blocks: usize,
    values: Vec<i8>,
    scales: Vec<f32>,
    /// Where each block's sum starts: `-128 Σ a`.
    starts: Vec<i32>,
}

/// The first of some quantized rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QuantizedRows {
    pub(super) values: *const i8,
    pub(super) scales: *const f32,
    pub(super) starts: *const i32,
    pub(super) blocks: usize,
}

impl Activations {
    /// Quantizes `rows` rows of `k` values; `row(i)` gives them.
    pub(crate) fn set<'x>(
        &mut self,
        cpu: &Cpu,
        rows: usize,
        k: usize,
        row: impl Fn(usize) -> &'x [f32] + Sync + Send,
    ) {
        let blocks = k.div_ceil(SCALE_BLOCK);
        self.blocks = blocks;
        resize_buffer(&mut self.values, 2 * rows * blocks * SCALE_BLOCK);
        resize_buffer(&mut self.scales, 2 * rows * blocks);
        resize_buffer(&mut self.starts, 2 * rows * blocks);
        let isa = cpu.isa();
        let (values, scales, starts) = (
            SharedMut::new(&mut self.values),
            SharedMut::new(&mut self.scales),
            SharedMut::new(&mut self.starts),
        );
        cpu.each_range(rows, GRAIN, |range| {
            for i in range {
                let at = 2 * i * blocks..2 * (i + 1) * blocks;
                // SAFETY: one thread per row.
                unsafe {
                    quantize(
                        isa,
                        row(i),
                        values.slice(at.start * SCALE_BLOCK..at.end * SCALE_BLOCK),
                        scales.slice(at.clone()),
                        starts.slice(at),
                    );
                }
            }
        });
    }

    pub(crate) fn rows(&self) -> QuantizedRows {
        QuantizedRows {
            values: self.values.as_ptr(),
            scales: self.scales.as_ptr(),
            starts: self.starts.as_ptr(),
            blocks: self.blocks,
        }
    }
}

impl QuantizedRows {
    /// The rows from the `row`-th on.
    ///
    /// # Safety
    /// There are so many rows.
    pub(crate) unsafe fn from(self, row: usize) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            Self {
                values: self.values.add(row * self.blocks * SCALE_BLOCK),
                scales: self.scales.add(row * self.blocks),
                starts: self.starts.add(row * self.blocks),
                blocks: self.blocks,
            }
        }
    }
}

crate::cpu::multiversion! {
    /// One row, as two. A block that is not finite gets a scale that is not, so that its outputs show it.
    fn quantize(isa, row: &[f32], values: &mut [i8], scales: &mut [f32], starts: &mut [i32]) {
        let (out, _) = values.as_chunks_mut::<SCALE_BLOCK>();
        let blocks = out.len() / 2;
        let (coarse, fine) = out.split_at_mut(blocks);
        for (b, (coarse, fine)) in coarse.iter_mut().zip(fine).enumerate() {
            let mut x = [0.0_f32; SCALE_BLOCK];
            let from = &row[b * SCALE_BLOCK..row.len().min((b + 1) * SCALE_BLOCK)];
            x[..from.len()].copy_from_slice(from);
            // Compared as whole numbers, magnitudes keep their order, and NaN is the largest.
            let mut largest = 0_u32;
            for v in x { largest = largest.max(v.to_bits() & 0x7fff_ffff); }
            let largest = f32::from_bits(largest);
            let scale = largest / 127.0;
            let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
            let mut sums = [0_i32; 2];
            for ((a, c), v) in coarse.iter_mut().zip(fine.iter_mut()).zip(x) {
                *a = (v.mul_add(inverse, ROUND)).to_bits() as i8;
                let missed = f32::from(*a).mul_add(-scale, v);
                *c = missed.mul_add(inverse * FINER, ROUND).to_bits() as i8;
                sums[0] += i32::from(*a);
                sums[1] += i32::from(*c);
            }
            for (row, (scale, sum)) in [scale, scale / FINER].into_iter().zip(sums).enumerate() {
                scales[row * blocks + b] = scale;
                starts[row * blocks + b] = -OFFSET * sum;
            }
        }
    }
}
