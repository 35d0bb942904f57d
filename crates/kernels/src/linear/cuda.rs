//! Frozen weights on a GPU.

use std::ops::Range;

use half::bf16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use rayon::prelude::*;

use crate::cuda::{Arg, Buffer, Element, Gpu, GpuError, GpuResult, Lane, Product, Staging, View};
use crate::linear::Unpacker;
use crate::number_formats::BaseQuantization;

/// A frozen `[n, k]` matrix (or several stacked by rows) in device memory, with an optional bias.
#[derive(Debug)]
pub struct GpuLinear {
    n: usize,
    k: usize,
    store: Store,
    /// In bf16 for cuBLASLt, in f32 for the products of a few rows.
    bias: Option<(Buffer<u16>, Buffer<f32>)>,
}

#[derive(Debug)]
enum Store {
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

/// Room that products with weights of some formats need beside their operands.
#[derive(Clone, Copy, Debug)]
pub struct Scratch<'a> {
    /// Where int8 weights become bf16.
    pub unpacker: &'a Unpacker,
    /// In which of its two buffers: products in a row use them in turns.
    pub slot: usize,
    /// The product after the next, whose weights may be unpacked meanwhile.
    pub ahead: Option<&'a GpuLinear>,
    /// An input in e4m3 and its scales, for fp8. Rows are rounded up to a multiple of 16.
    pub input: Option<(View<'a, u8>, View<'a, f32>)>,
}

/// Weights of one scale in NF4.
const NF4_BLOCK: usize = 64;

/// What a product with a frozen matrix adds to and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Out<'a> {
    /// Added to the product; may be `to`.
    pub add: Option<View<'a, u16>>,
    /// `[rows, ·]`
    pub to: View<'a, u16>,
}

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

    /// Numbers that a buffer of an [`Unpacker`] must hold for it.
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
    /// `to [rows, n] = add + x [rows, k] Wᵀ + bias`. With fp8 weights rows are a multiple of 16.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn linear_forward(
        &self,
        w: &GpuLinear,
        x: View<'_, u16>,
        rows: usize,
        out: Out<'_>,
        scratch: Scratch<'_>,
    ) -> GpuResult<()> {
        let product = Product {
            backward: false,
            m: rows,
            n: w.n,
            k: w.k,
            ld_x: w.k,
            ld_d: w.n,
            out: Element::Bf16,
            add: out.add.is_some(),
            bias: w.bias.is_some(),
            fp8: false,
        };
        match &w.store {
            Store::Bf16(weights) => {
                self.product(product, x, weights.view(), w.bias(), out.add, out.to)
            }
            Store::Int8(..) | Store::Nf4(..) => {
                let weights = scratch.unpacker.weights(w, scratch.slot)?;
                self.product(product, x, weights, w.bias(), out.add, out.to)?;
                scratch.unpacker.done(scratch.slot, scratch.ahead)
            }
            Store::Fp8 { rows: weights, .. } => {
                let input = self.input_fp8(x, rows, w.k, scratch)?;
                let product = Product {
                    fp8: true,
                    ..product
                };
                let weights = (weights.0.view(), weights.1.view());
                self.product_fp8(product, input, weights, w.bias(), out.add, out.to)
            }
        }
    }

    /// `to [rows, k] = add + dy [rows, n] W`. With fp8 weights rows are a multiple of 16.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn linear_backward(
        &self,
        w: &GpuLinear,
        dy: View<'_, u16>,
        rows: usize,
        out: Out<'_>,
        scratch: Scratch<'_>,
    ) -> GpuResult<()> {
        let product = Product {
            backward: true,
            m: rows,
            n: w.n,
            k: w.k,
            ld_x: w.n,
            ld_d: w.k,
            out: Element::Bf16,
            add: out.add.is_some(),
            bias: false,
            fp8: false,
        };
        match &w.store {
            Store::Bf16(weights) => {
                self.product(product, dy, weights.view(), None, out.add, out.to)
            }
            Store::Int8(..) | Store::Nf4(..) => {
                let weights = scratch.unpacker.weights(w, scratch.slot)?;
                self.product(product, dy, weights, None, out.add, out.to)?;
                scratch.unpacker.done(scratch.slot, scratch.ahead)
            }
            Store::Fp8 { columns, .. } => {
                let input = self.input_fp8(dy, rows, w.n, scratch)?;
                let product = Product {
                    backward: false,
                    n: w.k,
                    k: w.n,
                    fp8: true,
                    ..product
                };
                let weights = (columns.0.view(), columns.1.view());
                self.product_fp8(product, input, weights, None, out.add, out.to)
            }
        }
    }

    /// An input `[rows, k]` in e4m3.
    fn input_fp8<'a>(
        &self,
        x: View<'_, u16>,
        rows: usize,
        k: usize,
        scratch: Scratch<'a>,
    ) -> GpuResult<(View<'a, u8>, View<'a, f32>)> {
        let input = scratch
            .input
            .unwrap_or_else(|| panic!("fp8 products need room for their input"));
        self.quantise_fp8(x, rows, k, input)?;
        Ok(input)
    }

    fn quantise_fp8(
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

    /// `x[i] = table[tokens[i]]`, rows of `h` bf16.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn embed_rows(
        &self,
        tokens: View<'_, u32>,
        table: View<'_, u16>,
        h: usize,
        x: View<'_, u16>,
    ) -> GpuResult<()> {
        assert!(h.is_multiple_of(8));
        x.holds(tokens.len() * h);
        let width = h as i32;
        let block = (h / 8).next_multiple_of(32).min(256);
        self.launch(
            "embed_rows",
            (tokens.len(), 1, 1),
            block,
            0,
            &[&tokens, &table, &width, &x],
        )
    }
}
