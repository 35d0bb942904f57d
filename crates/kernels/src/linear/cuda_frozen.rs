//! Frozen weights in a GPU's memory: packed once, in the format of the base model's quantization.

use std::ops::Range;

use half::bf16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use rayon::prelude::*;

use crate::cuda::{Arg, Buffer, Gpu, GpuError, GpuResult, Lane, Staging, View};
use crate::number_formats::BaseQuantization;

/// A frozen `[n, k]` matrix (or several stacked by rows) in device memory, with an optional bias.
#[derive(Debug)]
pub struct GpuLinear {
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) store: Store,
    /// In bf16 for cuBLASLt, in f32 for the products of a few rows.
    bias: Option<(Buffer<u16>, Buffer<f32>)>,
}

#[derive(Debug)]
pub(super) enum Store {
    /// `[n, k]`
    Bf16(Buffer<u16>),
    /// `[n, k]`, and a scale a row: `w = bf16(q · scale)`.
    Int8(Buffer<i8>, Buffer<f32>),
    /// Eight weights a number, and the largest of every 64: `w = bf16(level · largest)`.
    Nf4(Buffer<u32>, Buffer<f32>),
    /// e4m3 with a scale a row: `[n, k]`, and the transpose `[k, n]` with scales of its own, since products
    /// of e4m3 run along both operands' rows alone.
    Fp8 {
        rows: (Buffer<u8>, Buffer<f32>),
        columns: (Buffer<u8>, Buffer<f32>),
    },
}

/// Weights of one scale in NF4.
const NF4_BLOCK: usize = 64;

impl GpuLinear {
    /// Packs `n` rows of `k` weights; `read(rows, out)` gives them in f32, on many threads. They are sent
    /// while the next ones are read.
    ///
    /// # Errors
    /// The first error of `read`, or of the device.
    ///
    /// # Panics
    /// When a row does not fit into a piece of `staging`.
    pub fn pack<E: Send + From<GpuError>>(
        staging: &mut Staging,
        base: BaseQuantization,
        n: usize,
        k: usize,
        bias: Option<&[f32]>,
        read: impl Fn(Range<usize>, &mut [f32]) -> Result<(), E> + Sync + Send,
    ) -> Result<Self, E> {
        assert!(
            k.is_multiple_of(16) && n.is_multiple_of(8) && k <= staging.piece_len(),
            "weights [{n}, {k}]"
        );
        let gpu = &staging.gpu().clone();
        let rows = (staging.piece_len() / k).min(n);
        let store = match base {
            BaseQuantization::Int8 => Store::Int8(gpu.alloc(n * k)?, gpu.alloc(n)?),
            BaseQuantization::Nf4 => {
                assert!(k.is_multiple_of(NF4_BLOCK), "nf4 weights [{n}, {k}]");
                Store::Nf4(gpu.alloc(n * k / 8)?, gpu.alloc(n * k / NF4_BLOCK)?)
            }
            BaseQuantization::Fp8 => Store::Fp8 {
                rows: (gpu.alloc(n * k)?, gpu.alloc(n)?),
                columns: (gpu.alloc(n * k)?, gpu.alloc(k)?),
            },
            _ => Store::Bf16(gpu.alloc(n * k)?),
        };
        let whole = match &store {
            Store::Int8(..) | Store::Nf4(..) => Some(gpu.alloc::<u16>(rows * k)?),
            Store::Fp8 { .. } => Some(gpu.alloc::<u16>(n * k)?),
            Store::Bf16(_) => None,
        };
        for first in (0..n).step_by(rows) {
            let count = rows.min(n - first);
            let to = &mut staging.fill()?[..count * k];
            let piece = 65_536_usize.div_ceil(k);
            to.par_chunks_mut(piece * k).enumerate().try_for_each_init(
                Vec::new,
                |wide, (i, to)| {
                    wide.resize(to.len(), 0.0);
                    let start = first + i * piece;
                    read(start..start + to.len() / k, wide)?;
                    to.reinterpret_cast_mut::<bf16>()
                        .convert_from_f32_slice(wide);
                    Ok::<(), E>(())
                },
            )?;
            match &store {
                Store::Bf16(w) => staging.send(w.part(first * k..(first + count) * k))?,
                Store::Int8(q, scales) => {
                    let whole = whole.as_ref().map_or_else(|| unreachable!(), Buffer::view);
                    staging.send(whole.part(0..count * k))?;
                    gpu.quantise_rows(whole, count, k, q.from(first * k), scales.from(first))?;
                }
                Store::Nf4(q, largest) => {
                    let whole = whole.as_ref().map_or_else(|| unreachable!(), Buffer::view);
                    staging.send(whole.part(0..count * k))?;
                    let (q, largest) = (q.from(first * k / 8), largest.from(first * k / NF4_BLOCK));
                    gpu.quantise_nf4(whole, count * k, q, largest)?;
                }
                Store::Fp8 { .. } => {
                    let whole = whole.as_ref().map_or_else(|| unreachable!(), Buffer::view);
                    staging.send(whole.part(first * k..(first + count) * k))?;
                }
            }
        }
        if let (Store::Fp8 { rows, columns }, Some(whole)) = (&store, &whole) {
            let turned = gpu.alloc(n * k)?;
            gpu.transpose(whole.view(), n, k, turned.view())?;
            gpu.quantise_fp8(whole.view(), n, k, (rows.0.view(), rows.1.view()))?;
            gpu.quantise_fp8(turned.view(), k, n, (columns.0.view(), columns.1.view()))?;
        }
        let bias = bias.map(|wide| {
            let narrow: Vec<u16> = wide.iter().map(|v| bf16::from_f32(*v).to_bits()).collect();
            Ok::<_, GpuError>((gpu.upload(&narrow)?, gpu.upload(wide)?))
        });
        Ok(Self {
            n,
            k,
            store,
            bias: bias.transpose()?,
        })
    }

