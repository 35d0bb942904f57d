//! Frozen weights on a GPU.

use std::ops::Range;

use half::bf16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use rayon::prelude::*;

use crate::cuda::{Buffer, Element, Gpu, GpuError, GpuResult, Product, View};
use crate::linear::Base;

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
}

/// Weights that are read, rounded and sent at a time.
const CHUNK: usize = 1 << 24;

/// What a product with a frozen matrix adds to and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Out<'a> {
    /// Added to the product; may be `to`.
    pub add: Option<View<'a, u16>>,
    /// `[rows, ·]`
    pub to: View<'a, u16>,
}

impl GpuLinear {
    /// Packs `n` rows of `k` weights; `read(rows, out)` gives them in f32, on many threads.
    ///
    /// # Errors
    /// The first error of `read`, or of the device.
    pub fn pack<E: Send + From<GpuError>>(
        gpu: &Gpu,
        base: Base,
        n: usize,
        k: usize,
        bias: Option<&[f32]>,
        read: impl Fn(Range<usize>, &mut [f32]) -> Result<(), E> + Sync + Send,
    ) -> Result<Self, E> {
        assert!(
            k.is_multiple_of(16) && n.is_multiple_of(8),
            "weights [{n}, {k}]"
        );
        let rows = (CHUNK / k).clamp(1, n);
        let mut staging = vec![0_u16; rows * k];
        let store = match base {
            Base::Int8 => Store::Int8(gpu.alloc(n * k)?, gpu.alloc(n)?),
            _ => Store::Bf16(gpu.alloc(n * k)?),
        };
        let whole = match &store {
            Store::Int8(..) => Some(gpu.alloc::<u16>(rows * k)?),
            Store::Bf16(_) => None,
        };
        for first in (0..n).step_by(rows) {
            let count = rows.min(n - first);
            let to = &mut staging[..count * k];
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
                Store::Bf16(w) => gpu.write(to, w.from(first * k))?,
                Store::Int8(q, scales) => {
                    let whole = whole.as_ref().map_or_else(|| unreachable!(), Buffer::view);
                    gpu.write(to, whole)?;
                    gpu.quantise_rows(whole, count, k, q.from(first * k), scales.from(first))?;
                }
            }
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
        }
    }

    /// bf16 numbers of scratch that a product needs.
    pub fn scratch(&self) -> usize {
        match &self.store {
            Store::Bf16(_) => 0,
            Store::Int8(q, _) => q.len(),
        }
    }

    /// Rows of bf16, where they are kept so.
    pub fn bf16_rows(&self) -> Option<View<'_, u16>> {
        match &self.store {
            Store::Bf16(w) => Some(w.view()),
            Store::Int8(..) => None,
        }
    }

    /// Bytes and scales, where they are kept so.
    pub fn int8_rows(&self) -> Option<(View<'_, i8>, View<'_, f32>)> {
        match &self.store {
            Store::Bf16(_) => None,
            Store::Int8(q, scales) => Some((q.view(), scales.view())),
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
    /// `to [rows, n] = add + x [rows, k] Wᵀ + bias`. `scratch` holds [`GpuLinear::scratch`] numbers.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn linear_forward(
        &self,
        w: &GpuLinear,
        x: View<'_, u16>,
        rows: usize,
        out: Out<'_>,
        scratch: View<'_, u16>,
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
        };
        let weights = self.in_bf16(w, scratch)?;
        self.product(product, x, weights, w.bias(), out.add, out.to)
    }

    /// `to [rows, k] = add + dy [rows, n] W`.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn linear_backward(
        &self,
        w: &GpuLinear,
        dy: View<'_, u16>,
        rows: usize,
        out: Out<'_>,
        scratch: View<'_, u16>,
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
        };
        let weights = self.in_bf16(w, scratch)?;
        self.product(product, dy, weights, None, out.add, out.to)
    }

    /// The weights in bf16: where they lie, or made into `scratch`.
    fn in_bf16<'a>(&self, w: &'a GpuLinear, scratch: View<'a, u16>) -> GpuResult<View<'a, u16>> {
        match &w.store {
            Store::Bf16(w) => Ok(w.view()),
            Store::Int8(q, scales) => {
                self.dequantise_rows(q.view(), scales.view(), w.k, scratch)?;
                Ok(scratch)
            }
        }
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

    fn dequantise_rows(
        &self,
        q: View<'_, i8>,
        scales: View<'_, f32>,
        k: usize,
        w: View<'_, u16>,
    ) -> GpuResult<()> {
        w.holds(q.len());
        scales.holds(q.len() / k);
        let (width, vectors) = ((k / 16) as u32, (q.len() / 16) as u32);
        let grid = (q.len().div_ceil(16 * 256), 1, 1);
        self.launch(
            "dequantise_rows",
            grid,
            256,
            0,
            &[&q, &scales, &w, &width, &vectors],
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
