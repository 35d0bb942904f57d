//! Products of a few rows with a frozen matrix on a GPU, as decoding computes them.

use crate::cuda::{Gpu, GpuResult, View};
use crate::linear::GpuLinear;

/// The largest number of rows of one product.
pub const SKINNY_ROWS: usize = 64;

/// What becomes of a product's sums.
#[derive(Clone, Copy, Debug)]
pub enum SkinnyOut<'a> {
    /// bf16 `[rows, n]`.
    Bf16(View<'a, u16>),
    /// f32 `[rows, n]`.
    F32(View<'a, f32>),
    /// bf16 `[rows, n/2]`: silu of the first half of the columns, times the second.
    Swiglu(View<'a, u16>),
}

/// `y = norm(x) Wᵀ + bias + add`.
#[derive(Clone, Copy, Debug)]
pub struct Skinny<'a> {
    /// `[rows, k]`
    pub x: View<'a, u16>,
    /// 1 to [`SKINNY_ROWS`].
    pub rows: usize,
    /// Weights and eps of an RMS norm that x goes through first.
    pub norm: Option<(View<'a, f32>, f32)>,
    /// Added, `[rows, n]`; may be y.
    pub add: Option<View<'a, u16>>,
    /// y.
    pub out: SkinnyOut<'a>,
}

impl<'a> Skinny<'a> {
    /// The first `at` rows, and the rest.
    fn split(self, at: usize, n: usize, k: usize) -> (Self, Self) {
        let half = |rows: std::ops::Range<usize>| {
            let out = rows.start * n..rows.end * n;
            Self {
                x: self.x.part(rows.start * k..rows.end * k),
                rows: rows.len(),
                norm: self.norm,
                add: self.add.map(|add| add.part(out.clone())),
                out: match self.out {
                    SkinnyOut::Bf16(y) => SkinnyOut::Bf16(y.part(out)),
                    SkinnyOut::F32(y) => SkinnyOut::F32(y.part(out)),
                    SkinnyOut::Swiglu(y) => {
                        SkinnyOut::Swiglu(y.part(rows.start * n / 2..rows.end * n / 2))
                    }
                },
            }
        };
        (half(0..at), half(at..self.rows))
    }
}

impl Gpu {
    /// Queues a product of 1 to [`SKINNY_ROWS`] rows.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn skinny(&self, w: &GpuLinear, s: Skinny<'_>) -> GpuResult<()> {
        assert!((1..=SKINNY_ROWS).contains(&s.rows), "{} rows", s.rows);
        let (n, k) = (w.outputs(), w.inputs());
        s.x.holds(s.rows * k);
        if let Some(add) = s.add {
            add.holds(s.rows * n);
        }
        let (eights, tiles, blocks) = match s.rows {
            0..=8 => (1, 1, 2),
            9..=16 => (2, 1, 2),
            17..=32 => (4, 2, 1),
            33..=40 => (5, 2, 1),
            _ => (8, 2, 1),
        };
        let columns = 16 * tiles;
        let mut shared = 256 * eights * (columns + 5);
        if let Some((weights, _)) = s.norm {
            weights.holds(k);
            shared += 4 * k.next_multiple_of(64);
        }
        if shared > self.shared_bytes() && s.rows > 40 {
            // Smaller GPUs: a row's result is the same beside fewer.
            let (first, second) = s.split(40, n, k);
            self.skinny(w, first)?;
            return self.skinny(w, second);
        }
        let grid = n.div_ceil(columns).min(self.multiprocessors() * blocks);
        let (m, ldx, ld_add) = (s.rows as u32, k as u32, n as u32);
        let (n32, k32) = (n as u32, k as u32);
        let (norm, eps) = (s.norm.map(|n| n.0), s.norm.map_or(0.0, |n| n.1));
        let bias = w.bias_f32();
        let (y16, y32): (Option<View<'_, u16>>, Option<View<'_, f32>>);
        let (form, ldy) = match s.out {
            SkinnyOut::Bf16(y) => {
                y.holds(s.rows * n);
                (y16, y32) = (Some(y), None);
                (0_u32, n as u32)
            }
            SkinnyOut::F32(y) => {
                y.holds(s.rows * n);
                (y16, y32) = (None, Some(y));
                (1, n as u32)
            }
            SkinnyOut::Swiglu(y) => {
                y.holds(s.rows * n / 2);
                (y16, y32) = (Some(y), None);
                (2, n as u32 / 2)
            }
        };
        let y: &dyn crate::cuda::Arg = match &y32 {
            Some(y) => y,
            None => &y16,
        };
        let (bf16, int8) = (w.bf16_rows(), w.int8_rows());
        let scale = int8.map(|r| r.1);
        let bytes = int8.map(|r| r.0);
        let (kind, weights): (_, &dyn crate::cuda::Arg) = match &bf16 {
            Some(rows) => ("bf16", rows),
            None => ("int8", &bytes),
        };
        self.launch(
            &format!("skinny_{kind}_{eights}"),
            (grid, 1, 1),
            256,
            shared,
            &[
                &s.x, &ldx, &m, weights, &scale, &n32, &k32, &norm, &eps, &bias, &s.add, &ld_add,
                y, &ldy, &form,
            ],
        )
    }
}