    /// Outputs (rows of W).
    pub fn outputs(&self) -> usize {
        self.n
    }

    /// Inputs (columns of W).
    pub fn inputs(&self) -> usize {
        self.k
    }

    /// Memory of the weights.
    pub fn bytes(&self) -> usize {
        match &self.store {
            Store::Bf16(w) => w.len() * 2,
            Store::Int8(q, scales) => q.len() + scales.len() * 4,
            Store::Nf4(q, largest) => 4 * (q.len() + largest.len()),
            Store::Fp8 { rows, columns } => 2 * rows.0.len() + 4 * (rows.1.len() + columns.1.len()),
        }
    }

    /// Numbers that a buffer of an [`Unpacker`](crate::linear::Unpacker) must hold for it.
    pub fn scratch(&self) -> usize {
        match &self.store {
            Store::Bf16(_) | Store::Fp8 { .. } => 0,
            Store::Int8(..) | Store::Nf4(..) => self.n * self.k,
        }
    }

    /// Where weights begin that are unpacked before a product: a name for them.
    pub(super) fn packed(&self) -> Option<u64> {
        match &self.store {
            Store::Int8(q, _) => Some(q.view().address()),
            Store::Nf4(q, _) => Some(q.view().address()),
            Store::Bf16(_) | Store::Fp8 { .. } => None,
        }
    }

    /// Makes packed weights bf16 `[n, k]`.
    pub(super) fn unpack(&self, gpu: &Gpu, lane: Lane, to: View<'_, u16>) -> GpuResult<()> {
        let len = self.n * self.k;
        to.holds(len);
        let (eights, eights_per_row) = ((len / 8) as u32, (self.k / 8) as u32);
        let (kernel, args): (_, &[&dyn Arg]) = match &self.store {
            Store::Int8(q, scales) => (
                "dequantise_rows",
                &[&q.view(), &scales.view(), &to, &eights_per_row, &eights],
            ),
            Store::Nf4(q, largest) => (
                "dequantise_nf4",
                &[&q.view(), &largest.view(), &to, &eights],
            ),
            Store::Bf16(_) | Store::Fp8 { .. } => return Ok(()),
        };
        let blocks = len.div_ceil(8 * 4 * 256);
        match lane {
            Lane::Main => gpu.launch(kernel, (blocks, 1, 1), 256, 0, args),
            // A block on each multiprocessor, and no more: what is resident makes the main stream's kernels wait.
            Lane::Side => {
                let grid = (blocks.min(gpu.multiprocessors()), 1, 1);
                gpu.launch_on(lane, kernel, grid, 256, 0, args)
            }
        }
    }

