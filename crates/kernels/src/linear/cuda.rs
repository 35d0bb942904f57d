//! Products of many rows with frozen weights on a GPU, and the lookup of embeddings.

use crate::cuda::{Element, Gpu, GpuResult, Product, View};
use crate::linear::Unpacker;
use crate::linear::cuda_frozen::{GpuLinear, Store};

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

/// What a product with a frozen matrix adds to and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Out<'a> {
    /// Added to the product; may be `to`.
    pub add: Option<View<'a, u16>>,
    /// `[rows, ·]`
    pub to: View<'a, u16>,
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
            bias: w.bias().is_some(),
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