    /// Eights of weights and the largest of every 64, where they are kept so.
    pub fn nf4_blocks(&self) -> Option<(View<'_, u32>, View<'_, f32>)> {
        match &self.store {
            Store::Nf4(q, largest) => Some((q.view(), largest.view())),
            _ => None,
        }
    }

    /// Rows of bf16, where they are kept so.
    pub fn bf16_rows(&self) -> Option<View<'_, u16>> {
        match &self.store {
            Store::Bf16(w) => Some(w.view()),
            _ => None,
        }
    }

    /// Bytes and scales, where they are kept so.
    pub fn int8_rows(&self) -> Option<(View<'_, i8>, View<'_, f32>)> {
        match &self.store {
            Store::Int8(q, scales) => Some((q.view(), scales.view())),
            _ => None,
        }
    }

    /// The bias `[n]`, in bf16.
    pub fn bias(&self) -> Option<View<'_, u16>> {
        self.bias.as_ref().map(|b| b.0.view())
    }

    /// The bias `[n]`, in f32.
    pub fn bias_f32(&self) -> Option<View<'_, f32>> {
        self.bias.as_ref().map(|b| b.1.view())
    }
}

impl Gpu {
    /// Rows of `k` bf16 as e4m3, with a scale a row.
    pub(super) fn quantise_fp8(
        &self,
        x: View<'_, u16>,
        rows: usize,
        k: usize,
        (q, scales): (View<'_, u8>, View<'_, f32>),
    ) -> GpuResult<()> {
        x.holds(rows * k);
        q.holds(rows * k);
        scales.holds(rows);
        let width = k as i32;
        let block = (k / 8).next_multiple_of(32).min(256);
        self.launch(
            "quantise_fp8",
            (rows, 1, 1),
            block,
            0,
            &[&x, &width, &q, &scales],
        )
    }

    fn transpose(
        &self,
        from: View<'_, u16>,
        rows: usize,
        columns: usize,
        to: View<'_, u16>,
    ) -> GpuResult<()> {
        from.holds(rows * columns);
        to.holds(rows * columns);
        let grid = (columns.div_ceil(32), rows.div_ceil(32), 1);
        let (rows, columns) = (rows as i32, columns as i32);
        self.launch(
            "transpose_bf16",
            grid,
            256,
            0,
            &[&from, &to, &rows, &columns],
        )
    }

    fn quantise_rows(
        &self,
        w: View<'_, u16>,
        rows: usize,
        k: usize,
        q: View<'_, i8>,
        scales: View<'_, f32>,
    ) -> GpuResult<()> {
        w.holds(rows * k);
        q.holds(rows * k);
        scales.holds(rows);
        let width = k as i32;
        self.launch(
            "quantise_rows",
            (rows, 1, 1),
            256,
            0,
            &[&w, &width, &q, &scales],
        )
    }

    fn quantise_nf4(
        &self,
        w: View<'_, u16>,
        len: usize,
        q: View<'_, u32>,
        largest: View<'_, f32>,
    ) -> GpuResult<()> {
        w.holds(len);
        q.holds(len / 8);
        largest.holds(len / NF4_BLOCK);
        let vectors = (len / 8) as u32;
        self.launch(
            "quantise_nf4",
            (len.div_ceil(8 * 256), 1, 1),
            256,
            0,
            &[&w, &q, &largest, &vectors],
        )
    }
}
